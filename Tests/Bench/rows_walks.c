/* SPDX-License-Identifier: MIT */
/* What is not found: four loads of stage 1, 24 where nested, and the page beside one that was. */
#include "scene.h"

#include <stdio.h>

struct walks {
	struct stroll stroll;
	/* The pages beside, translated before the time is taken. */
	struct stroll first;
	void (*forget)(struct walks *walks);
	uint64_t far[FAR_PAGES], beside[FAR_PAGES];
};

static void forget_library(struct walks *walks)
{
	machine_forget(&walks->stroll.scene->machine);
}

static void forget_twin(struct walks *walks)
{
	twin_forget(&walks->stroll.scene->twin);
}

static void forget_hash(struct walks *walks)
{
	hash_forget(&walks->stroll.scene->hash);
}

static void go_cold(void *self)
{
	struct walks *walks = self;

	walks->forget(walks);
	walks->stroll.at = 0;
}

static void go_beside(void *self)
{
	struct walks *walks = self;

	go_cold(walks);
	walks->first.at = 0;
	stroll(&walks->first);
}

static void run(void *self)
{
	stroll(&((struct walks *)self)->stroll);
}

static void set_walks(struct walks walks[3], struct scene *scene, uint32_t stream, unsigned pages,
		      bool beside)
{
	static void (*const whose[3])(struct stroll *, struct scene *) = {
		stroll_of_library, stroll_of_twin, stroll_of_hash,
	};
	static void (*const forget[3])(struct walks *) = { forget_library, forget_twin, forget_hash };

	for (int i = 0; i < 3; i++) {
		for (unsigned page = 0; page < pages; page++) {
			walks[i].far[page] = scene_far(page);
			walks[i].beside[page] = scene_far(page) + 4096;
		}
		walks[i].first = (struct stroll){ .stream = stream, .addresses = walks[i].far,
						  .count = pages, .batch = pages };
		whose[i](&walks[i].first, scene);
		walks[i].stroll = walks[i].first;
		if (beside)
			walks[i].stroll.addresses = walks[i].beside;
		walks[i].forget = forget[i];
	}
}

/* What the row says counts only if each access walked. */
static void must_miss(struct walks *walks, void (*prepare)(void *))
{
	uint64_t before;

	prepare(walks);
	before = machine_misses(&walks->stroll.scene->machine);
	run(walks);
	if (machine_misses(&walks->stroll.scene->machine) - before != walks->stroll.count)
		bench_fail("some walks found their page in the TLB");
}

/* Loads of one walk, counted by a machine whose memory is behind a callback. */
static double loads_of(uint32_t stream, bool beside)
{
	static struct scene scene;
	static struct walks walks[3];
	unsigned pages = beside ? BESIDE_PAGES : stream == STREAM_NESTED ? FAR_PAGES / 2 : FAR_PAGES;
	uint64_t before;

	scene_open(&scene, &(struct machine_options){ .callbacks = true });
	scene_map_far(&scene);
	scene_map_far_nested(&scene);
	set_walks(walks, &scene, stream, pages, beside);
	/* The configuration is fetched by the first. */
	stroll(&walks[0].first);
	(beside ? go_beside : go_cold)(&walks[0]);
	before = scene.machine.loads;
	run(&walks[0]);
	before = scene.machine.loads - before;
	scene_close(&scene);
	return (double)before / pages;
}

static void row_of_walks(struct scene *scene, const char *path, uint32_t stream, bool beside)
{
	static struct walks walks[3];
	struct runner runners[3];
	struct stroll strolls[3];
	unsigned pages = beside ? BESIDE_PAGES : stream == STREAM_NESTED ? FAR_PAGES / 2 : FAR_PAGES;
	double loads = loads_of(stream, beside);
	struct cells cells = { .path = path,
			       .target = beside ? "≤ 2 loads" : "≤ 1.3 × limit" };

	set_walks(walks, scene, stream, pages, beside);
	for (int i = 0; i < 3; i++)
		runners[i] = (struct runner){ .prepare = beside ? go_beside : go_cold, .run = run,
					      .self = &walks[i] };
	for (int i = 0; i < 3; i++)
		strolls[i] = walks[i].stroll;
	must_agree(strolls, 3);
	must_miss(&walks[0], runners[0].prepare);
	measure(runners, 3, pages);
	report_ns(cells.library, &runners[0]);
	snprintf(cells.library + strlen(cells.library), 24, ", %.1f loads", loads);
	write_ns(cells.limit, runners[1].median);
	if (beside)
		snprintf(cells.limit + strlen(cells.limit), 32, ", walks anew");
	else
		snprintf(cells.limit + strlen(cells.limit), 32, ", %.2f ×", runners[1].ratio);
	write_ns(cells.hash, runners[2].median);
	snprintf(cells.hash + strlen(cells.hash), 32, ", %.2f ×", runners[2].ratio);
	cells.met = beside ? loads <= 2 : runners[1].ratio <= 1.3;
	report_row(&cells);
}

void rows_of_walks(void)
{
	static struct scene scene;

	scene_open(&scene, NULL);
	scene_map_far(&scene);
	scene_map_far_nested(&scene);
	row_of_walks(&scene, "walk of 4 levels, cold", STREAM_STAGE1, false);
	row_of_walks(&scene, "the page beside it", STREAM_STAGE1, true);
	row_of_walks(&scene, "nested walk, cold", STREAM_NESTED, false);
	row_of_walks(&scene, "the page beside it, nested", STREAM_NESTED, true);
	scene_close(&scene);
}
