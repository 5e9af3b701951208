/* SPDX-License-Identifier: MIT */
/*
 * Instructions, counted by callgrind in the functions that bench-gate.sh names: one dump for each
 * row, whose trigger is "row ROW CALLS". Where nothing counts, it only runs.
 */
#include "gate.h"

#include <stdio.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS do { } while (0)
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#define RING (1u << RING_BITS)
#define HOT 32u
#define COPY 65536u

static void begin(void)
{
	CALLGRIND_ZERO_STATS;
}

static void end(const char *row, unsigned calls)
{
	char name[64];

	snprintf(name, sizeof(name), "row %s %u", row, calls);
	CALLGRIND_DUMP_STATS_AT(name);
}

static void count_stroll(const char *row, struct stroll *what)
{
	begin();
	stroll(what);
	end(row, what->batch);
}

static void count_limit_of_hit(struct scene *scene, struct stroll hot)
{
	stroll_of_twin(&hot, scene);
	stroll(&hot);
	count_stroll("limit-hit", &hot);
}

static void count_hits(struct scene *scene)
{
	static uint64_t addresses[2 * 4096];
	struct stroll hot = { .stream = STREAM_STAGE1, .addresses = addresses, .count = HOT,
			      .batch = 1024 };
	uint64_t misses;

	for (unsigned i = 0; i < 2048; i++)
		addresses[i] = scene_page(i);
	stroll_of_library(&hot, scene);
	stroll(&hot);
	count_stroll("hit", &hot);
	count_limit_of_hit(scene, hot);
	/* More pages than a small cache in front holds, fewer than the TLB does. */
	hot.at = 0;
	hot.count = hot.batch = 2048;
	stroll(&hot);
	misses = machine_misses(&scene->machine);
	count_stroll("tlb-hit", &hot);
	if ((machine_misses(&scene->machine) - misses) * 10 > hot.batch)
		bench_fail("2048 pages do not fit into the TLB");
}

static void count_walks(struct scene *scene, uint32_t stream, const char *cold, const char *beside)
{
	static uint64_t far[FAR_PAGES], next[BESIDE_PAGES];
	unsigned pages = stream == STREAM_NESTED ? FAR_PAGES / 2 : FAR_PAGES;
	struct stroll walk = { .stream = stream, .addresses = far, .count = pages, .batch = pages };
	char limit[32];

	for (unsigned page = 0; page < pages; page++)
		far[page] = scene_far(page);
	for (unsigned page = 0; page < BESIDE_PAGES; page++)
		next[page] = scene_far(page) + 4096;
	stroll_of_library(&walk, scene);
	stroll(&walk);
	machine_forget(&scene->machine);
	count_stroll(cold, &walk);
	stroll_of_twin(&walk, scene);
	snprintf(limit, sizeof(limit), "limit-%s", cold);
	count_stroll(limit, &walk);
	stroll_of_library(&walk, scene);
	machine_forget(&scene->machine);
	walk.count = walk.batch = BESIDE_PAGES;
	stroll(&walk);
	walk.addresses = next;
	count_stroll(beside, &walk);
}

static void count_commands(struct scene *scene, const char *row, uint32_t batch)
{
	begin();
	for (uint32_t done = 0; done < RING; done += batch)
		machine_kick(&scene->machine, batch);
	end(row, RING);
	machine_settle(&scene->machine);
}

static void count_limit_of_commands(struct scene *scene, const char *row)
{
	begin();
	twin_commands(&scene->twin, RING);
	end(row, RING);
}

static void count_events(struct scene *scene)
{
	machine_take_events(&scene->machine);
	fault_once(scene, scene_page(5000));
	begin();
	for (unsigned i = 0; i < 256; i++)
		fault_once(scene, scene_page(5001 + i));
	end("event", 256);
}

static void count_copies(struct scene *scene)
{
	static _Alignas(4096) uint8_t target[COPY];
	static uint64_t pages[256];
	vsmmu_access access = { .size = sizeof(access), .stream = STREAM_STAGE1,
				.address = scene_page(0) };
	vsmmu_result result = { .size = sizeof(result) };

	scatter(scene, pages);
	machine_forget(&scene->machine);
	for (int warm = 1; warm >= 0; warm--) {
		begin();
		EQUAL(api.vsmmu_dma_read(scene->machine.guest.vsmmu, &access, target, COPY, &result),
		      0);
		EQUAL(result.length, COPY);
		if (!warm)
			end("dma-read-64k", 1);
	}
	begin();
	twin_copy(&scene->machine, pages, target, COPY);
	end("memcpy-64k", 1);
}

void gate(void)
{
	static struct scene scene;

	scene_open(&scene, NULL);
	scene_map_pages(&scene, 2048);
	scene_map_far(&scene);
	scene_map_far_nested(&scene);
	count_hits(&scene);
	count_walks(&scene, STREAM_STAGE1, "walk", "neighbour");
	count_walks(&scene, STREAM_NESTED, "nested-walk", "nested-neighbour");
	count_events(&scene);
	count_copies(&scene);
	scene_close(&scene);
	/* On an empty TLB. */
	scene_open(&scene, NULL);
	fill_unmaps(&scene.machine);
	count_commands(&scene, "tlbi-va-sync", 32);
	count_limit_of_commands(&scene, "limit-tlbi-va-sync");
	fill_random(&scene.machine);
	count_commands(&scene, "random-commands", 256);
	count_limit_of_commands(&scene, "limit-random-commands");
	scene_close(&scene);
}
