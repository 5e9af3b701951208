/* SPDX-License-Identifier: MIT */
/* VMs with a vSMMU: they come, run, are saved and restored, and go in any order. */
#include "simulation.h"

#include <stdlib.h>

static void link_vm(struct vm *vm)
{
	uint32_t flags = chance(40) ? VSMMU_LINK_ON_DEMAND : 0;

	vm->fd = chance(80) ? make_kvm_vm() : -1;
	if (vm->fd < 0 || chance(15))
		return;
	if (ANSWER(api.vsmmu_link_vm(vm->guest.vsmmu, vm->fd, flags), ENOSPC) == 0)
		vm->link = flags ? LINKED_ON_DEMAND : LINKED_UP_FRONT;
	else
		check_host();
}

/* An address space of ours, with the guest's memory in it. */
static uint32_t make_ioas(struct vm *vm)
{
	struct { uint32_t size, flags, id; } alloc = { sizeof(alloc), 0, 0 };

	if (world.iommufds[vm->host] < 0 || chance(60))
		return 0;
	drain_failures();
	SUCCEEDS(api.vsmmu_emulated_ioctl(world.emulated, world.iommufds[vm->host], IOAS_ALLOC,
					  &alloc));
	return alloc.id;
}

static void map_ioas(struct vm *vm)
{
	struct {
		uint32_t size, flags, id, reserved;
		uint64_t from, length, to;
	} map = { sizeof(map), 7, vm->ioas, 0, (uintptr_t)vm->guest.ram, RAM_SIZE, RAM };

	if (vm->ioas)
		SUCCEEDS(api.vsmmu_emulated_ioctl(world.emulated, world.iommufds[vm->host], IOAS_MAP,
						  &map));
}

/* The vSMMU has left it: nobody else uses it, unless the kernel failed to destroy what did. */
static void destroy_ioas(struct vm *vm)
{
	struct { uint32_t size, id; } destroy = { sizeof(destroy), vm->ioas };
	bool kept = world.destroys_failed;

	if (!vm->ioas)
		return;
	drain_failures();
	(void)ANSWER(api.vsmmu_emulated_ioctl(world.emulated, world.iommufds[vm->host], IOMMU_DESTROY,
					      &destroy), kept ? EBUSY : 0);
	vm->ioas = 0;
}

/* guest_open expects to succeed, so failures are drained before it. */
static bool open_guest(struct vm *vm)
{
	static const uint32_t sizes[] = { 0, 0, 4, 16, 64 };
	vsmmu_config config = { .size = sizeof(config), .host = world.hosts[vm->host] };

	config.profile = chance(50) ? VSMMU_PROFILE_LINUX : VSMMU_PROFILE_FULL;
	config.flags = (chance(20) ? VSMMU_STRICT_COMMANDS : 0) | vm->reset_aborts | vm->failed_abort;
	config.flags |= chance(60) ? VSMMU_DIRECT_QUEUES : 0;
	config.command_budget = chance(30) ? 1 + below(100) : 0;
	vm->asks_ats = chance(80);
	config.features = vm->asks_ats ? "ATS=1" : NULL;
	config.tlb_entries = sizes[below(5)];
	config.configuration_entries = sizes[below(5)];
	if (chance(20)) {
		vsmmu_t *unused = NULL;
		vsmmu_emulated_counters before = counters_now(), after;

		/* Creation may fail; then nothing is left of it. */
		if (ANSWER(api.vsmmu_create(&config, &guest_ops, &vm->guest, &unused, NULL, 0),
			   ENOMEM) == 0)
			api.vsmmu_destroy(unused);
		after = counters_now();
		if (!failures_ordered() &&
		    (after.objects != before.objects || after.files != before.files))
			violation("a creation leaves something behind");
	}
	config.ioas = vm->ioas = make_ioas(vm);
	drain_failures();
	if (!guest_open(&vm->guest, &config))
		return false;
	map_ioas(vm);
	return true;
}

/* Emulated devices keep BTM away: KVM's CPUs do not reach software's TLB. */
static void choose_streams(struct vm *vm)
{
	vm->has_emulated = chance(50);
	for (unsigned stream = vm->has_emulated ? EMULATED : 0; stream < FIRST_ASSIGNED; stream++)
		SUCCEEDS(api.vsmmu_stream_remove(vm->guest.vsmmu, stream));
}

void vm_stream_step(struct vm *vm)
{
	int64_t result;

	if (vm->has_emulated) {
		for (unsigned stream = 0; stream < EMULATED; stream++)
			SUCCEEDS(api.vsmmu_stream_remove(vm->guest.vsmmu, stream));
		vm->has_emulated = false;
		return;
	}
	/* A device may have the StreamID, or the guest have seen BTM. */
	for (unsigned stream = 0; stream < EMULATED; stream++) {
		result = ANSWER(api.vsmmu_stream_add(vm->guest.vsmmu, stream), EEXIST, EOPNOTSUPP);
		if (result == -EEXIST && !vm->assigned[stream])
			violation("stream %u is known, and nobody added it", stream);
		if (result == -EOPNOTSUPP && !vm->btm && !direct_has(vm))
			violation("an emulated device is refused without BTM");
		if (result == 0 && vm->assigned[stream])
			violation("stream %u has two devices", stream);
		if (result == 0 && (vm->btm || direct_has(vm)))
			violation("an emulated device is accepted beside BTM or direct queues");
		if (result != 0) {
			for (unsigned other = 0; other < stream; other++)
				SUCCEEDS(api.vsmmu_stream_remove(vm->guest.vsmmu, other));
			return;
		}
	}
	vm->has_emulated = true;
}

void vm_create(struct vm *vm)
{
	memset(vm, 0, offsetof(struct vm, guest));
	memset(&vm->host, 0, sizeof(*vm) - offsetof(struct vm, host));
	vm->serial = ++world.serials;
	vm->cpu = vm->fd = -1;
	vm->host = below(world.host_count);
	vm->two_level = chance(30);
	vm->reset_aborts = chance(20) ? VSMMU_RESET_ABORTS : 0;
	vm->failed_abort = chance(20) ? VSMMU_FAILED_STREAMS_ABORT : 0;
	if (!open_guest(vm))
		violation("no vSMMU");
	vm->alive = true;
	vm->model.gbpa_aborts = vm->reset_aborts != 0;
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			vm->model.slots[space][slot].now = ABORTED;
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &vm->model.streams[stream];

		s->codes[0].now = s->codes[1].now = s->ste = ABORTS;
		s->spaces[0] = s->spaces[1] = SPACES;
	}
	fill_pages(vm);
	choose_streams(vm);
	link_vm(vm);
	tell("VM %llu on iommufd %u, link %d", (unsigned long long)vm->serial, vm->host, vm->link);
	for (unsigned i = 0; i < 3 && chance(75); i++)
		device_attach_step(vm);
	if (chance(90))
		driver_start(vm);
}

void vm_close_fd(struct vm *vm)
{
	if (vm->fd < 0)
		return;
	if (vm->cpu >= 0)
		vm_put(vm);
	SUCCEEDS(api.vsmmu_emulated_close(world.emulated, vm->fd));
	vm->fd = -1;
}

static void close_files(struct vm *vm)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		if (vm->assigned[stream] && vm->borrowed[stream])
			SUCCEEDS(api.vsmmu_emulated_close(world.emulated, vm->files[stream]));
}

/* Killed while devices are attached and a vCPU may be loaded. */
void vm_destroy(struct vm *vm)
{
	bool files_first = chance(30);

	vsmmu_host_counters counters = { .size = sizeof(counters) };

	tell("VM %llu", (unsigned long long)vm->serial);
	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &counters));
	totals.lost += counters.events_lost;
	if (files_first)
		vm_close_fd(vm);
	if (files_first && chance(50))
		close_files(vm), memset(vm->borrowed, 0, sizeof(vm->borrowed));
	guest_close(&vm->guest);
	check_host();
	vm->alive = false;
	close_files(vm);
	destroy_ioas(vm);
	for (unsigned stream = 0; stream < STREAMS; stream++)
		if (vm->assigned[stream]) {
			world.owners[vm->assigned[stream] - 1] = 0;
			world.undecoded[vm->assigned[stream] - 1] = false;
		}
	memset(vm->bars, 0, sizeof(vm->bars));
	vm_close_fd(vm);
	free(vm->saved.ram);
	vm->saved.ram = NULL;
	/* Its devices reach nothing any more. */
	dma_expect_abort(vm);
}

bool vm_load(struct vm *vm)
{
	unsigned cpu = below(world.config.cpus);

	if (vm->fd < 0)
		return false;
	if (ANSWER(api.vsmmu_emulated_vcpu_load(world.emulated, vm->fd, cpu), EBUSY) != 0)
		return false;
	vm->cpu = (int)cpu;
	world.busy[cpu] = true;
	return true;
}

void vm_put(struct vm *vm)
{
	SUCCEEDS(api.vsmmu_emulated_vcpu_put(world.emulated, (uint32_t)vm->cpu));
	world.busy[vm->cpu] = false;
	vm->cpu = -1;
}

uint64_t host_failures(struct vm *vm)
{
	vsmmu_host_counters counters = { .size = sizeof(counters) };

	SUCCEEDS(api.vsmmu_get_host_counters(vm->guest.vsmmu, &counters));
	return counters.failures;
}

/* State. */

/* Caches are cold: what was is not seen any more. */
static void forget_the_past(struct model *model)
{
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			model->slots[space][slot].stale = model->slots[space][slot].covered = 0;
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &model->streams[stream];

		for (unsigned context = 0; context < CONTEXTS; context++)
			s->codes[context].stale = s->codes[context].covered = 0;
		s->lag = 0;
		s->ste_dirty = s->healing = false;
	}
}

/* Where the host failed to empty its caches, they have what they had. */
static void remember(struct vm *vm, uint64_t failures, const struct model *old)
{
	if (host_failures(vm) == failures)
		return;
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			const struct cell *was = &old->slots[space][slot];

			vm->model.slots[space][slot].stale =
				(was->now | was->stale | was->covered) & ~ABORTED;
		}
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		for (unsigned context = 0; context < CONTEXTS; context++) {
			const struct cell *was = &old->streams[stream].codes[context];

			vm->model.streams[stream].codes[context].stale =
				(was->now | was->stale | was->covered) & ANY_TRANSLATION;
		}
		/* A CFGI_CD alone is not enough for what an STE may have been. */
		vm->model.streams[stream].ste_dirty = true;
	}
}

/* A state that is restored finds what devices ask for anew; a silent one, and one that the host failed
 * to ask, may keep what it had. */
static void remember_endpoints(struct vm *vm, uint64_t failures, const struct model *old)
{
	bool failed = host_failures(vm) != failures;

	for (unsigned stream = 0; stream < STREAMS; stream++)
		vm->model.streams[stream].keeps |= old->streams[stream].keeps;
	endpoints_anew(vm);
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &vm->model.streams[stream];
		bool silent = vm->assigned[stream] && world.is_silent[vm->assigned[stream] - 1];

		for (unsigned i = 0; (failed || silent) && i < CONTEXTS * SLOTS; i++)
			s->kept[i / SLOTS][i % SLOTS] |=
				old->streams[stream].kept[i / SLOTS][i % SLOTS];
	}
}

void vm_reset_step(struct vm *vm)
{
	codes before[STREAMS];
	uint64_t failures = host_failures(vm);
	struct model old = vm->model;

	effective_codes(vm, before);
	SUCCEEDS(api.vsmmu_reset(vm->guest.vsmmu));
	forget_the_past(&vm->model);
	vm->model.started = vm->model.on = false;
	vm->model.gbpa_aborts = vm->reset_aborts != 0;
	vm->stopped = false;
	remember(vm, failures, &old);
	note_lag(vm, failures, before);
	dma_all(vm);
	if (chance(80))
		driver_start(vm);
}

void vm_save_step(struct vm *vm)
{
	int64_t size;

	if (!vm->model.started || vm->stopped)
		return;
	if (!vm->saved.ram)
		vm->saved.ram = malloc(RAM_SIZE);
	size = api.vsmmu_save(vm->guest.vsmmu, vm->saved.state, sizeof(vm->saved.state));
	if (size == -EOPNOTSUPP && direct_has(vm))
		return;
	if (size <= 0 || size > (int64_t)sizeof(vm->saved.state))
		violation("saving gives %lld", (long long)size);
	vm->saved.size = (uint64_t)size;
	memcpy(vm->saved.ram, vm->guest.ram, RAM_SIZE);
	vm->saved.model = vm->model;
	vm->saved.valid = true;
}

/* The guest's memory and registers are what they were; so is what devices see. */
void vm_restore_step(struct vm *vm)
{
	codes before[STREAMS];
	uint64_t failures = host_failures(vm);
	struct model old = vm->model;

	if (!vm->saved.valid)
		return;
	effective_codes(vm, before);
	memcpy(vm->guest.ram, vm->saved.ram, RAM_SIZE);
	SUCCEEDS(api.vsmmu_restore(vm->guest.vsmmu, vm->saved.state, vm->saved.size));
	totals.restores++;
	vm->model = vm->saved.model;
	forget_the_past(&vm->model);
	vm->stopped = false;
	remember(vm, failures, &old);
	note_lag(vm, failures, before);
	remember_endpoints(vm, failures, &old);
	dma_all(vm);
}

/* All of the guest's memory goes and comes back. */
void vm_memory_step(struct vm *vm)
{
	int64_t result;

	if (vm->ioas)
		return;
	/* A direct queue holds it. */
	result = ANSWER(api.vsmmu_ram_remove(vm->guest.vsmmu, RAM), ENOMEM, direct_has(vm) ? EBUSY : 0);
	if (result != 0) {
		dma_step(vm);
		return;
	}
	dma_expect_abort(vm);
	result = ANSWER(api.vsmmu_ram_add(vm->guest.vsmmu, RAM, RAM_SIZE, vm->guest.ram), ENOMEM);
	if (result == 0)
		return;
	dma_expect_abort(vm);
	drain_failures();
	SUCCEEDS(api.vsmmu_ram_add(vm->guest.vsmmu, RAM, RAM_SIZE, vm->guest.ram));
}
