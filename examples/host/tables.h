/* SPDX-License-Identifier: MIT */
/* A guest driver's tables: stream table entries, context descriptors, translation tables (4 KiB
 * granule, 39-bit input, so that both stages start at level 1). */
#ifndef HOST_TABLES_H
#define HOST_TABLES_H

#include "ram.h"

#define INPUT_BITS 39u

/* Takes pages one after the other. */
struct pages {
	struct ram *ram;
	uint64_t next;
};

/* `bytes` of zeroed memory, aligned to their size; a power of two of at least a page. */
uint64_t pages_take(struct pages *pages, uint64_t bytes);

/* One address space. Table pointers are written with `shift` subtracted: 0 where the SMMU reads the
 * tables by physical address, the distance of IPA and PA where stage 2 translates them. */
struct space {
	struct pages *pages;
	unsigned stage; /* 1 or 2 */
	uint64_t root;  /* physical address of the level 1 table */
	uint64_t shift;
};

#define SPACE_READ 1u
#define SPACE_WRITE 2u

struct space space_new(struct pages *pages, unsigned stage, uint64_t shift);

/* Maps one page (level 3), 2 MiB (level 2) or 1 GiB (level 1). Replaces what was mapped there. */
void space_map(struct space *space, uint64_t input, uint64_t output, unsigned level,
	       unsigned rights);
void space_unmap(struct space *space, uint64_t input, unsigned level);

/* Where the descriptor of `input` at `level` lies; tables on the way are made. */
uint64_t space_descriptor(struct space *space, uint64_t input, unsigned level);

/* A context for a stage 1 space; returns the CD's physical address. */
uint64_t context_new(struct pages *pages, const struct space *space, uint16_t asid,
		     unsigned output_size);

/* Writes the STE at `address`: stage 1 if `context` is not 0, stage 2 if `second` is not NULL,
 * bypass if neither. `context` is what the SMMU reads it by, so an IPA if there is a stage 2. */
void stream_write(const struct ram *ram, uint64_t address, uint64_t context,
		  const struct space *second, uint16_t vmid, unsigned output_size);

#endif
