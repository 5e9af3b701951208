/* SPDX-License-Identifier: MIT */
/*
 * The benchmark: the library beside two programs of the same task, in one process, in turn.
 *
 *     the C limit    the same device reduced to its hot paths (twin.h): what is left to gain
 *     hash + mutex   the shape that VMMs use today (hash_mutex.h): what is gained
 */
#ifndef BENCH_H
#define BENCH_H

#include "../Conformance/guest.h"

/* Every translator has the shape of vsmmu_translate. */
typedef int32_t (*translate_function)(void *self, const vsmmu_access *, vsmmu_result *);

/* Keeps the compiler from dropping what is measured. */
extern uint64_t bench_sink;

/* Ends the program. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A sequence that is the same in every run. */
uint64_t bench_random(uint64_t *state);

/* The machine (machine.c): a guest with a large RAM and 48-bit tables of four levels. */

#define ARENA_SIZE UINT64_C(0x10000000)
#define STREAMS_MOST 4096u
/* Entries of the command queue and of the event queue, as log2. */
#define RING_BITS 12
#define EVENT_RING_BITS 12
#define RING_STREAMS RAM
#define RING_CONTEXTS (RAM + 0x100000)
#define RING_COMMANDS (RAM + 0x200000)
#define RING_EVENTS (RAM + 0x300000)
#define PAGES_OF_DATA (RAM + 0x400000)
#define DATA_SIZE UINT64_C(0x400000)
#define FIRST_TABLE (RAM + 0x800000)

struct machine {
	struct guest guest;
	uint64_t next_table;
	uint32_t producer;
	/* Accesses of the SMMU, where its memory is behind a callback. */
	uint64_t loads;
};

struct machine_options {
	uint32_t tlb_entries, configuration_entries, streams;
	bool callbacks;
};

void machine_open(struct machine *machine, const struct machine_options *options);
void machine_close(struct machine *machine);
void *machine_at(struct machine *machine, uint64_t address);
uint64_t machine_table(struct machine *machine);
/* `tables` NULL: the next ones of the arena. */
void machine_map(struct machine *machine, uint64_t root, uint64_t from, uint64_t to, uint64_t leaf);
void machine_stage1(struct machine *machine, uint32_t stream, uint64_t root, uint16_t asid);
void machine_nested(struct machine *machine, uint32_t stream, uint64_t root, uint16_t asid,
		    uint64_t stage2, uint16_t vmid);
/* Puts a command into the ring; kick shows the device `count` more than it has seen. */
void machine_put(struct machine *machine, uint32_t index, uint64_t low, uint64_t high);
void machine_kick(struct machine *machine, uint32_t count);
void machine_settle(struct machine *machine);
/* One command, then CMD_SYNC. */
void machine_command(struct machine *machine, uint64_t low, uint64_t high);
void machine_forget(struct machine *machine);
/* The guest has read its event queue. */
void machine_take_events(struct machine *machine);
uint64_t machine_misses(struct machine *machine);

/* Time (measure.c). */

struct runner {
	const char *name;
	void (*prepare)(void *self); /* not timed; may be NULL */
	void (*run)(void *self);
	void *self;
	/* Filled: nanoseconds per operation, and the median of the ratios first runner / this one. */
	double median, least, ratio;
};

/* Rounds in which each runs once, in changing order, until the row's time is over. */
void measure(struct runner *runners, unsigned count, double operations);
double now_ns(void);
double median_of(double *values, unsigned count);
extern double bench_seconds_per_row;

/* The table (report.c). */

struct cells {
	const char *path, *target;
	char library[64], limit[64], hash[64];
	int met; /* 1, 0, or -1 where there is nothing to meet */
};
void report_begin(const char *library);
void report_row(const struct cells *cells);
void report_ns(char cell[64], const struct runner *runner);
void report_end(void);
void write_ns(char cell[64], double ns);

/* The rows, each in a file of its own. */
void rows_of_hits(void);
void rows_of_threads(void);
void rows_of_sets(void);
void rows_of_walks(void);
void rows_of_commands(void);
void rows_of_invalidations(void);
void rows_of_configurations(void);
void rows_of_events(void);
void rows_of_copies(void);
void rows_of_memory(void);
void rows_of_loading(const char *program, const char *library);
/* For rows_of_loading, in a process of its own. */
int load_once(const char *library);
/* Instruction counts; what callgrind collects is chosen by its options. */
void gate(void);

#endif
