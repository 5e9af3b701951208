/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's kernel: the iommufd, address space and nest parent of VFIO, from the first assigned
 * device to the last one, with which VFIO frees them.
 */
#include "qemu/osdep.h"
#include "device.h"

#ifdef VSMMUV3_ASSIGNS
#include "assigned.h"
#include "migration/blocker.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "system/kvm.h"
#include "hw/vsmmuv3/trace-hw_vsmmuv3.h"

/* What the machine reserves in the IORT for the doorbells of MSIs. */
#define RESERVED_FIRST 0x08000000u
#define RESERVED_LAST 0x080fffffu

static void events(void *opaque)
{
	VSMMUv3 *s = opaque;
	int32_t count = s->library.event_run(s->vsmmu);

	trace_vsmmuv3_events(count);
}

/* The KVM VM, by what the kernel calls it: QEMU's struct that has it is not for others. */
static int find_vm(void)
{
	g_autoptr(GDir) files = g_dir_open("/proc/self/fd", 0, NULL);
	const char *name;

	while (files && (name = g_dir_read_name(files))) {
		g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
		g_autofree char *target = g_file_read_link(path, NULL);

		if (target && !strcmp(target, "anon_inode:kvm-vm")) {
			return atoi(name);
		}
	}
	return -1;
}

/* For broadcast TLB maintenance; the property "report" tells what keeps it away. VFIO tells KVM of
 * its devices by itself. */
static void link_vm(VSMMUv3 *s)
{
	char text[512];
	int vm = find_vm();

	if (vm < 0) {
		warn_report("vsmmuv3: the KVM VM was not found: no broadcast TLB maintenance");
	} else if (s->library.link_vm(s->vsmmu, vm, VSMMU_LINK_ON_DEMAND | VSMMU_LINK_TOLD)) {
		warn_report("vsmmuv3: no broadcast TLB maintenance: %s",
			    vsmmuv3_sentence(s, text, sizeof(text)));
	}
}

static void call(void *opaque, const char *line)
{
	trace_vsmmuv3_call(line);
}

static bool open_host(VSMMUv3 *s, int iommufd, uint32_t ioas, uint32_t parent, Error **errp)
{
	char text[512];
	vsmmu_host_config config = {
		.size = sizeof(config),
		.flags = VSMMU_HOST_IOMMUFD,
		.iommufd = iommufd,
		.call = call,
	};

	if (s->library.host_open(&config, &s->assignment->host, text, sizeof(text)) < 0) {
		error_setg(errp, "vsmmuv3: %s", text);
		return false;
	}
	if (s->library.set_host(s->vsmmu, s->assignment->host, ioas, parent)) {
		error_setg(errp, "vsmmuv3: %s", vsmmuv3_sentence(s, text, sizeof(text)));
		s->library.host_close(s->assignment->host);
		s->assignment->host = NULL;
		return false;
	}
	return true;
}

static bool window_is_reserved(VSMMUv3 *s, Error **errp)
{
	uint64_t first = 0, last = 0;

	s->library.msi_window(s->vsmmu, &first, &last);
	if (first >= RESERVED_FIRST && last <= RESERVED_LAST) {
		return true;
	}
	error_setg(errp, "vsmmuv3: the host maps doorbells of MSIs at 0x%" PRIx64 " to 0x%" PRIx64
		   ", which QEMU does not reserve in the IORT", first, last);
	return false;
}

bool vsmmuv3_take_host(VSMMUv3 *s, int iommufd, uint32_t ioas, uint32_t parent, Error **errp)
{
	VSMMUv3Assignment *a = s->assignment;
	int fd;

	error_setg(&a->blocker, "vsmmuv3: a device of the host is assigned, whose part of the SMMU "
		   "is not migrated");
	if (migrate_add_blocker(&a->blocker, errp) < 0) {
		return false;
	}
	if (!open_host(s, iommufd, ioas, parent, errp)) {
		migrate_del_blocker(&a->blocker);
		return false;
	}
	link_vm(s);
	fd = s->library.event_fd(s->vsmmu);
	if (fd < 0) {
		error_setg_errno(errp, -fd, "vsmmuv3: no file for the events of assigned devices");
	}
	if (fd < 0 || !window_is_reserved(s, errp)) {
		vsmmuv3_give_host_back(s);
		return false;
	}
	a->event_fd = fd;
	qemu_set_fd_handler(fd, events, NULL, s);
	return true;
}

/* Where the library cannot let go of it, all stays as it is, for the next device too. */
void vsmmuv3_give_host_back(VSMMUv3 *s)
{
	VSMMUv3Assignment *a = s->assignment;
	char text[512];

	if (s->library.set_host(s->vsmmu, NULL, 0, 0)) {
		warn_report("vsmmuv3: %s", vsmmuv3_sentence(s, text, sizeof(text)));
		return;
	}
	if (a->event_fd >= 0) {
		qemu_set_fd_handler(a->event_fd, NULL, NULL, NULL);
		a->event_fd = -1;
	}
	s->library.host_close(a->host);
	a->host = NULL;
	migrate_del_blocker(&a->blocker);
}
#endif
