/* SPDX-License-Identifier: MIT */
/* VEVENTQ_ALLOC, and an empty queue. dma.c has the events. */
#include "contract.h"

static int64_t alloc(const struct lab *lab, uint32_t viommu, uint32_t flags, uint32_t type,
		     uint32_t depth)
{
	struct iommufd_veventq_alloc a = {
		.size = sizeof(a), .flags = flags, .viommu_id = viommu, .type = type,
		.veventq_depth = depth, .out_veventq_fd = -1,
	};
	int64_t result = call(lab, IOMMUFD_VEVENTQ_ALLOC, &a);

	if (result >= 0)
		sys.close(a.out_veventq_fd);
	return result < 0 ? result : a.out_veventq_id;
}

/* Asks, and gives it back. */
static int64_t tried(const struct lab *lab, uint32_t type, uint32_t depth)
{
	int64_t id = alloc(lab, lab->viommu, 0, type, depth);

	if (id >= 0)
		note("destroy=%d", (int)destroy(lab, (uint32_t)id));
	return id;
}

static void alloc_rows(const struct lab *lab)
{
	struct iommufd_veventq_alloc a = {
		.size = sizeof(a), .viommu_id = lab->viommu, .type = 1, .veventq_depth = 4,
		.reserved = 1,
	};

	row("reserved", call(lab, IOMMUFD_VEVENTQ_ALLOC, &a), EOPNOTSUPP);
	row("flags 1", alloc(lab, lab->viommu, 1, 1, 4), EOPNOTSUPP);
	row("type DEFAULT", alloc(lab, lab->viommu, 0, 0, 4), EOPNOTSUPP);
	row("no vIOMMU", alloc(lab, 99, 0, 1, 4), ENOENT);
	row("a HWPT as the vIOMMU", alloc(lab, lab->parent, 0, 1, 4), ENOENT);
	row("depth 0", tried(lab, 1, 0), EINVAL);
	row_with("depth 1", tried(lab, 1, 1), 0, "destroy=0");
	row_with("depth 2^19", tried(lab, 1, 1 << 19), 0, "destroy=0");
	row("depth 2^19+1", tried(lab, 1, (1 << 19) + 1), EINVAL);
	row("depth 2^32-1", tried(lab, 1, UINT32_MAX), EINVAL);
	row_with("type CMDQV", tried(lab, 2, 4), 0, "destroy=0");
	row_with("type 99", tried(lab, 99, 4), 0, "destroy=0");
}

static void queue_of(const struct lab *lab)
{
	int32_t fd, other;
	int64_t id = veventq_alloc(lab, 4, &fd);
	uint8_t data[80];

	row("a queue", id < 0 ? id : 0, 0);
	row("a second of the same type", veventq_alloc(lab, 4, &other), EEXIST);
	note("%s", sys.poll(fd) == 0 ? "nothing" : "something");
	row_with("poll, empty", 0, 0, "nothing");
	row("read 40, empty", sys.read(fd, data, 40), 0);
	row("read 80, empty", sys.read(fd, data, 80), 0);
	row("read 8, empty", sys.read(fd, data, 8), 0);
	row("read 7", sys.read(fd, data, 7), EINVAL);
	row("read 0", sys.read(fd, data, 0), EINVAL);
	row("write", sys.write(fd, data, 8), EINVAL);
	row("ioctl", sys.ioctl(fd, IOMMUFD_IOAS_ALLOC, data), ENOTTY);
	row("DESTROY with the fd open", destroy(lab, (uint32_t)id), EBUSY);
	row("DESTROY its vIOMMU", destroy(lab, lab->viommu), EBUSY);
	row("close", sys.close(fd), 0);
	row("DESTROY then", destroy(lab, (uint32_t)id), 0);
	row("a new one", veventq_alloc(lab, 4, &other) < 0 ? -1 : 0, 0);
	sys.close(other);
}

void veventq_rows(void)
{
	struct lab lab = lab_open(VDEVICE);

	section("veventq");
	alloc_rows(&lab);
	queue_of(&lab);
	lab_close(&lab);
}
