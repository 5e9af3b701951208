/* SPDX-License-Identifier: MIT */
#include "hash_mutex.h"

struct key {
	uint64_t page;
	uint16_t asid, vmid;
	uint8_t level, granule;
};

struct entry {
	uint64_t output;
	unsigned permissions, size;
};

static uint32_t turned(uint32_t word, int by)
{
	return word << by | word >> (32 - by);
}

/* Three words that mix each other with additions, rotations and exclusive ors, as Jenkins' do. */
static guint hash_of(gconstpointer opaque)
{
	const struct key *key = opaque;
	uint32_t a = (uint32_t)key->page, b = (uint32_t)(key->page >> 32);
	uint32_t c = key->asid | (uint32_t)key->vmid << 16;

	a += key->level | (uint32_t)key->granule << 8;
	c = (c ^ b) - turned(b, 13);
	a = (a ^ c) - turned(c, 10);
	b = (b ^ a) - turned(a, 24);
	c = (c ^ b) - turned(b, 17);
	a = (a ^ c) - turned(c, 5);
	b = (b ^ a) - turned(a, 15);
	return (c ^ b) - turned(b, 23);
}

static gboolean is_same(gconstpointer one, gconstpointer other)
{
	const struct key *a = one, *b = other;

	return a->page == b->page && a->asid == b->asid && a->vmid == b->vmid &&
	       a->level == b->level && a->granule == b->granule;
}

void hash_open(struct hash_mutex *hash, struct twin *walker)
{
	pthread_mutex_init(&hash->mutex, NULL);
	hash->streams = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	hash->pages = g_hash_table_new_full(hash_of, is_same, g_free, g_free);
	hash->walker = walker;
}

void hash_close(struct hash_mutex *hash)
{
	g_hash_table_destroy(hash->streams);
	g_hash_table_destroy(hash->pages);
	pthread_mutex_destroy(&hash->mutex);
}

void hash_stream(struct hash_mutex *hash, uint32_t stream, const struct twin_stream *what)
{
	struct twin_stream *copy = g_new(struct twin_stream, 1);

	*copy = *what;
	g_hash_table_insert(hash->streams, GUINT_TO_POINTER(stream + 1), copy);
}

static struct entry *find(struct hash_mutex *hash, const struct twin_stream *stream,
			  uint64_t address)
{
	struct key key = { .asid = (uint16_t)stream->tag, .vmid = (uint16_t)(stream->tag >> 16),
			   .granule = 12 };
	struct entry *entry = NULL;

	for (int level = 1; level <= 3 && !entry; level++) {
		key.level = (uint8_t)level;
		key.page = address >> (39 - 9 * level) << (39 - 9 * level);
		entry = g_hash_table_lookup(hash->pages, &key);
	}
	return entry;
}

static struct entry *fill(struct hash_mutex *hash, const struct twin_stream *stream,
			  uint64_t address)
{
	struct entry found = { .size = 12 }, *entry;
	struct key *key;

	if (!twin_walk(hash->walker, stream, address, &found.output, &found.permissions))
		return NULL;
	if (g_hash_table_size(hash->pages) >= HASH_MOST)
		g_hash_table_remove_all(hash->pages);
	key = g_new0(struct key, 1);
	*key = (struct key){ .page = address & ~UINT64_C(0xfff), .asid = (uint16_t)stream->tag,
			     .vmid = (uint16_t)(stream->tag >> 16), .level = 3, .granule = 12 };
	entry = g_new(struct entry, 1);
	*entry = found;
	g_hash_table_insert(hash->pages, key, entry);
	return entry;
}

int32_t hash_translate(void *self, const vsmmu_access *access, vsmmu_result *result)
{
	struct hash_mutex *hash = self;
	const struct twin_stream *stream;
	struct entry *entry = NULL;
	uint64_t offset = access->address & 0xfff;

	pthread_mutex_lock(&hash->mutex);
	stream = g_hash_table_lookup(hash->streams, GUINT_TO_POINTER(access->stream + 1));
	if (stream) {
		entry = find(hash, stream, access->address);
		if (!entry)
			entry = fill(hash, stream, access->address);
	}
	if (entry) {
		unsigned may = entry->permissions >> (access->flags & 4 ? 8 : 0) & 7;

		*result = (vsmmu_result){
			.size = sizeof(*result), .permissions = may,
			.kind = access->flags & 1 && !(may & 2) ? VSMMU_RESULT_ABORT
								: VSMMU_RESULT_OK,
			.address = entry->output | offset, .length = 4096 - offset, .page_bits = 12,
		};
	} else {
		*result = (vsmmu_result){ .size = sizeof(*result), .kind = VSMMU_RESULT_ABORT };
	}
	pthread_mutex_unlock(&hash->mutex);
	return 0;
}

/* Invalidation: everything is looked at. */

struct range {
	uint64_t first, last;
	uint16_t asid, vmid;
};

static gboolean in_range(gpointer opaque, gpointer value, gpointer what)
{
	const struct key *key = opaque;
	const struct range *range = what;
	uint64_t size = UINT64_C(1) << ((const struct entry *)value)->size;

	return key->asid == range->asid && key->page <= range->last &&
	       key->page + (size - 1) >= range->first;
}

static gboolean of_asid(gpointer key, gpointer value, gpointer what)
{
	(void)value;
	return ((const struct key *)key)->asid == ((const struct range *)what)->asid;
}

static gboolean of_vmid(gpointer key, gpointer value, gpointer what)
{
	(void)value;
	return ((const struct key *)key)->vmid == ((const struct range *)what)->vmid;
}

static void scan(struct hash_mutex *hash, GHRFunc matches, struct range *range)
{
	pthread_mutex_lock(&hash->mutex);
	g_hash_table_foreach_remove(hash->pages, matches, range);
	pthread_mutex_unlock(&hash->mutex);
}

void hash_forget(struct hash_mutex *hash)
{
	pthread_mutex_lock(&hash->mutex);
	g_hash_table_remove_all(hash->pages);
	pthread_mutex_unlock(&hash->mutex);
}

void hash_forget_page(struct hash_mutex *hash, uint16_t asid, uint64_t address, uint64_t pages)
{
	scan(hash, in_range,
	     &(struct range){ .first = address, .last = address + pages * 4096 - 1, .asid = asid });
}

void hash_forget_asid(struct hash_mutex *hash, uint16_t asid)
{
	scan(hash, of_asid, &(struct range){ .asid = asid });
}

void hash_forget_vmid(struct hash_mutex *hash, uint16_t vmid)
{
	scan(hash, of_vmid, &(struct range){ .vmid = vmid });
}
