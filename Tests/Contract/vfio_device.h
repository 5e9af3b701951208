/* SPDX-License-Identifier: MIT */
/* VFIO devices of the guest that the programs run in. */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VFIO_PATH 300

/* The character device of the PCI function whose address is in the environment as `name`. */
static inline const char *vfio_device(const char *name, char path[VFIO_PATH])
{
	const char *address = getenv(name);
	DIR *directory;

	snprintf(path, VFIO_PATH, "/sys/bus/pci/devices/%.100s/vfio-dev", address ? address : "none");
	directory = opendir(path);
	for (struct dirent *e; directory && (e = readdir(directory));)
		if (strncmp(e->d_name, "vfio", 4) == 0)
			snprintf(path, VFIO_PATH, "/dev/vfio/devices/%.200s", e->d_name);
	if (directory)
		closedir(directory);
	return path;
}

/* VFIO's region call. */
#define VFIO_REGION_INFO 0x3b6c
#define VFIO_REGION_CONFIG 7
struct vfio_region {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

static inline bool vfio_region(int32_t device, struct vfio_region *region)
{
	region->argsz = sizeof(*region);
	return ioctl(device, VFIO_REGION_INFO, region) == 0;
}

/* Bits of the command register in a function's configuration space. */
#define PCI_COMMAND 4
#define PCI_COMMAND_DECODE 2
#define PCI_COMMAND_DMA 4

static inline bool vfio_command(int32_t device, uint16_t bits)
{
	struct vfio_region config = {.index = VFIO_REGION_CONFIG};

	return vfio_region(device, &config) &&
	       pwrite(device, &bits, 2, (off_t)config.offset + PCI_COMMAND) == 2;
}

#endif
