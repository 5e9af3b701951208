/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The properties: what is written to `run` is done, and `result` is what came of it. */
#include "bench.h"
#include "qapi/error.h"
#include "qemu/module.h"

static void set_run(Object *obj, const char *order, Error **errp)
{
	VSMMUv3Bench *b = VSMMUV3_BENCH(obj);
	Error *error = NULL;
	char *result;

	if (!DEVICE(obj)->realized) {
		error_setg(errp, "vsmmuv3-bench: run is for the monitor");
		return;
	}
	result = bench_run(b, order, &error);
	if (error) {
		g_clear_pointer(&result, g_free);
		error_propagate(errp, error);
	}
	g_free(b->result);
	b->result = result;
}

static char *get_result(Object *obj, Error **errp)
{
	return g_strdup(VSMMUV3_BENCH(obj)->result ? : "");
}

static void realize(DeviceState *dev, Error **errp)
{
	VSMMUv3Bench *b = VSMMUV3_BENCH(dev);

	if (!b->function) {
		error_setg(errp, "vsmmuv3-bench: say whose DMA it is: function=ID of a PCI device "
			   "before it");
		return;
	}
	if (!object_dynamic_cast(qdev_get_machine(), TYPE_VIRT_MACHINE)) {
		error_setg(errp, "vsmmuv3-bench: only on the virt machine");
		return;
	}
	if (bench_make_space(b, errp)) {
		qemu_mutex_init(&b->queue);
	}
}

static const Property properties[] = {
	DEFINE_PROP_LINK("function", VSMMUv3Bench, function, TYPE_PCI_DEVICE, PCIDevice *),
	DEFINE_PROP_STRING("iommu", VSMMUv3Bench, iommu),
};

static void class_init(ObjectClass *klass, CLASS_DATA *data)
{
	DeviceClass *dc = DEVICE_CLASS(klass);

	dc->desc = "DMA behind an SMMUv3, timed without a guest";
	dc->realize = realize;
	dc->hotpluggable = false;
	dc->user_creatable = true;
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
	device_class_set_props(dc, properties);
	object_class_property_add_str(klass, "run", NULL, set_run);
	object_class_property_add_str(klass, "result", get_result, NULL);
}

static const TypeInfo types[] = {
	{
		.name = TYPE_VSMMUV3_BENCH,
		.parent = TYPE_DEVICE,
		.instance_size = sizeof(VSMMUv3Bench),
		.class_init = class_init,
	},
	{
		.name = TYPE_VSMMUV3_BENCH_REGION,
		.parent = TYPE_IOMMU_MEMORY_REGION,
		.class_init = bench_region_class_init,
	},
};

void vsmmuv3_register_bench(void)
{
	type_register_static_array(types, ARRAY_SIZE(types));
}

#ifndef VSMMUV3_PLUGIN
type_init(vsmmuv3_register_bench)
#endif
