/* SPDX-License-Identifier: MIT */
/*
 * Random guests, devices, VMs and failures of the host:
 * simulation LIBRARY FIRST_SEED COUNT [STEPS [DEFECT]]
 *
 * A failing seed is printed with the step and what was wrong; the same seed does the same again,
 * and tells each step if it runs alone. DEFECT is 1 to 7 for what is planted (enum planted).
 */
#include "simulation.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct world world;
struct totals totals;
enum planted planted;
static jmp_buf end_of_run;

/* Seconds after which a step of some microseconds hangs. */
#define STUCK 60
static volatile unsigned step_at_alarm;

/* Words. */

static void where(void)
{
	printf("FAIL seed %llu, step %u (%s): ", (unsigned long long)world.seed, world.step,
	       world.what);
}

_Noreturn void violation(const char *format, ...)
{
	va_list list;

	where();
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	fflush(stdout);
	longjmp(end_of_run, 1);
}

void tell(const char *format, ...)
{
	va_list list;

	if (!world.verbose)
		return;
	printf("%4u %s: ", world.step, world.what);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
}

/* A crash or a hang names its seed too. */
static void on_signal(int number)
{
	char text[128];
	int length;

	if (number == SIGALRM && step_at_alarm != world.step) {
		step_at_alarm = world.step;
		alarm(STUCK);
		return;
	}
	length = snprintf(text, sizeof(text), "FAIL seed %llu, step %u (%s): signal %d\n",
			  (unsigned long long)world.seed, world.step, world.what, number);

	if (write(STDOUT_FILENO, text, (size_t)length) < 0)
		_exit(3);
	_exit(2);
}

/* What the shared guest checks. */

bool check(bool condition, const char *file, int line, const char *text)
{
	if (!condition)
		violation("%s:%d: not so: %s", file, line, text);
	return true;
}

bool check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
	if (got != want)
		violation("%s:%d: not so: %s: %#llx and %#llx", file, line, text,
			  (unsigned long long)got, (unsigned long long)want);
	return true;
}

bool check_contains(const char *text, const char *word, const char *file, int line)
{
	return check(strstr(text, word) != NULL, file, line, word);
}

int64_t answer(const char *call, int64_t result, ...)
{
	va_list list;
	int error;

	if (result >= 0)
		return result;
	va_start(list, result);
	while ((error = va_arg(list, int)) != 0)
		if (result == -error)
			break;
	va_end(list);
	if (error == 0 && !is_ordered(-result))
		violation("%s gives %lld, which it must not", call, (long long)result);
	tell("%.60s... = %lld", call, (long long)result);
	return result;
}

/* Choices: xorshift64*. */

uint64_t any(void)
{
	world.random ^= world.random >> 12;
	world.random ^= world.random << 25;
	world.random ^= world.random >> 27;
	return world.random * UINT64_C(0x2545f4914f6cdd1d);
}

unsigned below(unsigned limit)
{
	return (unsigned)((any() >> 33) % limit);
}

bool chance(unsigned percent)
{
	return below(100) < percent;
}

/* Steps. */

static struct vm *some_vm(void)
{
	for (unsigned i = 0, first = below(VMS); i < VMS; i++)
		if (world.vms[(first + i) % VMS].alive)
			return &world.vms[(first + i) % VMS];
	return NULL;
}

static void create_step(struct vm *vm)
{
	(void)vm;
	for (unsigned i = 0; i < VMS; i++)
		if (!world.vms[i].alive) {
			vm_create(&world.vms[i]);
			return;
		}
}

static void fail_step(struct vm *vm)
{
	(void)vm;
	order_failure();
}

static void drain_step(struct vm *vm)
{
	(void)vm;
	drain_failures();
}

static void crowd(struct vm *vm)
{
	(void)vm;
	crowd_step();
}

static void lose_step(struct vm *vm)
{
	(void)vm;
	SUCCEEDS(api.vsmmu_emulated_lose_events(world.emulated, below(4)));
}

static void cpu_step(struct vm *vm)
{
	if (vm->cpu >= 0)
		vm_put(vm);
	else
		vm_load(vm);
}

static void settle_step(struct vm *vm)
{
	if (!vm->model.started)
		return;
	drain_failures();
	driver_settle(vm);
	dma_all(vm);
	expect_event(vm);
}

static const struct {
	const char *name;
	void (*run)(struct vm *vm);
	unsigned weight;
} steps[] = {
	{ "map", driver_map, 60 }, { "invalidate", driver_invalidate, 40 },
	{ "endpoints", driver_endpoints, 30 },
	{ "sync", driver_sync, 40 }, { "dma", dma_step, 60 },
	{ "configure", driver_configure, 20 }, { "context", driver_context, 10 },
	{ "forget", driver_forget, 15 }, { "nonsense", driver_nonsense, 6 },
	{ "direct", direct_step, 30 }, { "shared parent", shared_step, 2 },
	{ "registers", driver_registers, 6 }, { "broadcast", driver_broadcast, 40 },
	{ "settle", settle_step, 12 }, { "events", take_events, 6 },
	{ "attach", device_attach_step, 16 }, { "detach", device_detach_step, 5 },
	{ "late host", late_host_step, 3 }, { "late number", late_number_step, 4 },
	{ "renumber", device_renumber_step, 4 }, { "device reset", device_reset_step, 4 },
	{ "cpu", cpu_step, 10 }, { "close the VM's file", vm_close_fd, 1 },
	{ "create", create_step, 5 }, { "destroy", vm_destroy, 2 },
	{ "reset", vm_reset_step, 2 }, { "save", vm_save_step, 2 }, { "restore", vm_restore_step, 3 },
	{ "memory", vm_memory_step, 2 }, { "BAR", bar_step, 30 },
	{ "emulated devices", vm_stream_step, 2 }, { "order a failure", fail_step, 14 },
	{ "drain failures", drain_step, 4 }, { "crowd", crowd, 4 }, { "lose events", lose_step, 2 },
};

/* What it takes to find a defect is done more often where it is planted. */
static unsigned weight(unsigned step)
{
	static void (*const needed[PLANTED_END])(struct vm *vm) = {
		[PLANTED_ENDPOINT] = driver_endpoints, [PLANTED_DIRECT] = direct_step,
		[PLANTED_ATTACH] = fail_step, [PLANTED_ASID] = shared_step,
	};

	return steps[step].weight * (steps[step].run == needed[planted] ? 6 : 1);
}

static void one_step(void)
{
	unsigned total = 0, choice, i;
	struct vm *vm = some_vm();

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		total += weight(i);
	choice = below(total);
	for (i = 0; choice >= weight(i); i++)
		choice -= weight(i);
	world.what = steps[i].name;
	if (vm == NULL)
		create_step(NULL);
	else
		steps[i].run(vm);
	totals.steps++;
	check_host();
}

/* Returns whether all that must hold did. */
static bool run(uint64_t seed, unsigned count)
{
	bool verbose = world.verbose;

	memset(&world, 0, sizeof(world));
	world.verbose = verbose;
	world.seed = seed;
	world.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	world.what = "open";
	step_at_alarm = UINT32_MAX;
	alarm(STUCK);
	if (setjmp(end_of_run))
		return false;
	world_open();
	for (world.step = 1; world.step <= count; world.step++)
		one_step();
	world.what = "close";
	world_close();
	return true;
}

/* Returns whether each kind of thing happened at all, if there were runs enough. */
static bool tell_totals(uint64_t runs)
{
	const struct { const char *name; uint64_t count; } all[] = {
		{ "steps", totals.steps }, { "DMAs", totals.passes },
		{ "of substreams", totals.substreams }, { "DMAs aborted", totals.aborts },
		{ "CMD_SYNCs", totals.syncs }, { "CPU TLBIs", totals.broadcasts },
		{ "failures ordered", totals.failures }, { "queues stopped", totals.stops },
		{ "commands illegal", totals.illegal }, { "attachments", totals.attachments },
		{ "refused", totals.refusals }, { "events", totals.events },
		{ "lost", totals.lost }, { "restored", totals.restores },
		{ "rollovers", totals.rollovers }, { "pins refused", totals.unpinnable },
		{ "BARs reached", totals.peers }, { "revoked", totals.revocations },
		{ "DMAs by what devices keep", totals.kept }, { "timeouts of devices", totals.timeouts },
		{ "direct TLBIs", totals.direct }, { "DMAs of two on one parent", totals.shared },
	};
	bool complete = true;

	printf(">");
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		printf("%s %llu %s", i ? "," : "", (unsigned long long)all[i].count, all[i].name);
		complete = complete && (all[i].count > 0 || runs < 500);
	}
	printf("\n");
	if (!complete)
		printf("FAIL something never happened\n");
	return complete;
}

int main(int argc, char **argv)
{
	uint64_t first, count, passed = 0, failed = 0;
	unsigned length = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 250;
	time_t told = time(NULL);
	bool verbose;

	if (argc < 4) {
		fprintf(stderr, "usage: %s LIBRARY FIRST_SEED COUNT [STEPS [DEFECT]]\n", argv[0]);
		return 2;
	}
	if (!api_load(argv[1]) || !api_load_emulated(argv[1]))
		return 1;
	first = strtoull(argv[2], NULL, 0);
	count = strtoull(argv[3], NULL, 0);
	verbose = count == 1;
	if (argc > 5)
		planted = (enum planted)strtoul(argv[5], NULL, 0);
	/* Guests' memory is used again instead of being given back to the system. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 512 << 20);
	for (int number = SIGILL; number <= SIGALRM; number++)
		if (number != SIGKILL && number != SIGPIPE)
			signal(number, on_signal);
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A run that failed leaves its files open. */
	for (uint64_t seed = first; seed < first + count && failed < (planted ? 1 : 10); seed++) {
		world.verbose = verbose;
		*(run(seed, length) ? &passed : &failed) += 1;
		if (time(NULL) >= told + 4) {
			told = time(NULL);
			printf("> seeds %llu to %llu of %llu\n", (unsigned long long)first,
			       (unsigned long long)seed, (unsigned long long)(first + count - 1));
		}
	}
	if (!tell_totals(passed + failed))
		failed++;
	printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
	return failed != 0 || passed == 0;
}
