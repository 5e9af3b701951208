/* SPDX-License-Identifier: MIT */
/* Puts a window for MSIs into a machine's device tree, for the PCI device 00:01.0: IN OUT. */
#include <stdio.h>

#include "vsmmuv3_fdt.h"

#define BRIDGE "/pcie@10000000"
#define DEVICE "nvme@1,0"

static char in[1 << 20], out[1 << 20];

/* The device's node: bus, device and function; a configuration space is its first address. */
static int add_device(void)
{
	static const uint32_t reg[5] = { 1 << 11, 0, 0, 0, 0 };
	int node = fdt_add_subnode(out, fdt_path_offset(out, BRIDGE), DEVICE);
	int error = node < 0 ? node : 0;

	for (int i = 0; i < 5 && error == 0; i++)
		error = fdt_appendprop_u32(out, node, "reg", reg[i]);
	return error;
}

int main(int argc, char **argv)
{
	vsmmu_fdt what = {
		.size = sizeof what, .msi_first = 0x8000000, .msi_last = 0x80fffff,
	};
	FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
	int error = file == NULL || fread(in, 1, sizeof in, file) == 0;

	if (file != NULL)
		fclose(file);
	if (error == 0)
		error = fdt_open_into(in, out, sizeof out);
	if (error == 0)
		error = add_device();
	if (error == 0)
		error = fdt_generate_phandle(out, &what.msi_phandle);
	if (error == 0)
		error = vsmmu_fdt_add_window(out, &what);
	if (error == 0)
		error = vsmmu_fdt_add_assigned(out, &what, BRIDGE "/" DEVICE);
	if (error == 0)
		error = fdt_pack(out);
	file = error == 0 ? fopen(argv[2], "wb") : NULL;
	if (file == NULL || fwrite(out, fdt_totalsize(out), 1, file) != 1 || fclose(file) != 0)
		return fprintf(stderr, "qemu-window: %s\n", fdt_strerror(error)), 1;
	return 0;
}
