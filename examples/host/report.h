/* SPDX-License-Identifier: MIT */
/* What a replay has checked, and what was different. */
#ifndef HOST_REPORT_H
#define HOST_REPORT_H

#include <glib.h>

struct report {
	const char *path;
	guint differences;
	guint written;      /* register writes */
	guint compared;     /* register reads */
	guint corrected;    /* reads of registers in which the original broke the architecture */
	guint undetermined; /* reads whose value depends on the timing of the original */
	guint commands;     /* of the trace */
	guint unlogged;     /* commands that the trace published without telling them */
	guint refused;      /* commands that the original took and the architecture forbids */
	guint snapshots;    /* memory loaded in the course of a trace */
	guint passes;       /* how often the following were checked, 0 = once */
	guint pages;        /* translations of mapped pages */
	guint logged;       /* translations that the original logged */
	guint faults;
	guint renamed; /* faults for which the capture names another event than the architecture */
};

/* Counts a difference and prints it if it is among the first ten. */
void report_difference(struct report *report, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The name of the file, at the start; and what was checked, at the end. */
void report_title(const struct report *report);
void report_print(const struct report *report);

#endif
