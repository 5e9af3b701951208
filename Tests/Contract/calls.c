/* SPDX-License-Identifier: MIT */
/* The calls that many rows make, with ordinary arguments. */
#include "contract.h"

int64_t call(const struct lab *lab, uint32_t request, void *argument)
{
	return sys.ioctl(lab->iommu, request, argument);
}

int64_t destroy(const struct lab *lab, uint32_t id)
{
	struct iommufd_destroy a = {sizeof(a), id};

	return call(lab, IOMMUFD_DESTROY, &a);
}

int64_t ioas_alloc(const struct lab *lab)
{
	struct iommufd_ioas_alloc a = {.size = sizeof(a)};
	int64_t result = call(lab, IOMMUFD_IOAS_ALLOC, &a);

	return result < 0 ? result : a.out_ioas_id;
}

/* The memory is that of `ram` from its beginning. */
int64_t ioas_map(const struct lab *lab, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommufd_ioas_map a = {
		.size = sizeof(a),
		.flags = IOMMUFD_MAP_FIXED_IOVA | IOMMUFD_MAP_READABLE | IOMMUFD_MAP_WRITEABLE,
		.ioas_id = ioas, .user_va = POINTER(ram), .length = length, .iova = iova,
	};

	return call(lab, IOMMUFD_IOAS_MAP, &a);
}

/* Notes how much was unmapped. */
int64_t ioas_unmap(const struct lab *lab, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommufd_ioas_unmap a = {sizeof(a), ioas, iova, length};
	int64_t result = call(lab, IOMMUFD_IOAS_UNMAP, &a);

	if (result >= 0)
		note("unmapped=%#" PRIx64, a.length);
	return result;
}

int64_t hwpt_alloc(const struct lab *lab, uint32_t device, uint32_t pt, uint32_t flags)
{
	struct iommufd_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags, .dev_id = device, .pt_id = pt,
	};
	int64_t result = call(lab, IOMMUFD_HWPT_ALLOC, &a);

	return result < 0 ? result : a.out_hwpt_id;
}

int64_t hwpt_nested(const struct lab *lab, uint64_t ste0, uint64_t ste1)
{
	struct iommufd_hwpt_arm_smmuv3 ste = {{ste0, ste1}};
	struct iommufd_hwpt_alloc a = {
		.size = sizeof(a), .dev_id = lab->id[0], .pt_id = lab->viommu,
		.data_type = IOMMUFD_HWPT_DATA_ARM_SMMUV3, .data_len = sizeof(ste),
		.data_uptr = POINTER(&ste),
	};
	int64_t result = call(lab, IOMMUFD_HWPT_ALLOC, &a);

	return result < 0 ? result : a.out_hwpt_id;
}

int64_t viommu_alloc(const struct lab *lab, uint32_t device, uint32_t hwpt)
{
	struct iommufd_viommu_alloc a = {
		.size = sizeof(a), .type = IOMMUFD_VIOMMU_TYPE_ARM_SMMUV3, .dev_id = device,
		.hwpt_id = hwpt,
	};
	int64_t result = call(lab, IOMMUFD_VIOMMU_ALLOC, &a);

	return result < 0 ? result : a.out_viommu_id;
}

int64_t vdevice_alloc(const struct lab *lab, uint32_t device, uint64_t virtual_id)
{
	struct iommufd_vdevice_alloc a = {
		.size = sizeof(a), .viommu_id = lab->viommu, .dev_id = device,
		.virt_id = virtual_id,
	};
	int64_t result = call(lab, IOMMUFD_VDEVICE_ALLOC, &a);

	return result < 0 ? result : a.out_vdevice_id;
}

int64_t veventq_alloc(const struct lab *lab, uint32_t depth, int32_t *fd)
{
	struct iommufd_veventq_alloc a = {
		.size = sizeof(a), .viommu_id = lab->viommu,
		.type = IOMMUFD_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = depth,
	};
	int64_t result = call(lab, IOMMUFD_VEVENTQ_ALLOC, &a);

	*fd = result < 0 ? -1 : a.out_veventq_fd;
	return result < 0 ? result : a.out_veventq_id;
}

int64_t fault_alloc(const struct lab *lab, int32_t *fd)
{
	struct iommufd_fault_alloc a = {.size = sizeof(a)};
	int64_t result = call(lab, IOMMUFD_FAULT_QUEUE_ALLOC, &a);

	*fd = result < 0 ? -1 : a.out_fault_fd;
	return result < 0 ? result : a.out_fault_id;
}

int64_t bind_device(int32_t device, int32_t iommu, uint32_t *id)
{
	struct vfio_bind_iommufd a = {.argsz = sizeof(a), .iommufd = iommu};
	int64_t result = sys.ioctl(device, VFIO_REQUEST_BIND_IOMMUFD, &a);

	*id = result < 0 ? 0 : a.out_devid;
	return result;
}

int64_t attach(int32_t device, uint32_t pt)
{
	struct vfio_attach_pt a = {.argsz = sizeof(a), .pt_id = pt};

	return sys.ioctl(device, VFIO_REQUEST_ATTACH_PT, &a);
}

int64_t detach(int32_t device)
{
	struct vfio_detach_pt a = {.argsz = sizeof(a)};

	return sys.ioctl(device, VFIO_REQUEST_DETACH_PT, &a);
}

int64_t invalidate(const struct lab *lab, uint32_t id, const void *commands, uint32_t length,
		   uint32_t count)
{
	struct iommufd_hwpt_invalidate a = {
		.size = sizeof(a), .hwpt_id = id, .data_uptr = POINTER(commands),
		.data_type = IOMMUFD_INVALIDATE_ARM_SMMUV3, .entry_len = length,
		.entry_num = count,
	};
	int64_t result = call(lab, IOMMUFD_HWPT_INVALIDATE, &a);

	note("done=%u/%u", a.entry_num, count);
	return result;
}

int64_t invalidate_one(const struct lab *lab, uint64_t low, uint64_t high)
{
	uint64_t command[2] = {low, high};

	return invalidate(lab, lab->viommu, command, sizeof(command), 1);
}
