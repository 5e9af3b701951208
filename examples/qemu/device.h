/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this folder share. The device is device.c's; each other file is one concern of
 * it, and takes the device as its first argument.
 *
 * Locks: calls that the library calls serial are made with the BQL held, but vsmmu_stream_add().
 * translate() comes from any thread, so callbacks take no lock: interrupts of other threads and the
 * library's requests for time go to the main loop.
 */
#ifndef VSMMUV3_DEVICE_H
#define VSMMUV3_DEVICE_H

#include "qemu/osdep.h"
#include <gmodule.h>
#include "qapi/error.h"
#include "vsmmuv3-compat.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "vsmmuv3_host.h"

#define TYPE_VSMMUV3 "vsmmuv3"
#define TYPE_VSMMUV3_REGION "vsmmuv3-iommu-memory-region"
#define TYPE_VSMMUV3_SEAT "vsmmuv3-seat"
OBJECT_DECLARE_SIMPLE_TYPE(VSMMUv3, VSMMUV3)

#define VSMMUV3_LINES 4

/* Functions of the library that are called here. */
#define VSMMUV3_LIBRARY(F)                                                                         \
	F(api_version) F(library_version) F(create) F(destroy) F(reset) F(error_message)           \
	F(mmio_read) F(mmio_write) F(run) F(ram_add) F(ram_remove) F(stream_add)                   \
	F(stream_remove) F(translate) F(save) F(restore) F(host_open) F(host_close) F(set_host)    \
	F(link_vm) F(msi_window) F(device_attach) F(device_detach) F(device_renumber)              \
	F(get_device_info) F(event_fd) F(event_run) F(negotiation_report)

typedef struct VSMMUv3Library {
	GModule *module;
#define VSMMUV3_POINTER(name) __typeof__(vsmmu_##name) *name;
	VSMMUV3_LIBRARY(VSMMUV3_POINTER)
#undef VSMMUV3_POINTER
} VSMMUv3Library;

/* A PCI function's view of memory. It lives as long as the machine: bus and devfn come back. */
typedef struct VSMMUv3Endpoint {
	IOMMUMemoryRegion region;
	AddressSpace space;
	VSMMUv3 *smmu;
	PCIBus *bus;
	int devfn;
	bool notifies;
	QLIST_ENTRY(VSMMUv3Endpoint) next;
} VSMMUv3Endpoint;

struct VSMMUv3 {
	DeviceState parent;

	char *lib, *profile, *features, *stage, *granules;
	uint32_t oas, command_budget, tlb_entries;
	OnOffAuto ril, msi;
	bool strict, tlbi_el2, reset_aborts;
	OnOffAuto assign;
	PCIBus *primary_bus; /* NULL: all of the machine's */

	VSMMUv3Library library;
	vsmmu_t *vsmmu;
	MemoryRegion registers;
	MemoryListener listener;
	MemoryRegion nothing; /* reads as zero, ignores writes */
	AddressSpace nowhere;
	qemu_irq irq[VSMMUV3_LINES];
	uint32_t pending; /* lines to pulse, a bit each */
	uint64_t newest;  /* generation of the newest notice; with the BQL */
	QEMUBH *irq_bh, *work_bh;
	GHashTable *buses; /* PCIBus * to an array of 256 VSMMUv3Endpoint * */
	QLIST_HEAD(, VSMMUv3Endpoint) endpoints;
	struct VSMMUv3Assignment *assignment; /* NULL: only emulated devices */
	uint32_t blob_size;
	uint8_t *blob;
};

void vsmmuv3_register_types(void);

/* library.c */
bool vsmmuv3_load(VSMMUv3 *s, Error **errp);
bool vsmmuv3_create(VSMMUv3 *s, Error **errp);
/* The library's sentence about what it has just refused. */
const char *vsmmuv3_sentence(VSMMUv3 *s, char *text, size_t size);

/* options.c: the friendly options in the library's words; `features` comes last and wins. */
char *vsmmuv3_feature_words(VSMMUv3 *s, Error **errp);

/* memory.c */
int32_t vsmmuv3_mem_read(void *opaque, uint64_t address, void *data, uint64_t length);
int32_t vsmmuv3_mem_write(void *opaque, uint64_t address, const void *data, uint64_t length);
void vsmmuv3_mem_dirty(void *opaque, uint64_t address, uint64_t length);
void vsmmuv3_lend_memory(VSMMUv3 *s);

/* interrupts.c */
void vsmmuv3_irq(void *opaque, uint32_t line);
int32_t vsmmuv3_msi(void *opaque, uint64_t address, uint32_t data);
void vsmmuv3_work(void *opaque);
void vsmmuv3_make_interrupts(VSMMUv3 *s);

/* notices.c */
void vsmmuv3_invalidate(void *opaque, const vsmmu_invalidation *what);
int vsmmuv3_notify_flag_changed(IOMMUMemoryRegion *region, IOMMUNotifierFlag before,
				IOMMUNotifierFlag after, Error **errp);

/* dma.c */
IOMMUTLBEntry vsmmuv3_translate(IOMMUMemoryRegion *region, hwaddr address, IOMMUAccessFlags flags,
				int index);

/* bus.c */
uint32_t vsmmuv3_stream_of(VSMMUv3Endpoint *e);
VSMMUv3Endpoint *vsmmuv3_endpoint(VSMMUv3 *s, PCIBus *bus, int devfn);
bool vsmmuv3_take_bus(VSMMUv3 *s, PCIBus *bus, Error **errp);

/* registers.c */
void vsmmuv3_make_registers(VSMMUv3 *s);

/* machine.c */
VirtMachineState *vsmmuv3_find_machine(VSMMUv3 *s, Error **errp);
bool vsmmuv3_take_place(VSMMUv3 *s, VirtMachineState *vms, Error **errp);
/* Set by the plugin: whether this QEMU's structs are those that it was compiled for. */
extern bool (*vsmmuv3_layouts_fit)(VirtMachineState *vms, Error **errp);

/* state.c */
extern const VMStateDescription vsmmuv3_vmstate;

#ifdef VSMMUV3_ASSIGNS
/* seat.c */
extern const TypeInfo vsmmuv3_seat_type;
bool vsmmuv3_sit_down(VSMMUv3 *s, VirtMachineState *vms, Error **errp);

/* vfio.c */
extern const PCIIOMMUOps vsmmuv3_assigning_ops;
/* Whether there will be assigned devices, and what they need if so. */
bool vsmmuv3_expect_devices(VSMMUv3 *s, VirtMachineState *vms, Error **errp);
int32_t vsmmuv3_attach(void *opaque, uint32_t devid, uint32_t hwpt);
int32_t vsmmuv3_detach(void *opaque, uint32_t devid);

/* numbering.c: after the guest may have numbered its buses. */
void vsmmuv3_renumber(VSMMUv3 *s);

/* host.c: the host's kernel, from the first assigned device to the last one. */
bool vsmmuv3_take_host(VSMMUv3 *s, int iommufd, uint32_t ioas, uint32_t parent, Error **errp);
void vsmmuv3_give_host_back(VSMMUv3 *s);
#endif

#endif
