/* SPDX-License-Identifier: MIT */
/* Linux, with VFIO devices: EDU, NVME and E1000E hold their PCI addresses. */
#ifdef REAL
#include "contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

static int64_t checked(int64_t result)
{
	return result < 0 ? -errno : result;
}

static int32_t linux_open(const char *path)
{
	return (int32_t)checked(open(path, O_RDWR | O_CLOEXEC));
}

static int32_t linux_close(int32_t fd)
{
	return (int32_t)checked(close(fd));
}

static int64_t linux_ioctl(int32_t fd, uint32_t request, void *argument)
{
	return checked(ioctl(fd, request, argument));
}

static int64_t linux_read(int32_t fd, void *data, uint64_t count)
{
	return checked(read(fd, data, count));
}

static int64_t linux_write(int32_t fd, const void *data, uint64_t count)
{
	return checked(write(fd, data, count));
}

static int32_t linux_poll(int32_t fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	int64_t result = checked(poll(&p, 1, 0));

	return result < 0 ? (int32_t)result : p.revents;
}

static int32_t linux_dup(int32_t fd)
{
	return (int32_t)checked(dup(fd));
}

static const char *linux_device(unsigned index)
{
	static char path[3][300];
	static const char *const names[] = {"EDU", "NVME", "E1000E"};
	const char *address = getenv(names[index]);
	char *it = path[index];
	DIR *directory;

	snprintf(it, sizeof(path[0]), "/sys/bus/pci/devices/%.100s/vfio-dev",
		 address ? address : "none");
	directory = opendir(it);
	for (struct dirent *e; directory && (e = readdir(directory));)
		if (strncmp(e->d_name, "vfio", 4) == 0)
			snprintf(it, sizeof(path[0]), "/dev/vfio/devices/%.200s", e->d_name);
	if (directory)
		closedir(directory);
	return it;
}

/* --- QEMU's edu ------------------------------------------------------------------------------- */

/* VFIO's region call and the two regions that are used. */
#define REGION_INFO 0x3b6c
#define REGION_REGISTERS 0
#define REGION_CONFIG 7
struct region {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

enum { EDU_SOURCE = 0x80, EDU_TARGET = 0x88, EDU_COUNT = 0x90, EDU_COMMAND = 0x98 };
#define EDU_BUFFER UINT64_C(0x40000)

static void edu_run(volatile uint8_t *edu, uint64_t from, uint64_t to, uint64_t command)
{
	*(volatile uint64_t *)(edu + EDU_SOURCE) = from;
	*(volatile uint64_t *)(edu + EDU_TARGET) = to;
	*(volatile uint64_t *)(edu + EDU_COUNT) = 4;
	__sync_synchronize();
	*(volatile uint64_t *)(edu + EDU_COMMAND) = command;
	for (int i = 0; i < 1000 && (*(volatile uint64_t *)(edu + EDU_COMMAND) & 1); i++)
		usleep(1000);
	__sync_synchronize();
}

static void linux_dma(int32_t fd, uint64_t from, uint64_t to)
{
	struct region config = {.argsz = sizeof(config), .index = REGION_CONFIG};
	struct region registers = {.argsz = sizeof(registers), .index = REGION_REGISTERS};
	const uint16_t memory_and_master = 6;
	volatile uint8_t *edu;

	if (ioctl(fd, REGION_INFO, &config) || ioctl(fd, REGION_INFO, &registers) ||
	    pwrite(fd, &memory_and_master, 2, (off_t)config.offset + 4) != 2)
		return;
	edu = mmap(NULL, registers.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   (off_t)registers.offset);
	if (edu == MAP_FAILED)
		return;
	edu_run(edu, from, EDU_BUFFER, 1);
	edu_run(edu, EDU_BUFFER, to, 3);
	munmap((void *)edu, registers.size);
}

static void linux_pause(void)
{
	usleep(10000);
}

bool system_open(int argc, char **argv)
{
	struct utsname name;

	(void)argc, (void)argv;
	sys = (struct system){
		linux_open, linux_close, linux_ioctl, linux_read, linux_write, linux_poll,
		linux_dup, linux_device, linux_dma, linux_pause,
	};
	if (uname(&name))
		return false;
	profile = strncmp(name.release, "7.2", 3) == 0 ? 2 : 3;
	return true;
}

bool system_close(void)
{
	return true;
}
#endif
