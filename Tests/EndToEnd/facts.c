/* SPDX-License-Identifier: MIT */
/* What a VMM may ask: what a device is, what the guest sees, where an address leads. */
#include "endtoend.h"

#define IOVA UINT64_C(0x7000000000)

/* Of IDR5.OAS: 48 bits, the most that there is here. */
#define MOST_OAS 5

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static vsmmu_device_info info_of(struct guest *guest)
{
	vsmmu_device_info info = {.size = sizeof(info)};

	equal((uint64_t)vsmmu_get_device_info(guest->vsmmu, STREAM, &info), 0, "vsmmu_get_device_info");
	return info;
}

static void follows(struct guest *guest, const vsmmu_device_info *info)
{
	equal(read_register(guest, IDR5) & 7, least(info->idr[5] & 7, MOST_OAS), "IDR5.OAS is the host's");
	equal(read_register(guest, IDR3) >> 10 & 1, info->idr[3] >> 10 & 1, "IDR3.RIL is the host's");
	equal(read_register(guest, IDR1) >> 6 & 31, info->idr[1] >> 6 & 31, "IDR1.SSIDSIZE is the host's");
	equal(read_register(guest, IDR0) >> 10 & 1, (info->flags & VSMMU_INFO_ATS) != 0,
	      "IDR0.ATS as the device has it");
}

static void is_a_device(const vsmmu_device_info *info)
{
	step(info->devid != 0 && info->viommu != 0 && info->parent != 0, "it has its objects");
	step((info->flags & VSMMU_INFO_NUMBERED) && info->stream == STREAM && info->vdevice != 0,
	     "and its StreamID");
	step(info->flags & VSMMU_INFO_COHERENT, "it is coherent");
	equal(info->idr[0] & 3, 3, "its SMMU has both stages");
	equal(info->attached, VSMMU_ATTACHED_BYPASS, "the guest's SMMU is off: it bypasses stage 1");
}

static uint32_t look(struct guest *guest, uint32_t flags, uint64_t address, vsmmu_result *result)
{
	const vsmmu_access access = {
		.size = sizeof(access), .flags = VSMMU_ACCESS_INSPECT | flags, .stream = STREAM,
		.address = address,
	};

	*result = (vsmmu_result){.size = sizeof(*result)};
	return vsmmu_translate(guest->vsmmu, &access, result) == 0 ? result->kind : UINT32_MAX;
}

static void inspect(struct guest *guest)
{
	const vsmmu_access access = {.size = sizeof(access), .stream = STREAM, .address = IOVA};
	vsmmu_result result = {.size = sizeof(result)};
	uint64_t event[4];

	guest_start(guest);
	set_context(guest, TABLES);
	map(guest, TABLES, IOVA, SOURCE);
	map(guest, TABLES, IOVA + PAGE, TARGET);
	set_stage1(guest, STREAM);
	equal((uint64_t)vsmmu_translate(guest->vsmmu, &access, &result), (uint64_t)-ENOENT,
	      "an assigned device's translation is the host's");
	step(look(guest, VSMMU_ACCESS_WRITE, IOVA + PAGE + 8, &result) == VSMMU_RESULT_OK &&
	     result.address == TARGET + 8, "but can be looked at");
	step(travels(guest, vsmmu_device_fd(guest->vsmmu, STREAM), IOVA, IOVA + PAGE, TARGET),
	     "and DMA goes there");
	step(look(guest, 0, IOVA + 2 * PAGE, &result) == VSMMU_RESULT_ABORT &&
	     result.event == F_TRANSLATION, "it tells of a page that is not mapped");
	platform_settle();
	vsmmu_event_run(guest->vsmmu);
	step(!take_event(guest, event), "and leaves no event");
	equal(info_of(guest).attached, VSMMU_ATTACHED_STAGE1, "attached to stage 1");
}

void facts_life(struct guest *guest)
{
	vsmmu_device_info info;
	vsmmu_host_t *host;

	if (!platform_open(&host) ||
	    !build(guest, host, "SSIDSIZE=auto, OAS=auto, RIL=auto, ATS=auto"))
		return;
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device");
	info = info_of(guest);
	is_a_device(&info);
	follows(guest, &info);
	inspect(guest);
	vsmmu_destroy(guest->vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}
