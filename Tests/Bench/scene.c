/* SPDX-License-Identifier: MIT */
#include "scene.h"

void scene_open(struct scene *scene, const struct machine_options *options)
{
	static const struct machine_options standard;
	struct machine *machine = &scene->machine;

	machine_open(machine, options ? options : &standard);
	twin_open(&scene->twin, machine);
	hash_open(&scene->hash, &scene->twin);
	scene->stage1 = machine_table(machine);
	scene->nested = machine_table(machine);
	scene->stage2 = machine_table(machine);
	machine_stage1(machine, STREAM_STAGE1, scene->stage1, ASID_STAGE1);
	twin_stream(&scene->twin, STREAM_STAGE1, scene->stage1, 0, ASID_STAGE1, 0);
	hash_stream(&scene->hash, STREAM_STAGE1, &scene->twin.streams[STREAM_STAGE1]);
}

void scene_close(struct scene *scene)
{
	hash_close(&scene->hash);
	twin_close(&scene->twin);
	machine_close(&scene->machine);
}

/* 1 GiB from 4 GiB on, and a new page of DATA for each. */
uint64_t scene_page(uint64_t number)
{
	return UINT64_C(0x100000000) + number * 4096;
}

void scene_map_pages(struct scene *scene, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		machine_map(&scene->machine, scene->stage1, scene_page(i),
			    PAGES_OF_DATA + i * 4096 % DATA_SIZE, PAGE1);
}

/* Another index at each level, so that not all entries fall into one set of the CPU's cache. */
uint64_t scene_far(unsigned number)
{
	uint64_t mix = number * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)(number + 1) << 39 | (mix >> 20 & 0x1ff) << 30 | (mix >> 30 & 0x1ff) << 21 |
	       (mix >> 40 & 0x1fe) << 12;
}

void scene_map_far(struct scene *scene)
{
	for (unsigned i = 0; i < FAR_PAGES; i++)
		for (uint64_t next = 0; next < 2; next++)
			machine_map(&scene->machine, scene->stage1, scene_far(i) + next * 4096,
				    PAGES_OF_DATA + i * 8192 + next * 4096, PAGE1);
}

/* Stage 2 puts each table of stage 1, and each pair of outputs, under an IPA of its own. */
static uint64_t far_ipa(struct scene *scene, uint64_t physical)
{
	static unsigned number;
	uint64_t ipa = scene_far(number++ % 511) | (physical & 0xfff);

	machine_map(&scene->machine, scene->stage2, ipa & ~UINT64_C(0xfff), physical, PAGE2);
	return ipa & ~UINT64_C(0xfff);
}

static void map_far_nested(struct scene *scene, uint64_t from, uint64_t physical)
{
	uint64_t table = scene->nested, ipa;
	struct guest *guest = &scene->machine.guest;

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t slot = table + ((from >> shift) & 0x1ff) * 8;

		/* Tables are all new, but those of a page's neighbour, mapped with it. */
		table = machine_table(&scene->machine);
		store64(guest, slot, far_ipa(scene, table) | 3);
	}
	ipa = far_ipa(scene, physical);
	machine_map(&scene->machine, scene->stage2, ipa + 4096, physical + 4096, PAGE2);
	for (uint64_t next = 0; next < 2; next++)
		store64(guest, table + ((from >> 12) & 0x1ff) * 8 + next * 8,
			(ipa + next * 4096) | PAGE1);
}

void scene_map_far_nested(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	uint64_t root = UINT64_C(0x1fff) << 34;

	machine_map(machine, scene->stage2, root, scene->nested, PAGE2);
	for (unsigned i = 0; i < FAR_PAGES / 2; i++)
		map_far_nested(scene, scene_far(i), PAGES_OF_DATA + i * 8192);
	machine_nested(machine, STREAM_NESTED, root, ASID_NESTED, scene->stage2, VMID_NESTED);
	twin_stream(&scene->twin, STREAM_NESTED, root, scene->stage2, ASID_NESTED, VMID_NESTED);
	hash_stream(&scene->hash, STREAM_NESTED, &scene->twin.streams[STREAM_NESTED]);
}

void stroll(void *self)
{
	struct stroll *stroll = self;
	vsmmu_access access = { .size = sizeof(access), .stream = stroll->stream,
				.flags = stroll->flags };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t sum = 0, failed = 0;
	unsigned at = stroll->at;

	for (unsigned i = 0; i < stroll->batch; i++) {
		access.address = stroll->addresses[at];
		if (++at == stroll->count)
			at = 0;
		failed |= (uint64_t)stroll->translate(stroll->self, &access, &result) | result.kind;
		sum += result.address;
	}
	stroll->at = at;
	__atomic_store_n(&bench_sink, sum, __ATOMIC_RELAXED);
	if (failed)
		bench_fail("a translation failed: kind %u, event %#x", result.kind, result.event);
}

static vsmmu_result answer(const struct stroll *stroll, unsigned at)
{
	vsmmu_access access = { .size = sizeof(access), .stream = stroll->stream,
				.flags = stroll->flags, .address = stroll->addresses[at] };
	vsmmu_result result = { .size = sizeof(result) };

	EQUAL(stroll->translate(stroll->self, &access, &result), 0);
	return result;
}

/* Attributes have not been asked for. */
static bool is_same(const vsmmu_result *one, const vsmmu_result *other)
{
	return one->kind == other->kind && one->address == other->address &&
	       one->length == other->length && one->permissions == other->permissions &&
	       one->page_bits == other->page_bits && one->event == other->event;
}

void must_agree(const struct stroll *strolls, unsigned count)
{
	for (unsigned at = 0; at < strolls[0].count; at++) {
		vsmmu_result first = answer(&strolls[0], at);

		for (unsigned i = 1; i < count; i++) {
			vsmmu_result other = answer(&strolls[i], at);

			if (!is_same(&first, &other))
				bench_fail("answers for %#llx differ: %#llx and %#llx, permissions "
					   "%u and %u, %llu and %llu bytes",
					   (unsigned long long)strolls[0].addresses[at],
					   (unsigned long long)first.address,
					   (unsigned long long)other.address, first.permissions,
					   other.permissions, (unsigned long long)first.length,
					   (unsigned long long)other.length);
		}
	}
}

void stroll_of_library(struct stroll *stroll, struct scene *scene)
{
	stroll->scene = scene;
	stroll->self = scene->machine.guest.vsmmu;
	/* As a host calls it: by the address that dlsym gave. */
	memcpy(&stroll->translate, &api.vsmmu_translate, sizeof(stroll->translate));
}

void stroll_of_twin(struct stroll *stroll, struct scene *scene)
{
	stroll->scene = scene;
	stroll->translate = twin_translate;
	stroll->self = &scene->twin;
}

void stroll_of_hash(struct stroll *stroll, struct scene *scene)
{
	stroll->scene = scene;
	stroll->translate = hash_translate;
	stroll->self = &scene->hash;
}
