/* SPDX-License-Identifier: MIT */
/*
 * Proves that a library does what its headers say: conformance LIBRARY [TEST...] The emulated host is
 * the library beside it.
 * Linked with -DLINKED, LIBRARY is a name for the report.
 */
#include "api.h"
#include "check.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s LIBRARY [TEST...]\n", argv[0]);
		return 2;
	}
	if (!api_load(argv[1]) || !api_load_emulated(argv[1]))
		return 1;
	run_only(argv + 2);
	version_section();
	argument_section();
	create_section();
	register_section();
	command_section();
	memory_section();
	translate_section();
	dma_section();
	state_section();
	saved_section();
	counter_section();
	firmware_section();
	host_section();
	host_failure_section();
	host_change_section();
	host_end_section();
	host_limit_section();
	owned_section();
	late_section();
	negotiation_section();
	host_bar_section();
	link_section();
	ats_section();
	direct_section();
	direct_failure_section();
	direct_thread_section();
	direct_random_section();
	emulated_section();
	kernel_port_section();
	thread_section();
	wait_section();
	callback_section();
	change_section();
	host_thread_section();
	return check_finish(argv[1]);
}
