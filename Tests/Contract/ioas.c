/* SPDX-License-Identifier: MIT */
/* IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS, CHANGE_PROCESS and DESTROY of an address space. */
#include "contract.h"

#define MANY 8

static struct iommufd_iova_range ranges[MANY];

/* Notes how many ranges there are and what they are, where the caller has room for them. */
static int64_t iova_ranges(const struct lab *lab, uint32_t ioas, uint32_t capacity)
{
	struct iommufd_ioas_iova_ranges a = {
		.size = sizeof(a), .ioas_id = ioas, .num_iovas = capacity,
		.allowed_iovas = POINTER(ranges),
	};
	int64_t result = call(lab, IOMMUFD_IOAS_IOVA_RANGES, &a);

	note("ranges=%u", a.num_iovas);
	for (uint32_t i = 0; result >= 0 && i < a.num_iovas && i < MANY; i++)
		note("%#" PRIx64 "..%#" PRIx64, ranges[i].start, ranges[i].last);
	if (result >= 0)
		note("align=%#" PRIx64, a.out_iova_alignment);
	return result;
}

static int64_t allow(const struct lab *lab, uint32_t ioas, uint32_t count, uint64_t start,
		     uint64_t last, uint64_t start2, uint64_t last2)
{
	struct iommufd_iova_range allowed[2] = {{start, last}, {start2, last2}};
	struct iommufd_ioas_allow_iovas a = {
		.size = sizeof(a), .ioas_id = ioas, .num_iovas = count,
		.allowed_iovas = POINTER(allowed),
	};

	return call(lab, IOMMUFD_IOAS_ALLOW_IOVAS, &a);
}

static void alloc_rows(const struct lab *lab)
{
	struct iommufd_ioas_alloc flags = {.size = sizeof(flags), .flags = 1};

	row("ALLOC flags 1", call(lab, IOMMUFD_IOAS_ALLOC, &flags), EOPNOTSUPP);
	flags.flags = 0x80000000;
	row("ALLOC flags 2^31", call(lab, IOMMUFD_IOAS_ALLOC, &flags), EOPNOTSUPP);
}

static void range_rows(const struct lab *lab)
{
	struct iommufd_ioas_iova_ranges a = {.size = sizeof(a), .ioas_id = lab->ioas, .reserved = 1};

	row("IOVA_RANGES reserved", call(lab, IOMMUFD_IOAS_IOVA_RANGES, &a), EOPNOTSUPP);
	row_with("IOVA_RANGES of no object", iova_ranges(lab, 99, MANY), ENOENT, "ranges=8");
	row_with("IOVA_RANGES of a device", iova_ranges(lab, lab->id[0], MANY), ENOENT, "ranges=8");
	row_with("IOVA_RANGES, nothing attached", iova_ranges(lab, lab->ioas, MANY), 0,
		 "ranges=1 0..0xffffffffffffffff align=0x1");
	row_with("IOVA_RANGES, no room", iova_ranges(lab, lab->ioas, 0), EMSGSIZE, "ranges=1");
}

static void allow_rows(const struct lab *lab, uint32_t ioas)
{
	struct iommufd_ioas_allow_iovas a = {.size = sizeof(a), .ioas_id = ioas, .reserved = 1};

	row("ALLOW_IOVAS reserved", call(lab, IOMMUFD_IOAS_ALLOW_IOVAS, &a), EOPNOTSUPP);
	row("ALLOW_IOVAS of no object", allow(lab, 99, 1, 0, 0xffff, 0, 0), ENOENT);
	row("ALLOW_IOVAS start after last", allow(lab, ioas, 1, 0x2000, 0x1fff, 0, 0), EINVAL);
	row("ALLOW_IOVAS start is last", allow(lab, ioas, 1, 0x2000, 0x2000, 0, 0), EINVAL);
	row("ALLOW_IOVAS that overlap", allow(lab, ioas, 2, 0, 0x2fff, 0x2000, 0x4fff), EINVAL);
	row("ALLOW_IOVAS one range", allow(lab, ioas, 1, 0x100000, 0x1fffff, 0, 0), 0);
	row_with("IOVA_RANGES is not narrowed by it", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=1 0..0xffffffffffffffff align=0x1");
	row("MAP outside what is allowed, fixed", ioas_map(lab, ioas, 0x300000, PAGE), 0);
	row("ALLOW_IOVAS none", allow(lab, ioas, 0, 0, 0, 0, 0), 0);
}

/* With a device attached, the space has its geometry and its reserved windows. */
static void attached_rows(struct lab *lab)
{
	uint32_t ioas = (uint32_t)ioas_alloc(lab);

	row("attach a device to the space", attach(lab->device[0], ioas), 0);
	row_with("IOVA_RANGES, no room for both", iova_ranges(lab, ioas, 1), EMSGSIZE, "ranges=2");
	row_with("IOVA_RANGES, device attached", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=2 0..0x7ffffff 0x8100000..0xffffffffffff align=0x1000");
	row("MAP in the MSI window", ioas_map(lab, ioas, 0x8000000, PAGE), EINVAL);
	row("MAP across its beginning", ioas_map(lab, ioas, 0x7fff000, 2 * PAGE), EINVAL);
	row("MAP before it", ioas_map(lab, ioas, 0x7fff000, PAGE), 0);
	row("MAP behind it", ioas_map(lab, ioas, 0x8100000, PAGE), 0);
	row("MAP beyond the aperture", ioas_map(lab, ioas, UINT64_C(1) << 56, PAGE), EINVAL);
	row("ALLOW_IOVAS beyond the aperture",
	    allow(lab, ioas, 1, 0, UINT64_MAX - 1, 0, 0), EADDRINUSE);
	row("DESTROY a space in use", destroy(lab, ioas), EBUSY);
	row("detach", detach(lab->device[0]), 0);
	row("DESTROY a space with mappings", destroy(lab, ioas), 0);
	row("MAP in the window, nothing attached", ioas_map(lab, lab->ioas, 0x8000000, PAGE), 0);
	row("attach over a mapping in the window", attach(lab->device[0], lab->ioas), EADDRINUSE);
	row_with("UNMAP it", ioas_unmap(lab, lab->ioas, 0x8000000, PAGE), 0, "unmapped=0x1000");
	row("attach then", attach(lab->device[0], lab->ioas), 0);
}

/* Stage 2 is as wide as physical addresses, stage 1 as virtual ones. */
static void parent_rows(const struct lab *lab)
{
	uint32_t ioas = (uint32_t)ioas_alloc(lab);
	uint32_t parent = (uint32_t)hwpt_alloc(lab, lab->id[0], ioas, IOMMUFD_HWPT_NEST_PARENT);

	row_with("IOVA_RANGES with a nest parent", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=1 0..0xfffffffffff align=0x1000");
	row("MAP beyond 44 bits", ioas_map(lab, ioas, UINT64_C(1) << 44, PAGE), EINVAL);
	row("MAP length 1 then", ioas_map(lab, ioas, RAM, 1), EINVAL);
	row("MAP at a misaligned address then", ioas_map(lab, ioas, RAM + 0x800, PAGE), EINVAL);
	row("attach the nest parent", attach(lab->device[0], parent), 0);
	row_with("IOVA_RANGES, it is attached", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=2 0..0x7ffffff 0x8100000..0xfffffffffff align=0x1000");
	row("detach", detach(lab->device[0]), 0);
	row_with("IOVA_RANGES, detached", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=1 0..0xfffffffffff align=0x1000");
	row("DESTROY the nest parent", destroy(lab, parent), 0);
	row_with("IOVA_RANGES, destroyed", iova_ranges(lab, ioas, MANY), 0,
		 "ranges=1 0..0xffffffffffffffff align=0x1");
}

static void process_rows(const struct lab *lab)
{
	struct iommufd_ioas_change_process a = {.size = sizeof(a), .reserved = 1};

	row("CHANGE_PROCESS reserved", call(lab, IOMMUFD_IOAS_CHANGE_PROCESS, &a), EOPNOTSUPP);
	a.reserved = 0;
	row("CHANGE_PROCESS with user memory", call(lab, IOMMUFD_IOAS_CHANGE_PROCESS, &a), EINVAL);
}

void ioas_rows(void)
{
	struct lab lab = lab_open(SPACE);

	section("ioas");
	alloc_rows(&lab);
	range_rows(&lab);
	allow_rows(&lab, (uint32_t)ioas_alloc(&lab));
	process_rows(&lab);
	parent_rows(&lab);
	attached_rows(&lab);
	lab_close(&lab);
}
