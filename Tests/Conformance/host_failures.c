/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h: what a caller may do wrong, and what a kernel may. */
#include "hosted.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	REQUEST_HWPT_ALLOC = 0x3b89, REQUEST_INVALIDATE = 0x3b8d, REQUEST_VIOMMU = 0x3b90,
	REQUEST_VDEVICE = 0x3b91, REQUEST_BIND = 0x3b76, REQUEST_ATTACH = 0x3b77,
	REQUEST_HW_INFO = 0x3b8a, REQUEST_IOAS_MAP = 0x3b85,
};

static const char *sentence(struct hosted *hosted)
{
	static char text[256];

	api.vsmmu_error_message(hosted->guest.vsmmu, text, sizeof(text));
	return text;
}

/* Refused with words, and with nothing left behind. */
static void refused(struct hosted *hosted, int32_t got, int32_t want, const char *word, int line)
{
	char place[32];

	snprintf(place, sizeof(place), "case of line %d", line);
	check_equal((uint64_t)(int64_t)got, (uint64_t)(int64_t)want, __FILE__, line, place);
	CONTAINS(sentence(hosted), word);
	check_invariants(hosted);
}
#define REFUSES(hosted, error, word, call) \
	do { \
		uint32_t objects_ = emulated_counters(hosted).objects; \
		uint32_t files_ = emulated_counters(hosted).files; \
		refused((hosted), (call), (error), (word), __LINE__); \
		EQUAL(emulated_counters(hosted).objects, objects_); \
		EQUAL(emulated_counters(hosted).files, files_); \
	} while (0)

static void host_open_refusals(void)
{
	vsmmu_host_config config = { .size = sizeof(config) };
	vsmmu_emulated_config machine = { .size = sizeof(machine) };
	vsmmu_emulated_t *emulated = NULL;
	vsmmu_host_t *host = NULL;
	char message[256] = "";

	config.flags = 2;
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "flags");
	config.flags = 0;
	config.size = 4;
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), -EINVAL);
	EQUAL(api.vsmmu_host_open(NULL, NULL, message, sizeof(message)), -EINVAL);
	CHECK(host == NULL);
	EQUAL(api.vsmmu_host_close(NULL), 0);
	machine.kernel = 9;
	EQUAL(api.vsmmu_emulated_create(&machine, &emulated, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "kernel");
	machine.kernel = 0;
	machine.vmid_bits = 12;
	EQUAL(api.vsmmu_emulated_create(&machine, &emulated, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "vmid_bits");
	machine.vmid_bits = 0;
	machine.cpus = 1025;
	EQUAL(api.vsmmu_emulated_create(&machine, &emulated, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "cpus");
	CHECK(emulated == NULL);
	api.vsmmu_emulated_destroy(NULL);
}

static void host_is_kept_while_it_is_used(void)
{
	static struct hosted hosted;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_host_close(hosted.host), -EBUSY);
	hosted_close(&hosted);
}

static void without_a_host(void)
{
	static struct guest guest;
	vsmmu_device device = { .size = sizeof(device), .stream = 9, .path = "/dev/null" };
	uint64_t first, last;

	if (!guest_open(&guest, NULL))
		return;
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_device_attach(guest.vsmmu, &device));
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_link_vm(guest.vsmmu, 0, 0));
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_device_detach(guest.vsmmu, 9));
	REFUSED(&guest, -ENODEV, "config.host",
		api.vsmmu_msi_window(guest.vsmmu, &first, &last));
	EQUAL(api.vsmmu_event_fd(guest.vsmmu), -ENODEV);
	EQUAL(api.vsmmu_event_run(guest.vsmmu), -ENODEV);
	guest_close(&guest);
}

static void device_refusals(void)
{
	static struct hosted hosted;
	vsmmu_device device = { .size = sizeof(device), .stream = ASSIGNED };
	int fd;

	if (!hosted_open(&hosted, NULL))
		return;
#define ATTACH() api.vsmmu_device_attach(hosted.guest.vsmmu, &device)
	REFUSES(&hosted, -EINVAL, "path", ATTACH());
	device.path = "/dev/vfio/devices/vfio77";
	REFUSES(&hosted, -ENOENT, "open the VFIO", ATTACH());
	device.path = "/dev/kvm";
	REFUSES(&hosted, -EINVAL, "BIND", ATTACH());
	device.path = "/dev/vfio/devices/vfio0";
	device.flags = VSMMU_DEVICE_BOUND;
	REFUSES(&hosted, -EINVAL, "VSMMU_DEVICE_FD", ATTACH());
	device.flags = 16;
	REFUSES(&hosted, -EINVAL, "flags", ATTACH());
	device.flags = VSMMU_DEVICE_FD;
	device.fd = 1000000;
	REFUSES(&hosted, -EBADF, "duplicate", ATTACH());
	/* A device that is bound to nothing, said to be bound. */
	fd = api.vsmmu_emulated_open(hosted.emulated, "/dev/vfio/devices/vfio0");
	CHECK(fd >= 0);
	device.fd = fd;
	device.flags = VSMMU_DEVICE_FD | VSMMU_DEVICE_BOUND;
	device.devid = 1234;
	REFUSES(&hosted, -ENOENT, "another iommufd", ATTACH());
	device.flags = VSMMU_DEVICE_FD;
	EQUAL(ATTACH(), 0);
	REFUSES(&hosted, -EEXIST, "StreamID", ATTACH());
	/* The StreamID of an emulated device. */
	device.stream = 3;
	REFUSES(&hosted, -EEXIST, "vsmmu_stream_add", ATTACH());
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, ASSIGNED), -EEXIST);
	device.stream = ASSIGNED + 1;
	REFUSES(&hosted, -EINVAL, "BIND", ATTACH());
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, fd), 0);
#undef ATTACH
	hosted_close(&hosted);
}

/* Hosts on which nothing can be nested, and a second physical SMMU. */
static void hosts_that_cannot(void)
{
	static struct hosted hosted;
	vsmmu_emulated_smmu smmus[2] = {
		{ .size = sizeof(smmus[0]) }, { .size = sizeof(smmus[1]) },
	};
	const vsmmu_emulated_device devices[2] = {
		{ .size = sizeof(devices[0]), .smmu = 0, .stream = 8 },
		{ .size = sizeof(devices[1]), .smmu = 1, .stream = 8 },
	};
	vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = smmus, .smmu_count = 2,
		.devices = devices, .device_count = 2,
	};
	static const struct {
		uint32_t flags;
		const char *features;
		int32_t error;
		const char *word;
	} cases[] = {
		{ VSMMU_EMULATED_NO_FWB, NULL, -EOPNOTSUPP, "CANWBS" },
		{ VSMMU_EMULATED_NO_NESTING, NULL, -EOPNOTSUPP, "nest parent" },
		{ VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_FWB, NULL, 0, "" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		smmus[0].flags = cases[i].flags;
		if (!hosted_open(&hosted, &config))
			return;
		if (cases[i].error)
			REFUSES(&hosted, cases[i].error, cases[i].word, hosted_attach(&hosted, 0));
		else
			EQUAL(hosted_attach(&hosted, 0), 0);
		hosted_close(&hosted);
	}
	smmus[0].flags = 0;
	if (!hosted_open(&hosted, &config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	REFUSES(&hosted, -EINVAL, "another physical SMMU", hosted_attach(&hosted, 1));
	hosted_close(&hosted);
}

/* Registers that the guest may have seen do not change. */
static void frozen_registers_refuse_devices(void)
{
	static struct hosted hosted;
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .features = "GRAN16K=0 SSIDSIZE=20" };
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = &smmu, .smmu_count = 1,
	};
	uint64_t idr5;

	if (!hosted_open(&hosted, &config))
		return;
	idr5 = read_register(&hosted.guest, IDR5);
	EQUAL(idr5 >> 5 & 1, 1);
	REFUSES(&hosted, -EOPNOTSUPP, "GRAN16K", hosted_attach(&hosted, 0));
	EQUAL(read_register(&hosted.guest, IDR5), idr5);
	hosted_close(&hosted);
	/* The VMM says so, before the guest looks. */
	if (!hosted_open(&hosted, &config))
		return;
	EQUAL(api.vsmmu_freeze(hosted.guest.vsmmu), 0);
	REFUSES(&hosted, -EOPNOTSUPP, "GRAN16K", hosted_attach(&hosted, 0));
	hosted_close(&hosted);
	/* Before, they follow the host. */
	if (!hosted_open(&hosted, &config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(read_register(&hosted.guest, IDR5) >> 4 & 7, 5);
	hosted_close(&hosted);
}

/* Each call of an attachment fails once: nothing is left, and the next attempt works. */
static void attachment_fails_at_each_step(void)
{
	static struct hosted hosted;
	static char report[2][32768];
	static const uint32_t requests[] = {
		REQUEST_BIND, REQUEST_HW_INFO, REQUEST_HWPT_ALLOC, REQUEST_VIOMMU, REQUEST_VDEVICE,
		REQUEST_ATTACH,
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		for (uint32_t nth = 1; nth <= (requests[i] == REQUEST_HWPT_ALLOC ? 3 : 1); nth++) {
			if (!hosted_open(&hosted, NULL))
				return;
			EQUAL(api.vsmmu_emulated_fail(hosted.emulated, requests[i], nth, ENOMEM, 0), 0);
			api.vsmmu_negotiation_report(hosted.guest.vsmmu, VSMMU_REPORT_JSON, report[0],
						     sizeof(report[0]));
			REFUSES(&hosted, -ENOMEM, "errno 12", hosted_attach(&hosted, 0));
			api.vsmmu_negotiation_report(hosted.guest.vsmmu, VSMMU_REPORT_JSON, report[1],
						     sizeof(report[1]));
			CHECK(strcmp(report[0], report[1]) == 0);
			EQUAL(hosted_attach(&hosted, 0), 0);
			hosted_close(&hosted);
		}
}

/* RAM that the kernel does not map is not registered. */
static void memory_follows_the_kernel(void)
{
	static struct hosted hosted;
	void *page;

	if (!hosted_open(&hosted, NULL))
		return;
	page = aligned_alloc(4096, 4096);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_IOAS_MAP, 1, ENOMEM, 0), 0);
	REFUSES(&hosted, -ENOMEM, "map guest memory",
		api.vsmmu_ram_add(hosted.guest.vsmmu, 0x10000, 4096, page));
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, 0x10000, 4096, page), 0);
	EQUAL(emulated_counters(&hosted).mappings, 2);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, 0x10000), 0);
	EQUAL(emulated_counters(&hosted).mappings, 1);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, 0x10000), -ENOENT);
	hosted_close(&hosted);
	free(page);
}

/* The kernel fails in the middle of a batch: the SYNC is not passed until all of it is done. */
static void invalidations_are_not_lost(void)
{
	static struct hosted hosted;
	uint64_t value, sync;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	for (uint64_t page = 0; page < 8; page++)
		map(&hosted.guest, STAGE1, IOVA + page * 4096, DATA + page * 4096, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	for (uint32_t done = 0; done < 8; done++) {
		for (uint64_t page = 0; page < 8; page++) {
			map(&hosted.guest, STAGE1, IOVA + page * 4096, DATA + page * 4096, PAGE1);
			EQUAL(device_read(&hosted, 0, IOVA + page * 4096, &value), VSMMU_RESULT_OK);
			unmap(&hosted.guest, STAGE1, IOVA + page * 4096);
			queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, (IOVA + page * 4096) | 1);
		}
		/* More is reported than was done, as kernels do. */
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1, EIO, done), 0);
		queue(&hosted.guest, SYNC, 0);
		publish(&hosted.guest);
		/* CERROR_ABT at the SYNC. */
		sync = read_register(&hosted.guest, CMDQ_CONS);
		EQUAL(sync >> 24, 2);
		EQUAL((read_register(&hosted.guest, GERROR) ^
		       read_register(&hosted.guest, GERRORN)) & 1, 1);
		EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
		CONTAINS(hosted.guest.log, "errno 5");
		acknowledge(&hosted.guest);
		EQUAL(read_register(&hosted.guest, CMDQ_CONS), read_register(&hosted.guest, CMDQ_PROD));
		for (uint64_t page = 0; page < 8; page++)
			EQUAL(device_read(&hosted, 0, IOVA + page * 4096, &value),
			      VSMMU_RESULT_ABORT);
	}
	EQUAL(host_counters(&hosted).failures, 8);
	hosted_close(&hosted);
}

/* An STE cannot be attached: the device aborts until it can. */
static void attachments_are_tried_again(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	for (int step = 0; step < 2; step++) {
		const uint64_t bypass[8] = { 1 | 4 << 1 };

		set_ste(&hosted.guest, ASSIGNED, bypass);
		EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
					      step ? REQUEST_ATTACH : REQUEST_HWPT_ALLOC, 1, ENOMEM, 0), 0);
		store64(&hosted.guest, STREAM_TABLE + ASSIGNED * 64, 0);
		{
			/* set_stage1 by hand: its commands do not all pass. */
			uint64_t cd = CONTEXT + ASSIGNED * 64;

			store64(&hosted.guest, cd, UINT64_C(25) | UINT64_C(1) << 30 |
				UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 |
				UINT64_C(1) << 45 | UINT64_C(1) << 46 | UINT64_C(5) << 48);
			store64(&hosted.guest, cd + 8, STAGE1);
			store64(&hosted.guest, cd + 24, 0xff);
			store64(&hosted.guest, STREAM_TABLE + ASSIGNED * 64, 1 | 5 << 1 | cd);
		}
		command(&hosted.guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
		EQUAL(read_register(&hosted.guest, CMDQ_CONS) >> 24, 2);
		EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
		acknowledge(&hosted.guest);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		sync_all(&hosted.guest);
	}
	hosted_close(&hosted);
}

/* The erratum: what is sent once is not gone. */
static void erratum_is_honoured(void)
{
	static struct hosted hosted;
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .flags = VSMMU_EMULATED_REPEAT };
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = &smmu, .smmu_count = 1,
	};
	uint64_t value, calls;

	if (!hosted_open(&hosted, &config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	calls = host_counters(&hosted).invalidate_calls;
	unmap(&hosted.guest, STAGE1, IOVA);
	queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).invalidate_calls, calls + 2);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

void host_failure_section(void)
{
	RUN(host_open_refusals);
	RUN(host_is_kept_while_it_is_used);
	RUN(without_a_host);
	RUN(device_refusals);
	RUN(hosts_that_cannot);
	RUN(frozen_registers_refuse_devices);
	RUN(attachment_fails_at_each_step);
	RUN(memory_follows_the_kernel);
	RUN(invalidations_are_not_lost);
	RUN(attachments_are_tried_again);
	RUN(erratum_is_honoured);
}
