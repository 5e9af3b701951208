/* SPDX-License-Identifier: MIT */
/*
 * Nothing that a guest does allocates memory: what malloc and its kin are asked for is counted while
 * a guest does all that it can, mistakes that are told to the log included.
 */
#include "../Conformance/guest.h"

#include <stdio.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static bool counts;
static unsigned allocations, told;
static int wrong;

static void note_allocation(void)
{
	if (counts)
		allocations++;
}

void *malloc(size_t size)
{
	note_allocation();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	note_allocation();
	return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	note_allocation();
	return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
	note_allocation();
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	*memory = memalign(alignment, size);
	return *memory ? 0 : ENOMEM;
}

/* What guest.c checks with. */
bool check(bool condition, const char *file, int line, const char *text)
{
	if (!condition) {
		wrong++;
		fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
	}
	return condition;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	return check(got == want, file, line, text);
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	return check(strstr(text, word) != NULL, file, line, word);
}

/* Words of each kind of line. */
static const char *const kinds[] = {
	"illegal command", "could not be read", "full or off", "queue could not be written", "an MSI",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
static bool heard[KINDS];

static void on_log(void *opaque, uint32_t blame, const char *message)
{
	(void)opaque;
	(void)blame;
	for (size_t kind = 0; kind < KINDS; kind++)
		heard[kind] = heard[kind] || strstr(message, kinds[kind]);
	told++;
}

/* A command that cannot be read, and the queue in its place again. */
static void read_no_command(struct guest *guest)
{
	write_register(guest, CR0, 5);
	write_register64(guest, CMDQ_BASE, UINT64_C(0x700000000) | COMMAND_BITS);
	write_register(guest, CMDQ_CONS, 0);
	write_register(guest, CMDQ_PROD, 1);
	write_register(guest, CR0, 0xd);
	write_register(guest, CR0, 5);
	write_register64(guest, CMDQ_BASE, COMMANDS | COMMAND_BITS);
	write_register(guest, CMDQ_CONS, 0);
	write_register(guest, CMDQ_PROD, 0);
	store64(guest, COMMANDS - 8, 0);
	acknowledge(guest);
	write_register(guest, CR0, 0xd);
}

/* Any command; where it stops the queue, a CMD_SYNC takes its place. */
static void any_command(struct guest *guest, uint64_t low)
{
	command(guest, low, 0);
	if ((read_register(guest, GERROR) ^ read_register(guest, GERRORN)) & 1) {
		uint64_t slot = read_register(guest, CMDQ_CONS) & ((1 << COMMAND_BITS) - 1);

		store64(guest, COMMANDS + slot * 16, SYNC);
		acknowledge(guest);
	}
}

/* Events that find no room, or no memory; an MSI that finds none. */
static void lose_events(struct guest *guest)
{
	for (int i = 0; i < 2 << EVENT_BITS; i++)
		translate(guest, 7, 0x5000, 0);
	write_register(guest, EVENTQ_CONS, read_register(guest, EVENTQ_PROD));
	write_register(guest, CR0, 9);
	write_register64(guest, EVENTQ_BASE, UINT64_C(0x700000000) | EVENT_BITS);
	write_register(guest, CR0, 0xd);
	translate(guest, 7, 0x5000, 0);
	write_register(guest, CR0, 9);
	write_register64(guest, EVENTQ_BASE, EVENTS | EVENT_BITS);
	write_register(guest, EVENTQ_PROD, 0);
	write_register(guest, EVENTQ_CONS, 0);
	write_register(guest, CR0, 0xd);
	acknowledge(guest);
	guest->refuses_messages = true;
	queue(guest, SYNC | 1 << 12, DOORBELL);
	publish(guest);
	guest->refuses_messages = false;
	acknowledge(guest);
}

static void do_all(struct guest *guest)
{
	static uint8_t data[3 * 4096];
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1800 };
	vsmmu_result result = { .size = sizeof(result) };

	set_stage1(guest, 1, 5);
	set_stage2(guest, 2, 6);
	set_nested(guest, 3, 5, 6);
	set_bypass(guest, 4);
	map(guest, STAGE1, 0x1000, DATA, PAGE1);
	for (uint32_t stream = 0; stream < 8; stream++)
		for (uint64_t page = 0; page < 8; page++)
			translate(guest, stream, page << 12, page & 1);
	api.vsmmu_dma_write(guest->vsmmu, &access, data, sizeof(data), &result);
	api.vsmmu_dma_read(guest->vsmmu, &access, data, sizeof(data), &result);
	for (uint64_t opcode = 0; opcode < 0x48; opcode++)
		any_command(guest, opcode | UINT64_C(1) << 32);
	for (uint64_t offset = 0; offset < VSMMU_MMIO_SIZE; offset += 0x1000)
		read_register(guest, offset);
	lose_events(guest);
}

int main(int argc, char **argv)
{
	static struct guest guest;
	vsmmu_ops ops = guest_ops;

	ops.log = on_log;
	if (argc != 2 || !api_load(argv[1]) || !guest_open_with(&guest, NULL, &ops))
		return 1;
	guest_start(&guest);
	/* The count works. */
	counts = true;
	free(malloc(1));
	check(allocations == 1, __FILE__, __LINE__, "malloc is counted");
	allocations = 0;
	/* First, as repetitions of a kind are thinned out. */
	read_no_command(&guest);
	for (int round = 0; round < 4; round++)
		do_all(&guest);
	counts = false;
	for (size_t kind = 0; kind < KINDS; kind++)
		check(heard[kind], __FILE__, __LINE__, kinds[kind]);
	check(allocations == 0, __FILE__, __LINE__, "nothing was allocated");
	printf("%u lines told, %u allocations\n", told, allocations);
	guest_close(&guest);
	printf("%d passed, %d failed\n", wrong == 0, wrong != 0);
	return wrong != 0;
}
