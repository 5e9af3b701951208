/* SPDX-License-Identifier: MIT */
#include "report.h"

#define PRINTED_DIFFERENCES 10

void report_difference(struct report *report, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list arguments;

	if (report->differences++ >= PRINTED_DIFFERENCES)
		return;
	va_start(arguments, format);
	text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_print("  different: %s\n", text);
}

static void print_registers(const struct report *report)
{
	if (report->written == 0 && report->compared == 0)
		return;
	g_print("  registers     %u written, %u reads compared, %u undetermined\n", report->written,
		report->compared, report->undetermined);
	if (report->corrected > 0)
		g_print("  corrected     IDR3.HAD in %u reads: it is 0 without stage 1 (6.3.4)\n",
			report->corrected);
}

static void print_commands(const struct report *report)
{
	if (report->commands == 0)
		return;
	g_print("  commands      %u", report->commands);
	if (report->unlogged > 0)
		g_print(", and %u that the trace does not tell (CMD_SYNC in their place)",
			report->unlogged);
	if (report->refused > 0)
		g_print(", %u rightly refused (CMD_ATC_INV without ATS)", report->refused);
	g_print("\n");
}

static void print_translations(const struct report *report)
{
	guint passes = MAX(report->passes, 1);

	if (report->snapshots > 0)
		g_print("  snapshots     %u on the way, with warm caches\n", report->snapshots);
	if (report->passes > 1)
		g_print("  passes        %u: cold caches, warm ones, saved and restored\n", passes);
	if (report->pages + report->logged + report->faults == 0)
		return;
	g_print("  translations  %u of mapped pages, %u logged ones\n", report->pages / passes,
		report->logged / passes);
	g_print("  faults        %u", report->faults / passes);
	if (report->renamed > 0)
		g_print(", %u of them F_ADDR_SIZE by 3.4 where the capture says F_TRANSLATION",
			report->renamed / passes);
	g_print("\n");
}

void report_title(const struct report *report)
{
	g_autofree char *name = g_path_get_basename(report->path);

	g_print("%s\n", name);
}

void report_print(const struct report *report)
{
	print_registers(report);
	print_commands(report);
	print_translations(report);
	g_print("  differences   %u\n", report->differences);
}
