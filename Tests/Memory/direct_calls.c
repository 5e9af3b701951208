/* SPDX-License-Identifier: MIT */
/* Calls on a vSMMU whose guest has direct command queues. */
#include "attempt.h"

#define QUEUE(index) (RAM + 0x60000 + 0x1000 * (uint64_t)(index))

static void close_hosted(void)
{
	hosted_close(&scene.hosted);
}

static void open_bare(void)
{
	static const vsmmu_emulated_smmu smmu = {
		.size = sizeof(smmu), .flags = VSMMU_EMULATED_CMDQV,
	};
	const vsmmu_emulated_config host = { .size = sizeof(host), .smmus = &smmu, .smmu_count = 1 };
	const vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_DIRECT_QUEUES };

	CHECK(hosted_open_with(&scene.hosted, &host, config));
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(VSMMU, stream), 0);
}

static void open_direct(void)
{
	open_bare();
	EQUAL(hosted_attach(&scene.hosted, 0), 0);
	guest_start(GUEST);
}

static int64_t attach(void)
{
	return hosted_attach(&scene.hosted, 0);
}

static int64_t detach(void)
{
	return api.vsmmu_device_detach(VSMMU, ASSIGNED);
}

static int64_t page(void)
{
	uint64_t length;
	void *found;

	return api.vsmmu_direct_page(VSMMU, &found, &length);
}

/* What a guest does never fails; where the kernel has no memory its queue is off. */
static int64_t guest_runs(void)
{
	int32_t result = 0;

	for (unsigned index = 0; index < 2; index++) {
		result |= api.vsmmu_direct_write(VSMMU, 0x200 + 4 * index, 4, 1 | index << 1);
		result |= api.vsmmu_direct_write(VSMMU, 0x40000 + 0x80 * index, 8, QUEUE(index) | 4);
	}
	result |= api.vsmmu_direct_write(VSMMU, 0x1000, 4, 1);
	/* An illegal command. */
	result |= api.vsmmu_direct_write(VSMMU, 0x30008, 4, 1);
	result |= api.vsmmu_direct_write(VSMMU, 0x30004, 4, 1);
	result |= api.vsmmu_emulated_run_queues(EMULATED);
	result |= api.vsmmu_direct_write(VSMMU, 0x1000, 4, 0);
	return result;
}

void direct_calls(void)
{
	ATTEMPT("vsmmu_device_attach, CMDQ-V", open_bare, attach, close_hosted);
	ATTEMPT("vsmmu_device_detach, CMDQ-V", open_direct, detach, close_hosted);
	ATTEMPT("vsmmu_direct_page", open_direct, page, close_hosted, .never_fails = true);
	ATTEMPT("a guest's direct queues", open_direct, guest_runs, close_hosted, .never_fails = true);
}
