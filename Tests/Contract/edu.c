/* SPDX-License-Identifier: MIT */
#ifdef REAL
#include "edu.h"
#include "vfio_device.h"

#include <sys/mman.h>

#define REGION_REGISTERS 0

enum { SOURCE = 0x80, TARGET = 0x88, COUNT = 0x90, COMMAND = 0x98 };
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

void edu_copy(int32_t device, uint64_t from, uint64_t to)
{
	struct vfio_region registers = {.index = REGION_REGISTERS};
	volatile uint8_t *edu;

	if (!vfio_region(device, &registers) ||
	    !vfio_command(device, PCI_COMMAND_DECODE | PCI_COMMAND_DMA))
		return;
	edu = mmap(NULL, registers.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   (off_t)registers.offset);
	if (edu == MAP_FAILED)
		return;
	transfer(edu, from, BUFFER, RUN);
	transfer(edu, BUFFER, to, RUN | TO_MEMORY);
	munmap((void *)edu, registers.size);
}
#endif
