/* SPDX-License-Identifier: MIT */
/* A context with its devices, furnished as far as a section needs. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t must(const char *what, int64_t result)
{
	if (result >= 0)
		return (uint32_t)result;
	row(text("(cannot begin: %s)", what), result, 0);
	exit(rows_end());
}

struct lab lab_open(enum furniture furniture)
{
	struct lab lab = {.iommu = (int32_t)must("/dev/iommu", sys.open("/dev/iommu"))};

	lab.device[0] = lab.device[1] = lab.device[2] = -1;
	for (unsigned i = 0; furniture >= BOUND && i < 2; i++) {
		lab.device[i] = (int32_t)must("open a device", sys.open(sys.device(i)));
		must("bind", bind_device(lab.device[i], lab.iommu, &lab.id[i]));
	}
	if (furniture >= SPACE) {
		lab.ioas = must("IOAS_ALLOC", ioas_alloc(&lab));
		must("IOAS_MAP", ioas_map(&lab, lab.ioas, RAM, RAM_SIZE));
	}
	if (furniture >= PARENT)
		lab.parent = must("HWPT_ALLOC", hwpt_alloc(&lab, lab.id[0], lab.ioas,
							   IOMMUFD_HWPT_NEST_PARENT));
	if (furniture >= VIOMMU)
		lab.viommu = must("VIOMMU_ALLOC", viommu_alloc(&lab, lab.id[0], lab.parent));
	if (furniture >= VDEVICE)
		lab.vdevice = must("VDEVICE_ALLOC", vdevice_alloc(&lab, lab.id[0], VSID));
	return lab;
}

void lab_close(struct lab *lab)
{
	for (unsigned i = 0; i < COUNT(lab->device); i++)
		if (lab->device[i] >= 0)
			sys.close(lab->device[i]);
	sys.close(lab->iommu);
}
