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

/* Cells of a property; the wanted ones are those that the bindings give (dt-schema's reserved-memory
 * and pci-iommu). */
static void expect_cells(const void *tree, const char *path, const char *name,
			 const uint32_t *wanted, int count)
{
	int length = -1;
	const fdt32_t *cells = fdt_getprop(tree, fdt_path_offset(tree, path), name, &length);
	int good = cells != NULL && length == 4 * count;

	for (int i = 0; i < count && good; i++)
		good = fdt32_ld(cells + i) == wanted[i];
	if (good) {
		passed++;
	} else {
		printf("FAIL %s of %s: %d bytes\n", name, path, length);
		failed++;
	}
}

#define CELLS(...)                                                                                 \
	(const uint32_t[]){ __VA_ARGS__ },                                                         \
		(int)(sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* A bus with cells of its own and a device on it. */
static int add_bus(void *tree, const char *bus, uint32_t address, uint32_t size, const char *device)
{
	int node = fdt_add_subnode(tree, 0, bus);
	int error = node < 0 ? node : fdt_setprop_u32(tree, node, "#address-cells", address);

	if (error == 0)
		error = fdt_setprop_u32(tree, node, "#size-cells", size);
	node = error ? error : fdt_add_subnode(tree, node, device);
	return node < 0 ? node : 0;
}

/* The window of MSIs for a PCI device, one on a bus of small addresses, and one that has a phandle
 * and a region of its own already. */
static void reserve(const vsmmu_fdt *good)
{
	static const char *const assigned[] = { "/pcie/nic@1,0", "/bus/dma@1000", "/soc/gpu" };
	static const char window[] = "/reserved-memory/msi@8000000";
	static char tree[8192];
	vsmmu_fdt smmu = *good;
	int error = fdt_create_empty_tree(tree, sizeof tree);

	if (error == 0)
		error = fdt_setprop_u32(tree, 0, "#address-cells", 2);
	if (error == 0)
		error = fdt_setprop_u32(tree, 0, "#size-cells", 2);
	if (error == 0)
		error = add_bus(tree, "pcie", 3, 2, "nic@1,0");
	if (error == 0)
		error = add_bus(tree, "bus", 1, 1, "dma@1000");
	if (error == 0)
		error = add_bus(tree, "soc", 2, 2, "gpu");
	if (error == 0)
		error = fdt_setprop_u32(tree, fdt_path_offset(tree, "/soc/gpu"), "phandle", 9);
	if (error == 0)
		error = fdt_setprop_u32(tree, fdt_path_offset(tree, "/soc/gpu"), "memory-region", 8);
	smmu.flags = vsmmu_fdt_flags(0x0010 | 0x0400);
	smmu.host_bridge = "/pcie";
	smmu.msi_first = 0x8000000;
	smmu.msi_last = 0x80fffff;
	smmu.msi_phandle = 5;
	smmu.assigned = assigned;
	smmu.assigned_count = 3;
	if (error == 0)
		error = vsmmu_fdt_add(tree, &smmu);
	if (error != 0) {
		printf("FAIL a window of MSIs: %s\n", fdt_strerror(error));
		failed++;
	}
	expect_cells(tree, "/reserved-memory", "#address-cells", CELLS(2));
	expect_cells(tree, "/reserved-memory", "#size-cells", CELLS(2));
	expect_cells(tree, "/reserved-memory", "ranges", NULL, 0);
	expect_cells(tree, window, "reg", CELLS(0, 0x8000000, 0, 0x100000));
	expect_cells(tree, window, "no-map", NULL, 0);
	expect_cells(tree, window, "phandle", CELLS(5));
	/* The phandle of each device, and address and size as on its bus. */
	expect_cells(tree, window, "iommu-addresses",
		     CELLS(10, 0x2000000, 0, 0x8000000, 0, 0x100000, 11, 0x8000000, 0x100000, 9, 0,
			   0x8000000, 0, 0x100000));
	expect_cells(tree, "/pcie/nic@1,0", "memory-region", CELLS(5));
	expect_cells(tree, "/pcie/nic@1,0", "phandle", CELLS(10));
	expect_cells(tree, "/bus/dma@1000", "memory-region", CELLS(5));
	expect_cells(tree, "/soc/gpu", "memory-region", CELLS(8, 5));
	expect_cells(tree, "/pcie", "ats-supported", NULL, 0);
	expect_cells(tree, "/iommu@9050000", "dma-coherent", NULL, 0);
}

/* Neither of the flags, or one of them. */
static void derive_flags(void)
{
	if (vsmmu_fdt_flags(0xfffffbef) == 0 && vsmmu_fdt_flags(0x10) == VSMMU_FDT_DMA_COHERENT &&
	    vsmmu_fdt_flags(0x400) == VSMMU_FDT_ATS)
		passed++;
	else
		failed++;
}

int main(void)
{
	static const char *const assigned[] = { "/" };
	vsmmu_id_mapping mapping = { .count = 0x100 };
	const vsmmu_fdt good = {
		.size = sizeof good, .flags = VSMMU_FDT_DMA_COHERENT, .base = 0x9050000,
		.phandle = 1, .spi = { 74 }, .mappings = &mapping, .mapping_count = 1,
	};
	vsmmu_fdt smmu = good;

	expect("as documented", &smmu, 0);
	smmu.flags = 4;
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
	mapping = (vsmmu_id_mapping){ .count = 0x100 };
	smmu = good;
	smmu.assigned_count = 1;
	smmu.msi_last = 0xffff;
	smmu.msi_phandle = 5;
	expect("no assigned devices", &smmu, -FDT_ERR_BADVALUE);
	smmu.assigned = assigned;
	smmu.msi_phandle = 0;
	expect("no phandle of the window", &smmu, -FDT_ERR_BADVALUE);
	smmu.msi_phandle = 5;
	smmu.msi_last = 0;
	expect("no window", &smmu, -FDT_ERR_BADVALUE);
	reserve(&good);
	derive_flags();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
