/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h section 8: the page, DMA and the hardware at the same time. */
#include "direct.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define DMA_THREADS 2
#define ROUNDS 300

static struct direct direct;
static struct guest *const guest = &direct.hosted.guest;
static int stop;

static void *device(void *opaque)
{
	uint64_t value;

	(void)opaque;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		/* It meets the page or an abort. */
		if (device_read(&direct.hosted, 0, IOVA, &value) == VSMMU_RESULT_OK)
			CHECK(value == 0x1111 || value == 0x2222);
	return NULL;
}

/* Hardware that runs all the time. */
static void *hardware(void *opaque)
{
	(void)opaque;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		hardware_runs(&direct);
		sched_yield();
	}
	return NULL;
}

/* What a CMD_SYNC of a direct queue covers is seen by no DMA that begins after it. */
static void direct_tlbi_beside_dma(void)
{
	pthread_t threads[DMA_THREADS + 1];
	uint64_t value;

	if (!direct_open(&direct))
		return;
	interface_start(&direct);
	queue_start(&direct, 0);
	stop = 0;
	store64(guest, DATA, 0x1111);
	store64(guest, DATA + 0x1000, 0x2222);
	for (unsigned i = 0; i < DMA_THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, device, NULL) == 0);
	CHECK(pthread_create(&threads[DMA_THREADS], NULL, hardware, NULL) == 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t to = DATA + (round & 1) * 0x1000;

		unmap(guest, STAGE1, IOVA);
		queue_put(&direct, 0, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
		queue_put(&direct, 0, SYNC, 0);
		while (__atomic_load_n(page_register(&direct, 0, Q_CONS), __ATOMIC_ACQUIRE) !=
		       *page_register(&direct, 0, Q_PROD))
			sched_yield();
		EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
		map(guest, STAGE1, IOVA, to, PAGE1);
		EQUAL(device_read(&direct.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, round & 1 ? 0x2222 : 0x1111);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < DMA_THREADS + 1; i++)
		pthread_join(threads[i], NULL);
	EQUAL(*page_register(&direct, 0, Q_GERROR), 0);
	hosted_close(&direct.hosted);
}

/* The library's own thread brings the interrupt. */
static void direct_interrupt_by_thread(void)
{
	unsigned *count = &guest->interrupts[VSMMU_IRQ_DIRECT];

	if (!direct_open(&direct))
		return;
	EQUAL(api.vsmmu_event_thread(guest->vsmmu, 1), 0);
	interface_start(&direct);
	queue_start(&direct, 0);
	queue_put(&direct, 0, TLBI_NH_ALL, 0);
	hardware_runs(&direct);
	for (unsigned tries = 0; tries < 10000 && !__atomic_load_n(count, __ATOMIC_ACQUIRE); tries++)
		usleep(1000);
	EQUAL(__atomic_load_n(count, __ATOMIC_ACQUIRE), 1);
	/* With the next first device there is another queue of errors, and the file is the same. */
	direct.page = NULL;
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	EQUAL(hosted_attach(&direct.hosted, 0), 0);
	{
		uint64_t length;
		void *page;

		EQUAL(api.vsmmu_direct_page(guest->vsmmu, &page, &length), 0);
		direct.page = page;
	}
	EQUAL(*page_register(&direct, 0, Q_CONFIG), 1);
	queue_put(&direct, 0, TLBI_NH_ALL, 0);
	hardware_runs(&direct);
	for (unsigned tries = 0; tries < 10000 && __atomic_load_n(count, __ATOMIC_ACQUIRE) < 2; tries++)
		usleep(1000);
	EQUAL(__atomic_load_n(count, __ATOMIC_ACQUIRE), 2);
	EQUAL(api.vsmmu_event_thread(guest->vsmmu, 0), 0);
	hosted_close(&direct.hosted);
}

void direct_thread_section(void)
{
	RUN(direct_tlbi_beside_dma);
	RUN(direct_interrupt_by_thread);
}
