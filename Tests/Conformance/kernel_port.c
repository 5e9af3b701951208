/* SPDX-License-Identifier: MIT */
/*
 * Section 1 of vsmmuv3_host.h: a VMM that brings the kernel, as one in a sandbox does whose broker
 * makes the system calls. This broker counts them, refuses what it is told to, and has the emulated
 * host do the rest.
 */
#include "hosted.h"

#include <stdio.h>

enum {
	CREATE_VM = 0xae01, REQUEST_INVALIDATE = 0x3b8d, REQUEST_BIND = 0x3b76,
};

static struct broker {
	vsmmu_kernel to;
	unsigned opens, closes, ioctls, reads, dups, sames, invalidations;
	/* What it answers in place of an ioctl, if not 0. */
	uint32_t refused;
	int64_t answer;
	/* The same of open and of read. */
	int32_t open_answer;
	int64_t read_answer;
	char path[64];
	/* A device that an ioctl calls, and what came of it. */
	vsmmu_t *called;
	int32_t called_answer;
} broker;

static int32_t broker_open(void *opaque, const char *path)
{
	struct broker *this = opaque;

	this->opens++;
	snprintf(this->path, sizeof(this->path), "%s", path);
	return this->open_answer ? this->open_answer : this->to.open(this->to.opaque, path);
}

static int32_t broker_close(void *opaque, int32_t fd)
{
	struct broker *this = opaque;

	this->closes++;
	return this->to.close(this->to.opaque, fd);
}

static int64_t broker_ioctl(void *opaque, int32_t fd, uint32_t request, void *argument)
{
	struct broker *this = opaque;

	this->ioctls++;
	this->invalidations += request == REQUEST_INVALIDATE;
	if (this->called)
		this->called_answer = api.vsmmu_reset(this->called);
	if (request == this->refused)
		return this->answer;
	return this->to.ioctl(this->to.opaque, fd, request, argument);
}

static int64_t broker_read(void *opaque, int32_t fd, void *data, uint64_t count)
{
	struct broker *this = opaque;

	this->reads++;
	return this->read_answer ? this->read_answer :
				   this->to.read(this->to.opaque, fd, data, count);
}

/* The library has no need of these three yet. */
static int64_t broker_write(void *opaque, int32_t fd, const void *data, uint64_t count)
{
	struct broker *this = opaque;

	return this->to.write(this->to.opaque, fd, data, count);
}

static int32_t broker_poll(void *opaque, int32_t fd)
{
	struct broker *this = opaque;

	return this->to.poll(this->to.opaque, fd);
}

static int32_t broker_mmap(void *opaque, int32_t fd, uint64_t offset, uint64_t length,
			   void **address)
{
	struct broker *this = opaque;

	return this->to.mmap(this->to.opaque, fd, offset, length, address);
}

static int32_t broker_munmap(void *opaque, void *address, uint64_t length)
{
	struct broker *this = opaque;

	return this->to.munmap(this->to.opaque, address, length);
}

static int32_t broker_dup(void *opaque, int32_t fd)
{
	struct broker *this = opaque;

	this->dups++;
	return this->to.dup(this->to.opaque, fd);
}

static int32_t broker_same(void *opaque, int32_t fd, int32_t other)
{
	struct broker *this = opaque;

	this->sames++;
	return this->to.same(this->to.opaque, fd, other);
}

/* Puts the broker before a kernel. */
static void bring(vsmmu_kernel *kernel)
{
	broker = (struct broker){ .to = *kernel };
	*kernel = (vsmmu_kernel){
		.size = sizeof(*kernel), .opaque = &broker, .open = broker_open,
		.close = broker_close, .ioctl = broker_ioctl, .read = broker_read,
		.write = broker_write, .poll = broker_poll, .dup = broker_dup,
		.mmap = broker_mmap, .munmap = broker_munmap, .same = broker_same,
	};
}

static bool brokered_open(struct hosted *hosted, const vsmmu_emulated_config *config)
{
	return hosted_open_by(hosted, config, (vsmmu_config){ .size = sizeof(vsmmu_config) }, bring);
}

/* With device 0 behind the vSMMU, translated by the guest's stage 1. */
static bool brokered_open_translated(struct hosted *hosted)
{
	if (!brokered_open(hosted, NULL))
		return false;
	EQUAL(hosted_attach(hosted, 0), 0);
	guest_start(&hosted->guest);
	map(&hosted->guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted->guest, ASSIGNED, 5);
	return true;
}

/* The calls that a kernel answered are the broker's. */
static unsigned brokered(void)
{
	return broker.opens + broker.closes + broker.ioctls + broker.reads + broker.dups +
	       broker.sames;
}

/* Opening, attaching, invalidating, reading events, closing: nothing passes the broker by. */
static void kernel_port_has_all_calls(void)
{
	static struct hosted hosted;
	uint64_t value, event[4];

	if (!brokered_open(&hosted, NULL))
		return;
	EQUAL(broker.opens, 1);
	CHECK(strcmp(broker.path, "/dev/iommu") == 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(broker.opens, 2);
	CHECK(strcmp(broker.path, "/dev/vfio/devices/vfio0") == 0);
	CHECK(broker.ioctls > 8);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(&hosted.guest, STAGE1, IOVA);
	broker.invalidations = 0;
	queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	sync_all(&hosted.guest);
	EQUAL(broker.invalidations, 1);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(broker.reads, 0);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	CHECK(broker.reads > 0);
	EQUAL(take_event(&hosted.guest, event), 1);
	EQUAL(event[0] & 0xff, F_TRANSLATION);
	EQUAL(emulated_counters(&hosted).calls, brokered());
	guest_close(&hosted.guest);
	EQUAL(api.vsmmu_host_close(hosted.host), 0);
	EQUAL(emulated_counters(&hosted).calls, brokered());
	EQUAL(emulated_counters(&hosted).files, 0);
	api.vsmmu_emulated_destroy(hosted.emulated);
}

/* KVM is reached by it too, and what is opened is closed. */
static void kernel_port_has_kvm(void)
{
	static struct hosted hosted;
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .kernel = VSMMU_EMULATED_LINKED,
	};
	uint32_t others = 3; /* calls of this test */
	int kvm, vm;

	if (!brokered_open(&hosted, &config))
		return;
	kvm = api.vsmmu_emulated_open(hosted.emulated, "/dev/kvm");
	vm = (int)api.vsmmu_emulated_ioctl(hosted.emulated, kvm, CREATE_VM, NULL);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, kvm), 0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	EQUAL(broker.dups, 1);
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(emulated_counters(&hosted).calls, brokered() + others);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

/* What the broker refuses is the kernel's refusal. */
static void kernel_port_may_refuse(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!brokered_open(&hosted, NULL))
		return;
	broker.refused = REQUEST_BIND;
	broker.answer = -EPERM;
	REFUSED(&hosted.guest, -EPERM, "errno 1", hosted_attach(&hosted, 0));
	EQUAL(emulated_counters(&hosted).files, 1);
	broker.refused = 0;
	broker.open_answer = -EACCES;
	REFUSED(&hosted.guest, -EACCES, "errno 13", hosted_attach(&hosted, 0));
	broker.open_answer = 0;
	EQUAL(hosted_attach(&hosted, 0), 0);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(&hosted.guest, STAGE1, IOVA);
	/* An invalidation: CERROR_ABT, and again when the guest acknowledges. */
	broker.refused = REQUEST_INVALIDATE;
	queue(&hosted.guest, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	queue(&hosted.guest, SYNC, 0);
	publish(&hosted.guest);
	EQUAL(read_register(&hosted.guest, CMDQ_CONS) >> 24, 2);
	CONTAINS(hosted.guest.log, "errno 1");
	broker.refused = 0;
	acknowledge(&hosted.guest);
	EQUAL(read_register(&hosted.guest, CMDQ_CONS), read_register(&hosted.guest, CMDQ_PROD));
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&hosted);
}

/* An answer that no kernel gives is EIO, and never more bytes than there is room for. */
static void kernel_port_is_not_believed_all(void)
{
	static struct hosted hosted;
	uint64_t value;

	if (!brokered_open_translated(&hosted))
		return;
	broker.open_answer = INT32_MIN;
	REFUSED(&hosted.guest, -EIO, "errno 5", hosted_attach(&hosted, 1));
	broker.open_answer = 0;
	unmap(&hosted.guest, STAGE1, IOVA);
	broker.refused = REQUEST_INVALIDATE;
	broker.answer = INT64_MIN;
	queue(&hosted.guest, TLBI_NH_ALL, 0);
	queue(&hosted.guest, SYNC, 0);
	publish(&hosted.guest);
	EQUAL(read_register(&hosted.guest, CMDQ_CONS) >> 24, 2);
	CONTAINS(hosted.guest.log, "errno 5");
	broker.refused = 0;
	acknowledge(&hosted.guest);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	broker.read_answer = INT64_MAX;
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), -EIO);
	broker.read_answer = 0;
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 1);
	hosted_close(&hosted);
}

/* A call on the device whose call it serves would wait for itself. */
static void kernel_port_may_not_call_the_device(void)
{
	static struct hosted hosted;

	if (!brokered_open_translated(&hosted))
		return;
	broker.called = hosted.guest.vsmmu;
	command(&hosted.guest, TLBI_NH_ALL, 0);
	sync_all(&hosted.guest);
	broker.called = NULL;
	EQUAL(broker.called_answer, -EDEADLK);
	hosted_close(&hosted);
}

/* A struct with something wrong is refused with the name of the field, and no call is made. */
static void kernel_port_is_checked(void)
{
	static const struct { size_t offset; const char *name; } functions[] = {
#define FUNCTION(name) { offsetof(vsmmu_kernel, name), "config.kernel." #name " is NULL" }
		FUNCTION(open), FUNCTION(close), FUNCTION(ioctl), FUNCTION(read), FUNCTION(write),
		FUNCTION(poll), FUNCTION(dup), FUNCTION(mmap), FUNCTION(munmap),
#undef FUNCTION
	};
	struct { vsmmu_kernel kernel; uint64_t tail; } larger = { .tail = 0 };
	vsmmu_kernel whole = { .size = sizeof(whole) }, kernel;
	vsmmu_host_config config = { .size = sizeof(config), .kernel = &kernel };
	vsmmu_emulated_t *emulated = NULL;
	vsmmu_host_t *host = NULL;
	char message[256];

	EQUAL(api.vsmmu_emulated_create(NULL, &emulated, NULL, 0), 0);
	EQUAL(api.vsmmu_emulated_kernel(emulated, &whole), 0);
	bring(&whole);
#define REFUSED_WITH(error, word) \
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), (error)); \
	CONTAINS(message, (word)); \
	CHECK(host == NULL)
	for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		kernel = whole;
		memset((char *)&kernel + functions[i].offset, 0, sizeof(void *));
		REFUSED_WITH(-EINVAL, functions[i].name);
	}
	kernel = whole;
	kernel.reserved = 1;
	REFUSED_WITH(-EINVAL, "config.kernel.reserved");
	kernel = whole;
	/* All but `same`, which came later. */
	kernel.size = offsetof(vsmmu_kernel, same) - 1;
	REFUSED_WITH(-EINVAL, "config.kernel.size");
	kernel = whole;
	kernel.size = offsetof(vsmmu_kernel, same);
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), 0);
	EQUAL(api.vsmmu_host_close(host), 0);
	host = NULL;
	broker.opens = broker.closes = 0;
	larger.kernel = whole;
	larger.kernel.size = sizeof(larger);
	larger.tail = 1;
	config.kernel = &larger.kernel;
	REFUSED_WITH(-E2BIG, "config.kernel");
	EQUAL(brokered(), 0);
	larger.tail = 0;
	EQUAL(api.vsmmu_host_open(&config, &host, message, sizeof(message)), 0);
	/* The struct was copied. */
	memset(&larger, 0, sizeof(larger));
	EQUAL(api.vsmmu_host_close(host), 0);
	EQUAL(broker.opens, 1);
	EQUAL(broker.closes, 1);
	api.vsmmu_emulated_destroy(emulated);
}

/* The emulated host as a kernel: what it fills, and what it answers to calls that it has not. */
static void kernel_port_of_the_emulated_host(void)
{
	vsmmu_kernel kernel = { .size = offsetof(vsmmu_kernel, same) - 1 };
	vsmmu_emulated_t *emulated = NULL;
	void *address = NULL;
	char byte = 0;
	int fd, other;

	EQUAL(api.vsmmu_emulated_api_version(), api.vsmmu_api_version());
	EQUAL(api.vsmmu_emulated_create(NULL, &emulated, NULL, 0), 0);
	EQUAL(api.vsmmu_emulated_kernel(emulated, NULL), -EINVAL);
	EQUAL(api.vsmmu_emulated_kernel(emulated, &kernel), -EINVAL);
	CHECK(kernel.open == NULL);
	kernel.size = sizeof(kernel);
	EQUAL(api.vsmmu_emulated_kernel(NULL, &kernel), -EINVAL);
	EQUAL(api.vsmmu_emulated_kernel(emulated, &kernel), 0);
	EQUAL(kernel.size, sizeof(kernel));
	fd = kernel.open(kernel.opaque, "/dev/iommu");
	CHECK(fd >= 0);
	EQUAL(kernel.open(kernel.opaque, "/dev/none"), -ENOENT);
	EQUAL(kernel.poll(kernel.opaque, fd), 0);
	EQUAL(kernel.same(kernel.opaque, fd, fd), 1);
	EQUAL(kernel.same(kernel.opaque, fd, -1), -EBADF);
	other = kernel.dup(kernel.opaque, fd);
	EQUAL(kernel.same(kernel.opaque, fd, other), 1);
	EQUAL(kernel.close(kernel.opaque, other), 0);
	other = kernel.open(kernel.opaque, "/dev/iommu");
	EQUAL(kernel.same(kernel.opaque, fd, other), 0);
	EQUAL(kernel.close(kernel.opaque, other), 0);
	EQUAL(kernel.read(kernel.opaque, fd, &byte, 1), -EINVAL);
	EQUAL(kernel.write(kernel.opaque, fd, &byte, 1), -EINVAL);
	EQUAL(kernel.mmap(kernel.opaque, fd, 0, 4096, &address), -ENXIO);
	EQUAL(kernel.mmap(kernel.opaque, fd, 0, 4096, NULL), -EFAULT);
	EQUAL(kernel.mmap(kernel.opaque, -1, 0, 4096, &address), -EBADF);
	CHECK(address == NULL);
	EQUAL(kernel.munmap(kernel.opaque, NULL, 4096), -EINVAL);
	EQUAL(kernel.close(kernel.opaque, fd), 0);
	EQUAL(kernel.close(NULL, fd), -EINVAL);
	api.vsmmu_emulated_destroy(emulated);
}

void kernel_port_section(void)
{
	RUN(kernel_port_has_all_calls);
	RUN(kernel_port_has_kvm);
	RUN(kernel_port_may_refuse);
	RUN(kernel_port_is_not_believed_all);
	RUN(kernel_port_may_not_call_the_device);
	RUN(kernel_port_is_checked);
	RUN(kernel_port_of_the_emulated_host);
}
