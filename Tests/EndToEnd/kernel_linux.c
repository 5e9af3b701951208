/* SPDX-License-Identifier: MIT */
/* The system calls of Linux as a port, as a VMM brings them. */
#ifdef REAL
#include "endtoend.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t checked(int64_t result)
{
	return result < 0 ? -errno : result;
}

static int32_t port_open(void *opaque, const char *path)
{
	(void)opaque;
	return (int32_t)checked(open(path, O_RDWR | O_CLOEXEC));
}

static int32_t port_close(void *opaque, int32_t fd)
{
	(void)opaque;
	return (int32_t)checked(close(fd));
}

static int64_t port_ioctl(void *opaque, int32_t fd, uint32_t request, void *argument)
{
	(void)opaque;
	return checked(ioctl(fd, request, argument));
}

static int64_t port_read(void *opaque, int32_t fd, void *data, uint64_t count)
{
	(void)opaque;
	return checked(read(fd, data, count));
}

static int64_t port_write(void *opaque, int32_t fd, const void *data, uint64_t count)
{
	(void)opaque;
	return checked(write(fd, data, count));
}

static int32_t port_poll(void *opaque, int32_t fd)
{
	struct pollfd file = {fd, POLLIN | POLLOUT, 0};
	int64_t result = checked(poll(&file, 1, 0));

	(void)opaque;
	return result < 0 ? (int32_t)result : file.revents;
}

static int32_t port_dup(void *opaque, int32_t fd)
{
	(void)opaque;
	return (int32_t)checked(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static int32_t port_mmap(void *opaque, int32_t fd, uint64_t offset, uint64_t length, void **address)
{
	(void)opaque;
	*address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	return *address == MAP_FAILED ? -errno : 0;
}

static int32_t port_munmap(void *opaque, void *address, uint64_t length)
{
	(void)opaque;
	return (int32_t)checked(munmap(address, length));
}

bool platform_kernel(vsmmu_kernel *kernel)
{
	*kernel = (vsmmu_kernel){
		.size = sizeof(*kernel), .open = port_open, .close = port_close, .ioctl = port_ioctl,
		.read = port_read, .write = port_write, .poll = port_poll, .dup = port_dup,
		.mmap = port_mmap, .munmap = port_munmap,
	};
	return true;
}
#endif
