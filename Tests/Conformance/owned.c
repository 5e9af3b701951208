/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h, for a VMM that owns everything: nest parent, attach op, what is told of devices. */
#include "vmm.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	REQUEST_HWPT_ALLOC = 0x3b89, REQUEST_VIOMMU = 0x3b90, REQUEST_VDEVICE = 0x3b91,
	REQUEST_HW_INFO = 0x3b8a, REQUEST_ATTACH = 0x3b77, REQUEST_DETACH = 0x3b78,
};

static const vsmmu_config plain = { .size = sizeof(plain) };

/* Refused, with words, and nothing left behind. */
#define REFUSES(vmm, error, word, call) \
	do { \
		uint32_t objects_ = emulated_counters(&(vmm)->hosted).objects; \
		uint32_t files_ = emulated_counters(&(vmm)->hosted).files; \
		REFUSED(&(vmm)->hosted.guest, (error), (word), (call)); \
		EQUAL(emulated_counters(&(vmm)->hosted).objects, objects_); \
		EQUAL(emulated_counters(&(vmm)->hosted).files, files_); \
		check_invariants(&(vmm)->hosted); \
	} while (0)

/* Device 0 translated from IOVA to DATA, which holds 7. */
static void translate_device(struct vmm *vmm)
{
	store64(&vmm->hosted.guest, DATA, 7);
	guest_start(&vmm->hosted.guest);
	map(&vmm->hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&vmm->hosted.guest, ASSIGNED, 5);
}

/* The device is where the VMM had it: its addresses are guest physical ones. */
static void is_at_the_parent(struct vmm *vmm, uint32_t device)
{
	uint64_t value;

	EQUAL(device_read(&vmm->hosted, device, DATA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	EQUAL(device_read(&vmm->hosted, device, IOVA, &value), VSMMU_RESULT_ABORT);
}

/* No file of the device, no parent and no mapping of the library's: ids and ops are enough. */
static void owned_needs_no_file(void)
{
	static struct vmm vmm;
	uint32_t objects, files, mappings;
	uint64_t value;

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	objects = emulated_counters(&vmm.hosted).objects;
	files = emulated_counters(&vmm.hosted).files;
	mappings = emulated_counters(&vmm.hosted).mappings;
	EQUAL(mappings, 1);
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	EQUAL(emulated_counters(&vmm.hosted).files, files);
	/* vIOMMU, abort, bypass, vDEVICE. */
	EQUAL(emulated_counters(&vmm.hosted).objects, objects + 4);
	EQUAL(vmm.attaches, 1);
	translate_device(&vmm);
	/* The abort HWPT, and the guest's STE. */
	EQUAL(vmm.attaches, 3);
	EQUAL(vmm.inside, -EDEADLK);
	EQUAL(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).hwpt, vmm.attached[0]);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	EQUAL(host_counters(&vmm.hosted).attachments, vmm.attaches);
	/* What needs the file says so; a reset is the VMM's, and then the device is attached anew. */
	REFUSES(&vmm, -ENODEV, "VSMMU_DEVICE_FD",
		api.vsmmu_device_fd(vmm.hosted.guest.vsmmu, ASSIGNED));
	EQUAL(api.vsmmu_device_reset(vmm.hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(vmm.attaches, 4);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(vmm.detaches, 1);
	is_at_the_parent(&vmm, 0);
	EQUAL(emulated_counters(&vmm.hosted).objects, objects);
	/* Again, to the vSMMU's end. */
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(vmm_attach(&vmm, 1, VSMMU_DEVICE_FD), 0);
	CHECK(api.vsmmu_device_fd(vmm.hosted.guest.vsmmu, ASSIGNED + 1) >= 0);
	EQUAL(vmm.attached[1], device_info(vmm.hosted.guest.vsmmu, ASSIGNED + 1).hwpt);
	api.vsmmu_destroy(vmm.hosted.guest.vsmmu);
	EQUAL(vmm.detaches, 3);
	is_at_the_parent(&vmm, 0);
	is_at_the_parent(&vmm, 1);
	EQUAL(emulated_counters(&vmm.hosted).mappings, mappings);
	vmm_close(&vmm);
	free(vmm.hosted.guest.ram);
}

/* Without ops the library attaches, and takes the device back to the parent. */
static void owned_goes_back_to_the_parent(void)
{
	static struct vmm vmm;
	uint64_t value;

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, &guest_ops, plain))
		return;
	REFUSES(&vmm, -EINVAL, "ops.attach", vmm_attach(&vmm, 0, 0));
	EQUAL(vmm_attach(&vmm, 0, VSMMU_DEVICE_FD), 0);
	translate_device(&vmm);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* The parent refuses: nothing has changed. */
	EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	REFUSES(&vmm, -ENOMEM, "errno 12", api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED));
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* Once is not enough. */
	EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	EQUAL(api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED), 0);
	is_at_the_parent(&vmm, 0);
	EQUAL(vmm_attach(&vmm, 0, VSMMU_DEVICE_FD), 0);
	EQUAL(vmm_attach(&vmm, 1, VSMMU_DEVICE_FD), 0);
	/* At the end, what the kernel does not take back is blocked. */
	EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, REQUEST_ATTACH, 1, ENOMEM, 0), 0);
	api.vsmmu_destroy(vmm.hosted.guest.vsmmu);
	EQUAL(device_read(&vmm.hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	is_at_the_parent(&vmm, 1);
	EQUAL(vmm.hosted.guest.blame, VSMMU_LOG_HOST);
	CONTAINS(vmm.hosted.guest.log, "detach a device that goes away");
	vmm_close(&vmm);
	free(vmm.hosted.guest.ram);
}

/* BARs are put into the address space by whose it is. */
static void owned_bars_are_the_vmms(void)
{
	static struct vmm vmm;
	const vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED, .length = 0x1000, .address = DEVICE,
	};

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	EQUAL(vmm_attach(&vmm, 0, VSMMU_DEVICE_FD), 0);
	REFUSES(&vmm, -EINVAL, "parent_hwpt", api.vsmmu_bar_add(vmm.hosted.guest.vsmmu, &bar));
	EQUAL(api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, vmm.hosted.host, vmm.ioas, 0), 0);
	EQUAL(vmm_attach(&vmm, 0, VSMMU_DEVICE_FD), 0);
	REFUSES(&vmm, -EINVAL, "ioas", api.vsmmu_bar_add(vmm.hosted.guest.vsmmu, &bar));
	CHECK(strstr(vmm_sentence(&vmm), "parent_hwpt") == NULL);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

/* Ids and ops are enough on a stage 2 of the library's too. */
static void owned_devices_on_the_librarys_parent(void)
{
	static struct vmm vmm;
	const vsmmu_config config = { .size = sizeof(config), .host = NULL };
	uint64_t value;

	if (!vmm_open(&vmm, NULL) || !guest_open_with(&vmm.hosted.guest, &config, &vmm_ops))
		return;
	EQUAL(api.vsmmu_set_host(vmm.hosted.guest.vsmmu, vmm.hosted.host, 0, 0), 0);
	EQUAL(emulated_counters(&vmm.hosted).mappings, 1);
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	translate_device(&vmm);
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	CHECK(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).parent != vmm.parent);
	guest_close(&vmm.hosted.guest);
	EQUAL(vmm.detaches, 1);
	EQUAL(vmm.attached[0], vmm.parent);
	vmm_close(&vmm);
}

static void answer(struct vmm *vmm, int32_t answer, unsigned times)
{
	vmm->answer = answer;
	vmm->answers = times;
}

/* Ops fail as kernels do, and what is no errno is EIO. */
static void owned_ops_may_fail(void)
{
	static struct vmm vmm;
	static const struct { int32_t answer; const char *word; int32_t error; } cases[] = {
		{ -ENOMEM, "errno 12", -ENOMEM }, { 1, "errno 5", -EIO }, { INT32_MIN, "errno 5", -EIO },
		{ -4096, "errno 5", -EIO }, { -EBUSY, "errno 16", -EBUSY }, { -EINVAL, "errno 22", -EINVAL },
	};
	uint64_t value;
	unsigned attaches;

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(&vmm, cases[i].answer, 1);
		REFUSES(&vmm, cases[i].error, cases[i].word, vmm_attach(&vmm, 0, 0));
		CONTAINS(vmm_sentence(&vmm), "ops.attach answered");
		answer(&vmm, cases[i].answer, 1);
		REFUSES(&vmm, cases[i].error, cases[i].word,
			vmm_attach(&vmm, 0, VSMMU_DEVICE_UNNUMBERED));
		CONTAINS(vmm_sentence(&vmm), "ops.attach answered");
		EQUAL(vmm.detaches, 0);
	}
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	translate_device(&vmm);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(&vmm, cases[i].answer, 2);
		REFUSES(&vmm, cases[i].error, cases[i].word,
			api.vsmmu_device_detach(vmm.hosted.guest.vsmmu, ASSIGNED));
		CONTAINS(vmm_sentence(&vmm), "ops.detach answered");
		EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	}
	/* A reset that attaches nothing is tried again at the guest's next SYNC. */
	answer(&vmm, -ENOMEM, 1);
	EQUAL(api.vsmmu_device_reset(vmm.hosted.guest.vsmmu, ASSIGNED), -ENOMEM);
	CONTAINS(vmm_sentence(&vmm), "ops.attach answered errno 12 to: attach the device again");
	CHECK(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).flags & VSMMU_INFO_FAILED);
	attaches = vmm.attaches;
	sync_all(&vmm.hosted.guest);
	EQUAL(vmm.attaches, attaches + 1);
	CHECK(!(device_info(vmm.hosted.guest.vsmmu, ASSIGNED).flags & VSMMU_INFO_FAILED));
	/* On behalf of a command: it stops, until the guest acknowledges. */
	answer(&vmm, -ENOMEM, 1);
	store64(&vmm.hosted.guest, STREAM_TABLE + ASSIGNED * 64, 1);
	command(&vmm.hosted.guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
	EQUAL(read_register(&vmm.hosted.guest, CMDQ_CONS) >> 24, 2);
	CONTAINS(vmm.hosted.guest.log, "ops.attach answered errno 12 to: attach what");
	acknowledge(&vmm.hosted.guest);
	EQUAL(read_register(&vmm.hosted.guest, CMDQ_CONS),
	      read_register(&vmm.hosted.guest, CMDQ_PROD));
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	check_invariants(&vmm.hosted);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

/* The kernel fails at each request of an attachment on what is the VMM's. */
static void owned_attachment_fails_at_each_step(void)
{
	static struct vmm vmm;
	static const struct { uint32_t request, times; } steps[] = {
		{ REQUEST_HW_INFO, 1 }, { REQUEST_VIOMMU, 1 }, { REQUEST_HWPT_ALLOC, 2 },
		{ REQUEST_VDEVICE, 1 }, { REQUEST_ATTACH, 1 },
	};

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (uint32_t nth = 1; nth <= steps[i].times; nth++) {
			EQUAL(api.vsmmu_emulated_fail(vmm.hosted.emulated, steps[i].request, nth,
						      ENOMEM, 0), 0);
			REFUSES(&vmm, -ENOMEM, "errno 12", vmm_attach(&vmm, 0, 0));
			/* The last one is that of the op. */
			CONTAINS(vmm_sentence(&vmm), steps[i].request == REQUEST_ATTACH
				 ? "ops.attach answered" : "the host kernel answered");
		}
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

static void refuse(struct vmm *vmm, vsmmu_ops ops, const char *word, vsmmu_config config)
{
	vsmmu_t *made = NULL;
	char message[256] = "";

	config.size = sizeof(config);
	EQUAL(api.vsmmu_create(&config, &ops, vmm, &made, message, sizeof(message)), -EINVAL);
	CONTAINS(message, word);
	CHECK(made == NULL);
}

static void owned_refusals(void)
{
	static struct vmm vmm;
	vsmmu_host_t *host;
	vsmmu_ops half;

	if (!vmm_open(&vmm, NULL))
		return;
	host = vmm.hosted.host;
	half = vmm_ops;
	half.detach = NULL;
	refuse(&vmm, half, "ops.attach and ops.detach", plain);
	half.attach = NULL;
	half.detach = vmm_ops.detach;
	refuse(&vmm, half, "ops.attach and ops.detach", plain);
	refuse(&vmm, vmm_ops, "config.parent_hwpt",
	       (vsmmu_config){ .parent_hwpt = vmm.parent });
	refuse(&vmm, vmm_ops, "ioas is 0",
	       (vsmmu_config){ .host = host, .parent_hwpt = vmm.parent });
	refuse(&vmm, vmm_ops, "config.reserved",
	       (vsmmu_config){ .host = host, .ioas = vmm.ioas, .reserved = 1 });
	EQUAL(api.vsmmu_host_close(host), 0);
	vmm.hosted.host = NULL;
	vmm_close(&vmm);
}

/* What is no nest parent of the device's SMMU is told with the first device. */
static void owned_parent_is_none(void)
{
	static struct vmm vmm;
	uint32_t parent;

	if (!vmm_open(&vmm, NULL))
		return;
	parent = vmm.parent;
	for (uint32_t i = 0; i < 2; i++) {
		vmm.parent = i ? vmm.ioas : 1234;
		if (!guest_open_with(&vmm.hosted.guest, &(vsmmu_config){
			.size = sizeof(vsmmu_config), .host = vmm.hosted.host, .ioas = vmm.ioas,
			.parent_hwpt = vmm.parent }, &vmm_ops))
			return;
		REFUSES(&vmm, -ENOENT, "parent_hwpt", vmm_attach(&vmm, 0, 0));
		guest_close(&vmm.hosted.guest);
	}
	vmm.parent = parent;
	vmm_close(&vmm);
}

/* A second vSMMU on the parent. It is the guest's too, with other RAM for its queues. */
static int32_t open_second(struct vmm *vmm, struct guest *second, uint32_t flags, char *message)
{
	const vsmmu_config config = {
		.size = sizeof(config), .flags = flags, .host = vmm->hosted.host, .ioas = vmm->ioas,
		.parent_hwpt = vmm->parent,
	};

	memset(second, 0, sizeof(*second));
	return api.vsmmu_create(&config, &guest_ops, second, &second->vsmmu, message, 256);
}

static void report(vsmmu_t *vsmmu, const char *text, const char *json)
{
	static char report[32768];

	CHECK(api.vsmmu_negotiation_report(vsmmu, VSMMU_REPORT_TEXT, report, sizeof(report)) > 0);
	EQUAL(strstr(report, "VMID: shared") != NULL, text != NULL);
	CHECK(api.vsmmu_negotiation_report(vsmmu, VSMMU_REPORT_JSON, report, sizeof(report)) > 0);
	CONTAINS(report, json);
}

/* One VMID for two vSMMUs: refused, as equal ASIDs are one to the TLB; with the promise that there
 * are none, it is allowed, and here is what breaks who does not keep it. */
static void owned_parent_is_shared(void)
{
	static struct vmm vmm;
	static struct guest second;
	const uint64_t tables = RAM + 0x200000, cd = CONTEXT + (ASSIGNED + 1) * 64;
	vsmmu_device device = { .size = sizeof(device), .stream = ASSIGNED + 1 };
	char message[256] = "";
	uint64_t value;

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	translate_device(&vmm);
	report(vmm.hosted.guest.vsmmu, NULL, "\"shared_vmid\": false");
	EQUAL(open_second(&vmm, &second, 0, message), -EBUSY);
	CONTAINS(message, "VSMMU_SHARED_VMID");
	CONTAINS(message, "TLB");
	EQUAL(open_second(&vmm, &second, VSMMU_SHARED_VMID, message), 0);
	report(vmm.hosted.guest.vsmmu, "shared", "\"shared_vmid\": true");
	report(second.vsmmu, "shared", "\"shared_vmid\": true");
	second.ram = aligned_alloc(4096, RAM_SIZE);
	memset(second.ram, 0, RAM_SIZE);
	EQUAL(api.vsmmu_ram_add(second.vsmmu, RAM, RAM_SIZE, second.ram), 0);
	device.flags = VSMMU_DEVICE_BOUND | VSMMU_DEVICE_FD;
	device.fd = vmm.files[1];
	device.devid = vmm.devids[1];
	EQUAL(api.vsmmu_device_attach(second.vsmmu, &device), 0);
	EQUAL(device_info(second.vsmmu, ASSIGNED + 1).parent, vmm.parent);
	CHECK(device_info(second.vsmmu, ASSIGNED + 1).viommu !=
	      device_info(vmm.hosted.guest.vsmmu, ASSIGNED).viommu);
	EQUAL(api.vsmmu_emulated_stream_vmid(vmm.hosted.emulated, 0),
	      api.vsmmu_emulated_stream_vmid(vmm.hosted.emulated, 1));
	/* Its tables lead IOVA elsewhere. What hardware reads is in the first one's RAM. */
	store64(&vmm.hosted.guest, DATA + 0x1000, 9);
	map(&vmm.hosted.guest, tables, IOVA, DATA + 0x1000, PAGE1);
	guest_start(&second);
	for (uint16_t asid = 6; asid >= 5; asid--) {
		set_stage1(&second, ASSIGNED + 1, asid);
		for (uint64_t i = 0; i < 64; i += 8)
			store64(&vmm.hosted.guest, cd + i, load64(&second, cd + i));
		store64(&vmm.hosted.guest, cd + 8, tables);
		command(&second, CFGI_CD | (uint64_t)(ASSIGNED + 1) << 32, 1);
		sync_all(&second);
		EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, 7);
		/* ASID 6 is its own; by ASID 5 the first one's TLB entry answers. */
		EQUAL(device_read(&vmm.hosted, 1, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, asid == 6 ? 9 : 7);
	}
	check_invariants(&vmm.hosted);
	guest_close(&second);
	report(vmm.hosted.guest.vsmmu, NULL, "\"shared_vmid\": false");
	EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* Who has gone shares nothing. */
	guest_close(&vmm.hosted.guest);
	EQUAL(open_second(&vmm, &second, 0, message), 0);
	api.vsmmu_destroy(second.vsmmu);
	vmm_close(&vmm);
}

/* Whoever goes first: files, iommufd, vSMMU, host. */
static void owned_ends_in_any_order(void)
{
	static struct vmm vmm;
	uint64_t value;

	for (unsigned order = 0; order < 8; order++) {
		if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
			return;
		if (order & 1)
			vmm_close_file(&vmm, &vmm.iommufd);
		EQUAL(vmm_attach(&vmm, 0, order & 4 ? VSMMU_DEVICE_FD : 0), 0);
		EQUAL(vmm_attach(&vmm, 1, VSMMU_DEVICE_UNNUMBERED), 0);
		translate_device(&vmm);
		EQUAL(device_read(&vmm.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		if (order & 2)
			for (uint32_t i = 0; i < DEVICES; i++)
				vmm_close_file(&vmm, &vmm.files[i]);
		EQUAL(api.vsmmu_host_close(vmm.hosted.host), -EBUSY);
		guest_close(&vmm.hosted.guest);
		vmm_close(&vmm);
	}
}

static void owned_devices_are_told(void)
{
	static struct vmm vmm;
	const vsmmu_emulated_device devices[] = {
		{ .size = sizeof(devices[0]), .stream = 8, .pasid_bits = 12 },
		{ .size = sizeof(devices[0]), .stream = 16 },
	};
	const vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .features = "IIDR=0x1234043b" };
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .devices = devices, .device_count = 2, .smmus = &smmu,
		.smmu_count = 1,
	};
	vsmmu_device_info info, by_id;
	vsmmu_t *vsmmu;

	if (!vmm_open(&vmm, &config) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	vsmmu = vmm.hosted.guest.vsmmu;
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
	info = device_info(vsmmu, ASSIGNED);
	EQUAL(info.devid, vmm.devids[0]);
	EQUAL(info.stream, ASSIGNED);
	CHECK(info.vdevice != 0 && info.viommu != 0 && info.vdevice != info.viommu);
	EQUAL(info.parent, vmm.parent);
	EQUAL(info.attached, VSMMU_ATTACHED_BYPASS);
	EQUAL(info.hwpt, vmm.attached[0]);
	EQUAL(info.pasid_bits, 12);
	EQUAL(info.flags & (VSMMU_INFO_NUMBERED | VSMMU_INFO_COHERENT | VSMMU_INFO_ATS_REQUIRED |
			    VSMMU_INFO_FAILED), VSMMU_INFO_NUMBERED | VSMMU_INFO_COHERENT);
	/* S1P and S2P of the physical SMMU, whatever the guest sees. */
	EQUAL(info.idr[0] & 3, 3);
	EQUAL(!!(info.flags & VSMMU_INFO_MAY_STALL), (info.idr[0] >> 24 & 3) != 1);
	EQUAL(info.iidr, 0x1234043b);
	CHECK(info.aidr != 0);
	by_id = device_info(vsmmu, VSMMU_BY_DEVID(vmm.devids[0]));
	CHECK(memcmp(&info, &by_id, sizeof(info)) == 0);
	translate_device(&vmm);
	EQUAL(device_info(vsmmu, ASSIGNED).attached, VSMMU_ATTACHED_STAGE1);
	EQUAL(device_info(vsmmu, ASSIGNED).hwpt, vmm.attached[0]);
	set_ste(&vmm.hosted.guest, ASSIGNED, (const uint64_t[8]){ 0 });
	EQUAL(device_info(vsmmu, ASSIGNED).attached, VSMMU_ATTACHED_ABORT);
	EQUAL(vmm_attach(&vmm, 1, 0), 0);
	EQUAL(device_info(vsmmu, ASSIGNED + 1).pasid_bits, 0);
	EQUAL(device_info(vsmmu, ASSIGNED + 1).viommu, info.viommu);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

/* Names of no device, structs and flags that are wrong. */
static void owned_names_are_checked(void)
{
	static struct vmm vmm;
	vsmmu_device_info info = { .size = sizeof(info) };
	vsmmu_device device = { .size = sizeof(device), .flags = VSMMU_DEVICE_BOUND };
	static const uint64_t wrong[] = {
		UINT64_C(2) << 32, UINT64_C(1) << 33 | ASSIGNED, UINT64_C(1) << 63, VSMMU_UNNUMBERED,
	};
	vsmmu_t *vsmmu;

	if (!vmm_open(&vmm, NULL) || !vmm_open_guest(&vmm, NULL, plain))
		return;
	vsmmu = vmm.hosted.guest.vsmmu;
	EQUAL(vmm_attach(&vmm, 0, 0), 0);
#define ALL_CALLS(error, word, name) \
	do { \
		REFUSES(&vmm, error, word, api.vsmmu_device_detach(vsmmu, name)); \
		REFUSES(&vmm, error, word, api.vsmmu_device_renumber(vsmmu, name, 11)); \
		REFUSES(&vmm, error, word, api.vsmmu_device_reset(vsmmu, name)); \
		REFUSES(&vmm, error, word, api.vsmmu_device_fd(vsmmu, name)); \
		REFUSES(&vmm, error, word, api.vsmmu_get_device_info(vsmmu, name, &info)); \
	} while (0)
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ALL_CALLS(-EINVAL, "VSMMU_BY_DEVID", wrong[i]);
		if (wrong[i] != VSMMU_UNNUMBERED)
			REFUSES(&vmm, -EINVAL, "other",
				api.vsmmu_device_renumber(vsmmu, ASSIGNED, wrong[i]));
	}
	ALL_CALLS(-ENOENT, "StreamID", 99);
	ALL_CALLS(-ENOENT, "devid", VSMMU_BY_DEVID(99));
	ALL_CALLS(-ENOENT, "devid", VSMMU_BY_DEVID(vmm.devids[1]));
#undef ALL_CALLS
	REFUSES(&vmm, -EINVAL, "info is NULL", api.vsmmu_get_device_info(vsmmu, ASSIGNED, NULL));
	info.size = 4;
	REFUSES(&vmm, -EINVAL, "info.size", api.vsmmu_get_device_info(vsmmu, ASSIGNED, &info));
	info.size = 12;
	info.stream = 77;
	EQUAL(api.vsmmu_get_device_info(vsmmu, ASSIGNED, &info), 0);
	EQUAL(info.devid, vmm.devids[0]);
	EQUAL(info.stream, 77);
	EQUAL(api.vsmmu_get_device_info(NULL, ASSIGNED, &info), -EINVAL);
	/* One device twice. */
	REFUSES(&vmm, -EEXIST, "devid", vmm_attach(&vmm, 0, VSMMU_DEVICE_UNNUMBERED));
	device.devid = vmm.devids[1];
	device.stream = ASSIGNED + 1;
	device.flags |= 16;
	REFUSES(&vmm, -EINVAL, "flags", api.vsmmu_device_attach(vsmmu, &device));
	device.flags = VSMMU_DEVICE_BOUND | VSMMU_DEVICE_UNNUMBERED;
	REFUSES(&vmm, -EINVAL, "device.stream", api.vsmmu_device_attach(vsmmu, &device));
	device.flags = VSMMU_DEVICE_BOUND;
	device.reserved = 1;
	REFUSES(&vmm, -EINVAL, "device.reserved", api.vsmmu_device_attach(vsmmu, &device));
	device.reserved = 0;
	device.devid = 1234;
	REFUSES(&vmm, -ENOENT, "iommufd", api.vsmmu_device_attach(vsmmu, &device));
	/* No host here lets a guest use ATS: a device that cannot do without is refused. */
	REFUSES(&vmm, -EOPNOTSUPP, "VSMMU_DEVICE_NEEDS_ATS",
		vmm_attach(&vmm, 1, VSMMU_DEVICE_NEEDS_ATS));
	/* The devid of a device that the library binds is told, where the struct has room for it. */
	vmm_close_file(&vmm, &vmm.files[1]);
	device = (vsmmu_device){ .size = 20, .stream = ASSIGNED + 1 };
	device.flags = VSMMU_DEVICE_FD;
	device.fd = api.vsmmu_emulated_open(vmm.hosted.emulated, "/dev/vfio/devices/vfio1");
	EQUAL(api.vsmmu_device_attach(vsmmu, &device), 0);
	EQUAL(device.devid, device_info(vsmmu, ASSIGNED + 1).devid);
	CHECK(device.devid != 0);
	EQUAL(api.vsmmu_emulated_close(vmm.hosted.emulated, device.fd), 0);
	/* The library attaches that one itself: its devid was not known. */
	EQUAL(vmm.attaches, 1);
	EQUAL(api.vsmmu_device_detach(vsmmu, ASSIGNED + 1), 0);
	device.size = 16;
	device.devid = 55;
	device.fd = api.vsmmu_emulated_open(vmm.hosted.emulated, "/dev/vfio/devices/vfio1");
	EQUAL(api.vsmmu_device_attach(vsmmu, &device), 0);
	EQUAL(device.devid, 55);
	EQUAL(api.vsmmu_emulated_close(vmm.hosted.emulated, device.fd), 0);
	guest_close(&vmm.hosted.guest);
	vmm_close(&vmm);
}

void owned_section(void)
{
	RUN(owned_needs_no_file);
	RUN(owned_goes_back_to_the_parent);
	RUN(owned_devices_on_the_librarys_parent);
	RUN(owned_bars_are_the_vmms);
	RUN(owned_ops_may_fail);
	RUN(owned_attachment_fails_at_each_step);
	RUN(owned_refusals);
	RUN(owned_parent_is_none);
	RUN(owned_parent_is_shared);
	RUN(owned_ends_in_any_order);
	RUN(owned_devices_are_told);
	RUN(owned_names_are_checked);
}
