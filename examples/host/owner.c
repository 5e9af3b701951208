/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>

/* linux/iommufd.h, linux/vfio.h and linux/kvm.h of the kernels that have all of it. */
enum {
	IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85, HWPT_ALLOC = 0x3b89, IOAS_MAP_FILE = 0x3b8f,
	VFIO_FEATURE = 0x3b75, VFIO_BIND = 0x3b76, VFIO_ATTACH = 0x3b77,
};
#define KVM_CREATE_DEVICE 0xc00caee0u
#define KVM_SET_DEVICE_ATTR 0x4018aee1u
#define FIXED_READ_WRITE 7u
#define NEST_PARENT 1u
#define GET_DMA_BUF (1u << 16 | 11u)
#define KVM_VFIO 4u

static gboolean call(struct owner *owner, int32_t file, uint32_t request, void *argument,
		     const char *what, GError **error)
{
	int64_t result = hypervisor_ioctl(owner->hypervisor, file, request, argument);

	if (result >= 0)
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", what,
		    g_strerror((int)-result));
	return FALSE;
}

static gboolean open_file(struct owner *owner, int32_t *file, const char *path, GError **error)
{
	*file = hypervisor_open(owner->hypervisor, path);
	if (*file >= 0)
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", path, g_strerror(-*file));
	return FALSE;
}

static gboolean make_address_space(struct owner *owner, const struct ram *ram, GError **error)
{
	struct { uint32_t size, flags, ioas; } make = { .size = sizeof make };
	struct {
		uint32_t size, flags, ioas, reserved;
		uint64_t user, length, iova;
	} map = {
		.size = sizeof map, .flags = FIXED_READ_WRITE, .length = ram->size,
		.user = (uint64_t)(uintptr_t)ram->host, .iova = ram->base,
	};

	if (!call(owner, owner->iommufd, IOAS_ALLOC, &make, "an IOAS", error))
		return FALSE;
	owner->ioas = map.ioas = make.ioas;
	return call(owner, owner->iommufd, IOAS_MAP, &map, "the guest's memory in it", error);
}

/* Before a device is bound, so that the kernel knows for which VM. */
static gboolean tell_kvm(struct owner *owner, int32_t file, GError **error)
{
	struct { uint32_t type, file, flags; } make = { .type = KVM_VFIO };
	struct { uint32_t flags, group; uint64_t attribute, address; } add = {
		.group = 1, .attribute = 1, .address = (uint64_t)(uintptr_t)&file,
	};
	int32_t vm = owner->hypervisor->vm;

	if (vm < 0)
		return TRUE;
	if (owner->kvm_vfio < 0) {
		if (!call(owner, vm, KVM_CREATE_DEVICE, &make, "KVM's VFIO device", error))
			return FALSE;
		owner->kvm_vfio = (int32_t)make.file;
	}
	return call(owner, owner->kvm_vfio, KVM_SET_DEVICE_ATTR, &add, "KVM is told", error);
}

static gboolean bind_device(struct owner *owner, struct owned *device, const char *path,
			    GError **error)
{
	struct { uint32_t size, flags; int32_t iommufd; uint32_t id; } bind = {
		.size = sizeof bind, .iommufd = owner->iommufd,
	};

	if (!open_file(owner, &device->file, path, error) ||
	    !tell_kvm(owner, device->file, error) ||
	    !call(owner, device->file, VFIO_BIND, &bind, "a device bound to the iommufd", error))
		return FALSE;
	device->id = bind.id;
	return TRUE;
}

static gboolean make_parent(struct owner *owner, GError **error)
{
	struct {
		uint32_t size, flags, device, over, hwpt, reserved, type, length;
		uint64_t data;
		uint32_t fault, reserved2;
	} make = {
		.size = sizeof make, .flags = NEST_PARENT, .device = owner->device.id,
		.over = owner->ioas,
	};

	if (!call(owner, owner->iommufd, HWPT_ALLOC, &make, "a nest parent", error))
		return FALSE;
	owner->parent = make.hwpt;
	return TRUE;
}

static int32_t attach(struct owner *owner, uint32_t hwpt)
{
	struct { uint32_t size, flags, hwpt; } attach = { .size = sizeof attach, .hwpt = hwpt };

	return (int32_t)hypervisor_ioctl(owner->hypervisor, owner->device.file, VFIO_ATTACH,
					 &attach);
}

gboolean owner_start(struct owner *owner, struct hypervisor *hypervisor, const struct ram *ram,
		     const char *path, const char *peer, GError **error)
{
	int32_t failure;

	*owner = (struct owner){ .hypervisor = hypervisor, .iommufd = -1, .kvm_vfio = -1,
				 .device.file = -1, .peer.file = -1 };
	if (!open_file(owner, &owner->iommufd, "/dev/iommu", error) ||
	    !make_address_space(owner, ram, error) ||
	    !bind_device(owner, &owner->device, path, error) ||
	    (peer != NULL && !bind_device(owner, &owner->peer, peer, error)) ||
	    !make_parent(owner, error))
		return FALSE;
	failure = attach(owner, owner->parent);
	if (failure < 0) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the device at its parent: %s",
			    g_strerror(-failure));
		return FALSE;
	}
	g_print("  the VMM maps RAM in IOAS %u, binds device %u, makes nest parent %u, attaches\n",
		owner->ioas, owner->device.id, owner->parent);
	return TRUE;
}

void owner_stop(struct owner *owner)
{
	struct hypervisor *hypervisor = owner->hypervisor;

	hypervisor_close(hypervisor, owner->peer.file);
	hypervisor_close(hypervisor, owner->device.file);
	hypervisor_close(hypervisor, owner->kvm_vfio);
	hypervisor_close(hypervisor, owner->iommufd);
}

int32_t owner_attach(struct owner *owner, uint32_t id, uint32_t hwpt)
{
	g_print("    ops.attach: device %u to HWPT %u\n", id, hwpt);
	return id == owner->device.id ? attach(owner, hwpt) : -ENOENT;
}

int32_t owner_detach(struct owner *owner, uint32_t id)
{
	g_print("    ops.detach: device %u to HWPT %u\n", id, owner->parent);
	return id == owner->device.id ? attach(owner, owner->parent) : -ENOENT;
}

gboolean owner_map_bar(struct owner *owner, uint64_t address)
{
	struct {
		uint32_t size, flags, region, open_flags, file_flags, count;
		uint64_t offset, length;
	} make = {
		.size = sizeof make, .flags = GET_DMA_BUF, .open_flags = O_RDWR | O_CLOEXEC,
		.count = 1, .length = PAGE_BYTES,
	};
	struct { uint32_t size, flags, ioas; int32_t file; uint64_t start, length, iova; } map = {
		.size = sizeof map, .flags = FIXED_READ_WRITE, .ioas = owner->ioas,
		.length = PAGE_BYTES, .iova = address,
	};
	int64_t result;

	map.file = (int32_t)hypervisor_ioctl(owner->hypervisor, owner->peer.file, VFIO_FEATURE,
					     &make);
	if (map.file < 0)
		return FALSE;
	result = hypervisor_ioctl(owner->hypervisor, owner->iommufd, IOAS_MAP_FILE, &map);
	hypervisor_close(owner->hypervisor, map.file);
	return result >= 0;
}
