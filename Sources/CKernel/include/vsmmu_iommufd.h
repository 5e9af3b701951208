/* SPDX-License-Identifier: MIT */
/*
 * The numbers and layouts of /dev/iommu, of VFIO character devices and of the little of KVM that the
 * host side uses, as Linux 7.3 defines them. Private: not installed. Written down here because the
 * headers of a build machine are older than the kernels that the library meets.
 *
 * Every ioctl on /dev/iommu takes a struct whose first word is its size. Numbers carry no size or
 * direction: 0x3b00 | n.
 */
#ifndef VSMMU_IOMMUFD_H
#define VSMMU_IOMMUFD_H

#include <stdint.h>

enum iommufd_request {
	IOMMUFD_DESTROY = 0x3b80,
	IOMMUFD_IOAS_ALLOC = 0x3b81,
	IOMMUFD_IOAS_ALLOW_IOVAS = 0x3b82,
	IOMMUFD_IOAS_COPY = 0x3b83,
	IOMMUFD_IOAS_IOVA_RANGES = 0x3b84,
	IOMMUFD_IOAS_MAP = 0x3b85,
	IOMMUFD_IOAS_UNMAP = 0x3b86,
	IOMMUFD_OPTION = 0x3b87,
	IOMMUFD_VFIO_IOAS = 0x3b88,
	IOMMUFD_HWPT_ALLOC = 0x3b89,
	IOMMUFD_GET_HW_INFO = 0x3b8a,
	IOMMUFD_HWPT_SET_DIRTY_TRACKING = 0x3b8b,
	IOMMUFD_HWPT_GET_DIRTY_BITMAP = 0x3b8c,
	IOMMUFD_HWPT_INVALIDATE = 0x3b8d,
	IOMMUFD_FAULT_QUEUE_ALLOC = 0x3b8e,
	IOMMUFD_IOAS_MAP_FILE = 0x3b8f,
	IOMMUFD_VIOMMU_ALLOC = 0x3b90,
	IOMMUFD_VDEVICE_ALLOC = 0x3b91,
	IOMMUFD_IOAS_CHANGE_PROCESS = 0x3b92,
	IOMMUFD_VEVENTQ_ALLOC = 0x3b93,
	IOMMUFD_HW_QUEUE_ALLOC = 0x3b94,
	IOMMUFD_IOAS_NOIOMMU_GET_PA = 0x3b95,
};

struct iommufd_destroy {
	uint32_t size, id;
};

struct iommufd_ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};

/* Both bounds inclusive. */
struct iommufd_iova_range {
	uint64_t start, last;
};

struct iommufd_ioas_iova_ranges {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas; /* pointer to num_iovas ranges */
	uint64_t out_iova_alignment;
};

struct iommufd_ioas_allow_iovas {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas;
};

#define IOMMUFD_MAP_FIXED_IOVA 1u
#define IOMMUFD_MAP_WRITEABLE 2u
#define IOMMUFD_MAP_READABLE 4u

struct iommufd_ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};

struct iommufd_ioas_map_file {
	uint32_t size, flags, ioas_id;
	int32_t fd;
	uint64_t start, length, iova;
};

struct iommufd_ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};

struct iommufd_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

struct iommufd_option {
	uint32_t size, option_id;
	uint16_t op, reserved;
	uint32_t object_id;
	uint64_t value;
};

struct iommufd_vfio_ioas {
	uint32_t size, ioas_id;
	uint16_t op, reserved;
};

#define IOMMUFD_HWPT_NEST_PARENT 1u
#define IOMMUFD_HWPT_DIRTY_TRACKING 2u
#define IOMMUFD_HWPT_FAULT_ID_VALID 4u
#define IOMMUFD_HWPT_PASID 8u

#define IOMMUFD_HWPT_DATA_NONE 0u
#define IOMMUFD_HWPT_DATA_VTD_S1 1u
#define IOMMUFD_HWPT_DATA_ARM_SMMUV3 2u
#define IOMMUFD_HWPT_DATA_AMD_GUEST 3u

struct iommufd_hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};

/* The first two words of a guest's STE. */
struct iommufd_hwpt_arm_smmuv3 {
	uint64_t ste[2];
};

#define IOMMUFD_HW_INFO_INPUT_TYPE 1u

#define IOMMUFD_HW_INFO_TYPE_DEFAULT 0u
#define IOMMUFD_HW_INFO_TYPE_INTEL_VTD 1u
#define IOMMUFD_HW_INFO_TYPE_ARM_SMMUV3 2u
#define IOMMUFD_HW_INFO_TYPE_TEGRA241_CMDQV 3u
#define IOMMUFD_HW_INFO_TYPE_AMD 4u

#define IOMMUFD_HW_CAP_DIRTY_TRACKING 1u
#define IOMMUFD_HW_CAP_PASID_EXEC 2u
#define IOMMUFD_HW_CAP_PASID_PRIV 4u
#define IOMMUFD_HW_CAP_ATS_NOT_SUPPORTED 8u

struct iommufd_hw_info {
	uint32_t size, flags, dev_id, data_len;
	uint64_t data_uptr;
	uint32_t data_type; /* in with INPUT_TYPE, always out */
	uint8_t out_max_pasid_log2, reserved[3];
	uint64_t out_capabilities;
};

#define IOMMUFD_ARM_SMMUV3_REPEAT_TLBI_CFGI 1u /* since 7.3 */

struct iommufd_hw_info_arm_smmuv3 {
	uint32_t flags, reserved;
	uint32_t idr[6];
	uint32_t iidr, aidr;
};

struct iommufd_hw_info_tegra241_cmdqv {
	uint32_t flags;
	uint8_t version, log2vcmdqs, log2vsids, reserved;
};

struct iommufd_hwpt_set_dirty_tracking {
	uint32_t size, flags, hwpt_id, reserved;
};

struct iommufd_hwpt_get_dirty_bitmap {
	uint32_t size, hwpt_id, flags, reserved;
	uint64_t iova, length, page_size, data;
};

#define IOMMUFD_INVALIDATE_VTD_S1 0u
#define IOMMUFD_INVALIDATE_ARM_SMMUV3 1u

struct iommufd_hwpt_invalidate {
	uint32_t size, hwpt_id;
	uint64_t data_uptr;
	uint32_t data_type, entry_len, entry_num, reserved;
};

struct iommufd_fault_alloc {
	uint32_t size, flags, out_fault_id;
	int32_t out_fault_fd;
};

struct iommufd_hwpt_pgfault {
	uint32_t flags, dev_id, pasid, grpid, perm, reserved;
	uint64_t addr;
	uint32_t length, cookie;
};

struct iommufd_hwpt_page_response {
	uint32_t cookie, code;
};

#define IOMMUFD_VIOMMU_TYPE_DEFAULT 0u
#define IOMMUFD_VIOMMU_TYPE_ARM_SMMUV3 1u
#define IOMMUFD_VIOMMU_TYPE_TEGRA241_CMDQV 2u

struct iommufd_viommu_alloc {
	uint32_t size, flags, type, dev_id, hwpt_id, out_viommu_id, data_len, reserved;
	uint64_t data_uptr;
};

struct iommufd_viommu_tegra241_cmdqv {
	uint64_t out_vintf_mmap_offset, out_vintf_mmap_length;
};

struct iommufd_vdevice_alloc {
	uint32_t size, viommu_id, dev_id, out_vdevice_id;
	uint64_t virt_id;
};

#define IOMMUFD_VEVENTQ_LOST_EVENTS 1u

struct iommufd_vevent_header {
	uint32_t flags, sequence;
};

struct iommufd_vevent_arm_smmuv3 {
	uint64_t evt[4];
};

struct iommufd_vevent_tegra241_cmdqv {
	uint64_t lvcmdq_err_map[2];
};

#define IOMMUFD_VEVENTQ_TYPE_ARM_SMMUV3 1u
#define IOMMUFD_VEVENTQ_TYPE_TEGRA241_CMDQV 2u

struct iommufd_veventq_alloc {
	uint32_t size, flags, viommu_id, type, veventq_depth, out_veventq_id;
	int32_t out_veventq_fd;
	uint32_t reserved;
};

#define IOMMUFD_HW_QUEUE_TYPE_TEGRA241_CMDQV 1u

struct iommufd_hw_queue_alloc {
	uint32_t size, flags, viommu_id, type, index, out_hw_queue_id;
	uint64_t nesting_parent_iova, length;
};

struct iommufd_ioas_change_process {
	uint32_t size, reserved;
};

struct iommufd_ioas_noiommu_get_pa {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t iova, length, out_phys;
};

/* The smallest `size` that the kernel accepts, where it is not the whole struct. */
#define IOMMUFD_HWPT_ALLOC_LEAST 24u
#define IOMMUFD_HW_INFO_LEAST 32u
#define IOMMUFD_VIOMMU_ALLOC_LEAST 24u
#define IOMMUFD_VEVENTQ_ALLOC_LEAST 28u

/* The window in which a Linux host maps MSI doorbells for assigned devices. */
#define IOMMUFD_MSI_WINDOW_FIRST 0x8000000ull
#define IOMMUFD_MSI_WINDOW_LAST 0x80fffffull

/* --- VFIO character devices ------------------------------------------------------------------ */

enum vfio_request {
	VFIO_REQUEST_DEVICE_GET_INFO = 0x3b6b,
	VFIO_REQUEST_DEVICE_RESET = 0x3b6f,
	VFIO_REQUEST_DEVICE_FEATURE = 0x3b75,
	VFIO_REQUEST_BIND_IOMMUFD = 0x3b76,
	VFIO_REQUEST_ATTACH_PT = 0x3b77,
	VFIO_REQUEST_DETACH_PT = 0x3b78,
};

struct vfio_info {
	uint32_t argsz, flags, num_regions, num_irqs, cap_offset, pad;
};

/* VFIO_DEVICE_FEATURE: the flags hold the feature's number and what is asked of it. */
#define VFIO_FEATURE_MASK 0xffffu
#define VFIO_FEATURE_GET (1u << 16)
#define VFIO_FEATURE_SET (1u << 17)
#define VFIO_FEATURE_PROBE (1u << 18)
#define VFIO_FEATURE_DMA_BUF 11u
#define VFIO_FEATURE_LEAST 8u

struct vfio_bar_range {
	uint64_t offset, length;
};

/* GET makes a dma-buf of ranges of a BAR, and returns its descriptor. */
struct vfio_feature_dma_buf {
	uint32_t argsz, flags;
	uint32_t region_index, open_flags, dma_buf_flags, nr_ranges;
	struct vfio_bar_range range; /* the first of nr_ranges */
};

#define VFIO_FEATURE_DMA_BUF_LEAST 24u
/* O_RDWR | O_CLOEXEC of Linux on arm64 and x86-64. */
#define VFIO_OPEN_FLAGS 02000002u

#define VFIO_BIND_TOKEN 1u

struct vfio_bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};

#define VFIO_BIND_LEAST 16u
#define VFIO_PT_PASID 1u

struct vfio_attach_pt {
	uint32_t argsz, flags, pt_id, pasid;
};

struct vfio_detach_pt {
	uint32_t argsz, flags, pasid;
};

#define VFIO_ATTACH_LEAST 12u
#define VFIO_DETACH_LEAST 8u

/* --- KVM ------------------------------------------------------------------------------------- */

enum kvm_request {
	KVM_REQUEST_GET_API_VERSION = 0xae00,
	KVM_REQUEST_CREATE_VM = 0xae01,
	KVM_REQUEST_CHECK_EXTENSION = 0xae03,
	KVM_REQUEST_CREATE_VCPU = 0xae41,
	KVM_REQUEST_RUN = 0xae80,
	KVM_REQUEST_CREATE_DEVICE = (int)0xc00caee0,
	KVM_REQUEST_SET_DEVICE_ATTR = 0x4018aee1,
};

#define KVM_EXTENSION_ARM_VM_IPA_SIZE 165u
#define KVM_DEVICE_TYPE_VFIO 4u
#define KVM_VFIO_FILE 1u
#define KVM_VFIO_FILE_ADD 1u
#define KVM_VFIO_FILE_DEL 2u

struct kvm_device {
	uint32_t type, fd, flags;
};

struct kvm_attribute {
	uint32_t flags, group;
	uint64_t attr, addr;
};

#endif
