// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "vsmmu_system.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t result(int64_t value)
{
	return value < 0 ? -errno : value;
}

int32_t vsmmu_system_open(const char *path)
{
	return (int32_t)result(open(path, O_RDWR | O_CLOEXEC));
}

int32_t vsmmu_system_close(int32_t fd)
{
	return (int32_t)result(close(fd));
}

int64_t vsmmu_system_ioctl(int32_t fd, uint32_t request, void *argument)
{
	return result(ioctl(fd, (unsigned long)request, argument));
}

int64_t vsmmu_system_ioctl_value(int32_t fd, uint32_t request, uint64_t value)
{
	return result(ioctl(fd, (unsigned long)request, (unsigned long)value));
}

int64_t vsmmu_system_read(int32_t fd, void *data, uint64_t count)
{
	return result(read(fd, data, count));
}

int64_t vsmmu_system_write(int32_t fd, const void *data, uint64_t count)
{
	return result(write(fd, data, count));
}

int32_t vsmmu_system_poll(int32_t fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };
	int64_t count = result(poll(&poll_fd, 1, 0));

	return count < 0 ? (int32_t)count : poll_fd.revents;
}

int32_t vsmmu_system_dup(int32_t fd)
{
	return (int32_t)result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/* Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

int32_t vsmmu_system_same(int32_t fd, int32_t other)
{
	int32_t answer = (int32_t)result(fcntl(fd, F_DUPFD_QUERY, other));
	pid_t process = getpid();

	if (answer != -EINVAL)
		return answer;
	/* Before it: KCMP_FILE, where it is built in and allowed. It orders files: 0 is equal. */
	answer = (int32_t)result(syscall(SYS_kcmp, process, process, 0, fd, other));
	return answer < 0 ? answer : answer == 0;
}

int64_t vsmmu_system_mmap(int32_t fd, uint64_t offset, uint64_t length)
{
	void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	return address == MAP_FAILED ? -errno : (int64_t)(intptr_t)address;
}

int32_t vsmmu_system_munmap(uint64_t address, uint64_t length)
{
	return (int32_t)result(munmap((void *)(uintptr_t)address, length));
}

uint32_t vsmmu_system_read32(const void *address)
{
	return __atomic_load_n((const volatile uint32_t *)address, __ATOMIC_ACQUIRE);
}

void vsmmu_system_write32(void *address, uint32_t value)
{
	__atomic_store_n((volatile uint32_t *)address, value, __ATOMIC_RELEASE);
}

int64_t vsmmu_system_file_size(int32_t fd)
{
	struct stat file;

	return fstat(fd, &file) < 0 ? -errno : (int64_t)file.st_size;
}

/* Since Linux 5.14; what an older one answers says nothing. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static int32_t is_page(uint64_t address)
{
	int64_t status = result(madvise((void *)(uintptr_t)address, 1, MADV_POPULATE_READ));

	return status != -EFAULT && status != -ENOMEM;
}

int32_t vsmmu_system_is_memory(uint64_t address, uint64_t length)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), last = address + (length - 1);

	void *start;

	if (length == 0 || last < address)
		return 0;
	start = (void *)(uintptr_t)(address & -page);
	/* MS_ASYNC does nothing but look for holes. */
	if (result(msync(start, (last & -page) + page - (address & -page), MS_ASYNC)) == -ENOMEM)
		return 0;
	return is_page(address & -page) && is_page(last & -page);
}

int32_t vsmmu_system_eventfd(void)
{
	return (int32_t)result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void vsmmu_system_eventfd_signal(int32_t fd)
{
	/* It fails only where it is readable already. */
	(void)eventfd_write(fd, 1);
}

void vsmmu_system_eventfd_clear(int32_t fd)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count);
}

int32_t vsmmu_system_epoll(void)
{
	return (int32_t)result(epoll_create1(EPOLL_CLOEXEC));
}

int32_t vsmmu_system_epoll_watch(int32_t epoll, int32_t fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return (int32_t)result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

void vsmmu_system_epoll_remove(int32_t epoll, int32_t fd)
{
	struct epoll_event event = { 0 };

	(void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event);
}

int32_t vsmmu_system_epoll_wait(int32_t epoll, int32_t milliseconds)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, milliseconds) > 0;
}

void vsmmu_system_sleep(int32_t milliseconds)
{
	(void)poll(NULL, 0, milliseconds);
}

struct thread {
	pthread_t id;
	void (*body)(void *);
	void *opaque;
};

static void *run(void *opaque)
{
	struct thread *thread = opaque;

	thread->body(thread->opaque);
	return NULL;
}

void *vsmmu_system_thread_start(void (*body)(void *), void *opaque)
{
	struct thread *thread = malloc(sizeof(*thread));

	if (!thread)
		return NULL;
	thread->body = body;
	thread->opaque = opaque;
	if (pthread_create(&thread->id, NULL, run, thread) != 0) {
		free(thread);
		return NULL;
	}
	return thread;
}

void vsmmu_system_thread_join(void *thread)
{
	pthread_join(((struct thread *)thread)->id, NULL);
	free(thread);
}
