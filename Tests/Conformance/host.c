/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h: assigned devices behind a host SMMU. */
#define _GNU_SOURCE
#include "hosted.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void tlbi_page(struct guest *guest, uint64_t address)
{
	queue(guest, TLBI_NH_VA | UINT64_C(5) << 48, address | 1);
}

static void host_translates(void)
{
	static struct hosted hosted;
	uint64_t value, event[4];

	if (!hosted_open_translated(&hosted))
		return;
	store64(&hosted.guest, DATA, 0x1111);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 0x1111);
	EQUAL(device_write(&hosted, 0, IOVA + 8, 0x2222), VSMMU_RESULT_OK);
	EQUAL(load64(&hosted.guest, DATA + 8), 0x2222);
	/* The hardware's TLB has it until it is told. */
	unmap(&hosted.guest, STAGE1, IOVA);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	tlbi_page(&hosted.guest, IOVA);
	sync_all(&hosted.guest);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	/* The fault reaches the guest under its own StreamID. */
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	EQUAL(take_event(&hosted.guest, event), 1);
	EQUAL(event[0] & 0xff, F_TRANSLATION);
	EQUAL(event[0] >> 32, ASSIGNED);
	EQUAL(event[2], IOVA);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 0);
	EQUAL(host_counters(&hosted).events, 1);
	hosted_close(&hosted);
}

/* A file that is none is told before the kernel is asked. */
static void host_refuses_no_file(void)
{
	static struct hosted hosted;
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = {
		.size = sizeof(config), .flags = VSMMU_HOST_IOMMUFD, .iommufd = -1,
		.kernel = &kernel,
	};
	vsmmu_device device = {
		.size = sizeof(device), .flags = VSMMU_DEVICE_FD, .stream = ASSIGNED, .fd = -1,
	};
	vsmmu_host_t *host = NULL;
	char message[256] = "";
	uint64_t calls;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_emulated_kernel(hosted.emulated, &kernel), 0);
	calls = emulated_counters(&hosted).calls;
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "config.iommufd");
	CHECK(host == NULL);
	REFUSED(&hosted.guest, -EINVAL, "device.fd",
		api.vsmmu_device_attach(hosted.guest.vsmmu, &device));
	device.flags |= VSMMU_DEVICE_BOUND;
	REFUSED(&hosted.guest, -EINVAL, "device.fd",
		api.vsmmu_device_attach(hosted.guest.vsmmu, &device));
	REFUSED(&hosted.guest, -EINVAL, "vm_fd", api.vsmmu_link_vm(hosted.guest.vsmmu, -1, 0));
	EQUAL(emulated_counters(&hosted).calls, calls);
	hosted_close(&hosted);
}

/* What a stream is follows SMMUEN, GBPA and its STE at once. */
static void host_follows_the_configuration(void)
{
	static struct hosted hosted;
	const uint64_t abort[8] = { 1 };
	uint64_t value;

	if (!hosted_open(&hosted, NULL))
		return;
	store64(&hosted.guest, DATA, 7);
	EQUAL(hosted_attach(&hosted, 0), 0);
	/* After reset: GBPA passes. */
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	write_register(&hosted.guest, GBPA, UINT64_C(1) << 31 | 1 << 20);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	write_register(&hosted.guest, GBPA, UINT64_C(1) << 31);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	guest_start(&hosted.guest);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	set_bypass(&hosted.guest, ASSIGNED);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	set_ste(&hosted.guest, ASSIGNED, abort);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 7);
	/* Off again, and on. */
	write_register(&hosted.guest, CR0, 0xc);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	write_register(&hosted.guest, CR0, 0xd);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_reset(hosted.guest.vsmmu), 0);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_OK);
	hosted_close(&hosted);
}

/* An emulated device beside: the same guest tables, walked in software. */
static void host_has_both_kinds(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!hosted_open_translated(&hosted))
		return;
	set_stage1(&hosted.guest, 3, 5);
	EQUAL(translate(&hosted.guest, 3, IOVA, 0).address, DATA);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(&hosted.guest, STAGE1, IOVA);
	tlbi_page(&hosted.guest, IOVA);
	sync_all(&hosted.guest);
	EQUAL(translate(&hosted.guest, 3, IOVA, 0).kind, VSMMU_RESULT_ABORT);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

/*
 * A driver that works at EL2, on an SMMU without Hyp: its streams are of NS-EL1, and what it sends
 * forgets their translations, in software and in the host's SMMU (5.2, 4.4).
 */
static void host_forgets_for_el2(void)
{
	static struct hosted hosted;
	static const uint64_t commands[] = {
		TLBI_EL2_ALL, TLBI_EL2_ASID, TLBI_EL2_VA, TLBI_EL2_VAA,
	};
	vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_QUIRK_TLBI_EL2 };
	uint64_t value;

	if (!hosted_open_with(&hosted, NULL, config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t stream = i ? 3 : ASSIGNED;

		set_stage1(&hosted.guest, stream, 5);
		/* STRW is EL2. */
		store64(&hosted.guest, STREAM_TABLE + stream * 64 + 8, UINT64_C(2) << 30);
		command(&hosted.guest, CFGI_STE | (uint64_t)stream << 32, 1);
	}
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(translate(&hosted.guest, 3, IOVA, 0).kind, VSMMU_RESULT_OK);
		unmap(&hosted.guest, STAGE1, IOVA);
		queue(&hosted.guest, commands[i], IOVA | 1);
		sync_all(&hosted.guest);
		EQUAL(translate(&hosted.guest, 3, IOVA, 0).kind, VSMMU_RESULT_ABORT);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	}
	EQUAL(read_register(&hosted.guest, GERROR), 0);
	hosted_close(&hosted);
}

static uint64_t unmap_pages(struct hosted *hosted, unsigned pages, unsigned per_sync)
{
	uint64_t before = emulated_counters(hosted).invalidations;

	for (unsigned i = 0; i < pages; i++) {
		tlbi_page(&hosted->guest, IOVA);
		if (i % per_sync == per_sync - 1)
			sync_all(&hosted->guest);
	}
	sync_all(&hosted->guest);
	return emulated_counters(hosted).invalidations - before;
}

static void host_batches_invalidations(void)
{
	static struct hosted hosted;

	if (!hosted_open_translated(&hosted))
		return;
	EQUAL(unmap_pages(&hosted, 10000, 1), 10000);
	EQUAL(unmap_pages(&hosted, 10000, 64), 157);
	EQUAL(host_counters(&hosted).forwarded, 20000);
	hosted_close(&hosted);
}

/* A batch that costs the host's SMMU more than a budget: all of it is done when the kernel returns. */
static void host_consumes_a_whole_batch(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!hosted_open_translated(&hosted))
		return;
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(&hosted.guest, STAGE1, IOVA);
	/* 200 ranges of 128 MiB elsewhere, each a look at the whole TLB, before the page. */
	for (uint64_t i = 1; i <= 200; i++)
		queue(&hosted.guest, TLBI_NH_VA | 31 << 12 | 10 << 20 | UINT64_C(5) << 48,
		      i << 27 | 1 << 10 | 1);
	tlbi_page(&hosted.guest, IOVA);
	sync_all(&hosted.guest);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

/* Linux writes what is ignored, then what decides, then clears what is no longer used. */
static void host_makes_one_hwpt_for_an_update(void)
{
	static struct hosted hosted;
	uint64_t ste = STREAM_TABLE + ASSIGNED * 64, before;

	if (!hosted_open_translated(&hosted))
		return;
	before = emulated_counters(&hosted).hwpts;
	for (int i = 0; i < 3; i++) {
		/* S1DSS, S1CDMax = 0: ignored; MEV and S2VMID are not the hardware's business. */
		store64(&hosted.guest, ste + 8, (uint64_t)(i + 1) << 19 | 2);
		store64(&hosted.guest, ste + 16, (uint64_t)i);
		command(&hosted.guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
		sync_all(&hosted.guest);
	}
	EQUAL(emulated_counters(&hosted).hwpts, before);
	store64(&hosted.guest, ste + 8, 3 << 6);
	for (int i = 0; i < 3; i++) {
		command(&hosted.guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
		sync_all(&hosted.guest);
	}
	EQUAL(emulated_counters(&hosted).hwpts, before + 1);
	hosted_close(&hosted);
}

/* A CD that changes under the same STE: CFGI_CD and CFGI_STE reach the hardware. */
static void host_forgets_contexts(void)
{
	static struct hosted hosted;
	uint64_t cd = CONTEXT + ASSIGNED * 64, value;

	if (!hosted_open_translated(&hosted))
		return;
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	for (int all = 0; all < 2; all++) {
		uint64_t disabled = UINT64_C(1) << 14, word = load64(&hosted.guest, cd);

		/* EPD0: the lower half is off. */
		store64(&hosted.guest, cd, word | disabled);
		command(&hosted.guest, (all ? CFGI_STE : CFGI_CD) | (uint64_t)ASSIGNED << 32, 1);
		sync_all(&hosted.guest);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
		store64(&hosted.guest, cd, word);
		command(&hosted.guest, CFGI_ALL, 31);
		sync_all(&hosted.guest);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	}
	hosted_close(&hosted);
}

/* Commands that the kernel would refuse never reach it. */
static void host_sees_no_guest_bits(void)
{
	static struct hosted hosted;
	uint64_t failures;

	if (!hosted_open_translated(&hosted))
		return;
	failures = host_counters(&hosted).failures;
	for (uint64_t opcode = 0x10; opcode <= 0x13; opcode++)
		for (int bit = 8; bit < 128; bit++) {
			/* Skip the fields that make a command illegal here: TG without a range. */
			if (bit == 74 || bit == 75)
				continue;
			queue(&hosted.guest, opcode | (bit < 64 ? UINT64_C(1) << bit : 0),
			      bit < 64 ? 0 : UINT64_C(1) << (bit - 64));
			sync_all(&hosted.guest);
		}
	for (int tg = 1; tg < 4; tg++)
		for (int ttl = 1; ttl < 4; ttl++) {
			queue(&hosted.guest, TLBI_NH_VA | 3 << 12 | 2 << 20,
			      (uint64_t)tg << 10 | (uint64_t)ttl << 8);
			sync_all(&hosted.guest);
		}
	/* A stream that is nobody's, and one that does not translate. */
	command(&hosted.guest, CFGI_CD | UINT64_C(15) << 32, 1);
	command(&hosted.guest, 0x06 | UINT64_C(14) << 32, 0);
	sync_all(&hosted.guest);
	EQUAL(read_register(&hosted.guest, GERROR), read_register(&hosted.guest, GERRORN));
	EQUAL(host_counters(&hosted).failures, failures);
	CHECK(host_counters(&hosted).withheld >= 2);
	hosted_close(&hosted);
}

static void host_moves_devices(void)
{
	static struct hosted hosted;
	uint64_t value, event[4];

	if (!hosted_open_translated(&hosted))
		return;
	EQUAL(hosted_attach(&hosted, 1), 0);
	EQUAL(device_read(&hosted, 1, IOVA, &value), VSMMU_RESULT_ABORT);
	/* The guest numbers its buses anew. */
	EQUAL(api.vsmmu_device_renumber(hosted.guest.vsmmu, ASSIGNED, 12), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	set_stage1(&hosted.guest, 12, 5);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(device_read(&hosted, 0, IOVA + 0x100000, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	EQUAL(take_event(&hosted.guest, event), 1);
	EQUAL(event[0] >> 32, 12);
	EQUAL(api.vsmmu_device_renumber(hosted.guest.vsmmu, 12, ASSIGNED + 1), -EEXIST);
	EQUAL(api.vsmmu_device_renumber(hosted.guest.vsmmu, 99, 100), -ENOENT);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, 12), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	CHECK(api.vsmmu_device_fd(hosted.guest.vsmmu, 12) >= 0);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, 12), 0);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, 12), -ENOENT);
	EQUAL(api.vsmmu_device_fd(hosted.guest.vsmmu, 12), -ENOENT);
	EQUAL(host_counters(&hosted).devices, 1);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED + 1), 0);
	hosted_close(&hosted);
}

static void host_tells_events_by_a_file(void)
{
	static struct hosted hosted;
	struct pollfd file = { .events = POLLIN };
	uint64_t value, event[4];

	if (!hosted_open_translated(&hosted))
		return;
	file.fd = api.vsmmu_event_fd(hosted.guest.vsmmu);
	CHECK(file.fd >= 0);
	EQUAL(poll(&file, 1, 0), 0);
	device_read(&hosted, 0, 0x7000000, &value);
	EQUAL(poll(&file, 1, 60000), 1);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	EQUAL(poll(&file, 1, 0), 0);
	EQUAL(take_event(&hosted.guest, event), 1);
	/* The library's own thread does the same. */
	EQUAL(api.vsmmu_event_thread(hosted.guest.vsmmu, 1), 0);
	EQUAL(api.vsmmu_event_thread(hosted.guest.vsmmu, 1), 0);
	device_read(&hosted, 0, 0x7000000, &value);
	for (int i = 0; i < 60000 && host_counters(&hosted).events < 2; i++)
		poll(NULL, 0, 1);
	EQUAL(take_event(&hosted.guest, event), 1);
	EQUAL(event[2], 0x7000000);
	EQUAL(api.vsmmu_event_thread(hosted.guest.vsmmu, 0), 0);
	/* Events that the kernel lost are no overflow of the guest's queue. */
	EQUAL(api.vsmmu_emulated_lose_events(hosted.emulated, 3), 0);
	for (int i = 0; i < 4; i++)
		device_read(&hosted, 0, 0x7000000, &value);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	EQUAL(host_counters(&hosted).events_lost, 3);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD) >> 31, 0);
	EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
	CONTAINS(hosted.guest.log, "lost 3 events");
	/* With the guest's queue off there is nowhere to put them. */
	write_register(&hosted.guest, CR0, 0x9);
	device_read(&hosted, 0, 0x7000000, &value);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 0);
	write_register(&hosted.guest, CR0, 0xd);
	device_read(&hosted, 0, 0x7000000, &value);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	hosted_close(&hosted);
}

static void host_survives_migration(void)
{
	static struct hosted hosted;
	static uint8_t state[4096];
	int64_t size;
	uint64_t value;

	if (!hosted_open_translated(&hosted))
		return;
	size = api.vsmmu_save(hosted.guest.vsmmu, state, sizeof(state));
	CHECK(size > 0);
	EQUAL(api.vsmmu_reset(hosted.guest.vsmmu), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_restore(hosted.guest.vsmmu, state, (uint64_t)size), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	hosted_close(&hosted);
}

/* Memory of a file: the device and the VMM see the same pages. */
static void host_maps_files(void)
{
	static struct hosted hosted;
	const uint64_t address = UINT64_C(0x80000000);
	uint64_t *memory, value;
	int fd = memfd_create("guest", 0);

	if (!CHECK(fd >= 0 && ftruncate(fd, 0x10000) == 0) || !hosted_open(&hosted, NULL))
		return;
	memory = mmap(NULL, 0x8000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x4000);
	CHECK(memory != MAP_FAILED);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, -1, 0x4000), -EINVAL);
	EQUAL(api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, 12345, 0x4000),
	      -EBADF);
	EQUAL(api.vsmmu_ram_add_file(hosted.guest.vsmmu, address, 0x8000, memory, fd, 0x4000), 0);
	memory[9] = 0x99;
	EQUAL(device_read(&hosted, 0, address + 72, &value), VSMMU_RESULT_OK);
	EQUAL(value, 0x99);
	EQUAL(device_write(&hosted, 0, address + 0x7ff8, 0x77), VSMMU_RESULT_OK);
	EQUAL(memory[0xfff], 0x77);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, address), 0);
	EQUAL(device_read(&hosted, 0, address, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
	munmap(memory, 0x8000);
	close(fd);
}

/* Two vSMMUs of one VM, with a device each: the second shares the first one's memory. */
static void host_has_several_vsmmus(void)
{
	static struct hosted hosted;
	const vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_config config = { .size = sizeof(config) };
	vsmmu_device device = {
		.size = sizeof(device), .stream = 1, .path = "/dev/vfio/devices/vfio1",
	};
	vsmmu_t *other = NULL;
	char message[256];
	uint64_t value;

	if (!hosted_open_translated(&hosted))
		return;
	config.host = hosted.host;
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &other, message, sizeof(message)), 0);
	EQUAL(api.vsmmu_ram_add(other, RAM, RAM_SIZE, hosted.guest.ram), 0);
	EQUAL(emulated_counters(&hosted).mappings, 2);
	EQUAL(api.vsmmu_device_attach(other, &device), 0);
	store64(&hosted.guest, DATA, 0x1234);
	EQUAL(device_read(&hosted, 1, DATA, &value), VSMMU_RESULT_OK);
	EQUAL(value, 0x1234);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* Each is a machine of its own to the TLB. */
	CHECK(api.vsmmu_emulated_stream_vmid(hosted.emulated, 0) !=
	      api.vsmmu_emulated_stream_vmid(hosted.emulated, 1));
	check_invariants(&hosted);
	api.vsmmu_destroy(other);
	EQUAL(device_read(&hosted, 1, DATA, &value), VSMMU_RESULT_ABORT);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	hosted_close(&hosted);
}

/* A look at an assigned stream: what the host's SMMU was told, on the way to a guest physical
 * address. The device itself is the judge. */
static void host_is_inspected(void)
{
	static struct hosted hosted;
	const uint64_t abort[8] = { 1 };
	struct guest *guest = &hosted.guest;
	const uint32_t look = VSMMU_ACCESS_INSPECT, write = look | VSMMU_ACCESS_WRITE;
	vsmmu_access access = { .size = sizeof(access), .stream = ASSIGNED, .address = IOVA };
	vsmmu_result result = { .size = sizeof(result) };
	vsmmu_counters counters = { .size = sizeof(counters) };
	uint64_t value, calls, event[4];

	if (!hosted_open(&hosted, NULL))
		return;
	access.flags = look;
	REFUSED(guest, -ENOENT, "was not added", api.vsmmu_translate(guest->vsmmu, &access, &result));
	EQUAL(hosted_attach(&hosted, 0), 0);
	access.flags = 0;
	REFUSED(guest, -ENOENT, "VSMMU_ACCESS_INSPECT",
		api.vsmmu_translate(guest->vsmmu, &access, &result));
	REFUSED(guest, -ENOENT, "VSMMU_ACCESS_INSPECT",
		api.vsmmu_dma_read(guest->vsmmu, &access, &value, sizeof(value), &result));
	/* A device makes accesses. */
	access.flags = look;
	EQUAL(api.vsmmu_emulated_dma_read(hosted.emulated, 0, &access, &value, sizeof(value),
					  &result), -EINVAL);
	EQUAL(api.vsmmu_emulated_dma_write(hosted.emulated, 0, &access, &value, sizeof(value),
					   &result), -EINVAL);
	EQUAL(translate(guest, ASSIGNED, DATA, look).address, DATA);
	guest_start(guest);
	/* No STE: no event of hardware, and none here. */
	EQUAL(translate(guest, ASSIGNED, DATA, look).kind, VSMMU_RESULT_ABORT);
	EQUAL(translate(guest, ASSIGNED, DATA, look).event, 0);
	EQUAL(device_read(&hosted, 0, DATA, &value), VSMMU_RESULT_ABORT);
	set_bypass(guest, ASSIGNED);
	EQUAL(translate(guest, ASSIGNED, DATA + 5, look).address, DATA + 5);
	set_ste(guest, ASSIGNED, abort);
	EQUAL(translate(guest, ASSIGNED, DATA, look).kind, VSMMU_RESULT_ABORT);
	/* Stage 2 is the host's: what asks for one of its own aborts. */
	set_stage2(guest, ASSIGNED, 3);
	EQUAL(translate(guest, ASSIGNED, DATA, look).kind, VSMMU_RESULT_ABORT);
	EQUAL(translate(guest, ASSIGNED, DATA, look).event, 0);
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	map(guest, STAGE1, IOVA + 0x1000, DATA, PAGE1_READ_ONLY);
	set_stage1(guest, ASSIGNED, 5);
	calls = emulated_counters(&hosted).calls;
	result = translate(guest, ASSIGNED, IOVA + 0x123, write);
	EQUAL(result.kind, VSMMU_RESULT_OK);
	EQUAL(result.address, DATA + 0x123);
	EQUAL(result.length, 0x1000 - 0x123);
	EQUAL(result.page_bits, 12);
	EQUAL(result.permissions, 7);
	EQUAL(result.generation, 0);
	EQUAL(translate(guest, ASSIGNED, IOVA + 0x1000, look).kind, VSMMU_RESULT_OK);
	EQUAL(translate(guest, ASSIGNED, IOVA + 0x1000, write).event, F_PERMISSION);
	EQUAL(translate(guest, ASSIGNED, IOVA + 0x2000, look).event, F_TRANSLATION);
	EQUAL(emulated_counters(&hosted).calls, calls);
	EQUAL(api.vsmmu_get_counters(guest->vsmmu, &counters), 0);
	EQUAL(counters.tlb_misses, 0);
	EQUAL(counters.configuration_misses, 0);
	EQUAL(take_event(guest, event), 0);
	/* The device was told the same. */
	EQUAL(device_write(&hosted, 0, IOVA + 0x1000, 1), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_event_run(guest->vsmmu), 1);
	EQUAL(take_event(guest, event), 1);
	EQUAL(event[0] & 0xff, F_PERMISSION);
	/* An STE that nobody was told of is nothing to it. */
	store64(guest, STREAM_TABLE + ASSIGNED * 64, 0);
	EQUAL(translate(guest, ASSIGNED, IOVA + 0x123, look).address, DATA + 0x123);
	command(guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
	EQUAL(translate(guest, ASSIGNED, IOVA, look).kind, VSMMU_RESULT_ABORT);
	/* Bypass ends where the output addresses do, without an event. */
	set_bypass(guest, ASSIGNED);
	EQUAL(translate(guest, ASSIGNED, UINT64_C(1) << 60, look).kind, VSMMU_RESULT_ABORT);
	EQUAL(translate(guest, ASSIGNED, UINT64_C(1) << 60, look).event, 0);
	set_stage1(guest, ASSIGNED, 5);
	/* Under its new number, and not under the old one: that STE is none. */
	EQUAL(api.vsmmu_device_renumber(guest->vsmmu, ASSIGNED, ASSIGNED + 4), 0);
	access.flags = look;
	EQUAL(api.vsmmu_translate(guest->vsmmu, &access, &result), -ENOENT);
	access.stream = ASSIGNED + 4;
	EQUAL(api.vsmmu_translate(guest->vsmmu, &access, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	set_stage1(guest, ASSIGNED + 4, 5);
	EQUAL(translate(guest, ASSIGNED + 4, IOVA, look).address, DATA);
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + 4), 0);
	EQUAL(api.vsmmu_translate(guest->vsmmu, &access, &result), -ENOENT);
	hosted_close(&hosted);
}

void host_section(void)
{
	RUN(host_maps_files);
	RUN(host_has_several_vsmmus);
	RUN(host_refuses_no_file);
	RUN(host_translates);
	RUN(host_is_inspected);
	RUN(host_follows_the_configuration);
	RUN(host_has_both_kinds);
	RUN(host_forgets_for_el2);
	RUN(host_batches_invalidations);
	RUN(host_consumes_a_whole_batch);
	RUN(host_makes_one_hwpt_for_an_update);
	RUN(host_forgets_contexts);
	RUN(host_sees_no_guest_bits);
	RUN(host_moves_devices);
	RUN(host_tells_events_by_a_file);
	RUN(host_survives_migration);
}
