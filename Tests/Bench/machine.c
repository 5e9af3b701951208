/* SPDX-License-Identifier: MIT */
/* A guest's memory, tables and queues, as large as the rows want them. */
#include "bench.h"

#include <stdio.h>
#include <sys/mman.h>

static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	struct machine *machine = opaque;

	machine->loads++;
	if (address < RAM || address - RAM > ARENA_SIZE - length)
		return -1;
	memcpy(data, machine_at(machine, address), length);
	return 0;
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	struct machine *machine = opaque;

	if (address < RAM || address - RAM > ARENA_SIZE - length)
		return -1;
	memcpy(machine_at(machine, address), data, length);
	return 0;
}

static void start(struct machine *machine)
{
	struct guest *guest = &machine->guest;

	write_register(guest, CR1, 0xd75);
	write_register(guest, CR2, 2);
	write_register64(guest, STRTAB_BASE, RING_STREAMS);
	write_register(guest, STRTAB_BASE_CFG, 12);
	write_register64(guest, CMDQ_BASE, RING_COMMANDS | RING_BITS);
	write_register64(guest, EVENTQ_BASE, RING_EVENTS | EVENT_RING_BITS);
	write_register(guest, CR0, 0xd);
	EQUAL(read_register(guest, CR0ACK), 0xd);
}

void machine_open(struct machine *machine, const struct machine_options *options)
{
	vsmmu_config config = {
		.size = sizeof(config), .tlb_entries = options->tlb_entries,
		.configuration_entries = options->configuration_entries,
	};
	vsmmu_ops ops = { .size = sizeof(ops) };
	uint32_t streams = options->streams ? options->streams : 4;
	char why[200] = "";

	memset(machine, 0, sizeof(*machine));
	machine->next_table = FIRST_TABLE;
	machine->guest.ram = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (machine->guest.ram == MAP_FAILED)
		bench_fail("no memory for a guest");
	if (options->callbacks) {
		ops.mem_read = on_read;
		ops.mem_write = on_write;
	}
	if (api.vsmmu_create(&config, &ops, machine, &machine->guest.vsmmu, why, sizeof(why)) != 0)
		bench_fail("%s", why);
	if (!options->callbacks)
		EQUAL(api.vsmmu_ram_add(machine->guest.vsmmu, RAM, ARENA_SIZE, machine->guest.ram), 0);
	for (uint32_t stream = 0; stream < streams; stream++)
		EQUAL(api.vsmmu_stream_add(machine->guest.vsmmu, stream), 0);
	start(machine);
}

void machine_close(struct machine *machine)
{
	api.vsmmu_destroy(machine->guest.vsmmu);
	munmap(machine->guest.ram, ARENA_SIZE);
}

void *machine_at(struct machine *machine, uint64_t address)
{
	return machine->guest.ram + (address - RAM);
}

/* Tables. */

uint64_t machine_table(struct machine *machine)
{
	uint64_t table = machine->next_table;

	machine->next_table += 4096;
	if (machine->next_table > RAM + ARENA_SIZE)
		bench_fail("the guest's memory is too small");
	return table;
}

void machine_map(struct machine *machine, uint64_t root, uint64_t from, uint64_t to, uint64_t leaf)
{
	uint64_t table = root;

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t slot = table + ((from >> shift) & 0x1ff) * 8;

		if (!load64(&machine->guest, slot))
			store64(&machine->guest, slot, machine_table(machine) | 3);
		table = load64(&machine->guest, slot) & UINT64_C(0xfffffffff000);
	}
	store64(&machine->guest, table + ((from >> 12) & 0x1ff) * 8, to | leaf);
}

/* A CD for 48 bits, 4 KiB pages, events recorded, faults abort. */
static uint64_t set_cd(struct machine *machine, uint32_t stream, uint64_t root, uint16_t asid)
{
	uint64_t cd = RING_CONTEXTS + stream * 64;

	store64(&machine->guest, cd,
		UINT64_C(16) | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 |
			UINT64_C(1) << 41 | UINT64_C(1) << 45 | UINT64_C(1) << 46 |
			(uint64_t)asid << 48);
	store64(&machine->guest, cd + 8, root);
	store64(&machine->guest, cd + 24, 0xff);
	return cd;
}

static void set_words(struct machine *machine, uint32_t stream, const uint64_t words[4])
{
	for (int i = 3; i >= 0; i--)
		store64(&machine->guest, RING_STREAMS + stream * 64 + 8 * i, words[i]);
}

void machine_stage1(struct machine *machine, uint32_t stream, uint64_t root, uint16_t asid)
{
	const uint64_t ste[4] = { 1 | 5 << 1 | set_cd(machine, stream, root, asid),
				  UINT64_C(1) << 44 };

	set_words(machine, stream, ste);
}

/* Stage 2 of 48 bits from level 0; the guest's physical addresses of its tables are `root`'s. */
void machine_nested(struct machine *machine, uint32_t stream, uint64_t root, uint16_t asid,
		    uint64_t stage2, uint16_t vmid)
{
	uint64_t cd = set_cd(machine, stream, root, asid);
	const uint64_t ste[4] = { 1 | 7 << 1 | cd, UINT64_C(1) << 44,
				  vmid | UINT64_C(16) << 32 | UINT64_C(2) << 38 |
					  UINT64_C(5) << 48 | UINT64_C(1) << 51 |
					  UINT64_C(1) << 58,
				  stage2 };

	/* The CD's own address is an intermediate one. */
	machine_map(machine, stage2, cd & ~UINT64_C(0xfff), cd & ~UINT64_C(0xfff), PAGE2);
	set_words(machine, stream, ste);
}

/* Queues. */

void machine_put(struct machine *machine, uint32_t index, uint64_t low, uint64_t high)
{
	uint64_t slot = RING_COMMANDS + (index & ((1u << RING_BITS) - 1)) * 16;

	store64(&machine->guest, slot, low);
	store64(&machine->guest, slot + 8, high);
}

void machine_kick(struct machine *machine, uint32_t count)
{
	machine->producer = (machine->producer + count) & ((2u << RING_BITS) - 1);
	api.vsmmu_mmio_write(machine->guest.vsmmu, CMDQ_PROD, 4, machine->producer);
}

void machine_settle(struct machine *machine)
{
	uint64_t consumer = ~machine->producer;

	for (int tries = 0; tries < 1000 && consumer != machine->producer; tries++)
		consumer = read_register(&machine->guest, CMDQ_CONS);
	if (consumer != machine->producer)
		bench_fail("the command queue stopped at %#llx", (unsigned long long)consumer);
}

void machine_command(struct machine *machine, uint64_t low, uint64_t high)
{
	machine_put(machine, machine->producer, low, high);
	machine_put(machine, machine->producer + 1, SYNC, 0);
	machine_kick(machine, 2);
	machine_settle(machine);
}

void machine_forget(struct machine *machine)
{
	machine_command(machine, TLBI_NSNH_ALL, 0);
}

void machine_take_events(struct machine *machine)
{
	write_register(&machine->guest, EVENTQ_CONS, read_register(&machine->guest, EVENTQ_PROD));
}

uint64_t machine_misses(struct machine *machine)
{
	vsmmu_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_get_counters(machine->guest.vsmmu, &counters), 0);
	return counters.tlb_misses;
}
