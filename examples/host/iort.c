/* SPDX-License-Identifier: MIT */
/* A complete ACPI IORT (DEN0049): header, an ITS group, and the library's nodes. */
#include <gio/gio.h>
#include <string.h>

#include "tree.h"

#define ACPI_HEADER 36u
#define IORT_HEADER (ACPI_HEADER + 12u)
#define ITS_GROUP 24u
#define NODES (IORT_HEADER + ITS_GROUP)

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void put_headers(uint8_t *table, uint32_t length, gboolean reserves)
{
	memcpy(table, "IORT", 4);
	put32(table + 4, length);
	table[8] = reserves ? 5 : 3; /* revision: DEN0049 E.d, E.b */
	memcpy(table + 10, "VSMMU ", 6);
	memcpy(table + 16, "EXAMPLE ", 8);
	put32(table + 24, 1);
	memcpy(table + 28, "VSMM", 4);
	put32(table + 32, 1);
	put32(table + ACPI_HEADER, reserves ? 4 : 3); /* nodes */
	put32(table + ACPI_HEADER + 4, IORT_HEADER);
}

/* One ITS, whose number is the MADT's. */
static void put_its_group(uint8_t *node)
{
	node[0] = 0;         /* type */
	node[1] = ITS_GROUP; /* length, 16 bits */
	node[3] = 1;         /* revision */
	put32(node + 16, 1); /* ITS count; no mappings before it */
	put32(node + 20, 0); /* the ITS */
}

static void put_checksum(uint8_t *table, gsize length)
{
	uint8_t sum = 0;

	for (gsize i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

vsmmu_t *board_smmu(const struct library *library, vsmmu_host_t *host, uint64_t *idr0,
		    int32_t *failure)
{
	/* Of the least that hosts have, but what they are known to have here. */
	const vsmmu_config config = {
		.size = sizeof config,
		.profile = host ? VSMMU_PROFILE_ASSIGN : VSMMU_PROFILE_LINUX,
		.features = host ? "ASID16=1,GRAN64K=1,OAS=auto,ATS=auto" : NULL,
		.host = host,
	};
	const vsmmu_ops ops = { .size = sizeof ops };
	vsmmu_t *smmu = NULL;

	*failure = library->create(&config, &ops, NULL, &smmu, NULL, 0);
	if (*failure < 0)
		return NULL;
	/* To read a register is to freeze them. */
	*failure = library->mmio_read(smmu, 0, 4, idr0);
	return smmu;
}

/* The nodes of the board's SMMU; the caller frees them. */
static uint8_t *smmu_nodes(const struct library *library, vsmmu_host_t *host, int64_t *length)
{
	static const vsmmu_id_mapping bus = { .input_base = 0, .count = 0x100, .output_base = 0 };
	static const uint32_t spi[4] = BOARD_SPI;
	vsmmu_iort iort = {
		.size = sizeof iort,
		.offset = NODES,
		.its_offset = IORT_HEADER,
		.base = BOARD_SMMU,
		.mappings = &bus,
		.mapping_count = 1,
		.identifier = 1,
	};
	uint8_t *nodes = NULL;
	uint64_t idr0;
	int32_t failure;
	vsmmu_t *smmu = board_smmu(library, host, &idr0, &failure);

	*length = failure;
	if (smmu == NULL)
		return NULL;
	for (guint line = 0; line < G_N_ELEMENTS(spi); line++)
		iort.gsiv[line] = spi[line] + 32;
	*length = library->iort_nodes(smmu, &iort, NULL, 0);
	if (*length > 0) {
		nodes = g_malloc((gsize)*length);
		*length = library->iort_nodes(smmu, &iort, nodes, (uint64_t)*length);
	}
	library->destroy(smmu);
	return nodes;
}

gboolean write_iort(const struct library *library, vsmmu_host_t *host, const char *path,
		    GError **error)
{
	int64_t length;
	g_autofree uint8_t *nodes = smmu_nodes(library, host, &length);
	g_autofree uint8_t *table = NULL;

	if (nodes == NULL || length < 0) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "IORT: %s",
			    g_strerror((int)-length));
		return FALSE;
	}
	table = g_malloc0(NODES + (gsize)length);
	put_headers(table, NODES + (uint32_t)length, host != NULL);
	put_its_group(table + IORT_HEADER);
	memcpy(table + NODES, nodes, (size_t)length);
	put_checksum(table, NODES + (gsize)length);
	return write_output(path, table, NODES + (gsize)length, error);
}
