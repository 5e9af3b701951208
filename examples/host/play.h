/* SPDX-License-Identifier: MIT */
/* The two halves of --assigned: the VMM's (assigned.c), and its guest's (guest.c). */
#ifndef HOST_PLAY_H
#define HOST_PLAY_H

#include "driver.h"
#include "hypervisor.h"
#include "owner.h"

#define RAM_BASE UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x01000000)
#define DATA (RAM_BASE + UINT64_C(0x00800000))
#define OTHER_DATA (DATA + PAGE_BYTES)
#define BAR UINT64_C(0x50000000)
#define STREAM 8u
#define BUFFER UINT64_C(0x7f0000) /* where process and device have the data */
#define WINDOW UINT64_C(0x7e0000) /* and the other device's BAR */

/* What is where, to tell who has read what. */
#define WORD UINT64_C(0x6d6f6f7262657473)
#define OTHER_WORD UINT64_C(0x6f74686572206461)
#define BAR_WORD UINT64_C(0x70656572206f6666)

struct play {
	struct hypervisor hypervisor;
	struct owner owner;
	struct machine machine;
	struct driver driver;
	struct space space; /* of the process that the device shares */
	gboolean has_btm;   /* it must be offered */
	gboolean good;
};

void expect(struct play *play, gboolean met, const char *what);

/* The device reads what must be `wanted` there; tells. Only emulated ones: what a real device does
 * is its driver's business. */
void device_reads(struct play *play, uint64_t address, uint64_t wanted);
void device_aborts(struct play *play, uint64_t address);

/* The VMM's traps. The guest numbers the device's bus, and so gives it its StreamID; it maps a BAR
 * of another device. */
void on_bus_number(struct play *play);
void on_bar_address(struct play *play);

/* The guest, on the vCPU. */
void guest(struct machine *machine, void *play);

#endif
