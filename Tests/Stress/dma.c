/* SPDX-License-Identifier: MIT */
/* Device models: they translate and use, or have the library copy. */
#include "stress.h"

#include <sched.h>

static bool in_ram(uint64_t address)
{
	return address >= RAM && address - RAM <= STRESS_RAM - 8;
}

static void count(struct dma *dma, const struct sighting *sighting, struct slot *slot, bool passed)
{
	__atomic_add_fetch(passed ? &slot->passes : &slot->faults, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&dma->during, sighting->most != sighting->least, __ATOMIC_RELAXED);
}

/* Reads, some times over, what a translation gave. */
static void use(struct dma *dma, const struct sighting *sighting, uint64_t physical)
{
	struct guest *guest = &dma->world->guest;

	if (!in_ram(physical)) {
		violation(dma->world, sighting->slot, "the output is %#llx",
			  (unsigned long long)physical);
		return;
	}
	if (sighting->write && sighting->slot->size != 30) {
		store64(guest, physical, random_next(&dma->random) >> 1);
		return;
	}
	for (uint64_t turns = random_next(&dma->random) % 8 + 1; turns; turns--)
		if (!sighting->write && !judge_word(dma->world, sighting, load64(guest, physical)))
			return;
}

/* Where to: a place that names the generation, or one that is this thread's to write. */
static uint64_t place(struct dma *dma, const struct slot *slot, bool write)
{
	if (write && slot->size != 30)
		return slot->address + NOTE(dma->number);
	return slot->address + stamp_offset(slot, random_next(&dma->random) % STAMPS);
}

static void by_translation(struct dma *dma, struct slot *slot, bool write)
{
	vsmmu_access access = { .size = sizeof(access), .stream = slot->stream,
				.address = place(dma, slot, write) };
	vsmmu_result result = { .size = sizeof(result) };
	struct sighting sighting;
	uint64_t token;

	access.flags = write ? VSMMU_ACCESS_WRITE : 0;
	if (random_next(&dma->random) % 4 == 0)
		access.flags |= VSMMU_ACCESS_PRIVILEGED;
	look(dma->world, &sighting, slot, write);
	token = api.vsmmu_access_begin(dma->world->guest.vsmmu);
	EQUAL(api.vsmmu_translate(dma->world->guest.vsmmu, &access, &result), 0);
	if (judge(dma->world, &sighting, result.kind, result.event) &&
	    result.kind == VSMMU_RESULT_OK)
		use(dma, &sighting, result.address);
	api.vsmmu_access_end(dma->world->guest.vsmmu, token);
	count(dma, &sighting, slot, result.kind == VSMMU_RESULT_OK);
}

static void by_copy(struct dma *dma, struct slot *slot, bool write)
{
	vsmmu_access access = { .size = sizeof(access), .stream = slot->stream,
				.address = place(dma, slot, write) };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t word = random_next(&dma->random) >> 1;
	struct sighting sighting;

	if (slot->size == 30)
		write = false;
	look(dma->world, &sighting, slot, write);
	if (write)
		EQUAL(api.vsmmu_dma_write(dma->world->guest.vsmmu, &access, &word, 8, &result), 0);
	else
		EQUAL(api.vsmmu_dma_read(dma->world->guest.vsmmu, &access, &word, 8, &result), 0);
	if (judge(dma->world, &sighting, result.kind, result.event) && !write &&
	    result.kind == VSMMU_RESULT_OK)
		judge_word(dma->world, &sighting, word);
	count(dma, &sighting, slot, result.kind == VSMMU_RESULT_OK);
}

/* The last word of a page and the first of the next one. */
static void by_copy_of_two(struct dma *dma, struct slot *slot)
{
	vsmmu_access access = { .size = sizeof(access), .stream = slot->stream,
				.address = slot->address + 4088 };
	vsmmu_result result = { .size = sizeof(result) };
	struct sighting sightings[2];
	uint64_t words[2] = { 0, 0 };

	look(dma->world, &sightings[0], slot, false);
	look(dma->world, &sightings[1], slot + 1, false);
	EQUAL(api.vsmmu_dma_read(dma->world->guest.vsmmu, &access, words, 16, &result), 0);
	for (unsigned i = 0; i < 2; i++) {
		bool passed = result.kind == VSMMU_RESULT_OK || result.length > 8 * i;

		if (!judge(dma->world, &sightings[i], passed ? VSMMU_RESULT_OK : result.kind,
			   passed ? 0 : result.event))
			return;
		count(dma, &sightings[i], slot + i, passed);
		if (!passed)
			return;
		judge_word(dma->world, &sightings[i], words[i]);
	}
}

void *dma_thread(void *opaque)
{
	struct dma *dma = opaque;
	struct world *world = dma->world;

	while (!__atomic_load_n(&world->stop, __ATOMIC_RELAXED)) {
		uint64_t random = random_next(&dma->random);
		struct slot *slot = &world->slots[random % world->slot_count];
		bool write = random >> 32 & 1;

		if ((random >> 40 & 7) == 0 && slot->beside)
			by_copy_of_two(dma, slot);
		else if ((random >> 40 & 7) < 4)
			by_copy(dma, slot, write);
		else
			by_translation(dma, slot, write);
		/* The guest shall have its turn where there are fewer processors than threads. */
		if ((random >> 48 & 63) == 0)
			sched_yield();
	}
	return NULL;
}

/* The guest looks itself: nothing else is going on with the slot, so there is one right answer. */
void dma_check(struct world *world, struct slot *slot, bool write)
{
	struct dma dma = { .world = world, .number = THREADS_MOST - 1,
			   .random = world->seed ^ world->changes };

	by_translation(&dma, slot, write);
}
