/* SPDX-License-Identifier: MIT */
/*
 * A VMM that owns iommufd, IOAS, nest parent, the device's file, its binding and its attachment, as
 * QEMU does. The vSMMU is there first and gets a host when the device comes; the device has no
 * StreamID until the guest has numbered its bus.
 */
#include "endtoend.h"

#include <stdio.h>

enum {
	IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85, HWPT_ALLOC = 0x3b89, BIND = 0x3b76, ATTACH = 0x3b77,
	NEST_PARENT = 1, FIXED_READ_WRITE = 7,
};

static struct owner {
	int32_t iommufd, device;
	uint32_t devid, ioas, parent;
	unsigned attaches, detaches;
} owner;

static int32_t attach_device(uint32_t hwpt)
{
	struct { uint32_t size, flags, hwpt; } attach = {sizeof(attach), 0, hwpt};

	return (int32_t)platform_ioctl(owner.device, ATTACH, &attach);
}

static int32_t on_attach(void *opaque, uint32_t devid, uint32_t hwpt)
{
	(void)opaque;
	owner.attaches++;
	return devid == owner.devid ? attach_device(hwpt) : -ENOENT;
}

static int32_t on_detach(void *opaque, uint32_t devid)
{
	(void)opaque;
	owner.detaches++;
	return devid == owner.devid ? attach_device(owner.parent) : -ENOENT;
}

/* All that the VMM has before it thinks of an SMMU. */
static bool own(struct guest *guest)
{
	struct { uint32_t size, flags, ioas; } space = {.size = sizeof(space)};
	struct {
		uint32_t size, flags, ioas, reserved;
		uint64_t user, length, iova;
	} map = {sizeof(map), FIXED_READ_WRITE, 0, 0, (uint64_t)(uintptr_t)guest->ram, RAM_SIZE, RAM};
	struct { uint32_t size, flags; int32_t iommufd; uint32_t devid; } bind = {.size = sizeof(bind)};
	struct {
		uint32_t size, flags, devid, ioas, hwpt, reserved, type, length;
		uint64_t data;
		uint32_t fault, reserved2;
	} parent = {.size = sizeof(parent), .flags = NEST_PARENT};

	owner = (struct owner){.iommufd = platform_file("/dev/iommu")};
	owner.device = platform_file(platform_device(0));
	bind.iommufd = owner.iommufd;
	if (!equal((uint64_t)platform_ioctl(owner.iommufd, IOAS_ALLOC, &space), 0, "an IOAS") ||
	    !equal((uint64_t)platform_ioctl(owner.device, BIND, &bind), 0, "the device is bound"))
		return false;
	owner.ioas = map.ioas = parent.ioas = space.ioas;
	owner.devid = parent.devid = bind.devid;
	if (!equal((uint64_t)platform_ioctl(owner.iommufd, IOAS_MAP, &map), 0, "RAM is mapped") ||
	    !equal((uint64_t)platform_ioctl(owner.iommufd, HWPT_ALLOC, &parent), 0, "a nest parent"))
		return false;
	owner.parent = parent.hwpt;
	return equal((uint64_t)attach_device(owner.parent), 0, "the device is attached to it");
}

static bool copies(struct guest *guest, uint64_t from, uint64_t to, uint64_t seen)
{
	return travels(guest, owner.device, from, to, seen);
}

static int32_t plug(struct guest *guest, vsmmu_host_t *host)
{
	vsmmu_device device = {
		.size = sizeof(device), .flags = VSMMU_DEVICE_BOUND | VSMMU_DEVICE_UNNUMBERED,
		.devid = owner.devid,
	};
	char message[300] = "";
	int32_t result = vsmmu_set_host(guest->vsmmu, host, owner.ioas, owner.parent);

	if (result == 0)
		result = vsmmu_device_attach(guest->vsmmu, &device);
	if (result != 0 && vsmmu_error_message(guest->vsmmu, message, sizeof(message)) > 0)
		printf("     %s\n", message);
	return result;
}

static bool boot(struct guest *guest)
{
	const uint64_t iova = UINT64_C(0x7000000000);

	guest_start(guest);
	set_context(guest, TABLES);
	map(guest, TABLES, iova, SOURCE);
	map(guest, TABLES, iova + PAGE, TARGET);
	step(set_stage1(guest, STREAM), "the guest boots, with stage 1 for its stream");
	return step(!copies(guest, iova, iova + PAGE, TARGET), "not numbered yet: no DMA");
}

static void number(struct guest *guest)
{
	const uint64_t iova = UINT64_C(0x7000000000);
	vsmmu_device_info info = {.size = sizeof(info)};

	equal((uint64_t)vsmmu_device_renumber(guest->vsmmu, VSMMU_BY_DEVID(owner.devid), STREAM), 0,
	      "the guest numbers its bus");
	step(copies(guest, iova, iova + PAGE, TARGET), "DMA through stage 1 over the VMM's parent");
	step(!copies(guest, SOURCE, TARGET, TARGET), "no DMA by physical address");
	equal((uint64_t)vsmmu_get_device_info(guest->vsmmu, STREAM, &info), 0, "what it is");
	step(info.devid == owner.devid && info.parent == owner.parent && info.vdevice != 0 &&
	     info.attached == VSMMU_ATTACHED_STAGE1 && (info.flags & VSMMU_INFO_NUMBERED),
	     "the VMM's ids, stage 1");
}

/* Another vSMMU on the same parent shares its VMID, so the guest's ASIDs must be unique. */
static void share(struct guest *guest, vsmmu_host_t *host)
{
	vsmmu_config config = {.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX};
	const vsmmu_ops ops = {.size = sizeof(ops), .log = vmm_log};
	struct guest other = {.ram = guest->ram};

	for (unsigned i = 0; i < 2; i++) {
		config.flags = i == 0 ? 0 : VSMMU_SHARED_VMID;
		vsmmu_create(&config, &ops, NULL, &other.vsmmu, NULL, 0);
		equal((uint64_t)vsmmu_set_host(other.vsmmu, host, owner.ioas, owner.parent),
		      i == 0 ? (uint64_t)-EBUSY : 0,
		      i == 0 ? "another vSMMU on that parent" : "with unique ASIDs");
		if (i == 1)
			equal((uint64_t)attach(&other, 1, STREAM), 0, "a device behind it");
		vsmmu_destroy(other.vsmmu);
	}
}

static void unplug(struct guest *guest)
{
	unsigned detaches = owner.detaches;

	equal((uint64_t)vsmmu_set_host(guest->vsmmu, NULL, 0, 0), (uint64_t)-EBUSY,
	      "the host is in use");
	equal((uint64_t)vsmmu_device_detach(guest->vsmmu, STREAM), 0, "unplug");
	equal(owner.detaches - detaches, 1, "by the VMM's op");
	step(copies(guest, SOURCE, TARGET, TARGET), "the device is at the parent: physical addresses");
	equal((uint64_t)vsmmu_set_host(guest->vsmmu, NULL, 0, 0), 0, "the host is given back");
}

void owner_life(struct guest *guest)
{
	const vsmmu_config config = {.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX};
	const vsmmu_ops ops = {
		.size = sizeof(ops), .log = vmm_log, .attach = on_attach, .detach = on_detach,
	};
	vsmmu_host_t *host = NULL;
	int32_t ours;

	if (!step(platform_start(), "a VMM that owns it all") || !own(guest))
		return;
	equal((uint64_t)vsmmu_create(&config, &ops, NULL, &guest->vsmmu, NULL, 0), 0,
	      "a vSMMU without a host");
	guest_forget(guest);
	equal((uint64_t)vsmmu_ram_add(guest->vsmmu, RAM, RAM_SIZE, guest->ram), 0, "vsmmu_ram_add");
	step(platform_lend(owner.iommufd, &host), "the host is lent the iommufd");
	/* It has a duplicate. */
	ours = owner.iommufd;
	platform_close_file(ours);
	if (equal((uint64_t)plug(guest, host), 0, "the host and the device come later") && boot(guest)) {
		number(guest);
		share(guest, host);
		unplug(guest);
		equal((uint64_t)plug(guest, host), 0, "plugged again, into a running guest");
		number(guest);
	}
	vsmmu_destroy(guest->vsmmu);
	step(copies(guest, SOURCE, TARGET, TARGET), "the vSMMU has gone, the device is at the parent");
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	platform_close_file(owner.device);
	step(platform_is_clean(), "nothing is left");
}
