/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "ram.h"

#include <string.h>
#include <sys/mman.h>

gboolean ram_reserve(struct ram *ram, uint64_t base, uint64_t size)
{
	void *host = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED)
		return FALSE;
	*ram = (struct ram){ .base = base, .size = size, .host = host };
	ram->known = g_malloc0(size / PAGE_BYTES);
	return TRUE;
}

void ram_free(struct ram *ram)
{
	if (ram->host != NULL)
		munmap(ram->host, ram->size);
	g_free(ram->known);
	*ram = (struct ram){ 0 };
}

void ram_know(struct ram *ram, uint64_t address, uint64_t length)
{
	uint64_t first = (address - ram->base) / PAGE_BYTES;
	uint64_t last = (address - ram->base + length - 1) / PAGE_BYTES;

	g_assert(ram_at(ram, address, length) != NULL);
	memset(ram->known + first, 1, last - first + 1);
}

gboolean ram_register(const struct ram *ram, const struct library *library, vsmmu_t *smmu)
{
	uint64_t pages = ram->size / PAGE_BYTES;

	for (uint64_t first = 0; first < pages; first++) {
		uint64_t end = first;

		while (end < pages && ram->known[end])
			end++;
		if (end == first)
			continue;
		if (library->ram_add(smmu, ram->base + first * PAGE_BYTES,
				     (end - first) * PAGE_BYTES,
				     ram->host + first * PAGE_BYTES) < 0)
			return FALSE;
		first = end;
	}
	return TRUE;
}

void *ram_at(const struct ram *ram, uint64_t address, uint64_t length)
{
	if (address < ram->base || length > ram->size || address - ram->base > ram->size - length)
		return NULL;
	return ram->host + (address - ram->base);
}

uint64_t ram_read64(const struct ram *ram, uint64_t address)
{
	uint64_t word;

	memcpy(&word, ram_at(ram, address, sizeof word), sizeof word);
	return GUINT64_FROM_LE(word);
}

void ram_write64(const struct ram *ram, uint64_t address, uint64_t value)
{
	uint64_t word = GUINT64_TO_LE(value);

	memcpy(ram_at(ram, address, sizeof word), &word, sizeof word);
}
