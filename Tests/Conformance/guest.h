/* SPDX-License-Identifier: MIT */
/*
 * A host and its guest, by hand: memory, callbacks that keep notes, and a driver's steps as calls.
 */
#ifndef GUEST_H
#define GUEST_H

#include "api.h"
#include "check.h"

#include <errno.h>
#include <string.h>

/* Registered RAM. */
#define RAM UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x400000)
/* Memory behind the callbacks. */
#define DEVICE UINT64_C(0x100000000)
#define DEVICE_SIZE UINT64_C(0x10000)
/* Where an MSI controller listens. */
#define DOORBELL UINT64_C(0x8020040)

/* The guest's use of its RAM. */
#define STREAM_TABLE (RAM + 0x00000)
#define COMMANDS (RAM + 0x10000)
#define EVENTS (RAM + 0x20000)
#define CONTEXT (RAM + 0x30000)
#define STAGE1 (RAM + 0x40000)
#define STAGE2 (RAM + 0x50000)
#define DATA (RAM + 0x100000)

#define COMMAND_BITS 8
#define EVENT_BITS 3
#define STREAM_BITS 4

/* Registers, IHI 0070 G.b 6.2. */
enum {
	IDR0 = 0x00, IDR1 = 0x04, IDR5 = 0x14, IIDR = 0x18, AIDR = 0x1c,
	CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, CR2 = 0x2c, GBPA = 0x44,
	IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54, GERROR = 0x60, GERRORN = 0x64,
	GERROR_IRQ_CFG0 = 0x68, GERROR_IRQ_CFG1 = 0x70,
	STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88,
	CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0,
	EVENTQ_IRQ_CFG0 = 0xb0, EVENTQ_IRQ_CFG1 = 0xb8,
	EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac,
};

/* Commands, 4.1.1. */
enum {
	CFGI_STE = 0x03, CFGI_ALL = 0x04, CFGI_CD = 0x05, TLBI_NH_ALL = 0x10, TLBI_NH_ASID = 0x11,
	TLBI_NH_VA = 0x12, TLBI_NH_VAA = 0x13, TLBI_EL2_ALL = 0x20, TLBI_EL2_ASID = 0x21,
	TLBI_EL2_VA = 0x22, TLBI_EL2_VAA = 0x23, TLBI_S12_VMALL = 0x28,
	TLBI_S2_IPA = 0x2a, TLBI_NSNH_ALL = 0x30, ATC_INV = 0x40, SYNC = 0x46,
};

/* Events, 7.3. */
enum {
	C_BAD_STREAMID = 0x02, F_STE_FETCH = 0x03, C_BAD_STE = 0x04, C_BAD_SUBSTREAMID = 0x08,
	C_BAD_CD = 0x0a, F_WALK_EABT = 0x0b, F_TRANSLATION = 0x10, F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12, F_PERMISSION = 0x13,
};

/* Leaves of stage 1 and stage 2. */
#define PAGE1 (UINT64_C(3) | 1 << 10 | 3 << 8 | 1 << 6 | 1 << 11)
#define PAGE1_READ_ONLY (PAGE1 | 1 << 7)
#define PAGE2 (UINT64_C(3) | 1 << 10 | 3 << 8 | 3 << 6 | 0xf << 2)

/* CMDQ_CONS.ERR, 7.1. */
enum { CERROR_ILL = 1, CERROR_ABT = 2, CERROR_ATC_INV_SYNC = 3 };

#define NOTES 64

struct guest {
	vsmmu_t *vsmmu;
	uint8_t *ram;
	uint8_t device[DEVICE_SIZE];
	/* What the callbacks were told. */
	unsigned reads, writes, works, logs, interrupts[5];
	unsigned dirty_count, message_count, notice_count;
	struct { uint64_t address, length; } dirty[NOTES];
	struct { uint64_t address; uint32_t data; } messages[NOTES];
	vsmmu_invalidation notices[NOTES];
	char log[256];
	uint32_t blame;
	/* What the callbacks are to do. */
	bool refuses_messages;
	uint64_t aborts_at;
};

extern const vsmmu_ops guest_ops;

/* A device with this guest's RAM and streams 0 to 7; NULL is the default configuration. */
bool guest_open(struct guest *guest, const vsmmu_config *config);
/* The same with other callbacks. */
bool guest_open_with(struct guest *guest, const vsmmu_config *config, const vsmmu_ops *ops);
void guest_close(struct guest *guest);

/* Queues, a linear stream table, events, interrupts: all on. */
void guest_start(struct guest *guest);

uint64_t read_register(struct guest *guest, uint64_t offset);
void write_register(struct guest *guest, uint64_t offset, uint64_t value);
void write_register64(struct guest *guest, uint64_t offset, uint64_t value);

void store64(struct guest *guest, uint64_t address, uint64_t value);
uint64_t load64(struct guest *guest, uint64_t address);

/* Puts a command into the queue; publish shows it to the device. */
void queue(struct guest *guest, uint64_t low, uint64_t high);
void publish(struct guest *guest);
void command(struct guest *guest, uint64_t low, uint64_t high);
void sync_all(struct guest *guest);

/* What the command queue has stopped with, 0 = nothing; and the guest acknowledges that. */
uint64_t command_error(struct guest *guest);
void acknowledge(struct guest *guest);

/* Stream table entries. */
void set_ste(struct guest *guest, uint32_t stream, const uint64_t words[8]);
void set_bypass(struct guest *guest, uint32_t stream);
void set_stage1(struct guest *guest, uint32_t stream, uint16_t asid);
void set_stage2(struct guest *guest, uint32_t stream, uint16_t vmid);
void set_nested(struct guest *guest, uint32_t stream, uint16_t asid, uint16_t vmid);

/* One 4 KiB page of a 39-bit space, by three levels of tables. */
void map(struct guest *guest, uint64_t tables, uint64_t from, uint64_t to, uint64_t leaf);
void unmap(struct guest *guest, uint64_t tables, uint64_t from);

vsmmu_result translate(struct guest *guest, uint32_t stream, uint64_t address, uint32_t flags);

/* The number of records waiting; `words` is the oldest, which is consumed. 0 if there is none. */
unsigned take_event(struct guest *guest, uint64_t words[4]);

/* What a refused call must not change. */
struct before {
	uint8_t state[4096];
	int64_t size;
	vsmmu_counters counters;
};
struct before note(struct guest *guest);
void check_refused(struct guest *guest, const struct before *before, const char *word,
		   const char *file, int line);

/* The call is refused with `error` and a sentence that has `word`, and changes nothing. */
#define REFUSED(guest, error, word, call) \
	do { \
		struct before before_ = note(guest); \
		EQUAL((call), (error)); \
		check_refused((guest), &before_, (word), __FILE__, __LINE__); \
	} while (0)

#endif
