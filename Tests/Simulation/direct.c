/* SPDX-License-Identifier: MIT */
/*
 * Direct command queues: a TLBI by one is done when its CMD_SYNC is consumed, and costs neither the
 * library nor the kernel a call.
 */
#include "simulation.h"

#define QUEUE(index) (RAM + 0x60000 + 0x1000 * (uint64_t)(index))
#define QUEUE_BITS 4u
#define PROD_MASK ((2u << QUEUE_BITS) - 1)

/* Registers, vsmmuv3_host.h section 8. */
enum {
	ALLOC = 0x200, VINTF_CONFIG = 0x1000, MEMORY = 0x40000, STRIDE = 0x80,
	CONS = 0x0, PROD = 0x4, CONFIG = 0x8, QUEUE_GERROR = 0x10, QUEUE_GERRORN = 0x14,
};

static volatile uint32_t *page_of(struct vm *vm)
{
	uint64_t length = 0;
	void *page = NULL;

	return api.vsmmu_direct_page(vm->guest.vsmmu, &page, &length) == 0 ? page : NULL;
}

bool direct_has(struct vm *vm)
{
	uint64_t value;

	/* A look at the frame freezes what is offered. */
	return page_of(vm) || (vm->seen && api.vsmmu_direct_read(vm->guest.vsmmu, 0, 4, &value) == 0);
}

static volatile uint32_t *word(struct vm *vm, unsigned index, unsigned offset)
{
	return page_of(vm) + (index * STRIDE + offset) / 4;
}

static uint64_t hardware_has(struct vm *vm)
{
	vsmmu_host_counters counters = { .size = sizeof(counters) };

	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &counters));
	return counters.direct_queues;
}

static void write_frame(struct vm *vm, uint64_t offset, uint32_t width, uint64_t value)
{
	SUCCEEDS(api.vsmmu_direct_write(vm->guest.vsmmu, offset, width, value));
}

/* Both queues, or as many as the kernel has. */
static void start(struct vm *vm)
{
	for (unsigned index = 0; index < 2; index++)
		write_frame(vm, ALLOC + 4 * index, 4, 1 | index << 1);
	write_frame(vm, VINTF_CONFIG, 4, 1);
	for (unsigned index = 0; index < 2; index++)
		write_frame(vm, MEMORY + STRIDE * index, 8, QUEUE(index) | QUEUE_BITS);
	if (hardware_has(vm) < 2 && !failures_ordered() && !world.destroys_failed)
		violation("the kernel refuses a direct queue, and nobody ordered it: %s",
			  vm->guest.log);
	for (unsigned index = 0; index < hardware_has(vm); index++)
		*word(vm, index, CONFIG) = 1;
	tell("VM %llu has %llu direct queues", (unsigned long long)vm->serial,
	     (unsigned long long)hardware_has(vm));
}

static void put(struct vm *vm, unsigned index, uint64_t low, uint64_t high)
{
	uint32_t prod = *word(vm, index, PROD) & PROD_MASK;
	uint64_t slot = QUEUE(index) + 16 * (prod & (PROD_MASK >> 1));

	store64(&vm->guest, slot, low);
	store64(&vm->guest, slot + 8, high);
	*word(vm, index, PROD) = (prod + 1) & PROD_MASK;
}

static void consumed(struct vm *vm, unsigned index)
{
	SUCCEEDS(api.vsmmu_emulated_run_queues(world.emulated));
	if (*word(vm, index, CONS) != *word(vm, index, PROD))
		violation("a direct queue stops at %#x, GERROR %#x", *word(vm, index, CONS),
			  *word(vm, index, QUEUE_GERROR));
}

/* Gone from the hardware, whoever else has asked for it. */
static void forget(struct vm *vm, unsigned space, unsigned slot)
{
	struct cell *cell = &vm->model.slots[space][slot];

	cell->stale = cell->covered = 0;
}

static void invalidate(struct vm *vm, unsigned index)
{
	unsigned space = below(SPACES), named = 0;
	/* None of the guest's, where it shall have no effect. */
	uint64_t asid = (planted == PLANTED_DIRECT ? 0xffff : driver_asid(space)) << 48;

	if (chance(20)) {
		put(vm, index, TLBI_NH_ASID | asid, 0);
		named = (1u << SLOTS) - 1;
	} else {
		for (unsigned n = 1 + below(6); n > 0; n--) {
			unsigned slot = below(SLOTS);
			/* Of a block a table may have become. */
			bool leaf = slot != BLOCK_SLOT && chance(70);

			put(vm, index, TLBI_NH_VA | asid, slot_address(slot) | leaf);
			named |= 1u << slot;
		}
	}
	put(vm, index, SYNC, 0);
	consumed(vm, index);
	tell("VM %llu, direct queue %u, space %u, slots %#x", (unsigned long long)vm->serial, index,
	     space, named);
	totals.direct++;
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (named & 1u << slot)
			forget(vm, space, slot);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (named & 1u << slot)
			dma_touch(vm, slot);
}

/* It stops the queue, and the driver puts a CMD_SYNC in its place. */
static void make_mistake(struct vm *vm, unsigned index)
{
	uint32_t at = *word(vm, index, PROD) & (PROD_MASK >> 1);

	put(vm, index, chance(50) ? TLBI_NH_ALL : any() | 0x80, any());
	SUCCEEDS(api.vsmmu_emulated_run_queues(world.emulated));
	if (*word(vm, index, CONS) >> 24 != 1)
		violation("a direct queue takes what it must not: CONS %#x", *word(vm, index, CONS));
	store64(&vm->guest, QUEUE(index) + 16 * at, SYNC);
	store64(&vm->guest, QUEUE(index) + 16 * at + 8, 0);
	*word(vm, index, QUEUE_GERRORN) = *word(vm, index, QUEUE_GERROR);
	consumed(vm, index);
}

void direct_step(struct vm *vm)
{
	vsmmu_host_counters before = { .size = sizeof(before) }, after = before;
	unsigned index = below(2);

	if (!vm->model.started || !page_of(vm))
		return;
	if (hardware_has(vm) <= index)
		start(vm);
	if (hardware_has(vm) <= index)
		return;
	/* What the kernel refused may be there since. */
	*word(vm, index, CONFIG) = 1;
	if (chance(10))
		write_frame(vm, chance(50) ? VINTF_CONFIG : ALLOC + 4 * below(2), 4, 0);
	if (hardware_has(vm) <= index)
		return;
	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &before));
	if (chance(90))
		invalidate(vm, index);
	else
		make_mistake(vm, index);
	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &after));
	if (before.invalidate_calls != after.invalidate_calls)
		violation("a direct TLBI costs a call of the kernel");
}
