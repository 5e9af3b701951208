/* SPDX-License-Identifier: MIT */
#include "driver.h"

#define COMMAND_LOG2SIZE 6u
#define EVENT_LOG2SIZE 6u
#define PATIENCE (60 * G_TIME_SPAN_SECOND)

/* CMD_SYNC: no signal, or an MSI whose attributes are Normal write-back, inner shareable. */
#define SYNC_NONE UINT64_C(0)
#define SYNC_MSI (UINT64_C(1) << 12 | UINT64_C(3) << 22 | UINT64_C(15) << 24)

static uint32_t read32(const struct driver *driver, uint64_t offset)
{
	return (uint32_t)machine_read(driver->machine, offset, 4);
}

static void write32(const struct driver *driver, uint64_t offset, uint32_t value)
{
	machine_write(driver->machine, offset, 4, value);
}

/* Writes an enable register and waits for its acknowledgement, as a driver must. */
static gboolean enable(const struct driver *driver, uint64_t offset, uint64_t ack, uint32_t value)
{
	gint64 deadline = g_get_monotonic_time() + PATIENCE;

	write32(driver, offset, value);
	while (read32(driver, ack) != value)
		if (g_get_monotonic_time() > deadline)
			return FALSE;
	return TRUE;
}

static void identify(struct driver *driver)
{
	driver->idr0 = read32(driver, SMMU_IDR0);
	driver->idr1 = read32(driver, SMMU_IDR1);
	driver->idr3 = read32(driver, SMMU_IDR3);
	driver->idr5 = read32(driver, SMMU_IDR5);
	driver->output_size = driver->idr5 & 7;
}

/* Linear stream table and both queues; all indices start at 0. */
static void set_up(struct driver *driver)
{
	struct pages *pages = &driver->pages;

	driver->stream_table = pages_take(pages, UINT64_C(64) << STREAM_BITS);
	driver->command = (struct queue){ pages_take(pages, PAGE_BYTES), COMMAND_LOG2SIZE, 0 };
	driver->event = (struct queue){ pages_take(pages, PAGE_BYTES), EVENT_LOG2SIZE, 0 };
	write32(driver, SMMU_CR1, 0xd75); /* tables and queues: write-back, inner shareable */
	write32(driver, SMMU_CR2, CR2_RECINVSID);
	machine_write(driver->machine, SMMU_STRTAB_BASE, 8, driver->stream_table);
	write32(driver, SMMU_STRTAB_BASE_CFG, STREAM_BITS);
	machine_write(driver->machine, SMMU_CMDQ_BASE, 8,
		      driver->command.base | driver->command.log2size);
	write32(driver, SMMU_CMDQ_PROD, 0);
	write32(driver, SMMU_CMDQ_CONS, 0);
	machine_write(driver->machine, SMMU_EVENTQ_BASE, 8,
		      driver->event.base | driver->event.log2size);
	write32(driver, SMMU_EVENTQ_PROD, 0);
	write32(driver, SMMU_EVENTQ_CONS, 0);
}

gboolean driver_start(struct driver *driver, struct machine *machine, uint64_t memory)
{
	uint32_t enabled = CR0_CMDQEN;

	*driver = (struct driver){ .machine = machine,
				   .pages = { .ram = &machine->ram, .next = memory } };
	identify(driver);
	if (!enable(driver, SMMU_CR0, SMMU_CR0ACK, 0))
		return FALSE;
	set_up(driver);
	if (!enable(driver, SMMU_CR0, SMMU_CR0ACK, enabled))
		return FALSE;
	/* What an earlier owner left in the caches. */
	driver_command(driver, CMD_CFGI_ALL, 31);
	driver_command(driver, CMD_TLBI_NSNH_ALL, 0);
	if (!driver_sync(driver))
		return FALSE;
	enabled |= CR0_EVENTQEN;
	return enable(driver, SMMU_CR0, SMMU_CR0ACK, enabled) &&
	       enable(driver, SMMU_IRQ_CTRL, SMMU_IRQ_CTRLACK, IRQ_CTRL_EVENTQ | IRQ_CTRL_GERROR) &&
	       enable(driver, SMMU_CR0, SMMU_CR0ACK, enabled | CR0_SMMUEN);
}

uint64_t driver_stream(const struct driver *driver, uint32_t stream)
{
	return driver->stream_table + UINT64_C(64) * stream;
}

/* Index and wrap bit. */
static uint32_t wrap(const struct queue *queue, uint32_t index)
{
	return index & ((2u << queue->log2size) - 1);
}

static uint64_t slot(const struct queue *queue, uint32_t index, unsigned bytes)
{
	return queue->base + (uint64_t)(index & ((1u << queue->log2size) - 1)) * bytes;
}

void driver_command(struct driver *driver, uint64_t w0, uint64_t w1)
{
	struct queue *queue = &driver->command;
	uint64_t address = slot(queue, queue->index, COMMAND_BYTES);

	ram_write64(&driver->machine->ram, address, w0);
	ram_write64(&driver->machine->ram, address + 8, w1);
	queue->index = wrap(queue, queue->index + 1);
}

void driver_invalidate_stream(struct driver *driver, uint32_t stream)
{
	driver_command(driver, CMD_CFGI_STE | (uint64_t)stream << 32, 1);
}

void driver_invalidate_address(struct driver *driver, uint16_t asid, uint16_t vmid,
			       uint64_t address)
{
	driver_command(driver,
		       CMD_TLBI_NH_VA | (uint64_t)vmid << 32 | (uint64_t)asid << 48,
		       (address & ~UINT64_C(4095)) | 1);
}

static gboolean command_error(const struct driver *driver)
{
	uint32_t active = read32(driver, SMMU_GERROR) ^ read32(driver, SMMU_GERRORN);

	return (active & GERROR_CMDQ_ERR) != 0;
}

/* With IDR0.MSI the SMMU writes zero over the CMD_SYNC itself, so that waiting for it needs no
 * register access; else CMDQ_CONS tells. */
gboolean driver_sync(struct driver *driver)
{
	struct queue *queue = &driver->command;
	uint64_t address = slot(queue, queue->index, COMMAND_BYTES);
	gint *word = ram_at(&driver->machine->ram, address, sizeof *word);
	gboolean msi = bits(driver->idr0, 13, 13) != 0;
	gint64 deadline = g_get_monotonic_time() + PATIENCE;

	driver_command(driver, CMD_SYNC | (msi ? SYNC_MSI : SYNC_NONE), msi ? address : 0);
	write32(driver, SMMU_CMDQ_PROD, queue->index);
	while (g_get_monotonic_time() < deadline) {
		if (msi ? g_atomic_int_get(word) == 0
			: wrap(queue, read32(driver, SMMU_CMDQ_CONS)) == queue->index)
			return TRUE;
		if (command_error(driver))
			return FALSE;
		g_thread_yield();
	}
	return FALSE;
}

gboolean driver_take_event(struct driver *driver, struct event *event)
{
	struct queue *queue = &driver->event;
	uint64_t address = slot(queue, queue->index, EVENT_BYTES);

	if (wrap(queue, read32(driver, SMMU_EVENTQ_PROD)) == queue->index)
		return FALSE;
	for (guint i = 0; i < G_N_ELEMENTS(event->word); i++)
		event->word[i] = ram_read64(&driver->machine->ram, address + i * 8);
	queue->index = wrap(queue, queue->index + 1);
	write32(driver, SMMU_EVENTQ_CONS, queue->index);
	return TRUE;
}

void driver_recover(struct driver *driver, uint32_t *index, unsigned *error)
{
	uint32_t consumed = read32(driver, SMMU_CMDQ_CONS);
	uint64_t address = slot(&driver->command, consumed, COMMAND_BYTES);

	*index = consumed & ((1u << driver->command.log2size) - 1);
	*error = (unsigned)bits(consumed, 30, 24);
	ram_write64(&driver->machine->ram, address, CMD_SYNC);
	ram_write64(&driver->machine->ram, address + 8, 0);
	write32(driver, SMMU_GERRORN, read32(driver, SMMU_GERROR));
}
