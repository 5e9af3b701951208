/* SPDX-License-Identifier: MIT */
/* One guest and the three that translate for it. */
#ifndef SCENE_H
#define SCENE_H

#include "hash_mutex.h"

/* Stream 1: stage 1; stream 2: nested. */
#define STREAM_STAGE1 1u
#define STREAM_NESTED 2u
#define ASID_STAGE1 5u
#define ASID_NESTED 6u
#define VMID_NESTED 3u

struct scene {
	struct machine machine;
	struct twin twin;
	struct hash_mutex hash;
	uint64_t stage1, nested, stage2;
};

/* NULL: the defaults of the library. */
void scene_open(struct scene *scene, const struct machine_options *options);
void scene_close(struct scene *scene);

/* Pages [first, first + count) of stream 1, each to a page of DATA. */
uint64_t scene_page(uint64_t number);
void scene_map_pages(struct scene *scene, uint64_t count);

/* Far-off pages: none shares a table with another, but the root. */
#define FAR_PAGES 128u
/* Of which so many have their neighbour looked at: the question is not how many tables are kept. */
#define BESIDE_PAGES 16u
uint64_t scene_far(unsigned number);
void scene_map_far(struct scene *scene);
void scene_map_far_nested(struct scene *scene);

/* Accesses in turn, by any of the three. */
struct stroll {
	struct scene *scene;
	translate_function translate;
	void *self;
	uint32_t stream, flags;
	const uint64_t *addresses;
	unsigned count, at, batch;
};
/* Each must be translated; from where the last stroll ended. */
void stroll(void *self);
/* A comparison of times is worth something only if the answers are the same. */
void must_agree(const struct stroll *strolls, unsigned count);
/* Whose stroll it is. */
void stroll_of_library(struct stroll *stroll, struct scene *scene);
void stroll_of_twin(struct stroll *stroll, struct scene *scene);
void stroll_of_hash(struct stroll *stroll, struct scene *scene);

#endif
