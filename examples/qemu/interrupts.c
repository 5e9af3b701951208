/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library asks of the machine: interrupts, by wire and by message, and time. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "system/runstate.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

static void pulse_pending(void *opaque)
{
	VSMMUv3 *s = opaque;
	uint32_t lines = qatomic_xchg(&s->pending, 0);

	for (int line = 0; line < VSMMUV3_LINES; line++) {
		if (lines & 1u << line) {
			qemu_irq_pulse(s->irq[line]);
		}
	}
}

void vsmmuv3_irq(void *opaque, uint32_t line)
{
	VSMMUv3 *s = opaque;

	trace_vsmmuv3_irq(line, bql_locked());
	qatomic_or(&s->pending, 1u << line);
	if (bql_locked()) {
		pulse_pending(s);
	} else {
		qemu_bh_schedule(s->irq_bh);
	}
}

typedef struct Message {
	uint64_t address;
	uint32_t data;
} Message;

static void send_message(void *opaque)
{
	g_autofree Message *message = opaque;

	address_space_stl_le(&address_space_memory, message->address, message->data,
			     MEMTXATTRS_UNSPECIFIED, NULL);
}

/* Its target is a doorbell, a device's register: not from here, but whether it exists is seen. */
int32_t vsmmuv3_msi(void *opaque, uint64_t address, uint32_t data)
{
	VSMMUv3 *s = opaque;
	hwaddr offset, length = 4;
	MemoryRegion *mr;
	Message *message;
	bool sent;

	RCU_READ_LOCK_GUARD();
	mr = address_space_translate(&address_space_memory, address, &offset, &length, true,
				     MEMTXATTRS_UNSPECIFIED);
	sent = mr != &s->registers && length == 4
	       && memory_region_access_valid(mr, offset, 4, true, MEMTXATTRS_UNSPECIFIED);
	trace_vsmmuv3_msi(address, data, sent);
	if (!sent) {
		return -1;
	}
	message = g_new(Message, 1);
	*message = (Message){ .address = address, .data = data };
	aio_bh_schedule_oneshot(qemu_get_aio_context(), send_message, message);
	return 0;
}

void vsmmuv3_work(void *opaque)
{
	VSMMUv3 *s = opaque;

	qemu_bh_schedule(s->work_bh);
}

static void run_commands(void *opaque)
{
	VSMMUv3 *s = opaque;

	if (s->library.run(s->vsmmu, 0) > 0) {
		qemu_bh_schedule(s->work_bh);
	}
}

/* An interrupt must be in the GIC before the GIC is saved, which is before this device. */
static void stopped(void *opaque, bool running, RunState state)
{
	if (!running) {
		pulse_pending(opaque);
	}
}

void vsmmuv3_make_interrupts(VSMMUv3 *s)
{
	s->irq_bh = qemu_bh_new(pulse_pending, s);
	s->work_bh = qemu_bh_new(run_commands, s);
	qemu_add_vm_change_state_handler(stopped, s);
}
