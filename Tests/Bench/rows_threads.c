/* SPDX-License-Identifier: MIT */
/* One device, two threads: what the second one costs the first. */
#include "scene.h"

#include <stdio.h>

#define HOT_PAGES 32u
/* Four times what the TLB holds. */
#define COLD_PAGES 16384u
#define BATCH 256u
#define SAMPLES_MOST 100000u

struct side {
	struct stroll stroll;
	pthread_t thread;
	double samples[SAMPLES_MOST];
	unsigned count;
	/* Batches done, for the other side to see whether it was accompanied. */
	_Alignas(64) unsigned batches;
	struct side *other;
	double end;
	pthread_barrier_t *together;
};

static unsigned progress(const struct side *side)
{
	return side ? __atomic_load_n(&side->batches, __ATOMIC_RELAXED) : 0;
}

/* A batch counts if both threads ran all the while: the other has ended some batches, but not as
 * many as while this one was put to sleep. */
static bool was_accompanied(const struct side *side, unsigned before)
{
	unsigned ended = progress(side->other) - before;

	return !side->other || (ended >= 1 && ended <= 8);
}

static void *side(void *opaque)
{
	struct side *side = opaque;

	pthread_barrier_wait(side->together);
	while (side->count < SAMPLES_MOST) {
		unsigned before = progress(side->other);
		double begin = now_ns(), end;

		stroll(&side->stroll);
		end = now_ns();
		__atomic_add_fetch(&side->batches, 1, __ATOMIC_RELAXED);
		if (was_accompanied(side, before))
			side->samples[side->count++] = (end - begin) / BATCH;
		if (end > side->end)
			break;
	}
	return NULL;
}

/* Who translates, in which pages: the same for both threads, or some for each. */
struct contest {
	void (*whose)(struct stroll *, struct scene *);
	struct scene *scene;
	unsigned pages;
	bool distinct;
};

/* The mean over `threads` of their median times per access; 0 if they never ran together. */
static double together(const struct contest *contest, unsigned threads, double seconds)
{
	static struct side sides[2];
	static uint64_t addresses[2][COLD_PAGES];
	pthread_barrier_t barrier;
	double sum = 0;

	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		for (unsigned page = 0; page < contest->pages; page++)
			addresses[i][page] = contest->distinct ? scene_page(page * 2 + i)
							       : scene_page(page) + i * 64;
		sides[i].count = sides[i].batches = 0;
		sides[i].other = threads == 2 ? &sides[1 - i] : NULL;
		sides[i].end = now_ns() + seconds * 1e9;
		sides[i].together = &barrier;
		sides[i].stroll = (struct stroll){ .stream = STREAM_STAGE1, .batch = BATCH,
						   .addresses = addresses[i],
						   .count = contest->pages };
		contest->whose(&sides[i].stroll, contest->scene);
		if (pthread_create(&sides[i].thread, NULL, side, &sides[i]) != 0)
			bench_fail("no thread");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(sides[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	for (unsigned i = 0; i < threads; i++) {
		if (sides[i].count < 4)
			return 0;
		sum += median_of(sides[i].samples, sides[i].count);
	}
	return sum / threads;
}

/* One and two in turn, as the computer is not idle: the median of the ratios. */
static void compare(char cell[64], const struct contest *contest, double *ratio)
{
	enum { TURNS = 11 };
	double one, two, twos[TURNS], ratios[TURNS], seconds = bench_seconds_per_row / (2 * TURNS);
	unsigned count = 0;

	/* Long enough for both to be given a processor. */
	if (seconds < 0.02)
		seconds = 0.02;
	/* More turns where the computer is too busy to run both. */
	for (int turn = 0; turn < 4 * TURNS && count < TURNS; turn++) {
		one = together(contest, 1, seconds);
		two = together(contest, 2, seconds);
		if (one == 0 || two == 0)
			continue;
		twos[count] = two;
		ratios[count++] = two / one;
	}
	*ratio = count ? median_of(ratios, count) : 0;
	if (!count) {
		snprintf(cell, 64, "0 batches at the same time");
		return;
	}
	write_ns(cell, median_of(twos, count));
	snprintf(cell + strlen(cell), 32, ", %.2f × of 1 thread", *ratio);
}

static void row_of_hits(void)
{
	static struct scene scene;
	struct contest contest = { .scene = &scene, .pages = HOT_PAGES };
	struct cells cells = { .path = "IOTLB hit, each of 2 threads on one device",
			       .target = "≤ 1.1 × of 1 thread, on an idle machine" };
	double ratio, ignored;

	scene_open(&scene, NULL);
	scene_map_pages(&scene, HOT_PAGES);
	contest.whose = stroll_of_library;
	compare(cells.library, &contest, &ratio);
	contest.whose = stroll_of_twin;
	compare(cells.limit, &contest, &ignored);
	contest.whose = stroll_of_hash;
	compare(cells.hash, &contest, &ignored);
	cells.met = ratio == 0 ? -1 : ratio <= 1.1;
	report_row(&cells);
	scene_close(&scene);
}

/* Each access walks: its page has left the caches since. */
static void row_of_misses(void)
{
	static struct scene scene;
	struct contest contest = { .whose = stroll_of_library, .scene = &scene,
				   .pages = COLD_PAGES, .distinct = true };
	struct cells cells = { .path = "misses of distinct pages, each of 2 threads",
			       .target = "≥ 1.6 × the throughput of 1 thread, on an idle machine" };
	double ratio, limit;

	scene_open(&scene, NULL);
	scene_map_pages(&scene, 2 * COLD_PAGES);
	compare(cells.library, &contest, &ratio);
	if (ratio > 0)
		snprintf(cells.library + strlen(cells.library), 24, ", %.2f × through", 2 / ratio);
	contest.whose = stroll_of_twin;
	compare(cells.limit, &contest, &limit);
	if (limit > 0)
		snprintf(cells.limit + strlen(cells.limit), 24, ", %.2f × through", 2 / limit);
	cells.met = ratio == 0 ? -1 : 2 / ratio >= 1.6;
	report_row(&cells);
	scene_close(&scene);
}

void rows_of_threads(void)
{
	row_of_hits();
	row_of_misses();
}
