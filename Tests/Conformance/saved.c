/* SPDX-License-Identifier: MIT */
/* What older libraries saved (Tests/Data/state): each state restores to what its text tells. */
#include "guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A file of the tree, with a NUL after it. */
#define EMBED(symbol, path) \
	__asm__(".section .rodata\n" \
		".global " #symbol ", " #symbol "_end\n" \
		#symbol ": .incbin \"" path "\"\n" \
		#symbol "_end: .byte 0\n" \
		".previous\n"); \
	extern const char symbol[], symbol##_end[]

#define SAVED(name) \
	EMBED(saved_##name##_state, "Tests/Data/state/" #name ".state"); \
	EMBED(saved_##name##_text, "Tests/Data/state/" #name ".txt")

SAVED(errors);
SAVED(pending);
SAVED(broadcast);

/* Calls `see` with each line of the text. */
static void each_line(struct guest *guest, const char *text,
		      void (*see)(struct guest *guest, const char *line))
{
	char line[256];

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (!CHECK(length < sizeof(line)))
			return;
		memcpy(line, text, length);
		line[length] = 0;
		see(guest, line);
		text += length + (text[length] == '\n');
	}
}

static vsmmu_config config;
static char features[256];
static unsigned compared;

static void see_configuration(struct guest *guest, const char *line)
{
	(void)guest;
	sscanf(line, "profile %" SCNu32, &config.profile);
	sscanf(line, "flags %" SCNx32, &config.flags);
	sscanf(line, "command_budget %" SCNu32, &config.command_budget);
	if (sscanf(line, "features %255[^\n]", features) == 1)
		config.features = features;
}

static void see_memory(struct guest *guest, const char *line)
{
	uint64_t address, value;

	if (sscanf(line, "memory %" SCNx64 " %" SCNx64, &address, &value) == 2 &&
	    CHECK(address >= RAM && address < RAM + RAM_SIZE && address % 8 == 0))
		store64(guest, address, value);
}

static void see_answer(struct guest *guest, const char *line)
{
	uint64_t offset, value, address;
	uint32_t stream, kind, event;
	vsmmu_result result;

	if (sscanf(line, "register %" SCNx64 " %" SCNx64, &offset, &value) == 2) {
		if (!EQUAL(read_register(guest, offset), value))
			printf("  in \"%s\"\n", line);
		compared++;
	}
	if (sscanf(line, "translate %" SCNu32 " %" SCNx64 " %" SCNu32 " %" SCNx64 " %" SCNx32, &stream,
		   &offset, &kind, &address, &event) == 5) {
		result = translate(guest, stream, offset, 0);
		EQUAL(result.kind, kind);
		EQUAL(result.address, address);
		EQUAL(result.event, event);
		compared++;
	}
}

static void restores(const char *state, const char *end, const char *text)
{
	static struct guest guest;

	config = (vsmmu_config){ .size = sizeof(config) };
	compared = 0;
	each_line(NULL, text, see_configuration);
	if (!guest_open(&guest, &config))
		return;
	each_line(&guest, text, see_memory);
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)(end - state)), 0);
	EQUAL(api.vsmmu_restore(guest.vsmmu, state, (uint64_t)(end - state)), 0);
	while (api.vsmmu_run(guest.vsmmu, 0) == 1)
		continue;
	each_line(&guest, text, see_answer);
	CHECK(compared > 50);
	guest_close(&guest);
}

#define RESTORES(name) \
	static void restores_older_##name(void) \
	{ \
		restores(saved_##name##_state, saved_##name##_state_end, saved_##name##_text); \
	}

RESTORES(errors)
RESTORES(pending)
RESTORES(broadcast)

void saved_section(void)
{
	RUN(restores_older_errors);
	RUN(restores_older_pending);
	RUN(restores_older_broadcast);
}
