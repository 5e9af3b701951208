/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The version of the running QEMU, against the headers' and those that were tested. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-control.h"
#include "fit.h"

/* With which `make qemu-test` was run. */
static const char *const tested[] = { "10.0.13", "11.1.3" };

bool vsmmuv3_version_fits(bool force, Error **errp)
{
	g_autoptr(VersionInfo) version = qmp_query_version(NULL);
	g_autofree char *running = g_strdup_printf("%d.%d.%d", (int)version->qemu->major,
						   (int)version->qemu->minor,
						   (int)version->qemu->micro);

	if (version->qemu->major != QEMU_VERSION_MAJOR
	    || version->qemu->minor != QEMU_VERSION_MINOR) {
		error_setg(errp, "vsmmuv3: this plugin was compiled for QEMU %d.%d, and this is %s",
			   QEMU_VERSION_MAJOR, QEMU_VERSION_MINOR, running);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tested); i++) {
		if (force || !strcmp(running, tested[i])) {
			return true;
		}
	}
	error_setg(errp, "vsmmuv3: this plugin was not tested with QEMU %s: force=on, or "
		   "VSMMUV3_FORCE=on in the environment, tries it", running);
	return false;
}
