/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the QEMU that loaded the plugin is one that it was compiled for. */
#ifndef VSMMUV3_FIT_H
#define VSMMUV3_FIT_H

#include "hw/arm/virt.h"

/* The version: one that was tested, or with `force` any of the same release series. */
bool vsmmuv3_version_fits(bool force, Error **errp);
/* Sizes of what QEMU and the plugin allocate for each other. */
bool vsmmuv3_sizes_fit(Error **errp);
/* The machine's objects, found through structs and by other ways. */
bool vsmmuv3_machine_fits(VirtMachineState *vms, Error **errp);

#endif
