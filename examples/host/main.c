/* SPDX-License-Identifier: MIT */
/* host: what a VMM does with libvsmmuv3, without a VM. */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "assigned.h"
#include "demo.h"
#include "hypervisor.h"
#include "library.h"
#include "replay.h"
#include "tree.h"

struct options {
	char *library;
	char *emulated;
	gboolean demo;
	gboolean assigned;
	char *device;
	gboolean replay;
	char *tree;
	char *iort;
	gint budget;
	gboolean verbose;
	char **files;
};

gboolean write_output(const char *path, const void *data, gsize length, GError **error)
{
	if (strcmp(path, "-") != 0)
		return g_file_set_contents(path, data, (gssize)length, error);
	if (fwrite(data, 1, length, stdout) == length && fflush(stdout) == 0)
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "standard output is not writable");
	return FALSE;
}

static gboolean parse(struct options *options, int *argc, char ***argv, GError **error)
{
	const GOptionEntry entries[] = {
		{ "library", 'l', 0, G_OPTION_ARG_FILENAME, &options->library,
		  "The library (default libvsmmuv3.so.0)", "PATH" },
		{ "emulated", 'e', 0, G_OPTION_ARG_FILENAME, &options->emulated,
		  "The emulated host (default libvsmmuv3-emulated.so.0)", "PATH" },
		{ "demo", 'd', 0, G_OPTION_ARG_NONE, &options->demo,
		  "Drive the device like a guest and tell what happens", NULL },
		{ "assigned", 'a', 0, G_OPTION_ARG_NONE, &options->assigned,
		  "The same with a device of an emulated host's (-v prints system calls); with --dtb or "
		  "--iort the tables of a machine with such devices", NULL },
		{ "device", 'D', 0, G_OPTION_ARG_FILENAME, &options->device,
		  "With --assigned: a device of this machine's, /dev/vfio/devices/vfio0", "PATH" },
		{ "replay", 'r', 0, G_OPTION_ARG_NONE, &options->replay,
		  "Replay captures (FILE is *.trace.gz or *.snap.gz)", NULL },
		{ "dtb", 0, 0, G_OPTION_ARG_FILENAME, &options->tree,
		  "Write a device tree blob (- is standard output)", "OUT" },
		{ "iort", 0, 0, G_OPTION_ARG_FILENAME, &options->iort,
		  "Write an ACPI IORT (- is standard output)", "OUT" },
		{ "budget", 'b', 0, G_OPTION_ARG_INT, &options->budget,
		  "Commands that one register access of a replay consumes", "N" },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose,
		  "Print the library's log", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->files, NULL,
		  "[FILE...]" },
		G_OPTION_ENTRY_NULL
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- a host for libvsmmuv3");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return FALSE;
	if (options->demo + options->replay + !!options->tree + !!options->iort +
		    (options->assigned && !options->tree && !options->iort) == 1 &&
	    !(options->assigned && (options->demo || options->replay)) &&
	    !(options->device && (!options->assigned || options->tree || options->iort)) &&
	    options->replay == !!options->files && options->budget >= 0)
		return TRUE;
	g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
		    "give one of --demo, --assigned [--device PATH], --replay FILE..., "
		    "[--assigned] --dtb OUT or --iort OUT");
	return FALSE;
}

static gboolean open_emulated(const struct options *options, struct library *library, GError **error)
{
	return library_open_emulated(
		library, options->emulated ? options->emulated : "libvsmmuv3-emulated.so.0", error);
}

static gboolean write_firmware(const struct options *options, struct library *library, GError **error)
{
	struct hypervisor hypervisor = { 0 };
	gboolean good;

	if (options->assigned &&
	    (!open_emulated(options, library, error) ||
	     !hypervisor_emulate(&hypervisor, library, VSMMU_EMULATED_LINUX_7_3, options->verbose,
				 error)))
		return FALSE;
	good = !options->assigned || hypervisor_lend(&hypervisor, -1, error);
	if (good)
		good = options->tree ? write_tree(library, hypervisor.host, options->tree, error)
				     : write_iort(library, hypervisor.host, options->iort, error);
	if (options->assigned)
		hypervisor_stop(&hypervisor);
	return good;
}

static gboolean run_library(const struct options *options, GError **error)
{
	const struct replay_options replay = { .budget = (guint)options->budget,
					       .verbose = options->verbose };
	struct library library;
	gboolean good;

	if (!library_open(&library, options->library ? options->library : "libvsmmuv3.so.0", error))
		return FALSE;
	if (options->demo)
		good = demo(&library, options->verbose, error);
	else if (options->replay)
		good = replay_files(&library, options->files, &replay);
	else if (options->tree || options->iort)
		good = write_firmware(options, &library, error);
	else
		good = (options->device || open_emulated(options, &library, error)) &&
		       assigned(&library, options->device, options->verbose, error);
	library_close(&library);
	return good;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	g_autoptr(GError) error = NULL;
	gboolean good = parse(&options, &argc, &argv, &error);

	if (good)
		good = run_library(&options, &error);
	if (error != NULL)
		g_printerr("host: %s\n", error->message);
	g_free(options.library);
	g_free(options.emulated);
	g_free(options.device);
	g_free(options.tree);
	g_free(options.iort);
	g_strfreev(options.files);
	return good ? 0 : 1;
}
