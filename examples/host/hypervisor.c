/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include "hypervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ram.h"

/* linux/kvm.h */
#define CREATE_VM 0xae01u

static int32_t here_open(void *opaque, const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC);

	(void)opaque;
	return file < 0 ? -errno : file;
}

static int32_t here_close(void *opaque, int32_t file)
{
	(void)opaque;
	return close(file) < 0 ? -errno : 0;
}

static int64_t here_ioctl(void *opaque, int32_t file, uint32_t request, void *argument)
{
	int result = ioctl(file, request, argument);

	(void)opaque;
	return result < 0 ? -errno : result;
}

int32_t hypervisor_open(struct hypervisor *hypervisor, const char *path)
{
	return hypervisor->kernel.open(hypervisor->kernel.opaque, path);
}

void hypervisor_close(struct hypervisor *hypervisor, int32_t file)
{
	if (file >= 0)
		hypervisor->kernel.close(hypervisor->kernel.opaque, file);
}

int64_t hypervisor_ioctl(struct hypervisor *hypervisor, int32_t file, uint32_t request,
			 void *argument)
{
	return hypervisor->kernel.ioctl(hypervisor->kernel.opaque, file, request, argument);
}

static gboolean create_vm(struct hypervisor *hypervisor)
{
	int32_t kvm = hypervisor_open(hypervisor, "/dev/kvm");

	if (kvm < 0)
		return FALSE;
	hypervisor->vm = (int32_t)hypervisor_ioctl(hypervisor, kvm, CREATE_VM, NULL);
	hypervisor_close(hypervisor, kvm);
	return hypervisor->vm >= 0 &&
	       hypervisor->library->emulated_vcpu_load(hypervisor->emulated, hypervisor->vm,
						       HYPERVISOR_CPU) == 0;
}

gboolean hypervisor_emulate(struct hypervisor *hypervisor, const struct library *library,
			    uint32_t kernel, gboolean verbose, GError **error)
{
	const vsmmu_emulated_smmu smmu = {
		.size = sizeof smmu, .flags = VSMMU_EMULATED_ROOT_ATS, .features = "ATS=1",
	};
	const vsmmu_emulated_device devices[2] = {
		{ .size = sizeof devices[0], .stream = 8, .pasid_bits = 16,
		  .flags = VSMMU_EMULATED_ATS },
		{ .size = sizeof devices[1], .stream = 16 },
	};
	const vsmmu_emulated_config emulated = {
		.size = sizeof emulated, .kernel = kernel, .smmus = &smmu, .smmu_count = 1,
		.devices = devices, .device_count = 2,
	};
	char message[256] = "no VM";

	*hypervisor = (struct hypervisor){ .library = library, .vm = -1, .verbose = verbose,
					   .kernel.size = sizeof(vsmmu_kernel) };
	if (library->emulated_create(&emulated, &hypervisor->emulated, message,
				     sizeof message) == 0 &&
	    library->emulated_kernel(hypervisor->emulated, &hypervisor->kernel) == 0 &&
	    create_vm(hypervisor))
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no emulated host: %s", message);
	hypervisor_stop(hypervisor);
	return FALSE;
}

void hypervisor_here(struct hypervisor *hypervisor, const struct library *library,
		     gboolean verbose)
{
	*hypervisor = (struct hypervisor){
		.library = library, .vm = -1, .verbose = verbose,
		.kernel = { .open = here_open, .close = here_close, .ioctl = here_ioctl },
	};
}

void hypervisor_stop(struct hypervisor *hypervisor)
{
	const struct library *library = hypervisor->library;

	library->host_close(hypervisor->host);
	if (hypervisor->emulated == NULL)
		return;
	library->emulated_vcpu_put(hypervisor->emulated, HYPERVISOR_CPU);
	hypervisor_close(hypervisor, hypervisor->vm);
	library->emulated_destroy(hypervisor->emulated);
}

static void on_call(void *opaque, const char *line)
{
	struct hypervisor *hypervisor = opaque;

	hypervisor->calls++;
	if (hypervisor->verbose)
		g_print("      %s\n", line);
}

gboolean hypervisor_lend(struct hypervisor *hypervisor, int32_t iommufd, GError **error)
{
	const struct library *library = hypervisor->library;
	vsmmu_host_config config = {
		.size = sizeof config, .call = on_call, .opaque = hypervisor,
		.flags = iommufd < 0 ? 0 : VSMMU_HOST_IOMMUFD, .iommufd = iommufd < 0 ? 0 : iommufd,
	};
	char message[256];

	if (hypervisor->emulated != NULL) {
		config.kernel = &hypervisor->kernel;
		config.pin_request = library->emulated_pin_request(hypervisor->emulated);
		config.unpin_request = library->emulated_unpin_request(hypervisor->emulated);
	}
	if (library->host_open(&config, &hypervisor->host, message, sizeof message) == 0)
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no host: %s", message);
	return FALSE;
}

gboolean hypervisor_device_read(const struct hypervisor *hypervisor, uint64_t address,
				uint64_t *value)
{
	const vsmmu_access access = { .size = sizeof access, .address = address };
	vsmmu_result result = { .size = sizeof result };

	if (hypervisor->library->emulated_dma_read(hypervisor->emulated, 0, &access, value,
						   sizeof *value, &result) < 0)
		g_error("DMA refused");
	return result.kind == VSMMU_RESULT_OK;
}

void hypervisor_bar_write(const struct hypervisor *hypervisor, uint64_t value)
{
	void *memory;
	uint64_t length;

	if (hypervisor->library->emulated_bar(hypervisor->emulated, 1, 0, &memory, &length) < 0)
		g_error("no BAR");
	memcpy(memory, &value, sizeof value);
}

void hypervisor_cpu_tlbi(const struct hypervisor *hypervisor, uint16_t asid, uint64_t address)
{
	const vsmmu_dvm_op op = {
		.size = sizeof op, .kind = VSMMU_DVM_VA, .asid = asid,
		.address = address, .last = address + PAGE_BYTES - 1,
	};

	if (hypervisor->library->emulated_tlbi(hypervisor->emulated, HYPERVISOR_CPU, &op) < 0)
		g_error("TLBI refused");
}
