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

/* Gives the processor to another thread. */
void vsmmu_support_yield(void);

/* The negative errno values of the public header. */
extern const int32_t vsmmu_support_einval;
extern const int32_t vsmmu_support_e2big;
extern const int32_t vsmmu_support_enoent;
extern const int32_t vsmmu_support_eexist;
extern const int32_t vsmmu_support_enomem;

#endif
