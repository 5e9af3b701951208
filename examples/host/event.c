/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

/* Groups of fields that a record has beside its number and StreamID. */
enum {
	SUBSTREAM = 1,
	INPUT = 2,  /* PnU, InD, RnW, InputAddr */
	STAGE = 4,  /* S2, CLASS */
	STALL = 8,  /* STAG, Stall */
	IPA = 16,
	FETCH = 32, /* Reason, FetchAddr */
};

static const struct {
	unsigned number;
	unsigned fields;
	const char *name;
	const char *meaning;
} kinds[] = {
	{ 0x01, SUBSTREAM | INPUT, "F_UUT", "unsupported upstream transaction" },
	{ 0x02, SUBSTREAM, "C_BAD_STREAMID", "StreamID outside the stream table" },
	{ 0x03, SUBSTREAM | FETCH, "F_STE_FETCH", "STE could not be read" },
	{ 0x04, SUBSTREAM, "C_BAD_STE", "invalid STE" },
	{ 0x05, SUBSTREAM, "F_BAD_ATS_TREQ", "ATS request where ATS is off" },
	{ 0x06, 0, "F_STREAM_DISABLED", "stream takes no such accesses" },
	{ 0x07, 0, "F_TRANSL_FORBIDDEN", "translated access where ATS is off" },
	{ 0x08, SUBSTREAM, "C_BAD_SUBSTREAMID", "SubstreamID outside the CD table" },
	{ 0x09, SUBSTREAM | FETCH, "F_CD_FETCH", "CD could not be read" },
	{ 0x0a, SUBSTREAM, "C_BAD_CD", "invalid CD" },
	{ 0x0b, SUBSTREAM | INPUT | STAGE | FETCH, "F_WALK_EABT", "table could not be read" },
	{ 0x10, SUBSTREAM | INPUT | STAGE | STALL | IPA, "F_TRANSLATION", "no translation" },
	{ 0x11, SUBSTREAM | INPUT | STAGE | STALL | IPA, "F_ADDR_SIZE", "address too large" },
	{ 0x12, SUBSTREAM | INPUT | STAGE | STALL | IPA, "F_ACCESS", "access flag is clear" },
	{ 0x13, SUBSTREAM | INPUT | STAGE | STALL | IPA, "F_PERMISSION", "not permitted" },
};

static int find(unsigned number)
{
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].number == number)
			return (int)i;
	return -1;
}

const char *event_name(unsigned number)
{
	int i = find(number);

	return i < 0 ? NULL : kinds[i].name;
}

unsigned event_number(const char *name)
{
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].number;
	return 0;
}

int event_has_input(unsigned kind)
{
	int i = find(kind);

	return i >= 0 && (kinds[i].fields & INPUT) != 0;
}

static void print_access(const struct event *event)
{
	g_print("      InputAddr  0x%" PRIx64 "\n", event_input(event));
	g_print("      RnW        %d (%s)\n", event_is_read(event),
		event_is_read(event) ? "read" : "write");
	g_print("      InD        %d\n", (int)bits(event->word[1], 98 - 64, 98 - 64));
	g_print("      PnU        %d\n", (int)bits(event->word[1], 97 - 64, 97 - 64));
}

static void print_stage(const struct event *event)
{
	static const char *const classes[4] = { "CD fetch", "stage 1 table fetch", "the input",
						"reserved" };

	g_print("      S2         %d (stage %d)\n", event_is_stage2(event),
		event_is_stage2(event) + 1);
	g_print("      CLASS      %u (%s)\n", event_class(event), classes[event_class(event)]);
}

void event_print(const struct event *event)
{
	int i = find(event_kind(event));
	unsigned fields = i < 0 ? 0 : kinds[i].fields;

	g_print("    event 0x%02x %s: %s\n", event_kind(event), i < 0 ? "?" : kinds[i].name,
		i < 0 ? "not known here" : kinds[i].meaning);
	g_print("      StreamID   0x%" PRIx32 "\n", event_stream(event));
	if ((fields & SUBSTREAM) && bits(event->word[0], 11, 11))
		g_print("      SubstreamID 0x%x\n", (unsigned)bits(event->word[0], 31, 12));
	if (fields & INPUT)
		print_access(event);
	if (fields & STAGE)
		print_stage(event);
	if ((fields & STALL) && bits(event->word[1], 95 - 64, 95 - 64))
		g_print("      STAG       0x%x, stalled\n", (unsigned)bits(event->word[1], 15, 0));
	if ((fields & IPA) && event_is_stage2(event))
		g_print("      IPA        0x%" PRIx64 "\n", event_ipa(event));
	if (fields & FETCH)
		g_print("      FetchAddr  0x%" PRIx64 "\n", event->word[3]);
}
