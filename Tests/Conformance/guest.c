/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The callbacks. */

static bool outside(struct guest *guest, uint64_t address, uint64_t length)
{
	return address >= DEVICE && length <= DEVICE_SIZE &&
	       address - DEVICE <= DEVICE_SIZE - length &&
	       (guest->aborts_at == 0 || (address ^ guest->aborts_at) >> 12 != 0);
}

static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	struct guest *guest = opaque;

	__atomic_add_fetch(&guest->reads, 1, __ATOMIC_RELAXED);
	if (!outside(guest, address, length))
		return -1;
	memcpy(data, guest->device + (address - DEVICE), length);
	return 0;
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	struct guest *guest = opaque;

	__atomic_add_fetch(&guest->writes, 1, __ATOMIC_RELAXED);
	if (!outside(guest, address, length))
		return -1;
	memcpy(guest->device + (address - DEVICE), data, length);
	return 0;
}

static void on_dirty(void *opaque, uint64_t address, uint64_t length)
{
	struct guest *guest = opaque;
	unsigned n = __atomic_fetch_add(&guest->dirty_count, 1, __ATOMIC_RELAXED) % NOTES;

	/* DMA threads are told at the same time, and the notes go round. */
	__atomic_store_n(&guest->dirty[n].address, address, __ATOMIC_RELAXED);
	__atomic_store_n(&guest->dirty[n].length, length, __ATOMIC_RELAXED);
}

static void on_irq(void *opaque, uint32_t line)
{
	struct guest *guest = opaque;

	if (CHECK(line < 5))
		__atomic_add_fetch(&guest->interrupts[line], 1, __ATOMIC_RELAXED);
}

static int32_t on_msi(void *opaque, uint64_t address, uint32_t data)
{
	struct guest *guest = opaque;
	unsigned n = __atomic_fetch_add(&guest->message_count, 1, __ATOMIC_RELAXED) % NOTES;

	guest->messages[n].address = address;
	guest->messages[n].data = data;
	return guest->refuses_messages ? -1 : 0;
}

static void on_invalidate(void *opaque, const vsmmu_invalidation *what)
{
	struct guest *guest = opaque;

	guest->notices[guest->notice_count++ % NOTES] = *what;
}

static void on_work(void *opaque)
{
	struct guest *guest = opaque;

	__atomic_add_fetch(&guest->works, 1, __ATOMIC_RELAXED);
}

static void on_log(void *opaque, uint32_t blame, const char *message)
{
	/* Guest faults are told by the threads that meet them. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct guest *guest = opaque;

	pthread_mutex_lock(&lock);
	guest->logs++;
	guest->blame = blame;
	snprintf(guest->log, sizeof(guest->log), "%s", message);
	pthread_mutex_unlock(&lock);
}

const vsmmu_ops guest_ops = {
	.size = sizeof(vsmmu_ops),
	.mem_read = on_read,
	.mem_write = on_write,
	.mem_dirty = on_dirty,
	.irq = on_irq,
	.msi = on_msi,
	.invalidate = on_invalidate,
	.work = on_work,
	.log = on_log,
};

/* Lifetime. */

bool guest_open(struct guest *guest, const vsmmu_config *config)
{
	return guest_open_with(guest, config, &guest_ops);
}

bool guest_open_with(struct guest *guest, const vsmmu_config *config, const vsmmu_ops *ops)
{
	const vsmmu_config standard = { .size = sizeof(standard) };
	char message[256] = "";

	memset(guest, 0, sizeof(*guest));
	guest->ram = aligned_alloc(4096, RAM_SIZE);
	if (!CHECK(guest->ram != NULL))
		return false;
	memset(guest->ram, 0, RAM_SIZE);
	if (!EQUAL(api.vsmmu_create(config ? config : &standard, ops, guest, &guest->vsmmu,
				    message, sizeof(message)), 0)) {
		printf("  %s\n", message);
		free(guest->ram);
		return false;
	}
	EQUAL(api.vsmmu_ram_add(guest->vsmmu, RAM, RAM_SIZE, guest->ram), 0);
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_add(guest->vsmmu, stream), 0);
	return true;
}

void guest_close(struct guest *guest)
{
	api.vsmmu_destroy(guest->vsmmu);
	free(guest->ram);
}

void guest_start(struct guest *guest)
{
	write_register(guest, CR1, 0xd75);
	write_register(guest, CR2, 2);
	write_register64(guest, STRTAB_BASE, STREAM_TABLE);
	write_register(guest, STRTAB_BASE_CFG, STREAM_BITS);
	write_register64(guest, CMDQ_BASE, COMMANDS | COMMAND_BITS);
	write_register(guest, CMDQ_PROD, 0);
	write_register(guest, CMDQ_CONS, 0);
	write_register64(guest, EVENTQ_BASE, EVENTS | EVENT_BITS);
	write_register(guest, EVENTQ_PROD, 0);
	write_register(guest, EVENTQ_CONS, 0);
	write_register(guest, IRQ_CTRL, 5);
	write_register(guest, CR0, 0xd);
	EQUAL(read_register(guest, CR0ACK), 0xd);
}

/* Registers and memory. */

uint64_t read_register(struct guest *guest, uint64_t offset)
{
	uint64_t value = ~UINT64_C(0);

	EQUAL(api.vsmmu_mmio_read(guest->vsmmu, offset, 4, &value), 0);
	return value;
}

void write_register(struct guest *guest, uint64_t offset, uint64_t value)
{
	EQUAL(api.vsmmu_mmio_write(guest->vsmmu, offset, 4, value), 0);
}

void write_register64(struct guest *guest, uint64_t offset, uint64_t value)
{
	EQUAL(api.vsmmu_mmio_write(guest->vsmmu, offset, 8, value), 0);
}

static uint64_t *word(struct guest *guest, uint64_t address)
{
	void *byte = address >= DEVICE ? guest->device + (address - DEVICE)
				       : guest->ram + (address - RAM);

	return byte;
}

void store64(struct guest *guest, uint64_t address, uint64_t value)
{
	__atomic_store_n(word(guest, address), value, __ATOMIC_RELEASE);
}

uint64_t load64(struct guest *guest, uint64_t address)
{
	return __atomic_load_n(word(guest, address), __ATOMIC_ACQUIRE);
}

/* Queues. The producer that is not yet published is kept in memory, as drivers do. */

static uint64_t *producer(struct guest *guest)
{
	return word(guest, COMMANDS - 8);
}

void queue(struct guest *guest, uint64_t low, uint64_t high)
{
	uint64_t slot = COMMANDS + (*producer(guest) & ((1 << COMMAND_BITS) - 1)) * 16;

	store64(guest, slot, low);
	store64(guest, slot + 8, high);
	*producer(guest) = (*producer(guest) + 1) & ((2 << COMMAND_BITS) - 1);
}

void publish(struct guest *guest)
{
	write_register(guest, CMDQ_PROD, *producer(guest));
}

void command(struct guest *guest, uint64_t low, uint64_t high)
{
	queue(guest, low, high);
	publish(guest);
}

void sync_all(struct guest *guest)
{
	command(guest, SYNC, 0);
	EQUAL(read_register(guest, CMDQ_CONS), *producer(guest));
}

uint64_t command_error(struct guest *guest)
{
	uint64_t active = read_register(guest, GERROR) ^ read_register(guest, GERRORN);

	return active & 1 ? read_register(guest, CMDQ_CONS) >> 24 : 0;
}

void acknowledge(struct guest *guest)
{
	write_register(guest, GERRORN, read_register(guest, GERROR));
}

unsigned take_event(struct guest *guest, uint64_t words[4])
{
	uint64_t mask = (2 << EVENT_BITS) - 1, last = read_register(guest, EVENTQ_PROD);
	uint64_t consumer = read_register(guest, EVENTQ_CONS);
	unsigned waiting = (last - consumer) & mask;

	memset(words, 0, 32);
	if (waiting == 0)
		return 0;
	for (int i = 0; i < 4; i++)
		words[i] = load64(guest, EVENTS + (consumer & (mask >> 1)) * 32 + 8 * i);
	write_register(guest, EVENTQ_CONS,
		       ((consumer + 1) & mask) | (last & UINT64_C(0x80000000)));
	return waiting;
}

/* Structures and tables. */

void set_ste(struct guest *guest, uint32_t stream, const uint64_t words[8])
{
	for (int i = 7; i >= 0; i--)
		store64(guest, STREAM_TABLE + stream * 64 + 8 * i, words[i]);
	command(guest, CFGI_STE | (uint64_t)stream << 32, 1);
	sync_all(guest);
}

/* 6.3.14, 5.2: SHCFG 1 keeps the shareability that comes in. */
#define SHCFG_INCOMING (UINT64_C(1) << 44)

void set_bypass(struct guest *guest, uint32_t stream)
{
	const uint64_t ste[8] = { 1 | 4 << 1, SHCFG_INCOMING };

	set_ste(guest, stream, ste);
}

/* A CD for a 39-bit lower half, 4 KiB pages, events recorded, faults abort. */
static uint64_t set_cd(struct guest *guest, uint32_t stream, uint16_t asid)
{
	uint64_t cd = CONTEXT + stream * 64;

	store64(guest, cd, UINT64_C(25) | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 |
			   UINT64_C(1) << 41 | UINT64_C(1) << 45 | UINT64_C(1) << 46 |
			   (uint64_t)asid << 48);
	store64(guest, cd + 8, STAGE1);
	store64(guest, cd + 24, 0xff);
	command(guest, CFGI_CD | (uint64_t)stream << 32, 1);
	return cd;
}

void set_stage1(struct guest *guest, uint32_t stream, uint16_t asid)
{
	const uint64_t ste[8] = { 1 | 5 << 1 | set_cd(guest, stream, asid), SHCFG_INCOMING };

	set_ste(guest, stream, ste);
}

/* A 39-bit stage 2 from level 1, 48 bits out, events recorded. */
static uint64_t stage2_word(uint16_t vmid)
{
	return vmid | UINT64_C(25) << 32 | UINT64_C(1) << 38 | UINT64_C(5) << 48 |
	       UINT64_C(1) << 51 | UINT64_C(1) << 58;
}

void set_stage2(struct guest *guest, uint32_t stream, uint16_t vmid)
{
	const uint64_t ste[8] = { 1 | 6 << 1, SHCFG_INCOMING, stage2_word(vmid), STAGE2 };

	set_ste(guest, stream, ste);
}

void set_nested(struct guest *guest, uint32_t stream, uint16_t asid, uint16_t vmid)
{
	const uint64_t ste[8] = { 1 | 7 << 1 | set_cd(guest, stream, asid), SHCFG_INCOMING,
				  stage2_word(vmid), STAGE2 };

	set_ste(guest, stream, ste);
}

/* The next level's table: it follows those that the address space has already. */
static uint64_t next_table(struct guest *guest, uint64_t tables, uint64_t slot)
{
	uint64_t last = tables;

	if (load64(guest, slot) & 1)
		return load64(guest, slot) & UINT64_C(0xfffffffff000);
	while (load64(guest, last + 0xff8))
		last += 4096;
	/* The last word of each table links to the next one; nobody maps there. */
	store64(guest, last + 0xff8, 2);
	store64(guest, slot, (last + 4096) | 3);
	return last + 4096;
}

static uint64_t leaf_slot(struct guest *guest, uint64_t tables, uint64_t from)
{
	uint64_t table = tables;

	for (int shift = 30; shift > 12; shift -= 9)
		table = next_table(guest, tables, table + ((from >> shift) & 0x1ff) * 8);
	return table + ((from >> 12) & 0x1ff) * 8;
}

void map(struct guest *guest, uint64_t tables, uint64_t from, uint64_t to, uint64_t leaf)
{
	store64(guest, leaf_slot(guest, tables, from), to | leaf);
}

void unmap(struct guest *guest, uint64_t tables, uint64_t from)
{
	store64(guest, leaf_slot(guest, tables, from), 0);
}

vsmmu_result translate(struct guest *guest, uint32_t stream, uint64_t address, uint32_t flags)
{
	vsmmu_access access = {
		.size = sizeof(access), .flags = flags, .stream = stream, .address = address,
	};
	vsmmu_result result = { .size = sizeof(result) };

	EQUAL(api.vsmmu_translate(guest->vsmmu, &access, &result), 0);
	return result;
}

/* Refusals. */

struct before note(struct guest *guest)
{
	struct before before;

	memset(&before, 0, sizeof(before));
	before.size = api.vsmmu_save(guest->vsmmu, before.state, sizeof(before.state));
	CHECK(before.size > 0 && before.size <= (int64_t)sizeof(before.state));
	before.counters.size = sizeof(before.counters);
	EQUAL(api.vsmmu_get_counters(guest->vsmmu, &before.counters), 0);
	return before;
}

void check_refused(struct guest *guest, const struct before *before, const char *word,
		   const char *file, int line)
{
	char message[256] = "";
	int32_t length = api.vsmmu_error_message(guest->vsmmu, message, sizeof(message));
	struct before after;

	check_contains(message, word, file, line);
	check(length == (int32_t)strlen(message), file, line, "length of the message");
	check(strchr(message, '\n') == NULL, file, line, "one line");
	after = note(guest);
	check(memcmp(before, &after, sizeof(after)) == 0, file, line, "nothing changed");
}
