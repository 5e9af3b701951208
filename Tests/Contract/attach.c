/* SPDX-License-Identifier: MIT */
/* VFIO's BIND, ATTACH (which is also replace) and DETACH. */
#include "contract.h"

static int64_t vfio_bind(int32_t device, uint32_t size, uint32_t flags, int32_t iommu)
{
	struct vfio_bind_iommufd a = {.argsz = size, .flags = flags, .iommufd = iommu};

	return sys.ioctl(device, VFIO_REQUEST_BIND_IOMMUFD, &a);
}

static int64_t vfio_attach(int32_t device, uint32_t size, uint32_t flags, uint32_t pt,
			   uint32_t pasid)
{
	struct vfio_attach_pt a = {size, flags, pt, pasid};

	return sys.ioctl(device, VFIO_REQUEST_ATTACH_PT, &a);
}

static int64_t vfio_detach(int32_t device, uint32_t size, uint32_t flags)
{
	struct vfio_detach_pt a = {size, flags, 1};

	return sys.ioctl(device, VFIO_REQUEST_DETACH_PT, &a);
}

static void bind_rows(void)
{
	struct lab lab = lab_open(OPEN);
	int32_t device = sys.open(sys.device(0)), again;
	struct vfio_info info = {.argsz = sizeof(info)};
	uint32_t id;

	row("open", device < 0 ? device : 0, 0);
	row("GET_INFO before BIND", sys.ioctl(device, VFIO_REQUEST_DEVICE_GET_INFO, &info), EINVAL);
	row("ATTACH before BIND", attach(device, 1), EINVAL);
	row("DETACH before BIND", detach(device), EINVAL);
	row("BIND argsz 8", vfio_bind(device, 8, 0, lab.iommu), EINVAL);
	row("BIND flags 2", vfio_bind(device, 16, 2, lab.iommu), EINVAL);
	row("BIND token, argsz 16", vfio_bind(device, 16, 1, lab.iommu), EFAULT);
	row("BIND fd -1", vfio_bind(device, 16, 0, -1), EINVAL);
	row("BIND fd that is not open", vfio_bind(device, 16, 0, 1000), EBADF);
	row("BIND to a VFIO device", vfio_bind(device, 16, 0, device), EBADFD);
	row("BIND argsz 16", vfio_bind(device, 16, 0, lab.iommu), 0);
	row("BIND again", vfio_bind(device, 16, 0, lab.iommu), EINVAL);
	row("GET_INFO", sys.ioctl(device, VFIO_REQUEST_DEVICE_GET_INFO, &info), 0);
	again = sys.open(sys.device(0));
	row("open a bound device", again < 0 ? again : 0, 0);
	row("BIND through that", bind_device(again, lab.iommu, &id), EINVAL);
	sys.close(again);
	sys.close(device);
	row("open again", (device = sys.open(sys.device(0))) < 0 ? device : 0, 0);
	row("BIND argsz 24", vfio_bind(device, 24, 0, lab.iommu), 0);
	row("an unknown request", sys.ioctl(device, 0x3bff, &info), ENOTTY);
	row("an iommufd request", sys.ioctl(device, IOMMUFD_IOAS_ALLOC, &info), ENOTTY);
	sys.close(device);
	lab_close(&lab);
}

static void argument_rows(const struct lab *lab)
{
	int32_t device = lab->device[0];

	row("ATTACH argsz 8", vfio_attach(device, 8, 0, lab->ioas, 0), EINVAL);
	row("ATTACH flags 2", vfio_attach(device, 12, 2, lab->ioas, 0), EINVAL);
	row("ATTACH PASID, argsz 12", vfio_attach(device, 12, 1, lab->ioas, 1), EINVAL);
	row("ATTACH PASID 1", vfio_attach(device, 16, 1, lab->ioas, 1), EINVAL);
	row("ATTACH no object", vfio_attach(device, 12, 0, 99, 0), ENOENT);
	row("ATTACH a device", vfio_attach(device, 12, 0, lab->id[0], 0), EINVAL);
	row("ATTACH a vIOMMU", vfio_attach(device, 12, 0, lab->viommu, 0), EINVAL);
	row("ATTACH a vDEVICE", vfio_attach(device, 12, 0, lab->vdevice, 0), EINVAL);
	row("DETACH what is not attached", vfio_detach(device, 8, 0), 0);
	row("ATTACH an IOAS", vfio_attach(device, 12, 0, lab->ioas, 0), 0);
	row("ATTACH it again", vfio_attach(device, 12, 0, lab->ioas, 0), 0);
	row("ATTACH no object then", vfio_attach(device, 12, 0, 99, 0), ENOENT);
	row("ATTACH a nest parent", vfio_attach(device, 12, 0, lab->parent, 0), 0);
	row("DETACH argsz 4", vfio_detach(device, 4, 0), EINVAL);
	row("DETACH flags 2", vfio_detach(device, 8, 2), EINVAL);
	row("DETACH PASID, argsz 8", vfio_detach(device, 8, 1), EINVAL);
	row("DETACH PASID 1", vfio_detach(device, 12, 1), 0);
	row("DETACH argsz 12", vfio_detach(device, 12, 0), 0);
	row("DETACH again", vfio_detach(device, 8, 0), 0);
}

void vfio_rows(void)
{
	struct lab lab;

	section("vfio");
	bind_rows();
	lab = lab_open(VDEVICE);
	argument_rows(&lab);
	lab_close(&lab);
}

/* Attaching nested HWPTs, which need a vDEVICE where they translate. */
static void without_vdevice(void)
{
	struct lab lab = lab_open(VIOMMU);
	int32_t device = lab.device[0];
	int64_t invalid = hwpt_nested(&lab, 0, 0), aborting = hwpt_nested(&lab, STE_ABORT, 0);
	int64_t bypass = hwpt_nested(&lab, STE_BYPASS, 0);
	int64_t stage1 = hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES);

	row("no vDEVICE: V 0", attach(device, (uint32_t)invalid), 0);
	row("no vDEVICE: abort", attach(device, (uint32_t)aborting), 0);
	row("no vDEVICE: bypass", attach(device, (uint32_t)bypass), 0);
	row("no vDEVICE: stage 1", attach(device, (uint32_t)stage1), ENOENT);
	row("bypass stays attached", destroy(&lab, (uint32_t)bypass), EBUSY);
	row("stage 1 is not", destroy(&lab, (uint32_t)stage1), 0);
	lab_close(&lab);
}

static void replace_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	int32_t device = lab.device[0];
	int64_t bypass = hwpt_nested(&lab, STE_BYPASS, 0);
	int64_t stage1 = hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES);
	int64_t other = hwpt_nested(&lab, STE_STAGE1 + 0x40, STE_ATTRIBUTES);
	int64_t shared = hwpt_nested(&lab, STE_ABORT, 0);

	row("stage 1", attach(device, (uint32_t)stage1), 0);
	row("the same again", attach(device, (uint32_t)stage1), 0);
	row("another stage 1", attach(device, (uint32_t)other), 0);
	row("the first is free", destroy(&lab, (uint32_t)stage1), 0);
	row("the other is not", destroy(&lab, (uint32_t)other), EBUSY);
	row("bypass", attach(device, (uint32_t)bypass), 0);
	row("the IOAS", attach(device, lab.ioas), 0);
	row("abort", attach(device, (uint32_t)shared), 0);
	row("abort for the other device too, no vDEVICE",
	    attach(lab.device[1], (uint32_t)shared), 0);
	row("stage 1 for the other device, no vDEVICE",
	    attach(lab.device[1], (uint32_t)other), ENOENT);
	row("the other stage 1 again", attach(device, (uint32_t)other), 0);
	row("DESTROY the vDEVICE meanwhile", destroy(&lab, lab.vdevice), 0);
	row("bypass then", attach(device, (uint32_t)bypass), 0);
	row("stage 1 then", attach(device, (uint32_t)other), ENOENT);
	row("detach", detach(device), 0);
	row("detach again", detach(device), 0);
	row("DESTROY all of them", destroy(&lab, (uint32_t)bypass), 0);
	lab_close(&lab);
}

/* The nest parent's IOAS gets the windows of a device that is attached above it. */
static void window_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t stage1 = (uint32_t)hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES);
	uint32_t other = (uint32_t)hwpt_nested(&lab, STE_BYPASS, 0);

	row("MAP in the MSI window", ioas_map(&lab, lab.ioas, 0x8000000, PAGE), 0);
	row("stage 1 over it", attach(lab.device[0], stage1), EADDRINUSE);
	row_with("UNMAP it", ioas_unmap(&lab, lab.ioas, 0x8000000, PAGE), 0, "unmapped=0x1000");
	row("stage 1 then", attach(lab.device[0], stage1), 0);
	row("MAP in the MSI window then", ioas_map(&lab, lab.ioas, 0x8000000, PAGE), EINVAL);
	row("MAP beside it", ioas_map(&lab, lab.ioas, 0x8100000, PAGE), 0);
	row("vDEVICE of the other device", vdevice_alloc(&lab, lab.id[1], VSID + 1), 0);
	row("the same stage 1 for both", attach(lab.device[1], stage1), 0);
	row("detach the first", detach(lab.device[0]), 0);
	row("DESTROY the HWPT", destroy(&lab, stage1), EBUSY);
	row("MAP in the MSI window yet", ioas_map(&lab, lab.ioas, 0x8000000, PAGE), EINVAL);
	row("replace the second's", attach(lab.device[1], other), 0);
	row("DESTROY the HWPT then", destroy(&lab, stage1), 0);
	row("detach the second", detach(lab.device[1]), 0);
	row("MAP in the MSI window, none attached", ioas_map(&lab, lab.ioas, 0x8000000, PAGE), 0);
	lab_close(&lab);
}

/* A device that can be reset keeps what is attached. */
static void reset_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t aborting = (uint32_t)hwpt_nested(&lab, STE_ABORT, 0);
	int32_t unbound = sys.open(sys.device(2));

	row("RESET before BIND", sys.ioctl(unbound, VFIO_REQUEST_DEVICE_RESET, NULL), EINVAL);
	sys.close(unbound);
	row("RESET, nothing attached", sys.ioctl(lab.device[1], VFIO_REQUEST_DEVICE_RESET, NULL), 0);
	row("abort", attach(lab.device[1], aborting), 0);
	row("RESET", sys.ioctl(lab.device[1], VFIO_REQUEST_DEVICE_RESET, NULL), 0);
	row("it stays attached", destroy(&lab, aborting), EBUSY);
	lab_close(&lab);
}

void attach_rows(void)
{
	section("attach");
	without_vdevice();
	replace_rows();
	window_rows();
	reset_rows();
}
