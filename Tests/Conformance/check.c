/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char **wanted;
static int passed, failed;
static unsigned long checks, wrong;

bool check(bool condition, const char *file, int line, const char *text)
{
	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (!condition) {
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
		printf("%s:%d: not so: %s\n", file, line, text);
	}
	return condition;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	if (check(got == want, file, line, text))
		return true;
	printf("  it is %#" PRIx64 " (%" PRId64 ") and should be %#" PRIx64 "\n", got, (int64_t)got,
	       want);
	return false;
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	if (check(strstr(text, word) != NULL, file, line, word))
		return true;
	printf("  the text is \"%s\"\n", text);
	return false;
}

static bool is_wanted(const char *name)
{
	if (!wanted || !*wanted)
		return true;
	for (char **w = wanted; *w; w++)
		if (strncmp(name, *w, strlen(*w)) == 0)
			return true;
	return false;
}

void run_only(char **names)
{
	wanted = names;
}

void run_test(const char *name, void (*test)(void))
{
	unsigned long before = wrong, first = checks;

	if (!is_wanted(name))
		return;
	test();
	if (wrong == before)
		passed++;
	else
		failed++;
	printf("%s %s (%lu checks)\n", wrong == before ? "ok  " : "FAIL", name, checks - first);
	fflush(stdout);
}

unsigned long check_wrong(void)
{
	return wrong;
}

int check_finish(const char *name)
{
	printf("%s: %lu checks\n", name, checks);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0 || passed == 0;
}
