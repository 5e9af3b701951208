/* SPDX-License-Identifier: MIT */
/* What comes and goes as a whole: the SMMU's work, by SMMUEN, reset and restore; RAM; a stream. */
#include "stress.h"

#include <stdlib.h>

void presence_begin(struct presence *presence)
{
	__atomic_add_fetch(&presence->most, 1, __ATOMIC_SEQ_CST);
}

void presence_end(struct presence *presence)
{
	__atomic_store_n(&presence->least, presence->most, __ATOMIC_SEQ_CST);
}

static void confirm_some(struct world *world)
{
	confirm(world, &world->slots[dice(world, world->slot_count)]);
}

static void change_some(struct world *world)
{
	for (uint64_t i = dice(world, 3); i; i--)
		change_slot(world);
}

/* SMMUEN. */

static void write_enable(struct world *world, unsigned on)
{
	write_register(&world->guest, CR0, 0xc | on);
	EQUAL(read_register(&world->guest, CR0ACK), 0xc | on);
}

/* SMMUEN goes off and on; meanwhile the tables change, and maybe all is forgotten. */
void toggle(struct world *world)
{
	for (unsigned on = 0; on < 2; on++) {
		presence_begin(&world->enable);
		write_enable(world, on);
		presence_end(&world->enable);
		confirm_some(world);
		change_some(world);
		if (dice(world, 2)) {
			queue(&world->guest, CFGI_ALL, 31);
			queue(&world->guest, TLBI_NSNH_ALL, 0);
			stress_sync(world);
		}
	}
}

/* Reset and restore. What is neither the state before nor the one after is a bypass: GBPA.ABORT is
 * 0 while SMMUEN is 1, and 1 while it is 0. */

static void set_abort(struct world *world, uint64_t abort)
{
	write_register(&world->guest, GBPA, UINT64_C(1) << 31 | abort << 20);
}

static void reset(struct world *world)
{
	set_abort(world, 0);
	presence_begin(&world->enable);
	EQUAL(api.vsmmu_reset(world->guest.vsmmu), 0);
	presence_end(&world->enable);
	confirm_some(world);
	/* The driver begins anew, with an empty queue. */
	store64(&world->guest, COMMANDS - 8, 0);
	presence_begin(&world->enable);
	guest_start(&world->guest);
	presence_end(&world->enable);
	set_abort(world, 1);
	world->resets++;
}

struct state {
	uint8_t bytes[8192];
	int64_t size;
};

static void save(struct world *world, struct state *state)
{
	state->size = api.vsmmu_save(world->guest.vsmmu, state->bytes, sizeof(state->bytes));
	CHECK(state->size > 0 && state->size <= (int64_t)sizeof(state->bytes));
}

static void restore(struct world *world, const struct state *state)
{
	EQUAL(api.vsmmu_restore(world->guest.vsmmu, state->bytes, (uint64_t)state->size), 0);
}

/* No command comes between saving and restoring: a queue that goes back is no matter here. */
static void restore_on_and_off(struct world *world)
{
	struct state on, off;

	set_abort(world, 0);
	save(world, &on);
	set_abort(world, 1);
	presence_begin(&world->enable);
	write_enable(world, 0);
	presence_end(&world->enable);
	save(world, &off);
	for (unsigned i = 0; i < 4; i++) {
		presence_begin(&world->enable);
		restore(world, i & 1 ? &off : &on);
		presence_end(&world->enable);
		confirm_some(world);
		world->restores++;
	}
	presence_begin(&world->enable);
	restore(world, &on);
	presence_end(&world->enable);
	set_abort(world, 1);
}

/* The state before is the state after: nobody may tell. */
static void restore_same(struct world *world)
{
	struct state same;

	save(world, &same);
	for (unsigned i = 0; i < 4; i++) {
		restore(world, &same);
		confirm_some(world);
		world->restores_of_same++;
	}
}

void reset_or_restore(struct world *world)
{
	switch (dice(world, 3)) {
	case 0:
		reset(world);
		break;
	case 1:
		restore_on_and_off(world);
		break;
	default:
		restore_same(world);
	}
}

/* RAM. */

static uint64_t *spare_word(struct world *world, unsigned number)
{
	return (uint64_t *)(void *)world->spare_page + number;
}

/* The page names the state that it comes with; while it is away it holds a poison. */
void spare_add(struct world *world)
{
	for (unsigned i = 0; i < 512; i++)
		__atomic_store_n(spare_word(world, i), 0, __ATOMIC_RELEASE);
	presence_begin(&world->spare);
	__atomic_store_n(spare_word(world, 0), world->spare.most, __ATOMIC_RELEASE);
	EQUAL(api.vsmmu_ram_add(world->guest.vsmmu, SPARE, 4096, world->spare_page), 0);
	presence_end(&world->spare);
}

void spare_open(struct world *world)
{
	world->spare_page = aligned_alloc(4096, 4096);
	if (!CHECK(world->spare_page != NULL))
		exit(1);
	world->spare.least = world->spare.most = 1;
	spare_add(world);
}

void change_spare(struct world *world)
{
	presence_begin(&world->spare);
	EQUAL(api.vsmmu_ram_remove(world->guest.vsmmu, SPARE), 0);
	presence_end(&world->spare);
	for (unsigned i = 0; i < 512; i++)
		__atomic_store_n(spare_word(world, i), POISON, __ATOMIC_RELEASE);
	change_slot(world);
	for (unsigned i = 0; i < 512; i++)
		if (__atomic_load_n(spare_word(world, i), __ATOMIC_ACQUIRE) != POISON)
			violation(world, NULL, "byte %#x of RAM was written after its removal",
				  8 * i);
	spare_add(world);
}

/* A stream. */

static void check_visitor(struct world *world, int32_t want)
{
	const vsmmu_access access = {
		.size = sizeof(access), .stream = VISITOR,
		.address = world->slots[dice(world, 8)].address,
	};
	vsmmu_result result = { .size = sizeof(result) };

	EQUAL(api.vsmmu_translate(world->guest.vsmmu, &access, &result), want);
}

void change_visitor(struct world *world)
{
	presence_begin(&world->visitor);
	EQUAL(api.vsmmu_stream_remove(world->guest.vsmmu, VISITOR), 0);
	presence_end(&world->visitor);
	check_visitor(world, -ENOENT);
	change_some(world);
	check_visitor(world, -ENOENT);
	presence_begin(&world->visitor);
	EQUAL(api.vsmmu_stream_add(world->guest.vsmmu, VISITOR), 0);
	presence_end(&world->visitor);
	check_visitor(world, 0);
}
