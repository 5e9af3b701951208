/* SPDX-License-Identifier: MIT */
/* The steps. Each prints "ok" or "FAIL"; the last line counts them. */
#include "endtoend.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define IOVA_SOURCE UINT64_C(0x7000000000)
#define IOVA_TARGET UINT64_C(0x7100000000)
#define IOVA_HOLE UINT64_C(0x7100005000)

static unsigned passed, failed;
static struct guest guest;
static vsmmu_host_t *host;

bool step(bool right, const char *what)
{
	printf("%-4s %s\n", right ? "ok" : "FAIL", what);
	fflush(stdout);
	*(right ? &passed : &failed) += 1;
	return right;
}

bool equal(uint64_t got, uint64_t want, const char *what)
{
	if (step(got == want, what))
		return true;
	printf("     it is %#llx (%lld) and should be %#llx\n", (unsigned long long)got,
	       (long long)got, (unsigned long long)want);
	return false;
}

/* Does a new word travel from SOURCE to `seen`? */
static bool copies(uint64_t from, uint64_t to, uint64_t seen)
{
	return travels(&guest, vsmmu_device_fd(guest.vsmmu, STREAM), from, to, seen);
}

static bool translates(void)
{
	return copies(IOVA_SOURCE, IOVA_TARGET, TARGET);
}

static vsmmu_host_counters counters(void)
{
	vsmmu_host_counters c = {.size = sizeof(c)};

	vsmmu_get_host_counters(guest.vsmmu, &c);
	return c;
}

/* What the guest reads after the host's events were moved to it. */
static unsigned events_for(uint64_t last[4])
{
	unsigned count = 0;

	platform_settle();
	vsmmu_event_run(guest.vsmmu);
	while (take_event(&guest, last))
		count++;
	return count;
}

/* --- What streams are ------------------------------------------------------------------------- */

static void before_the_driver(void)
{
	step(copies(SOURCE, TARGET, TARGET), "SMMUEN 0, GBPA passes: DMA by physical address");
	write_register(&guest, GBPA, UINT64_C(1) << 31 | 1 << 20);
	step(!copies(SOURCE, TARGET, TARGET), "GBPA aborts: no DMA");
	write_register(&guest, GBPA, UINT64_C(1) << 31);
	step(copies(SOURCE, TARGET, TARGET), "GBPA passes again");
}

static void translation(void)
{
	guest_start(&guest);
	equal(read_register(&guest, CR0ACK), SMMUEN | EVENTQEN | CMDQEN, "the SMMU is on");
	step(!copies(SOURCE, TARGET, TARGET), "an STE of zeros: no DMA");
	set_context(&guest, TABLES);
	map(&guest, TABLES, IOVA_SOURCE, SOURCE);
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	step(set_stage1(&guest, STREAM), "STE of stage 1, CFGI_STE, SYNC");
	step(translates(), "DMA through stage 1 over stage 2");
	step(!copies(SOURCE, TARGET, TARGET), "no DMA by physical address");
}

static void faults(void)
{
	uint64_t event[4] = {0};

	events_for(event);
	unmap(&guest, TABLES, IOVA_TARGET);
	step(translates(), "unmapped without TLBI: the host's TLB still has it");
	equal(events_for(event), 0, "no event");
	step(invalidate_page(&guest, IOVA_TARGET), "TLBI_NH_VA, SYNC");
	step(!translates(), "DMA is stopped");
	equal(events_for(event), 1, "one event in the guest's queue");
	equal(event[0] & 0xff, F_TRANSLATION, "F_TRANSLATION");
	equal(event[0] >> 32, STREAM, "of the guest's StreamID");
	equal(event[2], IOVA_TARGET, "at the IOVA");
	equal(event[1] >> 35 & 1, 0, "of a write");
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	step(translates(), "mapped again, no command: DMA passes");
	copies(IOVA_SOURCE, IOVA_HOLE, TARGET);
	copies(IOVA_SOURCE, IOVA_HOLE + PAGE, TARGET);
	equal(events_for(event), 2, "two pages never mapped: two events");
	equal(event[2], IOVA_HOLE + PAGE, "in order");
}

/* By each command that reaches the target. */
static void invalidations(void)
{
	static const struct {
		const char *what;
		uint64_t low, high;
	} reaching[] = {
		{"TLBI_NH_VA", TLBI_NH_VA | ASID << 48, IOVA_TARGET},
		{"TLBI_NH_VAA", TLBI_NH_VAA, IOVA_TARGET | 1},
		{"TLBI_NH_ASID", TLBI_NH_ASID | ASID << 48, 0},
		{"TLBI_NH_ALL", TLBI_NH_ALL, 0},
		{"TLBI_NSNH_ALL", TLBI_NSNH_ALL, 0},
	}, others[] = {
		{"TLBI_NH_VA of another page", TLBI_NH_VA | ASID << 48, IOVA_HOLE},
		{"TLBI_NH_ASID of another", TLBI_NH_ASID | (ASID + 1) << 48, 0},
	};
	char line[100];
	uint64_t event[4];

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		unmap(&guest, TABLES, IOVA_TARGET);
		command(&guest, others[i].low, others[i].high);
		sync_commands(&guest);
		snprintf(line, sizeof(line), "%s leaves it", others[i].what);
		step(translates(), line);
	}
	for (size_t i = 0; i < sizeof(reaching) / sizeof(reaching[0]); i++) {
		map(&guest, TABLES, IOVA_TARGET, TARGET);
		translates();
		unmap(&guest, TABLES, IOVA_TARGET);
		command(&guest, reaching[i].low, reaching[i].high);
		sync_commands(&guest);
		snprintf(line, sizeof(line), "%s removes it", reaching[i].what);
		step(!translates(), line);
	}
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	events_for(event);
}

/* A page by the encoding of ranges, where the guest was told that it may. */
static void ranges(void)
{
	uint64_t event[4];

	if (!(read_register(&guest, IDR3) >> 10 & 1)) {
		step(true, "no range invalidation here");
		return;
	}
	translates();
	unmap(&guest, TABLES, IOVA_TARGET);
	/* NUM 1: two pages; 4 KiB, last level. */
	command(&guest, TLBI_NH_VA | 1 << 12 | ASID << 48, IOVA_TARGET | 1 << 10 | 3 << 8 | 1);
	step(sync_commands(&guest), "TLBI_NH_VA of a range");
	step(!translates(), "removes it");
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	translates();
	unmap(&guest, TABLES, IOVA_TARGET);
	/* VMID and bits that no field has: ignored, and not the host's to see. */
	command(&guest, TLBI_NH_VA | 3 << 8 | UINT64_C(0x55) << 32 | ASID << 48, IOVA_TARGET | 0xe);
	step(sync_commands(&guest), "TLBI_NH_VA with stray bits");
	step(!translates(), "removes it");
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	events_for(event);
}

static void contexts(void)
{
	uint64_t event[4] = {0};

	translates();
	map(&guest, OTHER_TABLES, IOVA_SOURCE, SOURCE);
	map(&guest, OTHER_TABLES, IOVA_TARGET, OTHER);
	set_context(&guest, OTHER_TABLES);
	step(translates(), "another context, no command: the cached one is used");
	command(&guest, CFGI_CD | (uint64_t)STREAM << 32, 1);
	command(&guest, TLBI_NH_ASID | ASID << 48, 0);
	step(sync_commands(&guest), "CFGI_CD, TLBI_NH_ASID, SYNC");
	step(copies(IOVA_SOURCE, IOVA_TARGET, OTHER), "DMA goes where the other tables say");
	*at(&guest, CONTEXT) = 0;
	command(&guest, CFGI_CD | (uint64_t)STREAM << 32, 1);
	sync_commands(&guest);
	step(!translates(), "an invalid context: no DMA");
	step(events_for(event) > 0 && (event[0] & 0xff) == C_BAD_CD, "C_BAD_CD");
	set_context(&guest, TABLES);
	command(&guest, CFGI_CD | (uint64_t)STREAM << 32, 1);
	command(&guest, TLBI_NH_ASID | ASID << 48, 0);
	step(sync_commands(&guest) && translates(), "the first context again");
}

static void streams(void)
{
	uint64_t event[4];

	step(set_bypass(&guest, STREAM), "STE of bypass");
	step(copies(SOURCE, TARGET, TARGET), "DMA by physical address");
	step(!copies(SOURCE, 0x1000, TARGET), "but not where there is no RAM");
	step(set_abort(&guest, STREAM), "STE of abort");
	step(!copies(SOURCE, TARGET, TARGET), "no DMA");
	equal(events_for(event), 0, "and no event");
	step(set_stage1(&guest, STREAM), "STE of stage 1 again");
	step(translates(), "DMA through stage 1");
	write_register(&guest, CR0, CMDQEN | EVENTQEN);
	step(copies(SOURCE, TARGET, TARGET), "SMMUEN 0: DMA by physical address");
	write_register(&guest, CR0, CMDQEN | EVENTQEN | SMMUEN);
	step(translates(), "SMMUEN 1: DMA through stage 1");
}

/* The queue stops at a command that is none, as without a host, and what is behind it waits. */
static void illegal_command(void)
{
	uint32_t slot = guest.produced;
	uint64_t event[4];

	translates();
	unmap(&guest, TABLES, IOVA_TARGET);
	command(&guest, 0xff, 0);
	command(&guest, TLBI_NH_VA | ASID << 48, IOVA_TARGET | 1);
	step(!sync_commands(&guest), "an illegal command");
	equal(read_register(&guest, CMDQ_CONS), slot | 1 << 24, "CMDQ_CONS: CERROR_ILL, at its slot");
	step(translates(), "the TLBI behind it waits");
	at(&guest, COMMANDS + 16 * (uint64_t)(slot & 255))[0] = SYNC;
	write_register(&guest, GERRORN, read_register(&guest, GERROR));
	step(sync_commands(&guest), "replaced and acknowledged: the queue runs");
	step(!translates(), "and the TLBI removes it");
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	events_for(event);
}

/* --- What it costs ---------------------------------------------------------------------------- */

/* As Linux goes from bypass to stage 1: first what bypass does not use, then the word that counts,
 * then what stage 1 does not use. */
static void three_steps(void)
{
	volatile uint64_t *ste = at(&guest, STREAM_TABLE + 64 * STREAM);
	const uint64_t attributes = 3 << 6 | 1 << 4 | 1 << 2, sharing = UINT64_C(1) << 44;
	uint64_t hwpts;

	set_bypass(&guest, STREAM);
	hwpts = counters().hwpts;
	set_ste(&guest, STREAM, ste[0], sharing | attributes);
	sync_commands(&guest);
	step(copies(SOURCE, TARGET, TARGET), "first step: bypass as before");
	set_ste(&guest, STREAM, CONTEXT | 5 << 1 | 1, sharing | attributes);
	sync_commands(&guest);
	step(translates(), "second step: stage 1");
	set_ste(&guest, STREAM, ste[0], attributes);
	sync_commands(&guest);
	step(translates(), "third step: the same");
	equal(counters().hwpts - hwpts, 1, "one HWPT in all");
}

static void counts(void)
{
	uint64_t calls = counters().invalidate_calls, hwpts = counters().hwpts;

	for (unsigned i = 0; i < 100; i++)
		invalidate_page(&guest, IOVA_HOLE + PAGE * i);
	equal(counters().invalidate_calls - calls, 100, "100 TLBIs with a SYNC each: 100 calls");
	calls = counters().invalidate_calls;
	for (unsigned i = 0; i < 64; i++)
		command(&guest, TLBI_NH_VA | ASID << 48, (IOVA_HOLE + PAGE * i) | 1);
	sync_commands(&guest);
	equal(counters().invalidate_calls - calls, 1, "64 TLBIs with one SYNC: 1 call");
	/* Bits that a stream with Config 5 does not use. */
	set_ste(&guest, STREAM, CONTEXT | 5 << 1 | 1, 3 << 6 | 1 << 4 | 1 << 2);
	sync_commands(&guest);
	at(&guest, STREAM_TABLE + 64 * STREAM)[2] = 0x55;
	command(&guest, CFGI_STE | (uint64_t)STREAM << 32, 1);
	sync_commands(&guest);
	equal(counters().hwpts - hwpts, 0, "an STE that says the same: no HWPT");
	step(translates(), "DMA goes on");
	three_steps();
	equal(counters().failures, 0, "the kernel never failed on the guest's behalf");
}

/* --- What the guest and the VMM are told ------------------------------------------------------ */

/* Before the guest's first register access. */
static void negotiated(void)
{
	static char report[16384];
	uint64_t first = 0, last = 0;
	int64_t length = vsmmu_negotiation_report(guest.vsmmu, VSMMU_REPORT_TEXT, report,
						  sizeof(report));

	step(length > 0 && strstr(report, "BTM"), "the report speaks of BTM");
	equal((uint64_t)vsmmu_msi_window(guest.vsmmu, &first, &last), 0, "vsmmu_msi_window");
	step(first == 0x8000000 && last == 0x80fffff, "the window of Linux");
}

static void identified(void)
{
	uint64_t idr0 = read_register(&guest, IDR0);

	equal(idr0 >> 1 & 1, 1, "IDR0.S1P");
	equal(idr0 & 1, 0, "IDR0.S2P is 0: stage 2 is the host's");
	equal(idr0 >> 5 & 1, 0, "IDR0.BTM is 0: no VM is linked");
	equal(idr0 >> 6 & 3, 0, "IDR0.HTTU is 0: no kernel does it for a guest");
}

/* A thread of the library moves events instead of the VMM's loop. */
static void event_thread(void)
{
	uint64_t event[4] = {0};
	bool came = false;

	events_for(event);
	equal((uint64_t)vsmmu_event_thread(guest.vsmmu, 1), 0, "an event thread");
	copies(IOVA_SOURCE, IOVA_HOLE, TARGET);
	for (int i = 0; i < 6000 && !came; i++) {
		usleep(10000);
		came = take_event(&guest, event);
	}
	step(came && event[2] == IOVA_HOLE, "moves an event");
	equal((uint64_t)vsmmu_event_thread(guest.vsmmu, 0), 0, "no event thread");
}

/* --- Devices ---------------------------------------------------------------------------------- */

static void second_device(void)
{
	equal((uint64_t)attach(&guest, 1, STREAM), (uint64_t)-EEXIST, "another device, the same StreamID");
	equal((uint64_t)attach(&guest, 0, STREAM + 1), (uint64_t)-EINVAL,
	      "the same device, another StreamID");
	step(translates(), "DMA goes on");
	equal((uint64_t)attach(&guest, 1, STREAM + 1), 0, "another device beside");
	equal(counters().devices, 2, "two devices");
	equal((uint64_t)vsmmu_device_detach(guest.vsmmu, STREAM + 1), 0, "detach it");
	step(translates(), "DMA goes on");
}

static void renumbered(void)
{
	uint64_t event[4] = {0};

	set_abort(&guest, STREAM);
	equal((uint64_t)vsmmu_device_renumber(guest.vsmmu, STREAM, 5), 0, "StreamID 8 becomes 5");
	set_ste(&guest, 5, CONTEXT | 5 << 1 | 1, 3 << 6 | 1 << 4 | 1 << 2);
	step(sync_commands(&guest), "STE 5 of stage 1");
	*at(&guest, SOURCE) = 0x1234;
	*at(&guest, TARGET) = 0;
	platform_dma(vsmmu_device_fd(guest.vsmmu, 5), IOVA_SOURCE, IOVA_TARGET);
	equal((uint32_t)*at(&guest, TARGET), 0x1234, "DMA by the STE of 5");
	events_for(event);
	platform_dma(vsmmu_device_fd(guest.vsmmu, 5), IOVA_SOURCE, IOVA_HOLE);
	equal(events_for(event), 1, "an event");
	equal(event[0] >> 32, 5, "of StreamID 5");
	equal((uint64_t)vsmmu_device_renumber(guest.vsmmu, 5, STREAM), 0, "and 8 again");
	step(set_stage1(&guest, STREAM) && translates(), "DMA by the STE of 8");
}

/* A VMM's loop: the file becomes readable. */
static void event_file(void)
{
	struct pollfd file = {vsmmu_event_fd(guest.vsmmu), POLLIN, 0};
	uint64_t event[4];

	events_for(event);
	equal((uint64_t)poll(&file, 1, 0), 0, "the event file is not readable");
	copies(IOVA_SOURCE, IOVA_HOLE, TARGET);
	equal((uint64_t)poll(&file, 1, 60000), 1, "it is, after a fault");
	equal((uint64_t)vsmmu_event_run(guest.vsmmu), 1, "vsmmu_event_run moves one");
	equal((uint64_t)poll(&file, 1, 0), 0, "and then it is not");
	equal(events_for(event), 1, "the guest has it");
}

static void unplugged(void)
{
	equal((uint64_t)vsmmu_device_detach(guest.vsmmu, STREAM), 0, "detach");
	equal((uint64_t)vsmmu_device_detach(guest.vsmmu, STREAM), (uint64_t)-ENOENT, "again");
	equal((uint64_t)attach(&guest, 0, STREAM), 0, "attach again");
	step(translates(), "DMA through stage 1, at once");
	equal((uint64_t)vsmmu_reset(guest.vsmmu), 0, "reset the vSMMU");
	step(copies(SOURCE, TARGET, TARGET), "DMA by physical address");
}

static void one_life(void)
{
	step(platform_open(&host), "open the host");
	if (!host || !build(&guest, host, NULL))
		return;
	equal((uint64_t)attach(&guest, 0, STREAM), 0, "attach the device");
	negotiated();
	identified();
	before_the_driver();
	translation();
	faults();
	invalidations();
	ranges();
	contexts();
	streams();
	illegal_command();
	counts();
	second_device();
	renumbered();
	event_file();
	event_thread();
	unplugged();
	equal((uint64_t)vsmmu_host_close(host), (uint64_t)-EBUSY, "close the host: a vSMMU uses it");
	vsmmu_destroy(guest.vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "close the host");
	step(platform_is_clean(), "nothing is left");
}

/* A VMM that ends in the middle of it: all is attached. */
static void short_life(void)
{
	if (!platform_open(&host) || !build(&guest, host, NULL))
		return;
	attach(&guest, 0, STREAM);
	attach(&guest, 1, STREAM + 1);
	guest_start(&guest);
	set_context(&guest, TABLES);
	map(&guest, TABLES, IOVA_SOURCE, SOURCE);
	map(&guest, TABLES, IOVA_TARGET, TARGET);
	set_stage1(&guest, STREAM);
	set_stage1(&guest, STREAM + 1);
	step(translates(), "DMA in another life");
	vsmmu_destroy(guest.vsmmu);
	equal((uint64_t)vsmmu_host_close(host), 0, "destroyed while attached");
	step(platform_is_clean(), "nothing is left");
}

int main(void)
{
	guest.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (guest.ram == MAP_FAILED)
		return 2;
	one_life();
	for (unsigned i = 0; i < 3; i++)
		short_life();
	linked_lives(&guest);
	owner_life(&guest);
	bars_life(&guest);
	interrupts_life(&guest);
	facts_life(&guest);
	failing_life(&guest);
	platform_close();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0 || passed == 0;
}
