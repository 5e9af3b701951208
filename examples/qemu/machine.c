/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The place of the machine's own SMMU. The machine writes the IORT itself. */
#include "qemu/osdep.h"
#include "device.h"
#include "hw/arm/fdt.h"
#include "system/device_tree.h"

static void add_device_tree_node(VSMMUv3 *s, VirtMachineState *vms)
{
	void *fdt = MACHINE(vms)->fdt;
	hwaddr base = vms->memmap[VIRT_SMMU].base, size = vms->memmap[VIRT_SMMU].size;
	int spi = vms->irqmap[VIRT_SMMU];
	static const char names[] = "eventq\0priq\0cmdq-sync\0gerror";
	g_autofree char *node = g_strdup_printf("/smmuv3@%" PRIx64, base);
	const uint32_t edge = GIC_FDT_IRQ_FLAGS_EDGE_LO_HI, kind = GIC_FDT_IRQ_TYPE_SPI;

	vms->iommu_phandle = qemu_fdt_alloc_phandle(fdt);
	qemu_fdt_add_subnode(fdt, node);
	qemu_fdt_setprop_string(fdt, node, "compatible", "arm,smmu-v3");
	qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, base, 2, size);
	qemu_fdt_setprop_cells(fdt, node, "interrupts", kind, spi, edge, kind, spi + 1, edge,
			       kind, spi + 2, edge, kind, spi + 3, edge);
	qemu_fdt_setprop(fdt, node, "interrupt-names", names, sizeof(names));
	qemu_fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
	qemu_fdt_setprop_cell(fdt, node, "#iommu-cells", 1);
	qemu_fdt_setprop_cell(fdt, node, "phandle", vms->iommu_phandle);
	qemu_fdt_setprop_cells(fdt, vms->pciehb_nodename, "iommu-map", 0, vms->iommu_phandle, 0,
			       0x10000);
}

bool (*vsmmuv3_layouts_fit)(VirtMachineState *vms, Error **errp);

VirtMachineState *vsmmuv3_find_machine(VSMMUv3 *s, Error **errp)
{
	Object *machine = object_dynamic_cast(OBJECT(qdev_get_machine()), TYPE_VIRT_MACHINE);
	VirtMachineState *vms = machine ? VIRT_MACHINE(machine) : NULL;

	if (!vms || !vms->bus) {
		error_setg(errp, "vsmmuv3: only on the machine \"virt\" with its PCIe bus");
		return NULL;
	}
	if (vsmmuv3_layouts_fit && !vsmmuv3_layouts_fit(vms, errp)) {
		return NULL;
	}
	if (vms->iommu != VIRT_IOMMU_NONE || (s->primary_bus ? : vms->bus)->iommu_ops) {
		error_setg(errp, "vsmmuv3: this machine has an IOMMU already");
		return NULL;
	}
	return vms;
}

bool vsmmuv3_take_place(VSMMUv3 *s, VirtMachineState *vms, Error **errp)
{
	if (!vsmmuv3_take_bus(s, vms->bus, errp)) {
		return false;
	}
	for (int line = 0; line < VSMMUV3_LINES; line++) {
		s->irq[line] = qdev_get_gpio_in(vms->gic, vms->irqmap[VIRT_SMMU] + line);
	}
	memory_region_add_subregion(get_system_memory(), vms->memmap[VIRT_SMMU].base, &s->registers);
	if (MACHINE(vms)->fdt) {
		add_device_tree_node(s, vms);
	}
	take_the_machines_place(vms);
	return true;
}
