/* SPDX-License-Identifier: MIT */
/* From dlopen to the first translation, in a new process each time; and the file's size. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMES 15

/* The README's first program: one stream, one block. */
static void first_translation(uint64_t *ram)
{
	vsmmu_config config = { .size = sizeof(config) };
	vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_access access = { .size = sizeof(access), .address = 0x601234 };
	vsmmu_result result = { .size = sizeof(result) };
	struct guest guest = { .ram = (uint8_t *)ram };

	EQUAL(api.vsmmu_create(&config, &ops, NULL, &guest.vsmmu, NULL, 0), 0);
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM, 0x400000, ram), 0);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 0), 0);
	store64(&guest, RAM, (RAM + 0x1000) | 5 << 1 | 1);
	store64(&guest, RAM + 0x1000, 34 | 3u << 30 | UINT64_C(0x6205) << 32);
	store64(&guest, RAM + 0x1008, RAM + 0x2000);
	store64(&guest, RAM + 0x2018, (RAM + 0x200000) | 1 << 10 | 1 << 6 | 1);
	write_register64(&guest, STRTAB_BASE, RAM);
	write_register(&guest, CR0, 1);
	EQUAL(api.vsmmu_translate(guest.vsmmu, &access, &result), 0);
	EQUAL(result.address, RAM + 0x201234);
	api.vsmmu_destroy(guest.vsmmu);
}

int load_once(const char *library)
{
	void *ram = mmap(NULL, 0x400000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double begin = now_ns();

	if (ram == MAP_FAILED || !api_load(library))
		return 1;
	first_translation(ram);
	printf("%.0f\n", now_ns() - begin);
	return 0;
}

/* What the process of its own printed. */
static double sample(const char *program, const char *library)
{
	char line[64] = "";
	int ends[2], status = 0;
	ssize_t got;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		bench_fail("no process");
	if (child == 0) {
		dup2(ends[1], 1);
		execl(program, program, "--load", library, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	got = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	waitpid(child, &status, 0);
	if (got <= 0 || status != 0)
		bench_fail("a process that loads the library ended with %#x", status);
	return atof(line);
}

static void row_of_size(const char *library)
{
	struct cells cells = { .path = "the library's file", .target = "≤ 400 KB" };
	struct stat file;

	if (stat(library, &file) != 0)
		bench_fail("no size of %s", library);
	snprintf(cells.library, sizeof(cells.library), "%.0f KB", (double)file.st_size / 1000);
	cells.met = file.st_size <= 400000;
	report_row(&cells);
}

void rows_of_loading(const char *program, const char *library)
{
	double samples[TIMES], median;
	struct cells cells = { .path = "dlopen to the first translation", .target = "≤ 1 ms" };
	char least[64];

	for (int i = 0; i < TIMES; i++)
		samples[i] = sample(program, library);
	median = median_of(samples, TIMES);
	write_ns(cells.library, median);
	write_ns(least, samples[0]);
	snprintf(cells.library + strlen(cells.library), 40, " (%.20s)", least);
	cells.met = median <= 1e6;
	report_row(&cells);
	row_of_size(library);
}
