/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notices to who keeps translations of its own: vhost. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/main-loop.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

static void tell(uint32_t stream, IOMMUNotifier *n, hwaddr first, hwaddr last)
{
	bool cached = n->notifier_flags & IOMMU_NOTIFIER_DEVIOTLB_UNMAP;
	IOMMUTLBEvent event = {
		.type = cached ? IOMMU_NOTIFIER_DEVIOTLB_UNMAP : IOMMU_NOTIFIER_UNMAP,
		.entry.target_as = &address_space_memory,
		.entry.iova = first,
		.entry.addr_mask = last - first,
		.entry.perm = IOMMU_NONE,
	};

	trace_vsmmuv3_unmap(stream, cached, first, last - first);
	memory_region_notify_iommu_one(n, &event);
}

/*
 * [first, last] of one notifier at once, each notice being a round trip to vhost: who is told of
 * removed mappings alone takes any range, though what tells its end is called a mask. All of the
 * address space is two, as vhost knows no size of 2^64.
 */
static void unmap(uint32_t stream, IOMMUNotifier *n, hwaddr first, hwaddr last)
{
	first = MAX(first, n->start);
	last = MIN(last, n->end);
	if (first == 0 && last == HWADDR_MAX) {
		tell(stream, n, 0, HWADDR_MAX >> 1);
		first = (HWADDR_MAX >> 1) + 1;
	}
	if (first <= last) {
		tell(stream, n, first, last);
	}
}

void vsmmuv3_invalidate(void *opaque, const vsmmu_invalidation *what)
{
	VSMMUv3 *s = opaque;
	bool range = what->kind == VSMMU_INVALIDATE_RANGE;
	VSMMUv3Endpoint *e;
	IOMMUNotifier *n;

	/* Who makes the library give notices has it: see ask_to_keep(). */
	g_assert(bql_locked());
	trace_vsmmuv3_invalidate(what->kind, what->vmid, what->asid, what->address, what->last);
	s->newest = what->generation;
	QLIST_FOREACH(e, &s->endpoints, next) {
		if (!e->notifies) {
			continue;
		}
		if (what->kind == VSMMU_INVALIDATE_STREAMS
		    && (vsmmuv3_stream_of(e) < what->address || vsmmuv3_stream_of(e) > what->last)) {
			continue;
		}
		IOMMU_NOTIFIER_FOREACH(n, &e->region) {
			unmap(vsmmuv3_stream_of(e), n, range ? what->address : 0,
			      range ? what->last : HWADDR_MAX);
		}
	}
}

int vsmmuv3_notify_flag_changed(IOMMUMemoryRegion *region, IOMMUNotifierFlag before,
				IOMMUNotifierFlag after, Error **errp)
{
	VSMMUv3Endpoint *e = container_of(region, VSMMUv3Endpoint, region);

	if (after & IOMMU_NOTIFIER_MAP) {
		error_setg(errp, "device %02x.%x needs to be told of new mappings, of which an "
			   "SMMUv3's driver does not tell (vfio-pci? with QEMU 11 and KVM say assign=on)",
			   PCI_SLOT(e->devfn), PCI_FUNC(e->devfn));
		return -EINVAL;
	}
	e->notifies = after != IOMMU_NOTIFIER_NONE;
	return 0;
}
