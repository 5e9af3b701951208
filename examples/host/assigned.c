/* SPDX-License-Identifier: MIT */
/* A VMM that owns iommufd, IOAS, nest parent, device and attach, and lends them to the vSMMU. */
#include "assigned.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>

#include "play.h"

void expect(struct play *play, gboolean met, const char *what)
{
	if (!met)
		g_print("  NOT AS EXPECTED: %s\n", what);
	play->good = play->good && met;
}

void device_reads(struct play *play, uint64_t address, uint64_t wanted)
{
	uint64_t value = 0;
	gboolean done;

	if (play->hypervisor.emulated == NULL)
		return;
	done = hypervisor_device_read(&play->hypervisor, address, &value);
	if (done)
		g_print("  the device reads 0x%" PRIx64 ": 0x%" PRIx64 "\n", address, value);
	else
		g_print("  the device reads 0x%" PRIx64 ": abort\n", address);
	expect(play, done && value == wanted, "that value");
}

void device_aborts(struct play *play, uint64_t address)
{
	uint64_t value;

	if (play->hypervisor.emulated == NULL)
		return;
	g_print("  the device reads 0x%" PRIx64 ": abort\n", address);
	expect(play, !hypervisor_device_read(&play->hypervisor, address, &value), "an abort");
}

/* Else the sentence about it is told. */
static gboolean succeeded(struct play *play, int32_t result)
{
	char message[256];

	if (result == 0)
		return TRUE;
	play->machine.library->error_message(play->machine.smmu, message, sizeof message);
	g_print("  %s\n", message);
	play->good = FALSE;
	return FALSE;
}

static vsmmu_device_info device_info(struct play *play, uint64_t name)
{
	const struct machine *machine = &play->machine;
	vsmmu_device_info info = { .size = sizeof info };

	succeeded(play, machine->library->get_device_info(machine->smmu, name, &info));
	return info;
}

static void show_device(struct play *play, uint64_t name, uint32_t attached, const char *to)
{
	const vsmmu_device_info info = device_info(play, name);

	if (info.flags & VSMMU_INFO_NUMBERED)
		g_print("  device %u: StreamID %u, vDEVICE %u", info.devid, info.stream,
			info.vdevice);
	else
		g_print("  device %u: no StreamID, no vDEVICE", info.devid);
	g_print(", nest parent %u, attached to HWPT %u (%s)\n", info.parent, info.hwpt, to);
	expect(play, info.attached == attached, to);
	expect(play, info.parent == play->owner.parent, "the VMM's nest parent");
}

/* What a VMM builds the PCI capabilities of a device from. */
static void show_facts(struct play *play)
{
	const vsmmu_device_info info = device_info(play, VSMMU_BY_DEVID(play->owner.device.id));

	g_print("    its SMMU: IIDR 0x%08x, IDR0 0x%08x; ATS %s, PASIDs of %u bits, %s\n",
		info.iidr, info.idr[0], info.flags & VSMMU_INFO_ATS ? "yes" : "no", info.pasid_bits,
		info.flags & VSMMU_INFO_MAY_STALL ? "may stall" : "never stalls");
}

/* The lines of the report that are about stage 2, ATS and BTM. */
static void show_report(const struct machine *machine)
{
	g_autofree char *text = g_malloc0(65536);
	g_auto(GStrv) lines = NULL;

	machine->library->negotiation_report(machine->smmu, VSMMU_REPORT_TEXT, text, 65536);
	lines = g_strsplit(text, "\n", -1);
	g_print("  of the negotiation report:\n");
	for (char **line = lines; *line != NULL; line++)
		if (strstr(*line, "IDR0.S2P ") != NULL || strstr(*line, "IDR0.ATS ") != NULL ||
		    strstr(*line, "BTM") != NULL)
			g_print("    %s\n", *line);
}

/* The SMMU is realised before all devices: it has no host yet. */
static gboolean realise(struct play *play, const struct library *library, GError **error)
{
	static const vsmmu_config config = {
		.size = sizeof config, .features = "SSIDSIZE=auto,OAS=auto,ATS=auto,RIL=auto",
	};

	play->machine.owner = &play->owner;
	if (!machine_create(&play->machine, library, &config, error))
		return FALSE;
	g_print("  the vSMMU is made, without a host\n");
	return hypervisor_lend(&play->hypervisor, play->owner.iommufd, error);
}

/* A device comes, and the vSMMU gets its host with it. There is no StreamID until the guest has
 * given the device's bus a number. KVM was told of it when it was bound. */
static gboolean plug(struct play *play)
{
	const struct library *library = play->machine.library;
	const struct owner *owner = &play->owner;
	vsmmu_device device = {
		.size = sizeof device, .flags = VSMMU_DEVICE_BOUND | VSMMU_DEVICE_UNNUMBERED,
		.devid = owner->device.id,
	};
	vsmmu_t *smmu = play->machine.smmu;

	g_print("  a device is plugged: IOAS, parent and device are lent to the vSMMU\n");
	if (!succeeded(play, library->set_host(smmu, play->hypervisor.host, owner->ioas,
					       owner->parent)) ||
	    (play->hypervisor.vm >= 0 &&
	     !succeeded(play, library->link_vm(smmu, play->hypervisor.vm, VSMMU_LINK_TOLD))) ||
	    !succeeded(play, library->device_attach(smmu, &device)))
		return FALSE;
	show_device(play, VSMMU_BY_DEVID(owner->device.id), VSMMU_ATTACHED_ABORT, "abort");
	show_facts(play);
	show_report(&play->machine);
	return TRUE;
}

void on_bus_number(struct play *play)
{
	const struct machine *machine = &play->machine;
	const uint64_t name = VSMMU_BY_DEVID(play->owner.device.id);

	g_print("  the guest numbers the bus: the device has StreamID %u\n", STREAM);
	if (succeeded(play, machine->library->device_renumber(machine->smmu, name, STREAM)))
		show_device(play, STREAM, VSMMU_ATTACHED_STAGE1, "stage 1");
}

void on_bar_address(struct play *play)
{
	g_print("  the VMM maps a BAR of another device at 0x%" PRIx64 " in its IOAS\n", BAR);
	expect(play, owner_map_bar(&play->owner, BAR), "the BAR in the IOAS");
}

/* The device goes back to the parent, where the guest's physical addresses are its own. */
static void unplug(struct play *play)
{
	const struct library *library = play->machine.library;

	g_print("  the device is unplugged, and the host taken back\n");
	if (!succeeded(play, library->device_detach(play->machine.smmu, STREAM)) ||
	    !succeeded(play, library->set_host(play->machine.smmu, NULL, 0, 0)))
		return;
	device_reads(play, DATA, WORD);
	device_aborts(play, BUFFER);
}

static void show_counters(const struct play *play)
{
	vsmmu_host_counters counters = { .size = sizeof counters };

	play->machine.library->get_host_counters(play->machine.smmu, &counters);
	g_print("  %u system calls of the library's: %" PRIu64 " of them for %" PRIu64
		" invalidations, %" PRIu64 " nested HWPTs; %" PRIu64 " attachments, %" PRIu64
		" events\n", play->hypervisor.calls, counters.invalidate_calls, counters.forwarded,
		counters.hwpts, counters.attachments, counters.events);
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

static void run(struct play *play)
{
	struct machine *machine = &play->machine;
	guint source;

	if (!plug(play))
		return;
	source = g_unix_fd_add(machine->library->event_fd(machine->smmu), G_IO_IN, move_events,
			       machine);
	machine_run(machine, guest, play);
	g_source_remove(source);
	show_counters(play);
	unplug(play);
}

/* On a host that is there. */
static gboolean on_host(struct play *play, const struct library *library, const char *device,
			const char *peer, GError **error)
{
	struct ram *ram = &play->machine.ram;
	gboolean good = FALSE;

	if (!ram_reserve(ram, RAM_BASE, RAM_SIZE))
		return FALSE;
	ram_know(ram, RAM_BASE, RAM_SIZE);
	ram_write64(ram, DATA, WORD);
	ram_write64(ram, OTHER_DATA, OTHER_WORD);
	if (owner_start(&play->owner, &play->hypervisor, ram, device, peer, error) &&
	    realise(play, library, error)) {
		run(play);
		good = play->good;
	}
	machine_free(&play->machine);
	owner_stop(&play->owner);
	hypervisor_stop(&play->hypervisor);
	ram_free(ram);
	return good;
}

static gboolean emulated(const struct library *library, uint32_t kernel, gboolean has_btm,
			 gboolean verbose, GError **error)
{
	struct play play = { .has_btm = has_btm, .good = TRUE, .machine.verbose = verbose };

	return hypervisor_emulate(&play.hypervisor, library, kernel, verbose, error) &&
	       on_host(&play, library, "/dev/vfio/devices/vfio0", "/dev/vfio/devices/vfio1", error);
}

static gboolean here(const struct library *library, const char *device, gboolean verbose,
		     GError **error)
{
	struct play play = { .good = TRUE, .machine.verbose = verbose };

	hypervisor_here(&play.hypervisor, library, verbose);
	return on_host(&play, library, device, NULL, error);
}

gboolean assigned(const struct library *library, const char *device, gboolean verbose,
		  GError **error)
{
	gboolean good;

	if (device != NULL) {
		g_print("A device of this machine's, of a VMM that owns everything\n");
		good = here(library, device, verbose, error);
	} else {
		g_print("An assigned device of a VMM that owns everything, on a kernel that links "
			"KVM's VMIDs with the SMMU's\n");
		good = emulated(library, VSMMU_EMULATED_LINKED, TRUE, verbose, error);
		if (good) {
			g_print("\nThe same on Linux 7.3, which does not\n");
			good = emulated(library, VSMMU_EMULATED_LINUX_7_3, FALSE, verbose, error);
		}
	}
	g_print("\n%s\n", good ? "All as expected." : "NOT all as expected.");
	return good;
}
