/* SPDX-License-Identifier: MIT */
/* Sections 3, 5 and 7 of vsmmuv3_host.h: VMs, their VMIDs, broadcast TLB maintenance, the report. */
#include "hosted.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IDR0_BTM (1u << 5)
#define CREATE_VM 0xae01u

static const vsmmu_emulated_config linked = {
	.size = sizeof(linked), .kernel = VSMMU_EMULATED_LINKED,
};

static const char *sentence(struct hosted *hosted)
{
	static char text[256];

	api.vsmmu_error_message(hosted->guest.vsmmu, text, sizeof(text));
	return text;
}

static int create_vm(struct hosted *hosted)
{
	int kvm = api.vsmmu_emulated_open(hosted->emulated, "/dev/kvm");
	int vm = (int)api.vsmmu_emulated_ioctl(hosted->emulated, kvm, CREATE_VM, NULL);

	CHECK(vm >= 0);
	EQUAL(api.vsmmu_emulated_close(hosted->emulated, kvm), 0);
	return vm;
}

static void print_report(struct hosted *hosted, char *text, size_t size, uint32_t format)
{
	int64_t length = api.vsmmu_negotiation_report(hosted->guest.vsmmu, format, text, size);

	CHECK(length > 0 && (size_t)length < size);
	EQUAL(strlen(text), length);
}

/* KVM's CPUs reach the TLB of hardware, not that of software. */
static void no_emulated_devices(struct guest *guest)
{
	for (uint32_t stream = 0; stream < 8; stream++)
		EQUAL(api.vsmmu_stream_remove(guest->vsmmu, stream), 0);
}

static void link_gives_btm(void)
{
	static struct hosted hosted;
	static char text[32768];
	vsmmu_dvm_op op = {
		.size = sizeof(op), .kind = VSMMU_DVM_VA, .asid = 5,
		.address = IOVA, .last = IOVA + 4095,
	};
	uint64_t value;
	int vm;

	if (!hosted_open(&hosted, &linked))
		return;
	vm = create_vm(&hosted);
	no_emulated_devices(&hosted.guest);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	EQUAL(emulated_counters(&hosted).pins, 1);
	CHECK(api.vsmmu_emulated_vm_vmid(hosted.emulated, vm) > 0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), -EEXIST);
	EQUAL(hosted_attach(&hosted, 0), 0);
	print_report(&hosted, text, sizeof(text), VSMMU_REPORT_TEXT);
	CONTAINS(text, "BTM");
	if (!EQUAL(read_register(&hosted.guest, IDR0) & IDR0_BTM, IDR0_BTM))
		printf("%s", text);
	guest_start(&hosted.guest);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&hosted.guest, ASSIGNED, 5);
	/* ASET = 0: the CPU and the device share the ASID. */
	store64(&hosted.guest, CONTEXT + ASSIGNED * 64,
		load64(&hosted.guest, CONTEXT + ASSIGNED * 64) & ~(UINT64_C(1) << 47));
	EQUAL(api.vsmmu_emulated_stream_vmid(hosted.emulated, 0),
	      api.vsmmu_emulated_vm_vmid(hosted.emulated, vm));
	EQUAL(api.vsmmu_emulated_vcpu_load(hosted.emulated, vm, 1), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	unmap(&hosted.guest, STAGE1, IOVA);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	/* The CPU alone tells: no command. */
	EQUAL(api.vsmmu_emulated_tlbi(hosted.emulated, 1, &op), 0);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_emulated_vcpu_put(hosted.emulated, 1), 0);
	EQUAL(api.vsmmu_stream_add(hosted.guest.vsmmu, 3), -EOPNOTSUPP);
	CONTAINS(sentence(&hosted), "BTM");
	/* The VM's descriptor is not what keeps it alive. */
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
	EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
	hosted_close(&hosted);
}

/* Released kernels link nothing: the guest has no BTM, and the report says why. */
static void released_kernels_have_no_btm(void)
{
	static struct hosted hosted;
	static char text[32768];
	int vm;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_emulated_pin_request(hosted.emulated), 0);
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(read_register(&hosted.guest, IDR0) & IDR0_BTM, 0);
	print_report(&hosted, text, sizeof(text), VSMMU_REPORT_TEXT);
	CONTAINS(text, "pin");
	EQUAL(emulated_counters(&hosted).pins, 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

static void link_refusals(void)
{
	static struct hosted hosted;
	int kvm, vm;

	if (!hosted_open(&hosted, &linked))
		return;
	kvm = api.vsmmu_emulated_open(hosted.emulated, "/dev/kvm");
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, kvm, 0), -EINVAL);
	CONTAINS(sentence(&hosted), "KVM");
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, -1, 0), -EINVAL);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, 123456, 0), -EINVAL);
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 4), -EINVAL);
	CONTAINS(sentence(&hosted), "flags");
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), -EBUSY);
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, kvm), 0);
	hosted_close(&hosted);
}

/* The last VMID is pinned: linking fails at once, or on demand the attachment does. */
static void vmids_run_out(void)
{
	static struct hosted hosted;
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .kernel = VSMMU_EMULATED_LINKED, .pin_limit = 1,
	};
	uint32_t pinned;
	int first, vm;

	if (!hosted_open(&hosted, &config))
		return;
	first = create_vm(&hosted);
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, first,
				       api.vsmmu_emulated_pin_request(hosted.emulated), &pinned), 0);
	CHECK(pinned > 0);
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), -ENOSPC);
	CONTAINS(sentence(&hosted), "VMID");
	EQUAL(emulated_counters(&hosted).pin_failures, 1);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, VSMMU_LINK_ON_DEMAND), 0);
	EQUAL(hosted_attach(&hosted, 0), -ENOSPC);
	CONTAINS(sentence(&hosted), "VMID");
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, first,
				       api.vsmmu_emulated_unpin_request(hosted.emulated), NULL), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	CHECK(api.vsmmu_emulated_stream_vmid(hosted.emulated, 0) > 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, first), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

/* Raw registers that show what must not be offered. */
static void masks_what_is_not_listed(void)
{
	static struct hosted hosted;
	static char text[32768];
	vsmmu_emulated_smmu smmu = {
		.size = sizeof(smmu), .extra_idr0 = 1 << 5 | 2 << 6 | 1 << 10, .extra_idr3 = 1 << 7,
	};
	const vsmmu_emulated_config config = {
		.size = sizeof(config), .smmus = &smmu, .smmu_count = 1,
	};

	if (!hosted_open(&hosted, &config))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	/* BTM, HTTU, ATS; MPAM. */
	EQUAL(read_register(&hosted.guest, IDR0) & (1 << 5 | 3 << 6 | 1 << 10), 0);
	EQUAL(read_register(&hosted.guest, 0xc) & 1 << 7, 0);
	/* Stage 2 is the host's. */
	EQUAL(read_register(&hosted.guest, IDR0) & 3, 2);
	print_report(&hosted, text, sizeof(text), VSMMU_REPORT_JSON);
	CHECK(text[0] == '{');
	CONTAINS(text, "\"HTTU\"");
	print_report(&hosted, text, sizeof(text), VSMMU_REPORT_TEXT);
	CONTAINS(text, "HTTU");
	hosted_close(&hosted);
}

/* A VMM with emulated CPUs: it feeds their TLBIs. */
static void dvm_reaches_the_software_tlb(void)
{
	static struct guest guest;
	const vsmmu_config config = {
		.size = sizeof(config), .profile = VSMMU_PROFILE_LINUX, .features = "BTM=1",
	};
	vsmmu_dvm_op op = {
		.size = sizeof(op), .kind = VSMMU_DVM_ASID, .asid = 5,
	};

	if (!guest_open(&guest, &config))
		return;
	EQUAL(read_register(&guest, IDR0) & IDR0_BTM, IDR0_BTM);
	guest_start(&guest);
	map(&guest, STAGE1, IOVA, DATA, PAGE1);
	set_stage1(&guest, 1, 5);
	EQUAL(translate(&guest, 1, IOVA, 0).kind, VSMMU_RESULT_OK);
	unmap(&guest, STAGE1, IOVA);
	EQUAL(translate(&guest, 1, IOVA, 0).kind, VSMMU_RESULT_OK);
	/* PTM keeps it out. */
	write_register(&guest, CR0, 0xc);
	write_register(&guest, CR2, 6);
	write_register(&guest, CR0, 0xd);
	EQUAL(api.vsmmu_dvm(guest.vsmmu, &op), 0);
	EQUAL(translate(&guest, 1, IOVA, 0).kind, VSMMU_RESULT_OK);
	write_register(&guest, CR0, 0xc);
	write_register(&guest, CR2, 2);
	write_register(&guest, CR0, 0xd);
	EQUAL(api.vsmmu_dvm(guest.vsmmu, &op), 0);
	EQUAL(translate(&guest, 1, IOVA, 0).kind, VSMMU_RESULT_ABORT);
	op.kind = 8;
	REFUSED(&guest, -EINVAL, "kind", api.vsmmu_dvm(guest.vsmmu, &op));
	guest_close(&guest);
}

/* Numbers that the CPU cannot have, by its width; what a scope does not name is not looked at. */
static void dvm_refuses_wide_numbers(void)
{
	static struct guest guest;
	static const vsmmu_config config = { .size = sizeof(config), .features = "BTM=1" };
	vsmmu_dvm_op op = {
		.size = sizeof(op), .kind = VSMMU_DVM_ASID, .flags = VSMMU_DVM_ASID8, .asid = 0x100,
	};

	if (!guest_open(&guest, &config))
		return;
	REFUSED(&guest, -EINVAL, "asid", api.vsmmu_dvm(guest.vsmmu, &op));
	op.flags = VSMMU_DVM_VMID8;
	EQUAL(api.vsmmu_dvm(guest.vsmmu, &op), 0);
	op.vmid = 0x100;
	REFUSED(&guest, -EINVAL, "vmid", api.vsmmu_dvm(guest.vsmmu, &op));
	op.kind = VSMMU_DVM_ALL;
	EQUAL(api.vsmmu_dvm(guest.vsmmu, &op), 0);
	guest_close(&guest);
}

/* 3.17: entries of a context with CD.ASET = 1 stay for what names an ASID, and go for the rest. */
static void dvm_spares_what_is_not_shared(void)
{
	static struct guest guest;
	static const vsmmu_config config = { .size = sizeof(config), .features = "BTM=1" };
	static const struct { uint32_t kind; bool goes; } kinds[] = {
		{ VSMMU_DVM_ASID, false }, { VSMMU_DVM_VA, false }, { VSMMU_DVM_VAA, true },
		{ VSMMU_DVM_VMALL, true }, { VSMMU_DVM_VMALLS12, true }, { VSMMU_DVM_ALL, true },
	};
	const uint64_t cd = CONTEXT + 64;

	if (!guest_open(&guest, &config))
		return;
	guest_start(&guest);
	set_stage1(&guest, 1, 5);
	store64(&guest, cd, load64(&guest, cd) | UINT64_C(1) << 47);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const vsmmu_dvm_op op = {
			.size = sizeof(op), .kind = kinds[i].kind, .asid = 5, .address = IOVA,
			.last = IOVA + 0xfff,
		};

		map(&guest, STAGE1, IOVA, DATA, PAGE1);
		command(&guest, CFGI_ALL, 31);
		command(&guest, TLBI_NSNH_ALL, 0);
		sync_all(&guest);
		EQUAL(translate(&guest, 1, IOVA, 0).kind, VSMMU_RESULT_OK);
		unmap(&guest, STAGE1, IOVA);
		EQUAL(api.vsmmu_dvm(guest.vsmmu, &op), 0);
		EQUAL(translate(&guest, 1, IOVA, 0).kind,
		      kinds[i].goes ? VSMMU_RESULT_ABORT : VSMMU_RESULT_OK);
	}
	guest_close(&guest);
}

/* Whatever keeps the CPU's TLBIs from the device keeps BTM from the guest. */
static void btm_needs_all_of_it(void)
{
	static struct hosted hosted;
	static char text[32768];
	struct { uint32_t type, fd, flags; } vfio = { .type = 4 };
	vsmmu_device device = {
		.size = sizeof(device), .stream = ASSIGNED, .path = "/dev/vfio/devices/vfio0",
	};
	static const char *const words[] = {
		"emulated device", "BTM: offered", "BTM: offered",
	};
	int vm;

	for (unsigned i = 0; i < 3; i++) {
		if (!hosted_open(&hosted, &linked))
			return;
		vm = create_vm(&hosted);
		if (i != 0)
			no_emulated_devices(&hosted.guest);
		/* The VMM has KVM's VFIO device itself. */
		if (i != 0)
			EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, vm, 0xc00caee0, &vfio), 0);
		if (i != 0) {
			EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), -EBUSY);
			CONTAINS(sentence(&hosted), "VSMMU_LINK_TOLD");
			CONTAINS(sentence(&hosted), "vsmmu_give_kvm_vfio");
			EQUAL(emulated_counters(&hosted).pins, 0);
		}
		/* It is given, or the VMM tells KVM. */
		if (i == 1)
			EQUAL(api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, (int32_t)vfio.fd), 0);
		EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, i == 2 ? VSMMU_LINK_TOLD : 0), 0);
		EQUAL(api.vsmmu_device_attach(hosted.guest.vsmmu, &device), 0);
		print_report(&hosted, text, sizeof(text), VSMMU_REPORT_TEXT);
		CONTAINS(text, words[i]);
		EQUAL(read_register(&hosted.guest, IDR0) & IDR0_BTM, i != 0 ? IDR0_BTM : 0);
		if (i != 0)
			EQUAL(api.vsmmu_emulated_close(hosted.emulated, (int)vfio.fd), 0);
		EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
		hosted_close(&hosted);
	}
}

/* The vSMMUs of a VM, whose descriptors need not be one. Each has BTM: KVM's VFIO device is theirs
 * together, and so is the VMID, which each of them pins. */
static void vsmmus_of_a_vm_share_its_vfio(void)
{
	static struct hosted hosted;
	const vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_config config = { .size = sizeof(config) };
	vsmmu_device device = {
		.size = sizeof(device), .stream = 1, .path = "/dev/vfio/devices/vfio1",
	};
	vsmmu_t *other = NULL, *told = NULL;
	int vm, again, strange;
	uint64_t idr0;

	if (!hosted_open(&hosted, &linked))
		return;
	vm = create_vm(&hosted);
	again = api.vsmmu_emulated_dup(hosted.emulated, vm);
	no_emulated_devices(&hosted.guest);
	config.host = hosted.host;
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &other, NULL, 0), 0);
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &told, NULL, 0), 0);
	EQUAL(api.vsmmu_kvm_vfio_fd(other), -ENODEV);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	EQUAL(api.vsmmu_link_vm(other, again, 0), 0);
	EQUAL(api.vsmmu_link_vm(told, vm, VSMMU_LINK_TOLD), 0);
	CHECK(api.vsmmu_kvm_vfio_fd(other) >= 0);
	EQUAL(api.vsmmu_kvm_vfio_fd(other), api.vsmmu_kvm_vfio_fd(hosted.guest.vsmmu));
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_device_attach(other, &device), 0);
	EQUAL(api.vsmmu_mmio_read(other, IDR0, 4, &idr0), 0);
	EQUAL(idr0 & IDR0_BTM, IDR0_BTM);
	EQUAL(read_register(&hosted.guest, IDR0) & IDR0_BTM, IDR0_BTM);
	EQUAL(api.vsmmu_emulated_stream_vmid(hosted.emulated, 0),
	      api.vsmmu_emulated_stream_vmid(hosted.emulated, 1));
	/* Another VM has another. */
	strange = create_vm(&hosted);
	api.vsmmu_destroy(told);
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &told, NULL, 0), 0);
	EQUAL(api.vsmmu_link_vm(told, strange, 0), 0);
	CHECK(api.vsmmu_kvm_vfio_fd(told) != api.vsmmu_kvm_vfio_fd(other));
	EQUAL(emulated_counters(&hosted).pins, 2);
	check_invariants(&hosted);
	/* The first goes, the others keep it. */
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(api.vsmmu_device_detach(other, 1), 0);
	EQUAL(api.vsmmu_device_attach(other, &device), 0);
	/* With its host the link has gone. */
	EQUAL(api.vsmmu_kvm_vfio_fd(hosted.guest.vsmmu), -ENODEV);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, hosted.host, 0, 0), 0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, again, 0), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, again), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, strange), 0);
	api.vsmmu_destroy(other);
	api.vsmmu_destroy(told);
	hosted_close(&hosted);
}

/* A kernel of an older caller's, without `same`: the second link says what to do. */
static void without_same(vsmmu_kernel *kernel) { kernel->same = NULL; }

static void vms_that_cannot_be_told_apart(void)
{
	static struct hosted hosted;
	const vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_config config = { .size = sizeof(config) };
	char message[256];
	vsmmu_t *other = NULL;
	uint32_t files;
	int vm;

	if (!hosted_open_by(&hosted, &linked, config, without_same))
		return;
	vm = create_vm(&hosted);
	config.host = hosted.host;
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &other, NULL, 0), 0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	files = emulated_counters(&hosted).files;
	EQUAL(api.vsmmu_link_vm(other, vm, 0), -EBUSY);
	api.vsmmu_error_message(other, message, sizeof(message));
	CONTAINS(message, "VSMMU_LINK_TOLD");
	EQUAL(emulated_counters(&hosted).files, files);
	EQUAL(api.vsmmu_give_kvm_vfio(other, api.vsmmu_kvm_vfio_fd(hosted.guest.vsmmu)), 0);
	EQUAL(api.vsmmu_link_vm(other, vm, VSMMU_LINK_TOLD), -EINVAL);
	EQUAL(api.vsmmu_link_vm(other, vm, 0), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	api.vsmmu_destroy(other);
	hosted_close(&hosted);
}

/* A link that is refused at its pin leaves nothing with a VM that others are linked with. */
static void refused_link_keeps_nothing(void)
{
	static struct hosted hosted;
	const vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_config config = { .size = sizeof(config) };
	struct { uint32_t type, fd, flags; } vfio = { .type = 4 };
	vsmmu_t *other = NULL;
	uint32_t files;
	int vm;

	if (!hosted_open(&hosted, &linked))
		return;
	vm = create_vm(&hosted);
	config.host = hosted.host;
	EQUAL(api.vsmmu_create(&config, &ops, NULL, &other, NULL, 0), 0);
	EQUAL(api.vsmmu_link_vm(other, vm, VSMMU_LINK_TOLD), 0);
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, vm, 0xc00caee0, &vfio), 0);
	files = emulated_counters(&hosted).files;
	for (unsigned gives = 0; gives < 2; gives++) {
		EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
					      api.vsmmu_emulated_pin_request(hosted.emulated), 1,
					      ENOSPC, 0), 0);
		if (gives)
			EQUAL(api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, (int32_t)vfio.fd), 0);
		REFUSED(&hosted.guest, -ENOSPC, "VMID", api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0));
		EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
		EQUAL(emulated_counters(&hosted).files, files);
		EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, hosted.host, 0, 0), 0);
	}
	/* Nor does one that is pinned, and then has no VFIO device. */
	REFUSED(&hosted.guest, -EBUSY, "VSMMU_LINK_TOLD",
		api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0));
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(emulated_counters(&hosted).files, files);
	api.vsmmu_destroy(other);
	EQUAL(emulated_counters(&hosted).pins, 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, (int32_t)vfio.fd), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

/* One that is refused after its pin, which the kernel does not take back: the log tells. */
static void refused_link_tells_of_its_pin(void)
{
	static struct hosted hosted;
	struct { uint32_t type, fd, flags; } vfio = { .type = 4 };
	int vm;

	if (!hosted_open(&hosted, &linked))
		return;
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, vm, 0xc00caee0, &vfio), 0);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
				      api.vsmmu_emulated_unpin_request(hosted.emulated), 1, EINTR, 0),
	      0);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), -EBUSY);
	CONTAINS(sentence(&hosted), "VSMMU_LINK_TOLD");
	CONTAINS(hosted.guest.log, "errno 4 to: unpin the VM's VMID");
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, (int32_t)vfio.fd), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	EQUAL(emulated_counters(&hosted).pins, 0);
	hosted_close(&hosted);
}

/* A VMID that the kernel does not take back stays pinned once, is told of, and tried again. */
static void failed_unpin_is_tried_again(void)
{
	static struct hosted hosted;
	int vm;

	if (!hosted_open(&hosted, &linked))
		return;
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, VSMMU_LINK_ON_DEMAND), 0);
	for (unsigned i = 0; i < 3; i++) {
		EQUAL(hosted_attach(&hosted, 0), 0);
		EQUAL(emulated_counters(&hosted).pins, 1);
		hosted.guest.log[0] = 0;
		if (i < 2)
			EQUAL(api.vsmmu_emulated_fail(
				      hosted.emulated,
				      api.vsmmu_emulated_unpin_request(hosted.emulated), 1, EINTR,
				      0), 0);
		EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
		EQUAL(emulated_counters(&hosted).pins, i < 2);
		EQUAL(strstr(hosted.guest.log, "errno 4 to: unpin the VM's VMID") != NULL, i < 2);
	}
	/* The last attempt is that of the link's end; what it leaves ends with the VM. */
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
				      api.vsmmu_emulated_unpin_request(hosted.emulated), 1, EINTR, 0),
	      0);
	EQUAL(api.vsmmu_device_detach(hosted.guest.vsmmu, ASSIGNED), 0);
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
				      api.vsmmu_emulated_unpin_request(hosted.emulated), 1, EINTR, 0),
	      0);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	CONTAINS(hosted.guest.log, "errno 4 to: unpin the VM's VMID");
	EQUAL(emulated_counters(&hosted).pins, 1);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	EQUAL(emulated_counters(&hosted).pins, 0);
	hosted_close(&hosted);
}

static void vfio_is_given_once(void)
{
	static struct hosted hosted;
	static struct guest hostless;
	struct { uint32_t type, fd, flags; } vfio = { .type = 4 };
	int32_t fd;
	uint32_t files;
	int vm;

	if (!hosted_open(&hosted, &linked) || !guest_open(&hostless, NULL))
		return;
	vm = create_vm(&hosted);
	EQUAL(api.vsmmu_emulated_ioctl(hosted.emulated, vm, 0xc00caee0, &vfio), 0);
	fd = (int32_t)vfio.fd;
	EQUAL(api.vsmmu_give_kvm_vfio(NULL, fd), -EINVAL);
	EQUAL(api.vsmmu_kvm_vfio_fd(NULL), -EINVAL);
	REFUSED(&hostless, -EINVAL, "config.host", api.vsmmu_give_kvm_vfio(hostless.vsmmu, fd));
	REFUSED(&hostless, -ENODEV, "config.host", api.vsmmu_kvm_vfio_fd(hostless.vsmmu));
	guest_close(&hostless);
	REFUSED(&hosted.guest, -EINVAL, "fd is negative",
		api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, -1));
	REFUSED(&hosted.guest, -EBADF, "duplicate",
		api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, 123456));
	files = emulated_counters(&hosted).files;
	EQUAL(api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, fd), 0);
	REFUSED(&hosted.guest, -EEXIST, "given before",
		api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, fd));
	REFUSED(&hosted.guest, -EINVAL, "VSMMU_LINK_TOLD",
		api.vsmmu_link_vm(hosted.guest.vsmmu, vm, VSMMU_LINK_TOLD));
	/* Not linked, it goes with the host. */
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, NULL, 0, 0), 0);
	EQUAL(emulated_counters(&hosted).files, files);
	EQUAL(api.vsmmu_set_host(hosted.guest.vsmmu, hosted.host, 0, 0), 0);
	EQUAL(api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, fd), 0);
	/* The link fails: what was given is still there for the next attempt. */
	EQUAL(api.vsmmu_emulated_fail(hosted.emulated,
				      api.vsmmu_emulated_pin_request(hosted.emulated), 1, ENOSPC, 0),
	      0);
	REFUSED(&hosted.guest, -ENOSPC, "VMID", api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0));
	EQUAL(emulated_counters(&hosted).files, files + 1);
	EQUAL(api.vsmmu_link_vm(hosted.guest.vsmmu, vm, 0), 0);
	REFUSED(&hosted.guest, -EBUSY, "linked", api.vsmmu_give_kvm_vfio(hosted.guest.vsmmu, fd));
	CHECK(api.vsmmu_kvm_vfio_fd(hosted.guest.vsmmu) >= 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, fd), 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	EQUAL(api.vsmmu_emulated_close(hosted.emulated, vm), 0);
	hosted_close(&hosted);
}

void link_section(void)
{
	RUN(vsmmus_of_a_vm_share_its_vfio);
	RUN(vms_that_cannot_be_told_apart);
	RUN(vfio_is_given_once);
	RUN(refused_link_keeps_nothing);
	RUN(refused_link_tells_of_its_pin);
	RUN(failed_unpin_is_tried_again);
	RUN(btm_needs_all_of_it);
	RUN(link_gives_btm);
	RUN(released_kernels_have_no_btm);
	RUN(link_refusals);
	RUN(vmids_run_out);
	RUN(masks_what_is_not_listed);
	RUN(dvm_reaches_the_software_tlb);
	RUN(dvm_refuses_wide_numbers);
	RUN(dvm_spares_what_is_not_shared);
}
