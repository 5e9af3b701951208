/* SPDX-License-Identifier: MIT */
/* Peer to peer: device 0 reads what the BAR of device 1 begins with, through the guest's stage 1. */
#include "endtoend.h"

#include <stdio.h>

#define BAR UINT64_C(0x80000000) /* guest physical */
#define BAR_SIZE (2 * PAGE)
#define PEER (STREAM + 1)

#define IOVA_MARKER UINT64_C(0x7000000000)
#define IOVA_TARGET UINT64_C(0x7100000000)
#define IOVA_BAR UINT64_C(0x7200000000)

/* What no BAR begins with. Nor does one begin with 0. */
#define MARKER UINT32_C(0x5a5a0001)

static int32_t add(struct guest *guest, uint32_t region)
{
	const vsmmu_bar bar = {
		.size = sizeof(bar), .device = PEER, .region = region, .length = BAR_SIZE,
		.address = BAR,
	};

	return vsmmu_bar_add(guest->vsmmu, &bar);
}

/* Does it read the BAR? A device whose read aborts writes what it had before, or 0, as QEMU's. */
static bool reads(struct guest *guest)
{
	int32_t fd = vsmmu_device_fd(guest->vsmmu, STREAM);

	*at(guest, SOURCE) = MARKER;
	*at(guest, TARGET) = 0;
	platform_dma(fd, IOVA_MARKER, IOVA_TARGET);
	if ((uint32_t)*at(guest, TARGET) != MARKER)
		return step(false, "device 0 copies");
	platform_dma(fd, IOVA_BAR, IOVA_TARGET);
	return (uint32_t)*at(guest, TARGET) != MARKER && (uint32_t)*at(guest, TARGET) != 0;
}

static unsigned events(struct guest *guest)
{
	uint64_t event[4];
	unsigned count = 0;

	platform_settle();
	vsmmu_event_run(guest->vsmmu);
	while (take_event(guest, event))
		count++;
	return count;
}

static void boot(struct guest *guest)
{
	guest_start(guest);
	set_context(guest, TABLES);
	map(guest, TABLES, IOVA_MARKER, SOURCE);
	map(guest, TABLES, IOVA_TARGET, TARGET);
	map(guest, TABLES, IOVA_BAR, BAR);
	step(set_stage1(guest, STREAM), "the guest maps the BAR for its device");
	step(reads(guest), "device 0 reads the BAR of device 1");
}

static void decode(struct guest *guest)
{
	int32_t fd = vsmmu_device_fd(guest->vsmmu, PEER);

	platform_decode(fd, false);
	step(!reads(guest), "memory decode off: the BAR is revoked");
	equal(events(guest), 0, "which is no fault of the guest's stage 1");
	equal((uint64_t)vsmmu_bar_renew(guest->vsmmu, BAR), (uint64_t)-ENODEV, "it cannot be renewed");
	platform_decode(fd, true);
	step(!reads(guest), "memory decode on: it does not come back by itself");
	equal((uint64_t)vsmmu_bar_renew(guest->vsmmu, BAR), 0, "renew it");
	step(reads(guest), "device 0 reads it");
}

static void power(struct guest *guest)
{
	int32_t fd = vsmmu_device_fd(guest->vsmmu, PEER);

	platform_sleep(fd, true);
	step(!reads(guest), "device 1 in D3hot: the BAR is revoked");
	equal((uint64_t)vsmmu_bar_renew(guest->vsmmu, BAR), (uint64_t)-ENODEV, "it cannot be renewed");
	platform_sleep(fd, false);
	equal((uint64_t)vsmmu_bar_renew(guest->vsmmu, BAR), 0, "in D0: renew it");
	step(reads(guest), "device 0 reads it");
}

static void reset(struct guest *guest)
{
	equal((uint64_t)vsmmu_device_reset(guest->vsmmu, PEER), 0, "reset device 1");
	step(reads(guest), "its BAR is mapped again");
}

static void take_away(struct guest *guest)
{
	equal((uint64_t)vsmmu_bar_remove(guest->vsmmu, BAR), 0, "remove the BAR");
	step(!reads(guest), "it is gone");
	equal((uint64_t)vsmmu_bar_remove(guest->vsmmu, BAR), (uint64_t)-ENOENT, "remove it again");
	equal((uint64_t)add(guest, 0), 0, "add it again");
	step(reads(guest), "device 0 reads it");
	equal((uint64_t)vsmmu_device_detach(guest->vsmmu, PEER), 0, "detach device 1");
	step(!reads(guest), "its BAR is gone");
	equal((uint64_t)vsmmu_bar_remove(guest->vsmmu, BAR), (uint64_t)-ENOENT, "and forgotten");
}

void bars_life(struct guest *guest)
{
	vsmmu_host_t *host;
	int32_t added;

	if (!platform_open(&host) || !build(guest, host, NULL))
		return;
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device");
	equal((uint64_t)attach(guest, 1, PEER), 0, "attach its peer");
	added = add(guest, 0);
	if (added == -ENOTTY) {
		printf("     no dma-bufs of BARs here: the kernel has no CONFIG_VFIO_PCI_DMABUF\n");
	} else if (equal((uint64_t)added, 0, "the BAR of device 1 in the guest's memory")) {
		equal((uint64_t)add(guest, 0), (uint64_t)-EEXIST, "once");
		equal((uint64_t)vsmmu_bar_remove(guest->vsmmu, BAR), 0, "remove it");
		equal((uint64_t)add(guest, 5), (uint64_t)-ENODEV, "it has no BAR 5");
		equal((uint64_t)add(guest, 0), 0, "BAR 0 again");
		boot(guest);
		decode(guest);
		power(guest);
		reset(guest);
		take_away(guest);
	}
	vsmmu_destroy(guest->vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}
