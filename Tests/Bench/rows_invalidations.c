/* SPDX-License-Identifier: MIT */
/* One command, with a full TLB and with an empty one of the same size. */
#include "scene.h"

#include <stdio.h>

#define CACHED 16384u
#define ENTRIES 65536u
#define PAGES_OF_RANGE 512u

struct kind {
	const char *path, *target;
	/* The command, and one like it that concerns no entry. */
	uint64_t low, other, high;
	/* May cost so many times what it does on an empty TLB. */
	double most;
};

struct shot {
	struct scene *scene;
	const struct kind *kind;
	bool fill;
	struct stroll stroll;
};

static void prepare(void *self)
{
	struct shot *shot = self;
	struct machine *machine = &shot->scene->machine;

	/* Both have walked as much, so that the CPU is in the same state. */
	if (shot->fill)
		machine_forget(machine);
	stroll(&shot->stroll);
	if (!shot->fill)
		machine_forget(machine);
	/* What the walks have driven out of the CPU's caches comes back. */
	for (int warm = 0; warm < 4; warm++)
		machine_command(machine, shot->kind->other, shot->kind->high);
	machine_put(machine, machine->producer, shot->kind->low, shot->kind->high);
}

static void run(void *self)
{
	machine_kick(&((struct shot *)self)->scene->machine, 1);
}

static void hash_prepare(void *self)
{
	struct shot *shot = self;

	shot->stroll.at = 0;
	stroll(&shot->stroll);
}

static void hash_run(void *self)
{
	struct shot *shot = self;
	struct hash_mutex *hash = &shot->scene->hash;

	switch (shot->kind->low & 0xff) {
	case TLBI_NH_VA:
		hash_forget_page(hash, ASID_STAGE1, shot->kind->high & ~UINT64_C(0xfff),
				 shot->kind->low >> 20 & 31 ? PAGES_OF_RANGE : 1);
		break;
	case TLBI_NH_ASID: hash_forget_asid(hash, ASID_STAGE1); break;
	case TLBI_S12_VMALL: hash_forget_vmid(hash, 0); break;
	default: hash_forget(hash);
	}
}

/* What 512 commands of one page cost, for the range. */
static double single_page;

static void row(struct scene *full, struct scene *empty, const uint64_t *addresses,
		const struct kind *kind)
{
	struct stroll pages = { .stream = STREAM_STAGE1, .addresses = addresses, .count = CACHED,
				.batch = CACHED };
	struct shot shots[3] = {
		{ .scene = full, .kind = kind, .fill = true, .stroll = pages },
		{ .scene = empty, .kind = kind, .stroll = pages },
		{ .scene = full, .kind = kind, .stroll = pages },
	};
	struct runner runners[3] = {
		{ .prepare = prepare, .run = run, .self = &shots[0] },
		{ .prepare = prepare, .run = run, .self = &shots[1] },
		{ .prepare = hash_prepare, .run = hash_run, .self = &shots[2] },
	};
	struct cells cells = { .path = kind->path, .target = kind->target };

	stroll_of_library(&shots[0].stroll, full);
	stroll_of_library(&shots[1].stroll, empty);
	stroll_of_hash(&shots[2].stroll, full);
	/* As many as its table holds. */
	shots[2].stroll.count = shots[2].stroll.batch = HASH_MOST;
	measure(runners, 3, 1);
	report_ns(cells.library, &runners[0]);
	snprintf(cells.library + strlen(cells.library), 24, ", %.2f × empty", runners[1].ratio);
	write_ns(cells.hash, runners[2].median);
	cells.met = kind->most > 0 ? runners[1].ratio <= kind->most
				   : runners[0].median <= PAGES_OF_RANGE * single_page;
	if (single_page == 0)
		single_page = runners[0].median;
	report_row(&cells);
}

/* Nearly all of them must be cached, or the rows are about something else. */
static void must_hold(struct scene *scene, const uint64_t *addresses)
{
	struct stroll pages = { .stream = STREAM_STAGE1, .addresses = addresses, .count = CACHED,
				.batch = CACHED };
	uint64_t before;

	stroll_of_library(&pages, scene);
	stroll(&pages);
	before = machine_misses(&scene->machine);
	stroll(&pages);
	before = machine_misses(&scene->machine) - before;
	if (before > CACHED / 20)
		bench_fail("%llu of %u pages are not cached", (unsigned long long)before, CACHED);
}

void rows_of_invalidations(void)
{
	static const uint64_t asid = (uint64_t)ASID_STAGE1 << 48, other = UINT64_C(99) << 48;
	static struct scene full, empty;
	static uint64_t addresses[CACHED];
	const struct kind kinds[] = {
		{ "CMD_TLBI_NH_VA, 16 384 entries cached", "≤ 2 × empty", TLBI_NH_VA | asid,
		  TLBI_NH_VA | other, scene_page(77) | 1, 2 },
		{ "CMD_TLBI_NH_ASID", "O(1): ≤ 2 × empty", TLBI_NH_ASID | asid,
		  TLBI_NH_ASID | other, 0, 2 },
		{ "CMD_TLBI_S12_VMALL", "O(1): ≤ 2 × empty", TLBI_S12_VMALL,
		  TLBI_S12_VMALL | UINT64_C(99) << 32, 0, 2 },
		{ "CMD_TLBI_NSNH_ALL", "O(1): ≤ 2 × empty", TLBI_NSNH_ALL,
		  TLBI_S12_VMALL | UINT64_C(99) << 32, 0, 2 },
		{ "CMD_TLBI_NH_VA, a range of 512 pages", "≤ 512 × one page",
		  TLBI_NH_VA | asid | 9 << 20, TLBI_NH_VA | other | 9 << 20,
		  scene_page(1024) | 1 << 10, 0 },
	};

	scene_open(&full, &(struct machine_options){ .tlb_entries = ENTRIES });
	scene_open(&empty, &(struct machine_options){ .tlb_entries = ENTRIES });
	scene_map_pages(&full, CACHED);
	scene_map_pages(&empty, CACHED);
	for (unsigned i = 0; i < CACHED; i++)
		addresses[i] = scene_page(i);
	must_hold(&full, addresses);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		row(&full, &empty, addresses, &kinds[i]);
	scene_close(&full);
	scene_close(&empty);
}
