/* SPDX-License-Identifier: MIT */
/* In a guest: map THREADS SECONDS prints the kernel's dma_map_benchmark, map and unmap in ns. */
#include <fcntl.h>
#include <linux/map_benchmark.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	struct map_benchmark b = {
		.threads = argc > 1 ? atoi(argv[1]) : 1,
		.seconds = argc > 2 ? atoi(argv[2]) : 1,
		.node = -1,
		.dma_bits = 32,
		.granule = 1,
	};
	int fd = open("/sys/kernel/debug/dma_map_benchmark", O_RDWR);

	if (fd < 0 || ioctl(fd, DMA_MAP_BENCHMARK, &b)) {
		perror("dma_map_benchmark");
		return 1;
	}
	printf("%llu %llu\n", (unsigned long long)b.avg_map_100ns * 100,
	       (unsigned long long)b.avg_unmap_100ns * 100);
	return 0;
}
