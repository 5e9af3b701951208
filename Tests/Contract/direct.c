/* SPDX-License-Identifier: MIT */
/*
 * CMDQ-V: GET_HW_INFO of its type, a vIOMMU of its type, the page of its interface, HW_QUEUE_ALLOC.
 * No machine with it runs here, so these rows are what Linux's sources say.
 */
#include "contract.h"

#define WINDOW UINT64_C(0x10000)

static struct iommufd_viommu_tegra241_cmdqv window;

static int64_t info(const struct lab *lab, uint32_t length, void *data)
{
	struct iommufd_hw_info a = {
		.size = sizeof(a), .flags = IOMMUFD_HW_INFO_INPUT_TYPE, .dev_id = lab->id[0],
		.data_len = length, .data_uptr = POINTER(data), .data_type = 3,
	};
	int64_t result = call(lab, IOMMUFD_GET_HW_INFO, &a);

	if (result >= 0)
		note("type=%u length=%u", a.data_type, a.data_len);
	return result;
}

static void info_of(const struct lab *lab)
{
	struct iommufd_hw_info_tegra241_cmdqv found[2];
	uint8_t *bytes = (uint8_t *)found;

	memset(found, 0xee, sizeof(found));
	row_with("GET_HW_INFO", info(lab, sizeof(found[0]), found), 0, "type=3 length=8");
	note("flags=%u version=%u queues=2^%u streams=2^%u", found[0].flags, found[0].version,
	     found[0].log2vcmdqs, found[0].log2vsids);
	row_with("what it says", 0, 0, "flags=0 version=1 queues=2^1 streams=2^4");
	note("%#x %#x", bytes[7], bytes[8]);
	row_with("no byte behind", 0, 0, "0 0xee");
	row_with("GET_HW_INFO, 16 bytes", info(lab, 16, found), 0, "type=3 length=8");
	note("%#x %#x", bytes[8], bytes[15]);
	row_with("zeros behind", 0, 0, "0 0");
	row_with("GET_HW_INFO, no bytes", info(lab, 0, NULL), 0, "type=3 length=8");
	row("GET_HW_INFO, no buffer", info(lab, 8, NULL), EFAULT);
}

static int64_t direct_viommu(const struct lab *lab, uint32_t hwpt, uint32_t length, void *data)
{
	struct iommufd_viommu_alloc a = {
		.size = sizeof(a), .type = IOMMUFD_VIOMMU_TYPE_TEGRA241_CMDQV, .dev_id = lab->id[0],
		.hwpt_id = hwpt, .data_len = length, .data_uptr = POINTER(data),
	};
	int64_t result = call(lab, IOMMUFD_VIOMMU_ALLOC, &a);

	return result < 0 ? result : a.out_viommu_id;
}

static void viommu_of(struct lab *lab)
{
	struct {
		struct iommufd_viommu_tegra241_cmdqv known;
		uint64_t tail;
	} more = {.tail = 1};

	row("VIOMMU_ALLOC, no data", direct_viommu(lab, lab->parent, 0, NULL), EINVAL);
	row("VIOMMU_ALLOC, 8 bytes", direct_viommu(lab, lab->parent, 8, &more), EINVAL);
	row("VIOMMU_ALLOC, no buffer", direct_viommu(lab, lab->parent, 16, NULL), EFAULT);
	row("VIOMMU_ALLOC, an unknown tail", direct_viommu(lab, lab->parent, 24, &more), E2BIG);
	row("VIOMMU_ALLOC on an IOAS", direct_viommu(lab, lab->ioas, 16, &window), ENOENT);
	lab->viommu = (uint32_t)direct_viommu(lab, lab->parent, sizeof(window), &window);
	note("offset=%#" PRIx64 " length=%#" PRIx64, window.out_vintf_mmap_offset,
	     window.out_vintf_mmap_length);
	row_with("VIOMMU_ALLOC", lab->viommu ? 0 : -EINVAL, 0, "offset=0x1000 length=0x10000");
}

static void page_of(const struct lab *lab)
{
	uint64_t offset = window.out_vintf_mmap_offset;
	struct iommufd_viommu_tegra241_cmdqv other;
	uint32_t viommu;
	void *page, *again;

	row("mmap at 0", sys.mmap(lab->iommu, 0, WINDOW, &page), ENXIO);
	row("mmap behind", sys.mmap(lab->iommu, offset + WINDOW, WINDOW, &page), ENXIO);
	row("mmap within", sys.mmap(lab->iommu, offset + PAGE, WINDOW - PAGE, &page), ENXIO);
	row("mmap of less", sys.mmap(lab->iommu, offset, PAGE, &page), ENXIO);
	row("mmap of more", sys.mmap(lab->iommu, offset, 2 * WINDOW, &page), ENXIO);
	row("mmap, not aligned", sys.mmap(lab->iommu, offset + 1, WINDOW, &page), EINVAL);
	row("mmap of no bytes", sys.mmap(lab->iommu, offset, 0, &page), EINVAL);
	row("mmap", sys.mmap(lab->iommu, offset, WINDOW, &page), 0);
	row("mmap again", sys.mmap(lab->iommu, offset, WINDOW, &again), 0);
	row("DESTROY the vIOMMU", destroy(lab, lab->viommu), EBUSY);
	row("munmap", sys.munmap(page, WINDOW), 0);
	row("DESTROY the vIOMMU", destroy(lab, lab->viommu), EBUSY);
	row("munmap the other", sys.munmap(again, WINDOW), 0);
	viommu = (uint32_t)direct_viommu(lab, lab->parent, sizeof(other), &other);
	note("offset=%#" PRIx64, other.out_vintf_mmap_offset);
	row_with("VIOMMU_ALLOC, a second one", 0, 0, "offset=0x11000");
	row("DESTROY it", destroy(lab, viommu), 0);
	row("mmap of what it had", sys.mmap(lab->iommu, other.out_vintf_mmap_offset, WINDOW, &page),
	    ENXIO);
}

static int64_t queue(const struct lab *lab, uint32_t index, uint64_t address, uint64_t length)
{
	struct iommufd_hw_queue_alloc a = {
		.size = sizeof(a), .viommu_id = lab->viommu, .type = 1, .index = index,
		.nesting_parent_iova = address, .length = length,
	};
	int64_t result = call(lab, IOMMUFD_HW_QUEUE_ALLOC, &a);

	return result < 0 ? result : a.out_hw_queue_id;
}

static void queue_of(const struct lab *lab)
{
	struct iommufd_hw_queue_alloc other = {
		.size = sizeof(other), .viommu_id = lab->viommu, .type = 2,
		.nesting_parent_iova = RAM, .length = PAGE,
	};
	int64_t first, second;

	row("HW_QUEUE_ALLOC, type 2", call(lab, IOMMUFD_HW_QUEUE_ALLOC, &other), EOPNOTSUPP);
	row("HW_QUEUE_ALLOC, not mapped", queue(lab, 0, RAM + RAM_SIZE, PAGE), ENOENT);
	row("HW_QUEUE_ALLOC, mapped in part", queue(lab, 0, RAM, 2 * RAM_SIZE), ENOENT);
	row("HW_QUEUE_ALLOC, index 2", queue(lab, 2, RAM, PAGE), EINVAL);
	row("HW_QUEUE_ALLOC, index 1 first", queue(lab, 1, RAM, PAGE), EIO);
	row("HW_QUEUE_ALLOC, 16 bytes", queue(lab, 0, RAM, 16), EINVAL);
	row("HW_QUEUE_ALLOC, 48 bytes", queue(lab, 0, RAM, 48), EINVAL);
	row("HW_QUEUE_ALLOC, not aligned to its size", queue(lab, 0, RAM + 32, 64), EINVAL);
	row_with("IOAS_UNMAP then", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), 0,
		 "unmapped=0x100000");
	row("IOAS_MAP", ioas_map(lab, lab->ioas, RAM, RAM_SIZE), 0);
	first = queue(lab, 0, RAM + 32, 32);
	row("HW_QUEUE_ALLOC, 32 bytes", first < 0 ? first : 0, 0);
	row("HW_QUEUE_ALLOC, the same index", queue(lab, 0, RAM, PAGE), EEXIST);
	second = queue(lab, 1, RAM + PAGE, PAGE);
	row("HW_QUEUE_ALLOC, index 1", second < 0 ? second : 0, 0);
	row("IOAS_UNMAP of both", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), EBUSY);
	row("IOAS_UNMAP of all", ioas_unmap(lab, lab->ioas, 0, UINT64_MAX), EBUSY);
	row("DESTROY the first", destroy(lab, (uint32_t)first), EBUSY);
	row("DESTROY the vIOMMU", destroy(lab, lab->viommu), EBUSY);
	row("DESTROY the second", destroy(lab, (uint32_t)second), 0);
	row("IOAS_UNMAP", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), EBUSY);
	row("DESTROY the first", destroy(lab, (uint32_t)first), 0);
	row_with("IOAS_UNMAP", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), 0, "unmapped=0x100000");
	row("IOAS_MAP", ioas_map(lab, lab->ioas, RAM, RAM_SIZE), 0);
}

static void stream_of(const struct lab *lab)
{
	int64_t made;

	row("VDEVICE_ALLOC, StreamID 2^20", vdevice_alloc(lab, lab->id[0], 1 << 20), EINVAL);
	row("VDEVICE_ALLOC, StreamID 2^32", vdevice_alloc(lab, lab->id[0], UINT64_C(1) << 32), EINVAL);
	made = vdevice_alloc(lab, lab->id[0], (1 << 20) - 1);
	row("VDEVICE_ALLOC, StreamID 2^20-1", made < 0 ? made : 0, 0);
	row("VDEVICE_ALLOC, the StreamID again", vdevice_alloc(lab, lab->id[1], (1 << 20) - 1), EEXIST);
	row("DESTROY it", destroy(lab, (uint32_t)made), 0);
}

/* The open file stays as long as its page is mapped. */
static void end_of(struct lab *lab)
{
	void *page;

	row("mmap", sys.mmap(lab->iommu, window.out_vintf_mmap_offset, WINDOW, &page), 0);
	lab_close(lab);
	*(volatile uint32_t *)page = 1;
	row("munmap after the close", sys.munmap(page, WINDOW), 0);
}

void direct_rows(void)
{
	struct lab lab = lab_open(PARENT);

	section("direct");
	info_of(&lab);
	viommu_of(&lab);
	page_of(&lab);
	queue_of(&lab);
	stream_of(&lab);
	end_of(&lab);
}
