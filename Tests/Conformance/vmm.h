/* SPDX-License-Identifier: MIT */
/* A VMM that has its iommufd, IOAS, nest parent and devices, bound and attached, before it meets the
 * vSMMU, and keeps them. */
#ifndef VMM_H
#define VMM_H

#include "hosted.h"

#define DEVICES 2u

struct vmm {
	struct hosted hosted; /* first: ops are given the guest */
	int iommufd, files[DEVICES];
	uint32_t ioas, parent, devids[DEVICES];
	/* What the ops were told, ... */
	unsigned attaches, detaches;
	uint32_t attached[DEVICES];
	/* ... and what they answer, as often as that. */
	int32_t answer;
	unsigned answers;
	/* What a call of an op on its device was answered. */
	int32_t inside;
};

/* guest_ops with attach and detach, which drive the devices' files and take them back to the
 * parent; once vmm_open was called. */
extern vsmmu_ops vmm_ops;

/* The kernel, all of the VMM's, devices attached to the parent; and a vsmmu_host_t that is lent the
 * iommufd. There is no vSMMU yet. */
bool vmm_open(struct vmm *vmm, const vsmmu_emulated_config *config);
/* A vSMMU on it all, with vmm_ops or others; its RAM is mapped in the IOAS. */
bool vmm_open_guest(struct vmm *vmm, const vsmmu_ops *ops, vsmmu_config config);
/* The guest's RAM in the IOAS. */
void vmm_map(struct vmm *vmm);
/* The VMM's part is taken back; nothing may be left in the kernel. */
void vmm_close(struct vmm *vmm);
void vmm_close_file(struct vmm *vmm, int *file);

/* Device `device` behind the vSMMU as StreamID ASSIGNED + device, with more flags than BOUND. */
int32_t vmm_attach(struct vmm *vmm, uint32_t device, uint32_t flags);

vsmmu_device_info device_info(vsmmu_t *vsmmu, uint64_t device);
const char *vmm_sentence(struct vmm *vmm);

#endif
