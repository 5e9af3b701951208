/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <inttypes.h>
#include <string.h>

#include "event.h"

struct probe {
	struct machine *machine;
	const struct capture *snapshot;
	struct report *report;
};

/* One address of a mapping that ends after `room` bytes. */
static void check_mapped(const struct probe *probe, const struct item *item, uint64_t offset,
			 uint64_t room, uint64_t permissions, uint32_t flags)
{
	uint32_t stream = (uint32_t)item->number[0];
	uint64_t input = item->number[1] + offset;
	uint64_t output = item->kind == 'T' ? item->number[3] + offset : item->number[2];
	vsmmu_result result = machine_translate(probe->machine, stream, input, flags);
	uint32_t rights = result.permissions & (VSMMU_PERMIT_READ | VSMMU_PERMIT_WRITE);

	if (result.kind != VSMMU_RESULT_OK)
		report_difference(probe->report,
				  "line %u: stream 0x%x, 0x%" PRIx64 ": kind %u, event 0x%x",
				  item->line, stream, input, result.kind, result.event);
	else if (result.address != output || rights != permissions)
		report_difference(probe->report,
				  "line %u: stream 0x%x, 0x%" PRIx64 " -> 0x%" PRIx64
				  " rights %u, should be 0x%" PRIx64 " rights %u",
				  item->line, stream, input, result.address, rights, output,
				  (unsigned)permissions);
	else if (result.length == 0 || result.length > room)
		report_difference(probe->report,
				  "line %u: stream 0x%x, 0x%" PRIx64 ": covers %" PRIu64
				  " bytes, the mapping %" PRIu64,
				  item->line, stream, input, result.length, room);
}

/* A run of mapped memory: each of its pages, in each permitted direction. */
static void check_run(const struct probe *probe, const struct item *item)
{
	uint64_t length = item->number[2];
	uint64_t permissions = item->number[4];

	for (uint32_t write = 0; write <= VSMMU_ACCESS_WRITE; write++) {
		if ((permissions & (write ? VSMMU_PERMIT_WRITE : VSMMU_PERMIT_READ)) == 0)
			continue;
		for (uint64_t at = 0; at < length; at += PAGE_BYTES) {
			check_mapped(probe, item, at, length - at, permissions, write);
			probe->report->pages++;
		}
	}
}

/* A translation that was logged; how far its mapping went is not known. */
static void check_logged(const struct probe *probe, const struct item *item)
{
	uint64_t permissions = item->number[3];
	uint32_t write = (permissions & VSMMU_PERMIT_READ) ? 0 : VSMMU_ACCESS_WRITE;

	check_mapped(probe, item, 0, UINT64_MAX, permissions, write);
	probe->report->logged++;
}

/* Stage 2 alone translates this stream: the snapshot's description of it says so. */
static gboolean stage2_only(const struct capture *snapshot, uint32_t stream)
{
	g_autofree char *start = g_strdup_printf("stream 0x%x ", stream);
	const struct item *item;

	for (guint i = 0; (item = capture_item(snapshot, i)) != NULL; i++)
		if (item->kind == 'I' && g_str_has_prefix(item->text, start))
			return strstr(item->text, " cfg=6 ") != NULL;
	return FALSE;
}

/*
 * The event of an F line, 0 for "abort". Where stage 1 is skipped, an address beyond the IPA size
 * is a stage 1 F_ADDR_SIZE (IHI 0070 G.b 3.4); the captures call it F_TRANSLATION.
 */
static unsigned expected_event(const struct probe *probe, const struct item *item)
{
	unsigned event = event_number(item->text + 2);
	uint64_t oas = capture_register(probe->snapshot, 'R', SMMU_IDR5, 0) & 7;
	static const unsigned size[8] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	if (event != EVENT_F_TRANSLATION || item->number[1] >> size[oas] == 0 ||
	    !stage2_only(probe->snapshot, (uint32_t)item->number[0]))
		return event;
	probe->report->renamed++;
	return EVENT_F_ADDR_SIZE;
}

/* The newest record of the event queue, which then is empty again. */
static struct event take_event(const struct probe *probe)
{
	const struct machine *machine = probe->machine;
	uint64_t base = machine_read(machine, SMMU_EVENTQ_BASE, 8);
	uint64_t prod = machine_read(machine, SMMU_EVENTQ_PROD, 4);
	uint64_t slot = (prod - 1) & ((UINT64_C(1) << queue_log2size(base)) - 1);
	struct event event;

	for (guint i = 0; i < G_N_ELEMENTS(event.word); i++)
		event.word[i] = ram_read64(&machine->ram,
					   queue_address(base) + slot * EVENT_BYTES + i * 8);
	machine_write(machine, SMMU_EVENTQ_CONS, 4, prod);
	return event;
}

static void check_record(const struct probe *probe, const struct item *item, unsigned expected,
			 gboolean write)
{
	struct event event = take_event(probe);
	gboolean same = event_kind(&event) == expected && event_stream(&event) == item->number[0];

	if (same && event_has_input(expected))
		same = event_input(&event) == item->number[1] && event_is_read(&event) == !write;
	if (!same)
		report_difference(probe->report,
				  "line %u: record %016" PRIx64 " %016" PRIx64 " %016" PRIx64
				  " %016" PRIx64 " should be %s", item->line, event.word[0],
				  event.word[1], event.word[2], event.word[3],
				  event_name(expected));
}

/* An access that must fail and leave nothing behind. */
static void check_silent_fault(const struct probe *probe, const struct item *item)
{
	gboolean write = item->text[0] == 'w';
	uint32_t flags = VSMMU_ACCESS_SPECULATIVE | (write ? VSMMU_ACCESS_WRITE : 0);
	uint64_t before = machine_read(probe->machine, SMMU_EVENTQ_PROD, 4);
	vsmmu_result result = machine_translate(probe->machine, (uint32_t)item->number[0],
						item->number[1], flags);

	probe->report->faults++;
	if (result.kind != VSMMU_RESULT_ABORT ||
	    machine_read(probe->machine, SMMU_EVENTQ_PROD, 4) != before)
		report_difference(probe->report,
				  "line %u: stream 0x%" PRIx64 ", 0x%" PRIx64
				  ": kind %u of a speculative %s", item->line, item->number[0],
				  item->number[1], result.kind, write ? "write" : "read");
}

/* An access that must fail: with the event named, recorded, or without any. */
static void check_fault(const struct probe *probe, const struct item *item)
{
	gboolean write = item->text[0] == 'w';
	uint64_t before = machine_read(probe->machine, SMMU_EVENTQ_PROD, 4);
	vsmmu_result result = machine_translate(probe->machine, (uint32_t)item->number[0],
						item->number[1], write ? VSMMU_ACCESS_WRITE : 0);
	unsigned expected = expected_event(probe, item);
	gboolean recorded = machine_read(probe->machine, SMMU_EVENTQ_PROD, 4) != before;

	probe->report->faults++;
	if (result.kind != VSMMU_RESULT_ABORT || result.event != expected ||
	    recorded != (expected != 0)) {
		report_difference(probe->report,
				  "line %u: stream 0x%" PRIx64 ", 0x%" PRIx64
				  ": kind %u, event 0x%x, %srecorded; should be event 0x%x",
				  item->line, item->number[0], item->number[1], result.kind,
				  result.event, recorded ? "" : "not ", expected);
		if (recorded)
			take_event(probe);
	} else if (recorded) {
		check_record(probe, item, expected, write);
	}
}

void probe_snapshot(struct machine *machine, const struct capture *snapshot,
		    struct report *report, gboolean silent)
{
	const struct probe probe = { machine, snapshot, report };
	const struct item *item;

	for (guint i = 0; (item = capture_item(snapshot, i)) != NULL; i++) {
		if (item->kind == 'T')
			check_run(&probe, item);
		else if (item->kind == 'D')
			check_logged(&probe, item);
		else if (item->kind == 'F' && silent)
			check_silent_fault(&probe, item);
		else if (item->kind == 'F')
			check_fault(&probe, item);
	}
}
