/* SPDX-License-Identifier: MIT */
/*
 * What a VMM puts around the SMMU. The guest's code runs on a thread of its own, the vCPU; the main
 * thread runs the main loop, which delivers interrupts and consumes commands that an MMIO access
 * left over.
 */
#ifndef HOST_MACHINE_H
#define HOST_MACHINE_H

#include <glib.h>

#include "library.h"
#include "ram.h"

struct owner;

struct machine {
	const struct library *library;
	vsmmu_t *smmu;
	struct ram ram;
	struct owner *owner; /* attaches assigned devices; NULL: there are none */
	gboolean verbose;

	GMainLoop *loop;
	void (*vcpu)(struct machine *machine, void *argument);
	void *argument;

	GMutex mutex; /* guards `raised` */
	GCond interrupt;
	guint raised[4]; /* interrupts that the vCPU has not taken yet, by VSMMU_IRQ_* */

	gint scheduled; /* atomic: the loop will call vsmmu_run */
	gint runs;      /* atomic: how often it did */
	gint unknown;   /* atomic: the SMMU's accesses to memory that does not exist */
};

/* Makes a device over `machine->ram`, which the caller has reserved and owns until machine_free. */
gboolean machine_create(struct machine *machine, const struct library *library,
			const vsmmu_config *config, GError **error);
void machine_free(struct machine *machine);

/* Runs `vcpu` on its own thread and the main loop on this one, until `vcpu` returns. */
void machine_run(struct machine *machine, void (*vcpu)(struct machine *, void *), void *argument);

/* For the vCPU: waits for an interrupt and takes it. FALSE if none came in five seconds. */
gboolean machine_take_interrupt(struct machine *machine, uint32_t line);

/* For the vCPU: register accesses. */
uint64_t machine_read(const struct machine *machine, uint64_t offset, uint32_t width);
void machine_write(const struct machine *machine, uint64_t offset, uint32_t width, uint64_t value);

/* A translation as a device behind the SMMU asks for it. */
vsmmu_result machine_translate(const struct machine *machine, uint32_t stream, uint64_t address,
			       uint32_t flags);

#endif
