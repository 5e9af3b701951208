/* SPDX-License-Identifier: MIT */
/* Waiting: a CMD_SYNC for accesses, threads of different priorities for each other. */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static void await(const bool *flag)
{
	while (!is_set(flag))
		usleep(200);
}

static uint64_t milliseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Log lines. */

#define LINES 16

struct lines {
	struct guest guest; /* first: it is what callbacks are given */
	char text[LINES][200];
	uint32_t blame[LINES];
	unsigned count;
};

static void on_line(void *opaque, uint32_t blame, const char *message)
{
	struct lines *lines = opaque;
	unsigned count = lines->count;

	if (count == LINES)
		return;
	snprintf(lines->text[count], sizeof(lines->text[count]), "%s", message);
	lines->blame[count] = blame;
	__atomic_store_n(&lines->count, count + 1, __ATOMIC_RELEASE);
}

static unsigned told(const struct lines *lines)
{
	return __atomic_load_n(&lines->count, __ATOMIC_ACQUIRE);
}

static bool lines_open(struct lines *lines, uint32_t flags)
{
	const vsmmu_config config = {
		.size = sizeof(config), .flags = flags, .access_patience = PATIENCE,
	};
	vsmmu_ops ops = guest_ops;

	ops.log = on_line;
	memset(lines, 0, sizeof(*lines));
	if (!guest_open_with(&lines->guest, &config, &ops))
		return false;
	guest_start(&lines->guest);
	return true;
}

/* The driver: a TLBI and a CMD_SYNC, on a thread that may have to wait. */
struct driver {
	struct guest *guest;
	bool is_done;
	pthread_t thread;
};

static void *driver(void *opaque)
{
	struct driver *driver = opaque;

	command(driver->guest, TLBI_NSNH_ALL, 0);
	sync_all(driver->guest);
	set(&driver->is_done);
	return NULL;
}

static void drive(struct driver *work, struct guest *guest)
{
	*work = (struct driver){ .guest = guest };
	EQUAL(pthread_create(&work->thread, NULL, driver, work), 0);
}

/* What an overdue line tells; false if it is another one. */
struct overdue {
	unsigned long milliseconds, slot, count, thread;
};

static bool parse(const struct lines *lines, unsigned line, struct overdue *overdue)
{
	const char *text = lines->text[line], *thread = strstr(text, "begun by thread ");

	overdue->thread = thread ? strtoul(thread + strlen("begun by thread "), NULL, 10) : 0;
	EQUAL(lines->blame[line], VSMMU_LOG_CALLER);
	if (CHECK(sscanf(text, "the guest waits since %lu ms for an access that was not ended: "
			 "slot %lu counts %lu", &overdue->milliseconds, &overdue->slot,
			 &overdue->count) == 3))
		return true;
	printf("  the line is \"%s\"\n", text);
	return false;
}

/* The CMD_SYNC waits for an access; three lines tell it, each after at least twice the time. Lines
 * are thinned out, so that the third to come is the fourth. */
static void check_overdue(const struct lines *lines, unsigned first, unsigned long count,
			  unsigned long thread)
{
	unsigned long least = PATIENCE;

	while (told(lines) < first + 3)
		usleep(1000);
	for (unsigned i = first; i < first + 3; i++) {
		struct overdue overdue;

		if (!parse(lines, i, &overdue))
			return;
		CHECK(overdue.milliseconds >= least);
		CHECK(overdue.slot < 64);
		EQUAL(overdue.count, count);
		EQUAL(overdue.thread, thread);
		least = 2 * overdue.milliseconds;
	}
}

static unsigned long this_thread(void)
{
	return (unsigned long)syscall(SYS_gettid);
}

static void open_access_is_told(uint32_t flags, unsigned long thread)
{
	static struct lines lines;
	struct driver work;
	uint64_t tokens[2];

	if (!lines_open(&lines, flags))
		return;
	/* Both from this frame, so that they are in one slot. */
	for (int i = 0; i < 2; i++)
		tokens[i] = api.vsmmu_access_begin(lines.guest.vsmmu);
	drive(&work, &lines.guest);
	check_overdue(&lines, 0, 2, thread);
	CHECK(!is_set(&work.is_done));
	for (int i = 0; i < 2; i++) {
		CHECK(!is_set(&work.is_done));
		api.vsmmu_access_end(lines.guest.vsmmu, tokens[i]);
	}
	pthread_join(work.thread, NULL);
	CHECK(work.is_done);
	guest_close(&lines.guest);
}

static void an_open_access_is_told(void)
{
	open_access_is_told(0, 0);
}

static void an_open_access_is_told_with_its_thread(void)
{
	open_access_is_told(VSMMU_CHECK_ACCESSES, this_thread());
}

/* A wait that is not long is told nobody. */
static void a_short_access_is_not_told(void)
{
	static struct lines lines;
	const vsmmu_config config = { .size = sizeof(config), .access_patience = 1000000 };
	vsmmu_ops ops = guest_ops;
	struct driver work;
	uint64_t token;

	memset(&lines, 0, sizeof(lines));
	ops.log = on_line;
	if (!guest_open_with(&lines.guest, &config, &ops))
		return;
	guest_start(&lines.guest);
	token = api.vsmmu_access_begin(lines.guest.vsmmu);
	drive(&work, &lines.guest);
	usleep(20000);
	CHECK(!is_set(&work.is_done));
	api.vsmmu_access_end(lines.guest.vsmmu, token);
	pthread_join(work.thread, NULL);
	EQUAL(told(&lines), 0);
	guest_close(&lines.guest);
}

/* Ends that are too many. */

static void ended_twice(uint32_t flags, uint64_t garbage)
{
	static struct lines lines;
	struct driver work;
	uint64_t token;

	if (!lines_open(&lines, flags))
		return;
	token = api.vsmmu_access_begin(lines.guest.vsmmu);
	api.vsmmu_access_end(lines.guest.vsmmu, token);
	EQUAL(told(&lines), 0);
	api.vsmmu_access_end(lines.guest.vsmmu, token);
	EQUAL(told(&lines), 1);
	api.vsmmu_access_end(lines.guest.vsmmu, garbage);
	EQUAL(told(&lines), 2);
	for (int i = 0; i < 2; i++) {
		EQUAL(lines.blame[i], VSMMU_LOG_CALLER);
		CONTAINS(lines.text[i], "a token of no open access");
	}
	/* No count has wrapped: the CMD_SYNC does not wait for ever. */
	drive(&work, &lines.guest);
	pthread_join(work.thread, NULL);
	CHECK(work.is_done);
	EQUAL(told(&lines), 2);
	guest_close(&lines.guest);
}

static void an_access_ended_twice_is_told(void)
{
	ended_twice(0, ~UINT64_C(0));
	ended_twice(0, UINT64_C(0x123456789));
}

static void an_access_ended_twice_is_told_where_checked(void)
{
	ended_twice(VSMMU_CHECK_ACCESSES, ~UINT64_C(0));
	ended_twice(VSMMU_CHECK_ACCESSES, UINT64_C(0x1ffffffff0001));
}

/* Without the flag it would end the other one, and the CMD_SYNC would not wait for that. */
static void an_access_ended_twice_ends_no_other(void)
{
	static struct lines lines;
	char thread[40];
	struct driver work;
	uint64_t tokens[2];

	if (!lines_open(&lines, VSMMU_CHECK_ACCESSES))
		return;
	for (int i = 0; i < 2; i++)
		tokens[i] = api.vsmmu_access_begin(lines.guest.vsmmu);
	CHECK(tokens[0] != tokens[1]);
	api.vsmmu_access_end(lines.guest.vsmmu, tokens[0]);
	EQUAL(told(&lines), 0);
	api.vsmmu_access_end(lines.guest.vsmmu, tokens[0]);
	EQUAL(told(&lines), 1);
	snprintf(thread, sizeof(thread), "begun by thread %lu", this_thread());
	CONTAINS(lines.text[0], "a token of no open access");
	CONTAINS(lines.text[0], thread);
	drive(&work, &lines.guest);
	check_overdue(&lines, 1, 1, this_thread());
	CHECK(!is_set(&work.is_done));
	api.vsmmu_access_end(lines.guest.vsmmu, tokens[1]);
	pthread_join(work.thread, NULL);
	CHECK(work.is_done);
	guest_close(&lines.guest);
}

/* Priorities. All threads share one CPU; what tells a spinning thread is the time that it has run,
 * whatever else the machine does. A kernel that throttles real-time threads lets others run after
 * most of a second. */

#define RUN_MOST 200

/* A CPU that this thread may use, and no other. */
static bool pin(void)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all)) {
			CPU_SET(cpu, &one);
			return pthread_setaffinity_np(pthread_self(), sizeof(one), &one) == 0;
		}
	return false;
}

static bool be_real_time(void)
{
	const struct sched_param parameter = { .sched_priority = 2 };

	return pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter) == 0;
}

struct pair {
	struct guest *guest;
	bool has_begun, may_go, is_over, is_permitted;
	uint64_t turns, ran_most;
};

/* What the real-time thread ran for one call. */
static void took(struct pair *pair, uint64_t since)
{
	uint64_t ran = milliseconds(CLOCK_THREAD_CPUTIME_ID) - since;

	pair->turns++;
	if (ran > pair->ran_most)
		pair->ran_most = ran;
}

static void *holds_an_access(void *opaque)
{
	struct pair *pair = opaque;
	uint64_t token, end;

	CHECK(pin());
	token = api.vsmmu_access_begin(pair->guest->vsmmu);
	set(&pair->has_begun);
	await(&pair->may_go);
	/* It has work to do, for which it must run. */
	end = milliseconds(CLOCK_THREAD_CPUTIME_ID) + 20;
	while (milliseconds(CLOCK_THREAD_CPUTIME_ID) < end) {}
	api.vsmmu_access_end(pair->guest->vsmmu, token);
	return NULL;
}

static void *real_time_driver(void *opaque)
{
	struct pair *pair = opaque;
	uint64_t since;

	CHECK(pin());
	pair->is_permitted = be_real_time();
	await(&pair->has_begun);
	set(&pair->may_go);
	if (!pair->is_permitted)
		return NULL;
	command(pair->guest, TLBI_NSNH_ALL, 0);
	since = milliseconds(CLOCK_THREAD_CPUTIME_ID);
	sync_all(pair->guest);
	took(pair, since);
	return NULL;
}

static bool is_skipped(const struct pair *pair, const char *name)
{
	if (!pair->is_permitted)
		printf("skipped: %s: SCHED_FIFO is not permitted here\n", name);
	return !pair->is_permitted;
}

static void run_pair(struct pair *pair, void *(*one)(void *), void *(*other)(void *))
{
	pthread_t threads[2];

	EQUAL(pthread_create(&threads[0], NULL, one, pair), 0);
	EQUAL(pthread_create(&threads[1], NULL, other, pair), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* A vCPU of high priority must let the device thread run that it waits for. */
static void a_real_time_driver_waits(void)
{
	static struct guest guest;
	struct pair pair = { .guest = &guest };

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	run_pair(&pair, holds_an_access, real_time_driver);
	if (!is_skipped(&pair, "a_real_time_driver_waits")) {
		EQUAL(pair.turns, 1);
		CHECK(pair.ran_most < RUN_MOST);
	}
	guest_close(&guest);
}

#define TRANSLATIONS 200

/* Each address is in the TLB but for a storm that has forgotten it. */
static void *real_time_model(void *opaque)
{
	struct pair *pair = opaque;

	CHECK(pin());
	pair->is_permitted = be_real_time();
	await(&pair->has_begun);
	for (uint64_t i = 0; pair->is_permitted && i < TRANSLATIONS; i++) {
		uint64_t since = milliseconds(CLOCK_THREAD_CPUTIME_ID);

		EQUAL(translate(pair->guest, 1, i % 64 << 12, 0).kind, VSMMU_RESULT_OK);
		took(pair, since);
		usleep(1000);
	}
	set(&pair->is_over);
	return NULL;
}

/* Commands that look through the whole TLB, which is large. */
static void *storm(void *opaque)
{
	struct pair *pair = opaque;

	CHECK(pin());
	set(&pair->has_begun);
	for (uint64_t i = 0; !is_set(&pair->is_over); i++) {
		queue(pair->guest, TLBI_NH_VAA, i % 64 << 12 | (i & 1));
		sync_all(pair->guest);
	}
	return NULL;
}

static void a_real_time_device_waits(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .tlb_entries = 1 << 20 };
	struct pair pair = { .guest = &guest };
	vsmmu_counters counters = { .size = sizeof(counters) };
	/* No budget. */
	vsmmu_ops ops = guest_ops;

	ops.work = NULL;
	if (!guest_open_with(&guest, &config, &ops))
		return;
	guest_start(&guest);
	set_stage1(&guest, 1, 5);
	for (uint64_t i = 0; i < 64; i++)
		map(&guest, STAGE1, i << 12, DATA, PAGE1);
	run_pair(&pair, storm, real_time_model);
	if (!is_skipped(&pair, "a_real_time_device_waits")) {
		EQUAL(pair.turns, TRANSLATIONS);
		CHECK(pair.ran_most < RUN_MOST);
		/* It has met the lock: at the least, each address was looked for in the tables. */
		EQUAL(api.vsmmu_get_counters(guest.vsmmu, &counters), 0);
		CHECK(counters.tlb_misses >= 64);
		CHECK(counters.invalidations > 0);
	}
	guest_close(&guest);
}

void wait_section(void)
{
	RUN(an_open_access_is_told);
	RUN(an_open_access_is_told_with_its_thread);
	RUN(a_short_access_is_not_told);
	RUN(an_access_ended_twice_is_told);
	RUN(an_access_ended_twice_is_told_where_checked);
	RUN(an_access_ended_twice_ends_no_other);
	RUN(a_real_time_driver_waits);
	RUN(a_real_time_device_waits);
}
