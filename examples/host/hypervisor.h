/* SPDX-License-Identifier: MIT */
/* What a VMM runs on: a kernel with iommufd, VFIO and KVM. It is this machine's, or an emulated one
 * with a physical SMMU, two devices and CPUs. */
#ifndef HOST_HYPERVISOR_H
#define HOST_HYPERVISOR_H

#include "library.h"

#define HYPERVISOR_CPU 1u

struct hypervisor {
	const struct library *library;
	vsmmu_emulated_t *emulated; /* NULL: this machine's */
	vsmmu_kernel kernel;        /* its system calls: open, close, ioctl */
	vsmmu_host_t *host;         /* what the library knows it as; NULL until hypervisor_lend */
	int32_t vm;                 /* KVM's file, -1 = none */
	gboolean verbose;
	guint calls; /* the library's */
};

/* An emulated machine with a kernel of that kind (VSMMU_EMULATED_*), and a VM whose vCPU runs. */
gboolean hypervisor_emulate(struct hypervisor *hypervisor, const struct library *library,
			    uint32_t kernel, gboolean verbose, GError **error);
/* This machine, without a VM: released kernels do not link one with the SMMU. */
void hypervisor_here(struct hypervisor *hypervisor, const struct library *library,
		     gboolean verbose);
void hypervisor_stop(struct hypervisor *hypervisor);

/* Makes the library's host. It duplicates the iommufd; -1: it opens one. */
gboolean hypervisor_lend(struct hypervisor *hypervisor, int32_t iommufd, GError **error);

/* System calls: a result, or a negative errno. */
int32_t hypervisor_open(struct hypervisor *hypervisor, const char *path);
void hypervisor_close(struct hypervisor *hypervisor, int32_t file);
int64_t hypervisor_ioctl(struct hypervisor *hypervisor, int32_t file, uint32_t request,
			 void *argument);

/* Emulated hardware: device 0 reads 8 bytes by DMA; FALSE if the bus answers with an abort. */
gboolean hypervisor_device_read(const struct hypervisor *hypervisor, uint64_t address,
				uint64_t *value);
/* Device 1 puts 8 bytes at the start of its BAR. */
void hypervisor_bar_write(const struct hypervisor *hypervisor, uint64_t value);
/* The guest's CPU executes TLBI VAE1IS, then DSB. */
void hypervisor_cpu_tlbi(const struct hypervisor *hypervisor, uint16_t asid, uint64_t address);

#endif
