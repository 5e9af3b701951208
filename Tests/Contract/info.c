/* SPDX-License-Identifier: MIT */
/* GET_HW_INFO. What the registers say differs between machines; how they are told does not. */
#include "contract.h"

static uint8_t data[64];

static int64_t info(const struct lab *lab, uint32_t flags, uint32_t device, uint32_t type,
		    uint32_t length, uint64_t pointer)
{
	struct iommufd_hw_info a = {
		.size = sizeof(a), .flags = flags, .dev_id = device, .data_len = length,
		.data_uptr = pointer, .data_type = type, .out_max_pasid_log2 = 99,
		.out_capabilities = UINT64_MAX,
	};
	int64_t result;

	memset(data, 0xee, sizeof(data));
	result = call(lab, IOMMUFD_GET_HW_INFO, &a);
	if (result >= 0)
		note("type=%u length=%u pasid=%u caps=%#" PRIx64, a.data_type, a.data_len,
		     a.out_max_pasid_log2, a.out_capabilities);
	return result;
}

/* Which bytes were written, and whether those behind the 40 are zero. */
static void touched(void)
{
	size_t last = sizeof(data);

	while (last && data[last - 1] == 0xee)
		last--;
	note("written=%zu", last);
}

static void register_rows(void)
{
	struct iommufd_hw_info_arm_smmuv3 registers;

	memcpy(&registers, data, sizeof(registers));
	note("flags=%u reserved=%u", registers.flags, registers.reserved);
	note("S1P=%u S2P=%u TTF=%u", registers.idr[0] >> 1 & 1, registers.idr[0] & 1,
	     registers.idr[0] >> 2 & 3);
	row_with("the registers", 0, 0, "flags=0 reserved=0 S1P=1 S2P=1 TTF=2");
}

static void length_rows(const struct lab *lab)
{
	static const uint32_t lengths[] = {0, 8, 39, 40, 64};
	uint64_t to = POINTER(data);

	for (size_t i = 0; i < COUNT(lengths); i++) {
		int64_t result = info(lab, 0, lab->id[0], 0, lengths[i], to);

		touched();
		row_with(text("length %u", lengths[i]), result, 0,
			 text("type=2 length=40 pasid=0 caps=0x8 written=%u", lengths[i]));
	}
	register_rows();
	row("length 8, no buffer", info(lab, 0, lab->id[0], 0, 8, 0), EFAULT);
	row_with("length 0, no buffer", info(lab, 0, lab->id[0], 0, 0, 0), 0,
		 "type=2 length=40 pasid=0 caps=0x8");
}

void info_rows(void)
{
	struct lab lab = lab_open(SPACE);
	struct iommufd_hw_info a = {.size = sizeof(a), .dev_id = lab.id[0], .reserved = {1}};
	uint64_t to = POINTER(data);

	section("info");
	length_rows(&lab);
	row("flags 2", info(&lab, 2, lab.id[0], 0, 40, to), EOPNOTSUPP);
	row("reserved", call(&lab, IOMMUFD_GET_HW_INFO, &a), EOPNOTSUPP);
	row_with("a type without INPUT_TYPE", info(&lab, 0, lab.id[0], 1, 40, to), 0,
		 "type=2 length=40 pasid=0 caps=0x8");
	row_with("INPUT_TYPE, default", info(&lab, 1, lab.id[0], 0, 40, to), 0,
		 "type=2 length=40 pasid=0 caps=0x8");
	row("INPUT_TYPE, VT-d", info(&lab, 1, lab.id[0], 1, 40, to), EOPNOTSUPP);
	row_with("INPUT_TYPE, SMMUv3", info(&lab, 1, lab.id[0], 2, 40, to), 0,
		 "type=2 length=40 pasid=0 caps=0x8");
	row("INPUT_TYPE, CMDQV", info(&lab, 1, lab.id[0], 3, 40, to), EOPNOTSUPP);
	row("INPUT_TYPE, 99", info(&lab, 1, lab.id[0], 99, 40, to), EOPNOTSUPP);
	row("of no object", info(&lab, 0, 99, 0, 40, to), ENOENT);
	row("of an IOAS", info(&lab, 0, lab.ioas, 0, 40, to), ENOENT);
	lab_close(&lab);
}
