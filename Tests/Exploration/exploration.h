/* SPDX-License-Identifier: MIT */
/* What the explorer needs beneath Swift: threads that run one at a time, and what was allocated. */
#ifndef EXPLORATION_H
#define EXPLORATION_H

#include <stddef.h>
#include <stdint.h>

#define FIBERS_MOST 4

/* A thread of the explored program. Its stack is at the same address in every run. */
void fiber_start(unsigned fiber, void (*body)(void *), void *argument);
/* Goes on in a fiber, from the main program or from another one. */
void fiber_resume(unsigned fiber);
/* Back to the main program, for good or until the fiber is resumed. */
void fiber_leave(void);

/* Allocations between begin and end are numbered, as addresses differ from run to run. */
void allocations_begin(void);
void allocations_end(void);
/* The number of the allocation around an address, and its offset there; -1 if it is in none. */
int64_t allocation_of(const void *address, uint64_t *offset);

#endif
