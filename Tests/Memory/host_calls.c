/* SPDX-License-Identifier: MIT */
/* Calls on a vSMMU with assigned devices. */
#include "attempt.h"

#include <stdio.h>
#include <stdlib.h>

#define IOVA UINT64_C(0x5000)
#define CREATE_VM 0xae01u

static const vsmmu_emulated_config linked = {
	.size = sizeof(linked), .kernel = VSMMU_EMULATED_LINKED,
};

static void close_hosted(void)
{
	hosted_close(&scene.hosted);
}

/* The host, and a vSMMU on it. */

static void open_host(void)
{
	CHECK(api.vsmmu_emulated_create(NULL, &EMULATED, NULL, 0) == 0);
}

static void close_host(void)
{
	api.vsmmu_emulated_destroy(EMULATED);
}

static void on_call(void *opaque, const char *line)
{
	(void)opaque;
	CHECK(line[0] != 0);
}

static int64_t host_open(void)
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = {
		.size = sizeof(config), .kernel = &kernel, .call = on_call,
	};
	vsmmu_host_t *host = NULL;
	int32_t result;

	EQUAL(api.vsmmu_emulated_kernel(EMULATED, &kernel), 0);
	result = api.vsmmu_host_open(&config, &host, scene.message, sizeof(scene.message));
	CHECK((result == 0) == (host != NULL));
	CHECK((result == 0) == (scene.message[0] == 0));
	EQUAL(api.vsmmu_host_close(host), 0);
	return result;
}

static void open_lent(void)
{
	open_host();
	scene.fd = api.vsmmu_emulated_open(EMULATED, "/dev/iommu");
}

static int64_t host_open_lent(void)
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = {
		.size = sizeof(config), .kernel = &kernel, .flags = VSMMU_HOST_IOMMUFD,
		.iommufd = scene.fd,
	};
	vsmmu_host_t *host = NULL;
	int32_t result;

	EQUAL(api.vsmmu_emulated_kernel(EMULATED, &kernel), 0);
	result = api.vsmmu_host_open(&config, &host, scene.message, sizeof(scene.message));
	EQUAL(api.vsmmu_host_close(host), 0);
	return result;
}

static void close_lent(void)
{
	EQUAL(api.vsmmu_emulated_close(EMULATED, scene.fd), 0);
	close_host();
}

static void open_opened(void)
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = { .size = sizeof(config), .kernel = &kernel };

	open_host();
	EQUAL(api.vsmmu_emulated_kernel(EMULATED, &kernel), 0);
	CHECK(api.vsmmu_host_open(&config, &scene.hosted.host, NULL, 0) == 0);
}

static int64_t create(void)
{
	vsmmu_config config = { .size = sizeof(config), .host = scene.hosted.host };
	vsmmu_t *made = NULL;
	int32_t result = api.vsmmu_create(&config, &guest_ops, GUEST, &made, scene.message,
					  sizeof(scene.message));

	api.vsmmu_destroy(made);
	return result;
}

static void close_opened(void)
{
	EQUAL(api.vsmmu_host_close(scene.hosted.host), 0);
	close_host();
}

static void opening(void)
{
	ATTEMPT("vsmmu_host_open", open_host, host_open, close_host);
	ATTEMPT("vsmmu_host_open, lent", open_lent, host_open_lent, close_lent);
	ATTEMPT("vsmmu_create with a host", open_opened, create, close_opened);
}

/* Devices. */

static void open_hosted(void)
{
	CHECK(hosted_open(&scene.hosted, NULL));
}

static void open_attached(void)
{
	open_hosted();
	EQUAL(hosted_attach(&scene.hosted, 0), 0);
}

/* Device 0 is translated from IOVA to DATA. */
static void open_translated(void)
{
	open_attached();
	guest_start(GUEST);
	map(GUEST, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(GUEST, ASSIGNED, 5);
}

static int64_t attach_first(void) { return hosted_attach(&scene.hosted, 0); }
static int64_t attach_second(void) { return hosted_attach(&scene.hosted, 1); }
static int64_t attach_absent(void) { return hosted_attach(&scene.hosted, 7); }

static int64_t detach(void)
{
	return api.vsmmu_device_detach(VSMMU, ASSIGNED);
}

static int64_t renumber(void)
{
	return api.vsmmu_device_renumber(VSMMU, ASSIGNED, ASSIGNED + 4);
}

static int64_t take_number(void)
{
	return api.vsmmu_device_renumber(VSMMU, ASSIGNED, VSMMU_UNNUMBERED);
}

static int64_t attach_unnumbered(void)
{
	vsmmu_device device = {
		.size = sizeof(device), .flags = VSMMU_DEVICE_UNNUMBERED,
		.path = "/dev/vfio/devices/vfio1",
	};

	return api.vsmmu_device_attach(VSMMU, &device);
}

static int64_t device_info(void)
{
	vsmmu_device_info info = { .size = sizeof(info) };

	return api.vsmmu_get_device_info(VSMMU, ASSIGNED, &info);
}

static void open_hostless(void)
{
	open_hosted();
	EQUAL(api.vsmmu_set_host(VSMMU, NULL, 0, 0), 0);
}

static int64_t set_host(void)
{
	return api.vsmmu_set_host(VSMMU, scene.hosted.host, 0, 0);
}

static int64_t give_host_back(void)
{
	return api.vsmmu_set_host(VSMMU, NULL, 0, 0);
}

static int64_t reset_device(void)
{
	return api.vsmmu_device_reset(VSMMU, ASSIGNED);
}

static int64_t absent_file(void)
{
	return api.vsmmu_device_fd(VSMMU, 99);
}

static int64_t report_json(void)
{
	static char text[65536];

	return api.vsmmu_negotiation_report(VSMMU, VSMMU_REPORT_JSON, text, sizeof(text));
}

static uint8_t more[4096] __attribute__((aligned(4096)));

static int64_t ram_add(void)
{
	return api.vsmmu_ram_add(VSMMU, UINT64_C(0x80000000), sizeof(more), more);
}

static int64_t ram_remove(void)
{
	return api.vsmmu_ram_remove(VSMMU, RAM);
}

static void devices(void)
{
	ATTEMPT("vsmmu_device_attach", open_hosted, attach_first, close_hosted);
	ATTEMPT("vsmmu_device_attach, translated", open_translated, attach_second, close_hosted);
	ATTEMPT("vsmmu_device_attach, absent", open_attached, attach_absent, close_hosted,
		.expected = -ENOENT);
	ATTEMPT("vsmmu_device_detach", open_translated, detach, close_hosted);
	ATTEMPT("vsmmu_device_renumber", open_translated, renumber, close_hosted,
		.is_the_kernels = true);
	ATTEMPT("vsmmu_device_renumber, to none", open_translated, take_number, close_hosted,
		.is_the_kernels = true);
	ATTEMPT("vsmmu_device_attach, unnumbered", open_translated, attach_unnumbered, close_hosted);
	ATTEMPT("vsmmu_get_device_info", open_translated, device_info, close_hosted);
	ATTEMPT("vsmmu_set_host", open_hostless, set_host, close_hosted);
	ATTEMPT("vsmmu_set_host, NULL", open_hosted, give_host_back, close_hosted);
	ATTEMPT("vsmmu_device_reset", open_translated, reset_device, close_hosted);
	ATTEMPT("vsmmu_device_fd, absent", open_attached, absent_file, close_hosted,
		.expected = -ENOENT);
	ATTEMPT("vsmmu_negotiation_report, JSON", open_attached, report_json, close_hosted);
	ATTEMPT("vsmmu_ram_add with a host", open_attached, ram_add, close_hosted);
	ATTEMPT("vsmmu_ram_remove with a host", open_attached, ram_remove, close_hosted);
}

/* BARs. */

#define BAR UINT64_C(0x90000000)

static void open_barred(void)
{
	vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED, .length = sizeof(more), .address = BAR,
	};

	open_translated();
	EQUAL(api.vsmmu_bar_add(VSMMU, &bar), 0);
}

static int64_t bar_add(void)
{
	vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED, .length = sizeof(more), .address = BAR,
	};

	return api.vsmmu_bar_add(VSMMU, &bar);
}

static int64_t bar_add_over_ram(void)
{
	vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED, .length = sizeof(more), .address = RAM,
	};

	return api.vsmmu_bar_add(VSMMU, &bar);
}

static int64_t bar_remove(void) { return api.vsmmu_bar_remove(VSMMU, BAR); }
static int64_t bar_renew(void) { return api.vsmmu_bar_renew(VSMMU, BAR); }

static int64_t ram_add_over_bar(void)
{
	return api.vsmmu_ram_add(VSMMU, BAR, sizeof(more), more);
}

static void bars(void)
{
	ATTEMPT("vsmmu_bar_add", open_translated, bar_add, close_hosted);
	ATTEMPT("vsmmu_bar_add, over RAM", open_translated, bar_add_over_ram, close_hosted,
		.expected = -EEXIST);
	ATTEMPT("vsmmu_ram_add, over a BAR", open_barred, ram_add_over_bar, close_hosted,
		.expected = -EEXIST);
	ATTEMPT("vsmmu_bar_remove", open_barred, bar_remove, close_hosted);
	ATTEMPT("vsmmu_bar_renew", open_barred, bar_renew, close_hosted, .is_the_kernels = true);
	ATTEMPT("vsmmu_device_reset with a BAR", open_barred, reset_device, close_hosted,
		.is_the_kernels = true);
	ATTEMPT("vsmmu_device_detach with a BAR", open_barred, detach, close_hosted);
}

/* A linked VM. */

static void open_linkable(void)
{
	int kvm;

	CHECK(hosted_open(&scene.hosted, &linked));
	kvm = api.vsmmu_emulated_open(EMULATED, "/dev/kvm");
	scene.fd = (int)api.vsmmu_emulated_ioctl(EMULATED, kvm, CREATE_VM, NULL);
	EQUAL(api.vsmmu_emulated_close(EMULATED, kvm), 0);
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(VSMMU, stream), 0);
}

static void open_linked(void)
{
	open_linkable();
	EQUAL(api.vsmmu_link_vm(VSMMU, scene.fd, 0), 0);
}

static void open_linked_device(void)
{
	open_linked();
	EQUAL(hosted_attach(&scene.hosted, 0), 0);
}

static void close_linked(void)
{
	EQUAL(api.vsmmu_emulated_close(EMULATED, scene.fd), 0);
	close_hosted();
}

static int64_t link_vm(void)
{
	return api.vsmmu_link_vm(VSMMU, scene.fd, 0);
}

/* The ID registers lose BTM with it. */
static int64_t stream_add(void)
{
	return api.vsmmu_stream_add(VSMMU, 3);
}

static void links(void)
{
	ATTEMPT("vsmmu_link_vm", open_linkable, link_vm, close_linked);
	ATTEMPT("vsmmu_device_attach, linked", open_linked, attach_first, close_linked);
	ATTEMPT("vsmmu_device_detach, linked", open_linked_device, detach, close_linked);
	ATTEMPT("vsmmu_stream_add, linked", open_linked_device, stream_add, close_linked);
}

/* Events. */

static void open_faulted(void)
{
	uint64_t value;

	open_translated();
	for (int i = 0; i < 5; i++)
		EQUAL(device_read(&scene.hosted, 0, IOVA + 0x10000, &value), VSMMU_RESULT_ABORT);
}

static int64_t event_fd(void) { return api.vsmmu_event_fd(VSMMU); }
static int64_t event_run(void) { return api.vsmmu_event_run(VSMMU); }

static int64_t event_thread(void)
{
	int32_t result = api.vsmmu_event_thread(VSMMU, 1);

	EQUAL(api.vsmmu_event_thread(VSMMU, 0), 0);
	return result;
}

static void open_with_event_file(void)
{
	open_translated();
	CHECK(api.vsmmu_event_fd(VSMMU) >= 0);
}

static void events(void)
{
	ATTEMPT("vsmmu_event_fd", open_translated, event_fd, close_hosted, .never_fails = true);
	ATTEMPT("vsmmu_event_run", open_faulted, event_run, close_hosted);
	ATTEMPT("vsmmu_event_thread", open_with_event_file, event_thread, close_hosted);
}

/* The guest's own actions. */

/* The guest acknowledges each CERROR_ABT until the queue goes on. */
static unsigned acknowledge_all(void)
{
	unsigned times = 0;
	uint64_t error;

	while ((error = command_error(GUEST)) != 0 && times < 99) {
		EQUAL(error, CERROR_ABT);
		heap_disarm();
		acknowledge(GUEST);
		times++;
	}
	return times;
}

/* The tables become cacheable (S1CIR): another nested HWPT is made. */
static void configure(enum heap_mode mode, unsigned nth, unsigned *stops)
{
	uint64_t value;

	store64(GUEST, STREAM_TABLE + ASSIGNED * 64 + 8, UINT64_C(1) << 44 | 1 << 2);
	queue(GUEST, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
	queue(GUEST, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	queue(GUEST, SYNC, 0);
	heap_arm(mode, nth);
	publish(GUEST);
	*stops += acknowledge_all();
	heap_disarm();
	EQUAL(read_register(GUEST, CMDQ_CONS) & 0xfffff, read_register(GUEST, CMDQ_PROD));
	EQUAL(device_read(&scene.hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* One more where it could be made and not attached. */
	CHECK(host_counters(&scene.hosted).hwpts >= 2);
}

/* Where the kernel has no memory for it, the queue stops and the guest tries again. */
static void the_queue_stops(void)
{
	unsigned stops = 0, refusals = 1;

	for (enum heap_mode mode = HEAP_NTH; mode <= HEAP_STARVED; mode++) {
		for (unsigned nth = 1; nth == 1 || (refusals && mode != HEAP_STARVED); nth++) {
			long blocks = heap_blocks();

			memset(&scene, 0, sizeof(scene));
			open_translated();
			configure(mode, nth, &stops);
			refusals = heap_refusals();
			close_hosted();
			EQUAL(heap_blocks(), blocks);
		}
	}
	printf("     the queue stopped %u times\n", stops);
	CHECK(stops > 0);
}

/* What takes something away is refused by no want of memory. */
static int64_t abort_and_forget(void)
{
	uint64_t value;

	unmap(GUEST, STAGE1, IOVA);
	queue(GUEST, TLBI_NH_VA | UINT64_C(5) << 48, IOVA | 1);
	queue(GUEST, SYNC, 0);
	publish(GUEST);
	while (acknowledge_all())
		;
	EQUAL(device_read(&scene.hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	return api.vsmmu_reset(VSMMU);
}

static void guests(void)
{
	ATTEMPT("a guest's TLBI, vsmmu_reset", open_translated, abort_and_forget,
		close_hosted, .never_fails = true);
}

/* The end comes without memory too: devices are detached, and nothing stays. */
static void the_end(void)
{
	for (enum heap_mode mode = HEAP_FROM; mode <= HEAP_STARVED; mode++) {
		long blocks = heap_blocks();

		memset(&scene, 0, sizeof(scene));
		open_translated();
		heap_arm(mode, 1);
		api.vsmmu_destroy(VSMMU);
		EQUAL(api.vsmmu_host_close(scene.hosted.host), 0);
		EQUAL(emulated_counters(&scene.hosted).objects, 0);
		EQUAL(emulated_counters(&scene.hosted).files, 0);
		EQUAL(emulated_counters(&scene.hosted).mappings, 0);
		api.vsmmu_emulated_destroy(EMULATED);
		heap_disarm();
		free(GUEST->ram);
		EQUAL(heap_blocks(), blocks);
	}
}

void host_calls(void)
{
	RUN(opening);
	RUN(devices);
	RUN(bars);
	RUN(links);
	RUN(events);
	RUN(the_queue_stops);
	RUN(guests);
	RUN(the_end);
}
