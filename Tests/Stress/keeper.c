/* SPDX-License-Identifier: MIT */
/* Who keeps translations, and drops no more than the notices name. */
#include "stress.h"

static unsigned place_of(const struct slot *slot, uint64_t address)
{
	uint64_t offset = address - slot->address;

	for (unsigned i = 0; slot->size == 21 && i < PLACES; i++)
		if ((offset ^ stamp_offset(slot, i)) >> 12 == 0)
			return i;
	return 0;
}

static bool overlaps(const struct kept *kept, const vsmmu_invalidation *what)
{
	uint64_t mask = (UINT64_C(1) << kept->page_bits) - 1;

	return (kept->address & ~mask) <= what->last && (kept->address | mask) >= what->address;
}

/* Where STE or CD change, ASIDs do. */
static bool has_asid(const struct slot *slot, uint32_t asid)
{
	return slot->layer == LAYER_STE || slot->layer == LAYER_CD || slot->asid == asid;
}

static bool is_meant(const struct slot *slot, const struct kept *kept,
		     const vsmmu_invalidation *what)
{
	switch (what->kind) {
	case VSMMU_INVALIDATE_ALL:
		return true;
	case VSMMU_INVALIDATE_VMID:
		return what->vmid == slot->vmid;
	case VSMMU_INVALIDATE_ASID:
		return what->vmid == slot->vmid && slot->layer != LAYER_STAGE2 &&
		       has_asid(slot, what->asid);
	case VSMMU_INVALIDATE_RANGE:
		return what->vmid == slot->vmid && slot->layer != LAYER_STAGE2 &&
		       overlaps(kept, what);
	case VSMMU_INVALIDATE_IPA_RANGE:
		/* Of the nested ones all: nobody keeps intermediate addresses. */
		return what->vmid == slot->vmid &&
		       (slot->stream == 3 || (slot->layer == LAYER_STAGE2 && overlaps(kept, what)));
	case VSMMU_INVALIDATE_STREAMS:
		return what->address <= slot->stream && slot->stream <= what->last;
	default:
		return false;
	}
}

void keeper_drop(struct world *world, const vsmmu_invalidation *what)
{
	struct keeper *keeper = &world->keeper;

	if (what->size != sizeof(*what) || what->kind > VSMMU_INVALIDATE_STREAMS)
		violation(world, NULL, "a notice of size %u, kind %u", what->size, what->kind);
	pthread_mutex_lock(&keeper->lock);
	if (what->generation < keeper->newest)
		violation(world, NULL, "a notice of generation %#llx after one of %#llx",
			  (unsigned long long)what->generation,
			  (unsigned long long)keeper->newest);
	keeper->newest = what->generation;
	for (unsigned i = 0; i < world->slot_count; i++)
		for (unsigned k = 0; k < PLACES; k++) {
			struct kept *kept = &keeper->entries[i][k];

			if (!kept->is_valid || !is_meant(&world->slots[i], kept, what))
				continue;
			kept->is_valid = false;
			__atomic_add_fetch(&keeper->drops, 1, __ATOMIC_RELAXED);
		}
	pthread_mutex_unlock(&keeper->lock);
}

bool keeper_find(struct world *world, const struct slot *slot, uint64_t address, bool write,
		 uint64_t *physical)
{
	struct keeper *keeper = &world->keeper;
	const struct kept *kept = &keeper->entries[slot - world->slots][place_of(slot, address)];
	bool is_found;

	pthread_mutex_lock(&keeper->lock);
	is_found = kept->is_valid &&
		   kept->permissions & (write ? VSMMU_PERMIT_WRITE : VSMMU_PERMIT_READ);
	*physical = kept->physical + (address & 4095);
	__atomic_add_fetch(&keeper->uses, is_found, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&keeper->lock);
	return is_found;
}

void keeper_keep(struct world *world, const struct slot *slot, uint64_t address,
		 const vsmmu_result *result)
{
	struct keeper *keeper = &world->keeper;

	pthread_mutex_lock(&keeper->lock);
	if (result->generation > keeper->newest)
		keeper->entries[slot - world->slots][place_of(slot, address)] = (struct kept){
			.is_valid = true, .address = address, .page_bits = result->page_bits,
			.physical = result->address & ~UINT64_C(4095),
			.permissions = result->permissions,
		};
	else
		__atomic_add_fetch(&keeper->late, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&keeper->lock);
}
