/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <string.h>

#include "smmu.h"

/* The first value that one of the captures read of a register. */
static uint64_t read_value(const struct capture *const *captures, guint count, uint64_t offset)
{
	uint64_t value = UINT64_MAX;

	for (guint i = 0; i < count && value == UINT64_MAX; i++)
		value = capture_register(captures[i], 'R', offset, UINT64_MAX);
	return value;
}

uint64_t load_corrected(const struct capture *const *captures, guint count, uint64_t offset,
			uint64_t value)
{
	uint64_t idr0 = read_value(captures, count, SMMU_IDR0);

	if (offset != SMMU_IDR3 || idr0 == UINT64_MAX || (idr0 & IDR0_S1P) != 0)
		return value;
	return value & ~(uint64_t)IDR3_HAD;
}

char *load_features(const struct capture *const *captures, guint count)
{
	static const struct {
		uint64_t offset;
		const char *name;
	} registers[] = {
		{ 0x00, "IDR0" }, { 0x04, "IDR1" }, { 0x08, "IDR2" }, { 0x0c, "IDR3" },
		{ 0x10, "IDR4" }, { 0x14, "IDR5" }, { 0x18, "IIDR" }, { 0x1c, "AIDR" },
	};
	GString *features = g_string_new(NULL);

	for (guint r = 0; r < G_N_ELEMENTS(registers); r++) {
		uint64_t value = read_value(captures, count, registers[r].offset);

		if (value == UINT64_MAX)
			continue;
		value = load_corrected(captures, count, registers[r].offset, value);
		g_string_append_printf(features, "%s%s=0x%x", features->len ? "," : "",
				       registers[r].name, (unsigned)value);
	}
	return g_string_free(features, FALSE);
}

/* A range of guest memory that a line needs; zero bytes for lines that need none. */
struct range {
	uint64_t address;
	uint64_t bytes;
};

/* Both formats of the stream table: the larger of the two, STEs or L1STDs, is what may be read. */
static struct range stream_table(const struct capture *capture, uint64_t base)
{
	uint64_t config = capture_register(capture, 'W', SMMU_STRTAB_BASE_CFG, 0);
	unsigned log2size = (unsigned)bits(config, 5, 0);
	unsigned split = (unsigned)bits(config, 10, 6);
	gboolean two_level = bits(config, 17, 16) == 1;
	uint64_t entries = two_level && log2size > split ? UINT64_C(1) << (log2size - split) : 1;
	uint64_t bytes = two_level ? entries * 8 : UINT64_C(64) << log2size;

	return (struct range){ bits(base, 55, 6) << 6, bytes };
}

static struct range needed(const struct capture *capture, const struct item *item)
{
	if (item->kind == 'P')
		return (struct range){ item->number[0], PAGE_BYTES };
	if (item->kind != 'W')
		return (struct range){ 0, 0 };
	switch (item->number[0]) {
	case SMMU_CMDQ_BASE:
		return (struct range){ queue_address(item->number[2]),
				       (uint64_t)COMMAND_BYTES << queue_log2size(item->number[2]) };
	case SMMU_EVENTQ_BASE:
		return (struct range){ queue_address(item->number[2]),
				       (uint64_t)EVENT_BYTES << queue_log2size(item->number[2]) };
	case SMMU_STRTAB_BASE:
		return stream_table(capture, item->number[2]);
	default:
		return (struct range){ 0, 0 };
	}
}

static void span(const struct capture *capture, uint64_t *low, uint64_t *high)
{
	const struct item *item;

	for (guint i = 0; (item = capture_item(capture, i)) != NULL; i++) {
		struct range range = needed(capture, item);

		if (range.bytes == 0)
			continue;
		*low = MIN(*low, range.address);
		*high = MAX(*high, range.address + range.bytes);
	}
}

gboolean load_ram(struct ram *ram, const struct capture *const *captures, guint count,
		  gboolean everything)
{
	const uint64_t mask = PAGE_BYTES - 1;
	uint64_t low = UINT64_MAX, high = 0;
	const struct item *item;

	for (guint i = 0; i < count; i++)
		span(captures[i], &low, &high);
	if (low >= high || !ram_reserve(ram, low & ~mask, ((high + mask) & ~mask) - (low & ~mask)))
		return FALSE;
	if (everything)
		ram_know(ram, ram->base, ram->size);
	for (guint i = 0; i < count && !everything; i++) {
		for (guint j = 0; (item = capture_item(captures[i], j)) != NULL; j++) {
			struct range range = needed(captures[i], item);

			if (range.bytes > 0)
				ram_know(ram, range.address, range.bytes);
		}
	}
	return TRUE;
}

gboolean load_streams(const struct machine *machine, const struct capture *const *captures,
		      guint count)
{
	const struct item *item;

	if (machine->library->stream_add(machine->smmu, NO_STREAM) < 0)
		return FALSE;
	for (guint i = 0; i < count; i++) {
		for (guint j = 0; (item = capture_item(captures[i], j)) != NULL; j++) {
			int32_t error;

			if (strchr("TDF", item->kind) == NULL)
				continue;
			error = machine->library->stream_add(machine->smmu,
							     (uint32_t)item->number[0]);
			if (error < 0 && error != -EEXIST)
				return FALSE;
		}
	}
	return TRUE;
}

static void load_bytes(const struct ram *ram, uint64_t address, const char *hex)
{
	size_t count = strlen(hex) / 2;
	uint8_t *at = ram_at(ram, address, count);

	for (size_t i = 0; at != NULL && i < count; i++)
		at[i] = (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 |
				  g_ascii_xdigit_value(hex[2 * i + 1]));
}

void load_memory(const struct ram *ram, const struct capture *snapshot)
{
	const struct item *item;

	for (guint i = 0; (item = capture_item(snapshot, i)) != NULL; i++) {
		if (item->kind == 'P')
			memset(ram_at(ram, item->number[0], PAGE_BYTES), 0, PAGE_BYTES);
		else if (item->kind == 'M')
			load_bytes(ram, item->number[0], item->text);
	}
}
