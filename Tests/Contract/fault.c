/* SPDX-License-Identifier: MIT */
/* FAULT_QUEUE_ALLOC and HW_QUEUE_ALLOC. */
#include "contract.h"

#include <poll.h>

static void fault_queue(int32_t fd)
{
	struct iommufd_hwpt_page_response answers[2] = {{1, 0}, {2, 9}};
	uint8_t data[80];
	int32_t events = sys.poll(fd);

	note("%s%s", events & POLLIN ? "in" : "", events & POLLOUT ? "out" : "");
	row_with("poll, empty", 0, 0, "out");
	row("read 40, empty", sys.read(fd, data, 40), 0);
	row("read 80, empty", sys.read(fd, data, 80), 0);
	row("read 39", sys.read(fd, data, 39), ESPIPE);
	row("read 41", sys.read(fd, data, 41), ESPIPE);
	row("read 0", sys.read(fd, data, 0), 0);
	row("write, no such cookie", sys.write(fd, answers, 8), EINVAL);
	row("write, no such code", sys.write(fd, answers + 1, 8), EINVAL);
	row("write 16", sys.write(fd, answers, 16), EINVAL);
	row("write 7", sys.write(fd, answers, 7), ESPIPE);
	row("write 0", sys.write(fd, answers, 0), 0);
}

void fault_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	struct iommufd_fault_alloc a = {.size = sizeof(a), .flags = 1};
	int32_t fd, file;
	int64_t id = fault_alloc(&lab, &fd), hwpt;
	struct iommufd_hwpt_alloc with = {
		.size = sizeof(with), .flags = IOMMUFD_HWPT_FAULT_ID_VALID, .dev_id = lab.id[0],
		.pt_id = lab.ioas, .fault_id = (uint32_t)id,
	};

	section("fault");
	row("flags 1", call(&lab, IOMMUFD_FAULT_QUEUE_ALLOC, &a), EOPNOTSUPP);
	row("a queue", id < 0 ? id : 0, 0);
	row("a second", fault_alloc(&lab, &file) < 0 ? -1 : 0, 0);
	sys.close(file);
	fault_queue(fd);
	hwpt = call(&lab, IOMMUFD_HWPT_ALLOC, &with);
	row("HWPT_ALLOC with it", hwpt, 0);
	row("attach that", attach(lab.device[0], with.out_hwpt_id), 0);
	row("DESTROY with the fd open", destroy(&lab, (uint32_t)id), EBUSY);
	row("close", sys.close(fd), 0);
	row("DESTROY while a HWPT uses it", destroy(&lab, (uint32_t)id), EBUSY);
	row("detach", detach(lab.device[0]), 0);
	row("DESTROY the HWPT", destroy(&lab, with.out_hwpt_id), 0);
	row("DESTROY the queue", destroy(&lab, (uint32_t)id), 0);
	lab_close(&lab);
}

static int64_t queue(const struct lab *lab, uint32_t flags, uint32_t viommu, uint32_t type,
		     uint32_t index, uint64_t iova, uint64_t length)
{
	struct iommufd_hw_queue_alloc a = {
		.size = sizeof(a), .flags = flags, .viommu_id = viommu, .type = type,
		.index = index, .nesting_parent_iova = iova, .length = length,
	};

	return call(lab, IOMMUFD_HW_QUEUE_ALLOC, &a);
}

void queue_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t viommu = lab.viommu;

	section("hwqueue");
	row("flags 1", queue(&lab, 1, viommu, 1, 0, RAM, PAGE), EOPNOTSUPP);
	row("type DEFAULT", queue(&lab, 0, viommu, 0, 0, RAM, PAGE), EOPNOTSUPP);
	row("length 0", queue(&lab, 0, viommu, 1, 0, RAM, 0), EINVAL);
	row("address 2^64-1", queue(&lab, 0, viommu, 1, 0, UINT64_MAX, PAGE), EOVERFLOW);
	row("length 2^64-1", queue(&lab, 0, viommu, 1, 0, RAM, UINT64_MAX), EOVERFLOW);
	row("that wraps", queue(&lab, 0, viommu, 1, 0, -PAGE, 2 * PAGE), EOVERFLOW);
	row("no vIOMMU", queue(&lab, 0, 99, 1, 0, RAM, PAGE), ENOENT);
	row("a HWPT as the vIOMMU", queue(&lab, 0, lab.parent, 1, 0, RAM, PAGE), ENOENT);
	row("type CMDQV of an Arm vIOMMU", queue(&lab, 0, viommu, 1, 0, RAM, PAGE), EOPNOTSUPP);
	row("type 99", queue(&lab, 0, viommu, 99, 0, RAM, PAGE), EOPNOTSUPP);
	lab_close(&lab);
}
