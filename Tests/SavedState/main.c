/* SPDX-License-Identifier: MIT */
/*
 * Saves the states of Tests/Data/state, which every later library must be able to read:
 * saved-state LIBRARY FOLDER. Each is a guest in a state worth keeping; beside its bytes goes the
 * text that says what device it needs and what that device then shows.
 */
#include "../Conformance/guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *folder;
static int wrong;

bool check(bool condition, const char *file, int line, const char *text)
{
	if (!condition) {
		wrong++;
		printf("%s:%d: not so: %s\n", file, line, text);
	}
	return condition;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	return check(got == want, file, line, text);
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	return check(strstr(text, word) != NULL, file, line, word);
}

static FILE *open_file(const char *name, const char *kind)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, kind);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static void write_state(struct guest *guest, const char *name)
{
	static uint8_t state[65536];
	int64_t size = api.vsmmu_save(guest->vsmmu, state, sizeof(state));
	FILE *file = open_file(name, "state");

	CHECK(size > 0 && size <= (int64_t)sizeof(state));
	CHECK(fwrite(state, 1, (size_t)size, file) == (size_t)size);
	fclose(file);
}

/* What the device reads of memory, as words that are not zero. */
static void write_memory(struct guest *guest, FILE *file)
{
	for (uint64_t address = RAM; address < RAM + RAM_SIZE; address += 8)
		if (load64(guest, address))
			fprintf(file, "memory 0x%" PRIx64 " 0x%" PRIx64 "\n", address,
				load64(guest, address));
}

static void write_registers(struct guest *guest, FILE *file)
{
	/* The architected registers of Page 0, then the indices of Page 1; 8 bytes are two halves. */
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0x0, 0x2c }, { 0x40, 0x48 }, { 0x50, 0x54 }, { 0x60, 0x74 }, { 0x80, 0x9c },
		{ 0xa0, 0xa4 }, { 0xb0, 0xbc }, { 0xfd0, 0xffc }, { 0x100a8, 0x100ac },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		for (uint32_t offset = ranges[i].first; offset <= ranges[i].last; offset += 4)
			fprintf(file, "register 0x%" PRIx32 " 0x%" PRIx64 "\n", offset,
				read_register(guest, offset));
}

static void write_translation(struct guest *guest, FILE *file, uint32_t stream, uint64_t address)
{
	vsmmu_result result = translate(guest, stream, address, 0);

	fprintf(file, "translate %" PRIu32 " 0x%" PRIx64 " %" PRIu32 " 0x%" PRIx64 " 0x%" PRIx32 "\n",
		stream, address, result.kind, result.address, result.event);
}

/* Both files; the guest goes on as the restored one will. */
static void keep(struct guest *guest, const char *name, const vsmmu_config *config)
{
	FILE *file = open_file(name, "txt");

	fprintf(file, "# Saved by vsmmuv3 %s\n", api.vsmmu_library_version());
	fprintf(file, "profile %" PRIu32 "\nflags 0x%" PRIx32 "\ncommand_budget %" PRIu32 "\n",
		config->profile, config->flags, config->command_budget);
	if (config->features)
		fprintf(file, "features %s\n", config->features);
	write_memory(guest, file);
	write_state(guest, name);
	while (api.vsmmu_run(guest->vsmmu, 0) == 1)
		continue;
	write_registers(guest, file);
	write_translation(guest, file, 1, 0x1234);
	write_translation(guest, file, 2, 0x1234);
	fclose(file);
}

/* A queue whose indices have gone round: the wrap bits differ from those of a new one. */
static void place_commands(struct guest *guest, uint32_t index)
{
	write_register64(guest, CMDQ_BASE, UINT64_C(1) << 62 | COMMANDS | COMMAND_BITS);
	write_register(guest, CMDQ_PROD, index);
	write_register(guest, CMDQ_CONS, index);
	store64(guest, COMMANDS - 8, index);
}

static void place_events(struct guest *guest, uint64_t address, uint32_t index)
{
	write_register64(guest, EVENTQ_BASE, UINT64_C(1) << 62 | address | EVENT_BITS);
	write_register(guest, EVENTQ_PROD, index);
	write_register(guest, EVENTQ_CONS, index);
}

/* GERROR's and the event queue's. */
static void place_messages(struct guest *guest)
{
	write_register64(guest, GERROR_IRQ_CFG0, DOORBELL);
	write_register(guest, GERROR_IRQ_CFG1, 0x1234);
	write_register(guest, GERROR_IRQ_CFG1 + 4, 0x35);
	write_register64(guest, EVENTQ_IRQ_CFG0, DOORBELL + 4);
	write_register(guest, EVENTQ_IRQ_CFG1, 0x89abcdef);
	write_register(guest, EVENTQ_IRQ_CFG1 + 4, 0x2f);
}

/* Stream 1 by a table of two levels, StreamIDs of 2^`bits`. */
static void place_streams(struct guest *guest, unsigned bits)
{
	map(guest, STAGE1, 0x1000, DATA, PAGE1);
	write_register64(guest, STRTAB_BASE, UINT64_C(1) << 62 | STREAM_TABLE);
	write_register(guest, STRTAB_BASE_CFG, 1 << 16 | 6 << 6 | bits);
	store64(guest, STREAM_TABLE, (STREAM_TABLE + 0x1000) | 7);
	set_stage1(guest, 1, 0x25);
	for (int i = 0; i < 8; i++)
		store64(guest, STREAM_TABLE + 0x1000 + 64 + 8 * i,
			load64(guest, STREAM_TABLE + 64 + 8 * i));
	command(guest, CFGI_STE | UINT64_C(1) << 32, 1);
	sync_all(guest);
}

static void acknowledge_errors(struct guest *guest)
{
	write_register(guest, GERRORN, read_register(guest, GERROR));
}

/* All on; an event queue that overflowed, an MSI that aborted, an illegal command not yet seen. */
static void keep_errors(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config) };

	if (!guest_open(&guest, &config))
		return;
	write_register(&guest, GBPA, 0x80000000 | 0x00162b15);
	write_register(&guest, CR1, 0xd75);
	write_register(&guest, CR2, 2);
	place_commands(&guest, 0xf9);
	place_events(&guest, EVENTS, 6);
	place_messages(&guest);
	write_register(&guest, IRQ_CTRL, 5);
	write_register(&guest, CR0, 0x8c);
	place_streams(&guest, 8);
	write_register(&guest, CR0, 0x8d);
	CHECK(translate(&guest, 1, 0x1234, 0).kind == VSMMU_RESULT_OK);
	/* An error that the guest has dealt with, and one that it has not. */
	command(&guest, 0xff, 0);
	write_register(&guest, CMDQ_CONS, read_register(&guest, CMDQ_CONS));
	store64(&guest, COMMANDS + (read_register(&guest, CMDQ_CONS) & 0xff) * 16, SYNC);
	acknowledge_errors(&guest);
	guest.refuses_messages = true;
	for (int i = 0; i < 10; i++)
		translate(&guest, 2, 0x1000 + i, 0);
	EQUAL(read_register(&guest, EVENTQ_PROD) >> 31, 1);
	write_register(&guest, EVENTQ_CONS, 9);
	command(&guest, SYNC, 0);
	command(&guest, 0xfe, 0);
	command(&guest, SYNC, 0);
	EQUAL((read_register(&guest, GERROR) ^ read_register(&guest, GERRORN)) & 1, 1);
	keep(&guest, "errors", &config);
	guest_close(&guest);
}

/* What a Linux guest has, in the middle of its commands. */
static void keep_pending(void)
{
	static struct guest guest;
	const vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX, .command_budget = 3,
	};

	if (!guest_open(&guest, &config))
		return;
	write_register(&guest, CR1, 0xd75);
	write_register(&guest, CR2, 2);
	place_commands(&guest, 0);
	place_events(&guest, EVENTS, 0);
	write_register(&guest, IRQ_CTRL, 4);
	write_register(&guest, CR0, 0xc);
	place_streams(&guest, 9);
	write_register(&guest, CR0, 0xd);
	translate(&guest, 2, 0x1000, 0);
	for (int i = 0; i < 9; i++)
		queue(&guest, TLBI_NSNH_ALL, 0);
	queue(&guest, SYNC, 0);
	publish(&guest);
	keep(&guest, "pending", &config);
	guest_close(&guest);
}

/* A lesser device that hears CPUs, switched off again with its queues on; events aborted. */
static void keep_broadcast(void)
{
	static struct guest guest;
	const vsmmu_config config = {
		.size = sizeof(config), .flags = VSMMU_RESET_ABORTS | VSMMU_STRICT_COMMANDS,
		.features = "BTM=1, SIDSIZE=8, OAS=4, ASID16=0, RIL=0",
	};

	if (!guest_open(&guest, &config))
		return;
	write_register(&guest, CR1, 0x6a);
	write_register(&guest, CR2, 2);
	place_commands(&guest, 0x1fd);
	place_events(&guest, UINT64_C(0x100000000000) - 0x10000, 0xf);
	place_messages(&guest);
	write_register(&guest, CR0, 0xc);
	place_streams(&guest, 8);
	write_register(&guest, CR0, 0xd);
	write_register(&guest, IRQ_CTRL, 1);
	translate(&guest, 2, 0x1000, 0);
	write_register(&guest, GBPA, 0x80000000 | 0x1024f);
	write_register(&guest, CR0, 0xc);
	write_register(&guest, CR2, 0);
	keep(&guest, "broadcast", &config);
	guest_close(&guest);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s LIBRARY FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[2];
	if (!api_load(argv[1]))
		return 1;
	keep_errors();
	keep_pending();
	keep_broadcast();
	return wrong != 0;
}
