/* SPDX-License-Identifier: MIT */
/*
 * In a guest: kexec KERNEL INITRD DEVICE-TREE BASE boots that kernel in the memory from BASE on, or
 * with "crash" as the fifth word loads it for a crash. The initrd lies at BASE + 128 MiB.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct kexec_segment segment(const char *name, uint64_t address)
{
	struct stat st = { 0 };
	int fd = open(name, O_RDONLY);

	if (fd < 0 || fstat(fd, &st)) {
		perror(name);
		exit(1);
	}
	return (struct kexec_segment){
		.buf = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0),
		.bufsz = st.st_size,
		.mem = (void *)address,
		.memsz = (st.st_size + 0xffff) & ~0xffffull,
	};
}

int main(int argc, char **argv)
{
	uint64_t base = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
	/* The kernel wants its device tree in x0, and zeroes in x1 to x3. */
	struct {
		uint32_t code[6];
		uint64_t kernel, tree;
	} entry = {
		{ 0x580000d1, /* ldr x17, kernel */
		  0x580000e0, /* ldr x0, tree */
		  0xd2800001, 0xd2800002, 0xd2800003, /* mov x1, x2, x3, #0 */
		  0xd61f0220, /* br x17 */ },
		base + 0x200000,
		base + 0x10000,
	};
	struct kexec_segment segments[4];

	if (!base)
		return 2;
	segments[0] = (struct kexec_segment){ &entry, sizeof(entry), (void *)base, 0x10000 };
	segments[1] = segment(argv[3], entry.tree);
	segments[2] = segment(argv[1], entry.kernel);
	segments[3] = segment(argv[2], base + 0x8000000);
	if (syscall(SYS_kexec_load, base, 4, segments,
		    KEXEC_ARCH_AARCH64 | (argc > 5 ? KEXEC_ON_CRASH : 0))) {
		perror("kexec_load");
		return 1;
	}
	if (argc > 5)
		return 0;
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	perror("reboot");
	return 1;
}
