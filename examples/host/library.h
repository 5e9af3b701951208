/* SPDX-License-Identifier: MIT */
/* libvsmmuv3, loaded at run time: a VMM that is built once can run with or without it. Likewise the
 * emulated host, which is a library of its own. */
#ifndef HOST_LIBRARY_H
#define HOST_LIBRARY_H

#include <glib.h>
#include <gmodule.h>

#include "vsmmuv3.h"
#include "vsmmuv3_emulated.h"

/* What is used of each library, once. */
#define LIBRARY_FUNCTIONS(F)                                                                       \
	F(api_version) F(library_version) F(create) F(destroy) F(reset) F(error_message)           \
	F(mmio_read) F(mmio_write) F(run) F(ram_add) F(ram_remove) F(stream_add) F(stream_remove)  \
	F(translate) F(access_begin) F(access_end) F(dma_read) F(dma_write)                        \
	F(save) F(validate) F(restore) F(get_counters) F(iort_nodes)                               \
	F(host_open) F(host_close) F(link_vm) F(device_attach) F(negotiation_report)               \
	F(event_fd) F(event_run) F(get_host_counters) F(msi_window) F(set_host)                    \
	F(device_detach) F(device_renumber) F(get_device_info)

#define EMULATED_FUNCTIONS(F)                                                                      \
	F(emulated_api_version) F(emulated_create) F(emulated_destroy) F(emulated_kernel)          \
	F(emulated_open) F(emulated_close) F(emulated_ioctl)                                       \
	F(emulated_pin_request) F(emulated_unpin_request)                                          \
	F(emulated_dma_read) F(emulated_vcpu_load) F(emulated_vcpu_put) F(emulated_tlbi)           \
	F(emulated_bar)

/* One pointer for each; its type is the header's prototype and so cannot disagree with it. */
struct library {
	GModule *module, *emulated;
#define LIBRARY_POINTER(name) __typeof__(vsmmu_##name) *name;
	LIBRARY_FUNCTIONS(LIBRARY_POINTER)
	EMULATED_FUNCTIONS(LIBRARY_POINTER)
#undef LIBRARY_POINTER
};

gboolean library_open(struct library *library, const char *path, GError **error);
/* The emulated host too. */
gboolean library_open_emulated(struct library *library, const char *path, GError **error);
void library_close(struct library *library);

#endif
