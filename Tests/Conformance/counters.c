/* SPDX-License-Identifier: MIT */
/* Section 8 of the header. */
#include "guest.h"

static void counters_count(void)
{
	static struct guest guest;
	vsmmu_counters c = { .size = sizeof(c) };

	if (!guest_open(&guest, NULL))
		return;
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &c), 0);
	EQUAL(c.commands | c.command_errors | c.syncs | c.tlb_misses | c.configuration_misses |
	      c.invalidations | c.events_recorded | c.events_dropped | c.external_aborts, 0);
	EQUAL(c.size, sizeof(c));
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5); /* CFGI_CD, CFGI_STE, SYNC */
	command(&guest, TLBI_NSNH_ALL, 0);
	for (int i = 0; i < 10; i++)
		EQUAL(translate(&guest, 1, 0x1000 + (uint64_t)i, 0).kind, VSMMU_RESULT_OK);
	/* Eight records fit; two are lost. */
	for (int i = 0; i < 10; i++)
		EQUAL(translate(&guest, 1, 0x2000, 0).kind, VSMMU_RESULT_ABORT);
	command(&guest, 0xff, 0);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &c), 0);
	EQUAL(c.commands, 4);
	EQUAL(c.command_errors, 1);
	EQUAL(c.syncs, 1);
	EQUAL(c.tlb_misses, 11);
	CHECK(c.configuration_misses >= 1);
	EQUAL(c.invalidations, 1);
	EQUAL(c.events_recorded, 1 << EVENT_BITS);
	EQUAL(c.events_dropped, 2);
	EQUAL(c.external_aborts, 0);
	guest_close(&guest);
}

static void counters_of_aborts(void)
{
	static struct guest guest;
	vsmmu_counters c = { .size = sizeof(c) };

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	write_register(&guest, CR0, 0xc);
	write_register64(&guest, STRTAB_BASE, UINT64_C(0x80000000));
	write_register(&guest, CR0, 0xd);
	EQUAL(translate(&guest, 0, 0, 0).event, F_STE_FETCH);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &c), 0);
	CHECK(c.external_aborts >= 1);
	guest_close(&guest);
}

static void counters_know_sizes(void)
{
	static struct guest guest;
	struct { vsmmu_counters counters; uint64_t more; } c = { .counters = { .commands = 77 } };

	if (!guest_open(&guest, NULL))
		return;
#define ATTEMPT() api.vsmmu_get_counters(guest.vsmmu, &c.counters)
	c.counters.size = 0;
	REFUSED(&guest, -EINVAL, "counters.size", ATTEMPT());
	c.counters.size = sizeof(c);
	c.more = 1;
	REFUSED(&guest, -E2BIG, "counters", ATTEMPT());
	EQUAL(c.counters.commands, 77);
	EQUAL(c.more, 1);
	c.more = 0;
	EQUAL(ATTEMPT(), 0);
	EQUAL(c.counters.commands, 0);
	EQUAL(c.counters.size, sizeof(c));
	/* A caller that knows fewer counters gets these. */
	memset(&c, 0xaa, sizeof(c));
	c.counters.size = offsetof(vsmmu_counters, syncs);
	EQUAL(ATTEMPT(), 0);
	EQUAL(c.counters.command_errors, 0);
	EQUAL(c.counters.syncs, UINT64_C(0xaaaaaaaaaaaaaaaa));
#undef ATTEMPT
	guest_close(&guest);
}

/* vsmmuv3_host.h, section 6: without config.host. */
static void counters_of_no_host(void)
{
	static struct guest guest;
	vsmmu_host_counters counters = { .size = sizeof(counters), .hwpts = 77 };

	if (!guest_open(&guest, NULL))
		return;
	REFUSED(&guest, -EINVAL, "config.host",
		api.vsmmu_get_host_counters(guest.vsmmu, &counters));
	EQUAL(counters.hwpts, 77);
	guest_close(&guest);
}

void counter_section(void)
{
	RUN(counters_count);
	RUN(counters_of_aborts);
	RUN(counters_know_sizes);
	RUN(counters_of_no_host);
}
