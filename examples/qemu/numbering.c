/* SPDX-License-Identifier: GPL-2.0-or-later */
/* StreamIDs of assigned devices: their requester IDs, as the guest numbers its buses. With the BQL. */
#include "qemu/osdep.h"
#include "device.h"

#ifdef VSMMUV3_ASSIGNS
#include "assigned.h"
#include "qemu/error-report.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

/* No StreamID was refused, nor was taking one away. */
#define NOTHING_REFUSED (VSMMU_UNNUMBERED - 1)

VSMMUv3Assigned *vsmmuv3_find_assigned(VSMMUv3 *s, PCIDevice *dev)
{
	VSMMUv3Assigned *d;

	QLIST_FOREACH(d, &s->assignment->devices, next) {
		if (d->dev == dev) {
			return d;
		}
	}
	return NULL;
}

/* Behind a bridge that the guest has not numbered yet, a device has no requester ID. */
static uint64_t wanted_stream(VSMMUv3Assigned *d)
{
	HostIOMMUDevice *host = HOST_IOMMU_DEVICE(d->host);
	uint32_t number = pci_bus_num(host->aliased_bus);

	return pci_bus_is_root(host->aliased_bus) || number ? number << 8 | host->aliased_devfn
							     : VSMMU_UNNUMBERED;
}

/* An emulated device may have had this StreamID before. */
static void clear_stream(VSMMUv3 *s, uint64_t stream)
{
	if (stream != VSMMU_UNNUMBERED) {
		s->library.stream_remove(s->vsmmu, stream);
	}
}

static void renumber_one(VSMMUv3 *s, VSMMUv3Assigned *d, uint64_t stream)
{
	char text[512];

	if (d->stream == stream || d->refused == stream) {
		return;
	}
	clear_stream(s, stream);
	trace_vsmmuv3_renumber(d->host->devid, d->stream, stream);
	if (s->library.device_renumber(s->vsmmu, VSMMU_BY_DEVID(d->host->devid), stream)) {
		d->refused = stream;
		warn_report("vsmmuv3: %s: %s", d->dev->name,
			    vsmmuv3_sentence(s, text, sizeof(text)));
		return;
	}
	d->stream = stream;
	d->refused = NOTHING_REFUSED;
}

/* In two rounds, as numbers may be exchanged. Nobody tells of it, so this is asked often. */
void vsmmuv3_renumber(VSMMUv3 *s)
{
	VSMMUv3Assigned *d;
	bool moves = false;

	if (!s->assignment) {
		return;
	}
	QLIST_FOREACH(d, &s->assignment->devices, next) {
		uint64_t wanted = wanted_stream(d);

		if (d->attached && d->stream != wanted && d->refused != wanted) {
			moves = true;
			renumber_one(s, d, VSMMU_UNNUMBERED);
		}
	}
	if (!moves) {
		return;
	}
	QLIST_FOREACH(d, &s->assignment->devices, next) {
		if (d->attached) {
			/* What it was refused for may have moved. */
			d->refused = NOTHING_REFUSED;
			renumber_one(s, d, wanted_stream(d));
		}
	}
}

/* No DMA before the guest has made the device a bus master, which is after it numbered the bus. */
static void config_write(PCIDevice *dev, uint32_t address, uint32_t value, int length)
{
	PCIBus *bus, *aliased;
	int devfn;
	VSMMUv3 *s;
	VSMMUv3Assigned *d;

	pci_device_get_iommu_bus_devfn(dev, &bus, &aliased, &devfn);
	s = bus->iommu_opaque;
	d = vsmmuv3_find_assigned(s, dev);
	vsmmuv3_renumber(s);
	d->config_write(dev, address, value, length);
}

void vsmmuv3_first_number(VSMMUv3 *s, VSMMUv3Assigned *d, vsmmu_device *device)
{
	d->stream = wanted_stream(d);
	d->refused = NOTHING_REFUSED;
	if (d->stream == VSMMU_UNNUMBERED) {
		device->flags |= VSMMU_DEVICE_UNNUMBERED;
	} else {
		device->stream = d->stream;
	}
	clear_stream(s, d->stream);
}

void vsmmuv3_watch(VSMMUv3Assigned *d)
{
	d->config_write = d->dev->config_write;
	d->dev->config_write = config_write;
}

void vsmmuv3_unwatch(VSMMUv3Assigned *d)
{
	d->dev->config_write = d->config_write;
}
#endif
