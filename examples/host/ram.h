/* SPDX-License-Identifier: MIT */
/* Guest memory: one reservation of host address space, of which pages are made known. */
#ifndef HOST_RAM_H
#define HOST_RAM_H

#include <glib.h>
#include <stdint.h>

#include "library.h"

#define PAGE_BYTES 4096u

struct ram {
	uint64_t base;
	uint64_t size;
	uint8_t *host;
	guint8 *known; /* one byte a page: it exists in the guest's memory map */
};

/* Reserves [base, base + size), both multiples of the page size; no page is known yet. */
gboolean ram_reserve(struct ram *ram, uint64_t base, uint64_t size);
void ram_free(struct ram *ram);

/* Makes the pages that [address, address + length) touches known. */
void ram_know(struct ram *ram, uint64_t address, uint64_t length);

/* Registers each run of known pages with the device. */
gboolean ram_register(const struct ram *ram, const struct library *library, vsmmu_t *smmu);

/* Host pointer of guest memory; NULL outside the reservation. */
void *ram_at(const struct ram *ram, uint64_t address, uint64_t length);

/* Little-endian words, as the SMMU sees them; the address is in the reservation. */
uint64_t ram_read64(const struct ram *ram, uint64_t address);
void ram_write64(const struct ram *ram, uint64_t address, uint64_t value);

#endif
