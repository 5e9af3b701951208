/* SPDX-License-Identifier: MIT */
/* A VMM that owns everything, with an assigned device, told to a person. */
#ifndef HOST_ASSIGNED_H
#define HOST_ASSIGNED_H

#include "library.h"

/* On emulated hosts, or with a VFIO device of this machine's (`device` is not NULL). TRUE if
 * everything went as the architecture and the kernel's rules say. */
gboolean assigned(const struct library *library, const char *device, gboolean verbose,
		  GError **error);

#endif
