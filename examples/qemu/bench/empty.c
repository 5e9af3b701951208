/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is measured beside an SMMU: an IOMMU that knows each answer, and an SMMU's register frame in
 * which nothing is at work, so that writing commands costs QEMU the same. */
#include "bench.h"
#include "qapi/error.h"

#define FRAME UINT64_C(0x09050000)
#define FRAME_SIZE 0x20000
#define CMDQ_PROD 0x98
#define CMDQ_CONS 0x9c

static IOMMUTLBEntry translate(IOMMUMemoryRegion *region, hwaddr address, IOMMUAccessFlags flags,
			       int index)
{
	const uint64_t page = (address - BENCH_IOVA) / BENCH_PAGE;

	return (IOMMUTLBEntry){
		.target_as = &address_space_memory,
		.iova = address & ~UINT64_C(0xfff),
		.translated_addr = bench_data_of(page, 0),
		.addr_mask = 0xfff,
		.perm = IOMMU_RW,
	};
}

void bench_region_class_init(ObjectClass *klass, CLASS_DATA *data)
{
	IOMMU_MEMORY_REGION_CLASS(klass)->translate = translate;
}

static uint64_t frame_read(void *opaque, hwaddr offset, unsigned width)
{
	VSMMUv3Bench *b = opaque;

	return offset == CMDQ_CONS ? b->frame_producer : 0;
}

static void frame_write(void *opaque, hwaddr offset, uint64_t value, unsigned width)
{
	VSMMUv3Bench *b = opaque;

	if (offset == CMDQ_PROD) {
		b->frame_producer = value;
	}
}

static const MemoryRegionOps frame_ops = {
	.read = frame_read,
	.write = frame_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 4, .max_access_size = 8 },
	.impl = { .min_access_size = 4, .max_access_size = 8 },
};

static bool parse_kind(VSMMUv3Bench *b, Error **errp)
{
	static const char *const words[] = { "smmu", "empty", "none" };

	for (int i = 0; i < ARRAY_SIZE(words); i++) {
		if (!g_strcmp0(b->iommu ? : "smmu", words[i])) {
			b->kind = i;
			return true;
		}
	}
	error_setg(errp, "vsmmuv3-bench: iommu=%s is neither smmu, empty nor none", b->iommu);
	return false;
}

bool bench_make_space(VSMMUv3Bench *b, Error **errp)
{
	if (!parse_kind(b, errp)) {
		return false;
	}
	b->space = pci_device_iommu_address_space(b->function);
	if (b->kind == BENCH_SMMU) {
		return true;
	}
	if (b->space != &address_space_memory) {
		error_setg(errp, "vsmmuv3-bench: iommu=%s, but the machine has an IOMMU", b->iommu);
		return false;
	}
	memory_region_init_io(&b->frame, OBJECT(b), &frame_ops, b, TYPE_VSMMUV3_BENCH, FRAME_SIZE);
	memory_region_add_subregion(get_system_memory(), FRAME, &b->frame);
	if (b->kind == BENCH_EMPTY) {
		memory_region_init_iommu(&b->empty, sizeof(b->empty), TYPE_VSMMUV3_BENCH_REGION,
					 OBJECT(b), TYPE_VSMMUV3_BENCH, UINT64_MAX);
		address_space_init(&b->empty_space, MEMORY_REGION(&b->empty), TYPE_VSMMUV3_BENCH);
		b->space = &b->empty_space;
	}
	return true;
}
