/* SPDX-License-Identifier: MIT */
/* The guest's memory by pages and blocks. What was given back is used again as late as possible. */
#include "stress.h"

#define PAGES 256u
#define FIRST_PAGE (RAM + 0x800000)

struct ring {
	uint64_t free[PAGES];
	unsigned first, count, capacity;
};

static struct ring pages, blocks;

static void fill(struct ring *ring, unsigned capacity, uint64_t first, uint64_t size)
{
	*ring = (struct ring){ .count = capacity, .capacity = capacity };
	for (unsigned i = 0; i < capacity; i++)
		ring->free[i] = first + i * size;
}

uint64_t stamp_offset(const struct slot *slot, unsigned which)
{
	static const uint64_t in_page[STAMPS] = { 0, 2048, 4088 };
	static const uint64_t in_block[STAMPS] = { 0, 0x64000, 0x1ff008 };

	return slot->size == 30 ? LANDMARK - RAM
	     : slot->size == 21 ? in_block[which] : in_page[which];
}

uint64_t stamp_of(const struct slot *slot, uint64_t generation)
{
	if (slot->size == 30)
		return UINT64_C(0x1a4d) << 48;
	return (uint64_t)(slot->address >> 12 & 0xffff) << 48 | (uint64_t)slot->stream << 44 |
	       generation;
}

static void poison(struct world *world, const struct slot *slot, uint64_t physical)
{
	for (unsigned i = 0; i < STAMPS; i++)
		store64(&world->guest, physical + stamp_offset(slot, i), POISON);
	for (unsigned i = 0; i < THREADS_MOST; i++)
		store64(&world->guest, physical + NOTE(i), POISON);
}

static const struct slot page = { .size = 12 }, block = { .size = 21 };

void pool_open(struct world *world)
{
	const struct slot huge = { .size = 30 };

	fill(&pages, PAGES, FIRST_PAGE, 4096);
	fill(&blocks, BLOCKS, FIRST_BLOCK, 0x200000);
	for (unsigned i = 0; i < PAGES; i++)
		poison(world, &page, pages.free[i]);
	for (unsigned i = 0; i < BLOCKS; i++)
		poison(world, &block, blocks.free[i]);
	store64(&world->guest, LANDMARK, stamp_of(&huge, 0));
}

uint64_t pool_take(struct world *world, const struct slot *slot, uint64_t generation)
{
	struct ring *ring = slot->size == 12 ? &pages : &blocks;
	uint64_t physical;

	if (slot->size == 30)
		return RAM;
	physical = ring->free[ring->first];
	ring->first = (ring->first + 1) % ring->capacity;
	ring->count--;
	/* Nobody may have written since it was given back. */
	for (unsigned i = 0; i < THREADS_MOST; i++)
		if (load64(&world->guest, physical + NOTE(i)) != POISON)
			violation(world, slot,
				  "thread %u wrote to %#llx while it was nobody's, before this", i,
				  (unsigned long long)physical);
	for (unsigned i = 0; i < STAMPS; i++)
		store64(&world->guest, physical + stamp_offset(slot, i), stamp_of(slot, generation));
	for (unsigned i = 0; i < THREADS_MOST; i++)
		store64(&world->guest, physical + NOTE(i), 0);
	return physical;
}

void pool_give(struct world *world, const struct slot *slot, uint64_t physical)
{
	struct ring *ring = slot->size == 12 ? &pages : &blocks;

	if (physical == 0 || slot->size == 30)
		return;
	poison(world, slot, physical);
	ring->free[(ring->first + ring->count++) % ring->capacity] = physical;
}
