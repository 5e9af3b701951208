/* SPDX-License-Identifier: MIT */
/*
 * THREADS, with a host: guests' commands beside DMA of assigned and emulated devices, the library's
 * event thread, hot-plug, and other vSMMUs on the same host.
 *
 * A page that the guest has taken back holds a poison from the moment its CMD_SYNC, or its CPU's
 * TLBI, is done. Whoever meets it has used a mapping that was gone.
 */
#include "hosted.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define NOWHERE UINT64_C(0x7000000)
#define POISON UINT64_C(0xdeadbeefdeadbeef)
#define ROUNDS 250
#define DEVICES 4u
#define CREATE_VM 0xae01u
#define REQUEST_INVALIDATE 0x3b8du
#define IDR0_BTM (1u << 5)

static const vsmmu_emulated_smmu smmus[] = { { .size = sizeof(smmus[0]) } };
static const vsmmu_emulated_device devices[DEVICES] = {
	{ .size = sizeof(devices[0]), .stream = 8 }, { .size = sizeof(devices[0]), .stream = 16 },
	{ .size = sizeof(devices[0]), .stream = 24 }, { .size = sizeof(devices[0]), .stream = 32 },
};
static const vsmmu_emulated_config machine = {
	.size = sizeof(machine), .kernel = VSMMU_EMULATED_LINKED, .smmus = smmus, .smmu_count = 1,
	.devices = devices, .device_count = DEVICES, .cpus = 8, .vmid_bits = 8,
};

/* A thread and what it does until it is stopped. */
struct worker {
	struct hosted *hosted;
	struct guest *guest;
	uint32_t device;
	int vm;
	bool stop;
	uint64_t count, wrong;
	pthread_t thread;
};

static bool goes_on(struct worker *worker)
{
	__atomic_add_fetch(&worker->count, 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&worker->stop, __ATOMIC_RELAXED);
}

static void start(struct worker *worker, struct hosted *hosted, struct guest *guest,
		  uint32_t device, void *(*body)(void *))
{
	memset(worker, 0, sizeof(*worker));
	worker->hosted = hosted;
	worker->guest = guest;
	worker->device = device;
	EQUAL(pthread_create(&worker->thread, NULL, body, worker), 0);
}

static void finish(struct worker *workers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		__atomic_store_n(&workers[i].stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < count; i++) {
		EQUAL(pthread_join(workers[i].thread, NULL), 0);
		if (!EQUAL(workers[i].wrong, 0))
			printf("  worker %u of %u\n", i, count);
		CHECK(workers[i].count > 1);
	}
}

/* Whether each of them has been at it for a while. */
static bool are_busy(struct worker *workers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (__atomic_load_n(&workers[i].count, __ATOMIC_RELAXED) < ROUNDS / 4)
			return false;
	return true;
}

/* Devices. */

static vsmmu_result assigned_read(struct worker *worker, uint64_t address, uint64_t *value)
{
	vsmmu_access access = { .size = sizeof(access), .address = address };
	vsmmu_result result = { .size = sizeof(result) };

	*value = 0;
	worker->wrong += api.vsmmu_emulated_dma_read(worker->hosted->emulated, worker->device,
						     &access, value, 8, &result) != 0;
	return result;
}

static void *assigned_device(void *opaque)
{
	struct worker *worker = opaque;
	uint64_t value;

	while (goes_on(worker))
		worker->wrong += assigned_read(worker, IOVA, &value).kind != VSMMU_RESULT_OK ||
				 value == POISON;
	return NULL;
}

static void *emulated_device(void *opaque)
{
	struct worker *worker = opaque;
	vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = IOVA };
	vsmmu_result result = { .size = sizeof(result) };

	while (goes_on(worker)) {
		uint64_t value = POISON;

		worker->wrong += api.vsmmu_dma_read(worker->guest->vsmmu, &access, &value, 8,
						    &result) != 0 ||
				 result.kind != VSMMU_RESULT_OK || value == POISON;
	}
	return NULL;
}

/* Looks at an assigned stream that stays, which leads to no page that is gone, and at one that comes
 * and goes. */
static void *inspector(void *opaque)
{
	struct worker *worker = opaque;
	vsmmu_t *vsmmu = worker->guest->vsmmu;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_INSPECT, .address = IOVA,
	};
	vsmmu_result result = { .size = sizeof(result) };

	while (goes_on(worker)) {
		const uint64_t token = api.vsmmu_access_begin(vsmmu);
		int32_t error;

		access.stream = ASSIGNED;
		worker->wrong += api.vsmmu_translate(vsmmu, &access, &result) != 0 ||
				 result.kind != VSMMU_RESULT_OK ||
				 load64(worker->guest, result.address) == POISON;
		api.vsmmu_access_end(vsmmu, token);
		access.stream = ASSIGNED + worker->device;
		error = api.vsmmu_translate(vsmmu, &access, &result);
		/* On its way to another StreamID, or away, its DMA aborts in silence. */
		worker->wrong += error != -ENOENT && (error != 0 || result.event != 0);
	}
	return NULL;
}

/* Each of its accesses faults, and becomes an event. */
static void *faulting_device(void *opaque)
{
	struct worker *worker = opaque;
	uint64_t value;

	while (goes_on(worker))
		worker->wrong += assigned_read(worker, NOWHERE, &value).kind != VSMMU_RESULT_ABORT;
	return NULL;
}

/* It comes, reads, is renumbered, reset, and goes. */
static void *plugged_device(void *opaque)
{
	struct worker *worker = opaque;
	vsmmu_t *vsmmu = worker->guest->vsmmu;
	uint32_t stream = ASSIGNED + worker->device, other = stream + 4;
	char path[64];
	vsmmu_device config = { .size = sizeof(config), .stream = stream, .path = path };
	uint64_t value;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", worker->device);
	while (goes_on(worker)) {
		worker->wrong += api.vsmmu_device_attach(vsmmu, &config) != 0;
		worker->wrong += assigned_read(worker, IOVA, &value).kind != VSMMU_RESULT_OK ||
				 value == POISON;
		worker->wrong += api.vsmmu_device_renumber(vsmmu, stream, other) != 0;
		/* Nobody has written the other STE. */
		worker->wrong += assigned_read(worker, IOVA, &value).kind != VSMMU_RESULT_ABORT;
		worker->wrong += api.vsmmu_device_renumber(vsmmu, other, stream) != 0;
		worker->wrong += api.vsmmu_device_reset(vsmmu, stream) != 0;
		worker->wrong += assigned_read(worker, IOVA, &value).kind != VSMMU_RESULT_OK;
		worker->wrong += api.vsmmu_device_detach(vsmmu, stream) != 0;
		worker->wrong += assigned_read(worker, IOVA, &value).kind != VSMMU_RESULT_ABORT;
	}
	return NULL;
}

/* Guests. */

static int32_t plug(struct guest *guest, uint32_t device)
{
	char path[64];
	vsmmu_device config = { .size = sizeof(config), .stream = ASSIGNED + device, .path = path };

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", device);
	return api.vsmmu_device_attach(guest->vsmmu, &config);
}

static void boot(struct guest *guest)
{
	guest_start(guest);
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(guest, 1, 5);
	for (uint32_t device = 0; device < DEVICES; device++)
		set_stage1(guest, ASSIGNED + device, 5);
}

static uint64_t place(int round)
{
	return DATA + (round & 1 ? 4096 : 0);
}

/* The page moves to where it was not; the caller makes the old mapping forgotten. */
static void move_page(struct guest *guest, int round)
{
	store64(guest, place(round), (uint64_t)round);
	map(guest, STAGE1, IOVA, place(round), PAGE1);
}

/* Invalidates by one command or another, and waits. Where the host failed, the guest acknowledges
 * until it does not. */
static void forget_page(struct guest *guest, int round)
{
	static const uint64_t kinds[] = {
		TLBI_NH_VA | UINT64_C(5) << 48, TLBI_NH_ASID | UINT64_C(5) << 48, TLBI_NH_VAA,
		TLBI_NH_ALL, TLBI_NSNH_ALL,
	};
	unsigned kind = (unsigned)round % 5;

	queue(guest, kinds[kind], kind == 0 || kind == 2 ? IOVA | 1 : 0);
	queue(guest, SYNC, 0);
	publish(guest);
	while ((read_register(guest, GERROR) ^ read_register(guest, GERRORN)) & 1)
		acknowledge(guest);
	EQUAL(read_register(guest, CMDQ_CONS), read_register(guest, CMDQ_PROD));
}

static void *moving_guest(void *opaque)
{
	struct worker *worker = opaque;

	for (int round = 1; goes_on(worker); round++) {
		move_page(worker->guest, round);
		forget_page(worker->guest, round);
		store64(worker->guest, place(round + 1), POISON);
	}
	return NULL;
}

/* Has the host fail now and then. */
static void *failing_host(void *opaque)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	struct worker *worker = opaque;

	while (goes_on(worker)) {
		int32_t ordered = api.vsmmu_emulated_fail(worker->hosted->emulated,
							  REQUEST_INVALIDATE, 3, EIO, 1);

		/* There may be as many orders as are kept. */
		worker->wrong += ordered != 0 && ordered != -ENOMEM;
		check_invariants(worker->hosted);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* All on one vSMMU: two kinds of devices, faults with their events, hot-plug. */
static void threads_on_a_host(void)
{
	static struct hosted hosted;
	static struct worker workers[5];
	struct guest *guest = &hosted.guest;
	uint64_t event[4];

	if (!hosted_open(&hosted, &machine))
		return;
	EQUAL(plug(guest, 0), 0);
	EQUAL(plug(guest, 1), 0);
	boot(guest);
	EQUAL(api.vsmmu_event_thread(guest->vsmmu, 1), 0);
	start(&workers[0], &hosted, guest, 0, assigned_device);
	start(&workers[1], &hosted, guest, 0, emulated_device);
	start(&workers[2], &hosted, guest, 1, faulting_device);
	start(&workers[3], &hosted, guest, 2, plugged_device);
	start(&workers[4], &hosted, guest, 2, inspector);
	for (int round = 1; round < ROUNDS || !are_busy(workers, 5); round++) {
		move_page(guest, round);
		forget_page(guest, round);
		store64(guest, place(round + 1), POISON);
		if (take_event(guest, event))
			EQUAL(event[0] & 0xff, F_TRANSLATION);
	}
	finish(workers, 5);
	EQUAL(api.vsmmu_event_thread(guest->vsmmu, 0), 0);
	CHECK(host_counters(&hosted).events > 0);
	hosted_close(&hosted);
}

/* Two vSMMUs on one host, whose kernel fails: each waits for its own alone. */
static void threads_of_two_guests(void)
{
	static struct hosted hosted;
	static struct guest other;
	static struct worker workers[5];
	vsmmu_config config = { .size = sizeof(config) };

	if (!hosted_open(&hosted, &machine))
		return;
	config.host = hosted.host;
	if (!guest_open(&other, &config))
		return;
	EQUAL(plug(&hosted.guest, 0), 0);
	EQUAL(plug(&other, 1), 0);
	boot(&hosted.guest);
	boot(&other);
	start(&workers[0], &hosted, &hosted.guest, 0, assigned_device);
	start(&workers[1], &hosted, &other, 1, assigned_device);
	start(&workers[2], &hosted, &other, 1, emulated_device);
	start(&workers[3], &hosted, &other, 0, moving_guest);
	start(&workers[4], &hosted, NULL, 0, failing_host);
	for (int round = 1; round < ROUNDS || !are_busy(workers, 5); round++) {
		move_page(&hosted.guest, round);
		forget_page(&hosted.guest, round);
		store64(&hosted.guest, place(round + 1), POISON);
	}
	finish(&workers[4], 1);
	finish(workers, 4);
	guest_close(&other);
	hosted_close(&hosted);
}

/* CPUs. */

static int create_vm(struct hosted *hosted)
{
	int kvm = api.vsmmu_emulated_open(hosted->emulated, "/dev/kvm");
	int vm = (int)api.vsmmu_emulated_ioctl(hosted->emulated, kvm, CREATE_VM, NULL);

	EQUAL(api.vsmmu_emulated_close(hosted->emulated, kvm), 0);
	return vm;
}

/* VMs of others come and go on another CPU, until VMIDs run out, again and again. */
static void *other_vms(void *opaque)
{
	struct worker *worker = opaque;
	vsmmu_emulated_t *emulated = worker->hosted->emulated;

	while (goes_on(worker)) {
		int vm = create_vm(worker->hosted);

		worker->wrong += api.vsmmu_emulated_vcpu_load(emulated, vm, 3) != 0;
		worker->wrong += api.vsmmu_emulated_vcpu_put(emulated, 3) != 0;
		worker->wrong += api.vsmmu_emulated_close(emulated, vm) != 0;
	}
	return NULL;
}

/* A CPU's TLBI alone, which the hardware hears; no command at all. */
static void broadcast(struct hosted *hosted, int round)
{
	vsmmu_dvm_op op = { .size = sizeof(op), .asid = 5, .address = IOVA, .last = IOVA + 4095 };
	static const uint32_t kinds[] = {
		VSMMU_DVM_VA, VSMMU_DVM_VAA, VSMMU_DVM_ASID, VSMMU_DVM_VMALL, VSMMU_DVM_VMALLS12,
	};

	op.kind = kinds[round % 5];
	EQUAL(api.vsmmu_emulated_tlbi(hosted->emulated, 1, &op), 0);
}

static void threads_of_cpus(void)
{
	static struct hosted hosted;
	static struct worker workers[3];
	struct guest *guest = &hosted.guest;
	int vm;

	if (!hosted_open(&hosted, &machine))
		return;
	/* CPUs reach no emulated device: with one there is no BTM. */
	for (uint32_t stream = 0; stream < ASSIGNED; stream++)
		EQUAL(api.vsmmu_stream_remove(guest->vsmmu, stream), 0);
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_link_vm(guest->vsmmu, vm, 0), 0);
	EQUAL(plug(guest, 0), 0);
	CHECK(read_register(guest, IDR0) & IDR0_BTM);
	boot(guest);
	EQUAL(api.vsmmu_emulated_vcpu_load(hosted.emulated, vm, 1), 0);
	start(&workers[0], &hosted, guest, 0, assigned_device);
	start(&workers[1], &hosted, guest, 2, plugged_device);
	start(&workers[2], &hosted, NULL, 0, other_vms);
	for (int round = 1; round < ROUNDS || !are_busy(workers, 3) ||
	     emulated_counters(&hosted).rollovers < 1; round++) {
		move_page(guest, round);
		broadcast(&hosted, round);
		store64(guest, place(round + 1), POISON);
	}
	finish(workers, 3);
	check_invariants(&hosted);
	EQUAL(api.vsmmu_emulated_vcpu_put(hosted.emulated, 1), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

/* A BAR that is revoked is written no more, whatever was under way. */

#define BAR UINT64_C(0x80000000)

static uint64_t bar_writes;

static void *write_bar(void *opaque)
{
	struct worker *worker = opaque;
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_WRITE, .address = BAR,
	};
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t value = 0;

	while (goes_on(worker)) {
		value++;
		worker->wrong += api.vsmmu_emulated_dma_write(worker->hosted->emulated, worker->device,
							      &access, &value, 8, &result) != 0;
		if (result.kind == VSMMU_RESULT_OK)
			__atomic_add_fetch(&bar_writes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Until a count has grown by so many, or a minute has gone by. */
static bool grows(const uint64_t *count, uint64_t by)
{
	const struct timespec pause = { .tv_nsec = 10000 };
	uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < 6000000; i++) {
		if (__atomic_load_n(count, __ATOMIC_RELAXED) - before >= by)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void bars_are_gone_at_once(void)
{
	static struct hosted hosted;
	static struct worker worker;
	const vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED + 1, .length = 0x1000, .address = BAR,
	};
	volatile uint64_t *memory;
	void *found = NULL;
	uint64_t length, seen;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(hosted_attach(&hosted, 1), 0);
	EQUAL(api.vsmmu_emulated_bar(hosted.emulated, 1, 0, &found, &length), 0);
	memory = found;
	EQUAL(api.vsmmu_bar_add(hosted.guest.vsmmu, &bar), 0);
	start(&worker, &hosted, NULL, 0, write_bar);
	for (unsigned round = 0; round < ROUNDS; round++) {
		CHECK(grows(&bar_writes, 3));
		if (round % 2)
			EQUAL(api.vsmmu_emulated_set_decode(hosted.emulated, 1, 0), 0);
		else
			EQUAL(api.vsmmu_bar_remove(hosted.guest.vsmmu, BAR), 0);
		seen = *memory;
		CHECK(grows(&worker.count, 3));
		EQUAL(*memory, seen);
		if (round % 2) {
			EQUAL(api.vsmmu_emulated_set_decode(hosted.emulated, 1, 1), 0);
			EQUAL(api.vsmmu_bar_renew(hosted.guest.vsmmu, BAR), 0);
		} else {
			EQUAL(api.vsmmu_bar_add(hosted.guest.vsmmu, &bar), 0);
		}
	}
	finish(&worker, 1);
	hosted_close(&hosted);
}

void host_thread_section(void)
{
	RUN(threads_on_a_host);
	RUN(threads_of_two_guests);
	RUN(threads_of_cpus);
	RUN(bars_are_gone_at_once);
}
