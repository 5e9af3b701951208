/* SPDX-License-Identifier: MIT */
/* What a guest and its devices do allocates nothing. */
#include "attempt.h"

#define IOVA UINT64_C(0x5000)

static void open_guest(void)
{
	memset(&scene, 0, sizeof(scene));
	CHECK(guest_open(GUEST, NULL));
	guest_start(GUEST);
	map(GUEST, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(GUEST, 2, 5);
	set_bypass(GUEST, 1);
}

static void dma(uint32_t stream, uint64_t address, uint64_t length, uint32_t kind)
{
	static uint8_t data[8192];
	vsmmu_access access = { .size = sizeof(access), .stream = stream, .address = address };
	vsmmu_result result = { .size = sizeof(result) };

	EQUAL(api.vsmmu_dma_read(VSMMU, &access, data, length, &result), 0);
	EQUAL(result.kind, kind);
	access.flags = VSMMU_ACCESS_WRITE;
	EQUAL(api.vsmmu_dma_write(VSMMU, &access, data, length, &result), 0);
	EQUAL(result.kind, kind);
}

/* Hits, walks, faults, events until the queue is full. */
static void devices_at_work(void)
{
	for (int i = 0; i < 3; i++) {
		dma(2, IOVA, 4096, VSMMU_RESULT_OK);
		dma(1, DATA, 8192, VSMMU_RESULT_OK);
		dma(2, IOVA + 0x100000, 64, VSMMU_RESULT_ABORT);
		dma(3, IOVA, 64, VSMMU_RESULT_ABORT);
		dma(1, DEVICE, 64, VSMMU_RESULT_OK);
		dma(1, DEVICE + DEVICE_SIZE, 64, VSMMU_RESULT_ABORT);
		EQUAL(translate(GUEST, 2, IOVA, 0).kind, VSMMU_RESULT_OK);
	}
	api.vsmmu_access_end(VSMMU, api.vsmmu_access_begin(VSMMU));
}

static void a_driver_at_work(void)
{
	vsmmu_dvm_op op = { .size = sizeof(op), .kind = VSMMU_DVM_ALL };
	vsmmu_counters counters = { .size = sizeof(counters) };
	uint64_t words[4];

	for (unsigned number = 0; number < 256; number++)
		if (number != CFGI_STE) {
			command(GUEST, number, 0);
			if ((read_register(GUEST, GERROR) ^ read_register(GUEST, GERRORN)) & 1) {
				/* A CMD_SYNC in the place of what is no command. */
				uint64_t slot = read_register(GUEST, CMDQ_CONS) & 0xff;

				store64(GUEST, COMMANDS + slot * 16, SYNC);
				write_register(GUEST, GERRORN, read_register(GUEST, GERROR));
			}
		}
	/* By MSI, and by interrupt. */
	command(GUEST, SYNC | 1 << 12 | UINT64_C(7) << 32, DOORBELL);
	command(GUEST, SYNC | 1 << 12 | UINT64_C(7) << 32, DEVICE);
	sync_all(GUEST);
	set_bypass(GUEST, 4);
	while (take_event(GUEST, words))
		;
	for (uint64_t offset = 0; offset < VSMMU_MMIO_SIZE; offset += 4)
		read_register(GUEST, offset);
	EQUAL(api.vsmmu_run(VSMMU, 0), 0);
	EQUAL(api.vsmmu_dvm(VSMMU, &op), 0);
	EQUAL(api.vsmmu_get_counters(VSMMU, &counters), 0);
	write_register(GUEST, GBPA, UINT64_C(1) << 31);
	write_register(GUEST, CR0, 0);
	EQUAL(api.vsmmu_reset(VSMMU), 0);
	guest_start(GUEST);
}

static void guests_allocate_nothing(void)
{
	open_guest();
	heap_arm(HEAP_FULL, 0);
	devices_at_work();
	a_driver_at_work();
	devices_at_work();
	heap_disarm();
	/* Lines of the log among it. */
	CHECK(GUEST->logs > 0);
	EQUAL(heap_allocations(), 0);
	guest_close(GUEST);
}

/* The same while all is refused. */
static void guests_need_no_memory(void)
{
	open_guest();
	heap_arm(HEAP_FROM, 1);
	devices_at_work();
	a_driver_at_work();
	devices_at_work();
	heap_disarm();
	guest_close(GUEST);
}

void guest_paths(void)
{
	RUN(guests_allocate_nothing);
	RUN(guests_need_no_memory);
}
