/* SPDX-License-Identifier: MIT */
/* A guest with assigned devices, on an emulated host. */
#ifndef HOSTED_H
#define HOSTED_H

#include "guest.h"

/* Assigned devices' StreamIDs in the guest; guest_open has 0 to 7 for emulated ones. */
#define ASSIGNED 8u
/* A page of their input. */
#define IOVA UINT64_C(0x5000)

struct hosted {
	struct guest guest;
	vsmmu_emulated_t *emulated;
	vsmmu_host_t *host;
};

/* An emulated host with two devices at one SMMU, a vSMMU on it, no device attached. NULL = the
 * default configuration of the host. */
bool hosted_open(struct hosted *hosted, const vsmmu_emulated_config *config);
/* The same, with what the vSMMU's configuration says beside its host. */
bool hosted_open_with(struct hosted *hosted, const vsmmu_emulated_config *config,
		      vsmmu_config vsmmu);
/* The same, where `bring` puts something before the host's kernel. */
bool hosted_open_by(struct hosted *hosted, const vsmmu_emulated_config *config,
		    vsmmu_config vsmmu, void (*bring)(vsmmu_kernel *kernel));
/* With device 0 behind it, translated by the guest's stage 1 from IOVA to DATA. */
bool hosted_open_translated(struct hosted *hosted);
/* Everything is closed in order, and nothing may be left in the kernel. */
void hosted_close(struct hosted *hosted);

/* Puts emulated device `device` behind the vSMMU as StreamID ASSIGNED + device. */
int32_t hosted_attach(struct hosted *hosted, uint32_t device);

/* DMA of an assigned device: 8 bytes at `address`. Returns the kind of the result. */
uint32_t device_write(struct hosted *hosted, uint32_t device, uint64_t address, uint64_t value);
uint32_t device_read(struct hosted *hosted, uint32_t device, uint64_t address, uint64_t *value);

vsmmu_emulated_counters emulated_counters(struct hosted *hosted);
vsmmu_host_counters host_counters(struct hosted *hosted);

/* All that must always hold on the host does. */
void check_invariants(struct hosted *hosted);

#endif
