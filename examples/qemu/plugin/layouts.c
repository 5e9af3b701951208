/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields of QEMU's structs that the device reads, against what QEMU's functions and its tree of
 * objects say of the same. All of these structs are there on every virt machine.
 */
#include "qemu/osdep.h"
#include "../device.h"
#include "fit.h"
#include "hw/pci/pci_device.h"

#define FDT_MAGIC 0xd00dfeed

static Object *find_gic(void)
{
	static const char *const types[] = { "arm_gic_common", "arm-gicv3-common", "arm-gicv5-common" };
	Object *gic = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(types) && !gic; i++) {
		gic = object_resolve_path_type("", types[i], NULL);
	}
	return gic;
}

static bool the_machine_has(VirtMachineState *vms)
{
	MachineState *machine = MACHINE(vms);

	return OBJECT(vms->gic) == find_gic()
	       && OBJECT(machine->memdev)
			  == object_property_get_link(OBJECT(vms), "memory-backend", NULL)
	       && memory_region_size(machine->ram) == machine->ram_size
	       && (!machine->fdt || ldl_be_p(machine->fdt) == FDT_MAGIC)
	       && vms->memmap[VIRT_SMMU].base == 0x09050000
	       && vms->memmap[VIRT_SMMU].size == VSMMU_MMIO_SIZE
	       && vms->irqmap[VIRT_SMMU] == 74;
}

static bool the_bus_has(PCIBus *bus)
{
	PCIDevice *bridge = pci_find_device(bus, 0, 0);

	return BUS(bus) == qdev_get_child_bus(BUS(bus)->parent, "pcie.0")
	       && !strcmp(BUS(bus)->name, "pcie.0") && pci_bus_is_root(bus) && bridge
	       && bus->devices[0] == bridge && !bus->parent_dev && bridge->devfn == 0
	       && pci_get_bus(bridge) == bus
	       && pci_default_read_config(bridge, PCI_VENDOR_ID, 4) == ldl_le_p(bridge->config);
}

static bool the_class_has(DeviceState *dev)
{
	DeviceClass *dc = DEVICE_GET_CLASS(dev);

	return dc->vmsd == qdev_get_vmsd(dev);
}

static bool memory_has(MemoryRegion *memory)
{
	return !strcmp(memory->name, memory_region_name(memory))
	       && int128_eq(memory->size, int128_2_64()) == (memory_region_size(memory) == UINT64_MAX)
	       && address_space_memory.root == memory;
}

bool vsmmuv3_machine_fits(VirtMachineState *vms, Error **errp)
{
	const char *wrong = NULL;
	Object *bus = object_resolve_path_type("pcie.0", TYPE_PCI_BUS, NULL);

	/* Pointers first, and what they lead to after that. */
	if (OBJECT(vms->bus) != bus) {
		wrong = "the machine";
	} else if (!the_bus_has(vms->bus)) {
		wrong = "a PCI bus";
	} else if (!the_machine_has(vms)) {
		wrong = "the machine";
	} else if (!the_class_has(vms->gic)) {
		wrong = "a class of devices";
	} else if (!memory_has(get_system_memory())) {
		wrong = "a region of memory";
	}
	if (wrong) {
		error_setg(errp, "vsmmuv3: in this QEMU %s is not laid out as in QEMU %s", wrong,
			   QEMU_VERSION);
	}
	return !wrong;
}
