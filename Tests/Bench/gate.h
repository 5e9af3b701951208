/* SPDX-License-Identifier: MIT */
/* What the counted rows share with the timed ones. */
#ifndef GATE_H
#define GATE_H

#include "scene.h"

void fill_unmaps(struct machine *machine);
void fill_random(struct machine *machine);
void fault_once(struct scene *scene, uint64_t address);
void scatter(struct scene *scene, uint64_t pages[256]);

#endif
