/* SPDX-License-Identifier: MIT */
/* A DMA that faults: the walk that finds nothing, and the record. */
#include "gate.h"

#include <malloc.h>
#include <stdio.h>

#define FAULTS 256u

static void empty_queue(void *self)
{
	machine_take_events(&((struct scene *)self)->machine);
}

void fault_once(struct scene *scene, uint64_t address)
{
	vsmmu_access access = { .size = sizeof(access), .stream = STREAM_STAGE1,
				.address = address };
	vsmmu_result result = { .size = sizeof(result) };

	if (api.vsmmu_translate(scene->machine.guest.vsmmu, &access, &result) != 0 ||
	    result.event != F_TRANSLATION)
		bench_fail("an unmapped page gave event %#x", result.event);
}

static void fault(void *self)
{
	for (unsigned i = 0; i < FAULTS; i++)
		fault_once(self, scene_page(4096 + i));
}

static uint64_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static uint64_t recorded(struct scene *scene)
{
	vsmmu_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_get_counters(scene->machine.guest.vsmmu, &counters), 0);
	return counters.events_recorded;
}

void rows_of_events(void)
{
	static struct scene scene;
	struct runner runner = { .prepare = empty_queue, .run = fault, .self = &scene };
	struct cells cells = { .path = "event record of a faulting DMA",
			       .target = "≤ 400 ns, no allocation" };
	uint64_t before, records;

	scene_open(&scene, NULL);
	scene_map_pages(&scene, 1);
	fault(&scene);
	empty_queue(&scene);
	records = recorded(&scene);
	before = allocated();
	fault(&scene);
	before = allocated() - before;
	if (recorded(&scene) - records != FAULTS)
		bench_fail("not every fault was recorded");
	measure(&runner, 1, FAULTS);
	report_ns(cells.library, &runner);
	snprintf(cells.library + strlen(cells.library), 24, ", %llu bytes",
		 (unsigned long long)before);
	cells.met = runner.median <= 400 && before == 0;
	report_row(&cells);
	scene_close(&scene);
}
