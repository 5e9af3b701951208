/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device for a QEMU that was built without it, as one file: -plugin FILE, which QEMU loads
 * before it makes devices, or LD_PRELOAD=FILE, whose types are registered with QEMU's own.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/config-file.h"
#include "monitor/qdev.h"
#include "trace/control.h"
#include "../bench/bench.h"
#include "../device.h"
#include "fit.h"

#define PUBLIC __attribute__((visibility("default")))

/* QEMU's plugin API: it refuses another by itself. */
extern PUBLIC int qemu_plugin_version;
PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = VSMMUV3_PLUGIN;

/* QEMU's script makes them, and registers them itself where they are there from the start. */
extern TraceEvent *hw_vsmmuv3_trace_events[];

static bool layouts_fit(VirtMachineState *vms, Error **errp)
{
	return vsmmuv3_machine_fits(vms, errp) && vsmmuv3_sizes_fit(errp);
}

static bool install(bool force)
{
	Error *error = NULL;

	if (object_class_by_name(TYPE_VSMMUV3)) {
		error_report("vsmmuv3: this QEMU has the device already");
		return false;
	}
	if (!vsmmuv3_version_fits(force, &error)) {
		error_report_err(error);
		return false;
	}
	vsmmuv3_layouts_fit = layouts_fit;
	vsmmuv3_register_types();
	vsmmuv3_register_bench();
	return true;
}

static bool forced(void)
{
	return !g_strcmp0(getenv("VSMMUV3_FORCE"), "on");
}

/* What -device vsmmuv3,help says. */
static void print_help(void)
{
	QemuOpts *options = qemu_opts_create(qemu_find_opts("device"), NULL, 0, &error_abort);

	qemu_opt_set(options, "driver", TYPE_VSMMUV3, &error_abort);
	qemu_opt_set(options, "help", "on", &error_abort);
	qdev_device_help(options);
	exit(0);
}

/* One argument of -plugin. QEMU has obeyed -trace and -device vsmmuv3,help before it loads plugins,
 * so both can be said here. */
static bool obey(const char *word, bool *force, bool *help)
{
	if (!strcmp(word, "force=on")) {
		*force = true;
	} else if (g_str_has_prefix(word, "trace=")) {
		trace_enable_events(word + strlen("trace="));
	} else if (!strcmp(word, "help=on")) {
		*help = true;
	} else {
		error_report("vsmmuv3: the plugin takes force=on, help=on and trace=PATTERN, not %s",
			     word);
		return false;
	}
	return true;
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool force = forced(), help = false;

	trace_event_register_group(hw_vsmmuv3_trace_events);
	for (int i = 0; i < argc; i++) {
		if (!obey(argv[i], &force, &help)) {
			return -1;
		}
	}
	if (!install(force)) {
		return -1;
	}
	if (help) {
		print_help();
	}
	return 0;
}

/* Preloaded: QEMU calls this with its own types, but only then, not where a plugin is loaded. */
static void register_types(void)
{
	if (!install(forced())) {
		exit(1);
	}
}

static void __attribute__((constructor)) loaded(void)
{
	register_module_init(register_types, MODULE_INIT_QOM);
}
