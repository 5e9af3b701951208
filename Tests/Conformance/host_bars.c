/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h: BARs of assigned devices, which the others reach. */
#include "hosted.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	REQUEST_MAP_FILE = 0x3b8f, REQUEST_UNMAP = 0x3b86, REQUEST_FEATURE = 0x3b75,
	REQUEST_RESET = 0x3b6f, REQUEST_IOAS_ALLOC = 0x3b81, REQUEST_DETACH = 0x3b78,
};

/* Device 1's, the peer of device 0. */
#define BAR UINT64_C(0x80000000)
#define BAR_SIZE UINT64_C(0x10000)
#define BAR_IOVA UINT64_C(0x9000)
#define SELF (RAM + 0x200000)
#define PATTERN UINT64_C(0x1122334455667788)

static vsmmu_bar whole(void)
{
	return (vsmmu_bar){
		.size = sizeof(vsmmu_bar), .device = ASSIGNED + 1, .length = BAR_SIZE, .address = BAR,
	};
}

static int32_t add(struct hosted *hosted, vsmmu_bar bar)
{
	return api.vsmmu_bar_add(hosted->guest.vsmmu, &bar);
}

static int32_t drop(struct hosted *hosted, uint64_t address)
{
	return api.vsmmu_bar_remove(hosted->guest.vsmmu, address);
}

static int32_t renew(struct hosted *hosted, uint64_t address)
{
	return api.vsmmu_bar_renew(hosted->guest.vsmmu, address);
}

static void decode(struct hosted *hosted, uint32_t on)
{
	EQUAL(api.vsmmu_emulated_set_decode(hosted->emulated, 1, on), 0);
}

static void fail(struct hosted *hosted, uint32_t request, int32_t error)
{
	EQUAL(api.vsmmu_emulated_fail(hosted->emulated, request, 1, error, 0), 0);
}

static volatile uint64_t *bar_memory(struct hosted *hosted, uint32_t device)
{
	void *memory = NULL;
	uint64_t length = 0;

	EQUAL(api.vsmmu_emulated_bar(hosted->emulated, device, 0, &memory, &length), 0);
	EQUAL(length, BAR_SIZE);
	return memory;
}

/* Devices 0 and 1, which bypass stage 1, and the BAR of device 1 filled. */
static bool open_peers(struct hosted *hosted)
{
	if (!hosted_open(hosted, NULL))
		return false;
	EQUAL(hosted_attach(hosted, 0), 0);
	EQUAL(hosted_attach(hosted, 1), 0);
	*bar_memory(hosted, 1) = PATTERN;
	return true;
}

/* Does device 0 read the BAR there? What it reads is nothing else. */
static bool reaches(struct hosted *hosted, uint64_t address)
{
	uint64_t value;
	uint32_t kind = device_read(hosted, 0, address, &value);

	check_invariants(hosted);
	EQUAL(value, kind == VSMMU_RESULT_OK ? PATTERN : 0);
	return kind == VSMMU_RESULT_OK;
}

/* A refusal with a word in it, which leaves no file, object or mapping behind. */
static void refuses(struct hosted *hosted, vsmmu_bar bar, int32_t error, const char *word)
{
	vsmmu_emulated_counters before = emulated_counters(hosted), after;
	char sentence[256];

	EQUAL(add(hosted, bar), error);
	api.vsmmu_error_message(hosted->guest.vsmmu, sentence, sizeof(sentence));
	CONTAINS(sentence, word);
	after = emulated_counters(hosted);
	EQUAL(after.objects, before.objects);
	EQUAL(after.files, before.files);
	EQUAL(after.mappings, before.mappings);
	check_invariants(hosted);
}

static void bars_are_reached(void)
{
	static struct hosted hosted;
	vsmmu_bar part = whole();
	volatile uint64_t *memory;
	uint64_t value;
	uint32_t files;

	if (!open_peers(&hosted))
		return;
	memory = bar_memory(&hosted, 1);
	files = emulated_counters(&hosted).files;
	CHECK(!reaches(&hosted, BAR));
	EQUAL(add(&hosted, whole()), 0);
	EQUAL(emulated_counters(&hosted).files, files);
	EQUAL(emulated_counters(&hosted).mappings, 2);
	CHECK(reaches(&hosted, BAR));
	EQUAL(device_write(&hosted, 0, BAR + BAR_SIZE - 8, 0x99), VSMMU_RESULT_OK);
	EQUAL(memory[BAR_SIZE / 8 - 1], 0x99);
	EQUAL(device_read(&hosted, 0, BAR + BAR_SIZE, &value), VSMMU_RESULT_ABORT);
	/* A device reaches its own by that way too. */
	EQUAL(device_read(&hosted, 1, BAR, &value), VSMMU_RESULT_OK);
	EQUAL(drop(&hosted, BAR), 0);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(emulated_counters(&hosted).mappings, 1);
	EQUAL(drop(&hosted, BAR), -ENOENT);
	/* A page of it, and another one next to that. */
	part.offset = 0x3000;
	part.length = 0x1000;
	memory[0x3000 / 8] = PATTERN;
	EQUAL(add(&hosted, part), 0);
	CHECK(reaches(&hosted, BAR));
	CHECK(!reaches(&hosted, BAR + 0x1000));
	part.offset = 0;
	part.address = BAR + 0x1000;
	EQUAL(add(&hosted, part), 0);
	CHECK(reaches(&hosted, BAR + 0x1000));
	hosted_close(&hosted);
}

/* Through stage 1, whose tables are not walked in a device's memory (3.4.3, S2PTW). */
static void bars_are_reached_through_stage1(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!hosted_open_translated(&hosted))
		return;
	EQUAL(hosted_attach(&hosted, 1), 0);
	*bar_memory(&hosted, 1) = PATTERN;
	map(&hosted.guest, STAGE1, BAR_IOVA, BAR, PAGE1);
	CHECK(!reaches(&hosted, BAR_IOVA));
	EQUAL(add(&hosted, whole()), 0);
	CHECK(reaches(&hosted, BAR_IOVA));
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	decode(&hosted, 0);
	CHECK(!reaches(&hosted, BAR_IOVA));
	decode(&hosted, 1);
	CHECK(!reaches(&hosted, BAR_IOVA));
	EQUAL(renew(&hosted, BAR), 0);
	CHECK(reaches(&hosted, BAR_IOVA));
	/* An emulated device's access goes where it always goes outside RAM. */
	set_stage1(&hosted.guest, 3, 5);
	EQUAL(translate(&hosted.guest, 3, BAR_IOVA, 0).address, BAR);
	/* A page that is its own table of levels 2 and 3, in RAM and in the BAR. */
	store64(&hosted.guest, STAGE1 + 8, SELF | 3);
	store64(&hosted.guest, SELF, SELF | PAGE1);
	EQUAL(device_read(&hosted, 0, UINT64_C(1) << 30, &value), VSMMU_RESULT_OK);
	EQUAL(value, SELF | PAGE1);
	store64(&hosted.guest, STAGE1 + 16, BAR | 3);
	*bar_memory(&hosted, 1) = BAR | PAGE1;
	EQUAL(device_read(&hosted, 0, UINT64_C(2) << 30, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

/* Reset, memory decode, D3: what was revoked is not reached before it is mapped again. */
static void revoked_bars_abort(void)
{
	static struct hosted hosted;
	vsmmu_bar other = whole();
	void *page = aligned_alloc(4096, 4096);

	if (!open_peers(&hosted))
		return;
	EQUAL(add(&hosted, whole()), 0);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED), 0);
	CHECK(reaches(&hosted, BAR));
	decode(&hosted, 0);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(host_counters(&hosted).failures, 0);
	/* Nothing else can have its place. */
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, BAR, 4096, page), -EEXIST);
	EQUAL(renew(&hosted, BAR), -ENODEV);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, BAR, 4096, page), -EEXIST);
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, BAR + BAR_SIZE, 4096, page), 0);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), 0);
	CHECK(!reaches(&hosted, BAR));
	other.address = BAR + 2 * BAR_SIZE;
	refuses(&hosted, other, -ENODEV, "decode");
	decode(&hosted, 1);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(renew(&hosted, BAR), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(renew(&hosted, BAR), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(add(&hosted, other), 0);
	decode(&hosted, 0);
	decode(&hosted, 1);
	CHECK(!reaches(&hosted, other.address));
	/* A hole can be removed. */
	EQUAL(drop(&hosted, other.address), 0);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(host_counters(&hosted).failures, 0);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, BAR + BAR_SIZE), 0);
	hosted_close(&hosted);
	free(page);
}

/* RAM and BARs know of each other by their addresses alone. */
static void bars_are_no_ram(void)
{
	static struct hosted hosted;
	vsmmu_bar bar = whole();

	if (!open_peers(&hosted))
		return;
	EQUAL(add(&hosted, bar), 0);
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, BAR), -ENOENT);
	EQUAL(drop(&hosted, RAM), -ENOENT);
	EQUAL(renew(&hosted, RAM), -ENOENT);
	EQUAL(renew(&hosted, BAR + 0x1000), -ENOENT);
	CHECK(reaches(&hosted, BAR));
	bar.address = RAM;
	refuses(&hosted, bar, -EEXIST, "RAM");
	bar.address = RAM + RAM_SIZE - 0x1000;
	refuses(&hosted, bar, -EEXIST, "RAM");
	/* RAM comes back beside it. */
	EQUAL(api.vsmmu_ram_remove(hosted.guest.vsmmu, RAM), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(api.vsmmu_ram_add(hosted.guest.vsmmu, RAM, RAM_SIZE, hosted.guest.ram), 0);
	hosted_close(&hosted);
}

/* They go with their device, and follow it to another StreamID. */
static void bars_go_with_their_device(void)
{
	static struct hosted hosted;
	vsmmu_device file = { .size = sizeof(file), .flags = VSMMU_DEVICE_FD, .stream = 20 };

	if (!open_peers(&hosted))
		return;
	EQUAL(add(&hosted, whole()), 0);
	EQUAL(api.vsmmu_device_renumber(hosted.guest.vsmmu, ASSIGNED + 1, 12), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, 12), 0);
	CHECK(reaches(&hosted, BAR));
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, 12), 0);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(emulated_counters(&hosted).mappings, 1);
	EQUAL(drop(&hosted, BAR), -ENOENT);
	/* A file of the caller's is still open, and the BAR would answer. */
	file.fd = api.vsmmu_emulated_open(hosted.emulated, "/dev/vfio/devices/vfio1");
	EQUAL(api.vsmmu_device_attach(hosted.guest.vsmmu, &file), 0);
	{
		vsmmu_bar bar = whole();

		bar.device = 20;
		EQUAL(add(&hosted, bar), 0);
	}
	CHECK(reaches(&hosted, BAR));
	/* The kernel does not unmap it: it is there, and can be removed later. */
	fail(&hosted, REQUEST_UNMAP, EIO);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, 20), 0);
	EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
	CONTAINS(hosted.guest.log, "unmap the BAR");
	EQUAL(host_counters(&hosted).failures, 1);
	EQUAL(renew(&hosted, BAR), -ENOENT);
	EQUAL(drop(&hosted, BAR), 0);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(drop(&hosted, BAR), -ENOENT);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, file.fd), 0);
	hosted_close(&hosted);
}

static void bar_refusals(void)
{
	static struct hosted hosted;
	static const struct {
		uint32_t size, flags, region, reserved;
		uint64_t device, offset, length, address;
		int32_t error;
		const char *word;
	} cases[] = {
		{ 0, 0, 0, 0, 9, 0, 4096, BAR, -EINVAL, "size" },
		{ 40, 0, 0, 0, 9, 0, 4096, BAR, -EINVAL, "size" },
		{ 48, 1, 0, 0, 9, 0, 4096, BAR, -EINVAL, "bar.flags" },
		{ 48, 0, 0, 1, 9, 0, 4096, BAR, -EINVAL, "bar.reserved" },
		{ 48, 0, 6, 0, 9, 0, 4096, BAR, -EINVAL, "bar.region" },
		{ 48, 0, 0, 0, 10, 0, 4096, BAR, -ENOENT, "StreamID" },
		{ 48, 0, 0, 0, 9 | 2ull << 32, 0, 4096, BAR, -EINVAL, "device" },
		{ 48, 0, 0, 0, VSMMU_BY_DEVID(999), 0, 4096, BAR, -ENOENT, "devid" },
		{ 48, 0, 0, 0, 9 | 1ull << 63, 0, 4096, BAR, -EINVAL, "device" },
		{ 48, 0, 0, 0, 9, 0, 0, BAR, -EINVAL, ".length" },
		{ 48, 0, 0, 0, 9, 0, 2048, BAR, -EINVAL, ".length" },
		{ 48, 0, 0, 0, 9, 2048, 4096, BAR, -EINVAL, ".offset" },
		{ 48, 0, 0, 0, 9, 0, 4096, BAR + 1, -EINVAL, ".address" },
		{ 48, 0, 0, 0, 9, -4096ull, 4096, BAR, -EINVAL, "passes the end" },
		{ 48, 0, 0, 0, 9, 0, 4096, -4096ull, -EINVAL, "passes the end" },
		{ 48, 0, 0, 0, 9, 0, 4096, 0x8000000, -EINVAL, "MSI" },
		{ 48, 0, 0, 0, 9, 0, 0x10000, 0x7ff1000, -EINVAL, "MSI" },
		{ 48, 0, 0, 0, 9, 0, 4096, 0x80ff000, -EINVAL, "MSI" },
		/* The kernel's own: no such BAR, beyond the BAR, beyond stage 2. */
		{ 48, 0, 5, 0, 9, 0, 4096, BAR, -ENODEV, "bar.region" },
		{ 48, 0, 0, 0, 9, 0, 2 * BAR_SIZE, BAR, -EINVAL, "errno 22" },
		{ 48, 0, 0, 0, 9, 0, 4096, UINT64_C(1) << 52, -EINVAL, "errno 22" },
	};
	vsmmu_bar bar = whole();

	if (!open_peers(&hosted))
		return;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuses(&hosted, (vsmmu_bar){
			.size = cases[i].size, .flags = cases[i].flags, .device = cases[i].device,
			.region = cases[i].region, .reserved = cases[i].reserved,
			.offset = cases[i].offset, .length = cases[i].length,
			.address = cases[i].address,
		}, cases[i].error, cases[i].word);
	EQUAL(api.vsmmu_bar_add(hosted.guest.vsmmu, NULL), -EINVAL);
	EQUAL(api.vsmmu_bar_add(NULL, &bar), -EINVAL);
	EQUAL(api.vsmmu_bar_remove(NULL, BAR), -EINVAL);
	EQUAL(api.vsmmu_bar_renew(NULL, BAR), -EINVAL);
	/* A longer struct of a newer header. */
	{
		struct { vsmmu_bar bar; uint64_t more; } longer = { whole(), 0 };

		longer.bar.size = sizeof(longer);
		EQUAL(api.vsmmu_bar_add(hosted.guest.vsmmu, &longer.bar), 0);
		longer.more = 1;
		EQUAL(api.vsmmu_bar_add(hosted.guest.vsmmu, &longer.bar), -E2BIG);
	}
	/* Neighbours, and what meets one. */
	bar.address = BAR + BAR_SIZE - 0x1000;
	refuses(&hosted, bar, -EEXIST, "0x80000000");
	bar.address = BAR - BAR_SIZE + 0x1000;
	refuses(&hosted, bar, -EEXIST, "BAR");
	bar.address = BAR - BAR_SIZE;
	EQUAL(add(&hosted, bar), 0);
	bar.address = BAR + BAR_SIZE;
	EQUAL(add(&hosted, bar), 0);
	hosted_close(&hosted);
}

/* 256 of them. */
static void bars_are_bounded(void)
{
	static struct hosted hosted;
	vsmmu_bar bar = whole();

	if (!open_peers(&hosted))
		return;
	bar.length = 0x1000;
	for (unsigned i = 0; i < 256; i++) {
		bar.address = BAR + i * UINT64_C(0x2000);
		EQUAL(add(&hosted, bar), 0);
	}
	bar.address -= 0x1000;
	refuses(&hosted, bar, -ENOMEM, "256");
	EQUAL(drop(&hosted, BAR), 0);
	EQUAL(add(&hosted, bar), 0);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), 0);
	CHECK(reaches(&hosted, bar.address));
	hosted_close(&hosted);
}

/* Who owns the address space maps in it; without a host there is none. */
static void bars_need_an_address_space(void)
{
	static struct hosted hosted;
	static struct guest guest;
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = { .size = sizeof(config), .kernel = &kernel };
	struct { uint32_t size, flags, id; } ioas = { .size = sizeof(ioas) };
	vsmmu_bar bar = whole();
	char path[] = "/dev/vfio/devices/vfio1";
	vsmmu_device device = { .size = sizeof(device), .stream = ASSIGNED + 1, .path = path };
	vsmmu_config owned = { .size = sizeof(owned) };

	if (!guest_open(&guest, NULL))
		return;
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_bar_add(guest.vsmmu, &bar));
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_bar_remove(guest.vsmmu, BAR));
	REFUSED(&guest, -EINVAL, "config.host", api.vsmmu_bar_renew(guest.vsmmu, BAR));
	guest_close(&guest);
	EQUAL(api.vsmmu_emulated_create(NULL, &hosted.emulated, NULL, 0), 0);
	EQUAL(api.vsmmu_emulated_kernel(hosted.emulated, &kernel), 0);
	config.flags = VSMMU_HOST_IOMMUFD;
	config.iommufd = api.vsmmu_emulated_open(hosted.emulated, "/dev/iommu");
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, config.iommufd, REQUEST_IOAS_ALLOC, &ioas), 0);
	EQUAL(api.vsmmu_host_open(&config, &hosted.host, NULL, 0), 0);
	owned.host = hosted.host;
	owned.ioas = ioas.id;
	if (!guest_open(&hosted.guest, &owned))
		return;
	EQUAL(api.vsmmu_device_attach(hosted.guest.vsmmu, &device), 0);
	refuses(&hosted, bar, -EINVAL, "config.ioas");
	EQUAL(drop(&hosted, BAR), -ENOENT);
	EQUAL(renew(&hosted, BAR), -ENOENT);
	guest_close(&hosted.guest);
	EQUAL(api.vsmmu_host_close(hosted.host), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, config.iommufd), 0);
	EQUAL(emulated_counters(&hosted).objects, 0);
	EQUAL(emulated_counters(&hosted).files, 0);
	api.vsmmu_emulated_destroy(hosted.emulated);
}

/* Each call of the kernel fails once. */
static void bars_survive_the_kernel(void)
{
	static struct hosted hosted;
	static const uint32_t requests[] = { REQUEST_FEATURE, REQUEST_MAP_FILE };
	uint32_t files;

	if (!open_peers(&hosted))
		return;
	files = emulated_counters(&hosted).files;
	for (unsigned i = 0; i < 2; i++) {
		fail(&hosted, requests[i], ENOTTY);
		refuses(&hosted, whole(), -ENOTTY, i ? "MAP_FILE" : "CONFIG_VFIO_PCI_DMABUF");
	}
	EQUAL(add(&hosted, whole()), 0);
	fail(&hosted, REQUEST_UNMAP, EIO);
	EQUAL(drop(&hosted, BAR), -EIO);
	CHECK(reaches(&hosted, BAR));
	/* Before anything is unmapped. */
	fail(&hosted, REQUEST_FEATURE, EIO);
	EQUAL(renew(&hosted, BAR), -EIO);
	CHECK(reaches(&hosted, BAR));
	fail(&hosted, REQUEST_UNMAP, EIO);
	EQUAL(renew(&hosted, BAR), -EIO);
	CHECK(reaches(&hosted, BAR));
	/* After: it is not mapped, until that works. */
	fail(&hosted, REQUEST_MAP_FILE, ENOMEM);
	EQUAL(renew(&hosted, BAR), -ENOMEM);
	CHECK(!reaches(&hosted, BAR));
	EQUAL(renew(&hosted, BAR), 0);
	CHECK(reaches(&hosted, BAR));
	/* With a reset, which is done: the log tells. */
	for (unsigned i = 0; i < 2; i++) {
		EQUAL(host_counters(&hosted).failures, i);
		fail(&hosted, requests[i], ENOMEM);
		EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), 0);
		EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
		CONTAINS(hosted.guest.log, "map a BAR again");
		CHECK(!reaches(&hosted, BAR));
		EQUAL(renew(&hosted, BAR), 0);
		CHECK(reaches(&hosted, BAR));
	}
	/* The reset itself. */
	fail(&hosted, REQUEST_RESET, EIO);
	EQUAL(api.vsmmu_device_reset(hosted.guest.vsmmu, ASSIGNED + 1), -EIO);
	CHECK(reaches(&hosted, BAR));
	/* A detachment that fails keeps the device and its BARs. */
	for (unsigned i = 0; i < 2; i++)
		fail(&hosted, REQUEST_DETACH, EIO);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED + 1), -EIO);
	CHECK(reaches(&hosted, BAR));
	EQUAL(emulated_counters(&hosted).files, files);
	EQUAL(drop(&hosted, BAR), 0);
	hosted_close(&hosted);
}

/* Two vSMMUs of a VM share RAM, which is copied from one address space to the other, and no BAR. */
static void bars_are_of_one_vsmmu(void)
{
	static struct hosted hosted;
	vsmmu_config config = { .size = sizeof(config) };
	vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_bar bar = whole();
	vsmmu_t *other = NULL;

	if (!open_peers(&hosted))
		return;
	EQUAL(add(&hosted, bar), 0);
	config.host = hosted.host;
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &other, NULL, 0), 0);
	EQUAL(api.vsmmu_ram_add(other, RAM, RAM_SIZE, hosted.guest.ram), 0);
	EQUAL(api.vsmmu_bar_add(other, &bar), -ENOENT);
	EQUAL(api.vsmmu_bar_remove(other, BAR), -ENOENT);
	EQUAL(emulated_counters(&hosted).mappings, 3);
	api.vsmmu_destroy(other);
	CHECK(reaches(&hosted, BAR));
	hosted_close(&hosted);
}

static void emulated_bars(void)
{
	static struct hosted hosted;
	vsmmu_emulated_device device = { .size = sizeof(device), .stream = 8 };
	vsmmu_emulated_config config = {
		.size = sizeof(config), .devices = &device, .device_count = 1,
	};
	static const uint32_t wrong[] = { 1, 11, 33, 64, UINT32_MAX };
	vsmmu_emulated_t *emulated = NULL;
	void *memory = NULL;
	uint64_t length;
	char message[256];

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_emulated_bar(NULL, 0, 0, &memory, &length), -EINVAL);
	EQUAL(api.vsmmu_emulated_bar(hosted.emulated, 2, 0, &memory, &length), -EINVAL);
	EQUAL(api.vsmmu_emulated_bar(hosted.emulated, 0, 1, &memory, &length), -EINVAL);
	EQUAL(api.vsmmu_emulated_bar(hosted.emulated, 0, 0, NULL, &length), -EINVAL);
	EQUAL(api.vsmmu_emulated_bar(hosted.emulated, 0, 0, &memory, NULL), -EINVAL);
	EQUAL(api.vsmmu_emulated_set_decode(NULL, 0, 1), -EINVAL);
	EQUAL(api.vsmmu_emulated_set_decode(hosted.emulated, 2, 1), -EINVAL);
	EQUAL(api.vsmmu_emulated_set_decode(hosted.emulated, 0, 2), -EINVAL);
	CHECK(bar_memory(&hosted, 0) != bar_memory(&hosted, 1));
	hosted_close(&hosted);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		device.bar_bits = wrong[i];
		EQUAL(api.vsmmu_emulated_create(&config, &emulated, message, sizeof(message)), -EINVAL);
		CONTAINS(message, "bar_bits");
	}
	device.bar_bits = 21;
	EQUAL(api.vsmmu_emulated_create(&config, &emulated, message, sizeof(message)), 0);
	EQUAL(api.vsmmu_emulated_bar(emulated, 0, 0, &memory, &length), 0);
	EQUAL(length, UINT64_C(1) << 21);
	memset(memory, 0xff, length);
	api.vsmmu_emulated_destroy(emulated);
}

void host_bar_section(void)
{
	RUN(bars_are_reached);
	RUN(bars_are_reached_through_stage1);
	RUN(revoked_bars_abort);
	RUN(bars_are_no_ram);
	RUN(bars_go_with_their_device);
	RUN(bar_refusals);
	RUN(bars_are_bounded);
	RUN(bars_need_an_address_space);
	RUN(bars_survive_the_kernel);
	RUN(bars_are_of_one_vsmmu);
	RUN(emulated_bars);
}
