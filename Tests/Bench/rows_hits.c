/* SPDX-License-Identifier: MIT */
/* What is found in the caches. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define HOT_PAGES 32u

static void fill_addresses(uint64_t *addresses, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		addresses[i] = scene_page(i) + i * 8;
}

/* The three of them: library, limit, hash. */
static void three(struct stroll strolls[3], struct runner runners[3], struct scene *scene,
		  struct stroll what)
{
	for (int i = 0; i < 3; i++) {
		strolls[i] = what;
		runners[i] = (struct runner){ .run = stroll, .self = &strolls[i] };
	}
	stroll_of_library(&strolls[0], scene);
	stroll_of_twin(&strolls[1], scene);
	stroll_of_hash(&strolls[2], scene);
	must_agree(strolls, 3);
}

static void row_of_bare_hits(void)
{
	static struct scene scene;
	static uint64_t addresses[HOT_PAGES];
	struct stroll strolls[3];
	struct runner runners[3];
	struct cells cells = { .path = "IOTLB hit, 1 thread, 32 pages",
			       .target = "≤ 1.15 × limit, ≥ 8 × faster than hash + mutex" };

	scene_open(&scene, NULL);
	scene_map_pages(&scene, HOT_PAGES);
	fill_addresses(addresses, HOT_PAGES);
	three(strolls, runners, &scene,
	      (struct stroll){ .stream = STREAM_STAGE1, .addresses = addresses,
			       .count = HOT_PAGES, .batch = 8192 });
	measure(runners, 3, 8192);
	report_ns(cells.library, &runners[0]);
	write_ns(cells.limit, runners[1].median);
	snprintf(cells.limit + strlen(cells.limit), 32, ", %.2f ×", runners[1].ratio);
	write_ns(cells.hash, runners[2].median);
	snprintf(cells.hash + strlen(cells.hash), 32, ", %.1f × faster", 1 / runners[2].ratio);
	cells.met = runners[1].ratio <= 1.15 && 1 / runners[2].ratio >= 8;
	report_row(&cells);
	scene_close(&scene);
}

static int32_t guarded(void *vsmmu, const vsmmu_access *access, vsmmu_result *result)
{
	uint64_t token = api.vsmmu_access_begin(vsmmu);
	int32_t answer = api.vsmmu_translate(vsmmu, access, result);

	api.vsmmu_access_end(vsmmu, token);
	return answer;
}

/* What a VMM does that uses the answer: two locked operations. */
static void row_of_guarded_hits(void)
{
	static struct scene scene;
	static uint64_t addresses[HOT_PAGES];
	struct stroll strolls[2];
	struct runner runners[2];
	struct cells cells = { .path = "the same between vsmmu_access_begin and _end",
			       .target = "≤ 3.5 × a bare hit" };

	scene_open(&scene, NULL);
	scene_map_pages(&scene, HOT_PAGES);
	fill_addresses(addresses, HOT_PAGES);
	for (int i = 0; i < 2; i++) {
		strolls[i] = (struct stroll){ .stream = STREAM_STAGE1, .addresses = addresses,
					      .count = HOT_PAGES, .batch = 8192 };
		stroll_of_library(&strolls[i], &scene);
		runners[i] = (struct runner){ .run = stroll, .self = &strolls[i] };
	}
	strolls[0].translate = guarded;
	measure(runners, 2, 8192);
	report_ns(cells.library, &runners[0]);
	snprintf(cells.library + strlen(cells.library), 24, ", %.2f × bare", runners[1].ratio);
	cells.met = runners[1].ratio <= 3.5;
	report_row(&cells);
	scene_close(&scene);
}

void rows_of_hits(void)
{
	row_of_bare_hits();
	row_of_guarded_hits();
}

/* Working sets: random accesses in so many pages. */

#define SET_ACCESSES (1u << 18)

static void row_of_set(unsigned pages, uint32_t tlb_entries)
{
	static struct scene scene;
	uint64_t *addresses = malloc(SET_ACCESSES * sizeof(*addresses)), seed = pages, misses;
	unsigned batch = pages < 16384 ? 16384 : 65536;
	struct stroll strolls[3];
	struct runner runners[3];
	char path[96];
	struct cells cells = { .path = path, .target = "no cliff", .met = -1 };
	double rate;

	if (!addresses)
		bench_fail("no memory for addresses");
	scene_open(&scene, &(struct machine_options){ .tlb_entries = tlb_entries });
	scene_map_pages(&scene, pages);
	for (unsigned i = 0; i < SET_ACCESSES; i++)
		addresses[i] = scene_page(bench_random(&seed) % pages);
	three(strolls, runners, &scene,
	      (struct stroll){ .stream = STREAM_STAGE1, .addresses = addresses,
			       .count = SET_ACCESSES, .batch = batch });
	for (unsigned i = 0; i < 2 * SET_ACCESSES; i += batch)
		stroll(&strolls[0]);
	misses = machine_misses(&scene.machine);
	for (unsigned i = 0; i < SET_ACCESSES; i += batch)
		stroll(&strolls[0]);
	rate = 1 - (double)(machine_misses(&scene.machine) - misses) / SET_ACCESSES;
	measure(runners, 3, batch);
	snprintf(path, sizeof(path), "random accesses in %u pages, %u entries", pages,
		 tlb_entries ? tlb_entries : 4096);
	report_ns(cells.library, &runners[0]);
	snprintf(cells.library + strlen(cells.library), 24, ", %.1f %% hit", rate * 100);
	write_ns(cells.limit, runners[1].median);
	write_ns(cells.hash, runners[2].median);
	report_row(&cells);
	scene_close(&scene);
	free(addresses);
}

void rows_of_sets(void)
{
	row_of_set(64, 0);
	row_of_set(1024, 0);
	row_of_set(16384, 0);
	row_of_set(262144, 0);
	row_of_set(16384, 32768);
	row_of_set(262144, 524288);
}
