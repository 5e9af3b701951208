/* SPDX-License-Identifier: MIT */
/* The host, its failures, and the VMs of others. */
#include "simulation.h"

#include <stdio.h>
#include <stdlib.h>

/* None is what a request answers to the wrong kind of file, by which failures are drained. */
static const int32_t failure_errors[] = { ENOMEM, EIO, ENOSPC, EBUSY, ETIMEDOUT, EPERM };
#define FAILURE_ERRORS (sizeof(failure_errors) / sizeof(failure_errors[0]))

static const uint32_t smmu_flags[] = {
	0, 0, 0, VSMMU_EMULATED_CANWBS, VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_FWB,
	VSMMU_EMULATED_REPEAT, VSMMU_EMULATED_REPEAT, VSMMU_EMULATED_NO_BTM, VSMMU_EMULATED_VMID8,
	VSMMU_EMULATED_NO_FWB, VSMMU_EMULATED_NO_NESTING,
};
static const char *const smmu_features[] = {
	NULL, NULL, NULL, NULL, NULL, NULL, "RIL=0", "SSIDSIZE=0", "GRAN16K=0 GRAN64K=0", "ASID16=0",
	"BTM=0",
};
#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

/* With ATS, in most of them: SMMU, root complex and device must have it. */
static void add_ats(vsmmu_emulated_smmu *smmu, char text[64])
{
	if (chance(20))
		return;
	snprintf(text, 64, "%s ATS=1", smmu->features ? smmu->features : "");
	if (chance(90))
		smmu->features = text;
	if (chance(90))
		smmu->flags |= VSMMU_EMULATED_ROOT_ATS;
}

static bool smmu_has_ats(const vsmmu_emulated_smmu *smmu)
{
	return smmu->flags & VSMMU_EMULATED_ROOT_ATS && smmu->features &&
	       strstr(smmu->features, "ATS=1");
}

static void configure(vsmmu_emulated_config *config, vsmmu_emulated_smmu *smmus,
		      vsmmu_emulated_device *devices)
{
	static char texts[2][64];
	static const uint32_t cpus[] = { 1, 4, 4, 4, 4, 64, 128, 128, 128, 128, 254, 300 };
	unsigned smmu_count = 1 + below(2), kernel = chance(60) ? VSMMU_EMULATED_LINKED : below(2);

	memset(smmus, 0, 2 * sizeof(*smmus));
	for (unsigned i = 0; i < smmu_count; i++) {
		smmus[i].size = sizeof(smmus[i]);
		smmus[i].flags = chance(60) ? 0 : ONE_OF(smmu_flags);
		/* A kernel that does not tell of the erratum cannot be served. */
		if (kernel == VSMMU_EMULATED_LINUX_7_2)
			smmus[i].flags &= ~VSMMU_EMULATED_REPEAT;
		smmus[i].flags |= chance(40) ? VSMMU_EMULATED_CMDQV : 0;
		smmus[i].features = ONE_OF(smmu_features);
		add_ats(&smmus[i], texts[i]);
		smmus[i].extra_idr0 = chance(30) ? 2u << 6 | 1u << 10 : 0;
	}
	world.device_count = 2 + below(DEVICES - 1);
	memset(devices, 0, DEVICES * sizeof(*devices));
	for (unsigned i = 0; i < world.device_count; i++) {
		devices[i].size = sizeof(devices[i]);
		devices[i].smmu = i % smmu_count;
		devices[i].stream = 8 * (i + 1);
		devices[i].pasid_bits = chance(50) ? 4 : 0;
		devices[i].bar_bits = BAR_BITS;
		devices[i].flags = (chance(75) ? VSMMU_EMULATED_ATS : 0) |
				   (chance(10) ? VSMMU_EMULATED_SILENT : 0);
		world.has_ats[i] = devices[i].flags & VSMMU_EMULATED_ATS &&
				   smmu_has_ats(&smmus[devices[i].smmu]);
		world.is_silent[i] = devices[i].flags & VSMMU_EMULATED_SILENT;
	}
	*config = (vsmmu_emulated_config) {
		.size = sizeof(*config),
		.kernel = kernel,
		.smmus = smmus, .devices = devices,
		.smmu_count = smmu_count, .device_count = world.device_count,
		.cpus = ONE_OF(cpus), .vmid_bits = chance(70) ? 8 : 16,
		.pin_limit = chance(30) ? 1 + below(4) : 0,
	};
}

/* The calls of the emulated kernel, with a defect. */
static int64_t (*whole_ioctl)(void *opaque, int32_t fd, uint32_t request, void *argument);

/* IOMMU_HWPT_INVALIDATE, whose CMD_ATC_INVs are of addresses that no device has. */
static int64_t invalidate_elsewhere(void *opaque, int32_t fd, void *argument)
{
	struct { uint32_t size, hwpt; uint64_t data; uint32_t type, length, count, reserved; }
		*whole = argument, call = *whole;
	uint64_t entries[512];
	int64_t result;

	if (call.length != 16 || call.count > sizeof(entries) / 16)
		return whole_ioctl(opaque, fd, HWPT_INVALIDATE, argument);
	memcpy(entries, (const void *)(uintptr_t)call.data, 16 * (size_t)call.count);
	for (unsigned i = 0; i < call.count; i++)
		if ((entries[2 * i] & 0xff) == ATC_INV)
			entries[2 * i + 1] = UINT64_C(1) << 46;
	call.data = (uintptr_t)entries;
	result = whole_ioctl(opaque, fd, HWPT_INVALIDATE, &call);
	whole->count = call.count;
	return result;
}

static int64_t planted_ioctl(void *opaque, int32_t fd, uint32_t request, void *argument)
{
	const struct { uint32_t size, ioas; uint64_t iova, length; } *unmap = argument;
	uint32_t detach[2] = { sizeof(detach), 0 };
	int64_t result;

	if (planted == PLANTED_MAP && request == IOAS_MAP_FILE)
		return 0;
	if (planted == PLANTED_UNMAP && request == IOAS_UNMAP && unmap->length == BAR_BYTES)
		return 0;
	if (planted == PLANTED_ENDPOINT && request == HWPT_INVALIDATE)
		return invalidate_elsewhere(opaque, fd, argument);
	result = whole_ioctl(opaque, fd, request, argument);
	if (planted == PLANTED_ATTACH && request == VFIO_ATTACH && result < 0)
		whole_ioctl(opaque, fd, VFIO_DETACH, detach);
	return result;
}

void world_open(void)
{
	vsmmu_emulated_smmu smmus[2];
	vsmmu_emulated_device devices[DEVICES];
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config host = { .size = sizeof(host), .kernel = &kernel };
	char message[256] = "";

	configure(&world.config, smmus, devices);
	tell("kernel %u, %u SMMUs (%#x %s, %#x %s), %u devices, %u CPUs, %u bits of VMID, %u pins",
	     world.config.kernel, world.config.smmu_count, smmus[0].flags,
	     smmus[0].features ? smmus[0].features : "", smmus[1].flags,
	     smmus[1].features ? smmus[1].features : "", world.device_count, world.config.cpus,
	     world.config.vmid_bits, world.config.pin_limit);
	if (api.vsmmu_emulated_create(&world.config, &world.emulated, message, sizeof(message)) != 0)
		violation("no host: %s", message);
	SUCCEEDS(api.vsmmu_emulated_kernel(world.emulated, &kernel));
	whole_ioctl = kernel.ioctl;
	kernel.ioctl = planted_ioctl;
	bars_open();
	host.pin_request = api.vsmmu_emulated_pin_request(world.emulated);
	host.unpin_request = api.vsmmu_emulated_unpin_request(world.emulated);
	host.vmid_bits = chance(80) ? world.config.vmid_bits : 0;
	world.host_count = 1 + below(2);
	for (unsigned i = 0; i < world.host_count; i++) {
		world.iommufds[i] = -1;
		host.flags = 0;
		if (chance(40)) {
			world.iommufds[i] = api.vsmmu_emulated_open(world.emulated, "/dev/iommu");
			host.iommufd = world.iommufds[i];
			host.flags = VSMMU_HOST_IOMMUFD;
		}
		if (api.vsmmu_host_open(&host, &world.hosts[i], message, sizeof(message)) != 0)
			violation("no iommufd: %s", message);
	}
	world.kvm = api.vsmmu_emulated_open(world.emulated, "/dev/kvm");
	check_host();
}

vsmmu_emulated_counters counters_now(void)
{
	vsmmu_emulated_counters counters = { .size = sizeof(counters) };

	SUCCEEDS(api.vsmmu_emulated_get_counters(world.emulated, &counters));
	return counters;
}

void check_host(void)
{
	char message[256] = "";

	if (api.vsmmu_emulated_check(world.emulated, message, sizeof(message)) != 0)
		violation("invariant: %s", message);
}

/* Everything goes in random order, and nothing may be left. */
void world_close(void)
{
	vsmmu_emulated_counters left;
	unsigned first = below(VMS);

	if (chance(80))
		drain_failures();
	for (unsigned i = 0; i < VMS; i++) {
		struct vm *vm = &world.vms[(first + i) % VMS];

		if (vm->alive && chance(50))
			vm_close_fd(vm);
		if (vm->alive)
			vm_destroy(vm);
		check_host();
	}
	crowd_leaves();
	drain_failures();
	for (unsigned i = 0; i < world.host_count; i++) {
		SUCCEEDS(api.vsmmu_host_close(world.hosts[i]));
		if (world.iommufds[i] >= 0)
			SUCCEEDS(api.vsmmu_emulated_close(world.emulated, world.iommufds[i]));
		check_host();
	}
	SUCCEEDS(api.vsmmu_emulated_close(world.emulated, world.kvm));
	left = counters_now();
	if (left.objects || left.files || left.mappings || left.pins)
		violation("%u objects, %u files, %u mappings, %u pins are left", left.objects,
			  left.files, left.mappings, left.pins);
	totals.rollovers += left.rollovers;
	totals.unpinnable += left.pin_failures;
	api.vsmmu_emulated_destroy(world.emulated);
}

/* Failures. */

void order_failure(void)
{
	static const uint32_t requests[] = {
		0, HWPT_INVALIDATE, HWPT_INVALIDATE, HWPT_INVALIDATE, HWPT_ALLOC, HWPT_ALLOC,
		VFIO_ATTACH, VFIO_ATTACH, VFIO_ATTACH, VDEVICE_ALLOC, VIOMMU_ALLOC, VFIO_BIND,
		GET_HW_INFO, IOAS_MAP, IOAS_UNMAP, IOAS_ALLOC, VEVENTQ_ALLOC, VFIO_RESET, VFIO_DETACH,
		IOMMU_DESTROY, IOAS_MAP_FILE, VFIO_FEATURE, HW_QUEUE_ALLOC,
	};
	uint32_t request = ONE_OF(requests), nth = 1 + (chance(30) ? below(6) : 0);
	unsigned error = below(FAILURE_ERRORS), done = below(8);

	if (planted == PLANTED_ATTACH)
		request = VFIO_ATTACH, nth = 1;
	if (world.order_count == ORDERS)
		drain_failures();
	totals.failures++;
	/* A caller's device that cannot be detached keeps what it is attached to. */
	world.destroys_failed |= request == 0 || request == IOMMU_DESTROY || request == VFIO_DETACH;
	SUCCEEDS(api.vsmmu_emulated_fail(world.emulated, request, nth, failure_errors[error], done));
	tell("request %#x, call %u: errno %d, %u done", request, nth, failure_errors[error], done);
	world.orders[world.order_count].request = request;
	world.orders[world.order_count].nth = nth;
	world.orders[world.order_count].error = failure_errors[error];
	world.order_count++;
	world.errors |= 1u << error;
	world.order_calls += nth + 1;
}

void drain_failures(void)
{
	for (unsigned i = 0; i < world.order_count; i++)
		for (unsigned n = 0; n < world.order_calls; n++)
			api.vsmmu_emulated_ioctl(world.emulated, world.kvm, world.orders[i].request,
						 NULL);
	/* What came true of it may still have to be told. */
	for (unsigned i = 0; i < VMS; i++)
		world.vms[i].may_time_out |= times_out();
	world.order_count = world.order_calls = world.errors = 0;
}

bool failures_ordered(void)
{
	return world.order_count > 0;
}

bool is_ordered(int64_t error)
{
	for (unsigned i = 0; i < FAILURE_ERRORS; i++)
		if (failure_errors[i] == error && world.errors & 1u << i)
			return true;
	return false;
}

bool times_out(void)
{
	return is_ordered(ETIMEDOUT);
}

/* The VMs of others: they take VMIDs, and give them back. */

int make_kvm_vm(void)
{
	for (int tries = 0; tries < 2; tries++) {
		int fd = (int)api.vsmmu_emulated_ioctl(world.emulated, world.kvm, KVM_CREATE_VM, NULL);

		if (fd >= 0)
			return fd;
		drain_failures();
	}
	violation("no VM can be made");
}

static unsigned free_cpu(void)
{
	unsigned cpu = below(world.config.cpus);

	for (unsigned i = 0; i < world.config.cpus; i++)
		if (!world.busy[(cpu + i) % world.config.cpus])
			return (cpu + i) % world.config.cpus;
	return world.config.cpus;
}

static void run_crowd(unsigned from)
{
	for (unsigned i = from; i < world.crowd_count; i++) {
		unsigned cpu = free_cpu();

		if (cpu == world.config.cpus)
			return;
		/* EBUSY: every number is pinned or in use. */
		if (ANSWER(api.vsmmu_emulated_vcpu_load(world.emulated, world.crowd[i], cpu),
			   EBUSY) == 0)
			SUCCEEDS(api.vsmmu_emulated_vcpu_put(world.emulated, cpu));
	}
}

void crowd_leaves(void)
{
	while (world.crowd_count > 0)
		SUCCEEDS(api.vsmmu_emulated_close(world.emulated, world.crowd[--world.crowd_count]));
}

void crowd_step(void)
{
	uint32_t pin = api.vsmmu_emulated_pin_request(world.emulated);
	unsigned more = chance(30) ? 260 : 1 + below(20), from = world.crowd_count;

	if (world.crowd_count + more > CROWD) {
		crowd_leaves();
		from = 0;
	}
	for (unsigned i = 0; i < more; i++)
		world.crowd[world.crowd_count++] = make_kvm_vm();
	tell("%u more VMs", more);
	/* Some are pinned that never ran. */
	for (unsigned i = from; pin && i < world.crowd_count; i++)
		if (chance(world.config.pin_limit ? 2 : 10)) {
			uint32_t vmid = 0;
			int64_t result = ANSWER(api.vsmmu_emulated_ioctl(
				world.emulated, world.crowd[i], pin, &vmid), ENOSPC);

			if (result == 0 && vmid == 0)
				violation("VMID 0 is pinned");
		}
	run_crowd(chance(50) ? 0 : from);
}
