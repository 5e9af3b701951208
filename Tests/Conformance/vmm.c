/* SPDX-License-Identifier: MIT */
#include "vmm.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85, HWPT_ALLOC = 0x3b89, BIND = 0x3b76, ATTACH = 0x3b77,
};

struct ioas_alloc { uint32_t size, flags, ioas; };
struct ioas_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t user, length, iova;
};
struct hwpt_alloc {
	uint32_t size, flags, device, parent, hwpt, reserved, type, length;
	uint64_t data;
	uint32_t fault, reserved2;
};
struct bind { uint32_t size, flags; int32_t iommufd; uint32_t devid; };
struct attach { uint32_t size, flags, hwpt; };

static int32_t attach_file(struct vmm *vmm, uint32_t device, uint32_t hwpt)
{
	struct attach attach = { .size = sizeof(attach), .hwpt = hwpt };

	if (vmm->files[device] < 0)
		return 0; /* it has gone */
	return (int32_t)api.vsmmu_emulated_ioctl(vmm->hosted.emulated, vmm->files[device], ATTACH,
						 &attach);
}

static uint32_t device_of(struct vmm *vmm, uint32_t devid)
{
	uint32_t device = 0;

	while (device < DEVICES && vmm->devids[device] != devid)
		device++;
	CHECK(device < DEVICES);
	return device % DEVICES;
}

static bool answers(struct vmm *vmm)
{
	if (vmm->answers == 0)
		return false;
	vmm->answers--;
	return true;
}

static int32_t on_attach(void *opaque, uint32_t devid, uint32_t hwpt)
{
	struct vmm *vmm = opaque;
	uint32_t device = device_of(vmm, devid);
	int32_t result;

	vmm->attaches++;
	if (vmm->hosted.guest.vsmmu)
		vmm->inside = api.vsmmu_run(vmm->hosted.guest.vsmmu, 0);
	if (answers(vmm))
		return vmm->answer;
	result = attach_file(vmm, device, hwpt);
	if (result == 0)
		vmm->attached[device] = hwpt;
	return result;
}

static int32_t on_detach(void *opaque, uint32_t devid)
{
	struct vmm *vmm = opaque;
	uint32_t device = device_of(vmm, devid);

	vmm->detaches++;
	if (answers(vmm))
		return vmm->answer;
	vmm->attached[device] = vmm->parent;
	return attach_file(vmm, device, vmm->parent);
}

/* Filled by vmm_open: those of the guest, and these. */
vsmmu_ops vmm_ops;

static bool make_objects(struct vmm *vmm)
{
	struct ioas_alloc ioas = { .size = sizeof(ioas) };
	struct hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };
	char path[64];

	if (!EQUAL(api.vsmmu_emulated_ioctl(vmm->hosted.emulated, vmm->iommufd, IOAS_ALLOC, &ioas), 0))
		return false;
	vmm->ioas = ioas.ioas;
	for (uint32_t i = 0; i < DEVICES; i++) {
		struct bind bind = { .size = sizeof(bind), .iommufd = vmm->iommufd };

		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
		vmm->files[i] = api.vsmmu_emulated_open(vmm->hosted.emulated, path);
		EQUAL(api.vsmmu_emulated_ioctl(vmm->hosted.emulated, vmm->files[i], BIND, &bind), 0);
		vmm->devids[i] = bind.devid;
	}
	parent.device = vmm->devids[0];
	parent.parent = vmm->ioas;
	EQUAL(api.vsmmu_emulated_ioctl(vmm->hosted.emulated, vmm->iommufd, HWPT_ALLOC, &parent), 0);
	vmm->parent = parent.hwpt;
	for (uint32_t i = 0; i < DEVICES; i++)
		EQUAL(attach_file(vmm, i, vmm->parent), 0);
	return true;
}

bool vmm_open(struct vmm *vmm, const vsmmu_emulated_config *config)
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config host = {
		.size = sizeof(host), .kernel = &kernel, .flags = VSMMU_HOST_IOMMUFD,
	};

	memset(vmm, 0, sizeof(*vmm));
	vmm_ops = guest_ops;
	vmm_ops.attach = on_attach;
	vmm_ops.detach = on_detach;
	if (!EQUAL(api.vsmmu_emulated_create(config, &vmm->hosted.emulated, NULL, 0), 0))
		return false;
	vmm->iommufd = api.vsmmu_emulated_open(vmm->hosted.emulated, "/dev/iommu");
	EQUAL(api.vsmmu_emulated_kernel(vmm->hosted.emulated, &kernel), 0);
	host.iommufd = vmm->iommufd;
	host.pin_request = api.vsmmu_emulated_pin_request(vmm->hosted.emulated);
	host.unpin_request = api.vsmmu_emulated_unpin_request(vmm->hosted.emulated);
	EQUAL(api.vsmmu_host_open(&host, &vmm->hosted.host, NULL, 0), 0);
	return make_objects(vmm);
}

void vmm_map(struct vmm *vmm)
{
	struct ioas_map map = {
		.size = sizeof(map), .flags = 7, .ioas = vmm->ioas, .length = RAM_SIZE, .iova = RAM,
		.user = (uint64_t)(uintptr_t)vmm->hosted.guest.ram,
	};

	EQUAL(api.vsmmu_emulated_ioctl(vmm->hosted.emulated, vmm->iommufd, IOAS_MAP, &map), 0);
}

bool vmm_open_guest(struct vmm *vmm, const vsmmu_ops *with, vsmmu_config config)
{
	config.size = sizeof(config);
	config.host = vmm->hosted.host;
	config.ioas = vmm->ioas;
	config.parent_hwpt = vmm->parent;
	if (!guest_open_with(&vmm->hosted.guest, &config, with ? with : &vmm_ops))
		return false;
	vmm_map(vmm);
	return true;
}

void vmm_close_file(struct vmm *vmm, int *file)
{
	if (*file >= 0)
		EQUAL(api.vsmmu_emulated_close(vmm->hosted.emulated, *file), 0);
	*file = -1;
}

void vmm_close(struct vmm *vmm)
{
	struct hosted *hosted = &vmm->hosted;

	check_invariants(hosted);
	for (uint32_t i = 0; i < DEVICES; i++)
		vmm_close_file(vmm, &vmm->files[i]);
	if (hosted->host)
		EQUAL(api.vsmmu_host_close(hosted->host), 0);
	/* The kernel takes what is the VMM's with its file, and of the library's there is nothing. */
	EQUAL(emulated_counters(hosted).objects, vmm->iommufd < 0 ? 0 : 2);
	vmm_close_file(vmm, &vmm->iommufd);
	EQUAL(emulated_counters(hosted).objects, 0);
	EQUAL(emulated_counters(hosted).files, 0);
	EQUAL(emulated_counters(hosted).mappings, 0);
	EQUAL(emulated_counters(hosted).pins, 0);
	check_invariants(hosted);
	api.vsmmu_emulated_destroy(hosted->emulated);
}

int32_t vmm_attach(struct vmm *vmm, uint32_t device, uint32_t flags)
{
	vsmmu_device config = {
		.size = sizeof(config), .flags = flags | VSMMU_DEVICE_BOUND,
		.devid = vmm->devids[device], .fd = flags & VSMMU_DEVICE_FD ? vmm->files[device] : -1,
		.stream = flags & VSMMU_DEVICE_UNNUMBERED ? 0 : ASSIGNED + device,
	};

	return api.vsmmu_device_attach(vmm->hosted.guest.vsmmu, &config);
}

vsmmu_device_info device_info(vsmmu_t *vsmmu, uint64_t device)
{
	vsmmu_device_info info = { .size = sizeof(info) };

	EQUAL(api.vsmmu_get_device_info(vsmmu, device, &info), 0);
	return info;
}

const char *vmm_sentence(struct vmm *vmm)
{
	static char text[256];

	api.vsmmu_error_message(vmm->hosted.guest.vsmmu, text, sizeof(text));
	return text;
}
