/* SPDX-License-Identifier: MIT */
/* Section 9 of the header: IORT nodes (Arm DEN0049). */
#include "hosted.h"

static uint64_t field(const uint8_t *bytes, int offset, int width)
{
	uint64_t value = 0;

	for (int i = width - 1; i >= 0; i--)
		value = value << 8 | bytes[offset + i];
	return value;
}

static const vsmmu_id_mapping mappings[] = { { 0, 0x100, 0, 0 }, { 0x100, 0xff00, 0x20100, 0 } };

static const vsmmu_iort standard = {
	.size = sizeof(standard), .offset = 72, .its_offset = 48, .segment = 1,
	.base = UINT64_C(0x9050000), .gsiv = { 106, 0, 108, 109 }, .mappings = mappings,
	.mapping_count = 2, .identifier = 5,
};

static void iort_nodes(void)
{
	static struct guest guest;
	uint8_t bytes[512];
	const uint8_t *root;
	int64_t size;
	int length;

	if (!guest_open(&guest, NULL))
		return;
	size = api.vsmmu_iort_nodes(guest.vsmmu, &standard, NULL, 0);
	CHECK(size > 0 && size < (int64_t)sizeof(bytes));
	memset(bytes, 0xaa, sizeof(bytes));
	EQUAL(api.vsmmu_iort_nodes(guest.vsmmu, &standard, bytes, sizeof(bytes)), size);
	EQUAL(bytes[size], 0xaa);
	/* Type 4: SMMUv3. */
	length = (int)field(bytes, 1, 2);
	EQUAL(field(bytes, 0, 1), 4);
	EQUAL(field(bytes, 4, 4), 5);
	EQUAL(field(bytes, 16, 8), 0x9050000);
	EQUAL(field(bytes, 24, 4) & 1, 1);
	/* Event, PRI, GERR and Sync GSIV, in that order. */
	EQUAL(field(bytes, 44, 4), 106);
	EQUAL(field(bytes, 48, 4), 0);
	EQUAL(field(bytes, 52, 4), 109);
	EQUAL(field(bytes, 56, 4), 108);
	/* Type 2: the root complex, mapped to the node before it. */
	root = bytes + length;
	EQUAL(field(root, 0, 1), 2);
	EQUAL(length + (int)field(root, 1, 2), size);
	EQUAL(field(root, 4, 4), 6);
	EQUAL(field(root, 8, 4), 2);
	/* CCA, CPM and DACS; ATS as the registers have it. */
	EQUAL(field(root, 16, 8), UINT64_C(0x0300000000000001));
	EQUAL(field(root, 24, 4), read_register(&guest, IDR0) >> 10 & 1);
	EQUAL(field(root, 28, 4), 1);
	root += field(root, 12, 4);
	EQUAL(field(root, 0, 4), 0);
	EQUAL(field(root, 4, 4), 0xff);
	EQUAL(field(root, 8, 4), 0);
	EQUAL(field(root, 12, 4), 72);
	EQUAL(field(root, 20, 4), 0x100);
	EQUAL(field(root, 24, 4), 0xfeff);
	EQUAL(field(root, 28, 4), 0x20100);
	/* Cut off where the room ends. */
	memset(bytes, 0xaa, sizeof(bytes));
	EQUAL(api.vsmmu_iort_nodes(guest.vsmmu, &standard, bytes, 10), size);
	EQUAL(bytes[10], 0xaa);
	guest_close(&guest);
}

/* With a host: CANWBS, and the window of its doorbells mapped onto itself for every StreamID. */
static void iort_with_host(void)
{
	static struct hosted hosted;
	struct guest *guest = &hosted.guest;
	vsmmu_iort iort = standard;
	uint8_t bytes[512];
	const uint8_t *node = bytes;
	uint64_t first, last;
	int64_t size;

	if (!hosted_open(&hosted, NULL))
		return;
	EQUAL(api.vsmmu_msi_window(guest->vsmmu, &first, &last), 0);
	for (int round = 0; round < 2; round++) {
		size = api.vsmmu_iort_nodes(guest->vsmmu, &iort, bytes, sizeof(bytes));
		CHECK(size > 0 && size < (int64_t)sizeof(bytes));
		/* Devices that come change nothing: each proves what was said of all. */
		EQUAL(hosted_attach(&hosted, (uint32_t)round), 0);
	}
	/* SMMUv3, then the root complex with its memory access properties. */
	EQUAL(field(node, 0, 1), 4);
	node += field(node, 1, 2);
	EQUAL(field(node, 0, 1), 2);
	EQUAL(field(node, 16, 8), UINT64_C(0x0700000000000001));
	EQUAL(field(node, 24, 4), read_register(guest, IDR0) >> 10 & 1);
	node += field(node, 1, 2);
	/* RMR: type 6, revision 3. */
	EQUAL(field(node, 0, 1), 6);
	EQUAL(field(node, 3, 1), 3);
	EQUAL(field(node, 4, 4), 7);
	EQUAL(node + field(node, 1, 2) - bytes, size);
	/* Two mappings, behind one range. */
	EQUAL(field(node, 8, 4), 2);
	EQUAL(field(node, 12, 4), 48);
	/* May not be moved, unprivileged, Device-nGnRE. */
	EQUAL(field(node, 16, 4), 1 << 2);
	EQUAL(field(node, 20, 4), 1);
	EQUAL(field(node, 24, 4), 28);
	EQUAL(field(node, 28, 8), first);
	EQUAL(field(node, 36, 8), last - first + 1);
	EQUAL(field(node, 44, 4), 0);
	EQUAL((first | (last + 1)) & 0xffff, 0);
	for (int i = 0; i < 2; i++) {
		const uint8_t *map = node + 48 + 20 * i;

		EQUAL(field(map, 0, 4), mappings[i].output_base);
		EQUAL(field(map, 4, 4), mappings[i].count - 1);
		EQUAL(field(map, 8, 4), mappings[i].output_base);
		EQUAL(field(map, 12, 4), 72);
		EQUAL(field(map, 16, 4), 0);
	}
	hosted_close(&hosted);
}

static void iort_refusals(void)
{
	static struct guest guest;
	static const vsmmu_id_mapping none = { 0, 0, 0, 0 }, far_in = { UINT32_MAX, 2, 0, 0 },
				      far_out = { 0, 2, UINT32_MAX, 0 },
				      reserved = { 0, 2, 0, 1 };
	struct { vsmmu_iort iort; uint64_t more; } iort;

	if (!guest_open(&guest, NULL))
		return;
#define ATTEMPT() api.vsmmu_iort_nodes(guest.vsmmu, &iort.iort, NULL, 0)
#define SET(member, value) \
	do { \
		memset(&iort, 0, sizeof(iort)); \
		iort.iort = standard; \
		iort.member = (value); \
	} while (0)
	SET(iort.size, 0);
	REFUSED(&guest, -EINVAL, "iort.size", ATTEMPT());
	SET(iort.size, sizeof(iort));
	iort.more = 1;
	REFUSED(&guest, -E2BIG, "iort", ATTEMPT());
	SET(iort.mapping_count, 0);
	REFUSED(&guest, -EINVAL, "mapping_count", ATTEMPT());
	SET(iort.mapping_count, UINT32_MAX);
	REFUSED(&guest, -EINVAL, "mapping_count", ATTEMPT());
	SET(iort.mappings, NULL);
	REFUSED(&guest, -EINVAL, "mappings", ATTEMPT());
	SET(iort.mappings, &none);
	iort.iort.mapping_count = 1;
	REFUSED(&guest, -EINVAL, "mappings", ATTEMPT());
	iort.iort.mappings = &far_in;
	REFUSED(&guest, -EINVAL, "mappings", ATTEMPT());
	iort.iort.mappings = &far_out;
	REFUSED(&guest, -EINVAL, "mappings", ATTEMPT());
	iort.iort.mappings = &reserved;
	REFUSED(&guest, -EINVAL, "reserved", ATTEMPT());
	SET(iort.size, sizeof(iort));
	CHECK(ATTEMPT() > 0);
#undef ATTEMPT
#undef SET
	guest_close(&guest);
}

void firmware_section(void)
{
	RUN(iort_nodes);
	RUN(iort_with_host);
	RUN(iort_refusals);
}
