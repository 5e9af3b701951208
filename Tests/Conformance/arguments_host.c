/* SPDX-License-Identifier: MIT */
/* Each parameter of each function of vsmmuv3_host.h, wrong. */
#include "arguments.h"
#include "direct.h"

static void hosts(vsmmu_emulated_t *emulated)
{
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	vsmmu_host_config config = { .size = sizeof(config), .kernel = &kernel };
	vsmmu_host_t *made = NULL, **out = &made;
	char message[256] = "";
	const uint64_t size = sizeof(message);

	EQUAL(api.vsmmu_emulated_kernel(emulated, &kernel), 0);
	arguments_of = NULL;
	argument_message = message;
	/* All defaults: a machine's kernel, which may have no iommufd. */
	HARMLESS(vsmmu_host_open, config, NULL, out, message, size);
	EQUAL(api.vsmmu_host_close(made), 0);
	made = NULL;
	SIZED(vsmmu_host_open, config, config, 8, IT, out, message, size);
	FIELD(vsmmu_host_open, config, flags, 2, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_host_open, config, reserved, 1, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_host_open, config, vmid_bits, 9, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_host_open, config, asid_bits, 1, EINVAL, config, IT, out, message, size);
	config.flags = VSMMU_HOST_IOMMUFD;
	FIELD(vsmmu_host_open, config, iommufd, -1, EINVAL, config, IT, out, message, size);
	config.flags = 0;
	WRONG(vsmmu_host_open, out, EINVAL, &config, NULL, message, size);
	CHECK(made == NULL);
	/* Of the kernel that is brought. */
	kernel.reserved = 1;
	WRONG(vsmmu_host_open, kernel.reserved, EINVAL, &config, out, message, size);
	kernel.reserved = 0;
	kernel.size = 0;
	WRONG(vsmmu_host_open, kernel.size, EINVAL, &config, out, message, size);
	kernel.size = sizeof(kernel);
	RIGHT(vsmmu_host_open, message, &config, out, NULL, size);
	EQUAL(api.vsmmu_host_close(made), 0);
	RIGHT(vsmmu_host_open, message_size, &config, out, message, 0);
	EQUAL(api.vsmmu_host_close(made), 0);
	RIGHT(vsmmu_host_close, host, NULL);
	argument_message = NULL;
}

/* On a vSMMU with a host and a device. */
static void links(struct hosted *hosted, vsmmu_t *vsmmu, vsmmu_t *bare)
{
	vsmmu_host_t *host = hosted->host;

	EQUAL(api.vsmmu_host_close(host), -EBUSY);
	NOBODY(vsmmu_set_host, vsmmu, NULL, host, 0, 0);
	WRONG(vsmmu_set_host, host, EEXIST, vsmmu, host, 0, 0);
	arguments_of = bare;
	WRONG(vsmmu_set_host, host, ENODEV, bare, NULL, 0, 0);
	WRONG(vsmmu_set_host, ioas, EINVAL, bare, NULL, 1, 0);
	WRONG(vsmmu_set_host, ioas, EINVAL, bare, host, 0, 1);
	WRONG(vsmmu_set_host, parent_hwpt, EINVAL, bare, NULL, 0, 1);
	NOBODY(vsmmu_link_vm, vsmmu, NULL, 0, 0);
	NOBODY(vsmmu_give_kvm_vfio, vsmmu, NULL, 0);
	NOBODY(vsmmu_kvm_vfio_fd, vsmmu, NULL);
	/* Without a host: what the header says of all. */
	EQUAL(api.vsmmu_link_vm(bare, 0, 0), -EINVAL);
	EQUAL(api.vsmmu_give_kvm_vfio(bare, 0), -EINVAL);
	EQUAL(api.vsmmu_kvm_vfio_fd(bare), -ENODEV);
	EQUAL(api.vsmmu_set_host(bare, host, 0, 0), 0);
	WRONG(vsmmu_link_vm, vm_fd, EINVAL, bare, -1, 0);
	WRONG(vsmmu_link_vm, flags, EINVAL, bare, 0, 4);
	WRONG(vsmmu_give_kvm_vfio, fd, EINVAL, bare, -1);
	arguments_of = NULL;
	WRONG(vsmmu_give_kvm_vfio, fd, EBADF, bare, 99999);
	WRONG(vsmmu_kvm_vfio_fd, vsmmu, ENODEV, bare);
	EQUAL(api.vsmmu_set_host(bare, NULL, 0, 0), 0);
	arguments_of = vsmmu;
}

static void devices(vsmmu_t *vsmmu)
{
	vsmmu_device device = { .size = sizeof(device), .stream = 11, .path = "/dev/none" };
	vsmmu_device_info info = { .size = sizeof(info) };
	const uint64_t odd = UINT64_C(1) << 33;

	NOBODY(vsmmu_device_attach, vsmmu, NULL, &device);
	WRONG(vsmmu_device_attach, device, EINVAL, vsmmu, NULL);
	SIZED(vsmmu_device_attach, device, device, 12, vsmmu, IT);
	FIELD(vsmmu_device_attach, device, flags, 16, EINVAL, device, vsmmu, IT);
	FIELD(vsmmu_device_attach, device, reserved, 1, EINVAL, device, vsmmu, IT);
	FIELD(vsmmu_device_attach, device, path, NULL, EINVAL, device, vsmmu, IT);
	device.flags = VSMMU_DEVICE_FD;
	FIELD(vsmmu_device_attach, device, fd, -1, EINVAL, device, vsmmu, IT);
	NOBODY(vsmmu_device_detach, vsmmu, NULL, ASSIGNED);
	WRONG(vsmmu_device_detach, device, EINVAL, vsmmu, odd);
	WRONG(vsmmu_device_detach, device, ENOENT, vsmmu, 99);
	NOBODY(vsmmu_device_renumber, vsmmu, NULL, ASSIGNED, 12);
	WRONG(vsmmu_device_renumber, device, EINVAL, vsmmu, odd, 12);
	WRONG(vsmmu_device_renumber, device, ENOENT, vsmmu, 99, 12);
	WRONG(vsmmu_device_renumber, other, EINVAL, vsmmu, ASSIGNED, odd);
	NOBODY(vsmmu_device_reset, vsmmu, NULL, ASSIGNED);
	WRONG(vsmmu_device_reset, device, EINVAL, vsmmu, odd);
	WRONG(vsmmu_device_reset, device, ENOENT, vsmmu, 99);
	NOBODY(vsmmu_device_fd, vsmmu, NULL, ASSIGNED);
	WRONG(vsmmu_device_fd, device, EINVAL, vsmmu, odd);
	WRONG(vsmmu_device_fd, device, ENOENT, vsmmu, 99);
	NOBODY(vsmmu_get_device_info, vsmmu, NULL, ASSIGNED, &info);
	WRONG(vsmmu_get_device_info, device, EINVAL, vsmmu, odd, &info);
	WRONG(vsmmu_get_device_info, device, ENOENT, vsmmu, 99, &info);
	WRONG(vsmmu_get_device_info, info, EINVAL, vsmmu, ASSIGNED, NULL);
	SIZED(vsmmu_get_device_info, info, info, 8, vsmmu, ASSIGNED, IT);
}

static void bars(vsmmu_t *vsmmu)
{
	const uint64_t place = UINT64_C(0x90000000), odd = UINT64_C(1) << 33;
	vsmmu_bar bar = {
		.size = sizeof(bar), .device = ASSIGNED, .length = 4096, .address = place,
	};

	NOBODY(vsmmu_bar_add, vsmmu, NULL, &bar);
	WRONG(vsmmu_bar_add, bar, EINVAL, vsmmu, NULL);
	SIZED(vsmmu_bar_add, bar, bar, 48, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, flags, 1, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, reserved, 1, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, device, odd, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, region, 6, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, offset, 1, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, length, 0, EINVAL, bar, vsmmu, IT);
	FIELD(vsmmu_bar_add, bar, address, 1, EINVAL, bar, vsmmu, IT);
	NOBODY(vsmmu_bar_remove, vsmmu, NULL, place);
	WRONG(vsmmu_bar_remove, address, ENOENT, vsmmu, place);
	NOBODY(vsmmu_bar_renew, vsmmu, NULL, place);
	WRONG(vsmmu_bar_renew, address, ENOENT, vsmmu, place);
}

static void reports(vsmmu_t *vsmmu, vsmmu_t *bare)
{
	vsmmu_host_counters counters = { .size = sizeof(counters) };
	uint64_t first, last;
	char text[8];

	NOBODY(vsmmu_msi_window, vsmmu, NULL, &first, &last);
	WRONG(vsmmu_msi_window, first, EINVAL, vsmmu, NULL, &last);
	WRONG(vsmmu_msi_window, last, EINVAL, vsmmu, &first, NULL);
	EQUAL(api.vsmmu_msi_window(bare, &first, &last), -ENODEV);
	NOBODY(vsmmu_freeze, vsmmu, NULL);
	NOBODY(vsmmu_negotiation_report, vsmmu, NULL, 0, text, 8);
	WRONG(vsmmu_negotiation_report, format, EINVAL, vsmmu, 2, text, 8);
	WRONG(vsmmu_negotiation_report, text, EINVAL, vsmmu, 0, NULL, 8);
	RIGHT(vsmmu_negotiation_report, capacity, vsmmu, 0, NULL, 0);
	NOBODY(vsmmu_event_fd, vsmmu, NULL);
	EQUAL(api.vsmmu_event_fd(bare), -ENODEV);
	NOBODY(vsmmu_event_run, vsmmu, NULL);
	NOBODY(vsmmu_event_thread, vsmmu, NULL, 1);
	WRONG(vsmmu_event_thread, on, EINVAL, vsmmu, 2);
	NOBODY(vsmmu_get_host_counters, vsmmu, NULL, &counters);
	WRONG(vsmmu_get_host_counters, counters, EINVAL, vsmmu, NULL);
	SIZED(vsmmu_get_host_counters, counters, counters, 8, vsmmu, IT);
}

static void broadcasts(vsmmu_t *vsmmu)
{
	vsmmu_dvm_op op = {
		.size = sizeof(op), .flags = VSMMU_DVM_VMID8 | VSMMU_DVM_ASID8,
		.kind = VSMMU_DVM_VA, .last = 4095,
	};

	NOBODY(vsmmu_dvm, vsmmu, NULL, &op);
	WRONG(vsmmu_dvm, op, EINVAL, vsmmu, NULL);
	SIZED(vsmmu_dvm, op, op, 40, vsmmu, IT);
	FIELD(vsmmu_dvm, op, kind, 8, EINVAL, op, vsmmu, IT);
	FIELD(vsmmu_dvm, op, flags, 4, EINVAL, op, vsmmu, IT);
	FIELD(vsmmu_dvm, op, reserved, 1, EINVAL, op, vsmmu, IT);
	FIELD(vsmmu_dvm, op, asid, 256, EINVAL, op, vsmmu, IT);
	FIELD(vsmmu_dvm, op, address, 4096, EINVAL, op, vsmmu, IT);
}

static void frames(vsmmu_t *vsmmu, vsmmu_t *bare)
{
	uint64_t length, value;
	void *page;

	NOBODY(vsmmu_direct_page, vsmmu, NULL, &page, &length);
	WRONG(vsmmu_direct_page, page, EINVAL, vsmmu, NULL, &length);
	WRONG(vsmmu_direct_page, length, EINVAL, vsmmu, &page, NULL);
	NOBODY(vsmmu_direct_read, vsmmu, NULL, 0, 4, &value);
	WRONG(vsmmu_direct_read, offset, EINVAL, vsmmu, VSMMU_DIRECT_SIZE, 4, &value);
	WRONG(vsmmu_direct_read, offset, EINVAL, vsmmu, UINT64_MAX, 4, &value);
	WRONG(vsmmu_direct_read, width, EINVAL, vsmmu, 0, 0, &value);
	WRONG(vsmmu_direct_read, width, EINVAL, vsmmu, 0, 16, &value);
	WRONG(vsmmu_direct_read, value, EINVAL, vsmmu, 0, 4, NULL);
	NOBODY(vsmmu_direct_write, vsmmu, NULL, 0, 4, 0);
	WRONG(vsmmu_direct_write, offset, EINVAL, vsmmu, VSMMU_DIRECT_SIZE, 4, 0);
	WRONG(vsmmu_direct_write, width, EINVAL, vsmmu, 0, 3, 0);
	RIGHT(vsmmu_direct_write, value, vsmmu, 0x1c, 4, UINT64_MAX);
	EQUAL(api.vsmmu_direct_page(bare, &page, &length), -ENODEV);
	EQUAL(api.vsmmu_direct_read(bare, 0, 4, &value), -ENODEV);
	EQUAL(api.vsmmu_direct_write(bare, 0, 4, 0), -ENODEV);
}

void arguments_of_a_host(void)
{
	static struct direct direct;
	static struct guest bare;
	vsmmu_t *vsmmu;

	if (!direct_open(&direct) || !guest_open(&bare, NULL))
		return;
	vsmmu = direct.hosted.guest.vsmmu;
	hosts(direct.hosted.emulated);
	arguments_of = vsmmu;
	links(&direct.hosted, vsmmu, bare.vsmmu);
	devices(vsmmu);
	bars(vsmmu);
	reports(vsmmu, bare.vsmmu);
	broadcasts(vsmmu);
	frames(vsmmu, bare.vsmmu);
	arguments_of = NULL;
	guest_close(&bare);
	hosted_close(&direct.hosted);
}
