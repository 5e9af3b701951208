/* SPDX-License-Identifier: MIT */
/* Section 6 of the header: translations. Tables are built by hand, as a guest builds them. */
#include "guest.h"

#include <inttypes.h>
#include <stdio.h>

static void translate_refusals(void)
{
	static struct guest guest;
	struct { vsmmu_access access; uint64_t more; } access = { .access = { .address = DATA } };
	struct { vsmmu_result result; uint64_t more; } result = { .result = { .address = 7 } };

	if (!guest_open(&guest, NULL))
		return;
#define ATTEMPT() api.vsmmu_translate(guest.vsmmu, &access.access, &result.result)
	result.result.size = sizeof(result.result);
	access.access.size = 0;
	REFUSED(&guest, -EINVAL, "access.size", ATTEMPT());
	access.access.size = sizeof(access);
	access.more = 1;
	REFUSED(&guest, -E2BIG, "access", ATTEMPT());
	access.access.size = UINT32_MAX;
	REFUSED(&guest, -E2BIG, "access", ATTEMPT());
	access.access.size = sizeof(access.access);
	access.access.flags = 256;
	REFUSED(&guest, -EINVAL, "flags", ATTEMPT());
	access.access.flags = UINT32_C(1) << 31;
	REFUSED(&guest, -EINVAL, "flags", ATTEMPT());
	access.access.flags = 0;
	access.access.reserved = 1;
	REFUSED(&guest, -EINVAL, "reserved", ATTEMPT());
	access.access.reserved = 0;
	access.access.flags = VSMMU_ACCESS_ATTRIBUTES;
	access.access.attributes = 0x400;
	REFUSED(&guest, -EINVAL, "attributes", ATTEMPT());
	access.access.flags = 0;
	result.result.size = 0;
	REFUSED(&guest, -EINVAL, "result.size", ATTEMPT());
	result.result.size = sizeof(result);
	result.more = 1;
	REFUSED(&guest, -E2BIG, "result", ATTEMPT());
	EQUAL(result.result.address, 7);
	/* Tails of zeros are no offence. */
	access.access.size = sizeof(access);
	access.more = 0;
	result.more = 0;
	EQUAL(ATTEMPT(), 0);
	EQUAL(result.result.address, DATA);
#undef ATTEMPT
	guest_close(&guest);
}

/* SMMUEN 0: GBPA passes addresses through. */
static void translate_while_disabled(void)
{
	static struct guest guest;
	vsmmu_result result;

	if (!guest_open(&guest, NULL))
		return;
	result = translate(&guest, 0, 0x1234567, 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.address, 0x1234567);
	CHECK(result.length >= 1);
	EQUAL(result.permissions, 7);
	EQUAL(result.event, 0);
	/* Beyond the 48 bits of OAS. */
	EQUAL(translate(&guest, 0, UINT64_C(1) << 48, 0).kind, VSMMU_RESULT_ABORT);
	result = translate(&guest, 0, (UINT64_C(1) << 48) - 1, 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.length, 1);
	write_register(&guest, GBPA, 0x80101000);
	EQUAL(translate(&guest, 0, 0x1234567, 0).kind, VSMMU_RESULT_ABORT);
	guest_close(&guest);
}

static void translate_bypass_and_abort(void)
{
	static struct guest guest;
	const uint64_t abort_ste[8] = { 1 };
	uint64_t event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	set_bypass(&guest, 1);
	EQUAL(translate(&guest, 1, 0x1234567, VSMMU_ACCESS_WRITE).kind, VSMMU_RESULT_OK);
	EQUAL(translate(&guest, 1, 0x1234567, 0).address, 0x1234567);
	set_ste(&guest, 2, abort_ste);
	EQUAL(translate(&guest, 2, 0x1234567, 0).kind, VSMMU_RESULT_ABORT);
	EQUAL(translate(&guest, 2, 0x1234567, 0).event, 0);
	EQUAL(take_event(&guest, event), 0);
	guest_close(&guest);
}

static void translate_stage1(void)
{
	static struct guest guest;
	vsmmu_result result;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x12345000, DATA, PAGE1);
	map(&guest, STAGE1, 0x12346000, DATA + 0x8000, PAGE1_READ_ONLY);
	set_stage1(&guest, 1, 5);
	for (int round = 0; round < 2; round++) {
		result = translate(&guest, 1, 0x12345678, 0);
		EQUAL(result.kind, VSMMU_RESULT_OK);
		EQUAL(result.address, DATA + 0x678);
		EQUAL(result.length, 0x1000 - 0x678);
		EQUAL(result.permissions, 7 & ~0);
		EQUAL(result.event, 0);
		result = translate(&guest, 1, 0x12346fff, 0);
		EQUAL(result.address, DATA + 0x8fff);
		EQUAL(result.length, 1);
		EQUAL(result.permissions & VSMMU_PERMIT_WRITE, 0);
	}
	EQUAL(translate(&guest, 1, 0x12345000, VSMMU_ACCESS_WRITE).kind, VSMMU_RESULT_OK);
	EQUAL(translate(&guest, 1, 0x12345000, VSMMU_ACCESS_ATOMIC).kind, VSMMU_RESULT_OK);
	guest_close(&guest);
}

/* Who keeps a translation goes by its permissions: they are what such accesses get, after the STE's
 * PRIVCFG and INSTCFG (5.2), from a walk, the TLB and the micro TLB alike. proves T-154 T-155 */
static void translate_permissions_after_overrides(void)
{
	static struct guest guest;
	static const uint32_t kinds[3] = { 0, VSMMU_ACCESS_WRITE, VSMMU_ACCESS_INSTRUCTION };
	/* User and system may read and write, nobody execute; the system alone, the user executes. */
	static const uint64_t leaves[2] = { PAGE1 | UINT64_C(3) << 53, PAGE1 & ~UINT64_C(0x40) };

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	for (int i = 0; i < 2 * 16 * 2; i++) {
		const uint64_t overrides = i >> 1 & 15;
		const uint32_t privilege = i >> 5 ? VSMMU_ACCESS_PRIVILEGED : 0;
		uint32_t granted = 0;

		map(&guest, STAGE1, 0x1000, DATA, leaves[i & 1]);
		set_stage1(&guest, 1, 5);
		store64(&guest, STREAM_TABLE + 72,
			load64(&guest, STREAM_TABLE + 72) | overrides << 48);
		command(&guest, CFGI_STE | UINT64_C(1) << 32, 1);
		command(&guest, TLBI_NSNH_ALL, 0);
		for (int kind = 0; kind < 3; kind++)
			if (translate(&guest, 1, 0x1000, kinds[kind] | privilege).kind == VSMMU_RESULT_OK)
				granted |= 1u << kind;
		for (int kind = 0; kind < 3; kind++) {
			command(&guest, TLBI_NSNH_ALL, 0);
			sync_all(&guest);
			for (int warm = 0; warm < 3 && granted >> kind & 1; warm++)
				EQUAL(translate(&guest, 1, 0x1000, kinds[kind] | privilege).permissions,
				      granted);
		}
	}
	guest_close(&guest);
}

static void translate_attributes(void)
{
	static struct guest guest;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_ATTRIBUTES, .stream = 1,
		.address = 0x1000, .attributes = VSMMU_ATTRIBUTES(0x44, 2),
	};
	vsmmu_result result = { .size = sizeof(result) };

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	set_bypass(&guest, 2);
	for (int round = 0; round < 2; round++) {
		/* MAIR attribute 0 is 0xff, the page is inner shareable. */
		EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), 0);
		EQUAL(result.kind, VSMMU_RESULT_OK);
		EQUAL(result.attributes, VSMMU_ATTRIBUTES(0xff, 3));
	}
	access.stream = 2;
	EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), 0);
	EQUAL(result.attributes & 0xff, 0x44);
	guest_close(&guest);
}

/* Each fault ends in the record that the guest reads. */
static void translate_faults(void)
{
	static struct guest guest;
	uint64_t event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1_READ_ONLY);
	map(&guest, STAGE1, 0x2000, DATA, PAGE1 & ~UINT64_C(0x400));
	map(&guest, STAGE1, 0x3000, UINT64_C(1) << 47, PAGE1);
	set_stage1(&guest, 1, 5);

	EQUAL(translate(&guest, 1, 0x1234, VSMMU_ACCESS_WRITE).event, F_PERMISSION);
	EQUAL(guest.interrupts[VSMMU_IRQ_EVENTQ], 1);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[0], F_PERMISSION | UINT64_C(1) << 32);
	/* A write of data, unprivileged, stage 1, class IN. */
	EQUAL(event[1], UINT64_C(2) << 40);
	EQUAL(event[2], 0x1234);
	EQUAL(event[3], 0);

	EQUAL(translate(&guest, 1, 0x2000, VSMMU_ACCESS_PRIVILEGED).event, F_ACCESS);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[1], UINT64_C(2) << 40 | UINT64_C(1) << 35 | UINT64_C(1) << 33);
	EQUAL(translate(&guest, 1, 0x4000, VSMMU_ACCESS_INSTRUCTION).event, F_TRANSLATION);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[1], UINT64_C(2) << 40 | UINT64_C(1) << 35 | UINT64_C(1) << 34);
	EQUAL(translate(&guest, 1, UINT64_C(1) << 40, 0).event, F_TRANSLATION);
	EQUAL(take_event(&guest, event), 1);

	/* No STE, a stream beyond the table. */
	EQUAL(translate(&guest, 2, 0, 0).event, C_BAD_STE);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[0], C_BAD_STE | UINT64_C(2) << 32);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 1 << STREAM_BITS), 0);
	EQUAL(translate(&guest, 1 << STREAM_BITS, 0, 0).event, C_BAD_STREAMID);
	EQUAL(take_event(&guest, event), 1);

	/* The page that is mapped but not there: a fault of the memory, not of the translation. */
	EQUAL(translate(&guest, 1, 0x3000, 0).kind, VSMMU_RESULT_OK);
	EQUAL(take_event(&guest, event), 0);
	guest_close(&guest);
}

static void translate_without_a_word(void)
{
	static struct guest guest;
	uint64_t event[4], cd = CONTEXT + 64;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	set_stage1(&guest, 1, 5);
	EQUAL(translate(&guest, 1, 0x1000, VSMMU_ACCESS_SPECULATIVE).kind, VSMMU_RESULT_ABORT);
	EQUAL(take_event(&guest, event), 0);
	/* CD.A 0: RAZ/WI. CD.R 0: no record. */
	store64(&guest, cd, load64(&guest, cd) & ~(UINT64_C(3) << 45));
	command(&guest, CFGI_CD | UINT64_C(1) << 32, 1);
	sync_all(&guest);
	EQUAL(translate(&guest, 1, 0x1000, 0).kind, VSMMU_RESULT_RAZWI);
	EQUAL(translate(&guest, 1, 0x1000, VSMMU_ACCESS_SPECULATIVE).kind, VSMMU_RESULT_ABORT);
	EQUAL(take_event(&guest, event), 0);
	guest_close(&guest);
}

/* 3.14: a speculative Translation Request is granted where the access would be, and never told; a
 * speculative write transaction is not made at all. */
static void translate_probes(void)
{
	static struct guest guest;
	const uint32_t probe = VSMMU_ACCESS_SPECULATIVE, write = probe | VSMMU_ACCESS_WRITE;
	vsmmu_access access = {
		.size = sizeof(access), .flags = probe, .stream = 1, .address = 0x1000,
	};
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t data = 7, event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	map(&guest, STAGE1, 0x2000, DATA, PAGE1_READ_ONLY);
	set_stage1(&guest, 1, 5);
	for (int round = 0; round < 2; round++) {
		EQUAL(translate(&guest, 1, 0x1000, probe).kind, VSMMU_RESULT_OK);
		EQUAL(translate(&guest, 1, 0x1000, write).kind, VSMMU_RESULT_OK);
		EQUAL(translate(&guest, 1, 0x2000, probe).kind, VSMMU_RESULT_OK);
		EQUAL(translate(&guest, 1, 0x2000, write).kind, VSMMU_RESULT_ABORT);
	}
	EQUAL(take_event(&guest, event), 0);
	REFUSED(&guest, -EINVAL, "flags",
		api.vsmmu_dma_write(guest.vsmmu, &access, &data, sizeof(data), &result));
	EQUAL(load64(&guest, DATA), 0);
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &data, sizeof(data), &result), 0);
	EQUAL(data, 0);
	guest_close(&guest);
}

static void translate_substreams(void)
{
	static struct guest guest;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_SUBSTREAM, .stream = 1, .address = 0x1000,
	};
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t ste[8] = { 0 }, event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 2, 5);
	set_stage1(&guest, 3, 6);
	/* S1CDMax 1: two CDs, those of streams 2 and 3; S1DSS 1 bypasses what has no SubstreamID. */
	ste[0] = 1 | 5 << 1 | (CONTEXT + 2 * 64) | UINT64_C(1) << 59;
	ste[1] = 1 | UINT64_C(1) << 44;
	set_ste(&guest, 1, ste);
	for (access.substream = 0; access.substream < 2; access.substream++) {
		EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), 0);
		EQUAL(result.kind, VSMMU_RESULT_OK);
		EQUAL(result.address, DATA);
	}
	EQUAL(translate(&guest, 1, 0x1000, 0).address, 0x1000);
	EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, C_BAD_SUBSTREAMID);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[0] & 0xff, C_BAD_SUBSTREAMID);
	EQUAL(event[0] >> 12 & 0xfffff, 2);
	guest_close(&guest);
}

static void translate_stage2(void)
{
	static struct guest guest;
	uint64_t event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE2, 0x5000, DATA, PAGE2);
	set_stage2(&guest, 1, 3);
	for (int round = 0; round < 2; round++) {
		vsmmu_result result = translate(&guest, 1, 0x5123, VSMMU_ACCESS_WRITE);

		EQUAL(result.kind, VSMMU_RESULT_OK);
		EQUAL(result.address, DATA + 0x123);
		EQUAL(result.length, 0x1000 - 0x123);
	}
	EQUAL(translate(&guest, 1, 0x6123, 0).event, F_TRANSLATION);
	EQUAL(take_event(&guest, event), 1);
	/* S2, and the IPA. */
	EQUAL(event[1] >> 39 & 1, 1);
	EQUAL(event[3], 0x6000);
	guest_close(&guest);
}

static void translate_nested(void)
{
	static struct guest guest;
	uint64_t event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	/* The guest's tables and CDs are where its IPAs say; its data is elsewhere. */
	for (uint64_t page = CONTEXT; page < STAGE2; page += 4096)
		map(&guest, STAGE2, page, page, PAGE2);
	map(&guest, STAGE2, 0x5000, DATA, PAGE2);
	map(&guest, STAGE1, 0x9000, 0x5000, PAGE1);
	map(&guest, STAGE1, 0xa000, 0x6000, PAGE1);
	set_nested(&guest, 1, 5, 3);
	for (int round = 0; round < 2; round++) {
		vsmmu_result result = translate(&guest, 1, 0x9456, 0);

		EQUAL(result.kind, VSMMU_RESULT_OK);
		EQUAL(result.address, DATA + 0x456);
	}
	EQUAL(translate(&guest, 1, 0xa456, 0).event, F_TRANSLATION);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[1] >> 39 & 1, 1);
	EQUAL(event[2], 0xa456);
	EQUAL(event[3], 0x6000);
	guest_close(&guest);
}

/* What an invalidation covers is walked anew, and nothing before it. */
static void translate_after_invalidation(void)
{
	static struct guest guest;
	static const uint64_t commands[][2] = {
		{ TLBI_NSNH_ALL, 0 },
		{ TLBI_NH_ALL, 0 },
		{ TLBI_NH_ASID | UINT64_C(5) << 48, 0 },
		{ TLBI_NH_VA | UINT64_C(5) << 48, 0x1000 },
		{ TLBI_NH_VAA, 0x1000 },
		{ TLBI_NH_VA | UINT64_C(5) << 48 | 3 << 12, 0x0000 | 1 << 10 },
	};

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	for (uint64_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA + i * 4096);
		map(&guest, STAGE1, 0x1000, DATA + (i + 1) * 4096, PAGE1);
		command(&guest, commands[i][0], commands[i][1]);
		sync_all(&guest);
		EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA + (i + 1) * 4096);
	}
	guest_close(&guest);
}

static void access_tokens(void)
{
	static struct guest guest;
	uint64_t outer, inner;

	if (!guest_open(&guest, NULL))
		return;
	outer = api.vsmmu_access_begin(guest.vsmmu);
	inner = api.vsmmu_access_begin(guest.vsmmu);
	EQUAL(translate(&guest, 0, DATA, 0).kind, VSMMU_RESULT_OK);
	api.vsmmu_access_end(guest.vsmmu, inner);
	api.vsmmu_access_end(guest.vsmmu, outer);
	/* All are closed: a serial call that waits for them returns. */
	guest_start(&guest);
	command(&guest, TLBI_NSNH_ALL, 0);
	sync_all(&guest);
	guest_close(&guest);
}

/* All that a look could leave behind, but for what it leaves out: it changes nothing. */
static void check_untouched(struct guest *guest, const struct before *before, unsigned dirty)
{
	struct before after = note(guest);

	CHECK(memcmp(before, &after, sizeof(after)) == 0);
	EQUAL(guest->dirty_count, dirty);
}

/* VSMMU_ACCESS_INSPECT answers as an access would and leaves no trace. */
static void inspect_leaves_no_trace(void)
{
	static struct guest guest;
	static const uint32_t kinds[] = {
		0, VSMMU_ACCESS_WRITE, VSMMU_ACCESS_INSTRUCTION, VSMMU_ACCESS_PRIVILEGED,
		VSMMU_ACCESS_ATOMIC, VSMMU_ACCESS_WRITE | VSMMU_ACCESS_PRIVILEGED,
		VSMMU_ACCESS_SPECULATIVE, VSMMU_ACCESS_SPECULATIVE | VSMMU_ACCESS_WRITE,
		VSMMU_ACCESS_ATTRIBUTES, VSMMU_ACCESS_SUBSTREAM,
	};
	static const uint64_t places[] = { 0x1010, 0x2020, 0x3fff, 0x4040, UINT64_C(1) << 50 };
	uint64_t event[4];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	map(&guest, STAGE1, 0x2000, DATA + 0x1000, PAGE1_READ_ONLY);
	map(&guest, STAGE1, 0x3000, DATA, PAGE1 & ~UINT64_C(0x400));
	set_stage1(&guest, 1, 5);
	map(&guest, STAGE2, 0x1000, DATA, PAGE2);
	set_stage2(&guest, 2, 3);
	set_bypass(&guest, 3);
	/* Stream 4 has no STE; 5 is nested, and its tables are where its IPAs say. */
	for (uint64_t page = CONTEXT; page < STAGE2; page += 4096)
		map(&guest, STAGE2, page, page, PAGE2);
	map(&guest, STAGE2, DATA, DATA + 0x3000, PAGE2);
	set_nested(&guest, 5, 5, 3);
	for (uint32_t stream = 1; stream <= 5; stream++)
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
			for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
				struct before before = note(&guest);
				const unsigned dirty = guest.dirty_count;
				vsmmu_result look, real;

				look = translate(&guest, stream, places[i],
						 kinds[kind] | VSMMU_ACCESS_INSPECT);
				check_untouched(&guest, &before, dirty);
				EQUAL(look.generation, 0);
				real = translate(&guest, stream, places[i], kinds[kind]);
				real.generation = 0;
				if (!CHECK(memcmp(&look, &real, sizeof(real)) == 0))
					printf("  stream %u, %#" PRIx64 ", flags %#x\n", stream,
					       places[i], kinds[kind]);
				while (take_event(&guest, event) != 0)
					;
			}
	guest_close(&guest);
}

/* It looks at memory and not at what is cached, and fills no cache. */
static void inspect_goes_past_the_caches(void)
{
	static struct guest guest;
	vsmmu_counters before = { .size = sizeof(before) }, after = before;
	const uint32_t look = VSMMU_ACCESS_INSPECT;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	/* Nothing is kept: the first access misses as if there had been no look. */
	EQUAL(translate(&guest, 1, 0x1000, look).address, DATA);
	EQUAL(translate(&guest, 1, 0x1000, look).address, DATA);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &before), 0);
	EQUAL(before.configuration_misses, 0);
	EQUAL(before.tlb_misses, 0);
	EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &after), 0);
	EQUAL(after.configuration_misses, 1);
	EQUAL(after.tlb_misses, 1);
	/* A change of which the SMMU was not told. */
	map(&guest, STAGE1, 0x1000, DATA + 0x1000, PAGE1);
	EQUAL(translate(&guest, 1, 0x1000, look).address, DATA + 0x1000);
	EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA);
	store64(&guest, STREAM_TABLE + 64, 1);
	EQUAL(translate(&guest, 1, 0x1000, look).kind, VSMMU_RESULT_ABORT);
	EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA);
	/* While the SMMU is off, and where GBPA aborts. */
	write_register(&guest, CR0, 0xc);
	EQUAL(translate(&guest, 1, 0x1000, look).address, 0x1000);
	write_register(&guest, GBPA, 0x80101000);
	EQUAL(translate(&guest, 1, 0x1000, look).kind, VSMMU_RESULT_ABORT);
	guest_close(&guest);
}

/* Tables that are no RAM are read by mem_read; what aborts there is an answer and no counter. */
static void inspect_reads_by_callback(void)
{
	static struct guest guest;
	vsmmu_counters before = { .size = sizeof(before) }, after = before;
	unsigned reads;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	set_stage1(&guest, 1, 5);
	/* CD.TTB0. */
	store64(&guest, CONTEXT + 64 + 8, DEVICE);
	reads = guest.reads;
	EQUAL(translate(&guest, 1, 0x1000, VSMMU_ACCESS_INSPECT).event, F_TRANSLATION);
	CHECK(guest.reads > reads);
	store64(&guest, CONTEXT + 64 + 8, DEVICE + DEVICE_SIZE);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &before), 0);
	EQUAL(translate(&guest, 1, 0x1000, VSMMU_ACCESS_INSPECT).event, F_WALK_EABT);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &after), 0);
	EQUAL(after.external_aborts, before.external_aborts);
	EQUAL(translate(&guest, 1, 0x1000, 0).event, F_WALK_EABT);
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &after), 0);
	EQUAL(after.external_aborts, before.external_aborts + 1);
	guest_close(&guest);
}

static void inspect_refusals(void)
{
	static struct guest guest;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_INSPECT, .stream = 99, .address = DATA,
	};
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t data = 7;

	if (!guest_open(&guest, NULL))
		return;
	REFUSED(&guest, -ENOENT, "was not added",
		api.vsmmu_translate(guest.vsmmu, &access, &result));
	access.stream = 0;
	REFUSED(&guest, -EINVAL, "another kind of access",
		api.vsmmu_dma_read(guest.vsmmu, &access, &data, sizeof(data), &result));
	REFUSED(&guest, -EINVAL, "another kind of access",
		api.vsmmu_dma_write(guest.vsmmu, &access, &data, sizeof(data), &result));
	EQUAL(load64(&guest, DATA), 0);
	access.reserved = 1;
	REFUSED(&guest, -EINVAL, "reserved", api.vsmmu_translate(guest.vsmmu, &access, &result));
	guest_close(&guest);
}

void translate_section(void)
{
	RUN(translate_refusals);
	RUN(translate_while_disabled);
	RUN(translate_bypass_and_abort);
	RUN(translate_stage1);
	RUN(translate_permissions_after_overrides);
	RUN(translate_attributes);
	RUN(translate_faults);
	RUN(translate_without_a_word);
	RUN(translate_probes);
	RUN(translate_substreams);
	RUN(translate_stage2);
	RUN(translate_nested);
	RUN(translate_after_invalidation);
	RUN(access_tokens);
	RUN(inspect_leaves_no_trace);
	RUN(inspect_goes_past_the_caches);
	RUN(inspect_reads_by_callback);
	RUN(inspect_refusals);
}
