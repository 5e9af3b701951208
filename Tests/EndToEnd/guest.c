/* SPDX-License-Identifier: MIT */
/* A small SMMUv3 driver: what a guest's memory and registers need. IHI 0070 G.b. */
#include "endtoend.h"

#define COMMAND_BITS 8
#define EVENT_BITS 7
#define STREAM_BITS 6
#define STE_SIZE 64

volatile uint64_t *at(struct guest *guest, uint64_t address)
{
	return (volatile uint64_t *)(guest->ram + (address - RAM));
}

static uint32_t width(uint64_t offset)
{
	return offset == STRTAB_BASE || offset == CMDQ_BASE || offset == EVENTQ_BASE ? 8 : 4;
}

uint64_t read_register(struct guest *guest, uint64_t offset)
{
	uint64_t value = 0;

	vsmmu_mmio_read(guest->vsmmu, offset, width(offset), &value);
	return value;
}

void write_register(struct guest *guest, uint64_t offset, uint64_t value)
{
	vsmmu_mmio_write(guest->vsmmu, offset, width(offset), value);
}

void guest_forget(struct guest *guest)
{
	memset(guest->ram, 0, RAM_SIZE);
	guest->produced = guest->consumed = 0;
	guest->free_table = TABLES + 2 * (OTHER_TABLES - TABLES);
}

void guest_start(struct guest *guest)
{
	write_register(guest, CR1, 0xd75); /* inner shareable, write-back */
	write_register(guest, CR2, 6);
	write_register(guest, STRTAB_BASE, STREAM_TABLE);
	write_register(guest, STRTAB_BASE_CFG, STREAM_BITS);
	write_register(guest, CMDQ_BASE, COMMANDS | COMMAND_BITS);
	write_register(guest, EVENTQ_BASE, EVENTS | EVENT_BITS);
	write_register(guest, CR0, CMDQEN);
	command(guest, CFGI_ALL, 31);
	command(guest, TLBI_NSNH_ALL, 0);
	sync_commands(guest);
	write_register(guest, CR0, CMDQEN | EVENTQEN);
	write_register(guest, CR0, CMDQEN | EVENTQEN | SMMUEN);
}

/* --- Commands --------------------------------------------------------------------------------- */

void command(struct guest *guest, uint64_t low, uint64_t high)
{
	uint32_t slot = guest->produced++ & ((1 << COMMAND_BITS) - 1);
	volatile uint64_t *entry = at(guest, COMMANDS + 16 * (uint64_t)slot);

	entry[0] = low;
	entry[1] = high;
}

bool sync_commands(struct guest *guest)
{
	uint32_t mask = (2 << COMMAND_BITS) - 1;

	command(guest, SYNC, 0);
	write_register(guest, CMDQ_PROD, guest->produced & mask);
	while (vsmmu_run(guest->vsmmu, 0) > 0)
		;
	return (uint32_t)read_register(guest, CMDQ_CONS) == (guest->produced & mask) &&
	       read_register(guest, GERROR) == read_register(guest, GERRORN);
}

bool invalidate_page(struct guest *guest, uint64_t iova)
{
	command(guest, TLBI_NH_VA | ASID << 48, iova | 1);
	return sync_commands(guest);
}

/* --- Stream table and context ----------------------------------------------------------------- */

void set_ste(struct guest *guest, uint32_t stream, uint64_t word0, uint64_t word1)
{
	volatile uint64_t *ste = at(guest, STREAM_TABLE + STE_SIZE * (uint64_t)stream);

	ste[1] = word1;
	ste[0] = word0;
	command(guest, CFGI_STE | (uint64_t)stream << 32, 1);
}

/* AA64, A, R, ASET, IPS of 44 bits, EPD1, write-back tables, 48 bits of input. */
void set_context(struct guest *guest, uint64_t tables)
{
	volatile uint64_t *context = at(guest, CONTEXT);

	context[1] = tables;
	context[3] = 0xff;
	context[0] = ASID << 48 | UINT64_C(7) << 45 | UINT64_C(1) << 41 | UINT64_C(4) << 32 |
		     1u << 31 | 1 << 30 | 3 << 12 | 1 << 10 | 1 << 8 | 16;
}

/* Attributes of the context's memory: write-back, inner shareable. */
bool set_stage1(struct guest *guest, uint32_t stream)
{
	set_ste(guest, stream, CONTEXT | 5 << 1 | 1, 3 << 6 | 1 << 4 | 1 << 2);
	return sync_commands(guest);
}

bool set_bypass(struct guest *guest, uint32_t stream)
{
	/* SHCFG: as the device says. */
	set_ste(guest, stream, 4 << 1 | 1, UINT64_C(1) << 44);
	return sync_commands(guest);
}

bool set_abort(struct guest *guest, uint32_t stream)
{
	set_ste(guest, stream, 1, 0);
	return sync_commands(guest);
}

/* --- Translation tables: 4 KiB granule, four levels ------------------------------------------ */

static volatile uint64_t *leaf(struct guest *guest, uint64_t table, uint64_t iova)
{
	for (int shift = 39; shift > 12; shift -= 9) {
		volatile uint64_t *d = at(guest, table + 8 * (iova >> shift & 511));

		if (!(*d & 1)) {
			*d = guest->free_table | 3;
			guest->free_table += PAGE;
		}
		table = *d & UINT64_C(0xfffffffff000);
	}
	return at(guest, table + 8 * (iova >> 12 & 511));
}

/* nG, AF, inner shareable, unprivileged. */
void map(struct guest *guest, uint64_t tables, uint64_t iova, uint64_t to)
{
	*leaf(guest, tables, iova) = to | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
}

void unmap(struct guest *guest, uint64_t tables, uint64_t iova)
{
	*leaf(guest, tables, iova) = 0;
}

/* --- Events ----------------------------------------------------------------------------------- */

bool take_event(struct guest *guest, uint64_t event[4])
{
	uint32_t slot = guest->consumed & ((1 << EVENT_BITS) - 1);
	uint32_t mask = (2 << EVENT_BITS) - 1;

	if ((read_register(guest, EVENTQ_PROD) & mask) == (guest->consumed & mask))
		return false;
	for (unsigned i = 0; i < 4; i++)
		event[i] = at(guest, EVENTS + 32 * (uint64_t)slot)[i];
	guest->consumed++;
	write_register(guest, EVENTQ_CONS, guest->consumed & mask);
	return true;
}
