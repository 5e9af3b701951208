/* SPDX-License-Identifier: MIT */
/* One device, two threads: what the second one costs the first. */
#include "scene.h"

#include <stdio.h>

#define HOT_PAGES 32u
#define BATCH 8192u
#define SAMPLES_MOST 20000u

struct side {
	struct stroll stroll;
	pthread_t thread;
	double samples[SAMPLES_MOST];
	unsigned count;
	double end;
	pthread_barrier_t *together;
};

static void *side(void *opaque)
{
	struct side *side = opaque;

	pthread_barrier_wait(side->together);
	while (side->count < SAMPLES_MOST) {
		double begin = now_ns(), end;

		stroll(&side->stroll);
		end = now_ns();
		side->samples[side->count++] = (end - begin) / BATCH;
		if (end > side->end)
			break;
	}
	return NULL;
}

/* The mean over `threads` of their median times per access. */
static double together(void (*whose)(struct stroll *, struct scene *), struct scene *scene,
		       unsigned threads, double seconds)
{
	static struct side sides[2];
	static uint64_t addresses[2][HOT_PAGES];
	pthread_barrier_t barrier;
	double sum = 0;

	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		for (unsigned page = 0; page < HOT_PAGES; page++)
			addresses[i][page] = scene_page(page) + i * 64;
		sides[i].count = 0;
		sides[i].end = now_ns() + seconds * 1e9;
		sides[i].together = &barrier;
		sides[i].stroll = (struct stroll){ .stream = STREAM_STAGE1, .batch = BATCH,
						   .addresses = addresses[i], .count = HOT_PAGES };
		whose(&sides[i].stroll, scene);
		if (pthread_create(&sides[i].thread, NULL, side, &sides[i]) != 0)
			bench_fail("no thread");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(sides[i].thread, NULL);
	for (unsigned i = 0; i < threads; i++)
		sum += median_of(sides[i].samples, sides[i].count);
	pthread_barrier_destroy(&barrier);
	return sum / threads;
}

/* One and two in turn, as the computer is not idle: the median of the ratios. */
static void compare(char cell[64], void (*whose)(struct stroll *, struct scene *),
		    struct scene *scene, double *ratio)
{
	enum { TURNS = 11 };
	double one[TURNS], two[TURNS], ratios[TURNS], seconds = bench_seconds_per_row / (2 * TURNS);

	for (int turn = 0; turn < TURNS; turn++) {
		one[turn] = together(whose, scene, 1, seconds);
		two[turn] = together(whose, scene, 2, seconds);
		ratios[turn] = two[turn] / one[turn];
	}
	*ratio = median_of(ratios, TURNS);
	write_ns(cell, median_of(two, TURNS));
	snprintf(cell + strlen(cell), 32, ", %.2f × of 1 thread", *ratio);
}

void rows_of_threads(void)
{
	static struct scene scene;
	struct cells cells = { .path = "IOTLB hit, each of 2 threads on one device",
			       .target = "≤ 1.1 × of 1 thread, on an idle machine" };
	double ratio, ignored;

	scene_open(&scene, NULL);
	scene_map_pages(&scene, HOT_PAGES);
	compare(cells.library, stroll_of_library, &scene, &ratio);
	compare(cells.limit, stroll_of_twin, &scene, &ignored);
	compare(cells.hash, stroll_of_hash, &scene, &ignored);
	cells.met = ratio <= 1.1;
	report_row(&cells);
	scene_close(&scene);
}
