/* SPDX-License-Identifier: MIT */
/* Callbacks that call the device whose they are: refused, from serial calls and from DMA. */
#include "guest.h"

#include <pthread.h>
#include <stdio.h>

enum callback { READ, WRITE, DIRTY, IRQ, MSI, INVALIDATE, WORK, LOG, CALLBACKS };

static const char *const names[CALLBACKS] = {
	"mem_read", "mem_write", "mem_dirty", "irq", "msi", "invalidate", "work", "log",
};

struct calls {
	struct guest guest; /* first: it is what callbacks are given */
	struct guest *other;
	/* Where each callback was met: in a serial call, in a DMA. */
	unsigned met[CALLBACKS][2];
	bool is_dma, is_tried;
	uint8_t page[4096];
};

static struct calls calls;
static struct guest other;

#define REFUSES(call) EQUAL(api.call, -EDEADLK)

static void serial_calls(vsmmu_t *vsmmu)
{
	vsmmu_counters counters = { .size = sizeof(counters) };
	const vsmmu_id_mapping mapping = { .count = 1 };
	const vsmmu_iort iort = {
		.size = sizeof(iort), .mappings = &mapping, .mapping_count = 1,
	};
	const vsmmu_dvm_op op = { .size = sizeof(op) };
	uint8_t state[4096];
	uint64_t value;

	REFUSES(vsmmu_mmio_read(vsmmu, IDR0, 4, &value));
	REFUSES(vsmmu_mmio_write(vsmmu, CR0, 4, 0));
	REFUSES(vsmmu_run(vsmmu, 0));
	REFUSES(vsmmu_reset(vsmmu));
	REFUSES(vsmmu_ram_add(vsmmu, UINT64_C(0x90000000), 4096, calls.page));
	REFUSES(vsmmu_ram_remove(vsmmu, RAM));
	REFUSES(vsmmu_stream_add(vsmmu, 100));
	REFUSES(vsmmu_stream_remove(vsmmu, 1));
	REFUSES(vsmmu_save(vsmmu, state, sizeof(state)));
	REFUSES(vsmmu_validate(vsmmu, state, 16));
	REFUSES(vsmmu_restore(vsmmu, state, 16));
	REFUSES(vsmmu_get_counters(vsmmu, &counters));
	REFUSES(vsmmu_iort_nodes(vsmmu, &iort, NULL, 0));
	REFUSES(vsmmu_freeze(vsmmu));
	REFUSES(vsmmu_negotiation_report(vsmmu, VSMMU_REPORT_TEXT, NULL, 0));
	REFUSES(vsmmu_dvm(vsmmu, &op));
}

static void host_calls(vsmmu_t *vsmmu)
{
	vsmmu_device device = { .size = sizeof(device), .path = "/dev/null" };
	vsmmu_device_info info = { .size = sizeof(info) };
	vsmmu_host_counters counters = { .size = sizeof(counters) };
	uint64_t first, last;

	REFUSES(vsmmu_device_attach(vsmmu, &device));
	REFUSES(vsmmu_device_detach(vsmmu, 1));
	REFUSES(vsmmu_device_renumber(vsmmu, 1, 2));
	REFUSES(vsmmu_device_reset(vsmmu, 1));
	REFUSES(vsmmu_device_fd(vsmmu, 1));
	REFUSES(vsmmu_get_device_info(vsmmu, 1, &info));
	REFUSES(vsmmu_set_host(vsmmu, NULL, 0, 0));
	REFUSES(vsmmu_give_kvm_vfio(vsmmu, 0));
	REFUSES(vsmmu_kvm_vfio_fd(vsmmu));
	REFUSES(vsmmu_link_vm(vsmmu, 0, 0));
	REFUSES(vsmmu_msi_window(vsmmu, &first, &last));
	REFUSES(vsmmu_event_fd(vsmmu));
	REFUSES(vsmmu_event_run(vsmmu));
	REFUSES(vsmmu_event_thread(vsmmu, 0));
	REFUSES(vsmmu_get_host_counters(vsmmu, &counters));
}

static void dma_calls(vsmmu_t *vsmmu)
{
	const vsmmu_access cold = {
		.size = sizeof(cold), .stream = 1, .address = UINT64_C(0x3333333000),
	};
	vsmmu_access look = cold;
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t word = 0;

	REFUSES(vsmmu_translate(vsmmu, &cold, &result));
	look.flags = VSMMU_ACCESS_INSPECT;
	REFUSES(vsmmu_translate(vsmmu, &look, &result));
	REFUSES(vsmmu_dma_read(vsmmu, &cold, &word, 8, &result));
	REFUSES(vsmmu_dma_write(vsmmu, &cold, &word, 8, &result));
}

static void allowed_calls(vsmmu_t *vsmmu)
{
	char message[200] = "";
	uint64_t value, token = api.vsmmu_access_begin(vsmmu);

	api.vsmmu_access_end(vsmmu, token);
	CHECK(api.vsmmu_error_message(vsmmu, message, sizeof(message)) > 0);
	CONTAINS(message, "callback");
	/* Another device is another matter. */
	EQUAL(api.vsmmu_mmio_read(other.vsmmu, IDR0, 4, &value), 0);
	EQUAL(api.vsmmu_stream_add(other.vsmmu, 100), 0);
	EQUAL(api.vsmmu_stream_remove(other.vsmmu, 100), 0);
}

/* Each callback's first thing. */
static void try(struct calls *c, enum callback which)
{
	if (!c->is_tried)
		return;
	c->met[which][c->is_dma]++;
	serial_calls(c->guest.vsmmu);
	host_calls(c->guest.vsmmu);
	dma_calls(c->guest.vsmmu);
	allowed_calls(c->guest.vsmmu);
}

static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	try(opaque, READ);
	return guest_ops.mem_read(opaque, address, data, length);
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	try(opaque, WRITE);
	return guest_ops.mem_write(opaque, address, data, length);
}

static void on_dirty(void *opaque, uint64_t address, uint64_t length)
{
	(void)address;
	(void)length;
	try(opaque, DIRTY);
}

static void on_irq(void *opaque, uint32_t line)
{
	(void)line;
	try(opaque, IRQ);
}

static int32_t on_msi(void *opaque, uint64_t address, uint32_t data)
{
	(void)address;
	(void)data;
	try(opaque, MSI);
	return 0;
}

static void on_invalidate(void *opaque, const vsmmu_invalidation *what)
{
	(void)what;
	try(opaque, INVALIDATE);
}

static void on_work(void *opaque)
{
	try(opaque, WORK);
}

static void on_log(void *opaque, uint32_t blame, const char *message)
{
	(void)blame;
	(void)message;
	try(opaque, LOG);
}

static const vsmmu_ops ops = {
	.size = sizeof(ops), .mem_read = on_read, .mem_write = on_write, .mem_dirty = on_dirty,
	.irq = on_irq, .msi = on_msi, .invalidate = on_invalidate, .work = on_work, .log = on_log,
};

static void begin(bool is_dma)
{
	calls.is_dma = is_dma;
	calls.is_tried = true;
}

static void end(void)
{
	calls.is_tried = false;
}

/* Commands of the queue `at`, of 2^1 entries, made anew. */
static void restart_queue(struct guest *guest, uint64_t at)
{
	write_register(guest, CR0, 5);
	write_register64(guest, CMDQ_BASE, at | 1);
	write_register(guest, CMDQ_PROD, 0);
	write_register(guest, CMDQ_CONS, 0);
	write_register(guest, CR0, 0xd);
}

static void give(struct guest *guest, uint64_t at, const uint64_t words[4], uint64_t producer)
{
	for (unsigned i = 0; i < 4; i++)
		store64(guest, at + 8 * i, words[i]);
	begin(false);
	write_register(guest, CMDQ_PROD, producer);
	end();
}

/* CS = 1 and an MSI: to memory behind the callbacks where `msi` is NULL, to RAM, to a doorbell. */
static uint64_t sync_with_message(uint32_t data)
{
	return SYNC | 1 << 12 | (uint64_t)data << 32;
}

static void serial_callbacks(struct guest *guest)
{
	/* A queue behind mem_read; a TLBI that is told, and an MSI to RAM. */
	const uint64_t first[4] = { TLBI_NSNH_ALL, 0, sync_with_message(1), DATA };
	/* The budget is 1. An MSI to a doorbell, and an illegal command. */
	const uint64_t second[4] = { sync_with_message(2), DOORBELL, 0xff, 0 };

	restart_queue(guest, DEVICE);
	give(guest, DEVICE, first, 2);
	begin(false);
	while (api.vsmmu_run(guest->vsmmu, 1) == 1) {}
	end();
	restart_queue(guest, DEVICE);
	give(guest, DEVICE, second, 2);
	begin(false);
	while (api.vsmmu_run(guest->vsmmu, 1) == 1) {}
	end();
	acknowledge(guest);
	restart_queue(guest, COMMANDS);
}

static void *dma(void *opaque)
{
	const vsmmu_access device = {
		.size = sizeof(device), .stream = 1, .address = 0x1000,
	}, page = {
		.size = sizeof(page), .stream = 1, .address = 0x2000,
	}, fault = {
		.size = sizeof(fault), .stream = 1, .address = 0x3000,
	};
	vsmmu_result result = { .size = sizeof(result) };
	struct guest *guest = opaque;
	uint64_t word = 0;

	begin(true);
	EQUAL(api.vsmmu_dma_read(guest->vsmmu, &device, &word, 8, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_dma_write(guest->vsmmu, &device, &word, 8, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_dma_write(guest->vsmmu, &page, &word, 8, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	/* More than the event queue holds. */
	for (unsigned i = 0; i < (2 << EVENT_BITS); i++) {
		EQUAL(api.vsmmu_translate(guest->vsmmu, &fault, &result), 0);
		EQUAL(result.event, F_TRANSLATION);
	}
	end();
	return NULL;
}

static void run_dma(struct guest *guest)
{
	pthread_t thread;

	EQUAL(pthread_create(&thread, NULL, dma, guest), 0);
	pthread_join(thread, NULL);
	write_register(guest, EVENTQ_CONS, read_register(guest, EVENTQ_PROD));
}

/* Wired interrupts, and messages: an event queue's interrupt is one or the other. */
static void configure_messages(struct guest *guest, uint64_t address)
{
	write_register(guest, IRQ_CTRL, 0);
	write_register64(guest, EVENTQ_IRQ_CFG0, address);
	write_register64(guest, GERROR_IRQ_CFG0, address);
	write_register(guest, IRQ_CTRL, 5);
}

static bool open_both(const vsmmu_ops *with)
{
	const vsmmu_config config = { .size = sizeof(config), .command_budget = 1 };

	if (!guest_open(&other, NULL))
		return false;
	memset(&calls, 0, sizeof(calls));
	if (guest_open_with(&calls.guest, &config, with))
		return true;
	guest_close(&other);
	return false;
}

static void work_all(struct guest *guest)
{
	while (api.vsmmu_run(guest->vsmmu, 0) == 1) {}
}

static void prepare(struct guest *guest)
{
	const uint64_t cd[4] = {
		UINT64_C(25) | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 |
			UINT64_C(1) << 41 | UINT64_C(1) << 45 | UINT64_C(1) << 46,
		STAGE1, 0, 0xff,
	};

	guest_start(guest);
	for (int i = 0; i < 4; i++)
		store64(guest, CONTEXT + 8 * i, cd[i]);
	store64(guest, STREAM_TABLE + 64 + 8, UINT64_C(1) << 44);
	store64(guest, STREAM_TABLE + 64, 1 | 5 << 1 | CONTEXT);
	map(guest, STAGE1, 0x1000, DEVICE + 0x1000, PAGE1);
	map(guest, STAGE1, 0x2000, DATA + 0x1000, PAGE1);
	work_all(guest);
}

static void check_met(bool has_msi)
{
	for (unsigned i = 0; i < CALLBACKS; i++)
		for (unsigned by_dma = 0; by_dma < 2; by_dma++) {
			if (by_dma && (i == INVALIDATE || i == WORK))
				continue;
			/* A serial call writes nothing but messages. */
			if ((i == MSI && !has_msi) || (i == WRITE && !by_dma && has_msi))
				continue;
			if (!CHECK(calls.met[i][by_dma] > 0))
				printf("  %s was not met in a %s\n", names[i],
				       by_dma ? "DMA" : "serial call");
		}
}

static void callbacks(bool has_msi)
{
	vsmmu_ops with = ops;

	if (!has_msi)
		with.msi = NULL;
	if (!open_both(&with))
		return;
	prepare(&calls.guest);
	serial_callbacks(&calls.guest);
	run_dma(&calls.guest);
	configure_messages(&calls.guest, has_msi ? DOORBELL : DEVICE + 0x2000);
	serial_callbacks(&calls.guest);
	/* The faults are told again when there are twice as many. */
	run_dma(&calls.guest);
	run_dma(&calls.guest);
	check_met(has_msi);
	/* Nothing of what was refused has been done. */
	EQUAL(read_register(&calls.guest, CR0ACK), 0xd);
	EQUAL(translate(&calls.guest, 1, 0x2000, 0).address, DATA + 0x1000);
	guest_close(&calls.guest);
	guest_close(&other);
}

static void callbacks_may_not_call(void)
{
	callbacks(true);
}

/* MSIs are writes then. The doorbell's aborts. */
static void callbacks_may_not_call_for_messages(void)
{
	callbacks(false);
}

/* What is in the TLB is answered wherever it is asked. */
static void on_notice(void *opaque, const vsmmu_invalidation *what)
{
	struct calls *c = opaque;

	(void)what;
	if (!c->is_tried)
		return;
	c->met[INVALIDATE][0]++;
	EQUAL(translate(&c->guest, 1, 0x2000, 0).address, DATA + 0x1000);
}

static void callbacks_may_translate_what_is_known(void)
{
	vsmmu_ops with = ops;

	with.invalidate = on_notice;
	if (!open_both(&with))
		return;
	prepare(&calls.guest);
	EQUAL(translate(&calls.guest, 1, 0x2000, 0).address, DATA + 0x1000);
	calls.is_tried = true;
	/* Another ASID's. */
	command(&calls.guest, TLBI_NH_ASID | UINT64_C(77) << 48, 0);
	calls.is_tried = false;
	EQUAL(calls.met[INVALIDATE][0], 1);
	guest_close(&calls.guest);
	guest_close(&other);
}

/* An event queue behind mem_write, which is called with the queue's lock held. */
static void callbacks_of_the_event_queue(void)
{
	if (!open_both(&ops))
		return;
	prepare(&calls.guest);
	write_register(&calls.guest, CR0, 9);
	write_register64(&calls.guest, EVENTQ_BASE, (DEVICE + 0x3000) | EVENT_BITS);
	write_register(&calls.guest, CR0, 0xd);
	run_dma(&calls.guest);
	CHECK(calls.met[WRITE][1] >= 2);
	guest_close(&calls.guest);
	guest_close(&other);
}

void callback_section(void)
{
	RUN(callbacks_may_not_call);
	RUN(callbacks_may_not_call_for_messages);
	RUN(callbacks_of_the_event_queue);
	RUN(callbacks_may_translate_what_is_known);
}
