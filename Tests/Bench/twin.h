/* SPDX-License-Identifier: MIT */
/*
 * The C limit: a device that does on its hot paths all that the library must, and nothing else. Its
 * guarantees are the library's: look-ups without a lock, rows that are never torn, invalidations
 * that no fill of before survives, an access guard for CMD_SYNC. It lacks whatever is not on those
 * paths: other granules and sizes, substreams' tables, big-endian tables, faults, callbacks.
 */
#ifndef TWIN_H
#define TWIN_H

#include "bench.h"

#define TWIN_MICRO_ROWS 1024u
#define TWIN_ROWS 4096u
#define TWIN_WAYS 4u

/* A page that was used lately. */
struct twin_micro {
	_Alignas(64) uint64_t sequence_time; /* odd while it changes << 32 | time of its fill */
	uint64_t page_allow;  /* input page | a bit for each of 8 kinds of access */
	uint64_t identity;    /* StreamID | SubstreamID << 32 | SSV << 52 */
	uint64_t delta;       /* output - input */
	uint64_t end;         /* first input byte behind the page */
	uint64_t permissions; /* by privilege: << 0, << 8; log2 of the size << 32 */
};

/* The TLB proper: tagged by ASID and VMID. */
struct twin_row {
	uint64_t sequence_time, page, tag, output;
};

struct twin_stream {
	uint64_t stage1, stage2, tag, mair;
	bool valid;
};

struct twin {
	struct twin_micro *micro;
	struct twin_row *rows;
	uint8_t *ram;
	uint32_t clock, victim, consumer;
	/* Time of the last invalidation by ASID and VMID, and of everything. */
	uint32_t stamps[2048], everything;
	struct twin_stream streams[16];
	/* Rows were kept since all was forgotten. */
	bool filled;
	_Alignas(64) uint32_t lock;
	_Alignas(64) uint64_t guard[16];
	_Alignas(64) uint64_t commands;
};

void twin_open(struct twin *twin, struct machine *machine);
void twin_close(struct twin *twin);
void twin_stream(struct twin *twin, uint32_t stream, uint64_t stage1, uint64_t stage2,
		 uint16_t asid, uint16_t vmid);
int32_t twin_translate(void *twin, const vsmmu_access *access, vsmmu_result *result);
/* Beyond the micro TLB: the TLB, then the tables. */
int32_t twin_fill(struct twin *twin, const vsmmu_access *access, vsmmu_result *result);
/* Stage 1, or both; false on any fault. `permissions` is leaf bits 7:6 and 54:53, folded. */
bool twin_walk(struct twin *twin, const struct twin_stream *stream, uint64_t address,
	       uint64_t *output, unsigned *permissions);
void twin_forget(struct twin *twin);
/* Forgets the pages of the micro TLB alone. */
void twin_forget_micro(struct twin *twin);
/* Consumes `count` commands of the ring. */
void twin_commands(struct twin *twin, uint32_t count);
/* Copies page by page, as vsmmu_dma_read does. */
void twin_copy(const struct machine *machine, const uint64_t *pages, void *data, uint64_t length);

static inline struct twin_row *twin_set(struct twin *twin, uint64_t page, uint64_t tag)
{
	uint64_t hash = (page ^ tag) * UINT64_C(0x9e3779b97f4a7c15);

	return &twin->rows[(hash >> 40 & (TWIN_ROWS / TWIN_WAYS - 1)) * TWIN_WAYS];
}

static inline uint32_t *twin_stamp(struct twin *twin, uint64_t tag)
{
	return &twin->stamps[(tag ^ tag >> 16) & 2047];
}

static inline void twin_lock(struct twin *twin)
{
	while (__atomic_exchange_n(&twin->lock, 1, __ATOMIC_ACQUIRE))
		;
}

static inline void twin_unlock(struct twin *twin)
{
	__atomic_store_n(&twin->lock, 0, __ATOMIC_RELEASE);
}

#endif
