/* SPDX-License-Identifier: MIT */
/* MSIs of an assigned device: the guest's stage 1 must map the host's window onto itself (docs/msi.md). */
#include "endtoend.h"

#include <stdio.h>

#define IOVA UINT64_C(0x7000000000)

/* Milliseconds for what does not come, and for what does. */
enum { A_WHILE = 2000, LONG = 60000 };

/* Was the MSI a fault there? */
static bool window_fault(struct guest *guest, uint64_t first, uint64_t last)
{
	uint64_t event[4];
	bool found = false;

	platform_settle();
	vsmmu_event_run(guest->vsmmu);
	while (take_event(guest, event))
		found = (event[0] & 0xff) == F_TRANSLATION && event[2] >= first && event[2] <= last;
	return found;
}

static void raise(struct guest *guest, int32_t fd, int32_t interrupts)
{
	uint64_t first = 0, last = 0;

	vsmmu_msi_window(guest->vsmmu, &first, &last);
	step(!platform_raise(fd, interrupts, A_WHILE), "no MSI: stage 1 has no doorbell");
	step(window_fault(guest, first, last), "a fault in the window of the doorbells");
	for (uint64_t page = first; page < first + 16 * PAGE; page += PAGE)
		map(guest, TABLES, page, page);
	step(platform_raise(fd, interrupts, LONG), "mapped onto itself: the MSI arrives");
	set_bypass(guest, STREAM);
	step(platform_raise(fd, interrupts, LONG), "and through a bypass");
	set_abort(guest, STREAM);
	step(!platform_raise(fd, interrupts, A_WHILE), "not through an abort");
}

void interrupts_life(struct guest *guest)
{
	vsmmu_host_t *host;
	int32_t fd, interrupts;

	if (!platform_open(&host) || !build(guest, host, NULL))
		return;
	equal((uint64_t)attach(guest, 0, STREAM), 0, "attach the device");
	fd = vsmmu_device_fd(guest->vsmmu, STREAM);
	guest_start(guest);
	set_context(guest, TABLES);
	map(guest, TABLES, IOVA, SOURCE);
	step(set_stage1(guest, STREAM), "stage 1");
	interrupts = platform_interrupts(fd);
	if (interrupts >= 0) {
		raise(guest, fd, interrupts);
		platform_close_file(interrupts);
	} else {
		printf("     devices raise no MSIs here\n");
	}
	vsmmu_destroy(guest->vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}
