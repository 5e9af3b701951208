/* SPDX-License-Identifier: MIT */
/* Sections 2 and 4 of the header: commands, their budget, interrupts, notices, the log. */
#include "guest.h"

static vsmmu_counters counters(struct guest *guest)
{
	vsmmu_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_get_counters(guest->vsmmu, &counters), 0);
	return counters;
}

static void run_consumes_what_the_budget_left(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .command_budget = 4 };

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	EQUAL(api.vsmmu_run(guest.vsmmu, 0), 0);
	for (int i = 0; i < 20; i++)
		queue(&guest, SYNC, 0);
	publish(&guest);
	EQUAL(counters(&guest).commands, 4);
	CHECK(guest.works >= 1);
	/* One command, the configured four, then a driver's look at CONS. */
	EQUAL(api.vsmmu_run(guest.vsmmu, 1), 1);
	EQUAL(counters(&guest).commands, 5);
	EQUAL(api.vsmmu_run(guest.vsmmu, 0), 1);
	EQUAL(counters(&guest).commands, 9);
	EQUAL(read_register(&guest, CMDQ_CONS), 13);
	EQUAL(api.vsmmu_run(guest.vsmmu, 7), 0);
	EQUAL(counters(&guest).commands, 20);
	EQUAL(api.vsmmu_run(guest.vsmmu, UINT32_MAX), 0);
	EQUAL(counters(&guest).syncs, 20);
	guest_close(&guest);
}

/* A range of 2^SCALE * (NUM + 1) pages, by ASID 5 (4.4.1.1). */
static void queue_range(struct guest *guest, uint64_t address)
{
	queue(guest, TLBI_NH_VA | 31 << 12 | 4 << 20 | UINT64_C(5) << 48,
	      address | 1 << 10 | 3 << 8 | 1);
}

/* A driver that sends as many range invalidations as Linux does in a batch, and waits for the
 * CMD_SYNC's MSI in its memory. */
static void queue_batch(struct guest *guest, uint64_t word)
{
	for (int i = 0; i < 64; i++)
		queue_range(guest, (uint64_t)i << 21);
	queue(guest, SYNC | 1 << 12 | 3 << 22 | 15 << 24 | UINT64_C(0x5a5a) << 32, word);
}

/* 4.1.2: without ops.work nobody would go on with what a budget leaves. proves R-178 */
static void commands_are_never_left_without_work(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .command_budget = 1 };
	vsmmu_ops ops = guest_ops;
	const uint64_t word = DATA + 0x100;
	uint64_t before;

	ops.work = NULL;
	for (int round = 0; round < 2; round++) {
		if (!guest_open_with(&guest, round ? &config : NULL, &ops))
			return;
		guest_start(&guest);
		set_stage1(&guest, 1, 5);
		for (uint64_t page = 0; page < 511; page++) {
			map(&guest, STAGE1, page << 12, DATA, PAGE1);
			translate(&guest, 1, page << 12, 0);
		}
		before = counters(&guest).commands;
		queue_batch(&guest, word);
		publish(&guest);
		EQUAL(load64(&guest, word), 0x5a5a);
		EQUAL(counters(&guest).commands - before, 65);
		EQUAL(api.vsmmu_run(guest.vsmmu, 0), 0);
		/* The queue when it is full. */
		for (int i = 0; i < 1 << COMMAND_BITS; i++)
			queue_range(&guest, 0);
		publish(&guest);
		EQUAL(counters(&guest).commands - before, 65 + (1 << COMMAND_BITS));
		guest_close(&guest);
	}
}

/* With it, the budget counts what commands cost, and each call asks for the next. */
static void commands_wait_for_work(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .command_budget = 4 };
	const uint64_t word = DATA + 0x100;
	unsigned works;

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	queue_batch(&guest, word);
	publish(&guest);
	EQUAL(load64(&guest, word), 0);
	for (works = 0; works < 100 && guest.works; works++) {
		guest.works = 0;
		api.vsmmu_run(guest.vsmmu, 0);
	}
	CHECK(works > 4);
	EQUAL(load64(&guest, word), 0x5a5a);
	guest_close(&guest);
}

static void queue_wraps(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	for (int i = 0; i < 5 << COMMAND_BITS; i++)
		command(&guest, i & 1 ? TLBI_NSNH_ALL : SYNC, 0);
	EQUAL(counters(&guest).commands, 5 << COMMAND_BITS);
	sync_all(&guest);
	guest_close(&guest);
}

/* A wrong command stops the queue until the guest has acknowledged it. */
static void command_errors_stop_the_queue(void)
{
	static struct guest guest;
	uint64_t slot;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	command(&guest, SYNC, 0);
	queue(&guest, 0xff, 0);
	queue(&guest, SYNC, 0);
	publish(&guest);
	/* CERROR_ILL in CONS, which stays. */
	EQUAL(read_register(&guest, CMDQ_CONS), UINT64_C(1) << 24 | 1);
	EQUAL(read_register(&guest, GERROR), 1);
	EQUAL(guest.interrupts[VSMMU_IRQ_GERROR], 1);
	EQUAL(guest.logs, 1);
	EQUAL(guest.blame, VSMMU_LOG_GUEST);
	CONTAINS(guest.log, "0xff");
	/* Which field is wrong, and where that is said. */
	CONTAINS(guest.log, "Opcode is 0xff, §4.1.1");
	EQUAL(api.vsmmu_run(guest.vsmmu, 0), 0);
	EQUAL(counters(&guest).commands, 1);
	EQUAL(counters(&guest).command_errors, 1);
	/* The driver replaces the command and goes on. */
	slot = COMMANDS + 16;
	store64(&guest, slot, SYNC);
	write_register(&guest, GERRORN, 1);
	EQUAL(read_register(&guest, CMDQ_CONS), 3);
	EQUAL(counters(&guest).commands, 3);
	guest_close(&guest);
}

static void log_is_thinned_out(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	for (int i = 0; i < 100; i++) {
		command(&guest, 0xff, 0);
		acknowledge(&guest);
		store64(&guest, COMMANDS + (read_register(&guest, CMDQ_CONS) & 0xff) * 16, SYNC);
		acknowledge(&guest);
	}
	EQUAL(counters(&guest).command_errors >= 100, 1);
	CHECK(guest.logs <= 10);
	CHECK(guest.logs >= 5);
	guest_close(&guest);
}

static void strict_commands(void)
{
	static struct guest guest;
	vsmmu_config config = { .size = sizeof(config) };

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, TLBI_NSNH_ALL | UINT64_C(1) << 40, 0);
	EQUAL(read_register(&guest, GERROR), 0);
	guest_close(&guest);
	config.flags = VSMMU_STRICT_COMMANDS;
	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, TLBI_NSNH_ALL, 0);
	EQUAL(read_register(&guest, GERROR), 0);
	command(&guest, TLBI_NSNH_ALL | UINT64_C(1) << 40, 0);
	EQUAL(read_register(&guest, GERROR), 1);
	guest_close(&guest);
}

static void quirk_el2(void)
{
	static struct guest guest;
	vsmmu_config config = { .size = sizeof(config) };

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, TLBI_EL2_ALL, 0);
	EQUAL(read_register(&guest, GERROR), 1);
	guest_close(&guest);
	config.flags = VSMMU_QUIRK_TLBI_EL2;
	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, TLBI_EL2_ALL, 0);
	sync_all(&guest);
	EQUAL(read_register(&guest, GERROR), 0);
	guest_close(&guest);
}

static void sync_interrupts(void)
{
	static struct guest guest;
	vsmmu_config config = { .size = sizeof(config) };
	/* CS 1: an interrupt; MSIData in 63:32. */
	uint64_t by_interrupt = SYNC | 1 << 12 | UINT64_C(0x1234) << 32;

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, by_interrupt, 0);
	EQUAL(guest.interrupts[VSMMU_IRQ_SYNC], 1);
	EQUAL(guest.message_count, 0);
	command(&guest, by_interrupt, DOORBELL);
	EQUAL(guest.message_count, 1);
	EQUAL(guest.messages[0].address, DOORBELL);
	EQUAL(guest.messages[0].data, 0x1234);
	/* Into RAM, as Linux polls for it. */
	command(&guest, by_interrupt, DATA);
	EQUAL(guest.message_count, 1);
	EQUAL(load64(&guest, DATA), 0x1234);
	EQUAL(guest.dirty[guest.dirty_count - 1].address, DATA);
	EQUAL(guest.dirty[guest.dirty_count - 1].length, 4);
	/* Refused: MSI_CMDQ_ABT_ERR. */
	guest.refuses_messages = true;
	command(&guest, by_interrupt, DOORBELL);
	EQUAL(read_register(&guest, GERROR), 1 << 4);
	guest_close(&guest);

	config.flags = VSMMU_NO_WIRED_IRQ;
	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	command(&guest, by_interrupt, DOORBELL);
	command(&guest, 0xff, 0);
	EQUAL(guest.message_count, 1);
	for (int line = 0; line < 4; line++)
		EQUAL(guest.interrupts[line], 0);
	guest_close(&guest);
}

static void queue_interrupts_by_message(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	write_register64(&guest, GERROR_IRQ_CFG0, DOORBELL);
	write_register(&guest, GERROR_IRQ_CFG1, 0x11);
	write_register64(&guest, EVENTQ_IRQ_CFG0, DOORBELL);
	write_register(&guest, EVENTQ_IRQ_CFG1, 0x22);
	guest_start(&guest);
	EQUAL(translate(&guest, 1, 0, 0).event, C_BAD_STE);
	EQUAL(guest.message_count, 1);
	EQUAL(guest.messages[0].data, 0x22);
	EQUAL(guest.interrupts[VSMMU_IRQ_EVENTQ], 1);
	command(&guest, 0xff, 0);
	EQUAL(guest.message_count, 2);
	EQUAL(guest.messages[1].address, DOORBELL);
	EQUAL(guest.messages[1].data, 0x11);
	guest_close(&guest);
}

/* An MSI without a callback of its own is a write to memory. */
static void messages_without_callback(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config) };
	vsmmu_ops ops = guest_ops;
	vsmmu_t *with_callback;

	if (!guest_open(&guest, NULL))
		return;
	with_callback = guest.vsmmu;
	ops.msi = NULL;
	EQUAL(api.vsmmu_create(&config, &ops, &guest, &guest.vsmmu, NULL, 0), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM, RAM_SIZE, guest.ram), 0);
	guest_start(&guest);
	command(&guest, SYNC | 1 << 12 | UINT64_C(0x1234) << 32, DEVICE + 8);
	EQUAL(load64(&guest, DEVICE + 8), 0x1234);
	EQUAL(guest.message_count, 0);
	api.vsmmu_destroy(with_callback);
	guest_close(&guest);
}

static const vsmmu_invalidation *notice(struct guest *guest, uint64_t low, uint64_t high)
{
	guest->notice_count = 0;
	memset(guest->notices, 0xff, sizeof(guest->notices));
	command(guest, low, high);
	CHECK(guest->notice_count >= 1);
	return &guest->notices[0];
}

/* A notice names at least what the command does. */
static void invalidations_are_told(void)
{
	static struct guest guest;
	const vsmmu_invalidation *n;
	uint64_t tags = UINT64_C(7) << 32 | UINT64_C(9) << 48, page = UINT64_C(0x123000);

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	n = notice(&guest, TLBI_NSNH_ALL, 0);
	EQUAL(n->kind, VSMMU_INVALIDATE_ALL);
	n = notice(&guest, TLBI_NH_ALL | UINT64_C(7) << 32, 0);
	EQUAL(n->kind, VSMMU_INVALIDATE_VMID);
	EQUAL(n->vmid, 7);
	n = notice(&guest, TLBI_S12_VMALL | UINT64_C(7) << 32, 0);
	EQUAL(n->kind, VSMMU_INVALIDATE_VMID);
	EQUAL(n->vmid, 7);
	n = notice(&guest, TLBI_NH_ASID | tags, 0);
	EQUAL(n->kind, VSMMU_INVALIDATE_ASID);
	EQUAL(n->vmid, 7);
	EQUAL(n->asid, 9);
	n = notice(&guest, TLBI_NH_VA | tags, page);
	EQUAL(n->kind, VSMMU_INVALIDATE_RANGE);
	EQUAL(n->vmid, 7);
	CHECK(n->address <= page && n->last >= page + 0xfff);
	n = notice(&guest, TLBI_NH_VAA | UINT64_C(7) << 32, page);
	EQUAL(n->kind, VSMMU_INVALIDATE_RANGE);
	EQUAL(n->vmid, 7);
	CHECK(n->address <= page && n->last >= page + 0xfff);
	/* TG 4K, SCALE 0, NUM 3: four pages. */
	n = notice(&guest, TLBI_NH_VA | tags | 3 << 12, page | 1 << 10);
	EQUAL(n->kind, VSMMU_INVALIDATE_RANGE);
	CHECK(n->address <= page && n->last >= page + 0x3fff);
	n = notice(&guest, TLBI_S2_IPA | UINT64_C(7) << 32, page);
	EQUAL(n->kind, VSMMU_INVALIDATE_IPA_RANGE);
	EQUAL(n->vmid, 7);
	CHECK(n->address <= page && n->last >= page + 0xfff);
	n = notice(&guest, CFGI_STE | UINT64_C(5) << 32, 1);
	EQUAL(n->kind, VSMMU_INVALIDATE_STREAMS);
	CHECK(n->address <= 5 && n->last >= 5);
	n = notice(&guest, CFGI_ALL, 31);
	EQUAL(n->kind, VSMMU_INVALIDATE_STREAMS);
	EQUAL(n->address, 0);
	CHECK(n->last >= UINT32_MAX);
	n = notice(&guest, CFGI_CD | UINT64_C(5) << 32, 1);
	EQUAL(n->kind, VSMMU_INVALIDATE_STREAMS);
	CHECK(n->address <= 5 && n->last >= 5);
	guest.notice_count = 0;
	EQUAL(api.vsmmu_reset(guest.vsmmu), 0);
	CHECK(guest.notice_count >= 1);
	guest_close(&guest);
}

void command_section(void)
{
	RUN(run_consumes_what_the_budget_left);
	RUN(commands_are_never_left_without_work);
	RUN(commands_wait_for_work);
	RUN(queue_wraps);
	RUN(command_errors_stop_the_queue);
	RUN(log_is_thinned_out);
	RUN(strict_commands);
	RUN(quirk_el2);
	RUN(sync_interrupts);
	RUN(queue_interrupts_by_message);
	RUN(messages_without_callback);
	RUN(invalidations_are_told);
}
