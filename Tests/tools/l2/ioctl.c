/* SPDX-License-Identifier: MIT */
/* Preloaded into a VMM: counts its requests to iommufd, VFIO and KVM's runs of a CPU. SIGUSR2 and the
 * end write them to the file IOCTL_COUNTS. IOCTL_FAIL=NAME:FIRST:COUNT makes so many of these requests
 * fail with EIO before the kernel hears of them, from the FIRST on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	unsigned request; /* type and number, as linux/iommufd.h, vfio.h and kvm.h have them */
	const char *name;
	atomic_uint count;
} known[] = {
	{ 0x3b76, "BIND_IOMMUFD", 0 },	    { 0x3b77, "ATTACH_IOMMUFD_PT", 0 },
	{ 0x3b78, "DETACH_IOMMUFD_PT", 0 }, { 0x3b80, "DESTROY", 0 },
	{ 0x3b81, "IOAS_ALLOC", 0 },	    { 0x3b85, "IOAS_MAP", 0 },
	{ 0x3b86, "IOAS_UNMAP", 0 },	    { 0x3b89, "HWPT_ALLOC", 0 },
	{ 0x3b8a, "GET_HW_INFO", 0 },	    { 0x3b8d, "HWPT_INVALIDATE", 0 },
	{ 0x3b8f, "IOAS_MAP_FILE", 0 },	    { 0x3b90, "VIOMMU_ALLOC", 0 },
	{ 0x3b91, "VDEVICE_ALLOC", 0 },	    { 0x3b93, "VEVENTQ_ALLOC", 0 },
	{ 0xae80, "KVM_RUN", 0 },
};
enum { KNOWN = sizeof known / sizeof *known };

static int (*kernel)(int, unsigned long, ...);
static int failing = -1;
static unsigned first, last;

static void tell(int signal)
{
	const char *path = getenv("IOCTL_COUNTS");
	int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	if (file < 0)
		return;
	for (int i = 0; i < KNOWN; i++)
		dprintf(file, "%s %s %u\n", signal ? "now" : "end", known[i].name, known[i].count);
	close(file);
}

static void at_end(void)
{
	tell(0);
}

__attribute__((constructor)) static void begin(void)
{
	const char *fail = getenv("IOCTL_FAIL");
	char name[32];
	unsigned count;

	kernel = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	if (fail && sscanf(fail, "%31[A-Z_]:%u:%u", name, &first, &count) == 3) {
		for (int i = 0; i < KNOWN; i++)
			if (!strcmp(known[i].name, name))
				failing = i;
		last = first + count - 1;
	}
	if (fail && failing < 0)
		dprintf(2, "ioctl: IOCTL_FAIL is not NAME:FIRST:COUNT\n"), _exit(2);
	signal(SIGUSR2, tell);
	atexit(at_end);
}

int ioctl(int file, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	for (int i = 0; i < KNOWN; i++) {
		unsigned n;

		if ((request & 0xffff) != known[i].request)
			continue;
		n = ++known[i].count;
		if (i == failing && n >= first && n <= last) {
			dprintf(2, "ioctl: %s, number %u, fails\n", known[i].name, n);
			errno = EIO;
			return -1;
		}
		break;
	}
	return kernel(file, request, argument);
}
