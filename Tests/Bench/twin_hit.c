/* SPDX-License-Identifier: MIT */
/* The limit of a hit: checks of the structs, one row of 64 bytes, the result. */
#include "twin.h"

#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

static inline uint64_t identity_of(const vsmmu_access *access)
{
	uint64_t identity = access->stream;

	if (access->flags & VSMMU_ACCESS_SUBSTREAM)
		identity |= (uint64_t)access->substream << 32 | UINT64_C(1) << 52;
	return identity;
}

static inline struct twin_micro *micro_row(struct twin *twin, uint64_t address, uint64_t identity)
{
	return &twin->micro[((address >> 12) ^ identity * 37) & (TWIN_MICRO_ROWS - 1)];
}

/* A row that changes has time 0, which the clock never shows. */
int32_t twin_translate(void *self, const vsmmu_access *access, vsmmu_result *result)
{
	struct twin *twin = self;
	uint32_t flags = access->flags;
	uint64_t identity, before, page_allow, delta, end, permissions, address = access->address;
	struct twin_micro *row;

	if (access->size != sizeof(*access) || result->size != sizeof(*result) || flags & ~15u ||
	    access->reserved)
		return twin_fill(twin, access, result);
	identity = identity_of(access);
	row = micro_row(twin, address, identity);
	before = __atomic_load_n(&row->sequence_time, __ATOMIC_ACQUIRE);
	page_allow = LOAD(row->page_allow);
	if ((uint32_t)before != LOAD(twin->clock) || (page_allow ^ address) >> 12 ||
	    LOAD(row->identity) != identity || !(page_allow >> (flags & 7) & 1))
		return twin_fill(twin, access, result);
	delta = LOAD(row->delta);
	end = LOAD(row->end);
	permissions = LOAD(row->permissions);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (LOAD(row->sequence_time) != before)
		return twin_fill(twin, access, result);
	result->kind = VSMMU_RESULT_OK;
	result->address = address + delta;
	result->length = end - address;
	result->permissions = permissions >> (flags & VSMMU_ACCESS_PRIVILEGED ? 8 : 0) & 7;
	result->event = 0;
	result->attributes = 0;
	result->page_bits = (uint32_t)(permissions >> 32);
	return 0;
}

/* By an access's kind: write 1, instruction 2 (never both), privileged 4. */
static unsigned allowed(unsigned permissions)
{
	return (permissions & 7) | (permissions >> 4 & 0x70);
}

static void keep_micro(struct twin *twin, const vsmmu_access *access, uint64_t output,
			  unsigned permissions, uint32_t time)
{
	uint64_t identity = identity_of(access), page = access->address & ~UINT64_C(0xfff);
	struct twin_micro *row = micro_row(twin, access->address, identity);
	uint64_t changing = (row->sequence_time >> 32) + 1;

	__atomic_store_n(&row->sequence_time, changing << 32, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&row->page_allow, page | allowed(permissions), __ATOMIC_RELAXED);
	__atomic_store_n(&row->identity, identity, __ATOMIC_RELAXED);
	__atomic_store_n(&row->delta, output - page, __ATOMIC_RELAXED);
	__atomic_store_n(&row->end, page + 4096, __ATOMIC_RELAXED);
	__atomic_store_n(&row->permissions, permissions | UINT64_C(12) << 32, __ATOMIC_RELAXED);
	__atomic_store_n(&row->sequence_time, (changing + 1) << 32 | time, __ATOMIC_RELEASE);
}

static bool look_up(struct twin *twin, uint64_t page, uint64_t tag, uint64_t *output)
{
	struct twin_row *row = twin_set(twin, page, tag);

	for (unsigned way = 0; way < TWIN_WAYS; way++, row++) {
		uint64_t before = __atomic_load_n(&row->sequence_time, __ATOMIC_ACQUIRE);
		uint64_t found = LOAD(row->page), owner = LOAD(row->tag);

		*output = LOAD(row->output);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (found == (page | 1) && owner == tag && LOAD(row->sequence_time) == before &&
		    !(before >> 32 & 1) && (uint32_t)before >= LOAD(twin->everything) &&
		    (uint32_t)before >= LOAD(*twin_stamp(twin, tag)))
			return true;
	}
	return false;
}

static void keep(struct twin *twin, uint64_t page, uint64_t tag, uint64_t output, uint32_t time)
{
	struct twin_row *row = twin_set(twin, page, tag) + (twin->victim++ & (TWIN_WAYS - 1));
	uint64_t changing = (row->sequence_time >> 32) + 1;

	__atomic_store_n(&row->sequence_time, changing << 32, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&row->page, page | 1, __ATOMIC_RELAXED);
	__atomic_store_n(&row->tag, tag, __ATOMIC_RELAXED);
	__atomic_store_n(&row->output, output, __ATOMIC_RELAXED);
	__atomic_store_n(&twin->filled, true, __ATOMIC_RELAXED);
	__atomic_store_n(&row->sequence_time, (changing + 1) << 32 | time, __ATOMIC_RELEASE);
}

static bool find(struct twin *twin, const vsmmu_access *access, uint64_t *output, unsigned *may)
{
	const struct twin_stream *stream = &twin->streams[access->stream & 15];
	uint64_t page = access->address & ~UINT64_C(0xfff), row;
	uint32_t time = __atomic_load_n(&twin->clock, __ATOMIC_ACQUIRE);
	bool cached;

	if (access->size != sizeof(*access) || access->reserved || !stream->valid ||
	    access->address >> 48)
		return false;
	cached = look_up(twin, page, stream->tag, &row);
	if (cached) {
		*output = row & ~UINT64_C(0xfff);
		*may = (row & 7) | (row << 5 & 0x700);
	} else if (!twin_walk(twin, stream, access->address, output, may)) {
		return false;
	}
	twin_lock(twin);
	if (time == LOAD(twin->clock)) {
		if (!cached)
			keep(twin, page, stream->tag, *output | (*may & 7) | (*may >> 5 & 0x38),
				time);
		keep_micro(twin, access, *output, *may, time);
	}
	twin_unlock(twin);
	return true;
}

__attribute__((noinline))
int32_t twin_fill(struct twin *twin, const vsmmu_access *access, vsmmu_result *result)
{
	uint64_t output = 0;
	unsigned may = 0;
	bool found;

	__atomic_add_fetch(&twin->guard[0], 1, __ATOMIC_SEQ_CST);
	found = find(twin, access, &output, &may);
	__atomic_sub_fetch(&twin->guard[0], 1, __ATOMIC_RELEASE);
	*result = (vsmmu_result){
		.size = sizeof(*result), .kind = found ? VSMMU_RESULT_OK : VSMMU_RESULT_ABORT,
		.address = output | (access->address & 0xfff),
		.length = 4096 - (access->address & 0xfff),
		.permissions = may >> (access->flags & VSMMU_ACCESS_PRIVILEGED ? 8 : 0) & 7,
		.page_bits = 12,
	};
	return 0;
}
