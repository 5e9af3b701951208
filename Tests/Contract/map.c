/* SPDX-License-Identifier: MIT */
/* IOAS_MAP, _COPY, _UNMAP and _MAP_FILE. */
#include "contract.h"

#define FIXED IOMMUFD_MAP_FIXED_IOVA
#define READ IOMMUFD_MAP_READABLE
#define WRITE IOMMUFD_MAP_WRITEABLE

#define MIB UINT64_C(0x100000)

static uint64_t chosen;

static int64_t map(const struct lab *lab, uint32_t flags, uint64_t offset, uint64_t length,
		   uint64_t iova)
{
	struct iommufd_ioas_map a = {
		.size = sizeof(a), .flags = flags, .ioas_id = lab->ioas,
		.user_va = POINTER(ram) + offset, .length = length, .iova = iova,
	};
	int64_t result = call(lab, IOMMUFD_IOAS_MAP, &a);

	chosen = a.iova;
	return result;
}

static int64_t copy(const struct lab *lab, uint32_t to, uint32_t flags, uint64_t from_iova,
		    uint64_t length, uint64_t iova)
{
	struct iommufd_ioas_copy a = {
		.size = sizeof(a), .flags = flags, .dst_ioas_id = to, .src_ioas_id = lab->ioas,
		.length = length, .dst_iova = iova, .src_iova = from_iova,
	};
	int64_t result = call(lab, IOMMUFD_IOAS_COPY, &a);

	chosen = a.dst_iova;
	return result;
}

static void argument_rows(const struct lab *lab)
{
	struct iommufd_ioas_map a = {
		.size = sizeof(a), .flags = FIXED | READ, .ioas_id = lab->ioas, .reserved = 1,
		.user_va = POINTER(ram), .length = PAGE,
	};

	row("MAP reserved", call(lab, IOMMUFD_IOAS_MAP, &a), EOPNOTSUPP);
	row("MAP flags 8", map(lab, FIXED | READ | 8, 0, PAGE, 0), EOPNOTSUPP);
	row("MAP neither readable nor writable", map(lab, FIXED, 0, PAGE, 0), EINVAL);
	row("MAP length 0", map(lab, FIXED | READ, 0, 0, 0), EINVAL);
	row("MAP length 1, nothing attached", map(lab, FIXED | READ, 0, 1, 0), 0);
	row("MAP length not of pages", map(lab, FIXED | READ, 0, PAGE + 1, MIB), 0);
	row("MAP length 2^64-1", map(lab, FIXED | READ, 0, UINT64_MAX, 0), EOVERFLOW);
	row("MAP at 2^64-1", map(lab, FIXED | READ, 0, PAGE, UINT64_MAX), EOVERFLOW);
	row("MAP that wraps", map(lab, FIXED | READ, 0, 2 * PAGE, -PAGE), EOVERFLOW);
	row("MAP at the last page", map(lab, FIXED | READ, 0, PAGE, -PAGE), 0);
	row("MAP misaligned address", map(lab, FIXED | READ, 0, PAGE, 2 * MIB + 0x800), 0);
	row("MAP misaligned memory", map(lab, FIXED | READ, 0x800, PAGE, 3 * MIB), 0);
	row("MAP both by the same offset", map(lab, FIXED | READ, 0x800, PAGE, 4 * MIB + 0x800), 0);
	row_with("UNMAP all of them", ioas_unmap(lab, lab->ioas, 0, RAM), 0, "unmapped=0x4002");
	row("MAP into no object", ioas_map(lab, 99, 0, PAGE), ENOENT);
	row("MAP into a device", ioas_map(lab, lab->id[0], 0, PAGE), ENOENT);
}

static void map_and_overlap(const struct lab *lab)
{
	row("MAP 4 pages", map(lab, FIXED | READ | WRITE, 0, 4 * PAGE, MIB), 0);
	row("MAP them again", map(lab, FIXED | READ | WRITE, 0, 4 * PAGE, MIB), EEXIST);
	row("MAP one of them", map(lab, FIXED | READ, 0, PAGE, MIB + PAGE), EEXIST);
	row("MAP over their end", map(lab, FIXED | READ, 0, 4 * PAGE, MIB + 3 * PAGE), EEXIST);
	row("MAP next to them", map(lab, FIXED | READ, 0, PAGE, MIB + 4 * PAGE), 0);
	row("MAP the same memory elsewhere", map(lab, FIXED | READ | WRITE, 0, PAGE, 3 * MIB), 0);
	row("MAP write only", map(lab, FIXED | WRITE, 0, PAGE, 4 * MIB), 0);
	if (row("MAP where the kernel likes", map(lab, READ, 0, PAGE, 0x123), 0))
		note("%s", chosen % PAGE ? "misaligned" : "aligned");
	row_with("the address it chose", 0, 0, "aligned");
	row_with("UNMAP it", ioas_unmap(lab, lab->ioas, chosen, PAGE), 0, "unmapped=0x1000");
}

static void unmap_rows(const struct lab *lab)
{
	uint32_t ioas = lab->ioas;

	row("UNMAP in no object", ioas_unmap(lab, 99, MIB, PAGE), ENOENT);
	row("UNMAP length 0", ioas_unmap(lab, ioas, MIB, 0), EINVAL);
	row("UNMAP that wraps", ioas_unmap(lab, ioas, MIB, -PAGE), EOVERFLOW);
	row("UNMAP at 2^64-1", ioas_unmap(lab, ioas, UINT64_MAX, PAGE), EOVERFLOW);
	row("UNMAP where nothing is", ioas_unmap(lab, ioas, 8 * MIB, PAGE), ENOENT);
	row("UNMAP one page of four", ioas_unmap(lab, ioas, MIB, PAGE), ENOENT);
	row("UNMAP the last one of four", ioas_unmap(lab, ioas, MIB + 3 * PAGE, PAGE), ENOENT);
	row_with("UNMAP more than there is", ioas_unmap(lab, ioas, 2 * MIB, 2 * MIB - PAGE), 0,
		 "unmapped=0x1000");
	row_with("UNMAP two mappings and a gap", ioas_unmap(lab, ioas, MIB - PAGE, MIB), 0,
		 "unmapped=0x5000");
	row("UNMAP them again", ioas_unmap(lab, ioas, MIB, 5 * PAGE), ENOENT);
}

static void copy_rows(const struct lab *lab, uint32_t to)
{
	struct iommufd_ioas_copy a = {.size = sizeof(a), .flags = FIXED | READ | 16, .length = PAGE};

	row("COPY flags 16", call(lab, IOMMUFD_IOAS_COPY, &a), EOPNOTSUPP);
	row("COPY neither readable nor writable", copy(lab, to, FIXED, RAM, PAGE, MIB), EINVAL);
	row("COPY length 0", copy(lab, to, FIXED | READ, RAM, 0, MIB), EINVAL);
	row("COPY length 2^64-1", copy(lab, to, FIXED | READ, RAM, UINT64_MAX, MIB), EOVERFLOW);
	row("COPY to no object", copy(lab, 99, FIXED | READ, RAM, PAGE, MIB), ENOENT);
	row("COPY from where nothing is", copy(lab, to, FIXED | READ, 7 * MIB, PAGE, MIB), ENOENT);
	row("COPY more than there is", copy(lab, to, FIXED | READ, RAM, RAM_SIZE + PAGE, MIB), ENOENT);
	row("COPY all of it", copy(lab, to, FIXED | READ | WRITE, RAM, RAM_SIZE, RAM), 0);
	row("COPY over it", copy(lab, to, FIXED | READ, RAM, PAGE, RAM), EEXIST);
	row("COPY a part of it", copy(lab, to, FIXED | READ, RAM + PAGE, PAGE, MIB), 0);
	row("COPY to a misaligned address", copy(lab, to, FIXED | READ, RAM, PAGE, 0x801), 0);
	row("COPY into the same space", copy(lab, lab->ioas, FIXED | READ, RAM, PAGE, 9 * MIB), 0);
	row("COPY where the kernel likes", copy(lab, to, READ, RAM, PAGE, 0), 0);
	row("MAP read only", map(lab, FIXED | READ, 0, PAGE, 10 * MIB), 0);
	row("COPY that as writable", copy(lab, to, FIXED | WRITE, 10 * MIB, PAGE, 2 * MIB), EPERM);
	row_with("UNMAP all in the copy", ioas_unmap(lab, to, 0, UINT64_MAX), 0,
		 text("unmapped=%#" PRIx64, RAM_SIZE + 3 * PAGE));
	row_with("UNMAP all of nothing", ioas_unmap(lab, to, 0, UINT64_MAX), 0, "unmapped=0");
}

static int64_t map_file(const struct lab *lab, uint32_t flags, int32_t fd, uint64_t start,
			uint64_t length, uint64_t iova)
{
	struct iommufd_ioas_map_file a = {
		.size = sizeof(a), .flags = flags, .ioas_id = lab->ioas, .fd = fd,
		.start = start, .length = length, .iova = iova,
	};

	return call(lab, IOMMUFD_IOAS_MAP_FILE, &a);
}

static void file_errors(const struct lab *lab)
{
	row("MAP_FILE flags 8", map_file(lab, FIXED | READ | 8, -1, 0, PAGE, MIB), EOPNOTSUPP);
	row("MAP_FILE of no file", map_file(lab, FIXED | READ, -1, 0, PAGE, MIB), EBADF);
	row("MAP_FILE of an iommufd", map_file(lab, FIXED | READ, lab->iommu, 0, PAGE, MIB), 0);
	row("MAP_FILE length 2^64-1", map_file(lab, FIXED | READ, -1, 0, UINT64_MAX, MIB), EOVERFLOW);
}

void map_rows(void)
{
	struct lab lab = lab_open(SPACE);
	uint32_t other = (uint32_t)ioas_alloc(&lab);

	section("map");
	argument_rows(&lab);
	map_and_overlap(&lab);
	unmap_rows(&lab);
	copy_rows(&lab, other);
	file_errors(&lab);
	lab_close(&lab);
}
