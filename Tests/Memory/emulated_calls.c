/* SPDX-License-Identifier: MIT */
/* Calls on an emulated host. */
#include "attempt.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	IOAS_ALLOC = 0x3b81, IOAS_ALLOW_IOVAS = 0x3b82, IOAS_COPY = 0x3b83, IOAS_MAP = 0x3b85,
	IOAS_UNMAP = 0x3b86, HWPT_ALLOC = 0x3b89, HWPT_INVALIDATE = 0x3b8d,
	FAULT_QUEUE_ALLOC = 0x3b8e, VIOMMU_ALLOC = 0x3b90, VDEVICE_ALLOC = 0x3b91,
	VEVENTQ_ALLOC = 0x3b93, BIND = 0x3b76, ATTACH = 0x3b77, DETACH = 0x3b78,
	IOAS_MAP_FILE = 0x3b8f, DEVICE_FEATURE = 0x3b75, DEVICE_RESET = 0x3b6f,
	CREATE_VM = 0xae01, CREATE_VCPU = 0xae41,
};

#define IOCTL(request, argument) api.vsmmu_emulated_ioctl(EMULATED, scene.fd, (request), (argument))

static void nothing(void) {}

/* Creation. */

static int64_t create(const vsmmu_emulated_config *config)
{
	vsmmu_emulated_t *made = NULL;
	int32_t result = api.vsmmu_emulated_create(config, &made, scene.message,
						   sizeof(scene.message));

	CHECK((result == 0) == (made != NULL));
	CHECK((result == 0) == (scene.message[0] == 0));
	api.vsmmu_emulated_destroy(made);
	return result;
}

static int64_t create_default(void)
{
	return create(NULL);
}

static int64_t create_many(void)
{
	static vsmmu_emulated_smmu smmus[3];
	static vsmmu_emulated_device devices[30];
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = smmus, .smmu_count = 3, .devices = devices,
		.device_count = 30, .cpus = 1024,
	};

	for (unsigned i = 0; i < 3; i++)
		smmus[i] = (vsmmu_emulated_smmu){
			.size = sizeof(smmus[i]),
			.flags = VSMMU_EMULATED_ROOT_ATS | (i % 2 ? VSMMU_EMULATED_REPEAT : 0),
			.features = i == 2 ? "ST_LEVEL=0 SIDSIZE=6 ATS=1" : i ? "ATS=1" : NULL,
		};
	for (unsigned i = 0; i < 30; i++)
		devices[i] = (vsmmu_emulated_device){
			.size = sizeof(devices[i]), .smmu = i % 3, .stream = i % 3 == 2 ? i : i * 120,
			.flags = VSMMU_EMULATED_ATS,
		};
	return create(&config);
}

static void emulated_creation(void)
{
	ATTEMPT("vsmmu_emulated_create", nothing, create_default, nothing);
	ATTEMPT("vsmmu_emulated_create, large", nothing, create_many, nothing);
}

/* Files. */

static void open_emulated(void)
{
	CHECK(api.vsmmu_emulated_create(NULL, &EMULATED, NULL, 0) == 0);
	scene.fd = -1;
}

static void close_emulated(void)
{
	EQUAL(api.vsmmu_emulated_check(EMULATED, NULL, 0), 0);
	api.vsmmu_emulated_destroy(EMULATED);
}

static void open_iommufd(void)
{
	open_emulated();
	scene.fd = api.vsmmu_emulated_open(EMULATED, "/dev/iommu");
	CHECK(scene.fd >= 0);
}

static int64_t open_file(void)
{
	return api.vsmmu_emulated_open(EMULATED, "/dev/iommu");
}

static int64_t duplicate(void)
{
	return api.vsmmu_emulated_dup(EMULATED, scene.fd);
}

static int64_t check_all(void)
{
	return api.vsmmu_emulated_check(EMULATED, scene.message, sizeof(scene.message));
}

static int64_t fail_order(void)
{
	return api.vsmmu_emulated_fail(EMULATED, 1, 1, EIO, 0);
}

static void files(void)
{
	ATTEMPT("vsmmu_emulated_open", open_emulated, open_file, close_emulated);
	ATTEMPT("vsmmu_emulated_dup", open_iommufd, duplicate, close_emulated);
	ATTEMPT("vsmmu_emulated_check", open_iommufd, check_all, close_emulated);
	ATTEMPT("vsmmu_emulated_fail", open_iommufd, fail_order, close_emulated,
		.never_fails = true);
}

/* Objects. A device is bound as object 1, an address space is object 2. */

struct ioas_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t address, length, iova;
};

struct ioas_alloc { uint32_t size, flags, id; };

static int64_t alloc_ioas(void)
{
	struct ioas_alloc request = { .size = sizeof(request) };

	return IOCTL(IOAS_ALLOC, &request);
}

static void open_bound(void)
{
	struct { uint32_t argsz, flags; int32_t iommufd; uint32_t id; } request = { 16, 0, 0, 0 };
	int device;

	open_iommufd();
	device = api.vsmmu_emulated_open(EMULATED, "/dev/vfio/devices/vfio0");
	request.iommufd = scene.fd;
	EQUAL(api.vsmmu_emulated_ioctl(EMULATED, device, BIND, &request), 0);
	EQUAL(request.id, 1);
	EQUAL(alloc_ioas(), 0);
}

static struct {
	uint32_t size, flags, device, table, id, reserved, type, length;
	uint64_t data;
	uint32_t fault, pad;
} hwpt;

static int64_t alloc_parent(void)
{
	memset(&hwpt, 0, sizeof(hwpt));
	hwpt.size = sizeof(hwpt);
	hwpt.flags = 1;
	hwpt.device = 1;
	hwpt.table = 2;
	return IOCTL(HWPT_ALLOC, &hwpt);
}

/* Object 3: the nest parent, whose tables follow what is mapped. */
static void open_parent(void)
{
	open_bound();
	EQUAL(alloc_parent(), 0);
}

/* 64 MiB that fit no block: tables of pages. Nobody touches them. */
#define LENGTH (UINT64_C(64) << 20)

static int64_t map_at(uint64_t iova)
{
	static uint8_t *memory;
	struct ioas_map request = { .size = sizeof(request), .flags = 7, .ioas = 2 };

	if (!memory)
		memory = mmap(NULL, LENGTH + 0x200000, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	request.address = ((uint64_t)(uintptr_t)memory + 0x1fffff) & ~UINT64_C(0x1fffff);
	request.length = LENGTH;
	request.iova = iova + 4096;
	return IOCTL(IOAS_MAP, &request);
}

static int64_t map_pages(void)
{
	return map_at(UINT64_C(0x40000000));
}

static void open_mapped(void)
{
	open_bound();
	EQUAL(map_pages(), 0);
}

static int64_t unmap_pages(void)
{
	struct { uint32_t size, ioas; uint64_t iova, length; } request = {
		sizeof(request), 2, 0, UINT64_MAX,
	};

	return IOCTL(IOAS_UNMAP, &request);
}

static void open_mapped_parent(void)
{
	open_parent();
	EQUAL(map_pages(), 0);
}

static int64_t copy_pages(void)
{
	struct { uint32_t size, flags, to, from; uint64_t length, target, source; } request = {
		sizeof(request), 7, 2, 2, LENGTH, UINT64_C(0x80000000) + 4096,
		UINT64_C(0x40000000) + 4096,
	};

	return IOCTL(IOAS_COPY, &request);
}

static int64_t allow_ranges(void)
{
	static struct { uint64_t first, last; } ranges[300];
	struct { uint32_t size, ioas, count, reserved; uint64_t ranges; } request = {
		sizeof(request), 2, 300, 0, (uint64_t)(uintptr_t)ranges,
	};

	for (unsigned i = 0; i < 300; i++) {
		ranges[i].first = UINT64_C(0x10000000) * i;
		ranges[i].last = ranges[i].first + 0xffff;
	}
	return IOCTL(IOAS_ALLOW_IOVAS, &request);
}

static void objects(void)
{
	ATTEMPT("IOMMU_IOAS_ALLOC", open_iommufd, alloc_ioas, close_emulated);
	ATTEMPT("IOMMU_IOAS_ALLOW_IOVAS", open_bound, allow_ranges, close_emulated);
	ATTEMPT("IOMMU_HWPT_ALLOC, a nest parent", open_bound, alloc_parent, close_emulated);
	ATTEMPT("IOMMU_HWPT_ALLOC, of what is mapped", open_mapped, alloc_parent, close_emulated);
	ATTEMPT("IOMMU_IOAS_MAP", open_parent, map_pages, close_emulated);
	ATTEMPT("IOMMU_IOAS_COPY", open_mapped_parent, copy_pages, close_emulated);
	ATTEMPT("IOMMU_IOAS_UNMAP", open_mapped_parent, unmap_pages, close_emulated,
		.never_fails = true);
}

/* A vIOMMU, and what is on it: objects 4 and up. */

static int64_t alloc_viommu(void)
{
	struct {
		uint32_t size, flags, type, device, parent, id, length, reserved;
		uint64_t data;
	} request = { .size = sizeof(request), .type = 1, .device = 1, .parent = 3 };

	return IOCTL(VIOMMU_ALLOC, &request);
}

static void open_viommu(void)
{
	open_parent();
	EQUAL(alloc_viommu(), 0);
}

static int64_t alloc_vdevice(void)
{
	struct { uint32_t size, viommu, device, id; uint64_t virtual; } request = {
		sizeof(request), 4, 1, 0, 8,
	};

	return IOCTL(VDEVICE_ALLOC, &request);
}

static int64_t alloc_event_queue(void)
{
	struct { uint32_t size, flags, viommu, type, depth, id; int32_t fd; uint32_t reserved; }
	request = { sizeof(request), 0, 4, 1, 1 << 19, 0, 0, 0 };

	return IOCTL(VEVENTQ_ALLOC, &request);
}

static int64_t alloc_fault_queue(void)
{
	struct { uint32_t size, flags, id; int32_t fd; } request = { .size = sizeof(request) };

	return IOCTL(FAULT_QUEUE_ALLOC, &request);
}

static int64_t invalidate(void)
{
	static uint64_t commands[1000][2];
	struct { uint32_t size, viommu; uint64_t data; uint32_t type, length, count, reserved; }
	request = { sizeof(request), 4, (uint64_t)(uintptr_t)commands, 1, 16, 1000, 0 };

	for (unsigned i = 0; i < 1000; i++) {
		commands[i][0] = TLBI_NH_VA;
		commands[i][1] = (uint64_t)i << 12;
	}
	return IOCTL(HWPT_INVALIDATE, &request);
}

static void viommus(void)
{
	ATTEMPT("IOMMU_VIOMMU_ALLOC", open_parent, alloc_viommu, close_emulated);
	ATTEMPT("IOMMU_VDEVICE_ALLOC", open_viommu, alloc_vdevice, close_emulated);
	ATTEMPT("IOMMU_VEVENTQ_ALLOC", open_viommu, alloc_event_queue, close_emulated);
	ATTEMPT("IOMMU_FAULT_QUEUE_ALLOC", open_viommu, alloc_fault_queue, close_emulated);
	ATTEMPT("IOMMU_HWPT_INVALIDATE", open_viommu, invalidate, close_emulated);
}

/* VMs. */

static void open_kvm(void)
{
	open_emulated();
	scene.fd = api.vsmmu_emulated_open(EMULATED, "/dev/kvm");
}

static int64_t create_vm(void)
{
	return IOCTL(CREATE_VM, NULL);
}

static void open_vm(void)
{
	open_kvm();
	scene.fd = (int)create_vm();
	CHECK(scene.fd >= 0);
}

static int64_t create_cpu(void)
{
	return IOCTL(CREATE_VCPU, (void *)(uintptr_t)7);
}

static int64_t load_cpu(void)
{
	return api.vsmmu_emulated_vcpu_load(EMULATED, scene.fd, 2);
}

static void vms(void)
{
	ATTEMPT("KVM_CREATE_VM", open_kvm, create_vm, close_emulated);
	ATTEMPT("KVM_CREATE_VCPU", open_vm, create_cpu, close_emulated);
	ATTEMPT("vsmmu_emulated_vcpu_load", open_vm, load_cpu, close_emulated);
}

/* Events that no memory was there for wait in the SMMU's queue, or are lost as on Linux: the DMA is
 * what it is, and nothing is held up. */
static void faults(void)
{
	uint64_t value;

	memset(&scene, 0, sizeof(scene));
	if (!hosted_open(&scene.hosted, NULL))
		return;
	EQUAL(hosted_attach(&scene.hosted, 0), 0);
	guest_start(GUEST);
	set_stage1(GUEST, ASSIGNED, 5);
	heap_arm(HEAP_FROM, 1);
	for (int i = 0; i < 1000; i++)
		EQUAL(device_read(&scene.hosted, 0, 0x5000, &value), VSMMU_RESULT_ABORT);
	heap_arm(HEAP_STARVED, 0);
	for (int i = 0; i < 1000; i++)
		EQUAL(device_read(&scene.hosted, 0, 0x5000, &value), VSMMU_RESULT_ABORT);
	heap_disarm();
	CHECK(api.vsmmu_event_run(VSMMU) > 0);
	hosted_close(&scene.hosted);
}

/* BARs. The device's file is one of its own, and the dma-buf's number is what it returns. */

static struct { int device, buffer; } bar;

static int64_t export_bar(void)
{
	struct {
		uint32_t argsz, flags, region, open_flags, zero, count;
		uint64_t offset, length;
	} request = { sizeof(request), 1u << 16 | 11, 0, 02000002, 0, 1, 0, 8192 };

	bar.buffer = (int)api.vsmmu_emulated_ioctl(EMULATED, bar.device, DEVICE_FEATURE, &request);
	return bar.buffer;
}

static void open_device(void)
{
	struct { uint32_t argsz, flags; int32_t iommufd; uint32_t id; } request = { 16, 0, 0, 0 };

	open_mapped_parent();
	bar.device = api.vsmmu_emulated_open(EMULATED, "/dev/vfio/devices/vfio1");
	request.iommufd = scene.fd;
	EQUAL(api.vsmmu_emulated_ioctl(EMULATED, bar.device, BIND, &request), 0);
}

static void open_buffer(void)
{
	open_device();
	CHECK(export_bar() > 0);
}

static int64_t map_bar(void)
{
	struct {
		uint32_t size, flags, ioas;
		int32_t fd;
		uint64_t start, length, iova;
	} request = { sizeof(request), 7, 2, bar.buffer, 0, 8192, UINT64_C(0x90000000) };

	return IOCTL(IOAS_MAP_FILE, &request);
}

static void open_mapped_bar(void)
{
	open_buffer();
	EQUAL(map_bar(), 0);
}

static int64_t reset_device(void)
{
	return api.vsmmu_emulated_ioctl(EMULATED, bar.device, DEVICE_RESET, NULL);
}

static int64_t close_device(void)
{
	return api.vsmmu_emulated_close(EMULATED, bar.device);
}

static int64_t end_decode(void)
{
	return api.vsmmu_emulated_set_decode(EMULATED, 1, 0);
}

static int64_t bar_memory(void)
{
	void *memory = NULL;
	uint64_t length;

	return api.vsmmu_emulated_bar(EMULATED, 1, 0, &memory, &length);
}

static void bars(void)
{
	ATTEMPT("VFIO_DEVICE_FEATURE_DMA_BUF", open_device, export_bar, close_emulated);
	ATTEMPT("IOMMU_IOAS_MAP_FILE of a BAR", open_buffer, map_bar, close_emulated);
	ATTEMPT("VFIO_DEVICE_RESET of a mapped BAR", open_mapped_bar, reset_device, close_emulated,
		.never_fails = true);
	ATTEMPT("close of a device with a mapped BAR", open_mapped_bar, close_device, close_emulated,
		.never_fails = true);
	ATTEMPT("vsmmu_emulated_set_decode", open_mapped_bar, end_decode, close_emulated);
	ATTEMPT("vsmmu_emulated_bar", open_emulated, bar_memory, close_emulated);
}

void emulated_calls(void)
{
	RUN(emulated_creation);
	RUN(files);
	RUN(objects);
	RUN(bars);
	RUN(viommus);
	RUN(vms);
	RUN(faults);
}
