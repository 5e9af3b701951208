/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DMA of emulated devices. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/main-loop.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

static bool ask(VSMMUv3Endpoint *e, hwaddr address, uint32_t flags, vsmmu_result *result)
{
	VSMMUv3 *s = e->smmu;
	vsmmu_access access = {
		.size = sizeof(access),
		.flags = flags,
		.stream = vsmmuv3_stream_of(e),
		.address = address,
	};
	int32_t error = s->library.translate(s->vsmmu, &access, result);

	/* The first DMA under this requester ID. */
	if (error == -ENOENT) {
		error = s->library.stream_add(s->vsmmu, access.stream);
		if (error == 0 || error == -EEXIST) {
			error = s->library.translate(s->vsmmu, &access, result);
		}
	}
	if (error) {
		trace_vsmmuv3_no_answer(access.stream, address, error);
		return false;
	}
	if (result->kind == VSMMU_RESULT_ABORT) {
		trace_vsmmuv3_fault(access.stream, address, flags, result->event, bql_locked());
		return false;
	}
	trace_vsmmuv3_translate(access.stream, address, flags, result->address, result->page_bits,
				result->permissions);
	return true;
}

/*
 * The only copies in QEMU are vhost's. They come from here, by address_space_get_iotlb_entry(), and
 * the BQL is held from then until vhost has its copy. It is held during notices too. So a copy is
 * stored before a notice, which takes it back, or asked for after it, if the library's generations
 * say so too; else it is asked for again. DMA without the BQL keeps nothing.
 */
static bool ask_to_keep(VSMMUv3Endpoint *e, hwaddr address, uint32_t flags, vsmmu_result *result)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		if (!ask(e, address, flags, result)) {
			return false;
		}
		if (result->generation > e->smmu->newest) {
			return true;
		}
		trace_vsmmuv3_outdated(vsmmuv3_stream_of(e), address, result->generation,
				       e->smmu->newest);
	}
	return false;
}

IOMMUTLBEntry vsmmuv3_translate(IOMMUMemoryRegion *region, hwaddr address, IOMMUAccessFlags flags,
				int index)
{
	VSMMUv3Endpoint *e = container_of(region, VSMMUv3Endpoint, region);
	vsmmu_result result = { .size = sizeof(result) };
	IOMMUTLBEntry entry = {
		.target_as = &address_space_memory,
		.iova = address,
		.translated_addr = address,
		.addr_mask = 0xfff,
		.perm = IOMMU_NONE,
	};
	bool found;

	if (flags == IOMMU_NONE) {
		found = ask(e, address, VSMMU_ACCESS_SPECULATIVE, &result)
			|| ask(e, address, VSMMU_ACCESS_SPECULATIVE | VSMMU_ACCESS_WRITE, &result);
	} else {
		bool kept = e->notifies && bql_locked();

		found = (kept ? ask_to_keep : ask)(e, address, flags & IOMMU_WO ? VSMMU_ACCESS_WRITE : 0,
						   &result);
	}
	if (!found) {
		return entry;
	}
	if (result.kind == VSMMU_RESULT_RAZWI) {
		/* vhost looks at the address alone, which names the guest's memory. */
		if (e->notifies) {
			return entry;
		}
		entry.target_as = &e->smmu->nowhere;
		entry.perm = IOMMU_RW;
	} else {
		entry.addr_mask = MAKE_64BIT_MASK(0, MIN(result.page_bits, 52));
		entry.translated_addr = result.address & ~entry.addr_mask;
		entry.perm = (result.permissions & VSMMU_PERMIT_READ ? IOMMU_RO : 0)
			     | (result.permissions & VSMMU_PERMIT_WRITE ? IOMMU_WO : 0);
	}
	entry.iova = address & ~entry.addr_mask;
	return entry;
}
