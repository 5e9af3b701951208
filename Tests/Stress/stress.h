/* SPDX-License-Identifier: MIT */
/*
 * DMA threads against a guest that maps, unmaps and invalidates as fast as it can.
 *
 * A slot is an input page whose mapping changes. Each change is a new generation of it: the bytes
 * of its memory name the generation, and generation % 4 tells what it is (enum kind). Two numbers
 * are published: `most` before the tables change, `least` after the CMD_SYNC. An access that began
 * with `least` = a and ended with `most` = b must have met one of a ... b; one of before a means
 * that something stale outlived its invalidation.
 *
 * What comes and goes as a whole (the SMMU's work, a stream, RAM) is judged alike, by a state that
 * is odd while it is gone.
 */
#ifndef STRESS_H
#define STRESS_H

#include "../Conformance/guest.h"

#include <pthread.h>

/* The last page is where 1 GiB slots are looked at: their memory is all of the RAM. */
#define STRESS_RAM UINT64_C(0x4000000)
#define LANDMARK (RAM + STRESS_RAM - 4096)
#define POISON UINT64_C(0xdeadbeefdeadbeef)
#define THREADS_MOST 8
/* Where DMA thread n writes, in the first page of a slot. */
#define NOTE(thread) (UINT64_C(512) + 8 * (uint64_t)(thread))

/* RAM that comes and goes: one page, which stream GUEST_OF_RAM reaches untranslated. */
#define SPARE UINT64_C(0x80000000)
#define GUEST_OF_RAM 7u
/* A stream that comes and goes. It shares CD, tables and ASID with stream 1. */
#define VISITOR 8u

enum kind { WRITABLE, GONE, READ_ONLY, GONE_TOO };

/* What of a slot changes. */
enum layer {
	LAYER_STAGE1, LAYER_STAGE2, LAYER_NESTED_STAGE2, LAYER_NESTED_TABLE, LAYER_STE, LAYER_CD,
};

struct slot {
	uint32_t stream;
	enum layer layer;
	unsigned size; /* log2 */
	uint64_t address, intermediate;
	uint64_t leaf;       /* where its descriptor is */
	uint64_t leaf_other; /* LAYER_STE, LAYER_CD: in the other tree */
	uint64_t tables[2];  /* LAYER_NESTED_TABLE: the one, or the other, by stage 2 */
	uint64_t pages;      /* 2 MiB: a table of pages to use in place of the block */
	uint64_t alias;      /* nested: the intermediate address - the physical one */
	uint16_t asid, vmid;
	bool beside; /* the next slot is the next page */
	/* The guest's. */
	uint64_t generation, physical;
	bool is_block;
	const char *last;
	/* Published. */
	_Alignas(64) uint64_t least, most;
	/* How accesses ended. */
	uint64_t passes, faults;
};

#define SLOTS_MOST 64

/* Odd is gone. Published as a slot's generations are. */
struct presence {
	_Alignas(64) uint64_t least, most;
	uint64_t passes, refusals;
};

/* What a keeper of translations has of a slot's page. */
struct kept {
	bool is_valid;
	uint64_t address, physical, page_bits;
	uint32_t permissions;
};

/* As vsmmuv3.h wants it, section 2. */
#define PLACES 3
struct keeper {
	pthread_mutex_t lock;
	uint64_t newest;
	struct kept entries[SLOTS_MOST][PLACES];
	/* How often a copy was used, came too late to be kept, and was dropped for a notice. */
	uint64_t uses, late, drops;
};

struct world {
	struct guest guest;
	struct slot slots[SLOTS_MOST];
	unsigned slot_count, threads;
	uint64_t seed, changes;
	struct presence enable, visitor, spare;
	uint8_t *spare_page;
	struct keeper keeper;
	/* Pieces of a divided leaf that were used; changes told by an address of no such piece. */
	uint64_t pieces, divided_changes;
	uint64_t resets, restores, restores_of_same;
	/* The slot that DMA threads shall be at, where one is; no other divided leaf is looked at
	 * then, and none at all while they are closed. */
	_Alignas(64) const struct slot *bait;
	bool closed;
	_Alignas(64) bool stop;
	_Alignas(64) uint64_t violations;
	/* How often a table read behind the callback lets others run, one in so many. */
	unsigned delay;
};

struct dma {
	struct world *world;
	unsigned number;
	uint64_t random, during;
	pthread_t thread;
};

uint64_t random_next(uint64_t *state);
void violation(struct world *world, const struct slot *slot, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* world.c */
void world_open(struct world *world);
void world_close(struct world *world);

/* physical.c: pages, and blocks of 2 MiB; each is poisoned when it is given back. */
#define BLOCKS 16u
#define FIRST_BLOCK (RAM + 0x1000000)
void pool_open(struct world *world);
uint64_t pool_take(struct world *world, const struct slot *slot, uint64_t generation);
void pool_give(struct world *world, const struct slot *slot, uint64_t physical);
/* Where a slot's memory names its generation. */
uint64_t stamp_offset(const struct slot *slot, unsigned which);
uint64_t stamp_of(const struct slot *slot, uint64_t generation);
#define STAMPS 3

/* presence.c: what comes and goes. */
void presence_begin(struct presence *presence);
void presence_end(struct presence *presence);
void toggle(struct world *world);
void reset_or_restore(struct world *world);
void spare_open(struct world *world);
void spare_add(struct world *world);
void change_spare(struct world *world);
void change_visitor(struct world *world);

/* keeper.c */
void keeper_drop(struct world *world, const vsmmu_invalidation *what);
/* A copy that is good for this access. */
bool keeper_find(struct world *world, const struct slot *slot, uint64_t address, bool write,
		 uint64_t *physical);
void keeper_keep(struct world *world, const struct slot *slot, uint64_t address,
		 const vsmmu_result *result);

/* storm.c: what a translation waits beside commands that search a large TLB. False if it starved. */
bool storm(double seconds);

/* main.c */
double now(void);

/* driver.c: one change, seen through to its CMD_SYNC. */
void change(struct world *world);
void change_slot(struct world *world);
void confirm(struct world *world, struct slot *slot);
uint64_t dice(struct world *world, uint64_t sides);
void stress_sync(struct world *world);

/* judge.c */
struct sighting {
	const struct slot *slot;
	uint64_t least, most, least_enable, most_enable, least_visitor;
	/* By the stream that comes and goes, in the place of the slot's. */
	bool write, visits;
};
void look(struct world *world, struct sighting *sighting, struct slot *slot, bool write);
/* After the access: whether it may have been answered like this. False is a violation, told. */
bool judge(struct world *world, struct sighting *sighting, uint32_t kind, uint32_t event);
/* What the call itself answered; false if there is no more to judge. */
bool judge_call(struct world *world, const struct sighting *sighting, int32_t error);
/* Some value from `least` to `most` is odd (or even). */
bool spans(uint64_t least, uint64_t most, uint64_t parity);
bool judge_word(struct world *world, const struct sighting *sighting, uint64_t word);

/* dma.c */
void *dma_thread(void *dma);
void dma_check(struct world *world, struct slot *slot, bool write);

#endif
