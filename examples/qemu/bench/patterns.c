/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DMA that is timed. Each thread is as an iothread: in RCU's list, without the BQL. Each DMA's
 * first 8 bytes are looked at, and those that are not its page's are counted.
 */
#include "bench.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "system/dma.h"

typedef struct Order {
	bool strict;
	unsigned pages, size, threads, count;
} Order;

typedef struct Worker {
	VSMMUv3Bench *bench;
	const Order *order;
	QemuThread thread;
	unsigned number;
	unsigned *ready;
	int64_t ns;
	uint64_t wrong;
} Worker;

/* One DMA of the page; where in it, differs, so that a processor's cache takes all of them. */
static inline bool dma(VSMMUv3Bench *b, uint64_t page, uint64_t data, unsigned size, void *buffer)
{
	const uint64_t offset = size < BENCH_PAGE ? page % (BENCH_PAGE / size) * size : 0;
	const uint64_t address = b->kind == BENCH_NONE ? data : BENCH_IOVA + page * BENCH_PAGE;

	return dma_memory_read(b->space, address + offset, buffer, size, MEMTXATTRS_UNSPECIFIED)
		       == MEMTX_OK
	       && ldq_le_p(buffer) == bench_mark(data + offset);
}

static void hits(Worker *w, uint64_t *seed, unsigned count, bool in_order, void *buffer)
{
	const unsigned size = w->order->size;
	uint64_t state = *seed;

	for (unsigned i = 0; i < count; i++) {
		uint64_t page = in_order ? i : state >> 33;

		page &= w->order->pages - 1;
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		w->wrong += !dma(w->bench, page, bench_data_of(page, 0), size, buffer);
	}
	*seed = state;
}

/* As Linux with iommu.strict=1: what was unmapped has left the SMMU before anything else is done. */
static void strict(Worker *w, unsigned count, void *buffer)
{
	VSMMUv3Bench *b = w->bench;
	const uint64_t first = BENCH_PAGES + w->number * BENCH_STRICT_PAGES;
	const bool empty = b->kind == BENCH_EMPTY;

	for (unsigned i = 0; i < count; i++) {
		uint64_t page = first + i % BENCH_STRICT_PAGES;
		uint64_t data = bench_data_of(page, empty ? 0 : i / BENCH_STRICT_PAGES + 1);

		bench_map(b, page, data);
		w->wrong += !dma(b, page, data, w->order->size, buffer);
		bench_unmap(b, page);
		w->wrong += !bench_invalidate(b, page);
	}
}

static void *work(void *opaque)
{
	Worker *w = opaque;
	g_autofree void *buffer = g_malloc(BENCH_PAGE);
	uint64_t seed = w->number + 1;
	int64_t since;

	rcu_register_thread();
	if (!w->order->strict) {
		hits(w, &seed, w->order->pages, true, buffer);
	}
	qatomic_inc(w->ready);
	while (qatomic_read(w->ready) < w->order->threads) {
		g_thread_yield();
	}
	since = get_clock();
	if (w->order->strict) {
		strict(w, w->order->count, buffer);
	} else {
		hits(w, &seed, w->order->count, false, buffer);
	}
	w->ns = get_clock() - since;
	rcu_unregister_thread();
	return NULL;
}

/* "NS WRONG": nanoseconds of a DMA, and how many failed or read what is not there. */
static char *time_of(VSMMUv3Bench *b, const Order *order, Error **errp)
{
	Worker workers[BENCH_THREADS] = {};
	unsigned ready = 0;
	int64_t ns = 0;
	uint64_t wrong = 0;

	for (unsigned i = 0; i < order->threads; i++) {
		workers[i] = (Worker){ .bench = b, .order = order, .number = i, .ready = &ready };
		qemu_thread_create(&workers[i].thread, "bench", work, &workers[i],
				   QEMU_THREAD_JOINABLE);
	}
	/* Which the writes of registers need. */
	bql_unlock();
	for (unsigned i = 0; i < order->threads; i++) {
		qemu_thread_join(&workers[i].thread);
		ns += workers[i].ns;
		wrong += workers[i].wrong;
	}
	bql_lock();
	if (b->kind == BENCH_SMMU && bench_guest_failed(b)) {
		error_setg(errp, "vsmmuv3-bench: the SMMU found a wrong command");
	}
	return g_strdup_printf("%.1f %" PRIu64, (double)ns / order->threads / order->count, wrong);
}

/* After an unmap, nothing may be left of a page: whether its DMA fails. */
static char *fault(VSMMUv3Bench *b, Error **errp)
{
	const uint64_t page = BENCH_PAGES;
	const uint64_t data = bench_data_of(page, 1);
	g_autofree void *buffer = g_malloc(BENCH_PAGE);
	const Order once = { .strict = true, .size = 64, .threads = 1, .count = 1 };

	g_free(time_of(b, &once, errp));
	return g_strdup(dma(b, page, data, 64, buffer) ? "read" : "refused");
}

static bool parse(const char *order, Order *into)
{
	if (sscanf(order, "hits %u %u %u %u", &into->pages, &into->size, &into->threads,
		   &into->count) != 4) {
		into->strict = true;
		into->pages = 1;
		if (sscanf(order, "strict %u %u %u", &into->size, &into->threads, &into->count) != 3) {
			return false;
		}
	}
	return into->pages && is_power_of_2(into->pages) && into->pages <= BENCH_PAGES
	       && into->size >= 8 && into->size <= BENCH_PAGE && is_power_of_2(into->size)
	       && into->threads && into->threads <= BENCH_THREADS && into->count;
}

char *bench_run(VSMMUv3Bench *b, const char *order, Error **errp)
{
	Order parsed = {};

	if (!b->prepared && !bench_guest_start(b, errp)) {
		return NULL;
	}
	b->prepared = true;
	if (!strcmp(order, "fault")) {
		return fault(b, errp);
	}
	if (!parse(order, &parsed)) {
		error_setg(errp, "vsmmuv3-bench: \"hits PAGES SIZE THREADS COUNT\", \"strict SIZE "
			   "THREADS COUNT\" or \"fault\", not \"%s\"", order);
		return NULL;
	}
	return time_of(b, &parsed, errp);
}
