/* SPDX-License-Identifier: MIT */
/* What both libraries are installed for: an assigned device where there is no host SMMU. */
#include <stdio.h>
#include <vsmmuv3_emulated.h>

int main(void)
{
	vsmmu_kernel kernel = { .size = sizeof kernel };
	vsmmu_host_config host_config = { .size = sizeof host_config, .kernel = &kernel };
	vsmmu_config config = { .size = sizeof config };
	vsmmu_ops ops = { .size = sizeof ops };
	vsmmu_device device = {
		.size = sizeof device, .stream = 8, .path = "/dev/vfio/devices/vfio0",
	};
	vsmmu_emulated_counters counters = { .size = sizeof counters };
	vsmmu_emulated_t *emulated;
	vsmmu_host_t *host;
	vsmmu_t *smmu;

	if (vsmmu_emulated_api_version() != vsmmu_api_version() ||
	    vsmmu_emulated_create(NULL, &emulated, NULL, 0) < 0 ||
	    vsmmu_emulated_kernel(emulated, &kernel) < 0 ||
	    vsmmu_host_open(&host_config, &host, NULL, 0) < 0)
		return 1;
	config.host = host;
	if (vsmmu_create(&config, &ops, NULL, &smmu, NULL, 0) < 0 ||
	    vsmmu_device_attach(smmu, &device) < 0 ||
	    vsmmu_emulated_get_counters(emulated, &counters) < 0)
		return 1;
	printf("a device is attached, system calls: %u\n", (unsigned)counters.calls);
	vsmmu_destroy(smmu);
	vsmmu_host_close(host);
	vsmmu_emulated_destroy(emulated);
	return 0;
}
