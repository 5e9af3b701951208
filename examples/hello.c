/* SPDX-License-Identifier: MIT */
/* One stream, one mapping, one DMA: cc hello.c $(pkg-config --cflags --libs vsmmuv3) */
#include <inttypes.h>
#include <stdio.h>
#include "vsmmuv3.h"

#define RAM 0x40000000u /* guest physical */
static _Alignas(4096) uint64_t ram[512 * 1024]; /* 4 MiB */

int main(void)
{
	vsmmu_config config = { .size = sizeof config };
	vsmmu_ops ops = { .size = sizeof ops };
	vsmmu_access access = { .size = sizeof access, .stream = 0, .address = 0x601234 };
	vsmmu_result result = { .size = sizeof result };
	char why[200];
	vsmmu_t *smmu;

	if (vsmmu_create(&config, &ops, NULL, &smmu, why, sizeof why) < 0)
		return fprintf(stderr, "%s\n", why), 1;
	vsmmu_ram_add(smmu, RAM, sizeof ram, ram);
	vsmmu_stream_add(smmu, 0);
	printf("library %s, API %#" PRIx32 "\n", vsmmu_library_version(), vsmmu_api_version());
	for (uint64_t id, offset = 0; offset < 0x18; offset += 4)
		if (vsmmu_mmio_read(smmu, offset, 4, &id) == 0)
			printf("IDR%u %#010" PRIx64 "\n", (unsigned)offset / 4, id);

	/* The guest's part: a stream table of one entry, a context, a table of 2 MiB blocks. */
	ram[0x0000 / 8] = (RAM + 0x1000) | 5 << 1 | 1;         /* STE: stage 1, valid */
	ram[0x1000 / 8] = 34 | 3u << 30 | 0x6205ull << 32;     /* CD: 30-bit input, 4 KiB granule */
	ram[0x1008 / 8] = RAM + 0x2000;                        /* CD.TTB0 */
	ram[0x2018 / 8] = (RAM + 0x200000) | 1 << 10 | 1 << 6 | 1; /* the block at 0x600000 */
	vsmmu_mmio_write(smmu, 0x80, 8, RAM); /* STRTAB_BASE, of 2^0 entries */
	vsmmu_mmio_write(smmu, 0x20, 4, 1);   /* CR0.SMMUEN */

	if (vsmmu_translate(smmu, &access, &result) == 0 && result.kind == VSMMU_RESULT_OK)
		printf("IOVA %#" PRIx64 " -> PA %#" PRIx64 "\n", access.address, result.address);
	vsmmu_destroy(smmu);
	return result.kind != VSMMU_RESULT_OK;
}
