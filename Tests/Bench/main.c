/* SPDX-License-Identifier: MIT */
/* bench [--seconds N] [--gate] LIBRARY: the table, N seconds (0.5) for each row. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t bench_sink;

_Noreturn void bench_fail(const char *format, ...)
{
	va_list list;

	fprintf(stderr, "bench: ");
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n");
	exit(1);
}

/* What guest.c asserts. */

bool check(bool condition, const char *file, int line, const char *text)
{
	if (!condition)
		bench_fail("%s:%d: %s", file, line, text);
	return true;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	if (got != want)
		bench_fail("%s:%d: %s: %#llx, not %#llx", file, line, text,
			   (unsigned long long)got, (unsigned long long)want);
	return true;
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	return check(strstr(text, word) != NULL, file, line, word);
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void table(const char *program, const char *library)
{
	report_begin(library);
	rows_of_hits();
	rows_of_threads();
	rows_of_sets();
	rows_of_walks();
	rows_of_commands();
	rows_of_invalidations();
	rows_of_configurations();
	rows_of_events();
	rows_of_copies();
	rows_of_memory();
	rows_of_loading(program, library);
	report_end();
}

int main(int count, char **arguments)
{
	bool counts = false, loads = false;
	int at = 1;

	for (; at < count && strncmp(arguments[at], "--", 2) == 0; at++) {
		if (strcmp(arguments[at], "--seconds") == 0 && at + 1 < count)
			bench_seconds_per_row = atof(arguments[++at]);
		else if (strcmp(arguments[at], "--gate") == 0)
			counts = true;
		else if (strcmp(arguments[at], "--load") == 0)
			loads = true;
		else
			bench_fail("bench [--seconds N] [--gate] LIBRARY");
	}
	if (at + 1 != count)
		bench_fail("bench [--seconds N] [--gate] LIBRARY");
	if (loads)
		return load_once(arguments[at]);
	if (!api_load(arguments[at]))
		return 1;
	if (counts)
		gate();
	else
		table(arguments[0], arguments[at]);
	return 0;
}
