/* SPDX-License-Identifier: MIT */
/* The table, in the Markdown of docs/bench.md. */
#include "bench.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static unsigned met, missed;

/* "Xeon ... @ 2.20GHz", as far as the system tells. */
static void processor(char *name, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");

	snprintf(name, size, "unknown processor");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			snprintf(name, size, "%s", strchr(line, ':') + 2);
			name[strcspn(name, "\n")] = 0;
			break;
		}
	if (file)
		fclose(file);
}

void report_begin(const char *library)
{
	char name[128], date[32];
	time_t now = time(NULL);

	processor(name, sizeof(name));
	strftime(date, sizeof(date), "%F", localtime(&now));
	printf("%s, %s, %ld processors, `%s` %s; the C programs by gcc %s -O2.\n\n", date, name,
	       sysconf(_SC_NPROCESSORS_ONLN), library, api.vsmmu_library_version(), __VERSION__);
	printf("| path | library | C limit | hash + mutex | target | met |\n");
	printf("|---|---|---|---|---|---|\n");
}

void write_ns(char cell[64], double ns)
{
	if (ns < 1000)
		snprintf(cell, 64, "%.*f ns", ns < 10 ? 2 : ns < 100 ? 1 : 0, ns);
	else if (ns < 1e6)
		snprintf(cell, 64, "%.1f µs", ns / 1e3);
	else
		snprintf(cell, 64, "%.2f ms", ns / 1e6);
}

void report_ns(char cell[64], const struct runner *runner)
{
	char median[64], least[64];

	write_ns(median, runner->median);
	write_ns(least, runner->least);
	snprintf(cell, 64, "%.24s (%.24s)", median, least);
}

void report_row(const struct cells *cells)
{
	printf("| %s | %s | %s | %s | %s | %s |\n", cells->path, cells->library, cells->limit,
	       cells->hash, cells->target, cells->met < 0 ? "" : cells->met ? "yes" : "**no**");
	met += cells->met == 1;
	missed += cells->met == 0;
	fflush(stdout);
}

void report_end(void)
{
	printf("\n%u targets met, %u missed\n", met, missed);
}
