/* SPDX-License-Identifier: MIT */
/* The translations of a snapshot: its T, D and F lines. */
#ifndef HOST_PROBE_H
#define HOST_PROBE_H

#include "capture.h"
#include "machine.h"
#include "report.h"

/*
 * Checks every T, D and F line on a machine that has the snapshot's memory. `silent`: no event may
 * be left behind, because the trace around it does not have it; then F lines are asked for
 * speculatively, which must fail without one.
 */
void probe_snapshot(struct machine *machine, const struct capture *snapshot,
		    struct report *report, gboolean silent);

#endif
