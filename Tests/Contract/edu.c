/* SPDX-License-Identifier: MIT */
#ifdef REAL
#include "edu.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* VFIO's region call and the two regions that are used. */
#define REGION_INFO 0x3b6c
#define REGION_REGISTERS 0
#define REGION_CONFIG 7
struct region {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

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
	struct region config = {.argsz = sizeof(config), .index = REGION_CONFIG};
	struct region registers = {.argsz = sizeof(registers), .index = REGION_REGISTERS};
	const uint16_t memory_and_master = 6;
	volatile uint8_t *edu;

	if (ioctl(device, REGION_INFO, &config) || ioctl(device, REGION_INFO, &registers) ||
	    pwrite(device, &memory_and_master, 2, (off_t)config.offset + 4) != 2)
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
