/* SPDX-License-Identifier: MIT */
/* System calls and error numbers for the host side. Private: not installed. */
#ifndef VSMMU_SYSTEM_H
#define VSMMU_SYSTEM_H

#include <errno.h>
#include <stdint.h>

/* Each returns what the system call returns, or a negative errno. */
int32_t vsmmu_system_open(const char *path);
int32_t vsmmu_system_close(int32_t fd);
int64_t vsmmu_system_ioctl(int32_t fd, uint32_t request, void *argument);
/* The same for requests whose argument is a number. */
int64_t vsmmu_system_ioctl_value(int32_t fd, uint32_t request, uint64_t value);
int64_t vsmmu_system_read(int32_t fd, void *data, uint64_t count);
int64_t vsmmu_system_write(int32_t fd, const void *data, uint64_t count);
/* The events of poll(2) that are set now: never waits. */
int32_t vsmmu_system_poll(int32_t fd);
int32_t vsmmu_system_dup(int32_t fd);
/* 1 if both are the same open file, 0 if not; a negative errno if this kernel does not tell. */
int32_t vsmmu_system_same(int32_t fd, int32_t other);
/* The address, or a negative errno. */
int64_t vsmmu_system_mmap(int32_t fd, uint64_t offset, uint64_t length);
int32_t vsmmu_system_munmap(uint64_t address, uint64_t length);
/* One access of 32 bits to registers that are mapped, which another thread may be accessing. */
uint32_t vsmmu_system_read32(const void *address);
void vsmmu_system_write32(void *address, uint32_t value);
/* Bytes of a file, or a negative errno. */
int64_t vsmmu_system_file_size(int32_t fd);
/* 0 if some of [address, address + length) is no memory of this process, as far as that can be told
 * without touching all of it: no hole, and the first and the last page can be read. */
int32_t vsmmu_system_is_memory(uint64_t address, uint64_t length);

/* An eventfd that is not readable; signal makes it readable, clear ends that. */
int32_t vsmmu_system_eventfd(void);
void vsmmu_system_eventfd_signal(int32_t fd);
void vsmmu_system_eventfd_clear(int32_t fd);

/* An epoll instance; watch adds a file for reading, forget takes it out. */
int32_t vsmmu_system_epoll(void);
int32_t vsmmu_system_epoll_watch(int32_t epoll, int32_t fd);
void vsmmu_system_epoll_remove(int32_t epoll, int32_t fd);
/* Waits until a watched file is readable, at most that long; 1 if one is, 0 if not. */
int32_t vsmmu_system_epoll_wait(int32_t epoll, int32_t milliseconds);

/* Gives the processor away for that long. */
void vsmmu_system_sleep(int32_t milliseconds);

/* A thread that runs body(opaque); NULL if there is none to have. join waits for its end. */
void *vsmmu_system_thread_start(void (*body)(void *), void *opaque);
void vsmmu_system_thread_join(void *thread);

/* Error numbers, for Swift. */
#define VSMMU_ERRNO(name) VSMMU_##name = name
enum vsmmu_errno {
	VSMMU_ERRNO(EPERM), VSMMU_ERRNO(ENOENT), VSMMU_ERRNO(EINTR), VSMMU_ERRNO(EIO),
	VSMMU_ERRNO(ENXIO), VSMMU_ERRNO(E2BIG), VSMMU_ERRNO(EBADF), VSMMU_ERRNO(EAGAIN),
	VSMMU_ERRNO(ENOMEM), VSMMU_ERRNO(EACCES), VSMMU_ERRNO(EFAULT), VSMMU_ERRNO(EBUSY),
	VSMMU_ERRNO(EEXIST), VSMMU_ERRNO(ENODEV), VSMMU_ERRNO(EINVAL), VSMMU_ERRNO(EMFILE),
	VSMMU_ERRNO(ENOTTY), VSMMU_ERRNO(ENOSPC), VSMMU_ERRNO(ESPIPE), VSMMU_ERRNO(EDEADLK),
	VSMMU_ERRNO(ENOSYS), VSMMU_ERRNO(EPROTO), VSMMU_ERRNO(EOVERFLOW), VSMMU_ERRNO(EBADFD),
	VSMMU_ERRNO(EMSGSIZE), VSMMU_ERRNO(EOPNOTSUPP), VSMMU_ERRNO(ETIMEDOUT),
};
#undef VSMMU_ERRNO

#endif
