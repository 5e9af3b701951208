/* SPDX-License-Identifier: MIT */
/* What the C surface of the library needs from libc. Private: not installed. */
#ifndef VSMMU_SUPPORT_H
#define VSMMU_SUPPORT_H

#include <stdint.h>

/* A mutex on the heap, NULL if there is no memory. */
void *vsmmu_support_mutex_create(void);
void vsmmu_support_mutex_destroy(void *mutex);
void vsmmu_support_mutex_lock(void *mutex);
void vsmmu_support_mutex_unlock(void *mutex);

/* Sleeps while *word is `value`, until woken or until the time is up; may return early. */
void vsmmu_support_sleep_while(uint32_t *word, uint32_t value, uint32_t milliseconds);
/* Wakes all that sleep on a word, which was changed before. */
void vsmmu_support_wake(uint32_t *word);
/* Lets other threads run, of lower priority too; `turns` counts the calls of one wait. */
void vsmmu_support_relax(uint32_t turns);

/* The kernel's number of this thread; never 0. Inline, as each lock asks. */
extern _Thread_local uint32_t vsmmu_support_thread_id __attribute__((tls_model("initial-exec")));
uint32_t vsmmu_support_ask_thread(void);
static inline uint32_t vsmmu_support_thread(void)
{
	uint32_t known = vsmmu_support_thread_id;

	return __builtin_expect(known != 0, 1) ? known : vsmmu_support_ask_thread();
}
/* To be called before the first lock. */
void vsmmu_support_watch_forks(void);
/* A lock is a word that holds the number of its holder, 0 if there is none: a priority-inheriting
 * futex (futex(2), FUTEX_LOCK_PI). These are for where that could not be exchanged. */
void vsmmu_support_lock_slowly(uint32_t *word);
void vsmmu_support_unlock_slowly(uint32_t *word);

/* Of the monotonic clock. */
uint64_t vsmmu_support_milliseconds(void);

/* What this thread is inside of: serial calls on a device and its callbacks. Frames are on the
 * stack. */
struct vsmmu_support_frame {
	const void *device;
	const struct vsmmu_support_frame *outer;
};
extern _Thread_local const struct vsmmu_support_frame *vsmmu_support_frames
	__attribute__((tls_model("initial-exec")));
int32_t vsmmu_support_is_among_frames(const void *device);
/* Inline, as each walk asks; outside of all there is nothing to look for. */
static inline int32_t vsmmu_support_is_inside(const void *device)
{
	return vsmmu_support_frames ? vsmmu_support_is_among_frames(device) : 0;
}
void vsmmu_support_enter(struct vsmmu_support_frame *frame, const void *device);
void vsmmu_support_leave(const struct vsmmu_support_frame *frame);

/* The negative errno values of the public header. */
extern const int32_t vsmmu_support_einval;
extern const int32_t vsmmu_support_e2big;
extern const int32_t vsmmu_support_enoent;
extern const int32_t vsmmu_support_eexist;
extern const int32_t vsmmu_support_enomem;
extern const int32_t vsmmu_support_edeadlk;

#endif
