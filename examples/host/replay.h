/* SPDX-License-Identifier: MIT */
/* Captures of a real driver, played to the library. */
#ifndef HOST_REPLAY_H
#define HOST_REPLAY_H

#include "capture.h"
#include "library.h"
#include "report.h"

struct replay_options {
	guint budget; /* vsmmu_config.command_budget */
	gboolean verbose;
};

/* Replays each file and prints a report on it. TRUE if all was as captured. */
gboolean replay_files(const struct library *library, char *const *paths,
		      const struct replay_options *options);

/* One file; FALSE with an error if it could not be played at all. */
gboolean replay_trace(const struct library *library, const struct capture *trace,
		      const struct replay_options *options, struct report *report, GError **error);
gboolean replay_snapshot(const struct library *library, const struct capture *snapshot,
			 const struct replay_options *options, struct report *report,
			 GError **error);

#endif
