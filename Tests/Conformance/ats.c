/* SPDX-License-Identifier: MIT */
/* ATS of assigned devices: who has it, what the guest may do with it, and what fails. */
#include "hosted.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_INVALIDATE = 0x3b8d, REQUEST_HWPT_ALLOC = 0x3b89 };

#define IDR0_ATS (1u << 10)
#define IDR0_NS1ATS (1u << 11)
#define CR0_ATSCHK 0x10u
/* STE [93:92] */
#define EATS(value) ((uint64_t)(value) << 28)
#define SHCFG_INCOMING (UINT64_C(1) << 44)
#define TO(stream) ((uint64_t)(stream) << 32)
#define SSV (1u << 11)
#define GLOBAL (1u << 9)
/* CMD_ATC_INV's Size: everything. */
#define ALL UINT64_C(52)

/* A host whose SMMU and root complex have ATS, and so has device 0; what device 1 is, differs. */
static struct {
	vsmmu_emulated_smmu smmu;
	vsmmu_emulated_device devices[2];
	vsmmu_emulated_config config;
} machine;

static void make_machine(uint32_t smmu_flags, uint32_t first, uint32_t second)
{
	machine.smmu = (vsmmu_emulated_smmu){
		.size = sizeof(machine.smmu), .flags = smmu_flags, .features = "ATS=1",
	};
	machine.devices[0] = (vsmmu_emulated_device){
		.size = sizeof(machine.devices[0]), .stream = 0x20, .pasid_bits = 8,
		.flags = first,
	};
	machine.devices[1] = (vsmmu_emulated_device){
		.size = sizeof(machine.devices[1]), .stream = 0x28, .flags = second,
	};
	machine.config = (vsmmu_emulated_config){
		.size = sizeof(machine.config), .smmus = &machine.smmu, .smmu_count = 1,
		.devices = machine.devices, .device_count = 2,
	};
}

static void remove_emulated(struct hosted *hosted)
{
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(hosted->guest.vsmmu, stream), 0);
}

/* A vSMMU that is asked for ATS, without emulated devices. */
static bool open_asking(struct hosted *hosted, const char *features)
{
	vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX, .features = features,
	};

	if (!hosted_open_with(hosted, &machine.config, config))
		return false;
	remove_emulated(hosted);
	return true;
}

static uint64_t offered(struct hosted *hosted)
{
	return read_register(&hosted->guest, IDR0) & (IDR0_ATS | IDR0_NS1ATS);
}

static bool reported(struct hosted *hosted, const char *text)
{
	static char report[65536];

	CHECK(api.vsmmu_negotiation_report(hosted->guest.vsmmu, VSMMU_REPORT_TEXT, report,
					   sizeof(report)) > 0);
	return CONTAINS(report, text);
}

static void set_ats(struct guest *guest, uint32_t stream, uint64_t eats)
{
	const uint64_t ste[8] = {
		1 | 5 << 1 | (CONTEXT + stream * 64), SHCFG_INCOMING | EATS(eats),
	};

	set_ste(guest, stream, ste);
}

/* Device 0 behind the vSMMU with ATS, translated from IOVA to DATA and the page after. */
static bool open_translated(struct hosted *hosted)
{
	if (!open_asking(hosted, "ATS=1"))
		return false;
	EQUAL(hosted_attach(hosted, 0), 0);
	guest_start(&hosted->guest);
	EQUAL(offered(hosted), IDR0_ATS);
	for (uint64_t page = 0; page < 2; page++) {
		map(&hosted->guest, STAGE1, IOVA + page * 4096, DATA + page * 4096, PAGE1);
		store64(&hosted->guest, DATA + page * 4096, 0x1000 + page);
		store64(&hosted->guest, DATA + (2 + page) * 4096, 0x2000 + page);
	}
	set_stage1(&hosted->guest, ASSIGNED, 5);
	set_ats(&hosted->guest, ASSIGNED, 1);
	return true;
}

static uint64_t read_page(struct hosted *hosted, uint64_t page)
{
	uint64_t value;

	return device_read(hosted, 0, IOVA + page * 4096, &value) == VSMMU_RESULT_OK ? value : 0;
}

/* Both pages lead elsewhere, and the SMMU's TLB has forgotten where they led. */
static void move_pages(struct hosted *hosted)
{
	for (uint64_t page = 0; page < 2; page++) {
		map(&hosted->guest, STAGE1, IOVA + page * 4096, DATA + (2 + page) * 4096, PAGE1);
		queue(&hosted->guest, TLBI_NH_VA | UINT64_C(5) << 48, (IOVA + page * 4096) | 1);
	}
	sync_all(&hosted->guest);
}

static void move_back(struct hosted *hosted)
{
	for (uint64_t page = 0; page < 2; page++)
		map(&hosted->guest, STAGE1, IOVA + page * 4096, DATA + page * 4096, PAGE1);
	queue(&hosted->guest, TLBI_NH_ALL, 0);
	sync_all(&hosted->guest);
	queue(&hosted->guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted->guest);
	EQUAL(read_page(hosted, 0), 0x1000);
	EQUAL(read_page(hosted, 1), 0x1001);
}

/* SMMU, root complex and device must have it, and no emulated device be there. 6.3.1, 3.9 */
static void ats_is_offered(void)
{
	static const struct {
		uint32_t root, device;
		const char *physical, *asked;
		uint64_t want;
		const char *why;
	} cases[] = {
		{ VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, "ATS=1", "ATS=1", IDR0_ATS,
		  "a device may use it" },
		{ 0, VSMMU_EMULATED_ATS, "ATS=1", "ATS=1", 0, "no device may use it" },
		{ VSMMU_EMULATED_ROOT_ATS, 0, "ATS=1", "ATS=1", 0, "no device may use it" },
		{ VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, NULL, "ATS=1", 0,
		  "no device may use it" },
		{ VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, "ATS=1", NULL, 0, "" },
	};
	static struct hosted hosted;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_machine(cases[i].root, cases[i].device, 0);
		machine.smmu.features = cases[i].physical;
		if (!open_asking(&hosted, cases[i].asked))
			return;
		EQUAL(hosted_attach(&hosted, 0), 0);
		EQUAL(offered(&hosted), cases[i].want);
		reported(&hosted, cases[i].why);
		hosted_close(&hosted);
	}
}

/* Before the first device there is none, and a guest that has looked keeps seeing none. */
static void ats_needs_a_device(void)
{
	static struct hosted hosted;
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .features = "ATS=1" };

	if (!guest_open(&guest, &config))
		return;
	EQUAL(read_register(&guest, IDR0) & (IDR0_ATS | IDR0_NS1ATS), 0);
	guest_start(&guest);
	EQUAL((command(&guest, ATC_INV, ALL), read_register(&guest, CMDQ_CONS)), CERROR_ILL << 24);
	guest_close(&guest);
	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_asking(&hosted, "ATS=1"))
		return;
	reported(&hosted, "no device may use it");
	EQUAL(offered(&hosted), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(offered(&hosted), 0);
	hosted_close(&hosted);
}

/* A device without ATS disturbs no other; an emulated one ends it until the guest has looked.
 * proves T-056, T-058 */
static void ats_beside_others(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_asking(&hosted, "ATS=1"))
		return;
	EQUAL(hosted_attach(&hosted, 1), 0);
	reported(&hosted, "no device may use it");
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, 1), 0);
	reported(&hosted, "of an emulated device it would be the device model's");
	EQUAL(offered(&hosted), 0);
	hosted_close(&hosted);
	if (!open_asking(&hosted, "ATS=1"))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(offered(&hosted), IDR0_ATS);
	EQUAL(hosted_attach(&hosted, 1), 0);
	/* It never asks for translations, and has none to forget. */
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, 1), 0);
	guest_start(&hosted.guest);
	EQUAL(offered(&hosted), IDR0_ATS);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, 1, 5);
	set_ats(&hosted.guest, 1, 1);
	EQUAL(translate(&hosted.guest, 1, IOVA, 0).address, DATA);
	queue(&hosted.guest, ATC_INV | TO(1), ALL);
	queue(&hosted.guest, ATC_INV | TO(99), ALL);
	sync_all(&hosted.guest);
	/* Split-stage ATS needs both stages. */
	set_ats(&hosted.guest, 1, 2);
	EQUAL(translate(&hosted.guest, 1, IOVA, 0).event, C_BAD_STE);
	set_ats(&hosted.guest, 1, 3);
	EQUAL(translate(&hosted.guest, 1, IOVA, 0).address, DATA);
	hosted_close(&hosted);
}

/* The device's own translations outlive TLBIs, and what forgets them is CMD_ATC_INV.
 * proves T-271, T-270 */
static void ats_outlives_tlbi(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	EQUAL(read_page(&hosted, 1), 0x1001);
	move_pages(&hosted);
	/* The guest forgot. */
	EQUAL(read_page(&hosted, 0), 0x1000);
	EQUAL(read_page(&hosted, 1), 0x1001);
	queue(&hosted.guest, TLBI_NSNH_ALL, 0);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x1000);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x2000);
	EQUAL(read_page(&hosted, 1), 0x1001);
	EQUAL(host_counters(&hosted).failures, 0);
	hosted_close(&hosted);
}

/* A device asks anew at once: what the TLB has kept comes back. 4.5.1 */
static void ats_before_tlbi(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	map(&hosted.guest, STAGE1, IOVA, DATA + 2 * 4096, PAGE1);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x1000);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x2000);
	hosted_close(&hosted);
}

/* What a CMD_ATC_INV names is aligned to its size, with or without a PASID.
 * proves, T-266, T-267 */
static void ats_spans(void)
{
	static struct hosted hosted;
	static const struct { uint64_t low, high; bool first, second; } cases[] = {
		{ 0, IOVA, true, false },
		{ 0, IOVA + 0x1000, false, true },
		/* 8 KiB that begin at IOVA - 0x1000 and at IOVA + 0x1000. */
		{ 0, IOVA | 1, true, false },
		{ 0, (IOVA + 0x1000) | 1, false, true },
		/* 16 KiB from 0x4000. */
		{ 0, (IOVA + 0x2000) | 2, true, true },
		{ 0, UINT64_C(0xfffffffffffff000) | 51, false, false },
		{ 0, 51, true, true },
		{ 0, UINT64_C(0xfffffffffffff000) | ALL, true, true },
		/* Of a PASID that the device has nothing of. */
		{ SSV | 3 << 12, ALL, false, false },
		{ SSV | GLOBAL | 3 << 12, ALL, false, false },
		/* Ignored without SSV. */
		{ GLOBAL | 3 << 12, ALL, true, true },
	};

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		move_back(&hosted);
		move_pages(&hosted);
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED) | cases[i].low, cases[i].high);
		sync_all(&hosted.guest);
		if (!EQUAL(read_page(&hosted, 0), cases[i].first ? 0x2000 : 0x1000) ||
		    !EQUAL(read_page(&hosted, 1), cases[i].second ? 0x2001 : 0x1001))
			printf("  case %u\n", i);
	}
	hosted_close(&hosted);
	/* Without substreams a PASID is as none. */
	if (!open_asking(&hosted, "ATS=1 SSIDSIZE=0"))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	store64(&hosted.guest, DATA, 0x1000);
	store64(&hosted.guest, DATA + 2 * 4096, 0x2000);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	set_ats(&hosted.guest, ASSIGNED, 1);
	EQUAL(read_page(&hosted, 0), 0x1000);
	move_pages(&hosted);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED) | SSV | GLOBAL | 3 << 12, ALL);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x2000);
	EQUAL(host_counters(&hosted).failures, 0);
	hosted_close(&hosted);
}

/* Entries of a PASID, and CMD_ATC_INV of that one and of another. proves T-268 */
static void ats_of_a_substream(void)
{
	static struct hosted hosted;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_SUBSTREAM, .substream = 1,
		.address = IOVA,
	};
	vsmmu_result result = { .size = sizeof(result) };
	static const struct { uint64_t low; bool forgets; } cases[] = {
		{ SSV, false }, { SSV | 2 << 12, false }, { SSV | 1 << 12, true }, { SSV | GLOBAL | 2 << 12, true },
		{ 0, true },
	};
	uint64_t cd, value;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	/* Contexts of 64 bytes from 0x3a000 on: the same for 0 and 1. */
	cd = CONTEXT + 0xa000;
	for (unsigned i = 0; i < 16; i++)
		store64(&hosted.guest, cd + 8 * i,
			load64(&hosted.guest, CONTEXT + ASSIGNED * 64 + 8 * (i % 8)));
	{
		/* S1CDMax 1, S1DSS 2. */
		const uint64_t ste[8] = {
			1 | 5 << 1 | cd | UINT64_C(1) << 59, SHCFG_INCOMING | EATS(1) | 2,
		};

		set_ste(&hosted.guest, ASSIGNED, ste);
	}
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		move_back(&hosted);
		EQUAL(api.vsmmu_emulated_dma_read(hosted.emulated, 0, &access, &value, 8, &result), 0);
		EQUAL(value, 0x1000);
		move_pages(&hosted);
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED) | cases[i].low, IOVA);
		sync_all(&hosted.guest);
		EQUAL(api.vsmmu_emulated_dma_read(hosted.emulated, 0, &access, &value, 8, &result), 0);
		EQUAL(value, cases[i].forgets ? 0x2000 : 0x1000);
		/* Without a PASID all go, with one none that has none. */
		EQUAL(read_page(&hosted, 0), cases[i].low ? 0x1000 : 0x2000);
	}
	hosted_close(&hosted);
}

/* Illegal ones, at which the queue stops. proves R-332, T-265 */
static void ats_illegal(void)
{
	static struct hosted hosted;
	static const struct { uint64_t low, high; bool has_ats; } cases[] = {
		{ ATC_INV | TO(ASSIGNED), ALL + 1, true }, { ATC_INV | TO(ASSIGNED), 63, true },
		/* SSec on the non-secure queue. */
		{ ATC_INV | TO(ASSIGNED) | 1 << 10, ALL, true },
		{ ATC_INV | TO(ASSIGNED), ALL, false },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
		if (!open_asking(&hosted, cases[i].has_ats ? "ATS=1" : NULL))
			return;
		EQUAL(hosted_attach(&hosted, 0), 0);
		guest_start(&hosted.guest);
		command(&hosted.guest, cases[i].low, cases[i].high);
		EQUAL(command_error(&hosted.guest), CERROR_ILL);
		EQUAL(read_register(&hosted.guest, CMDQ_CONS) & 0xff, 0);
		hosted_close(&hosted);
	}
}

/* ATSCHK is there with ATS alone, and comes back as it is written. 6.3.9 */
static void ats_check_is_acknowledged(void)
{
	static struct hosted hosted;
	static uint8_t state[4096];
	int64_t size;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	write_register(&hosted.guest, CR0, 0xd | CR0_ATSCHK);
	EQUAL(read_register(&hosted.guest, CR0), 0xd | CR0_ATSCHK);
	EQUAL(read_register(&hosted.guest, CR0ACK), 0xd | CR0_ATSCHK);
	EQUAL(read_page(&hosted, 0), 0x1000);
	size = api.vsmmu_save(hosted.guest.vsmmu, state, sizeof(state));
	CHECK(size > 0 && size <= (int64_t)sizeof(state));
	write_register(&hosted.guest, CR0, 0xd);
	EQUAL(read_register(&hosted.guest, CR0ACK), 0xd);
	EQUAL(api.vsmmu_restore(hosted.guest.vsmmu, state, (uint64_t)size), 0);
	EQUAL(read_register(&hosted.guest, CR0ACK), 0xd | CR0_ATSCHK);
	hosted_close(&hosted);
	if (!open_asking(&hosted, NULL))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	write_register(&hosted.guest, CR0, CR0_ATSCHK);
	EQUAL(read_register(&hosted.guest, CR0), 0);
	EQUAL(read_register(&hosted.guest, CR0ACK), 0);
	hosted_close(&hosted);
}

/* Without a promise of CMD_ATC_INV there is nothing that would need one. 5.2 */
static void ats_follows_eats(void)
{
	static struct hosted hosted;
	const uint64_t bypass[8] = { 1 | 4 << 1, SHCFG_INCOMING | EATS(3) };
	uint64_t value, made;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, VSMMU_EMULATED_ATS);
	if (!open_translated(&hosted))
		return;
	made = emulated_counters(&hosted).hwpts;
	for (uint64_t eats = 0; eats <= 3; eats += 3) {
		/* 3 is reserved here, and as 0. */
		set_ats(&hosted.guest, ASSIGNED, eats);
		move_back(&hosted);
		move_pages(&hosted);
		EQUAL(read_page(&hosted, 0), 0x2000);
	}
	EQUAL(emulated_counters(&hosted).hwpts, made + 1);
	/* No split-stage ATS: the STE is ILLEGAL. */
	set_ats(&hosted.guest, ASSIGNED, 2);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	/* Where no stage is on, EATS is not looked at. */
	set_ste(&hosted.guest, ASSIGNED, bypass);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	/* Another configuration finds nothing of the one before. */
	set_ats(&hosted.guest, ASSIGNED, 1);
	move_back(&hosted);
	set_ats(&hosted.guest, ASSIGNED, 0);
	move_pages(&hosted);
	set_ats(&hosted.guest, ASSIGNED, 1);
	EQUAL(read_page(&hosted, 0), 0x2000);
	hosted_close(&hosted);
}

/* Without IDR0.ATS a guest's EATS is nothing, whatever the host has. */
static void ats_not_asked_for(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_asking(&hosted, NULL))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	store64(&hosted.guest, DATA, 0x1000);
	store64(&hosted.guest, DATA + 2 * 4096, 0x2000);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	for (uint64_t eats = 1; eats < 4; eats++) {
		set_ats(&hosted.guest, ASSIGNED, eats);
		map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
		queue(&hosted.guest, TLBI_NH_ALL, 0);
		sync_all(&hosted.guest);
		EQUAL(read_page(&hosted, 0), 0x1000);
		move_pages(&hosted);
		EQUAL(read_page(&hosted, 0), 0x2000);
	}
	hosted_close(&hosted);
}

/* What reaches the kernel: of devices that keep something, as long as SMMUEN is 1.
 * proves */
static void ats_withheld(void)
{
	static struct hosted hosted;
	uint64_t calls, forwarded;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(hosted_attach(&hosted, 1), 0);
	set_stage1(&hosted.guest, ASSIGNED + 1, 5);
	set_ats(&hosted.guest, ASSIGNED + 1, 1);
	calls = host_counters(&hosted).invalidate_calls;
	forwarded = host_counters(&hosted).forwarded;
	/* No device, one that has no ATS. */
	queue(&hosted.guest, ATC_INV | TO(99), ALL);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED + 1), ALL);
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).invalidate_calls, calls);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).forwarded, forwarded + 1);
	write_register(&hosted.guest, CR0, 0xc);
	calls = host_counters(&hosted).invalidate_calls;
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).invalidate_calls, calls);
	EQUAL(host_counters(&hosted).failures, 0);
	hosted_close(&hosted);
}

/* A device that goes, or gets another StreamID, takes its commands with it. */
static void ats_of_a_device_that_goes(void)
{
	static struct hosted hosted;
	uint64_t forwarded;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, VSMMU_EMULATED_ATS);
	for (int step = 0; step < 2; step++) {
		if (!open_translated(&hosted))
			return;
		EQUAL(hosted_attach(&hosted, 1), 0);
		forwarded = host_counters(&hosted).forwarded;
		command(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
		if (step == 0)
			EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
		else
			EQUAL(api.vsmmu_device_renumber(hosted.guest.vsmmu, ASSIGNED, 14), 0);
		sync_all(&hosted.guest);
		EQUAL(host_counters(&hosted).forwarded, forwarded);
		EQUAL(host_counters(&hosted).failures, 0);
		hosted_close(&hosted);
	}
}

/* What devices keep goes with guest memory, a reset of the device, and a state that is restored. */
static void ats_ends_with_what_it_was(void)
{
	static struct hosted hosted;
	static uint8_t state[4096];
	uint64_t value;
	int64_t size;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	move_pages(&hosted);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(read_page(&hosted, 0), 0x2000);
	move_back(&hosted);
	size = api.vsmmu_save(hosted.guest.vsmmu, state, sizeof(state));
	CHECK(size > 0);
	move_pages(&hosted);
	EQUAL(read_page(&hosted, 0), 0x1000);
	EQUAL(api.vsmmu_restore(hosted.guest.vsmmu, state, (uint64_t)size), 0);
	EQUAL(read_page(&hosted, 0), 0x2000);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, RAM), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, RAM, RAM_SIZE, hosted.guest.ram), 0);
	EQUAL(read_page(&hosted, 0), 0x2000);
	hosted_close(&hosted);
}

/* The erratum: TLBIs are sent twice, CMD_ATC_INV once, after them. */
static void ats_with_the_erratum(void)
{
	static struct hosted hosted;
	uint64_t calls, forwarded, commands;

	make_machine(VSMMU_EMULATED_ROOT_ATS | VSMMU_EMULATED_REPEAT, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	EQUAL(read_page(&hosted, 1), 0x1001);
	calls = host_counters(&hosted).invalidate_calls;
	forwarded = host_counters(&hosted).forwarded;
	for (uint64_t page = 0; page < 2; page++) {
		map(&hosted.guest, STAGE1, IOVA + page * 4096, DATA + (2 + page) * 4096, PAGE1);
		queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, (IOVA + page * 4096) | 1);
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA + page * 4096);
	}
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).invalidate_calls, calls + 2);
	EQUAL(host_counters(&hosted).forwarded, forwarded + 4);
	EQUAL(read_page(&hosted, 0), 0x2000);
	EQUAL(read_page(&hosted, 1), 0x2001);
	commands = emulated_counters(&hosted).commands;
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted.guest);
	EQUAL(host_counters(&hosted).invalidate_calls, calls + 3);
	EQUAL(emulated_counters(&hosted).commands, commands);
	hosted_close(&hosted);
}

/* The queue is stopped at the CMD_SYNC in slot `slot`, with that error. */
static void stopped_at(struct hosted *hosted, uint64_t error)
{
	uint64_t producer = load64(&hosted->guest, COMMANDS - 8);

	EQUAL(command_error(&hosted->guest), error);
	EQUAL(read_register(&hosted->guest, CMDQ_CONS) & 0x1ff, (producer - 1) & 0x1ff);
}

/* A timeout is told at the CMD_SYNC, once; TLBIs beside it are carried out.
 * proves, T-269 */
static void ats_times_out(void)
{
	static struct hosted hosted;
	uint64_t syncs;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	for (uint32_t done = 0; done < 5; done++) {
		move_back(&hosted);
		for (uint64_t page = 0; page < 2; page++) {
			map(&hosted.guest, STAGE1, IOVA + page * 4096, DATA + (2 + page) * 4096, PAGE1);
			queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, (IOVA + page * 4096) | 1);
			queue(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA + page * 4096);
		}
		publish(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1, ETIMEDOUT,
					      done), 0);
		syncs = host_counters(&hosted).failures;
		command(&hosted.guest, SYNC | 1 << 12 | UINT64_C(0x77) << 32, DATA + 0x8000);
		stopped_at(&hosted, CERROR_ATC_INV_SYNC);
		/* It is not complete, and tells nobody. */
		EQUAL(load64(&hosted.guest, DATA + 0x8000), 0);
		EQUAL(host_counters(&hosted).failures, syncs + 1);
		EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
		CONTAINS(hosted.guest.log, "CMD_ATC_INV");
		acknowledge(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
		EQUAL(load64(&hosted.guest, DATA + 0x8000), 0x77);
		store64(&hosted.guest, DATA + 0x8000, 0);
		/* The TLB has forgotten both pages: what is asked for again is new. */
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
		sync_all(&hosted.guest);
		EQUAL(read_page(&hosted, 0), 0x2000);
		EQUAL(read_page(&hosted, 1), 0x2001);
	}
	hosted_close(&hosted);
}

/* A device that never answers: the guest goes on, and keeps being told. */
static void ats_of_a_silent_device(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS | VSMMU_EMULATED_SILENT, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	for (int times = 0; times < 3; times++) {
		queue(&hosted.guest, TLBI_NH_ALL, 0);
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
		queue(&hosted.guest, TLBI_NH_ALL, 0);
		command(&hosted.guest, SYNC, 0);
		stopped_at(&hosted, CERROR_ATC_INV_SYNC);
		EQUAL(read_page(&hosted, 0), 0x1000);
		acknowledge(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
		sync_all(&hosted.guest);
	}
	/* Its host takes all away with the attachment. */
	set_bypass(&hosted.guest, ASSIGNED);
	EQUAL(read_page(&hosted, 0), 0);
	hosted_close(&hosted);
}

/* Any other failure is CERROR_ABT, and both are told in turn where both happen. */
static void ats_fails_otherwise(void)
{
	static struct hosted hosted;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	/* A timeout without CMD_ATC_INV, and another error with one. */
	for (int step = 0; step < 2; step++) {
		queue(&hosted.guest, step ? ATC_INV | TO(ASSIGNED) : TLBI_NH_ALL, step ? ALL : 0);
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1,
					      step ? EIO : ETIMEDOUT, 0), 0);
		command(&hosted.guest, SYNC, 0);
		stopped_at(&hosted, CERROR_ABT);
		acknowledge(&hosted.guest);
		EQUAL(command_error(&hosted.guest), 0);
	}
	move_pages(&hosted);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	queue(&hosted.guest, TLBI_NH_ALL, 0);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1, ETIMEDOUT, 0), 0);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 2, EIO, 0), 0);
	command(&hosted.guest, SYNC, 0);
	stopped_at(&hosted, CERROR_ABT);
	acknowledge(&hosted.guest);
	stopped_at(&hosted, CERROR_ATC_INV_SYNC);
	acknowledge(&hosted.guest);
	EQUAL(command_error(&hosted.guest), 0);
	sync_all(&hosted.guest);
	hosted_close(&hosted);
}

/* A batch goes before its CMD_SYNC: where it is full, or something is attached anew. The timeout
 * is told at the CMD_SYNC and at no other command. */
static void ats_times_out_early(void)
{
	static struct hosted hosted;
	uint64_t calls;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, VSMMU_EMULATED_ATS);
	if (!open_translated(&hosted))
		return;
	EQUAL(hosted_attach(&hosted, 1), 0);
	EQUAL(read_page(&hosted, 0), 0x1000);
	calls = host_counters(&hosted).invalidate_calls;
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1, ETIMEDOUT, 0), 0);
	for (unsigned i = 0; i < 100; i++)
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA);
	publish(&hosted.guest);
	CHECK(host_counters(&hosted).invalidate_calls > calls);
	EQUAL(command_error(&hosted.guest), 0);
	EQUAL(read_register(&hosted.guest, CMDQ_CONS), load64(&hosted.guest, COMMANDS - 8));
	command(&hosted.guest, SYNC, 0);
	stopped_at(&hosted, CERROR_ATC_INV_SYNC);
	acknowledge(&hosted.guest);
	EQUAL(command_error(&hosted.guest), 0);
	/* A new STE of the other device. */
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_INVALIDATE, 1, ETIMEDOUT, 0), 0);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA);
	store64(&hosted.guest, STREAM_TABLE + (ASSIGNED + 1) * 64, 1 | 4 << 1);
	command(&hosted.guest, CFGI_STE | TO(ASSIGNED + 1), 1);
	EQUAL(command_error(&hosted.guest), 0);
	command(&hosted.guest, SYNC, 0);
	stopped_at(&hosted, CERROR_ATC_INV_SYNC);
	/* Nobody waits for it after a reset. */
	EQUAL(api.vsmmu_reset(hosted.guest.vsmmu), 0);
	store64(&hosted.guest, COMMANDS - 8, 0);
	guest_start(&hosted.guest);
	sync_all(&hosted.guest);
	hosted_close(&hosted);
}

/* What a reset or restore asks of devices itself, no CMD_SYNC of the guest's waits for. */
static void ats_times_out_in_a_restore(void)
{
	static struct hosted hosted;
	static uint8_t state[4096];
	int64_t size;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS | VSMMU_EMULATED_SILENT, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	size = api.vsmmu_save(hosted.guest.vsmmu, state, sizeof(state));
	CHECK(size > 0);
	EQUAL(api.vsmmu_restore(hosted.guest.vsmmu, state, (uint64_t)size), 0);
	CONTAINS(hosted.guest.log, "CMD_ATC_INV");
	EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
	sync_all(&hosted.guest);
	EQUAL(command_error(&hosted.guest), 0);
	/* It is there to be told: the guest's own is. */
	command(&hosted.guest, ATC_INV | TO(ASSIGNED), IOVA);
	command(&hosted.guest, SYNC, 0);
	stopped_at(&hosted, CERROR_ATC_INV_SYNC);
	hosted_close(&hosted);
}

/* After a change that the kernel refused at first, what the device keeps is reached. */
static void ats_of_a_failed_change(void)
{
	static struct hosted hosted;
	uint64_t value;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	EQUAL(read_page(&hosted, 0), 0x1000);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_HWPT_ALLOC, 1, ENOMEM, 0), 0);
	store64(&hosted.guest, STREAM_TABLE + ASSIGNED * 64 + 8, EATS(1) | 1 << 2);
	command(&hosted.guest, CFGI_STE | TO(ASSIGNED), 1);
	EQUAL(command_error(&hosted.guest), CERROR_ABT);
	acknowledge(&hosted.guest);
	EQUAL(command_error(&hosted.guest), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	move_pages(&hosted);
	queue(&hosted.guest, ATC_INV | TO(ASSIGNED), ALL);
	sync_all(&hosted.guest);
	EQUAL(read_page(&hosted, 0), 0x2000);
	hosted_close(&hosted);
}

static bool reading;

static void *read_on(void *opaque)
{
	struct hosted *hosted = opaque;
	vsmmu_access access = { .size = sizeof(access), .address = IOVA };

	while (__atomic_load_n(&reading, __ATOMIC_ACQUIRE)) {
		vsmmu_result result = { .size = sizeof(result) };
		uint64_t value;

		api.vsmmu_emulated_dma_read(hosted->emulated, 0, &access, &value, 8, &result);
	}
	return NULL;
}

/* While the device goes on, no CMD_SYNC completes over a translation that is kept after all. */
static void ats_under_load(void)
{
	static struct hosted hosted;
	pthread_t thread;

	make_machine(VSMMU_EMULATED_ROOT_ATS, VSMMU_EMULATED_ATS, 0);
	if (!open_translated(&hosted))
		return;
	reading = true;
	if (!EQUAL(pthread_create(&thread, NULL, read_on, &hosted), 0))
		return;
	for (uint64_t times = 0; times < 400; times++) {
		map(&hosted.guest, STAGE1, IOVA, DATA + (times & 1) * 2 * 4096, PAGE1);
		queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
		if (times & 2)
			sync_all(&hosted.guest);
		queue(&hosted.guest, ATC_INV | TO(ASSIGNED), times & 4 ? ALL : IOVA);
		sync_all(&hosted.guest);
		if (!EQUAL(read_page(&hosted, 0), times & 1 ? 0x2000 : 0x1000))
			break;
	}
	__atomic_store_n(&reading, false, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	hosted_close(&hosted);
}

static void ats_refusals(void)
{
	static const uint32_t flags[] = { 4, 1u << 31 };

	for (unsigned i = 0; i < 2; i++) {
		vsmmu_emulated_t *emulated = NULL;
		char message[256] = "";

		make_machine(VSMMU_EMULATED_ROOT_ATS, flags[i], 0);
		EQUAL(api.vsmmu_emulated_create(&machine.config, &emulated, message,
						sizeof(message)), -EINVAL);
		CONTAINS(message, "flags");
		CHECK(emulated == NULL);
	}
	make_machine(256, 0, 0);
	{
		vsmmu_emulated_t *emulated = NULL;
		char message[256] = "";

		EQUAL(api.vsmmu_emulated_create(&machine.config, &emulated, message,
						sizeof(message)), -EINVAL);
		CONTAINS(message, "smmu.flags");
	}
}

void ats_section(void)
{
	RUN(ats_refusals);
	RUN(ats_is_offered);
	RUN(ats_needs_a_device);
	RUN(ats_beside_others);
	RUN(ats_outlives_tlbi);
	RUN(ats_before_tlbi);
	RUN(ats_spans);
	RUN(ats_of_a_substream);
	RUN(ats_illegal);
	RUN(ats_check_is_acknowledged);
	RUN(ats_follows_eats);
	RUN(ats_not_asked_for);
	RUN(ats_withheld);
	RUN(ats_of_a_device_that_goes);
	RUN(ats_ends_with_what_it_was);
	RUN(ats_with_the_erratum);
	RUN(ats_times_out);
	RUN(ats_of_a_silent_device);
	RUN(ats_fails_otherwise);
	RUN(ats_times_out_early);
	RUN(ats_times_out_in_a_restore);
	RUN(ats_of_a_failed_change);
	RUN(ats_under_load);
}
