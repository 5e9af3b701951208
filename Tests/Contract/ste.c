/* SPDX-License-Identifier: MIT */
/* The guest's STE, bit by bit: which the kernel lets pass to the hardware's. */
#include "contract.h"

struct field {
	const char *name;
	unsigned word, low, high;
	bool permitted; /* every value of it */
};

/* IHI 0070 G.b 5.2. The bits of Config and EATS have rows of their own. */
static const struct field fields[] = {
	{"S1Fmt", 0, 4, 5, true},         {"S1ContextPtr", 0, 6, 51, true},
	{"[58:52]", 0, 52, 58, false},    {"S1CDMax", 0, 59, 63, true},
	{"S1DSS", 1, 0, 1, true},         {"S1CIR", 1, 2, 3, true},
	{"S1COR", 1, 4, 5, true},         {"S1CSH", 1, 6, 7, true},
	{"[11:8]", 1, 8, 11, false},      {"S2HWU59..62", 1, 12, 15, false},
	{"DRE", 1, 16, 16, false},        {"CONT", 1, 17, 17, false},
	{"CONT, rest", 1, 18, 20, false}, {"DCP", 1, 21, 21, false},
	{"PPAR", 1, 22, 22, false},       {"MEV", 1, 23, 23, false},
	{"[26:24]", 1, 24, 26, false},    {"S1STALLD", 1, 27, 27, true},
	{"STRW", 1, 30, 31, false},       {"MemAttr", 1, 32, 35, false},
	{"MTCFG", 1, 36, 36, false},      {"ALLOCCFG", 1, 37, 40, false},
	{"[43:41]", 1, 41, 43, false},    {"SHCFG", 1, 44, 45, false},
	{"NSCFG", 1, 46, 47, false},      {"PRIVCFG", 1, 48, 49, false},
	{"INSTCFG", 1, 50, 51, false},    {"[63:52]", 1, 52, 63, false},
};

/* Asks, and gives it back. */
static int64_t tried(const struct lab *lab, uint64_t ste0, uint64_t ste1)
{
	int64_t id = hwpt_nested(lab, ste0, ste1);

	if (id >= 0)
		destroy(lab, (uint32_t)id);
	return id;
}

static int64_t with_bit(const struct lab *lab, unsigned word, unsigned bit)
{
	uint64_t set = UINT64_C(1) << bit;

	return tried(lab, (STE_STAGE1 & ~UINT64_C(1)) | 1 | (word ? 0 : set),
		     STE_ATTRIBUTES | (word ? set : 0));
}

/* One row for each bit. */
static void field_rows(const struct lab *lab, const struct field *field)
{
	for (unsigned bit = field->low; bit <= field->high; bit++)
		row(text("word %u bit %u, %s", field->word, bit, field->name),
		    with_bit(lab, field->word, bit), field->permitted ? 0 : EIO);
}

static void config_rows(const struct lab *lab)
{
	for (unsigned config = 0; config < 8; config++)
		row(text("Config %u", config), tried(lab, CONTEXT | config << 1 | 1, 0),
		    config == 0 || config == 4 || config == 5 ? 0 : EIO);
}

static void eats_rows(const struct lab *lab)
{
	static const struct {
		const char *name;
		uint64_t ste0;
	} streams[] = {{"abort", STE_ABORT}, {"bypass", STE_BYPASS}, {"stage 1", STE_STAGE1}};

	for (size_t i = 0; i < COUNT(streams); i++)
		for (unsigned eats = 0; eats < 4; eats++)
			row(text("EATS %u, %s", eats, streams[i].name),
			    tried(lab, streams[i].ste0, (uint64_t)eats << 28), eats < 2 ? 0 : EIO);
}

void ste_rows(void)
{
	struct lab lab = lab_open(VDEVICE);

	section("ste");
	config_rows(&lab);
	eats_rows(&lab);
	for (size_t i = 0; i < COUNT(fields); i++)
		field_rows(&lab, &fields[i]);
	row("V 0, all else zero", tried(&lab, 0, 0), 0);
	row("V 0, all else one", tried(&lab, ~UINT64_C(1), UINT64_MAX), 0);
	row("V 1, all else one", tried(&lab, UINT64_MAX, UINT64_MAX), EIO);
	row("abort with a context", tried(&lab, STE_ABORT | CONTEXT, STE_ATTRIBUTES), 0);
	row("bypass with a context", tried(&lab, STE_BYPASS | CONTEXT, STE_ATTRIBUTES), 0);
	row("abort with SHCFG", tried(&lab, STE_ABORT, UINT64_C(1) << 44), EIO);
	lab_close(&lab);
}
