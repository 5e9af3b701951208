/* SPDX-License-Identifier: MIT */
/* What the library does without memory: memory LIBRARY [TEST...] */
#include "attempt.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	static char buffer[4096];

	if (argc < 2) {
		fprintf(stderr, "usage: %s LIBRARY [TEST...]\n", argv[0]);
		return 2;
	}
	/* A buffer of its own would count. */
	setvbuf(stdout, buffer, _IOLBF, sizeof(buffer));
	if (!api_load(argv[1]) || !api_load_emulated(argv[1]))
		return 1;
	run_only(argv + 2);
	device_calls();
	host_calls();
	emulated_calls();
	direct_calls();
	guest_paths();
	return check_finish(argv[1]);
}
