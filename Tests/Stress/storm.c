/* SPDX-License-Identifier: MIT */
/* A thread that translates, beside commands that search a TLB of 2^20 entries. */
#include "stress.h"

#include <stdio.h>
#include <time.h>

#define TLB_BITS 20
/* Addresses that are translated: 1 GiB by pages. */
#define PAGE_BITS 18
#define LEAVES (RAM + RAM_SIZE / 2)
/* Nanoseconds that commands may run while one translation waits: of their thread's own time, as a
 * busy machine lets both wait. */
#define PASSED_BY_MOST UINT64_C(2000000000)

struct storm {
	struct guest guest;
	bool stop;
	/* What the commands have run. */
	uint64_t commanding;
	/* What one translation took at the most: time, time of its own, the commands' time. */
	uint64_t translations, wait, run, passed_by;
	uint64_t seed;
};

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void most(uint64_t *worst, uint64_t value)
{
	if (value > *worst)
		*worst = value;
}

static uint64_t commanding(struct storm *storm)
{
	return __atomic_load_n(&storm->commanding, __ATOMIC_RELAXED);
}

static void *translator(void *opaque)
{
	struct storm *storm = opaque;

	while (!__atomic_load_n(&storm->stop, __ATOMIC_RELAXED)) {
		uint64_t page = random_next(&storm->seed) >> (64 - PAGE_BITS);
		uint64_t before = commanding(storm);
		uint64_t since = nanoseconds(CLOCK_MONOTONIC);
		uint64_t ran = nanoseconds(CLOCK_THREAD_CPUTIME_ID);

		EQUAL(translate(&storm->guest, 1, page << 12, 0).kind, VSMMU_RESULT_OK);
		most(&storm->run, nanoseconds(CLOCK_THREAD_CPUTIME_ID) - ran);
		most(&storm->wait, nanoseconds(CLOCK_MONOTONIC) - since);
		most(&storm->passed_by, commanding(storm) - before);
		__atomic_add_fetch(&storm->translations, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool open_storm(struct storm *storm)
{
	const vsmmu_config config = { .size = sizeof(config), .tlb_entries = 1 << TLB_BITS };
	const vsmmu_ops ops = { .size = sizeof(ops) };
	struct guest *guest = &storm->guest;

	if (!guest_open_with(guest, &config, &ops))
		return false;
	guest_start(guest);
	set_stage1(guest, 1, 5);
	store64(guest, STAGE1, (STAGE1 + 4096) | 3);
	for (uint64_t i = 0; i < 512; i++)
		store64(guest, STAGE1 + 4096 + 8 * i, (LEAVES + i * 4096) | 3);
	for (uint64_t i = 0; i < 1 << PAGE_BITS; i++)
		store64(guest, LEAVES + 8 * i, DATA | PAGE1);
	return true;
}

static const struct { const char *name; uint64_t low, high; } kinds[] = {
	{ "TLBI_NH_VAA", TLBI_NH_VAA, UINT64_C(0x7f00000001) },
	{ "TLBI_NH_VA of 63488 pages",
	  TLBI_NH_VA | 30 << 12 | 11 << 20 | UINT64_C(5) << 48,
	  UINT64_C(0x4000000000) | 1 << 10 },
	{ "TLBI_NH_ASID", TLBI_NH_ASID | UINT64_C(5) << 48, 0 },
	{ "TLBI_NSNH_ALL", TLBI_NSNH_ALL, 0 },
	{ "CFGI_ALL", CFGI_ALL, 31 },
	{ "CMD_SYNC", SYNC, 0 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

bool storm(double seconds)
{
	static struct storm storm;
	double end = now() + seconds;
	uint64_t worst[KINDS] = { 0 }, ran[KINDS] = { 0 }, commands = 0;
	pthread_t thread;

	if (!open_storm(&storm))
		return false;
	EQUAL(pthread_create(&thread, NULL, translator, &storm), 0);
	while (now() < end || __atomic_load_n(&storm.translations, __ATOMIC_RELAXED) < 100) {
		/* Mostly those that search, and in vain: what is forgotten need not be searched. */
		unsigned kind = (unsigned)(commands++ % 256);
		uint64_t since, run;

		kind = kind < KINDS ? kind : kind & 1;
		since = nanoseconds(CLOCK_MONOTONIC);
		run = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
		command(&storm.guest, kinds[kind].low, kinds[kind].high);
		run = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - run;
		most(&ran[kind], run);
		most(&worst[kind], nanoseconds(CLOCK_MONOTONIC) - since);
		__atomic_add_fetch(&storm.commanding, run, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("> TLB of 2^%u entries, %llu translations beside %llu commands: a translation waited "
	       "%llu us at the most, %llu us of them its own, while commands ran %llu us\n", TLB_BITS,
	       (unsigned long long)storm.translations, (unsigned long long)commands,
	       (unsigned long long)storm.wait / 1000, (unsigned long long)storm.run / 1000,
	       (unsigned long long)storm.passed_by / 1000);
	for (unsigned i = 0; i < KINDS; i++)
		printf("> worst %s: %llu us, %llu us of them its own\n", kinds[i].name,
		       (unsigned long long)worst[i] / 1000, (unsigned long long)ran[i] / 1000);
	EQUAL(read_register(&storm.guest, GERROR), 0);
	guest_close(&storm.guest);
	if (storm.passed_by > PASSED_BY_MOST)
		printf("FAIL a translation waited while commands ran %llu us\n",
		       (unsigned long long)storm.passed_by / 1000);
	return storm.passed_by <= PASSED_BY_MOST;
}
