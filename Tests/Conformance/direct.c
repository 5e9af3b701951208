/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h section 8: command queues of the host's SMMU that the guest drives. */
#include "direct.h"

#include <poll.h>
#include <stdio.h>

static struct direct direct;
static struct guest *const guest = &direct.hosted.guest;

static void report(char *text, size_t size, uint32_t format)
{
	CHECK(api.vsmmu_negotiation_report(guest->vsmmu, format, text, size) < (int64_t)size);
}

static uint64_t tlbi_va(uint16_t asid)
{
	return TLBI_NH_VA | (uint64_t)asid << 48;
}

/* A TLBI by the page costs no exit and no call; the SMMU's own queue goes on beside it. */
static void direct_tlbi_costs_no_call(void)
{
	vsmmu_host_counters before, after;
	vsmmu_counters software = { .size = sizeof(software) };
	uint64_t value, calls;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	EQUAL(host_counters(&direct.hosted).direct_queues, 1);
	store64(guest, DATA, 0x1111);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	before = host_counters(&direct.hosted);
	EQUAL(api.vsmmu_get_counters(guest->vsmmu, &software), 0);
	calls = emulated_counters(&direct.hosted).calls;
	/* Another ASID's is nothing to it. */
	queue_put(&direct, 0, tlbi_va(6), IOVA | 1);
	queue_put(&direct, 0, SYNC, 0);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	queue_put(&direct, 0, tlbi_va(5), IOVA | 1);
	queue_put(&direct, 0, SYNC, 0);
	EQUAL(*page_register(&direct, 0, Q_CONS), 2);
	/* The hardware does it on its own. */
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(*page_register(&direct, 0, Q_CONS), 4);
	EQUAL(*page_register(&direct, 0, Q_GERROR), 0);
	after = host_counters(&direct.hosted);
	EQUAL(after.invalidate_calls, before.invalidate_calls);
	EQUAL(after.forwarded, before.forwarded);
	EQUAL(emulated_counters(&direct.hosted).calls, calls);
	EQUAL(emulated_counters(&direct.hosted).direct_commands, 4);
	{
		vsmmu_counters now = { .size = sizeof(now) };

		EQUAL(api.vsmmu_get_counters(guest->vsmmu, &now), 0);
		EQUAL(now.commands, software.commands);
	}
	/* By ASID, and the same from the other view of the queue. */
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	store64(guest, DIRECT_QUEUE(0) + 16 * 4, TLBI_NH_ASID | UINT64_C(5) << 48);
	store64(guest, DIRECT_QUEUE(0) + 16 * 4 + 8, 0);
	frame_write(&direct, VCMDQ_PAGE0 + Q_PROD, 4, 5);
	hardware_runs(&direct);
	EQUAL(frame_read(&direct, VCMDQ_PAGE0 + Q_CONS, 4), 5);
	EQUAL(frame_read(&direct, VINTF_PAGE0 + Q_CONS, 4), 5);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	/* The rest goes by the SMMU's own queue. */
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(guest, STAGE1, IOVA);
	queue(guest, TLBI_NH_ALL, 0);
	sync_all(guest);
	EQUAL(host_counters(&direct.hosted).invalidate_calls, after.invalidate_calls + 1);
	EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	hosted_close(&direct.hosted);
}

void direct_section(void)
{
	RUN(direct_tlbi_costs_no_call);
}

void direct_random_section(void)
{
}
