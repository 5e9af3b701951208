/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of vfio-pci, in whose DMA the guest's stage 1 is the host SMMU's. All with the BQL.
 */
#include "qemu/osdep.h"
#include "device.h"

#ifdef VSMMUV3_ASSIGNS
#include "assigned.h"
#include "hw/core/iommu.h"
#include "hw/vfio/vfio-device.h"
#include "qemu/error-report.h"
#include "system/kvm.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

/* GITS_TRANSLATER and GICv2m's MSI_SETSPI_NS, in their frames. */
#define ITS_DOORBELL 0x10040
#define V2M_DOORBELL 0x40

static bool is_assigned(PCIBus *bus, int devfn)
{
	PCIDevice *dev = bus->devices[devfn];

	return dev && object_dynamic_cast(OBJECT(dev), "vfio-pci");
}

/* ---- What the library asks for ---- */

static int32_t move_to(VSMMUv3 *s, uint32_t devid, const uint32_t *hwpt)
{
	VSMMUv3Assigned *d;
	Error *error = NULL;
	int number;

	QLIST_FOREACH(d, &s->assignment->devices, next) {
		if (d->host->devid == devid) {
			break;
		}
	}
	if (!d) {
		return -ENOENT;
	}
	errno = 0;
	if (host_iommu_device_iommufd_attach_hwpt(d->host, IOMMU_NO_PASID,
						  hwpt ? *hwpt : d->host->hwpt_id, &error)) {
		return 0;
	}
	number = errno;
	warn_report_err(error);
	return number ? -number : -EIO;
}

int32_t vsmmuv3_attach(void *opaque, uint32_t devid, uint32_t hwpt)
{
	return move_to(opaque, devid, &hwpt);
}

/* To VFIO's own page table, the nest parent. */
int32_t vsmmuv3_detach(void *opaque, uint32_t devid)
{
	return move_to(opaque, devid, NULL);
}

/* ---- Coming and going ---- */

/* The structs that are read here, against what is known otherwise. */
static bool structs_fit(HostIOMMUDeviceIOMMUFD *host, VFIODevice *vfio, PCIDevice *dev, Error **errp)
{
	g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", host->iommufd->fd);
	g_autofree char *file = g_file_read_link(link, NULL);
	PCIConfigWriteFunc *write = PCI_DEVICE_GET_CLASS(dev)->config_write;

	if (object_property_get_link(OBJECT(dev), "iommufd", NULL) == OBJECT(host->iommufd)
	    && vfio->iommufd == host->iommufd && vfio->devid == host->devid
	    && vfio->dev == DEVICE(dev) && dev->config_write == write && file
	    && !strcmp(file, "/dev/iommu")) {
		return true;
	}
	error_setg(errp, "vsmmuv3: VFIO of this QEMU is not laid out as in QEMU %s", QEMU_VERSION);
	return false;
}

static bool attach(VSMMUv3 *s, VSMMUv3Assigned *d, Error **errp)
{
	char text[512];
	vsmmu_device device = {
		.size = sizeof(device),
		.flags = VSMMU_DEVICE_BOUND,
		.devid = d->host->devid,
	};

	vsmmuv3_first_number(s, d, &device);
	if (s->library.device_attach(s->vsmmu, &device)) {
		error_setg(errp, "vsmmuv3: %s", vsmmuv3_sentence(s, text, sizeof(text)));
		return false;
	}
	d->attached = true;
	trace_vsmmuv3_attach(d->host->devid, d->stream, d->host->hwpt_id);
	return true;
}

static void forget(VSMMUv3 *s, VSMMUv3Assigned *d)
{
	QLIST_REMOVE(d, next);
	g_free(d);
	if (QLIST_EMPTY(&s->assignment->devices)) {
		vsmmuv3_give_host_back(s);
	}
}

static bool is_possible(HostIOMMUDevice *host, Error **errp)
{
	if (!object_dynamic_cast(OBJECT(host), TYPE_HOST_IOMMU_DEVICE_IOMMUFD)) {
		error_setg(errp, "vsmmuv3: vfio-pci behind it needs iommufd=ID, and -object iommufd,id=ID");
		return false;
	}
	return true;
}

static bool set_iommu_device(PCIBus *bus, void *opaque, int devfn, HostIOMMUDevice *host,
			     Error **errp)
{
	VSMMUv3 *s = opaque;
	VFIODevice *vfio = host->agent;
	VSMMUv3Assigned *d;

	if (!is_possible(host, errp)
	    || !structs_fit(HOST_IOMMU_DEVICE_IOMMUFD(host), vfio, bus->devices[devfn], errp)) {
		return false;
	}
	d = g_new0(VSMMUv3Assigned, 1);
	d->dev = bus->devices[devfn];
	d->host = HOST_IOMMU_DEVICE_IOMMUFD(host);
	if (!s->assignment->host
	    && !vsmmuv3_take_host(s, d->host->iommufd->fd, vfio->cpr.ioas_id, d->host->hwpt_id, errp)) {
		g_free(d);
		return false;
	}
	QLIST_INSERT_HEAD(&s->assignment->devices, d, next);
	if (!attach(s, d, errp)) {
		forget(s, d);
		return false;
	}
	vsmmuv3_watch(d);
	return true;
}

static void unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
	VSMMUv3 *s = opaque;
	VSMMUv3Assigned *d = vsmmuv3_find_assigned(s, bus->devices[devfn]);
	char text[512];

	if (!d) {
		return;
	}
	vsmmuv3_unwatch(d);
	trace_vsmmuv3_detach(d->host->devid, d->stream);
	if (s->library.device_detach(s->vsmmu, VSMMU_BY_DEVID(d->host->devid))) {
		warn_report("vsmmuv3: %s: %s", d->dev->name,
			    vsmmuv3_sentence(s, text, sizeof(text)));
	}
	forget(s, d);
}

/* ---- The bus ---- */

static AddressSpace *get_address_space(PCIBus *bus, void *opaque, int devfn)
{
	VSMMUv3 *s = opaque;

	return is_assigned(bus, devfn) ? &s->assignment->direct
				       : &vsmmuv3_endpoint(s, bus, devfn)->space;
}

static uint64_t get_viommu_flags(void *opaque)
{
	return VIOMMU_FLAG_WANT_NESTING_PARENT;
}

static uint64_t get_msi_direct_gpa(PCIBus *bus, void *opaque, int devfn)
{
	VSMMUv3 *s = opaque;

	return s->assignment->msi_gpa;
}

const PCIIOMMUOps vsmmuv3_assigning_ops = {
	.get_address_space = get_address_space,
	.set_iommu_device = set_iommu_device,
	.unset_iommu_device = unset_iommu_device,
	.get_viommu_flags = get_viommu_flags,
	.get_msi_direct_gpa = get_msi_direct_gpa,
};

static bool kvm_is_there(Error **errp)
{
	if (!kvm_enabled() || !kvm_irqchip_in_kernel()) {
		error_setg(errp, "vsmmuv3: assigned devices need KVM, with its GIC");
		return false;
	}
	return true;
}

static bool devices_are_expected(VSMMUv3 *s)
{
	bool several = false;

	if (s->assign != ON_OFF_AUTO_AUTO) {
		return s->assign == ON_OFF_AUTO_ON;
	}
	return kvm_is_there(NULL)
	       && (object_resolve_path_type("", TYPE_IOMMUFD_BACKEND, &several) || several);
}

/* An alias of system memory, not itself: KVM routes MSIs of the latter's devices as they are. */
static void make_direct_space(VSMMUv3 *s, VirtMachineState *vms)
{
	VSMMUv3Assignment *a = s->assignment;
	MemoryRegion *memory = get_system_memory();

	memory_region_init(&a->root, OBJECT(s), "vsmmuv3-direct", UINT64_MAX);
	memory_region_init_alias(&a->alias, OBJECT(s), "vsmmuv3-direct-memory", memory, 0,
				 memory_region_size(memory));
	memory_region_add_subregion(&a->root, 0, &a->alias);
	address_space_init(&a->direct, &a->root, "vsmmuv3-direct");
	a->msi_gpa = vms->msi_controller == VIRT_MSI_CTRL_ITS
			     ? vms->memmap[VIRT_GIC_ITS].base + ITS_DOORBELL
			     : vms->memmap[VIRT_GIC_V2M].base + V2M_DOORBELL;
}

bool vsmmuv3_expect_devices(VSMMUv3 *s, VirtMachineState *vms, Error **errp)
{
	if (!devices_are_expected(s)) {
		return true;
	}
	if (!kvm_is_there(errp)) {
		return false;
	}
	s->assignment = g_new0(VSMMUv3Assignment, 1);
	s->assignment->event_fd = -1;
	QLIST_INIT(&s->assignment->devices);
	make_direct_space(s, vms);
	return true;
}
#endif
