// SPDX-License-Identifier: MIT
#include "vsmmu_reserve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct reserve {
	/* What its thread draws on when this one is closed. */
	struct reserve *outer;
	/* Of the reserves from which blocks were drawn that are not freed yet. */
	struct reserve *next;
	size_t size; /* with this head */
	size_t used;
	size_t youngest; /* the offset of the youngest block's head, 0 = none */
	size_t blocks;
	bool is_given_back;
};

/* Before each block. */
struct block {
	size_t before;          /* what was used before it */
	size_t previous : 63;   /* the offset of the head of the block before it */
	size_t is_freed : 1;
};

#define ALIGNMENT sizeof(struct block)

static _Thread_local struct reserve *current __attribute__((tls_model("initial-exec")));

void *vsmmu_support_reserve(uint64_t bytes)
{
	struct reserve *reserve;
	/* The first block may be aligned to less than malloc aligns. */
	size_t head = sizeof(*reserve) + 2 * ALIGNMENT;

	if (bytes > PTRDIFF_MAX - head)
		return NULL;
	reserve = malloc(bytes + head);
	if (reserve)
		*reserve = (struct reserve){ .size = bytes + head, .used = sizeof(*reserve) };
	return reserve;
}

void vsmmu_support_reserve_open(void *opaque)
{
	struct reserve *reserve = opaque;

	reserve->outer = current;
	current = reserve;
}

void vsmmu_support_reserve_close(void *opaque)
{
	struct reserve *reserve = opaque;

	current = reserve->outer;
}

/*
 * Drawing is rare: it happens where malloc refuses. One lock for all is enough, and who frees pays
 * one load while nothing is drawn. The load may be relaxed: whoever frees a block has its address
 * from the thread that drew it, and with the address what that thread stored before.
 */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct reserve *drawn;
static atomic_size_t drawn_count;

static void unlist(struct reserve *reserve)
{
	struct reserve **link = &drawn;

	while (*link != reserve)
		link = &(*link)->next;
	*link = reserve->next;
	atomic_fetch_sub_explicit(&drawn_count, 1, memory_order_relaxed);
}

void vsmmu_support_reserve_give_back(void *opaque)
{
	struct reserve *reserve = opaque;
	bool is_needed;

	pthread_mutex_lock(&guard);
	is_needed = reserve->blocks != 0;
	reserve->is_given_back = true;
	pthread_mutex_unlock(&guard);
	if (!is_needed)
		free(reserve);
}

#ifdef VSMMU_WRAPS_HEAP

/*
 * The linker gives these to who asks for posix_memalign and free (--wrap), which is all that Embedded
 * Swift asks of a heap, and these libc's.
 */
int __real_posix_memalign(void **out, size_t alignment, size_t size);
void __real_free(void *pointer);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
void __wrap_free(void *pointer);

static struct block *head_at(struct reserve *reserve, size_t offset)
{
	return (struct block *)((char *)reserve + offset);
}

static void *draw(struct reserve *reserve, size_t alignment, size_t size)
{
	uintptr_t base = (uintptr_t)reserve, place;
	size_t mask = (alignment > ALIGNMENT ? alignment : ALIGNMENT) - 1, offset;
	struct block *head;

	place = (base + reserve->used + sizeof(*head) + mask) & ~(uintptr_t)mask;
	if (place - base > reserve->size || size > reserve->size - (place - base))
		return NULL;
	offset = place - sizeof(*head) - base;
	head = head_at(reserve, offset);
	*head = (struct block){ .before = reserve->used, .previous = reserve->youngest };
	reserve->youngest = offset;
	reserve->used = place - base + size;
	if (reserve->blocks++ == 0) {
		reserve->next = drawn;
		drawn = reserve;
		atomic_fetch_add_explicit(&drawn_count, 1, memory_order_relaxed);
	}
	return (void *)place;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
	int error = __real_posix_memalign(out, alignment, size);
	void *block;

	if (error == 0 || !current)
		return error;
	pthread_mutex_lock(&guard);
	block = draw(current, alignment, size);
	pthread_mutex_unlock(&guard);
	if (!block)
		return error;
	*out = block;
	return 0;
}

/* Blocks that are freed in the reverse order can be drawn again. */
static void release(struct reserve *reserve, size_t offset)
{
	head_at(reserve, offset)->is_freed = 1;
	while (reserve->youngest && head_at(reserve, reserve->youngest)->is_freed) {
		struct block *head = head_at(reserve, reserve->youngest);

		reserve->used = head->before;
		reserve->youngest = head->previous;
	}
}

/* False for what came from malloc. */
static bool returns(void *pointer)
{
	struct reserve *reserve, *unneeded = NULL;

	pthread_mutex_lock(&guard);
	for (reserve = drawn; reserve; reserve = reserve->next)
		if ((uintptr_t)pointer - (uintptr_t)reserve < reserve->size)
			break;
	if (reserve) {
		release(reserve, (size_t)((char *)pointer - (char *)reserve) - sizeof(struct block));
		if (--reserve->blocks == 0) {
			unlist(reserve);
			if (reserve->is_given_back)
				unneeded = reserve;
		}
	}
	pthread_mutex_unlock(&guard);
	if (unneeded)
		__real_free(unneeded);
	return reserve != NULL;
}

void __wrap_free(void *pointer)
{
	if (atomic_load_explicit(&drawn_count, memory_order_relaxed) == 0 || !returns(pointer))
		__real_free(pointer);
}

#endif
