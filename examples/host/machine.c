/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <gio/gio.h>
#include <inttypes.h>

#include "owner.h"

struct pulse {
	struct machine *machine;
	uint32_t line;
};

/* In the loop: the interrupt controller's work. */
static gboolean deliver(gpointer data)
{
	struct pulse *pulse = data;
	struct machine *machine = pulse->machine;

	g_mutex_lock(&machine->mutex);
	machine->raised[pulse->line]++;
	g_cond_broadcast(&machine->interrupt);
	g_mutex_unlock(&machine->mutex);
	return G_SOURCE_REMOVE;
}

/* The device calls with its locks held, so nothing is done here but to ask the loop. */
static void on_irq(void *opaque, uint32_t line)
{
	struct pulse *pulse = g_new(struct pulse, 1);

	*pulse = (struct pulse){ .machine = opaque, .line = line };
	g_idle_add_full(G_PRIORITY_HIGH, deliver, pulse, g_free);
}

static void schedule(struct machine *machine);

static gboolean run_commands(gpointer data)
{
	struct machine *machine = data;

	/* Cleared first: a call that comes from now on must lead to another turn. */
	g_atomic_int_set(&machine->scheduled, 0);
	g_atomic_int_inc(&machine->runs);
	if (machine->library->run(machine->smmu, 0) == 1)
		schedule(machine);
	return G_SOURCE_REMOVE;
}

static void schedule(struct machine *machine)
{
	if (g_atomic_int_compare_and_exchange(&machine->scheduled, 0, 1))
		g_idle_add(run_commands, machine);
}

static void on_work(void *opaque)
{
	schedule(opaque);
}

/* All guest memory is registered, so what arrives here does not exist: an external abort. */
static int32_t on_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	struct machine *machine = opaque;

	(void)data;
	g_atomic_int_inc(&machine->unknown);
	if (machine->verbose)
		g_printerr("no memory: read of %" PRIu64 " bytes at 0x%" PRIx64 "\n", length,
			   address);
	return -1;
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	struct machine *machine = opaque;

	(void)data;
	g_atomic_int_inc(&machine->unknown);
	if (machine->verbose)
		g_printerr("no memory: write of %" PRIu64 " bytes at 0x%" PRIx64 "\n", length,
			   address);
	return -1;
}

static void on_log(void *opaque, uint32_t blame, const char *message)
{
	const struct machine *machine = opaque;

	if (machine->verbose)
		g_printerr("%s: %s\n", blame == VSMMU_LOG_GUEST ? "guest" : "host", message);
}

static int32_t on_attach(void *opaque, uint32_t device, uint32_t hwpt)
{
	const struct machine *machine = opaque;

	return owner_attach(machine->owner, device, hwpt);
}

static int32_t on_detach(void *opaque, uint32_t device)
{
	const struct machine *machine = opaque;

	return owner_detach(machine->owner, device);
}

gboolean machine_create(struct machine *machine, const struct library *library,
			const vsmmu_config *config, GError **error)
{
	vsmmu_ops ops = {
		.size = sizeof ops,
		.mem_read = on_read,
		.mem_write = on_write,
		.irq = on_irq,
		.work = on_work,
		.log = on_log,
		.attach = machine->owner ? on_attach : NULL,
		.detach = machine->owner ? on_detach : NULL,
	};
	char message[256] = "";

	machine->library = library;
	if (library->create(config, &ops, machine, &machine->smmu, message, sizeof message) < 0) {
		machine->smmu = NULL;
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no device: %s", message);
		return FALSE;
	}
	if (!ram_register(&machine->ram, library, machine->smmu)) {
		library->error_message(machine->smmu, message, sizeof message);
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no memory: %s", message);
		library->destroy(machine->smmu);
		machine->smmu = NULL;
		return FALSE;
	}
	g_mutex_init(&machine->mutex);
	g_cond_init(&machine->interrupt);
	machine->loop = g_main_loop_new(NULL, FALSE);
	return TRUE;
}

void machine_free(struct machine *machine)
{
	if (machine->smmu == NULL)
		return;
	/* What is still queued names this machine. */
	while (g_main_context_iteration(NULL, FALSE))
		continue;
	machine->library->destroy(machine->smmu);
	machine->smmu = NULL;
	g_main_loop_unref(machine->loop);
	g_cond_clear(&machine->interrupt);
	g_mutex_clear(&machine->mutex);
}

static gboolean quit(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_REMOVE;
}

static gpointer vcpu_thread(gpointer data)
{
	struct machine *machine = data;

	machine->vcpu(machine, machine->argument);
	g_idle_add(quit, machine->loop);
	return NULL;
}

void machine_run(struct machine *machine, void (*vcpu)(struct machine *, void *), void *argument)
{
	GThread *thread;

	machine->vcpu = vcpu;
	machine->argument = argument;
	thread = g_thread_new("vcpu", vcpu_thread, machine);
	g_main_loop_run(machine->loop);
	g_thread_join(thread);
}

gboolean machine_take_interrupt(struct machine *machine, uint32_t line)
{
	gint64 deadline = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
	gboolean taken;

	g_mutex_lock(&machine->mutex);
	while (machine->raised[line] == 0 &&
	       g_cond_wait_until(&machine->interrupt, &machine->mutex, deadline))
		continue;
	taken = machine->raised[line] > 0;
	if (taken)
		machine->raised[line]--;
	g_mutex_unlock(&machine->mutex);
	return taken;
}

uint64_t machine_read(const struct machine *machine, uint64_t offset, uint32_t width)
{
	uint64_t value = 0;

	if (machine->library->mmio_read(machine->smmu, offset, width, &value) < 0)
		g_error("read of %u bytes at 0x%x refused", width, (unsigned)offset);
	return value;
}

void machine_write(const struct machine *machine, uint64_t offset, uint32_t width, uint64_t value)
{
	if (machine->library->mmio_write(machine->smmu, offset, width, value) < 0)
		g_error("write of %u bytes at 0x%x refused", width, (unsigned)offset);
}

vsmmu_result machine_translate(const struct machine *machine, uint32_t stream, uint64_t address,
			       uint32_t flags)
{
	vsmmu_access access = {
		.size = sizeof access, .flags = flags, .stream = stream, .address = address
	};
	vsmmu_result result = { .size = sizeof result };

	if (machine->library->translate(machine->smmu, &access, &result) < 0)
		g_error("translation for stream 0x%x refused", stream);
	return result;
}
