/* SPDX-License-Identifier: MIT */
/* Event records, IHI 0070 G.b 7.3. */
#ifndef HOST_EVENT_H
#define HOST_EVENT_H

#include <stdint.h>

#include "smmu.h"

#define EVENT_C_BAD_STREAMID 0x02
#define EVENT_F_TRANSLATION 0x10
#define EVENT_F_ADDR_SIZE 0x11
#define EVENT_F_PERMISSION 0x13

struct event {
	uint64_t word[4];
};

static inline unsigned event_kind(const struct event *event)
{
	return (unsigned)bits(event->word[0], 7, 0);
}

static inline uint32_t event_stream(const struct event *event)
{
	return (uint32_t)bits(event->word[0], 63, 32);
}

/* The fields of the records that describe an access. */
static inline int event_is_read(const struct event *event)
{
	return (int)bits(event->word[1], 99 - 64, 99 - 64);
}

static inline int event_is_stage2(const struct event *event)
{
	return (int)bits(event->word[1], 103 - 64, 103 - 64);
}

/* What the SMMU was doing: 0 fetching a CD, 1 a stage 1 table, 2 translating the input itself. */
static inline unsigned event_class(const struct event *event)
{
	return (unsigned)bits(event->word[1], 105 - 64, 104 - 64);
}

static inline uint64_t event_input(const struct event *event)
{
	return event->word[2];
}

static inline uint64_t event_ipa(const struct event *event)
{
	return event->word[3] & UINT64_C(0x00fffffffffff000);
}

/* Names as in section 7.3: NULL for an unknown number, 0 for an unknown name. */
const char *event_name(unsigned number);
unsigned event_number(const char *name);

/* Do input address and direction belong to this kind of record? */
int event_has_input(unsigned kind);

/* Prints a record field by field. */
void event_print(const struct event *event);

#endif
