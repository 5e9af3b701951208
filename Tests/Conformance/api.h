/* SPDX-License-Identifier: MIT */
/*
 * The libraries under test as a table of functions. `api.vsmmu_x` is found with dlsym, or linked
 * directly with -DLINKED: both ways to use a library run the same tests.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>
#include <vsmmuv3.h>
#include <vsmmuv3_emulated.h>

#define API_FUNCTIONS(X) \
	X(vsmmu_api_version) \
	X(vsmmu_library_version) \
	X(vsmmu_create) \
	X(vsmmu_destroy) \
	X(vsmmu_reset) \
	X(vsmmu_error_message) \
	X(vsmmu_mmio_read) \
	X(vsmmu_mmio_write) \
	X(vsmmu_run) \
	X(vsmmu_ram_add) \
	X(vsmmu_ram_add_file) \
	X(vsmmu_ram_remove) \
	X(vsmmu_stream_add) \
	X(vsmmu_stream_remove) \
	X(vsmmu_translate) \
	X(vsmmu_access_begin) \
	X(vsmmu_access_end) \
	X(vsmmu_dma_read) \
	X(vsmmu_dma_write) \
	X(vsmmu_save) \
	X(vsmmu_validate) \
	X(vsmmu_restore) \
	X(vsmmu_get_counters) \
	X(vsmmu_iort_nodes) \
	X(vsmmu_host_open) \
	X(vsmmu_host_close) \
	X(vsmmu_set_host) \
	X(vsmmu_link_vm) \
	X(vsmmu_give_kvm_vfio) \
	X(vsmmu_kvm_vfio_fd) \
	X(vsmmu_device_attach) \
	X(vsmmu_device_detach) \
	X(vsmmu_device_renumber) \
	X(vsmmu_device_reset) \
	X(vsmmu_device_fd) \
	X(vsmmu_get_device_info) \
	X(vsmmu_bar_add) \
	X(vsmmu_bar_remove) \
	X(vsmmu_bar_renew) \
	X(vsmmu_freeze) \
	X(vsmmu_negotiation_report) \
	X(vsmmu_msi_window) \
	X(vsmmu_event_fd) \
	X(vsmmu_event_run) \
	X(vsmmu_event_thread) \
	X(vsmmu_get_host_counters) \
	X(vsmmu_dvm) \
	X(vsmmu_direct_page) \
	X(vsmmu_direct_read) \
	X(vsmmu_direct_write)

#define API_EMULATED_FUNCTIONS(X) \
	X(vsmmu_emulated_api_version) \
	X(vsmmu_emulated_create) \
	X(vsmmu_emulated_destroy) \
	X(vsmmu_emulated_open) \
	X(vsmmu_emulated_close) \
	X(vsmmu_emulated_ioctl) \
	X(vsmmu_emulated_read) \
	X(vsmmu_emulated_write) \
	X(vsmmu_emulated_poll) \
	X(vsmmu_emulated_dup) \
	X(vsmmu_emulated_kernel) \
	X(vsmmu_emulated_pin_request) \
	X(vsmmu_emulated_unpin_request) \
	X(vsmmu_emulated_dma_read) \
	X(vsmmu_emulated_dma_write) \
	X(vsmmu_emulated_bar) \
	X(vsmmu_emulated_set_decode) \
	X(vsmmu_emulated_run_queues) \
	X(vsmmu_emulated_vcpu_load) \
	X(vsmmu_emulated_vcpu_put) \
	X(vsmmu_emulated_tlbi) \
	X(vsmmu_emulated_vm_vmid) \
	X(vsmmu_emulated_stream_vmid) \
	X(vsmmu_emulated_fail) \
	X(vsmmu_emulated_lose_events) \
	X(vsmmu_emulated_get_counters) \
	X(vsmmu_emulated_check)

struct api {
#define API_MEMBER(name) __typeof__(&name) name;
	API_FUNCTIONS(API_MEMBER)
	API_EMULATED_FUNCTIONS(API_MEMBER)
#undef API_MEMBER
};

extern struct api api;

/* Fills it from a library, by its file name. Linked, the name is for the report alone. */
bool api_load(const char *name);
/* The functions of the emulated host, which is a library of its own, beside the one of that name. */
bool api_load_emulated(const char *name);

#endif
