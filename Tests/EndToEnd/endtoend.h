/* SPDX-License-Identifier: MIT */
/*
 * A VMM and its guest in one program: the VMM puts an assigned device behind a vSMMU, the guest
 * programs the vSMMU, and the device does DMA. On Linux with a real SMMU driver (built with -DREAL,
 * the device is QEMU's edu), or on the emulated host; the steps are the same.
 */
#ifndef ENDTOEND_H
#define ENDTOEND_H

#include <vsmmuv3_host.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* --- Where it runs (platform_linux.c, platform_emulated.c) ----------------------------------- */

bool platform_open(vsmmu_host_t **host);
/* The same by the system calls of `kernel`; and those that there are. */
bool platform_open_with(const vsmmu_kernel *kernel, vsmmu_host_t **host);
bool platform_kernel(vsmmu_kernel *kernel);
/* The two halves of that for who brings the iommufd, and its system calls. */
bool platform_start(void);
bool platform_lend(int32_t iommufd, vsmmu_host_t **host);
int32_t platform_file(const char *path);
void platform_close_file(int32_t fd);
int64_t platform_ioctl(int32_t fd, uint32_t request, void *argument);
/* An eventfd for the MSI of device 0, open as `fd`; negative where devices raise none. */
int32_t platform_interrupts(int32_t fd);
/* Device 0 raises it: does it arrive within that time? */
bool platform_raise(int32_t fd, int32_t interrupts, int milliseconds);
/* Asks for nothing of ours to be left: objects, files, pinned memory. */
bool platform_is_clean(void);
void platform_close(void);

/* The path of device 0, which does DMA, or 1. */
const char *platform_device(unsigned index);
/* Device 0, open as `fd`, reads 4 bytes at `from` and writes them at `to`. It does not tell of
 * aborts. */
void platform_dma(int32_t fd, uint64_t from, uint64_t to);
/* A KVM VM, or negative where there is no KVM. */
int32_t platform_vm(void);
void platform_vm_close(int32_t vm);
/* Until an event that was caused has come. */
void platform_settle(void);
/* Memory decode of device 1, open as `fd`, is on or off. */
void platform_decode(int32_t fd, bool on);
/* Device 1, open as `fd`, goes to D3hot, or back to D0. */
void platform_sleep(int32_t fd, bool on);

struct guest;

/* --- Steps (main.c) --------------------------------------------------------------------------- */

/* One line. */
bool step(bool right, const char *what);
/* The same with what it was, where that is wrong. */
bool equal(uint64_t got, uint64_t want, const char *what);

/* --- The VMM (vmm.c) -------------------------------------------------------------------------- */

/* ops.log: a line for each. */
void vmm_log(void *opaque, uint32_t blame, const char *message);
/* A vSMMU behind which `host` can put devices, with the guest's RAM; `features` may be NULL. */
bool build(struct guest *guest, vsmmu_host_t *host, const char *features);
int32_t attach(struct guest *guest, unsigned index, uint32_t stream);
/* Does a new word travel from SOURCE to `seen`, where device 0, open as `fd`, copies? */
bool travels(struct guest *guest, int32_t fd, uint64_t from, uint64_t to, uint64_t seen);

/* --- Lives: what a process with a vSMMU does from start to end -------------------------------- */

/* A VMM that owns everything (owner.c). */
void owner_life(struct guest *guest);
/* With a KVM VM, and two vSMMUs of one (linked.c). */
void linked_lives(struct guest *guest);
/* The BAR of device 1 is reached by device 0 (bars.c). */
void bars_life(struct guest *guest);
/* The kernel fails calls that the guest needs (failures.c). */
void failing_life(struct guest *guest);
/* MSIs of device 0 (interrupts.c). */
void interrupts_life(struct guest *guest);
/* ID registers that follow the device's host (facts.c). */
void facts_life(struct guest *guest);

/* --- The guest (guest.c) ---------------------------------------------------------------------- */

#define PAGE UINT64_C(0x1000)
#define RAM UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x400000)

#define STREAM_TABLE (RAM + 0x00000)
#define COMMANDS (RAM + 0x10000)
#define EVENTS (RAM + 0x20000)
#define CONTEXT (RAM + 0x30000)
#define TABLES (RAM + 0x40000)
#define OTHER_TABLES (RAM + 0x80000)
#define SOURCE (RAM + 0x100000)
#define TARGET (RAM + 0x101000)
#define OTHER (RAM + 0x102000)

#define STREAM 8u
#define ASID UINT64_C(7)

enum {
	IDR0 = 0x00, IDR1 = 0x04, IDR3 = 0x0c, IDR5 = 0x14, CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, CR2 = 0x2c, GBPA = 0x44,
	STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98,
	CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0, EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac,
	GERROR = 0x60, GERRORN = 0x64,
};
enum { SMMUEN = 1, EVENTQEN = 4, CMDQEN = 8 };

enum {
	CFGI_STE = 0x03, CFGI_ALL = 0x04, CFGI_CD = 0x05, TLBI_NH_ALL = 0x10,
	TLBI_NH_ASID = 0x11, TLBI_NH_VA = 0x12, TLBI_NH_VAA = 0x13, TLBI_NSNH_ALL = 0x30,
	SYNC = 0x46,
};
enum { C_BAD_CD = 0x0a, F_TRANSLATION = 0x10 };

struct guest {
	vsmmu_t *vsmmu;
	uint8_t *ram;
	uint32_t produced, consumed; /* commands written, events read */
	uint64_t free_table;
};

uint64_t read_register(struct guest *guest, uint64_t offset);
void write_register(struct guest *guest, uint64_t offset, uint64_t value);

/* Queues and an empty stream table: on. */
void guest_start(struct guest *guest);
/* The state of a guest that knows nothing yet. */
void guest_forget(struct guest *guest);

void command(struct guest *guest, uint64_t low, uint64_t high);
/* A SYNC, and the queue runs. True if all is consumed and GERROR tells of no error. */
bool sync_commands(struct guest *guest);

void set_ste(struct guest *guest, uint32_t stream, uint64_t word0, uint64_t word1);
/* CONTEXT with these tables. */
void set_context(struct guest *guest, uint64_t tables);
/* Stage 1 by CONTEXT: writes the STE and tells the SMMU. */
bool set_stage1(struct guest *guest, uint32_t stream);
bool set_bypass(struct guest *guest, uint32_t stream);
bool set_abort(struct guest *guest, uint32_t stream);

void map(struct guest *guest, uint64_t tables, uint64_t iova, uint64_t to);
void unmap(struct guest *guest, uint64_t tables, uint64_t iova);
bool invalidate_page(struct guest *guest, uint64_t iova);

volatile uint64_t *at(struct guest *guest, uint64_t address);

/* The oldest event that the guest was given; false if there is none. */
bool take_event(struct guest *guest, uint64_t event[4]);

#endif
