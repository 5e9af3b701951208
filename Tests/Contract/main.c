/* SPDX-License-Identifier: MIT */
/*
 * contract                                    on the kernel of this machine (built with -DREAL)
 * contract LIBRARY 7.2|7.3                    on the emulated kernel of a library
 */
#include "contract.h"

#include <stdio.h>
#include <sys/mman.h>

struct system sys;
unsigned profile;
uint8_t *ram;

int main(int argc, char **argv)
{
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram == MAP_FAILED || !system_open(argc, argv))
		return 2;
	size_rows();
	id_rows();
	ioas_rows();
	map_rows();
	option_rows();
	info_rows();
	hwpt_rows();
	ste_rows();
	viommu_rows();
	vdevice_rows();
	vfio_rows();
	attach_rows();
	veventq_rows();
	fault_rows();
	queue_rows();
	invalidate_rows();
	batch_rows();
	dma_rows();
	destroy_rows();
	file_rows();
	teardown_rows();
	system_close();
	return rows_end();
}
