/* SPDX-License-Identifier: MIT */
/* vsmmu_dma_read from scattered pages, and memcpy from the same ones. */
#include "gate.h"

#include <stdio.h>

#define MOST (1u << 20)

struct copy {
	struct scene *scene;
	uint64_t length;
	unsigned times;
	const uint64_t *pages;
};

static _Alignas(4096) uint8_t target[MOST];

static void by_library(void *self)
{
	struct copy *copy = self;
	vsmmu_access access = { .size = sizeof(access), .stream = STREAM_STAGE1,
				.address = scene_page(0) };
	vsmmu_result result = { .size = sizeof(result) };

	for (unsigned i = 0; i < copy->times; i++)
		if (api.vsmmu_dma_read(copy->scene->machine.guest.vsmmu, &access, target,
				       copy->length, &result) != 0 || result.length != copy->length)
			bench_fail("a copy ended after %llu bytes",
				   (unsigned long long)result.length);
}

static void by_memcpy(void *self)
{
	struct copy *copy = self;

	for (unsigned i = 0; i < copy->times; i++)
		twin_copy(&copy->scene->machine, copy->pages, target, copy->length);
}

static void row(struct copy copy, const char *path, const char *most)
{
	struct runner runners[2] = {
		{ .run = by_library, .self = &copy },
		{ .run = by_memcpy, .self = &copy },
	};
	struct cells cells = { .path = path, .target = most, .met = -1 };

	measure(runners, 2, copy.times);
	report_ns(cells.library, &runners[0]);
	write_ns(cells.limit, runners[1].median);
	snprintf(cells.limit + strlen(cells.limit), 32, ", %.2f ×", runners[1].ratio);
	if (copy.length >= 65536)
		cells.met = runners[1].ratio <= 1.3;
	report_row(&cells);
}

/* Each page of the input is somewhere else. */
void scatter(struct scene *scene, uint64_t pages[MOST / 4096])
{
	for (uint64_t i = 0; i < MOST / 4096; i++) {
		pages[i] = PAGES_OF_DATA + i * 37 % (MOST / 4096) * 8192;
		machine_map(&scene->machine, scene->stage1, scene_page(i), pages[i], PAGE1);
		memset(machine_at(&scene->machine, pages[i]), (int)i, 4096);
	}
}

void rows_of_copies(void)
{
	static struct scene scene;
	static uint64_t pages[MOST / 4096];
	struct copy copy = { .scene = &scene, .pages = pages };

	scene_open(&scene, NULL);
	scatter(&scene, pages);
	copy.length = 4096;
	copy.times = 256;
	row(copy, "vsmmu_dma_read of 4 KiB", "");
	copy.length = 65536;
	copy.times = 16;
	row(copy, "vsmmu_dma_read of 64 KiB", "≤ 1.3 × memcpy");
	copy.length = MOST;
	copy.times = 1;
	row(copy, "vsmmu_dma_read of 1 MiB", "≤ 1.3 × memcpy");
	scene_close(&scene);
}
