/* SPDX-License-Identifier: MIT */
/* Two SMMUs, and SMMUs that cannot nest. */
#include "contract.h"

static int64_t nested_of(const struct lab *lab, uint32_t device)
{
	uint64_t ste[2] = {STE_ABORT};
	struct iommufd_hwpt_alloc a = {
		.size = sizeof(a), .dev_id = device, .pt_id = lab->viommu,
		.data_type = IOMMUFD_HWPT_DATA_ARM_SMMUV3, .data_len = sizeof(ste),
		.data_uptr = POINTER(ste),
	};
	int64_t result = call(lab, IOMMUFD_HWPT_ALLOC, &a);

	return result < 0 ? result : a.out_hwpt_id;
}

/* Device 2 and the objects of the other SMMU. */
static void stranger_rows(struct lab *lab)
{
	uint32_t aborting = (uint32_t)hwpt_nested(lab, STE_ABORT, 0), device = lab->id[2];

	row("VIOMMU_ALLOC on the other's nest parent", viommu_alloc(lab, device, lab->parent), EINVAL);
	row("VDEVICE_ALLOC in the other's vIOMMU", vdevice_alloc(lab, device, 5), EINVAL);
	row("HWPT_ALLOC nested in the other's vIOMMU", nested_of(lab, device), EINVAL);
	row("attach the other's nest parent", attach(lab->device[2], lab->parent), EINVAL);
	row("attach the other's nested HWPT", attach(lab->device[2], aborting), EINVAL);
	row("attach the same IOAS", attach(lab->device[2], lab->ioas), 0);
	row("attach the other's nested HWPT then", attach(lab->device[2], aborting), EINVAL);
	row("HWPT_ALLOC by the other's device", hwpt_alloc(lab, lab->id[0], lab->ioas, 0), 0);
}

/* Its own objects, beside those of the first. */
static void own_rows(struct lab *lab)
{
	int64_t parent = hwpt_alloc(lab, lab->id[2], lab->ioas, IOMMUFD_HWPT_NEST_PARENT);
	int64_t first = lab->viommu, own;

	row("a nest parent of the same IOAS", parent, 0);
	own = viommu_alloc(lab, lab->id[2], (uint32_t)parent);
	row("a vIOMMU of its own", own, 0);
	lab->viommu = (uint32_t)own;
	row("a vDEVICE of the same StreamID", vdevice_alloc(lab, lab->id[2], VSID), 0);
	own = nested_of(lab, lab->id[2]);
	row("a nested HWPT", own, 0);
	row("attach it", attach(lab->device[2], (uint32_t)own), 0);
	row("the other device to it", attach(lab->device[0], (uint32_t)own), EINVAL);
	row("detach", detach(lab->device[2]), 0);
	lab->viommu = (uint32_t)first;
}

void foreign_rows(void)
{
	struct lab lab = lab_open(VDEVICE);

	section("foreign");
	lab.device[2] = sys.open(sys.device(2));
	row("bind", bind_device(lab.device[2], lab.iommu, &lab.id[2]), 0);
	note("id=%u", lab.id[2]);
	row_with("its id", 0, 0, "id=7");
	stranger_rows(&lab);
	own_rows(&lab);
	lab_close(&lab);
}

void machine_rows(void)
{
	static const char *const names[] = {
		[WHOLE] = "nesting", [INCOHERENT] = "incoherent", [UNNESTED] = "unnested",
	};
	struct lab lab = lab_open(SPACE);
	int64_t parent, plain;

	section(names[machine]);
	plain = hwpt_alloc(&lab, lab.id[0], lab.ioas, 0);
	row("HWPT_ALLOC", plain, 0);
	parent = hwpt_alloc(&lab, lab.id[0], lab.ioas, IOMMUFD_HWPT_NEST_PARENT);
	row("HWPT_ALLOC, NEST_PARENT", parent, machine == UNNESTED ? EOPNOTSUPP : 0);
	row("VIOMMU_ALLOC", viommu_alloc(&lab, lab.id[0], (uint32_t)(parent > 0 ? parent : plain)),
	    machine == WHOLE ? 0 : EOPNOTSUPP);
	row("attach the plain one", attach(lab.device[0], (uint32_t)plain), 0);
	lab_close(&lab);
}
