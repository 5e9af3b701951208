/* SPDX-License-Identifier: MIT */
/* Section 5 of the header: RAM and streams. */
#include "guest.h"

#include <stdlib.h>

static void ram_refusals(void)
{
	static struct guest guest;
	uint8_t *host;

	if (!guest_open(&guest, NULL))
		return;
	host = guest.ram;
	REFUSED(&guest, -EINVAL, "4096", api.vsmmu_ram_add(guest.vsmmu, 0x1001, 4096, host));
	REFUSED(&guest, -EINVAL, "4096", api.vsmmu_ram_add(guest.vsmmu, 0x1000, 4095, host));
	REFUSED(&guest, -EINVAL, "4096", api.vsmmu_ram_add(guest.vsmmu, 0x1000, 4096, host + 8));
	REFUSED(&guest, -EINVAL, "", api.vsmmu_ram_add(guest.vsmmu, 0x1000, 0, host));
	REFUSED(&guest, -EINVAL, "",
		api.vsmmu_ram_add(guest.vsmmu, UINT64_C(0xfffffffffffff000), 8192, host));
	REFUSED(&guest, -EEXIST, "", api.vsmmu_ram_add(guest.vsmmu, RAM, 4096, host));
	REFUSED(&guest, -EEXIST, "", api.vsmmu_ram_add(guest.vsmmu, RAM - 4096, 8192, host));
	REFUSED(&guest, -EEXIST, "", api.vsmmu_ram_add(guest.vsmmu, 0, UINT64_C(1) << 40, host));
	REFUSED(&guest, -EEXIST, "",
		api.vsmmu_ram_add(guest.vsmmu, RAM + RAM_SIZE - 4096, 4096, host));
	REFUSED(&guest, -ENOENT, "", api.vsmmu_ram_remove(guest.vsmmu, RAM + 4096));
	REFUSED(&guest, -ENOENT, "", api.vsmmu_ram_remove(guest.vsmmu, 0));
	/* Neighbours are no overlap; the last page of all is a page. */
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM + RAM_SIZE, 4096, host), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM - 4096, 4096, host), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, UINT64_C(0xfffffffffffff000), 4096, host), 0);
	guest_close(&guest);
}

/* A file's part must be one, host or no host. */
static void ram_file_refusals(void)
{
	static struct guest guest;
	const uint64_t at = RAM + RAM_SIZE;

	if (!guest_open(&guest, NULL))
		return;
#define ADD(fd, offset) \
	api.vsmmu_ram_add_file(guest.vsmmu, at, 4096, guest.ram, fd, offset)
	REFUSED(&guest, -EINVAL, "fd", ADD(-1, 0));
	REFUSED(&guest, -EINVAL, "fd", ADD(INT32_MIN, 0));
	REFUSED(&guest, -EINVAL, "offset", ADD(0, 1));
	REFUSED(&guest, -EINVAL, "offset", ADD(0, 4095));
	REFUSED(&guest, -EINVAL, "offset", ADD(0, UINT64_MAX - 4095));
	REFUSED(&guest, -EINVAL, "offset", ADD(0, INT64_MAX - 4095));
	EQUAL(ADD(0, 4096), 0);
	EQUAL(api.vsmmu_ram_remove(guest.vsmmu, at), 0);
#undef ADD
	guest_close(&guest);
}

static void ram_has_512_regions(void)
{
	static struct guest guest;
	uint64_t far = UINT64_C(0x200000000);

	if (!guest_open(&guest, NULL))
		return;
	for (uint64_t i = 1; i < 512; i++)
		EQUAL(api.vsmmu_ram_add(guest.vsmmu, far + i * 8192, 4096, guest.ram + i * 4096), 0);
	REFUSED(&guest, -ENOMEM, "512", api.vsmmu_ram_add(guest.vsmmu, far, 4096, guest.ram));
	EQUAL(api.vsmmu_ram_remove(guest.vsmmu, far + 5 * 8192), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, far, 4096, guest.ram), 0);
	for (uint64_t i = 1; i < 512; i++) {
		vsmmu_access access = { .size = sizeof(access), .address = far + i * 8192 };
		vsmmu_result result = { .size = sizeof(result) };
		uint8_t byte = 0;

		guest.ram[i * 4096] = (uint8_t)i;
		EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &byte, 1, &result), 0);
		EQUAL(result.kind, i == 5 ? VSMMU_RESULT_ABORT : VSMMU_RESULT_OK);
		EQUAL(byte, i == 5 ? 0 : i & 0xff);
	}
	guest_close(&guest);
}

static void ram_comes_and_goes(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .address = DATA };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t data = 0;

	if (!guest_open(&guest, NULL))
		return;
	store64(&guest, DATA, 77);
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &data, 8, &result), 0);
	EQUAL(data, 77);
	EQUAL(guest.reads, 0);
	EQUAL(api.vsmmu_ram_remove(guest.vsmmu, RAM), 0);
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &data, 8, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, 0);
	EQUAL(guest.reads, 1);
	EQUAL(api.vsmmu_ram_remove(guest.vsmmu, RAM), -ENOENT);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM, RAM_SIZE, guest.ram), 0);
	EQUAL(api.vsmmu_dma_read(guest.vsmmu, &access, &data, 8, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	guest_close(&guest);
}

/* Queues and tables may as well be behind the callbacks. */
static void queues_behind_callbacks(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	write_register(&guest, CR0, 0);
	write_register64(&guest, CMDQ_BASE, DEVICE | 4);
	write_register64(&guest, EVENTQ_BASE, (DEVICE + 0x1000) | 4);
	write_register64(&guest, STRTAB_BASE, DEVICE + 0x2000);
	write_register(&guest, CMDQ_PROD, 0);
	write_register(&guest, CMDQ_CONS, 0);
	write_register(&guest, CR0, 0xd);
	store64(&guest, DEVICE, SYNC);
	write_register(&guest, CMDQ_PROD, 1);
	EQUAL(read_register(&guest, CMDQ_CONS), 1);
	CHECK(guest.reads > 0);
	EQUAL(translate(&guest, 3, 0x5000, 0).event, C_BAD_STE);
	EQUAL(guest.writes, 1);
	EQUAL(load64(&guest, DEVICE + 0x1000), C_BAD_STE | UINT64_C(3) << 32);
	/* The queue's memory goes away: EVENTQ_ABT_ERR. */
	guest.aborts_at = DEVICE + 0x1000;
	EQUAL(translate(&guest, 3, 0x5000, 0).event, C_BAD_STE);
	EQUAL(read_register(&guest, GERROR), 1 << 2);
	guest_close(&guest);
}

static void stream_refusals(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .stream = 8, .address = DATA };
	vsmmu_result result = { .size = sizeof(result), .address = 7 };
	uint64_t data = 7;

	if (!guest_open(&guest, NULL))
		return;
	REFUSED(&guest, -EEXIST, "stream", api.vsmmu_stream_add(guest.vsmmu, 7));
	REFUSED(&guest, -ENOENT, "stream", api.vsmmu_stream_remove(guest.vsmmu, 8));
	REFUSED(&guest, -ENOENT, "stream", api.vsmmu_translate(guest.vsmmu, &access, &result));
	REFUSED(&guest, -ENOENT, "stream",
		api.vsmmu_dma_read(guest.vsmmu, &access, &data, 8, &result));
	REFUSED(&guest, -ENOENT, "stream",
		api.vsmmu_dma_write(guest.vsmmu, &access, &data, 8, &result));
	EQUAL(result.address, 7);
	EQUAL(data, 7);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, UINT32_MAX), 0);
	EQUAL(api.vsmmu_stream_remove(guest.vsmmu, UINT32_MAX), 0);
	EQUAL(api.vsmmu_stream_remove(guest.vsmmu, UINT32_MAX), -ENOENT);
	guest_close(&guest);
}

static void stream_has_65536(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	for (uint32_t i = 8; i < 65536; i++)
		EQUAL(api.vsmmu_stream_add(guest.vsmmu, i * 31), 0);
	REFUSED(&guest, -ENOMEM, "65536", api.vsmmu_stream_add(guest.vsmmu, 9));
	EQUAL(api.vsmmu_stream_remove(guest.vsmmu, 8 * 31), 0);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 9), 0);
	guest_close(&guest);
}

/* A stream beyond SIDSIZE is known to the host, and to no table of the guest. */
static void stream_beyond_size(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .features = "SIDSIZE=4 ST_LEVEL=0" };
	uint64_t event[4];

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 16), 0);
	EQUAL(translate(&guest, 16, 0, 0).kind, VSMMU_RESULT_ABORT);
	EQUAL(take_event(&guest, event), 1);
	EQUAL(event[0] & 0xff, C_BAD_STREAMID);
	EQUAL(event[0] >> 32, 16);
	guest_close(&guest);
}

/* What was cached for a stream goes with it. */
static void stream_removal_forgets(void)
{
	static struct guest guest;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = DATA };
	vsmmu_result result = { .size = sizeof(result) };

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	EQUAL(translate(&guest, 1, 0x1000, 0).kind, VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_stream_remove(guest.vsmmu, 1), 0);
	access.address = 0x1000;
	EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), -ENOENT);
	store64(&guest, STREAM_TABLE + 64, 0);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 1), 0);
	EQUAL(translate(&guest, 1, 0x1000, 0).event, C_BAD_STE);
	guest_close(&guest);
}

void memory_section(void)
{
	RUN(ram_refusals);
	RUN(ram_file_refusals);
	RUN(ram_has_512_regions);
	RUN(ram_comes_and_goes);
	RUN(queues_behind_callbacks);
	RUN(stream_refusals);
	RUN(stream_has_65536);
	RUN(stream_beyond_size);
	RUN(stream_removal_forgets);
}
