/* SPDX-License-Identifier: MIT */
/* A stopped machine: load it, then every translation and fault must be as it was. */
#include <gio/gio.h>
#include <inttypes.h>

#include "load.h"
#include "probe.h"
#include "replay.h"
#include "smmu.h"

struct stopped {
	const struct capture *snapshot;
	struct report *report;
};

static void compare(struct report *report, const struct machine *machine, guint line,
		    uint64_t offset, uint32_t width, uint64_t wanted)
{
	uint64_t value = machine_read(machine, offset, width);

	report->compared++;
	if (value != wanted)
		report_difference(report,
				  "line %u: register 0x%" PRIx64 " reads 0x%" PRIx64
				  ", should be 0x%" PRIx64, line, offset, value, wanted);
}

/* The ID registers, then the state, SMMUEN last; CR0ACK must say that the SMMU took it. */
static void load_registers(const struct machine *machine, const struct stopped *stopped)
{
	const struct item *item;

	for (guint i = 0; (item = capture_item(stopped->snapshot, i)) != NULL; i++) {
		uint32_t width = (uint32_t)item->number[1];

		if (item->kind == 'R') {
			uint64_t wanted = load_corrected(&stopped->snapshot, 1, item->number[0],
							 item->number[2]);

			stopped->report->corrected += wanted != item->number[2];
			compare(stopped->report, machine, item->line, item->number[0], width,
				wanted);
		} else if (item->kind == 'W') {
			machine_write(machine, item->number[0], width, item->number[2]);
			stopped->report->written++;
			if (item->number[0] == SMMU_CR0)
				compare(stopped->report, machine, item->line, SMMU_CR0ACK, 4,
					item->number[2]);
		}
	}
}

/* What a migration does: the state survives a reset, the caches do not. */
static gboolean save_and_restore(const struct machine *machine)
{
	const struct library *library = machine->library;
	int64_t size = library->save(machine->smmu, NULL, 0);
	g_autofree void *state = size > 0 ? g_malloc((gsize)size) : NULL;

	return size > 0 && library->save(machine->smmu, state, (uint64_t)size) == size &&
	       library->validate(machine->smmu, state, (uint64_t)size) == 0 &&
	       library->reset(machine->smmu) == 0 &&
	       library->restore(machine->smmu, state, (uint64_t)size) == 0;
}

/* The vCPU's part: cold caches, then warm ones, then those of a restored device. */
static void play(struct machine *machine, void *argument)
{
	struct stopped *stopped = argument;

	load_registers(machine, stopped);
	stopped->report->passes = 3;
	probe_snapshot(machine, stopped->snapshot, stopped->report, FALSE);
	probe_snapshot(machine, stopped->snapshot, stopped->report, FALSE);
	if (!save_and_restore(machine))
		report_difference(stopped->report, "the state could not be saved and restored");
	probe_snapshot(machine, stopped->snapshot, stopped->report, FALSE);
	/* The snapshot holds all tables that its translations need. */
	if (g_atomic_int_get(&machine->unknown) > 0)
		report_difference(stopped->report, "%d accesses to memory outside the snapshot",
				  g_atomic_int_get(&machine->unknown));
}

gboolean replay_snapshot(const struct library *library, const struct capture *snapshot,
			 const struct replay_options *options, struct report *report,
			 GError **error)
{
	g_autofree char *features = load_features(&snapshot, 1);
	vsmmu_config config = { .size = sizeof config, .command_budget = options->budget,
				.features = features };
	struct machine machine = { .verbose = options->verbose };
	struct stopped stopped = { snapshot, report };
	gboolean made;

	if (!load_ram(&machine.ram, &snapshot, 1, FALSE)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no memory for it");
		return FALSE;
	}
	load_memory(&machine.ram, snapshot);
	made = machine_create(&machine, library, &config, error);
	if (made && load_streams(&machine, &snapshot, 1))
		machine_run(&machine, play, &stopped);
	else if (made)
		report_difference(report, "a stream was refused");
	machine_free(&machine);
	ram_free(&machine.ram);
	return made;
}
