/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU 10.1 and later call otherwise. Compiled against 10.0.13 only; the newer names are from
 * reading.
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

#endif
