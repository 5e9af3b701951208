/* SPDX-License-Identifier: MIT */
/*
 * Whoever unwinds from a callback finds the way through the library to main: by .eh_frame, as
 * backtrace() and debuggers do, and by frame pointers, as perf does.
 *
 * Compile it with -rdynamic -fno-omit-frame-pointer. A debugger stops at `stop_here`.
 */
#define _GNU_SOURCE
#include <vsmmuv3.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FRAMES 64
/* Where the guest's queues are: behind the callbacks. */
#define OUTSIDE UINT64_C(0x80000000)

int main(void);

static _Alignas(64) uint64_t memory[0x4000 / 8];
/* The callback that is looked out of, and what it saw. */
static const char *wanted;
static bool sees_frames, sees_pointers;
static unsigned frames_seen;

__attribute__((noinline)) void stop_here(void)
{
	__asm__ volatile("" ::: "memory");
}

static bool is_in_library(const void *address)
{
#ifdef ARCHIVE
	/* Between main and the callback there is nothing else. */
	return address != NULL;
#else
	Dl_info info;

	return dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, "libvsmmuv3");
#endif
}

static bool is_in_main(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) && info.dli_saddr == (void *)main;
}

static bool unwinds(void)
{
	void *frames[FRAMES];
	int count = backtrace(frames, FRAMES);
	unsigned within = 0;

	for (int i = 0; i < count; i++) {
		if (is_in_main(frames[i])) {
			frames_seen = within;
			return within >= 5;
		}
		within += is_in_library(frames[i]);
	}
	return false;
}

/* Each frame begins with the caller's and the address to go back to, on x86-64 and arm64. */
static bool walks(void)
{
	void **frame = __builtin_frame_address(0);
	unsigned within = 0;

	for (int i = 0; i < FRAMES; i++) {
		void **next = frame[0];

		if (is_in_main(frame[1]))
			return within >= 5;
		within += is_in_library(frame[1]);
		if (next <= frame)
			return false;
		frame = next;
	}
	return false;
}

static void look(const char *callback)
{
	if (!wanted || strcmp(callback, wanted) != 0)
		return;
	sees_frames = unwinds();
	sees_pointers = walks();
	stop_here();
}

static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	(void)opaque;
	if (address < OUTSIDE || address - OUTSIDE > sizeof(memory) - length)
		return -1;
	memcpy(data, (char *)memory + (address - OUTSIDE), length);
	look("mem_read");
	return 0;
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	(void)opaque;
	if (address < OUTSIDE || address - OUTSIDE > sizeof(memory) - length)
		return -1;
	memcpy((char *)memory + (address - OUTSIDE), data, length);
	look("mem_write");
	return 0;
}

static void on_invalidate(void *opaque, const vsmmu_invalidation *what)
{
	(void)opaque;
	(void)what;
	look("invalidate");
}

static void on_log(void *opaque, uint32_t blame, const char *message)
{
	(void)opaque;
	(void)blame;
	(void)message;
	look("log");
}

static int passed, failed;

static void check(bool condition, const char *call, const char *how)
{
	if (condition)
		passed++;
	else
		failed++;
	printf("%s %s in %s, %s\n", condition ? "ok  " : "FAIL", wanted, call, how);
}

static void expect(const char *callback)
{
	wanted = callback;
	sees_frames = sees_pointers = false;
	frames_seen = 0;
}

static void told(const char *call)
{
	check(sees_frames, call, "by .eh_frame");
	check(sees_pointers, call, "by frame pointers");
	printf("  %u frames in the library\n", frames_seen);
	wanted = NULL;
}

int main(void)
{
	const vsmmu_config config = { .size = sizeof(config) };
	const vsmmu_ops ops = {
		.size = sizeof(ops), .mem_read = on_read, .mem_write = on_write,
		.invalidate = on_invalidate, .log = on_log,
	};
	const vsmmu_access access = { .size = sizeof(access), .stream = 0, .address = 0x1000 };
	vsmmu_result result = { .size = sizeof(result) };
	vsmmu_t *vsmmu;

	/* CMD_TLBI_NSNH_ALL, and a command that is illegal. */
	memory[0] = 0x30;
	memory[2] = 0xff;
	if (vsmmu_create(&config, &ops, NULL, &vsmmu, NULL, 0) < 0)
		return 1;
	vsmmu_stream_add(vsmmu, 0);
	vsmmu_mmio_write(vsmmu, 0x80, 8, OUTSIDE + 0x1000);       /* STRTAB_BASE */
	vsmmu_mmio_write(vsmmu, 0x90, 8, OUTSIDE | 3);            /* CMDQ_BASE */
	vsmmu_mmio_write(vsmmu, 0xa0, 8, (OUTSIDE + 0x2000) | 3); /* EVENTQ_BASE */
	vsmmu_mmio_write(vsmmu, 0x20, 4, 0xd);                    /* CR0 */

	expect("invalidate");
	vsmmu_mmio_write(vsmmu, 0x98, 4, 1); /* CMDQ_PROD */
	told("vsmmu_mmio_write");
	expect("mem_read");
	vsmmu_translate(vsmmu, &access, &result);
	told("vsmmu_translate");
	expect("mem_write");
	vsmmu_translate(vsmmu, &access, &result);
	told("vsmmu_translate");
	expect("log");
	vsmmu_mmio_write(vsmmu, 0x98, 4, 2);
	told("vsmmu_mmio_write");

	vsmmu_destroy(vsmmu);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
