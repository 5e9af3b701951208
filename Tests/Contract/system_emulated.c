/* SPDX-License-Identifier: MIT */
/* The emulated kernel of a library, on a machine that looks like the one of the guest in which the
 * rows run on Linux. */
#ifndef REAL
#include "contract.h"

#include <vsmmuv3_emulated.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTIONS(X) \
	X(create) X(destroy) X(open) X(close) X(ioctl) X(read) X(write) X(poll) X(dup) X(kernel) \
	X(dma_read) X(dma_write) X(bar) X(set_decode) X(check) X(get_counters)

static struct {
#define MEMBER(name) __typeof__(&vsmmu_emulated_##name) name;
	FUNCTIONS(MEMBER)
#undef MEMBER
} api;

static vsmmu_emulated_t *host;

static int32_t emulated_open(const char *path)
{
	return api.open(host, path);
}

static int32_t emulated_close(int32_t fd)
{
	return api.close(host, fd);
}

static int64_t emulated_ioctl(int32_t fd, uint32_t request, void *argument)
{
	return api.ioctl(host, fd, request, argument);
}

static int64_t emulated_read(int32_t fd, void *data, uint64_t count)
{
	return api.read(host, fd, data, count);
}

static int64_t emulated_write(int32_t fd, const void *data, uint64_t count)
{
	return api.write(host, fd, data, count);
}

static int32_t emulated_poll(int32_t fd)
{
	return api.poll(host, fd);
}

static int32_t emulated_dup(int32_t fd)
{
	return api.dup(host, fd);
}

static vsmmu_kernel kernel = {.size = sizeof(kernel)};

static int32_t emulated_mmap(int32_t fd, uint64_t offset, uint64_t length, void **address)
{
	return kernel.mmap(kernel.opaque, fd, offset, length, address);
}

static int32_t emulated_munmap(void *address, uint64_t length)
{
	return kernel.munmap(kernel.opaque, address, length);
}

static const char *emulated_device(unsigned index)
{
	return text("/dev/vfio/devices/vfio%u", index);
}

static void emulated_dma(int32_t fd, uint64_t from, uint64_t to)
{
	vsmmu_access access = {.size = sizeof(access), .address = from};
	vsmmu_result result = {.size = sizeof(result)};
	/* A device whose read is aborted writes what it had. */
	static uint32_t word;

	(void)fd;
	api.dma_read(host, 0, &access, &word, sizeof(word), &result);
	access.address = to;
	api.dma_write(host, 0, &access, &word, sizeof(word), &result);
}

static void emulated_decode(int32_t fd, unsigned index, bool on)
{
	(void)fd;
	api.set_decode(host, index, on);
}

static void emulated_pause(void)
{
}

/* Device 1 has something to read, as a disk controller has. */
static bool fill_bar(void)
{
	void *memory;
	uint64_t length;

	if (api.bar(host, 1, 0, &memory, &length) != 0)
		return false;
	memset(memory, 0x42, length);
	return true;
}

static bool load(const char *library)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL), *symbol;

	if (!handle) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
#define FIND(name) \
	symbol = dlsym(handle, "vsmmu_emulated_" #name); \
	if (!symbol) { \
		fprintf(stderr, "%s has no vsmmu_emulated_" #name "\n", library); \
		return false; \
	} \
	memcpy(&api.name, &symbol, sizeof(symbol));
	FUNCTIONS(FIND)
#undef FIND
	return true;
}

bool system_open(int argc, char **argv)
{
	static const uint32_t lacks[] = {
		[WHOLE] = VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_FWB,
		[BARS] = VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_FWB,
		[INCOHERENT] = VSMMU_EMULATED_NO_FWB,
		[UNNESTED] = VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_NESTING,
		[ATS] = VSMMU_EMULATED_CANWBS | VSMMU_EMULATED_NO_FWB | VSMMU_EMULATED_ROOT_ATS,
		[DIRECT] = VSMMU_EMULATED_CMDQV,
	};
	const vsmmu_emulated_smmu smmu = {
		.size = sizeof(smmu), .flags = lacks[machine],
		.features = machine == ATS ? "OAS=4, SSIDSIZE=0, ATS=1" : "OAS=4, SSIDSIZE=0, ATS=0",
	};
	const vsmmu_emulated_smmu smmus[2] = {smmu, smmu};
	const vsmmu_emulated_device devices[3] = {
		{.size = sizeof(devices[0]), .smmu = 0, .stream = 0x20, .flags = VSMMU_EMULATED_ATS},
		{.size = sizeof(devices[0]), .smmu = 0, .stream = 0x08},
		{.size = sizeof(devices[0]), .smmu = machine == ATS ? 0 : 1, .stream = 0x900,
		 .flags = VSMMU_EMULATED_ATS | VSMMU_EMULATED_SILENT},
	};
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = smmus, .smmu_count = 2, .devices = devices,
		.device_count = 3,
		.kernel = strcmp(argv[argc > 2 ? 2 : 0], "7.2") == 0 ?
			  VSMMU_EMULATED_LINUX_7_2 : VSMMU_EMULATED_LINUX_7_3,
	};
	char message[200] = "";

	if (argc < 3 || !load(argv[1])) {
		fprintf(stderr, "usage: %s LIBRARY 7.2|7.3 [MACHINE]\n", argv[0]);
		return false;
	}
	profile = config.kernel == VSMMU_EMULATED_LINUX_7_2 ? 2 : 3;
	sys = (struct system){
		emulated_open, emulated_close, emulated_ioctl, emulated_read, emulated_write,
		emulated_poll, emulated_dup, emulated_mmap, emulated_munmap, emulated_device,
		emulated_dma, emulated_decode, emulated_pause,
		true,
	};
	if (api.create(&config, &host, message, sizeof(message)) == 0)
		return api.kernel(host, &kernel) == 0 && fill_bar();
	fprintf(stderr, "no emulated host: %s\n", message);
	return false;
}

/* All is closed, so nothing may be left. */
bool system_close(void)
{
	vsmmu_emulated_counters left = {.size = sizeof(left)};
	char message[200] = "";
	int32_t violations = api.check(host, message, sizeof(message));
	bool clean = api.get_counters(host, &left) == 0 && !left.objects && !left.files &&
		     !left.mappings && violations == 0;

	if (!clean)
		fprintf(stderr, "FAIL left: %u objects, %u files, %u mappings; %d violations: %s\n",
			left.objects, left.files, left.mappings, violations, message);
	api.destroy(host);
	return clean;
}
#endif
