/* SPDX-License-Identifier: MIT */
/* stress LIBRARY [SECONDS [SEED [THREADS]]]: 5 seconds, any seed, 3 DMA threads. */
#include "stress.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MOST 20

static unsigned failed;

/* What guest.c asserts. */

bool check(bool condition, const char *file, int line, const char *text)
{
	if (!condition && __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED) < TOLD_MOST)
		printf("FAIL %s:%d: %s\n", file, line, text);
	return condition;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	if (got != want && __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED) < TOLD_MOST)
		printf("FAIL %s:%d: %s: %#llx, not %#llx\n", file, line, text,
		       (unsigned long long)got, (unsigned long long)want);
	return got == want;
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	return check(strstr(text, word) != NULL, file, line, word);
}

/* One line, written whole: several threads may have something to tell. */
void violation(struct world *world, const struct slot *slot, const char *format, ...)
{
	char line[400];
	va_list list;
	int at;

	if (__atomic_fetch_add(&world->violations, 1, __ATOMIC_RELAXED) >= TOLD_MOST)
		return;
	at = slot ? snprintf(line, sizeof(line), "FAIL stream %u, %#llx of 2^%u, %s: ",
			     slot->stream, (unsigned long long)slot->address, slot->size,
			     __atomic_load_n(&slot->last, __ATOMIC_RELAXED))
		  : snprintf(line, sizeof(line), "FAIL ");
	va_start(list, format);
	vsnprintf(line + at, sizeof(line) - (size_t)at, format, list);
	va_end(list);
	printf("%s\n", line);
	fflush(stdout);
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What must have been met often enough, beside the slots. */
static const struct { const char *name; size_t place; } musts[] = {
#define MUST(member) { #member, offsetof(struct world, member) }
	MUST(pieces), MUST(divided_changes), MUST(keeper.uses), MUST(keeper.drops), MUST(resets),
	MUST(restores), MUST(restores_of_same), MUST(visitor.passes), MUST(visitor.refusals),
	MUST(spare.passes), MUST(spare.refusals),
#undef MUST
};
#define MUSTS (sizeof(musts) / sizeof(musts[0]))

static uint64_t met(const struct world *world, unsigned must)
{
	const uint8_t *bytes = (const uint8_t *)world + musts[must].place;

	return __atomic_load_n((const uint64_t *)(const void *)bytes, __ATOMIC_RELAXED);
}

/* Whether each slot was found mapped and not mapped, and accesses met changes. */
static bool tried(const struct world *world, const struct dma *dmas)
{
	uint64_t during = 0;

	for (unsigned i = 0; i < world->threads; i++)
		during += __atomic_load_n(&dmas[i].during, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < world->slot_count; i++)
		if (!__atomic_load_n(&world->slots[i].passes, __ATOMIC_RELAXED) ||
		    !__atomic_load_n(&world->slots[i].faults, __ATOMIC_RELAXED))
			return false;
	for (unsigned i = 0; i < MUSTS; i++)
		if (!met(world, i))
			return false;
	return during != 0;
}

/* For so long, and on a machine that others use until all was tried. */
static void run(struct world *world, const struct dma *dmas, double seconds)
{
	double end = now() + seconds, late = end + 120;
	uint64_t pause = world->seed;

	/* A violation is final: what follows would only be its consequence. */
	while ((now() < end || (!tried(world, dmas) && now() < late)) && !failed &&
	       !__atomic_load_n(&world->violations, __ATOMIC_RELAXED)) {
		change(world);
		/* Caches must have something in them to forget. */
		if (random_next(&pause) % 4 == 0)
			usleep((useconds_t)(random_next(&pause) % 100));
	}
	__atomic_store_n(&world->stop, true, __ATOMIC_RELAXED);
}

/* Each slot was found mapped and not mapped, and accesses met changes: else nothing was tried. */
static int report(struct world *world, const struct dma *dmas, double seconds)
{
	uint64_t during = 0, passes = 0, faults = 0;
	unsigned passed = 0;
	/* The run has ended early. */
	bool wrong = failed || world->violations;
	vsmmu_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_get_counters(world->guest.vsmmu, &counters), 0);
	for (unsigned i = 0; i < world->threads; i++)
		during += dmas[i].during;
	for (unsigned i = 0; i < world->slot_count; i++) {
		const struct slot *slot = &world->slots[i];

		passes += slot->passes;
		faults += slot->faults;
		passed += slot->passes && slot->faults;
		if (!wrong && (!slot->passes || !slot->faults))
			violation(world, slot, "%llu accesses passed, %llu faulted: not tried",
				  (unsigned long long)slot->passes,
				  (unsigned long long)slot->faults);
	}
	for (unsigned i = 0; i < MUSTS; i++) {
		passed += met(world, i) != 0;
		if (!wrong && !met(world, i))
			violation(world, NULL, "%s: not tried", musts[i].name);
	}
	if (!wrong && during == 0)
		violation(world, NULL, "no access met a change");
	printf("> %llu accesses passed, %llu faulted, %llu met a change; %llu changes, "
	       "%llu CMD_SYNC, %llu walks\n", (unsigned long long)passes,
	       (unsigned long long)faults, (unsigned long long)during,
	       (unsigned long long)world->changes, (unsigned long long)counters.syncs,
	       (unsigned long long)counters.tlb_misses);
	printf("> copies kept: used %llu times, dropped %llu, too late %llu; %llu pieces of leaves; "
	       "%llu resets, %llu restores\n", (unsigned long long)world->keeper.uses,
	       (unsigned long long)world->keeper.drops, (unsigned long long)world->keeper.late,
	       (unsigned long long)world->pieces, (unsigned long long)world->resets,
	       (unsigned long long)(world->restores + world->restores_of_same));
	printf("> RAM that comes and goes: %llu accesses passed, %llu did not; a stream: %llu, %llu\n",
	       (unsigned long long)world->spare.passes, (unsigned long long)world->spare.refusals,
	       (unsigned long long)world->visitor.passes,
	       (unsigned long long)world->visitor.refusals);
	if (!wrong && !world->violations) {
		bool calm = storm(seconds / 4);

		passed += calm;
		failed += !calm;
	}
	failed += (unsigned)world->violations;
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

int main(int count, char **arguments)
{
	static struct world world = { .threads = 3, .delay = 4 };
	static struct dma dmas[THREADS_MOST];
	double seconds = count > 2 ? atof(arguments[2]) : 5;
	int status;

	if (count < 2 || !api_load(arguments[1]))
		return 2;
	world.seed = count > 3 ? strtoull(arguments[3], NULL, 0)
			       : (uint64_t)time(NULL) * 1000003 % 1000000007;
	if (count > 4)
		world.threads = (unsigned)atoi(arguments[4]);
	/* The last note is the guest's own. */
	if (world.threads < 1 || world.threads > THREADS_MOST - 1)
		return 2;
	printf("> seed %llu, %u DMA threads, %g seconds\n", (unsigned long long)world.seed,
	       world.threads, seconds);
	fflush(stdout);
	world_open(&world);
	for (unsigned i = 0; i < world.threads; i++) {
		dmas[i] = (struct dma){ .world = &world, .number = i, .random = world.seed + i };
		EQUAL(pthread_create(&dmas[i].thread, NULL, dma_thread, &dmas[i]), 0);
	}
	run(&world, dmas, seconds);
	for (unsigned i = 0; i < world.threads; i++)
		pthread_join(dmas[i].thread, NULL);
	status = report(&world, dmas, seconds);
	world_close(&world);
	return status;
}
