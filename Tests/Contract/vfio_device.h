/* SPDX-License-Identifier: MIT */
/* VFIO devices of the guest that the programs run in. */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#endif
