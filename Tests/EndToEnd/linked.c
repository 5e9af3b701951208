/* SPDX-License-Identifier: MIT */
/* vSMMUs of a KVM VM whose VMID the kernel cannot pin: all but BTM. */
#include "endtoend.h"

#include <stdio.h>

#define KVM_CREATE_DEVICE 0xc00caee0
#define KVM_DEVICE_VFIO 4

#define IOVA UINT64_C(0x7000000000)

/* Stage 1 for STREAM, with two pages. */
static void boot(struct guest *guest)
{
	guest_start(guest);
	set_context(guest, TABLES);
	map(guest, TABLES, IOVA, SOURCE);
	map(guest, TABLES, IOVA + PAGE, TARGET);
	set_stage1(guest, STREAM);
}

static bool translates(struct guest *guest)
{
	return travels(guest, vsmmu_device_fd(guest->vsmmu, STREAM), IOVA, IOVA + PAGE, TARGET);
}

static bool open_with_vm(vsmmu_host_t **host, int32_t *vm)
{
	if (!platform_open(host))
		return false;
	*vm = platform_vm();
	if (*vm >= 0)
		return true;
	printf("     no KVM here\n");
	vsmmu_host_close(*host);
	return false;
}

static void close_host(vsmmu_host_t *host)
{
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}

static void one_vsmmu(struct guest *guest)
{
	vsmmu_host_t *host;
	int32_t vm;

	if (!open_with_vm(&host, &vm) || !build(guest, host, NULL))
		return;
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vsmmu_event_fd(guest->vsmmu), 0),
	      (uint64_t)-EINVAL, "link what is no VM");
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vm, 0), 0, "link a VM");
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vm, 0), (uint64_t)-EEXIST, "link it again");
	platform_vm_close(vm);
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device for that VM");
	equal(read_register(guest, IDR0) >> 5 & 1, 0, "IDR0.BTM is 0: no VMID can be pinned");
	boot(guest);
	step(translates(guest), "DMA through stage 1");
	vsmmu_destroy(guest->vsmmu);
	close_host(host);
}

/* KVM's VFIO device, of which a VM has one, is made with the first link. */
static void two_vsmmus(struct guest *guest)
{
	struct guest other = {.ram = guest->ram};
	vsmmu_host_t *host;
	int32_t vm, fd;

	if (!open_with_vm(&host, &vm) || !build(guest, host, NULL) || !build(&other, host, NULL))
		return;
	equal((uint64_t)vsmmu_kvm_vfio_fd(guest->vsmmu), (uint64_t)-ENODEV, "no VM, no VFIO device");
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vm, 0), 0, "link a VM");
	equal((uint64_t)vsmmu_link_vm(other.vsmmu, vm, 0), 0, "link another vSMMU with it");
	fd = vsmmu_kvm_vfio_fd(guest->vsmmu);
	step(fd >= 0 && fd == vsmmu_kvm_vfio_fd(other.vsmmu), "they share KVM's VFIO device");
	platform_vm_close(vm);
	equal((uint64_t)attach(guest, 0, STREAM), 0, "a device behind the one");
	equal((uint64_t)attach(&other, 1, STREAM), 0, "a device behind the other");
	boot(guest);
	step(translates(guest), "DMA through stage 1");
	vsmmu_destroy(guest->vsmmu);
	equal((uint64_t)attach(&other, 0, STREAM + 1), 0, "the other takes over the device");
	step(travels(&other, vsmmu_device_fd(other.vsmmu, STREAM + 1), SOURCE, TARGET, TARGET),
	     "DMA by physical address");
	vsmmu_destroy(other.vsmmu);
	close_host(host);
}

/* The VMM has KVM's VFIO device already. */
static void given_device(struct guest *guest)
{
	struct { uint32_t type, fd, flags; } device = {.type = KVM_DEVICE_VFIO};
	vsmmu_host_t *host;
	int32_t vm;

	if (!open_with_vm(&host, &vm) || !build(guest, host, NULL))
		return;
	equal((uint64_t)platform_ioctl(vm, KVM_CREATE_DEVICE, &device), 0,
	      "a VM with a VFIO device of the VMM's");
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vm, 0), (uint64_t)-EBUSY, "it can have no other");
	equal((uint64_t)vsmmu_give_kvm_vfio(guest->vsmmu, (int32_t)device.fd), 0, "give it");
	platform_close_file((int32_t)device.fd);
	equal((uint64_t)vsmmu_link_vm(guest->vsmmu, vm, 0), 0, "link the VM");
	platform_vm_close(vm);
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device for that VM");
	boot(guest);
	step(translates(guest), "DMA through stage 1");
	vsmmu_destroy(guest->vsmmu);
	close_host(host);
}

void linked_lives(struct guest *guest)
{
	one_vsmmu(guest);
	two_vsmmus(guest);
	given_device(guest);
}
