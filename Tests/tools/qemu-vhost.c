/* SPDX-License-Identifier: MIT */
/*
 * qemu-vhost SOCKET IMAGE: a vhost-user disk for one QEMU, with an IOTLB. It reaches the guest's
 * memory only by translations that QEMU gave it, and uses each until QEMU takes it back: without
 * the SMMU's notices of invalidation it reads and writes pages that are no longer its own.
 * When QEMU goes it prints what it counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { /* requests of the front-end */
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_BACKEND_REQ_FD = 21,
	IOTLB = 22,
	GET_CONFIG = 24,
};

enum { BACKEND_IOTLB = 1 };
enum { IOTLB_MISS = 1, IOTLB_UPDATE, IOTLB_INVALIDATE };
enum { VERSION = 1, REPLY = 4, NEED_REPLY = 8 };

/* VERSION_1, ACCESS_PLATFORM and "there are protocol features"; REPLY_ACK, BACKEND_REQ, CONFIG. */
static const uint64_t features = 1ull << 32 | 1ull << 33 | 1ull << 30;
static const uint64_t protocol_features = 1 << 3 | 1 << 5 | 1 << 9;

struct region {
	uint64_t guest, size, user, offset;
	uint8_t *here;
};

struct iotlb {
	uint64_t iova, size, user;
	uint8_t perm, type;
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, number;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} ring;
		struct {
			uint32_t count, padding;
			struct {
				uint64_t guest, size, user, offset;
			} regions[8];
		} memory;
		struct {
			uint32_t offset, size, flags;
			uint8_t bytes[256];
		} config;
		struct iotlb iotlb;
		uint8_t bytes[1024];
	};
} __attribute__((packed));

static struct region regions[8];
static struct iotlb entries[1024];
static unsigned next_entry;
static struct {
	uint64_t desc, used, avail;
	uint32_t size;
	uint16_t next;
	int kick, call;
	bool stopped;
} ring = { .kick = -1, .call = -1, .stopped = true };
static int front, back = -1;
static uint8_t *disk;
static uint64_t disk_size;
static unsigned long requests, misses, invalidations, dropped;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void closing(int *fd, int now)
{
	if (*fd >= 0)
		close(*fd);
	*fd = now;
}

static void forget(uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);

	if (!size) { /* which Linux's vhost refuses */
		fprintf(stderr, "an invalidation of nothing\n");
		exit(1);
	}
	invalidations++;
	for (struct iotlb *e = entries; e < entries + 1024; e++) {
		if (e->size && e->iova <= last && iova <= e->iova + (e->size - 1)) {
			e->size = 0;
			dropped++;
		}
	}
}

static void map_memory(const struct message *m, const int *fds)
{
	for (unsigned i = 0; i < 8; i++) {
		struct region *r = &regions[i];

		if (r->here)
			munmap(r->here, r->size + r->offset);
		r->here = NULL;
		if (i >= m->memory.count)
			continue;
		r->guest = m->memory.regions[i].guest;
		r->size = m->memory.regions[i].size;
		r->user = m->memory.regions[i].user;
		r->offset = m->memory.regions[i].offset;
		r->here = mmap(NULL, r->size + r->offset, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fds[i], 0);
		if (r->here == MAP_FAILED)
			die("mmap");
		close(fds[i]);
	}
}

static bool receive(struct message *m, int fds[8])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec part = { m, 12 };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	for (int i = 0; i < 8; i++)
		fds[i] = -1;
	if (recvmsg(front, &header, MSG_WAITALL) != 12)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return m->size <= sizeof(m->bytes)
	       && (!m->size || recv(front, m->bytes, m->size, MSG_WAITALL) == m->size);
}

static void answer(struct message *m, uint32_t size)
{
	m->flags = VERSION | REPLY;
	m->size = size;
	if (write(front, m, 12 + size) != 12 + (ssize_t)size)
		die("answer");
}

/* Whether it answered itself. */
static bool handle(struct message *m, int *fds)
{
	struct iotlb *e;

	switch (m->request) {
	case GET_FEATURES:
		m->u64 = features;
		answer(m, 8);
		return true;
	case GET_PROTOCOL_FEATURES:
		m->u64 = protocol_features;
		answer(m, 8);
		return true;
	case GET_CONFIG: /* a capacity in sectors, then what no feature asks for */
		memset(m->config.bytes, 0, sizeof(m->config.bytes));
		memcpy(m->config.bytes, &(uint64_t){ disk_size / 512 }, 8);
		answer(m, m->size);
		return true;
	case GET_VRING_BASE:
		ring.stopped = true;
		m->state.number = ring.next;
		answer(m, 8);
		return true;
	case SET_MEM_TABLE:
		map_memory(m, fds);
		break;
	case SET_VRING_NUM:
		ring.size = m->state.number;
		break;
	case SET_VRING_BASE:
		ring.next = m->state.number;
		break;
	case SET_VRING_ADDR:
		ring.desc = m->ring.desc;
		ring.used = m->ring.used;
		ring.avail = m->ring.avail;
		break;
	case SET_VRING_KICK:
		closing(&ring.kick, fds[0]);
		ring.stopped = false;
		break;
	case SET_VRING_CALL:
		closing(&ring.call, fds[0]);
		break;
	case SET_VRING_ERR:
		closing(&fds[0], -1);
		break;
	case SET_BACKEND_REQ_FD:
		closing(&back, fds[0]);
		break;
	case IOTLB:
		if (m->iotlb.type == IOTLB_INVALIDATE) {
			forget(m->iotlb.iova, m->iotlb.size);
		} else if (m->iotlb.type == IOTLB_UPDATE) {
			e = &entries[next_entry++ % 1024];
			*e = m->iotlb;
		}
		break;
	}
	return false;
}

static void listen_to_front(void)
{
	struct message m;
	int fds[8];

	if (!receive(&m, fds)) {
		printf("requests %lu misses %lu invalidations %lu dropped %lu\n", requests, misses,
		       invalidations, dropped);
		exit(0);
	}
	if (!handle(&m, fds) && m.flags & NEED_REPLY) {
		m.u64 = 0;
		answer(&m, 8);
	}
}

/* What lies at an IOVA, and how many bytes of it; NULL if the ring was stopped meanwhile. */
static uint8_t *reach(uint64_t iova, bool write_it, uint64_t *length)
{
	struct message miss = {
		.request = BACKEND_IOTLB,
		.flags = VERSION,
		.size = sizeof(struct iotlb),
		.iotlb = { .iova = iova, .perm = write_it ? 2 : 1, .type = IOTLB_MISS },
	};
	bool asked = false;

	while (!ring.stopped) {
		for (struct iotlb *e = entries; e < entries + 1024; e++) {
			uint64_t user = e->user + (iova - e->iova);

			if (iova - e->iova >= e->size || !(e->perm & miss.iotlb.perm))
				continue;
			*length = e->size - (iova - e->iova);
			for (struct region *r = regions; r < regions + 8; r++)
				if (r->here && user - r->user < r->size)
					return r->here + r->offset + (user - r->user);
		}
		if (!asked && ++misses && write(back, &miss, 12 + miss.size) < 0)
			die("miss");
		asked = true;
		listen_to_front();
	}
	return NULL;
}

static bool copy(uint64_t iova, void *data, uint64_t size, bool write_it)
{
	uint8_t *from = data;

	while (size) {
		uint64_t length = 0;
		uint8_t *there = reach(iova, write_it, &length);

		if (!there)
			return false;
		length = length < size ? length : size;
		memcpy(write_it ? there : from, write_it ? from : there, length);
		iova += length;
		from += length;
		size -= length;
	}
	return true;
}

struct descriptor {
	uint64_t iova;
	uint32_t size;
	uint16_t flags, next;
};

/* A chain: 16 bytes of header, data, a byte of status. */
static bool serve(uint16_t head)
{
	struct {
		uint32_t type, priority;
		uint64_t sector;
	} header;
	struct descriptor d;
	uint32_t written = 0, steps = 0;
	uint64_t at;
	uint8_t status = 0;
	uint16_t used;

	if (!copy(ring.desc + 16 * head, &d, 16, false) || !copy(d.iova, &header, 16, false))
		return false;
	at = header.sector * 512;
	while (d.flags & 1 && steps++ < ring.size) {
		bool in;

		if (!copy(ring.desc + 16 * d.next, &d, 16, false))
			return false;
		in = d.flags & 2;
		if (!(d.flags & 1))
			break;
		if (header.type > 1 || at > disk_size || d.size > disk_size - at)
			status = 2;
		else if (!copy(d.iova, disk + at, d.size, in))
			return false;
		at += d.size;
		written += in ? d.size : 0;
	}
	requests++;
	if (!copy(d.iova, &status, 1, true) || !copy(ring.used + 2, &used, 2, false))
		return false;
	if (!copy(ring.used + 4 + used % ring.size * 8, (uint32_t[]){ head, written + 1 }, 8, true))
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	used++;
	return copy(ring.used + 2, &used, 2, true);
}

static void kicked(void)
{
	uint64_t count;
	uint16_t until, head;

	if (read(ring.kick, &count, 8) < 0 && errno != EAGAIN)
		die("kick");
	while (copy(ring.avail + 2, &until, 2, false) && until != ring.next) {
		if (!copy(ring.avail + 4 + ring.next % ring.size * 2, &head, 2, false) || !serve(head))
			return;
		ring.next++;
		if (ring.call >= 0 && write(ring.call, &(uint64_t){ 1 }, 8) < 0)
			die("call");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), file;
	struct stat st;

	if (argc != 3)
		return 2;
	file = open(argv[2], O_RDWR);
	if (file < 0 || fstat(file, &st))
		die(argv[2]);
	disk_size = st.st_size;
	disk = mmap(NULL, disk_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
	if (disk == MAP_FAILED || bind(listener, (struct sockaddr *)&address, sizeof(address))
	    || listen(listener, 1))
		die(argv[1]);
	front = accept(listener, NULL, NULL);
	if (front < 0)
		die("accept");
	for (;;) {
		struct pollfd ready[] = { { front, POLLIN, 0 }, { ring.kick, POLLIN, 0 } };

		if (poll(ready, ring.stopped ? 1 : 2, -1) < 0)
			die("poll");
		if (ready[0].revents)
			listen_to_front();
		else if (ready[1].revents)
			kicked();
	}
}
