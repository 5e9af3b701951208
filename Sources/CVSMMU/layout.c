// SPDX-License-Identifier: MIT
// The layout of every public struct, checked where it is compiled: it is the ABI.
#include "vsmmuv3.h"
#include "vsmmuv3_emulated.h"
#include "vsmmuv3_host.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#define AT(type, field, offset) \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field)

_Static_assert(sizeof(void *) == 8, "a 64-bit target");

SIZE(vsmmu_invalidation, 40);
AT(vsmmu_invalidation, size, 0);
AT(vsmmu_invalidation, kind, 4);
AT(vsmmu_invalidation, vmid, 8);
AT(vsmmu_invalidation, asid, 12);
AT(vsmmu_invalidation, address, 16);
AT(vsmmu_invalidation, last, 24);
AT(vsmmu_invalidation, generation, 32);

SIZE(vsmmu_ops, 88);
AT(vsmmu_ops, size, 0);
AT(vsmmu_ops, reserved, 4);
AT(vsmmu_ops, mem_read, 8);
AT(vsmmu_ops, mem_write, 16);
AT(vsmmu_ops, mem_dirty, 24);
AT(vsmmu_ops, irq, 32);
AT(vsmmu_ops, msi, 40);
AT(vsmmu_ops, invalidate, 48);
AT(vsmmu_ops, work, 56);
AT(vsmmu_ops, log, 64);
AT(vsmmu_ops, attach, 72);
AT(vsmmu_ops, detach, 80);

SIZE(vsmmu_config, 56);
AT(vsmmu_config, size, 0);
AT(vsmmu_config, profile, 4);
AT(vsmmu_config, flags, 8);
AT(vsmmu_config, command_budget, 12);
AT(vsmmu_config, tlb_entries, 16);
AT(vsmmu_config, configuration_entries, 20);
AT(vsmmu_config, features, 24);
AT(vsmmu_config, host, 32);
AT(vsmmu_config, ioas, 40);
AT(vsmmu_config, parent_hwpt, 48);
AT(vsmmu_config, reserved, 52);

SIZE(vsmmu_access, 32);
AT(vsmmu_access, size, 0);
AT(vsmmu_access, flags, 4);
AT(vsmmu_access, stream, 8);
AT(vsmmu_access, substream, 12);
AT(vsmmu_access, address, 16);
AT(vsmmu_access, attributes, 24);
AT(vsmmu_access, reserved, 28);

SIZE(vsmmu_result, 48);
AT(vsmmu_result, size, 0);
AT(vsmmu_result, kind, 4);
AT(vsmmu_result, address, 8);
AT(vsmmu_result, length, 16);
AT(vsmmu_result, permissions, 24);
AT(vsmmu_result, event, 28);
AT(vsmmu_result, attributes, 32);
AT(vsmmu_result, page_bits, 36);
AT(vsmmu_result, generation, 40);

SIZE(vsmmu_counters, 80);
AT(vsmmu_counters, size, 0);
AT(vsmmu_counters, commands, 8);
AT(vsmmu_counters, command_errors, 16);
AT(vsmmu_counters, syncs, 24);
AT(vsmmu_counters, tlb_misses, 32);
AT(vsmmu_counters, configuration_misses, 40);
AT(vsmmu_counters, invalidations, 48);
AT(vsmmu_counters, events_recorded, 56);
AT(vsmmu_counters, events_dropped, 64);
AT(vsmmu_counters, external_aborts, 72);

SIZE(vsmmu_id_mapping, 16);

SIZE(vsmmu_iort, 56);
AT(vsmmu_iort, offset, 4);
AT(vsmmu_iort, its_offset, 8);
AT(vsmmu_iort, segment, 12);
AT(vsmmu_iort, base, 16);
AT(vsmmu_iort, gsiv, 24);
AT(vsmmu_iort, mappings, 40);
AT(vsmmu_iort, mapping_count, 48);
AT(vsmmu_iort, identifier, 52);

SIZE(vsmmu_kernel, 96);
AT(vsmmu_kernel, size, 0);
AT(vsmmu_kernel, reserved, 4);
AT(vsmmu_kernel, opaque, 8);
AT(vsmmu_kernel, open, 16);
AT(vsmmu_kernel, close, 24);
AT(vsmmu_kernel, ioctl, 32);
AT(vsmmu_kernel, read, 40);
AT(vsmmu_kernel, write, 48);
AT(vsmmu_kernel, poll, 56);
AT(vsmmu_kernel, dup, 64);
AT(vsmmu_kernel, mmap, 72);
AT(vsmmu_kernel, munmap, 80);
AT(vsmmu_kernel, same, 88);

SIZE(vsmmu_host_config, 56);
AT(vsmmu_host_config, kernel, 8);
AT(vsmmu_host_config, iommufd, 16);
AT(vsmmu_host_config, pin_request, 20);
AT(vsmmu_host_config, unpin_request, 24);
AT(vsmmu_host_config, call, 32);
AT(vsmmu_host_config, opaque, 40);
AT(vsmmu_host_config, vmid_bits, 48);

SIZE(vsmmu_device, 32);
AT(vsmmu_device, stream, 8);
AT(vsmmu_device, fd, 12);
AT(vsmmu_device, devid, 16);
AT(vsmmu_device, path, 24);

SIZE(vsmmu_device_info, 72);
AT(vsmmu_device_info, devid, 8);
AT(vsmmu_device_info, attached, 28);
AT(vsmmu_device_info, idr, 40);
AT(vsmmu_device_info, iidr, 64);
AT(vsmmu_device_info, aidr, 68);

SIZE(vsmmu_bar, 48);
AT(vsmmu_bar, device, 8);
AT(vsmmu_bar, region, 16);
AT(vsmmu_bar, offset, 24);
AT(vsmmu_bar, length, 32);
AT(vsmmu_bar, address, 40);

SIZE(vsmmu_host_counters, 88);
AT(vsmmu_host_counters, devices, 4);
AT(vsmmu_host_counters, invalidate_calls, 8);
AT(vsmmu_host_counters, failures, 64);
AT(vsmmu_host_counters, kept, 72);
AT(vsmmu_host_counters, direct_queues, 80);

SIZE(vsmmu_dvm_op, 40);
AT(vsmmu_dvm_op, kind, 4);
AT(vsmmu_dvm_op, vmid, 12);
AT(vsmmu_dvm_op, asid, 16);
AT(vsmmu_dvm_op, address, 24);
AT(vsmmu_dvm_op, last, 32);

SIZE(vsmmu_emulated_smmu, 24);
AT(vsmmu_emulated_smmu, features, 16);
SIZE(vsmmu_emulated_device, 24);
AT(vsmmu_emulated_device, flags, 16);
AT(vsmmu_emulated_device, bar_bits, 20);
SIZE(vsmmu_emulated_config, 48);
AT(vsmmu_emulated_config, smmus, 8);
AT(vsmmu_emulated_config, devices, 16);
AT(vsmmu_emulated_config, smmu_count, 24);
AT(vsmmu_emulated_config, reserved, 44);
SIZE(vsmmu_emulated_counters, 80);
AT(vsmmu_emulated_counters, calls, 16);
AT(vsmmu_emulated_counters, pin_failures, 64);
AT(vsmmu_emulated_counters, direct_commands, 72);
