/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's memory: what is plain RAM is lent to the library, the rest it asks for. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "qemu/units.h"

/* Only memory: a device's registers would take the BQL, for which this thread must not wait. */
static const MemTxAttrs memory_only = { .memory = 1 };

int32_t vsmmuv3_mem_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	return address_space_read(&address_space_memory, address, memory_only, data, length);
}

int32_t vsmmuv3_mem_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	return address_space_write(&address_space_memory, address, memory_only, data, length);
}

void vsmmuv3_mem_dirty(void *opaque, uint64_t address, uint64_t length)
{
	RCU_READ_LOCK_GUARD();
	while (length) {
		hwaddr offset, part = length;
		MemoryRegion *mr = address_space_translate(&address_space_memory, address, &offset,
							   &part, true, MEMTXATTRS_UNSPECIFIED);

		if (!part) {
			return;
		}
		if (memory_region_is_ram(mr)) {
			memory_region_set_dirty(mr, offset, part);
		}
		address += part;
		length -= part;
	}
}

/* What is no plain RAM, or in odd pieces, is reached by the two above. */
static bool is_plain(MemoryRegionSection *section)
{
	return memory_region_is_ram(section->mr) && !memory_region_is_rom(section->mr)
	       && !memory_region_is_romd(section->mr) && !memory_region_is_ram_device(section->mr)
	       && QEMU_IS_ALIGNED(section->offset_within_address_space, 4 * KiB)
	       && QEMU_IS_ALIGNED(section->offset_within_region, 4 * KiB)
	       && !int128_gethi(section->size)
	       && QEMU_IS_ALIGNED(int128_get64(section->size), 4 * KiB);
}

static void region_add(MemoryListener *listener, MemoryRegionSection *section)
{
	VSMMUv3 *s = container_of(listener, VSMMUv3, listener);
	char text[256];
	uint8_t *host;

	if (!is_plain(section)) {
		return;
	}
	host = memory_region_get_ram_ptr(section->mr);
	memory_region_ref(section->mr);
	if (s->library.ram_add(s->vsmmu, section->offset_within_address_space,
			       int128_get64(section->size), host + section->offset_within_region)) {
		memory_region_unref(section->mr);
		warn_report("vsmmuv3: %s: %s; it is slower there", memory_region_name(section->mr),
			    vsmmuv3_sentence(s, text, sizeof(text)));
	}
}

static void region_del(MemoryListener *listener, MemoryRegionSection *section)
{
	VSMMUv3 *s = container_of(listener, VSMMUv3, listener);

	if (is_plain(section)
	    && s->library.ram_remove(s->vsmmu, section->offset_within_address_space) == 0) {
		memory_region_unref(section->mr);
	}
}

void vsmmuv3_lend_memory(VSMMUv3 *s)
{
	s->listener = (MemoryListener){
		.name = TYPE_VSMMUV3,
		.region_add = region_add,
		.region_del = region_del,
	};
	memory_listener_register(&s->listener, &address_space_memory);
}
