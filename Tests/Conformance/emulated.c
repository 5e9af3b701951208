/* SPDX-License-Identifier: MIT */
/* vsmmuv3_emulated.h: its system calls as such. What they answer is the contract program's matter. */
#include "hosted.h"

#include <poll.h>
#include <stdlib.h>

enum { IOAS_ALLOC = 0x3b81, FAULT_QUEUE_ALLOC = 0x3b8e, GET_API_VERSION = 0xae00 };

static vsmmu_emulated_t *create(void)
{
	vsmmu_emulated_t *emulated = NULL;
	char message[256];

	EQUAL(api.vsmmu_emulated_create(NULL, &emulated, message, sizeof(message)), 0);
	return emulated;
}

static void emulated_files(void)
{
	vsmmu_emulated_t *emulated = create();
	uint32_t ioas[3] = { sizeof(ioas) };
	vsmmu_emulated_counters counters = { .size = sizeof(counters) };
	uint64_t word;
	int fd, twin;

	if (!emulated)
		return;
	EQUAL(api.vsmmu_emulated_open(emulated, "/dev/nothing"), -ENOENT);
	EQUAL(api.vsmmu_emulated_open(emulated, "/dev/vfio/devices/vfio2"), -ENOENT);
	EQUAL(api.vsmmu_emulated_open(emulated, NULL), -EFAULT);
	fd = api.vsmmu_emulated_open(emulated, "/dev/iommu");
	CHECK(fd >= 0);
	twin = api.vsmmu_emulated_dup(emulated, fd);
	CHECK(twin >= 0 && twin != fd);
	EQUAL(api.vsmmu_emulated_ioctl(emulated, fd, IOAS_ALLOC, ioas), 0);
	EQUAL(ioas[2], 1);
	EQUAL(api.vsmmu_emulated_ioctl(emulated, fd, 0x3bff, ioas), -ENOTTY);
	/* The file lives as long as one of its descriptors. */
	EQUAL(api.vsmmu_emulated_close(emulated, fd), 0);
	EQUAL(api.vsmmu_emulated_close(emulated, fd), -EBADF);
	EQUAL(api.vsmmu_emulated_ioctl(emulated, fd, IOAS_ALLOC, ioas), -EBADF);
	EQUAL(api.vsmmu_emulated_ioctl(emulated, twin, IOAS_ALLOC, ioas), 0);
	EQUAL(ioas[2], 2);
	EQUAL(api.vsmmu_emulated_get_counters(emulated, &counters), 0);
	EQUAL(counters.objects, 2);
	EQUAL(counters.files, 1);
	EQUAL(api.vsmmu_emulated_read(emulated, twin, &word, sizeof(word)), -EINVAL);
	EQUAL(api.vsmmu_emulated_write(emulated, twin, &word, sizeof(word)), -EINVAL);
	EQUAL(api.vsmmu_emulated_close(emulated, twin), 0);
	EQUAL(api.vsmmu_emulated_get_counters(emulated, &counters), 0);
	EQUAL(counters.objects, 0);
	EQUAL(api.vsmmu_emulated_poll(emulated, twin), -EBADF);
	EQUAL(api.vsmmu_emulated_dup(emulated, twin), -EBADF);
	EQUAL(api.vsmmu_emulated_open(NULL, "/dev/iommu"), -EINVAL);
	api.vsmmu_emulated_destroy(emulated);
}

/* A queue of faults: nothing to read, answers to no question. */
static void emulated_fault_queue(void)
{
	vsmmu_emulated_t *emulated = create();
	struct { uint32_t size, flags, id; int32_t fd; } queue = { .size = sizeof(queue) };
	uint8_t data[40] = { 0 };
	int fd;

	if (!emulated)
		return;
	fd = api.vsmmu_emulated_open(emulated, "/dev/iommu");
	EQUAL(api.vsmmu_emulated_ioctl(emulated, fd, FAULT_QUEUE_ALLOC, &queue), 0);
	EQUAL(api.vsmmu_emulated_poll(emulated, queue.fd) & POLLOUT, POLLOUT);
	EQUAL(api.vsmmu_emulated_poll(emulated, queue.fd) & POLLIN, 0);
	EQUAL(api.vsmmu_emulated_read(emulated, queue.fd, data, 40), 0);
	EQUAL(api.vsmmu_emulated_read(emulated, queue.fd, data, 39), -ESPIPE);
	EQUAL(api.vsmmu_emulated_write(emulated, queue.fd, data, 8), -EINVAL);
	EQUAL(api.vsmmu_emulated_write(emulated, queue.fd, data, 7), -ESPIPE);
	/* What is left open is closed with the host. */
	api.vsmmu_emulated_destroy(emulated);
}

static void emulated_refusals(void)
{
	vsmmu_emulated_t *emulated = create();
	vsmmu_access access = { .size = sizeof(access) };
	vsmmu_result result = { .size = sizeof(result) };
	vsmmu_dvm_op op = { .size = sizeof(op) };
	uint64_t word = 0;

	if (!emulated)
		return;
#define READ(device) \
	api.vsmmu_emulated_dma_read(emulated, (device), &access, &word, sizeof(word), &result)
	/* Bound to nothing: no DMA passes. */
	EQUAL(READ(0), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(READ(2), -EINVAL);
	access.flags = 1u << 20;
	EQUAL(READ(0), -EINVAL);
	access.flags = 0;
	access.size = 0;
	EQUAL(READ(0), -EINVAL);
#undef READ
	EQUAL(api.vsmmu_emulated_vcpu_load(emulated, -1, 0), -EBADF);
	EQUAL(api.vsmmu_emulated_vcpu_put(emulated, 0), -EINVAL);
	EQUAL(api.vsmmu_emulated_vcpu_put(emulated, 4), -EINVAL);
	EQUAL(api.vsmmu_emulated_tlbi(emulated, 0, &op), -EINVAL);
	EQUAL(api.vsmmu_emulated_vm_vmid(emulated, -1), -EBADF);
	EQUAL(api.vsmmu_emulated_stream_vmid(emulated, 9), -EINVAL);
	EQUAL(api.vsmmu_emulated_fail(emulated, 0, 0, EIO, 0), -EINVAL);
	EQUAL(api.vsmmu_emulated_fail(emulated, 0, 1, -1, 0), -EINVAL);
	EQUAL(api.vsmmu_emulated_get_counters(emulated, NULL), -EINVAL);
	EQUAL(api.vsmmu_emulated_check(emulated, NULL, 0), 0);
	api.vsmmu_emulated_destroy(emulated);
}

/* SMMUs that Linux refuses to drive. */
static void emulated_smmus(void)
{
	static const struct { const char *features, *word; } cases[] = {
		{ "CMDQS=0", "CMDQS" }, { "CMDQS=6", "CMDQS" }, { "TTENDIAN=3", "TTENDIAN" },
		{ "GRAN4K=0", "GRAN4K" }, { "CMDQS=7 EVENTQS=0 TTENDIAN=2", NULL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .features = cases[i].features };
		const vsmmu_emulated_config config = {
			.size = sizeof(config), .smmus = &smmu, .smmu_count = 1,
		};
		vsmmu_emulated_t *emulated = NULL;
		char message[256] = "";

		EQUAL(api.vsmmu_emulated_create(&config, &emulated, message, sizeof(message)),
		      cases[i].word ? -EINVAL : 0);
		CONTAINS(message, cases[i].word ? cases[i].word : "");
		api.vsmmu_emulated_destroy(emulated);
	}
}

void emulated_section(void)
{
	RUN(emulated_smmus);
	RUN(emulated_files);
	RUN(emulated_fault_queue);
	RUN(emulated_refusals);
}
