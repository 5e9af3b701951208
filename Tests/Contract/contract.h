/* SPDX-License-Identifier: MIT */
/*
 * The contract with a kernel: each row is one call, its arguments and what it must answer. The same
 * rows run on Linux (built with -DREAL) and on the emulated kernel of libvsmmuv3, and print the
 * same lines, so that the two outputs can be compared.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include <vsmmu_iommufd.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* --- The kernel under test (system_real.c, system_emulated.c) -------------------------------- */

/* System calls. Results are those of Linux, errors are negative errno values. */
struct system {
	int32_t (*open)(const char *path);
	int32_t (*close)(int32_t fd);
	int64_t (*ioctl)(int32_t fd, uint32_t request, void *argument);
	int64_t (*read)(int32_t fd, void *data, uint64_t count);
	int64_t (*write)(int32_t fd, const void *data, uint64_t count);
	int32_t (*poll)(int32_t fd); /* the events that are set now */
	int32_t (*dup)(int32_t fd);
	int32_t (*mmap)(int32_t fd, uint64_t offset, uint64_t length, void **address);
	int32_t (*munmap)(void *address, uint64_t length);
	/* The path of assigned device 0, 1 or 2. The last is behind an SMMU of its own. */
	const char *(*device)(unsigned index);
	/* Device 0, open as `fd`, reads 4 bytes at `from` and writes them at `to`. Whether that worked
	 * is seen in memory, and in events. */
	void (*dma)(int32_t fd, uint64_t from, uint64_t to);
	/* Memory decode of device 0 or 1, open as `fd`, is on or off. */
	void (*decode)(int32_t fd, unsigned index, bool on);
	/* An event may take its time. */
	void (*pause)(void);
	/* The SMMU raises CERROR_ILL for reserved encodings of ranges, IHI 0070 G.b 4.4.1.1; QEMU's
	 * does not. */
	bool refuses_reserved_ranges;
};

extern struct system sys;

/* Looks for the kernel; false with a message if there is none. */
bool system_open(int argc, char **argv);
/* False if it finds something left. */
bool system_close(void);

/* Minor version of Linux 7 whose answers are expected. */
extern unsigned profile;

/* What the physical SMMUs lack, or have; or the rows that a kernel must be built for. */
enum machine {
	WHOLE,
	BARS,       /* nothing; CONFIG_VFIO_PCI_DMABUF, which is more than other rows need */
	INCOHERENT, /* neither does firmware promise write-back nor has the SMMU S2FWB */
	UNNESTED,   /* stage 1 only */
	ATS,        /* nothing, and it has ATS: the emulated kernel alone */
	DIRECT,     /* nothing: they have CMDQ-V beside. No Linux here has such a machine. */
};
extern enum machine machine;

static inline int since_7_3(int then, int before)
{
	return profile >= 3 ? then : before;
}

/* --- Rows (row.c) ---------------------------------------------------------------------------- */

/* Names the rows that follow. */
void section(const char *name);

/* One row: `result` >= 0 is "ok" and `want` 0, else it is -want. What was noted since the last row
 * is its output and must be `outputs`. Returns whether it is all as wanted. */
bool row_with(const char *name, int64_t result, int want, const char *outputs);

static inline bool row(const char *name, int64_t result, int want)
{
	return row_with(name, result, want, "");
}

__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
__attribute__((format(printf, 1, 2))) const char *text(const char *format, ...);

/* Says how many rows were right, and returns the exit status. */
int rows_end(void);

/* --- A laboratory (lab.c): what most rows need before them ------------------------------------ */

#define PAGE UINT64_C(0x1000)
#define RAM UINT64_C(0x40000000)
#define RAM_SIZE (16 * PAGE * 16)
#define VSID 0x1234u

/* How far a laboratory is furnished. Each step includes those before. */
enum furniture {
	OPEN,    /* /dev/iommu */
	BOUND,   /* devices 0 and 1 */
	SPACE,   /* an IOAS with RAM in it */
	PARENT,  /* HWPT_ALLOC with NEST_PARENT */
	VIOMMU,  /* one for device 0 */
	VDEVICE, /* device 0 is VSID */
};

struct lab {
	int32_t iommu, device[3]; /* -1: not open */
	uint32_t id[3];           /* of the devices */
	uint32_t ioas, parent, viommu, vdevice;
};

extern uint8_t *ram;

/* Makes one; it is counted as a failure if that does not work. */
struct lab lab_open(enum furniture furniture);
void lab_close(struct lab *lab);

/* --- Calls (calls.c): ids and results are the return value, errors are negative --------------- */

int64_t call(const struct lab *lab, uint32_t request, void *argument);
int64_t destroy(const struct lab *lab, uint32_t id);
int64_t ioas_alloc(const struct lab *lab);
int64_t ioas_map(const struct lab *lab, uint32_t ioas, uint64_t iova, uint64_t length);
int64_t ioas_unmap(const struct lab *lab, uint32_t ioas, uint64_t iova, uint64_t length);
int64_t hwpt_alloc(const struct lab *lab, uint32_t device, uint32_t pt, uint32_t flags);
int64_t hwpt_nested(const struct lab *lab, uint64_t ste0, uint64_t ste1);
int64_t viommu_alloc(const struct lab *lab, uint32_t device, uint32_t hwpt);
int64_t vdevice_alloc(const struct lab *lab, uint32_t device, uint64_t virtual_id);
int64_t veventq_alloc(const struct lab *lab, uint32_t depth, int32_t *fd);
int64_t fault_alloc(const struct lab *lab, int32_t *fd);

int64_t bind_device(int32_t device, int32_t iommu, uint32_t *id);
int64_t attach(int32_t device, uint32_t pt);
int64_t detach(int32_t device);

/* Notes "done=D/N". */
int64_t invalidate(const struct lab *lab, uint32_t id, const void *commands, uint32_t length,
		   uint32_t count);
int64_t invalidate_one(const struct lab *lab, uint64_t low, uint64_t high);

/* Stage 1 of device 0 by the context at CONTEXT; whether a word travels (dma.c). */
void write_context(void);
void map_page(uint64_t iova, uint64_t to);
int64_t copies(const struct lab *lab, uint64_t from, uint64_t to, uint64_t seen);

/* --- Guest structures ------------------------------------------------------------------------- */

#define STE_ABORT UINT64_C(1)
#define STE_BYPASS UINT64_C(9)
#define STE_STAGE1 (UINT64_C(0xb) | CONTEXT)
#define STE_ATTRIBUTES UINT64_C(0xd4) /* S1CIR, S1COR write-back; S1CSH inner shareable */

#define CONTEXT (RAM + 0x10000)
#define TABLES (RAM + 0x20000)
#define SOURCE (RAM + 0x80000)
#define TARGET (RAM + 0x81000)
#define OTHER (RAM + 0x82000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POINTER(p) ((uint64_t)(uintptr_t)(p))

/* Commands, IHI 0070 G.b 4.1.1. */
enum {
	CFGI_STE = 0x03, CFGI_CD = 0x05, CFGI_CD_ALL = 0x06, TLBI_NH_ALL = 0x10,
	TLBI_NH_ASID = 0x11, TLBI_NH_VA = 0x12, TLBI_NH_VAA = 0x13, TLBI_NSNH_ALL = 0x30,
	ATC_INV = 0x40, CMD_SYNC = 0x46,
};

/* --- Sections --------------------------------------------------------------------------------- */

void size_rows(void);
void id_rows(void);
void ioas_rows(void);
void map_rows(void);
void option_rows(void);
void info_rows(void);
void hwpt_rows(void);
void ste_rows(void);
void viommu_rows(void);
void vdevice_rows(void);
void vfio_rows(void);
void attach_rows(void);
void veventq_rows(void);
void fault_rows(void);
void queue_rows(void);
void invalidate_rows(void);
void batch_rows(void);
void dma_rows(void);
void destroy_rows(void);
void file_rows(void);
void teardown_rows(void);
void foreign_rows(void);
void machine_rows(void);
void bar_rows(void);
void ats_rows(void);
void direct_rows(void);

#endif
