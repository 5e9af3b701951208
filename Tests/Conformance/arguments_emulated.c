/* SPDX-License-Identifier: MIT */
/* Each parameter of each function of vsmmuv3_emulated.h, wrong. */
#include "arguments.h"

static void creation(void)
{
	vsmmu_emulated_smmu smmu = { .size = sizeof(smmu) };
	vsmmu_emulated_device device = { .size = sizeof(device), .stream = 8 };
	vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = &smmu, .devices = &device, .smmu_count = 1,
		.device_count = 1,
	};
	vsmmu_emulated_t *made = NULL, **out = &made;
	char message[256] = "";
	const uint64_t size = sizeof(message);

	argument_message = message;
	SIZED(vsmmu_emulated_create, config, config, 8, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, kernel, 3, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, smmus, NULL, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, devices, NULL, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, cpus, 1025, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, vmid_bits, 9, EINVAL, config, IT, out, message, size);
	FIELD(vsmmu_emulated_create, config, reserved, 1, EINVAL, config, IT, out, message, size);
	WRONG(vsmmu_emulated_create, out, EINVAL, &config, NULL, message, size);
	/* What it points to. */
	smmu.flags = 256;
	WRONG(vsmmu_emulated_create, flags, EINVAL, &config, out, message, size);
	smmu.flags = 0;
	smmu.size = 4;
	WRONG(vsmmu_emulated_create, smmu, EINVAL, &config, out, message, size);
	smmu.size = sizeof(smmu);
	device.flags = 4;
	WRONG(vsmmu_emulated_create, flags, EINVAL, &config, out, message, size);
	device.flags = 0;
	device.size = 4;
	WRONG(vsmmu_emulated_create, device, EINVAL, &config, out, message, size);
	device.size = sizeof(device);
	CHECK(made == NULL);
	RIGHT(vsmmu_emulated_create, config, NULL, out, message, size);
	api.vsmmu_emulated_destroy(made);
	RIGHT(vsmmu_emulated_create, message, &config, out, NULL, size);
	api.vsmmu_emulated_destroy(made);
	RIGHT(vsmmu_emulated_create, message_size, &config, out, message, 0);
	api.vsmmu_emulated_destroy(made);
	argument_message = NULL;
	HARMLESS(vsmmu_emulated_destroy, emulated, NULL);
}

static void files(vsmmu_emulated_t *e)
{
	const int32_t none = 99999, iommu = api.vsmmu_emulated_open(e, "/dev/iommu");
	const uint32_t alloc = 0x3b81;
	vsmmu_kernel kernel = { .size = sizeof(kernel) };
	uint8_t data[8];

	NOBODY(vsmmu_emulated_open, emulated, NULL, "/dev/iommu");
	WRONG(vsmmu_emulated_open, path, EFAULT, e, NULL);
	WRONG(vsmmu_emulated_open, path, ENOENT, e, "/dev/vfio/devices/vfio99");
	NOBODY(vsmmu_emulated_close, emulated, NULL, iommu);
	WRONG(vsmmu_emulated_close, fd, EBADF, e, none);
	NOBODY(vsmmu_emulated_ioctl, emulated, NULL, iommu, alloc, data);
	WRONG(vsmmu_emulated_ioctl, fd, EBADF, e, none, alloc, data);
	WRONG(vsmmu_emulated_ioctl, request, ENOTTY, e, iommu, 1, data);
	WRONG(vsmmu_emulated_ioctl, argument, EFAULT, e, iommu, alloc, NULL);
	NOBODY(vsmmu_emulated_read, emulated, NULL, iommu, data, 8);
	WRONG(vsmmu_emulated_read, fd, EBADF, e, none, data, 8);
	WRONG(vsmmu_emulated_read, data, EFAULT, e, iommu, NULL, 8);
	WRONG(vsmmu_emulated_read, count, EINVAL, e, iommu, data, 0);
	NOBODY(vsmmu_emulated_write, emulated, NULL, iommu, data, 8);
	WRONG(vsmmu_emulated_write, fd, EBADF, e, none, data, 8);
	WRONG(vsmmu_emulated_write, data, EFAULT, e, iommu, NULL, 8);
	WRONG(vsmmu_emulated_write, count, EINVAL, e, iommu, data, 0);
	NOBODY(vsmmu_emulated_poll, emulated, NULL, iommu);
	WRONG(vsmmu_emulated_poll, fd, EBADF, e, none);
	NOBODY(vsmmu_emulated_dup, emulated, NULL, iommu);
	WRONG(vsmmu_emulated_dup, fd, EBADF, e, none);
	NOBODY(vsmmu_emulated_kernel, emulated, NULL, &kernel);
	WRONG(vsmmu_emulated_kernel, kernel, EINVAL, e, NULL);
	SIZED(vsmmu_emulated_kernel, kernel, kernel, 16, e, IT);
	EQUAL(api.vsmmu_emulated_pin_request(NULL), 0);
	HARMLESS(vsmmu_emulated_pin_request, emulated, NULL);
	EQUAL(api.vsmmu_emulated_unpin_request(NULL), 0);
	HARMLESS(vsmmu_emulated_unpin_request, emulated, NULL);
	EQUAL(api.vsmmu_emulated_close(e, iommu), 0);
}

static void transfers(vsmmu_emulated_t *e)
{
	vsmmu_access access = { .size = sizeof(access) };
	vsmmu_result result = { .size = sizeof(result) }, *r = &result;
	uint8_t data[8] = { 0 };

	NOBODY(vsmmu_emulated_dma_read, emulated, NULL, 0, &access, data, 8, r);
	WRONG(vsmmu_emulated_dma_read, device, EINVAL, e, 99, &access, data, 8, r);
	WRONG(vsmmu_emulated_dma_read, access, EINVAL, e, 0, NULL, data, 8, r);
	SIZED(vsmmu_emulated_dma_read, access, access, 24, e, 0, IT, data, 8, r);
	FIELD(vsmmu_emulated_dma_read, access, flags, 256, EINVAL, access, e, 0, IT, data, 8, r);
	FIELD(vsmmu_emulated_dma_read, access, reserved, 1, EINVAL, access, e, 0, IT, data, 8, r);
	WRONG(vsmmu_emulated_dma_read, data, EINVAL, e, 0, &access, NULL, 8, r);
	RIGHT(vsmmu_emulated_dma_read, length, e, 0, &access, data, 0, r);
	WRONG(vsmmu_emulated_dma_read, result, EINVAL, e, 0, &access, data, 8, NULL);
	SIZED(vsmmu_emulated_dma_read, result, result, 24, e, 0, &access, data, 8, IT);
	NOBODY(vsmmu_emulated_dma_write, emulated, NULL, 0, &access, data, 8, r);
	WRONG(vsmmu_emulated_dma_write, device, EINVAL, e, 99, &access, data, 8, r);
	WRONG(vsmmu_emulated_dma_write, access, EINVAL, e, 0, NULL, data, 8, r);
	SIZED(vsmmu_emulated_dma_write, access, access, 24, e, 0, IT, data, 8, r);
	FIELD(vsmmu_emulated_dma_write, access, flags, 256, EINVAL, access, e, 0, IT, data, 8, r);
	FIELD(vsmmu_emulated_dma_write, access, reserved, 1, EINVAL, access, e, 0, IT, data, 8, r);
	WRONG(vsmmu_emulated_dma_write, data, EINVAL, e, 0, &access, NULL, 8, r);
	RIGHT(vsmmu_emulated_dma_write, length, e, 0, &access, data, 0, r);
	WRONG(vsmmu_emulated_dma_write, result, EINVAL, e, 0, &access, data, 8, NULL);
	SIZED(vsmmu_emulated_dma_write, result, result, 24, e, 0, &access, data, 8, IT);
}

static void machines(vsmmu_emulated_t *e)
{
	const int32_t none = 99999, kvm = api.vsmmu_emulated_open(e, "/dev/kvm");
	const int32_t vm = (int32_t)api.vsmmu_emulated_ioctl(e, kvm, 0xae01, NULL);
	vsmmu_dvm_op op = { .size = sizeof(op) };
	uint64_t length;
	void *memory;

	CHECK(vm >= 0);
	NOBODY(vsmmu_emulated_bar, emulated, NULL, 0, 0, &memory, &length);
	WRONG(vsmmu_emulated_bar, device, EINVAL, e, 99, 0, &memory, &length);
	WRONG(vsmmu_emulated_bar, region, EINVAL, e, 0, 1, &memory, &length);
	WRONG(vsmmu_emulated_bar, memory, EINVAL, e, 0, 0, NULL, &length);
	WRONG(vsmmu_emulated_bar, length, EINVAL, e, 0, 0, &memory, NULL);
	NOBODY(vsmmu_emulated_set_decode, emulated, NULL, 0, 1);
	WRONG(vsmmu_emulated_set_decode, device, EINVAL, e, 99, 1);
	WRONG(vsmmu_emulated_set_decode, on, EINVAL, e, 0, 2);
	NOBODY(vsmmu_emulated_run_queues, emulated, NULL);
	NOBODY(vsmmu_emulated_vcpu_load, emulated, NULL, none, 0);
	WRONG(vsmmu_emulated_vcpu_load, vm, EBADF, e, none, 0);
	WRONG(vsmmu_emulated_vcpu_load, cpu, EINVAL, e, vm, 99);
	NOBODY(vsmmu_emulated_vcpu_put, emulated, NULL, 0);
	WRONG(vsmmu_emulated_vcpu_put, cpu, EINVAL, e, 99);
	NOBODY(vsmmu_emulated_tlbi, emulated, NULL, 0, &op);
	WRONG(vsmmu_emulated_tlbi, cpu, EINVAL, e, 99, &op);
	WRONG(vsmmu_emulated_tlbi, op, EINVAL, e, 0, NULL);
	SIZED(vsmmu_emulated_tlbi, op, op, 40, e, 0, IT);
	FIELD(vsmmu_emulated_tlbi, op, flags, 4, EINVAL, op, e, 0, IT);
	FIELD(vsmmu_emulated_tlbi, op, reserved, 1, EINVAL, op, e, 0, IT);
	FIELD(vsmmu_emulated_tlbi, op, kind, 8, EINVAL, op, e, 0, IT);
	NOBODY(vsmmu_emulated_vm_vmid, emulated, NULL, none);
	WRONG(vsmmu_emulated_vm_vmid, vm, EBADF, e, none);
	NOBODY(vsmmu_emulated_stream_vmid, emulated, NULL, 0);
	WRONG(vsmmu_emulated_stream_vmid, device, EINVAL, e, 99);
}

static void failures(vsmmu_emulated_t *e)
{
	vsmmu_emulated_counters counters = { .size = sizeof(counters) };
	char message[8];

	NOBODY(vsmmu_emulated_fail, emulated, NULL, 1, 1, EIO, 0);
	WRONG(vsmmu_emulated_fail, nth, EINVAL, e, 1, 0, EIO, 0);
	WRONG(vsmmu_emulated_fail, error, EINVAL, e, 1, 1, 0, 0);
	WRONG(vsmmu_emulated_fail, error, EINVAL, e, 1, 1, -1, 0);
	RIGHT(vsmmu_emulated_fail, request, e, UINT32_MAX, 1, EIO, 0);
	RIGHT(vsmmu_emulated_fail, done, e, 1, 1, EIO, UINT32_MAX);
	NOBODY(vsmmu_emulated_lose_events, emulated, NULL, 1);
	RIGHT(vsmmu_emulated_lose_events, count, e, UINT32_MAX);
	NOBODY(vsmmu_emulated_get_counters, emulated, NULL, &counters);
	WRONG(vsmmu_emulated_get_counters, counters, EINVAL, e, NULL);
	SIZED(vsmmu_emulated_get_counters, counters, counters, 8, e, IT);
	NOBODY(vsmmu_emulated_check, emulated, NULL, message, 8);
	RIGHT(vsmmu_emulated_check, message, e, NULL, 8);
	RIGHT(vsmmu_emulated_check, message_size, e, message, 0);
}

void arguments_of_an_emulated_host(void)
{
	vsmmu_emulated_t *emulated = NULL;

	arguments_of = NULL;
	creation();
	if (!EQUAL(api.vsmmu_emulated_create(NULL, &emulated, NULL, 0), 0))
		return;
	files(emulated);
	transfers(emulated);
	machines(emulated);
	failures(emulated);
	api.vsmmu_emulated_destroy(emulated);
}
