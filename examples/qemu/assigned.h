/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vfio.c, numbering.c and host.c know of assigned devices. */
#ifndef VSMMUV3_ASSIGNED_H
#define VSMMUV3_ASSIGNED_H

#include "hw/pci/pci_device.h"
#include "system/iommufd.h"

typedef struct VSMMUv3Assigned {
	PCIDevice *dev;
	HostIOMMUDeviceIOMMUFD *host;
	PCIConfigWriteFunc *config_write; /* the device's own */
	bool attached;
	uint64_t stream;  /* or VSMMU_UNNUMBERED */
	uint64_t refused; /* what the library has refused last in its place */
	QLIST_ENTRY(VSMMUv3Assigned) next;
} VSMMUv3Assigned;

typedef struct VSMMUv3Assignment {
	MemoryRegion root, alias; /* what assigned devices see: system memory */
	AddressSpace direct;
	uint64_t msi_gpa;
	vsmmu_host_t *host; /* NULL while no device is there */
	int event_fd;
	Error *blocker;
	QLIST_HEAD(, VSMMUv3Assigned) devices;
} VSMMUv3Assignment;

/* numbering.c */
VSMMUv3Assigned *vsmmuv3_find_assigned(VSMMUv3 *s, PCIDevice *dev);
/* The library's flags and StreamID for a device that comes. */
void vsmmuv3_first_number(VSMMUv3 *s, VSMMUv3Assigned *d, vsmmu_device *device);
/* The guest's writes to its configuration space are a time to look at numbers; no more. */
void vsmmuv3_watch(VSMMUv3Assigned *d);
void vsmmuv3_unwatch(VSMMUv3Assigned *d);

#endif
