/* SPDX-License-Identifier: MIT */
/* HWPT_ALLOC: flags, kinds of parents, data; dirty tracking. */
#include "contract.h"

#define NEST IOMMUFD_HWPT_NEST_PARENT
#define DIRTY IOMMUFD_HWPT_DIRTY_TRACKING
#define FAULT IOMMUFD_HWPT_FAULT_ID_VALID
#define PASID IOMMUFD_HWPT_PASID

static int64_t alloc(const struct lab *lab, uint32_t pt, uint32_t flags, uint32_t type,
		     uint32_t length, uint64_t data, uint32_t fault)
{
	struct iommufd_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags, .dev_id = lab->id[0], .pt_id = pt,
		.data_type = type, .data_len = length, .data_uptr = data, .fault_id = fault,
	};
	int64_t result = call(lab, IOMMUFD_HWPT_ALLOC, &a);

	return result < 0 ? result : a.out_hwpt_id;
}

static void paging_rows(const struct lab *lab, uint32_t fault)
{
	static const struct {
		const char *name;
		uint32_t flags;
		int want;
	} rows[] = {
		{"of an IOAS, no flags", 0, 0},
		{"NEST_PARENT", NEST, 0},
		{"DIRTY_TRACKING", DIRTY, EOPNOTSUPP},
		{"PASID", PASID, 0},
		{"DIRTY_TRACKING and PASID", DIRTY | PASID, EOPNOTSUPP},
		{"NEST_PARENT and DIRTY_TRACKING", NEST | DIRTY, EOPNOTSUPP},
		{"NEST_PARENT and PASID", NEST | PASID, EOPNOTSUPP},
		{"NEST_PARENT and FAULT_ID_VALID", NEST | FAULT, EOPNOTSUPP},
		{"FAULT_ID_VALID", FAULT, 0},
		{"FAULT_ID_VALID and PASID", FAULT | PASID, 0},
		{"flag 16", 16, EOPNOTSUPP},
		{"flag 2^31", 0x80000000, EOPNOTSUPP},
		{"flag 16 and NEST_PARENT", 16 | NEST, EOPNOTSUPP},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		row(rows[i].name, alloc(lab, lab->ioas, rows[i].flags, 0, 0, 0, fault),
		    rows[i].want);
}

static void argument_rows(const struct lab *lab)
{
	struct iommufd_hwpt_alloc a = {
		.size = sizeof(a), .dev_id = lab->id[0], .pt_id = lab->ioas, .reserved = 1,
	};
	uint64_t ste[8] = {STE_BYPASS};

	row("reserved", call(lab, IOMMUFD_HWPT_ALLOC, &a), EOPNOTSUPP);
	a.reserved = 0, a.reserved2 = 1;
	row("the second reserved", call(lab, IOMMUFD_HWPT_ALLOC, &a), 0);
	row("no device", hwpt_alloc(lab, 99, lab->ioas, 0), ENOENT);
	row("an IOAS as the device", hwpt_alloc(lab, lab->ioas, lab->ioas, 0), ENOENT);
	row("no parent", hwpt_alloc(lab, lab->id[0], 99, 0), EINVAL);
	row("a device as the parent", hwpt_alloc(lab, lab->id[0], lab->id[0], 0), EINVAL);
	row("a vDEVICE as the parent", hwpt_alloc(lab, lab->id[0], lab->vdevice, 0), EINVAL);
	row("data for a paging domain",
	    alloc(lab, lab->ioas, 0, IOMMUFD_HWPT_DATA_ARM_SMMUV3, 16, POINTER(ste), 0), EOPNOTSUPP);
	row("a type without data", alloc(lab, lab->ioas, 0, 2, 0, 0, 0), EINVAL);
	row("data without a type", alloc(lab, lab->ioas, 0, 0, 16, POINTER(ste), 0), EINVAL);
	row("nested on the HWPT itself", alloc(lab, lab->parent, 0, 2, 16, POINTER(ste), 0),
	    EOPNOTSUPP);
	row("nested on the HWPT, without data", alloc(lab, lab->parent, 0, 0, 0, 0, 0), EOPNOTSUPP);
}

static void nested_rows(const struct lab *lab, uint32_t fault)
{
	uint64_t ste[8] = {STE_BYPASS}, tail[8] = {STE_BYPASS, 0, 0, 1};
	uint64_t to = POINTER(ste);
	uint32_t viommu = lab->viommu;

	row("nested", alloc(lab, viommu, 0, 2, 16, to, 0), 0);
	row("nested, data type NONE", alloc(lab, viommu, 0, 0, 16, to, 0), EINVAL);
	row("nested, data type VT-d", alloc(lab, viommu, 0, 1, 16, to, 0), EINVAL);
	row("nested, data type AMD", alloc(lab, viommu, 0, 3, 16, to, 0), EINVAL);
	row("nested, data type 99", alloc(lab, viommu, 0, 99, 16, to, 0), EINVAL);
	row("nested, length 0", alloc(lab, viommu, 0, 2, 0, to, 0), EINVAL);
	row("nested, no data", alloc(lab, viommu, 0, 0, 0, 0, 0), EOPNOTSUPP);
	row("nested, length 8", alloc(lab, viommu, 0, 2, 8, to, 0), EINVAL);
	row("nested, length 15", alloc(lab, viommu, 0, 2, 15, to, 0), EINVAL);
	row("nested, length 17", alloc(lab, viommu, 0, 2, 17, to, 0), EINVAL);
	row("nested, length 32, zero tail", alloc(lab, viommu, 0, 2, 32, to, 0), EINVAL);
	row("nested, length 32, other tail", alloc(lab, viommu, 0, 2, 32, POINTER(tail), 0), EINVAL);
	row("nested, length 64", alloc(lab, viommu, 0, 2, 64, to, 0), EINVAL);
	row("nested, no pointer", alloc(lab, viommu, 0, 2, 16, 0, 0), EFAULT);
	row("nested, NEST_PARENT", alloc(lab, viommu, NEST, 2, 16, to, 0), EOPNOTSUPP);
	row("nested, DIRTY_TRACKING", alloc(lab, viommu, DIRTY, 2, 16, to, 0), EOPNOTSUPP);
	row("nested, PASID", alloc(lab, viommu, PASID, 2, 16, to, 0), EOPNOTSUPP);
	row("nested, flag 16", alloc(lab, viommu, 16, 2, 16, to, 0), EOPNOTSUPP);
	row("nested, a fault queue", alloc(lab, viommu, FAULT, 2, 16, to, fault), 0);
	row("nested, no such fault queue", alloc(lab, viommu, FAULT, 2, 16, to, 99), ENOENT);
	row("nested, a vIOMMU as the fault queue", alloc(lab, viommu, FAULT, 2, 16, to, viommu),
	    ENOENT);
	row("nested, a fault queue that is not asked for", alloc(lab, viommu, 0, 2, 16, to, 99), 0);
}

static void dirty_rows(const struct lab *lab)
{
	struct iommufd_hwpt_set_dirty_tracking set = {
		.size = sizeof(set), .flags = 1, .hwpt_id = lab->parent,
	};
	uint64_t bits[8] = {0};
	struct iommufd_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .hwpt_id = lab->parent, .iova = RAM, .length = PAGE,
		.page_size = PAGE, .data = POINTER(bits),
	};

	row("SET_DIRTY_TRACKING of a nest parent",
	    call(lab, IOMMUFD_HWPT_SET_DIRTY_TRACKING, &set), EOPNOTSUPP);
	row("GET_DIRTY_BITMAP of a nest parent",
	    call(lab, IOMMUFD_HWPT_GET_DIRTY_BITMAP, &get), EOPNOTSUPP);
	set.flags = 2, get.flags = 2;
	row("SET_DIRTY_TRACKING flags 2",
	    call(lab, IOMMUFD_HWPT_SET_DIRTY_TRACKING, &set), EOPNOTSUPP);
	row("GET_DIRTY_BITMAP flags 2",
	    call(lab, IOMMUFD_HWPT_GET_DIRTY_BITMAP, &get), EOPNOTSUPP);
	set.flags = 1, set.hwpt_id = lab->ioas;
	row("SET_DIRTY_TRACKING of an IOAS",
	    call(lab, IOMMUFD_HWPT_SET_DIRTY_TRACKING, &set), ENOENT);
	set.hwpt_id = (uint32_t)hwpt_nested(lab, STE_BYPASS, 0);
	row("SET_DIRTY_TRACKING of a nested HWPT",
	    call(lab, IOMMUFD_HWPT_SET_DIRTY_TRACKING, &set), ENOENT);
}

void hwpt_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	int32_t fd;
	uint32_t fault = (uint32_t)fault_alloc(&lab, &fd);

	section("hwpt");
	paging_rows(&lab, fault);
	argument_rows(&lab);
	nested_rows(&lab, fault);
	dirty_rows(&lab);
	sys.close(fd);
	lab_close(&lab);
}
