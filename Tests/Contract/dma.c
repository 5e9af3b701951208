/* SPDX-License-Identifier: MIT */
/* What the hardware does: translations that stay until they are invalidated, and the events of
 * those that fail. */
#include "contract.h"

#include <poll.h>

/* What stage 1 maps SOURCE and TARGET to, and what it does not map. */
#define IOVA_SOURCE UINT64_C(0x7000000000)
#define IOVA_TARGET UINT64_C(0x7100000000)
#define IOVA_HOLE UINT64_C(0x7100005000)
#define IOVA_KIND UINT64_C(0x7200000000)
#define ASID UINT64_C(0x0007000000000000)
#define STREAM ((uint64_t)VSID << 32)

struct record {
	struct iommufd_vevent_header header;
	struct iommufd_vevent_arm_smmuv3 event;
};

static volatile uint64_t *at(uint64_t address)
{
	return (volatile uint64_t *)(ram + (address - RAM));
}

/* The descriptor of a page: 4 KiB granule, four levels from TABLES. */
static volatile uint64_t *leaf(uint64_t iova)
{
	static uint64_t next = TABLES + PAGE;
	uint64_t table = TABLES;

	for (int shift = 39; shift > 12; shift -= 9) {
		volatile uint64_t *d = at(table + 8 * (iova >> shift & 511));

		if (!(*d & 1))
			*d = next | 3, next += PAGE;
		table = *d & UINT64_C(0xfffffffff000);
	}
	return at(table + 8 * (iova >> 12 & 511));
}

/* nG, AF, inner shareable, unprivileged. */
void map_page(uint64_t iova, uint64_t to)
{
	*leaf(iova) = to | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
}

/* A context descriptor: AA64, A, R, ASET, IPS of 44 bits, EPD1, write-back tables, 48 bits. */
void write_context(void)
{
	*at(CONTEXT) = ASID | UINT64_C(7) << 45 | UINT64_C(1) << 41 | UINT64_C(4) << 32 |
		       1u << 31 | 1 << 30 | 3 << 12 | 1 << 10 | 1 << 8 | 16;
	*at(CONTEXT + 8) = TABLES;
	*at(CONTEXT + 24) = 0xff;
}

/* Does a new word travel from SOURCE to `seen`? */
int64_t copies(const struct lab *lab, uint64_t from, uint64_t to, uint64_t seen)
{
	static uint32_t word = 0x5a5a0000;

	*at(SOURCE) = ++word;
	*at(seen) = 0;
	sys.dma(lab->device[0], from, to);
	note("%s", (uint32_t)*at(seen) == word ? "copied" : "stopped");
	return 0;
}

static int64_t target(const struct lab *lab)
{
	return copies(lab, IOVA_SOURCE, IOVA_TARGET, TARGET);
}

/* Waits for an event: a minute on a machine that others use. */
static bool readable(int32_t fd)
{
	for (int i = 0; i < 6000 && !(sys.poll(fd) & POLLIN); i++)
		sys.pause();
	return sys.poll(fd) & POLLIN;
}

/* Until all events have come, which nothing tells: half a second. */
static void settle(void)
{
	for (int i = 0; i < 50; i++)
		sys.pause();
}

/* Nothing is to come: gives it some time to be wrong. */
static int64_t silent(int32_t fd)
{
	settle();
	note("%s", sys.poll(fd) & POLLIN ? "an event" : "no event");
	return 0;
}

static int64_t event(int32_t fd)
{
	struct record r;
	int64_t got;
	uint64_t *e = r.event.evt;

	readable(fd);
	got = sys.read(fd, &r, sizeof(r));
	if (got == 8)
		note("lost=%u sequence=%u", r.header.flags, r.header.sequence);
	else if (got == sizeof(r))
		note("sequence=%u type=%#x sid=%#x %s S2=%u class=%u address=%#" PRIx64,
		     r.header.sequence, (unsigned)(e[0] & 0xff), (unsigned)(e[0] >> 32),
		     e[1] >> 35 & 1 ? "read" : "write", (unsigned)(e[1] >> 39 & 1),
		     (unsigned)(e[1] >> 40 & 3), e[2]);
	else
		note("bytes=%d", (int)got);
	return got < 0 ? got : 0;
}

/* An event that has no more than that. */
static int64_t kind(int32_t fd)
{
	struct record r;
	int64_t got;

	readable(fd);
	got = sys.read(fd, &r, sizeof(r));
	if (got == sizeof(r))
		note("type=%#x sid=%#x", (unsigned)(r.event.evt[0] & 0xff),
		     (unsigned)(r.event.evt[0] >> 32));
	return got < 0 ? got : 0;
}

#define FAULT_AT(sequence, address) \
	"sequence=" sequence " type=0x10 sid=0x1234 write S2=0 class=2 address=" address

static void stale_rows(const struct lab *lab)
{
	uint64_t commands[64][2];

	row_with("stage 1 over stage 2", target(lab), 0, "copied");
	*leaf(IOVA_TARGET) = 0;
	row_with("unmapped, no command: the TLB", target(lab), 0, "copied");
	row_with("TLBI of another ASID", invalidate_one(lab, TLBI_NH_ASID | (ASID + ASID), 0), 0,
		 "done=1/1");
	row_with("the TLB", target(lab), 0, "copied");
	row_with("TLBI of another page",
		 invalidate_one(lab, TLBI_NH_VA | ASID, (IOVA_TARGET + PAGE) | 1), 0, "done=1/1");
	row_with("the TLB", target(lab), 0, "copied");
	/* The report counts what the hardware never saw. */
	for (unsigned i = 0; i < 64; i++)
		commands[i][0] = TLBI_NH_VA | ASID, commands[i][1] = IOVA_TARGET | 1;
	commands[1][0] = CMD_SYNC;
	row_with("a batch of 2, the second is bad",
		 invalidate(lab, lab->viommu, commands, 16, 2), EIO, "done=1/2");
	row_with("the first was not carried out", target(lab), 0, "copied");
	commands[1][0] = TLBI_NH_VA | ASID, commands[63][0] = CMD_SYNC;
	row_with("a batch of 64, the last is bad",
		 invalidate(lab, lab->viommu, commands, 16, 64), EIO, "done=63/64");
	row_with("63 were carried out", target(lab), 0, "stopped");
}

static void event_rows(const struct lab *lab, int32_t fd)
{
	uint8_t data[200];
	uint64_t last = IOVA_HOLE;

	row_with("its event", event(fd), 0, FAULT_AT("0", "0x7100000000"));
	row_with("no more", silent(fd), 0, "no event");
	map_page(IOVA_TARGET, TARGET);
	row_with("mapped again, no command", target(lab), 0, "copied");
	row_with("a page never mapped", copies(lab, IOVA_SOURCE, last, TARGET), 0, "stopped");
	note("%s", readable(fd) ? "readable" : "not");
	row_with("poll", 0, 0, "readable");
	row("read 8, an event waits", sys.read(fd, data, 8), EINVAL);
	row("read 39, an event waits", sys.read(fd, data, 39), EINVAL);
	row_with("its event", event(fd), 0, FAULT_AT("1", "0x7100005000"));
	copies(lab, IOVA_SOURCE, last + PAGE, TARGET);
	copies(lab, IOVA_SOURCE, last + 2 * PAGE, TARGET);
	row_with("two pages never mapped", 0, 0, "stopped stopped");
	settle();
	note("bytes=%d", (int)sys.read(fd, data, 119));
	row_with("read 119 of 120 bytes", 0, 0, "bytes=80");
}

/* A queue of two events: what does not fit is one record of its own. */
static void overflow_rows(const struct lab *lab, int32_t fd)
{
	for (int i = 0; i < 5; i++)
		copies(lab, IOVA_SOURCE, IOVA_HOLE + PAGE * (uint64_t)i, TARGET);
	row_with("5 events in a queue of 2", 0, 0, "stopped stopped stopped stopped stopped");
	settle();
	row_with("the first", event(fd), 0, FAULT_AT("0", "0x7100005000"));
	row_with("the second", event(fd), 0, FAULT_AT("1", "0x7100006000"));
	row_with("the loss", event(fd), 0, "lost=1 sequence=4");
	row_with("no more", silent(fd), 0, "no event");
	row_with("another", copies(lab, IOVA_SOURCE, IOVA_HOLE, TARGET), 0, "stopped");
	row_with("its sequence", event(fd), 0, FAULT_AT("5", "0x7100005000"));
	for (int i = 0; i < 4; i++)
		copies(lab, IOVA_SOURCE, IOVA_HOLE + PAGE * (uint64_t)i, TARGET);
	row_with("4 events in a queue of 2", 0, 0, "stopped stopped stopped stopped");
	settle();
	row_with("the first", event(fd), 0, FAULT_AT("6", "0x7100005000"));
	row_with("one more, after a loss", copies(lab, IOVA_SOURCE, IOVA_HOLE, TARGET), 0,
		 "stopped");
	settle();
	row_with("the second", event(fd), 0, FAULT_AT("7", "0x7100006000"));
	row_with("the one after the loss", event(fd), 0, FAULT_AT("10", "0x7100005000"));
	row_with("no more", silent(fd), 0, "no event");
}

static void config_rows(const struct lab *lab, int32_t fd)
{
	uint64_t saved = *at(CONTEXT);

	row_with("stage 1", target(lab), 0, "copied");
	*at(CONTEXT) = 0;
	row_with("an invalid context, no command", target(lab), 0, "copied");
	row_with("CFGI_CD", invalidate_one(lab, CFGI_CD | STREAM, 1), 0, "done=1/1");
	row_with("the context", copies(lab, IOVA_SOURCE, IOVA_TARGET, TARGET), 0, "stopped");
	row_with("C_BAD_CD of the read", kind(fd), 0, "type=0xa sid=0x1234");
	row_with("C_BAD_CD of the write", kind(fd), 0, "type=0xa sid=0x1234");
	*at(CONTEXT) = saved;
	row_with("CFGI_CD", invalidate_one(lab, CFGI_CD | STREAM, 1), 0, "done=1/1");
	row_with("stage 1", target(lab), 0, "copied");
}

/* What else stage 1 finds wrong. The write is the second of a transfer's two accesses. */
static void kind_rows(const struct lab *lab, int32_t fd)
{
	volatile uint64_t *page = leaf(IOVA_KIND), *context_word = at(CONTEXT);
	uint64_t saved = *context_word;

	map_page(IOVA_KIND, TARGET);
	*page |= 1 << 7;
	row_with("read only", copies(lab, IOVA_SOURCE, IOVA_KIND, TARGET), 0, "stopped");
	row_with("its event", kind(fd), 0, "type=0x13 sid=0x1234");
	*page = 0;
	invalidate_one(lab, TLBI_NH_ALL, 0);
	map_page(IOVA_KIND, TARGET);
	*page &= ~UINT64_C(0x400);
	row_with("TLBI of all", copies(lab, IOVA_SOURCE, IOVA_KIND, TARGET), 0, "done=1/1 stopped");
	row_with("no access flag", kind(fd), 0, "type=0x12 sid=0x1234");
	map_page(IOVA_KIND, UINT64_C(1) << 44);
	row_with("an address beyond IPS", copies(lab, IOVA_SOURCE, IOVA_KIND, TARGET), 0, "stopped");
	row_with("its event", kind(fd), 0, "type=0x11 sid=0x1234");
	*page = 0;
	row_with("a read", copies(lab, IOVA_KIND, IOVA_TARGET, OTHER), 0, "stopped");
	row_with("its event", event(fd), 0, "sequence=3 type=0x10 sid=0x1234 read S2=0 class=2 "
						"address=0x7200000000");
	row_with("beyond T0SZ", copies(lab, IOVA_SOURCE, UINT64_C(1) << 50, TARGET), 0, "stopped");
	row_with("its event", kind(fd), 0, "type=0x10 sid=0x1234");
	*context_word &= ~(UINT64_C(1) << 41);
	row_with("CFGI_CD of a 32-bit context", invalidate_one(lab, CFGI_CD | STREAM, 1), 0, "done=1/1");
	row_with("the context", target(lab), 0, "stopped");
	row_with("its events", (kind(fd), kind(fd)), 0, "type=0xa sid=0x1234 type=0xa sid=0x1234");
	*context_word = saved;
	at(CONTEXT)[1] = 0x10000;
	row_with("CFGI_CD of tables that stage 2 does not map",
		 invalidate_one(lab, CFGI_CD | STREAM, 1), 0, "done=1/1");
	row_with("TLBI of all", invalidate_one(lab, TLBI_NH_ALL, 0), 0, "done=1/1");
	row_with("the tables", target(lab), 0, "stopped");
	row_with("a fault of stage 2", silent(fd), 0, "no event");
	at(CONTEXT)[1] = TABLES;
	invalidate_one(lab, CFGI_CD | STREAM, 1);
	row_with("stage 1 again", target(lab), 0, "done=1/1 copied");
}

/* A mapping of stage 2 comes and goes under a stage 1 that stays. */
static void stage2_rows(const struct lab *lab, int32_t fd)
{
	map_page(IOVA_KIND, RAM + 4 * RAM_SIZE);
	row("MAP more, meanwhile", ioas_map(lab, lab->ioas, RAM + 4 * RAM_SIZE, RAM_SIZE), 0);
	row_with("through both stages", copies(lab, IOVA_SOURCE, IOVA_KIND, RAM), 0, "copied");
	row_with("UNMAP it, meanwhile", ioas_unmap(lab, lab->ioas, RAM + 4 * RAM_SIZE, RAM_SIZE), 0,
		 text("unmapped=%#" PRIx64, RAM_SIZE));
	row_with("the kernel has told the TLB", copies(lab, IOVA_SOURCE, IOVA_KIND, RAM), 0, "stopped");
	row_with("a fault of stage 2", silent(fd), 0, "no event");
	row_with("what else is mapped", target(lab), 0, "copied");
}

/* The StreamID of events is that of the vDEVICE at the time of the attachment. */
static void without_vdevice(const struct lab *lab, int32_t fd)
{
	row("DESTROY the vDEVICE", destroy(lab, lab->vdevice), 0);
	row_with("DMA goes on", target(lab), 0, "copied");
	*leaf(IOVA_HOLE) = 0;
	row_with("a page never mapped", copies(lab, IOVA_SOURCE, IOVA_HOLE, TARGET), 0, "stopped");
	row_with("its event, of a StreamID that is no more", kind(fd), 0, "type=0x10 sid=0x1234");
}

/* Streams that do not translate, and faults of stage 2. None gives an event. */
static void stream_rows(const struct lab *lab, int32_t fd)
{
	uint32_t bypass = (uint32_t)hwpt_nested(lab, STE_BYPASS, 0);
	uint32_t aborting = (uint32_t)hwpt_nested(lab, STE_ABORT, 0);
	uint32_t stage1 = (uint32_t)hwpt_nested(lab, STE_STAGE1, STE_ATTRIBUTES);

	attach(lab->device[0], bypass);
	row_with("bypass: stage 2 alone", copies(lab, SOURCE, TARGET, TARGET), 0, "copied");
	row_with("bypass: stage 2 does not map it", copies(lab, SOURCE, 0x1000, TARGET), 0, "stopped");
	row_with("a fault of stage 2", silent(fd), 0, "no event");
	attach(lab->device[0], aborting);
	row_with("abort", copies(lab, SOURCE, TARGET, TARGET), 0, "stopped");
	row_with("an abort", silent(fd), 0, "no event");
	attach(lab->device[0], stage1);
	row_with("stage 1 again", target(lab), 0, "copied");
	map_page(IOVA_HOLE, 0x1000);
	row_with("stage 1 to what stage 2 does not map",
		 copies(lab, IOVA_SOURCE, IOVA_HOLE, TARGET), 0, "stopped");
	row_with("a fault of stage 2", silent(fd), 0, "no event");
	attach(lab->device[0], lab->ioas);
	row_with("the IOAS", copies(lab, SOURCE, TARGET, TARGET), 0, "copied");
	row_with("UNMAP meanwhile", ioas_unmap(lab, lab->ioas, RAM, RAM_SIZE), 0,
		 text("unmapped=%#" PRIx64, RAM_SIZE));
	row_with("the IOAS, unmapped", copies(lab, SOURCE, TARGET, TARGET), 0, "stopped");
	row("MAP again", ioas_map(lab, lab->ioas, RAM, RAM_SIZE), 0);
	row_with("the IOAS, mapped again", copies(lab, SOURCE, TARGET, TARGET), 0, "copied");
	detach(lab->device[0]);
	row_with("detached", copies(lab, SOURCE, TARGET, TARGET), 0, "stopped");
}

void dma_rows(void)
{
	struct lab lab = lab_open(VDEVICE);
	uint32_t stage1 = (uint32_t)hwpt_nested(&lab, STE_STAGE1, STE_ATTRIBUTES);
	int32_t fd;
	int64_t queue = veventq_alloc(&lab, 16, &fd);

	section("dma");
	write_context();
	map_page(IOVA_SOURCE, SOURCE);
	map_page(IOVA_TARGET, TARGET);
	row("attach", attach(lab.device[0], stage1), 0);
	stale_rows(&lab);
	event_rows(&lab, fd);
	sys.close(fd);
	destroy(&lab, (uint32_t)queue);
	queue = veventq_alloc(&lab, 2, &fd);
	overflow_rows(&lab, fd);
	config_rows(&lab, fd);
	sys.close(fd);
	destroy(&lab, (uint32_t)queue);
	row_with("no queue: an event of no one", copies(&lab, IOVA_SOURCE, IOVA_HOLE, TARGET), 0,
		 "stopped");
	settle();
	veventq_alloc(&lab, 16, &fd);
	row_with("it is not kept", silent(fd), 0, "no event");
	kind_rows(&lab, fd);
	stage2_rows(&lab, fd);
	without_vdevice(&lab, fd);
	attach(lab.device[0], lab.ioas);
	vdevice_alloc(&lab, lab.id[0], VSID);
	stream_rows(&lab, fd);
	sys.close(fd);
	lab_close(&lab);
}
