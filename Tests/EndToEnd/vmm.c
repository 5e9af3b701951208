/* SPDX-License-Identifier: MIT */
/* What the lives have in common. */
#include "endtoend.h"

#include <stdio.h>

void vmm_log(void *opaque, uint32_t blame, const char *message)
{
	(void)opaque;
	printf("     log %u: %s\n", blame, message);
}

bool build(struct guest *guest, vsmmu_host_t *host, const char *features)
{
	vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX, .host = host,
		.features = features,
	};
	vsmmu_ops ops = {.size = sizeof(ops), .log = vmm_log};
	char message[300] = "";
	int32_t result = vsmmu_create(&config, &ops, NULL, &guest->vsmmu, message, sizeof(message));

	if (!equal((uint64_t)result, 0, "vsmmu_create with a host")) {
		printf("     %s\n", message);
		return false;
	}
	guest_forget(guest);
	return equal((uint64_t)vsmmu_ram_add(guest->vsmmu, RAM, RAM_SIZE, guest->ram), 0,
		     "vsmmu_ram_add");
}

int32_t attach(struct guest *guest, unsigned index, uint32_t stream)
{
	vsmmu_device device = {
		.size = sizeof(device), .stream = stream, .path = platform_device(index),
	};
	int32_t result = vsmmu_device_attach(guest->vsmmu, &device);
	char message[300] = "";

	if (result != 0 && vsmmu_error_message(guest->vsmmu, message, sizeof(message)) > 0)
		printf("     %s\n", message);
	return result;
}

bool travels(struct guest *guest, int32_t fd, uint64_t from, uint64_t to, uint64_t seen)
{
	static uint32_t word = 0x5a5a0000;

	*at(guest, SOURCE) = ++word;
	*at(guest, seen) = 0;
	platform_dma(fd, from, to);
	return (uint32_t)*at(guest, seen) == word;
}
