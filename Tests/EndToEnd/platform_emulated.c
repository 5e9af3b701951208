/* SPDX-License-Identifier: MIT */
/* The emulated host. */
#ifndef REAL
#include "endtoend.h"

#include <vsmmuv3_emulated.h>

#include <stdio.h>

static vsmmu_emulated_t *emulated;

bool platform_kernel(vsmmu_kernel *kernel)
{
	return platform_start() && vsmmu_emulated_kernel(emulated, kernel) == 0;
}

static bool open_host(vsmmu_host_config config, vsmmu_host_t **host)
{
	vsmmu_kernel kernel = {.size = sizeof(kernel)};
	char message[200] = "";

	if (!config.kernel && platform_kernel(&kernel))
		config.kernel = &kernel;
	if (vsmmu_host_open(&config, host, message, sizeof(message)) == 0)
		return true;
	printf("     %s\n", message);
	return false;
}

/* Device 1 has something to read, as a disk controller has. */
static bool fill_bar(void)
{
	void *memory;
	uint64_t length;

	if (vsmmu_emulated_bar(emulated, 1, 0, &memory, &length) != 0)
		return false;
	memset(memory, 0x42, length);
	return true;
}

bool platform_start(void)
{
	char message[200] = "";

	if (emulated || vsmmu_emulated_create(NULL, &emulated, message, sizeof(message)) == 0)
		return fill_bar();
	printf("     %s\n", message);
	return false;
}

bool platform_open(vsmmu_host_t **host)
{
	return platform_open_with(NULL, host);
}

bool platform_open_with(const vsmmu_kernel *kernel, vsmmu_host_t **host)
{
	return platform_start() && open_host((vsmmu_host_config){
		.size = sizeof(vsmmu_host_config), .kernel = kernel,
	}, host);
}

bool platform_lend(int32_t iommufd, vsmmu_host_t **host)
{
	return open_host((vsmmu_host_config){
		.size = sizeof(vsmmu_host_config), .flags = VSMMU_HOST_IOMMUFD, .iommufd = iommufd,
	}, host);
}

int32_t platform_file(const char *path)
{
	return vsmmu_emulated_open(emulated, path);
}

void platform_close_file(int32_t fd)
{
	vsmmu_emulated_close(emulated, fd);
}

int64_t platform_ioctl(int32_t fd, uint32_t request, void *argument)
{
	return vsmmu_emulated_ioctl(emulated, fd, request, argument);
}

bool platform_is_clean(void)
{
	vsmmu_emulated_counters left = {.size = sizeof(left)};
	char message[200] = "";
	int32_t violations = vsmmu_emulated_check(emulated, message, sizeof(message));

	if (violations != 0)
		printf("     %s\n", message);
	return vsmmu_emulated_get_counters(emulated, &left) == 0 && !left.objects && !left.files &&
	       !left.mappings && violations == 0;
}

void platform_close(void)
{
	vsmmu_emulated_destroy(emulated);
	emulated = NULL;
}

const char *platform_device(unsigned index)
{
	return index ? "/dev/vfio/devices/vfio1" : "/dev/vfio/devices/vfio0";
}

void platform_dma(int32_t fd, uint64_t from, uint64_t to)
{
	vsmmu_access access = {.size = sizeof(access), .address = from};
	vsmmu_result result = {.size = sizeof(result)};
	/* A device whose read is aborted writes what it had. */
	static uint32_t word;

	(void)fd;
	vsmmu_emulated_dma_read(emulated, 0, &access, &word, sizeof(word), &result);
	access.address = to;
	vsmmu_emulated_dma_write(emulated, 0, &access, &word, sizeof(word), &result);
}

int32_t platform_interrupts(int32_t fd)
{
	(void)fd;
	return -ENODEV;
}

bool platform_raise(int32_t fd, int32_t interrupts, int milliseconds)
{
	(void)fd, (void)interrupts, (void)milliseconds;
	return false;
}

#define KVM_CREATE_VM 0xae01

int32_t platform_vm(void)
{
	int32_t kvm = vsmmu_emulated_open(emulated, "/dev/kvm");
	int32_t vm = (int32_t)vsmmu_emulated_ioctl(emulated, kvm, KVM_CREATE_VM, NULL);

	vsmmu_emulated_close(emulated, kvm);
	return vm;
}

void platform_vm_close(int32_t vm)
{
	vsmmu_emulated_close(emulated, vm);
}

void platform_settle(void)
{
}

void platform_decode(int32_t fd, bool on)
{
	(void)fd;
	vsmmu_emulated_set_decode(emulated, 1, on);
}

/* To a dma-buf it is the same. */
void platform_sleep(int32_t fd, bool on)
{
	platform_decode(fd, !on);
}
#endif
