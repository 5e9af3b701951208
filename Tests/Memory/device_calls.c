/* SPDX-License-Identifier: MIT */
/* Calls on a vSMMU, without a host. */
#include "attempt.h"

static void nothing(void) {}

static void open_guest(void)
{
	CHECK(guest_open(GUEST, NULL));
}

static void close_guest(void)
{
	guest_close(GUEST);
}

/* Creation. */

static int64_t create(uint32_t tlb_entries, uint32_t configuration_entries)
{
	vsmmu_config config = {
		.size = sizeof(config), .tlb_entries = tlb_entries,
		.configuration_entries = configuration_entries, .features = "OAS=4, SIDSIZE=8",
	};
	vsmmu_t *made = NULL;
	int32_t result = api.vsmmu_create(&config, &guest_ops, GUEST, &made, scene.message,
					  sizeof(scene.message));

	CHECK((result == 0) == (made != NULL));
	CHECK((result == 0) == (scene.message[0] == 0));
	api.vsmmu_destroy(made);
	return result;
}

static int64_t create_small(void) { return create(0, 0); }
static int64_t create_large(void) { return create(1 << 20, 1 << 16); }

static int64_t create_wrongly(void)
{
	vsmmu_config config = { .size = sizeof(config), .features = "NO_SUCH_FIELD=1" };
	vsmmu_t *made = NULL;

	return api.vsmmu_create(&config, &guest_ops, GUEST, &made, scene.message,
				sizeof(scene.message));
}

static void creation(void)
{
	ATTEMPT("vsmmu_create", nothing, create_small, nothing);
	ATTEMPT("vsmmu_create, large caches", nothing, create_large, nothing);
	ATTEMPT("vsmmu_create, refused", nothing, create_wrongly, nothing, .expected = -EINVAL);
}

/* Memory and streams. */

static uint8_t more[8192] __attribute__((aligned(4096)));

static int64_t ram_add(void)
{
	return api.vsmmu_ram_add(VSMMU, UINT64_C(0x80000000), sizeof(more), more);
}

static int64_t ram_remove(void)
{
	return api.vsmmu_ram_remove(VSMMU, RAM);
}

static int64_t stream_add(void)
{
	return api.vsmmu_stream_add(VSMMU, 70000);
}

static int64_t stream_add_twice(void)
{
	return api.vsmmu_stream_add(VSMMU, 3);
}

static int64_t stream_remove(void)
{
	return api.vsmmu_stream_remove(VSMMU, 3);
}

/* The next one makes the directory grow. */
static void open_full_directory(void)
{
	open_guest();
	for (uint32_t stream = 8; stream < 4096; stream++)
		EQUAL(api.vsmmu_stream_add(VSMMU, stream), 0);
}

static void memory_and_streams(void)
{
	ATTEMPT("vsmmu_ram_add", open_guest, ram_add, close_guest);
	ATTEMPT("vsmmu_ram_remove", open_guest, ram_remove, close_guest);
	ATTEMPT("vsmmu_stream_add", open_guest, stream_add, close_guest);
	ATTEMPT("vsmmu_stream_add, again", open_guest, stream_add_twice, close_guest,
		.expected = -EEXIST);
	ATTEMPT("vsmmu_stream_add, 4097th", open_full_directory, stream_add, close_guest);
	ATTEMPT("vsmmu_stream_remove", open_guest, stream_remove, close_guest, .never_fails = true);
}

/* All 65536, on the reserves alone. */
static void every_stream(void)
{
	uint32_t stream = 8;

	memset(&scene, 0, sizeof(scene));
	open_guest();
	heap_arm(HEAP_STARVED, 0);
	while (stream < 65536 && api.vsmmu_stream_add(VSMMU, stream) == 0)
		stream++;
	EQUAL(api.vsmmu_stream_add(VSMMU, 65536), -ENOMEM);
	heap_disarm();
	EQUAL(stream, 65536);
	close_guest();
}

/* State. */

static void open_state(void)
{
	open_guest();
	guest_start(GUEST);
	set_bypass(GUEST, 0);
	scene.state_size = api.vsmmu_save(VSMMU, scene.state, sizeof(scene.state));
	CHECK(scene.state_size > 0);
}

static int64_t save(void)
{
	uint8_t state[4096];

	return api.vsmmu_save(VSMMU, state, sizeof(state));
}

static int64_t validate(void)
{
	return api.vsmmu_validate(VSMMU, scene.state, scene.state_size);
}

static int64_t restore(void)
{
	return api.vsmmu_restore(VSMMU, scene.state, scene.state_size);
}

static void open_newer_state(void)
{
	open_state();
	/* The oldest version that can read it. */
	scene.state[12]++;
}

static int64_t reset(void)
{
	return api.vsmmu_reset(VSMMU);
}

static void states(void)
{
	ATTEMPT("vsmmu_save", open_state, save, close_guest);
	ATTEMPT("vsmmu_validate", open_state, validate, close_guest);
	ATTEMPT("vsmmu_restore", open_state, restore, close_guest);
	ATTEMPT("vsmmu_restore, a newer state", open_newer_state, restore, close_guest,
		.expected = -E2BIG);
	ATTEMPT("vsmmu_reset", open_state, reset, close_guest, .never_fails = true);
}

/* Refusals whose sentence is put together, on paths that allocate nothing else. */

static int64_t translate_unknown(void)
{
	vsmmu_access access = { .size = sizeof(access), .stream = 99 };
	vsmmu_result result = { .size = sizeof(result) };

	return api.vsmmu_translate(VSMMU, &access, &result);
}

static int64_t counters_too_small(void)
{
	vsmmu_counters counters = { .size = 4 };

	return api.vsmmu_get_counters(VSMMU, &counters);
}

static int64_t report(void)
{
	static char text[32768];

	return api.vsmmu_negotiation_report(VSMMU, VSMMU_REPORT_TEXT, text, sizeof(text));
}

static int64_t firmware(void)
{
	vsmmu_id_mapping mapping = { .count = 256 };
	vsmmu_iort iort = {
		.size = sizeof(iort), .base = 0x9050000, .mappings = &mapping, .mapping_count = 1,
	};
	uint8_t nodes[512];

	return api.vsmmu_iort_nodes(VSMMU, &iort, nodes, sizeof(nodes));
}

static void others(void)
{
	ATTEMPT("vsmmu_translate, unknown stream", open_guest, translate_unknown, close_guest,
		.expected = -ENOENT);
	ATTEMPT("vsmmu_get_counters, refused", open_guest, counters_too_small, close_guest,
		.expected = -EINVAL);
	ATTEMPT("vsmmu_negotiation_report", open_guest, report, close_guest);
	ATTEMPT("vsmmu_iort_nodes", open_guest, firmware, close_guest);
}

void device_calls(void)
{
	RUN(creation);
	RUN(memory_and_streams);
	RUN(every_stream);
	RUN(states);
	RUN(others);
}
