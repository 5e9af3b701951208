/* SPDX-License-Identifier: MIT */
/* ATS: who has it, CMD_ATC_INV, and what a device keeps. QEMU's SMMU has none, so these rows run on
 * the emulated kernel alone: they are Linux's sources, written down. */
#include "contract.h"

#define STREAM ((uint64_t)VSID << 32)
#define SILENT UINT64_C(0x5)
#define FROM UINT64_C(0x7000000000)
#define TO UINT64_C(0x7100000000)
#define ALL UINT64_C(52)
#define HIGH(bit) (UINT64_C(1) << (bit))
#define EATS HIGH(28)

static int64_t capabilities(const struct lab *lab, uint32_t device)
{
	struct iommufd_hw_info a = {.size = sizeof(a), .dev_id = device};
	int64_t result = call(lab, IOMMUFD_GET_HW_INFO, &a);

	note("caps=%#" PRIx64, a.out_capabilities);
	return result;
}

/* Without substreams. What 7.2 lets pass the SMMU judges itself. */
static void command_rows(const struct lab *lab)
{
	static const struct {
		const char *name;
		uint64_t low, high;
		int want, want_7_2;
	} rows[] = {
		{"ATC_INV of all", STREAM, ALL, 0, 0},
		{"ATC_INV of a page", STREAM, FROM, 0, 0},
		{"ATC_INV, Size 53", STREAM, ALL + 1, EIO, ETIMEDOUT},
		{"ATC_INV, Size 63", STREAM, 63, EIO, ETIMEDOUT},
		{"ATC_INV, SSV without substreams", STREAM | HIGH(11), ALL, EIO, 0},
		{"ATC_INV, SubstreamID without substreams", STREAM | HIGH(12), ALL, EIO, 0},
		{"ATC_INV, Global without substreams", STREAM | HIGH(9), ALL, EIO, 0},
		{"ATC_INV, bit 8", STREAM | HIGH(8), ALL, EIO, 0},
		{"ATC_INV, SSec", STREAM | HIGH(10), ALL, EIO, ETIMEDOUT},
		{"ATC_INV, word 1 bit 6", STREAM, ALL | HIGH(6), EIO, 0},
		{"ATC_INV, no such stream", HIGH(32), ALL, EIO, EIO},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int want = since_7_3(rows[i].want, rows[i].want_7_2);

		row_with(rows[i].name, invalidate_one(lab, ATC_INV | rows[i].low, rows[i].high), want,
			 want ? "done=0/1" : "done=1/1");
	}
}

static int64_t target(const struct lab *lab)
{
	return copies(lab, FROM, TO, TARGET);
}

static void kept_rows(const struct lab *lab)
{
	const uint64_t both[2][2] = {{TLBI_NH_ALL, 0}, {ATC_INV | STREAM, ALL}};
	const uint64_t late[2][2] = {{ATC_INV | STREAM, ALL}, {TLBI_NH_ALL, 0}};

	row_with("with EATS", target(lab), 0, "copied");
	map_page(TO, OTHER);
	invalidate_one(lab, TLBI_NH_ALL, 0);
	row_with("elsewhere, TLBI: the device keeps it", target(lab), 0, "done=1/1 copied");
	invalidate_one(lab, ATC_INV | STREAM, FROM);
	row_with("ATC_INV of another page", target(lab), 0, "done=1/1 copied");
	invalidate_one(lab, ATC_INV | STREAM, TO);
	row_with("ATC_INV of the page", target(lab), 0, "done=1/1 stopped");
	map_page(TO, TARGET);
	invalidate(lab, lab->viommu, late, 16, 2);
	row_with("ATC_INV before its TLBI: asked for anew", target(lab), 0, "done=2/2 stopped");
	invalidate(lab, lab->viommu, both, 16, 2);
	row_with("ATC_INV behind its TLBI", target(lab), 0, "done=2/2 copied");
}

static void change_rows(const struct lab *lab)
{
	int64_t with = hwpt_nested(lab, STE_STAGE1, STE_ATTRIBUTES | EATS);
	int64_t without = hwpt_nested(lab, STE_STAGE1, STE_ATTRIBUTES);
	int64_t bypass = hwpt_nested(lab, STE_BYPASS, 0);

	map_page(TO, OTHER);
	invalidate_one(lab, TLBI_NH_ALL, 0);
	row_with("elsewhere, TLBI", target(lab), 0, "done=1/1 copied");
	row("attach another with EATS", attach(lab->device[0], (uint32_t)with), 0);
	row_with("which keeps nothing of before", target(lab), 0, "stopped");
	map_page(TO, TARGET);
	invalidate_one(lab, TLBI_NH_ALL, 0);
	row_with("back, TLBI", target(lab), 0, "done=1/1 stopped");
	row("RESET", sys.ioctl(lab->device[0], VFIO_REQUEST_DEVICE_RESET, NULL), 0);
	row_with("keeps nothing", target(lab), 0, "copied");
	row("attach without EATS", attach(lab->device[0], (uint32_t)without), 0);
	target(lab);
	map_page(TO, OTHER);
	invalidate_one(lab, TLBI_NH_ALL, 0);
	row_with("elsewhere, TLBI: nothing is kept", target(lab), 0, "copied done=1/1 stopped");
	row("attach the bypass", attach(lab->device[0], (uint32_t)bypass), 0);
	row_with("keeps stage 2, which the kernel minds", copies(lab, SOURCE, TARGET, TARGET), 0,
		 "copied");
	row_with("unmap it", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), 0, "unmapped=0x100000");
	row_with("gone", copies(lab, SOURCE, TARGET, TARGET), 0, "stopped");
}

/* Device 2 answers no guest. */
static void silent_rows(struct lab *lab)
{
	uint64_t both[2][2] = {{ATC_INV | SILENT << 32, ALL}, {TLBI_NH_ALL, 0}};

	lab->device[2] = sys.open(sys.device(2));
	row("bind a device that does not answer", bind_device(lab->device[2], lab->iommu, &lab->id[2]),
	    0);
	row("its vDEVICE", vdevice_alloc(lab, lab->id[2], SILENT), 0);
	row_with("ATC_INV", invalidate_one(lab, both[0][0], ALL), ETIMEDOUT, "done=0/1");
	row_with("with a TLBI", invalidate(lab, lab->viommu, both, 16, 2), ETIMEDOUT, "done=1/2");
}

void ats_rows(void)
{
	struct lab lab = lab_open(VDEVICE);

	section("ats");
	row_with("capabilities of a device that has it", capabilities(&lab, lab.id[0]), 0, "caps=0");
	row_with("of one that has not", capabilities(&lab, lab.id[1]), 0, "caps=0x8");
	command_rows(&lab);
	write_context();
	map_page(FROM, SOURCE);
	map_page(TO, TARGET);
	row("attach stage 1 with EATS",
	    attach(lab.device[0], (uint32_t)hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES | EATS)), 0);
	kept_rows(&lab);
	silent_rows(&lab);
	change_rows(&lab);
	lab_close(&lab);
}
