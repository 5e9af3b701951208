/* SPDX-License-Identifier: MIT */
#include "tables.h"

#include <string.h>

/* Fields of descriptors, DDI 0487 D8.3.1. */
#define TABLE UINT64_C(3)
#define BLOCK UINT64_C(1)
#define PAGE UINT64_C(3)
#define ACCESS_FLAG (UINT64_C(1) << 10)
#define INNER_SHAREABLE (UINT64_C(3) << 8)
#define STAGE1_USER (UINT64_C(1) << 6)
#define STAGE1_READ_ONLY (UINT64_C(1) << 7)
#define STAGE1_NOT_GLOBAL (UINT64_C(1) << 11)
#define STAGE2_WRITE_BACK (UINT64_C(15) << 2)
#define OUTPUT UINT64_C(0x0000fffffffff000)

uint64_t pages_take(struct pages *pages, uint64_t bytes)
{
	uint64_t address = (pages->next + bytes - 1) & ~(bytes - 1);

	g_assert(ram_at(pages->ram, address, bytes) != NULL);
	memset(ram_at(pages->ram, address, bytes), 0, bytes);
	pages->next = address + bytes;
	return address;
}

struct space space_new(struct pages *pages, unsigned stage, uint64_t shift)
{
	return (struct space){ .pages = pages, .stage = stage, .shift = shift,
			       .root = pages_take(pages, PAGE_BYTES) };
}

uint64_t space_descriptor(struct space *space, uint64_t input, unsigned level)
{
	const struct ram *ram = space->pages->ram;
	uint64_t table = space->root;

	for (unsigned at = 1;; at++) {
		uint64_t address = table + (input >> (39 - 9 * at) & 511) * 8;

		if (at == level)
			return address;
		if (ram_read64(ram, address) == 0)
			ram_write64(ram, address,
				    (pages_take(space->pages, PAGE_BYTES) - space->shift) | TABLE);
		table = (ram_read64(ram, address) & OUTPUT) + space->shift;
	}
}

void space_map(struct space *space, uint64_t input, uint64_t output, unsigned level,
	       unsigned rights)
{
	uint64_t descriptor = output | ACCESS_FLAG | INNER_SHAREABLE | (level == 3 ? PAGE : BLOCK);

	if (space->stage == 1)
		descriptor |= STAGE1_USER | STAGE1_NOT_GLOBAL |
			      ((rights & SPACE_WRITE) ? 0 : STAGE1_READ_ONLY);
	else
		descriptor |= STAGE2_WRITE_BACK | (uint64_t)rights << 6; /* S2AP: read 1, write 2 */
	ram_write64(space->pages->ram, space_descriptor(space, input, level), descriptor);
}

void space_unmap(struct space *space, uint64_t input, unsigned level)
{
	ram_write64(space->pages->ram, space_descriptor(space, input, level), 0);
}

/* IHI 0070 G.b 5.4. */
uint64_t context_new(struct pages *pages, const struct space *space, uint16_t asid,
		     unsigned output_size)
{
	uint64_t address = pages_take(pages, PAGE_BYTES);
	uint64_t word = 64 - INPUT_BITS;         /* T0SZ; TG0 0 is the 4 KiB granule */

	word |= UINT64_C(1) << 8 | 1 << 10 | 3 << 12; /* IR0, OR0 write-back; SH0 inner */
	word |= UINT64_C(1) << 30;               /* EPD1: no upper half */
	word |= UINT64_C(1) << 31;               /* V */
	word |= (uint64_t)output_size << 32;     /* IPS */
	word |= UINT64_C(1) << 41;               /* AA64 */
	word |= UINT64_C(3) << 45;               /* R: record faults, A: and abort them */
	word |= UINT64_C(1) << 47;               /* ASET: the ASID is the driver's own */
	word |= (uint64_t)asid << 48;
	ram_write64(pages->ram, address, word);
	ram_write64(pages->ram, address + 8, space->root - space->shift); /* TTB0 */
	ram_write64(pages->ram, address + 24, 0xff);                      /* MAIR0: index 0 */
	return address;
}

/* IHI 0070 G.b 5.2. */
static uint64_t stage2_word(uint16_t vmid, unsigned output_size)
{
	uint64_t word = vmid;

	word |= (uint64_t)(64 - INPUT_BITS) << 32;                      /* S2T0SZ */
	word |= UINT64_C(1) << 38;                                      /* S2SL0: level 1 */
	word |= UINT64_C(1) << 40 | UINT64_C(1) << 42 | UINT64_C(3) << 44; /* IR0, OR0, SH0 */
	word |= (uint64_t)output_size << 48;                            /* S2PS */
	word |= UINT64_C(1) << 51;                                      /* S2AA64 */
	word |= UINT64_C(1) << 58;                                      /* S2R: record faults */
	return word;
}

void stream_write(const struct ram *ram, uint64_t address, uint64_t context,
		  const struct space *second, uint16_t vmid, unsigned output_size)
{
	uint64_t config = 4 | (context != 0 ? 1 : 0) | (second != NULL ? 2 : 0);
	uint64_t word = UINT64_C(1) << 44; /* SHCFG: incoming */

	if (context != 0)
		word |= 1 << 2 | 1 << 4 | 3 << 6; /* S1CIR, S1COR write-back; S1CSH inner */
	ram_write64(ram, address + 8, word);
	ram_write64(ram, address + 16, second != NULL ? stage2_word(vmid, output_size) : vmid);
	ram_write64(ram, address + 24, second != NULL ? second->root : 0); /* S2TTB */
	/* V goes last, for an SMMU that is looking. */
	ram_write64(ram, address, context | config << 1 | 1);
}
