/* SPDX-License-Identifier: MIT */
/* The guest: each change is made as drivers make it, and told to the device as it must be. */
#include "stress.h"

#include <sched.h>

#define CD(n) (CONTEXT + (uint64_t)(n) * 64)

uint64_t dice(struct world *world, uint64_t sides)
{
	return random_next(&world->seed) % sides;
}

void stress_sync(struct world *world)
{
	uint64_t producer, consumer;
	unsigned turns = 0;

	queue(&world->guest, SYNC, 0);
	publish(&world->guest);
	producer = read_register(&world->guest, CMDQ_PROD);
	while ((consumer = read_register(&world->guest, CMDQ_CONS)) != producer)
		if (++turns > 1000000 || consumer >> 24) {
			violation(world, NULL, "the command queue stopped: CONS %#llx",
				  (unsigned long long)consumer);
			return;
		}
}

/* Generations. */

static uint64_t next_generation(struct world *world, const struct slot *slot)
{
	uint64_t next = slot->generation + 1 + dice(world, 3);

	/* Blocks and tables replace each other only by way of nothing; so does a rewritten CD. */
	if ((slot->size > 12 || slot->layer == LAYER_CD) && !(slot->generation & 1))
		next |= 1;
	return next;
}

static void announce(struct slot *slot, uint64_t generation)
{
	slot->generation = generation;
	__atomic_store_n(&slot->most, generation, __ATOMIC_SEQ_CST);
}

static void settle(struct slot *slot)
{
	__atomic_store_n(&slot->least, slot->generation, __ATOMIC_SEQ_CST);
}

/* Descriptors. */

static uint64_t descriptor(const struct slot *slot, uint64_t generation, uint64_t physical)
{
	bool is_stage2 = slot->layer == LAYER_STAGE2 || slot->layer == LAYER_NESTED_STAGE2;
	uint64_t leaf = is_stage2 ? PAGE2 : PAGE1;

	if (generation & 1)
		return 0;
	if ((generation & 3) == READ_ONLY)
		leaf = is_stage2 ? PAGE2 & ~(UINT64_C(1) << 7) : PAGE1_READ_ONLY;
	if (slot->size > 12)
		leaf &= ~UINT64_C(2);
	return (physical + slot->alias) | leaf;
}

/* 2 MiB as 512 pages, for a change. */
static void write_pages(struct world *world, struct slot *slot, uint64_t block)
{
	for (uint64_t i = 0; i < 512; i++)
		store64(&world->guest, slot->pages + 8 * i, (block | 2) + i * 4096);
	store64(&world->guest, slot->leaf, slot->pages | 3);
}

/* Returns the memory that is to be given back after the CMD_SYNC. */
static uint64_t write_leaf(struct world *world, struct slot *slot, uint64_t leaf,
			   uint64_t generation)
{
	uint64_t old = slot->physical, word;

	slot->physical = generation & 1 ? 0 : pool_take(world, slot, generation);
	word = descriptor(slot, generation, slot->physical);
	slot->is_block = !(generation & 1) && !(slot->pages && dice(world, 2));
	if (generation & 1 || slot->is_block)
		store64(&world->guest, leaf, word);
	else
		write_pages(world, slot, word);
	return old;
}

/* Commands. */

static void tell(struct world *world, struct slot *slots, unsigned count, const char *what,
		 uint64_t low, uint64_t high)
{
	for (unsigned i = 0; i < count; i++)
		__atomic_store_n(&slots[i].last, what, __ATOMIC_RELAXED);
	queue(&world->guest, low, high);
}

/* RIL: 4 KiB granules, NUM + 1 of them 2^SCALE times; at least two, as one takes a hint. */
static uint64_t range_low(uint64_t pages)
{
	return pages > 32 ? UINT64_C(9) << 20 : (pages < 2 ? 1 : pages - 1) << 12;
}

static uint64_t tags(const struct slot *slot)
{
	return (uint64_t)slot->vmid << 32 | (uint64_t)slot->asid << 48;
}

/* Any address of a leaf stands for it, though a TLB has it in pieces (4.4). */
static uint64_t some_address(struct world *world, const struct slot *slot)
{
	return slot->address + (dice(world, UINT64_C(1) << (slot->size - 12)) << 12);
}

static void forget_stage1(struct world *world, struct slot *slots, unsigned count, bool was_pages)
{
	uint64_t vmid = (uint64_t)slots->vmid << 32, pages = count;
	/* A divided leaf mostly by one address, as that is what its pieces must not outlive. */
	uint64_t which = dice(world, slots->alias && dice(world, 4) ? 4 : 12);

	if (slots->size == 21)
		pages = 512;
	if (which < 4 && !was_pages) {
		for (unsigned i = 0; i < count; i++)
			tell(world, &slots[i], 1, which < 3 ? "TLBI_NH_VA" : "TLBI_NH_VAA",
			     which < 3 ? TLBI_NH_VA | tags(slots) : TLBI_NH_VAA | vmid,
			     some_address(world, &slots[i]) | (which & 1));
	} else if (which < 8 && slots->size < 30) {
		tell(world, slots, count, which < 7 ? "TLBI_NH_VA range" : "TLBI_NH_VAA range",
		     (which < 7 ? TLBI_NH_VA | tags(slots) : TLBI_NH_VAA | vmid) |
			     range_low(pages),
		     slots->address | 1 << 10);
	} else if (which < 10) {
		tell(world, slots, count, "TLBI_NH_ASID", TLBI_NH_ASID | tags(slots), 0);
	} else if (which < 11) {
		tell(world, slots, count, "TLBI_NH_ALL", TLBI_NH_ALL | vmid, 0);
	} else {
		tell(world, slots, count, "TLBI_NSNH_ALL", TLBI_NSNH_ALL, 0);
	}
}

static void forget_stage2(struct world *world, struct slot *slots, unsigned count, bool was_pages)
{
	uint64_t vmid = (uint64_t)slots->vmid << 32, which = dice(world, 4);

	if (which == 0) {
		tell(world, slots, count, "TLBI_S12_VMALL", TLBI_S12_VMALL | vmid, 0);
		return;
	}
	if (which == 1 || was_pages)
		tell(world, slots, count, "TLBI_S2_IPA range",
		     TLBI_S2_IPA | vmid | range_low(slots->size == 21 ? 512 : count),
		     slots->intermediate | 1 << 10);
	else
		for (unsigned i = 0; i < count; i++)
			tell(world, &slots[i], 1, "TLBI_S2_IPA", TLBI_S2_IPA | vmid,
			     slots[i].intermediate | 1);
	/* What combines both stages goes by stage 1's commands, when stage 2's are complete. */
	if (slots->layer == LAYER_NESTED_STAGE2) {
		stress_sync(world);
		queue(&world->guest, TLBI_NH_ALL | vmid, 0);
	}
}

/* Changes. */

void confirm(struct world *world, struct slot *slot)
{
	dma_check(world, slot, false);
	dma_check(world, slot, true);
}

/* No piece of the leaf is known: DMA threads shall be about to find the first one. */
static void forget_pieces(struct world *world, const struct slot *slot)
{
	__atomic_store_n(&world->closed, true, __ATOMIC_RELAXED);
	queue(&world->guest, TLBI_NSNH_ALL, 0);
	stress_sync(world);
	__atomic_store_n(&world->bait, slot, __ATOMIC_RELAXED);
	__atomic_store_n(&world->closed, false, __ATOMIC_RELAXED);
	for (uint64_t turns = dice(world, 2000); turns; turns--)
		(void)__atomic_load_n(&world->bait, __ATOMIC_SEQ_CST);
}

/* One slot, or some that lie side by side, by their descriptors. */
static void change_leaves(struct world *world, struct slot *slots)
{
	uint64_t old[8];
	unsigned count = 1, most = 1 + (unsigned)dice(world, 8);
	bool was_pages = slots->pages && !slots->is_block;

	if (slots->alias && !(slots->generation & 1))
		forget_pieces(world, slots);
	while (count < most && slots[count - 1].beside)
		count++;
	for (unsigned i = 0; i < count; i++) {
		uint64_t generation = next_generation(world, &slots[i]);

		announce(&slots[i], generation);
		old[i] = write_leaf(world, &slots[i], slots[i].leaf, generation);
	}
	if (slots->layer == LAYER_STAGE1)
		forget_stage1(world, slots, count, was_pages);
	else
		forget_stage2(world, slots, count, was_pages);
	stress_sync(world);
	world->divided_changes += slots->alias != 0;
	__atomic_store_n(&world->bait, NULL, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < count; i++) {
		settle(&slots[i]);
		pool_give(world, &slots[i], old[i]);
		confirm(world, &slots[i]);
	}
}

/* Nothing has changed yet, but DMA threads shall be fetching STE and CD when it does. */
static void provoke(struct world *world, const struct slot *slot)
{
	if (dice(world, 4) == 0)
		return;
	queue(&world->guest, CFGI_STE | (uint64_t)slot->stream << 32, 1);
	publish(&world->guest);
	for (uint64_t turns = dice(world, 4); turns; turns--)
		sched_yield();
}

/* Stream 5: the STE aborts, or names the CD that it did not name before. */
static void change_ste(struct world *world, struct slot *slot)
{
	uint64_t generation = next_generation(world, slot), old = slot->physical;
	uint64_t ste = STREAM_TABLE + slot->stream * 64;
	/* 5 and 9, or 7 and 19: see world.c. */
	bool other = (load64(&world->guest, ste) & UINT64_C(0xfffffffffc0)) == CD(5);

	provoke(world, slot);
	if (generation & 1) {
		slot->physical = 0;
		announce(slot, generation);
		store64(&world->guest, ste, 1);
	} else {
		/* Nobody walks the other tree; what it left in the TLB goes first. */
		write_leaf(world, slot, other ? slot->leaf_other : slot->leaf, generation);
		tell(world, slot, 1, "TLBI_NH_ASID, CFGI_STE",
		     TLBI_NH_ASID | (other ? UINT64_C(19) : UINT64_C(9)) << 48, 0);
		stress_sync(world);
		announce(slot, generation);
		store64(&world->guest, ste, 1 | 5 << 1 | CD(other ? 7 : 5));
	}
	queue(&world->guest, CFGI_STE | (uint64_t)slot->stream << 32, dice(world, 2));
	stress_sync(world);
	settle(slot);
	pool_give(world, slot, old);
	confirm(world, slot);
}

/* Stage 2 puts another table in the place of stage 1's last one. */
static void change_table(struct world *world, struct slot *slot)
{
	uint64_t generation = next_generation(world, slot), old = slot->physical;
	uint64_t vmid = (uint64_t)slot->vmid << 32, table = slot->tables[0];

	if ((load64(&world->guest, slot->leaf) & UINT64_C(0xfffffffff000)) == table)
		table = slot->tables[1];
	announce(slot, generation);
	write_leaf(world, slot, table + (slot->address >> 12 & 0x1ff) * 8, generation);
	store64(&world->guest, slot->leaf, table | PAGE2);
	tell(world, slot, 1, "TLBI_S2_IPA of a table, TLBI_NH_ALL", TLBI_S2_IPA | vmid,
	     slot->intermediate | 1);
	stress_sync(world);
	queue(&world->guest, TLBI_NH_ALL | vmid, 0);
	stress_sync(world);
	settle(slot);
	pool_give(world, slot, old);
	confirm(world, slot);
}

/* Stream 6: the CD becomes invalid, or valid with the other tree; its ASID stays. */
static void change_cd(struct world *world, struct slot *slot)
{
	uint64_t generation = next_generation(world, slot), old = slot->physical;
	uint64_t cd = load64(&world->guest, CD(6));
	uint64_t tree = load64(&world->guest, CD(6) + 8), leaf = slot->leaf;

	provoke(world, slot);
	if (generation & 1) {
		slot->physical = 0;
		announce(slot, generation);
		store64(&world->guest, CD(6), cd & ~(UINT64_C(1) << 31));
	} else {
		/* The trees are 0x40000 apart, and the leaves are. */
		tree ^= (slot->leaf ^ slot->leaf_other) & ~UINT64_C(0x3ffff);
		if ((tree ^ leaf) & ~UINT64_C(0x3ffff))
			leaf = slot->leaf_other;
		/* Nobody fills the TLB with this ASID while the CD is invalid. */
		queue(&world->guest, TLBI_NH_ASID | tags(slot), 0);
		stress_sync(world);
		announce(slot, generation);
		write_leaf(world, slot, leaf, generation);
		store64(&world->guest, CD(6) + 8, tree);
		store64(&world->guest, CD(6), cd | UINT64_C(1) << 31);
	}
	tell(world, slot, 1, "CFGI_CD", CFGI_CD | (uint64_t)slot->stream << 32, 1);
	if (dice(world, 2))
		queue(&world->guest, TLBI_NH_ASID | tags(slot), 0);
	stress_sync(world);
	settle(slot);
	pool_give(world, slot, old);
	confirm(world, slot);
}

void change_slot(struct world *world)
{
	struct slot *slot = &world->slots[dice(world, world->slot_count)];

	switch (slot->layer) {
	case LAYER_STE:
		for (uint64_t turns = dice(world, 8); turns; turns--)
			change_ste(world, slot);
		break;
	case LAYER_CD:
		for (uint64_t turns = dice(world, 8); turns; turns--)
			change_cd(world, slot);
		break;
	case LAYER_NESTED_TABLE:
		for (uint64_t turns = dice(world, 8); turns; turns--)
			change_table(world, slot);
		break;
	default:
		for (uint64_t turns = slot->alias ? dice(world, 16) : 1; turns; turns--)
			change_leaves(world, slot);
	}
	world->changes++;
}

void change(struct world *world)
{
	uint64_t what = dice(world, 256);

	if (what == 0)
		toggle(world);
	else if (what < 4)
		reset_or_restore(world);
	else if (what < 8)
		change_spare(world);
	else if (what < 16)
		change_visitor(world);
	else
		change_slot(world);
	/* The guest takes its events. */
	if (what < 32)
		write_register(&world->guest, EVENTQ_CONS,
			       read_register(&world->guest, EVENTQ_PROD));
}
