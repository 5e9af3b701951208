/* SPDX-License-Identifier: MIT */
/* The parts of IHI 0070 G.b that the guest driver and the replay name. */
#ifndef HOST_SMMU_H
#define HOST_SMMU_H

#include <stdint.h>

/* Bits high..low of a word. */
static inline uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
	return word >> low & (UINT64_MAX >> (63 - (high - low)));
}

/* Registers, 6.2. */
#define SMMU_IDR0 0x00
#define SMMU_IDR1 0x04
#define SMMU_IDR3 0x0c
#define SMMU_IDR5 0x14
#define SMMU_IIDR 0x18
#define SMMU_AIDR 0x1c
#define SMMU_CR0 0x20
#define SMMU_CR0ACK 0x24
#define SMMU_CR1 0x28
#define SMMU_CR2 0x2c
#define SMMU_IRQ_CTRL 0x50
#define SMMU_IRQ_CTRLACK 0x54
#define SMMU_GERROR 0x60
#define SMMU_GERRORN 0x64
#define SMMU_STRTAB_BASE 0x80
#define SMMU_STRTAB_BASE_CFG 0x88
#define SMMU_CMDQ_BASE 0x90
#define SMMU_CMDQ_PROD 0x98
#define SMMU_CMDQ_CONS 0x9c
#define SMMU_EVENTQ_BASE 0xa0
#define SMMU_EVENTQ_PROD 0x100a8
#define SMMU_EVENTQ_CONS 0x100ac

#define IDR0_S1P 2u
#define IDR3_HAD 4u
#define CR0_SMMUEN 1u
#define CR0_EVENTQEN 4u
#define CR0_CMDQEN 8u
#define CR2_RECINVSID 2u
#define IRQ_CTRL_GERROR 1u
#define IRQ_CTRL_EVENTQ 4u
#define GERROR_CMDQ_ERR 1u

/* Full ATS, in the second word of an STE (5.2 EATS). */
#define STE_EATS_FULL (UINT64_C(1) << 28)

/* Bytes of a queue entry. */
#define COMMAND_BYTES 16u
#define EVENT_BYTES 32u

/* Command opcodes, 4.1.1. */
#define CMD_CFGI_STE 0x03
#define CMD_CFGI_ALL 0x04
#define CMD_TLBI_NH_VA 0x12
#define CMD_TLBI_S12_VMALL 0x28
#define CMD_TLBI_S2_IPA 0x2a
#define CMD_TLBI_NSNH_ALL 0x30
#define CMD_ATC_INV 0x40
#define CMD_SYNC 0x46

/* The queue address in a *_BASE register, and the log2 of its entries. */
static inline uint64_t queue_address(uint64_t base)
{
	return base & UINT64_C(0x00ffffffffffffe0);
}

static inline unsigned queue_log2size(uint64_t base)
{
	return (unsigned)bits(base, 4, 0);
}

#endif
