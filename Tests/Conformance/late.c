/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h, for a VMM whose devices come late: a host after boot, StreamIDs after devices. */
#define _GNU_SOURCE
#include "vmm.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	REQUEST_DESTROY = 0x3b80, REQUEST_IOAS_ALLOC = 0x3b81, REQUEST_IOAS_MAP = 0x3b85,
	REQUEST_MAP_FILE = 0x3b8f, REQUEST_VDEVICE = 0x3b91, REQUEST_ATTACH = 0x3b77,
};

/* Refused, with words, and nothing left behind. */
#define REFUSES(hosted, error, word, call) \
	do { \
		uint32_t objects_ = emulated_counters(hosted).objects; \
		uint32_t files_ = emulated_counters(hosted).files; \
		REFUSED(&(hosted)->guest, (error), (word), (call)); \
		EQUAL(emulated_counters(hosted).objects, objects_); \
		EQUAL(emulated_counters(hosted).files, files_); \
		check_invariants(hosted); \
	} while (0)

/* A guest that has booted without a host: hosted's vSMMU has given its own back. */
static bool open_hostless(struct hosted *hosted, const char *features)
{
	const vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX, .features = features,
	};

	if (!hosted_open_with(hosted, NULL, config))
		return false;
	EQUAL(api.vsmmu_set_host(hosted->guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(emulated_counters(hosted).objects, 0);
	EQUAL(emulated_counters(hosted).mappings, 0);
	return true;
}

static int32_t set_host(struct hosted *hosted)
{
	return api.vsmmu_set_host(hosted->guest.vsmmu, hosted->host, 0, 0);
}

/* QEMU's order: the machine boots, and much later a device is plugged. */
static void late_host_comes_and_goes(void)
{
	static struct hosted hosted;
	uint64_t value, event[4];
	struct pollfd file = { .events = POLLIN };
	vsmmu_t *vsmmu;

	if (!open_hostless(&hosted, NULL))
		return;
	vsmmu = hosted.guest.vsmmu;
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	set_stage1(&hosted.guest, 3, 5);
	store64(&hosted.guest, DATA, 7);
	EQUAL(translate(&hosted.guest, 3, IOVA, 0).address, DATA);
	/* Before it, calls are as without any. */
	REFUSES(&hosted, -EINVAL, "vsmmu_set_host", hosted_attach(&hosted, 0));
	REFUSES(&hosted, -ENODEV, "vsmmu_set_host", api.vsmmu_event_fd(vsmmu));
	REFUSES(&hosted, -ENODEV, "vsmmu_set_host", api.vsmmu_event_thread(vsmmu, 0));
	REFUSES(&hosted, -ENODEV, "vsmmu_set_host", api.vsmmu_event_thread(vsmmu, 1));
	for (int round = 0; round < 3; round++) {
		EQUAL(set_host(&hosted), 0);
		EQUAL(emulated_counters(&hosted).mappings, 1);
		EQUAL(hosted_attach(&hosted, 0), 0);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, 7);
		/* One file for the vSMMU's life, whoever its host is. */
		EQUAL(round ? file.fd : api.vsmmu_event_fd(vsmmu), api.vsmmu_event_fd(vsmmu));
		file.fd = api.vsmmu_event_fd(vsmmu);
		EQUAL(poll(&file, 1, 0), 0);
		EQUAL(device_read(&hosted, 0, 0x7000000, &value), VSMMU_RESULT_ABORT);
		if (round == 0) {
			EQUAL(poll(&file, 1, 60000), 1);
			EQUAL(api.vsmmu_event_run(vsmmu), 1);
			/* From now on by the library's thread, which outlives hosts too. */
			EQUAL(api.vsmmu_event_thread(vsmmu, 1), 0);
		}
		for (int i = 0; i < 60000 && host_counters(&hosted).events < 1; i++)
			poll(NULL, 0, 1);
		EQUAL(take_event(&hosted.guest, event), 1);
		EQUAL(event[2], 0x7000000);
		REFUSES(&hosted, -EEXIST, "has a host", set_host(&hosted));
		REFUSES(&hosted, -EBUSY, "detached", api.vsmmu_set_host(vsmmu, NULL, 0, 0));
		EQUAL(api.vsmmu_host_close(hosted.host), -EBUSY);
		EQUAL(api.vsmmu_device_detach(vsmmu, ASSIGNED), 0);
		EQUAL(api.vsmmu_set_host(vsmmu, NULL, 0, 0), 0);
		EQUAL(emulated_counters(&hosted).objects, 0);
		EQUAL(poll(&file, 1, 0), 0);
		EQUAL(translate(&hosted.guest, 3, IOVA, 0).address, DATA);
	}
	EQUAL(api.vsmmu_event_thread(vsmmu, 0), 0);
	REFUSES(&hosted, -ENODEV, "vsmmu_set_host", api.vsmmu_event_thread(vsmmu, 0));
	/* Given back, a host can be closed while the vSMMU lives. */
	EQUAL(api.vsmmu_host_close(hosted.host), 0);
	hosted.host = NULL;
	EQUAL(translate(&hosted.guest, 3, IOVA, 0).address, DATA);
	hosted_close(&hosted);
}

static void late_host_refusals(void)
{
	static struct hosted hosted;
	vsmmu_t *vsmmu;

	if (!open_hostless(&hosted, NULL))
		return;
	vsmmu = hosted.guest.vsmmu;
	EQUAL(api.vsmmu_set_host(NULL, hosted.host, 0, 0), -EINVAL);
	REFUSES(&hosted, -ENODEV, "vsmmu_set_host", api.vsmmu_set_host(vsmmu, NULL, 0, 0));
	REFUSES(&hosted, -EINVAL, "ioas", api.vsmmu_set_host(vsmmu, NULL, 1, 0));
	REFUSES(&hosted, -EINVAL, "parent_hwpt", api.vsmmu_set_host(vsmmu, NULL, 0, 1));
	REFUSES(&hosted, -EINVAL, "ioas is 0", api.vsmmu_set_host(vsmmu, hosted.host, 0, 1));
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_IOAS_ALLOC, 1, ENOMEM, 0), 0);
	REFUSES(&hosted, -ENOMEM, "address space", set_host(&hosted));
	/* That nobody knows the IOAS comes out with the first device. */
	EQUAL(api.vsmmu_set_host(vsmmu, hosted.host, 99, 0), 0);
	REFUSES(&hosted, -EINVAL, "ioas", hosted_attach(&hosted, 0));
	EQUAL(api.vsmmu_set_host(vsmmu, NULL, 0, 0), 0);
	EQUAL(set_host(&hosted), 0);
	hosted_close(&hosted);
}

/* A device that comes after the guest has seen the registers must honour them. */
static void late_host_honours_what_was_seen(void)
{
	static struct hosted hosted;
	char report[32768];
	uint64_t idr1;

	if (!open_hostless(&hosted, "SSIDSIZE=20"))
		return;
	idr1 = read_register(&hosted.guest, IDR1);
	EQUAL(set_host(&hosted), 0);
	REFUSES(&hosted, -EOPNOTSUPP, "SSIDSIZE", hosted_attach(&hosted, 0));
	EQUAL(read_register(&hosted.guest, IDR1), idr1);
	hosted_close(&hosted);
	/* Before that they follow the host, and are as asked again when it has gone. */
	if (!open_hostless(&hosted, "SSIDSIZE=20"))
		return;
	EQUAL(set_host(&hosted), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	CHECK(api.vsmmu_negotiation_report(hosted.guest.vsmmu, VSMMU_REPORT_TEXT, report,
					   sizeof(report)) > 0);
	CONTAINS(report, "no assigned device");
	EQUAL(read_register(&hosted.guest, IDR1), idr1);
	hosted_close(&hosted);
}

/* RAM that was there before the host: mapped with it, all of it or no host. */
static void late_host_maps_what_is_there(void)
{
	static struct hosted hosted;
	static const uint32_t requests[] = { REQUEST_IOAS_MAP, REQUEST_IOAS_MAP, REQUEST_MAP_FILE };
	const uint64_t address = UINT64_C(0x80000000);
	int fd = memfd_create("guest", 0);
	uint64_t *memory, *page, value;

	if (!CHECK(fd >= 0 && ftruncate(fd, 0x10000) == 0) || !open_hostless(&hosted, NULL))
		return;
	memory = mmap(NULL, 0x8000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x4000);
	page = aligned_alloc(4096, 4096);
	memset(page, 0, 4096);
	CHECK(memory != MAP_FAILED);
	REFUSED(&hosted.guest, -EBADF, "fd",
		api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, 12345, 0x4000));
	REFUSED(&hosted.guest, -EINVAL, "fd",
		api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, -1, 0x4000));
	EQUAL(api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, fd, 0x4000), 0);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, address + 0x10000, 4096, page), 0);
	/* The file is the library's as long as it needs it. */
	close(fd);
	for (uint32_t i = 0; i < 3; i++) {
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, requests[i], i % 2 + 1, ENOMEM, 0), 0);
		REFUSES(&hosted, -ENOMEM, "map guest memory", set_host(&hosted));
		EQUAL(emulated_counters(&hosted).mappings, 0);
	}
	EQUAL(set_host(&hosted), 0);
	EQUAL(emulated_counters(&hosted).mappings, 3);
	EQUAL(hosted_attach(&hosted, 0), 0);
	memory[9] = 0x99;
	page[1] = 0x11;
	EQUAL(device_read(&hosted, 0, address + 72, &value), VSMMU_RESULT_OK);
	EQUAL(value, 0x99);
	EQUAL(device_read(&hosted, 0, address + 0x10008, &value), VSMMU_RESULT_OK);
	EQUAL(value, 0x11);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, address), 0);
	EQUAL(device_read(&hosted, 0, address, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	/* Another host, and what is left. */
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(set_host(&hosted), 0);
	EQUAL(emulated_counters(&hosted).mappings, 2);
	hosted_close(&hosted);
	munmap(memory, 0x8000);
	free(page);
}

/* Where the host has its MSIs there is no RAM, whichever comes first. */
static void late_host_keeps_its_window(void)
{
	static struct hosted hosted;
	uint64_t first, last;
	void *pages;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_msi_window(hosted.guest.vsmmu, &first, &last), 0);
	pages = aligned_alloc(4096, 0x4000);
	memset(pages, 0, 0x4000);
	/* Early: there is no device yet. */
	REFUSES(&hosted, -EINVAL, "window",
		api.vsmmu_ram_add(hosted.guest.vsmmu, first - 0x1000, 0x2000, pages));
	REFUSES(&hosted, -EINVAL, "window",
		api.vsmmu_ram_add(hosted.guest.vsmmu, last & ~UINT64_C(0xfff), 0x2000, pages));
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, first - 0x1000, 0x1000, pages), 0);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, last + 1, 0x1000, pages), 0);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, first, 0x1000, pages), 0);
	REFUSES(&hosted, -EINVAL, "window", set_host(&hosted));
	EQUAL(emulated_counters(&hosted).mappings, 0);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, first), 0);
	EQUAL(set_host(&hosted), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	hosted_close(&hosted);
	free(pages);
}

/* All of the VMM's comes late: iommufd, IOAS, parent, devices without a file. */
static void late_host_is_the_vmms(void)
{
	static struct vmm vmm;
	uint64_t value;

	if (!vmm_open(&vmm, NULL) || !guest_open_with(&vmm.hosted.guest, NULL, &vmm_ops))
		return;
	guest_start(&vmm.hosted.guest);
	map(&vmm.hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&vmm.hosted.guest, ASSIGNED, 5);
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, vmm.hosted.host, vmm.ioas, vmm.parent), 0);
	EQUAL(emulated_counters(&vmm.hosted).mappings, 0);
	vmm_map(&vmm);
	vmm_close_file(&vmm, &vmm.iommufd);
	/* It booted with a stage 2 of its own; that no host gives it. */
	EQUAL(vmm_attach(&vmm, 0, 0), -EOPNOTSUPP);
	guest_close(&vmm.hosted.guest);
	if (!guest_open_with(&vmm.hosted.guest,
			     &(vsmmu_config){ .size = sizeof(vsmmu_config),
					      .profile = VSMMU_PROFILE_LINUX },
			     &vmm_ops))
		return;
	guest_start(&vmm.hosted.guest);
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, vmm.hosted.host, vmm.ioas, vmm.parent), 0);
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	set_bypass(&vmm.hosted.guest, ASSIGNED);
	EQUAL(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).parent, vmm.parent);
	EQUAL(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).attached, VSMMU_ATTACHED_BYPASS);
	EQUAL(api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(vmm.detaches, 1);
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(device_read(&vmm.hosted, 0, 0x1234000, &value), VSMMU_RESULT_ABORT);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

/* Two devices behind root ports whose buses have no numbers yet. */
static void unnumbered_devices_wait(void)
{
	static struct vmm vmm;
	vsmmu_device_info info;
	uint64_t value, event[4], first, second;
	vsmmu_t *vsmmu;

	if (!vmm_open(&vmm, NULL) ||
	    !vmm_open_guest(&vmm, NULL, (vsmmu_config){ .size = sizeof(vsmmu_config) }))
		return;
	vsmmu = vmm.hosted.guest.vsmmu;
	EQUAL(vmm_attach(&vmm, 0, VSMMU_DEVICE_UNNUMBERED), 0);
	EQUAL(vmm_attach(&vmm, 1, VSMMU_DEVICE_UNNUMBERED | VSMMU_DEVICE_FD), 0);
	first = VSMMU_BY_DEVID(vmm.devids[0]);
	second = VSMMU_BY_DEVID(vmm.devids[1]);
	store64(&vmm.hosted.guest, DATA, 7);
	for (uint32_t i = 0; i < 2; i++) {
		info = device_info(vsmmu, i ? second : first);
		EQUAL(info.flags & VSMMU_INFO_NUMBERED, 0);
		EQUAL(info.stream, 0);
		EQUAL(info.vdevice, 0);
		EQUAL(info.attached, VSMMU_ATTACHED_ABORT);
		/* SMMUEN is 0 and GBPA passes, but this is no stream. */
		EQUAL(device_read(&vmm.hosted, i, DATA, &value), VSMMU_RESULT_ABORT);
	}
	guest_start(&vmm.hosted.guest);
	map(&vmm.hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&vmm.hosted.guest, 0, 5);
	set_stage1(&vmm.hosted.guest, 12, 5);
	command(&vmm.hosted.guest, CFGI_ALL, 31);
	sync_all(&vmm.hosted.guest);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_device_reset(vsmmu, first), 0);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	/* The buses are numbered. */
	EQUAL(api.vsmmu_device_renumber(vsmmu, first, VSMMU_UNNUMBERED), 0);
	EQUAL(api.vsmmu_device_renumber(vsmmu, first, 12), 0);
	EQUAL(api.vsmmu_device_renumber(vsmmu, second, 12), -EEXIST);
	EQUAL(api.vsmmu_device_renumber(vsmmu, second, 3), -EEXIST);
	EQUAL(device_info(vsmmu, 12).devid, vmm.devids[0]);
	CHECK(device_info(vsmmu, 12).vdevice != 0);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	EQUAL(device_read(&vmm.hosted, 1, IOVA, &value), VSMMU_RESULT_ABORT);
	/* Its faults have the new name; those that it had before were of no stream. */
	EQUAL(device_read(&vmm.hosted, 0, 0x7000000, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_event_run(vsmmu), 1);
	EQUAL(take_event(&vmm.hosted.guest, event), 1);
	EQUAL(event[0] >> 32, 12);
	/* And taken away, to be another's. */
	EQUAL(api.vsmmu_device_renumber(vsmmu, 12, VSMMU_UNNUMBERED), 0);
	EQUAL(device_info(vsmmu, first).vdevice, 0);
	EQUAL(device_info(vsmmu, first).attached, VSMMU_ATTACHED_ABORT);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_device_renumber(vsmmu, second, 12), 0);
	EQUAL(device_read(&vmm.hosted, 1, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_device_detach(vsmmu, first), 0);
	EQUAL(vmm.attached[0], vmm.parent);
	check_invariants(&vmm.hosted);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

/* The kernel fails while a StreamID is given or taken: the device stays what it was. */
static void unnumbered_devices_survive_failures(void)
{
	static struct hosted hosted;
	vsmmu_device device = {
		.size = sizeof(device), .flags = VSMMU_DEVICE_UNNUMBERED,
		.path = "/dev/vfio/devices/vfio0",
	};
	uint64_t name, value;
	vsmmu_t *vsmmu;

	if (!hosted_open(&hosted, NULL))
		return;
	vsmmu = hosted.guest.vsmmu;
	store64(&hosted.guest, DATA, 7);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	REFUSES(&hosted, -ENOMEM, "errno 12", api.vsmmu_device_attach(vsmmu, &device));
	EQUAL(api.vsmmu_device_attach(vsmmu, &device), 0);
	name = VSMMU_BY_DEVID(device.devid);
	for (uint32_t i = 0; i < 2; i++) {
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, i ? REQUEST_VDEVICE : REQUEST_ATTACH, 1,
					      ENOMEM, 0), 0);
		REFUSES(&hosted, -ENOMEM,
			i ? "errno 12 to: make a vDEVICE for the new StreamID"
			  : "errno 12 to: attach the abort HWPT",
			api.vsmmu_device_renumber(vsmmu, name, 12));
		EQUAL(device_info(vsmmu, name).vdevice, 0);
		EQUAL(device_info(vsmmu, name).flags & VSMMU_INFO_NUMBERED, 0);
		EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	}
	EQUAL(api.vsmmu_device_renumber(vsmmu, name, 12), 0);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	for (uint32_t i = 0; i < 2; i++) {
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, i ? REQUEST_DESTROY : REQUEST_ATTACH, 1,
					      EBUSY, 0), 0);
		REFUSES(&hosted, -EBUSY,
			i ? "errno 16 to: take the vDEVICE of the StreamID away"
			  : "errno 16 to: attach the abort HWPT",
			api.vsmmu_device_renumber(vsmmu, 12, VSMMU_UNNUMBERED));
		CHECK(device_info(vsmmu, 12).vdevice != 0);
		EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	}
	EQUAL(api.vsmmu_device_renumber(vsmmu, 12, VSMMU_UNNUMBERED), 0);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

void late_section(void)
{
	RUN(late_host_comes_and_goes);
	RUN(late_host_refusals);
	RUN(late_host_honours_what_was_seen);
	RUN(late_host_maps_what_is_there);
	RUN(late_host_keeps_its_window);
	RUN(late_host_is_the_vmms);
	RUN(unnumbered_devices_wait);
	RUN(unnumbered_devices_survive_failures);
}
