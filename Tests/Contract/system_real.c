/* SPDX-License-Identifier: MIT */
/* Linux, with VFIO devices: EDU, NVME and E1000E hold their PCI addresses. */
#ifdef REAL
#include "contract.h"
#include "edu.h"
#include "vfio_device.h"

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

static int32_t linux_mmap(int32_t fd, uint64_t offset, uint64_t length, void **address)
{
	*address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	return *address == MAP_FAILED ? -errno : 0;
}

static int32_t linux_munmap(void *address, uint64_t length)
{
	return (int32_t)checked(munmap(address, length));
}

static const char *linux_device(unsigned index)
{
	static char path[3][VFIO_PATH];
	static const char *const names[] = {"EDU", "NVME", "E1000E"};

	return vfio_device(names[index], path[index]);
}

static void linux_decode(int32_t fd, unsigned index, bool on)
{
	(void)index;
	vfio_command(fd, on ? PCI_COMMAND_DECODE : 0);
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
		linux_dup, linux_mmap, linux_munmap, linux_device, edu_copy, linux_decode, linux_pause,
		false,
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
