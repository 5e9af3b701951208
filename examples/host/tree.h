/* SPDX-License-Identifier: MIT */
/* What firmware tells the guest: a device tree or an ACPI table, of a machine with assigned devices if
 * there is a host for them. */
#ifndef HOST_TREE_H
#define HOST_TREE_H

#include "library.h"

/* Where this imaginary board has its parts. */
#define BOARD_SMMU UINT64_C(0x09050000)
#define BOARD_SPI { 74, 75, 76, 77 } /* by VSMMU_IRQ_*; GSIVs are 32 more */

/* Write a file, or standard output if the path is "-". `host` may be NULL. */
gboolean write_tree(const struct library *library, vsmmu_host_t *host, const char *path,
		    GError **error);
gboolean write_iort(const struct library *library, vsmmu_host_t *host, const char *path,
		    GError **error);

/* The board's SMMU, whose ID registers stay what they are from now on; NULL with a negative errno. */
vsmmu_t *board_smmu(const struct library *library, vsmmu_host_t *host, uint64_t *idr0,
		    int32_t *failure);

/* Used by both. */
gboolean write_output(const char *path, const void *data, gsize length, GError **error);

#endif
