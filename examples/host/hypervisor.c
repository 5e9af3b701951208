/* SPDX-License-Identifier: MIT */
#include "hypervisor.h"

#include <gio/gio.h>

/* linux/kvm.h */
#define CREATE_VM 0xae01u

static void on_call(void *opaque, const char *line)
{
	struct hypervisor *hypervisor = opaque;

	hypervisor->calls++;
	if (hypervisor->verbose)
		g_print("      %s\n", line);
}

static gboolean create_vm(struct hypervisor *hypervisor)
{
	const struct library *library = hypervisor->library;
	int32_t kvm = library->emulated_open(hypervisor->emulated, "/dev/kvm");

	if (kvm < 0)
		return FALSE;
	hypervisor->vm =
		(int32_t)library->emulated_ioctl(hypervisor->emulated, kvm, CREATE_VM, NULL);
	library->emulated_close(hypervisor->emulated, kvm);
	return hypervisor->vm >= 0 && library->emulated_vcpu_load(hypervisor->emulated,
								  hypervisor->vm, HYPERVISOR_CPU) == 0;
}

gboolean hypervisor_start(struct hypervisor *hypervisor, const struct library *library,
			  uint32_t kernel, gboolean verbose, GError **error)
{
	const vsmmu_emulated_config emulated = { .size = sizeof emulated, .kernel = kernel };
	vsmmu_kernel calls = { .size = sizeof calls };
	vsmmu_host_config host = { .size = sizeof host, .kernel = &calls, .call = on_call,
				   .opaque = hypervisor };
	char message[256] = "no VM";

	*hypervisor = (struct hypervisor){ .library = library, .vm = -1, .verbose = verbose };
	if (library->emulated_create(&emulated, &hypervisor->emulated, message, sizeof message) < 0)
		goto failed;
	library->emulated_kernel(hypervisor->emulated, &calls);
	host.pin_request = library->emulated_pin_request(hypervisor->emulated);
	host.unpin_request = library->emulated_unpin_request(hypervisor->emulated);
	if (library->host_open(&host, &hypervisor->host, message, sizeof message) < 0)
		goto failed;
	if (create_vm(hypervisor))
		return TRUE;
failed:
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no host: %s", message);
	hypervisor_stop(hypervisor);
	return FALSE;
}

void hypervisor_stop(struct hypervisor *hypervisor)
{
	const struct library *library = hypervisor->library;

	if (hypervisor->vm >= 0) {
		library->emulated_vcpu_put(hypervisor->emulated, HYPERVISOR_CPU);
		library->emulated_close(hypervisor->emulated, hypervisor->vm);
	}
	library->host_close(hypervisor->host);
	library->emulated_destroy(hypervisor->emulated);
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

void hypervisor_cpu_tlbi(const struct hypervisor *hypervisor, uint16_t asid, uint64_t address)
{
	const vsmmu_dvm_op op = {
		.size = sizeof op, .kind = VSMMU_DVM_VA, .asid = asid,
		.address = address, .last = address + PAGE_BYTES - 1,
	};

	if (hypervisor->library->emulated_tlbi(hypervisor->emulated, HYPERVISOR_CPU, &op) < 0)
		g_error("TLBI refused");
}
