/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device vsmmuv3,lib=PATH: the SMMUv3 of libvsmmuv3 on the virt machine, in the place of the
 * machine's own. PCI devices are its masters; a device's StreamID is its requester ID.
 */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/atomic.h"
#include "qemu/module.h"
#include "system/reset.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

static bool take_seat(VSMMUv3 *s, VirtMachineState *vms, Error **errp)
{
#ifdef VSMMUV3_ASSIGNS
	if (!vsmmuv3_expect_devices(s, vms, errp)) {
		return false;
	}
	if (s->assignment || s->primary_bus) {
		return vsmmuv3_sit_down(s, vms, errp);
	}
#endif
	return vsmmuv3_take_place(s, vms, errp);
}

static void realize(DeviceState *dev, Error **errp)
{
	VSMMUv3 *s = VSMMUV3(dev);
	VirtMachineState *vms = vsmmuv3_find_machine(s, errp);

	if (!vms || !vsmmuv3_load(s, errp) || !vsmmuv3_create(s, errp)) {
		g_clear_pointer(&s->library.module, g_module_close);
		return;
	}
	s->buses = g_hash_table_new(NULL, NULL);
	vsmmuv3_make_interrupts(s);
	vsmmuv3_make_registers(s);
	vsmmuv3_lend_memory(s);
	if (take_seat(s, vms, errp)) {
		qemu_register_resettable(OBJECT(dev));
	}
}

/* After the devices have stopped their DMA. */
static void reset_exit(Object *obj, ResetType type)
{
	VSMMUv3 *s = VSMMUV3(obj);

	trace_vsmmuv3_reset();
	qatomic_set(&s->pending, 0);
	s->library.reset(s->vsmmu);
#ifdef VSMMUV3_ASSIGNS
	vsmmuv3_renumber(s);
#endif
}

/* What became of each field of the ID registers, and why. */
static char *get_report(Object *obj, Error **errp)
{
	VSMMUv3 *s = VSMMUV3(obj);
	char *text;
	int64_t size;

	if (!s->vsmmu) {
		return g_strdup("");
	}
	size = s->library.negotiation_report(s->vsmmu, VSMMU_REPORT_TEXT, NULL, 0);
	text = g_malloc0(size + 1);
	s->library.negotiation_report(s->vsmmu, VSMMU_REPORT_TEXT, text, size + 1);
	return text;
}

static const Property properties[] = {
	DEFINE_PROP_STRING("lib", VSMMUv3, lib),
	DEFINE_PROP_STRING("profile", VSMMUv3, profile),
	DEFINE_PROP_STRING("features", VSMMUv3, features),
	DEFINE_PROP_STRING("stage", VSMMUv3, stage),
	DEFINE_PROP_UINT32("oas", VSMMUv3, oas, 0),
	DEFINE_PROP_STRING("granules", VSMMUv3, granules),
	DEFINE_PROP_ON_OFF_AUTO("ril", VSMMUv3, ril, ON_OFF_AUTO_AUTO),
	DEFINE_PROP_ON_OFF_AUTO("msi", VSMMUv3, msi, ON_OFF_AUTO_AUTO),
	DEFINE_PROP_UINT32("command-budget", VSMMUv3, command_budget, 0),
	DEFINE_PROP_UINT32("tlb-entries", VSMMUv3, tlb_entries, 0),
	DEFINE_PROP_BOOL("strict", VSMMUv3, strict, false),
	DEFINE_PROP_BOOL("quirk-tlbi-el2", VSMMUv3, tlbi_el2, false),
	DEFINE_PROP_BOOL("reset-aborts", VSMMUv3, reset_aborts, false),
#ifdef VSMMUV3_ASSIGNS
	DEFINE_PROP_ON_OFF_AUTO("assign", VSMMUv3, assign, ON_OFF_AUTO_AUTO),
	DEFINE_PROP_LINK("primary-bus", VSMMUv3, primary_bus, TYPE_PCIE_BUS, PCIBus *),
#endif
};

static void class_init(ObjectClass *klass, CLASS_DATA *data)
{
	DeviceClass *dc = DEVICE_CLASS(klass);

	dc->desc = "SMMUv3 of libvsmmuv3";
	dc->realize = realize;
	dc->vmsd = &vsmmuv3_vmstate;
	/* It is on no bus: what would unplug it? */
	dc->hotpluggable = false;
	dc->user_creatable = true;
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
	device_class_set_props(dc, properties);
	object_class_property_add_str(klass, "report", get_report, NULL);
	RESETTABLE_CLASS(klass)->phases.exit = reset_exit;
}

static void region_class_init(ObjectClass *klass, CLASS_DATA *data)
{
	IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

	imrc->translate = vsmmuv3_translate;
	imrc->notify_flag_changed = vsmmuv3_notify_flag_changed;
}

static const TypeInfo types[] = {
	{
		.name = TYPE_VSMMUV3,
		.parent = TYPE_DEVICE,
		.instance_size = sizeof(VSMMUv3),
		.class_init = class_init,
	},
	{
		.name = TYPE_VSMMUV3_REGION,
		.parent = TYPE_IOMMU_MEMORY_REGION,
		.class_init = region_class_init,
	},
};

void vsmmuv3_register_types(void)
{
	type_register_static_array(types, ARRAY_SIZE(types));
#ifdef VSMMUV3_ASSIGNS
	type_register_static(&vsmmuv3_seat_type);
#endif
}

#ifndef VSMMUV3_PLUGIN
type_init(vsmmuv3_register_types)
#endif
