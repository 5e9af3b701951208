/* SPDX-License-Identifier: MIT */
#include "direct.h"

#include <stdio.h>

bool direct_open_bare(struct direct *direct, uint32_t smmu_flags, uint32_t vsmmu_flags)
{
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu), .flags = smmu_flags };
	vsmmu_emulated_config host = { .size = sizeof(host), .smmus = &smmu, .smmu_count = 1 };
	vsmmu_config config = { .size = sizeof(config), .flags = vsmmu_flags };

	direct->page = NULL;
	return hosted_open_with(&direct->hosted, &host, config);
}

void direct_attach(struct direct *direct)
{
	struct guest *guest = &direct->hosted.guest;

	for (uint32_t stream = 0; stream < 8; stream++)
		api.vsmmu_stream_remove(guest->vsmmu, stream);
	EQUAL(hosted_attach(&direct->hosted, 0), 0);
}

bool direct_open_with(struct direct *direct, uint32_t smmu_flags, uint32_t vsmmu_flags)
{
	struct guest *guest = &direct->hosted.guest;

	if (!direct_open_bare(direct, smmu_flags, vsmmu_flags))
		return false;
	direct_attach(direct);
	guest_start(guest);
	map(guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(guest, ASSIGNED, 5);
	return true;
}

bool direct_open(struct direct *direct)
{
	void *page = NULL;
	uint64_t length = 0;

	if (!direct_open_with(direct, VSMMU_EMULATED_CMDQV, VSMMU_DIRECT_QUEUES))
		return false;
	EQUAL(api.vsmmu_direct_page(direct->hosted.guest.vsmmu, &page, &length), 0);
	EQUAL(length, 0x10000);
	direct->page = page;
	return CHECK(page != NULL);
}

uint64_t frame_read(struct direct *direct, uint64_t offset, uint32_t width)
{
	uint64_t value = ~UINT64_C(0);

	EQUAL(api.vsmmu_direct_read(direct->hosted.guest.vsmmu, offset, width, &value), 0);
	return value;
}

void frame_write(struct direct *direct, uint64_t offset, uint32_t width, uint64_t value)
{
	EQUAL(api.vsmmu_direct_write(direct->hosted.guest.vsmmu, offset, width, value), 0);
}

volatile uint32_t *page_register(struct direct *direct, unsigned index, unsigned offset)
{
	return direct->page + (index * Q_STRIDE + offset) / 4;
}

void interface_start(struct direct *direct)
{
	frame_write(direct, CMDQV_CONFIG, 4, 1);
	for (unsigned index = 0; index < 2; index++)
		frame_write(direct, CMDQ_ALLOC + 4 * index, 4, 1 | index << 1);
	frame_write(direct, VINTF_CONFIG, 4, 1);
}

void queue_start(struct direct *direct, unsigned index)
{
	frame_write(direct, VINTF_PAGE1 + Q_STRIDE * index, 8, DIRECT_QUEUE(index) | DIRECT_BITS);
	*page_register(direct, index, Q_CONFIG) = 1;
	hardware_runs(direct);
	EQUAL(*page_register(direct, index, Q_STATUS), 1);
}

void queue_put(struct direct *direct, unsigned index, uint64_t low, uint64_t high)
{
	uint32_t prod = *page_register(direct, index, Q_PROD);
	uint64_t slot = DIRECT_QUEUE(index) + 16 * (prod & ((1u << DIRECT_BITS) - 1));

	store64(&direct->hosted.guest, slot, low);
	store64(&direct->hosted.guest, slot + 8, high);
	/* The hardware may be looking. */
	__atomic_store_n(page_register(direct, index, Q_PROD),
			 (prod + 1) & ((2u << DIRECT_BITS) - 1), __ATOMIC_RELEASE);
}

void hardware_runs(struct direct *direct)
{
	EQUAL(api.vsmmu_emulated_run_queues(direct->hosted.emulated), 0);
}
