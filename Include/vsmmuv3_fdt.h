/* SPDX-License-Identifier: MIT */
/*
 * vsmmuv3_fdt.h - puts the SMMU of vsmmuv3.h into a device tree, with libfdt (link with -lfdt).
 *
 * The tree must be writable and have room for a few hundred bytes more (fdt_open_into). The result
 * follows the bindings arm,smmu-v3, pci-iommu and reserved-memory:
 *
 *     iommu@9050000 {
 *             compatible = "arm,smmu-v3";
 *             reg = <0 0x9050000 0 0x20000>;
 *             interrupts = <0 74 1>, ...;  interrupt-names = "eventq", ...;
 *             #iommu-cells = <1>;
 *     };
 *     pcie@... {
 *             iommu-map = <0 &iommu 0 0x10000>;
 *             ats-supported;
 *             nic: ethernet@1,0 { memory-region = <&msi>; };
 *     };
 *     reserved-memory {
 *             msi: msi@8000000 {
 *                     reg = <0 0x8000000 0 0x100000>;
 *                     iommu-addresses = <&nic 0x2000000 0 0x8000000 0 0x100000>;
 *                     no-map;
 *             };
 *     };
 */
#ifndef VSMMUV3_FDT_H
#define VSMMUV3_FDT_H

#include <libfdt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vsmmuv3.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VSMMU_FDT_DMA_COHERENT 1u /* what IDR0.COHACC = 1 promises */
#define VSMMU_FDT_ATS 2u          /* what IDR0.ATS = 1 promises: the host bridge has ats-supported */

typedef struct vsmmu_fdt {
	uint32_t size;       /* sizeof(vsmmu_fdt) */
	uint32_t flags;      /* VSMMU_FDT_* */
	const char *parent;  /* path of the bus node that gets the SMMU; NULL = the root */
	uint64_t base;       /* address of the register frame on that bus */
	uint32_t phandle;    /* of the SMMU's node; not 0 */
	uint32_t msi_parent; /* phandle of the ITS that gets the SMMU's own MSIs, 0 = none */
	uint32_t msi_device; /* the SMMU's DeviceID there; left out if the ITS has #msi-cells 0 */
	uint32_t mapping_count;
	/* GIC SPI numbers (INTID - 32) by VSMMU_IRQ_*; 0 leaves the line out. The interrupt parent
	 * of the bus must be a GIC with three interrupt cells. */
	uint32_t spi[4];
	const char *host_bridge; /* path of the PCI host bridge's node; NULL = no iommu-map */
	const vsmmu_id_mapping *mappings;
	/* With assigned devices: the window of vsmmu_msi_window(), which the guest must map onto
	 * itself for each of them (docs/msi.md). `assigned`: the paths of their nodes, each of which
	 * gets a phandle if it has none; 0 = no window is described. A device without a node of its
	 * own has no such mapping, and no MSIs: a guest that finds them by itself needs ACPI. */
	uint64_t msi_first, msi_last;
	const char *const *assigned;
	uint32_t assigned_count;
	uint32_t msi_phandle; /* of the window's node; not 0 with assigned devices */
} vsmmu_fdt;

/* The flags that follow from IDR0, as vsmmu_mmio_read(vsmmu, 0, 4, &idr0) has it: from then on the ID
 * registers are frozen, so that they stay what the tree says. */
static inline uint32_t vsmmu_fdt_flags(uint64_t idr0)
{
	return ((idr0 & 1u << 4) != 0 ? VSMMU_FDT_DMA_COHERENT : 0) |
	       ((idr0 & 1u << 10) != 0 ? VSMMU_FDT_ATS : 0);
}

/* Appends `value` as `cells` big-endian cells, most significant first. */
static inline int vsmmu_fdt_append_number(void *fdt, int node, const char *name, int cells,
					  uint64_t value)
{
	int error = 0;

	if (cells < 1 || (cells == 1 && value > UINT32_MAX))
		return -FDT_ERR_BADNCELLS;
	for (int cell = cells - 1; cell >= 0 && error == 0; cell--)
		error = fdt_appendprop_u32(fdt, node, name,
					   cell < 2 ? (uint32_t)(value >> 32 * cell) : 0);
	return error;
}

/* A node on a bus, `name`@`first`, with its `reg`. */
static inline int vsmmu_fdt_add_child(void *fdt, int bus, const char *name, uint64_t first,
				      uint64_t length)
{
	int address_cells = bus < 0 ? bus : fdt_address_cells(fdt, bus);
	int size_cells = bus < 0 ? bus : fdt_size_cells(fdt, bus);
	char full[32];
	int node, error;

	if (address_cells < 0 || size_cells < 0)
		return address_cells < 0 ? address_cells : size_cells;
	snprintf(full, sizeof full, "%s@%llx", name, (unsigned long long)first);
	node = fdt_add_subnode(fdt, bus, full);
	if (node < 0)
		return node;
	error = vsmmu_fdt_append_number(fdt, node, "reg", address_cells, first);
	if (error == 0)
		error = vsmmu_fdt_append_number(fdt, node, "reg", size_cells, length);
	return error ? error : node;
}

/* `interrupts` and `interrupt-names` of the lines that exist. */
static inline int vsmmu_fdt_add_interrupts(void *fdt, int node, const uint32_t spi[4])
{
	static const char *const names[4] = { "eventq", "priq", "cmdq-sync", "gerror" };
	int error = 0;

	for (int line = 0; line < 4 && error == 0; line++) {
		if (spi[line] == 0)
			continue;
		/* GIC binding: 0 = SPI, number, 1 = rising edge. */
		error = fdt_appendprop_u32(fdt, node, "interrupts", 0);
		if (error == 0)
			error = fdt_appendprop_u32(fdt, node, "interrupts", spi[line]);
		if (error == 0)
			error = fdt_appendprop_u32(fdt, node, "interrupts", 1);
		if (error == 0)
			error = fdt_appendprop(fdt, node, "interrupt-names", names[line],
					       (int)strlen(names[line]) + 1);
	}
	return error;
}

/* `msi-parent`: the ITS, and the DeviceID if the ITS tells devices apart. */
static inline int vsmmu_fdt_add_msi_parent(void *fdt, int node, const vsmmu_fdt *what)
{
	int its = fdt_node_offset_by_phandle(fdt, what->msi_parent);
	int length = 0;
	const void *cells = its < 0 ? NULL : fdt_getprop(fdt, its, "#msi-cells", &length);
	int one = cells != NULL && length == 4 && fdt32_ld((const fdt32_t *)cells) == 1;
	int error = its < 0 ? its : fdt_setprop_u32(fdt, node, "msi-parent", what->msi_parent);

	if (error == 0 && one)
		error = fdt_appendprop_u32(fdt, node, "msi-parent", what->msi_device);
	return error;
}

/* The SMMU's node. */
static inline int vsmmu_fdt_add_node(void *fdt, const vsmmu_fdt *what)
{
	int parent = fdt_path_offset(fdt, what->parent ? what->parent : "/");
	int node = vsmmu_fdt_add_child(fdt, parent, "iommu", what->base, VSMMU_MMIO_SIZE);
	int error = node < 0 ? node
			     : fdt_setprop_string(fdt, node, "compatible", "arm,smmu-v3");

	if (error == 0)
		error = vsmmu_fdt_add_interrupts(fdt, node, what->spi);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "#iommu-cells", 1);
	if (error == 0 && (what->flags & VSMMU_FDT_DMA_COHERENT) != 0)
		error = fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
	if (error == 0 && what->msi_parent != 0)
		error = vsmmu_fdt_add_msi_parent(fdt, node, what);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "phandle", what->phandle);
	return error;
}

/* The host bridge's iommu-map: <requester ID, phandle, StreamID, count> for each mapping. */
static inline int vsmmu_fdt_add_map(void *fdt, const vsmmu_fdt *what)
{
	int node = fdt_path_offset(fdt, what->host_bridge);
	int error = 0;

	if (node < 0)
		return node;
	for (uint32_t i = 0; i < what->mapping_count && error == 0; i++) {
		const vsmmu_id_mapping *mapping = &what->mappings[i];
		const uint32_t cells[4] = { mapping->input_base, what->phandle,
					    mapping->output_base, mapping->count };

		for (int cell = 0; cell < 4 && error == 0; cell++)
			error = fdt_appendprop_u32(fdt, node, "iommu-map", cells[cell]);
	}
	if (error == 0 && (what->flags & VSMMU_FDT_ATS) != 0)
		error = fdt_setprop(fdt, node, "ats-supported", NULL, 0);
	return error;
}

/* /reserved-memory, with the cells of the root, whose addresses its children have. */
static inline int vsmmu_fdt_reserved_memory(void *fdt)
{
	int address_cells = fdt_address_cells(fdt, 0);
	int size_cells = fdt_size_cells(fdt, 0);
	int node = fdt_path_offset(fdt, "/reserved-memory");
	int error;

	if (node != -FDT_ERR_NOTFOUND)
		return node;
	if (address_cells < 0 || size_cells < 0)
		return address_cells < 0 ? address_cells : size_cells;
	node = fdt_add_subnode(fdt, 0, "reserved-memory");
	if (node < 0)
		return node;
	error = fdt_setprop_u32(fdt, node, "#address-cells", (uint32_t)address_cells);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "#size-cells", (uint32_t)size_cells);
	if (error == 0)
		error = fdt_setprop(fdt, node, "ranges", NULL, 0);
	return error ? error : node;
}

/* The window's node. `no-map`: it is no memory of the CPUs. */
static inline int vsmmu_fdt_add_window(void *fdt, const vsmmu_fdt *what)
{
	int parent = vsmmu_fdt_reserved_memory(fdt);
	int node = vsmmu_fdt_add_child(fdt, parent, "msi", what->msi_first,
				       what->msi_last - what->msi_first + 1);
	int error = node < 0 ? node : fdt_setprop(fdt, node, "no-map", NULL, 0);

	return error ? error : fdt_setprop_u32(fdt, node, "phandle", what->msi_phandle);
}

/* Gives a device the window: its `memory-region`, and in the window's `iommu-addresses` the device's
 * phandle with address and size as on its bus: PCI puts the kind of space before an address. */
static inline int vsmmu_fdt_add_assigned(void *fdt, const vsmmu_fdt *what, const char *path)
{
	static const char name[] = "iommu-addresses";
	int device = fdt_path_offset(fdt, path);
	int bus = device < 0 ? device : fdt_parent_offset(fdt, device);
	int address_cells = bus < 0 ? bus : fdt_address_cells(fdt, bus);
	int size_cells = bus < 0 ? bus : fdt_size_cells(fdt, bus);
	uint32_t phandle = device < 0 ? 0 : fdt_get_phandle(fdt, device);
	int error = 0, window;

	if (address_cells < 0 || size_cells < 0)
		return address_cells < 0 ? address_cells : size_cells;
	if (phandle == 0) {
		error = fdt_generate_phandle(fdt, &phandle);
		if (error == 0)
			error = fdt_setprop_u32(fdt, device, "phandle", phandle);
	}
	if (error == 0)
		error = fdt_appendprop_u32(fdt, device, "memory-region", what->msi_phandle);
	window = fdt_node_offset_by_phandle(fdt, what->msi_phandle);
	if (window < 0)
		return window;
	if (error == 0)
		error = fdt_appendprop_u32(fdt, window, name, phandle);
	if (error == 0 && address_cells == 3) {
		error = fdt_appendprop_u32(fdt, window, name, 0x02000000);
		address_cells = 2;
	}
	if (error == 0)
		error = vsmmu_fdt_append_number(fdt, window, name, address_cells, what->msi_first);
	if (error == 0)
		error = vsmmu_fdt_append_number(fdt, window, name, size_cells,
						what->msi_last - what->msi_first + 1);
	return error;
}

/* What must hold before the tree is touched. */
static inline int vsmmu_fdt_check(const vsmmu_fdt *what)
{
	if (what->size != sizeof *what || what->phandle == 0 ||
	    (what->flags & ~(VSMMU_FDT_DMA_COHERENT | VSMMU_FDT_ATS)) != 0)
		return -FDT_ERR_BADVALUE;
	if (what->assigned_count != 0 &&
	    (what->assigned == NULL || what->msi_last <= what->msi_first || what->msi_phandle == 0))
		return -FDT_ERR_BADVALUE;
	for (uint32_t i = 0; i < what->mapping_count; i++)
		if (what->mappings == NULL || what->mappings[i].count == 0 ||
		    what->mappings[i].reserved != 0)
			return -FDT_ERR_BADVALUE;
	return 0;
}

/* Adds the SMMU's node, the iommu-map to the host bridge, and the window for MSIs. Returns 0 or a negative libfdt error;
 * after an error the tree may hold a part of it. Node offsets of the caller become invalid. */
static inline int vsmmu_fdt_add(void *fdt, const vsmmu_fdt *what)
{
	int error = vsmmu_fdt_check(what);

	if (error == 0)
		error = vsmmu_fdt_add_node(fdt, what);
	if (error == 0 && what->host_bridge != NULL)
		error = vsmmu_fdt_add_map(fdt, what);
	if (error == 0 && what->assigned_count != 0)
		error = vsmmu_fdt_add_window(fdt, what);
	for (uint32_t i = 0; i < what->assigned_count && error == 0; i++)
		error = vsmmu_fdt_add_assigned(fdt, what, what->assigned[i]);
	return error;
}

#ifdef __cplusplus
}
#endif

#endif
