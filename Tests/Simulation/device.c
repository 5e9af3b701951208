/* SPDX-License-Identifier: MIT */
/* Assigned devices come, go, are renumbered and reset. */
#include "simulation.h"

#include <stdio.h>

/* The host failed to change it: its old stage 1 stays, if that is all that it may have had. */
static bool stays(const struct vm *vm, const struct stream *s)
{
	codes all = s->lag;

	for (unsigned context = 0; context < CONTEXTS; context++)
		all |= (codes)(s->codes[context].now | s->codes[context].stale |
			       s->codes[context].covered);
	return !vm->failed_abort && !(all & ~ANY_TRANSLATION);
}

codes effective(const struct vm *vm, unsigned stream, unsigned context)
{
	const struct stream *s = &vm->model.streams[stream];
	const struct cell *cell = &s->codes[context];
	/* Of a lag it is not known which space it was for substreams. */
	codes lag = s->lag | (context && s->lag & ANY_TRANSLATION ? ANY_TRANSLATION | ABORTS : 0);

	if (!vm->model.on)
		return lag | (vm->model.gbpa_aborts ? ABORTS : BYPASSES);
	return lag | (codes)(cell->now | cell->stale | cell->covered) |
	       (vm->stopped && vm->assigned[stream] && !stays(vm, s) ? ABORTS : 0);
}

void effective_codes(struct vm *vm, codes out[STREAMS])
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		out[stream] = effective(vm, stream, 0);
}

void note_lag(struct vm *vm, uint64_t failures, const codes before[STREAMS])
{
	if (host_failures(vm) == failures)
		return;
	if (!failures_ordered() && !has_silent(vm))
		violation("the host failed, and nobody ordered it: %s", vm->guest.log);
	tell("the host failed");
	for (unsigned stream = 0; stream < STREAMS; stream++)
		if (vm->assigned[stream]) {
			vm->model.streams[stream].lag |= before[stream] | ABORTS;
			vm->model.streams[stream].healing = false;
		}
}

static unsigned free_stream(const struct vm *vm)
{
	unsigned stream = FIRST_ASSIGNED + below(STREAMS - FIRST_ASSIGNED);

	if (chance(5) && !vm->assigned[0] && !vm->assigned[1])
		return below(EMULATED);
	return vm->assigned[stream] ? STREAMS : stream;
}

/* What must not change when an attachment is refused. */
struct footprint {
	uint32_t objects, files, devices;
	uint64_t idr0, idr1, idr5;
};

static struct footprint footprint(struct vm *vm)
{
	vsmmu_host_counters host = { .size = sizeof(host) };
	vsmmu_emulated_counters counters = counters_now();
	struct footprint print;

	memset(&print, 0, sizeof(print));
	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &host));
	print.objects = counters.objects;
	print.files = counters.files;
	print.devices = host.devices;
	/* To look at the ID registers freezes them. */
	if (vm->model.started) {
		print.idr0 = read_register(&vm->guest, IDR0);
		print.idr1 = read_register(&vm->guest, IDR1);
		print.idr5 = read_register(&vm->guest, IDR5);
	}
	return print;
}

/* An IOMMU_DESTROY that fails leaves something in the kernel until the iommufd is closed. */
static bool destroys_fail(void)
{
	for (unsigned i = 0; i < world.order_count; i++)
		if (world.orders[i].request == IOMMU_DESTROY || world.orders[i].request == 0)
			return true;
	return false;
}

static void check_untouched(struct vm *vm, const struct footprint *before)
{
	struct footprint after = footprint(vm);

	/* What the kernel kept before may have been given back now. */
	if (destroys_fail() || after.objects < before->objects)
		after.objects = before->objects, after.files = before->files;
	if (memcmp(before, &after, sizeof(after)) != 0)
		violation("a refused attachment leaves something behind: %u, %u objects, %u, %u files",
			  before->objects, after.objects, before->files, after.files);
}

static const char *sentence(struct vm *vm)
{
	static char text[256];

	api.vsmmu_error_message(vm->guest.vsmmu, text, sizeof(text));
	return text;
}

/* Mostly one at the SMMU that the VM has devices of. */
static unsigned likely_device(const struct vm *vm)
{
	unsigned device = below(world.device_count), other;

	for (unsigned stream = 0; stream < STREAMS && chance(98); stream++)
		if (vm->assigned[stream])
			for (unsigned i = 0; i < world.device_count; i++) {
				other = (device + i) % world.device_count;
				if ((other ^ (vm->assigned[stream] - 1)) % world.config.smmu_count == 0)
					return other;
			}
	return device;
}

void device_attach_step(struct vm *vm)
{
	unsigned device = likely_device(vm), stream = free_stream(vm);
	char path[64];
	vsmmu_device config = { .size = sizeof(config), .stream = stream, .path = path };
	struct footprint before;
	uint64_t failures = host_failures(vm);
	codes none[STREAMS] = { 0 };
	int64_t result;

	if (stream == STREAMS || (world.owners[device] && !chance(5)))
		return;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", device);
	before = footprint(vm);
	if (chance(25)) {
		config.fd = api.vsmmu_emulated_open(world.emulated, path);
		config.flags = VSMMU_DEVICE_FD;
	}
	/* Another VM's device, another SMMU, no nesting; ENOSPC: no VMID is left. */
	result = ANSWER(api.vsmmu_device_attach(vm->guest.vsmmu, &config), EINVAL, EEXIST,
			EOPNOTSUPP, ENOSPC, EBUSY);
	tell("VM %llu, device %u as stream %u%s: %lld %s", (unsigned long long)vm->serial, device,
	     stream, config.flags ? ", by file" : "", (long long)result, result ? sentence(vm) : "");
	*(result ? &totals.refusals : &totals.attachments) += 1;
	if (result != 0) {
		/* Only closing it ends that it is bound. */
		if (config.flags)
			SUCCEEDS(api.vsmmu_emulated_close(world.emulated, config.fd));
		check_untouched(vm, &before);
		return;
	}
	if (world.owners[device] || (stream < EMULATED && vm->has_emulated))
		violation("a device is attached twice");
	world.owners[device] = (unsigned)(vm - world.vms) + 1;
	vm->assigned[stream] = device + 1;
	vm->borrowed[stream] = config.flags != 0;
	vm->files[stream] = config.fd;
	endpoint_empty(vm, stream);
	note_lag(vm, failures, none);
}

void forget_device(struct vm *vm, unsigned stream)
{
	endpoint_empty(vm, stream);
	world.owners[vm->assigned[stream] - 1] = 0;
	vm->assigned[stream] = 0;
	vm->model.streams[stream].lag = 0;
}

unsigned some_assigned(const struct vm *vm)
{
	for (unsigned i = 0, first = below(STREAMS); i < STREAMS; i++)
		if (vm->assigned[(first + i) % STREAMS])
			return (first + i) % STREAMS;
	return STREAMS;
}

void expect_gone(unsigned device)
{
	vsmmu_access access = { .size = sizeof(access), .address = DATA };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t value = 0;

	SUCCEEDS(api.vsmmu_emulated_dma_read(world.emulated, device, &access, &value, 8, &result));
	if (result.kind != VSMMU_RESULT_ABORT)
		violation("device %u was taken away and reads", device);
}

void device_detach_step(struct vm *vm)
{
	unsigned stream = some_assigned(vm), device;
	uint64_t failures = host_failures(vm);

	if (stream == STREAMS || chance(5)) {
		if (api.vsmmu_device_detach(vm->guest.vsmmu, 99) != -ENOENT)
			violation("a device that there is not is detached");
		return;
	}
	device = vm->assigned[stream] - 1;
	if (ANSWER(api.vsmmu_device_detach(vm->guest.vsmmu, stream), ENOENT) != 0)
		return;
	tell("device %u, stream %u", device, stream);
	forget_device(vm, stream);
	expect_gone(device);
	bar_after_detach(vm, device, host_failures(vm) != failures);
	if (vm->borrowed[stream])
		SUCCEEDS(api.vsmmu_emulated_close(world.emulated, vm->files[stream]));
	/* A device that is opened again decodes memory. */
	world.undecoded[device] = false;
}

void device_renumber_step(struct vm *vm)
{
	unsigned stream = some_assigned(vm), other = FIRST_ASSIGNED + below(STREAMS - FIRST_ASSIGNED);
	uint64_t failures = host_failures(vm);
	codes before[STREAMS] = { 0 };
	int64_t result;

	if (stream == STREAMS)
		return;
	if (chance(8))
		other = below(EMULATED);
	effective_codes(vm, before);
	result = ANSWER(api.vsmmu_device_renumber(vm->guest.vsmmu, stream, other), EEXIST);
	tell("stream %u to %u: %lld", stream, other, (long long)result);
	if (result == 0 && other != stream) {
		if ((other < EMULATED && vm->has_emulated) || vm->assigned[other])
			violation("stream %u has two devices", other);
		vm->assigned[other] = vm->assigned[stream];
		vm->borrowed[other] = vm->borrowed[stream];
		vm->files[other] = vm->files[stream];
		vm->assigned[stream] = 0;
		vm->model.streams[other].lag = vm->model.streams[stream].lag;
		vm->model.streams[stream].lag = 0;
		endpoint_empty(vm, stream);
		endpoint_empty(vm, other);
		before[other] = 0;
	}
	note_lag(vm, failures, before);
}

void device_reset_step(struct vm *vm)
{
	unsigned stream = some_assigned(vm);
	uint64_t failures = host_failures(vm);
	codes before[STREAMS];

	if (stream == STREAMS)
		return;
	effective_codes(vm, before);
	(void)ANSWER(api.vsmmu_device_reset(vm->guest.vsmmu, stream), ENOENT);
	note_lag(vm, failures, before);
	bar_after_reset(vm, vm->assigned[stream] - 1, host_failures(vm) != failures);
}
