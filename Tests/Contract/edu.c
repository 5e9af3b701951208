/* SPDX-License-Identifier: MIT */
#ifdef REAL
#include "edu.h"
#include "vfio_device.h"

#include <sys/mman.h>

#define REGION_REGISTERS 0

enum { RAISE = 0x60, ACKNOWLEDGE = 0x64, SOURCE = 0x80, TARGET = 0x88, COUNT = 0x90, COMMAND = 0x98 };
enum { RUN = 1, TO_MEMORY = 2 };
#define BUFFER UINT64_C(0x40000)

/* A transfer takes 100 ms, and longer on a machine that others use. */
static void transfer(volatile uint8_t *edu, uint64_t from, uint64_t to, uint64_t command)
{
	*(volatile uint64_t *)(edu + SOURCE) = from;
	*(volatile uint64_t *)(edu + TARGET) = to;
	*(volatile uint64_t *)(edu + COUNT) = 4;
	__sync_synchronize();
	*(volatile uint64_t *)(edu + COMMAND) = command;
	for (int i = 0; i < 60000 && (*(volatile uint64_t *)(edu + COMMAND) & RUN); i++)
		usleep(1000);
	__sync_synchronize();
}

/* Its registers, with DMA on; NULL if they cannot be had. */
static volatile uint8_t *open_registers(int32_t device, struct vfio_region *registers)
{
	void *edu;

	*registers = (struct vfio_region){.index = REGION_REGISTERS};
	if (!vfio_region(device, registers) ||
	    !vfio_command(device, PCI_COMMAND_DECODE | PCI_COMMAND_DMA))
		return NULL;
	edu = mmap(NULL, registers->size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   (off_t)registers->offset);
	return edu == MAP_FAILED ? NULL : edu;
}

void edu_copy(int32_t device, uint64_t from, uint64_t to)
{
	struct vfio_region registers;
	volatile uint8_t *edu = open_registers(device, &registers);

	if (!edu)
		return;
	transfer(edu, from, BUFFER, RUN);
	transfer(edu, BUFFER, to, RUN | TO_MEMORY);
	munmap((void *)edu, registers.size);
}

void edu_interrupt(int32_t device)
{
	struct vfio_region registers;
	volatile uint8_t *edu = open_registers(device, &registers);

	if (!edu)
		return;
	*(volatile uint32_t *)(edu + RAISE) = 1;
	*(volatile uint32_t *)(edu + ACKNOWLEDGE) = 1;
	munmap((void *)edu, registers.size);
}
#endif
