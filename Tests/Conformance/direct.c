/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h section 8: command queues of the host's SMMU that the guest drives. */
#include "direct.h"

#include <poll.h>
#include <stdio.h>

static struct direct direct;
static struct guest *const guest = &direct.hosted.guest;

static void report(char *text, size_t size, uint32_t format)
{
	CHECK(api.vsmmu_negotiation_report(guest->vsmmu, format, text, size) < (int64_t)size);
}

static uint64_t tlbi_va(uint16_t asid)
{
	return TLBI_NH_VA | (uint64_t)asid << 48;
}

/* A TLBI by the page costs no exit and no call; the SMMU's own queue goes on beside it. */
static void direct_tlbi_costs_no_call(void)
{
	vsmmu_host_counters before, after;
	vsmmu_counters software = { .size = sizeof(software) };
	uint64_t value, calls;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	store64(guest, DATA, 0x1111);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	before = host_counters(&direct.hosted);
	EQUAL(api.vsmmu_get_counters(guest->vsmmu, &software), 0);
	calls = emulated_counters(&direct.hosted).calls;
	/* Another ASID's is nothing to it. */
	queue_put(&direct, 0, tlbi_va(6), IOVA | 1);
	queue_put(&direct, 0, SYNC, 0);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	queue_put(&direct, 0, tlbi_va(5), IOVA | 1);
	queue_put(&direct, 0, SYNC, 0);
	EQUAL(*page_register(&direct, 0, Q_CONS), 2);
	/* The hardware does it on its own. */
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(*page_register(&direct, 0, Q_CONS), 4);
	EQUAL(*page_register(&direct, 0, Q_GERROR), 0);
	after = host_counters(&direct.hosted);
	EQUAL(after.invalidate_calls, before.invalidate_calls);
	EQUAL(after.forwarded, before.forwarded);
	EQUAL(emulated_counters(&direct.hosted).calls, calls);
	EQUAL(emulated_counters(&direct.hosted).direct_commands, 4);
	{
		vsmmu_counters now = { .size = sizeof(now) };

		EQUAL(api.vsmmu_get_counters(guest->vsmmu, &now), 0);
		EQUAL(now.commands, software.commands);
	}
	/* By ASID, and the same from the other view of the queue. */
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	store64(guest, DIRECT_QUEUE(0) + 16 * 4, TLBI_NH_ASID | UINT64_C(5) << 48);
	store64(guest, DIRECT_QUEUE(0) + 16 * 4 + 8, 0);
	frame_write(&direct, VCMDQ_PAGE0 + Q_PROD, 4, 5);
	hardware_runs(&direct);
	EQUAL(frame_read(&direct, VCMDQ_PAGE0 + Q_CONS, 4), 5);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_CONS, 4), 5);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	/* The rest goes by the SMMU's own queue. */
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	queue(guest, TLBI_NH_ALL, 0);
	sync_all(guest);
	EQUAL(host_counters(&direct.hosted).invalidate_calls, after.invalidate_calls + 1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&direct.hosted);
}

/* Software may have no stream beside them; such a device is not saved, so not all can be compared. */
static void refuses_streams(void)
{
	char text[256];

	EQUAL(api.vsmmu_stream_add(guest->vsmmu, 3), -EOPNOTSUPP);
	api.vsmmu_error_message(guest->vsmmu, text, sizeof(text));
	CONTAINS(text, "reach no emulated device");
	EQUAL(api.vsmmu_stream_remove(guest->vsmmu, 3), -ENOENT);
}

/* Whether the guest has direct queues, and what the report says of it. */
static void check_verdict(const char *name, const char *sentence)
{
	bool offered = strcmp(name, "offered") == 0;
	char text[32768], wanted[64];
	uint64_t value = 0, length = 0;
	void *page = NULL;

	report(text, sizeof(text), VSMMU_REPORT_JSON);
	if (offered)
		snprintf(wanted, sizeof(wanted), "{\"offered\": true, \"missing\": null}");
	else
		snprintf(wanted, sizeof(wanted), "{\"offered\": false, \"missing\": \"%s\"}", name);
	CONTAINS(text, "\"direct_queues\": ");
	CONTAINS(text, wanted);
	report(text, sizeof(text), VSMMU_REPORT_TEXT);
	if (sentence)
		CONTAINS(text, sentence);
	else
		CHECK(strstr(text, "direct command queues") == NULL);
	EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), offered ? 0 : -ENODEV);
	if (offered)
		return;
	REFUSED(guest, -ENODEV, "no direct command queues",
		api.vsmmu_direct_read(guest->vsmmu, 0, 4, &value));
	REFUSED(guest, -ENODEV, "no direct command queues",
		api.vsmmu_direct_write(guest->vsmmu, 0, 4, 0));
}

static void direct_is_negotiated(void)
{
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .flags = VSMMU_EMULATED_CMDQV };
	vsmmu_emulated_config host = { .size = sizeof(host), .smmus = &smmu, .smmu_count = 1 };
	vsmmu_config late = {
		.size = sizeof(late), .flags = VSMMU_DIRECT_QUEUES, .profile = VSMMU_PROFILE_LINUX,
	};

	if (!direct_open_bare(&direct, VSMMU_EMULATED_CMDQV, 0))
		return;
	direct_attach(&direct);
	check_verdict("asked", NULL);
	hosted_close(&direct.hosted);

	if (!direct_open_bare(&direct, 0, VSMMU_DIRECT_QUEUES))
		return;
	check_verdict("device", "no assigned device tells");
	direct_attach(&direct);
	check_verdict("hardware", "the host's SMMU has no CMDQ-V");
	hosted_close(&direct.hosted);

	if (!direct_open_bare(&direct, VSMMU_EMULATED_CMDQV | VSMMU_EMULATED_REPEAT,
			      VSMMU_DIRECT_QUEUES))
		return;
	direct_attach(&direct);
	check_verdict("no_erratum", "an erratum");
	hosted_close(&direct.hosted);

	/* Software has streams: these TLBIs would not reach it. */
	if (!direct_open_bare(&direct, VSMMU_EMULATED_CMDQV, VSMMU_DIRECT_QUEUES))
		return;
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	check_verdict("hardware_alone", "translated in software");
	EQUAL(api.vsmmu_stream_add(guest->vsmmu, 8 + 5), 0);
	/* Decided anew with the next first device. */
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_stream_remove(guest->vsmmu, 8 + 5), 0);
	check_verdict("device", "no assigned device tells");
	direct_attach(&direct);
	check_verdict("offered", "offered: the host's SMMU has CMDQ-V");
	/* From then on software has none. */
	refuses_streams();
	EQUAL(api.vsmmu_freeze(guest->vsmmu), 0);
	refuses_streams();
	hosted_close(&direct.hosted);

	/* A guest that may have seen that there are none. */
	if (!hosted_open_with(&direct.hosted, &host, late))
		return;
	EQUAL(api.vsmmu_freeze(guest->vsmmu), 0);
	direct_attach(&direct);
	check_verdict("early", "may have seen that there are none");
	EQUAL(api.vsmmu_stream_add(guest->vsmmu, 3), 0);
	hosted_close(&direct.hosted);
}

/* A refused call says why, and the device is as it was: what cannot be asked is not saved. */
static void direct_refuses_arguments(void)
{
	static uint8_t state[4096];
	uint64_t value = 0, length = 0;
	void *page = NULL;

	if (!direct_open_bare(&direct, VSMMU_EMULATED_CMDQV, VSMMU_DIRECT_QUEUES))
		return;
	EQUAL(api.vsmmu_direct_page(NULL, &page, &length), -EINVAL);
	EQUAL(api.vsmmu_direct_read(NULL, 0, 4, &value), -EINVAL);
	EQUAL(api.vsmmu_direct_write(NULL, 0, 4, 0), -EINVAL);
	EQUAL(api.vsmmu_emulated_run_queues(NULL), -EINVAL);
	REFUSED(guest, -EINVAL, "page or length", api.vsmmu_direct_page(guest->vsmmu, NULL, &length));
	REFUSED(guest, -EINVAL, "page or length", api.vsmmu_direct_page(guest->vsmmu, &page, NULL));
	REFUSED(guest, -EINVAL, "value", api.vsmmu_direct_read(guest->vsmmu, 0, 4, NULL));
	for (uint32_t width = 0; width < 20; width++) {
		if (width == 1 || width == 2 || width == 4 || width == 8)
			continue;
		REFUSED(guest, -EINVAL, "width",
			api.vsmmu_direct_read(guest->vsmmu, 0, width, &value));
		REFUSED(guest, -EINVAL, "width",
			api.vsmmu_direct_write(guest->vsmmu, 0, width, 0));
	}
	REFUSED(guest, -EINVAL, "offset",
		api.vsmmu_direct_read(guest->vsmmu, VSMMU_DIRECT_SIZE, 4, &value));
	REFUSED(guest, -EINVAL, "offset",
		api.vsmmu_direct_write(guest->vsmmu, VSMMU_DIRECT_SIZE, 4, 0));
	REFUSED(guest, -EINVAL, "offset",
		api.vsmmu_direct_write(guest->vsmmu, UINT64_MAX - 3, 4, 0));
	CHECK(page == NULL && length == 0);
	/* What is refused has not frozen anything: there is something to have yet. */
	direct_attach(&direct);
	EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), 0);
	EQUAL(api.vsmmu_save(guest->vsmmu, state, sizeof(state)), -EOPNOTSUPP);
	api.vsmmu_error_message(guest->vsmmu, (char *)state, 256);
	CONTAINS((char *)state, "are not saved");
	hosted_close(&direct.hosted);
}

static void direct_frame_is_hardware_s(void)
{
	if (!direct_open(&direct))
		return;
	EQUAL(frame_read(&direct, CMDQV_CONFIG, 4), 1);
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 1);
	/* Version 1, 2 queues in one interface, 16 StreamIDs. */
	EQUAL(frame_read(&direct, CMDQV_PARAM, 4), 1 | 1 << 4 | 0 << 8 | 4 << 12);
	frame_write(&direct, CMDQV_PARAM, 4, 0);
	EQUAL(frame_read(&direct, CMDQV_PARAM, 4), 1 | 1 << 4 | 0 << 8 | 4 << 12);
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4), 0);
	EQUAL(frame_read(&direct, VINTF_STATUS, 4), 0);
	/* The guest's interface is not a hypervisor's, whatever it writes. */
	frame_write(&direct, VINTF_CONFIG, 4, UINT32_MAX);
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4), UINT32_C(0x1ffff));
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4) & HYP_OWN, 0);
	EQUAL(frame_read(&direct, VINTF_STATUS, 4), 1);
	frame_write(&direct, CMDQV_CONFIG, 4, 0);
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 0);
	EQUAL(frame_read(&direct, VINTF_STATUS, 4), 0);
	frame_write(&direct, CMDQV_CONFIG, 4, UINT32_MAX);
	EQUAL(frame_read(&direct, CMDQV_CONFIG, 4), 0xfffff);
	frame_write(&direct, VI_INT_MASK, 8, UINT64_C(0x500000003));
	EQUAL(frame_read(&direct, VI_INT_MASK + 4, 4), 0);
	frame_write(&direct, VI_INT_MASK, 4, 3);
	frame_write(&direct, VI_INT_MASK + 4, 4, 5);
	EQUAL(frame_read(&direct, VI_INT_MASK, 4), 3);
	EQUAL(frame_read(&direct, VI_INT_MASK + 4, 4), 5);
	frame_write(&direct, CMDQ_ALLOC + 4, 4, UINT32_MAX);
	EQUAL(frame_read(&direct, CMDQ_ALLOC + 4, 4), 0x1f80ff);
	EQUAL(frame_read(&direct, CMDQ_ALLOC + 8, 4), 0);
	frame_write(&direct, SID_MATCH + 4 * 15, 4, UINT32_MAX);
	frame_write(&direct, SID_REPLACE + 4 * 15, 4, UINT32_MAX);
	EQUAL(frame_read(&direct, SID_MATCH + 4 * 15, 4), 0x1fffff);
	EQUAL(frame_read(&direct, SID_REPLACE + 4 * 15, 4), 0xfffff);
	EQUAL(frame_read(&direct, SID_MATCH, 8), 0);
	/* A queue's memory, by both views and in halves. */
	frame_write(&direct, VCMDQ_PAGE1 + Q_STRIDE, 8, UINT64_MAX);
	EQUAL(frame_read(&direct, VINTF_PAGE1 + Q_STRIDE, 8), UINT64_C(0xffffffffffff));
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE + 4, 4, 0x12);
	EQUAL(frame_read(&direct, VCMDQ_PAGE1 + Q_STRIDE, 8), UINT64_C(0x12ffffffff));
	EQUAL(frame_read(&direct, VCMDQ_PAGE1 + Q_STRIDE + 4, 4), 0x12);
	frame_write(&direct, VCMDQ_PAGE1 + Q_STRIDE + 8, 8, UINT64_C(0x123456789));
	EQUAL(frame_read(&direct, VINTF_PAGE1 + Q_STRIDE + 8, 8), UINT64_C(0x123456789));
	/* Queues that are not there, what is no register, and how none may be accessed. */
	frame_write(&direct, VINTF_PAGE1 + 2 * Q_STRIDE, 8, DIRECT_QUEUE(2) | 4);
	EQUAL(frame_read(&direct, VINTF_PAGE1 + 2 * Q_STRIDE, 8), 0);
	frame_write(&direct, VINTF_PAGE0 + 511 * Q_STRIDE + Q_PROD, 4, 1);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + 511 * Q_STRIDE + Q_PROD, 4), 0);
	EQUAL(frame_read(&direct, 0xc, 4), 0);
	EQUAL(frame_read(&direct, VSMMU_DIRECT_SIZE - 4, 4), 0);
	for (uint32_t width = 1; width < 4; width *= 2) {
		frame_write(&direct, CMDQV_CONFIG, width, 0);
		EQUAL(frame_read(&direct, CMDQV_CONFIG, width), 0);
	}
	frame_write(&direct, CMDQV_CONFIG + 2, 4, 0);
	frame_write(&direct, CMDQV_PARAM, 8, 0);
	EQUAL(frame_read(&direct, CMDQV_PARAM, 8), 0);
	EQUAL(frame_read(&direct, CMDQV_CONFIG, 4), 0xfffff);
	EQUAL(frame_read(&direct, CMDQV_CONFIG, 8), UINT64_C(0x4011000fffff));
	EQUAL(api.vsmmu_reset(guest->vsmmu), 0);
	EQUAL(frame_read(&direct, CMDQV_CONFIG, 4), 1);
	EQUAL(frame_read(&direct, VI_INT_MASK, 4), 0);
	EQUAL(frame_read(&direct, CMDQ_ALLOC + 4, 4), 0);
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4), 0);
	EQUAL(frame_read(&direct, SID_MATCH + 4 * 15, 4), 0);
	EQUAL(frame_read(&direct, VCMDQ_PAGE1 + Q_STRIDE, 8), 0);
	hosted_close(&direct.hosted);
}

/* The hardware takes and gives back queues in order, whatever order the guest has. */
static void direct_queues_are_kept_in_order(void)
{
	uint64_t queues;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	/* The second one waits for the first. */
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE, 8, DIRECT_QUEUE(1) | DIRECT_BITS);
	frame_write(&direct, VINTF_PAGE0 + Q_STRIDE + Q_CONFIG, 4, 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_STATUS, 4), 0);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_GERROR, 4), 0);
	queue_start(&direct, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	/* What was written while it waited is the hardware's now. */
	EQUAL(*page_register(&direct, 1, Q_CONFIG), 1);
	EQUAL(*page_register(&direct, 1, Q_STATUS), 1);
	queue_put(&direct, 1, TLBI_NH_ASID, 0);
	queue_put(&direct, 1, SYNC, 0);
	hardware_runs(&direct);
	EQUAL(*page_register(&direct, 1, Q_CONS), 2);
	/* The same memory again is nothing new. */
	queues = emulated_counters(&direct.hosted).calls;
	frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(0) | DIRECT_BITS);
	frame_write(&direct, VINTF_CONFIG, 4, 1);
	EQUAL(emulated_counters(&direct.hosted).calls, queues);
	EQUAL(*page_register(&direct, 0, Q_CONFIG), 1);
	/* The first one moves: the second one goes on where it was. */
	queue_put(&direct, 0, SYNC, 0);
	hardware_runs(&direct);
	frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(2) | DIRECT_BITS);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	EQUAL(*page_register(&direct, 0, Q_CONFIG), 0);
	EQUAL(*page_register(&direct, 0, Q_CONS), 0);
	EQUAL(*page_register(&direct, 1, Q_CONFIG), 1);
	EQUAL(*page_register(&direct, 1, Q_CONS), 2);
	EQUAL(*page_register(&direct, 1, Q_PROD), 2);
	/* The first one goes, and so must the second, until it is back. */
	frame_write(&direct, CMDQ_ALLOC, 4, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_CONS, 4), 2);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_STATUS, 4), 0);
	/* As another interface's, or under another number, it is none. */
	frame_write(&direct, CMDQ_ALLOC, 4, 1 | 1 << 15);
	frame_write(&direct, CMDQ_ALLOC, 4, 1 | 1 << 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	frame_write(&direct, CMDQ_ALLOC, 4, 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	EQUAL(*page_register(&direct, 1, Q_CONS), 2);
	EQUAL(*page_register(&direct, 1, Q_CONFIG), 1);
	/* Off, by either switch: nothing is left of a run. */
	frame_write(&direct, VINTF_CONFIG, 4, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_CONS, 4), 0);
	frame_write(&direct, VINTF_CONFIG, 4, 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	EQUAL(*page_register(&direct, 1, Q_CONFIG), 0);
	frame_write(&direct, CMDQV_CONFIG, 4, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	frame_write(&direct, CMDQV_CONFIG, 4, 1);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	EQUAL(host_counters(&direct.hosted).failures, 0);
	hosted_close(&direct.hosted);
}

/* What a guest's queue may not have stops it, and nothing else. */
static void direct_errors_reach_the_guest(void)
{
	static const struct { uint64_t low, high; } illegal[] = {
		{TLBI_NH_ALL, 0}, {TLBI_NSNH_ALL, 0}, {TLBI_S12_VMALL, 0}, {TLBI_EL2_ALL, 0},
		{CFGI_STE | (uint64_t)ASSIGNED << 32, 1}, {CFGI_CD | (uint64_t)ASSIGNED << 32, 1},
		{CFGI_ALL, 31}, {TLBI_NH_VAA, IOVA}, {0x40 | UINT64_C(99) << 32, 0}, {0xff, 0},
		/* A CMD_SYNC that would signal: an interrupt, an event. */
		{SYNC | 1 << 12, 0}, {SYNC | 2 << 12, 0},
	};
	struct pollfd file;
	uint64_t value;

	if (!direct_open(&direct))
		return;
	file = (struct pollfd){ .fd = api.vsmmu_event_fd(guest->vsmmu), .events = POLLIN };
	interface_start(&direct);
	queue_start(&direct, 0);
	queue_start(&direct, 1);
	EQUAL(poll(&file, 1, 0), 0);
	for (unsigned i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
		unsigned index = i & 1, before = *page_register(&direct, index, Q_GERROR);
		uint32_t cons = *page_register(&direct, index, Q_CONS) & 0x1f;

		/* What is before it is done, what is behind it is not. */
		map(guest, STAGE1, IOVA, DATA, PAGE1);
		EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		unmap(guest, STAGE1, IOVA);
		queue_put(&direct, index, TLBI_NH_ASID | UINT64_C(5) << 48, 0);
		queue_put(&direct, index, illegal[i].low, illegal[i].high);
		queue_put(&direct, index, SYNC, 0);
		hardware_runs(&direct);
		EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
		EQUAL(*page_register(&direct, index, Q_CONS), ((cons + 1) & 0x1f) | 1u << 24);
		EQUAL(*page_register(&direct, index, Q_GERROR), before ^ CMDQ_ERR);
		EQUAL(frame_read(&direct, VI_ERR_MAP, 4), 1);
		EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 8), 1u << index);
		EQUAL(frame_read(&direct, CMDQ_ERR_MAP, 4), 1u << index);
		EQUAL(frame_read(&direct, VINTF_STATUS, 4), 1 | 1 << 1);
		/* The interrupt comes by the host's event file, once. */
		EQUAL(poll(&file, 1, 0), 1);
		EQUAL(guest->interrupts[VSMMU_IRQ_DIRECT], i);
		EQUAL(api.vsmmu_event_run(guest->vsmmu) >= 0, 1);
		EQUAL(guest->interrupts[VSMMU_IRQ_DIRECT], i + 1);
		while (api.vsmmu_event_run(guest->vsmmu) > 0)
			;
		EQUAL(poll(&file, 1, 0), 0);
		EQUAL(guest->interrupts[VSMMU_IRQ_DIRECT], i + 1);
		hardware_runs(&direct);
		EQUAL(*page_register(&direct, index, Q_CONS) >> 24, 1);
		/* The driver replaces the command and acknowledges: the queue goes on. */
		store64(guest, DIRECT_QUEUE(index) + 16 * ((cons + 1) & 0xf), SYNC);
		store64(guest, DIRECT_QUEUE(index) + 16 * ((cons + 1) & 0xf) + 8, 0);
		*page_register(&direct, index, Q_GERRORN) = *page_register(&direct, index, Q_GERROR);
		hardware_runs(&direct);
		EQUAL(*page_register(&direct, index, Q_CONS), (cons + 3) & 0x1f);
		EQUAL(frame_read(&direct, VI_ERR_MAP, 4), 0);
		EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 0);
	}
	/* Masked, it is seen but not heard. */
	frame_write(&direct, VI_INT_MASK, 4, 1);
	queue_put(&direct, 0, 0xff, 0);
	hardware_runs(&direct);
	EQUAL(api.vsmmu_event_run(guest->vsmmu) >= 0, 1);
	EQUAL(guest->interrupts[VSMMU_IRQ_DIRECT], sizeof(illegal) / sizeof(illegal[0]));
	EQUAL(frame_read(&direct, LVCMDQ_ERR_MAP, 4), 1);
	EQUAL(guest->interrupts[VSMMU_IRQ_GERROR], 0);
	hosted_close(&direct.hosted);
}

/* Reset, detachment and destruction give all back; a frozen frame outlives its devices. */
static void direct_ends_in_order(void)
{
	uint64_t length;
	void *page;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	queue_start(&direct, 1);
	EQUAL(api.vsmmu_reset(guest->vsmmu), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(*page_register(&direct, 0, Q_CONFIG), 0);
	EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), 0);
	CHECK(page == (void *)direct.page);
	check_invariants(&direct.hosted);
	/* As before, and the page is the same. */
	interface_start(&direct);
	queue_start(&direct, 0);
	queue_start(&direct, 1);
	queue_put(&direct, 0, SYNC, 0);
	hardware_runs(&direct);
	EQUAL(hosted_attach(&direct.hosted, 1), 0);
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	direct.page = NULL;
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + 1), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), -ENODEV);
	/* The guest sees queues that are off. */
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4), 1);
	EQUAL(frame_read(&direct, VINTF_PAGE1, 8), DIRECT_QUEUE(0) | DIRECT_BITS);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_CONS, 4), 1);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STATUS, 4), 0);
	/* A CMD_SYNC there waits. */
	store64(guest, DIRECT_QUEUE(0) + 16, SYNC);
	frame_write(&direct, VINTF_PAGE0 + Q_PROD, 4, 2);
	hardware_runs(&direct);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_CONS, 4), 1);
	/* A change then is an error of the queue. */
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE, 8, DIRECT_QUEUE(3) | DIRECT_BITS);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_STRIDE + Q_GERROR, 4), CMDQ_INIT_ERR);
	refuses_streams();
	/* With a device they go on. */
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 2);
	EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), 0);
	direct.page = page;
	EQUAL(*page_register(&direct, 0, Q_CONS), 1);
	hardware_runs(&direct);
	EQUAL(*page_register(&direct, 0, Q_STATUS), 1);
	EQUAL(*page_register(&direct, 0, Q_CONS), 2);
	queue_put(&direct, 0, SYNC, 0);
	hardware_runs(&direct);
	EQUAL(*page_register(&direct, 0, Q_CONS), 3);
	/* The rest is taken down by vsmmu_destroy. */
	hosted_close(&direct.hosted);
}

/* Waits for an enable bit as drivers do, with hardware that runs meanwhile. */
static void await_page(unsigned index, uint32_t wanted)
{
	hardware_runs(&direct);
	EQUAL(*page_register(&direct, index, Q_STATUS) & 1, wanted);
}

static void driver_stops_queue(unsigned index)
{
	*page_register(&direct, index, Q_CONFIG) = 0;
	await_page(index, 0);
	*page_register(&direct, index, Q_PROD) = 0;
	*page_register(&direct, index, Q_CONS) = 0;
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE * index, 8, 0);
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE * index + 8, 8, 0);
	*page_register(&direct, index, Q_GERRORN) = *page_register(&direct, index, Q_GERROR);
}

/* All off, all on, in the order in which Linux does it: queues stopped upwards or downwards, the
 * interface as a hypervisor's first, which a guest's is not. */
static void driver_starts(bool downwards)
{
	uint64_t params = frame_read(&direct, CMDQV_PARAM, 4);
	unsigned count = 1u << ((params >> 4 & 15) - (params >> 8 & 15));

	EQUAL(count, 2);
	frame_write(&direct, CMDQV_CONFIG, 4, frame_read(&direct, CMDQV_CONFIG, 4) & ~1u);
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 0);
	frame_write(&direct, CMDQV_CONFIG, 4, 1);
	EQUAL(frame_read(&direct, CMDQV_STATUS, 4), 1);
	for (unsigned index = 0; index < count; index++)
		frame_write(&direct, CMDQ_ALLOC + 4 * index, 4, 1 | index << 1);
	for (unsigned i = 0; i < count; i++)
		driver_stops_queue(downwards ? count - 1 - i : i);
	frame_write(&direct, VINTF_CONFIG, 4, 0);
	EQUAL(frame_read(&direct, VINTF_STATUS, 4) & 1, 0);
	frame_write(&direct, VINTF_CONFIG, 4, HYP_OWN);
	frame_write(&direct, VINTF_CONFIG, 4, HYP_OWN | 1);
	EQUAL(frame_read(&direct, VINTF_STATUS, 4) & 1, 1);
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4) & HYP_OWN, 0);
	for (unsigned index = 0; index < count; index++) {
		driver_stops_queue(index);
		frame_write(&direct, VINTF_PAGE1 + Q_STRIDE * index, 8,
			    DIRECT_QUEUE(index) | DIRECT_BITS);
		*page_register(&direct, index, Q_CONFIG) = 1;
		await_page(index, 1);
	}
	EQUAL(host_counters(&direct.hosted).direct_queues, count);
	for (unsigned index = 0; index < count; index++) {
		queue_put(&direct, index, TLBI_NH_ASID | UINT64_C(5) << 48, 0);
		queue_put(&direct, index, SYNC, 0);
		hardware_runs(&direct);
		EQUAL(*page_register(&direct, index, Q_CONS), 2);
	}
}

/* And again, as after kexec, where nobody has stopped anything. */
static void direct_driver_starts_again(void)
{
	if (!direct_open(&direct))
		return;
	for (unsigned times = 0; times < 4; times++) {
		driver_starts(times & 1);
		if (times == 2)
			queue_put(&direct, 1, TLBI_NH_ALL, 0), hardware_runs(&direct);
	}
	EQUAL(host_counters(&direct.hosted).failures, 0);
	hosted_close(&direct.hosted);
}

/* A state that comes from a guest without direct queues leaves none on. */
static void direct_restore_resets_the_frame(void)
{
	static uint8_t state[4096];
	int64_t size;

	if (!direct_open_with(&direct, VSMMU_EMULATED_CMDQV, 0))
		return;
	size = api.vsmmu_save(guest->vsmmu, state, sizeof(state));
	CHECK(size > 0);
	hosted_close(&direct.hosted);
	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	/* A damaged one changes nothing. */
	EQUAL(api.vsmmu_restore(guest->vsmmu, state, (uint64_t)size - 1), -EINVAL);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	EQUAL(api.vsmmu_restore(guest->vsmmu, state, (uint64_t)size), 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 0);
	EQUAL(frame_read(&direct, VINTF_CONFIG, 4), 0);
	EQUAL(*page_register(&direct, 0, Q_CONFIG), 0);
	hosted_close(&direct.hosted);
}

/* The guest's own queue may not be longer than the host's. */
static void direct_follows_the_host_s_size(void)
{
	vsmmu_emulated_smmu smmu = {
		.size = sizeof(smmu), .flags = VSMMU_EMULATED_CMDQV, .features = "CMDQS=8",
	};
	vsmmu_emulated_config host = { .size = sizeof(host), .smmus = &smmu, .smmu_count = 1 };
	vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_DIRECT_QUEUES };

	if (!hosted_open_with(&direct.hosted, &host, config))
		return;
	direct_attach(&direct);
	EQUAL(read_register(guest, IDR1) >> 21 & 31, 8);
	interface_start(&direct);
	frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(0) | 9);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_GERROR, 4), CMDQ_INIT_ERR);
	frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(0) | 8);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	hosted_close(&direct.hosted);
	/* Only with direct queues. */
	config.flags = 0;
	if (!hosted_open_with(&direct.hosted, &host, config))
		return;
	direct_attach(&direct);
	CHECK((read_register(guest, IDR1) >> 21 & 31) > 8);
	hosted_close(&direct.hosted);
}

void direct_section(void)
{
	RUN(direct_tlbi_costs_no_call);
	RUN(direct_is_negotiated);
	RUN(direct_refuses_arguments);
	RUN(direct_frame_is_hardware_s);
	RUN(direct_queues_are_kept_in_order);
	RUN(direct_errors_reach_the_guest);
	RUN(direct_ends_in_order);
	RUN(direct_driver_starts_again);
	RUN(direct_restore_resets_the_frame);
	RUN(direct_follows_the_host_s_size);
}
