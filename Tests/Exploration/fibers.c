/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "exploration.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The model tells threads apart by the 64 KiB that their stacks are in. */
#define STACK_BYTES (256u << 10)
#define STACKS ((char *)0x300000000000)

struct fiber {
	ucontext_t context;
	void (*body)(void *);
	void *argument;
	bool has_stack;
};

static struct fiber fibers[FIBERS_MOST];
static ucontext_t main_program;
static int current = -1;

static void run(void)
{
	struct fiber *fiber = &fibers[current];

	fiber->body(fiber->argument);
	fiber_leave();
}

void fiber_start(unsigned number, void (*body)(void *), void *argument)
{
	struct fiber *fiber = &fibers[number];
	char *stack = STACKS + number * 16 * STACK_BYTES;

	fiber->body = body;
	fiber->argument = argument;
	if (!fiber->has_stack && mmap(stack, STACK_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
				      0) != stack) {
		perror("a stack");
		exit(2);
	}
	fiber->has_stack = true;
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = stack;
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, run, 0);
}

void fiber_resume(unsigned number)
{
	ucontext_t *from = current < 0 ? &main_program : &fibers[current].context;

	current = (int)number;
	swapcontext(from, &fibers[number].context);
}

void fiber_leave(void)
{
	int from = current;

	current = -1;
	swapcontext(&fibers[from].context, &main_program);
}
