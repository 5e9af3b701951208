/* SPDX-License-Identifier: MIT */
/* A small guest driver: reset, command queue, event queue. It runs on the vCPU. */
#ifndef HOST_DRIVER_H
#define HOST_DRIVER_H

#include "event.h"
#include "machine.h"
#include "tables.h"

#define STREAM_BITS 6u

struct queue {
	uint64_t base;
	unsigned log2size;
	uint32_t index; /* the driver's: PROD of commands, CONS of events */
};

struct driver {
	struct machine *machine;
	struct pages pages;
	uint32_t idr0, idr1, idr3, idr5;
	unsigned output_size; /* IDR5.OAS, as CD.IPS and STE.S2PS encode it too */
	uint64_t stream_table;
	struct queue command;
	struct queue event;
};

/* Brings the SMMU up in the order of 3.11. FALSE if it does not acknowledge. */
gboolean driver_start(struct driver *driver, struct machine *machine, uint64_t memory);

/* Physical address of a stream's STE. */
uint64_t driver_stream(const struct driver *driver, uint32_t stream);

/* Queues a command; nothing happens before driver_sync. */
void driver_command(struct driver *driver, uint64_t w0, uint64_t w1);
void driver_invalidate_stream(struct driver *driver, uint32_t stream);
void driver_invalidate_address(struct driver *driver, uint16_t asid, uint16_t vmid,
			       uint64_t address);

/* CMD_SYNC, and waits until it is complete. FALSE if the queue stopped with an error or if five
 * seconds were not enough. */
gboolean driver_sync(struct driver *driver);

/* Takes the oldest event record, FALSE if there is none. */
gboolean driver_take_event(struct driver *driver, struct event *event);

/* After a command error: CMD_SYNC in place of the command that CMDQ_CONS points at, then the error
 * is acknowledged. Returns the index of the command and its CERROR code. */
void driver_recover(struct driver *driver, uint32_t *index, unsigned *error);

#endif
