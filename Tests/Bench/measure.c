/* SPDX-License-Identifier: MIT */
/* Short batches in turn, so that whatever else the computer does meets all contenders alike. */
#include "bench.h"

#include <stdlib.h>
#include <time.h>

#define ROUNDS_MOST 4000
#define ROUNDS_LEAST 7

double bench_seconds_per_row = 0.5;

double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

double median_of(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), ascending);
	return values[count / 2];
}

/* What asking for the time costs. */
static double clock_cost(void)
{
	double least = 1e9;

	for (int i = 0; i < 1000; i++) {
		double begin = now_ns(), cost = now_ns() - begin;

		if (cost < least)
			least = cost;
	}
	return least;
}

static double once(struct runner *runner)
{
	double begin;

	if (runner->prepare)
		runner->prepare(runner->self);
	begin = now_ns();
	runner->run(runner->self);
	return now_ns() - begin;
}

void measure(struct runner *runners, unsigned count, double operations)
{
	double *samples = calloc((size_t)(count + 1) * ROUNDS_MOST, sizeof(*samples));
	double *ratios = samples + (size_t)count * ROUNDS_MOST, cost = clock_cost();
	double end = now_ns() + bench_seconds_per_row * 1e9;
	unsigned rounds = 0;

	for (unsigned i = 0; i < count; i++)
		once(&runners[i]);
	while (rounds < ROUNDS_MOST && (rounds < ROUNDS_LEAST || now_ns() < end)) {
		for (unsigned i = 0; i < count; i++) {
			unsigned which = (i + rounds) % count;
			double spent = once(&runners[which]) - cost;

			samples[which * ROUNDS_MOST + rounds] = (spent > 1 ? spent : 1) / operations;
		}
		rounds++;
	}
	for (unsigned i = 0; i < count; i++) {
		double *own = samples + (size_t)i * ROUNDS_MOST;

		for (unsigned round = 0; round < rounds; round++)
			ratios[round] = samples[round] / own[round];
		runners[i].ratio = median_of(ratios, rounds);
	}
	for (unsigned i = 0; i < count; i++) {
		double *own = samples + (size_t)i * ROUNDS_MOST;

		runners[i].median = median_of(own, rounds);
		runners[i].least = own[0];
	}
	free(samples);
}
