/* SPDX-License-Identifier: MIT */
/* Section 4 of the header: the register frame. */
#include "guest.h"

static void mmio_refuses_what_is_no_access(void)
{
	static struct guest guest;
	uint64_t value = 7;
	static const uint32_t widths[] = { 0, 3, 5, 6, 7, 9, 16, UINT32_MAX };

	if (!guest_open(&guest, NULL))
		return;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		REFUSED(&guest, -EINVAL, "width",
			api.vsmmu_mmio_read(guest.vsmmu, 0, widths[i], &value));
		REFUSED(&guest, -EINVAL, "width",
			api.vsmmu_mmio_write(guest.vsmmu, CR2, widths[i], 2));
	}
	REFUSED(&guest, -EINVAL, "offset",
		api.vsmmu_mmio_read(guest.vsmmu, VSMMU_MMIO_SIZE, 4, &value));
	REFUSED(&guest, -EINVAL, "offset",
		api.vsmmu_mmio_write(guest.vsmmu, UINT64_MAX, 8, 0));
	EQUAL(value, 7);
	guest_close(&guest);
}

/* No access of a guest fails or changes anything that it should not. */
/* proves R-003 R-006 R-013 R-017 */
static void mmio_takes_any_guest_access(void)
{
	static struct guest guest;
	struct before before;

	if (!guest_open(&guest, NULL))
		return;
	before = note(&guest);
	for (uint64_t offset = 0; offset < VSMMU_MMIO_SIZE; offset++)
		for (uint32_t width = 1; width <= 8; width *= 2) {
			uint64_t value = 1;
			bool aligned = width >= 4 && offset % width == 0;

			/* The frame's end is no exception. */
			EQUAL(api.vsmmu_mmio_read(guest.vsmmu, offset, width, &value), 0);
			if (!aligned)
				EQUAL(value, 0);
			if ((offset & 0xffff) >= 0x1000)
				EQUAL(value, 0);
			if (!aligned || (offset & 0xffff) >= 0x1000)
				EQUAL(api.vsmmu_mmio_write(guest.vsmmu, offset, width, UINT64_MAX),
				      0);
		}
	{
		struct before after = note(&guest);

		CHECK(memcmp(&before, &after, sizeof(after)) == 0);
	}
	guest_close(&guest);
}

/* proves R-010 R-011 R-012 R-014 */
static void mmio_halves(void)
{
	static struct guest guest;
	uint64_t value = 0;

	if (!guest_open(&guest, NULL))
		return;
	write_register64(&guest, STRTAB_BASE, UINT64_C(0x0012345678abcdc0));
	EQUAL(read_register(&guest, STRTAB_BASE), UINT64_C(0x78abcdc0));
	EQUAL(read_register(&guest, STRTAB_BASE + 4) & 0xffff, UINT64_C(0x3456));
	write_register(&guest, STRTAB_BASE, 0x1000);
	EQUAL(read_register(&guest, STRTAB_BASE + 4) & 0xffff, UINT64_C(0x3456));
	EQUAL(read_register(&guest, STRTAB_BASE), 0x1000);
	/* Two neighbours in one 64-bit access. */
	EQUAL(api.vsmmu_mmio_read(guest.vsmmu, IDR0, 8, &value), 0);
	EQUAL(value, read_register(&guest, IDR0) | read_register(&guest, IDR1) << 32);
	/* Upper bits of a 32-bit write are not the register's. */
	EQUAL(api.vsmmu_mmio_write(guest.vsmmu, CR2, 4, UINT64_C(0xffffffff00000002)), 0);
	EQUAL(read_register(&guest, CR2), 2);
	EQUAL(read_register(&guest, CR2 + 4), 0);
	guest_close(&guest);
}

/* proves R-007 R-009 */
static void mmio_read_only(void)
{
	static struct guest guest;
	static const uint64_t offsets[] = { 0, 4, 8, 12, 16, 20, 24, 28, CR0ACK, IRQ_CTRLACK, GERROR,
					    0xfe0, 0xff0 };

	if (!guest_open(&guest, NULL))
		return;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		uint64_t before = read_register(&guest, offsets[i]);

		write_register(&guest, offsets[i], ~before);
		EQUAL(read_register(&guest, offsets[i]), before);
	}
	guest_close(&guest);
}

/* proves R-004 R-005 */
static void mmio_pages_alias(void)
{
	static struct guest guest;
	vsmmu_config config = { .size = sizeof(config) };

	if (!guest_open(&guest, &config))
		return;
	write_register(&guest, EVENTQ_CONS, 1);
	EQUAL(read_register(&guest, EVENTQ_CONS & 0xffff), 1);
	EQUAL(read_register(&guest, 0x10000 + IDR1), read_register(&guest, IDR1));
	guest_close(&guest);
	config.flags = VSMMU_STRICT_PAGES;
	if (!guest_open(&guest, &config))
		return;
	write_register(&guest, EVENTQ_CONS, 1);
	EQUAL(read_register(&guest, EVENTQ_CONS), 1);
	EQUAL(read_register(&guest, EVENTQ_CONS & 0xffff), 0);
	write_register(&guest, EVENTQ_CONS & 0xffff, 0);
	EQUAL(read_register(&guest, EVENTQ_CONS), 1);
	EQUAL(read_register(&guest, 0x10000 + IDR1), 0);
	guest_close(&guest);
}

void register_section(void)
{
	RUN(mmio_refuses_what_is_no_access);
	RUN(mmio_takes_any_guest_access);
	RUN(mmio_halves);
	RUN(mmio_read_only);
	RUN(mmio_pages_alias);
}
