/* SPDX-License-Identifier: MIT */
/* vsmmuv3_fdt.h refuses what has no meaning, and leaves the tree as it was. */
#include <stdio.h>
#include <string.h>

#include "vsmmuv3_fdt.h"

static int passed, failed;

/* Adds an SMMU to an empty tree. */
static void expect(const char *what, const vsmmu_fdt *smmu, int wanted)
{
	static char tree[4096], before[4096];
	int error = fdt_create_empty_tree(tree, sizeof tree);

	memcpy(before, tree, sizeof tree);
	if (error == 0)
		error = vsmmu_fdt_add(tree, smmu);
	if (error == wanted && (wanted == 0) == (memcmp(before, tree, sizeof tree) != 0)) {
		passed++;
	} else {
		printf("FAIL %s: %s\n", what, fdt_strerror(error));
		failed++;
	}
}

int main(void)
{
	vsmmu_id_mapping mapping = { .count = 0x100 };
	const vsmmu_fdt good = {
		.size = sizeof good, .flags = VSMMU_FDT_DMA_COHERENT, .base = 0x9050000,
		.phandle = 1, .spi = { 74 }, .mappings = &mapping, .mapping_count = 1,
	};
	vsmmu_fdt smmu = good;

	expect("as documented", &smmu, 0);
	smmu.flags = 2;
	expect("an unknown flag", &smmu, -FDT_ERR_BADVALUE);
	smmu = good;
	smmu.phandle = 0;
	expect("no phandle", &smmu, -FDT_ERR_BADVALUE);
	smmu = good;
	smmu.mappings = NULL;
	expect("no mappings", &smmu, -FDT_ERR_BADVALUE);
	smmu = good;
	mapping.reserved = 1;
	expect("a reserved field", &smmu, -FDT_ERR_BADVALUE);
	mapping = (vsmmu_id_mapping){ .count = 0 };
	expect("an empty mapping", &smmu, -FDT_ERR_BADVALUE);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
