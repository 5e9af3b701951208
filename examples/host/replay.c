/* SPDX-License-Identifier: MIT */
#include "replay.h"

static gboolean replay_file(const struct library *library, const char *path,
			    const struct replay_options *options, GError **error)
{
	struct report report = { .path = path };
	struct capture capture;
	gboolean played;

	if (!capture_load(&capture, path, error))
		return FALSE;
	report_title(&report);
	played = (capture.snapshot ? replay_snapshot : replay_trace)(library, &capture, options,
								     &report, error);
	if (played)
		report_print(&report);
	capture_free(&capture);
	return played && report.differences == 0;
}

gboolean replay_files(const struct library *library, char *const *paths,
		      const struct replay_options *options)
{
	gboolean good = TRUE;

	for (; *paths != NULL; paths++) {
		g_autoptr(GError) error = NULL;

		good = replay_file(library, *paths, options, &error) && good;
		if (error != NULL)
			g_printerr("host: %s\n", error->message);
	}
	return good;
}
