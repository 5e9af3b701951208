/* SPDX-License-Identifier: MIT */
/* The emulated host of a machine: kernel, physical SMMU, a device, and the VM's CPU. */
#ifndef HOST_HYPERVISOR_H
#define HOST_HYPERVISOR_H

#include "machine.h"

#define HYPERVISOR_CPU 1u

struct hypervisor {
	const struct library *library;
	vsmmu_emulated_t *emulated;
	vsmmu_host_t *host;
	int32_t vm; /* KVM's file */
	gboolean verbose;
	guint calls;
};

/* An emulated machine with a kernel of that kind (VSMMU_EMULATED_*), and a VM whose vCPU runs. */
gboolean hypervisor_start(struct hypervisor *hypervisor, const struct library *library,
			  uint32_t kernel, gboolean verbose, GError **error);
void hypervisor_stop(struct hypervisor *hypervisor);

/* The device reads 8 bytes by DMA. FALSE if the bus answers with an abort. */
gboolean hypervisor_device_read(const struct hypervisor *hypervisor, uint64_t address,
				uint64_t *value);

/* The guest's CPU executes TLBI VAE1IS, then DSB. */
void hypervisor_cpu_tlbi(const struct hypervisor *hypervisor, uint16_t asid, uint64_t address);

#endif
