/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc's own, by the names under which it keeps them for such programs. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static atomic_int mode;
static atomic_uint wanted, allocations, swift_allocations, refusals;
static atomic_long blocks;

/* With HEAP=starved in the environment the program is so from its first instruction on. */
__attribute__((constructor)) static void starve(void)
{
	if (getenv("HEAP"))
		mode = HEAP_STARVED;
}

void heap_arm(enum heap_mode how, unsigned nth)
{
	wanted = nth;
	allocations = swift_allocations = refusals = 0;
	mode = how;
}

void heap_disarm(void)
{
	mode = HEAP_FULL;
}

unsigned heap_allocations(void) { return allocations; }
unsigned heap_swift_allocations(void) { return swift_allocations; }
unsigned heap_refusals(void) { return refusals; }
long heap_blocks(void) { return blocks; }

static bool refuses(bool is_swift)
{
	unsigned number = ++allocations;
	bool refused = (mode == HEAP_NTH && number == wanted) ||
		       (mode == HEAP_FROM && number >= wanted) ||
		       (mode == HEAP_STARVED && is_swift);

	swift_allocations += is_swift;
	refusals += refused;
	if (refused)
		errno = ENOMEM;
	return refused;
}

static void *counted(void *block)
{
	blocks += block != NULL;
	return block;
}

void *malloc(size_t size)
{
	return refuses(false) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return refuses(false) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
	if (refuses(false))
		return NULL;
	blocks -= block != NULL;
	return counted(__libc_realloc(block, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return refuses(false) ? NULL : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *block = refuses(true) ? NULL : counted(__libc_memalign(alignment, size));

	if (!block)
		return ENOMEM;
	*out = block;
	return 0;
}

void free(void *block)
{
	blocks -= block != NULL;
	__libc_free(block);
}
