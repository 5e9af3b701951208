/* SPDX-License-Identifier: MIT */
/* BARs: VFIO_DEVICE_FEATURE_DMA_BUF, IOAS_MAP_FILE of what it makes, and the end of both. */
#include "contract.h"

#define FIXED IOMMUFD_MAP_FIXED_IOVA
#define READ IOMMUFD_MAP_READABLE
#define WRITE IOMMUFD_MAP_WRITEABLE

#define FEATURE VFIO_REQUEST_DEVICE_FEATURE
#define DMA_BUF VFIO_FEATURE_DMA_BUF
#define GET VFIO_FEATURE_GET
#define SET VFIO_FEATURE_SET
#define PROBE VFIO_FEATURE_PROBE

/* Where the BAR of device 1, the peer, is for device 0. The first pages of it are asked for. */
#define BAR UINT64_C(0x80000000)
#define BAR_SIZE (2 * PAGE)
#define AGAIN (BAR + 16 * PAGE)
#define COPY (BAR + 32 * PAGE)

/* What no BAR begins with. Nor does one begin with 0. */
#define MARKER UINT32_C(0x5a5a0001)

/* A request with room for two ranges. */
struct request {
	struct vfio_feature_dma_buf head;
	struct vfio_bar_range second;
};

static struct request whole(void)
{
	return (struct request){
		.head = {
			.argsz = sizeof(struct request), .flags = DMA_BUF | GET,
			.open_flags = VFIO_OPEN_FLAGS, .nr_ranges = 1, .range = {0, BAR_SIZE},
		},
		.second = {0, PAGE},
	};
}

/* One that must fail; what does not is closed again. */
static void refused(const char *name, int32_t device, struct request request, int want)
{
	int64_t result = sys.ioctl(device, FEATURE, &request);

	row(name, result, want);
	if (result > 0)
		sys.close((int32_t)result);
}

static void flag_rows(int32_t device)
{
	static const struct { const char *name; uint32_t argsz, flags; int want; } rows[] = {
		{"argsz 7", 7, DMA_BUF | GET, EINVAL},
		{"a flag that there is not", 40, DMA_BUF | GET | 1u << 19, EINVAL},
		{"GET and SET", 40, DMA_BUF | GET | SET, EINVAL},
		{"a feature that there is not", 40, 0x1234 | GET, ENOTTY},
		{"PROBE of a feature that there is not", 40, 0x1234 | PROBE, ENOTTY},
		{"PROBE", 8, DMA_BUF | PROBE, 0},
		{"PROBE of GET", 8, DMA_BUF | PROBE | GET, 0},
		{"PROBE of SET", 8, DMA_BUF | PROBE | SET, EINVAL},
		{"PROBE of both", 8, DMA_BUF | PROBE | GET | SET, EINVAL},
		{"SET", 40, DMA_BUF | SET, EINVAL},
		{"neither", 40, DMA_BUF, EINVAL},
		{"argsz 23", 23, DMA_BUF | GET, EINVAL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request = whole();

		request.head.argsz = rows[i].argsz;
		request.head.flags = rows[i].flags;
		refused(text("FEATURE %s", rows[i].name), device, request, rows[i].want);
	}
}

static void range_rows(int32_t device)
{
	static const struct {
		const char *name;
		uint32_t region, flags, ranges;
		uint64_t offset, length;
		int want;
	} rows[] = {
		{"no range", 0, 0, 0, 0, PAGE, EINVAL},
		{"flags 1", 0, 1, 1, 0, PAGE, EINVAL},
		{"the ROM", 6, 0, 1, 0, PAGE, ENODEV},
		{"the configuration space", 7, 0, 1, 0, PAGE, ENODEV},
		{"a BAR that there is not", 5, 0, 1, 0, PAGE, ENODEV},
		{"length 0", 0, 0, 1, 0, 0, EINVAL},
		{"half a page", 0, 0, 1, 0, PAGE / 2, EINVAL},
		{"from half a page", 0, 0, 1, PAGE / 2, PAGE, EINVAL},
		{"beyond the BAR", 0, 0, 1, 0, UINT64_C(1) << 33, EINVAL},
		{"an offset beyond it", 0, 0, 1, UINT64_C(1) << 33, PAGE, EINVAL},
		{"an offset that wraps", 0, 0, 1, -PAGE, PAGE, EOVERFLOW},
		{"two ranges that wrap", 0, 0, 2, 0, -PAGE, EINVAL},
		{"all from 2^63 on", 0, 0, 1, UINT64_C(1) << 63, UINT64_C(1) << 63, EINVAL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request request = whole();

		request.head.region_index = rows[i].region;
		request.head.dma_buf_flags = rows[i].flags;
		request.head.nr_ranges = rows[i].ranges;
		request.head.range = (struct vfio_bar_range){rows[i].offset, rows[i].length};
		refused(text("DMA_BUF %s", rows[i].name), device, request, rows[i].want);
	}
}

static int32_t export_ranges(int32_t device, uint32_t count)
{
	struct request request = whole();

	request.head.nr_ranges = count;
	return (int32_t)sys.ioctl(device, FEATURE, &request);
}

static int64_t map_buffer(const struct lab *lab, uint32_t flags, int32_t fd, uint64_t start,
			  uint64_t length, uint64_t iova)
{
	struct iommufd_ioas_map_file a = {
		.size = sizeof(a), .flags = flags, .ioas_id = lab->ioas, .fd = fd,
		.start = start, .length = length, .iova = iova,
	};

	return call(lab, IOMMUFD_IOAS_MAP_FILE, &a);
}

static int64_t map_bar(const struct lab *lab, int32_t fd, uint64_t iova)
{
	return map_buffer(lab, FIXED | READ | WRITE, fd, 0, BAR_SIZE, iova);
}

static void map_errors(const struct lab *lab, int32_t fd)
{
	int32_t two = export_ranges(lab->device[1], 2);

	row("DMA_BUF of two ranges", two, 0);
	row("MAP_FILE of two ranges", map_buffer(lab, FIXED | READ, two, 0, PAGE, BAR), EOPNOTSUPP);
	sys.close(two);
	row("MAP_FILE length 0", map_buffer(lab, FIXED | READ, fd, 0, 0, BAR), EINVAL);
	row("MAP_FILE more than it has", map_buffer(lab, FIXED | READ, fd, 0, 3 * PAGE, BAR), EINVAL);
	row("MAP_FILE from its end", map_buffer(lab, FIXED | READ, fd, 2 * PAGE, PAGE, BAR), EINVAL);
	row("MAP_FILE that wraps", map_buffer(lab, FIXED | READ, fd, -PAGE, 2 * PAGE, BAR), EOVERFLOW);
	row("MAP_FILE that is nobody's", map_buffer(lab, FIXED, fd, 0, PAGE, BAR), EINVAL);
	row("MAP_FILE over RAM", map_buffer(lab, FIXED | READ, fd, 0, PAGE, RAM), EEXIST);
	row("MAP_FILE into the MSI window",
	    map_buffer(lab, FIXED | READ, fd, 0, PAGE, 0x8000000), EINVAL);
	row("MAP_FILE at half a page",
	    map_buffer(lab, FIXED | READ, fd, 0, PAGE, BAR + PAGE / 2), EINVAL);
	row("MAP_FILE of half a page", map_buffer(lab, FIXED | READ, fd, 0, PAGE / 2, BAR), EINVAL);
}

/* Does device 0 read what the BAR begins with? A device whose read fails writes what it had before, or
 * 0, as QEMU's. */
static int64_t reads(const struct lab *lab, uint64_t iova)
{
	volatile uint32_t *from = (volatile uint32_t *)(ram + (SOURCE - RAM));
	volatile uint32_t *to = (volatile uint32_t *)(ram + (TARGET - RAM));

	*from = MARKER;
	sys.dma(lab->device[0], SOURCE, TARGET);
	if (*to != MARKER)
		note("nothing is copied");
	sys.dma(lab->device[0], iova, TARGET);
	note("%s", *to == MARKER || *to == 0 ? "stopped" : "read");
	return 0;
}

static int64_t copy_bar(const struct lab *lab, uint64_t from, uint64_t to)
{
	struct iommufd_ioas_copy a = {
		.size = sizeof(a), .flags = FIXED | READ | WRITE, .dst_ioas_id = lab->ioas,
		.src_ioas_id = lab->ioas, .length = BAR_SIZE, .dst_iova = to, .src_iova = from,
	};

	return call(lab, IOMMUFD_IOAS_COPY, &a);
}

static void unmapped(const struct lab *lab, const char *name, uint64_t iova)
{
	row_with(name, ioas_unmap(lab, lab->ioas, iova, BAR_SIZE), 0, "unmapped=0x2000");
}

static void mapped_rows(const struct lab *lab)
{
	int32_t fd = export_ranges(lab->device[1], 1);

	row("DMA_BUF", fd, 0);
	map_errors(lab, fd);
	row("MAP_FILE", map_bar(lab, fd, BAR), 0);
	row("MAP_FILE of it again", map_bar(lab, fd, BAR), EEXIST);
	row("close", sys.close(fd), 0);
	row_with("a peer", reads(lab, BAR), 0, "read");
	row_with("a peer behind it", reads(lab, BAR + BAR_SIZE), 0, "stopped");
	row("COPY", copy_bar(lab, BAR, COPY), 0);
	row_with("a peer at the copy", reads(lab, COPY), 0, "read");
	row("UNMAP one page of two", ioas_unmap(lab, lab->ioas, BAR, PAGE), ENOENT);
	unmapped(lab, "UNMAP", BAR);
	row_with("a peer", reads(lab, BAR), 0, "stopped");
	row_with("a peer at the copy", reads(lab, COPY), 0, "read");
	unmapped(lab, "UNMAP the copy", COPY);
}

/* A hole that stays until it is unmapped. */
static void hole_rows(const struct lab *lab)
{
	row_with("a peer", reads(lab, BAR), 0, "stopped");
	row_with("a peer at the copy", reads(lab, COPY), 0, "stopped");
	row("MAP over the hole", ioas_map(lab, lab->ioas, BAR, PAGE), EEXIST);
}

static void decode_rows(const struct lab *lab)
{
	int32_t fd = export_ranges(lab->device[1], 1), other;

	map_bar(lab, fd, BAR);
	copy_bar(lab, BAR, COPY);
	sys.decode(lab->device[1], 1, false);
	row_with("a peer, memory decode off", reads(lab, BAR), 0, "stopped");
	row("MAP_FILE", map_bar(lab, fd, AGAIN), ENODEV);
	other = export_ranges(lab->device[1], 1);
	row("DMA_BUF", other, 0);
	row("MAP_FILE of that", map_bar(lab, other, AGAIN), ENODEV);
	row("a page table over the hole", hwpt_alloc(lab, lab->id[0], lab->ioas, 0), 0);
	sys.decode(lab->device[1], 1, true);
	hole_rows(lab);
	row("COPY of the hole", copy_bar(lab, BAR, AGAIN), 0);
	row_with("a peer at that", reads(lab, AGAIN), 0, "stopped");
	unmapped(lab, "UNMAP that", AGAIN);
	row("MAP_FILE, memory decode on", map_bar(lab, fd, AGAIN), 0);
	row_with("a peer at that", reads(lab, AGAIN), 0, "read");
	unmapped(lab, "UNMAP that", AGAIN);
	row("MAP_FILE of the other", map_bar(lab, other, AGAIN), 0);
	row_with("a peer at that", reads(lab, AGAIN), 0, "read");
	unmapped(lab, "UNMAP that", AGAIN);
	unmapped(lab, "UNMAP the hole", BAR);
	unmapped(lab, "UNMAP the hole's copy", COPY);
	sys.close(fd);
	sys.close(other);
}

static void reset_rows(const struct lab *lab)
{
	int32_t fd = export_ranges(lab->device[1], 1);

	map_bar(lab, fd, BAR);
	copy_bar(lab, BAR, COPY);
	row("RESET", sys.ioctl(lab->device[1], VFIO_REQUEST_DEVICE_RESET, NULL), 0);
	hole_rows(lab);
	unmapped(lab, "UNMAP the hole", BAR);
	row("MAP_FILE", map_bar(lab, fd, BAR), 0);
	row_with("a peer", reads(lab, BAR), 0, "read");
	unmapped(lab, "UNMAP", BAR);
	unmapped(lab, "UNMAP the hole's copy", COPY);
	sys.close(fd);
}

/* The device goes, and is opened again. */
static void close_rows(struct lab *lab)
{
	int32_t fd = export_ranges(lab->device[1], 1), other;

	map_bar(lab, fd, BAR);
	copy_bar(lab, BAR, COPY);
	sys.close(lab->device[1]);
	hole_rows(lab);
	row("MAP_FILE", map_bar(lab, fd, AGAIN), ENODEV);
	lab->device[1] = sys.open(sys.device(1));
	other = export_ranges(lab->device[1], 1);
	row("DMA_BUF of a device that is not bound", other, EINVAL);
	row("BIND", bind_device(lab->device[1], lab->iommu, &lab->id[1]), 0);
	row("MAP_FILE of the old one", map_bar(lab, fd, AGAIN), ENODEV);
	other = export_ranges(lab->device[1], 1);
	row("MAP_FILE of a new one", map_bar(lab, other, AGAIN), 0);
	row_with("a peer", reads(lab, AGAIN), 0, "read");
	sys.close(fd);
	sys.close(other);
	unmapped(lab, "UNMAP the hole", BAR);
	row_with("UNMAP all", ioas_unmap(lab, lab->ioas, 0, UINT64_MAX), 0,
		 text("unmapped=%#" PRIx64, RAM_SIZE + 2 * BAR_SIZE));
}

void bar_rows(void)
{
	struct lab lab = lab_open(PARENT);

	section("bar");
	sys.decode(lab.device[1], 1, true);
	row("attach", attach(lab.device[0], lab.parent), 0);
	flag_rows(lab.device[1]);
	range_rows(lab.device[1]);
	mapped_rows(&lab);
	decode_rows(&lab);
	reset_rows(&lab);
	close_rows(&lab);
	lab_close(&lab);
}
