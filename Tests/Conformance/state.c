/* SPDX-License-Identifier: MIT */
/* Section 7 of the header: save, validate, restore. */
#include "guest.h"

#include <stdlib.h>

static void save_tells_its_size(void)
{
	static struct guest guest;
	uint8_t whole[4096], part[4096];
	int64_t size;

	if (!guest_open(&guest, NULL))
		return;
	size = api.vsmmu_save(guest.vsmmu, NULL, 0);
	CHECK(size > 0 && size <= (int64_t)sizeof(whole));
	memset(whole, 0xaa, sizeof(whole));
	EQUAL(api.vsmmu_save(guest.vsmmu, whole, sizeof(whole)), size);
	EQUAL(whole[size], 0xaa);
	/* Too small: the size is told, and nothing beyond the room is touched. */
	memset(part, 0xaa, sizeof(part));
	EQUAL(api.vsmmu_save(guest.vsmmu, part, (uint64_t)size - 1), size);
	EQUAL(part[size - 1], 0xaa);
	EQUAL(api.vsmmu_save(guest.vsmmu, part, 8), size);
	EQUAL(part[8], 0xaa);
	EQUAL(api.vsmmu_save(guest.vsmmu, part, (uint64_t)size), size);
	CHECK(memcmp(whole, part, (size_t)size) == 0);
	guest_close(&guest);
}

/* A guest in the middle of its work goes on on another device. */
static void restore_goes_on(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .command_budget = 2 };
	uint8_t state[4096], again[4096];
	vsmmu_t *old;
	int64_t size;

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	map(&guest, STAGE1, 0x1000, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA);
	EQUAL(translate(&guest, 2, 0x1000, 0).event, C_BAD_STE);
	for (int i = 0; i < 5; i++)
		queue(&guest, TLBI_NSNH_ALL, 0);
	publish(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	CHECK(size <= (int64_t)sizeof(state));

	old = guest.vsmmu;
	EQUAL(api.vsmmu_create(&config, &guest_ops, &guest, &guest.vsmmu, NULL, 0), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM, RAM_SIZE, guest.ram), 0);
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_add(guest.vsmmu, stream), 0);
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size), 0);
	EQUAL(read_register(&guest, CR0), 0);
	guest.notice_count = 0;
	EQUAL(api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size), 0);
	/* Caches outside are told, two of three pending commands were consumed. */
	CHECK(guest.notice_count >= 2);
	EQUAL(read_register(&guest, CR0), 0xd);
	EQUAL(read_register(&guest, CR0ACK), 0xd);
	EQUAL(read_register(&guest, IRQ_CTRLACK), 5);
	EQUAL(translate(&guest, 1, 0x1000, 0).address, DATA);
	EQUAL(api.vsmmu_run(guest.vsmmu, 8), 0);

	/* What was pending is done, so both hold the same state now. */
	EQUAL(api.vsmmu_run(old, 8), 0);
	size = api.vsmmu_save(old, state, sizeof(state));
	EQUAL(api.vsmmu_save(guest.vsmmu, again, sizeof(again)), size);
	CHECK(memcmp(state, again, (size_t)size) == 0);
	sync_all(&guest);
	api.vsmmu_destroy(old);
	guest_close(&guest);
}

/* Any damage is found, and the device stays as it was. */
static void restore_finds_damage(void)
{
	static struct guest guest;
	uint8_t state[4096];
	int64_t size;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	if (!CHECK(size > 24 && size <= (int64_t)sizeof(state)))
		return;
	for (int64_t i = 0; i < size; i++) {
		int32_t error;

		state[i] ^= 0x80;
		error = api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size);
		CHECK(error == -EINVAL || error == -E2BIG);
		EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size), error);
		state[i] ^= 0x80;
	}
	for (int64_t i = 0; i < size; i++) {
		/* In memory of that very size, for what watches over reads. */
		uint8_t *cut = malloc((size_t)i + 1);

		memcpy(cut, state, (size_t)i);
		EQUAL(api.vsmmu_validate(guest.vsmmu, cut, (uint64_t)i), -EINVAL);
		EQUAL(api.vsmmu_restore(guest.vsmmu, cut, (uint64_t)i), -EINVAL);
		free(cut);
	}
	state[0] ^= 1;
	REFUSED(&guest, -EINVAL, "saved state",
		api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size));
	state[0] ^= 1;
	state[size - 1] ^= 1;
	REFUSED(&guest, -EINVAL, "damaged",
		api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size));
	state[size - 1] ^= 1;
	REFUSED(&guest, -EINVAL, "saved state",
		api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size - 1));
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size + 1), -EINVAL);
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size), 0);
	guest_close(&guest);
}

/* The CRC-32 of Snapshot.swift, of all but itself. */
static void seal(uint8_t *state, int64_t size)
{
	uint32_t crc = UINT32_MAX;

	for (int64_t i = 0; i < size; i++) {
		if (i >= 20 && i < 24)
			continue;
		crc ^= state[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
	}
	for (int i = 0; i < 4; i++)
		state[20 + i] = (uint8_t)(~crc >> 8 * i);
}

static uint32_t get32(const uint8_t *state, int64_t place)
{
	uint32_t value;

	memcpy(&value, state + place, sizeof(value));
	return value;
}

static void put32(uint8_t *state, int64_t place, uint32_t value)
{
	memcpy(state + place, &value, sizeof(value));
}

/* Where the section begins, 0 if there is none. */
static int64_t find_section(const uint8_t *state, int64_t size, const char *name)
{
	char padded[8] = "";

	memcpy(padded, name, strlen(name));
	for (int64_t place = 24; place + 16 <= size; place += 16 + get32(state, place + 12))
		if (memcmp(state + place, padded, sizeof(padded)) == 0)
			return place;
	return 0;
}

/* Puts `length` bytes in at `place`; returns the new size. */
static int64_t insert(uint8_t *state, int64_t size, int64_t place, const void *bytes, int64_t length)
{
	memmove(state + place + length, state + place, (size_t)(size - place));
	memcpy(state + place, bytes, (size_t)length);
	return size + length;
}

/* Two records of one register: which is right, no one can tell. */
static void restore_refuses_a_register_twice(void)
{
	static struct guest guest;
	uint8_t state[4096], twice[4096];
	int64_t size, longer, length;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	if (!CHECK(size > 40 && size + 16 <= (int64_t)sizeof(state)))
		return;
	for (int64_t section = 24; section < size; section += 16 + length) {
		length = get32(state, section + 12);
		for (int64_t record = section + 16; record < section + 16 + length; record += 16) {
			memcpy(twice, state, (size_t)size);
			longer = insert(twice, size, section + 16 + length, state + record, 16);
			put32(twice, section + 12, (uint32_t)length + 16);
			seal(twice, longer);
			REFUSED(&guest, -EINVAL, "twice",
				api.vsmmu_restore(guest.vsmmu, twice, (uint64_t)longer));
		}
	}
	seal(state, size);
	EQUAL(api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size), 0);
	guest_close(&guest);
}

/* A section that is strange in one way is refused by its name, and nothing changes. */
static void restore_refuses_strange_sections(void)
{
	static const char *const names[] = { "ID", "CONTROL", "CMDQ", "EVENTQ" };
	static struct guest guest;
	uint8_t state[4096], strange[4096];
	int64_t size, place, length, longer;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	EQUAL(get32(state, 16), 4);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		place = find_section(state, size, names[i]);
		if (!CHECK(place != 0))
			return;
		length = 16 + get32(state, place + 12);
#define STRANGE(error, word, size) \
	seal(strange, (size)); \
	EQUAL(api.vsmmu_validate(guest.vsmmu, strange, (uint64_t)(size)), (error)); \
	REFUSED(&guest, (error), (word), \
		api.vsmmu_restore(guest.vsmmu, strange, (uint64_t)(size))); \
	REFUSED(&guest, (error), names[i], \
		api.vsmmu_restore(guest.vsmmu, strange, (uint64_t)(size)))

		memcpy(strange, state, (size_t)size);
		put32(strange, place + 8, 7);
		STRANGE(-E2BIG, "version 7", size);
		put32(strange, place + 8, 0);
		STRANGE(-EINVAL, "not made as it should be", size);

		/* There twice. */
		memcpy(strange, state, (size_t)size);
		longer = insert(strange, size, place + length, state + place, length);
		put32(strange, 16, 5);
		STRANGE(-EINVAL, "twice", longer);

		/* Not there. */
		memcpy(strange, state, (size_t)place);
		memcpy(strange + place, state + place + length, (size_t)(size - place - length));
		put32(strange, 16, 3);
		STRANGE(-EINVAL, "no section", size - length);

		/* At the end. */
		if (i < 3) {
			longer = insert(strange, size - length, size - length, state + place, length);
			put32(strange, 16, 4);
			STRANGE(-EINVAL, "too late", longer);
		}

		/* Half a record. */
		memcpy(strange, state, (size_t)size);
		longer = insert(strange, size, place + length, state, 8);
		put32(strange, place + 12, (uint32_t)length - 8);
		STRANGE(-EINVAL, "not made as it should be", longer);
	}
#undef STRANGE
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size), 0);
	guest_close(&guest);
}

/* A part of a later library's device: refused by name, whatever it is and wherever it stands. */
static void restore_refuses_unknown_sections(void)
{
	static const struct { char name[8]; const char *told; } unknown[] = {
		{ "STALLS", "STALLS" }, { "ECMDQ", "ECMDQ" }, { "EVENTQ2", "EVENTQ2" }, { "cmdq", "cmdq" },
		{ { 'R', '\n', '\x7f', '%', 's', '\x1b', 'O', 'O' }, "R??%s?OO" }, { "", "section " },
	};
	static struct guest guest;
	uint8_t state[4096], longer[4096], section[16 + 32] = { 0 };
	int64_t size, place;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		for (place = 24; place <= size; place += 16 + get32(state, place + 12)) {
			for (uint32_t length = 0; length <= 32; length += 16) {
				int64_t whole;

				memcpy(section, unknown[i].name, 8);
				put32(section, 8, 1);
				put32(section, 12, length);
				memcpy(longer, state, (size_t)size);
				whole = insert(longer, size, place, section, 16 + length);
				put32(longer, 16, 5);
				seal(longer, whole);
				REFUSED(&guest, -EINVAL, unknown[i].told,
					api.vsmmu_restore(guest.vsmmu, longer, (uint64_t)whole));
			}
			if (place == size)
				break;
		}
	guest_close(&guest);
}

/* Lengths and counts that lead out of the saved state. */
static void restore_refuses_wild_lengths(void)
{
	static const uint32_t wild[] = { 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 4096, 17 };
	static struct guest guest;
	uint8_t state[4096], *strange;
	int64_t size;

	if (!guest_open(&guest, NULL))
		return;
	guest_start(&guest);
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (int64_t place = 24; place < size; place += 16 + get32(state, place + 12)) {
			/* In memory of that very size, for what watches over reads. */
			strange = malloc((size_t)size);
			memcpy(strange, state, (size_t)size);
			put32(strange, place + 12, get32(state, place + 12) + wild[i]);
			seal(strange, size);
			REFUSED(&guest, -EINVAL, "saved state",
				api.vsmmu_restore(guest.vsmmu, strange, (uint64_t)size));
			free(strange);
		}
		strange = malloc((size_t)size);
		memcpy(strange, state, (size_t)size);
		put32(strange, 16, 4 + wild[i]);
		seal(strange, size);
		REFUSED(&guest, -EINVAL, "saved state",
			api.vsmmu_restore(guest.vsmmu, strange, (uint64_t)size));
		free(strange);
	}
	guest_close(&guest);
}

static void restore_knows_versions(void)
{
	static struct guest guest;
	uint8_t state[4096];
	int64_t size;

	if (!guest_open(&guest, NULL))
		return;
	size = api.vsmmu_save(guest.vsmmu, state, sizeof(state));
	EQUAL(get32(state, 8), 2);
	EQUAL(get32(state, 12), 2);
	/* Version 9 that version 2 can read; then one that only 9 can. */
	state[8] = 9;
	seal(state, size);
	EQUAL(api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size), 0);
	state[12] = 9;
	seal(state, size);
	REFUSED(&guest, -E2BIG, "9", api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size));
	REFUSED(&guest, -E2BIG, "9", api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size));
	guest_close(&guest);
}

/* The state of a device with other ID registers is refused by the name of the field. */
static void restore_refuses_a_foreign_state(void)
{
	static struct guest guest, other;
	static const struct { const char *features, *field; } foreign[] = {
		{ "OAS=4", "OAS" }, { "SIDSIZE=8", "SIDSIZE" }, { "IIDR=0x43b", "I" },
		{ "RIL=0", "RIL" }, { "ASID16=0", "ASID16" }, { "CD2L=0", "CD2L" },
	};
	uint8_t state[4096];
	int64_t size;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		const vsmmu_config config = {
			.size = sizeof(config), .features = foreign[i].features,
		};

		if (!guest_open(&other, &config))
			return;
		if (!guest_open(&guest, NULL)) {
			guest_close(&other);
			return;
		}
		guest_start(&guest);
		size = api.vsmmu_save(other.vsmmu, state, sizeof(state));
		REFUSED(&guest, -EINVAL, foreign[i].field,
			api.vsmmu_validate(guest.vsmmu, state, (uint64_t)size));
		REFUSED(&guest, -EINVAL, foreign[i].field,
			api.vsmmu_restore(guest.vsmmu, state, (uint64_t)size));
		guest_close(&guest);
		guest_close(&other);
	}
}

void state_section(void)
{
	RUN(save_tells_its_size);
	RUN(restore_goes_on);
	RUN(restore_finds_damage);
	RUN(restore_refuses_a_register_twice);
	RUN(restore_refuses_strange_sections);
	RUN(restore_refuses_unknown_sections);
	RUN(restore_refuses_wild_lengths);
	RUN(restore_knows_versions);
	RUN(restore_refuses_a_foreign_state);
}
