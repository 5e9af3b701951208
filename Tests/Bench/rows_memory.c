/* SPDX-License-Identifier: MIT */
/* What a device costs in memory, as malloc and as the kernel see it. */
#include "bench.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define DEVICES 1000u

static double allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
}

static double resident(void)
{
	long pages = 0, ignored;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%ld %ld", &ignored, &pages) != 2)
		bench_fail("/proc/self/statm");
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static vsmmu_t *create(uint32_t tlb_entries)
{
	vsmmu_config config = { .size = sizeof(config), .tlb_entries = tlb_entries };
	vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_t *vsmmu;
	char why[200];

	if (api.vsmmu_create(&config, &ops, NULL, &vsmmu, why, sizeof(why)) != 0)
		bench_fail("%s", why);
	return vsmmu;
}

static double size_of_device(uint32_t tlb_entries)
{
	double before = allocated(), size;
	vsmmu_t *vsmmu = create(tlb_entries);

	size = allocated() - before;
	api.vsmmu_destroy(vsmmu);
	return size;
}

void rows_of_memory(void)
{
	static vsmmu_t *devices[DEVICES];
	struct cells idle = { .path = "memory of an idle device", .target = "≤ 256 KiB" };
	struct cells page = { .path = "memory of a cached page", .target = "stated", .met = -1 };
	struct cells many = { .path = "1000 devices in one process", .target = "stated", .met = -1 };
	double size = size_of_device(0), before;

	snprintf(idle.library, sizeof(idle.library), "%.1f KiB", size / 1024);
	idle.met = size > 0 && size <= 256 * 1024;
	report_row(&idle);
	snprintf(page.library, sizeof(page.library), "%.1f bytes",
		 (size_of_device(1u << 18) - size_of_device(1u << 17)) / (1 << 17));
	report_row(&page);
	before = resident();
	for (unsigned i = 0; i < DEVICES; i++)
		devices[i] = create(0);
	snprintf(many.library, sizeof(many.library), "%.1f MiB resident",
		 (resident() - before) / (1 << 20));
	for (unsigned i = 0; i < DEVICES; i++)
		api.vsmmu_destroy(devices[i]);
	report_row(&many);
}
