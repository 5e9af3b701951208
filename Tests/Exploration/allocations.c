/* SPDX-License-Identifier: MIT */
/* malloc and its like, which take note. One thread alone. */
#include "exploration.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

#define MOST 4096

void *__libc_malloc(size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct {
	const char *start;
	size_t bytes;
} noted[MOST];
static unsigned count;
static bool is_noting;

static void *note(void *memory, size_t bytes)
{
	if (is_noting && memory && count < MOST) {
		noted[count].start = memory;
		noted[count++].bytes = bytes;
	}
	return memory;
}

void *malloc(size_t size)
{
	return note(__libc_malloc(size), size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return note(__libc_memalign(alignment, size), size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	*out = note(__libc_memalign(alignment, size), size);
	return *out ? 0 : ENOMEM;
}

void allocations_begin(void)
{
	/* The same memory again and again, instead of new pages for each run. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	count = 0;
	is_noting = true;
}

void allocations_end(void)
{
	is_noting = false;
}

int64_t allocation_of(const void *address, uint64_t *offset)
{
	/* The youngest: an older one may have been freed. */
	for (unsigned i = count; i-- > 0;) {
		size_t at = (size_t)((const char *)address - noted[i].start);

		if (at < noted[i].bytes) {
			*offset = at;
			return i;
		}
	}
	return -1;
}
