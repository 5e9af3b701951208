/* SPDX-License-Identifier: MIT */
#include "attempt.h"

#include <stdio.h>

struct scene scene;

/* What a refused call must not change. */
struct notes {
	uint8_t state[4096];
	int64_t state_size;
	uint32_t objects, files, mappings, pins;
	uint32_t devices;
};

static struct notes look(void)
{
	struct notes notes;

	memset(&notes, 0, sizeof(notes));
	if (VSMMU) {
		vsmmu_host_counters host = { .size = sizeof(host) };

		notes.state_size = api.vsmmu_save(VSMMU, notes.state, sizeof(notes.state));
		/* Without a host there are none. */
		if (api.vsmmu_get_host_counters(VSMMU, &host) == 0)
			notes.devices = host.devices;
	}
	if (EMULATED) {
		vsmmu_emulated_counters counters = { .size = sizeof(counters) };

		EQUAL(api.vsmmu_emulated_get_counters(EMULATED, &counters), 0);
		notes.objects = counters.objects;
		notes.files = counters.files;
		notes.mappings = counters.mappings;
		notes.pins = counters.pins;
	}
	return notes;
}

/* A call says why by the buffer that it was given, or the device does. */
static void check_sentence(void)
{
	char text[256] = "";

	if (scene.message[0])
		return;
	if (VSMMU)
		CHECK(api.vsmmu_error_message(VSMMU, text, sizeof(text)) > 0);
}

/* Returns whether memory was refused to the call. */
static bool once(const struct attempt *what, enum heap_mode mode, unsigned nth, unsigned *failures)
{
	static struct notes before, after;
	long blocks = heap_blocks();
	bool was_refused;
	int64_t result;

	memset(&scene, 0, sizeof(scene));
	what->open();
	before = look();
	strcpy(scene.message, "");
	heap_arm(mode, nth);
	result = what->call();
	was_refused = heap_refusals() != 0;
	heap_disarm();
	if (result == -ENOMEM) {
		++*failures;
		if (!CHECK(was_refused && mode != HEAP_STARVED && !what->never_fails))
			printf("  %s, mode %d, allocation %u\n", what->name, mode, nth);
		check_sentence();
		after = look();
		if (!what->is_the_kernels && !CHECK(memcmp(&before, &after, sizeof(before)) == 0))
			printf("  %s, mode %d, allocation %u\n", what->name, mode, nth);
		result = what->call();
	}
	if (!CHECK(what->expected ? result == what->expected : result >= 0))
		printf("  %s: %lld %s, mode %d, allocation %u\n", what->name, (long long)result,
		       scene.message, mode, nth);
	what->close();
	if (!EQUAL(heap_blocks(), blocks))
		printf("  %s, mode %d, allocation %u\n", what->name, mode, nth);
	return was_refused;
}

void attempt(const struct attempt *what)
{
	unsigned failures = 0, nth;

	/* What libc keeps after the first time is no leak. */
	memset(&scene, 0, sizeof(scene));
	what->open();
	what->call();
	what->close();
	once(what, HEAP_FULL, 0, &failures);
	for (nth = 1; once(what, HEAP_NTH, nth, &failures); nth++)
		;
	for (nth = 1; once(what, HEAP_FROM, nth, &failures); nth++)
		;
	once(what, HEAP_STARVED, 0, &failures);
	CHECK(what->never_fails || failures != 0);
	printf("     %s: %u allocations, -ENOMEM %u times\n", what->name, nth - 1, failures);
}
