/* SPDX-License-Identifier: MIT */
/* The few macros of the conformance program. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* One wrong answer is reported and counted; the test goes on. */
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
#define EQUAL(got, want) \
	check_equal((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, #got " == " #want)
#define CONTAINS(text, word) check_contains((text), (word), __FILE__, __LINE__)

/* Runs one test, unless the program was asked for others. */
#define RUN(test) run_test(#test, test)

bool check(bool condition, const char *file, int line, const char *text);
bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text);
bool check_contains(const char *text, const char *word, const char *file, int line);
void run_test(const char *name, void (*test)(void));
/* Tests whose names begin with one of these, up to NULL; all if there is none. */
void run_only(char **names);
/* How many were wrong so far. */
unsigned long check_wrong(void);
/* Prints the counts; what main returns. */
int check_finish(const char *name);

/* One for each section of the header. */
void version_section(void);
void argument_section(void);
void create_section(void);
void register_section(void);
void command_section(void);
void memory_section(void);
void translate_section(void);
void dma_section(void);
void state_section(void);
void saved_section(void);
void counter_section(void);
void firmware_section(void);
void thread_section(void);
void host_section(void);
void host_failure_section(void);
void host_change_section(void);
void host_end_section(void);
void host_limit_section(void);
void owned_section(void);
void late_section(void);
void negotiation_section(void);
void host_bar_section(void);
void link_section(void);
void ats_section(void);
void host_thread_section(void);
void wait_section(void);
void callback_section(void);
void change_section(void);
void emulated_section(void);
void kernel_port_section(void);
void direct_section(void);
void direct_failure_section(void);
void direct_thread_section(void);
void direct_random_section(void);

#endif
