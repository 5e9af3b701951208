/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device vsmmuv3,lib=PATH: the SMMUv3 of libvsmmuv3 on the virt machine, in the place of the
 * machine's own. PCI devices are its masters; a device's StreamID is its requester ID.
 *
 * Locks: calls that the library calls serial are made with the BQL held, but vsmmu_stream_add().
 * translate() comes from any thread, so callbacks take no lock: interrupts of other threads and the
 * library's requests for time go to the main loop.
 */
#include "qemu/osdep.h"
#include <gmodule.h>
#include "qapi/error.h"
#include "qemu/atomic.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "vsmmuv3-compat.h"
#include "hw/arm/fdt.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "system/device_tree.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "vsmmuv3.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

#define TYPE_VSMMUV3 "vsmmuv3"
#define TYPE_VSMMUV3_REGION "vsmmuv3-iommu-memory-region"
OBJECT_DECLARE_SIMPLE_TYPE(VSMMUv3, VSMMUV3)

#define LINES 4
#define BLOB_MAX (16 * MiB)

/* Functions of the library that are called here. */
#define LIBRARY(F)                                                                                 \
	F(api_version) F(library_version) F(create) F(destroy) F(reset) F(error_message)           \
	F(mmio_read) F(mmio_write) F(run) F(ram_add) F(ram_remove) F(stream_add) F(translate)      \
	F(save) F(restore) F(get_counters)

typedef struct Library {
	GModule *module;
#define POINTER(name) __typeof__(vsmmu_##name) *name;
	LIBRARY(POINTER)
#undef POINTER
} Library;

/* A PCI function's view of memory. It lives as long as the machine: bus and devfn come back. */
typedef struct Endpoint {
	IOMMUMemoryRegion region;
	AddressSpace space;
	VSMMUv3 *smmu;
	PCIBus *bus;
	int devfn;
	bool notifies;
	QLIST_ENTRY(Endpoint) next;
} Endpoint;

struct VSMMUv3 {
	DeviceState parent;

	char *lib, *profile, *features, *stage, *granules;
	uint32_t oas, command_budget, tlb_entries;
	OnOffAuto ril, msi;
	bool strict, tlbi_el2, reset_aborts;

	Library library;
	vsmmu_t *vsmmu;
	MemoryRegion registers;
	MemoryListener listener;
	MemoryRegion nothing; /* reads as zero, ignores writes */
	AddressSpace nowhere;
	qemu_irq irq[LINES];
	uint32_t pending; /* lines to pulse, a bit each */
	uint64_t newest;  /* generation of the newest notice; with the BQL */
	QEMUBH *irq_bh, *work_bh;
	GHashTable *buses; /* PCIBus * to an array of 256 Endpoint * */
	QLIST_HEAD(, Endpoint) endpoints;
	uint32_t blob_size;
	uint8_t *blob;
};

/* The library's sentence about what it has just refused. */
static const char *sentence(VSMMUv3 *s, char *text, size_t size)
{
	s->library.error_message(s->vsmmu, text, size);
	return text;
}

/* ---- Callbacks of the library, on any thread ---- */

/* Only memory: a device's registers would take the BQL, for which this thread must not wait. */
static const MemTxAttrs memory_only = { .memory = 1 };

static int32_t mem_read(void *opaque, uint64_t address, void *data, uint64_t length)
{
	return address_space_read(&address_space_memory, address, memory_only, data, length);
}

static int32_t mem_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	return address_space_write(&address_space_memory, address, memory_only, data, length);
}

static void mem_dirty(void *opaque, uint64_t address, uint64_t length)
{
	RCU_READ_LOCK_GUARD();
	while (length) {
		hwaddr offset, part = length;
		MemoryRegion *mr = address_space_translate(&address_space_memory, address, &offset,
							   &part, true, MEMTXATTRS_UNSPECIFIED);

		if (!part) {
			return;
		}
		if (memory_region_is_ram(mr)) {
			memory_region_set_dirty(mr, offset, part);
		}
		address += part;
		length -= part;
	}
}

static void pulse_pending(void *opaque)
{
	VSMMUv3 *s = opaque;
	uint32_t lines = qatomic_xchg(&s->pending, 0);

	for (int line = 0; line < LINES; line++) {
		if (lines & 1u << line) {
			qemu_irq_pulse(s->irq[line]);
		}
	}
}

static void irq(void *opaque, uint32_t line)
{
	VSMMUv3 *s = opaque;

	trace_vsmmuv3_irq(line, bql_locked());
	qatomic_or(&s->pending, 1u << line);
	if (bql_locked()) {
		pulse_pending(s);
	} else {
		qemu_bh_schedule(s->irq_bh);
	}
}

typedef struct Message {
	uint64_t address;
	uint32_t data;
} Message;

static void send_message(void *opaque)
{
	g_autofree Message *message = opaque;

	address_space_stl_le(&address_space_memory, message->address, message->data,
			     MEMTXATTRS_UNSPECIFIED, NULL);
}

/* Its target is a doorbell, a device's register: not from here, but whether it exists is seen. */
static int32_t msi(void *opaque, uint64_t address, uint32_t data)
{
	VSMMUv3 *s = opaque;
	hwaddr offset, length = 4;
	MemoryRegion *mr;
	Message *message;
	bool sent;

	RCU_READ_LOCK_GUARD();
	mr = address_space_translate(&address_space_memory, address, &offset, &length, true,
				     MEMTXATTRS_UNSPECIFIED);
	sent = mr != &s->registers && length == 4
	       && memory_region_access_valid(mr, offset, 4, true, MEMTXATTRS_UNSPECIFIED);
	trace_vsmmuv3_msi(address, data, sent);
	if (!sent) {
		return -1;
	}
	message = g_new(Message, 1);
	*message = (Message){ .address = address, .data = data };
	aio_bh_schedule_oneshot(qemu_get_aio_context(), send_message, message);
	return 0;
}

static void work(void *opaque)
{
	VSMMUv3 *s = opaque;

	qemu_bh_schedule(s->work_bh);
}

static void run_commands(void *opaque)
{
	VSMMUv3 *s = opaque;

	if (s->library.run(s->vsmmu, 0) > 0) {
		qemu_bh_schedule(s->work_bh);
	}
}

static void note(void *opaque, uint32_t blame, const char *message)
{
	if (blame == VSMMU_LOG_HOST) {
		warn_report("vsmmuv3: %s", message);
	} else {
		qemu_log_mask(LOG_GUEST_ERROR, "vsmmuv3: %s\n", message);
	}
}

/* ---- Notifiers: vhost keeps translations of its own ---- */

static uint32_t stream_of(Endpoint *e)
{
	/* The guest numbers buses, and may do so again. */
	return (uint32_t)pci_bus_num(e->bus) << 8 | e->devfn;
}

static void tell(uint32_t stream, IOMMUNotifier *n, hwaddr first, hwaddr last)
{
	bool cached = n->notifier_flags & IOMMU_NOTIFIER_DEVIOTLB_UNMAP;
	IOMMUTLBEvent event = {
		.type = cached ? IOMMU_NOTIFIER_DEVIOTLB_UNMAP : IOMMU_NOTIFIER_UNMAP,
		.entry.target_as = &address_space_memory,
		.entry.iova = first,
		.entry.addr_mask = last - first,
		.entry.perm = IOMMU_NONE,
	};

	trace_vsmmuv3_unmap(stream, cached, first, last - first);
	memory_region_notify_iommu_one(n, &event);
}

/*
 * [first, last] of one notifier at once, each notice being a round trip to vhost: who is told of
 * removed mappings alone takes any range, though what tells its end is called a mask. All of the
 * address space is two, as vhost knows no size of 2^64.
 */
static void unmap(uint32_t stream, IOMMUNotifier *n, hwaddr first, hwaddr last)
{
	first = MAX(first, n->start);
	last = MIN(last, n->end);
	if (first == 0 && last == HWADDR_MAX) {
		tell(stream, n, 0, HWADDR_MAX >> 1);
		first = (HWADDR_MAX >> 1) + 1;
	}
	if (first <= last) {
		tell(stream, n, first, last);
	}
}

static void invalidate(void *opaque, const vsmmu_invalidation *what)
{
	VSMMUv3 *s = opaque;
	bool range = what->kind == VSMMU_INVALIDATE_RANGE;
	Endpoint *e;
	IOMMUNotifier *n;

	/* Who makes the library give notices has it: see ask_to_keep(). */
	g_assert(bql_locked());
	trace_vsmmuv3_invalidate(what->kind, what->vmid, what->asid, what->address, what->last);
	s->newest = what->generation;
	QLIST_FOREACH(e, &s->endpoints, next) {
		if (!e->notifies) {
			continue;
		}
		if (what->kind == VSMMU_INVALIDATE_STREAMS
		    && (stream_of(e) < what->address || stream_of(e) > what->last)) {
			continue;
		}
		IOMMU_NOTIFIER_FOREACH(n, &e->region) {
			unmap(stream_of(e), n, range ? what->address : 0,
			      range ? what->last : HWADDR_MAX);
		}
	}
}

static int notify_flag_changed(IOMMUMemoryRegion *region, IOMMUNotifierFlag before,
			       IOMMUNotifierFlag after, Error **errp)
{
	Endpoint *e = container_of(region, Endpoint, region);

	if (after & IOMMU_NOTIFIER_MAP) {
		error_setg(errp, "device %02x.%x needs to be told of new mappings, of which an "
			   "SMMUv3's driver does not tell (vfio?)",
			   PCI_SLOT(e->devfn), PCI_FUNC(e->devfn));
		return -EINVAL;
	}
	e->notifies = after != IOMMU_NOTIFIER_NONE;
	return 0;
}

/* ---- DMA ---- */

static bool ask(Endpoint *e, hwaddr address, uint32_t flags, vsmmu_result *result)
{
	VSMMUv3 *s = e->smmu;
	vsmmu_access access = {
		.size = sizeof(access),
		.flags = flags,
		.stream = stream_of(e),
		.address = address,
	};
	int32_t error = s->library.translate(s->vsmmu, &access, result);

	/* The first DMA under this requester ID. */
	if (error == -ENOENT) {
		error = s->library.stream_add(s->vsmmu, access.stream);
		if (error == 0 || error == -EEXIST) {
			error = s->library.translate(s->vsmmu, &access, result);
		}
	}
	if (error) {
		trace_vsmmuv3_no_answer(access.stream, address, error);
		return false;
	}
	if (result->kind == VSMMU_RESULT_ABORT) {
		trace_vsmmuv3_fault(access.stream, address, flags, result->event, bql_locked());
		return false;
	}
	trace_vsmmuv3_translate(access.stream, address, flags, result->address, result->page_bits,
				result->permissions);
	return true;
}

/*
 * The only copies in QEMU are vhost's. They come from here, by address_space_get_iotlb_entry(), and
 * the BQL is held from then until vhost has its copy. It is held during notices too. So a copy is
 * stored before a notice, which takes it back, or asked for after it, if the library's generations
 * say so too; else it is asked for again. DMA without the BQL keeps nothing.
 */
static bool ask_to_keep(Endpoint *e, hwaddr address, uint32_t flags, vsmmu_result *result)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		if (!ask(e, address, flags, result)) {
			return false;
		}
		if (result->generation > e->smmu->newest) {
			return true;
		}
		trace_vsmmuv3_outdated(stream_of(e), address, result->generation, e->smmu->newest);
	}
	return false;
}

static IOMMUTLBEntry translate(IOMMUMemoryRegion *region, hwaddr address, IOMMUAccessFlags flags,
			       int index)
{
	Endpoint *e = container_of(region, Endpoint, region);
	vsmmu_result result = { .size = sizeof(result) };
	IOMMUTLBEntry entry = {
		.target_as = &address_space_memory,
		.iova = address,
		.translated_addr = address,
		.addr_mask = 0xfff,
		.perm = IOMMU_NONE,
	};
	bool found;

	if (flags == IOMMU_NONE) {
		found = ask(e, address, VSMMU_ACCESS_SPECULATIVE, &result)
			|| ask(e, address, VSMMU_ACCESS_SPECULATIVE | VSMMU_ACCESS_WRITE, &result);
	} else {
		bool kept = e->notifies && bql_locked();

		found = (kept ? ask_to_keep : ask)(e, address, flags & IOMMU_WO ? VSMMU_ACCESS_WRITE : 0,
						   &result);
	}
	if (!found) {
		return entry;
	}
	if (result.kind == VSMMU_RESULT_RAZWI) {
		/* vhost looks at the address alone, which names the guest's memory. */
		if (e->notifies) {
			return entry;
		}
		entry.target_as = &e->smmu->nowhere;
		entry.perm = IOMMU_RW;
	} else {
		entry.addr_mask = MAKE_64BIT_MASK(0, MIN(result.page_bits, 52));
		entry.translated_addr = result.address & ~entry.addr_mask;
		entry.perm = (result.permissions & VSMMU_PERMIT_READ ? IOMMU_RO : 0)
			     | (result.permissions & VSMMU_PERMIT_WRITE ? IOMMU_WO : 0);
	}
	entry.iova = address & ~entry.addr_mask;
	return entry;
}

static AddressSpace *get_address_space(PCIBus *bus, void *opaque, int devfn)
{
	VSMMUv3 *s = opaque;
	Endpoint **functions = g_hash_table_lookup(s->buses, bus);
	Endpoint *e;
	g_autofree char *name = NULL;

	if (!functions) {
		functions = g_new0(Endpoint *, PCI_DEVFN_MAX);
		g_hash_table_insert(s->buses, bus, functions);
	}
	if (functions[devfn]) {
		return &functions[devfn]->space;
	}
	e = functions[devfn] = g_new0(Endpoint, 1);
	e->smmu = s;
	e->bus = bus;
	e->devfn = devfn;
	name = g_strdup_printf("vsmmuv3-%s-%02x.%x", BUS(bus)->name ? : "pci", PCI_SLOT(devfn),
			       PCI_FUNC(devfn));
	memory_region_init_iommu(&e->region, sizeof(e->region), TYPE_VSMMUV3_REGION, OBJECT(s), name,
				 UINT64_MAX);
	address_space_init(&e->space, MEMORY_REGION(&e->region), name);
	QLIST_INSERT_HEAD(&s->endpoints, e, next);
	return &e->space;
}

static const PCIIOMMUOps pci_ops = {
	.get_address_space = get_address_space,
};

static void region_class_init(ObjectClass *klass, CLASS_DATA *data)
{
	IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

	imrc->translate = translate;
	imrc->notify_flag_changed = notify_flag_changed;
}

/* ---- Registers ---- */

static MemTxResult registers_read(void *opaque, hwaddr offset, uint64_t *value, unsigned width,
				  MemTxAttrs attrs)
{
	VSMMUv3 *s = opaque;

	if (s->library.mmio_read(s->vsmmu, offset, width, value)) {
		trace_vsmmuv3_refused(offset, width);
		return MEMTX_ERROR;
	}
	trace_vsmmuv3_read(offset, width, *value);
	return MEMTX_OK;
}

static MemTxResult registers_write(void *opaque, hwaddr offset, uint64_t value, unsigned width,
				   MemTxAttrs attrs)
{
	VSMMUv3 *s = opaque;

	trace_vsmmuv3_write(offset, width, value);
	if (s->library.mmio_write(s->vsmmu, offset, width, value)) {
		trace_vsmmuv3_refused(offset, width);
		return MEMTX_ERROR;
	}
	return MEMTX_OK;
}

static const MemoryRegionOps registers_ops = {
	.read_with_attrs = registers_read,
	.write_with_attrs = registers_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
	.impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t nothing_read(void *opaque, hwaddr offset, unsigned width)
{
	return 0;
}

static void nothing_write(void *opaque, hwaddr offset, uint64_t value, unsigned width)
{
}

static const MemoryRegionOps nothing_ops = {
	.read = nothing_read,
	.write = nothing_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
	.impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/* ---- The machine's RAM ---- */

/* What is no plain RAM, or in odd pieces, is reached by mem_read() and mem_write(). */
static bool is_plain(MemoryRegionSection *section)
{
	return memory_region_is_ram(section->mr) && !memory_region_is_rom(section->mr)
	       && !memory_region_is_romd(section->mr) && !memory_region_is_ram_device(section->mr)
	       && QEMU_IS_ALIGNED(section->offset_within_address_space, 4 * KiB)
	       && QEMU_IS_ALIGNED(section->offset_within_region, 4 * KiB)
	       && !int128_gethi(section->size)
	       && QEMU_IS_ALIGNED(int128_get64(section->size), 4 * KiB);
}

static void region_add(MemoryListener *listener, MemoryRegionSection *section)
{
	VSMMUv3 *s = container_of(listener, VSMMUv3, listener);
	char text[256];
	uint8_t *host;

	if (!is_plain(section)) {
		return;
	}
	host = memory_region_get_ram_ptr(section->mr);
	memory_region_ref(section->mr);
	if (s->library.ram_add(s->vsmmu, section->offset_within_address_space,
			       int128_get64(section->size), host + section->offset_within_region)) {
		memory_region_unref(section->mr);
		warn_report("vsmmuv3: %s: %s; it is slower there", memory_region_name(section->mr),
			    sentence(s, text, sizeof(text)));
	}
}

static void region_del(MemoryListener *listener, MemoryRegionSection *section)
{
	VSMMUv3 *s = container_of(listener, VSMMUv3, listener);

	if (is_plain(section)
	    && s->library.ram_remove(s->vsmmu, section->offset_within_address_space) == 0) {
		memory_region_unref(section->mr);
	}
}

/* ---- Firmware tables: the machine writes the IORT itself ---- */

static void add_device_tree_node(VSMMUv3 *s, VirtMachineState *vms)
{
	void *fdt = MACHINE(vms)->fdt;
	hwaddr base = vms->memmap[VIRT_SMMU].base, size = vms->memmap[VIRT_SMMU].size;
	int spi = vms->irqmap[VIRT_SMMU];
	static const char names[] = "eventq\0priq\0cmdq-sync\0gerror";
	g_autofree char *node = g_strdup_printf("/smmuv3@%" PRIx64, base);
	const uint32_t edge = GIC_FDT_IRQ_FLAGS_EDGE_LO_HI, kind = GIC_FDT_IRQ_TYPE_SPI;

	vms->iommu_phandle = qemu_fdt_alloc_phandle(fdt);
	qemu_fdt_add_subnode(fdt, node);
	qemu_fdt_setprop_string(fdt, node, "compatible", "arm,smmu-v3");
	qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, base, 2, size);
	qemu_fdt_setprop_cells(fdt, node, "interrupts", kind, spi, edge, kind, spi + 1, edge,
			       kind, spi + 2, edge, kind, spi + 3, edge);
	qemu_fdt_setprop(fdt, node, "interrupt-names", names, sizeof(names));
	qemu_fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
	qemu_fdt_setprop_cell(fdt, node, "#iommu-cells", 1);
	qemu_fdt_setprop_cell(fdt, node, "phandle", vms->iommu_phandle);
	qemu_fdt_setprop_cells(fdt, vms->pciehb_nodename, "iommu-map", 0, vms->iommu_phandle, 0,
			       0x10000);
}

/* ---- Creation ---- */

static bool load(VSMMUv3 *s, Error **errp)
{
	Library *l = &s->library;
	uint32_t api;

	if (!s->lib) {
		error_setg(errp, "vsmmuv3: say which library: lib=/path/to/libvsmmuv3.so.0");
		return false;
	}
	l->module = g_module_open(s->lib, G_MODULE_BIND_LOCAL);
	if (!l->module) {
		error_setg(errp, "vsmmuv3: no library: %s", g_module_error());
		return false;
	}
#define SYMBOL(name)                                                                               \
	if (!g_module_symbol(l->module, "vsmmu_" #name, (gpointer *)&l->name)) {                   \
		error_setg(errp, "vsmmuv3: %s is not libvsmmuv3: it has no vsmmu_" #name, s->lib); \
		return false;                                                                      \
	}
	LIBRARY(SYMBOL)
#undef SYMBOL
	api = l->api_version();
	if (api >> 16 != VSMMU_API_MAJOR || (api & 0xffff) < VSMMU_API_MINOR) {
		error_setg(errp, "vsmmuv3: %s offers API %u.%u, this QEMU needs %u.%u", s->lib,
			   api >> 16, api & 0xffff, VSMMU_API_MAJOR, VSMMU_API_MINOR);
		return false;
	}
	return true;
}

/* The friendly options in the words of the library's own; `features` comes last and wins. */
static char *feature_words(VSMMUv3 *s, Error **errp)
{
	static const uint32_t sizes[] = { 32, 36, 40, 42, 44, 48 };
	g_autoptr(GString) words = g_string_new("");

	if (s->stage && !strcmp(s->stage, "1")) {
		g_string_append(words, "S1P=1 S2P=0 VMW=0 VMID16=0 XNX=0 FWB=0 ");
	} else if (s->stage && !strcmp(s->stage, "2")) {
		g_string_append(words, "S1P=0 S2P=1 HAD=0 SSIDSIZE=0 CD2L=0 ASID16=0 ");
	} else if (s->stage && !strcmp(s->stage, "nested")) {
		g_string_append(words, "S1P=1 S2P=1 ");
	} else if (s->stage) {
		error_setg(errp, "vsmmuv3: stage=%s is none of 1, 2, nested", s->stage);
		return NULL;
	}
	if (s->oas) {
		uint32_t field = 0;

		while (field < ARRAY_SIZE(sizes) && sizes[field] != s->oas) {
			field++;
		}
		if (field == ARRAY_SIZE(sizes)) {
			error_setg(errp, "vsmmuv3: oas=%u is none of 32, 36, 40, 42, 44, 48", s->oas);
			return NULL;
		}
		g_string_append_printf(words, "OAS=%u ", field);
	}
	if (s->granules) {
		g_auto(GStrv) list = g_strsplit(s->granules, "+", 0);

		for (char **word = list; *word; word++) {
			if (strcmp(*word, "4k") && strcmp(*word, "16k") && strcmp(*word, "64k")) {
				error_setg(errp, "vsmmuv3: granules=%s is not of the form 4k+16k+64k",
					   s->granules);
				return NULL;
			}
		}
		g_string_append_printf(words, "GRAN4K=%d GRAN16K=%d GRAN64K=%d ",
				       g_strv_contains((const char *const *)list, "4k"),
				       g_strv_contains((const char *const *)list, "16k"),
				       g_strv_contains((const char *const *)list, "64k"));
	}
	if (s->ril != ON_OFF_AUTO_AUTO) {
		g_string_append_printf(words, "RIL=%d ", s->ril == ON_OFF_AUTO_ON);
	}
	if (s->msi != ON_OFF_AUTO_AUTO) {
		g_string_append_printf(words, "MSI=%d ", s->msi == ON_OFF_AUTO_ON);
	}
	g_string_append(words, s->features ? : "");
	/* A comma ends an option of QEMU's. */
	return g_strdelimit(g_strdup(words->str), "+", ' ');
}

static bool create(VSMMUv3 *s, Error **errp)
{
	static const vsmmu_ops ops = {
		.size = sizeof(ops),
		.mem_read = mem_read,
		.mem_write = mem_write,
		.mem_dirty = mem_dirty,
		.irq = irq,
		.msi = msi,
		.invalidate = invalidate,
		.work = work,
		.log = note,
	};
	g_autofree char *words = feature_words(s, errp);
	char why[256];
	vsmmu_config config = {
		.size = sizeof(config),
		.command_budget = s->command_budget,
		.tlb_entries = s->tlb_entries,
		.features = words,
		.flags = (s->strict ? VSMMU_STRICT_PAGES | VSMMU_STRICT_COMMANDS : 0)
			 | (s->tlbi_el2 ? VSMMU_QUIRK_TLBI_EL2 : 0)
			 | (s->reset_aborts ? VSMMU_RESET_ABORTS : 0),
	};

	if (!words) {
		return false;
	}
	if (!s->profile || !strcmp(s->profile, "full")) {
		config.profile = VSMMU_PROFILE_FULL;
	} else if (!strcmp(s->profile, "linux")) {
		config.profile = VSMMU_PROFILE_LINUX;
	} else {
		error_setg(errp, "vsmmuv3: profile=%s is none of full, linux", s->profile);
		return false;
	}
	if (s->library.create(&config, &ops, s, &s->vsmmu, why, sizeof(why)) < 0) {
		error_setg(errp, "vsmmuv3: %s", why);
		return false;
	}
	return true;
}

/* An interrupt must be in the GIC before the GIC is saved, which is before this device. */
static void stopped(void *opaque, bool running, RunState state)
{
	if (!running) {
		pulse_pending(opaque);
	}
}

static VirtMachineState *find_machine(Error **errp)
{
	Object *machine = object_dynamic_cast(OBJECT(qdev_get_machine()), TYPE_VIRT_MACHINE);
	VirtMachineState *vms = machine ? VIRT_MACHINE(machine) : NULL;

	if (!vms || !vms->bus) {
		error_setg(errp, "vsmmuv3: only on the machine \"virt\" with its PCIe bus");
		return NULL;
	}
	if (vms->iommu != VIRT_IOMMU_NONE || vms->bus->iommu_ops) {
		error_setg(errp, "vsmmuv3: this machine has an IOMMU already");
		return NULL;
	}
	return vms;
}

static void realize(DeviceState *dev, Error **errp)
{
	VSMMUv3 *s = VSMMUV3(dev);
	VirtMachineState *vms = find_machine(errp);

	if (!vms || !load(s, errp) || !create(s, errp)) {
		g_clear_pointer(&s->library.module, g_module_close);
		return;
	}
	s->buses = g_hash_table_new(NULL, NULL);
	s->irq_bh = qemu_bh_new(pulse_pending, s);
	s->work_bh = qemu_bh_new(run_commands, s);
	for (int line = 0; line < LINES; line++) {
		s->irq[line] = qdev_get_gpio_in(vms->gic, vms->irqmap[VIRT_SMMU] + line);
	}
	memory_region_init_io(&s->nothing, OBJECT(s), &nothing_ops, s, "vsmmuv3-nothing", UINT64_MAX);
	address_space_init(&s->nowhere, &s->nothing, "vsmmuv3-nothing");
	memory_region_init_io(&s->registers, OBJECT(s), &registers_ops, s, TYPE_VSMMUV3,
			      VSMMU_MMIO_SIZE);
	memory_region_add_subregion(get_system_memory(), vms->memmap[VIRT_SMMU].base, &s->registers);
	s->listener = (MemoryListener){
		.name = TYPE_VSMMUV3,
		.region_add = region_add,
		.region_del = region_del,
	};
	memory_listener_register(&s->listener, &address_space_memory);
	pci_setup_iommu(vms->bus, &pci_ops, s);
	if (MACHINE(vms)->fdt) {
		add_device_tree_node(s, vms);
	}
	take_the_machines_place(vms);
	qemu_add_vm_change_state_handler(stopped, s);
	qemu_register_resettable(OBJECT(dev));
}

/* After the devices have stopped their DMA. */
static void reset_exit(Object *obj, ResetType type)
{
	VSMMUv3 *s = VSMMUV3(obj);

	trace_vsmmuv3_reset();
	qatomic_set(&s->pending, 0);
	s->library.reset(s->vsmmu);
}

/* ---- Migration ---- */

static int pre_save(void *opaque)
{
	VSMMUv3 *s = opaque;
	int64_t size = s->library.save(s->vsmmu, NULL, 0);

	if (size <= 0 || size > BLOB_MAX) {
		error_report("vsmmuv3: no state to save");
		return -EINVAL;
	}
	g_free(s->blob);
	s->blob = g_malloc0(size);
	s->blob_size = s->library.save(s->vsmmu, s->blob, size);
	return 0;
}

static int post_load(void *opaque, int version)
{
	VSMMUv3 *s = opaque;
	char text[256];
	int32_t error = s->library.restore(s->vsmmu, s->blob, s->blob_size);

	if (error) {
		error_report("vsmmuv3: %s", sentence(s, text, sizeof(text)));
	}
	g_clear_pointer(&s->blob, g_free);
	return error;
}

static bool size_is_sane(void *opaque, int version)
{
	VSMMUv3 *s = opaque;

	return s->blob_size <= BLOB_MAX;
}

static const VMStateDescription vmstate = {
	.name = TYPE_VSMMUV3,
	.version_id = 1,
	.minimum_version_id = 1,
	.priority = MIG_PRI_IOMMU,
	.pre_save = pre_save,
	.post_load = post_load,
	.fields = (const VMStateField[]){
		VMSTATE_UINT32(blob_size, VSMMUv3),
		VMSTATE_VALIDATE("state of sane size", size_is_sane),
		VMSTATE_VBUFFER_ALLOC_UINT32(blob, VSMMUv3, 1, NULL, blob_size),
		VMSTATE_END_OF_LIST()
	},
};

/* ---- Types ---- */

static const Property properties[] = {
	DEFINE_PROP_STRING("lib", VSMMUv3, lib),
	DEFINE_PROP_STRING("profile", VSMMUv3, profile),
	DEFINE_PROP_STRING("features", VSMMUv3, features),
	DEFINE_PROP_STRING("stage", VSMMUv3, stage),
	DEFINE_PROP_UINT32("oas", VSMMUv3, oas, 0),
	DEFINE_PROP_STRING("granules", VSMMUv3, granules),
	DEFINE_PROP_ON_OFF_AUTO("ril", VSMMUv3, ril, ON_OFF_AUTO_AUTO),
	DEFINE_PROP_ON_OFF_AUTO("msi", VSMMUv3, msi, ON_OFF_AUTO_AUTO),
	DEFINE_PROP_UINT32("command-budget", VSMMUv3, command_budget, 0),
	DEFINE_PROP_UINT32("tlb-entries", VSMMUv3, tlb_entries, 0),
	DEFINE_PROP_BOOL("strict", VSMMUv3, strict, false),
	DEFINE_PROP_BOOL("quirk-tlbi-el2", VSMMUv3, tlbi_el2, false),
	DEFINE_PROP_BOOL("reset-aborts", VSMMUv3, reset_aborts, false),
};

static void class_init(ObjectClass *klass, CLASS_DATA *data)
{
	DeviceClass *dc = DEVICE_CLASS(klass);

	dc->desc = "SMMUv3 of libvsmmuv3";
	dc->realize = realize;
	dc->vmsd = &vmstate;
	/* It is on no bus: what would unplug it? */
	dc->hotpluggable = false;
	dc->user_creatable = true;
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
	device_class_set_props(dc, properties);
	RESETTABLE_CLASS(klass)->phases.exit = reset_exit;
}

static const TypeInfo types[] = {
	{
		.name = TYPE_VSMMUV3,
		.parent = TYPE_DEVICE,
		.instance_size = sizeof(VSMMUv3),
		.class_init = class_init,
	},
	{
		.name = TYPE_VSMMUV3_REGION,
		.parent = TYPE_IOMMU_MEMORY_REGION,
		.class_init = region_class_init,
	},
};

DEFINE_TYPES(types)
