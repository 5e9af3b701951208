/* SPDX-License-Identifier: MIT */
/*
 * The device, its streams and their tables:
 *
 *     1  stage 1: pages, blocks of 2 MiB and of 1 GiB
 *     2  stage 1, pages and a block, the tables behind a callback that takes its time
 *     3  nested; pages that change in stage 1, pages that change in stage 2, a block of stage 1
 *        over pages of stage 2, a page whose last table stage 2 replaces
 *     4  stage 2, slow tables
 *     5  stage 1, changed by its STE, which names one of two CDs or aborts
 *     6  stage 1, changed by its CD, rewritten in place
 *     7  bypass, to RAM that comes and goes
 *     8  comes and goes itself, with what stream 1 has
 */
#include "stress.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define TREE(n) (RAM + 0x100000 + (uint64_t)(n) * 0x40000)
#define SLOW_TREE(n) (DEVICE + (uint64_t)(n) * 0x4000)
/* Where the nested stream sees the blocks by pages. */
#define PIECES UINT64_C(0x3000000000)
#define CD(n) (CONTEXT + (uint64_t)(n) * 64)

/* Tables, STEs and CDs behind the callback: word by word, and others may run meanwhile. */
static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	static __thread uint64_t random;
	struct world *world = opaque;
	uint64_t *words = data;
	bool is_table = address >= DEVICE && address - DEVICE <= DEVICE_SIZE - length;

	if (length > 64 || length % 8 || address % 8 ||
	    !(is_table || (address ^ STREAM_TABLE) < 4096 || (address ^ CONTEXT) < 4096))
		return -1;
	if (random == 0)
		random = (uint64_t)(uintptr_t)&random;
	for (uint64_t i = 0; i < length / 8; i++) {
		words[i] = load64(&world->guest, address + 8 * i);
		if (random_next(&random) % world->delay == 0)
			sched_yield();
	}
	return 0;
}

static void on_invalidate(void *opaque, const vsmmu_invalidation *what)
{
	keeper_drop(opaque, what);
}

static void on_irq(void *opaque, uint32_t line)
{
	(void)opaque;
	(void)line;
}

/* The descriptor's place, with the tables on the way made. The last word of a tree's first table
 * counts its tables. */
static uint64_t leaf_of(struct guest *guest, uint64_t tree, uint64_t address, unsigned size)
{
	uint64_t table = tree;

	for (unsigned shift = 30; shift > size; shift -= 9) {
		uint64_t slot = table + (address >> shift & 0x1ff) * 8, count;

		if (!(load64(guest, slot) & 1)) {
			count = load64(guest, tree + 0xff8) + 2;
			store64(guest, tree + 0xff8, count);
			store64(guest, slot, (tree + count / 2 * 4096) | 3);
		}
		table = load64(guest, slot) & UINT64_C(0xfffffffff000);
	}
	return table + (address >> size & 0x1ff) * 8;
}

static struct slot *add(struct world *world, uint32_t stream, enum layer layer, uint64_t address,
			unsigned size, uint64_t tree)
{
	struct slot *slot = &world->slots[world->slot_count++];

	slot->stream = stream;
	slot->layer = layer;
	slot->address = slot->intermediate = address;
	slot->size = size;
	slot->asid = (uint16_t)(4 + stream);
	slot->leaf = leaf_of(&world->guest, tree, address, size);
	slot->generation = slot->least = slot->most = GONE;
	slot->last = "nothing";
	return slot;
}

static void add_pages(struct world *world, unsigned count, uint32_t stream, enum layer layer,
		      uint64_t address, uint64_t tree, uint16_t vmid)
{
	for (unsigned i = 0; i < count; i++) {
		struct slot *slot = add(world, stream, layer, address + i * 4096, 12, tree);

		slot->vmid = vmid;
		slot->beside = i + 1 < count;
	}
}

/* Stage 1's last table has an intermediate address of its own, behind which are two. */
static void add_table(struct world *world, uint64_t address)
{
	struct slot *slot = add(world, 3, LAYER_NESTED_TABLE, address, 12, TREE(1));

	slot->vmid = 3;
	slot->intermediate = UINT64_C(0x2800000000);
	slot->tables[0] = TREE(11);
	slot->tables[1] = TREE(11) + 4096;
	slot->leaf = leaf_of(&world->guest, TREE(2), slot->intermediate, 12);
	store64(&world->guest, slot->leaf, slot->tables[0] | PAGE2);
	store64(&world->guest, leaf_of(&world->guest, TREE(1), address, 21), slot->intermediate | 3);
}

static void add_slots(struct world *world)
{
	struct slot *slot;

	add_pages(world, 8, 1, LAYER_STAGE1, 0x10000, TREE(0), 0);
	for (unsigned i = 0; i < 2; i++) {
		slot = add(world, 1, LAYER_STAGE1, 0x40000000 + i * 0x200000, 21, TREE(0));
		slot->pages = TREE(10) + i * 4096;
	}
	add(world, 1, LAYER_STAGE1, UINT64_C(0x1000000000), 30, TREE(0));
	add_pages(world, 4, 2, LAYER_STAGE1, 0x10000, SLOW_TREE(0), 0);
	slot = add(world, 2, LAYER_STAGE1, 0x40000000, 21, SLOW_TREE(0));
	slot->pages = SLOW_TREE(2);
	add_pages(world, 4, 3, LAYER_STAGE1, 0x10000, TREE(1), 3);
	/* Stage 1 says the same for ever: an intermediate page for each. */
	add_pages(world, 4, 3, LAYER_NESTED_STAGE2, 0x20000, TREE(1), 3);
	for (unsigned i = world->slot_count - 4; i < world->slot_count; i++) {
		slot = &world->slots[i];
		slot->intermediate = UINT64_C(0x2000000000) + (slot->address - 0x20000);
		store64(&world->guest, slot->leaf, slot->intermediate | PAGE1);
		slot->leaf = leaf_of(&world->guest, TREE(2), slot->intermediate, 12);
	}
	for (unsigned i = 0; i < 2; i++) {
		slot = add(world, 3, LAYER_STAGE1, 0x40000000 + i * 0x200000, 21, TREE(1));
		slot->vmid = 3;
		slot->alias = PIECES - FIRST_BLOCK;
	}
	add_table(world, 0x800000);
	add_pages(world, 4, 4, LAYER_STAGE2, 0x10000, SLOW_TREE(1), 4);
	slot = add(world, 4, LAYER_STAGE2, 0x40000000, 21, SLOW_TREE(1));
	slot->vmid = 4;
	slot->pages = SLOW_TREE(3);
	slot = add(world, 5, LAYER_STE, 0x10000, 12, TREE(3));
	slot->leaf_other = leaf_of(&world->guest, TREE(4), slot->address, 12);
	slot = add(world, 6, LAYER_CD, 0x10000, 12, TREE(5));
	slot->leaf_other = leaf_of(&world->guest, TREE(6), slot->address, 12);
}

static void set_cd(struct guest *guest, unsigned number, uint64_t tree, unsigned asid)
{
	store64(guest, CD(number) + 8, tree);
	store64(guest, CD(number) + 24, 0xff);
	store64(guest, CD(number),
		UINT64_C(25) | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 |
			UINT64_C(1) << 41 | UINT64_C(1) << 45 | UINT64_C(1) << 46 |
			(uint64_t)asid << 48);
}

static void set_stream(struct guest *guest, uint32_t stream, unsigned config, uint64_t cd,
		       uint64_t stage2, uint16_t vmid)
{
	const uint64_t ste[8] = {
		1 | config << 1 | cd, UINT64_C(1) << 44,
		stage2 ? vmid | UINT64_C(25) << 32 | UINT64_C(1) << 38 | UINT64_C(5) << 48 |
				 UINT64_C(1) << 51 | UINT64_C(1) << 58
		       : 0,
		stage2,
	};

	set_ste(guest, stream, ste);
}

/* Where stage 1's tables, CDs and pages of the nested stream are: 1 GiB in place. And the blocks,
 * page by page. */
static void map_in_place(struct guest *guest, uint64_t tree)
{
	store64(guest, leaf_of(guest, tree, RAM, 30), RAM | (PAGE2 & ~UINT64_C(2)));
	for (uint64_t at = 0; at < BLOCKS * UINT64_C(0x200000); at += 4096)
		store64(guest, leaf_of(guest, tree, PIECES + at, 12), (FIRST_BLOCK + at) | PAGE2);
}

static void add_streams(struct guest *guest)
{
	set_cd(guest, 1, TREE(0), 5);
	set_cd(guest, 2, SLOW_TREE(0), 6);
	set_cd(guest, 3, TREE(1), 7);
	set_cd(guest, 5, TREE(3), 9);
	set_cd(guest, 6, TREE(5), 10);
	/* The other CD of stream 5; that of stream 6 is the same one. */
	set_cd(guest, 7, TREE(4), 19);
	map_in_place(guest, TREE(2));
	set_stream(guest, 1, 5, CD(1), 0, 0);
	set_stream(guest, 2, 5, CD(2), 0, 0);
	set_stream(guest, 3, 7, CD(3), TREE(2), 3);
	set_stream(guest, 4, 6, 0, SLOW_TREE(1), 4);
	set_stream(guest, 5, 5, CD(5), 0, 0);
	set_stream(guest, 6, 5, CD(6), 0, 0);
	set_stream(guest, GUEST_OF_RAM, 4, 0, 0, 0);
	set_stream(guest, VISITOR, 5, CD(1), 0, 0);
}

/* All but the pages with the STEs and the CDs, which are behind the callback. */
static void add_ram(struct guest *guest, uint64_t first, uint64_t end)
{
	EQUAL(api.vsmmu_ram_add(guest->vsmmu, first, end - first, guest->ram + (first - RAM)), 0);
}

void world_open(struct world *world)
{
	/* Odd seeds: small caches, which replace what large ones keep. */
	bool is_small = world->seed & 1;
	const vsmmu_config config = {
		.size = sizeof(config), .flags = VSMMU_RESET_ABORTS,
		.tlb_entries = is_small ? 16 : 0,
		.configuration_entries = is_small ? 4 : 0,
	};
	const vsmmu_ops ops = { .size = sizeof(ops), .mem_read = on_read, .irq = on_irq,
				.invalidate = on_invalidate };
	struct guest *guest = &world->guest;
	char why[200] = "";

	guest->ram = aligned_alloc(4096, STRESS_RAM);
	if (!CHECK(guest->ram != NULL))
		exit(1);
	memset(guest->ram, 0, STRESS_RAM);
	if (api.vsmmu_create(&config, &ops, world, &guest->vsmmu, why, sizeof(why)) != 0) {
		printf("%s\n", why);
		exit(1);
	}
	printf("> caches: %u translations, %u configurations; 0: the default\n", config.tlb_entries,
	       config.configuration_entries);
	add_ram(guest, STREAM_TABLE + 4096, CONTEXT);
	add_ram(guest, CONTEXT + 4096, RAM + STRESS_RAM);
	for (uint32_t stream = 0; stream <= VISITOR; stream++)
		EQUAL(api.vsmmu_stream_add(guest->vsmmu, stream), 0);
	pool_open(world);
	pthread_mutex_init(&world->keeper.lock, NULL);
	spare_open(world);
	/* While SMMUEN is 0, DMA aborts: GBPA.ABORT, with Update. */
	write_register(guest, GBPA, UINT64_C(1) << 31 | 1 << 20);
	guest_start(guest);
	add_slots(world);
	add_streams(guest);
}

void world_close(struct world *world)
{
	api.vsmmu_destroy(world->guest.vsmmu);
	free(world->guest.ram);
	free(world->spare_page);
}
