/* SPDX-License-Identifier: MIT */
/* THREADS, at the top of the header: translations beside commands, and devices beside devices. */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define READERS 3
#define ROUNDS 400

struct work {
	struct guest *guest;
	bool stop;
	uint64_t accesses, wrong;
	pthread_t thread;
};

static void count(struct work *work)
{
	__atomic_add_fetch(&work->accesses, 1, __ATOMIC_RELAXED);
}

static bool is_busy(struct work *work)
{
	return __atomic_load_n(&work->accesses, __ATOMIC_RELAXED) >= ROUNDS;
}

/* A device model: reads a word through its mapping while it holds an access. Pages that the guest
 * has taken back hold a poison: to meet it means to have used a mapping after its CMD_SYNC. */
#define POISON UINT64_C(0xdeadbeefdeadbeef)

static void *device_model(void *opaque)
{
	struct work *work = opaque;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1000 };
	vsmmu_result result = { .size = sizeof(result) };

	while (!__atomic_load_n(&work->stop, __ATOMIC_RELAXED)) {
		uint64_t token = api.vsmmu_access_begin(work->guest->vsmmu);

		if (api.vsmmu_translate(work->guest->vsmmu, &access, &result) != 0 ||
		    result.kind != VSMMU_RESULT_OK)
			work->wrong++;
		else
			for (int i = 0; i < 20; i++)
				work->wrong += load64(work->guest, result.address) == POISON;
		count(work);
		api.vsmmu_access_end(work->guest->vsmmu, token);
	}
	return NULL;
}

/* The same through the call that does it all. */
static void *copying_model(void *opaque)
{
	struct work *work = opaque;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = 0x1000 };
	vsmmu_result result = { .size = sizeof(result) };

	while (!__atomic_load_n(&work->stop, __ATOMIC_RELAXED)) {
		uint64_t word = POISON;

		if (api.vsmmu_dma_read(work->guest->vsmmu, &access, &word, 8, &result) != 0 ||
		    result.kind != VSMMU_RESULT_OK || word == POISON)
			work->wrong++;
		count(work);
	}
	return NULL;
}

static void start(struct work *work, struct guest *guest, void *(*body)(void *))
{
	memset(work, 0, sizeof(*work));
	work->guest = guest;
	EQUAL(pthread_create(&work->thread, NULL, body, work), 0);
}

static void finish(struct work *work)
{
	__atomic_store_n(&work->stop, true, __ATOMIC_RELAXED);
	EQUAL(pthread_join(work->thread, NULL), 0);
	EQUAL(work->wrong, 0);
	CHECK(work->accesses > 0);
}

/* The guest moves the page from one place to another and back. */
static void move_page(struct guest *guest, int round)
{
	uint64_t from = DATA + (round & 1 ? 4096 : 0), to = DATA + (round & 1 ? 0 : 4096);

	store64(guest, to, (uint64_t)round);
	map(guest, STAGE1, 0x1000, to, PAGE1);
	command(guest, round % 3 ? TLBI_NH_ASID | UINT64_C(5) << 48 : TLBI_NSNH_ALL, 0);
	sync_all(guest);
	store64(guest, from, POISON);
}

static void threads_and_sync(void *(*body)(void *))
{
	static struct guest guest;
	struct work work[READERS];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	for (int i = 0; i < READERS; i++)
		start(&work[i], &guest, body);
	/* As long as it takes for all to have been at it. */
	for (int round = 0; round < ROUNDS || !(is_busy(&work[0]) && is_busy(&work[1]) &&
						is_busy(&work[READERS - 1])); round++)
		move_page(&guest, round);
	for (int i = 0; i < READERS; i++)
		finish(&work[i]);
	guest_close(&guest);
}

static void threads_hold_accesses(void)
{
	threads_and_sync(device_model);
}

static void threads_copy(void)
{
	threads_and_sync(copying_model);
}

/* Faults of several threads meet in one event queue: none is lost, none torn. */
static void *faulting_model(void *opaque)
{
	struct work *work = opaque;
	vsmmu_access access = {
		.size = sizeof(access), .stream = 2, .address = UINT64_C(0x7777777000),
	};
	vsmmu_result result = { .size = sizeof(result) };

	for (int i = 0; i < 2000; i++) {
		if (api.vsmmu_translate(work->guest->vsmmu, &access, &result) != 0 ||
		    result.event != C_BAD_STE)
			work->wrong++;
		count(work);
	}
	return NULL;
}

static void threads_fault(void)
{
	static struct guest guest;
	struct work work[READERS];
	vsmmu_counters c = { .size = sizeof(c) };
	uint64_t event[4], taken = 0;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	for (int i = 0; i < READERS; i++)
		start(&work[i], &guest, faulting_model);
	for (int i = 0; i < 4000; i++)
		if (take_event(&guest, event)) {
			EQUAL(event[0], C_BAD_STE | UINT64_C(2) << 32);
			taken++;
		}
	for (int i = 0; i < READERS; i++)
		finish(&work[i]);
	while (take_event(&guest, event))
		taken++;
	EQUAL(api.vsmmu_get_counters(guest.vsmmu, &c), 0);
	EQUAL(c.events_recorded, taken);
	EQUAL(c.events_recorded + c.events_dropped, READERS * 2000);
	guest_close(&guest);
}

/* Serial calls of several threads: each one whole, in some order. */
static void *serial_caller(void *opaque)
{
	struct work *work = opaque;
	uint32_t mine = 100 + (uint32_t)(uintptr_t)work % 9973 * 64;
	uint8_t state[4096];
	char message[128];
	vsmmu_counters c = { .size = sizeof(c) };
	uint64_t value;

	for (uint32_t i = 0; i < 300; i++) {
		work->wrong += api.vsmmu_stream_add(work->guest->vsmmu, mine + i % 64) != 0;
		work->wrong += api.vsmmu_mmio_read(work->guest->vsmmu, IDR0, 4, &value) != 0;
		work->wrong += api.vsmmu_save(work->guest->vsmmu, state, sizeof(state)) <= 0;
		work->wrong += api.vsmmu_get_counters(work->guest->vsmmu, &c) != 0;
		work->wrong += api.vsmmu_ram_remove(work->guest->vsmmu, 4096) != -ENOENT;
		work->wrong += api.vsmmu_error_message(work->guest->vsmmu, message, 128) <= 0;
		work->wrong += api.vsmmu_stream_remove(work->guest->vsmmu, mine + i % 64) != 0;
		count(work);
	}
	return NULL;
}

static void threads_call(void)
{
	static struct guest guest;
	struct work work[READERS];

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	for (int i = 0; i < READERS; i++)
		start(&work[i], &guest, serial_caller);
	for (int i = 0; i < 300; i++) {
		command(&guest, TLBI_NSNH_ALL, 0);
		sync_all(&guest);
	}
	for (int i = 0; i < READERS; i++)
		finish(&work[i]);
	guest_close(&guest);
}

/* RAM is taken back while it is in use: afterwards nobody touches it. */
static void threads_and_ram(void)
{
	static struct guest guest;
	static uint8_t spare[2 * 4096];
	uint8_t *page = spare + (4096 - (uintptr_t)spare % 4096) % 4096;
	const uint64_t address = UINT64_C(0x80000000);
	struct work work;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	start(&work, &guest, copying_model);
	for (int round = 0; round < ROUNDS || !is_busy(&work); round++) {
		EQUAL(api.vsmmu_ram_add(guest.vsmmu, address, 4096, page), 0);
		EQUAL(api.vsmmu_ram_remove(guest.vsmmu, address), 0);
	}
	finish(&work);
	guest_close(&guest);
}

/* Two devices know nothing of each other. */
static void two_devices(void)
{
	static struct guest one, two;
	struct work work[2];

	if (!guest_open(&one, NULL))
		return;
	if (!guest_open(&two, NULL)) {
		guest_close(&one);
		return;
	}
	guest_start(&one);
	guest_start(&two);
	map(&one, STAGE1, 0x1000, DATA, PAGE1);
	map(&two, STAGE1, 0x1000, DATA + 0x10000, PAGE1);
	set_stage1(&one, 1, 5);
	set_stage1(&two, 1, 5);
	start(&work[0], &one, device_model);
	start(&work[1], &two, device_model);
	for (int round = 0; round < ROUNDS || !(is_busy(&work[0]) && is_busy(&work[1]));
	     round++) {
		move_page(&one, round);
		EQUAL(translate(&two, 1, 0x1000, 0).address, DATA + 0x10000);
	}
	finish(&work[0]);
	finish(&work[1]);
	command(&one, 0xff, 0);
	EQUAL(read_register(&one, GERROR), 1);
	EQUAL(read_register(&two, GERROR), 0);
	EQUAL(api.vsmmu_reset(one.vsmmu), 0);
	EQUAL(translate(&two, 1, 0x1000, 0).address, DATA + 0x10000);
	guest_close(&one);
	EQUAL(translate(&two, 1, 0x1000, 0).address, DATA + 0x10000);
	guest_close(&two);
}

/* A second kernel takes over, as kexec or a crash brings it: other structures at other places, the same
 * StreamIDs, ASIDs and input addresses. Devices that nobody told to stop go on writing. */
#define HALF UINT64_C(0x200000)
#define PAGES 16u
#define REIGNS 100u

struct handover {
	struct guest guest;
	uint8_t *pristine; /* of both kernels */
	struct work work[READERS];
	/* Which kernel reigns: 2 * n + 1 for the n-th, even between two. */
	uint64_t reign;
};

static bool is_of(uint64_t reign, uint64_t address)
{
	return (address - RAM) / HALF == reign / 2 % 2;
}

/* One write that the library does, and one translation without an access, as QEMU's DMA has it. */
static void *stubborn_model(void *opaque)
{
	struct work *work = opaque;
	struct handover *h = (struct handover *)work->guest;
	vsmmu_result result = { .size = sizeof(result) };

	while (!__atomic_load_n(&work->stop, __ATOMIC_RELAXED)) {
		vsmmu_access access = {
			.size = sizeof(access), .stream = 1, .flags = VSMMU_ACCESS_WRITE,
			.address = 0x1000 * (1 + work->accesses % PAGES),
		};
		uint64_t word = POISON, before = __atomic_load_n(&h->reign, __ATOMIC_ACQUIRE);
		bool done = api.vsmmu_translate(work->guest->vsmmu, &access, &result) == 0;

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (before % 2 && before == __atomic_load_n(&h->reign, __ATOMIC_RELAXED))
			work->wrong += !done || result.kind != VSMMU_RESULT_OK ||
				       !is_of(before, result.address);
		work->wrong += api.vsmmu_dma_write(work->guest->vsmmu, &access, &word, 8, &result) != 0;
		count(work);
	}
	return NULL;
}

static void move_word(struct guest *guest, uint64_t address)
{
	store64(guest, address + HALF, load64(guest, address) + HALF);
}

/* The first kernel's memory, and the second's from it. */
static void make_kernels(struct handover *h)
{
	struct guest *guest = &h->guest;

	for (uint64_t page = 0; page < PAGES; page++)
		map(guest, STAGE1, 0x1000 * (1 + page), DATA + 4096 * page, PAGE1);
	set_stage1(guest, 1, 5);
	memcpy(guest->ram + HALF, guest->ram, HALF);
	move_word(guest, STREAM_TABLE + 64);
	move_word(guest, CONTEXT + 64 + 8);
	for (uint64_t slot = STAGE1; slot < STAGE1 + 3 * 4096; slot += 8)
		if (load64(guest, slot) & 1)
			move_word(guest, slot);
	memcpy(h->pristine, guest->ram, RAM_SIZE);
}

/* What a driver does with an SMMU that it finds. */
static void take_over(struct guest *guest, uint64_t base)
{
	uint64_t commands = base + (COMMANDS - RAM);

	write_register64(guest, STRTAB_BASE, base + (STREAM_TABLE - RAM));
	write_register64(guest, CMDQ_BASE, commands | COMMAND_BITS);
	write_register(guest, CMDQ_PROD, 0);
	write_register(guest, CMDQ_CONS, 0);
	write_register(guest, CR0, 8);
	store64(guest, commands, CFGI_ALL);
	store64(guest, commands + 8, 31);
	store64(guest, commands + 16, TLBI_NSNH_ALL);
	store64(guest, commands + 24, 0);
	store64(guest, commands + 32, SYNC);
	store64(guest, commands + 40, 0);
	write_register(guest, CMDQ_PROD, 3);
	EQUAL(read_register(guest, CMDQ_CONS), 3);
	write_register(guest, CR0, 9);
}

/* Until each device has been at it. */
static void reign(struct handover *h)
{
	uint64_t seen[READERS];

	for (int i = 0; i < READERS; i++)
		seen[i] = __atomic_load_n(&h->work[i].accesses, __ATOMIC_RELAXED);
	for (int i = 0; i < READERS; i++)
		while (__atomic_load_n(&h->work[i].accesses, __ATOMIC_RELAXED) < seen[i] + 3)
			sched_yield();
}

static void threads_and_second_kernel(void)
{
	static struct handover h;
	struct guest *guest = &h.guest;

	h.pristine = malloc(RAM_SIZE);
	if (!CHECK(h.pristine != NULL) || !guest_open(guest, NULL))
		return;
	guest_start(guest);
	write_register(guest, GBPA, UINT32_C(1) << 31 | 1 << 20);
	make_kernels(&h);
	for (int i = 0; i < READERS; i++)
		start(&h.work[i], guest, stubborn_model);
	for (uint64_t n = 0; n < REIGNS; n++) {
		uint8_t *mine = guest->ram + n % 2 * HALF, *other = guest->ram + (n + 1) % 2 * HALF;

		/* The last kernel's end: what was its memory is another's from here on. */
		__atomic_store_n(&h.reign, 2 * n, __ATOMIC_SEQ_CST);
		write_register(guest, CR0, 0);
		memset(other, 0xa5, HALF);
		memcpy(mine, h.pristine + n % 2 * HALF, HALF);
		take_over(guest, RAM + n % 2 * HALF);
		__atomic_store_n(&h.reign, 2 * n + 1, __ATOMIC_SEQ_CST);
		reign(&h);
		CHECK(load64(guest, DATA + n % 2 * HALF) == POISON);
		CHECK(other[0] == 0xa5 && memcmp(other, other + 1, HALF - 1) == 0);
	}
	for (int i = 0; i < READERS; i++)
		finish(&h.work[i]);
	guest_close(guest);
	free(h.pristine);
}

void thread_section(void)
{
	RUN(threads_hold_accesses);
	RUN(threads_copy);
	RUN(threads_fault);
	RUN(threads_call);
	RUN(threads_and_ram);
	RUN(threads_and_second_kernel);
	RUN(two_devices);
}
