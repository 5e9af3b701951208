/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU 10.1 and later call otherwise. Compiled against 10.0.13 and 10.2.2; the names of 11.0
 * and later, hw/core/, are from reading.
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

/* The IORT gets an SMMU where the machine's own is, and no other IOMMU is accepted any more. */
static inline void take_the_machines_place(VirtMachineState *vms)
{
	vms->iommu = VIRT_IOMMU_SMMUV3;
#if QEMU_VERSION_MAJOR > 10 || (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR >= 2)
	vms->legacy_smmuv3_present = true;
#endif
}

#endif
