/* SPDX-License-Identifier: MIT */
/* An assigned device on an emulated host, told to a person. */
#ifndef HOST_ASSIGNED_H
#define HOST_ASSIGNED_H

#include "library.h"

/* TRUE if everything went as the architecture and the kernel's rules say. */
gboolean assigned(const struct library *library, gboolean verbose, GError **error);

#endif
