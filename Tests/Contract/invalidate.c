/* SPDX-License-Identifier: MIT */
/* HWPT_INVALIDATE of a vIOMMU: each command, and fields that it does not have. Linux 7.2 looks at
 * the opcode alone, 7.3 at every field. */
#include "contract.h"

#define STREAM ((uint64_t)VSID << 32)
#define ASID UINT64_C(0x0007000000000000)
#define VMID UINT64_C(0x0000005500000000)
#define HIGH(bit) (UINT64_C(1) << (bit))
/* It reaches the hardware, which may know better. */
#define RESERVED (-1)

static uint64_t commands[300][2];

struct one {
	const char *name;
	uint64_t low, high;
	int want, want_7_2;
};

static const struct one ones[] = {
	{"NH_ALL", TLBI_NH_ALL, 0, 0, 0},
	{"NH_ALL, VMID", TLBI_NH_ALL | VMID, 0, 0, 0},
	{"NH_ALL, ASID", TLBI_NH_ALL | ASID, 0, EIO, 0},
	{"NH_ALL, word 1", TLBI_NH_ALL, 1, EIO, 0},
	{"NH_ALL, bit 8", TLBI_NH_ALL | HIGH(8), 0, EIO, 0},
	{"NH_ASID", TLBI_NH_ASID | ASID, 0, 0, 0},
	{"NH_ASID, VMID", TLBI_NH_ASID | ASID | VMID, 0, 0, 0},
	{"NH_ASID, bit 8", TLBI_NH_ASID | ASID | HIGH(8), 0, EIO, 0},
	{"NH_ASID, word 1", TLBI_NH_ASID | ASID, 1, EIO, 0},
	{"NH_VA", TLBI_NH_VA | ASID, 0x123456789000, 0, 0},
	{"NH_VA, leaf", TLBI_NH_VA | ASID, 0x123456789001, 0, 0},
	{"NH_VA, VMID", TLBI_NH_VA | ASID | VMID, 0x123456789000, 0, 0},
	{"NH_VA, 64-bit address", TLBI_NH_VA | ASID, UINT64_C(0xfff0123456789001), 0, 0},
	{"NH_VA, range", TLBI_NH_VA | ASID | 3 << 12 | 2 << 20, 0x700001 | 1 << 10 | 3 << 8, 0, 0},
	{"NH_VA, range without TTL", TLBI_NH_VA | ASID | 3 << 12, 0x700001 | 1 << 10, 0, 0},
	{"NH_VA, TG without a range", TLBI_NH_VA | ASID, 0x700001 | 1 << 10, EIO, RESERVED},
	{"NH_VA, NUM without TG", TLBI_NH_VA | ASID | 1 << 12, 0x700001, EIO, 0},
	{"NH_VA, SCALE without TG", TLBI_NH_VA | ASID | 1 << 20, 0x700001, EIO, 0},
	{"NH_VA, TTL without TG", TLBI_NH_VA | ASID, 0x700001 | 1 << 8, EIO, 0},
	{"NH_VA, 16K and TTL 1", TLBI_NH_VA | ASID | 1 << 12, 0x700001 | 2 << 10 | 1 << 8, EIO, 0},
	{"NH_VA, 16K and TTL 2", TLBI_NH_VA | ASID | 1 << 12, 0x700001 | 2 << 10 | 2 << 8, 0, 0},
	{"NH_VA, SCALE 32", TLBI_NH_VA | ASID | HIGH(25), 0x700001 | 1 << 10, EIO, RESERVED},
	{"NH_VA, bit 8", TLBI_NH_VA | ASID | HIGH(8), 0x1000, EIO, 0},
	{"NH_VA, bit 17", TLBI_NH_VA | ASID | HIGH(17), 0x1000, EIO, 0},
	{"NH_VA, word 1 bit 1", TLBI_NH_VA | ASID, 0x1002, EIO, 0},
	{"NH_VAA", TLBI_NH_VAA, 0x123456789000, 0, 0},
	{"NH_VAA, leaf and VMID", TLBI_NH_VAA | VMID, 0x123456789001, 0, 0},
	{"NH_VAA, ASID", TLBI_NH_VAA | ASID, 0x123456789000, EIO, 0},
	{"NH_VAA, range", TLBI_NH_VAA | 3 << 12, 0x700001 | 1 << 10, 0, 0},
	{"NSNH_ALL", TLBI_NSNH_ALL, 0, 0, 0},
	{"NSNH_ALL, VMID", TLBI_NSNH_ALL | VMID, 0, EIO, 0},
	{"NSNH_ALL, word 1", TLBI_NSNH_ALL, 1, EIO, 0},
	{"CFGI_CD", CFGI_CD | STREAM, 0, 0, 0},
	{"CFGI_CD, leaf", CFGI_CD | STREAM, 1, 0, 0},
	{"CFGI_CD, SubstreamID without substreams", CFGI_CD | STREAM | 5 << 12, 1, EIO, 0},
	{"CFGI_CD, SSV", CFGI_CD | STREAM | HIGH(11), 1, EIO, 0},
	{"CFGI_CD, word 1 bit 1", CFGI_CD | STREAM, 3, EIO, 0},
	{"CFGI_CD, no such stream", CFGI_CD | HIGH(32), 1, EIO, EIO},
	{"CFGI_CD_ALL", CFGI_CD_ALL | STREAM, 0, 0, 0},
	{"CFGI_CD_ALL, word 1", CFGI_CD_ALL | STREAM, 1, EIO, 0},
	{"CFGI_CD_ALL, no such stream", CFGI_CD_ALL | HIGH(32), 0, EIO, EIO},
	{"ATC_INV without ATS", ATC_INV | STREAM, 0x34, EIO, 0},
	{"ATC_INV, no such stream", ATC_INV | HIGH(32), 0x34, EIO, EIO},
};

static void opcode_rows(const struct lab *lab)
{
	static const uint8_t refused[] = {
		0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x18, 0x1a, 0x20, 0x21, 0x22, 0x28, 0x2a,
		0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x50, 0x55, 0x70, 0x80, 0xff,
	};

	for (size_t i = 0; i < COUNT(refused); i++)
		row_with(text("opcode %#04x", refused[i]),
			 invalidate_one(lab, refused[i] | STREAM, 0), EIO, "done=0/1");
}

static void field_rows(const struct lab *lab)
{
	for (size_t i = 0; i < COUNT(ones); i++) {
		int want = since_7_3(ones[i].want, ones[i].want_7_2);

		if (want == RESERVED)
			want = sys.refuses_reserved_ranges ? ETIMEDOUT : 0;
		row_with(ones[i].name, invalidate_one(lab, ones[i].low, ones[i].high), want,
			 want ? "done=0/1" : "done=1/1");
	}
}

static int64_t whole(const struct lab *lab, uint32_t id, uint32_t type, uint32_t length,
		     uint32_t count, uint64_t data, uint32_t reserved)
{
	struct iommufd_hwpt_invalidate a = {
		.size = sizeof(a), .hwpt_id = id, .data_uptr = data, .data_type = type,
		.entry_len = length, .entry_num = count, .reserved = reserved,
	};
	int64_t result = call(lab, IOMMUFD_HWPT_INVALIDATE, &a);

	note("done=%u/%u", a.entry_num, count);
	return result;
}

static void argument_rows(const struct lab *lab)
{
	uint64_t nested = (uint64_t)hwpt_nested(lab, STE_BYPASS, 0);
	uint64_t to = POINTER(commands);
	uint32_t viommu = lab->viommu;

	commands[0][0] = commands[2][0] = TLBI_NH_ALL;
	row_with("reserved", whole(lab, viommu, 1, 16, 1, to, 1), EOPNOTSUPP, "done=0/1");
	row_with("no commands", whole(lab, viommu, 1, 16, 0, to, 0), EINVAL, "done=0/0");
	row_with("no commands, no pointer", whole(lab, viommu, 1, 0, 0, 0, 0), EINVAL, "done=0/0");
	row_with("no commands, data type 0", whole(lab, viommu, 0, 16, 0, to, 0), EINVAL, "done=0/0");
	row_with("no pointer", whole(lab, viommu, 1, 16, 1, 0, 0), EINVAL, "done=0/1");
	row_with("data type 0", whole(lab, viommu, 0, 16, 1, to, 0), EINVAL, "done=0/1");
	row_with("data type 99", whole(lab, viommu, 99, 16, 1, to, 0), EINVAL, "done=0/1");
	row_with("length 0", whole(lab, viommu, 1, 0, 1, to, 0), EINVAL, "done=0/1");
	row_with("length 8", whole(lab, viommu, 1, 8, 1, to, 0), 0, "done=1/1");
	row_with("length 32, zero tail", whole(lab, viommu, 1, 32, 2, to, 0), 0, "done=2/2");
	commands[1][0] = 1;
	row_with("length 32, other tail", whole(lab, viommu, 1, 32, 1, to, 0), E2BIG, "done=0/1");
	commands[1][0] = commands[2][0] = 0;
	row_with("length 4097", whole(lab, viommu, 1, 4097, 1, to, 0), EINVAL, "done=0/1");
	row_with("length 4096", whole(lab, viommu, 1, 4096, 1, to, 0), 0, "done=1/1");
	row_with("2^19+1 commands", whole(lab, viommu, 1, 16, (1 << 19) + 1, to, 0), EINVAL,
		 "done=0/524289");
	row_with("no object", whole(lab, 99, 1, 16, 1, to, 0), ENOENT, "done=0/1");
	row_with("an IOAS", whole(lab, lab->ioas, 1, 16, 1, to, 0), EINVAL, "done=0/1");
	row_with("the nest parent", whole(lab, lab->parent, 1, 16, 1, to, 0), EINVAL, "done=0/1");
	row_with("a nested HWPT", whole(lab, (uint32_t)nested, 1, 16, 1, to, 0), EOPNOTSUPP,
		 "done=0/1");
	row_with("a vDEVICE", whole(lab, lab->vdevice, 1, 16, 1, to, 0), EINVAL, "done=0/1");
}

void invalidate_rows(void)
{
	struct lab lab = lab_open(VDEVICE);

	section("inv");
	argument_rows(&lab);
	opcode_rows(&lab);
	field_rows(&lab);
	row("DESTROY the vDEVICE", destroy(&lab, lab.vdevice), 0);
	row_with("CFGI_CD then", invalidate_one(&lab, CFGI_CD | STREAM, 1), EIO, "done=0/1");
	lab_close(&lab);
}

/* `count` commands, of which the one at `bad` is. */
static int64_t batch(const struct lab *lab, unsigned count, unsigned bad, uint64_t opcode)
{
	for (unsigned i = 0; i < count; i++) {
		commands[i][0] = i == bad ? opcode : TLBI_NH_VA | ASID;
		commands[i][1] = i == bad ? 0 : 0x123456000 + PAGE * i;
	}
	return invalidate(lab, lab->viommu, commands, 16, count);
}

/* What is reported where a command in the middle is refused: all before it, issued or not. */
void batch_rows(void)
{
	static const struct {
		unsigned count, bad;
	} batches[] = {
		{5, 0}, {5, 3}, {5, 4}, {63, 62}, {64, 1}, {64, 62}, {64, 63}, {126, 125},
		{127, 126}, {200, 62}, {200, 63}, {200, 64}, {200, 126}, {200, 130}, {200, 199},
	};
	static const unsigned good[] = {1, 5, 62, 63, 64, 65, 126, 127, 200, 300};
	struct lab lab = lab_open(VDEVICE);

	section("batch");
	for (size_t i = 0; i < COUNT(good); i++)
		row_with(text("%u good ones", good[i]), batch(&lab, good[i], 999, 0), 0,
			 text("done=%u/%u", good[i], good[i]));
	for (size_t i = 0; i < COUNT(batches); i++)
		row_with(text("%u with SYNC at %u", batches[i].count, batches[i].bad),
			 batch(&lab, batches[i].count, batches[i].bad, CMD_SYNC), EIO,
			 text("done=%u/%u", batches[i].bad, batches[i].count));
	row_with("200 with a CFGI_CD of no stream at 130",
		 batch(&lab, 200, 130, CFGI_CD | HIGH(32)), EIO, "done=130/200");
	row_with("200 with a CFGI_CD at 130", batch(&lab, 200, 130, CFGI_CD | STREAM), 0,
		 "done=200/200");
	memset(commands, 0, sizeof(commands));
	for (unsigned i = 0; i < 20; i++)
		commands[2 * i][0] = TLBI_NH_ALL;
	commands[19][0] = 1;
	row_with("20 of 32 bytes, the tail of 9 is not zero",
		 invalidate(&lab, lab.viommu, commands, 32, 20), E2BIG, "done=0/20");
	lab_close(&lab);
}
