/* SPDX-License-Identifier: MIT */
/* What an end leaves behind: of a device, a host, or the vSMMU. */
#include "vmm.h"

#include <stdlib.h>
#include <unistd.h>

enum { REQUEST_DESTROY = 0x3b80, KVM_CREATE_VM = 0xae01, TLBI_ASID = 0x11 };

#define OLD_PAGE UINT64_C(0x1111)
#define NEW_PAGE UINT64_C(0x2222)

/* A translation that the guest invalidates while no device is behind the vSMMU is gone, though the
 * VMM's nest parent has kept its VMID. */
static void parent_has_no_stale_translation(void)
{
	static struct vmm vmm;
	struct guest *guest = &vmm.hosted.guest;
	uint64_t value;

	for (unsigned late = 0; late < 2; late++) {
		vsmmu_config config = { .size = sizeof(config), .profile = VSMMU_PROFILE_LINUX };

		if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, config))
			return;
		guest_start(guest);
		store64(guest, DATA, OLD_PAGE);
		store64(guest, DATA + 4096, NEW_PAGE);
		map(guest, STAGE1, IOVA, DATA, PAGE1);
		EQUAL(vmm_attach(&vmm, 0, 0), 0);
		set_stage1(guest, ASSIGNED, 5);
		EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, OLD_PAGE);
		EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
		if (late)
			EQUAL(api.vsmmu_set_host(guest->vsmmu, NULL, 0, 0), 0);
		map(guest, STAGE1, IOVA, DATA + 4096, PAGE1);
		command(guest, TLBI_ASID | UINT64_C(5) << 48, 0);
		sync_all(guest);
		if (late)
			EQUAL(api.vsmmu_set_host(guest->vsmmu, vmm.hosted.host, vmm.ioas, vmm.parent), 0);
		EQUAL(vmm_attach(&vmm, 0, 0), 0);
		EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, NEW_PAGE);
		guest_close(guest);
		vmm_close(&vmm);
	}
}

static volatile bool is_destroyed;
static unsigned late_calls;

static void count_irq(void *opaque, uint32_t line)
{
	(void)opaque, (void)line;
	usleep(200);
	late_calls += is_destroyed;
}

/* The library's thread is gone when vsmmu_destroy returns, and so is all that it held. */
static void destroy_ends_the_event_thread(void)
{
	static struct hosted hosted;
	struct guest *guest = &hosted.guest;
	vsmmu_ops ops = guest_ops;

	ops.irq = count_irq;
	late_calls = 0;
	for (unsigned round = 0; round < 40; round++) {
		vsmmu_config config = { .size = sizeof(config) };
		uint64_t value;

		if (!hosted_open(&hosted, NULL))
			return;
		guest_close(guest);
		config.host = hosted.host;
		if (!guest_open_with(guest, &config, &ops))
			return;
		EQUAL(hosted_attach(&hosted, 0), 0);
		guest_start(guest);
		set_stage1(guest, ASSIGNED, 5);
		for (unsigned i = 0; i < 6; i++)
			device_read(&hosted, 0, IOVA, &value);
		EQUAL(api.vsmmu_event_thread(guest->vsmmu, 1), 0);
		usleep(round * 10);
		api.vsmmu_destroy(guest->vsmmu);
		is_destroyed = true;
		EQUAL(api.vsmmu_host_close(hosted.host), 0);
		EQUAL(emulated_counters(&hosted).objects, 0);
		is_destroyed = false;
		free(guest->ram);
		api.vsmmu_emulated_destroy(hosted.emulated);
	}
	EQUAL(late_calls, 0);
}

/* Once the guest has seen that its CPUs' TLBIs reach its devices, no end of a host changes that. */
static void broadcast_outlives_its_host(void)
{
	static struct hosted hosted;
	vsmmu_emulated_config machine = { .size = sizeof(machine), .kernel = VSMMU_EMULATED_LINKED };
	int64_t kvm, vm;

	if (!hosted_open(&hosted, &machine))
		return;
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(hosted.guest.vsmmu, stream), 0);
	kvm = api.vsmmu_emulated_open(hosted.emulated, "/dev/kvm");
	vm = api.vsmmu_emulated_ioctl(hosted.emulated, (int32_t)kvm, KVM_CREATE_VM, NULL);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, (int32_t)vm, 0), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	CHECK(read_register(&hosted.guest, IDR0) & 1 << 5);
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, 3), -EOPNOTSUPP);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, 3), -EOPNOTSUPP);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, (int32_t)vm), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, (int32_t)kvm), 0);
	hosted_close(&hosted);
}

/* Each object that the kernel would not destroy once is given back with what stands below it. */
static void ends_give_back_all(void)
{
	static struct hosted hosted;

	for (unsigned nth = 1; nth < 14; nth++) {
		if (!hosted_open_translated(&hosted))
			return;
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_DESTROY, nth, EBUSY, 0), 0);
		EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
		EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
		EQUAL(emulated_counters(&hosted).objects, 0);
		EQUAL(emulated_counters(&hosted).mappings, 0);
		hosted_close(&hosted);
	}
}

/* RIL came with a later revision than the profile's. */
static void assign_profile_decides_by_its_revision(void)
{
	static struct hosted hosted;
	vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_ASSIGN, .features = "RIL=auto",
	};

	if (!hosted_open_with(&hosted, NULL, config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(read_register(&hosted.guest, 0xc) >> 10 & 1, 0);
	hosted_close(&hosted);
}

void host_end_section(void)
{
	RUN(parent_has_no_stale_translation);
	RUN(destroy_ends_the_event_thread);
	RUN(broadcast_outlives_its_host);
	RUN(ends_give_back_all);
	RUN(assign_profile_decides_by_its_revision);
}
