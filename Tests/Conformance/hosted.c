/* SPDX-License-Identifier: MIT */
#include "hosted.h"

#include <stdio.h>
#include <stdlib.h>

bool hosted_open(struct hosted *hosted, const vsmmu_emulated_config *config)
{
	return hosted_open_with(hosted, config, (vsmmu_config){ .size = sizeof(vsmmu_config) });
}

bool hosted_open_with(struct hosted *hosted, const vsmmu_emulated_config *config,
		      vsmmu_config vsmmu)
{
	return hosted_open_by(hosted, config, vsmmu, NULL);
}

bool hosted_open_by(struct hosted *hosted, const vsmmu_emulated_config *config,
		    vsmmu_config vsmmu, void (*bring)(vsmmu_kernel *kernel))
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config host = { .size = sizeof(host), .kernel = &kernel };
	char message[256] = "";

	memset(hosted, 0, sizeof(*hosted));
	if (!EQUAL(api.vsmmu_emulated_create(config, &hosted->emulated, message, sizeof(message)),
		   0)) {
		printf("  %s\n", message);
		return false;
	}
	EQUAL(api.vsmmu_emulated_kernel(hosted->emulated, &kernel), 0);
	if (bring)
		bring(&kernel);
	host.pin_request = api.vsmmu_emulated_pin_request(hosted->emulated);
	host.unpin_request = api.vsmmu_emulated_unpin_request(hosted->emulated);
	if (!EQUAL(api.vsmmu_host_open(&host, &hosted->host, message, sizeof(message)), 0)) {
		printf("  %s\n", message);
		api.vsmmu_emulated_destroy(hosted->emulated);
		return false;
	}
	vsmmu.host = hosted->host;
	return guest_open(&hosted->guest, &vsmmu);
}

bool hosted_open_translated(struct hosted *hosted)
{
	if (!hosted_open(hosted, NULL))
		return false;
	EQUAL(hosted_attach(hosted, 0), 0);
	guest_start(&hosted->guest);
	map(&hosted->guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted->guest, ASSIGNED, 5);
	return true;
}

void hosted_close(struct hosted *hosted)
{
	check_invariants(hosted);
	guest_close(&hosted->guest);
	check_invariants(hosted);
	EQUAL(api.vsmmu_host_close(hosted->host), 0);
	EQUAL(emulated_counters(hosted).objects, 0);
	EQUAL(emulated_counters(hosted).files, 0);
	EQUAL(emulated_counters(hosted).mappings, 0);
	EQUAL(emulated_counters(hosted).pins, 0);
	api.vsmmu_emulated_destroy(hosted->emulated);
}

int32_t hosted_attach(struct hosted *hosted, uint32_t device)
{
	char path[64];
	vsmmu_device config = {
		.size = sizeof(config), .stream = ASSIGNED + device, .path = path,
	};

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", device);
	return api.vsmmu_device_attach(hosted->guest.vsmmu, &config);
}

uint32_t device_write(struct hosted *hosted, uint32_t device, uint64_t address, uint64_t value)
{
	vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_WRITE, .address = address,
	};
	vsmmu_result result = { .size = sizeof(result) };

	EQUAL(api.vsmmu_emulated_dma_write(hosted->emulated, device, &access, &value, sizeof(value),
					   &result), 0);
	return result.kind;
}

uint32_t device_read(struct hosted *hosted, uint32_t device, uint64_t address, uint64_t *value)
{
	vsmmu_access access = { .size = sizeof(access), .address = address };
	vsmmu_result result = { .size = sizeof(result) };

	*value = 0;
	EQUAL(api.vsmmu_emulated_dma_read(hosted->emulated, device, &access, value, sizeof(*value),
					  &result), 0);
	return result.kind;
}

vsmmu_emulated_counters emulated_counters(struct hosted *hosted)
{
	vsmmu_emulated_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_emulated_get_counters(hosted->emulated, &counters), 0);
	return counters;
}

vsmmu_host_counters host_counters(struct hosted *hosted)
{
	vsmmu_host_counters counters = { .size = sizeof(counters) };

	EQUAL(api.vsmmu_get_host_counters(hosted->guest.vsmmu, &counters), 0);
	return counters;
}

void check_invariants(struct hosted *hosted)
{
	char message[256] = "";

	if (!EQUAL(api.vsmmu_emulated_check(hosted->emulated, message, sizeof(message)), 0))
		printf("  %s\n", message);
}
