/* SPDX-License-Identifier: MIT */
/*
 * vsmmuv3_host.h - assigned devices behind the SMMU of vsmmuv3.h, on a host SMMU.
 *
 * The guest's stage 1 of an assigned device runs in the host's SMMU, by way of Linux iommufd;
 * emulated devices of the same vSMMU go on with vsmmu_translate(). In short:
 *
 *     vsmmu_host_open()      a kernel with iommufd: this machine's, or one that you bring
 *     vsmmu_create()         with config.host, or later vsmmu_set_host()
 *     vsmmu_link_vm()        for broadcast TLB maintenance
 *     vsmmu_device_attach()  a device behind the vSMMU
 *     vsmmu_event_run()      when vsmmu_event_fd() is readable
 *
 * RESULTS, POINTERS, STRUCTS, THREADS and MEMORY are as vsmmuv3.h says: vsmmu_host_open from any
 * thread, the others are serial. The third blame is the kernel's: calls return its errno, and where it
 * fails on behalf of a guest's command, the command queue stops there with CERROR_ABT, the command is
 * tried again when the guest acknowledges, and VSMMU_LOG_HOST tells why; that a kernel has no memory
 * is such a failure. A device that answers no CMD_ATC_INV is CERROR_ATC_INV_SYNC at the CMD_SYNC that
 * waits for it. On a vSMMU without a host the calls are -EINVAL, if not said otherwise;
 * vsmmu_freeze and vsmmu_negotiation_report work there too.
 *
 * FAILURES: where a command asks for another stage 1, or for a bypass, and the kernel fails, DMA goes
 * on in the stage 1 that the stream had, inside the same stage 2, until the acknowledgement: the guest
 * has not been told that it is gone. A stream that aborted or bypassed aborts, and so does every one
 * that is changed otherwise (CR0.SMMUEN, GBPA, vsmmu_reset, vsmmu_restore, renumbering), or with
 * VSMMU_FAILED_STREAMS_ABORT. The log names the stream. An illegal STE (5.2) aborts too: the kernel has
 * no event for it, so the log tells of it when CMD_CFGI_STE shows it.
 */
#ifndef VSMMUV3_HOST_H
#define VSMMUV3_HOST_H

#include "vsmmuv3.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * 1. The kernel: the system calls by which a host is driven
 */

/* A kernel that you bring: a VMM whose sandbox has a broker make its system calls, or the emulated
 * one (vsmmuv3_emulated.h). Each function is the system call of its name, and returns what that
 * returns, or its errno as a negative number. None but `same` may be NULL. They are called from any
 * thread that calls this library, several at a time, with locks of the library held: they must not
 * call it for the device or the host in question.
 *
 * What the library asks of it: open of "/dev/iommu" and of vsmmu_device.path; of /dev/iommu
 * IOMMU_DESTROY, IOAS_ALLOC, IOAS_IOVA_RANGES, IOAS_MAP, IOAS_MAP_FILE, IOAS_COPY, IOAS_UNMAP,
 * GET_HW_INFO, HWPT_ALLOC, HWPT_INVALIDATE, VIOMMU_ALLOC, VDEVICE_ALLOC, VEVENTQ_ALLOC and read of
 * what the last one opens; with VSMMU_DIRECT_QUEUES HW_QUEUE_ALLOC, mmap and munmap;
 * VFIO_DEVICE_BIND_IOMMUFD, _ATTACH_IOMMUFD_PT, _DETACH_IOMMUFD_PT, _RESET,
 * and _FEATURE with DMA_BUF, whose result is a file that is closed again (vsmmu_bar_add);
 * and for vsmmu_link_vm() dup, same, KVM_GET_API_VERSION, KVM_CHECK_EXTENSION, KVM_GET_MP_STATE,
 * KVM_CREATE_DEVICE, KVM_SET_DEVICE_ATTR, and the requests that pin and unpin a VMID. `argument` is
 * the pointer, to memory of this process, or the number that the request takes. IOAS_MAP names memory
 * of the calling process: a broker that is another one is given files (vsmmu_ram_add_file) or maps
 * by itself (vsmmu_config.ioas).
 *
 * File descriptors are of this process, as the library waits for the event queue's with epoll(7). */
typedef struct vsmmu_kernel {
	uint32_t size;
	uint32_t reserved;
	void *opaque; /* the first argument of each function */

	/* For reading and writing; closed by exec. */
	int32_t (*open)(void *opaque, const char *path);
	int32_t (*close)(void *opaque, int32_t fd);
	int64_t (*ioctl)(void *opaque, int32_t fd, uint32_t request, void *argument);
	int64_t (*read)(void *opaque, int32_t fd, void *data, uint64_t count);
	int64_t (*write)(void *opaque, int32_t fd, const void *data, uint64_t count);
	/* The events of poll(2) that are set now; never waits. */
	int32_t (*poll)(void *opaque, int32_t fd);
	int32_t (*dup)(void *opaque, int32_t fd);
	/* Shared, for reading and writing. Returns 0 and the address. */
	int32_t (*mmap)(void *opaque, int32_t fd, uint64_t offset, uint64_t length, void **address);
	int32_t (*munmap)(void *opaque, void *address, uint64_t length);
	/* 1 if both are the same open file, 0 if not (fcntl F_DUPFD_QUERY, else kcmp KCMP_FILE); NULL
	 * or a negative errno: that cannot be told. */
	int32_t (*same)(void *opaque, int32_t fd, int32_t other);
} vsmmu_kernel;

/* ---------------------------------------------------------------------------------------------
 * 2. A host
 */

/* A kernel with iommufd, shared by the vSMMUs that name it. */
typedef struct vsmmu_host vsmmu_host_t;

#define VSMMU_HOST_IOMMUFD 1u /* `iommufd` is an open /dev/iommu of yours, to be duplicated */

typedef struct vsmmu_host_config {
	uint32_t size;
	uint32_t flags; /* VSMMU_HOST_* */
	/* NULL = the kernel of this machine. The struct is copied; what its `opaque` points to is
	 * needed until vsmmu_host_close(). */
	const vsmmu_kernel *kernel;
	int32_t iommufd;
	/* Requests of a KVM VM that pin and unpin its VMID; 0 = the kernel has none, as all that were
	 * released up to 7.3. Without them there is no BTM. */
	uint32_t pin_request, unpin_request;
	uint32_t reserved;
	/* Told each system call as strace would print it. May be NULL. */
	void (*call)(void *opaque, const char *line);
	void *opaque;
	/* Bits of KVM's VMIDs and of the guest CPUs' ASIDs, 8 or 16; 0 = not known, taken for 16. */
	uint32_t vmid_bits, asid_bits;
} vsmmu_host_config;

/* `config` NULL is all defaults. Errors: -EINVAL, -E2BIG, -ENOMEM, and those of open(2). */
int32_t vsmmu_host_open(const vsmmu_host_config *config, vsmmu_host_t **out,
			char *message, size_t message_size);
/* Destroy the vSMMUs that use it first, or have them give it back, else -EBUSY. NULL is a no-op. */
int32_t vsmmu_host_close(vsmmu_host_t *host);

/* Gives a vSMMU its host, at any time, as config.host, .ioas and .parent_hwpt do at its creation.
 * RAM that it has is mapped then. Once its ID registers are frozen, devices must honour them. Firmware
 * that was written before does not reserve the window of vsmmu_msi_window: see docs/msi.md. An ioas or
 * a parent_hwpt that the kernel does not know fails with the first device.
 * Errors: -EEXIST (it has one), -EINVAL (ioas or parent_hwpt; RAM in the window of
 * vsmmu_msi_window), -EBUSY (parent_hwpt), and the kernel's; nothing has changed then.
 * `host` NULL, with 0 and 0, has it give its host back, and with it the link with a VM. Errors:
 * -EBUSY (a device is attached, or the guest has direct command queues), -ENODEV (it has none). */
int32_t vsmmu_set_host(vsmmu_t *vsmmu, vsmmu_host_t *host, uint32_t ioas, uint32_t parent_hwpt);

/* ---------------------------------------------------------------------------------------------
 * 3. The VM
 */

/* Links the vSMMU with a KVM VM, which is kept open as long as the link lasts: until
 * vsmmu_destroy(), or until the host is given back. Devices are bound for that VM, so link before you
 * attach the first (-EBUSY). Its VMID is pinned now, unless VSMMU_LINK_ON_DEMAND leaves it to the
 * first attachment that needs it; vSMMUs of a VM pin it once each, and it is one number: two that stand
 * for the same physical SMMU need what VSMMU_SHARED_VMID promises, ASIDs that differ.
 *
 * KVM is told of each device before the library binds it, by KVM's VFIO device. A VM has one: it is
 * made with the VM's first link on a host, and shared by its other vSMMUs there. Where the VM has it
 * already, give it (vsmmu_give_kvm_vfio), or tell KVM yourself and say so with VSMMU_LINK_TOLD: that
 * also holds for devices that you bind, and for a parent_hwpt, which is the VM's if its device was.
 *
 * A VMID that the kernel does not take back is logged and stays pinned: on demand until a later last
 * device has gone, and at most as long as the VM.
 *
 * Errors: -EINVAL (no VM of an arm64 host, no host), -EEXIST (linked already), -EBUSY (KVM's VFIO
 * device is neither given nor is KVM told), -ENOSPC (no VMID is left to pin). */
#define VSMMU_LINK_ON_DEMAND 1u
#define VSMMU_LINK_TOLD 2u
int32_t vsmmu_link_vm(vsmmu_t *vsmmu, int32_t vm_fd, uint32_t flags);

/* Before vsmmu_link_vm: the KVM VFIO device of the VM that is to be linked. It is duplicated.
 * Errors: -EINVAL, -EEXIST (one was given), -EBUSY (linked already), -EBADF. */
int32_t vsmmu_give_kvm_vfio(vsmmu_t *vsmmu, int32_t fd);
/* After it: the KVM VFIO device by which the library tells KVM, open as long as a vSMMU is linked
 * with the VM; -ENODEV if there is none. */
int32_t vsmmu_kvm_vfio_fd(vsmmu_t *vsmmu);

/* ---------------------------------------------------------------------------------------------
 * 4. Devices
 */

#define VSMMU_DEVICE_FD 1u    /* `fd` is an open VFIO character device, to be duplicated */
#define VSMMU_DEVICE_BOUND 2u /* it is bound to the host's iommufd as `devid` */
/* The guest has given it no StreamID yet, as buses are not numbered; `stream` is 0. Its DMA aborts
 * until vsmmu_device_renumber. */
#define VSMMU_DEVICE_UNNUMBERED 4u
/* It does nothing without ATS: refused where IDR0.ATS is 0. No call of the kernel tells it. */
#define VSMMU_DEVICE_NEEDS_ATS 8u

typedef struct vsmmu_device {
	uint32_t size;
	uint32_t flags;   /* VSMMU_DEVICE_* */
	uint32_t stream;  /* the guest's StreamID */
	int32_t fd;
	uint32_t devid;   /* filled on success */
	uint32_t reserved;
	const char *path; /* "/dev/vfio/devices/vfio0", without VSMMU_DEVICE_FD and _BOUND */
} vsmmu_device;

/* Puts an assigned device behind the vSMMU and attaches what its stream needs now. The first one
 * decides which physical SMMU this vSMMU stands for. ID registers follow what the hosts can do until
 * the guest may have seen them (its first register access, or vsmmu_freeze); later a device that
 * cannot honour them is refused, with a sentence that ends in the settings that would have avoided
 * it. For devices that come so late there is VSMMU_PROFILE_ASSIGN.
 *
 * A device that you have bound (VSMMU_DEVICE_BOUND) is attached by ops.attach, if there is one: then
 * it needs no fd. Others, whose devid you do not know yet, the library attaches by their file.
 *
 * Errors: -EINVAL (another physical SMMU; no host; the sentence names both sides), -EEXIST (the
 * StreamID or the devid), -EOPNOTSUPP (no nesting here; ID registers), the kernel's, and those of
 * ops.attach, also where it is another SMMU that made it fail; the sentence says whose. On an error
 * nothing has changed, but that a file of yours stays bound, as after a detach, until you close it:
 * open the device anew for another attempt.
 *
 * ATS (features "ATS=1"): IDR0.ATS is 1 with a device that may use it, and without emulated streams
 * (vsmmu_stream_add), whose ATS would be their models'; before that it is 0, also for a guest that has
 * looked. A later device without ATS, and an emulated stream added to a guest that has seen 1, never
 * ask for translations: for them CMD_ATC_INV completes. */
int32_t vsmmu_device_attach(vsmmu_t *vsmmu, vsmmu_device *device);

/* What names an attached device, as `device` of the calls below: its StreamID, or this. Others are
 * -EINVAL, names of no device -ENOENT. */
#define VSMMU_BY_DEVID(devid) (UINT64_C(1) << 32 | (uint32_t)(devid))

/* Takes it away, to where it was attached by you: ops.detach says where, and with config.parent_hwpt
 * a device that the library attaches goes back to that; else no DMA of it passes any more. The same
 * happens to all devices at the vSMMU's end. Its BARs (below) are removed. Error: the kernel's, or that
 * of ops.detach; it is still there then. */
int32_t vsmmu_device_detach(vsmmu_t *vsmmu, uint64_t device);
/* The guest gave the device another StreamID (a PCI bus number), or took its StreamID away
 * (VSMMU_UNNUMBERED). Errors: -EEXIST, -EINVAL (other), the kernel's, and those of ops.attach. */
#define VSMMU_UNNUMBERED 0xffffffffffffffffull
int32_t vsmmu_device_renumber(vsmmu_t *vsmmu, uint64_t device, uint64_t other);
/* Resets it (VFIO_DEVICE_RESET), attaches it again, and maps its BARs again as vsmmu_bar_renew() does;
 * where that fails the log tells, unless they are still revoked. Without its file, which is yours:
 * reset it yourself, then this attaches what its stream needs; where that fails it has what it had
 * (VSMMU_INFO_FAILED) until the guest's next CMD_SYNC tries again. Error: the kernel's, or that of
 * ops.attach. */
int32_t vsmmu_device_reset(vsmmu_t *vsmmu, uint64_t device);
/* The open VFIO character device, for its regions and interrupts; -ENODEV without its file. */
int32_t vsmmu_device_fd(vsmmu_t *vsmmu, uint64_t device);

#define VSMMU_INFO_NUMBERED 1u          /* it has a StreamID */
#define VSMMU_INFO_COHERENT 2u          /* its DMA snoops caches: always, as no other can be bound */
#define VSMMU_INFO_MAY_STALL 4u         /* its SMMU can stall faults (STALL_MODEL is not 1) */
#define VSMMU_INFO_PASID_EXECUTE 8u     /* PCI PASID capability: execute permission, ... */
#define VSMMU_INFO_PASID_PRIVILEGED 16u /* ... privileged mode */
#define VSMMU_INFO_ATS 32u              /* it, its root complex and its SMMU have ATS */
#define VSMMU_INFO_ATS_REQUIRED 64u     /* VSMMU_DEVICE_NEEDS_ATS was said of it */
#define VSMMU_INFO_FAILED 128u          /* the kernel failed to attach what the guest asks for */

#define VSMMU_ATTACHED_NOTHING 0u
#define VSMMU_ATTACHED_ABORT 1u
#define VSMMU_ATTACHED_BYPASS 2u /* stage 2 alone */
#define VSMMU_ATTACHED_STAGE1 3u

typedef struct vsmmu_device_info {
	uint32_t size;
	uint32_t flags;      /* VSMMU_INFO_* */
	uint32_t devid;      /* ids of the host's iommufd: the device, ... */
	uint32_t stream;     /* with VSMMU_INFO_NUMBERED */
	uint32_t vdevice;    /* ... 0 = it has none */
	uint32_t viommu;
	uint32_t parent;     /* the nest parent */
	uint32_t attached;   /* VSMMU_ATTACHED_* */
	uint32_t hwpt;       /* what that is; 0 = nothing */
	uint32_t pasid_bits; /* of its PASIDs; 0 = it has none */
	uint32_t idr[6];     /* the physical SMMU's registers as they are, not what is offered */
	uint32_t iidr, aidr;
} vsmmu_device_info;

/* What a VMM builds a device's PCI capabilities from. */
int32_t vsmmu_get_device_info(vsmmu_t *vsmmu, uint64_t device, vsmmu_device_info *info);

/* BARs peer to peer. A BAR that the guest's tables lead to is reached by the other assigned devices of
 * this vSMMU if it is in stage 2, where it is put like RAM; another vSMMU's devices do not reach it.
 * Accesses of emulated devices go to ops.mem_read and mem_write there, as everywhere outside RAM.
 *
 * Linux revokes a BAR that stops to answer: where its device is reset, in D3hot, or has memory
 * decode off. It is gone from all devices before the cause takes effect, DMA there aborts, and it
 * does not come back by itself. */
typedef struct vsmmu_bar {
	uint32_t size;
	uint32_t flags;    /* 0 */
	uint64_t device;   /* whose it is: a StreamID, or VSMMU_BY_DEVID */
	uint32_t region;   /* 0 to 5: VFIO's index of the BAR */
	uint32_t reserved;
	uint64_t offset;   /* bytes within the BAR */
	uint64_t length;
	uint64_t address;  /* guest physical; of all three multiples of the host's page size */
} vsmmu_bar;

/* Puts a part of a BAR at a guest physical address. It is there until vsmmu_bar_remove() with that
 * address, or until its device is detached; vsmmu_device_renumber() does not touch it. Errors: -EINVAL
 * (also no host; with an ioas or parent_hwpt of yours, where you map BARs; the window for MSIs),
 * -ENOENT (the device), -EEXIST (RAM or another BAR is there), -ENOMEM (256 are the most), -ENODEV
 * (revoked now; no such BAR; given without its file), -ENOTTY (a kernel without
 * CONFIG_VFIO_PCI_DMABUF), and the kernel's. On an error nothing has changed. */
int32_t vsmmu_bar_add(vsmmu_t *vsmmu, const vsmmu_bar *bar);
/* Where the kernel could not unmap the BAR of a detached device, which the log tells, this is tried
 * again here. Errors: -ENOENT, and the kernel's; it is still there then. */
int32_t vsmmu_bar_remove(vsmmu_t *vsmmu, uint64_t address);
/* The BAR is back: the guest turned memory decode on, the device is in D0, or it was reset by another
 * way than vsmmu_device_reset(). Maps it anew, whether or not it was revoked. Errors: -ENOENT; -ENODEV
 * while it is revoked; and the kernel's. On an error it may be that it is not mapped; its place stays
 * taken, and a further call tries again. */
int32_t vsmmu_bar_renew(vsmmu_t *vsmmu, uint64_t address);

/* Guest physical addresses where a Linux host maps the doorbells of assigned devices' MSIs: reserve
 * them with an identity mapping, as vsmmu_iort_nodes and vsmmuv3_fdt.h do, and have no RAM there.
 * docs/msi.md tells the whole way of an MSI. -ENODEV without a host. */
int32_t vsmmu_msi_window(vsmmu_t *vsmmu, uint64_t *first, uint64_t *last);

/* ---------------------------------------------------------------------------------------------
 * 5. ID registers
 */

/* The guest may have seen the ID registers from now on. */
int32_t vsmmu_freeze(vsmmu_t *vsmmu);

#define VSMMU_REPORT_TEXT 0u
#define VSMMU_REPORT_JSON 1u
/* What became of each field of the ID registers: asked, host, chosen, and why; and what keeps BTM and
 * direct command queues away. Returns the length, whether or not it fits. */
int64_t vsmmu_negotiation_report(vsmmu_t *vsmmu, uint32_t format, char *text, uint64_t capacity);

/* ---------------------------------------------------------------------------------------------
 * 6. Events and counters
 */

/* Faults of assigned devices come by a file: when it is readable, vsmmu_event_run() moves them to
 * the guest's event queue and returns how many there were. One call moves 1024 at most. While the
 * file stays readable there are more; who does not poll it calls until the result is 0. Where the
 * kernel lost some and the guest's queue was full at that place, the guest sees an overflow (7.4).
 * One file for the vSMMU's life; -ENODEV without a host. vsmmu_event_thread(..., 1) has the library
 * do that on a thread of its own until (..., 0); your callbacks then run on it, so they must not
 * wait for a lock that you hold around a serial call. Detaching or renumbering a device moves all
 * that waits, as long as that takes. */
int32_t vsmmu_event_fd(vsmmu_t *vsmmu);
int32_t vsmmu_event_run(vsmmu_t *vsmmu);
int32_t vsmmu_event_thread(vsmmu_t *vsmmu, uint32_t on);

typedef struct vsmmu_host_counters {
	uint32_t size;
	uint32_t devices;           /* attached now */
	uint64_t invalidate_calls;  /* IOMMU_HWPT_INVALIDATE */
	uint64_t forwarded;         /* commands in them */
	uint64_t withheld;          /* commands that concern no hardware */
	uint64_t hwpts;             /* nested HWPTs made */
	uint64_t attachments;       /* attach calls */
	uint64_t events;            /* given to the guest's queue */
	uint64_t events_lost;       /* that the kernel reported as lost */
	uint64_t failures;          /* of the kernel on behalf of a guest's command */
	uint64_t kept;              /* objects that the kernel would not destroy, now */
	uint64_t direct_queues;     /* of the guest's that the host's SMMU drives, now */
} vsmmu_host_counters;
/* What a guest makes the kernel hold: for each device a nested HWPT, and a second one while an STE
 * changes. An HWPT that the kernel would not destroy is one of `failures` and `kept`; each CMD_SYNC
 * and each attachment tries four of these again. Before they could be more than 64, beside one for
 * each device, no further one is made: a stream whose STE asks for one is as after any failure, its
 * command is CERROR_ABT, and an attachment is -EBUSY, until the kernel lets some go. */
int32_t vsmmu_get_host_counters(vsmmu_t *vsmmu, vsmmu_host_counters *counters);

/* ---------------------------------------------------------------------------------------------
 * 7. Broadcast TLB maintenance by emulated CPUs, where IDR0.BTM is 1
 */

/* Kinds of vsmmu_dvm_op, by the TLBI instruction's scope. */
#define VSMMU_DVM_ALL 0u        /* ALLE1: all of NS-EL1, every VMID */
#define VSMMU_DVM_VMALLS12 1u   /* vmid, both stages */
#define VSMMU_DVM_VMALL 2u      /* vmid, stage 1 */
#define VSMMU_DVM_ASID 3u       /* vmid, asid */
#define VSMMU_DVM_VA 4u         /* vmid, asid, [address, last]; VAE1, VALE1, RVAE1 ... */
#define VSMMU_DVM_VAA 5u        /* vmid, [address, last], any asid */
#define VSMMU_DVM_IPA 6u        /* vmid, [address, last] of stage 2 */
#define VSMMU_DVM_EL2 7u        /* any EL2 scope: no entries here, but see VSMMU_QUIRK_TLBI_EL2 */
#define VSMMU_DVM_VMID8 1u      /* flag: the CPU's VMIDs have 8 bits, a larger `vmid` is -EINVAL */
#define VSMMU_DVM_ASID8 2u      /* flag: its ASIDs have 8 bits, a larger `asid` is -EINVAL */

typedef struct vsmmu_dvm_op {
	uint32_t size;
	uint32_t kind;    /* VSMMU_DVM_* */
	uint32_t flags;
	uint32_t vmid;    /* ignored where the vSMMU has no stage 2 */
	uint32_t asid;
	uint32_t reserved;
	uint64_t address; /* bytes */
	uint64_t last;    /* inclusive */
} vsmmu_dvm_op;

/* A CPU's TLBI ...IS, with the DSB that follows: returns when no access uses what it removed. Has no
 * effect while CR2.PTM is 1 or IDR0.BTM 0 (3.17, 6.3.12). Entries of contexts with CD.ASET = 1 stay
 * where an ASID is named (ASID, VA), and go with all else (VAA, VMALL, VMALLS12, ALL). Fields that
 * the kind does not name are not looked at. Errors: -EINVAL, -E2BIG. Serial. */
int32_t vsmmu_dvm(vsmmu_t *vsmmu, const vsmmu_dvm_op *op);

/* ---------------------------------------------------------------------------------------------
 * 8. Direct command queues: CMDQ-V of NVIDIA's SMMUs, with VSMMU_DIRECT_QUEUES
 */

/* The guest's commands TLBI_NH_ASID, TLBI_NH_VA and ATC_INV then go to the host's SMMU without an exit
 * or a call, by queues in the guest's memory; all others go by the SMMU's own queue, as ever. What
 * goes directly never reaches this library: it is offered while no emulated stream is there, and
 * ops.invalidate tells nothing of it. docs/direct-queues.md has the firmware node for the guest.
 *
 * It is decided with the first device, or with the freeze: a guest that may have seen that there are
 * none gets none, and one that may have seen some keeps the frame while there is no device, and
 * refuses (-EOPNOTSUPP) one whose host has none. Without a device its queues are off in STATUS, and
 * what it puts there waits, a CMD_SYNC too, until there is one again: have the guest's driver let go
 * of the last device before you detach it. */

/* The frame: five pages of 64 KiB. In the guest its page at VSMMU_DIRECT_PAGE is the hardware's. */
#define VSMMU_DIRECT_SIZE 0x50000u
#define VSMMU_DIRECT_PAGE 0x30000u

/* The page of the host's SMMU that you may map into the guest there, from the attachment of the first
 * device until the detachment of the last one or vsmmu_destroy(): take it out of the guest before
 * these, as the library unmaps it. vsmmu_reset() leaves it where it is. Errors: -EINVAL, -ENODEV
 * (there are no direct queues, or no device). */
int32_t vsmmu_direct_page(vsmmu_t *vsmmu, void **page, uint64_t *length);

/* One access of the guest at byte `offset` of the frame, `width` 1, 2, 4 or 8 bytes, where the page
 * is not mapped. What a guest does there never fails: accesses of 8 and 16 bits, other alignments and
 * what is no register read as zero and are ignored; a queue that the kernel refuses is not on in its
 * STATUS and shows CMDQ_INIT_ERR in its GERROR, and VSMMU_LOG_HOST tells why. While a queue is set up,
 * vsmmu_ram_remove() of its memory is -EBUSY. Errors: -EINVAL (offset or width outside these
 * words), -ENODEV (there are no direct queues). */
int32_t vsmmu_direct_read(vsmmu_t *vsmmu, uint64_t offset, uint32_t width, uint64_t *value);
int32_t vsmmu_direct_write(vsmmu_t *vsmmu, uint64_t offset, uint32_t width, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
