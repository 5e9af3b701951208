/* SPDX-License-Identifier: MIT */
/*
 * Tests/Data/scenarios.jsonl in C, for machines without a Swift toolchain: what a guest and a
 * device do to an SMMUv3, and what they see. A line for each observation; where QEMU saw something
 * else, its answer is on the line too. Which of these differences are right, Tests/ScenarioTests
 * knows.
 *
 *     scenarios FILE
 *
 * The file is one JSON object a line; those in its arrays "steps" and "obs" are flat, which is all
 * that the reader below needs. 64-bit numbers are hexadecimal strings.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vsmmuv3.h"

/* What does not follow the format, and calls that should not be refused. */
#define REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

struct scenario {
	vsmmu_t *smmu;
	uint64_t base, size;
	uint8_t *ram;
	char lines[256]; /* wired interrupts since the last look */
};

/* An observation as text. */
typedef char answer[16384];

/* ---------------------------------------------------------------------------------------------
 * Reading
 */

/* The value of `key` in the flat object at `object`, or NULL. */
static const char *find(const char *object, const char *key)
{
	const char *end = strchr(object, '}');
	char name[32];
	const char *value;

	snprintf(name, sizeof name, "\"%s\":", key);
	value = strstr(object, name);
	return value && end && value < end ? value + strlen(name) : NULL;
}

static uint64_t number(const char *object, const char *key)
{
	const char *value = find(object, key);

	REQUIRE(value);
	return *value == '"' ? strtoull(value + 1, NULL, 16) : strtoull(value, NULL, 10);
}

static bool is(const char *object, const char *key, const char *text)
{
	const char *value = find(object, key);
	size_t length = strlen(text);

	return value && *value == '"' && !strncmp(value + 1, text, length) &&
	       value[length + 1] == '"';
}

/* The strings of an array, or one string, with a blank after each. */
static void strings(const char *value, char *out)
{
	const char *end = *value == '[' ? strchr(value, ']') : NULL;

	do {
		const char *from = strchr(value, '"');
		size_t length;

		if (!from || (end && from > end))
			break;
		length = strcspn(++from, "\"");
		out += sprintf(out, "%.*s ", (int)length, from);
		value = from + length + 1;
	} while (end);
	*out = 0;
}

/* The next object of an array, NULL after the last. */
static const char *next(const char *object)
{
	object = strchr(object, '}');
	REQUIRE(object);
	return object[1] == ',' ? object + 2 : NULL;
}

static const char *first(const char *line, const char *array)
{
	const char *from = strstr(line, array);

	REQUIRE(from);
	from += strlen(array);
	return *from == '{' ? from : NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Doing
 */

static void pulse(void *opaque, uint32_t line)
{
	static const char *const names[] = {"evtq ", "priq ", "sync ", "gerror "};
	struct scenario *s = opaque;

	REQUIRE(line < 4 && strlen(s->lines) + 8 < sizeof s->lines);
	strcat(s->lines, names[line]);
}

#define ID_REGISTERS(idr0, idr3) \
	"IDR0=" idr0 ",IDR1=0x2730010,IDR2=0,IDR3=" idr3 ",IDR4=0,IDR5=0x74,IIDR=0,AIDR=1"

/* The ID registers of the SMMU whose answers the file has. */
static const char *features(const char *line)
{
	if (strstr(line, "\"stage\":\"1\""))
		return ID_REGISTERS("0xd44101a", "0x1404");
	if (strstr(line, "\"stage\":\"2\""))
		return ID_REGISTERS("0xd441019", "0x1410");
	return ID_REGISTERS("0xd44101b", "0x1414");
}

static void begin(struct scenario *s, const char *line)
{
	vsmmu_config config = {.size = sizeof config, .features = features(line)};
	vsmmu_ops ops = {.size = sizeof ops, .irq = pulse};
	const char *ram = strstr(line, "\"ram\":{"), *stream = strstr(line, "\"sids\":[");
	char why[200] = "";

	REQUIRE(ram && stream);
	memset(s, 0, sizeof *s);
	if (vsmmu_create(&config, &ops, s, &s->smmu, why, sizeof why) < 0)
		printf("%s\n", why);
	REQUIRE(s->smmu);
	s->base = number(ram, "base");
	s->size = number(ram, "size");
	s->ram = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(s->ram != MAP_FAILED);
	REQUIRE(vsmmu_ram_add(s->smmu, s->base, s->size, s->ram) == 0);
	for (stream += strlen("\"sids\":["); *stream != ']'; stream += *stream == ',') {
		uint32_t id = (uint32_t)strtoul(stream, (char **)&stream, 10);

		REQUIRE(vsmmu_stream_add(s->smmu, id) == 0);
	}
}

static void end(struct scenario *s)
{
	vsmmu_destroy(s->smmu);
	munmap(s->ram, s->size);
}

static uint8_t *at(struct scenario *s, uint64_t address, uint64_t length)
{
	REQUIRE(address >= s->base && address - s->base <= s->size - length);
	return s->ram + (address - s->base);
}

static uint64_t read_register(struct scenario *s, uint64_t offset, uint32_t width)
{
	uint64_t value;

	REQUIRE(vsmmu_mmio_read(s->smmu, offset, width, &value) == 0);
	return value;
}

static char *hexadecimal(char *out, const uint8_t *bytes, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		out += sprintf(out, "%02x", bytes[i]);
	return out + sprintf(out, " ");
}

static void poke(struct scenario *s, const char *step)
{
	const char *digits = find(step, "hex");
	uint64_t address = number(step, "pa"), length;

	REQUIRE(digits);
	length = strcspn(++digits, "\"") / 2;
	for (uint8_t *byte = at(s, address, length); length--; digits += 2)
		REQUIRE(sscanf(digits, "%2hhx", byte++) == 1);
}

/* Translates, and moves data where that succeeds. */
static void transfer(struct scenario *s, const char *step, char *out)
{
	bool write = is(step, "dir", "w");
	vsmmu_access access = {.size = sizeof access, .flags = write ? VSMMU_ACCESS_WRITE : 0,
			       .stream = (uint32_t)number(step, "sid"),
			       .address = number(step, "iova")};
	vsmmu_result result = {.size = sizeof result}, moved = {.size = sizeof moved};
	uint64_t length = number(step, "len");
	uint8_t data[4096];

	REQUIRE(length <= sizeof data);
	REQUIRE(vsmmu_translate(s->smmu, &access, &result) == 0);
	if (result.kind != VSMMU_RESULT_OK) {
		strcpy(out, "abort");
		return;
	}
	for (uint64_t i = 0; i < length; i++)
		data[i] = (uint8_t)(0xa5 ^ i ^ result.address >> 12);
	if (write)
		REQUIRE(vsmmu_dma_write(s->smmu, &access, data, length, &moved) == 0);
	else
		REQUIRE(vsmmu_dma_read(s->smmu, &access, data, length, &moved) == 0);
	REQUIRE(moved.kind == VSMMU_RESULT_OK);
	REQUIRE(memcmp(data, at(s, result.address, length), length) == 0);
	sprintf(out, "%#" PRIx64 " perm %u", result.address,
		result.permissions & (VSMMU_PERMIT_READ | VSMMU_PERMIT_WRITE));
}

/* Reads the event queue and frees it, as a driver does. */
static void drain(struct scenario *s, char *out)
{
	uint64_t prod = read_register(s, 0x100a8, 4), cons = read_register(s, 0x100ac, 4);
	uint64_t base = read_register(s, 0xa0, 8), size = 1ull << (base & 0x1f);
	uint64_t start = base & 0xffffffffffffe0 & ~(size * 32 - 1);
	char *record = out + sprintf(out, "prod %#" PRIx64 " cons %#" PRIx64 " ", prod, cons);

	for (uint64_t i = cons & (2 * size - 1); i != (prod & (2 * size - 1));
	     i = (i + 1) & (2 * size - 1)) {
		REQUIRE(record - out < 16000);
		record = hexadecimal(record, at(s, start + (i & (size - 1)) * 32, 32), 32);
	}
	REQUIRE(vsmmu_mmio_write(s->smmu, 0x100ac, 4, prod) == 0);
}

/* Does a step; true if someone sees something of it. */
static bool perform(struct scenario *s, const char *step, char *out)
{
	uint32_t width = is(step, "op", "w64") || is(step, "op", "r64") ? 8 : 4;

	if (is(step, "op", "mem")) {
		poke(s, step);
		return false;
	}
	if (is(step, "op", "w32") || is(step, "op", "w64")) {
		REQUIRE(vsmmu_mmio_write(s->smmu, number(step, "off"), width,
					 number(step, "val")) == 0);
		return false;
	}
	if (is(step, "op", "r32") || is(step, "op", "r64")) {
		sprintf(out, "0x%" PRIx64, read_register(s, number(step, "off"), width));
	} else if (is(step, "op", "rmem")) {
		uint64_t length = number(step, "len");

		REQUIRE(length < 4096);
		hexadecimal(out, at(s, number(step, "pa"), length), length);
	} else if (is(step, "op", "events")) {
		drain(s, out);
	} else if (is(step, "op", "irqs")) {
		strcpy(out, s->lines);
		s->lines[0] = 0;
	} else {
		REQUIRE(is(step, "op", "dma"));
		transfer(s, step, out);
	}
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * Comparing
 */

/* QEMU's answer in the words of perform(). It knows no permissions where it bypassed. */
static void expected(const char *seen, const char *saw, char *out)
{
	if (is(seen, "op", "events")) {
		out += sprintf(out, "prod %#" PRIx64 " cons %#" PRIx64 " ", number(seen, "prod"),
			       number(seen, "cons"));
		strings(find(seen, "recs"), out);
	} else if (is(seen, "op", "irqs")) {
		strings(find(seen, "irqs"), out);
	} else if (is(seen, "op", "rmem")) {
		strings(find(seen, "hex"), out);
	} else if (!is(seen, "op", "dma")) {
		sprintf(out, "0x%" PRIx64, number(seen, "val"));
	} else if (!strncmp(find(seen, "ok"), "false", 5)) {
		strcpy(out, "abort");
	} else {
		const char *permissions = strstr(saw, " perm ");

		out += sprintf(out, "%#" PRIx64, number(seen, "pa"));
		if (find(seen, "perm"))
			sprintf(out, " perm %" PRIu64, number(seen, "perm"));
		else
			strcpy(out, permissions ? permissions : "");
	}
}

static const char *observed(const char *line, uint64_t index)
{
	for (const char *seen = first(line, "\"obs\":["); seen; seen = next(seen))
		if (number(seen, "i") == index)
			return seen;
	return NULL;
}

/* What an access sees that may still see the old tables or already the new ones: a later answer to
 * the same access. */
static bool is_fresher(const char *line, const char *step, uint64_t index, const char *saw)
{
	static answer later;

	if (!is(step, "lenient", "stale-ok"))
		return false;
	for (const char *other = next(step); other; other = next(other)) {
		index++;
		if (!is(other, "op", "dma") || number(other, "iova") != number(step, "iova") ||
		    number(other, "sid") != number(step, "sid"))
			continue;
		REQUIRE(observed(line, index));
		expected(observed(line, index), saw, later);
		if (!strcmp(later, saw))
			return true;
	}
	return false;
}

/* Returns how many observations there were. */
static unsigned play(const char *line)
{
	const char *name = strstr(line, "\"name\":\"");
	static answer saw, qemu;
	struct scenario s;
	uint64_t index = 0;
	unsigned count = 0;

	REQUIRE(name);
	name += strlen("\"name\":\"");
	begin(&s, line);
	for (const char *step = first(line, "\"steps\":["); step; step = next(step), index++) {
		if (!perform(&s, step, saw))
			continue;
		count++;
		REQUIRE(observed(line, index));
		expected(observed(line, index), saw, qemu);
		printf("%.*s %" PRIu64 " %s", (int)strcspn(name, "\""), name, index, saw);
		if (strcmp(saw, qemu) && !is_fresher(line, step, index, saw))
			printf(" (QEMU: %s)", qemu);
		printf("\n");
	}
	end(&s);
	return count;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	static char line[1 << 20];
	unsigned scenarios = 0, observations = 0;

	if (!file)
		return fprintf(stderr, "usage: %s FILE\n", argv[0]), 2;
	while (fgets(line, sizeof line, file)) {
		REQUIRE(strchr(line, '\n') && strstr(line, "\"format\":\"vsmmuv3-scenario/1\""));
		observations += play(line);
		scenarios++;
	}
	printf("%u scenarios, %u observations\n", scenarios, observations);
	return 0;
}
