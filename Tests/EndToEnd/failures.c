/* SPDX-License-Identifier: MIT */
/*
 * A kernel that fails: a port whose next call of a kind is refused before it gets there, as a kernel
 * without memory would. The guest sees CERROR_ABT, its device keeps what it has, and what the guest
 * acknowledges is tried again.
 */
#include "endtoend.h"

#include <stdio.h>

#define IOVA UINT64_C(0x7000000000)
#define CONTEXT2 (CONTEXT + PAGE)

enum { HWPT_ALLOC = 0x3b89, HWPT_INVALIDATE = 0x3b8d, ATTACH = 0x3b77 };
enum { CERROR_ABT = 2 };

static vsmmu_kernel below;
static uint32_t refused; /* the request that fails once; 0 = none */

static int64_t failing_ioctl(void *opaque, int32_t fd, uint32_t request, void *argument)
{
	if (request != refused)
		return below.ioctl(opaque, fd, request, argument);
	refused = 0;
	return -ENOMEM;
}

/* A second context, with the other tables. */
static void set_contexts(struct guest *guest)
{
	set_context(guest, OTHER_TABLES);
	memcpy((void *)at(guest, CONTEXT2), (const void *)at(guest, CONTEXT), 64);
	set_context(guest, TABLES);
	for (unsigned i = 0; i < 2; i++) {
		map(guest, i ? OTHER_TABLES : TABLES, IOVA, SOURCE);
		map(guest, i ? OTHER_TABLES : TABLES, IOVA + PAGE, i ? OTHER : TARGET);
	}
}

static bool set_stage1_by(struct guest *guest, uint64_t context)
{
	set_ste(guest, STREAM, context | 5 << 1 | 1, 3 << 6 | 1 << 4 | 1 << 2);
	command(guest, TLBI_NH_ASID | ASID << 48, 0);
	return sync_commands(guest);
}

/* Where DMA through stage 1 arrives. */
static bool arrives(struct guest *guest, uint64_t seen)
{
	return travels(guest, vsmmu_device_fd(guest->vsmmu, STREAM), IOVA, IOVA + PAGE, seen);
}

static bool acknowledge(struct guest *guest)
{
	write_register(guest, GERRORN, read_register(guest, GERROR));
	return sync_commands(guest);
}

/* The change to `context` fails at `request`; meanwhile DMA arrives where it did. */
static void failed_change(struct guest *guest, uint32_t request, uint64_t context, uint64_t before,
			  uint64_t after)
{
	vsmmu_device_info info = {.size = sizeof(info)};

	refused = request;
	step(!set_stage1_by(guest, context), request == ATTACH ? "the kernel fails to attach stage 1" :
	     "the kernel fails to make stage 1");
	equal(read_register(guest, CMDQ_CONS) >> 24 & 127, CERROR_ABT, "CERROR_ABT");
	step(arrives(guest, before), "DMA goes on in the stage 1 that there was");
	equal((uint64_t)vsmmu_get_device_info(guest->vsmmu, STREAM, &info), 0, "what the device is");
	step(info.flags & VSMMU_INFO_FAILED, "failed");
	step(acknowledge(guest), "acknowledged: it is tried again");
	step(arrives(guest, after), "DMA goes through the new stage 1");
}

static void failed_invalidation(struct guest *guest)
{
	unmap(guest, TABLES, IOVA + PAGE);
	refused = HWPT_INVALIDATE;
	step(!invalidate_page(guest, IOVA + PAGE), "the kernel fails to invalidate");
	equal(read_register(guest, CMDQ_CONS) >> 24 & 127, CERROR_ABT, "CERROR_ABT");
	step(arrives(guest, TARGET), "the TLB still has the page");
	step(acknowledge(guest), "acknowledged: it is tried again");
	step(!arrives(guest, TARGET), "the page is gone");
	map(guest, TABLES, IOVA + PAGE, TARGET);
}

/* A bypass is no stage 1 that could go on. */
static void failed_start(struct guest *guest)
{
	int32_t fd = vsmmu_device_fd(guest->vsmmu, STREAM);

	set_bypass(guest, STREAM);
	step(travels(guest, fd, SOURCE, TARGET, TARGET), "the device bypasses");
	refused = HWPT_ALLOC;
	step(!set_stage1_by(guest, CONTEXT), "the kernel fails to make stage 1");
	step(!travels(guest, fd, SOURCE, TARGET, TARGET), "no DMA by physical address");
	step(!arrives(guest, TARGET), "none through stage 1");
	step(acknowledge(guest) && arrives(guest, TARGET), "acknowledged: stage 1");
}

void failing_life(struct guest *guest)
{
	vsmmu_kernel kernel = {.size = sizeof(kernel)};
	vsmmu_host_counters counters = {.size = sizeof(counters)};
	vsmmu_host_t *host;

	if (!step(platform_kernel(&kernel), "a kernel that fails"))
		return;
	below = kernel;
	kernel.ioctl = failing_ioctl;
	if (!platform_open_with(&kernel, &host) || !build(guest, host, NULL))
		return;
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device");
	guest_start(guest);
	set_contexts(guest);
	step(set_stage1_by(guest, CONTEXT) && arrives(guest, TARGET), "DMA through stage 1");
	failed_change(guest, HWPT_ALLOC, CONTEXT2, TARGET, OTHER);
	failed_change(guest, ATTACH, CONTEXT, OTHER, TARGET);
	failed_invalidation(guest);
	failed_start(guest);
	vsmmu_get_host_counters(guest->vsmmu, &counters);
	equal(counters.failures, 4, "four failures are counted");
	equal(counters.kept, 0, "and nothing is kept");
	vsmmu_destroy(guest->vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}
