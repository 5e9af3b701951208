/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device vsmmuv3-bench,function=ID,iommu=smmu|empty|none: DMA of the PCI function ID, timed,
 * without a guest. It does the guest's part too: tables, registers and commands of an SMMUv3, the machine's
 * own or another in its place. What it measures is told by two others of its kind: `empty`, an
 * IOMMU that does nothing, and `none`, addresses of the memory itself.
 */
#ifndef VSMMUV3_BENCH_H
#define VSMMUV3_BENCH_H

#include "qemu/osdep.h"
#include "../vsmmuv3-compat.h"
#include "hw/pci/pci_device.h"
#include "qemu/thread.h"
#include "qom/object.h"

#define TYPE_VSMMUV3_BENCH "vsmmuv3-bench"
#define TYPE_VSMMUV3_BENCH_REGION "vsmmuv3-bench-iommu-memory-region"
OBJECT_DECLARE_SIMPLE_TYPE(VSMMUv3Bench, VSMMUV3_BENCH)

#define BENCH_THREADS 2
#define BENCH_PAGES 16384
/* Pages of IOVA space that a thread maps and unmaps in turn. */
#define BENCH_STRICT_PAGES 256
#define BENCH_IOVA UINT64_C(0x8040000000)
#define BENCH_PAGE 4096

typedef enum BenchKind { BENCH_SMMU, BENCH_EMPTY, BENCH_NONE } BenchKind;

struct VSMMUv3Bench {
	DeviceState parent;

	PCIDevice *function;
	char *iommu;

	BenchKind kind;
	AddressSpace *space; /* of the function, or that of `empty` */
	AddressSpace empty_space;
	IOMMUMemoryRegion empty;
	MemoryRegion frame; /* of the SMMU that is not there */
	uint32_t frame_producer;
	uint8_t *ram;
	bool prepared;
	QemuMutex queue;
	uint32_t producer;
	char *result;
};

/* guest.c */
bool bench_guest_start(VSMMUv3Bench *b, Error **errp);
/* Which of the pages of data an IOVA page is mapped to. */
uint64_t bench_data_of(uint64_t iova_page, uint64_t round);
/* What the 8 bytes at an address of data say. */
uint64_t bench_mark(uint64_t address);
void bench_map(VSMMUv3Bench *b, uint64_t iova_page, uint64_t address);
void bench_unmap(VSMMUv3Bench *b, uint64_t iova_page);
/* CMD_TLBI_NH_VA and CMD_SYNC, and waits; from any thread without the BQL. */
bool bench_invalidate(VSMMUv3Bench *b, uint64_t iova_page);
/* Whether the SMMU has found an error in its command queue. */
bool bench_guest_failed(VSMMUv3Bench *b);

/* empty.c */
bool bench_make_space(VSMMUv3Bench *b, Error **errp);
void bench_region_class_init(ObjectClass *klass, CLASS_DATA *data);

/* patterns.c: "hits PAGES SIZE THREADS COUNT", "strict SIZE THREADS COUNT" or "fault"; the result
 * is "NS WRONG", nanoseconds of a DMA and how many were wrong, or of a fault "refused" or "read". */
char *bench_run(VSMMUv3Bench *b, const char *order, Error **errp);

void vsmmuv3_register_bench(void);

#endif
