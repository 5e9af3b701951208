/* SPDX-License-Identifier: MIT */
/* One line for each row, with a name of its own, without what differs from run to run. */
#include "contract.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *current = "";
static char noted[200];
static unsigned passed, failed;

static const struct {
	int number;
	const char *name;
} errors[] = {
	{EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {EIO, "EIO"}, {ENXIO, "ENXIO"}, {E2BIG, "E2BIG"},
	{EBADF, "EBADF"}, {EAGAIN, "EAGAIN"}, {ENOMEM, "ENOMEM"}, {EACCES, "EACCES"},
	{EFAULT, "EFAULT"}, {EBUSY, "EBUSY"}, {EEXIST, "EEXIST"}, {ENODEV, "ENODEV"},
	{EINVAL, "EINVAL"}, {ENOTTY, "ENOTTY"}, {ENOSPC, "ENOSPC"}, {ESPIPE, "ESPIPE"},
	{EDEADLK, "EDEADLK"}, {EMSGSIZE, "EMSGSIZE"}, {EOPNOTSUPP, "EOPNOTSUPP"},
	{EADDRINUSE, "EADDRINUSE"}, {ETIMEDOUT, "ETIMEDOUT"}, {EOVERFLOW, "EOVERFLOW"},
	{EBADFD, "EBADFD"}, {ENOSYS, "ENOSYS"},
};

static const char *error_name(int64_t result)
{
	static char other[24];

	if (result >= 0)
		return "ok";
	for (size_t i = 0; i < COUNT(errors); i++)
		if (errors[i].number == -result)
			return errors[i].name;
	snprintf(other, sizeof(other), "error %d", (int)-result);
	return other;
}

void section(const char *name)
{
	current = name;
}

void note(const char *format, ...)
{
	size_t used = strlen(noted);
	va_list arguments;

	va_start(arguments, format);
	if (used && used + 1 < sizeof(noted))
		noted[used++] = ' ', noted[used] = 0;
	vsnprintf(noted + used, sizeof(noted) - used, format, arguments);
	va_end(arguments);
}

const char *text(const char *format, ...)
{
	static char buffers[4][128];
	static unsigned next;
	char *buffer = buffers[next++ % 4];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buffer, sizeof(buffers[0]), format, arguments);
	va_end(arguments);
	return buffer;
}

/* How often there was a row of this name, now included. */
static unsigned times(const char *name)
{
	static char names[2048][80];
	static unsigned count;
	unsigned same = 1;

	snprintf(names[count], sizeof(names[0]), "%s %s", current, name);
	for (unsigned i = 0; i < count; i++)
		same += strcmp(names[i], names[count]) == 0;
	count += count + 1 < COUNT(names);
	return same;
}

bool row_with(const char *name, int64_t result, int want, const char *outputs)
{
	bool right = (result < 0 ? -result : 0) == want && strcmp(noted, outputs) == 0;

	unsigned again = times(name);

	if (again > 1)
		name = text("%s (%u)", name, again);
	printf("%-10s %-54s %s%s%s\n", current, name, error_name(result), *noted ? "  " : "",
	       noted);
	if (!right)
		fprintf(stderr, "FAIL %s %s: should be %s%s%s\n", current, name,
			error_name(-(int64_t)want), *outputs ? "  " : "", outputs);
	*(right ? &passed : &failed) += 1;
	*noted = 0;
	fflush(stdout);
	return right;
}

int rows_end(void)
{
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0 || passed == 0;
}
