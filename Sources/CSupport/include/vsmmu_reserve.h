/* SPDX-License-Identifier: MIT */
/*
 * Memory that a call may rely on. Swift's own allocations cannot fail softly: one that gets nothing
 * ends the process. So a call that allocates first takes a reserve as large as all that it can
 * allocate; that alone may fail, and then nothing has changed yet. What malloc refuses while the
 * reserve is open is drawn from it (where the library is linked with its heap wrapped; see reserve.c).
 *
 * Private: not installed.
 */
#ifndef VSMMU_RESERVE_H
#define VSMMU_RESERVE_H

#include <stdint.h>

/* NULL if there is no memory. */
void *vsmmu_support_reserve(uint64_t bytes);

/* The calling thread draws on it from now on, until it is closed; what was open before is the outer
 * one, and is again afterwards. A reserve is open on one thread at a time. */
void vsmmu_support_reserve_open(void *reserve);
void vsmmu_support_reserve_close(void *reserve);

/* Of one that is closed. Blocks that were drawn from it stay valid until they are freed. */
void vsmmu_support_reserve_give_back(void *reserve);

#endif
