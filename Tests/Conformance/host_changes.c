/* SPDX-License-Identifier: MIT */
/* A running stream of an assigned device whose change fails, or whose new STE is illegal. */
#include "hosted.h"

enum { REQUEST_HWPT_ALLOC = 0x3b89, REQUEST_ATTACH = 0x3b77 };

/* Another address space: IOVA is the page after DATA's. */
#define OTHER_STAGE1 (STAGE1 + 0x8000)
#define OTHER_CD (CONTEXT + 0x4000)
#define PAGE_0 UINT64_C(0x1111)
#define PAGE_1 UINT64_C(0x2222)

static bool open_running(struct hosted *hosted, uint32_t flags)
{
	vsmmu_config config = { .size = sizeof(config), .flags = flags };
	uint64_t value;

	if (!hosted_open_with(hosted, NULL, config))
		return false;
	EQUAL(hosted_attach(hosted, 0), 0);
	guest_start(&hosted->guest);
	store64(&hosted->guest, DATA, PAGE_0);
	store64(&hosted->guest, DATA + 4096, PAGE_1);
	map(&hosted->guest, STAGE1, IOVA, DATA, PAGE1);
	map(&hosted->guest, OTHER_STAGE1, IOVA, DATA + 4096, PAGE1);
	set_stage1(&hosted->guest, ASSIGNED, 5);
	for (unsigned i = 0; i < 64; i += 8)
		store64(&hosted->guest, OTHER_CD + i,
			load64(&hosted->guest, CONTEXT + ASSIGNED * 64 + i));
	store64(&hosted->guest, OTHER_CD, (load64(&hosted->guest, OTHER_CD) & ~(UINT64_C(0xffff) << 48)) |
		UINT64_C(6) << 48);
	store64(&hosted->guest, OTHER_CD + 8, OTHER_STAGE1);
	return EQUAL(device_read(hosted, 0, IOVA, &value), VSMMU_RESULT_OK) && EQUAL(value, PAGE_0);
}

/* Tells the device of another STE; the queue may stop there. */
static void show_ste(struct hosted *hosted, uint64_t word)
{
	store64(&hosted->guest, STREAM_TABLE + ASSIGNED * 64, word);
	command(&hosted->guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
}

static void fail_once(struct hosted *hosted, uint32_t request)
{
	EQUAL(api.vsmmu_emulated_fail(hosted->emulated, request, 1, ENOMEM, 0), 0);
}

static void reads(struct hosted *hosted, uint64_t address, uint64_t expected)
{
	uint64_t value = 0;

	EQUAL(device_read(hosted, 0, address, &value), VSMMU_RESULT_OK);
	EQUAL(value, expected);
}

static void aborts(struct hosted *hosted, uint64_t address)
{
	uint64_t value;

	EQUAL(device_read(hosted, 0, address, &value), VSMMU_RESULT_ABORT);
}

/* VSMMU_ACCESS_INSPECT tells what the device meets: `output`, or an abort without an event (0). */
static void looks(struct hosted *hosted, uint64_t address, uint64_t output)
{
	vsmmu_result result = translate(&hosted->guest, ASSIGNED, address, VSMMU_ACCESS_INSPECT);

	EQUAL(result.kind, output ? VSMMU_RESULT_OK : VSMMU_RESULT_ABORT);
	EQUAL(result.event, 0);
	if (output)
		EQUAL(result.address, output);
}

/* Stage 1 to stage 1, and to bypass: in-flight DMA does not notice. */
static void running_stream_keeps_its_stage1(void)
{
	static const uint32_t requests[] = { REQUEST_HWPT_ALLOC, REQUEST_ATTACH };
	static struct hosted hosted;

	for (unsigned i = 0; i < 2; i++) {
		if (!open_running(&hosted, 0))
			return;
		fail_once(&hosted, requests[i]);
		show_ste(&hosted, 1 | 5 << 1 | OTHER_CD);
		EQUAL(command_error(&hosted.guest), CERROR_ABT);
		CONTAINS(hosted.guest.log, "stream 8 keeps the stage 1");
		EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
		reads(&hosted, IOVA, PAGE_0);
		looks(&hosted, IOVA, DATA);
		acknowledge(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
		reads(&hosted, IOVA, PAGE_1);
		looks(&hosted, IOVA, DATA + 4096);
		fail_once(&hosted, REQUEST_ATTACH);
		show_ste(&hosted, 1 | 4 << 1);
		EQUAL(command_error(&hosted.guest), CERROR_ABT);
		reads(&hosted, IOVA, PAGE_1);
		looks(&hosted, IOVA, DATA + 4096);
		/* It is not for ever: the guest may ask for an abort instead. */
		store64(&hosted.guest, STREAM_TABLE + ASSIGNED * 64, 0);
		acknowledge(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
		aborts(&hosted, IOVA);
		looks(&hosted, IOVA, 0);
		hosted_close(&hosted);
	}
}

/* What the old stage 1 has cached goes with what the guest invalidates before it asks again. */
static void kept_stage1_takes_invalidations(void)
{
	static struct hosted hosted;

	if (!open_running(&hosted, 0))
		return;
	unmap(&hosted.guest, STAGE1, IOVA);
	queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA);
	fail_once(&hosted, REQUEST_ATTACH);
	show_ste(&hosted, 1 | 5 << 1 | OTHER_CD);
	EQUAL(command_error(&hosted.guest), CERROR_ABT);
	aborts(&hosted, IOVA);
	acknowledge(&hosted.guest);
	reads(&hosted, IOVA, PAGE_1);
	hosted_close(&hosted);
}

/* A bypassed stream has no SubstreamIDs, wherever the access goes: a look says what hardware does. */
static void bypass_has_no_substreams(void)
{
	static struct hosted hosted;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_SUBSTREAM, .stream = ASSIGNED,
	}, look;
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t event[4], value;

	if (!open_running(&hosted, 0))
		return;
	show_ste(&hosted, 1 | 4 << 1);
	for (unsigned i = 0; i < 2; i++) {
		access.address = i ? ~UINT64_C(0xfff) : DATA;
		EQUAL(api.vsmmu_emulated_dma_read(hosted.emulated, 0, &access, &value, sizeof(value),
						  &result), 0);
		EQUAL(result.kind, VSMMU_RESULT_ABORT);
		EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
		EQUAL(take_event(&hosted.guest, event), 1);
		EQUAL(event[0] & 0xff, C_BAD_SUBSTREAMID);
		look = access;
		look.flags |= VSMMU_ACCESS_INSPECT;
		EQUAL(api.vsmmu_translate(hosted.guest.vsmmu, &look, &result), 0);
		EQUAL(result.kind, VSMMU_RESULT_ABORT);
		EQUAL(result.event, C_BAD_SUBSTREAMID);
	}
	hosted_close(&hosted);
}

/* By a flag, and where the change is none of a command's. */
static void running_stream_aborts_where_it_shall(void)
{
	static struct hosted hosted;

	if (!open_running(&hosted, VSMMU_FAILED_STREAMS_ABORT))
		return;
	fail_once(&hosted, REQUEST_ATTACH);
	show_ste(&hosted, 1 | 5 << 1 | OTHER_CD);
	EQUAL(command_error(&hosted.guest), CERROR_ABT);
	aborts(&hosted, IOVA);
	looks(&hosted, IOVA, 0);
	acknowledge(&hosted.guest);
	reads(&hosted, IOVA, PAGE_1);
	hosted_close(&hosted);
	if (!open_running(&hosted, 0))
		return;
	fail_once(&hosted, REQUEST_ATTACH);
	write_register(&hosted.guest, CR0, 0xc);
	aborts(&hosted, IOVA);
	aborts(&hosted, DATA);
	looks(&hosted, DATA, 0);
	sync_all(&hosted.guest);
	reads(&hosted, DATA, PAGE_0);
	looks(&hosted, DATA, DATA);
	write_register(&hosted.guest, CR0, 0xd);
	fail_once(&hosted, REQUEST_ATTACH);
	EQUAL(api.vsmmu_reset(hosted.guest.vsmmu), 0);
	aborts(&hosted, IOVA);
	hosted_close(&hosted);
}

/* A stage 1 that could not be closed is closed by the next CMD_SYNC, and not kept. */
static void open_stage1_is_closed_later(void)
{
	static struct hosted hosted;

	if (!open_running(&hosted, 0))
		return;
	fail_once(&hosted, REQUEST_ATTACH);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_ATTACH, 2, ENOMEM, 0), 0);
	write_register(&hosted.guest, CR0, 0xc);
	reads(&hosted, IOVA, PAGE_0);
	looks(&hosted, IOVA, DATA);
	fail_once(&hosted, REQUEST_ATTACH);
	command(&hosted.guest, SYNC, 0);
	EQUAL(command_error(&hosted.guest), CERROR_ABT);
	aborts(&hosted, IOVA);
	acknowledge(&hosted.guest);
	reads(&hosted, DATA, PAGE_0);
	hosted_close(&hosted);
}

/* S1CDMax is wider than IDR1.SSIDSIZE: C_BAD_STE (5.2). */
#define ILLEGAL_STE (1 | 5 << 1 | OTHER_CD | UINT64_C(31) << 59)

static void illegal_ste_is_logged(void)
{
	static struct hosted hosted;
	uint64_t event[4];

	for (unsigned records = 0; records < 2; records++) {
		if (!open_running(&hosted, records ? VSMMU_RECORD_BAD_STE : 0))
			return;
		show_ste(&hosted, ILLEGAL_STE);
		EQUAL(command_error(&hosted.guest), 0);
		CONTAINS(hosted.guest.log, "the STE of stream 8");
		CONTAINS(hosted.guest.log, "S1CDMax is 0x1f, §5.2 S1CDMax");
		EQUAL(hosted.guest.blame, VSMMU_LOG_GUEST);
		aborts(&hosted, IOVA);
		EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 0);
		EQUAL(take_event(&hosted.guest, event), records);
		if (records) {
			EQUAL(event[0], UINT64_C(4) | (uint64_t)ASSIGNED << 32);
			EQUAL(event[1] | event[2] | event[3], 0);
		}
		EQUAL(take_event(&hosted.guest, event), 0);
		hosted_close(&hosted);
	}
}

/* One that is not valid, of no device, or with SMMUEN 0 is nobody's mistake yet. */
static void other_stes_are_not_logged(void)
{
	static struct hosted hosted;
	uint64_t event[4];
	unsigned logs;

	if (!open_running(&hosted, VSMMU_RECORD_BAD_STE))
		return;
	logs = hosted.guest.logs;
	show_ste(&hosted, ILLEGAL_STE & ~UINT64_C(1));
	store64(&hosted.guest, STREAM_TABLE + (ASSIGNED + 1) * 64, ILLEGAL_STE);
	command(&hosted.guest, CFGI_STE | (uint64_t)(ASSIGNED + 1) << 32, 1);
	store64(&hosted.guest, STREAM_TABLE + 3 * 64, ILLEGAL_STE);
	command(&hosted.guest, CFGI_STE | UINT64_C(3) << 32, 1);
	write_register(&hosted.guest, CR0, 0xc);
	show_ste(&hosted, ILLEGAL_STE);
	write_register(&hosted.guest, CR0, 0xd);
	EQUAL(hosted.guest.logs, logs);
	EQUAL(take_event(&hosted.guest, event), 0);
	aborts(&hosted, IOVA);
	hosted_close(&hosted);
}

void host_change_section(void)
{
	RUN(running_stream_keeps_its_stage1);
	RUN(kept_stage1_takes_invalidations);
	RUN(bypass_has_no_substreams);
	RUN(running_stream_aborts_where_it_shall);
	RUN(open_stage1_is_closed_later);
	RUN(illegal_ste_is_logged);
	RUN(other_stes_are_not_logged);
}
