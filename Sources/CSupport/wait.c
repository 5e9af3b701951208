/* SPDX-License-Identifier: MIT */
/* Waiting for other threads: what the kernel does where spinning has not helped. */
#define _GNU_SOURCE
#include "vsmmu_support.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INITIAL_EXEC __attribute__((tls_model("initial-exec")))

_Thread_local uint32_t vsmmu_support_thread_id INITIAL_EXEC;

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static void nap(long microseconds)
{
	struct timespec time = { .tv_nsec = microseconds * 1000 };

	nanosleep(&time, NULL);
}

void vsmmu_support_sleep_while(uint32_t *word, uint32_t value, uint32_t milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };

	/* A kernel that has no futex for us (seccomp) is asked again and again. */
	if (futex(word, FUTEX_WAIT, value, &time) == -1 && errno != EAGAIN && errno != EINTR &&
	    errno != ETIMEDOUT)
		nap(100);
}

void vsmmu_support_wake(uint32_t *word)
{
	futex(word, FUTEX_WAKE, INT32_MAX, NULL);
}

void vsmmu_support_relax(uint32_t turns)
{
	if (turns < 16)
		sched_yield();
	else
		/* Whoever is waited for may have a lower priority: yielding never lets it run. */
		nap(50);
}

/* In a child process the one thread that there is has another number. */
static void forked(void)
{
	vsmmu_support_thread_id = 0;
}

/* Libraries that are linked without the compiler's start files have none. */
__attribute__((visibility("hidden"), weak)) void *__dso_handle;

void vsmmu_support_watch_forks(void)
{
	static int is_watching;

	if (!__atomic_exchange_n(&is_watching, 1, __ATOMIC_RELAXED))
		pthread_atfork(NULL, NULL, forked);
}

uint32_t vsmmu_support_ask_thread(void)
{
	vsmmu_support_thread_id = (uint32_t)syscall(SYS_gettid);
	return vsmmu_support_thread_id;
}

void vsmmu_support_lock_slowly(uint32_t *word)
{
	uint32_t me = vsmmu_support_thread();

	for (;;) {
		uint32_t expected = 0;

		/* The kernel hands the lock to whoever waits with the highest priority, and lends
		 * that to whoever holds it. */
		if (futex(word, FUTEX_LOCK_PI, 0, NULL) == 0) {
			/* The kernel's hand-over orders memory; this says so to the compiler. */
			__atomic_load_n(word, __ATOMIC_ACQUIRE);
			return;
		}
		if (__atomic_compare_exchange_n(word, &expected, me, 0, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
		if (errno != EAGAIN && errno != EINTR)
			nap(50);
	}
}

void vsmmu_support_unlock_slowly(uint32_t *word)
{
	__atomic_fetch_or(word, 0, __ATOMIC_RELEASE);
	if (futex(word, FUTEX_UNLOCK_PI, 0, NULL) != 0)
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

uint64_t vsmmu_support_milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

_Thread_local const struct vsmmu_support_frame *vsmmu_support_frames INITIAL_EXEC;

int32_t vsmmu_support_is_among_frames(const void *device)
{
	const struct vsmmu_support_frame *frame = vsmmu_support_frames;

	for (; frame; frame = frame->outer)
		if (frame->device == device)
			return 1;
	return 0;
}

void vsmmu_support_enter(struct vsmmu_support_frame *frame, const void *device)
{
	frame->device = device;
	frame->outer = vsmmu_support_frames;
	vsmmu_support_frames = frame;
}

void vsmmu_support_leave(const struct vsmmu_support_frame *frame)
{
	vsmmu_support_frames = frame->outer;
}
