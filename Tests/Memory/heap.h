/* SPDX-License-Identifier: MIT */
/*
 * The heap of a program that tests what the library does without memory: the program's own malloc,
 * posix_memalign and so on stand before libc's, for the library too.
 */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>

enum heap_mode {
	HEAP_FULL,   /* nothing fails */
	HEAP_NTH,    /* the nth allocation fails */
	HEAP_FROM,   /* the nth and all that follow it */
	HEAP_STARVED /* all of Swift's: posix_memalign, which nobody else here calls */
};

/* Allocations count from 1 on, of all threads, until heap_disarm(). */
void heap_arm(enum heap_mode mode, unsigned nth);
void heap_disarm(void);

/* Since heap_arm(): allocations, those of Swift among them, and how many were refused. */
unsigned heap_allocations(void);
unsigned heap_swift_allocations(void);
unsigned heap_refusals(void);

/* Blocks that are not freed. */
long heap_blocks(void);

#endif
