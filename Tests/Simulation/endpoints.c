/* SPDX-License-Identifier: MIT */
/* What devices with ATS keep for themselves. */
#include "simulation.h"

bool has_endpoint(const struct vm *vm, unsigned stream)
{
	return vm->has_ats && vm->assigned[stream] && world.has_ats[vm->assigned[stream] - 1];
}

bool has_silent(const struct vm *vm)
{
	for (unsigned stream = 0; stream < STREAMS; stream++)
		if (has_endpoint(vm, stream) && world.is_silent[vm->assigned[stream] - 1])
			return true;
	return false;
}

void endpoint_saw(struct vm *vm, unsigned stream, unsigned context, unsigned slot, outcomes what)
{
	struct stream *s = &vm->model.streams[stream];

	if (!has_endpoint(vm, stream) || !s->keeps)
		return;
	s->kept[context][slot] |= what & ~ABORTED;
	s->left[context][slot] |= what & ~ABORTED;
}

static void add_left(struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	vm->model.streams[stream].left[context][slot] |=
		reachable(vm, stream, context, slot) & ~ABORTED;
}

void endpoint_asked(struct vm *vm, unsigned stream, unsigned context, unsigned slot)
{
	struct stream *s = &vm->model.streams[stream];

	/* Silent ones are asked in vain. */
	if (!vm->assigned[stream] || world.is_silent[vm->assigned[stream] - 1])
		return;
	s->asked[context][slot] = true;
	s->left[context][slot] = 0;
	add_left(vm, stream, context, slot);
}

#define EACH(stream, context, slot) \
	for (unsigned stream = 0; stream < STREAMS; stream++) \
		for (unsigned context = 0; context < CONTEXTS; context++) \
			for (unsigned slot = 0; slot < SLOTS; slot++)

void endpoints_note(struct vm *vm)
{
	if (!vm->has_ats)
		return;
	EACH(stream, context, slot)
		if (vm->model.streams[stream].asked[context][slot])
			add_left(vm, stream, context, slot);
}

void endpoint_empty(struct vm *vm, unsigned stream)
{
	struct stream *s = &vm->model.streams[stream];

	memset(s->kept, 0, sizeof(s->kept));
	memset(s->left, 0, sizeof(s->left));
	memset(s->asked, 0, sizeof(s->asked));
}

void endpoints_done(struct vm *vm)
{
	EACH(stream, context, slot) {
		struct stream *s = &vm->model.streams[stream];

		if (s->asked[context][slot])
			s->kept[context][slot] = s->left[context][slot];
		s->asked[context][slot] = false;
	}
	for (unsigned stream = 0; stream < STREAMS; stream++) {
		struct stream *s = &vm->model.streams[stream];

		/* Attached to what does not let it. */
		if (!s->eats && !s->ste_dirty && !s->lag) {
			s->keeps = false;
			endpoint_empty(vm, stream);
		}
	}
	vm->may_time_out = false;
}

void endpoints_timed_out(struct vm *vm)
{
	EACH(stream, context, slot) {
		struct stream *s = &vm->model.streams[stream];

		s->kept[context][slot] |= s->left[context][slot];
		s->asked[context][slot] = false;
	}
	vm->may_time_out = false;
}

void endpoints_anew(struct vm *vm)
{
	EACH(stream, context, slot) {
		struct stream *s = &vm->model.streams[stream];

		s->asked[context][slot] = false;
		s->kept[context][slot] = 0;
		if (vm->has_ats && s->keeps)
			s->kept[context][slot] = reachable(vm, stream, context, slot) & ~ABORTED;
	}
}
