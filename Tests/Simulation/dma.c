/* SPDX-License-Identifier: MIT */
/* What devices see, and whether they may. */
#include "simulation.h"

/* Each page begins with whose it is; the second word is for writes. */
#define PATTERN(vm, page) (UINT64_C(0x5a) << 56 | (vm)->serial << 8 | (page))

/* Some at the addresses of the pages themselves, the others spread over the tables. */
uint64_t slot_address(unsigned slot)
{
	static const uint64_t far[] = {
		0x5000, 0x6000, 0x7000, 0x8000, 0x200000000, 0x200201000, 0x700103000, 0x1000000000,
	};

	return slot < 4 ? DATA + slot * 4096 : far[slot - 4];
}

void fill_pages(struct vm *vm)
{
	for (unsigned page = 0; page < PAGES; page++)
		store64(&vm->guest, DATA + page * 4096, PATTERN(vm, page));
}

static outcomes by_code(const struct vm *vm, unsigned code, unsigned slot)
{
	if (code == 0)
		return ABORTED;
	if (code == 1)
		return slot < 4 ? WRITABLE(slot) : ABORTED;
	return vm->model.slots[code - 2][slot].now | vm->model.slots[code - 2][slot].stale |
	       vm->model.slots[code - 2][slot].covered;
}

/* What is covered by a command on its way is gone before any that follows it. */
outcomes reachable(const struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	const struct stream *s = &vm->model.streams[stream];
	codes now = (codes)(s->codes[context].now | s->codes[context].stale) | s->lag |
		    (context && s->lag & ANY_TRANSLATION ? ANY_TRANSLATION : 0);
	outcomes all = 0;

	for (unsigned space = 0; space < SPACES; space++)
		if (now & TRANSLATES(space))
			all |= vm->model.slots[space][slot].now | vm->model.slots[space][slot].stale;
	return all;
}

/* Beside what the SMMU may answer. */
static outcomes kept(const struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	if (!has_endpoint(vm, stream) || !(effective(vm, stream, context) & ANY_TRANSLATION))
		return 0;
	return vm->model.streams[stream].kept[context][slot];
}

static outcomes expected(struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	codes now = effective(vm, stream, context);
	outcomes all = 0;

	for (unsigned code = 0; code < 2 + SPACES; code++)
		if (now & 1u << code)
			all |= by_code(vm, code, slot);
	/* Where hardware stands for GBPA, it has an STE that bypasses, and so no substreams. */
	return all | (context && now & BYPASSES ? ABORTED : 0);
}

static vsmmu_result transfer(struct vm *vm, unsigned stream, unsigned context, uint64_t address,
			     uint64_t *value, bool is_write)
{
	vsmmu_access access = {
		.size = sizeof(access), .stream = stream, .substream = context,
		.flags = context ? VSMMU_ACCESS_SUBSTREAM : 0, .address = address,
	};
	vsmmu_result result = { .size = sizeof(result) };
	unsigned device = vm->assigned[stream] - 1;

	if (vm->assigned[stream] && is_write)
		SUCCEEDS(api.vsmmu_emulated_dma_write(world.emulated, device, &access, value, 8,
						      &result));
	else if (vm->assigned[stream])
		SUCCEEDS(api.vsmmu_emulated_dma_read(world.emulated, device, &access, value, 8,
						     &result));
	else if (is_write)
		SUCCEEDS(api.vsmmu_dma_write(vm->guest.vsmmu, &access, value, 8, &result));
	else
		SUCCEEDS(api.vsmmu_dma_read(vm->guest.vsmmu, &access, value, 8, &result));
	return result;
}

static const char *kind_of(const struct vm *vm, unsigned stream)
{
	return vm->assigned[stream] ? "assigned" : "emulated";
}

static void check_read(struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	outcomes asked = expected(vm, stream, context, slot);
	outcomes may = asked | kept(vm, stream, context, slot);
	uint64_t value = 0;
	vsmmu_result result = transfer(vm, stream, context, slot_address(slot), &value, false);
	unsigned page = value & 0xff;

	totals.passes += result.kind == VSMMU_RESULT_OK;
	totals.substreams += result.kind == VSMMU_RESULT_OK && context;
	totals.aborts += result.kind == VSMMU_RESULT_ABORT;
	if (result.kind == VSMMU_RESULT_ABORT) {
		if (!(may & ABORTED))
			violation("VM %llu's %s stream %u.%u aborts at slot %u, event %#x, may %#llx",
				  (unsigned long long)vm->serial, kind_of(vm, stream), stream, context, slot,
				  result.event, (unsigned long long)may);
		return;
	}
	if (result.kind != VSMMU_RESULT_OK)
		violation("result kind %u", result.kind);
	if (page >= PAGES || value != PATTERN(vm, page))
		violation("VM %llu's %s stream %u.%u reads %#llx, which is not its own",
			  (unsigned long long)vm->serial, kind_of(vm, stream), stream, context,
			  (unsigned long long)value);
	if (!(may & (WRITABLE(page) | READ_ONLY(page))))
		violation("VM %llu's %s stream %u.%u reads page %u at slot %u, may %#llx",
			  (unsigned long long)vm->serial, kind_of(vm, stream), stream, context, page, slot,
			  (unsigned long long)may);
	totals.kept += !(asked & (WRITABLE(page) | READ_ONLY(page)));
	endpoint_saw(vm, stream, context, slot, may & (WRITABLE(page) | READ_ONLY(page)));
}

unsigned page_written(struct vm *owner, uint64_t value)
{
	unsigned found = PAGES;

	for (unsigned i = 0; i < VMS; i++)
		for (unsigned page = 0; world.vms[i].alive && page < PAGES; page++)
			if (load64(&world.vms[i].guest, DATA + page * 4096 + 8) == value) {
				if (&world.vms[i] != owner)
					violation("VM %llu's device writes to another's memory",
						  (unsigned long long)owner->serial);
				found = page;
			}
	return found;
}

static void check_write(struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	outcomes may = expected(vm, stream, context, slot) | kept(vm, stream, context, slot);
	outcomes read_only = may & ~ABORTED & ~UINT64_C(0x1fffe);
	uint64_t value = any() | 1;
	vsmmu_result result = transfer(vm, stream, context, slot_address(slot) + 8, &value, true);
	unsigned page = page_written(vm, value);

	if (result.kind == VSMMU_RESULT_ABORT) {
		if (!(may & ABORTED) && !read_only)
			violation("VM %llu's %s stream %u.%u cannot write at slot %u, event %#x, may %#llx",
				  (unsigned long long)vm->serial, kind_of(vm, stream), stream, context, slot,
				  result.event, (unsigned long long)may);
		if (page != PAGES)
			violation("a write that aborts is seen");
	} else if (page == PAGES || !(may & WRITABLE(page))) {
		violation("VM %llu's %s stream %u.%u writes page %u at slot %u, may %#llx",
			  (unsigned long long)vm->serial, kind_of(vm, stream), stream, context, page, slot,
			  (unsigned long long)may);
	} else {
		endpoint_saw(vm, stream, context, slot, WRITABLE(page));
	}
}

static bool has_device(const struct vm *vm, unsigned stream)
{
	return vm->assigned[stream] || (stream < EMULATED && vm->has_emulated);
}

static unsigned some_context(const struct vm *vm)
{
	return vm->has_substreams && chance(30);
}

void dma_step(struct vm *vm)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned stream = below(STREAMS), slot = below(SLOTS);
		unsigned context = some_context(vm);

		if (!has_device(vm, stream))
			continue;
		if (chance(30))
			check_write(vm, stream, context, slot);
		else
			check_read(vm, stream, context, slot);
	}
}

void dma_touch(struct vm *vm, unsigned slot)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		if (has_device(vm, stream))
			check_read(vm, stream, some_context(vm), slot);
}

void dma_all(struct vm *vm)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		for (unsigned slot = 0; has_device(vm, stream) && slot < SLOTS; slot++)
			check_read(vm, stream, some_context(vm), slot);
	bar_dma(vm);
	if (chance(30))
		dma_step(vm);
}

void dma_expect_abort(struct vm *vm)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		for (unsigned slot = 0; slot < SLOTS && vm->assigned[stream]; slot++) {
			uint64_t value = 0;

			if (transfer(vm, stream, 0, slot_address(slot), &value, false).kind !=
			    VSMMU_RESULT_ABORT)
				violation("stream %u reads %#llx where there is nothing", stream,
					  (unsigned long long)value);
		}
}

/* The guest is told of streams that it has. */
void take_events(struct vm *vm)
{
	uint64_t event[4];

	SUCCEEDS(api.vsmmu_event_run(vm->guest.vsmmu));
	if (!vm->model.started)
		return;
	while (take_event(&vm->guest, event)) {
		uint64_t stream = event[0] >> 32;

		totals.events++;
		if (stream >= STREAMS || (stream >= EMULATED && stream < FIRST_ASSIGNED))
			violation("an event of stream %llu", (unsigned long long)stream);
	}
}

/* A stream that is translated, at an address where there is nothing. */
static bool find_fault(struct vm *vm, unsigned *stream, unsigned *slot)
{
	codes now[STREAMS];

	effective_codes(vm, now);
	for (*stream = FIRST_ASSIGNED; *stream < STREAMS; ++*stream)
		for (*slot = 4; *slot < SLOTS; ++*slot)
			if (vm->assigned[*stream] && now[*stream] & ANY_TRANSLATION &&
			    !(now[*stream] & ~ANY_TRANSLATION) &&
			    expected(vm, *stream, 0, *slot) == ABORTED &&
			    !kept(vm, *stream, 0, *slot))
				return true;
	return false;
}

void expect_event(struct vm *vm)
{
	unsigned stream, slot, tries = 0;
	uint64_t event[4], value;

	if (!vm->model.on || !find_fault(vm, &stream, &slot))
		return;
	do {
		/* Some are lost by order. */
		if (++tries > 12)
			violation("faults of stream %u become no events", stream);
		take_events(vm);
		if (transfer(vm, stream, 0, slot_address(slot), &value, false).kind !=
		    VSMMU_RESULT_ABORT)
			violation("stream %u does not fault at slot %u", stream, slot);
		SUCCEEDS(api.vsmmu_event_run(vm->guest.vsmmu));
	} while (!take_event(&vm->guest, event));
	if ((event[0] & 0xff) != F_TRANSLATION || event[0] >> 32 != stream ||
	    event[2] != slot_address(slot))
		violation("the event of stream %u at %#llx is %#llx %#llx", stream,
			  (unsigned long long)slot_address(slot), (unsigned long long)event[0],
			  (unsigned long long)event[2]);
}
