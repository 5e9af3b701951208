/* SPDX-License-Identifier: MIT */
/*
 * One run: an emulated host, some VMs with a vSMMU each, and random steps, all from one seed.
 *
 * What a device may see is kept beside the guest's tables as sets: what they say now, what they
 * said before and no invalidation has covered yet (stale), and what was covered by one that no
 * CMD_SYNC has followed yet. After each step all invariants of the host hold, and a DMA sees a
 * member of the sets: after a CMD_SYNC that is exactly what the tables say. Beside them stands what
 * a device with ATS may have kept for itself: what it has seen, until CMD_ATC_INV and CMD_SYNC.
 */
#ifndef SIMULATION_H
#define SIMULATION_H

#include "../Conformance/guest.h"

#define VMS 4u
#define DEVICES 6u
#define SPACES 3u  /* address spaces of a VM */
#define PAGES 12u  /* pages that a VM has for DMA */
#define SLOTS 12u  /* IOVAs of an address space that are mapped, and not */
#define BLOCK_SLOT 10u /* this one may lie in a block of 2 MiB, then it is BLOCK_PAGE */
#define BLOCK_PAGE 3u
#define STREAMS 16u
#define CONTEXTS 2u /* of a stream: without a SubstreamID, and with SubstreamID 1 */
#define EMULATED 2u /* emulated devices of a VM: StreamIDs 0 and 1 */
#define FIRST_ASSIGNED 8u
#define BAR_BITS 13u
#define BAR_BYTES (1u << BAR_BITS)

/* More commands, IHI 0070 G.b 4.1.1, and IDR0.BTM and ATS. */
enum { CFGI_CD_ALL = 0x06, PREFETCH = 0x01, IDR0_BTM = 1 << 5, IDR0_ATS = 1 << 10 };

/* Requests that the simulation makes fail or makes itself. */
enum {
	IOMMU_DESTROY = 0x3b80, IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85, IOAS_UNMAP = 0x3b86,
	HWPT_ALLOC = 0x3b89, GET_HW_INFO = 0x3b8a, HWPT_INVALIDATE = 0x3b8d, VIOMMU_ALLOC = 0x3b90,
	VDEVICE_ALLOC = 0x3b91, VEVENTQ_ALLOC = 0x3b93, VFIO_RESET = 0x3b6f, VFIO_BIND = 0x3b76,
	HW_QUEUE_ALLOC = 0x3b94, VFIO_ATTACH = 0x3b77, VFIO_DETACH = 0x3b78, KVM_CREATE_VM = 0xae01,
	IOAS_MAP_FILE = 0x3b8f, VFIO_FEATURE = 0x3b75,
};

/* A set of what a DMA may meet: bit 0 an abort, bit 1 + p page p, bit 17 + p page p read-only. */
typedef uint64_t outcomes;
#define ABORTED UINT64_C(1)
#define WRITABLE(page) (UINT64_C(2) << (page))
#define READ_ONLY(page) (UINT64_C(0x20000) << (page))

/* A set of what a stream may be: bit 0 aborts, bit 1 bypasses, bit 2 + k translates by space k. */
typedef uint32_t codes;
#define ABORTS 1u
#define BYPASSES 2u
#define TRANSLATES(space) (4u << (space))
#define ANY_TRANSLATION (7u << 2)

struct cell { uint64_t now, stale, covered; };

struct stream {
	struct cell codes[CONTEXTS];
	codes ste;      /* what its STE says: ABORTS, BYPASSES or ANY_TRANSLATION */
	unsigned spaces[CONTEXTS]; /* what its CDs say; SPACES = nothing */
	bool ste_dirty; /* its STE changed since the last CFGI_STE */
	codes lag;      /* what a failing host may have left it at */
	bool healing;   /* a CFGI_STE is on its way that ends this */
	bool eats;      /* its STE lets the device keep translations */
	bool keeps;     /* it may do so still, or already */
	/* What it may have kept, and what of it a CMD_ATC_INV that is on its way leaves. */
	outcomes kept[CONTEXTS][SLOTS], left[CONTEXTS][SLOTS];
	bool asked[CONTEXTS][SLOTS]; /* there is such a CMD_ATC_INV */
};

/* What the guest's memory and registers say. */
struct model {
	bool started, on, gbpa_aborts;
	struct cell slots[SPACES][SLOTS];
	uint64_t tables[SPACES]; /* the table that a block is in place of, 0 = there is no block */
	struct stream streams[STREAMS];
};

enum link { UNLINKED, LINKED_UP_FRONT, LINKED_ON_DEMAND };

struct vm {
	bool alive;
	uint64_t serial;
	struct guest guest;
	unsigned host;
	int fd;           /* the KVM VM, -1 = closed or none */
	enum link link;
	int cpu;          /* that its vCPU is on, -1 = none */
	bool btm;
	uint32_t reset_aborts, failed_abort;
	struct model model;
	unsigned assigned[STREAMS]; /* device + 1 */
	bool borrowed[STREAMS];     /* its file is ours */
	int files[STREAMS];
	bool stopped;     /* its command queue, by the host's failure */
	bool ends_with_sync;
	uint32_t ioas;     /* that we map the memory in, 0 = the library does */
	bool has_substreams;
	bool asks_ats, has_ats; /* for IDR0.ATS, and the guest has seen it */
	bool may_time_out;      /* one was ordered, that its CMD_SYNC has not told yet */
	bool asked_silent;      /* a device that does not answer */
	bool has_emulated; /* devices, on StreamIDs 0 and 1 */
	bool two_level;   /* its stream table */
	/* By device: added to the vSMMU, and what a DMA to it may come to (bar.c). */
	struct { bool is_there; unsigned may; } bars[DEVICES];
	bool seen;        /* it may have seen the ID registers */
	struct { bool valid; uint8_t state[4096]; uint64_t size; uint8_t *ram; struct model model; } saved;
};

#define CROWD 400u
#define ORDERS 64u

struct world {
	uint64_t seed, random;
	unsigned step;
	const char *what;
	bool verbose;
	vsmmu_emulated_t *emulated;
	vsmmu_emulated_config config;
	vsmmu_host_t *hosts[2];
	unsigned host_count, device_count;
	int kvm;
	int iommufds[2]; /* of hosts that were given one, else -1 */
	unsigned owners[DEVICES]; /* VM + 1 */
	bool has_ats[DEVICES], is_silent[DEVICES];
	struct vm vms[VMS];
	uint64_t serials;
	/* VMs of others, which have no devices. */
	int crowd[CROWD];
	unsigned crowd_count;
	/* Failures that were ordered and may still come. */
	struct { uint32_t request, nth; int32_t error; } orders[ORDERS];
	unsigned order_count, order_calls;
	uint32_t errors; /* ordered since they were last drained, by index of failure_errors */
	bool destroys_failed; /* or may have, ever */
	bool busy[1024];   /* by CPU */
	bool undecoded[DEVICES]; /* memory decode is off */
};

extern struct world world;

/* What all runs together came to: a simulation that never gets there proves nothing. */
struct totals {
	uint64_t steps, passes, substreams, aborts, syncs, stops, illegal, attachments, refusals,
		 broadcasts, events, lost, restores, rollovers, unpinnable, failures, peers,
		 revocations, kept, timeouts, direct, shared;
};
extern struct totals totals;

/* A defect that is put between the library and its kernel or hardware, to see that it is found. */
enum planted {
	PLANTED_NOTHING,
	/* BARs are not mapped, not unmapped, or not revoked. */
	PLANTED_MAP, PLANTED_UNMAP, PLANTED_REVOCATION,
	/* CMD_ATC_INVs are taken for done. */
	PLANTED_ENDPOINT,
	/* TLBIs of direct queues are taken for done. */
	PLANTED_DIRECT,
	/* A device whose attachment fails loses what it was attached to. */
	PLANTED_ATTACH,
	/* Two vSMMUs with the same VMID have the same ASIDs. */
	PLANTED_ASID,
	PLANTED_END,
};
extern enum planted planted;

/* main.c */
_Noreturn void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t any(void);
unsigned below(unsigned limit);
bool chance(unsigned percent);
/* The call's result must be 0 or one of the errors (positive, ended by 0), or an ordered one. */
int64_t answer(const char *call, int64_t result, ...);
#define ANSWER(call, ...) answer(#call, (call), __VA_ARGS__, 0)
#define SUCCEEDS(call) answer(#call, (call), 0)

/* world.c */
void world_open(void);
void world_close(void);
vsmmu_emulated_counters counters_now(void);
void check_host(void);
void order_failure(void);
/* Ordered failures that did not come yet happen now, to nobody's harm. */
void drain_failures(void);
bool failures_ordered(void);
bool is_ordered(int64_t error);
bool times_out(void);
void crowd_step(void);
void crowd_leaves(void);
int make_kvm_vm(void);

/* vm.c */
void vm_create(struct vm *vm);
void vm_destroy(struct vm *vm);
void vm_close_fd(struct vm *vm);
bool vm_load(struct vm *vm);
void vm_put(struct vm *vm);
uint64_t host_failures(struct vm *vm);

/* device.c */
void device_attach_step(struct vm *vm);
void device_detach_step(struct vm *vm);
void device_renumber_step(struct vm *vm);
void device_reset_step(struct vm *vm);
/* The StreamID of one, or STREAMS. */
unsigned some_assigned(const struct vm *vm);
/* No DMA of it passes. */
void expect_gone(unsigned device);

/* late_steps.c */
void late_host_step(struct vm *vm);
void late_number_step(struct vm *vm);
void forget_device(struct vm *vm, unsigned stream);
/* The host may have failed since `failures`: assigned streams may still be what they were. */
void note_lag(struct vm *vm, uint64_t failures, const codes before[STREAMS]);
void effective_codes(struct vm *vm, codes out[STREAMS]);
codes effective(const struct vm *vm, unsigned stream, unsigned context);

/* bar.c */
void bars_open(void);
/* Stage 1 leads to every BAR. */
void bars_map(struct vm *vm, uint64_t tables);
void bar_step(struct vm *vm);
void bar_dma(struct vm *vm);
void bar_after_reset(struct vm *vm, unsigned device, bool kernel_failed);
void bar_after_detach(struct vm *vm, unsigned device, bool kernel_failed);

/* driver.c */
void driver_start(struct vm *vm);
void driver_map(struct vm *vm);
void driver_invalidate(struct vm *vm);
void driver_endpoints(struct vm *vm);
void driver_configure(struct vm *vm);
void driver_context(struct vm *vm);
void driver_forget(struct vm *vm);
void driver_nonsense(struct vm *vm);
uint64_t driver_asid(unsigned space);
void driver_registers(struct vm *vm);
void driver_sync(struct vm *vm);
/* All failures end, and the queue is empty after the guest has acknowledged what there was. */
void driver_settle(struct vm *vm);
void driver_broadcast(struct vm *vm);
void vm_reset_step(struct vm *vm);
void vm_save_step(struct vm *vm);
void vm_restore_step(struct vm *vm);
void vm_memory_step(struct vm *vm);
void vm_stream_step(struct vm *vm);

/* endpoints.c */
/* The device of a stream has ATS, and the guest knows. */
bool has_endpoint(const struct vm *vm, unsigned stream);
/* One of them answers no CMD_ATC_INV, neither the guest's nor one of a reset or restore. */
bool has_silent(const struct vm *vm);
/* It has seen this, and may keep it. */
void endpoint_saw(struct vm *vm, unsigned stream, unsigned context, unsigned slot, outcomes what);
/* A CMD_ATC_INV is on its way. */
void endpoint_asked(struct vm *vm, unsigned stream, unsigned context, unsigned slot);
/* Tables or structures have changed: what is asked for again may be this. */
void endpoints_note(struct vm *vm);
/* All CMD_ATC_INV are complete, or none is known to be. */
void endpoints_done(struct vm *vm);
void endpoints_timed_out(struct vm *vm);
/* It keeps nothing, or what it may fetch anew. */
void endpoint_empty(struct vm *vm, unsigned stream);
void endpoints_anew(struct vm *vm);

/* direct.c */
/* TLBIs by a command queue of the guest's own, where the host has such. */
void direct_step(struct vm *vm);
/* The guest has the frame of CMDQ-V. */
bool direct_has(struct vm *vm);

/* shared.c */
void shared_step(struct vm *vm);

/* dma.c */
uint64_t slot_address(unsigned slot);
/* What the SMMU may answer from now on, if it is asked. */
outcomes reachable(const struct vm *vm, unsigned stream, unsigned context, unsigned slot);
void dma_step(struct vm *vm);
/* The page of RAM that a write reached, and which must be the owner's: PAGES = none. */
unsigned page_written(struct vm *owner, uint64_t value);
/* Every stream at one address: it is cached now if it ever is. */
void dma_touch(struct vm *vm, unsigned slot);
/* Every stream at every address. */
void dma_all(struct vm *vm);
void dma_expect_abort(struct vm *vm);
void fill_pages(struct vm *vm);
void take_events(struct vm *vm);
/* A fault of an assigned device becomes an event of its stream. */
void expect_event(struct vm *vm);

#endif
