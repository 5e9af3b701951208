/* SPDX-License-Identifier: MIT */
/* Hosts and StreamIDs that come late: a vSMMU gives its host back and gets it again, and a device has
 * no StreamID for a time. */
#include "simulation.h"

/* As often as it takes for what was ordered to fail to have failed. */
#define TRIES 100

/* Back to what it was, whatever fails meanwhile. */
#define UNTIL(call, ...) \
	do { \
		unsigned tries_ = 0; \
		while (ANSWER(call, __VA_ARGS__) != 0) \
			if (++tries_ == TRIES) \
				violation("%s fails for ever", #call); \
	} while (0)

/* Without devices the host is nothing to the guest: translations in software go on. */
void late_host_step(struct vm *vm)
{
	vsmmu_host_counters host = { .size = sizeof(host) };
	vsmmu_t *vsmmu = vm->guest.vsmmu;

	SUCCEEDS(api.vsmmu_get_host_counters(vsmmu, &host));
	if (host.devices != 0) {
		if (api.vsmmu_set_host(vsmmu, NULL, 0, 0) != -EBUSY)
			violation("a host is given back that has devices");
		return;
	}
	/* A link goes with it, and with the link what the guest was told of BTM. */
	if (vm->link != UNLINKED)
		return;
	/* So would direct command queues, which the guest keeps. */
	if (ANSWER(api.vsmmu_set_host(vsmmu, NULL, 0, 0), EBUSY) != 0) {
		if (!direct_has(vm))
			violation("a host is not given back");
		return;
	}
	if (api.vsmmu_set_host(vsmmu, NULL, 0, 0) != -ENODEV)
		violation("a host is given back twice");
	UNTIL(api.vsmmu_set_host(vsmmu, world.hosts[vm->host], vm->ioas, 0), ENOMEM);
	tell("the host came back");
}

/* A bus loses its number and gets it again: between, there is no DMA. */
void late_number_step(struct vm *vm)
{
	unsigned stream = some_assigned(vm), device;
	vsmmu_device_info info = { .size = sizeof(info) };
	uint64_t failures = host_failures(vm);
	codes before[STREAMS];

	if (stream == STREAMS)
		return;
	device = vm->assigned[stream] - 1;
	effective_codes(vm, before);
	SUCCEEDS(api.vsmmu_get_device_info(vm->guest.vsmmu, stream, &info));
	if (!(info.flags & VSMMU_INFO_NUMBERED) || info.stream != stream)
		violation("stream %u is told as %u", stream, info.stream);
	if (ANSWER(api.vsmmu_device_renumber(vm->guest.vsmmu, stream, VSMMU_UNNUMBERED), EEXIST) == 0) {
		tell("device %u, stream %u has no number", device, stream);
		expect_gone(device);
		UNTIL(api.vsmmu_device_renumber(vm->guest.vsmmu, VSMMU_BY_DEVID(info.devid), stream),
		      EEXIST);
		endpoint_empty(vm, stream);
	}
	note_lag(vm, failures, before);
}
