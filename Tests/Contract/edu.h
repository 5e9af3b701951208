/* SPDX-License-Identifier: MIT */
/* QEMU's edu, a device that does DMA for whoever learns to drive one; here by way of VFIO. */
#ifndef EDU_H
#define EDU_H

#include <stdint.h>

/* Reads 4 bytes at `from` into its buffer and writes them at `to`. It does not tell of aborts. */
void edu_copy(int32_t device, uint64_t from, uint64_t to);
/* It raises its interrupt, once. */
void edu_interrupt(int32_t device);

#endif
