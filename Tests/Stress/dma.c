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

/* In some accesses to what stream 1 has, the visitor has its place. */
static uint32_t stream_of(struct dma *dma, const struct slot *slot, struct sighting *sighting)
{
	sighting->visits = slot->stream == 1 && dma->number != THREADS_MOST - 1 &&
			   random_next(&dma->random) % 2;
	return sighting->visits ? VISITOR : slot->stream;
}

static void by_translation(struct dma *dma, struct slot *slot, bool write)
{
	vsmmu_access access = { .size = sizeof(access), .address = place(dma, slot, write) };
	vsmmu_result result = { .size = sizeof(result) };
	struct sighting sighting;
	uint64_t token;

	access.flags = write ? VSMMU_ACCESS_WRITE : 0;
	if (random_next(&dma->random) % 4 == 0)
		access.flags |= VSMMU_ACCESS_PRIVILEGED;
	look(dma->world, &sighting, slot, write);
	access.stream = stream_of(dma, slot, &sighting);
	token = api.vsmmu_access_begin(dma->world->guest.vsmmu);
	if (judge_call(dma->world, &sighting,
		       api.vsmmu_translate(dma->world->guest.vsmmu, &access, &result))) {
		if (judge(dma->world, &sighting, result.kind, result.event) &&
		    result.kind == VSMMU_RESULT_OK)
			use(dma, &sighting, result.address);
		count(dma, &sighting, slot, result.kind == VSMMU_RESULT_OK);
		if (slot->alias && result.kind == VSMMU_RESULT_OK && result.page_bits < slot->size)
			__atomic_add_fetch(&dma->world->pieces, 1, __ATOMIC_RELAXED);
	}
	api.vsmmu_access_end(dma->world->guest.vsmmu, token);
}

/* As vhost does: what was kept is used, else there is an answer to keep. */
static void by_keeping(struct dma *dma, struct slot *slot, bool write)
{
	vsmmu_access access = { .size = sizeof(access), .stream = slot->stream,
				.flags = write ? VSMMU_ACCESS_WRITE : 0,
				.address = place(dma, slot, write) };
	vsmmu_result result = { .size = sizeof(result) };
	struct world *world = dma->world;
	struct sighting sighting;
	uint64_t token;

	look(world, &sighting, slot, write);
	token = api.vsmmu_access_begin(world->guest.vsmmu);
	if (!keeper_find(world, slot, access.address, write, &result.address)) {
		EQUAL(api.vsmmu_translate(world->guest.vsmmu, &access, &result), 0);
		if (result.kind == VSMMU_RESULT_OK)
			keeper_keep(world, slot, access.address, &result);
	}
	if (judge(world, &sighting, result.kind, result.event) && result.kind == VSMMU_RESULT_OK)
		use(dma, &sighting, result.address);
	api.vsmmu_access_end(world->guest.vsmmu, token);
	count(dma, &sighting, slot, result.kind == VSMMU_RESULT_OK);
}

/* To RAM that comes and goes: there is its page, or an abort behind the translation. */
static void by_way_of_spare(struct dma *dma, bool write)
{
	struct world *world = dma->world;
	uint64_t least = __atomic_load_n(&world->spare.least, __ATOMIC_SEQ_CST);
	uint64_t least_enable = __atomic_load_n(&world->enable.least, __ATOMIC_SEQ_CST);
	uint64_t most, most_enable, word = random_next(&dma->random) >> 1;
	vsmmu_access access = { .size = sizeof(access), .stream = GUEST_OF_RAM,
				.address = SPARE + (write ? NOTE(dma->number) : 0) };
	vsmmu_result result = { .size = sizeof(result) };
	bool passed, may;

	if (write)
		EQUAL(api.vsmmu_dma_write(world->guest.vsmmu, &access, &word, 8, &result), 0);
	else
		EQUAL(api.vsmmu_dma_read(world->guest.vsmmu, &access, &word, 8, &result), 0);
	most = __atomic_load_n(&world->spare.most, __ATOMIC_SEQ_CST);
	most_enable = __atomic_load_n(&world->enable.most, __ATOMIC_SEQ_CST);
	passed = result.kind == VSMMU_RESULT_OK;
	may = passed ? spans(least, most, 0) && spans(least_enable, most_enable, 0)
		     : result.event == 0 && (spans(least, most, 1) ||
					     spans(least_enable, most_enable, 1));
	/* The page names the state that it came with. */
	if (passed && !write)
		may = may && word >= least && word <= most && !(word & 1);
	if (!may)
		violation(world, NULL, "a %s to spare RAM gave kind %u, event %#x, word %#llx; "
			  "SMMUEN %llu to %llu, RAM %llu to %llu", write ? "write" : "read",
			  result.kind, result.event, (unsigned long long)word,
			  (unsigned long long)least_enable, (unsigned long long)most_enable,
			  (unsigned long long)least, (unsigned long long)most);
	__atomic_add_fetch(passed ? &world->spare.passes : &world->spare.refusals, 1,
			   __ATOMIC_RELAXED);
}

static void by_copy(struct dma *dma, struct slot *slot, bool write)
{
	vsmmu_access access = { .size = sizeof(access), .address = place(dma, slot, write) };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t word = random_next(&dma->random) >> 1;
	struct sighting sighting;
	int32_t error;

	if (slot->size == 30)
		write = false;
	look(dma->world, &sighting, slot, write);
	access.stream = stream_of(dma, slot, &sighting);
	error = write ? api.vsmmu_dma_write(dma->world->guest.vsmmu, &access, &word, 8, &result)
		      : api.vsmmu_dma_read(dma->world->guest.vsmmu, &access, &word, 8, &result);
	if (!judge_call(dma->world, &sighting, error))
		return;
	if (judge(dma->world, &sighting, result.kind, result.event) && !write &&
	    result.kind == VSMMU_RESULT_OK)
		judge_word(dma->world, &sighting, word);
	count(dma, &sighting, slot, result.kind == VSMMU_RESULT_OK);
}

/* The last word of a page and the first of the next one. */
static void by_copy_of_two(struct dma *dma, struct slot *slot)
{
	vsmmu_access access = { .size = sizeof(access), .address = slot->address + 4088 };
	vsmmu_result result = { .size = sizeof(result) };
	struct sighting sightings[2];
	uint64_t words[2] = { 0, 0 };

	look(dma->world, &sightings[0], slot, false);
	look(dma->world, &sightings[1], slot + 1, false);
	access.stream = stream_of(dma, slot, &sightings[0]);
	sightings[1].visits = sightings[0].visits;
	sightings[1].least_visitor = sightings[0].least_visitor;
	if (!judge_call(dma->world, &sightings[0],
			api.vsmmu_dma_read(dma->world->guest.vsmmu, &access, words, 16, &result)))
		return;
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
		const struct slot *bait = __atomic_load_n(&world->bait, __ATOMIC_RELAXED);
		bool write = random >> 32 & 1;

		if (bait && random >> 33 & 7)
			slot = &world->slots[bait - world->slots];
		if (slot->alias && (__atomic_load_n(&world->closed, __ATOMIC_RELAXED) ||
				    (bait && slot != bait)))
			continue;
		switch (random >> 40 & 15) {
		case 0:
			by_way_of_spare(dma, write);
			break;
		case 1:
		case 2:
			if (slot->beside)
				by_copy_of_two(dma, slot);
			break;
		case 3:
		case 4:
		case 5:
		case 6:
			by_copy(dma, slot, write);
			break;
		case 7:
		case 8:
		case 9:
		case 10:
			by_keeping(dma, slot, write);
			break;
		default:
			by_translation(dma, slot, write);
		}
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
	by_keeping(&dma, slot, write);
}
