/* SPDX-License-Identifier: MIT */
/* What firmware tells the guest: a device tree or an ACPI table. */
#ifndef HOST_TREE_H
#define HOST_TREE_H

#include "library.h"

/* Where this imaginary board has its parts. */
#define BOARD_SMMU UINT64_C(0x09050000)
#define BOARD_SPI { 74, 75, 76, 77 } /* by VSMMU_IRQ_*; GSIVs are 32 more */

/* Write a file, or standard output if the path is "-". */
gboolean write_tree(const char *path, GError **error);
gboolean write_iort(const struct library *library, const char *path, GError **error);

/* Used by both. */
gboolean write_output(const char *path, const void *data, gsize length, GError **error);

#endif
