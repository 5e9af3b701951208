/* SPDX-License-Identifier: MIT */
/*
 * Two vSMMUs on one nest parent of their VMM's, which have one VMID (VSMMU_SHARED_VMID): with ASIDs
 * that differ, neither sees what the other's tables say.
 */
#include "simulation.h"

#include <stdio.h>

#define PLACES 6u /* pages that each has, and addresses that lead to them */
#define NOWHERE PLACES

/* One of the two: its software has RAM of its own; what hardware reads of it is in the first one's. */
struct half {
	struct guest guest;
	unsigned number, device, stream;
	int file;
	uint16_t asid;
	unsigned now[PLACES]; /* the page, or NOWHERE */
	unsigned may[PLACES]; /* bits of what it was since an invalidation, and is */
};

/* The VMM's objects. */
static struct {
	struct half halves[2];
	vsmmu_host_t *host;
	int iommufd;
	uint32_t ioas, parent;
} own;

static uint64_t place_address(unsigned place)
{
	return UINT64_C(0x5000) + place * UINT64_C(0x1000);
}

static uint64_t tables(const struct half *half)
{
	return RAM + 0x200000 + half->number * UINT64_C(0x20000);
}

static uint64_t page_address(const struct half *half, unsigned page)
{
	return DATA + (half->number * PLACES + page) * UINT64_C(4096);
}

static uint64_t pattern(const struct half *half, unsigned page)
{
	return UINT64_C(0x77) << 56 | half->number << 8 | page;
}

static int64_t request(int fd, uint32_t number, void *argument)
{
	return api.vsmmu_emulated_ioctl(world.emulated, fd, number, argument);
}

/* Two devices at one SMMU that nobody has. */
static bool find_devices(void)
{
	for (unsigned i = 0; i < world.device_count; i++)
		for (unsigned j = i + 1; j < world.device_count; j++)
			if (!world.owners[i] && !world.owners[j] &&
			    (i ^ j) % world.config.smmu_count == 0) {
				own.halves[0].device = i;
				own.halves[1].device = j;
				return true;
			}
	return false;
}

static uint32_t bind(struct half *half)
{
	struct { uint32_t size, flags; int32_t iommufd; uint32_t devid; } bind = {
		sizeof(bind), 0, own.iommufd, 0,
	};
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", half->device);
	half->file = (int)SUCCEEDS(api.vsmmu_emulated_open(world.emulated, path));
	SUCCEEDS(request(half->file, VFIO_BIND, &bind));
	return bind.devid;
}

/* False where nothing can be nested, or no VMID is left. */
static bool make_parent(uint32_t devids[2])
{
	struct { uint32_t size, flags, id; } ioas = { sizeof(ioas), 0, 0 };
	struct {
		uint32_t size, flags, device, parent, hwpt, reserved, type, length;
		uint64_t data;
		uint32_t fault, reserved2;
	} parent = { .size = sizeof(parent), .flags = 1 };
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = {
		.size = sizeof(config), .kernel = &kernel, .flags = VSMMU_HOST_IOMMUFD,
	};

	own.iommufd = (int)SUCCEEDS(api.vsmmu_emulated_open(world.emulated, "/dev/iommu"));
	SUCCEEDS(api.vsmmu_emulated_kernel(world.emulated, &kernel));
	config.iommufd = own.iommufd;
	SUCCEEDS(api.vsmmu_host_open(&config, &own.host, NULL, 0));
	SUCCEEDS(request(own.iommufd, IOAS_ALLOC, &ioas));
	own.ioas = ioas.id;
	for (unsigned i = 0; i < 2; i++)
		devids[i] = bind(&own.halves[i]);
	parent.device = devids[0];
	parent.parent = own.ioas;
	if (ANSWER(request(own.iommufd, HWPT_ALLOC, &parent), EOPNOTSUPP, ENOSPC, EINVAL) != 0)
		return false;
	own.parent = parent.hwpt;
	return true;
}

/* Without the promise there is one vSMMU on a parent. */
static void open_halves(void)
{
	vsmmu_config config = {
		.size = sizeof(config), .host = own.host, .ioas = own.ioas, .parent_hwpt = own.parent,
	};
	struct { uint32_t size, flags, id, reserved; uint64_t from, length, to; } map = {
		sizeof(map), 7, own.ioas, 0, 0, RAM_SIZE, RAM,
	};
	vsmmu_t *second = NULL;

	if (!guest_open(&own.halves[0].guest, &config))
		violation("no vSMMU on the VMM's parent");
	map.from = (uintptr_t)own.halves[0].guest.ram;
	SUCCEEDS(request(own.iommufd, IOAS_MAP, &map));
	if (api.vsmmu_create(&config, &guest_ops, NULL, &second, NULL, 0) != -EBUSY)
		violation("a second vSMMU is on a parent, and nobody promised anything");
	config.flags = VSMMU_SHARED_VMID;
	if (!guest_open(&own.halves[1].guest, &config))
		violation("no second vSMMU on the VMM's parent");
}

/* Hardware finds the context in the memory that it reaches. */
static void configure(struct half *half)
{
	const uint64_t cd = CONTEXT + half->stream * 64;
	struct guest *memory = &own.halves[0].guest;

	guest_start(&half->guest);
	set_stage1(&half->guest, half->stream, half->asid);
	for (uint64_t i = 0; i < 64; i += 8)
		store64(memory, cd + i, load64(&half->guest, cd + i));
	store64(memory, cd + 8, tables(half));
	command(&half->guest, CFGI_CD | (uint64_t)half->stream << 32, 1);
	sync_all(&half->guest);
	for (unsigned i = 0; i < PLACES; i++) {
		store64(memory, page_address(half, i), pattern(half, i));
		half->now[i] = NOWHERE;
		half->may[i] = 1u << NOWHERE;
	}
}

static bool attach(struct half *half, uint32_t devid)
{
	vsmmu_device device = {
		.size = sizeof(device), .flags = VSMMU_DEVICE_BOUND | VSMMU_DEVICE_FD,
		.stream = half->stream, .fd = half->file, .devid = devid,
	};

	return ANSWER(api.vsmmu_device_attach(half->guest.vsmmu, &device), EINVAL, EOPNOTSUPP) == 0;
}

static void change(struct half *half)
{
	unsigned place = below(PLACES), page = below(PLACES + 1);
	struct guest *memory = &own.halves[0].guest;

	if (page == NOWHERE)
		unmap(memory, tables(half), place_address(place));
	else
		map(memory, tables(half), place_address(place), page_address(half, page), PAGE1);
	half->now[place] = page;
	half->may[place] |= 1u << page;
}

static void invalidate(struct half *half)
{
	unsigned place = below(PLACES);
	bool all = chance(30);

	if (all)
		command(&half->guest, TLBI_NH_ASID | (uint64_t)half->asid << 48, 0);
	else
		command(&half->guest, TLBI_NH_VA | (uint64_t)half->asid << 48,
			place_address(place) | 1);
	sync_all(&half->guest);
	for (unsigned i = 0; i < PLACES; i++)
		if (all || i == place)
			half->may[i] = 1u << half->now[i];
}

static void look(struct half *half)
{
	unsigned place = below(PLACES), page = 0;
	vsmmu_access access = { .size = sizeof(access), .address = place_address(place) };
	vsmmu_result result = { .size = sizeof(result) };
	uint64_t value = 0;

	SUCCEEDS(api.vsmmu_emulated_dma_read(world.emulated, half->device, &access, &value, 8,
					     &result));
	while (page < PLACES && value != pattern(half, page))
		page++;
	if (result.kind == VSMMU_RESULT_OK && page == NOWHERE)
		violation("of two on one parent, number %u reads %#llx, which is the other's",
			  half->number, (unsigned long long)value);
	totals.shared += result.kind == VSMMU_RESULT_OK;
	if (!(half->may[place] & 1u << (result.kind == VSMMU_RESULT_OK ? page : NOWHERE)))
		violation("of two on one parent, number %u %s page %u at place %u, may %#x",
			  half->number, result.kind == VSMMU_RESULT_OK ? "reads" : "misses", page,
			  place, half->may[place]);
}

static void close_all(bool opened)
{
	unsigned first = below(2);

	for (unsigned i = 0; opened && i < 2; i++)
		guest_close(&own.halves[(first + i) % 2].guest);
	for (unsigned i = 0; i < 2; i++) {
		SUCCEEDS(api.vsmmu_emulated_close(world.emulated, own.halves[i].file));
		world.undecoded[own.halves[i].device] = false;
	}
	SUCCEEDS(api.vsmmu_host_close(own.host));
	SUCCEEDS(api.vsmmu_emulated_close(world.emulated, own.iommufd));
}

void shared_step(struct vm *vm)
{
	vsmmu_emulated_counters before, after;
	uint32_t devids[2];
	bool opened;

	(void)vm;
	if (!find_devices())
		return;
	drain_failures();
	before = counters_now();
	opened = make_parent(devids);
	if (opened)
		open_halves();
	for (unsigned i = 0; i < 2; i++) {
		own.halves[i].number = i;
		own.halves[i].stream = FIRST_ASSIGNED + i;
		own.halves[i].asid = (uint16_t)(planted == PLANTED_ASID ? 5 : 5 + i);
	}
	if (opened && attach(&own.halves[0], devids[0]) && attach(&own.halves[1], devids[1])) {
		configure(&own.halves[0]);
		configure(&own.halves[1]);
		for (unsigned n = 0; n < 100; n++) {
			struct half *half = &own.halves[below(2)];

			(chance(30) ? change : chance(40) ? invalidate : look)(half);
		}
	}
	close_all(opened);
	after = counters_now();
	if (after.objects != before.objects || after.files != before.files)
		violation("two on one parent leave something behind: %u, %u objects, %u, %u files",
			  before.objects, after.objects, before.files, after.files);
}
