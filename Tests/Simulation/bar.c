/* SPDX-License-Identifier: MIT */
/* BARs come, go and are revoked, while the devices reach for each other's. */
#include "simulation.h"

/* Every BAR has a place of its own, by its device, and its first page an IOVA in every space. */
#define BAR_BASE UINT64_C(0x90000000)
#define BAR_IOVA UINT64_C(0x9000)

enum { REACHED = 1, UNREACHED = 2 };

static uint64_t bar_address(unsigned device)
{
	return BAR_BASE + device * UINT64_C(0x100000);
}

static uint64_t bar_iova(unsigned device)
{
	return BAR_IOVA + device * UINT64_C(0x1000);
}

static uint64_t pattern(unsigned device)
{
	return UINT64_C(0xba) << 56 | device;
}

static volatile uint64_t *bar_memory(unsigned device)
{
	void *memory;
	uint64_t length;

	SUCCEEDS(api.vsmmu_emulated_bar(world.emulated, device, 0, &memory, &length));
	if (length != BAR_BYTES)
		violation("a BAR has %llu bytes", (unsigned long long)length);
	return memory;
}

void bars_open(void)
{
	for (unsigned device = 0; device < world.device_count; device++)
		*bar_memory(device) = pattern(device);
}

void bars_map(struct vm *vm, uint64_t tables)
{
	for (unsigned device = 0; device < DEVICES; device++)
		map(&vm->guest, tables, bar_iova(device), bar_address(device), PAGE1);
}

/* By the kernel, wherever it was mapped. */
static void revoked(unsigned device)
{
	for (unsigned i = 0; i < VMS; i++)
		if (world.vms[i].bars[device].is_there) {
			world.vms[i].bars[device].may = UNREACHED;
			totals.revocations++;
		}
}

/* What a DMA there may come to. */
static unsigned expected(const struct vm *vm, unsigned device, codes now, codes passes)
{
	unsigned may = now & ~passes ? UNREACHED : 0;

	if (now & passes)
		may |= vm->bars[device].is_there ? vm->bars[device].may : UNREACHED;
	return may;
}

static vsmmu_result transfer(unsigned device, uint64_t address, uint64_t *value, bool is_write)
{
	vsmmu_access access = { .size = sizeof(access), .address = address };
	vsmmu_result result = { .size = sizeof(result) };

	if (is_write)
		access.flags = VSMMU_ACCESS_WRITE;
	SUCCEEDS(is_write ? api.vsmmu_emulated_dma_write(world.emulated, device, &access, value, 8,
							 &result)
			  : api.vsmmu_emulated_dma_read(world.emulated, device, &access, value, 8,
							&result));
	return result;
}

/* A write is in that BAR and nowhere else, or nowhere. */
static void check_written(struct vm *vm, unsigned device, uint64_t value, bool is_done)
{
	for (unsigned other = 0; other < world.device_count; other++)
		if ((bar_memory(other)[1] == value) != (is_done && other == device))
			violation("a write to BAR %u %s BAR %u", device,
				  bar_memory(other)[1] == value ? "is seen in" : "is missing in", other);
	if (page_written(vm, value) != PAGES)
		violation("a write to BAR %u is seen in RAM", device);
}

static void check_access(struct vm *vm, unsigned stream, unsigned device, bool is_direct)
{
	codes now = effective(vm, stream, 0);
	unsigned may = expected(vm, device, now, is_direct ? BYPASSES : ANY_TRANSLATION), is;
	uint64_t address = is_direct ? bar_address(device) : bar_iova(device);
	bool is_write = chance(40);
	uint64_t value = is_write ? any() | 1 : 0;
	vsmmu_result result = transfer(vm->assigned[stream] - 1, address + (is_write ? 8 : 0), &value,
				       is_write);

	is = result.kind == VSMMU_RESULT_OK ? REACHED : UNREACHED;
	totals.peers += is == REACHED;
	if (!(is & may))
		violation("VM %llu's stream %u %s BAR %u at %#llx, codes %#x, event %#x",
			  (unsigned long long)vm->serial, stream, is == REACHED ? "reaches" : "misses",
			  device, (unsigned long long)address, now, result.event);
	if (is_write)
		check_written(vm, device, value, is == REACHED);
	else if (is == REACHED && value != pattern(device))
		violation("VM %llu's stream %u reads %#llx in BAR %u", (unsigned long long)vm->serial,
			  stream, (unsigned long long)value, device);
}

/* Mostly one that was added. */
static unsigned some_bar(const struct vm *vm)
{
	unsigned device = below(world.device_count);

	for (unsigned n = 0; n < world.device_count && !vm->bars[device].is_there; n++)
		if (chance(90))
			device = (device + 1) % world.device_count;
	return device;
}

void bar_dma(struct vm *vm)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		for (unsigned n = 0; vm->assigned[stream] && n < 3; n++)
			check_access(vm, stream, some_bar(vm), chance(50));
}

/* One of the VM's devices; its stream. */
static unsigned some_device(const struct vm *vm, unsigned *stream)
{
	for (unsigned i = 0, first = below(STREAMS); i < STREAMS; i++) {
		*stream = (first + i) % STREAMS;
		if (vm->assigned[*stream])
			return vm->assigned[*stream] - 1;
	}
	return DEVICES;
}

static void add(struct vm *vm, unsigned device, unsigned stream)
{
	vsmmu_bar bar = {
		.size = sizeof(bar), .device = stream, .length = BAR_BYTES,
		.address = bar_address(device),
	};
	int64_t result = ANSWER(api.vsmmu_bar_add(vm->guest.vsmmu, &bar), ENODEV, EINVAL);

	tell("VM %llu, BAR %u: %lld", (unsigned long long)vm->serial, device, (long long)result);
	if ((result == -EINVAL) != (vm->ioas != 0))
		violation("a BAR in %s address space gives %lld", vm->ioas ? "the caller's" : "its own",
			  (long long)result);
	if (result == -ENODEV && !world.undecoded[device])
		violation("a BAR is revoked, and nobody did it");
	if (result != 0)
		return;
	if (world.undecoded[device])
		violation("a BAR is mapped that is revoked");
	vm->bars[device].is_there = true;
	vm->bars[device].may = REACHED;
}

static void drop(struct vm *vm, unsigned device)
{
	if (SUCCEEDS(api.vsmmu_bar_remove(vm->guest.vsmmu, bar_address(device))) == 0)
		vm->bars[device].is_there = false;
}

static void renew(struct vm *vm, unsigned device)
{
	int64_t result = ANSWER(api.vsmmu_bar_renew(vm->guest.vsmmu, bar_address(device)), ENODEV);

	if (result != -ENODEV && result != 0) {
		/* The kernel failed before it unmapped or after. */
		vm->bars[device].may |= UNREACHED;
		return;
	}
	if ((result == 0) == world.undecoded[device])
		violation("renewing BAR %u gives %lld", device, (long long)result);
	vm->bars[device].may = result == 0 ? REACHED : UNREACHED;
}

static void decode(unsigned device)
{
	bool on = world.undecoded[device];

	tell("BAR %u decodes: %d", device, on);
	world.undecoded[device] = !on;
	if (planted != PLANTED_REVOCATION)
		SUCCEEDS(api.vsmmu_emulated_set_decode(world.emulated, device, on));
	if (!on)
		revoked(device);
}

void bar_step(struct vm *vm)
{
	unsigned stream, device = some_device(vm, &stream);

	if (device == DEVICES)
		return;
	if (chance(25))
		decode(device);
	else if (!vm->bars[device].is_there)
		add(vm, device, stream);
	else if (chance(30))
		drop(vm, device);
	else
		renew(vm, device);
	bar_dma(vm);
}

/* Its BAR was revoked, and is mapped again if the kernel did not fail. */
void bar_after_reset(struct vm *vm, unsigned device, bool kernel_failed)
{
	if (!vm->bars[device].is_there)
		return;
	revoked(device);
	if (!world.undecoded[device])
		vm->bars[device].may = kernel_failed ? REACHED | UNREACHED : REACHED;
	bar_dma(vm);
}

/* Its device is detached. Where the kernel would not unmap it, it can be removed later. */
void bar_after_detach(struct vm *vm, unsigned device, bool kernel_failed)
{
	if (vm->bars[device].is_there && kernel_failed) {
		drain_failures();
		(void)ANSWER(api.vsmmu_bar_remove(vm->guest.vsmmu, bar_address(device)), ENOENT);
	} else if (api.vsmmu_bar_remove(vm->guest.vsmmu, bar_address(device)) != -ENOENT) {
		violation("BAR %u outlives its device", device);
	}
	vm->bars[device].is_there = false;
	bar_dma(vm);
}
