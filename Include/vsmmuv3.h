/* SPDX-License-Identifier: MIT */
/*
 * vsmmuv3.h - a virtual Arm SMMUv3 (IHI 0070 G.b, non-secure programming interface) as a library.
 *
 * Read it from top to bottom; it is the manual. In short:
 *
 *     vsmmu_create()        a device, with the guest memory and interrupts that you lend it
 *     vsmmu_mmio_write()    from your trap handler: the guest's driver at work
 *     vsmmu_translate()     from your device models: a DMA address becomes a guest physical one
 *     vsmmu_destroy()
 *
 * RESULTS. A function returns 0 (or a count) or a negative errno; vsmmu_error_message() then holds
 * one sentence. Three blames are kept apart. Yours: -EINVAL, -E2BIG, -ENOENT, -EEXIST, -ENOMEM; the
 * call changed nothing. The guest's: never an error of a call but an event record, GERROR or CERROR
 * that the guest reads, and for a DMA a result kind (section 6). The host kernel's: vsmmuv3_host.h.
 *
 * MEMORY. A call that allocates first reserves all that it may need (64 KiB for most; its caches and
 * 1 MiB for vsmmu_create), and draws on that where malloc refuses. Where there is no reserve it is
 * -ENOMEM, listed or not, and nothing has changed. A kernel that gave out more memory than it has may
 * still kill the process. MMIO and DMA allocate nothing, and calls without a result need no memory.
 * A library with a real Swift runtime ends the process where an allocation fails.
 *
 * POINTERS may be NULL only where this is said; elsewhere NULL is -EINVAL.
 *
 * STRUCTS start with `size`: set it to sizeof the struct, in those that the library fills too. Zero
 * in any other field means the default. A larger struct than this library knows is accepted while
 * its unknown tail is zero, else -E2BIG. Fields are only ever added at the end. Where the library
 * reads, a reserved field that is not 0 is -EINVAL, and so is a negative file descriptor.
 *
 * THREADS. "any" = from any thread at any time; "serial" = from any thread, the library serialises;
 * "alone" = while no other call on this device is running.
 *
 *     vsmmu_mmio_read, _write, _run, _reset, _save, _restore      serial
 *     vsmmu_validate, _ram_*, _stream_*, _get_counters            serial
 *     vsmmu_iort_nodes                                            serial
 *     vsmmu_translate, _access_begin, _access_end, _dma_*         any; a lock for events alone
 *     vsmmu_create                                                any
 *     vsmmuv3_host.h: vsmmu_host_open any, the others             serial
 *     vsmmu_device_attach, _link_vm, _set_host before vsmmu_freeze  alone
 *     vsmmu_destroy                                               alone
 *     vsmmu_error_message, _api_version, _library_version         any
 *
 * A thread inside vsmmu_access_begin ... vsmmu_access_end must not make a "serial" call on the same
 * device: a CMD_SYNC in it would wait for the access to end.
 *
 * Callbacks run on the thread whose call caused them. A call on the same device is -EDEADLK there,
 * but for vsmmu_error_message, vsmmu_access_begin and _end, and a vsmmu_translate that is answered
 * at once. A DMA thread's callbacks (memory, interrupts) must not wait for a lock that you hold around
 * a serial call: that call may be waiting for the DMA. The addresses of mem_read, mem_write and msi
 * are the guest's choice: never dispatch them to this device's own register frame.
 *
 * A guest cannot crash, hang or grow your process through this library: the work per call has a
 * budget (without ops.work: what the command queue holds), nothing that the guest does allocates
 * memory, and what it writes is read once.
 */
#ifndef VSMMUV3_H
#define VSMMUV3_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * 1. Version
 */

#define VSMMU_API_MAJOR 2u
#define VSMMU_API_MINOR 0u
#define VSMMU_API_VERSION (VSMMU_API_MAJOR << 16 | VSMMU_API_MINOR)

/* The API that the loaded library offers, as VSMMU_API_VERSION. The major numbers must be equal;
 * the library's minor number must not be smaller than the one you compiled against. */
uint32_t vsmmu_api_version(void);

/* "0.1.0", for people. */
const char *vsmmu_library_version(void);

/* ---------------------------------------------------------------------------------------------
 * 2. What you lend the device: memory and interrupts
 */

/* An opaque device. */
typedef struct vsmmu vsmmu_t;

/* The wired interrupts, each an edge. The numbers are indices, not GSIVs. A CMD_SYNC that asks for an
 * interrupt pulses VSMMU_IRQ_SYNC beside the MSI that it writes (3.18, 4.7), and Linux listens to the
 * MSI alone: leave the line unconnected where a pulse costs something (KVM's irqfd). */
#define VSMMU_IRQ_EVENTQ 0u
#define VSMMU_IRQ_PRIQ 1u
#define VSMMU_IRQ_SYNC 2u
#define VSMMU_IRQ_GERROR 3u
#define VSMMU_IRQ_DIRECT 4u /* CMDQ-V's (vsmmuv3_host.h, section 8), with VSMMU_NO_WIRED_IRQ too */

/* Kinds of vsmmu_invalidation. */
#define VSMMU_INVALIDATE_ALL 0u        /* everything */
#define VSMMU_INVALIDATE_VMID 1u       /* vmid */
#define VSMMU_INVALIDATE_ASID 2u       /* vmid, asid */
#define VSMMU_INVALIDATE_RANGE 3u      /* vmid, [address, last] of the stage 1 input, any asid */
#define VSMMU_INVALIDATE_IPA_RANGE 4u  /* vmid, [address, last] of the stage 2 input, all nested */
#define VSMMU_INVALIDATE_STREAMS 5u    /* configuration of StreamIDs [address, last] */

/* What a command, a change of CR0.SMMUEN or GBPA, reset, restore or vsmmu_stream_remove() has made
 * stale in caches that you keep outside (vhost). It may name more than that, never less. Whoever keeps
 * no vmid and asid beside a translation takes them for matching; a kept mapping is meant if any byte
 * of it is. As a translation may be answered before a notice and stored after it, a keeper has a lock
 * and the generation of its newest notice, at first 0:
 *
 *     vsmmu_translate(vsmmu, &access, &result);       ops.invalidate(opaque, what):
 *     lock(keeper);                                       lock(keeper);
 *     if (result.generation > keeper->newest)             keeper->newest = what->generation;
 *         store(keeper, &access, &result);                drop(keeper, what);
 *     unlock(keeper);                                     unlock(keeper);
 */
typedef struct vsmmu_invalidation {
	uint32_t size;
	uint32_t kind;
	uint32_t vmid;
	uint32_t asid;
	uint64_t address; /* bytes, or first StreamID */
	uint64_t last;    /* inclusive */
	uint64_t generation; /* the last one whose answers may be stale */
} vsmmu_invalidation;

#define VSMMU_LOG_GUEST 0u /* the guest's mistake */
#define VSMMU_LOG_HOST 1u  /* the host kernel's refusal or failure */
#define VSMMU_LOG_CALLER 2u /* yours: an access that stays open, or is ended twice */

/* Every function may be NULL. `opaque` is the pointer given to vsmmu_create. */
typedef struct vsmmu_ops {
	uint32_t size;
	uint32_t reserved;

	/* Guest physical memory that is not registered as RAM (section 5). Returns 0, or anything
	 * else for an external abort, which the guest sees as the architecture says. Lengths are at
	 * most 64 for the SMMU's own accesses and the segment length for vsmmu_dma_*. NULL: every
	 * such access aborts. */
	int32_t (*mem_read)(void *opaque, uint64_t address, void *data, uint64_t length);
	int32_t (*mem_write)(void *opaque, uint64_t address, const void *data, uint64_t length);

	/* Registered RAM was written by the device or by vsmmu_dma_write: for migration. Queues that
	 * are no registered RAM are written with an internal lock held. */
	void (*mem_dirty)(void *opaque, uint64_t address, uint64_t length);

	/* Pulse a wired interrupt (VSMMU_IRQ_*). */
	void (*irq)(void *opaque, uint32_t line);

	/* Send an MSI: a 32-bit little-endian write whose target is no registered RAM. Returns 0, or
	 * anything else for an abort (GERROR.MSI_*_ABT_ERR). NULL: mem_write is used. */
	int32_t (*msi)(void *opaque, uint64_t address, uint32_t data);

	/* Translations or configuration became stale. Runs before the command counts as consumed. */
	void (*invalidate)(void *opaque, const vsmmu_invalidation *what);

	/* The budget of a call ended with commands left: call vsmmu_run() soon, after the call that
	 * made this one. Until then they wait for the guest's next write of CMDQ_PROD or CR0, read of
	 * CMDQ_CONS, or write of GERRORN that acknowledges CMDQ_ERR. NULL: there is no budget, each of
	 * these accesses consumes all that CMDQ_PROD shows when it begins, at most 2^IDR1.CMDQS
	 * commands: a driver that waits for a CMD_SYNC's MSI in its memory makes no further access. */
	void (*work)(void *opaque);

	/* A sentence for people. Repetitions are thinned out: the 1st, 2nd, 4th, 8th ... are told. */
	void (*log)(void *opaque, uint32_t blame, const char *message);

	/* Assigned devices (vsmmuv3_host.h, section 4) that you have bound: attach device `devid` of
	 * your iommufd to `hwpt`, in place of what it is attached to and without a gap; and take it
	 * away from there, to the nest parent or nowhere. Return 0, or a negative errno: the device
	 * then is where it was, and at the vSMMU's end the kernel keeps what it is attached to. They
	 * run with locks of the library held, also on behalf of guest commands. Both are NULL or
	 * neither is. NULL: the library attaches, by the device's file. */
	int32_t (*attach)(void *opaque, uint32_t devid, uint32_t hwpt);
	int32_t (*detach)(void *opaque, uint32_t devid);
} vsmmu_ops;

/* ---------------------------------------------------------------------------------------------
 * 3. Create, destroy, reset
 */

#define VSMMU_PROFILE_FULL 0u  /* all that is implemented: both stages, nested, MSI, substreams */
#define VSMMU_PROFILE_LINUX 1u /* what a Linux guest needs: stage 1, MSI, 2-level tables */
/* What a Linux guest needs, of no more than every host has on which devices can be assigned and whose
 * stage 2 takes 44 bits: for devices that come after the guest has looked. SMMUv3.0, as an SMMUv3.1
 * (Arm's MMU-600) need have no range invalidation: pages of 4 KiB, ASIDs of 8 bits, no SubstreamIDs, no
 * RIL, BBML or ATS. Ask for more in `features` where you know your hosts ("ASID16=1, GRAN64K=1"):
 * vsmmu_negotiation_report on one of them tells what it has. */
#define VSMMU_PROFILE_ASSIGN 2u

/* Page 1 offsets of Page 0 registers, and the reverse, read as zero and ignore writes instead of
 * being aliases (a constrained unpredictable choice, IHI 0070 G.b 6.2). Finds wrong drivers. */
#define VSMMU_STRICT_PAGES 1u
/* A non-zero reserved field of a command is CERROR_ILL instead of being ignored (4.1.5). */
#define VSMMU_STRICT_COMMANDS 2u
/* Accept CMD_TLBI_EL2_* while IDR0.Hyp is 0 (4.4.2), for drivers that use them with STRW = EL2 in
 * their STEs: that field is reserved then, so the streams are of NS-EL1 (5.2), and each of these
 * commands, and VSMMU_DVM_EL2, forgets all of NS-EL1. */
#define VSMMU_QUIRK_TLBI_EL2 4u
/* GBPA.ABORT is 1 after reset: no DMA before a driver has taken over. */
#define VSMMU_RESET_ABORTS 8u
/* No wired interrupts: interrupts are MSIs only (refused without IDR0.MSI). */
#define VSMMU_NO_WIRED_IRQ 16u
/* For debugging: a wrong vsmmu_access_end() ends nothing and is logged with the thread that began the
 * access, and so is the thread whose access a CMD_SYNC waits for. */
#define VSMMU_CHECK_ACCESSES 32u
/* The vSMMU may stand on the same parent_hwpt as others, and so have their VMID: its guest uses no
 * ASID that it uses at one of those. Else the TLB entries of one would answer the other's DMA. */
#define VSMMU_SHARED_VMID 64u
/* An assigned device whose stream the kernel fails to change aborts at once, even where the stage 1
 * that it had could stay (vsmmuv3_host.h, FAILURES). */
#define VSMMU_FAILED_STREAMS_ABORT 128u
/* Record C_BAD_STE (7.3.5) when a CMD_CFGI_STE shows an illegal STE of an assigned device. The
 * architecture records it when a transaction meets the STE, but of such a stream the kernel tells
 * nothing; without this flag it is only logged. */
#define VSMMU_RECORD_BAD_STE 256u
/* The guest is to drive command queues of the host's SMMU by itself, where that has CMDQ-V
 * (vsmmuv3_host.h, section 8). The negotiation report tells what keeps it from that. */
#define VSMMU_DIRECT_QUEUES 512u

typedef struct vsmmu_config {
	uint32_t size;
	uint32_t profile; /* VSMMU_PROFILE_* */
	uint32_t flags;   /* VSMMU_STRICT_*, VSMMU_QUIRK_*, ... */

	/* With ops.work, what one MMIO access, vsmmu_run() or vsmmu_restore() may spend on commands;
	 * 0 = 4096. Most count 1, those that search the TLB, wait for accesses or call a kernel more. */
	uint32_t command_budget;
	/* Cached translations, rounded up to a power of two; 0 = 4096, at most 2^20. 32 bytes each. */
	uint32_t tlb_entries;
	/* Cached stream configurations, likewise; 0 = 256, at most 2^16. 128 bytes each. */
	uint32_t configuration_entries;

	/* Changes to the profile's ID registers: "NAME=value", separated by commas or spaces. NAME is a
	 * field of IHI 0070 G.b 6.3.1 to 6.3.8 ("S2P=0, OAS=4, SIDSIZE=8") or a whole register ("IDR5",
	 * "IIDR"); value is decimal or 0x..., in the field's own encoding. What the library does not
	 * implement is refused, and so is a set that those clauses call illegal. StreamIDs have 16 bits
	 * in every profile, as some drivers allocate a table for all that SIDSIZE promises; up to 32
	 * can be asked for. ATS=1 takes effect with assigned devices alone. SSIDSIZE, OAS, ATS and RIL
	 * may be "auto" ("OAS=auto"): all that the hosts of the assigned devices and the library can do,
	 * decided anew with each device until the guest may have seen the registers (vsmmu_freeze); OAS 4
	 * (44 bits) and else 0 while there is no such device. NULL = none. */
	const char *features;

	/* Where assigned devices come from (vsmmuv3_host.h). NULL = there are none, until
	 * vsmmu_set_host. */
	struct vsmmu_host *host;
	/* With a host, else 0: the IOAS in which you map the guest's memory; 0 = the library makes
	 * one and maps what vsmmu_ram_add is told. vSMMUs without a common IOAS map the guest's
	 * memory once each. */
	uint32_t ioas;
	/* Milliseconds after which an access that the guest waits for is logged; 0 = 1000. */
	uint32_t access_patience;
	/* With an ioas, else 0: your nest parent over it, an HWPT of IOMMU_HWPT_ALLOC_NEST_PARENT for
	 * the devices' physical SMMU. 0 = the library makes one with the first device. The VMID is the
	 * parent's: a second vSMMU of one host on it is -EBUSY without VSMMU_SHARED_VMID. */
	uint32_t parent_hwpt;
	uint32_t reserved;
} vsmmu_config;

/* Makes a device in its reset state. `message`, if not NULL, receives the sentence that explains a
 * failure (at most `message_size` bytes with the final NUL). Errors: -EINVAL (a field of the
 * configuration), -E2BIG (an unknown tail), -ENOMEM, with a host the kernel's and -EBUSY
 * (parent_hwpt). */
int32_t vsmmu_create(const vsmmu_config *config, const vsmmu_ops *ops,
		     void *opaque, vsmmu_t **out,
		     char *message, size_t message_size);

/* Frees the device. NULL is a no-op. */
void vsmmu_destroy(vsmmu_t *vsmmu);

/* Back to the reset state: registers, caches. RAM and streams stay registered. */
int32_t vsmmu_reset(vsmmu_t *vsmmu);

/* Copies the sentence about the last refused call, of whatever thread, "" if none, cut to
 * `message_size`; returns its length. */
int32_t vsmmu_error_message(vsmmu_t *vsmmu, char *message, size_t message_size);

/* ---------------------------------------------------------------------------------------------
 * 4. Registers and commands
 */

/* The register frame: two pages of 64 KiB (6.1). */
#define VSMMU_MMIO_SIZE 0x20000u

/* One access of the guest at byte `offset` of the frame, `width` 1, 2, 4 or 8 bytes. What the
 * architecture does not allow (other alignments, 8 and 16 bits) reads as zero and is ignored, so a
 * guest cannot make these fail: the error is -EINVAL for an offset or width outside these words.
 * A write may consume commands (section THREADS; budget in vsmmu_config). */
int32_t vsmmu_mmio_read(vsmmu_t *vsmmu, uint64_t offset, uint32_t width, uint64_t *value);
int32_t vsmmu_mmio_write(vsmmu_t *vsmmu, uint64_t offset, uint32_t width, uint64_t value);

/* Consumes commands that an earlier call left, for `budget` (0 = the configured one). Returns 1 if
 * more are waiting, 0 if not. Some accesses of the guest do this too (vsmmu_ops.work). */
int32_t vsmmu_run(vsmmu_t *vsmmu, uint32_t budget);

/* ---------------------------------------------------------------------------------------------
 * 5. Guest RAM and streams
 */

/* Registers `length` bytes of guest RAM at guest physical `address`, mapped at `host`, as the fast
 * path for tables, queues and vsmmu_dma_*. All three are multiples of 4096. The memory must stay
 * mapped until vsmmu_ram_remove() or vsmmu_destroy(). Regions are looked up in the order in which
 * they came: add the large ones first. Errors: -EINVAL (alignment, wrap; with a host its window for
 * MSIs), -EEXIST (overlap), -ENOMEM (more than 512 regions). */
int32_t vsmmu_ram_add(vsmmu_t *vsmmu, uint64_t address, uint64_t length, void *host);

/* The same for memory of a file (a memfd) from byte `offset` on, a multiple of 4096, mapped at
 * `host`: with a host SMMU (vsmmuv3_host.h) the kernel then pins the file's pages. `fd` is
 * duplicated, for a host that comes later. */
int32_t vsmmu_ram_add_file(vsmmu_t *vsmmu, uint64_t address, uint64_t length, void *host,
			   int32_t fd, uint64_t offset);

/* Takes a region back; returns when no access uses it. Error: -ENOENT, and the kernel's. */
int32_t vsmmu_ram_remove(vsmmu_t *vsmmu, uint64_t address);

/* Makes the StreamID of an emulated device known. Errors: -EEXIST, -ENOMEM (more than 65536
 * streams), -EOPNOTSUPP (the guest has seen IDR0.BTM = 1 of a linked VM, or has direct command
 * queues: neither reaches an emulated device). A StreamID beyond IDR1.SIDSIZE is accepted: its DMA
 * aborts as the architecture says. */
int32_t vsmmu_stream_add(vsmmu_t *vsmmu, uint32_t stream);

/* Forgets it and what is cached for it; returns when no access uses that. A translation in
 * progress may be aborted, and what is left of a DMA is (event 0). Error: -ENOENT. */
int32_t vsmmu_stream_remove(vsmmu_t *vsmmu, uint32_t stream);

/* ---------------------------------------------------------------------------------------------
 * 6. DMA
 */

#define VSMMU_ACCESS_WRITE 1u        /* else a read */
#define VSMMU_ACCESS_INSTRUCTION 2u  /* an instruction fetch (reads only) */
#define VSMMU_ACCESS_PRIVILEGED 4u   /* else unprivileged */
#define VSMMU_ACCESS_SUBSTREAM 8u    /* `substream` is valid */
#define VSMMU_ACCESS_ATOMIC 16u      /* reads and writes; counts as a write */
#define VSMMU_ACCESS_SPECULATIVE 32u /* a probe: never recorded, an abort where it fails (below) */
#define VSMMU_ACCESS_ATTRIBUTES 64u  /* `attributes` is valid, and wanted in the result */
#define VSMMU_ACCESS_INSPECT 128u    /* vsmmu_translate only: look, and leave no trace (below) */

/* 3.14 speaks of two things that are speculative. vsmmu_translate makes its Translation Requests: a
 * probe for a write (VSMMU_ACCESS_WRITE) is granted where a write would be, as without hardware
 * updates (HTTU) no page is writable and clean. vsmmu_dma_* makes its transactions: of these only
 * reads may be speculative, and vsmmu_dma_write refuses the flag (-EINVAL) instead of aborting. */

/* VSMMU_ACCESS_INSPECT answers as an access would be that finds nothing in a cache: registers, STE, CD
 * and tables are read where they are, by mem_read too where they are no RAM. There is no event, no
 * counter, nothing is kept, and nothing that was kept is looked at; the generation is 0. It goes with
 * every other flag: with _SPECULATIVE it tells what a probe would be told. It is for assigned devices
 * too (vsmmuv3_host.h), for MSI routes, dirty logs and debuggers: there it goes by what the device is
 * attached to (vsmmu_device_info.attached) in place of registers and STE. So an STE counts once a
 * command has shown it, and where the kernel failed to change a stream, the stage 1 that it keeps, or
 * its abort. What aborts without an event there aborts with event 0 here. The address, and those of CD
 * and tables, are guest physical ones: what the host's stage 2 does not have, such as memory behind
 * mem_read, aborts there without an event, whatever is told here. It is as slow as a miss, and -EDEADLK
 * in a callback. */

/* Memory attributes: bits 7:0 a MAIR_ELx byte (DDI 0487 D24.2.109), bits 9:8 shareability (0 none,
 * 2 outer, 3 inner). */
#define VSMMU_ATTRIBUTES(mair, shareability) ((uint32_t)(mair) | (uint32_t)(shareability) << 8)

typedef struct vsmmu_access {
	uint32_t size;
	uint32_t flags;      /* VSMMU_ACCESS_* */
	uint32_t stream;     /* StreamID */
	uint32_t substream;  /* SubstreamID (PASID), with VSMMU_ACCESS_SUBSTREAM */
	uint64_t address;    /* input address, bytes */
	uint32_t attributes; /* incoming attributes; without the flag: Normal write-back, non-shareable */
	uint32_t reserved;
} vsmmu_access;

#define VSMMU_RESULT_OK 0u    /* use `address` for at most `length` bytes */
#define VSMMU_RESULT_ABORT 1u /* the device sees a bus error */
#define VSMMU_RESULT_RAZWI 2u /* reads give zero, writes vanish, the device sees success (3.12.1) */

#define VSMMU_PERMIT_READ 1u
#define VSMMU_PERMIT_WRITE 2u
#define VSMMU_PERMIT_EXECUTE 4u

typedef struct vsmmu_result {
	uint32_t size;
	uint32_t kind;        /* VSMMU_RESULT_* */
	uint64_t address;     /* guest physical address, bytes */
	uint64_t length;      /* bytes from `address` on that this translation covers, at least 1 */
	uint32_t permissions; /* VSMMU_PERMIT_*: reads, writes, fetches of this access's privilege */
	uint32_t event;       /* the event (7.3) that describes the fault, recorded or not; 0 = none */
	uint32_t attributes;  /* output attributes, with VSMMU_ACCESS_ATTRIBUTES */
	uint32_t page_bits;   /* log2 of the naturally aligned mapping that `address` lies in */
	uint64_t generation;  /* for those who keep it: see vsmmu_invalidation; 0 = not to be kept */
} vsmmu_result;

/* Translates one access. It is recorded in the guest's event queue if it faults and recording is
 * on. result->permissions tells whether a read, a write and a fetch that are else as this access
 * would be granted, after the STE's PRIVCFG and INSTCFG (5.2); an atomic, which reads data (13.1.1),
 * must be asked for by itself where INSTCFG makes fetches of reads. The answer is a snapshot: between
 * vsmmu_access_begin and _end it stays usable, because a CMD_SYNC that covers its invalidation is not
 * consumed before _end. Errors: -EINVAL, -E2BIG, -ENOENT (the stream was not added, or is of an assigned
 * device: that needs VSMMU_ACCESS_INSPECT). */
int32_t vsmmu_translate(vsmmu_t *vsmmu, const vsmmu_access *access, vsmmu_result *result);

/* Opens an access of this thread and returns the token that closes it, on any thread. Keep it short:
 * the guest waits. It may cover several translations. A token of no open access is ignored and logged
 * where that can be told: always with VSMMU_CHECK_ACCESSES. */
uint64_t vsmmu_access_begin(vsmmu_t *vsmmu);
void vsmmu_access_end(vsmmu_t *vsmmu, uint64_t token);

/* Translates, copies and guards in one call. `access` gives stream, flags and first address; `data`
 * holds `length` bytes. vsmmu_dma_write sets VSMMU_ACCESS_WRITE by itself. Each page is a transaction
 * of its own, with an event of its own where it faults (3.12):
 *
 *     VSMMU_RESULT_OK      all bytes were copied; result->length is `length`
 *     VSMMU_RESULT_RAZWI   some pages were RAZ/WI: read as zeros, their writes lost. The others were
 *                          copied, and result->length is `length`; `event` is the first such page's
 *     VSMMU_RESULT_ABORT   a page aborted and ended the copy: result->length bytes were done before
 *                          it, RAZ/WI ones included. `event` is its event, 0 if the memory behind
 *                          the translation aborted (16.7.4)
 *
 * `address`, `attributes` and `page_bits` are those of the first byte. */
int32_t vsmmu_dma_read(vsmmu_t *vsmmu, const vsmmu_access *access,
		       void *data, uint64_t length, vsmmu_result *result);
int32_t vsmmu_dma_write(vsmmu_t *vsmmu, const vsmmu_access *access,
			const void *data, uint64_t length,
			vsmmu_result *result);

/* ---------------------------------------------------------------------------------------------
 * 7. Save and restore
 */

/* All guest-visible state as bytes with a version that describe themselves, little-endian:
 *
 *     u64 "VSMMUv3\0" | u32 version, 2 | u32 oldest version that can read it, 2
 *     u32 number of sections | u32 CRC-32 (IEEE 802.3) of all before and after it
 *     sections: u64 name, ASCII with NULs behind | u32 version of the section | u32 bytes | bytes
 *
 * Each part of the device has a section, once, in this order: "ID", "CONTROL", "CMDQ", "EVENTQ". Each
 * consists of records, each of them a register:
 *
 *     u32 offset in the frame, Page 1 folded onto Page 0 | u32 bytes, 4 or 8 | u64 value
 *
 * Version 1 has these records in place of the sections; it is read too. A library that does not
 * know a section, a version or a register's value refuses the saved state.
 *
 * Caches are not part of it: a restored device starts with cold ones. Nor are RAM, streams, assigned
 * devices and counters: add to the other device what it shall have. Returns the number of bytes,
 * whether or not they fit into `capacity`; `data` may be NULL with capacity 0. Error: -EOPNOTSUPP
 * (direct command queues, which are the host's). */
int64_t vsmmu_save(vsmmu_t *vsmmu, void *data, uint64_t capacity);

/* Checks one against this device without applying it. Errors: -EINVAL (damaged, truncated, with
 * a section that is unknown, or of a device whose ID registers differ; the message names the section or
 * field), -E2BIG (newer version of the whole or of a section, which the message names). */
int32_t vsmmu_validate(vsmmu_t *vsmmu, const void *data, uint64_t length);

/* Validates and applies it, all or nothing. Pending commands resume at once, within the budget.
 * Pause the device models first: an access meanwhile sees the old state or the new one. */
int32_t vsmmu_restore(vsmmu_t *vsmmu, const void *data, uint64_t length);

/* ---------------------------------------------------------------------------------------------
 * 8. Counters
 */

typedef struct vsmmu_counters {
	uint32_t size;
	uint32_t reserved;
	uint64_t commands;          /* consumed */
	uint64_t command_errors;    /* CERROR raised */
	uint64_t syncs;             /* CMD_SYNC consumed */
	uint64_t tlb_misses;        /* translations that walked tables */
	uint64_t configuration_misses; /* that fetched an STE */
	uint64_t invalidations;     /* TLBI commands */
	uint64_t events_recorded;
	uint64_t events_dropped;    /* queue full, disabled or aborted */
	uint64_t external_aborts;   /* of the device's own accesses */
} vsmmu_counters;

/* Copies the counters; set counters->size first. Errors: -EINVAL, -E2BIG. */
int32_t vsmmu_get_counters(vsmmu_t *vsmmu, vsmmu_counters *counters);

/* ---------------------------------------------------------------------------------------------
 * 9. Firmware tables. The device-tree helper is vsmmuv3_fdt.h; assigned devices and emulated CPUs
 * are in vsmmuv3_host.h.
 */

/* Requester IDs [input_base, input_base + count) of a PCI root complex are StreamIDs from
 * output_base on. */
typedef struct vsmmu_id_mapping {
	uint32_t input_base;
	uint32_t count; /* at least 1 */
	uint32_t output_base;
	uint32_t reserved;
} vsmmu_id_mapping;

typedef struct vsmmu_iort {
	uint32_t size;
	/* Offset, within the IORT, at which you will place the bytes. */
	uint32_t offset;
	/* Offset of the ITS group node for the SMMU's MSIs and its devices', 0 = none. */
	uint32_t its_offset;
	uint32_t segment; /* PCI segment number of the root complex */
	uint64_t base;    /* guest physical address of the register frame */
	/* Interrupt numbers (GSIVs) by VSMMU_IRQ_*, without VSMMU_IRQ_DIRECT; 0 = none. */
	uint32_t gsiv[4];
	/* `mapping_count` mappings; the root complex node carries them. */
	const vsmmu_id_mapping *mappings;
	uint32_t mapping_count;
	uint32_t identifier; /* the SMMU node's; the others get identifier + 1 and + 2 */
} vsmmu_iort;

/* Writes two IORT nodes (ACPI IORT, DEN0049 E.b and later): this SMMUv3, and the PCI root complex
 * whose requester IDs map to it; on a vSMMU with a host three (E.d and later), the last of which is
 * the reserved memory range (RMR) of vsmmu_msi_window for all its StreamIDs. They tell what the device
 * is at the time: the root complex's ATS attribute is IDR0.ATS, and with a host it has CANWBS; so call
 * vsmmu_freeze before you write the table. Linux heeds an RMR of PCI devices only where function 5 of
 * the host bridge's _DSM returns 0 (keep the numbers of buses), and of mappings of two IDs or more.
 * docs/msi.md tells what the RMR is for, and what to do where the host is to come after the table, in
 * which there is none then. Returns the number of bytes, whether or not they fit, or
 * -EINVAL, -E2BIG. */
int64_t vsmmu_iort_nodes(vsmmu_t *vsmmu, const vsmmu_iort *iort, void *data, uint64_t capacity);

#ifdef __cplusplus
}
#endif

#endif
