/* SPDX-License-Identifier: MIT */
/* A guest driver and a device at work, told to a person. */
#ifndef HOST_DEMO_H
#define HOST_DEMO_H

#include "library.h"

/* TRUE if everything went as the architecture says. */
gboolean demo(const struct library *library, gboolean verbose, GError **error);

#endif
