/* SPDX-License-Identifier: MIT */
/* Captures: gzipped text, one item a line; Tests/Data/captures/README.md says which items. */
#ifndef HOST_CAPTURE_H
#define HOST_CAPTURE_H

#include <glib.h>
#include <stdint.h>

/* One line. `number` holds its numbers in their order, `text` the words after them. */
struct item {
	char kind;
	guint line;
	uint64_t number[5];
	char *text;
};

struct capture {
	char *path;
	gboolean snapshot; /* else a trace */
	GArray *items;     /* of struct item */
};

gboolean capture_load(struct capture *capture, const char *path, GError **error);
void capture_free(struct capture *capture);

/* The item at an index, NULL past the end: for loops. */
const struct item *capture_item(const struct capture *capture, guint index);

/* The value of the first register access of `kind` ('R' or 'W') at `offset`, or `otherwise`. */
uint64_t capture_register(const struct capture *capture, char kind, uint64_t offset,
			  uint64_t otherwise);

/* NAME.MARK.snap.gz beside a trace NAME.trace.gz, or NULL if the name is another. */
char *capture_snapshot_path(const struct capture *trace, const char *mark);

#endif
