/* SPDX-License-Identifier: MIT */
/*
 * vsmmuv3_emulated.h - a Linux host with SMMUs, in this process.
 *
 * It is a kernel's /dev/iommu, VFIO devices and KVM, over physical SMMUs, DMA engines and memory that
 * are emulated, in a library of its own, libvsmmuv3-emulated. It is for those who write or test a VMM
 * where there is no Arm host. vsmmu_host_open() takes its kernel in place of the machine's, and
 * everything above it runs unchanged:
 *
 *     vsmmu_kernel kernel = { .size = sizeof kernel };
 *     vsmmu_host_config config = { .size = sizeof config, .kernel = &kernel };
 *
 *     vsmmu_emulated_create(NULL, &emulated, NULL, 0);
 *     vsmmu_emulated_kernel(emulated, &kernel);
 *     vsmmu_host_open(&config, &host, NULL, 0);
 *
 * It answers each system call as Linux on arm64 does, with the same numbers, structs, object ids and
 * errno.
 *
 * Paths: "/dev/iommu", "/dev/kvm", "/dev/vfio/devices/vfioN" for device N. File descriptors are
 * real ones (of eventfds), so they can be polled, but only the functions below understand them.
 * A system call that makes something is -ENOMEM where this process has no memory for it; others do
 * not fail for that. Events for which there is none wait at the SMMU, or are lost as on Linux.
 * Physical memory is this process's own: a physical address is a pointer.
 *
 * RESULTS, POINTERS, STRUCTS and MEMORY are as vsmmuv3.h says. Every function may be called from any
 * thread, _destroy while no other call is running.
 */
#ifndef VSMMUV3_EMULATED_H
#define VSMMUV3_EMULATED_H

#include "vsmmuv3_host.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * 1. The machine
 */

typedef struct vsmmu_emulated vsmmu_emulated_t;

/* The API that the loaded library offers, to be compared as vsmmu_api_version(). */
uint32_t vsmmu_emulated_api_version(void);

/* What the kernel can do. */
#define VSMMU_EMULATED_LINUX_7_3 0u /* validates every field of invalidations */
#define VSMMU_EMULATED_LINUX_7_2 1u /* validates opcodes only */
/* 7.3 with what no released kernel has: KVM's VMIDs can be pinned, SMMUs take part in broadcast TLB
 * maintenance, and stage 2 of a linked VM uses its VMID. */
#define VSMMU_EMULATED_LINKED 2u

/* Of a physical SMMU. */
#define VSMMU_EMULATED_NO_FWB 1u     /* IDR3.FWB is 0 */
#define VSMMU_EMULATED_CANWBS 2u     /* firmware promises coherent write-back (IORT) */
#define VSMMU_EMULATED_NO_NESTING 4u /* an erratum forbids nesting */
#define VSMMU_EMULATED_REPEAT 8u     /* erratum: TLBI and CFGI must be sent twice */
#define VSMMU_EMULATED_NO_BTM 16u    /* an erratum forbids broadcast TLB maintenance */
#define VSMMU_EMULATED_VMID8 32u     /* IDR0.VMID16 is 0 */
#define VSMMU_EMULATED_ROOT_ATS 64u  /* its root complex supports ATS (IORT); the SMMU with ATS=1 */
#define VSMMU_EMULATED_CMDQV 128u    /* it has CMDQ-V: 2 queues and 16 StreamIDs for each guest */

typedef struct vsmmu_emulated_smmu {
	uint32_t size;
	uint32_t flags;       /* VSMMU_EMULATED_NO_FWB, ... */
	uint32_t extra_idr0;  /* bits that the raw ID registers show beside: HTTU, ... */
	uint32_t extra_idr3;
	/* Changes to its ID registers, as in vsmmu_config; NULL = none. What Linux could not drive is
	 * refused: CMDQS below 7, TTENDIAN 3, GRAN4K 0. */
	const char *features;
} vsmmu_emulated_smmu;

/* Of a device. With ATS, where SMMU and root complex have it too, it keeps translations of its own
 * while it is attached to what allows that. Only CMD_ATC_INV, another attachment or a reset take them
 * away; what a CMD_ATC_INV takes it asks for again at once, as devices may. */
#define VSMMU_EMULATED_ATS 1u
#define VSMMU_EMULATED_SILENT 2u /* it answers no CMD_ATC_INV of a guest's: they time out */

/* A device: a DMA engine with one StreamID. */
typedef struct vsmmu_emulated_device {
	uint32_t size;
	uint32_t smmu;   /* index */
	uint32_t stream; /* its StreamID at that SMMU, below 2^25 */
	uint32_t pasid_bits;
	uint32_t flags; /* VSMMU_EMULATED_ATS, _SILENT */
	/* Its one BAR, which is region 0 and memory, has 2^bar_bits bytes: 12 to 32, 0 = 16. */
	uint32_t bar_bits;
} vsmmu_emulated_device;

typedef struct vsmmu_emulated_config {
	uint32_t size;
	uint32_t kernel; /* VSMMU_EMULATED_LINUX_* */
	const vsmmu_emulated_smmu *smmus;
	const vsmmu_emulated_device *devices;
	uint32_t smmu_count;   /* 0 = one, all defaults */
	uint32_t device_count; /* 0 = two, StreamIDs 8 and 16, at SMMU 0 */
	uint32_t cpus;         /* 0 = 4, at most 1024 */
	uint32_t vmid_bits;    /* KVM's: 8 or 16; 0 = 16 */
	uint32_t pin_limit;    /* VMIDs that may be pinned; 0 = as many as the hardware allows */
	uint32_t reserved;
} vsmmu_emulated_config;

/* Errors: -EINVAL, -E2BIG, -ENOMEM. `message` as in vsmmu_create. config may be NULL. */
int32_t vsmmu_emulated_create(const vsmmu_emulated_config *config, vsmmu_emulated_t **out,
			      char *message, size_t message_size);
/* Closes what is open. Close every vsmmu_host_t that uses it first. NULL is a no-op. */
void vsmmu_emulated_destroy(vsmmu_emulated_t *emulated);

/* ---------------------------------------------------------------------------------------------
 * 2. System calls: the results of Linux, errors as negative errno
 */

int32_t vsmmu_emulated_open(vsmmu_emulated_t *emulated, const char *path);
int32_t vsmmu_emulated_close(vsmmu_emulated_t *emulated, int32_t fd);
/* `argument` is the pointer or the number that the request takes. */
int64_t vsmmu_emulated_ioctl(vsmmu_emulated_t *emulated, int32_t fd, uint32_t request,
			     void *argument);
int64_t vsmmu_emulated_read(vsmmu_emulated_t *emulated, int32_t fd, void *data, uint64_t count);
int64_t vsmmu_emulated_write(vsmmu_emulated_t *emulated, int32_t fd, const void *data,
			     uint64_t count);
/* The events of poll(2) that are set now; never waits. */
int32_t vsmmu_emulated_poll(vsmmu_emulated_t *emulated, int32_t fd);
int32_t vsmmu_emulated_dup(vsmmu_emulated_t *emulated, int32_t fd);

/* Fills the struct with these calls: the emulated host as vsmmu_host_open() takes a kernel. Set
 * kernel->size first. Errors: -EINVAL, -E2BIG. */
int32_t vsmmu_emulated_kernel(vsmmu_emulated_t *emulated, vsmmu_kernel *kernel);

/* The number of the request on a KVM VM that pins its VMID (argument: uint32_t *, receives it), and
 * of the one that gives the pin back (no argument). 0 where the kernel has none. */
uint32_t vsmmu_emulated_pin_request(vsmmu_emulated_t *emulated);
uint32_t vsmmu_emulated_unpin_request(vsmmu_emulated_t *emulated);

/* ---------------------------------------------------------------------------------------------
 * 3. What the hardware does
 */

/* Device `device` reads or writes memory through its physical SMMU: vsmmu_dma_read and _write of
 * vsmmuv3.h; access->stream is not looked at. */
int32_t vsmmu_emulated_dma_read(vsmmu_emulated_t *emulated, uint32_t device,
				const vsmmu_access *access, void *data, uint64_t length,
				vsmmu_result *result);
int32_t vsmmu_emulated_dma_write(vsmmu_emulated_t *emulated, uint32_t device,
				 const vsmmu_access *access, const void *data, uint64_t length,
				 vsmmu_result *result);

/* The memory of a BAR, as the device itself sees it: whatever decodes it, until
 * vsmmu_emulated_destroy(). Errors: -EINVAL, -ENOMEM. */
int32_t vsmmu_emulated_bar(vsmmu_emulated_t *emulated, uint32_t device, uint32_t region,
			   void **memory, uint64_t *length);
/* What a write to the device's configuration space does that turns memory decode off (on = 0; D3hot
 * is the same) or on (1, as it is when the device is opened). Off, the kernel revokes what is mapped
 * of its BARs, as VFIO_DEVICE_RESET and closing the device do. Errors: -EINVAL, -ENOMEM. */
int32_t vsmmu_emulated_set_decode(vsmmu_emulated_t *emulated, uint32_t device, uint32_t on);

/* SMMUs with CMDQ-V consume what guests have put into their direct command queues. Real hardware
 * does it by itself all the time; here it happens in this call, and before each DMA of a device. */
int32_t vsmmu_emulated_run_queues(vsmmu_emulated_t *emulated);

/* A vCPU of a VM is loaded on, or put from, a physical CPU (KVM's vcpu_load, vcpu_put). A CPU runs
 * one vCPU at most. Errors: -EBADF, -EINVAL, -EBUSY. */
int32_t vsmmu_emulated_vcpu_load(vsmmu_emulated_t *emulated, int32_t vm, uint32_t cpu);
int32_t vsmmu_emulated_vcpu_put(vsmmu_emulated_t *emulated, uint32_t cpu);

/* The guest on a CPU executes a broadcast TLBI; its VMID is the VM's. */
int32_t vsmmu_emulated_tlbi(vsmmu_emulated_t *emulated, uint32_t cpu, const vsmmu_dvm_op *op);

/* The VMID that KVM programs for a VM now, 0 if it has none yet; or -EBADF. */
int32_t vsmmu_emulated_vm_vmid(vsmmu_emulated_t *emulated, int32_t vm);
/* The S2VMID of a device's STE at its physical SMMU, 0 if it names none; or -EINVAL. */
int32_t vsmmu_emulated_stream_vmid(vsmmu_emulated_t *emulated, uint32_t device);

/* ---------------------------------------------------------------------------------------------
 * 4. Failures to order, and what to look at
 */

/* The `nth` (from 1) system call from now on whose request is `request` fails with `error` (a
 * positive errno); for IOMMU_HWPT_INVALIDATE, `done` entries are carried out and reported first.
 * Further calls are not affected. request 0 = any ioctl. */
int32_t vsmmu_emulated_fail(vsmmu_emulated_t *emulated, uint32_t request, uint32_t nth,
			    int32_t error, uint32_t done);
/* The next `count` events that are read from a vEVENTQ are lost before the reader. Both return
 * -ENOMEM if 16 orders are waiting. */
int32_t vsmmu_emulated_lose_events(vsmmu_emulated_t *emulated, uint32_t count);

typedef struct vsmmu_emulated_counters {
	uint32_t size;
	uint32_t objects;       /* iommufd objects alive */
	uint32_t files;         /* open descriptors */
	uint32_t mappings;      /* of all address spaces */
	uint64_t calls;         /* system calls */
	uint64_t invalidations; /* IOMMU_HWPT_INVALIDATE calls */
	uint64_t hwpts;         /* IOMMU_HWPT_ALLOC calls that made one */
	uint64_t commands;      /* that physical SMMUs consumed */
	uint64_t rollovers;     /* of KVM's VMIDs */
	uint32_t pins_max;      /* pinned VMIDs: the limit, ... */
	uint32_t pins;          /* ... how many there are, ... */
	uint64_t pin_failures;  /* ... how often one was refused */
	uint64_t direct_commands; /* that physical SMMUs consumed from guests' direct command queues */
} vsmmu_emulated_counters;

int32_t vsmmu_emulated_get_counters(vsmmu_emulated_t *emulated, vsmmu_emulated_counters *counters);

/* Checks what must always hold: no two VMs share a VMID on an SMMU, a linked VM's STEs carry its
 * VMID, no VMID is free while an STE or the TLB may hold it, no BAR that was revoked is mapped,
 * all reference counts add up. Returns how often one of these does not, or -ENOMEM; `message` tells
 * the first. */
int32_t vsmmu_emulated_check(vsmmu_emulated_t *emulated, char *message, size_t message_size);

#ifdef __cplusplus
}
#endif

#endif
