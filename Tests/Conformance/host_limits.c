/* SPDX-License-Identifier: MIT */
/* vsmmuv3_host.h: more than a queue, a call or the kernel takes. */
#include "hosted.h"

#include <poll.h>

enum { REQUEST_DESTROY = 0x3b80, QUEUE = 1 << EVENT_BITS };

static void fault(struct hosted *hosted, unsigned count)
{
	uint64_t value;

	for (unsigned i = 0; i < count; i++)
		EQUAL(device_read(hosted, 0, 0x7000000 + i * UINT64_C(0x1000), &value),
		      VSMMU_RESULT_ABORT);
}

/* The kernel's queue is as deep as the guest's, so what it loses behind a full one is an overflow
 * of the guest's, and only that (7.4). */
static void host_tells_an_overflow(void)
{
	static struct hosted hosted;
	uint64_t event[4];

	if (!hosted_open_translated(&hosted))
		return;
	fault(&hosted, QUEUE);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), QUEUE);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD), QUEUE);
	for (unsigned i = 0; i < QUEUE; i++)
		take_event(&hosted.guest, event);
	/* One more than there is room for. */
	fault(&hosted, QUEUE + 1);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), QUEUE);
	EQUAL(host_counters(&hosted).events_lost, 1);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD), UINT64_C(1) << 31);
	/* Not told twice before it is acknowledged, which take_event does. */
	fault(&hosted, QUEUE + 5);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), QUEUE);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD), UINT64_C(1) << 31);
	for (unsigned i = 0; i < QUEUE; i++) {
		CHECK(take_event(&hosted.guest, event) > 0);
		EQUAL(event[2], 0x7000000 + i * UINT64_C(0x1000));
	}
	/* Lost between two that the guest's queue has room for: it did not overflow. */
	fault(&hosted, 2);
	EQUAL(api.vsmmu_emulated_lose_events(hosted.emulated, 3), 0);
	fault(&hosted, 3);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 2);
	EQUAL(host_counters(&hosted).events_lost, 9);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD) >> 31, 1);
	/* With the queue off, nothing overflows. */
	while (take_event(&hosted.guest, event))
		;
	fault(&hosted, QUEUE + 1);
	write_register(&hosted.guest, CR0, 0x9);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 0);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD) >> 31, 1);
	hosted_close(&hosted);
}

/* A guest's queue of 4096: so many events are moved in pieces, and the file tells of the rest. */
static void host_moves_events_in_pieces(void)
{
	static struct hosted hosted;
	enum { BITS = 12, COUNT = 2500 };
	const uint64_t events = RAM + 0x200000;
	struct pollfd file = { .events = POLLIN };
	unsigned moved = 0;

	if (!hosted_open_translated(&hosted))
		return;
	file.fd = api.vsmmu_event_fd(hosted.guest.vsmmu);
	write_register(&hosted.guest, CR0, 0x9);
	write_register64(&hosted.guest, EVENTQ_BASE, events | BITS);
	write_register(&hosted.guest, CR0, 0xd);
	fault(&hosted, COUNT);
	for (unsigned left = COUNT; left > 0; left -= left < 1024 ? left : 1024) {
		unsigned most = left < 1024 ? left : 1024;

		EQUAL(poll(&file, 1, 0), 1);
		EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), most);
		moved += most;
		EQUAL(read_register(&hosted.guest, EVENTQ_PROD), moved);
	}
	EQUAL(poll(&file, 1, 0), 0);
	EQUAL(api.vsmmu_event_run(hosted.guest.vsmmu), 0);
	for (unsigned i = 0; i < COUNT; i++)
		EQUAL(load64(&hosted.guest, events + i * 32 + 16),
		      0x7000000 + i * UINT64_C(0x1000));
	/* Who takes a device away takes all that it has faulted with. */
	fault(&hosted, 1100);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(read_register(&hosted.guest, EVENTQ_PROD), COUNT + 1100);
	hosted_close(&hosted);
}

/* A context of its own for each number, so that each STE asks for another HWPT. */
static void change_ste(struct hosted *hosted, unsigned number)
{
	uint64_t cd = RAM + 0x80000 + number % 64 * 64;

	for (unsigned i = 0; i < 4; i++)
		store64(&hosted->guest, cd + 8 * i,
			load64(&hosted->guest, CONTEXT + ASSIGNED * 64 + 8 * i));
	store64(&hosted->guest, STREAM_TABLE + ASSIGNED * 64, 1 | 5 << 1 | cd);
	queue(&hosted->guest, CFGI_STE | (uint64_t)ASSIGNED << 32, 1);
	queue(&hosted->guest, SYNC, 0);
	publish(&hosted->guest);
}

/* An HWPT that the kernel would not destroy goes with one of the next commands. */
static void host_gives_back_what_was_kept(void)
{
	static struct hosted hosted;
	uint64_t failures, value;
	uint32_t objects;

	if (!hosted_open_translated(&hosted))
		return;
	objects = emulated_counters(&hosted).objects;
	failures = host_counters(&hosted).failures;
	for (unsigned i = 0; i < 100; i++) {
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated, REQUEST_DESTROY, 1, EBUSY, 0), 0);
		change_ste(&hosted, i);
		CHECK(command_error(&hosted.guest) == 0);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(emulated_counters(&hosted).objects, objects);
		EQUAL(host_counters(&hosted).kept, 0);
	}
	EQUAL(host_counters(&hosted).failures, failures + 100);
	CONTAINS(hosted.guest.log, "keeps a nested HWPT");
	hosted_close(&hosted);
}

/* The kernel destroys nothing any more, whatever is asked of it meanwhile. */
static void fail_all(struct hosted *hosted)
{
	while (api.vsmmu_emulated_fail(hosted->emulated, REQUEST_DESTROY, 1, EBUSY, 0) == 0)
		;
}

/* What a guest's STEs can make a kernel keep has a bound: there the command stops, and the device
 * keeps what it has, until the kernel lets go. */
static void host_bounds_what_is_kept(void)
{
	static struct hosted hosted;
	uint32_t objects;
	uint64_t value;
	unsigned changes = 0;

	if (!hosted_open_translated(&hosted))
		return;
	objects = emulated_counters(&hosted).objects;
	while (changes < 200 && command_error(&hosted.guest) == 0) {
		fail_all(&hosted);
		change_ste(&hosted, changes++);
	}
	CHECK(changes > 60 && changes < 66);
	EQUAL(read_register(&hosted.guest, CMDQ_CONS) >> 24, 2);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(hosted.guest.blame, VSMMU_LOG_HOST);
	/* As often as the guest may try. */
	for (unsigned i = 0; i < 100; i++) {
		fail_all(&hosted);
		acknowledge(&hosted.guest);
		CHECK(command_error(&hosted.guest) != 0);
		CHECK(emulated_counters(&hosted).objects <= objects + 64);
	}
	EQUAL(host_counters(&hosted).kept, emulated_counters(&hosted).objects - objects);
	/* No device more, either. */
	fail_all(&hosted);
	EQUAL(hosted_attach(&hosted, 1), -EBUSY);
	/* What was ordered to fail does so, and then the kernel is well. */
	for (unsigned i = 0; i < 100 && (command_error(&hosted.guest) != 0 || i < 50); i++) {
		acknowledge(&hosted.guest);
		if (command_error(&hosted.guest) == 0)
			sync_all(&hosted.guest);
	}
	CHECK(command_error(&hosted.guest) == 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	EQUAL(emulated_counters(&hosted).objects, objects);
	EQUAL(host_counters(&hosted).kept, 0);
	EQUAL(hosted_attach(&hosted, 1), 0);
	hosted_close(&hosted);
}

void host_limit_section(void)
{
	RUN(host_tells_an_overflow);
	RUN(host_moves_events_in_pieces);
	RUN(host_gives_back_what_was_kept);
	RUN(host_bounds_what_is_kept);
}
