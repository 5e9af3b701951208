/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place among the machine's SMMUs, one for each root bus. The machine finds room, interrupts and
 * IORT nodes for devices of its own kind, and writes an RMR for MSIs and CANWBS for those that
 * assigned devices are behind. So one of that kind sits there, of which nothing is at work: its
 * registers and lines are this device's.
 */
#include "qemu/osdep.h"
#include "device.h"

#ifdef VSMMUV3_ASSIGNS
#include "hw/core/sysbus.h"
#include "hw/arm/smmuv3.h"

/* Whose seat is being made: QOM's realize is told nothing more. With the BQL. */
static VSMMUv3 *sitting;

static void seat_realize(DeviceState *dev, Error **errp)
{
	SysBusDevice *seat = SYS_BUS_DEVICE(dev);

	DEVICE_CLASS(object_class_by_name(TYPE_SYS_BUS_DEVICE))->realize(dev, errp);
	sysbus_init_mmio(seat, &sitting->registers);
	for (int line = 0; line < VSMMUV3_LINES; line++) {
		sysbus_init_irq(seat, &sitting->irq[line]);
	}
}

static void seat_reset(Object *obj, ResetType type)
{
}

static void seat_class_init(ObjectClass *klass, CLASS_DATA *data)
{
	DeviceClass *dc = DEVICE_CLASS(klass);

	dc->realize = seat_realize;
	dc->vmsd = NULL;
	dc->user_creatable = false;
	RESETTABLE_CLASS(klass)->phases.exit = seat_reset;
}

const TypeInfo vsmmuv3_seat_type = {
	.name = TYPE_VSMMUV3_SEAT,
	.parent = TYPE_ARM_SMMUV3,
	.class_init = seat_class_init,
};

bool vsmmuv3_sit_down(VSMMUv3 *s, VirtMachineState *vms, Error **errp)
{
	DeviceState *seat = qdev_new(TYPE_VSMMUV3_SEAT);
	PCIBus *bus = s->primary_bus ? : vms->bus;

	/* Not where devices of the command line are: what is there and on no bus is refused. */
	object_property_add_child(OBJECT(vms), "vsmmuv3-seat[*]", OBJECT(seat));
	object_property_set_link(OBJECT(seat), "primary-bus", OBJECT(bus), &error_abort);
	object_property_set_bool(OBJECT(seat), "accel", s->assignment != NULL, &error_abort);
	sitting = s;
	return sysbus_realize_and_unref(SYS_BUS_DEVICE(seat), errp)
	       && vsmmuv3_take_bus(s, bus, errp);
}
#endif
