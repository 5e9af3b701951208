/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include <gio/gio.h>
#include <string.h>

/* How the words after the kind are read: x hexadecimal, d decimal, s the rest of the line. */
static const char *shape(char kind)
{
	switch (kind) {
	case 'W':
	case 'R':
		return "xdx";
	case 'C':
		return "xx";
	case 'P':
		return "x";
	case 'M':
	case 'S':
		return kind == 'M' ? "xs" : "s";
	case 'T':
		return "xxxxd";
	case 'D':
		return "xxxd";
	case 'F':
		return "xxs";
	case 'E':
	case 'I':
	case '#':
		return "s";
	default:
		return NULL;
	}
}

static gboolean parse(struct item *item, const char *line)
{
	const char *form = shape(line[0]);
	const char *at = line + 1;

	if (form == NULL)
		return FALSE;
	item->kind = line[0];
	for (guint i = 0; form[i] != '\0'; i++) {
		char *end;

		while (*at == ' ')
			at++;
		if (form[i] == 's') {
			item->text = g_strdup(at);
			return *at != '\0';
		}
		item->number[i] = g_ascii_strtoull(at, &end, form[i] == 'x' ? 16 : 10);
		if (end == at)
			return FALSE;
		at = end;
	}
	return *at == '\0';
}

static gboolean read_lines(struct capture *capture, GDataInputStream *lines, GError **error)
{
	GError *failure = NULL;
	char *line;

	for (guint number = 1;
	     (line = g_data_input_stream_read_line(lines, NULL, NULL, &failure)) != NULL;
	     number++) {
		struct item item = { .line = number };
		gboolean good = parse(&item, line);

		if (number == 1)
			good = good && g_str_has_prefix(line, "# vsmmuv3-capture/1 ");
		g_free(line);
		g_array_append_val(capture->items, item);
		if (!good) {
			g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
				    "line %u is not of a capture", number);
			return FALSE;
		}
	}
	if (failure == NULL && capture->items->len > 0)
		return TRUE;
	if (failure != NULL)
		g_propagate_error(error, failure);
	else
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "nothing in it");
	return FALSE;
}

static void clear_item(gpointer item)
{
	g_free(((struct item *)item)->text);
}

gboolean capture_load(struct capture *capture, const char *path, GError **error)
{
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(GFileInputStream) packed = g_file_read(file, NULL, error);
	g_autoptr(GZlibDecompressor) gunzip = NULL;
	g_autoptr(GInputStream) text = NULL;
	g_autoptr(GDataInputStream) lines = NULL;

	if (packed == NULL)
		return FALSE;
	gunzip = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
	text = g_converter_input_stream_new(G_INPUT_STREAM(packed), G_CONVERTER(gunzip));
	lines = g_data_input_stream_new(text);
	*capture = (struct capture){ .path = g_strdup(path),
				     .items = g_array_new(FALSE, FALSE, sizeof(struct item)) };
	g_array_set_clear_func(capture->items, clear_item);
	if (!read_lines(capture, lines, error)) {
		g_prefix_error(error, "%s: ", path);
		capture_free(capture);
		return FALSE;
	}
	capture->snapshot = strstr(capture_item(capture, 0)->text, " snapshot ") != NULL;
	return TRUE;
}

void capture_free(struct capture *capture)
{
	g_free(capture->path);
	if (capture->items != NULL)
		g_array_unref(capture->items);
	*capture = (struct capture){ 0 };
}

const struct item *capture_item(const struct capture *capture, guint index)
{
	if (index >= capture->items->len)
		return NULL;
	return &g_array_index(capture->items, struct item, index);
}

uint64_t capture_register(const struct capture *capture, char kind, uint64_t offset,
			  uint64_t otherwise)
{
	const struct item *item;

	for (guint i = 0; (item = capture_item(capture, i)) != NULL; i++)
		if (item->kind == kind && item->number[0] == offset)
			return item->number[2];
	return otherwise;
}

char *capture_snapshot_path(const struct capture *trace, const char *mark)
{
	const char *suffix = ".trace.gz";
	g_autofree char *name = NULL;

	if (!g_str_has_suffix(trace->path, suffix))
		return NULL;
	name = g_strndup(trace->path, strlen(trace->path) - strlen(suffix));
	return g_strdup_printf("%s.%s.snap.gz", name, mark);
}
