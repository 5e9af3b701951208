/* SPDX-License-Identifier: MIT */
/*
 * contract [MACHINE]                   on the kernel of this machine (built with -DREAL)
 * contract LIBRARY 7.2|7.3 [MACHINE]   on the emulated kernel of a library
 * MACHINE is "incoherent" or "unnested", for the few rows of an SMMU that cannot nest, "bars", for those
 * of a kernel with CONFIG_VFIO_PCI_DMABUF, "ats", for those of an SMMU with ATS, which QEMU does not
 * have, or "direct", for those of one with CMDQ-V.
 */
#include "contract.h"

#include <stdio.h>
#include <sys/mman.h>

struct system sys;
unsigned profile;
enum machine machine;
uint8_t *ram;

static void all_rows(void)
{
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
	foreign_rows();
}

static enum machine machine_named(const char *name)
{
	return strcmp(name, "incoherent") == 0 ? INCOHERENT :
	       strcmp(name, "unnested") == 0   ? UNNESTED :
	       strcmp(name, "bars") == 0       ? BARS :
	       strcmp(name, "direct") == 0     ? DIRECT :
	       strcmp(name, "ats") == 0	       ? ATS : WHOLE;
}

int main(int argc, char **argv)
{
	int status;

	machine = machine_named(argv[argc - 1]);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram == MAP_FAILED || !system_open(argc, argv))
		return 2;
	if (machine == WHOLE)
		all_rows();
	if (machine == BARS)
		bar_rows();
	else if (machine == ATS)
		ats_rows();
	else if (machine == DIRECT)
		direct_rows();
	else
		machine_rows();
	status = rows_end();
	return system_close() ? status : 1;
}
