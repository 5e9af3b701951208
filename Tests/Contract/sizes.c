/* SPDX-License-Identifier: MIT */
/* The size that each call's struct begins with, and what a struct of zeros means. */
#include "contract.h"

struct request {
	const char *name;
	uint32_t number, size, least;
	int zero, zero_7_2; /* the answer to zeros; where both are given they differ */
};

#define SAME(answer) (answer), (answer)

static const struct request requests[] = {
	{"DESTROY", IOMMUFD_DESTROY, 8, 8, SAME(ENOENT)},
	{"IOAS_ALLOC", IOMMUFD_IOAS_ALLOC, 12, 12, SAME(0)},
	{"IOAS_ALLOW_IOVAS", IOMMUFD_IOAS_ALLOW_IOVAS, 24, 24, SAME(ENOENT)},
	{"IOAS_COPY", IOMMUFD_IOAS_COPY, 40, 40, SAME(EINVAL)},
	{"IOAS_IOVA_RANGES", IOMMUFD_IOAS_IOVA_RANGES, 32, 32, SAME(ENOENT)},
	{"IOAS_MAP", IOMMUFD_IOAS_MAP, 40, 40, SAME(EINVAL)},
	{"IOAS_UNMAP", IOMMUFD_IOAS_UNMAP, 24, 24, SAME(ENOENT)},
	{"OPTION", IOMMUFD_OPTION, 24, 24, SAME(EBUSY)},
	{"VFIO_IOAS", IOMMUFD_VFIO_IOAS, 12, 12, SAME(ENODEV)},
	{"HWPT_ALLOC", IOMMUFD_HWPT_ALLOC, 48, IOMMUFD_HWPT_ALLOC_LEAST, SAME(ENOENT)},
	{"GET_HW_INFO", IOMMUFD_GET_HW_INFO, 40, IOMMUFD_HW_INFO_LEAST, SAME(ENOENT)},
	{"HWPT_SET_DIRTY_TRACKING", IOMMUFD_HWPT_SET_DIRTY_TRACKING, 16, 16, SAME(ENOENT)},
	{"HWPT_GET_DIRTY_BITMAP", IOMMUFD_HWPT_GET_DIRTY_BITMAP, 48, 48, SAME(ENOENT)},
	{"HWPT_INVALIDATE", IOMMUFD_HWPT_INVALIDATE, 32, 32, SAME(ENOENT)},
	{"FAULT_QUEUE_ALLOC", IOMMUFD_FAULT_QUEUE_ALLOC, 16, 16, SAME(0)},
	{"IOAS_MAP_FILE", IOMMUFD_IOAS_MAP_FILE, 40, 40, SAME(EINVAL)},
	{"VIOMMU_ALLOC", IOMMUFD_VIOMMU_ALLOC, 40, IOMMUFD_VIOMMU_ALLOC_LEAST, SAME(EOPNOTSUPP)},
	{"VDEVICE_ALLOC", IOMMUFD_VDEVICE_ALLOC, 24, 24, SAME(ENOENT)},
	{"IOAS_CHANGE_PROCESS", IOMMUFD_IOAS_CHANGE_PROCESS, 8, 8, SAME(0)},
	{"VEVENTQ_ALLOC", IOMMUFD_VEVENTQ_ALLOC, 32, IOMMUFD_VEVENTQ_ALLOC_LEAST,
	 SAME(EOPNOTSUPP)},
	{"HW_QUEUE_ALLOC", IOMMUFD_HW_QUEUE_ALLOC, 40, 40, SAME(EOPNOTSUPP)},
};

union argument {
	uint32_t size;
	uint8_t bytes[64];
	struct iommufd_fault_alloc fault;
};

static int64_t sized(const struct lab *lab, const struct request *r, uint32_t size, int tail)
{
	union argument a = {.bytes = {0}};
	int64_t result;

	a.bytes[sizeof(a) - 1] = (uint8_t)tail;
	a.size = size;
	result = call(lab, r->number, &a);
	if (result >= 0 && r->number == IOMMUFD_FAULT_QUEUE_ALLOC)
		sys.close(a.fault.out_fault_fd);
	return result;
}

static void sizes_of(const struct lab *lab, const struct request *r)
{
	int zero = since_7_3(r->zero, r->zero_7_2);

	row(text("%s size 0", r->name), sized(lab, r, 0, 0), EINVAL);
	row(text("%s size %u", r->name, r->least - 4), sized(lab, r, r->least - 4, 0), EINVAL);
	row(text("%s size %u, least", r->name, r->least), sized(lab, r, r->least, 0), zero);
	row(text("%s size 64, zero tail", r->name), sized(lab, r, 64, 0), zero);
	row(text("%s size 64, other tail", r->name), sized(lab, r, 64, 1), E2BIG);
}

void size_rows(void)
{
	struct lab lab = lab_open(OPEN);
	uint8_t zeros[64] = {64};
	/* New in 7.3, and not in a kernel without CONFIG_IOMMUFD_NOIOMMU. */
	static const struct request physical = {.number = IOMMUFD_IOAS_NOIOMMU_GET_PA};
	static const struct {
		uint32_t size;
		int tail, want;
	} since[] = {{0, 0, EINVAL}, {36, 0, EINVAL}, {40, 0, EOPNOTSUPP}, {64, 1, E2BIG}};

	section("size");
	ioas_alloc(&lab);
	for (size_t i = 0; i < COUNT(requests); i++)
		sizes_of(&lab, &requests[i]);
	row("no argument", call(&lab, IOMMUFD_DESTROY, NULL), EFAULT);
	for (size_t i = 0; i < COUNT(since); i++)
		row(text("IOAS_NOIOMMU_GET_PA size %u%s", since[i].size,
			 since[i].tail ? ", other tail" : ""),
		    sized(&lab, &physical, since[i].size, since[i].tail),
		    since_7_3(since[i].want, ENOTTY));
	row("request 0x3b96", call(&lab, 0x3b96, zeros), ENOTTY);
	row("request 0x3bff", call(&lab, 0x3bff, zeros), ENOTTY);
	row("request 0x3b80 with a direction", call(&lab, 0x40083b80, zeros), ENOTTY);
	row("request of another type", call(&lab, 0xae00, zeros), ENOTTY);
	lab_close(&lab);
}
