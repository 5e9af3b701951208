/* SPDX-License-Identifier: MIT */
/* What the library does without memory: memory LIBRARY [TEST...] */
#include "attempt.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s LIBRARY [TEST...]\n", argv[0]);
		return 2;
	}
	if (!api_load(argv[1]))
		return 1;
	run_only(argv + 2);
	device_calls();
	host_calls();
	emulated_calls();
	guest_paths();
	return check_finish(argv[1]);
}
