/* SPDX-License-Identifier: MIT */
/* From captures to a machine: its ID registers, its memory, its streams. */
#ifndef HOST_LOAD_H
#define HOST_LOAD_H

#include "capture.h"
#include "machine.h"

/* The StreamID of no device: beyond every stream table. */
#define NO_STREAM UINT32_MAX

/*
 * The value that a capture read of a register, or what the original should have shown: QEMU with
 * stage=2 has IDR3.HAD without IDR0.S1P, which 6.3.4 forbids and the library refuses.
 */
uint64_t load_corrected(const struct capture *const *captures, guint count, uint64_t offset,
			uint64_t value);

/* The changes that make vsmmu_config's ID registers those of the captures: for each register, the
 * first capture that read it. Free it with g_free. */
char *load_features(const struct capture *const *captures, guint count);

/*
 * Reserves memory for all addresses that the captures name. Known are the pages of snapshots and
 * the queues; with `everything` all in between too, as a trace does not tell what else there was.
 */
gboolean load_ram(struct ram *ram, const struct capture *const *captures, guint count,
		  gboolean everything);

/* Adds the streams that T, D and F lines name, and NO_STREAM. */
gboolean load_streams(const struct machine *machine, const struct capture *const *captures,
		      guint count);

/* Puts a snapshot's memory in place. */
void load_memory(const struct ram *ram, const struct capture *snapshot);

#endif
