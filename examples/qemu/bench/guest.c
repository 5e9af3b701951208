/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a driver does to an SMMUv3, as far as one stream needs it (IHI 0070 §4, §5, §6.3; D8 of the
 * Arm ARM for descriptors). */
#include "bench.h"
#include "qapi/error.h"
#include "qemu/bswap.h"

/* The guest's memory. */
#define RAM UINT64_C(0x40000000)
#define STREAMS (RAM + 0x8000000)
#define CONTEXT (RAM + 0x8010000)
#define EVENTS (RAM + 0x8020000)
#define COMMANDS (RAM + 0x8040000)
#define TABLES (RAM + 0x8100000)
#define LEAVES (RAM + 0x8110000)
#define DATA (RAM + 0xa000000)
#define DATA_PAGES 256
#define COMMANDS_BITS 12
#define EVENTS_BITS 7
#define STREAMS_BITS 8
#define ASID UINT64_C(1)

/* The registers. */
#define FRAME UINT64_C(0x09050000)
#define CR0 0x20
#define CR0ACK 0x24
#define CR1 0x28
#define CR2 0x2c
#define GERROR 0x60
#define GERRORN 0x64
#define STRTAB_BASE 0x80
#define STRTAB_BASE_CFG 0x88
#define CMDQ_BASE 0x90
#define CMDQ_PROD 0x98
#define CMDQ_CONS 0x9c
#define EVENTQ_BASE 0xa0
#define EVENTQ_PROD 0x100a8
#define EVENTQ_CONS 0x100ac
#define CR0_SMMUEN 1
#define CR0_EVENTQEN 4
#define CR0_CMDQEN 8

#define CMD_CFGI_ALL 0x04
#define CMD_TLBI_NH_VA 0x12
#define CMD_TLBI_NSNH_ALL 0x30
#define CMD_SYNC 0x46

/* A table; a page readable and writable without privilege too, of MAIR's first attribute. */
#define TABLE 3
#define PAGE (UINT64_C(3) | 1 << 6 | 3 << 8 | 1 << 10 | 1 << 11)

static void put(VSMMUv3Bench *b, uint64_t address, uint64_t value)
{
	qatomic_set((uint64_t *)(b->ram + (address - RAM)), cpu_to_le64(value));
}

static void write32(uint64_t offset, uint32_t value)
{
	address_space_stl_le(&address_space_memory, FRAME + offset, value, MEMTXATTRS_UNSPECIFIED,
			     NULL);
}

static void write64(uint64_t offset, uint64_t value)
{
	address_space_stq_le(&address_space_memory, FRAME + offset, value, MEMTXATTRS_UNSPECIFIED,
			     NULL);
}

static uint32_t read32(uint64_t offset)
{
	return address_space_ldl_le(&address_space_memory, FRAME + offset, MEMTXATTRS_UNSPECIFIED,
				    NULL);
}

static bool becomes(uint64_t offset, uint32_t value)
{
	for (int i = 0; i < 1000000; i++) {
		if (read32(offset) == value) {
			return true;
		}
	}
	return false;
}

/* Two commands, the second of which is CMD_SYNC. */
static bool command(VSMMUv3Bench *b, uint64_t low, uint64_t high)
{
	const uint64_t words[4] = { low, high, CMD_SYNC, 0 };
	const uint32_t index = b->producer & MAKE_64BIT_MASK(0, COMMANDS_BITS);

	for (int i = 0; i < 4; i++) {
		put(b, COMMANDS + index * 16 + i * 8, words[i]);
	}
	smp_wmb();
	b->producer = (b->producer + 2) & MAKE_64BIT_MASK(0, COMMANDS_BITS + 1);
	write32(CMDQ_PROD, b->producer);
	return becomes(CMDQ_CONS, b->producer);
}

uint64_t bench_data_of(uint64_t iova_page, uint64_t round)
{
	return DATA + (iova_page * 37 + round * 11) % DATA_PAGES * BENCH_PAGE;
}

uint64_t bench_mark(uint64_t address)
{
	return address * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t leaf_of(uint64_t iova_page)
{
	return LEAVES + iova_page * 8;
}

void bench_map(VSMMUv3Bench *b, uint64_t iova_page, uint64_t address)
{
	put(b, leaf_of(iova_page), address | PAGE);
}

void bench_unmap(VSMMUv3Bench *b, uint64_t iova_page)
{
	put(b, leaf_of(iova_page), 0);
}

bool bench_invalidate(VSMMUv3Bench *b, uint64_t iova_page)
{
	bool done;

	qemu_mutex_lock(&b->queue);
	/* Leaf = 1. */
	done = command(b, CMD_TLBI_NH_VA | ASID << 48, (BENCH_IOVA + iova_page * BENCH_PAGE) | 1);
	qemu_mutex_unlock(&b->queue);
	return done;
}

bool bench_guest_failed(VSMMUv3Bench *b)
{
	return (read32(GERROR) ^ read32(GERRORN)) & 1;
}

/* Three levels above the leaves, of which only one entry leads on but in the last. */
static void make_tables(VSMMUv3Bench *b)
{
	const uint64_t entries = BENCH_PAGES + BENCH_THREADS * BENCH_STRICT_PAGES;
	const uint64_t leaf_tables = DIV_ROUND_UP(entries, 512);

	put(b, TABLES + extract64(BENCH_IOVA, 39, 9) * 8, (TABLES + 0x1000) | TABLE);
	put(b, TABLES + 0x1000 + extract64(BENCH_IOVA, 30, 9) * 8, (TABLES + 0x2000) | TABLE);
	for (uint64_t i = 0; i < leaf_tables; i++) {
		put(b, TABLES + 0x2000 + (extract64(BENCH_IOVA, 21, 9) + i) * 8,
		    (LEAVES + i * 0x1000) | TABLE);
	}
	for (uint64_t page = 0; page < BENCH_PAGES; page++) {
		bench_map(b, page, bench_data_of(page, 0));
	}
	for (uint64_t at = DATA; at < DATA + DATA_PAGES * BENCH_PAGE; at += 8) {
		put(b, at, bench_mark(at));
	}
}

static void make_stream(VSMMUv3Bench *b)
{
	const uint64_t ste = STREAMS + pci_get_bdf(b->function) * UINT64_C(64);

	/* T0SZ = 16, write-back, inner shareable; EPD1, V, IPS = 40 bits, AA64, R, A, ASET. */
	put(b, CONTEXT, 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 30 | UINT64_C(1) << 31
	    | UINT64_C(2) << 32 | UINT64_C(7) << 45 | UINT64_C(1) << 41 | ASID << 48);
	put(b, CONTEXT + 8, TABLES);
	put(b, CONTEXT + 24, 0xff);
	/* V, stage 1; S1CIR, S1COR, S1CSH; SHCFG = incoming. */
	put(b, ste, 1 | 5 << 1 | CONTEXT);
	put(b, ste + 8, 1 << 2 | 1 << 4 | 3 << 6 | UINT64_C(1) << 44);
}

static bool enable(VSMMUv3Bench *b)
{
	write32(CR0, 0);
	if (!becomes(CR0ACK, 0)) {
		return false;
	}
	write32(CR1, 0);
	write32(CR2, 0);
	write64(STRTAB_BASE, STREAMS);
	write32(STRTAB_BASE_CFG, STREAMS_BITS);
	write64(CMDQ_BASE, COMMANDS | COMMANDS_BITS);
	write32(CMDQ_PROD, 0);
	write32(CMDQ_CONS, 0);
	write64(EVENTQ_BASE, EVENTS | EVENTS_BITS);
	write32(EVENTQ_PROD, 0);
	write32(EVENTQ_CONS, 0);
	write32(CR0, CR0_CMDQEN);
	if (!becomes(CR0ACK, CR0_CMDQEN) || !command(b, CMD_CFGI_ALL, 31)
	    || !command(b, CMD_TLBI_NSNH_ALL, 0)) {
		return false;
	}
	write32(CR0, CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN);
	return becomes(CR0ACK, CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN);
}

bool bench_guest_start(VSMMUv3Bench *b, Error **errp)
{
	MachineState *machine = MACHINE(qdev_get_machine());

	if (machine->ram_size < DATA + DATA_PAGES * BENCH_PAGE - RAM) {
		error_setg(errp, "vsmmuv3-bench: the machine needs 256 MiB of RAM (-m 256M)");
		return false;
	}
	b->ram = memory_region_get_ram_ptr(machine->ram);
	b->producer = 0;
	make_tables(b);
	make_stream(b);
	if (b->kind == BENCH_SMMU && (!enable(b) || bench_guest_failed(b))) {
		error_setg(errp, "vsmmuv3-bench: there is no SMMUv3 that obeys");
		return false;
	}
	return true;
}
