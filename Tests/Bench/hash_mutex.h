/* SPDX-License-Identifier: MIT */
/*
 * "hash + mutex", the shape that VMMs use today: a glib hash table of configurations, one of
 * translations with a struct as key, one probe for each level a leaf may have, one mutex around all
 * of it, all forgotten when HASH_MOST translations are kept, a scan of all for each invalidation.
 */
#ifndef HASH_MUTEX_H
#define HASH_MUTEX_H

#include "twin.h"

#include <glib.h>
#include <pthread.h>

#define HASH_MOST 256u

struct hash_mutex {
	pthread_mutex_t mutex;
	GHashTable *streams, *pages;
	/* Its walk is the limit's: what differs is the caching. */
	struct twin *walker;
};

void hash_open(struct hash_mutex *hash, struct twin *walker);
void hash_close(struct hash_mutex *hash);
void hash_stream(struct hash_mutex *hash, uint32_t stream, const struct twin_stream *what);
int32_t hash_translate(void *hash, const vsmmu_access *access, vsmmu_result *result);
void hash_forget(struct hash_mutex *hash);
void hash_forget_page(struct hash_mutex *hash, uint16_t asid, uint64_t address, uint64_t pages);
void hash_forget_asid(struct hash_mutex *hash, uint16_t asid);
void hash_forget_vmid(struct hash_mutex *hash, uint16_t vmid);

#endif
