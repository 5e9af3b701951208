/* SPDX-License-Identifier: MIT */
/* A guest with direct command queues (CMDQ-V), by hand. */
#ifndef DIRECT_H
#define DIRECT_H

#include "hosted.h"

/* The frame, vsmmuv3_host.h section 8. */
enum {
	CMDQV_CONFIG = 0x0, CMDQV_PARAM = 0x4, CMDQV_STATUS = 0x8, VI_ERR_MAP = 0x14,
	VI_INT_MASK = 0x1c, CMDQ_ERR_MAP = 0x24, CMDQ_ALLOC = 0x200,
	VINTF_CONFIG = 0x1000, VINTF_STATUS = 0x1004, SID_MATCH = 0x1040, SID_REPLACE = 0x1080,
	LVCMDQ_ERR_MAP = 0x10c0,
	VCMDQ_PAGE0 = 0x10000, VCMDQ_PAGE1 = 0x20000, VINTF_PAGE0 = 0x30000, VINTF_PAGE1 = 0x40000,
	/* Of a queue. */
	Q_CONS = 0x0, Q_PROD = 0x4, Q_CONFIG = 0x8, Q_STATUS = 0xc, Q_GERROR = 0x10, Q_GERRORN = 0x14,
	Q_STRIDE = 0x80,
};

#define HYP_OWN (1u << 17)
#define CMDQ_ERR 1u
#define CMDQ_INIT_ERR 4u
/* The guest's direct queues, of 16 commands each. */
#define DIRECT_QUEUE(index) (RAM + 0x60000 + 0x1000 * (uint64_t)(index))
#define DIRECT_BITS 4u

struct direct {
	struct hosted hosted;
	/* The page in the guest. */
	volatile uint32_t *page;
};

/* An emulated host with CMDQ-V, a guest without emulated streams, device 0 translated from IOVA to
 * DATA. The frame is as after reset. */
bool direct_open(struct direct *direct);
bool direct_open_with(struct direct *direct, uint32_t smmu_flags, uint32_t vsmmu_flags);
/* No device yet, and the emulated streams 0 to 7 are there. */
bool direct_open_bare(struct direct *direct, uint32_t smmu_flags, uint32_t vsmmu_flags);
void direct_attach(struct direct *direct);

uint64_t frame_read(struct direct *direct, uint64_t offset, uint32_t width);
void frame_write(struct direct *direct, uint64_t offset, uint32_t width, uint64_t value);

/* A register of a queue, on the page. */
volatile uint32_t *page_register(struct direct *direct, unsigned index, unsigned offset);
/* Interface on, queues allocated to it. */
void interface_start(struct direct *direct);
/* BASE by a trapped write, the rest on the page. */
void queue_start(struct direct *direct, unsigned index);
/* Commands by the page alone. */
void queue_put(struct direct *direct, unsigned index, uint64_t low, uint64_t high);
/* The hardware gets round to it. */
void hardware_runs(struct direct *direct);

#endif
