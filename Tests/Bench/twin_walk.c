/* SPDX-License-Identifier: MIT */
/* The limit of a walk: four loads of stage 1, each address checked, and 24 where it is nested. */
#include "twin.h"

#include <stdlib.h>

#define OUTPUT_MASK UINT64_C(0xfffffffff000)
#define AF (UINT64_C(1) << 10)

static inline bool load(struct twin *twin, uint64_t address, uint64_t *word)
{
	uint64_t offset = address - RAM;

	if (offset > ARENA_SIZE - 8)
		return false;
	*word = __atomic_load_n((const uint64_t *)(twin->ram + offset), __ATOMIC_ACQUIRE);
	return true;
}

static inline bool walk_stage2(struct twin *twin, uint64_t root, uint64_t ipa, uint64_t *output,
			       unsigned *permissions)
{
	uint64_t table = root, entry = 0;

	if (ipa >> 48)
		return false;
	for (int shift = 39;; shift -= 9) {
		if (!load(twin, table + (ipa >> shift & 0x1ff) * 8, &entry) || (entry & 3) != 3)
			return false;
		table = entry & OUTPUT_MASK;
		if (shift == 12)
			break;
	}
	if (!(entry & AF))
		return false;
	*output = table | (ipa & 0xfff);
	*permissions = (unsigned)(entry >> 6 & 3) | (entry >> 54 & 1 ? 0 : 4);
	return true;
}

/* AP[2:1], UXN, PXN and their table bits as read, write, execute; privileged << 8. */
static inline unsigned fold(uint64_t leaf, uint64_t tables)
{
	unsigned read_only = (unsigned)((leaf >> 7 | tables >> 62) & 1);
	unsigned user = (unsigned)(leaf >> 6 & ~(tables >> 61) & 1);
	unsigned privileged = 1 | (read_only ? 0 : 2) | ((leaf >> 53 | tables >> 59) & 1 ? 0 : 4);
	unsigned unprivileged = user ? 1u | (read_only ? 0 : 2) : 0;

	if (!((leaf >> 54 | tables >> 60) & 1))
		unprivileged |= 4;
	return unprivileged | privileged << 8;
}

bool twin_walk(struct twin *twin, const struct twin_stream *stream, uint64_t address,
	       uint64_t *output, unsigned *permissions)
{
	uint64_t table = stream->stage1, entry = 0, tables = 0;
	unsigned below;

	for (int shift = 39;; shift -= 9) {
		uint64_t slot = table + (address >> shift & 0x1ff) * 8;

		if (stream->stage2 && (!walk_stage2(twin, stream->stage2, slot, &slot, &below) ||
				       !(below & 1)))
			return false;
		if (!load(twin, slot, &entry) || (entry & 3) != 3)
			return false;
		table = entry & OUTPUT_MASK;
		if (shift == 12)
			break;
		tables |= entry;
	}
	if (!(entry & AF))
		return false;
	*permissions = fold(entry, tables);
	*output = table;
	if (stream->stage2) {
		if (!walk_stage2(twin, stream->stage2, table, output, &below))
			return false;
		*permissions &= below | below << 8;
	}
	return true;
}

void twin_open(struct twin *twin, struct machine *machine)
{
	memset(twin, 0, sizeof(*twin));
	twin->ram = machine->guest.ram;
	twin->micro = aligned_alloc(64, TWIN_MICRO_ROWS * sizeof(*twin->micro));
	twin->rows = aligned_alloc(64, TWIN_ROWS * sizeof(*twin->rows));
	if (!twin->micro || !twin->rows)
		bench_fail("no memory for the C limit");
	memset(twin->micro, 0, TWIN_MICRO_ROWS * sizeof(*twin->micro));
	memset(twin->rows, 0, TWIN_ROWS * sizeof(*twin->rows));
	twin->clock = 1;
}

void twin_close(struct twin *twin)
{
	free(twin->micro);
	free(twin->rows);
}

void twin_stream(struct twin *twin, uint32_t stream, uint64_t stage1, uint64_t stage2,
		 uint16_t asid, uint16_t vmid)
{
	twin->streams[stream & 15] = (struct twin_stream){
		.stage1 = stage1, .stage2 = stage2, .tag = asid | (uint64_t)vmid << 16,
		.mair = 0xff, .valid = true,
	};
}

void twin_forget_micro(struct twin *twin)
{
	twin_lock(twin);
	__atomic_store_n(&twin->clock, twin->clock + 1, __ATOMIC_SEQ_CST);
	twin_unlock(twin);
}

void twin_copy(const struct machine *machine, const uint64_t *pages, void *data, uint64_t length)
{
	for (uint64_t done = 0; done < length; done += 4096)
		memcpy((uint8_t *)data + done, machine->guest.ram + (pages[done / 4096] - RAM),
		       length - done < 4096 ? length - done : 4096);
}
