/* SPDX-License-Identifier: MIT */
/*
 * Every register access of a driver from power-on, with the commands that it gave. All writes are
 * made; each read is compared where its value is determined:
 *
 *   CMDQ_CONS     if the original had consumed all commands. Where it lagged behind, the read tells
 *                 how far it was at that moment; this device may be further on, never beyond PROD.
 *   EVENTQ_PROD   while every event of the trace could be repeated. The DMA that caused an event is
 *                 not in the trace; one with a StreamID outside the table (C_BAD_STREAMID) moves
 *                 the queue just so, if CR2.RECINVSID lets it be recorded.
 *   all others    always.
 *
 * Where a snapshot was taken, its memory is loaded and its translations are checked in passing.
 * What they leave in the caches, the driver's own invalidations must clear before the next one.
 */
#include <gio/gio.h>
#include <inttypes.h>
#include <string.h>

#include "event.h"
#include "load.h"
#include "probe.h"
#include "replay.h"

#define CONS_ERR UINT64_C(0x7f000000)

struct player {
	struct machine *machine;
	const struct capture *trace;
	GPtrArray *captures; /* the trace, then its snapshots in their order */
	guint snapshot;      /* index of the next one */
	struct report *report;
	uint64_t queue;    /* CMDQ_BASE */
	uint32_t prod;     /* CMDQ_PROD as last written */
	uint32_t placed;   /* commands behind PROD that are in memory already */
	gboolean consumes; /* CR0.CMDQEN */
	gboolean repeated; /* all events so far */
	gboolean refused;  /* a command; CONS.ERR has no meaning after that */
};

/* Index and wrap bit of a command queue position. */
static uint32_t position(const struct player *player, uint64_t value)
{
	return (uint32_t)(value & ((UINT64_C(2) << queue_log2size(player->queue)) - 1));
}

static void place_command(struct player *player, uint64_t w0, uint64_t w1)
{
	uint64_t mask = (UINT64_C(1) << queue_log2size(player->queue)) - 1;
	uint64_t slot = (player->prod + player->placed) & mask;
	uint64_t address = queue_address(player->queue) + slot * COMMAND_BYTES;

	ram_write64(&player->machine->ram, address, w0);
	ram_write64(&player->machine->ram, address + 8, w1);
	player->placed++;
}

/* The trace stops telling commands at its end; a CMD_SYNC is harmless and completes at once. */
static void publish_commands(struct player *player, uint64_t value)
{
	uint32_t count = position(player, value - player->prod);

	while (player->consumes && player->placed < count) {
		place_command(player, CMD_SYNC, 0);
		player->report->unlogged++;
	}
	player->prod = (uint32_t)value;
	player->placed = 0;
}

static void play_write(struct player *player, const struct item *item)
{
	uint64_t value = item->number[2];

	if (item->number[0] == SMMU_CMDQ_BASE)
		player->queue = value;
	else if (item->number[0] == SMMU_CR0)
		player->consumes = (value & CR0_CMDQEN) != 0;
	else if (item->number[0] == SMMU_CMDQ_PROD)
		publish_commands(player, value);
	machine_write(player->machine, item->number[0], (uint32_t)item->number[1], value);
	player->report->written++;
}

/*
 * The original swallowed CMD_ATC_INV without ATS, which is CERROR_ILL (4.5.1). A driver recovers
 * from that: a CMD_SYNC in the place of the command, then the error is acknowledged. Any other
 * refusal is a difference, but treated likewise so that the rest can be compared.
 */
static void recover(struct player *player, const struct item *item, uint64_t consumed)
{
	struct machine *machine = player->machine;
	uint64_t mask = (UINT64_C(1) << queue_log2size(player->queue)) - 1;
	uint64_t address = queue_address(player->queue) + (consumed & mask) * COMMAND_BYTES;
	unsigned opcode = (unsigned)bits(ram_read64(&machine->ram, address), 7, 0);
	gboolean ats = bits(machine_read(machine, SMMU_IDR0, 4), 10, 10) != 0;

	if (opcode == CMD_ATC_INV && !ats)
		player->report->refused++;
	else
		report_difference(player->report, "line %u: command 0x%02x: error %u", item->line,
				  opcode, (unsigned)bits(consumed, 30, 24));
	player->refused = TRUE;
	ram_write64(&machine->ram, address, CMD_SYNC);
	ram_write64(&machine->ram, address + 8, 0);
	machine_write(machine, SMMU_GERRORN, 4, machine_read(machine, SMMU_GERROR, 4));
}

static gboolean in_error(const struct machine *machine)
{
	uint64_t active = machine_read(machine, SMMU_GERROR, 4) ^
			  machine_read(machine, SMMU_GERRORN, 4);

	return (active & GERROR_CMDQ_ERR) != 0;
}

/* Reads CMDQ_CONS until it has come to where the original's was, like a driver that waits. */
static uint64_t wait_consumed(struct player *player, const struct item *item)
{
	gint64 deadline = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
	uint32_t wanted = position(player, item->number[2]);
	uint32_t left = position(player, player->prod - wanted);
	uint64_t value;

	do {
		value = machine_read(player->machine, SMMU_CMDQ_CONS, 4);
		if (in_error(player->machine))
			recover(player, item, value);
		else if (position(player, player->prod - value) <= left)
			break;
	} while (g_get_monotonic_time() < deadline);
	return player->refused ? value & ~CONS_ERR : value;
}

static void play_read(struct player *player, const struct item *item)
{
	struct report *report = player->report;
	uint64_t offset = item->number[0];
	uint64_t wanted = load_corrected((const void *)player->captures->pdata,
					 player->captures->len, offset, item->number[2]);
	uint64_t value;
	gboolean determined = TRUE;

	if (offset == SMMU_CMDQ_CONS) {
		value = wait_consumed(player, item);
		determined = position(player, item->number[2]) == position(player, player->prod);
	} else {
		value = machine_read(player->machine, offset, (uint32_t)item->number[1]);
		if (offset == SMMU_EVENTQ_PROD)
			determined = player->repeated;
	}
	if (!determined) {
		report->undetermined++;
		return;
	}
	report->compared++;
	report->corrected += wanted != item->number[2];
	if (value != wanted)
		report_difference(report,
				  "line %u: register 0x%" PRIx64 " reads 0x%" PRIx64
				  ", should be 0x%" PRIx64, item->line, offset, value, wanted);
}

static void play_event(struct player *player)
{
	vsmmu_result result = machine_translate(player->machine, NO_STREAM, 0, 0);

	if (result.event != EVENT_C_BAD_STREAMID)
		player->repeated = FALSE;
}

static void play_mark(struct player *player)
{
	const struct capture *snapshot;

	if (player->snapshot >= player->captures->len)
		return;
	snapshot = g_ptr_array_index(player->captures, player->snapshot++);
	load_memory(&player->machine->ram, snapshot);
	probe_snapshot(player->machine, snapshot, player->report, TRUE);
	player->report->snapshots++;
}

/* The vCPU's part. */
static void play(struct machine *machine, void *argument)
{
	struct player *player = argument;
	const struct item *item;

	player->machine = machine;
	for (guint i = 0; (item = capture_item(player->trace, i)) != NULL; i++) {
		switch (item->kind) {
		case 'W':
			play_write(player, item);
			break;
		case 'R':
			play_read(player, item);
			break;
		case 'C':
			place_command(player, item->number[0], item->number[1]);
			player->report->commands++;
			break;
		case 'E':
			play_event(player);
			break;
		case 'S':
			play_mark(player);
			break;
		default:
			break;
		}
	}
	if (g_atomic_int_get(&machine->unknown) > 0)
		report_difference(player->report, "%d accesses to memory outside the capture",
				  g_atomic_int_get(&machine->unknown));
}

/* The snapshots of the trace's marks, up to the first that does not lie beside it. */
static gboolean load_snapshots(struct player *player, GError **error)
{
	const struct item *item;

	for (guint i = 0; (item = capture_item(player->trace, i)) != NULL; i++) {
		g_autofree char *mark = NULL;
		g_autofree char *path = NULL;
		struct capture *snapshot;

		if (item->kind != 'S')
			continue;
		mark = g_strndup(item->text, strcspn(item->text, " "));
		path = capture_snapshot_path(player->trace, mark);
		if (path == NULL || !g_file_test(path, G_FILE_TEST_EXISTS))
			return TRUE;
		snapshot = g_new0(struct capture, 1);
		g_ptr_array_add(player->captures, snapshot);
		if (!capture_load(snapshot, path, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean play_machine(const struct library *library, struct player *player,
			     const struct replay_options *options, GError **error)
{
	const struct capture *const *captures = (const void *)player->captures->pdata;
	g_autofree char *features = load_features(captures, player->captures->len);
	vsmmu_config config = { .size = sizeof config, .command_budget = options->budget,
				.features = features };
	struct machine machine = { .verbose = options->verbose };
	gboolean made;

	if (!load_ram(&machine.ram, captures, player->captures->len, TRUE)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no memory for it");
		return FALSE;
	}
	made = machine_create(&machine, library, &config, error);
	if (made && load_streams(&machine, captures, player->captures->len))
		machine_run(&machine, play, player);
	else if (made)
		report_difference(player->report, "a stream was refused");
	machine_free(&machine);
	ram_free(&machine.ram);
	return made;
}

gboolean replay_trace(const struct library *library, const struct capture *trace,
		      const struct replay_options *options, struct report *report, GError **error)
{
	struct player player = { .trace = trace, .report = report, .snapshot = 1,
				 .repeated = TRUE };
	gboolean played;

	player.captures = g_ptr_array_new();
	g_ptr_array_add(player.captures, (gpointer)trace);
	played = load_snapshots(&player, error) && play_machine(library, &player, options, error);
	/* The first is the caller's. */
	for (guint i = 1; i < player.captures->len; i++) {
		capture_free(g_ptr_array_index(player.captures, i));
		g_free(g_ptr_array_index(player.captures, i));
	}
	g_ptr_array_unref(player.captures);
	return played;
}
