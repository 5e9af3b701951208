/* SPDX-License-Identifier: MIT */
/* Commands from guest memory, the TLB being empty. */
#include "gate.h"

#include <stdio.h>

#define RING (1u << RING_BITS)

struct consumer {
	struct scene *scene;
	uint32_t batch; /* commands for each write of PROD */
};

static void consume_by_library(void *self)
{
	struct consumer *consumer = self;

	for (uint32_t done = 0; done < RING; done += consumer->batch)
		machine_kick(&consumer->scene->machine, consumer->batch);
	machine_settle(&consumer->scene->machine);
}

static void consume_by_twin(void *self)
{
	struct consumer *consumer = self;

	for (uint32_t done = 0; done < RING; done += consumer->batch)
		twin_commands(&consumer->scene->twin, consumer->batch);
}

/* The same commands, from the same ring, by scans of what is an empty table. */
static void consume_by_hash(void *self)
{
	struct hash_mutex *hash = &((struct consumer *)self)->scene->hash;
	const struct machine *machine = &((struct consumer *)self)->scene->machine;
	const uint64_t *ring = (const uint64_t *)(machine->guest.ram + (RING_COMMANDS - RAM));

	for (uint32_t i = 0; i < RING; i++) {
		uint64_t low = ring[2 * i], high = ring[2 * i + 1];

		switch (low & 0xff) {
		case TLBI_NH_VA:
		case TLBI_NH_VAA:
			hash_forget_page(hash, (uint16_t)(low >> 48), high & ~UINT64_C(0xfff), 1);
			break;
		case TLBI_NH_ASID:
			hash_forget_asid(hash, (uint16_t)(low >> 48));
			break;
		case TLBI_S2_IPA:
		case TLBI_S12_VMALL:
			hash_forget_vmid(hash, (uint16_t)(low >> 32));
			break;
		case TLBI_NSNH_ALL:
			hash_forget(hash);
			break;
		}
	}
}

static void row_of_commands(struct scene *scene, const char *path, uint32_t batch)
{
	struct consumer consumer = { .scene = scene, .batch = batch };
	struct runner runners[3] = {
		{ .run = consume_by_library, .self = &consumer },
		{ .run = consume_by_twin, .self = &consumer },
		{ .run = consume_by_hash, .self = &consumer },
	};
	struct cells cells = { .path = path, .target = "≥ 20 million/s" };

	scene->twin.consumer = 0;
	measure(runners, 3, RING);
	snprintf(cells.library, sizeof(cells.library), "%.1f million/s (%.1f)",
		 1e3 / runners[0].median, 1e3 / runners[0].least);
	snprintf(cells.limit, sizeof(cells.limit), "%.1f million/s", 1e3 / runners[1].median);
	snprintf(cells.hash, sizeof(cells.hash), "%.1f million/s", 1e3 / runners[2].median);
	cells.met = runners[0].median <= 50;
	report_row(&cells);
}

void fill_unmaps(struct machine *machine)
{
	for (uint32_t i = 0; i < RING; i++)
		if (i % 32 == 31)
			machine_put(machine, i, SYNC, 0);
		else
			machine_put(machine, i, TLBI_NH_VA | (uint64_t)ASID_STAGE1 << 48,
				    scene_page(i) | 1);
}

/* Weighted towards what drivers send most. */
void fill_random(struct machine *machine)
{
	static const uint8_t opcodes[16] = {
		TLBI_NH_VA, TLBI_NH_VA, TLBI_NH_VA, TLBI_NH_VA, TLBI_NH_VA, TLBI_NH_VA,
		TLBI_NH_VAA, TLBI_NH_VAA, TLBI_NH_ASID, TLBI_S2_IPA, TLBI_S12_VMALL, TLBI_NSNH_ALL,
		CFGI_STE, CFGI_CD, SYNC, SYNC,
	};
	uint64_t seed = 1;

	for (uint32_t i = 0; i < RING; i++) {
		uint64_t random = bench_random(&seed), low = opcodes[random & 15], high = 0;

		switch (low) {
		case TLBI_NH_VA:
		case TLBI_NH_VAA:
		case TLBI_S2_IPA:
			high = scene_page(random >> 8 & 0xffff) | 1;
			low |= low == TLBI_NH_VA ? (random >> 32 & 7) << 48 : 0;
			break;
		case TLBI_NH_ASID:
			low |= (random >> 32 & 7) << 48;
			break;
		case CFGI_STE:
		case CFGI_CD:
			low |= (random >> 32 & 3) << 32;
			high = 1;
			break;
		}
		machine_put(machine, i, low, high);
	}
}

void rows_of_commands(void)
{
	static struct scene scene;

	scene_open(&scene, NULL);
	fill_unmaps(&scene.machine);
	row_of_commands(&scene, "31 CMD_TLBI_NH_VA and CMD_SYNC for each write of PROD", 32);
	fill_random(&scene.machine);
	row_of_commands(&scene, "random commands, 256 for each write of PROD", 256);
	scene_close(&scene);
}
