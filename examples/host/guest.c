/* SPDX-License-Identifier: MIT */
/* A guest whose process shares its tables with the device. */
#include <inttypes.h>

#include "play.h"

#define ASID 42u
#define BOTH (SPACE_READ | SPACE_WRITE)
#define CD_ASET (UINT64_C(1) << 47)

static void finish_commands(struct play *play)
{
	expect(play, driver_sync(&play->driver), "CMD_SYNC to complete");
}

static void show_identity(struct play *play)
{
	uint32_t idr0 = play->driver.idr0;

	expect(play, (bits(idr0, 5, 5) != 0) == play->has_btm, "IDR0.BTM");
	g_print("  the guest sees IDR0 0x%08x: stage 1 %s, stage 2 %s, BTM %s, ATS %s\n", idr0,
		bits(idr0, 1, 1) ? "yes" : "no", bits(idr0, 0, 0) ? "yes" : "no",
		bits(idr0, 5, 5) ? "yes" : "no", bits(idr0, 10, 10) ? "yes" : "no");
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
	finish_commands(play);
	space_map(&play->space, BUFFER, DATA, 3, BOTH);
}

/* What VMMs ask for MSI routes and dirty logs: where the tables lead, without a trace. */
static void look(struct play *play, uint64_t output)
{
	vsmmu_result result = machine_translate(&play->machine, STREAM, BUFFER,
						VSMMU_ACCESS_INSPECT);

	if (result.kind == VSMMU_RESULT_OK)
		g_print("  the VMM looks: stream %u, 0x%" PRIx64 " -> 0x%" PRIx64 "\n", STREAM,
			BUFFER, result.address);
	else
		g_print("  the VMM looks: stream %u, 0x%" PRIx64 " -> abort\n", STREAM, BUFFER);
	expect(play, result.kind == VSMMU_RESULT_OK ? result.address == output : output == 0,
	       "that address");
}

/* The host's SMMU faults; the record comes by the kernel, the main loop and the guest's queue. */
static void device_faults(struct play *play)
{
	struct event event;

	if (play->hypervisor.emulated == NULL)
		return;
	device_aborts(play, BUFFER);
	expect(play, machine_take_interrupt(&play->machine, VSMMU_IRQ_EVENTQ),
	       "an event queue interrupt");
	if (!driver_take_event(&play->driver, &event)) {
		expect(play, FALSE, "an event record");
		return;
	}
	event_print(&event);
	expect(play, event_kind(&event) == EVENT_F_TRANSLATION &&
	       event_stream(&event) == STREAM && event_input(&event) == BUFFER, "the record");
}

static void unmap_by_command(struct play *play)
{
	if (play->hypervisor.emulated != NULL)
		g_print("  IDR0.BTM is 0: the SMMU does not hear CPUs, and\n");
	device_reads(play, BUFFER, WORD);
	driver_invalidate_address(&play->driver, ASID, 0, BUFFER);
	finish_commands(play);
	g_print("  the driver sends CMD_TLBI_NH_VA, CMD_SYNC\n");
	device_faults(play);
}

static void unmap_by_cpu(struct play *play)
{
	device_reads(play, BUFFER, WORD);
	space_unmap(&play->space, BUFFER, 3);
	g_print("  the process unmaps the page\n");
	look(play, 0);
	device_reads(play, BUFFER, WORD);
	if (play->hypervisor.emulated != NULL) {
		hypervisor_cpu_tlbi(&play->hypervisor, ASID, BUFFER);
		g_print("  its CPU executes TLBI VAE1IS, DSB; the driver sends no command\n");
	}
	if (play->has_btm)
		device_faults(play);
	else
		unmap_by_command(play);
}

/* With EATS the device keeps translations, which CMD_ATC_INV alone takes away. */
static void keep_translations(struct play *play)
{
	struct driver *driver = &play->driver;
	const uint64_t word1 = driver_stream(driver, STREAM) + 8;
	struct ram *ram = &play->machine.ram;

	g_print("  STE.EATS becomes 1: the device may keep translations of its own\n");
	ram_write64(ram, word1, ram_read64(ram, word1) | STE_EATS_FULL);
	driver_invalidate_stream(driver, STREAM);
	finish_commands(play);
	space_map(&play->space, BUFFER, DATA, 3, BOTH);
	device_reads(play, BUFFER, WORD);
	space_map(&play->space, BUFFER, OTHER_DATA, 3, BOTH);
	driver_invalidate_address(driver, ASID, 0, BUFFER);
	finish_commands(play);
	g_print("  the page moves, CMD_TLBI_NH_VA, CMD_SYNC: the device does not hear of it\n");
	device_reads(play, BUFFER, WORD);
	driver_command(driver, CMD_ATC_INV | (uint64_t)STREAM << 32, BUFFER);
	finish_commands(play);
	g_print("  CMD_ATC_INV, CMD_SYNC\n");
	device_reads(play, BUFFER, OTHER_WORD);
}

/* The BAR of another device, by the guest's tables like memory. */
static void reach_peer(struct play *play)
{
	hypervisor_bar_write(&play->hypervisor, BAR_WORD);
	on_bar_address(play);
	space_map(&play->space, WINDOW, BAR, 3, BOTH);
	device_reads(play, WINDOW, BAR_WORD);
}

void guest(struct machine *machine, void *argument)
{
	struct play *play = argument;

	if (!driver_start(&play->driver, machine, RAM_BASE)) {
		expect(play, FALSE, "the SMMU to start");
		return;
	}
	show_identity(play);
	share_address_space(play);
	device_aborts(play, BUFFER);
	on_bus_number(play);
	look(play, DATA);
	unmap_by_cpu(play);
	if (play->hypervisor.emulated == NULL) {
		g_print("  not shown here: DMA, faults and ATS, which need the device's driver\n");
		return;
	}
	keep_translations(play);
	reach_peer(play);
}
