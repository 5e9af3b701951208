/* SPDX-License-Identifier: MIT */
/* The guest's driver: tables, commands, registers, and what they make true. */
#include "simulation.h"

#define QUEUE_MASK ((2u << COMMAND_BITS) - 1)
#define GBPA_UPDATE (UINT64_C(1) << 31)
#define GBPA_ABORT (1u << 20)
#define MESSAGE (RAM + 0x80000)
#define LEVEL1 (RAM + 0x90000)

static uint64_t tables(unsigned space)
{
	return RAM + 0x200000 + space * UINT64_C(0x20000);
}

static uint64_t asid(unsigned space)
{
	return 5 + space * UINT64_C(7);
}

uint64_t driver_asid(unsigned space)
{
	return asid(space);
}

/* The queue. */

static unsigned waiting(struct vm *vm)
{
	uint64_t consumer = read_register(&vm->guest, CMDQ_CONS);

	return (unsigned)((load64(&vm->guest, COMMANDS - 8) - consumer) & QUEUE_MASK);
}

static void put(struct vm *vm, uint64_t low, uint64_t high)
{
	if (waiting(vm) > 200) {
		drain_failures();
		driver_settle(vm);
	}
	tell("VM %llu, command %#llx %#llx", (unsigned long long)vm->serial, (unsigned long long)low,
	     (unsigned long long)high);
	queue(&vm->guest, low, high);
	vm->ends_with_sync = (low & 0xff) == SYNC;
	/* With a CMD_SYNC, what failed when registers changed is tried again. */
	for (unsigned stream = 0; vm->ends_with_sync && stream < STREAMS; stream++)
		vm->model.streams[stream].healing = true;
}

/* Everything before the CMD_SYNC is done. What it was about is looked at at once. */
static void done(struct vm *vm)
{
	struct model *model = &vm->model;
	unsigned slots = 0;

	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			slots |= (unsigned)(model->slots[space][slot].covered != 0) << slot;
			model->slots[space][slot].covered = 0;
		}
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &model->streams[stream];

		s->codes[0].covered = s->codes[1].covered = 0;
		if (s->healing)
			s->lag = 0;
		s->healing = false;
	}
	endpoints_done(vm);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (slots & 1u << slot)
			dma_touch(vm, slot);
}

/* A device did not answer: told at the CMD_SYNC that waits for it, and to be told for a reason. */
static void time_out(struct vm *vm, uint64_t consumer)
{
	/* What was asked of one that has gone may be told late. */
	bool silent = has_silent(vm) || vm->asked_silent;

	vm->asked_silent = false;
	if (!silent && !times_out() && !vm->may_time_out)
		violation("a device timed out, and nobody ordered it: %s", vm->guest.log);
	consumer &= QUEUE_MASK >> 1;
	if ((load64(&vm->guest, COMMANDS + consumer * 16) & 0xff) != SYNC)
		violation("a timeout is told at another command than CMD_SYNC");
	totals.timeouts++;
	tell("a device did not answer");
	endpoints_timed_out(vm);
	acknowledge(&vm->guest);
}

/* What became of the commands. An illegal one is replaced by a CMD_SYNC, as Linux does; where the
 * host failed, the queue stays stopped. */
static void look(struct vm *vm)
{
	for (unsigned rounds = 0;; rounds++) {
		uint64_t consumer, active;

		for (unsigned calls = 0; api.vsmmu_run(vm->guest.vsmmu, 0) == 1; calls++)
			if (calls > 100000)
				violation("the command queue does not end");
		consumer = read_register(&vm->guest, CMDQ_CONS);
		active = read_register(&vm->guest, GERROR) ^ read_register(&vm->guest, GERRORN);
		if (!(active & 1)) {
			vm->stopped = false;
			if ((consumer & QUEUE_MASK) != load64(&vm->guest, COMMANDS - 8))
				violation("the queue stops at %#llx without an error",
					  (unsigned long long)consumer);
			if (vm->ends_with_sync) {
				totals.syncs++;
				done(vm);
			}
			return;
		}
		switch (consumer >> 24) {
		case 1:
			if (rounds > 300)
				violation("CERROR_ILL again and again");
			totals.illegal++;
			consumer &= QUEUE_MASK >> 1;
			store64(&vm->guest, COMMANDS + consumer * 16, SYNC);
			store64(&vm->guest, COMMANDS + consumer * 16 + 8, 0);
			acknowledge(&vm->guest);
			break;
		case 2:
			if (!failures_ordered() && !vm->stopped)
				violation("the host failed, and nobody ordered it: %s",
					  vm->guest.log);
			totals.stops++;
			tell("the queue is stopped");
			vm->stopped = true;
			dma_all(vm);
			return;
		case 3:
			if (rounds > 300)
				violation("CERROR_ATC_INV_SYNC again and again");
			time_out(vm, consumer);
			break;
		default:
			violation("CONS is %#llx", (unsigned long long)consumer);
		}
	}
}

static void show(struct vm *vm)
{
	publish(&vm->guest);
	look(vm);
}

void driver_sync(struct vm *vm)
{
	if (!vm->model.started)
		return;
	if (chance(50))
		put(vm, SYNC, 0);
	else
		put(vm, SYNC | 1 << 12 | UINT64_C(0x77) << 32, MESSAGE);
	show(vm);
	if (vm->stopped && chance(60)) {
		acknowledge(&vm->guest);
		look(vm);
	}
	dma_step(vm);
}

static void forget_all(struct vm *vm)
{
	put(vm, CFGI_ALL, 31);
	put(vm, TLBI_NSNH_ALL, 0);
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &vm->model.streams[stream];

		s->codes[0].stale = s->codes[1].stale = 0;
		s->ste_dirty = false;
		s->healing = true;
	}
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			vm->model.slots[space][slot].stale = 0;
}

void driver_settle(struct vm *vm)
{
	for (unsigned times = 0; times < 3 && waiting(vm) > 0; times++) {
		publish(&vm->guest);
		if (vm->stopped)
			acknowledge(&vm->guest);
		look(vm);
	}
	if (waiting(vm) > 0)
		violation("the queue stays stopped: %s", vm->guest.log);
	if (chance(50))
		forget_all(vm);
	put(vm, SYNC, 0);
	show(vm);
	if (vm->stopped)
		violation("the host fails, and nobody ordered it: %s", vm->guest.log);
}

/* Tables. */

static void tell_map(struct vm *vm, unsigned space, unsigned slot)
{
	const struct cell *cell = &vm->model.slots[space][slot];

	tell("VM %llu, space %u, slot %u (%#llx): %#llx, stale %#llx", (unsigned long long)vm->serial,
	     space, slot, (unsigned long long)slot_address(slot), (unsigned long long)cell->now,
	     (unsigned long long)cell->stale);
}

static void become(struct cell *cell, uint64_t value, uint64_t never_cached)
{
	if (cell->now != value)
		cell->stale |= cell->now & ~never_cached;
	cell->now = value;
}

/* 2 MiB instead of a table, or the table again. What is not mapped is cached nowhere, but the table
 * that said so may be: its entry is read until a TLBI covers it. */
static void toggle_block(struct vm *vm, unsigned space)
{
	struct cell *cell = &vm->model.slots[space][BLOCK_SLOT];
	uint64_t address = slot_address(BLOCK_SLOT), entry, *table = &vm->model.tables[space];

	entry = load64(&vm->guest, tables(space) + (address >> 30 & 0x1ff) * 8);
	if (!(entry & 1))
		return;
	entry = (entry & UINT64_C(0xfffffffff000)) + (address >> 21 & 0x1ff) * 8;
	if (*table) {
		store64(&vm->guest, entry, *table);
		*table = 0;
		unmap(&vm->guest, tables(space), address);
		become(cell, ABORTED, ABORTED);
	} else if (load64(&vm->guest, entry) & 1) {
		*table = load64(&vm->guest, entry);
		store64(&vm->guest, entry, RAM | (PAGE1 & ~UINT64_C(2)));
		become(cell, WRITABLE(BLOCK_PAGE), 0);
	}
	endpoints_note(vm);
	tell_map(vm, space, BLOCK_SLOT);
}

void driver_map(struct vm *vm)
{
	for (unsigned n = 1 + below(8); n > 0; n--) {
		unsigned space = below(SPACES), slot = below(SLOTS), page = below(PAGES);
		struct cell *cell = &vm->model.slots[space][slot];
		uint64_t to = DATA + page * UINT64_C(4096);

		if (chance(40))
			dma_touch(vm, slot);
		if (slot == BLOCK_SLOT && (vm->model.tables[space] || chance(40))) {
			toggle_block(vm, space);
			continue;
		}
		if (chance(25)) {
			unmap(&vm->guest, tables(space), slot_address(slot));
			become(cell, ABORTED, ABORTED);
		} else if (chance(20)) {
			map(&vm->guest, tables(space), slot_address(slot), to, PAGE1_READ_ONLY);
			become(cell, READ_ONLY(page), ABORTED);
		} else {
			map(&vm->guest, tables(space), slot_address(slot), to, PAGE1);
			become(cell, WRITABLE(page), ABORTED);
		}
		endpoints_note(vm);
		tell_map(vm, space, slot);
	}
}

static void cover(struct cell *cell)
{
	cell->covered |= cell->stale;
	cell->stale = 0;
}

static void cover_slots(struct vm *vm, unsigned space, unsigned first, unsigned last)
{
	for (unsigned slot = first; slot <= last; slot++)
		cover(&vm->model.slots[space][slot]);
}

/* Slots 4 to 7 are neighbours. */
static void invalidate_range(struct vm *vm, unsigned space)
{
	unsigned count = 1 + below(4), hint = chance(50) ? 3 : 0;
	uint64_t low = TLBI_NH_VA | asid(space) << 48 | (uint64_t)(count - 1) << 12;

	if (!(read_register(&vm->guest, 0xc) & 1 << 10)) {
		put(vm, TLBI_NH_ASID | asid(space) << 48, 0);
		cover_slots(vm, space, 0, SLOTS - 1);
		return;
	}
	/* A range of one page without a hint is illegal (4.4.1.1). */
	if (count == 1)
		hint = 3;
	put(vm, low, slot_address(4) | 1 << 10 | hint << 8 | (hint != 0));
	cover_slots(vm, space, 4, 4 + count - 1);
}

void driver_invalidate(struct vm *vm)
{
	unsigned space = below(SPACES), slot = below(SLOTS);

	if (!vm->model.started)
		return;
	switch (below(7)) {
	case 0:
		put(vm, chance(50) ? TLBI_NH_ALL : TLBI_NSNH_ALL, 0);
		for (space = 0; space < SPACES; space++)
			cover_slots(vm, space, 0, SLOTS - 1);
		break;
	case 1:
		put(vm, TLBI_NH_ASID | asid(space) << 48, 0);
		cover_slots(vm, space, 0, SLOTS - 1);
		break;
	case 2:
		put(vm, TLBI_NH_VAA, slot_address(slot) | (slot != BLOCK_SLOT && chance(50)));
		for (space = 0; space < SPACES; space++)
			cover_slots(vm, space, slot, slot);
		break;
	case 3:
		invalidate_range(vm, space);
		break;
	default:
		for (unsigned n = chance(10) ? 80 : 1 + below(6); n > 0; n--) {
			/* Of a block a table may have become. */
			put(vm, TLBI_NH_VA | asid(space) << 48,
			    slot_address(slot) | (slot != BLOCK_SLOT && chance(70)));
			cover_slots(vm, space, slot, slot);
			slot = below(SLOTS);
		}
	}
	if (chance(60))
		show(vm);
}

/* CMD_ATC_INV for some of the streams: of a page, of pages around it, or of all; with the PASID of
 * context 1, or without. */
static void ask_endpoint(struct vm *vm, unsigned stream, unsigned slot)
{
	unsigned log2 = chance(40) ? 0 : chance(50) ? 52 : below(20);
	bool pasid = chance(25), global = chance(20);
	uint64_t mask = log2 == 52 ? UINT64_MAX : (UINT64_C(4096) << log2) - 1;
	uint64_t first = slot_address(slot) & ~mask;

	put(vm, ATC_INV | (uint64_t)stream << 32 | (pasid ? 1 << 11 | 1 << 12 : 0) |
	    (global ? 1 << 9 : 0), (slot_address(slot) & ~UINT64_C(0xfff)) | log2);
	if (vm->assigned[stream])
		vm->asked_silent |= world.is_silent[vm->assigned[stream] - 1];
	if (!vm->model.on)
		return;
	for (unsigned context = pasid && vm->has_substreams; context < CONTEXTS; context++)
		for (unsigned i = 0; i < SLOTS; i++)
			if (slot_address(i) - first <= mask)
				endpoint_asked(vm, stream, context, i);
}

/* Linux waits for the TLBIs first; others may not. */
void driver_endpoints(struct vm *vm)
{
	unsigned slot = below(SLOTS);

	if (!vm->model.started || !vm->has_ats)
		return;
	if (chance(60))
		driver_sync(vm);
	for (unsigned n = chance(10) ? 70 : 1 + below(4); n > 0; n--) {
		ask_endpoint(vm, chance(90) ? FIRST_ASSIGNED + below(STREAMS - FIRST_ASSIGNED)
					    : below(STREAMS), slot);
		slot = below(SLOTS);
	}
	if (chance(60))
		show(vm);
	if (chance(70))
		driver_sync(vm);
}

/* Structures. */

static unsigned some_stream(struct vm *vm)
{
	unsigned stream = below(STREAMS);

	if (stream >= FIRST_ASSIGNED && vm->assigned[stream])
		return stream;
	stream = below(EMULATED + STREAMS - FIRST_ASSIGNED);

	return stream < EMULATED ? stream : stream - EMULATED + FIRST_ASSIGNED;
}

static codes code(const struct stream *s, unsigned context)
{
	if (s->ste != ANY_TRANSLATION)
		/* A bypass has no substreams (7.3.9). */
		return context ? ABORTS : s->ste;
	return s->spaces[context] < SPACES ? TRANSLATES(s->spaces[context]) : ABORTS;
}

static void ste_became(struct stream *s, codes ste)
{
	s->ste = ste;
	s->ste_dirty = true;
	for (unsigned context = 0; context < CONTEXTS; context++)
		become(&s->codes[context], code(s, context), 0);
	if (ste != ANY_TRANSLATION)
		s->eats = false;
}

static void write_cd(struct vm *vm, unsigned stream, unsigned context, unsigned space)
{
	uint64_t cd = CONTEXT + stream * 256 + context * 64;

	store64(&vm->guest, cd + 8, tables(space));
	store64(&vm->guest, cd + 24, 0xff);
	store64(&vm->guest, cd, UINT64_C(25) | UINT64_C(1) << 30 | UINT64_C(1) << 31 |
		UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(1) << 45 | UINT64_C(1) << 46 |
		asid(space) << 48);
}

/* A context may be cached wherever its stream may still be translated. */
static void change_context(struct vm *vm, unsigned stream, unsigned context, unsigned space)
{
	struct stream *s = &vm->model.streams[stream];
	struct cell *cell = &s->codes[context];
	bool was_translated = (s->codes[0].now | s->codes[0].stale | s->codes[0].covered |
			       s->codes[1].now | s->codes[1].stale | s->codes[1].covered) &
			      ANY_TRANSLATION;

	write_cd(vm, stream, context, space);
	s->spaces[context] = space;
	if (was_translated)
		cell->stale |= TRANSLATES(space);
	if (context == 0 && s->lag & ANY_TRANSLATION)
		s->lag |= TRANSLATES(space);
	become(cell, code(s, context), 0);
	endpoints_note(vm);
}

static void write_ste(struct vm *vm, unsigned stream, codes ste)
{
	struct stream *s = &vm->model.streams[stream];
	uint64_t entry = STREAM_TABLE + stream * 64, low;
	/* Attributes of the CD's fetch, some of which differ, and SHCFG. */
	uint64_t high = (chance(30) ? UINT64_C(0xd4) : 0) | UINT64_C(1) << 44;
	/* What EATS is worth with ATS alone; 3 is as 0, and 2 ILLEGAL then. */
	uint64_t eats = !vm->has_ats ? below(4) : chance(70) ? 1 : chance(50) ? 3 : 0;

	switch (ste) {
	case ABORTS: low = chance(50) ? 0 : 1 | below(4) << 1; break;
	case BYPASSES: low = 1 | 4 << 1; break;
	default: low = 1 | 5 << 1 | (CONTEXT + stream * 256);
	}
	/* S1CDMax: four contexts; S1DSS: what has no SubstreamID has context 0. */
	if (vm->has_substreams)
		low |= UINT64_C(2) << 59, high |= 2;
	store64(&vm->guest, entry + 8, high | eats << 28);
	store64(&vm->guest, entry, low);
	ste_became(s, ste);
	s->eats = ste == ANY_TRANSLATION && eats == 1;
	s->keeps |= s->eats;
	endpoints_note(vm);
}

static void cover_stream(struct vm *vm, unsigned stream)
{
	struct stream *s = &vm->model.streams[stream];

	cover(&s->codes[0]);
	cover(&s->codes[1]);
	s->ste_dirty = false;
	s->healing = true;
}

static void forget_stream(struct vm *vm, unsigned stream)
{
	put(vm, CFGI_STE | (uint64_t)stream << 32, 1);
	cover_stream(vm, stream);
	if (chance(30))
		put(vm, PREFETCH | (uint64_t)stream << 32, 0);
}

/* Three steps, each with its CMD_SYNC, between which the stream aborts. */
static void configure_in_steps(struct vm *vm, unsigned stream, codes ste, unsigned space)
{
	uint64_t entry = STREAM_TABLE + stream * 64;
	struct stream *s = &vm->model.streams[stream];

	store64(&vm->guest, entry, load64(&vm->guest, entry) & ~UINT64_C(1));
	ste_became(s, ABORTS);
	forget_stream(vm, stream);
	driver_sync(vm);
	change_context(vm, stream, 0, space);
	if (vm->has_substreams && chance(50))
		change_context(vm, stream, 1, below(SPACES));
	store64(&vm->guest, entry + 8, UINT64_C(1) << 44);
	forget_stream(vm, stream);
	driver_sync(vm);
	write_ste(vm, stream, ste);
	forget_stream(vm, stream);
	driver_sync(vm);
}

void driver_configure(struct vm *vm)
{
	unsigned stream = some_stream(vm), space = below(SPACES);
	codes ste = chance(65) ? ANY_TRANSLATION : chance(50) ? BYPASSES : ABORTS;

	if (!vm->model.started)
		return;
	tell("VM %llu, stream %u: %#x, space %u", (unsigned long long)vm->serial, stream, ste, space);
	if (chance(40)) {
		configure_in_steps(vm, stream, ste, space);
		return;
	}
	if (ste == ANY_TRANSLATION)
		change_context(vm, stream, 0, space);
	if (vm->has_substreams && chance(50))
		change_context(vm, stream, 1, below(SPACES));
	write_ste(vm, stream, ste);
	if (chance(85))
		forget_stream(vm, stream);
	if (chance(60))
		show(vm);
	if (chance(50))
		driver_sync(vm);
}

void driver_context(struct vm *vm)
{
	unsigned stream = some_stream(vm), context = vm->has_substreams ? below(CONTEXTS) : 0;

	if (!vm->model.started)
		return;
	change_context(vm, stream, context, below(SPACES));
	if (chance(70)) {
		bool all = chance(50), is_enough = !vm->model.streams[stream].ste_dirty;

		put(vm, (all ? CFGI_CD_ALL : CFGI_CD) | (uint64_t)stream << 32 |
		    (all ? 0 : context << 12), !all);
		for (unsigned other = 0; other < CONTEXTS && is_enough; other++)
			if (all || other == context)
				cover(&vm->model.streams[stream].codes[other]);
	}
	if (chance(50))
		show(vm);
	if (chance(40))
		driver_sync(vm);
}

void driver_forget(struct vm *vm)
{
	unsigned stream = some_stream(vm), log2 = 1 + below(4);

	if (!vm->model.started)
		return;
	switch (below(3)) {
	case 0:
		put(vm, CFGI_ALL, 31);
		for (stream = 0; stream < STREAMS; stream++)
			cover_stream(vm, stream);
		break;
	case 1:
		/* 2^log2 streams. */
		stream &= ~((1u << log2) - 1);
		put(vm, CFGI_ALL | (uint64_t)stream << 32, log2 - 1);
		for (unsigned i = 0; i < 1u << log2 && stream + i < STREAMS; i++)
			cover_stream(vm, stream + i);
		break;
	default:
		forget_stream(vm, stream);
	}
	if (chance(60))
		show(vm);
}

/* Anything but a CMD_SYNC, whose MSI could go anywhere. What is legal of it only forgets. */
void driver_nonsense(struct vm *vm)
{
	if (!vm->model.started)
		return;
	for (unsigned n = 1 + below(4); n > 0; n--) {
		static const uint8_t known[] = {
			0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x18, 0x20, 0x21,
			0x22, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x45,
		};
		uint64_t low = any() & any(), high = any() & any();
		uint8_t opcode = chance(70) ? known[below(sizeof(known))] : (uint8_t)any();

		if (opcode == SYNC)
			continue;
		if (chance(50))
			low &= UINT64_C(0xf000ffff0), low |= asid(0) << 48;
		low = (low & ~UINT64_C(0xff)) | opcode;
		/* What devices ask for anew then would have to be known. */
		if (opcode == ATC_INV && vm->has_ats)
			continue;
		put(vm, low, high);
	}
	show(vm);
}

/* Registers. */

static void after_registers(struct vm *vm, uint64_t failures, const codes before[STREAMS])
{
	note_lag(vm, failures, before);
	dma_step(vm);
}

/* The same STEs by a level 1 table of one entry: 16 of them, of StreamIDs with 6 bits. */
static void use_two_levels(struct vm *vm)
{
	store64(&vm->guest, LEVEL1, STREAM_TABLE | 5);
	write_register(&vm->guest, CR0, 0xc);
	write_register64(&vm->guest, STRTAB_BASE, LEVEL1);
	write_register(&vm->guest, STRTAB_BASE_CFG, 1 << 16 | 6 << 6 | 6);
	write_register(&vm->guest, CR0, 0xd);
}

void driver_start(struct vm *vm)
{
	uint64_t failures = host_failures(vm);
	codes before[STREAMS];

	if (vm->model.started)
		return;
	effective_codes(vm, before);
	for (unsigned space = 0; space < SPACES; space++)
		bars_map(vm, tables(space));
	for (unsigned i = 0; i < 6; i++)
		driver_map(vm);
	store64(&vm->guest, COMMANDS - 8, 0);
	guest_start(&vm->guest);
	if (vm->two_level)
		use_two_levels(vm);
	vm->model.started = vm->model.on = vm->seen = true;
	vm->btm = read_register(&vm->guest, IDR0) & IDR0_BTM;
	vm->has_ats = read_register(&vm->guest, IDR0) & IDR0_ATS;
	if (vm->has_ats && !vm->asks_ats)
		violation("ATS is offered, and nobody asked for it");
	/* IDR1.SSIDSIZE */
	vm->has_substreams = (read_register(&vm->guest, IDR1) >> 6 & 31) >= 2;
	after_registers(vm, failures, before);
	if (chance(50)) {
		put(vm, CFGI_ALL, 31);
		put(vm, TLBI_NSNH_ALL, 0);
		show(vm);
		driver_sync(vm);
	}
	for (unsigned i = 0; i < 4; i++)
		driver_configure(vm);
}

void driver_registers(struct vm *vm)
{
	uint64_t failures = host_failures(vm);
	codes before[STREAMS];

	if (!vm->model.started) {
		driver_start(vm);
		return;
	}
	effective_codes(vm, before);
	switch (below(4)) {
	case 0:
		vm->model.gbpa_aborts = chance(50);
		write_register(&vm->guest, GBPA, GBPA_UPDATE | 1 << 12 |
			       (vm->model.gbpa_aborts ? GBPA_ABORT : 0));
		break;
	case 1:
		vm->model.on = !vm->model.on;
		write_register(&vm->guest, CR0, vm->model.on ? 0xd : 0xc);
		break;
	case 2:
		/* The event queue off and on. */
		write_register(&vm->guest, CR0, vm->model.on ? 0x9 : 0x8);
		write_register(&vm->guest, CR0, vm->model.on ? 0xd : 0xc);
		break;
	default:
		read_register(&vm->guest, below(0x40) * 4);
	}
	tell("on %d, GBPA aborts %d", vm->model.on, vm->model.gbpa_aborts);
	after_registers(vm, failures, before);
}

/* A CPU's TLBI: at once, and without a command. */

static void forget_slots(struct vm *vm, unsigned space, unsigned first, unsigned last)
{
	for (unsigned slot = first; vm->btm && slot <= last; slot++) {
		struct cell *cell = &vm->model.slots[space][slot];

		cell->stale = cell->covered = 0;
	}
}

void driver_broadcast(struct vm *vm)
{
	unsigned space = below(SPACES), slot = below(SLOTS), first = 0, last = SLOTS - 1;
	vsmmu_dvm_op op = { .size = sizeof(op), .kind = below(8), .asid = (uint32_t)asid(space) };
	bool all_spaces = op.kind <= VSMMU_DVM_VMALL || op.kind == VSMMU_DVM_VAA;
	unsigned count = chance(50) && slot >= 4 && slot < 7 ? 8 - slot : 1;

	if (!vm->model.started || (vm->cpu < 0 && !vm_load(vm)))
		return;
	if (op.kind == VSMMU_DVM_VA || op.kind == VSMMU_DVM_VAA || op.kind == VSMMU_DVM_IPA) {
		op.address = slot_address(slot);
		op.last = op.address + count * 4096 - 1;
		first = slot;
		last = slot + count - 1;
	}
	totals.broadcasts += vm->btm;
	SUCCEEDS(api.vsmmu_emulated_tlbi(world.emulated, (uint32_t)vm->cpu, &op));
	if (chance(50))
		SUCCEEDS(api.vsmmu_dvm(vm->guest.vsmmu, &op));
	if (op.kind < VSMMU_DVM_IPA)
		for (unsigned i = all_spaces ? 0 : space; i <= (all_spaces ? SPACES - 1 : space); i++)
			forget_slots(vm, i, first, last);
	for (slot = first; op.kind < VSMMU_DVM_IPA && slot <= last; slot++)
		dma_touch(vm, slot);
	dma_step(vm);
}
