/* SPDX-License-Identifier: MIT */
/* The limit of a command: two loads, a switch, and what the TLB needs. */
#include "twin.h"

static void remove_page(struct twin *twin, uint64_t page, uint64_t tag)
{
	struct twin_row *row = twin_set(twin, page, tag);

	for (unsigned way = 0; way < TWIN_WAYS; way++, row++)
		if (row->page == (page | 1) && row->tag == tag) {
			uint64_t changing = (row->sequence_time >> 32) + 1;

			__atomic_store_n(&row->sequence_time, changing << 32, __ATOMIC_RELAXED);
			__atomic_thread_fence(__ATOMIC_RELEASE);
			__atomic_store_n(&row->page, 0, __ATOMIC_RELAXED);
			__atomic_store_n(&row->sequence_time, (changing + 1) << 32, __ATOMIC_RELEASE);
		}
}

/* What another thread is about to keep belongs to a time that ends here. */
static void expire(struct twin *twin, uint32_t *stamp)
{
	__atomic_store_n(&twin->clock, twin->clock + 1, __ATOMIC_RELEASE);
	__atomic_store_n(stamp, twin->clock, __ATOMIC_RELEASE);
}

void twin_forget(struct twin *twin)
{
	if (!__atomic_load_n(&twin->filled, __ATOMIC_RELAXED)) {
		expire(twin, &twin->everything);
		return;
	}
	twin_lock(twin);
	expire(twin, &twin->everything);
	__atomic_store_n(&twin->filled, false, __ATOMIC_RELAXED);
	twin_unlock(twin);
}

static void invalidate_page(struct twin *twin, uint64_t low, uint64_t high)
{
	uint64_t tag = low >> 48 | (low >> 32 & 0xffff) << 16;

	if (!__atomic_load_n(&twin->filled, __ATOMIC_RELAXED)) {
		expire(twin, &twin->everything);
		return;
	}
	twin_lock(twin);
	__atomic_store_n(&twin->clock, twin->clock + 1, __ATOMIC_SEQ_CST);
	remove_page(twin, high & ~UINT64_C(0xfff), tag);
	twin_unlock(twin);
}

/* Waits for the accesses that began before. */
static void synchronize(struct twin *twin)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned slot = 0; slot < 16; slot += 8)
		while (__atomic_load_n(&twin->guard[slot], __ATOMIC_SEQ_CST))
			;
}

void twin_commands(struct twin *twin, uint32_t count)
{
	const uint64_t *ring = (const uint64_t *)(twin->ram + (RING_COMMANDS - RAM));

	for (; count; count--) {
		const uint64_t *slot = ring + (twin->consumer & ((1u << RING_BITS) - 1)) * 2;
		uint64_t low = __atomic_load_n(&slot[0], __ATOMIC_ACQUIRE);
		uint64_t high = __atomic_load_n(&slot[1], __ATOMIC_ACQUIRE);

		switch (low & 0xff) {
		case TLBI_NH_VA:
		case TLBI_NH_VAA:
			invalidate_page(twin, low, high);
			break;
		case TLBI_NH_ASID:
			expire(twin, twin_stamp(twin, low >> 48 | (low >> 32 & 0xffff) << 16));
			break;
		case TLBI_NH_ALL:
		case TLBI_NSNH_ALL:
		case TLBI_S12_VMALL:
		case TLBI_S2_IPA:
			twin_forget(twin);
			break;
		case CFGI_STE:
		case CFGI_ALL:
		case CFGI_CD:
			expire(twin, twin_stamp(twin, low >> 32));
			break;
		case SYNC:
			synchronize(twin);
			break;
		default:
			return;
		}
		twin->commands++;
		__atomic_store_n(&twin->consumer, (twin->consumer + 1) & ((2u << RING_BITS) - 1),
				 __ATOMIC_RELEASE);
	}
}
