/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The register frame. */
#include "qemu/osdep.h"
#include "device.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

static MemTxResult registers_read(void *opaque, hwaddr offset, uint64_t *value, unsigned width,
				  MemTxAttrs attrs)
{
	VSMMUv3 *s = opaque;

	if (s->library.mmio_read(s->vsmmu, offset, width, value)) {
		trace_vsmmuv3_refused(offset, width);
		return MEMTX_ERROR;
	}
	trace_vsmmuv3_read(offset, width, *value);
	return MEMTX_OK;
}

static MemTxResult registers_write(void *opaque, hwaddr offset, uint64_t value, unsigned width,
				   MemTxAttrs attrs)
{
	VSMMUv3 *s = opaque;

	trace_vsmmuv3_write(offset, width, value);
#ifdef VSMMUV3_ASSIGNS
	vsmmuv3_renumber(s);
#endif
	if (s->library.mmio_write(s->vsmmu, offset, width, value)) {
		trace_vsmmuv3_refused(offset, width);
		return MEMTX_ERROR;
	}
	return MEMTX_OK;
}

static const MemoryRegionOps registers_ops = {
	.read_with_attrs = registers_read,
	.write_with_attrs = registers_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
	.impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t nothing_read(void *opaque, hwaddr offset, unsigned width)
{
	return 0;
}

static void nothing_write(void *opaque, hwaddr offset, uint64_t value, unsigned width)
{
}

static const MemoryRegionOps nothing_ops = {
	.read = nothing_read,
	.write = nothing_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
	.impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

void vsmmuv3_make_registers(VSMMUv3 *s)
{
	memory_region_init_io(&s->nothing, OBJECT(s), &nothing_ops, s, "vsmmuv3-nothing",
			      UINT64_MAX);
	address_space_init(&s->nowhere, &s->nothing, "vsmmuv3-nothing");
	memory_region_init_io(&s->registers, OBJECT(s), &registers_ops, s, TYPE_VSMMUV3,
			      VSMMU_MMIO_SIZE);
}
