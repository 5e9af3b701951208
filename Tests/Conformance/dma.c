/* SPDX-License-Identifier: MIT */
/* Section 6 of the header: whole transfers. */
#include "guest.h"

#define PAGES 4

/* Consecutive input pages from 0x1000 on, scattered in RAM; the last one is behind the callbacks. */
static uint64_t place(int page)
{
	return page == PAGES - 1 ? DEVICE : DATA + (uint64_t)(PAGES - page) * 8192;
}

static bool open_scattered(struct guest *guest)
{
	if (!guest_open(guest, NULL))
		return false;
	guest_start(guest);
	for (int page = 0; page < PAGES; page++)
		map(guest, STAGE1, 0x1000 + (uint64_t)page * 4096, place(page), PAGE1);
	set_stage1(guest, 1, 5);
	return true;
}

static void dma_crosses_pages(void)
{
	static struct guest guest;
	static uint8_t sent[3 * 4096], got[3 * 4096];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1800 };
	vsmmu_result result = { .size = sizeof(result) };

	if (!open_scattered(&guest))
		return;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	guest.dirty_count = 0;
	/* The write flag is set by the call itself. */
	EQUAL(api.vsmmu_dma_write(guest.vsmmu, &access, sent, sizeof(sent), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.length, sizeof(sent));
	EQUAL(result.event, 0);
	for (size_t i = 0; i < sizeof(sent); i++) {
		uint64_t at = 0x800 + i, where = place((int)(at / 4096)) + at % 4096;
		uint8_t byte = where >= DEVICE ? guest.device[where - DEVICE] : guest.ram[where - RAM];

		if (!EQUAL(byte, sent[i]))
			break;
	}
	/* Three pieces in registered RAM are told as dirty, the fourth is the callback's. */
	EQUAL(guest.dirty_count, 3);
	for (int i = 0; i < 3; i++) {
		EQUAL(guest.dirty[i].address, place(i) + (i ? 0 : 0x800));
		EQUAL(guest.dirty[i].length, i ? 4096 : 0x800);
	}
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, got, sizeof(got), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.length, sizeof(got));
	CHECK(memcmp(sent, got, sizeof(got)) == 0);
	EQUAL(guest.dirty_count, 3);
	guest_close(&guest);
}

static void dma_ends_at_a_fault(void)
{
	static struct guest guest;
	static uint8_t data[4 * 4096];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1ff0 };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t event[4];

	if (!open_scattered(&guest))
		return;
	map(&guest, STAGE1, 0x3000, place(2), PAGE1_READ_ONLY);
	memset(data, 0xaa, sizeof(data));
	EQUAL(api.vsmmu_dma_write(guest.vsmmu, &access, data, sizeof(data), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, F_PERMISSION);
	EQUAL(result.length, 16 + 4096);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[2], 0x3000);
	EQUAL(guest.ram[place(1) + 4095 - RAM], 0xaa);
	EQUAL(guest.ram[place(2) - RAM], 0);
	/* Past the mapping's end. */
	access.address = 0x4ff8;
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, 16, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, F_TRANSLATION);
	EQUAL(result.length, 8);
	/* At once. */
	access.address = 0x5000;
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, 16, &result), 0);
	EQUAL(result.length, 0);
	guest_close(&guest);
}

/* 16.7.4: the memory behind the translation aborts; the device hears of it, the guest does not. */
static void dma_meets_an_external_abort(void)
{
	static struct guest guest;
	static uint8_t data[8192];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x3000 };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t event[4];

	if (!open_scattered(&guest))
		return;
	guest.aborts_at = DEVICE;
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, sizeof(data), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, 0);
	EQUAL(result.length, 4096);
	EQUAL(take_event(&guest, event), 0);
	guest_close(&guest);
}

static void dma_reads_as_zero(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x8000 };
	vsmmu_result result = { .size = sizeof(result) };
	uint8_t data[16];
	uint64_t cd = CONTEXT + 64;

	if (!open_scattered(&guest))
		return;
	store64(&guest, cd, load64(&guest, cd) & ~(UINT64_C(1) << 46));
	command(&guest, CFGI_CD | UINT64_C(1) << 32, 1);
	sync_all(&guest);
	memset(data, 0xaa, sizeof(data));
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, sizeof(data), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_RAZWI);
	EQUAL(result.length, sizeof(data));
	EQUAL(result.event, F_TRANSLATION);
	for (size_t i = 0; i < sizeof(data); i++)
		EQUAL(data[i], 0);
	guest_close(&guest);
}

/* 3.12, 5.5: CD.A = 0 turns a fault into success for the device, whose other transactions go on.
 * proves T-196 */
static void dma_goes_on_after_a_hole(void)
{
	static struct guest guest;
	static uint8_t data[5 * 4096];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1800 };
	vsmmu_result result = { .size = sizeof(result) };
	const uint64_t cd = CONTEXT + 64;
	uint64_t event[4];

	if (!open_scattered(&guest))
		return;
	store64(&guest, cd, load64(&guest, cd) & ~(UINT64_C(1) << 46));
	command(&guest, CFGI_CD | UINT64_C(1) << 32, 1);
	sync_all(&guest);
	/* 0x1000 and 0x4000 are mapped, 0x2000 may not be written, 0x3000 is not there, nor 0x5000. */
	map(&guest, STAGE1, 0x2000, place(1), PAGE1_READ_ONLY);
	unmap(&guest, STAGE1, 0x3000);
	command(&guest, TLBI_NSNH_ALL, 0);
	sync_all(&guest);
	memset(data, 0xaa, sizeof(data));
	EQUAL(api.vsmmu_dma_write(guest.vsmmu, &access, data, 0x4000, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_RAZWI);
	EQUAL(result.length, 0x4000);
	EQUAL(result.event, F_PERMISSION);
	EQUAL(result.address, place(0) + 0x800);
	EQUAL(result.permissions, 0);
	EQUAL(guest.ram[place(0) + 0xfff - RAM], 0xaa);
	EQUAL(guest.ram[place(1) - RAM], 0);
	EQUAL(guest.device[0], 0xaa);
	EQUAL(guest.device[0xfff], 0xaa);
	/* One record for each page. */
	EQUAL(take_event(&guest, event), 3);
	EQUAL(event[0] & 0xff, F_PERMISSION);
	EQUAL(event[2], 0x2000);
	EQUAL(take_event(&guest, event), 2);
	EQUAL(event[0] & 0xff, F_TRANSLATION);
	EQUAL(event[2], 0x3000);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[2], 0x5000);

	memset(guest.ram + place(1) - RAM, 0x22, 4096);
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, sizeof(data), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_RAZWI);
	EQUAL(result.length, sizeof(data));
	EQUAL(result.event, F_TRANSLATION);
	for (size_t i = 0; i < sizeof(data); i++) {
		uint64_t page = (access.address + i) >> 12;

		if (!EQUAL(data[i], page == 2 ? 0x22 : page == 1 || page == 4 ? 0xaa : 0))
			break;
	}
	EQUAL(take_event(&guest, event), 3);
	EQUAL(event[2], 0x3000);
	EQUAL(take_event(&guest, event), 2);
	EQUAL(event[2], 0x5000);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[2], 0x6000);
	guest_close(&guest);
}

/* An abort behind a hole ends the transfer, and tells how far it came. */
static void dma_aborts_after_a_hole(void)
{
	static struct guest guest;
	static uint8_t data[4 * 4096];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x2ff0 };
	vsmmu_result result = { .size = sizeof(result) };
	const uint64_t cd = CONTEXT + 64;

	if (!open_scattered(&guest))
		return;
	store64(&guest, cd, load64(&guest, cd) & ~(UINT64_C(1) << 46));
	command(&guest, CFGI_CD | UINT64_C(1) << 32, 1);
	unmap(&guest, STAGE1, 0x3000);
	command(&guest, TLBI_NSNH_ALL, 0);
	sync_all(&guest);
	guest.aborts_at = DEVICE;
	memset(data, 0xaa, sizeof(data));
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, data, sizeof(data), &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, 0);
	EQUAL(result.length, 0x1010);
	EQUAL(data[0x10], 0);
	EQUAL(data[0x100f], 0);
	guest_close(&guest);
}

static void dma_of_nothing(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1000 };
	vsmmu_result result = { .size = sizeof(result) };
	uint8_t byte = 9;

	if (!open_scattered(&guest))
		return;
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &byte, 0, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.length, 0);
	EQUAL(byte, 9);
	guest_close(&guest);
}

static void dma_refusals(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .address = DATA };
	vsmmu_result result = { .size = sizeof(result), .address = 7 };
	uint64_t data = 7;

	if (!guest_open(&guest, NULL))
		return;
#define READ() api.vsmmu_dma_read(guest.vsmmu, &access, &data, sizeof(data), &result)
#define WRITE() api.vsmmu_dma_write(guest.vsmmu, &access, &data, sizeof(data), &result)
	access.flags = VSMMU_ACCESS_WRITE;
	REFUSED(&guest, -EINVAL, "flags", READ());
	access.flags = 256;
	REFUSED(&guest, -EINVAL, "flags", READ());
	REFUSED(&guest, -EINVAL, "flags", WRITE());
	access.flags = 0;
	access.size = 8;
	REFUSED(&guest, -EINVAL, "access.size", READ());
	REFUSED(&guest, -EINVAL, "access.size", WRITE());
	access.size = sizeof(access);
	result.size = 8;
	REFUSED(&guest, -EINVAL, "result.size", READ());
	REFUSED(&guest, -EINVAL, "result.size", WRITE());
	result.size = sizeof(result);
	EQUAL(data, 7);
	EQUAL(load64(&guest, DATA), 0);
	EQUAL(WRITE(), 0);
	EQUAL(load64(&guest, DATA), 7);
#undef READ
#undef WRITE
	guest_close(&guest);
}

void dma_section(void)
{
	RUN(dma_crosses_pages);
	RUN(dma_ends_at_a_fault);
	RUN(dma_meets_an_external_abort);
	RUN(dma_reads_as_zero);
	RUN(dma_goes_on_after_a_hole);
	RUN(dma_aborts_after_a_hole);
	RUN(dma_of_nothing);
	RUN(dma_refusals);
}
