/* SPDX-License-Identifier: MIT */
/* What DESTROY refuses while another object needs it; descriptors of other kinds; teardown. */
#include "contract.h"

void destroy_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t nested = (uint32_t)hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES);

	section("destroy");
	row("a bound device", destroy(&lab, lab.id[0]), EBUSY);
	row("an IOAS with a HWPT", destroy(&lab, lab.ioas), EBUSY);
	row("a nest parent with a vIOMMU", destroy(&lab, lab.parent), EBUSY);
	row("a vIOMMU with a nested HWPT", destroy(&lab, lab.viommu), EBUSY);
	attach(lab.device[0], nested);
	row("an attached HWPT", destroy(&lab, nested), EBUSY);
	row("a vDEVICE whose stream translates", destroy(&lab, lab.vdevice), 0);
	detach(lab.device[0]);
	row("the HWPT, detached", destroy(&lab, nested), 0);
	lab.vdevice = (uint32_t)vdevice_alloc(&lab, lab.id[0], VSID);
	row("a vIOMMU with a vDEVICE", destroy(&lab, lab.viommu), EBUSY);
	row("that vDEVICE", destroy(&lab, lab.vdevice), 0);
	row("the vIOMMU", destroy(&lab, lab.viommu), 0);
	row("the nest parent", destroy(&lab, lab.parent), 0);
	row("the IOAS", destroy(&lab, lab.ioas), 0);
	row("the IOAS again", destroy(&lab, lab.ioas), ENOENT);
	lab_close(&lab);

	/* An IOAS that a device attached to makes a HWPT of its own, which goes with the device. */
	lab = lab_open(SPACE);
	row("attach an IOAS", attach(lab.device[0], lab.ioas), 0);
	row("that IOAS", destroy(&lab, lab.ioas), EBUSY);
	row("the HWPT that was made", destroy(&lab, lab.ioas + 1), EBUSY);
	row("detach", detach(lab.device[0]), 0);
	row("the HWPT that was made, again", destroy(&lab, lab.ioas + 1), ENOENT);
	row("the IOAS then", destroy(&lab, lab.ioas), 0);
	lab_close(&lab);
}

void file_rows(void)
{
	struct lab lab = lab_open(BOUND);
	struct iommufd_ioas_alloc a = {.size = sizeof(a)};
	uint8_t data[64];
	int32_t other;

	section("file");
	row("read an iommufd", sys.read(lab.iommu, data, 8), EINVAL);
	row("write an iommufd", sys.write(lab.iommu, data, 8), EINVAL);
	row("VFIO's BIND on an iommufd", sys.ioctl(lab.iommu, VFIO_REQUEST_BIND_IOMMUFD, data),
	    ENOTTY);
	row("IOAS_ALLOC on a device", sys.ioctl(lab.device[0], IOMMUFD_IOAS_ALLOC, &a), ENOTTY);
	row("ioctl on no descriptor", sys.ioctl(1000, IOMMUFD_IOAS_ALLOC, &a), EBADF);
	row("ioctl on -1", sys.ioctl(-1, IOMMUFD_IOAS_ALLOC, &a), EBADF);
	row("read no descriptor", sys.read(1000, data, 8), EBADF);
	row("write no descriptor", sys.write(1000, data, 8), EBADF);
	row("close no descriptor", sys.close(1000), EBADF);
	row("dup no descriptor", sys.dup(1000), EBADF);
	row("open nothing", sys.open("/dev/vfio/devices/vfio99"), ENOENT);
	other = sys.dup(lab.iommu);
	row("dup an iommufd", other < 0 ? other : 0, 0);
	sys.close(lab.iommu);
	lab.iommu = other;
	row("GET_HW_INFO through the other", ioas_alloc(&lab) == 3 ? 0 : -1, 0);
	lab_close(&lab);
}

/* Descriptors closed in an order that no VMM should choose. */
void teardown_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t nested = (uint32_t)hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES), device = lab.id[0];
	int32_t again;

	section("teardown");
	row("attach", attach(lab.device[0], nested), 0);
	row("close the device", sys.close(lab.device[0]), 0);
	lab.device[0] = -1;
	row("its id is gone", hwpt_alloc(&lab, device, lab.ioas, 0), ENOENT);
	row("DESTROY its vDEVICE, a tombstone", destroy(&lab, lab.vdevice), ENOENT);
	row("the HWPT is free", destroy(&lab, nested), 0);
	row_with("its commands", invalidate_one(&lab, CFGI_CD | (uint64_t)VSID << 32, 1), EIO,
		 "done=0/1");
	again = sys.open(sys.device(0));
	row("open and bind it again", bind_device(again, lab.iommu, &lab.id[0]), 0);
	note("id=%u", lab.id[0]);
	row_with("its id", 0, 0, "id=1");
	note("id=%d", (int)vdevice_alloc(&lab, lab.id[0], VSID));
	row_with("a vDEVICE of the same StreamID", 0, 0, "id=7");
	row("the vIOMMU", destroy(&lab, lab.viommu), EBUSY);
	row("close the iommufd first", sys.close(lab.iommu), 0);
	row("ATTACH then", attach(again, lab.parent), 0);
	sys.close(again);
	lab.device[0] = -1;
	sys.close(lab.device[1]);

	lab = lab_open(BOUND);
	note("%u %u", lab.id[0], lab.id[1]);
	row_with("all is free for the next", 0, 0, "1 2");
	lab_close(&lab);
}
