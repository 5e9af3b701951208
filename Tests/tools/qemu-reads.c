/* SPDX-License-Identifier: MIT */
/* In a guest: reads DISK DEPTH prints direct reads of 4 KiB per second, DEPTH of them under way. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 4096, PAGES = 8192 }; /* of the disk */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void submit(aio_context_t context, struct iocb *read)
{
	static unsigned next;

	read->aio_offset = (uint64_t)(next++ % PAGES) * SIZE;
	if (syscall(SYS_io_submit, context, 1, &read) != 1)
		perror("io_submit"), exit(1);
}

int main(int argc, char **argv)
{
	int depth = argc > 2 ? atoi(argv[2]) : 1, fd = open(argv[1], O_RDONLY | O_DIRECT);
	struct iocb reads[64] = { 0 };
	struct io_event done[64];
	aio_context_t context = 0;
	double since;
	long count = 0;

	if (argc < 3 || depth < 1 || depth > 64 || fd < 0
	    || syscall(SYS_io_setup, depth, &context))
		return 1;
	for (int i = 0; i < depth; i++) {
		reads[i].aio_fildes = fd;
		reads[i].aio_lio_opcode = IOCB_CMD_PREAD;
		reads[i].aio_buf = (uintptr_t)aligned_alloc(SIZE, SIZE);
		reads[i].aio_nbytes = SIZE;
		submit(context, &reads[i]);
	}
	for (since = now(); now() < since + 0.5;) {
		long n = syscall(SYS_io_getevents, context, 1, depth, done, NULL);

		for (long i = 0; i < n; i++) {
			if (done[i].res != SIZE)
				return 1;
			submit(context, (struct iocb *)(uintptr_t)done[i].obj);
		}
		count += n;
	}
	printf("%.0f\n", count / (now() - since));
	return 0;
}
