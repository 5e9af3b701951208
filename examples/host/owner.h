/* SPDX-License-Identifier: MIT */
/* What a VMM has before it meets an SMMU, and keeps: the iommufd, an IOAS with the guest's memory,
 * VFIO devices, bound, a nest parent, and the attachment of its devices. */
#ifndef HOST_OWNER_H
#define HOST_OWNER_H

#include "hypervisor.h"
#include "ram.h"

struct owned {
	int32_t file;
	uint32_t id; /* in the iommufd */
};

struct owner {
	struct hypervisor *hypervisor;
	int32_t iommufd;
	int32_t kvm_vfio; /* tells KVM of devices; -1 where there is no VM */
	uint32_t ioas, parent;
	struct owned device; /* at the parent */
	struct owned peer;   /* at nothing; of this one there is a BAR to reach */
};

/* Makes all of it for the device at `path`, and tells; `peer` may be NULL. */
gboolean owner_start(struct owner *owner, struct hypervisor *hypervisor, const struct ram *ram,
		     const char *path, const char *peer, GError **error);
void owner_stop(struct owner *owner);

/* What the vSMMU asks for (vsmmu_ops): 0 or a negative errno. */
int32_t owner_attach(struct owner *owner, uint32_t id, uint32_t hwpt);
int32_t owner_detach(struct owner *owner, uint32_t id);

/* Puts the first page of the peer's BAR 0 at a guest physical address. */
gboolean owner_map_bar(struct owner *owner, uint64_t address);

#endif
