/* SPDX-License-Identifier: MIT */
#include "assigned.h"

#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>

#include "driver.h"
#include "hypervisor.h"

#define RAM_BASE UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x01000000)
#define DATA (RAM_BASE + UINT64_C(0x00800000))
#define BUFFER UINT64_C(0x7f0000) /* where process and device have it */
#define STREAM 8u
#define ASID 42u
#define CD_ASET (UINT64_C(1) << 47)

struct play {
	struct hypervisor hypervisor;
	struct driver driver;
	struct space space; /* of the process that the device shares */
	gboolean has_btm;
	gboolean good;
};

static void expect(struct play *play, gboolean met, const char *what)
{
	if (!met)
		g_print("  NOT AS EXPECTED: %s\n", what);
	play->good = play->good && met;
}

static void device_reads(struct play *play, uint64_t wanted)
{
	uint64_t value = 0;
	gboolean done = hypervisor_device_read(&play->hypervisor, BUFFER, &value);

	g_print("  the device reads 0x%" PRIx64 ": ", BUFFER);
	if (done)
		g_print("0x%" PRIx64 "\n", value);
	else
		g_print("abort\n");
	expect(play, done && value == wanted, "that value");
}

/* The host's SMMU faults; the record comes by the kernel, the main loop and the guest's queue. */
static void device_faults(struct play *play)
{
	struct event event;
	uint64_t value;

	g_print("  the device reads 0x%" PRIx64 ": abort\n", BUFFER);
	expect(play, !hypervisor_device_read(&play->hypervisor, BUFFER, &value), "an abort");
	expect(play, machine_take_interrupt(play->driver.machine, VSMMU_IRQ_EVENTQ),
	       "an event queue interrupt");
	if (!driver_take_event(&play->driver, &event)) {
		expect(play, FALSE, "an event record");
		return;
	}
	event_print(&event);
	expect(play, event_kind(&event) == EVENT_F_TRANSLATION &&
	       event_stream(&event) == STREAM && event_input(&event) == BUFFER, "the record");
}

/* The process' tables become the device's: its ASID is the CPU's, so ASET is 0. */
static void share_address_space(struct play *play)
{
	struct driver *driver = &play->driver;
	struct ram *ram = &driver->machine->ram;
	uint64_t context;

	play->space = space_new(&driver->pages, 1, 0);
	context = context_new(&driver->pages, &play->space, ASID, driver->output_size);
	ram_write64(ram, context, ram_read64(ram, context) & ~CD_ASET);
	stream_write(ram, driver_stream(driver, STREAM), context, NULL, 0, driver->output_size);
	driver_invalidate_stream(driver, STREAM);
	expect(play, driver_sync(driver), "CMD_SYNC to complete");
}

static void touch_and_unmap(struct play *play)
{
	space_map(&play->space, BUFFER, DATA, 3, SPACE_READ | SPACE_WRITE);
	device_reads(play, 0x6d6f6f7262657473);
	space_unmap(&play->space, BUFFER, 3);
	g_print("  the process unmaps the page\n");
	device_reads(play, 0x6d6f6f7262657473);
}

static void unmap_by_cpu(struct play *play)
{
	touch_and_unmap(play);
	hypervisor_cpu_tlbi(&play->hypervisor, ASID, BUFFER);
	g_print("  its CPU executes TLBI VAE1IS, DSB; the driver sends no command\n");
	if (play->has_btm) {
		device_faults(play);
		return;
	}
	g_print("  IDR0.BTM is 0: the SMMU does not hear CPUs, and\n");
	device_reads(play, 0x6d6f6f7262657473);
	driver_invalidate_address(&play->driver, ASID, 0, BUFFER);
	expect(play, driver_sync(&play->driver), "CMD_SYNC to complete");
	g_print("  the driver sends CMD_TLBI_NH_VA, CMD_SYNC\n");
	device_faults(play);
}

static void guest(struct machine *machine, void *argument)
{
	struct play *play = argument;

	if (!driver_start(&play->driver, machine, RAM_BASE)) {
		expect(play, FALSE, "the SMMU to start");
		return;
	}
	expect(play, (bits(play->driver.idr0, 5, 5) != 0) == play->has_btm, "IDR0.BTM");
	g_print("  the guest sees IDR0 0x%08x: stage 1 %s, stage 2 %s, BTM %s\n", play->driver.idr0,
		bits(play->driver.idr0, 1, 1) ? "yes" : "no",
		bits(play->driver.idr0, 0, 0) ? "yes" : "no",
		bits(play->driver.idr0, 5, 5) ? "yes" : "no");
	share_address_space(play);
	unmap_by_cpu(play);
}

/* In the loop: events of the host are waiting. */
static gboolean move_events(gint fd, GIOCondition condition, gpointer data)
{
	struct machine *machine = data;

	(void)fd;
	(void)condition;
	machine->library->event_run(machine->smmu);
	return G_SOURCE_CONTINUE;
}

static gboolean attach(struct play *play, struct machine *machine)
{
	const struct library *library = machine->library;
	vsmmu_device device = {
		.size = sizeof device, .stream = STREAM, .path = "/dev/vfio/devices/vfio0",
	};
	char message[256];

	if (library->link_vm(machine->smmu, play->hypervisor.vm, 0) == 0 &&
	    library->device_attach(machine->smmu, &device) == 0)
		return TRUE;
	library->error_message(machine->smmu, message, sizeof message);
	g_print("  %s\n", message);
	return FALSE;
}

/* The lines of the report that are about BTM. */
static void show_report(const struct machine *machine)
{
	g_autofree char *text = g_malloc0(65536);
	g_auto(GStrv) lines = NULL;

	machine->library->negotiation_report(machine->smmu, VSMMU_REPORT_TEXT, text, 65536);
	lines = g_strsplit(text, "\n", -1);
	g_print("  of the negotiation report:\n");
	for (char **line = lines; *line != NULL; line++)
		if (strstr(*line, "BTM") != NULL || strstr(*line, "S2P") != NULL)
			g_print("    %s\n", *line);
}

static void show_counters(const struct play *play, const struct machine *machine)
{
	vsmmu_host_counters counters = { .size = sizeof counters };

	machine->library->get_host_counters(machine->smmu, &counters);
	g_print("  %u system calls: %" PRIu64 " of them for %" PRIu64 " invalidations, %" PRIu64
		" nested HWPTs, %" PRIu64 " attachments; %" PRIu64 " events\n",
		play->hypervisor.calls, counters.invalidate_calls, counters.forwarded,
		counters.hwpts, counters.attachments, counters.events);
}

static gboolean run(struct play *play, struct machine *machine)
{
	guint source;

	if (!attach(play, machine))
		return FALSE;
	show_report(machine);
	ram_write64(&machine->ram, DATA, 0x6d6f6f7262657473);
	source = g_unix_fd_add(machine->library->event_fd(machine->smmu), G_IO_IN, move_events,
			       machine);
	machine_run(machine, guest, play);
	g_source_remove(source);
	show_counters(play, machine);
	return play->good;
}

static gboolean on_kernel(const struct library *library, uint32_t kernel, gboolean has_btm,
			  gboolean verbose, GError **error)
{
	struct play play = { .has_btm = has_btm, .good = TRUE };
	struct machine machine = { .verbose = verbose };
	vsmmu_config config = { .size = sizeof config };
	gboolean good = FALSE;

	if (!hypervisor_start(&play.hypervisor, library, kernel, verbose, error))
		return FALSE;
	config.host = play.hypervisor.host;
	if (ram_reserve(&machine.ram, RAM_BASE, RAM_SIZE)) {
		ram_know(&machine.ram, RAM_BASE, RAM_SIZE);
		good = machine_create(&machine, library, &config, error) && run(&play, &machine);
		machine_free(&machine);
		ram_free(&machine.ram);
	}
	hypervisor_stop(&play.hypervisor);
	return good;
}

gboolean assigned(const struct library *library, gboolean verbose, GError **error)
{
	gboolean good;

	g_print("An assigned device on a kernel that links KVM's VMIDs with the SMMU's\n");
	good = on_kernel(library, VSMMU_EMULATED_LINKED, TRUE, verbose, error);
	if (good) {
		g_print("\nThe same on Linux 7.3, which does not\n");
		good = on_kernel(library, VSMMU_EMULATED_LINUX_7_3, FALSE, verbose, error);
	}
	g_print("\n%s\n", good ? "All as expected." : "NOT all as expected.");
	return good;
}
