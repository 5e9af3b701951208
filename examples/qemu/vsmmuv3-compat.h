/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's versions call otherwise. Compiled against 10.0.13 and 11.1.1.
 */
#ifndef VSMMUV3_COMPAT_H
#define VSMMUV3_COMPAT_H

#if __has_include("system/memory.h")
#include "system/memory.h"
#include "system/address-spaces.h"
#define CLASS_DATA const void
#else
#include "exec/memory.h"
#include "exec/address-spaces.h"
#define CLASS_DATA void
#endif

#if __has_include("hw/core/irq.h")
#include "hw/core/irq.h"
#include "hw/core/qdev-properties.h"
#include "hw/core/boards.h"
#else
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/boards.h"
#endif

#include "hw/arm/virt.h"

/*
 * vfio-pci devices, from 11.0 on: before, QEMU neither makes nest parents nor routes their MSIs. In
 * the plugin whatever the binary has is there; a tree of one's own may be built without iommufd.
 */
#if QEMU_VERSION_MAJOR >= 11
#ifdef CONFIG_DEVICES
#include CONFIG_DEVICES
#endif
#if defined(VSMMUV3_PLUGIN) || defined(CONFIG_IOMMUFD)
#define VSMMUV3_ASSIGNS
#endif
#endif

/* The IORT gets an SMMU where the machine's own is, and no other IOMMU is accepted any more. */
static inline void take_the_machines_place(VirtMachineState *vms)
{
	vms->iommu = VIRT_IOMMU_SMMUV3;
#if QEMU_VERSION_MAJOR > 10 || (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 2)
	vms->legacy_smmuv3_present = true;
#endif
}

#endif
