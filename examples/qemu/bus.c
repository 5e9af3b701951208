/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions and their StreamIDs. */
#include "qemu/osdep.h"
#include "device.h"

uint32_t vsmmuv3_stream_of(VSMMUv3Endpoint *e)
{
	/* The guest numbers buses, and may do so again. */
	return (uint32_t)pci_bus_num(e->bus) << 8 | e->devfn;
}

VSMMUv3Endpoint *vsmmuv3_endpoint(VSMMUv3 *s, PCIBus *bus, int devfn)
{
	VSMMUv3Endpoint **functions = g_hash_table_lookup(s->buses, bus);
	VSMMUv3Endpoint *e;
	g_autofree char *name = NULL;

	if (!functions) {
		functions = g_new0(VSMMUv3Endpoint *, PCI_DEVFN_MAX);
		g_hash_table_insert(s->buses, bus, functions);
	}
	if (functions[devfn]) {
		return functions[devfn];
	}
	e = functions[devfn] = g_new0(VSMMUv3Endpoint, 1);
	e->smmu = s;
	e->bus = bus;
	e->devfn = devfn;
	name = g_strdup_printf("vsmmuv3-%s-%02x.%x", BUS(bus)->name ? : "pci", PCI_SLOT(devfn),
			       PCI_FUNC(devfn));
	memory_region_init_iommu(&e->region, sizeof(e->region), TYPE_VSMMUV3_REGION, OBJECT(s), name,
				 UINT64_MAX);
	address_space_init(&e->space, MEMORY_REGION(&e->region), name);
	QLIST_INSERT_HEAD(&s->endpoints, e, next);
	return e;
}

static AddressSpace *get_address_space(PCIBus *bus, void *opaque, int devfn)
{
	return &vsmmuv3_endpoint(opaque, bus, devfn)->space;
}

static const PCIIOMMUOps emulated_ops = {
	.get_address_space = get_address_space,
};

bool vsmmuv3_take_bus(VSMMUv3 *s, PCIBus *bus, Error **errp)
{
#ifdef VSMMUV3_ASSIGNS
	if (s->assignment) {
		return pci_setup_iommu_per_bus(bus, &vsmmuv3_assigning_ops, s, errp);
	}
	if (s->primary_bus) {
		return pci_setup_iommu_per_bus(bus, &emulated_ops, s, errp);
	}
#endif
	pci_setup_iommu(bus, &emulated_ops, s);
	return true;
}
