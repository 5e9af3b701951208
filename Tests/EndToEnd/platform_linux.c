/* SPDX-License-Identifier: MIT */
/* Linux with a real SMMU driver. EDU and NVME hold the PCI addresses of VFIO devices. */
#ifdef REAL
#include "../Contract/edu.h"
#include "../Contract/vfio_device.h"
#include "endtoend.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned files_before;

static unsigned entries(const char *path)
{
	DIR *directory = opendir(path);
	unsigned count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static bool open_host(vsmmu_host_config config, vsmmu_host_t **host)
{
	char message[200] = "";

	if (vsmmu_host_open(&config, host, message, sizeof(message)) == 0)
		return true;
	printf("     %s\n", message);
	return false;
}

bool platform_start(void)
{
	files_before = entries("/proc/self/fd");
	return true;
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
	return open(path, O_RDWR | O_CLOEXEC);
}

void platform_close_file(int32_t fd)
{
	close(fd);
}

int64_t platform_ioctl(int32_t fd, uint32_t request, void *argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

/* Memory that the kernel has pinned for the devices, in KiB. */
static unsigned long pinned(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[200];

	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "VmPin: %lu", &kib);
	if (status)
		fclose(status);
	return kib;
}

bool platform_is_clean(void)
{
	return pinned() == 0 && entries("/proc/self/fd") == files_before;
}

void platform_close(void)
{
}

const char *platform_device(unsigned index)
{
	static char path[2][VFIO_PATH];

	return vfio_device(index ? "NVME" : "EDU", path[index]);
}

void platform_dma(int32_t fd, uint64_t from, uint64_t to)
{
	edu_copy(fd, from, to);
}

enum { SET_IRQS = 0x3b6e, SET_EVENTFD = 4 | 32, INDEX_MSI = 1 };

int32_t platform_interrupts(int32_t fd)
{
	struct { uint32_t size, flags, index, start, count; int32_t eventfd; } set = {
		.size = sizeof(set), .flags = SET_EVENTFD, .index = INDEX_MSI, .count = 1,
		.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	if (platform_ioctl(fd, SET_IRQS, &set) == 0)
		return set.eventfd;
	close(set.eventfd);
	return -ENODEV;
}

bool platform_raise(int32_t fd, int32_t interrupts, int milliseconds)
{
	struct pollfd file = {interrupts, POLLIN, 0};
	uint64_t count;

	edu_interrupt(fd);
	return poll(&file, 1, milliseconds) == 1 && read(interrupts, &count, 8) == 8;
}

#define KVM_CREATE_VM 0xae01

int32_t platform_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (kvm >= 0)
		close(kvm);
	return vm;
}

void platform_vm_close(int32_t vm)
{
	close(vm);
}

void platform_settle(void)
{
	/* Nothing tells that all events have come. */
	usleep(500000);
}

void platform_decode(int32_t fd, bool on)
{
	vfio_command(fd, on ? PCI_COMMAND_DECODE : 0);
}

enum { PCI_CAPABILITIES = 0x34, PCI_POWER = 1, PCI_POWER_STATE = 4, D0 = 0, D3_HOT = 3 };

/* By the capability of power management, which is one of a list. */
void platform_sleep(int32_t fd, bool on)
{
	struct vfio_region config = {.index = VFIO_REGION_CONFIG};
	const uint16_t state = on ? D3_HOT : D0;
	uint8_t place = 0, capability[2];

	if (!vfio_region(fd, &config) ||
	    pread(fd, &place, 1, (off_t)config.offset + PCI_CAPABILITIES) != 1)
		return;
	for (int i = 0; i < 48 && place; i++, place = capability[1]) {
		if (pread(fd, capability, 2, (off_t)config.offset + place) != 2)
			return;
		if (capability[0] == PCI_POWER) {
			if (pwrite(fd, &state, 2, (off_t)config.offset + place + PCI_POWER_STATE) != 2)
				printf("     the power state cannot be written\n");
			return;
		}
	}
	printf("     device 1 has no power management\n");
}
#endif
