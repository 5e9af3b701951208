/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h section 8: what a kernel refuses, and what becomes of the guest's queues then. */
#include "direct.h"

#include <stdio.h>
#include <sys/mman.h>

enum {
	REQUEST_DESTROY = 0x3b80, REQUEST_HW_INFO = 0x3b8a, REQUEST_VIOMMU = 0x3b90,
	REQUEST_VDEVICE = 0x3b91, REQUEST_VEVENTQ = 0x3b93, REQUEST_HW_QUEUE = 0x3b94,
};

static struct direct direct;
static struct guest *const guest = &direct.hosted.guest;

/* Queue 0 was refused: it is not on, and says so where a driver looks. */
static void check_queue_refused(unsigned line)
{
	uint32_t error;

	frame_write(&direct, VINTF_PAGE0 + Q_CONFIG, 4, 1);
	hardware_runs(&direct);
	check_equal(frame_read(&direct, VINTF_PAGE0 + Q_STATUS, 4), 0, __FILE__, line, "STATUS");
	error = frame_read(&direct, VINTF_PAGE0 + Q_GERROR, 4) ^
		frame_read(&direct, VINTF_PAGE0 + Q_GERRORN, 4);
	check_equal(error, CMDQ_INIT_ERR, __FILE__, line, "GERROR");
	EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	/* Nor is the one on the page. */
	EQUAL(*page_register(&direct, 0, Q_STATUS), 0);
	/* Acknowledged, it is gone, but the queue is not there. */
	frame_write(&direct, VINTF_PAGE0 + Q_GERRORN, 4, frame_read(&direct, VINTF_PAGE0 + Q_GERROR, 4));
	EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
}

static void direct_queue_refusals(void)
{
	static const uint64_t bases[] = {
		/* Not mapped; behind the RAM's end; beyond all addresses. */
		0x10000 | DIRECT_BITS, (RAM + RAM_SIZE) | DIRECT_BITS, UINT64_C(0xffffffffffe0) | 31,
		/* Shorter than two commands, longer than IDR1.CMDQS, not aligned to its size. */
		RAM + 0x60000, RAM | 20, RAM | 31, (RAM + 0x60020) | DIRECT_BITS,
		/* Too long for the RAM. */
		RAM | 19,
	};
	uint64_t failures, calls;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		failures = host_counters(&direct.hosted).failures;
		frame_write(&direct, VINTF_PAGE1, 8, bases[i]);
		EQUAL(host_counters(&direct.hosted).failures, failures + 1);
		EQUAL(guest->blame, VSMMU_LOG_HOST);
		check_queue_refused(__LINE__);
		/* It is not tried again before the guest says something else. */
		calls = emulated_counters(&direct.hosted).calls;
		frame_write(&direct, VINTF_PAGE1 + 8, 8, i);
		frame_write(&direct, VI_INT_MASK, 4, 0);
		frame_write(&direct, VINTF_CONFIG, 4, 1);
		frame_write(&direct, VINTF_PAGE1, 8, bases[i]);
		EQUAL(emulated_counters(&direct.hosted).calls, calls);
	}
	CONTAINS(guest->log, "a command queue of the guest's");
	queue_start(&direct, 0);
	/* One that ran and moves to nowhere. */
	frame_write(&direct, VINTF_PAGE1, 8, 0x10000 | DIRECT_BITS);
	check_queue_refused(__LINE__);
	frame_write(&direct, VINTF_PAGE1, 8, 0);
	EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 0);
	/* An ordered failure, and the guest's next try. */
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_HW_QUEUE, 1, ENOMEM, 0), 0);
	frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(0) | DIRECT_BITS);
	check_queue_refused(__LINE__);
	frame_write(&direct, CMDQ_ALLOC, 4, 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	/* The second one fails, the first one goes on. */
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_HW_QUEUE, 1, EIO, 0), 0);
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE, 8, DIRECT_QUEUE(1) | DIRECT_BITS);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 2);
	hosted_close(&direct.hosted);
}

/* Memory whose pages are not one behind the other for the host. */
static void direct_queue_needs_contiguous_memory(void)
{
	uint8_t *two = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!direct_open(&direct))
		return;
	CHECK(two != MAP_FAILED);
	/* In the guest the pages change places. */
	EQUAL(api.vsmmu_ram_add(guest->vsmmu, RAM + RAM_SIZE, 0x1000, two + 0x1000), 0);
	EQUAL(api.vsmmu_ram_add(guest->vsmmu, RAM + RAM_SIZE + 0x1000, 0x1000, two), 0);
	interface_start(&direct);
	frame_write(&direct, VINTF_PAGE1, 8, (RAM + RAM_SIZE) | 9);
	check_queue_refused(__LINE__);
	frame_write(&direct, VINTF_PAGE1, 8, (RAM + RAM_SIZE) | 8);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	hosted_close(&direct.hosted);
	munmap(two, 0x4000);
}

static void direct_queue_pins_its_memory(void)
{
	static uint8_t *more;

	more = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(more != MAP_FAILED) || !direct_open(&direct))
		return;
	EQUAL(api.vsmmu_ram_add(guest->vsmmu, RAM + RAM_SIZE, 0x2000, more), 0);
	interface_start(&direct);
	frame_write(&direct, VINTF_PAGE1, 8, (RAM + RAM_SIZE + 0x1000) | DIRECT_BITS);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	EQUAL(api.vsmmu_ram_remove(guest->vsmmu, RAM + RAM_SIZE), -EBUSY);
	{
		char text[256];

		api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
		CONTAINS(text, "direct command queue");
	}
	check_invariants(&direct.hosted);
	frame_write(&direct, VINTF_CONFIG, 4, 0);
	EQUAL(api.vsmmu_ram_remove(guest->vsmmu, RAM + RAM_SIZE), 0);
	frame_write(&direct, VINTF_CONFIG, 4, 1);
	check_queue_refused(__LINE__);
	hosted_close(&direct.hosted);
	munmap(more, 0x2000);
}

/* The kernel keeps a queue: the guest's next one there is refused, and nothing piles up. */
static void direct_queue_is_kept(void)
{
	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_DESTROY, 1, EBUSY, 0), 0);
	frame_write(&direct, CMDQ_ALLOC, 4, 0);
	EQUAL(host_counters(&direct.hosted).kept, 1);
	/* It is tried again before another one is made. */
	frame_write(&direct, CMDQ_ALLOC, 4, 1);
	EQUAL(host_counters(&direct.hosted).kept, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	for (unsigned i = 0; i < 16; i++)
		EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_DESTROY, i + 1, EBUSY,
					      0), 0);
	frame_write(&direct, CMDQ_ALLOC, 4, 0);
	for (unsigned i = 0; i < 8; i++) {
		frame_write(&direct, CMDQ_ALLOC, 4, 1);
		frame_write(&direct, CMDQ_ALLOC, 4, 0);
		CHECK(host_counters(&direct.hosted).kept <= 1);
	}
	for (unsigned i = 0; i < 16; i++)
		sync_all(guest);
	frame_write(&direct, CMDQ_ALLOC, 4, 1);
	EQUAL(host_counters(&direct.hosted).kept, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	hosted_close(&direct.hosted);
}

/* A first device's coming, where any of the calls fails: nothing is left behind. */

static vsmmu_kernel real;
static int32_t mmap_error;

static int32_t failing_mmap(void *opaque, int32_t fd, uint64_t offset, uint64_t length,
			    void **address)
{
	return mmap_error ? mmap_error : real.mmap(opaque, fd, offset, length, address);
}

static void bring(vsmmu_kernel *kernel)
{
	real = *kernel;
	kernel->mmap = failing_mmap;
}

static void check_attach_fails(int32_t error, const char *word)
{
	uint32_t objects = emulated_counters(&direct.hosted).objects;
	uint32_t files = emulated_counters(&direct.hosted).files;
	char text[256];

	EQUAL(hosted_attach(&direct.hosted, 0), error);
	api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
	CONTAINS(text, word);
	EQUAL(emulated_counters(&direct.hosted).objects, objects);
	EQUAL(emulated_counters(&direct.hosted).files, files);
	check_invariants(&direct.hosted);
}

static void check_report(const char *word)
{
	static char text[32768];

	api.vsmmu_negotiation_report(guest->vsmmu, VSMMU_REPORT_TEXT, text, sizeof(text));
	CONTAINS(text, word);
}

static void direct_attachment_failures(void)
{
	static const struct { uint32_t request, nth; int32_t error; const char *word; } orders[] = {
		{REQUEST_HW_INFO, 2, EIO, "CMDQ-V"}, {REQUEST_HW_INFO, 2, ENOMEM, "CMDQ-V"},
		{REQUEST_VIOMMU, 1, ENOMEM, "vIOMMU"}, {REQUEST_VIOMMU, 1, EIO, "vIOMMU"},
		{REQUEST_VEVENTQ, 1, ENOMEM, "errors of direct command queues"},
		{REQUEST_VDEVICE, 1, ENOSPC, "no further StreamID"},
		{REQUEST_VDEVICE, 1, EINVAL, "another physical SMMU"},
	};
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .flags = VSMMU_EMULATED_CMDQV };
	vsmmu_emulated_config host = { .size = sizeof(host), .smmus = &smmu, .smmu_count = 1 };
	vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_DIRECT_QUEUES };

	if (!hosted_open_by(&direct.hosted, &host, config, bring))
		return;
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(guest->vsmmu, stream), 0);
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, orders[i].request,
					      orders[i].nth, orders[i].error, 0), 0);
		check_attach_fails(-orders[i].error, orders[i].word);
		check_report("not offered: no assigned device tells");
	}
	mmap_error = -ENOMEM;
	check_attach_fails(-ENOMEM, "map the page of direct command queues");
	check_report("not offered: no assigned device tells");
	mmap_error = 0;
	/* No interface is left: a device is worth more than its queues. */
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_VIOMMU, 1, ENOSPC, 0), 0);
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	check_report("all virtual interfaces");
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 1);
	/* The guest has seen them: now they are worth more. */
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_VIOMMU, 1, ENOSPC, 0), 0);
	check_attach_fails(-ENOSPC, "vIOMMU");
	check_report("direct command queues: offered");
	EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated, REQUEST_HW_INFO, 2, EOPNOTSUPP, 0), 0);
	check_attach_fails(-EOPNOTSUPP, "the guest has seen direct command queues");
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	check_report("direct command queues: offered");
	hosted_close(&direct.hosted);
}

/* StreamIDs of 20 bits, and 16 of them; of one SMMU with CMDQ-V. */
static void direct_limits_of_streams(void)
{
	vsmmu_emulated_smmu smmus[2] = {
		{ .size = sizeof(smmus[0]), .flags = VSMMU_EMULATED_CMDQV },
		{ .size = sizeof(smmus[0]) },
	};
	static vsmmu_emulated_device devices[18];
	vsmmu_emulated_config host = {
		.size = sizeof(host), .smmus = smmus, .smmu_count = 2, .devices = devices,
		.device_count = 18,
	};
	vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_DIRECT_QUEUES };
	vsmmu_device big = {
		.size = sizeof(big), .stream = 1u << 20, .path = "/dev/vfio/devices/vfio0",
	};
	char text[256];

	for (uint32_t i = 0; i < 18; i++)
		devices[i] = (vsmmu_emulated_device){
			.size = sizeof(devices[i]), .stream = 8 * i, .smmu = i == 17,
		};
	if (!hosted_open_with(&direct.hosted, &host, config))
		return;
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(guest->vsmmu, stream), 0);
	EQUAL(api.vsmmu_device_attach(guest->vsmmu, &big), -EINVAL);
	api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
	CONTAINS(text, "20 bits");
	EQUAL(emulated_counters(&direct.hosted).objects, 1);
	for (uint32_t i = 0; i < 16; i++)
		EQUAL(hosted_attach(&direct.hosted, i), 0);
	EQUAL(hosted_attach(&direct.hosted, 16), -ENOSPC);
	api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
	CONTAINS(text, "no further StreamID");
	EQUAL(api.vsmmu_device_renumber(guest->vsmmu, ASSIGNED, 1u << 20), -EINVAL);
	EQUAL(api.vsmmu_device_renumber(guest->vsmmu, ASSIGNED, (1u << 20) - 1), 0);
	EQUAL(api.vsmmu_device_renumber(guest->vsmmu, (1u << 20) - 1, ASSIGNED), 0);
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + 3), 0);
	EQUAL(hosted_attach(&direct.hosted, 16), 0);
	EQUAL(hosted_attach(&direct.hosted, 17), -EINVAL);
	/* Frozen, with no device left: not behind an SMMU without CMDQ-V. */
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 1);
	for (uint32_t i = 0; i < 17; i++)
		if (i != 3)
			EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + i), 0);
	EQUAL(hosted_attach(&direct.hosted, 17), -EOPNOTSUPP);
	api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
	CONTAINS(text, "the guest has seen direct command queues");
	CONTAINS(text, "has no CMDQ-V");
	EQUAL(hosted_attach(&direct.hosted, 16), 0);
	hosted_close(&direct.hosted);
}

void direct_failure_section(void)
{
	RUN(direct_queue_refusals);
	RUN(direct_queue_needs_contiguous_memory);
	RUN(direct_queue_pins_its_memory);
	RUN(direct_queue_is_kept);
	RUN(direct_attachment_failures);
	RUN(direct_limits_of_streams);
}
