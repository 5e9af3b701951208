/* SPDX-License-Identifier: MIT */
/* VIOMMU_ALLOC and VDEVICE_ALLOC. */
#include "contract.h"

static int64_t alloc(const struct lab *lab, uint32_t flags, uint32_t type, uint32_t length,
		     uint64_t data)
{
	struct iommufd_viommu_alloc a = {
		.size = sizeof(a), .flags = flags, .type = type, .dev_id = lab->id[0],
		.hwpt_id = lab->parent, .data_len = length, .data_uptr = data,
	};

	return call(lab, IOMMUFD_VIOMMU_ALLOC, &a);
}

void viommu_rows(void)
{
	struct lab lab = lab_open(PARENT);
	struct iommufd_viommu_alloc a = {
		.size = sizeof(a), .type = 1, .dev_id = lab.id[0], .hwpt_id = lab.parent,
		.reserved = 1,
	};
	uint32_t plain = (uint32_t)hwpt_alloc(&lab, lab.id[0], lab.ioas, 0), id, nested;
	uint64_t data[2] = {0};

	section("viommu");
	row("reserved", call(&lab, IOMMUFD_VIOMMU_ALLOC, &a), 0);
	row("flags 1", alloc(&lab, 1, 1, 0, 0), EOPNOTSUPP);
	row("flags 2^31", alloc(&lab, 0x80000000, 1, 0, 0), EOPNOTSUPP);
	row("type DEFAULT", alloc(&lab, 0, 0, 0, 0), EOPNOTSUPP);
	row("type CMDQV", alloc(&lab, 0, 2, 0, 0), EOPNOTSUPP);
	row("type 99", alloc(&lab, 0, 99, 0, 0), EOPNOTSUPP);
	row("data that the type has not", alloc(&lab, 0, 1, 16, POINTER(data)), 0);
	row("a length without data", alloc(&lab, 0, 1, 16, 0), 0);
	row("no device", viommu_alloc(&lab, 99, lab.parent), ENOENT);
	row("an IOAS as the device", viommu_alloc(&lab, lab.ioas, lab.parent), ENOENT);
	row("no HWPT", viommu_alloc(&lab, lab.id[0], 99), ENOENT);
	row("an IOAS as the HWPT", viommu_alloc(&lab, lab.id[0], lab.ioas), ENOENT);
	row("a HWPT that is no nest parent", viommu_alloc(&lab, lab.id[0], plain), EINVAL);
	id = lab.viommu = (uint32_t)viommu_alloc(&lab, lab.id[0], lab.parent);
	row("a nest parent", id ? 0 : -EINVAL, 0);
	row("a second one of the same parent", viommu_alloc(&lab, lab.id[0], lab.parent), 0);
	row("by the other device", viommu_alloc(&lab, lab.id[1], lab.parent), 0);
	nested = (uint32_t)hwpt_nested(&lab, STE_BYPASS, 0);
	row("a nested HWPT as the parent", viommu_alloc(&lab, lab.id[0], nested), ENOENT);
	row("a vIOMMU as the HWPT", viommu_alloc(&lab, lab.id[0], id), ENOENT);
	lab_close(&lab);
}

static int64_t vdevice(const struct lab *lab, uint32_t viommu, uint32_t device, uint64_t virtual)
{
	struct iommufd_vdevice_alloc a = {
		.size = sizeof(a), .viommu_id = viommu, .dev_id = device, .virt_id = virtual,
	};
	int64_t result = call(lab, IOMMUFD_VDEVICE_ALLOC, &a);

	return result < 0 ? result : a.out_vdevice_id;
}

void vdevice_rows(void)
{
	struct lab lab = lab_open(VIOMMU);
	uint32_t *device = lab.id, viommu = lab.viommu, other, made;

	section("vdevice");
	other = (uint32_t)viommu_alloc(&lab, device[0], lab.parent);
	row("no vIOMMU", vdevice(&lab, 99, device[0], 1), ENOENT);
	row("a HWPT as the vIOMMU", vdevice(&lab, lab.parent, device[0], 1), ENOENT);
	row("no device", vdevice(&lab, viommu, 99, 1), ENOENT);
	row("an IOAS as the device", vdevice(&lab, viommu, lab.ioas, 1), ENOENT);
	made = (uint32_t)vdevice(&lab, viommu, device[0], 8);
	row("StreamID 8", made ? 0 : -EINVAL, 0);
	row("the device again", vdevice(&lab, viommu, device[0], 9), EEXIST);
	row("the device again, by another vIOMMU", vdevice(&lab, other, device[0], 9), EEXIST);
	row("the StreamID again", vdevice(&lab, viommu, device[1], 8), EEXIST);
	row("the StreamID, by another vIOMMU", vdevice(&lab, other, device[1], 8), 0);
	row("DESTROY it", destroy(&lab, made), 0);
	row("DESTROY it again", destroy(&lab, made), ENOENT);
	row("its device again", (made = (uint32_t)vdevice(&lab, viommu, device[0], 0)) ? 0 : -1, 0);
	row("DESTROY it", destroy(&lab, made), 0);
	row("StreamID 2^32", vdevice(&lab, viommu, device[0], UINT64_C(1) << 32), 0);
	lab_close(&lab);

	lab = lab_open(VIOMMU);
	row("StreamID 2^64-1", vdevice(&lab, lab.viommu, lab.id[0], UINT64_MAX), 0);
	row("StreamID 2^32-1", vdevice(&lab, lab.viommu, lab.id[1], UINT32_MAX), 0);
	lab_close(&lab);
}
