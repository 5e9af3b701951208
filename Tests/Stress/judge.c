/* SPDX-License-Identifier: MIT */
/* Which answers an access may have had, given what was published around it. */
#include "stress.h"

void look(struct world *world, struct sighting *sighting, struct slot *slot, bool write)
{
	*sighting = (struct sighting){ .slot = slot, .write = write };
	sighting->least = __atomic_load_n(&slot->least, __ATOMIC_SEQ_CST);
	sighting->least_visitor = __atomic_load_n(&world->visitor.least, __ATOMIC_SEQ_CST);
	sighting->least_enable = __atomic_load_n(&world->enable.least, __ATOMIC_SEQ_CST);
}

static void look_again(struct world *world, struct sighting *sighting)
{
	sighting->most = __atomic_load_n(&sighting->slot->most, __ATOMIC_SEQ_CST);
	sighting->most_enable = __atomic_load_n(&world->enable.most, __ATOMIC_SEQ_CST);
}

/* Whether a generation may give this event; where STE or CD change, which one is not told. */
static bool may_fault(const struct sighting *sighting, uint64_t generation, uint32_t event)
{
	bool is_whole = sighting->slot->layer == LAYER_STE || sighting->slot->layer == LAYER_CD;

	switch (generation & 3) {
	case GONE:
	case GONE_TOO:
		return event == F_TRANSLATION || is_whole;
	case READ_ONLY:
		return sighting->write && event == F_PERMISSION;
	default:
		return false;
	}
}

static bool may_pass(const struct sighting *sighting, uint64_t generation)
{
	return (generation & 3) == WRITABLE || ((generation & 3) == READ_ONLY && !sighting->write);
}

bool spans(uint64_t least, uint64_t most, uint64_t parity)
{
	return least != most || (least & 1) == parity;
}

bool judge_call(struct world *world, const struct sighting *sighting, int32_t error)
{
	uint64_t most = __atomic_load_n(&world->visitor.most, __ATOMIC_SEQ_CST);
	bool is_gone = error == -ENOENT;

	if (error != 0 && !(sighting->visits && is_gone))
		violation(world, sighting->slot, "the call gave %d", error);
	else if (sighting->visits && !spans(sighting->least_visitor, most, is_gone))
		violation(world, sighting->slot, "by stream %u, the call gave %d; it is %s", VISITOR,
			  error, is_gone ? "there" : "removed");
	if (sighting->visits)
		__atomic_add_fetch(is_gone ? &world->visitor.refusals : &world->visitor.passes, 1,
				   __ATOMIC_RELAXED);
	return error == 0;
}

/* An access of a stream that goes away meanwhile ends, told of to nobody. */
static bool is_cut(struct world *world, const struct sighting *sighting)
{
	return sighting->visits &&
	       spans(sighting->least_visitor,
		     __atomic_load_n(&world->visitor.most, __ATOMIC_SEQ_CST), 1);
}

bool judge(struct world *world, struct sighting *sighting, uint32_t kind, uint32_t event)
{
	bool is_off, is_on;

	look_again(world, sighting);
	is_off = spans(sighting->least_enable, sighting->most_enable, 1);
	is_on = spans(sighting->least_enable, sighting->most_enable, 0);
	if (kind == VSMMU_RESULT_ABORT && event == 0 && (is_off || is_cut(world, sighting)))
		return true;
	for (uint64_t g = sighting->least; is_on && g <= sighting->most; g++)
		if (kind == VSMMU_RESULT_OK ? may_pass(sighting, g)
					    : may_fault(sighting, g, event))
			return true;
	violation(world, sighting->slot,
		  "a %s%s gave kind %u, event %#x; SMMUEN %llu to %llu, generations %llu to %llu",
		  sighting->write ? "write" : "read", sighting->visits ? " of the visitor" : "", kind, event,
		  (unsigned long long)sighting->least_enable,
		  (unsigned long long)sighting->most_enable, (unsigned long long)sighting->least,
		  (unsigned long long)sighting->most);
	return false;
}

bool judge_word(struct world *world, const struct sighting *sighting, uint64_t word)
{
	for (uint64_t g = sighting->least; g <= sighting->most; g++)
		if (may_pass(sighting, g) && word == stamp_of(sighting->slot, g))
			return true;
	violation(world, sighting->slot, "memory holds %#llx%s; generations %llu to %llu",
		  (unsigned long long)word, word == POISON ? ", a page taken back" : "",
		  (unsigned long long)sighting->least, (unsigned long long)sighting->most);
	return false;
}
