/* SPDX-License-Identifier: MIT */
/* Forgetting the configuration of one stream or of all, with 4096 streams and with one. */
#include "scene.h"

#include <stdio.h>

struct shot {
	struct machine *machine, *many;
	uint64_t low, high;
	uint32_t streams;
};

/* Each stream's configuration is cached. */
static void fill(struct machine *machine, uint32_t streams)
{
	vsmmu_access access = { .size = sizeof(access), .address = scene_page(0) };
	vsmmu_result result = { .size = sizeof(result) };

	for (access.stream = 0; access.stream < streams; access.stream++)
		if (api.vsmmu_translate(machine->guest.vsmmu, &access, &result) != 0 ||
		    result.kind != VSMMU_RESULT_OK)
			bench_fail("stream %u does not translate", access.stream);
}

static void prepare(void *self)
{
	struct shot *shot = self;
	struct machine *machine = shot->machine;

	/* The one stream is looked at after as much work, so that the CPU is in the same state. */
	fill(shot->many, STREAMS_MOST);
	fill(machine, shot->streams);
	/* What that has driven out of the CPU's caches comes back. */
	for (int warm = 0; warm < 4; warm++)
		machine_command(machine, CFGI_CD | UINT64_C(0x12345) << 32, 1);
	machine_put(machine, machine->producer, shot->low, shot->high);
}

static void run(void *self)
{
	machine_kick(((struct shot *)self)->machine, 1);
}

static void open(struct machine *machine, uint32_t streams)
{
	uint64_t root;

	machine_open(machine, &(struct machine_options){ .configuration_entries = 16384,
							 .streams = streams });
	root = machine_table(machine);
	machine_map(machine, root, scene_page(0), PAGES_OF_DATA, PAGE1);
	for (uint32_t stream = 0; stream < streams; stream++)
		machine_stage1(machine, stream, root, ASID_STAGE1);
}

static void row(struct machine *many, struct machine *one, const char *path, uint64_t low,
		uint64_t high)
{
	struct shot shots[2] = {
		{ .machine = many, .many = many, .low = low, .high = high, .streams = STREAMS_MOST },
		{ .machine = one, .many = many, .low = low, .high = high, .streams = 1 },
	};
	struct runner runners[2] = {
		{ .prepare = prepare, .run = run, .self = &shots[0] },
		{ .prepare = prepare, .run = run, .self = &shots[1] },
	};
	struct cells cells = { .path = path, .target = "O(1): ≤ 2 × of 1 stream" };

	measure(runners, 2, 1);
	report_ns(cells.library, &runners[0]);
	snprintf(cells.library + strlen(cells.library), 24, ", %.2f × of 1", runners[1].ratio);
	cells.met = runners[1].ratio <= 2;
	report_row(&cells);
}

void rows_of_configurations(void)
{
	static struct machine many, one;

	open(&many, STREAMS_MOST);
	open(&one, 1);
	row(&many, &one, "CMD_CFGI_STE, 4096 streams configured", CFGI_STE, 1);
	row(&many, &one, "CMD_CFGI_ALL, 4096 streams configured", CFGI_ALL, 31);
	machine_close(&many);
	machine_close(&one);
}
