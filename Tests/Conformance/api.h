/* SPDX-License-Identifier: MIT */
/*
 * The library under test as a table of functions. `api.vsmmu_x` is found with dlsym, or linked
 * directly with -DLINKED: both ways to use the library run the same tests.
 */
#ifndef API_H
#define API_H

#include <vsmmuv3.h>

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
	X(vsmmu_iort_nodes)

struct api {
#define API_MEMBER(name) __typeof__(&name) name;
	API_FUNCTIONS(API_MEMBER)
#undef API_MEMBER
};

extern struct api api;

#endif
