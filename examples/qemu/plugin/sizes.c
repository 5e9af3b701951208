/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes of QEMU's structs in the running binary. QOM does not tell them, but it fills an object of
 * its type's size with zeros: so one is made in a room that is larger, and full of something else.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "../device.h"
#include "fit.h"

#define ROOM 16384
#define MARK 0xa5

/* A type that is its parent and nothing more, as abstract ones have no objects. */
static size_t size_of(const char *parent)
{
	g_autofree char *name = g_strdup_printf("vsmmuv3-size-of-%s", parent);
	const TypeInfo info = { .name = name, .parent = parent };
	g_autofree uint64_t *room = g_malloc(ROOM);
	size_t size = ROOM;

	if (!object_class_by_name(name)) {
		type_register_static(&info);
	}
	memset(room, MARK, ROOM);
	object_initialize(room, ROOM, name);
	while (size && ((uint8_t *)room)[size - 1] == MARK) {
		size--;
	}
	object_unref(OBJECT(room));
	return size;
}

static bool size_is(const char *type, size_t size, Error **errp)
{
	size_t found = size_of(type);

	if (found == size) {
		return true;
	}
	error_setg(errp, "vsmmuv3: %s has %zu bytes in this QEMU, and %zu in QEMU %s", type, found,
		   size, QEMU_VERSION);
	return false;
}

/* This one is no object, but what it has is written when it is made. QEMU takes it back later, on
 * another thread, so it is never freed. */
static bool address_space_fits(Error **errp)
{
	uint8_t *room = g_malloc(sizeof(AddressSpace) + ROOM);
	AddressSpace *space = (AddressSpace *)room;
	bool fits = true;

	memset(room, MARK, sizeof(AddressSpace) + ROOM);
	address_space_init(space, get_system_memory(), "vsmmuv3-size");
	for (size_t i = 0; i < ROOM; i++) {
		fits = fits && room[sizeof(AddressSpace) + i] == MARK;
	}
	fits = fits && space->root == get_system_memory() && !strcmp(space->name, "vsmmuv3-size");
	address_space_destroy(space);
	if (!fits) {
		error_setg(errp, "vsmmuv3: an AddressSpace of this QEMU is not that of QEMU %s",
			   QEMU_VERSION);
	}
	return fits;
}

bool vsmmuv3_sizes_fit(Error **errp)
{
	return size_is(TYPE_DEVICE, sizeof(DeviceState), errp)
	       && size_is(TYPE_MEMORY_REGION, sizeof(MemoryRegion), errp)
	       && size_is(TYPE_IOMMU_MEMORY_REGION, sizeof(IOMMUMemoryRegion), errp)
	       && size_is(TYPE_PCI_BUS, sizeof(PCIBus), errp)
	       && address_space_fits(errp);
}
