/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest at the frame of CMDQ-V, at the page and in its queues, from seeds: whatever it writes,
 * calls do not fail, nothing grows, and the host is in order. DIRECT_SEED=n runs one seed alone.
 */
#include "direct.h"

#include <stdio.h>
#include <stdlib.h>

static struct direct direct;
static struct guest *const guest = &direct.hosted.guest;

static uint64_t state;
/* What all seeds came to: a test that never gets there proves nothing. */
static uint64_t commands, failures, interrupts, running;

static uint64_t next(void)
{
	/* xorshift64*. */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(uint64_t count)
{
	return next() % count;
}

/* A value of the kind that matters, or any. */
static uint64_t value(void)
{
	switch (below(6)) {
	case 0: return below(4);
	case 1: return DIRECT_QUEUE(below(2)) | below(32);
	case 2: return 1 | below(3) << 1 | below(4) / 3 << 15;
	case 3: return UINT64_C(1) << below(64);
	case 4: return RAM + below(RAM_SIZE + 0x10000);
	default: return next();
	}
}

static uint64_t offset(void)
{
	static const uint32_t places[] = {
		CMDQV_CONFIG, VINTF_CONFIG, CMDQ_ALLOC, CMDQ_ALLOC + 4, VI_INT_MASK, LVCMDQ_ERR_MAP,
		VINTF_PAGE1, VINTF_PAGE1 + Q_STRIDE, VCMDQ_PAGE1, VCMDQ_PAGE1 + Q_STRIDE + 4,
		VINTF_PAGE0 + Q_CONFIG, VINTF_PAGE0 + Q_PROD, VINTF_PAGE0 + Q_CONS,
		VINTF_PAGE0 + Q_GERRORN, VCMDQ_PAGE0 + Q_STRIDE + Q_CONFIG, VCMDQ_PAGE0 + Q_STRIDE + Q_PROD,
	};

	return below(4) ? places[below(sizeof(places) / sizeof(places[0]))] :
			  below(VSMMU_DIRECT_SIZE);
}

static void write_frame(void)
{
	frame_write(&direct, offset(), 1u << below(4), value());
}

static void write_page(void)
{
	uint64_t word = below(4) ? below(2) * Q_STRIDE / 4 + below(6) : below(0x4000);

	if (direct.page)
		direct.page[word] = (uint32_t)value();
}

/* A queue that works, so that the rest is not all about what does not. */
static void be_good(void)
{
	unsigned index = below(2);

	interface_start(&direct);
	frame_write(&direct, VINTF_PAGE1 + Q_STRIDE * index, 8, DIRECT_QUEUE(index) | DIRECT_BITS);
	for (unsigned slot = 0; slot < 1u << DIRECT_BITS; slot++) {
		store64(guest, DIRECT_QUEUE(index) + 16 * slot,
			slot & 1 ? SYNC : TLBI_NH_VA | UINT64_C(5) << 48);
		store64(guest, DIRECT_QUEUE(index) + 16 * slot + 8, slot & 1 ? 0 : IOVA | 1);
	}
	if (!direct.page)
		return;
	*page_register(&direct, index, Q_GERRORN) = *page_register(&direct, index, Q_GERROR);
	*page_register(&direct, index, Q_CONFIG) = 1;
	*page_register(&direct, index, Q_PROD) = (uint32_t)below(2u << DIRECT_BITS);
	hardware_runs(&direct);
}

static void write_command(void)
{
	static const uint8_t opcodes[] = { TLBI_NH_ASID, TLBI_NH_VA, SYNC, 0x40, TLBI_NH_ALL, CFGI_STE };
	uint64_t low = below(2) ? opcodes[below(sizeof(opcodes))] | UINT64_C(5) << 48 : next();

	store64(guest, DIRECT_QUEUE(below(2)) + 16 * below(32), low);
	store64(guest, DIRECT_QUEUE(below(2)) + 16 * below(32) + 8, below(2) ? IOVA | 1 : next());
}

static void change_devices(void)
{
	uint64_t length;
	void *page = NULL;

	switch (below(4)) {
	case 0: EQUAL(api.vsmmu_reset(guest->vsmmu), 0); break;
	case 1:
		/* Out of the guest before it may go. */
		direct.page = NULL;
		api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + (uint32_t)below(2));
		break;
	default: hosted_attach(&direct.hosted, (uint32_t)below(2)); break;
	}
	if (api.vsmmu_direct_page(guest->vsmmu, &page, &length) == 0)
		direct.page = page;
	else
		direct.page = NULL;
}

static void step(uint64_t which)
{
	uint64_t data;

	switch (which) {
	case 0: case 1: case 2: write_frame(); break;
	case 3: case 4: write_page(); break;
	case 5: be_good(); break;
	case 6: write_command(); break;
	case 7: hardware_runs(&direct); break;
	case 8: device_read(&direct.hosted, (uint32_t)below(2), IOVA, &data); break;
	case 9: CHECK(api.vsmmu_event_run(guest->vsmmu) >= 0); break;
	case 10: frame_read(&direct, offset(), 1u << below(4)); break;
	default:
		if (below(8) == 0)
			change_devices();
		else if (below(4) == 0)
			EQUAL(api.vsmmu_emulated_fail(direct.hosted.emulated,
						      below(2) ? 0x3b94 : 0x3b80, 1, ENOMEM, 0), 0);
	}
}

/* What a hostile guest makes the kernel hold has a bound. */
static void check_bounds(uint32_t devices)
{
	CHECK(emulated_counters(&direct.hosted).objects <= 64 + 16 + devices * 4);
	CHECK(host_counters(&direct.hosted).kept <= 64);
	CHECK(host_counters(&direct.hosted).direct_queues <= 2);
}

static bool run_seed(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (!direct_open(&direct))
		return false;
	for (unsigned i = 0; i < 400; i++) {
		step(below(12));
		if (i % 50 == 0)
			check_bounds(2);
		running += host_counters(&direct.hosted).direct_queues;
	}
	commands += emulated_counters(&direct.hosted).direct_commands;
	failures += host_counters(&direct.hosted).failures;
	interrupts += guest->interrupts[VSMMU_IRQ_DIRECT];
	/* Orders that are left are met here, and what was kept goes. */
	for (unsigned i = 0; i < 40; i++) {
		uint32_t none[2] = { sizeof(none), UINT32_MAX };

		api.vsmmu_emulated_ioctl(direct.hosted.emulated, -1, 0x3b80, none);
		interface_start(&direct);
		frame_write(&direct, VINTF_PAGE1, 8, DIRECT_QUEUE(0) | (4 + (i & 1)));
	}
	check_bounds(2);
	hosted_close(&direct.hosted);
	return true;
}

static void direct_survives_any_guest(void)
{
	const char *one = getenv("DIRECT_SEED");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1, count = one ? 1 : 150;

	for (uint64_t seed = first; seed < first + count; seed++) {
		unsigned long before = check_wrong();

		if (!run_seed(seed))
			return;
		if (check_wrong() != before)
			printf("  DIRECT_SEED=%llu\n", (unsigned long long)seed);
	}
	if (!one)
		CHECK(commands > 10000 && failures > 1000 && interrupts > 30 && running > 10000);
}

void direct_random_section(void)
{
	RUN(direct_survives_any_guest);
}
