/* SPDX-License-Identifier: MIT */
/* A small device tree: GIC with ITS, PCI host bridge, and the SMMU between them. */
#include "tree.h"

#include <gio/gio.h>

#include "vsmmuv3_fdt.h"

#define TREE_BYTES 16384
#define GIC_PHANDLE 1u
#define ITS_PHANDLE 2u
#define SMMU_PHANDLE 3u
#define WINDOW_PHANDLE 4u
#define HOST_BRIDGE "/pcie@10000000"

/* Sets a property of cells. */
static int set_cells(void *fdt, int node, const char *name, const uint32_t *cells, int count)
{
	int error = fdt_setprop(fdt, node, name, NULL, 0);

	for (int i = 0; i < count && error == 0; i++)
		error = fdt_appendprop_u32(fdt, node, name, cells[i]);
	return error;
}

#define SET_CELLS(fdt, node, name, ...)                                                            \
	set_cells(fdt, node, name, (const uint32_t[]){ __VA_ARGS__ },                              \
		  (int)(sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)))

static int set_bus_cells(void *fdt, int node, uint32_t address, uint32_t size)
{
	int error = fdt_setprop_u32(fdt, node, "#address-cells", address);

	return error ? error : fdt_setprop_u32(fdt, node, "#size-cells", size);
}

static int add_root(void *fdt)
{
	int error = set_bus_cells(fdt, 0, 2, 2);

	if (error == 0)
		error = fdt_setprop_string(fdt, 0, "compatible", "linux,dummy-virt");
	if (error == 0)
		error = fdt_setprop_string(fdt, 0, "model", "vsmmuv3 example");
	return error ? error : fdt_setprop_u32(fdt, 0, "interrupt-parent", GIC_PHANDLE);
}

static int add_its(void *fdt, int gic)
{
	int node = fdt_add_subnode(fdt, gic, "msi-controller@8080000");
	int error = node < 0 ? node : fdt_setprop_string(fdt, node, "compatible", "arm,gic-v3-its");

	if (error == 0)
		error = SET_CELLS(fdt, node, "reg", 0, 0x8080000, 0, 0x20000);
	if (error == 0)
		error = fdt_setprop(fdt, node, "msi-controller", NULL, 0);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "#msi-cells", 1);
	return error ? error : fdt_setprop_u32(fdt, node, "phandle", ITS_PHANDLE);
}

static int add_gic(void *fdt)
{
	int node = fdt_add_subnode(fdt, 0, "interrupt-controller@8000000");
	int error = node < 0 ? node : fdt_setprop_string(fdt, node, "compatible", "arm,gic-v3");

	if (error == 0)
		error = SET_CELLS(fdt, node, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0,
				  0xf60000);
	if (error == 0)
		error = fdt_setprop(fdt, node, "interrupt-controller", NULL, 0);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "#interrupt-cells", 3);
	if (error == 0)
		error = set_bus_cells(fdt, node, 2, 2);
	if (error == 0)
		error = fdt_setprop(fdt, node, "ranges", NULL, 0);
	if (error == 0)
		error = fdt_setprop_u32(fdt, node, "phandle", GIC_PHANDLE);
	return error ? error : add_its(fdt, node);
}

/* One bus; 32-bit memory space from 0x20000000 on. */
static int add_host_bridge(void *fdt)
{
	int node = fdt_add_subnode(fdt, 0, &HOST_BRIDGE[1]);
	int error = node < 0 ? node : fdt_setprop_string(fdt, node, "compatible",
							 "pci-host-ecam-generic");

	if (error == 0)
		error = fdt_setprop_string(fdt, node, "device_type", "pci");
	if (error == 0)
		error = SET_CELLS(fdt, node, "reg", 0, 0x10000000, 0, 0x100000);
	if (error == 0)
		error = SET_CELLS(fdt, node, "bus-range", 0, 0);
	if (error == 0)
		error = SET_CELLS(fdt, node, "ranges", 0x2000000, 0, 0x20000000, 0, 0x20000000, 0,
				  0x10000000);
	if (error == 0)
		error = set_bus_cells(fdt, node, 3, 2);
	if (error == 0)
		error = fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
	return error ? error : SET_CELLS(fdt, node, "msi-map", 0, ITS_PHANDLE, 0, 0x100);
}

/* The device 00:01.0, which firmware must name if it is to have a window for its MSIs. */
static int add_assigned(void *fdt)
{
	int node = fdt_add_subnode(fdt, fdt_path_offset(fdt, HOST_BRIDGE), "ethernet@1,0");

	return node < 0 ? node : SET_CELLS(fdt, node, "reg", 0x800, 0, 0, 0, 0);
}

static int add_smmu(void *fdt, const struct library *library, vsmmu_host_t *host)
{
	static const vsmmu_id_mapping bus = { .input_base = 0, .count = 0x100, .output_base = 0 };
	static const char *const assigned[] = { HOST_BRIDGE "/ethernet@1,0" };
	vsmmu_fdt smmu = {
		.size = sizeof smmu,
		.base = BOARD_SMMU,
		.phandle = SMMU_PHANDLE,
		.msi_parent = ITS_PHANDLE,
		.msi_device = 0x10000, /* beyond the requester IDs of the bus */
		.spi = BOARD_SPI,
		.host_bridge = HOST_BRIDGE,
		.mappings = &bus,
		.mapping_count = 1,
		.msi_phandle = WINDOW_PHANDLE,
		.assigned = assigned,
		.assigned_count = host ? 1 : 0,
	};
	uint64_t idr0 = 0;
	int32_t failure;
	vsmmu_t *vsmmu = board_smmu(library, host, &idr0, &failure);

	if (failure == 0 && host != NULL)
		failure = library->msi_window(vsmmu, &smmu.msi_first, &smmu.msi_last);
	library->destroy(vsmmu);
	if (failure != 0)
		return -FDT_ERR_BADVALUE;
	smmu.flags = vsmmu_fdt_flags(idr0);
	failure = host ? add_assigned(fdt) : 0;
	return failure ? failure : vsmmu_fdt_add(fdt, &smmu);
}

gboolean write_tree(const struct library *library, vsmmu_host_t *host, const char *path,
		    GError **error)
{
	g_autofree void *fdt = g_malloc0(TREE_BYTES);
	int failure = fdt_create_empty_tree(fdt, TREE_BYTES);

	if (failure == 0)
		failure = add_root(fdt);
	if (failure == 0)
		failure = add_gic(fdt);
	if (failure == 0)
		failure = add_host_bridge(fdt);
	if (failure == 0)
		failure = add_smmu(fdt, library, host);
	if (failure == 0)
		failure = fdt_pack(fdt);
	if (failure != 0) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "device tree: %s",
			    fdt_strerror(failure));
		return FALSE;
	}
	return write_output(path, fdt, fdt_totalsize(fdt), error);
}
