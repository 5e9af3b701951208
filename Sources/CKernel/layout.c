// SPDX-License-Identifier: MIT
/* The kernel's sizes and the offsets at which structs could differ from it (facts of Linux 7.3). */
#include "vsmmu_iommufd.h"

#include <stddef.h>

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#define AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #field)

SIZE(iommufd_destroy, 8);
SIZE(iommufd_ioas_alloc, 12);
SIZE(iommufd_ioas_allow_iovas, 24);
SIZE(iommufd_ioas_copy, 40);
SIZE(iommufd_ioas_iova_ranges, 32);
SIZE(iommufd_ioas_map, 40);
SIZE(iommufd_ioas_map_file, 40);
SIZE(iommufd_ioas_unmap, 24);
SIZE(iommufd_option, 24);
SIZE(iommufd_vfio_ioas, 12);
SIZE(iommufd_hwpt_alloc, 48);
AT(iommufd_hwpt_alloc, data_uptr, 32);
AT(iommufd_hwpt_alloc, fault_id, 40);
SIZE(iommufd_hw_info, 40);
AT(iommufd_hw_info, data_type, 24);
AT(iommufd_hw_info, out_max_pasid_log2, 28);
AT(iommufd_hw_info, out_capabilities, 32);
SIZE(iommufd_hw_info_arm_smmuv3, 40);
AT(iommufd_hw_info_arm_smmuv3, iidr, 32);
SIZE(iommufd_hw_info_tegra241_cmdqv, 8);
AT(iommufd_hw_info_tegra241_cmdqv, log2vsids, 6);
SIZE(iommufd_hwpt_set_dirty_tracking, 16);
SIZE(iommufd_hwpt_get_dirty_bitmap, 48);
SIZE(iommufd_hwpt_invalidate, 32);
AT(iommufd_hwpt_invalidate, entry_num, 24);
SIZE(iommufd_fault_alloc, 16);
SIZE(iommufd_hwpt_pgfault, 40);
SIZE(iommufd_viommu_alloc, 40);
AT(iommufd_viommu_alloc, out_viommu_id, 20);
AT(iommufd_viommu_alloc, data_uptr, 32);
SIZE(iommufd_viommu_tegra241_cmdqv, 16);
SIZE(iommufd_vdevice_alloc, 24);
SIZE(iommufd_veventq_alloc, 32);
AT(iommufd_veventq_alloc, out_veventq_fd, 24);
SIZE(iommufd_vevent_tegra241_cmdqv, 16);
SIZE(iommufd_hw_queue_alloc, 40);
AT(iommufd_hw_queue_alloc, nesting_parent_iova, 24);
SIZE(iommufd_ioas_noiommu_get_pa, 40);
SIZE(vfio_bind_iommufd, 24);
SIZE(vfio_feature_dma_buf, 40);
AT(vfio_feature_dma_buf, region_index, 8);
AT(vfio_feature_dma_buf, nr_ranges, 20);
AT(vfio_feature_dma_buf, range, VFIO_FEATURE_DMA_BUF_LEAST);
SIZE(vfio_attach_pt, 16);
SIZE(vfio_detach_pt, 12);
SIZE(kvm_device, 12);
SIZE(kvm_attribute, 24);
