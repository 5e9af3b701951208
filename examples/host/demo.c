/* SPDX-License-Identifier: MIT */
#include "demo.h"

#include <inttypes.h>
#include <string.h>

#include "driver.h"

#define RAM_BASE UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x04000000)
#define GUEST_TABLES (RAM_BASE + UINT64_C(0x01000000)) /* what a nested guest calls its memory */
#define DATA (RAM_BASE + UINT64_C(0x02000000))
#define MIB2 UINT64_C(0x200000)
#define BOTH (SPACE_READ | SPACE_WRITE)

/* Few, so that commands are left to the main loop. */
#define COMMAND_BUDGET 4u

struct demo {
	struct driver driver;
	gboolean good;
};

static void expect(struct demo *demo, gboolean met, const char *what)
{
	if (!met)
		g_print("  NOT AS EXPECTED: %s\n", what);
	demo->good = demo->good && met;
}

static vsmmu_result access_to(const struct demo *demo, uint32_t stream, uint64_t address,
			      gboolean write)
{
	return machine_translate(demo->driver.machine, stream, address,
				 write ? VSMMU_ACCESS_WRITE : 0);
}

/* An access that must reach `output`. */
static void reach(struct demo *demo, uint32_t stream, uint64_t address, gboolean write,
		  uint64_t output)
{
	vsmmu_result result = access_to(demo, stream, address, write);

	if (result.kind == VSMMU_RESULT_OK)
		g_print("  stream %u: %-5s 0x%" PRIx64 " -> 0x%" PRIx64 " (%c%c, %" PRIu64
			" bytes on)\n", stream, write ? "write" : "read", address, result.address,
			(result.permissions & VSMMU_PERMIT_READ) ? 'r' : '-',
			(result.permissions & VSMMU_PERMIT_WRITE) ? 'w' : '-', result.length);
	expect(demo, result.kind == VSMMU_RESULT_OK && result.address == output, "the translation");
}

/* An access that must fault, and the event record that must follow. */
static void fault(struct demo *demo, uint32_t stream, uint64_t address, gboolean write,
		  const struct event *wanted)
{
	vsmmu_result result = access_to(demo, stream, address, write);
	struct event event;

	g_print("  stream %u: %-5s 0x%" PRIx64 " -> abort\n", stream, write ? "write" : "read",
		address);
	expect(demo, result.kind == VSMMU_RESULT_ABORT && result.event == event_kind(wanted),
	       "an abort with that event");
	expect(demo, machine_take_interrupt(demo->driver.machine, VSMMU_IRQ_EVENTQ),
	       "an event queue interrupt");
	if (!driver_take_event(&demo->driver, &event)) {
		expect(demo, FALSE, "an event record");
		return;
	}
	event_print(&event);
	expect(demo, event_kind(&event) == event_kind(wanted) && event_stream(&event) == stream &&
	       event_input(&event) == address && event_is_read(&event) == !write, "the record");
	expect(demo, event_is_stage2(&event) == event_is_stage2(wanted) &&
	       event_class(&event) == event_class(wanted), "its stage and class");
	if (event_is_stage2(wanted))
		expect(demo, event_ipa(&event) == event_ipa(wanted), "its IPA");
}

/* The part of a record that `fault` compares. */
static struct event stage1_event(unsigned kind)
{
	return (struct event){ { kind, UINT64_C(2) << (104 - 64) } };
}

static struct event stage2_event(unsigned kind, unsigned class, uint64_t ipa)
{
	return (struct event){ { kind, (uint64_t)class << (104 - 64) | UINT64_C(1) << (103 - 64), 0,
				 ipa } };
}

static void sync_or_fail(struct demo *demo)
{
	expect(demo, driver_sync(&demo->driver), "CMD_SYNC to complete");
}

static void attach(struct demo *demo, uint32_t stream, uint64_t context,
		   const struct space *second, uint16_t vmid)
{
	struct driver *driver = &demo->driver;

	stream_write(&driver->machine->ram, driver_stream(driver, stream), context, second, vmid,
		     driver->output_size);
	driver_invalidate_stream(driver, stream);
	sync_or_fail(demo);
}

static void show_identity(const struct demo *demo)
{
	static const unsigned sizes[8] = { 32, 36, 40, 42, 44, 48, 52, 56 };
	const struct driver *driver = &demo->driver;
	const struct library *library = driver->machine->library;

	g_print("libvsmmuv3 %s, API %u.%u\n", library->library_version(),
		library->api_version() >> 16, library->api_version() & 0xffff);
	g_print("  IDR0 0x%08x  stage 1 %s, stage 2 %s, MSI %s, %d-bit ASIDs, %d-bit VMIDs, %s "
		"stream tables\n", driver->idr0, bits(driver->idr0, 1, 1) ? "yes" : "no",
		bits(driver->idr0, 0, 0) ? "yes" : "no", bits(driver->idr0, 13, 13) ? "yes" : "no",
		bits(driver->idr0, 12, 12) ? 16 : 8, bits(driver->idr0, 18, 18) ? 16 : 8,
		bits(driver->idr0, 28, 27) ? "2-level" : "linear");
	g_print("  IDR1 0x%08x  %u-bit StreamIDs, %u-bit SubstreamIDs, queues of 2^%u commands and "
		"2^%u events\n", driver->idr1, (unsigned)bits(driver->idr1, 5, 0),
		(unsigned)bits(driver->idr1, 10, 6), (unsigned)bits(driver->idr1, 25, 21),
		(unsigned)bits(driver->idr1, 20, 16));
	g_print("  IDR3 0x%08x  range invalidation %s, block size changes level %u\n", driver->idr3,
		bits(driver->idr3, 10, 10) ? "yes" : "no", (unsigned)bits(driver->idr3, 12, 11));
	g_print("  IDR5 0x%08x  %u-bit addresses, granules%s%s%s\n", driver->idr5,
		sizes[driver->output_size], bits(driver->idr5, 4, 4) ? " 4K" : "",
		bits(driver->idr5, 5, 5) ? " 16K" : "", bits(driver->idr5, 6, 6) ? " 64K" : "");
}

/* 16 bytes over the end of a page whose successor lies elsewhere. */
static void copy(struct demo *demo, uint32_t stream, uint64_t address, uint64_t first,
		 uint64_t second)
{
	static const char text[] = "across two pages";
	const struct machine *machine = demo->driver.machine;
	vsmmu_access access = { .size = sizeof access, .stream = stream, .address = address - 8 };
	vsmmu_result result = { .size = sizeof result };
	char back[16] = "";

	machine->library->dma_write(machine->smmu, &access, text, 16, &result);
	expect(demo, result.kind == VSMMU_RESULT_OK && result.length == 16, "a DMA write");
	expect(demo, memcmp(ram_at(&machine->ram, first, 8), text, 8) == 0 &&
	       memcmp(ram_at(&machine->ram, second, 8), text + 8, 8) == 0, "its bytes in place");
	machine->library->dma_read(machine->smmu, &access, back, sizeof back, &result);
	expect(demo, memcmp(back, text, sizeof back) == 0, "the same bytes back");
	g_print("  stream %u: DMA of 16 bytes at 0x%" PRIx64 ": 8 at 0x%" PRIx64 ", 8 at 0x%" PRIx64
		"\n", stream, access.address, first, second);
}

/* Tables change, but the SMMU may go on with what it has cached until it is told. */
static void go_stale(struct demo *demo, struct space *space, uint64_t input, uint64_t old)
{
	uint64_t new = old + 9 * PAGE_BYTES;

	g_print("\nA page moves from 0x%" PRIx64 " to 0x%" PRIx64 "\n", old, new);
	space_map(space, input, new, 3, BOTH);
	reach(demo, 8, input, FALSE, old);
	g_print("  ... the old one, from the TLB; now CMD_TLBI_NH_VA and CMD_SYNC\n");
	driver_invalidate_address(&demo->driver, 1, 0, input);
	sync_or_fail(demo);
	reach(demo, 8, input, FALSE, new);
}

static void stage1(struct demo *demo)
{
	struct pages *pages = &demo->driver.pages;
	struct space space = space_new(pages, 1, 0);
	const uint64_t input = 0x10000000;
	struct event missing = stage1_event(EVENT_F_TRANSLATION);
	struct event denied = stage1_event(EVENT_F_PERMISSION);

	g_print("\nStage 1: a device address (IOVA) becomes a physical one\n");
	space_map(&space, input, DATA, 3, BOTH);
	space_map(&space, input + 0x1000, DATA + 0x7000, 3, BOTH);
	space_map(&space, input + 0x2000, DATA + 0x8000, 3, SPACE_READ);
	space_map(&space, 0x20000000, DATA + MIB2, 2, BOTH);
	attach(demo, 8, context_new(pages, &space, 1, demo->driver.output_size), NULL, 0);
	reach(demo, 8, input + 0x123, FALSE, DATA + 0x123);
	reach(demo, 8, input + 0x2010, FALSE, DATA + 0x8010);
	reach(demo, 8, 0x20012340, TRUE, DATA + MIB2 + 0x12340);
	copy(demo, 8, input + 0x1000, DATA + 0xff8, DATA + 0x7000);
	fault(demo, 8, input + 0x3000, FALSE, &missing);
	fault(demo, 8, input + 0x2010, TRUE, &denied);
	go_stale(demo, &space, input, DATA);
}

static void stage2(struct demo *demo)
{
	struct space space = space_new(&demo->driver.pages, 2, 0);
	struct event missing = stage2_event(EVENT_F_TRANSLATION, 2, 0x80200000);
	struct event denied = stage2_event(EVENT_F_PERMISSION, 2, 0x90000000);

	g_print("\nStage 2: a guest's address (IPA), as of an assigned device without a vIOMMU\n");
	space_map(&space, 0x80000000, DATA + 2 * MIB2, 2, BOTH);
	space_map(&space, 0x90000000, DATA + 0x3000, 3, SPACE_READ);
	attach(demo, 9, 0, &space, 7);
	reach(demo, 9, 0x80001000, TRUE, DATA + 2 * MIB2 + 0x1000);
	reach(demo, 9, 0x90000010, FALSE, DATA + 0x3010);
	fault(demo, 9, 0x80200040, FALSE, &missing);
	fault(demo, 9, 0x90000010, TRUE, &denied);
}

/*
 * A guest's own stage 1 whose every pointer, TTB0 and the CD's address too, is an IPA. Stage 2 maps
 * 2 MiB of the guest's tables and 2 MiB of its data; whatever the guest puts elsewhere faults.
 */
static void nested(struct demo *demo)
{
	const uint64_t tables = 0x10000000, data = 0x18000000, input = UINT64_C(0x7000000000);
	struct pages guest = { .ram = &demo->driver.machine->ram, .next = GUEST_TABLES };
	struct space first = space_new(&guest, 1, GUEST_TABLES - tables);
	struct space second = space_new(&demo->driver.pages, 2, 0);
	struct event output = stage2_event(EVENT_F_TRANSLATION, 2, data + MIB2);
	struct event table = stage2_event(EVENT_F_TRANSLATION, 1, tables + MIB2);
	uint64_t context = context_new(&guest, &first, 2, demo->driver.output_size);

	g_print("\nNested: the guest's stage 1 over the hypervisor's stage 2\n");
	space_map(&second, tables, GUEST_TABLES, 2, BOTH);
	space_map(&second, data, DATA + 3 * MIB2, 2, BOTH);
	space_map(&first, input, data + 0x4000, 3, BOTH);
	space_map(&first, input + 0x1000, data + MIB2, 3, BOTH);
	guest.next = GUEST_TABLES + MIB2;
	space_map(&first, 0x10000000, data, 3, BOTH);
	attach(demo, 10, context - first.shift, &second, 8);
	reach(demo, 10, input + 0x10, TRUE, DATA + 3 * MIB2 + 0x4010);
	g_print("  the guest maps an IPA that it does not have:\n");
	fault(demo, 10, input + 0x1008, TRUE, &output);
	g_print("  the guest puts a table where it has no memory:\n");
	fault(demo, 10, 0x10000010, FALSE, &table);
}

static void illegal_command(struct demo *demo)
{
	struct driver *driver = &demo->driver;
	uint32_t index;
	unsigned error;

	g_print("\nAn illegal command stops the queue\n");
	driver_command(driver, 0xff, 0);
	expect(demo, !driver_sync(driver), "the queue to stop");
	expect(demo, machine_take_interrupt(driver->machine, VSMMU_IRQ_GERROR),
	       "a GERROR interrupt");
	driver_recover(driver, &index, &error);
	g_print("  GERROR.CMDQ_ERR: command %u, CERROR %u (%s)\n", index, error,
		error == 1 ? "CERROR_ILL" : "?");
	expect(demo, error == 1, "CERROR_ILL");
	sync_or_fail(demo);
	g_print("  a CMD_SYNC in its place, the error acknowledged: the queue runs again\n");
}

/* More commands than one register access consumes: the library asks for vsmmu_run. */
static void leave_work(struct demo *demo)
{
	struct machine *machine = demo->driver.machine;
	gint before = g_atomic_int_get(&machine->runs);

	g_print("\n40 invalidations, of which a register write consumes %u\n", COMMAND_BUDGET);
	for (uint64_t page = 0; page < 40; page++)
		driver_invalidate_address(&demo->driver, 1, 0, page * PAGE_BYTES);
	sync_or_fail(demo);
	g_print("  the main loop called vsmmu_run %d times\n",
		g_atomic_int_get(&machine->runs) - before);
	expect(demo, g_atomic_int_get(&machine->runs) > before, "work for the main loop");
}

static void show_counters(struct demo *demo)
{
	const struct machine *machine = demo->driver.machine;
	vsmmu_counters counters = { .size = sizeof counters };

	expect(demo, machine->library->get_counters(machine->smmu, &counters) == 0, "counters");
	g_print("\n%" PRIu64 " commands, %" PRIu64 " table walks, %" PRIu64 " STE fetches, %" PRIu64
		" events\n", counters.commands, counters.tlb_misses, counters.configuration_misses,
		counters.events_recorded);
	expect(demo, counters.events_recorded == 6 && counters.events_dropped == 0, "six events");
	expect(demo, g_atomic_int_get(&machine->unknown) == 0, "no access outside memory");
}

static void play(struct machine *machine, void *argument)
{
	struct demo *demo = argument;

	if (!driver_start(&demo->driver, machine, RAM_BASE)) {
		expect(demo, FALSE, "the SMMU to start");
		return;
	}
	show_identity(demo);
	stage1(demo);
	stage2(demo);
	nested(demo);
	illegal_command(demo);
	leave_work(demo);
	show_counters(demo);
	g_print("\n%s\n", demo->good ? "All as expected." : "NOT all as expected.");
}

gboolean demo(const struct library *library, gboolean verbose, GError **error)
{
	vsmmu_config config = { .size = sizeof config, .command_budget = COMMAND_BUDGET };
	struct machine machine = { .verbose = verbose };
	struct demo demo = { .good = TRUE };
	gboolean made;

	if (!ram_reserve(&machine.ram, RAM_BASE, RAM_SIZE))
		return FALSE;
	ram_know(&machine.ram, RAM_BASE, RAM_SIZE);
	made = machine_create(&machine, library, &config, error);
	for (uint32_t stream = 8; made && stream <= 10; stream++)
		library->stream_add(machine.smmu, stream);
	if (made)
		machine_run(&machine, play, &demo);
	machine_free(&machine);
	ram_free(&machine.ram);
	return made && demo.good;
}
