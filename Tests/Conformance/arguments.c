/* SPDX-License-Identifier: MIT */
/* Each parameter of each function of vsmmuv3.h, wrong. */
#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>

vsmmu_t *arguments_of;
const char *argument_message;

void argument_told(const char *name, const char *file, int line, const char *function)
{
	char message[256] = "", text[400];

	if (arguments_of)
		api.vsmmu_error_message(arguments_of, message, sizeof(message));
	else if (argument_message)
		snprintf(message, sizeof(message), "%s", argument_message);
	else
		return;
	snprintf(text, sizeof(text), "the sentence of %s names %s: %s", function, name, message);
	check(strstr(message, name) != NULL, file, line, text);
}

static void creation(void)
{
	vsmmu_config config = { .size = sizeof(config) };
	vsmmu_t *made = NULL, **out = &made;
	char message[256] = "";
	const uint64_t size = sizeof(message);
	const vsmmu_ops *ops = &guest_ops;
	vsmmu_ops whole = guest_ops;

	argument_message = message;
	WRONG(vsmmu_create, config, EINVAL, NULL, ops, NULL, out, message, size);
	SIZED(vsmmu_create, config, config, 8, IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, profile, 3, EINVAL, config, IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, flags, 1024, EINVAL, config, IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, tlb_entries, (1 << 20) + 1, EINVAL, config,
	      IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, configuration_entries, (1 << 16) + 1, EINVAL, config,
	      IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, features, "OAS", EINVAL, config,
	      IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, ioas, 1, EINVAL, config, IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, parent_hwpt, 1, EINVAL, config,
	      IT, ops, NULL, out, message, size);
	FIELD(vsmmu_create, config, reserved, 1, EINVAL, config, IT, ops, NULL, out, message, size);
	WRONG(vsmmu_create, ops, EINVAL, &config, NULL, NULL, out, message, size);
	SIZED(vsmmu_create, ops, whole, 8, &config, IT, NULL, out, message, size);
	FIELD(vsmmu_create, ops, reserved, 1, EINVAL, whole,
	      &config, IT, NULL, out, message, size);
	WRONG(vsmmu_create, out, EINVAL, &config, ops, NULL, NULL, message, size);
	CHECK(made == NULL);
	RIGHT(vsmmu_create, opaque, &config, ops, NULL, out, message, size);
	api.vsmmu_destroy(made);
	RIGHT(vsmmu_create, message, &config, ops, NULL, out, NULL, size);
	api.vsmmu_destroy(made);
	RIGHT(vsmmu_create, message_size, &config, ops, NULL, out, message, 0);
	api.vsmmu_destroy(made);
	argument_message = NULL;
	HARMLESS(vsmmu_destroy, vsmmu, NULL);
}

static void registers(vsmmu_t *vsmmu)
{
	char message[8];
	uint64_t value;

	NOBODY(vsmmu_reset, vsmmu, NULL);
	NOBODY(vsmmu_error_message, vsmmu, NULL, message, 8);
	RIGHT(vsmmu_error_message, message, vsmmu, NULL, 8);
	RIGHT(vsmmu_error_message, message_size, vsmmu, message, 0);
	NOBODY(vsmmu_mmio_read, vsmmu, NULL, 0, 4, &value);
	WRONG(vsmmu_mmio_read, offset, EINVAL, vsmmu, VSMMU_MMIO_SIZE, 4, &value);
	WRONG(vsmmu_mmio_read, offset, EINVAL, vsmmu, UINT64_MAX, 4, &value);
	WRONG(vsmmu_mmio_read, width, EINVAL, vsmmu, 0, 0, &value);
	WRONG(vsmmu_mmio_read, width, EINVAL, vsmmu, 0, 3, &value);
	WRONG(vsmmu_mmio_read, width, EINVAL, vsmmu, 0, 16, &value);
	WRONG(vsmmu_mmio_read, value, EINVAL, vsmmu, 0, 4, NULL);
	NOBODY(vsmmu_mmio_write, vsmmu, NULL, 0, 4, 0);
	WRONG(vsmmu_mmio_write, offset, EINVAL, vsmmu, VSMMU_MMIO_SIZE, 4, 0);
	WRONG(vsmmu_mmio_write, width, EINVAL, vsmmu, 0, 16, 0);
	RIGHT(vsmmu_mmio_write, value, vsmmu, 0, 4, UINT64_MAX);
	NOBODY(vsmmu_run, vsmmu, NULL, 0);
	RIGHT(vsmmu_run, budget, vsmmu, UINT32_MAX);
}

static void memory(vsmmu_t *vsmmu)
{
	const uint64_t far = UINT64_C(1) << 40, last = ~UINT64_C(0xfff);
	static _Alignas(4096) uint8_t page[4096];
	uint8_t *const odd = page + 8;

	NOBODY(vsmmu_ram_add, vsmmu, NULL, far, 4096, page);
	WRONG(vsmmu_ram_add, address, EINVAL, vsmmu, 1, 4096, page);
	WRONG(vsmmu_ram_add, address, EEXIST, vsmmu, RAM, 4096, page);
	WRONG(vsmmu_ram_add, length, EINVAL, vsmmu, far, 0, page);
	WRONG(vsmmu_ram_add, length, EINVAL, vsmmu, far, 4095, page);
	WRONG(vsmmu_ram_add, address, EINVAL, vsmmu, last, 8192, page);
	WRONG(vsmmu_ram_add, host, EINVAL, vsmmu, far, 4096, NULL);
	WRONG(vsmmu_ram_add, host, EINVAL, vsmmu, far, 4096, odd);
	NOBODY(vsmmu_ram_add_file, vsmmu, NULL, far, 4096, page, 0, 0);
	WRONG(vsmmu_ram_add_file, address, EINVAL, vsmmu, 1, 4096, page, 0, 0);
	WRONG(vsmmu_ram_add_file, length, EINVAL, vsmmu, far, 1, page, 0, 0);
	WRONG(vsmmu_ram_add_file, host, EINVAL, vsmmu, far, 4096, NULL, 0, 0);
	WRONG(vsmmu_ram_add_file, fd, EINVAL, vsmmu, far, 4096, page, -1, 0);
	WRONG(vsmmu_ram_add_file, offset, EINVAL, vsmmu, far, 4096, page, 0, 1);
	NOBODY(vsmmu_ram_remove, vsmmu, NULL, RAM);
	WRONG(vsmmu_ram_remove, address, ENOENT, vsmmu, far);
	NOBODY(vsmmu_stream_add, vsmmu, NULL, 9);
	WRONG(vsmmu_stream_add, stream, EEXIST, vsmmu, 0);
	NOBODY(vsmmu_stream_remove, vsmmu, NULL, 0);
	WRONG(vsmmu_stream_remove, stream, ENOENT, vsmmu, 99);
}

static void accesses(vsmmu_t *vsmmu)
{
	vsmmu_access access = { .size = sizeof(access) };
	vsmmu_result result = { .size = sizeof(result) }, *r = &result;
	uint8_t data[8] = { 0 };

	NOBODY(vsmmu_translate, vsmmu, NULL, &access, r);
	WRONG(vsmmu_translate, access, EINVAL, vsmmu, NULL, r);
	SIZED(vsmmu_translate, access, access, 24, vsmmu, IT, r);
	FIELD(vsmmu_translate, access, flags, 256, EINVAL, access, vsmmu, IT, r);
	FIELD(vsmmu_translate, access, reserved, 1, EINVAL, access, vsmmu, IT, r);
	FIELD(vsmmu_translate, access, stream, 99, ENOENT, access, vsmmu, IT, r);
	WRONG(vsmmu_translate, result, EINVAL, vsmmu, &access, NULL);
	SIZED(vsmmu_translate, result, result, 24, vsmmu, &access, IT);
	NOBODY(vsmmu_dma_read, vsmmu, NULL, &access, data, 8, r);
	WRONG(vsmmu_dma_read, access, EINVAL, vsmmu, NULL, data, 8, r);
	SIZED(vsmmu_dma_read, access, access, 24, vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_read, access, flags, 256, EINVAL, access, vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_read, access, flags, VSMMU_ACCESS_WRITE, EINVAL, access,
	      vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_read, access, flags, VSMMU_ACCESS_INSPECT, EINVAL, access,
	      vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_read, access, reserved, 1, EINVAL, access, vsmmu, IT, data, 8, r);
	WRONG(vsmmu_dma_read, data, EINVAL, vsmmu, &access, NULL, 8, r);
	RIGHT(vsmmu_dma_read, length, vsmmu, &access, data, 0, r);
	WRONG(vsmmu_dma_read, result, EINVAL, vsmmu, &access, data, 8, NULL);
	SIZED(vsmmu_dma_read, result, result, 24, vsmmu, &access, data, 8, IT);
	NOBODY(vsmmu_dma_write, vsmmu, NULL, &access, data, 8, r);
	WRONG(vsmmu_dma_write, access, EINVAL, vsmmu, NULL, data, 8, r);
	SIZED(vsmmu_dma_write, access, access, 24, vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_write, access, flags, 256, EINVAL, access, vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_write, access, flags, VSMMU_ACCESS_SPECULATIVE, EINVAL, access,
	      vsmmu, IT, data, 8, r);
	FIELD(vsmmu_dma_write, access, reserved, 1, EINVAL, access, vsmmu, IT, data, 8, r);
	WRONG(vsmmu_dma_write, data, EINVAL, vsmmu, &access, NULL, 8, r);
	RIGHT(vsmmu_dma_write, length, vsmmu, &access, data, 0, r);
	WRONG(vsmmu_dma_write, result, EINVAL, vsmmu, &access, data, 8, NULL);
	SIZED(vsmmu_dma_write, result, result, 24, vsmmu, &access, data, 8, IT);
	EQUAL(api.vsmmu_access_begin(NULL), 0);
	HARMLESS(vsmmu_access_begin, vsmmu, NULL);
	HARMLESS(vsmmu_access_end, vsmmu, NULL, 1);
	HARMLESS(vsmmu_access_end, token, vsmmu, UINT64_MAX);
}

static void states(vsmmu_t *vsmmu)
{
	static uint8_t state[4096];
	int64_t size = api.vsmmu_save(vsmmu, state, sizeof(state));
	vsmmu_counters counters = { .size = sizeof(counters) };

	NOBODY(vsmmu_save, vsmmu, NULL, state, 4096);
	WRONG(vsmmu_save, data, EINVAL, vsmmu, NULL, 4096);
	RIGHT(vsmmu_save, capacity, vsmmu, NULL, 0);
	NOBODY(vsmmu_validate, vsmmu, NULL, state, size);
	WRONG(vsmmu_validate, data, EINVAL, vsmmu, NULL, size);
	arguments_of = NULL;
	WRONG(vsmmu_validate, length, EINVAL, vsmmu, state, 0);
	WRONG(vsmmu_validate, length, EINVAL, vsmmu, state, size - 1);
	WRONG(vsmmu_validate, length, EINVAL, vsmmu, state, size + 1);
	NOBODY(vsmmu_restore, vsmmu, NULL, state, size);
	WRONG(vsmmu_restore, data, EINVAL, vsmmu, NULL, size);
	WRONG(vsmmu_restore, length, EINVAL, vsmmu, state, 0);
	WRONG(vsmmu_restore, length, EINVAL, vsmmu, state, size - 1);
	arguments_of = vsmmu;
	NOBODY(vsmmu_get_counters, vsmmu, NULL, &counters);
	WRONG(vsmmu_get_counters, counters, EINVAL, vsmmu, NULL);
	SIZED(vsmmu_get_counters, counters, counters, 8, vsmmu, IT);
}

static void nodes(vsmmu_t *vsmmu)
{
	const vsmmu_id_mapping mapping = { .count = 1 }, none = { .count = 0 };
	vsmmu_iort iort = { .size = sizeof(iort), .mappings = &mapping, .mapping_count = 1 };
	static uint8_t data[1024];

	NOBODY(vsmmu_iort_nodes, vsmmu, NULL, &iort, data, 1024);
	WRONG(vsmmu_iort_nodes, iort, EINVAL, vsmmu, NULL, data, 1024);
	SIZED(vsmmu_iort_nodes, iort, iort, 52, vsmmu, IT, data, 1024);
	FIELD(vsmmu_iort_nodes, iort, mappings, NULL, EINVAL, iort, vsmmu, IT, data, 1024);
	FIELD(vsmmu_iort_nodes, iort, mappings, &none, EINVAL, iort, vsmmu, IT, data, 1024);
	WRONG(vsmmu_iort_nodes, data, EINVAL, vsmmu, &iort, NULL, 1024);
	RIGHT(vsmmu_iort_nodes, capacity, vsmmu, &iort, NULL, 0);
}

static void arguments_of_a_device(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	creation();
	arguments_of = guest.vsmmu;
	registers(guest.vsmmu);
	memory(guest.vsmmu);
	accesses(guest.vsmmu);
	states(guest.vsmmu);
	nodes(guest.vsmmu);
	guest_close(&guest);
}

void argument_section(void)
{
	RUN(arguments_of_a_device);
	RUN(arguments_of_a_host);
	RUN(arguments_of_an_emulated_host);
}
