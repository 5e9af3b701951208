/* SPDX-License-Identifier: MIT */
/* Sections 2 and 3 of the header: configuration, lifetime, reset, messages. */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>

/* A create that must fail: the reason, and the pointer that was there before. */
static void refuse_create(int32_t error, const char *word, const vsmmu_config *config,
			  const vsmmu_ops *ops)
{
	vsmmu_t *const marker = (vsmmu_t *)(uintptr_t)0x5a5a;
	vsmmu_t *vsmmu = marker;
	char message[256] = "";

	EQUAL(api.vsmmu_create(config, ops, NULL, &vsmmu, message, sizeof(message)), error);
	CONTAINS(message, word);
	CHECK(strchr(message, '\n') == NULL);
	CHECK(vsmmu == marker);
	/* The message is not demanded. */
	EQUAL(api.vsmmu_create(config, ops, NULL, &vsmmu, NULL, 0), error);
}

static void refuse_config(int32_t error, const char *word, vsmmu_config config)
{
	config.size = sizeof(config);
	refuse_create(error, word, &config, &guest_ops);
}

static void refuse_features(const char *word, const char *features)
{
	refuse_config(-EINVAL, word, (vsmmu_config){ .features = features });
}

static uint64_t register_of(const char *features, uint32_t profile, uint64_t offset)
{
	static struct guest guest;
	const vsmmu_config config = {
		.size = sizeof(config), .profile = profile, .features = features,
	};
	uint64_t value;

	if (!guest_open(&guest, &config))
		return 0;
	value = read_register(&guest, offset);
	guest_close(&guest);
	return value;
}

static void create_defaults(void)
{
	static struct guest guest;

	if (!guest_open(&guest, NULL))
		return;
	/* Both stages, AArch64 tables, 4K, 16K and 64K granules. */
	EQUAL(read_register(&guest, IDR0) & 0xf, 0xb);
	EQUAL(read_register(&guest, IDR5) >> 4 & 7, 7);
	EQUAL(read_register(&guest, CR0), 0);
	EQUAL(guest.logs, 0);
	guest_close(&guest);
}

static void create_profiles(void)
{
	/* IDR0.S2P is bit 0, S1P bit 1, MSI bit 13. */
	EQUAL(register_of(NULL, VSMMU_PROFILE_LINUX, IDR0) & 3, 2);
	EQUAL(register_of(NULL, VSMMU_PROFILE_LINUX, IDR0) >> 13 & 1, 1);
	EQUAL(register_of(NULL, VSMMU_PROFILE_FULL, IDR0) & 3, 3);
	refuse_config(-EINVAL, "profile", (vsmmu_config){ .profile = 3 });
	refuse_config(-EINVAL, "profile", (vsmmu_config){ .profile = UINT32_MAX });
}

static void create_features(void)
{
	EQUAL(register_of("S2P=0,VMW=0 VMID16=0,XNX=0,FWB=0,STT=0", 0, IDR0) & 1, 0);
	EQUAL(register_of("SIDSIZE=8", 0, IDR1) & 0x3f, 8);
	EQUAL(register_of("SIDSIZE=0x9", 0, IDR1) & 0x3f, 9);
	EQUAL(register_of("OAS=4", 0, IDR5) & 7, 4);
	EQUAL(register_of("IIDR=0x43b", 0, IIDR), 0x43b);
	EQUAL(register_of("IIDR=0xFFFFFFFF", 0, IIDR), 0xffffffff);
	EQUAL(register_of("", 0, IDR1) & 0x3f, 16);
	EQUAL(register_of("SIDSIZE=32", 0, IDR1) & 0x3f, 32);
	EQUAL(register_of(" , ,SIDSIZE=7,\t\n", 0, IDR1) & 0x3f, 7);
	/* The last word counts. */
	EQUAL(register_of("SIDSIZE=8 SIDSIZE=9", 0, IDR1) & 0x3f, 9);
}

static void create_refuses_feature_text(void)
{
	static char endless[4096];

	refuse_features("NONSENSE", "NONSENSE=1");
	refuse_features("OAS", "OAS");
	refuse_features("OAS", "OAS=");
	refuse_features("OAS", "OAS=x");
	refuse_features("OAS", "OAS=1z");
	refuse_features("OAS", "OAS=-1");
	refuse_features("OAS", "OAS=0x");
	refuse_features("OAS", "OAS=8");
	refuse_features("SIDSIZE", "SIDSIZE=64");
	refuse_features("SIDSIZE", "SIDSIZE=4294967296");
	refuse_features("SIDSIZE", "SIDSIZE=99999999999999999999999");
	refuse_features("=1", "=1");
	refuse_features("S2P", "S2P=0=1");
	refuse_features("oas", "oas=4");
	memset(endless, 'A', sizeof(endless) - 1);
	refuse_features("A", endless);
}

/* What no one implements, and what 6.3.1 to 6.3.8 forbid. */
static void create_refuses_feature_sets(void)
{
	refuse_features("HTTU", "HTTU=2");
	refuse_features("NS1ATS", "ATS=1,NS1ATS=1");
	refuse_features("PRI", "ATS=1,PRI=1");
	refuse_features("SIDSIZE", "SIDSIZE=33");
	refuse_features("SSIDSIZE", "SSIDSIZE=21");
	refuse_features("CMDQS", "CMDQS=20");
	/* A stage must exist. */
	refuse_features("S1P", "S1P=0,S2P=0,VMW=0,HAD=0");
	/* VMW needs stage 2. */
	refuse_features("VMW", "S2P=0,XNX=0");
	/* 7 or more bits of StreamID need 2-level tables. */
	refuse_features("SIDSIZE", "ST_LEVEL=0,SIDSIZE=7");
	/* A granule must exist. */
	refuse_features("GRAN", "GRAN4K=0,GRAN16K=0,GRAN64K=0");
	refuse_features("TTENDIAN", "TTENDIAN=1");
}

/* A refused set of ID registers names both fields and their values. */
static void create_explains_feature_sets(void)
{
	refuse_features("IDR0.TTENDIAN = 1: 1 is reserved", "TTENDIAN=1");
	refuse_features("IDR0.VMW = 1 needs IDR0.S2P, which is 0", "S2P=0,XNX=0");
	refuse_features("IDR1.SIDSIZE = 7 with IDR0.ST_LEVEL = 0: 7 or more needs 2-level stream tables",
			"ST_LEVEL=0,SIDSIZE=7");
	refuse_features("IDR0.S1P = 0 with IDR0.S2P = 0: a stage must exist", "S1P=0,S2P=0,VMW=0,HAD=0");
	refuse_features("does not implement IDR1.SIDSIZE = 33", "SIDSIZE=33");
}

/* 6.3.4: SMMUv3.0 reserves XNX, although 2.9 allows features of the next revision, and of none
 * after that. proves R-036 */
static void create_refuses_newer_features(void)
{
	static const char first[] = "AIDR_MINOR=0,FWB=0,STT=0,RIL=0,BBML=0,XNX=0";

	refuse_features("IDR3.XNX = 1 with AIDR_MINOR = 0", "AIDR_MINOR=0");
	refuse_features("IDR3.XNX = 1 with AIDR_MINOR = 0",
			"AIDR_MINOR=0,FWB=0,STT=0,RIL=0,BBML=0");
	refuse_features("IDR3.STT = 1 with AIDR_MINOR = 0", "AIDR_MINOR=0,XNX=0,FWB=0,RIL=0,BBML=0");
	EQUAL(register_of(first, 0, AIDR), 0);

}

/* What has no meaning yet, or none here, is not taken in silence. */
static void create_refuses_reserved_fields(void)
{
	const vsmmu_config config = { .size = sizeof(config) };
	vsmmu_ops ops = guest_ops;

	refuse_config(-EINVAL, "config.ioas", (vsmmu_config){ .ioas = 1 });
	ops.reserved = 1;
	refuse_create(-EINVAL, "ops.reserved", &config, &ops);
}

static void create_refuses_configuration(void)
{
	refuse_config(-EINVAL, "flags", (vsmmu_config){ .flags = 1024 });
	refuse_config(-EINVAL, "flags", (vsmmu_config){ .flags = UINT32_C(1) << 31 });
	refuse_config(-EINVAL, "tlb_entries", (vsmmu_config){ .tlb_entries = (1 << 24) + 1 });
	refuse_config(-EINVAL, "configuration_entries",
		      (vsmmu_config){ .configuration_entries = (1 << 16) + 1 });
}

static void create_takes_extreme_sizes(void)
{
	static struct guest guest;
	vsmmu_config config = {
		.size = sizeof(config), .command_budget = 1, .tlb_entries = 1,
		.configuration_entries = 1,
	};

	if (guest_open(&guest, &config))
		guest_close(&guest);
	config.command_budget = UINT32_MAX;
	config.tlb_entries = 1 << 20;
	config.configuration_entries = 1 << 16;
	if (guest_open(&guest, &config))
		guest_close(&guest);
}

/* A struct of a later header: its tail may be there, but not say anything. */
static void create_knows_sizes(void)
{
	struct { vsmmu_config config; uint64_t more; } config = { .config = { .profile = 0 } };
	struct { vsmmu_ops ops; uint64_t more; } ops = { .ops = guest_ops };
	vsmmu_t *vsmmu = NULL;

	config.config.size = sizeof(config);
	ops.ops.size = sizeof(ops);
	EQUAL(api.vsmmu_create(&config.config, &ops.ops, NULL, &vsmmu, NULL, 0), 0);
	CHECK(vsmmu != NULL);
	api.vsmmu_destroy(vsmmu);

	config.more = UINT64_C(1) << 56;
	refuse_create(-E2BIG, "config", &config.config, &guest_ops);
	config.more = 0;
	ops.more = 1;
	refuse_create(-E2BIG, "ops", &config.config, &ops.ops);

	config.config.size = 0;
	refuse_create(-EINVAL, "config.size", &config.config, &guest_ops);
	config.config.size = 3;
	refuse_create(-EINVAL, "config.size", &config.config, &guest_ops);
	config.config.size = sizeof(config.config);
	ops.ops.size = 0;
	refuse_create(-EINVAL, "ops.size", &config.config, &ops.ops);
	ops.ops.size = UINT32_MAX;
	refuse_create(-E2BIG, "ops", &config.config, &ops.ops);
}

/* A smaller struct, as an older caller has: what it does not have is the default. */
static void create_takes_smaller_structs(void)
{
	vsmmu_config config = {
		.size = offsetof(vsmmu_config, flags), .profile = VSMMU_PROFILE_LINUX,
		/* Beyond the size: must not be looked at. */
		.flags = UINT32_MAX, .tlb_entries = UINT32_MAX, .features = (const char *)1,
	};
	vsmmu_ops ops = guest_ops;
	vsmmu_t *vsmmu = NULL;
	uint64_t value = 0;

	ops.size = offsetof(vsmmu_ops, mem_dirty);
	if (!EQUAL(api.vsmmu_create(&config, &ops, NULL, &vsmmu, NULL, 0), 0))
		return;
	EQUAL(api.vsmmu_mmio_read(vsmmu, IDR0, 4, &value), 0);
	EQUAL(value & 3, 2);
	api.vsmmu_destroy(vsmmu);
}

/* Every callback may be NULL: accesses abort, notices go nowhere. */
static void create_without_callbacks(void)
{
	const vsmmu_config config = { .size = sizeof(config) };
	const vsmmu_ops ops = { .size = sizeof(ops) };
	vsmmu_access access = { .size = sizeof(access) };
	vsmmu_result result = { .size = sizeof(result) };
	vsmmu_t *vsmmu = NULL;
	uint8_t byte = 0;
	uint64_t value = 0;

	if (!EQUAL(api.vsmmu_create(&config, &ops, NULL, &vsmmu, NULL, 0), 0))
		return;
	EQUAL(api.vsmmu_stream_add(vsmmu, 0), 0);
	EQUAL(api.vsmmu_dma_read(vsmmu, &access, &byte, 1, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_mmio_write(vsmmu, IRQ_CTRL, 4, 5), 0);
	EQUAL(api.vsmmu_mmio_write(vsmmu, EVENTQ_BASE, 8, 1), 0);
	EQUAL(api.vsmmu_mmio_write(vsmmu, CMDQ_BASE, 8, 1), 0);
	EQUAL(api.vsmmu_mmio_write(vsmmu, CR0, 4, 0xd), 0);
	EQUAL(api.vsmmu_translate(vsmmu, &access, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
	EQUAL(result.event, F_STE_FETCH);
	EQUAL(api.vsmmu_mmio_write(vsmmu, CMDQ_PROD, 4, 1), 0);
	/* CERROR_ABT, CMDQ_ERR and EVENTQ_ABT_ERR. */
	EQUAL(api.vsmmu_mmio_read(vsmmu, CMDQ_CONS, 4, &value), 0);
	EQUAL(value, UINT64_C(2) << 24);
	EQUAL(api.vsmmu_mmio_read(vsmmu, GERROR, 4, &value), 0);
	EQUAL(value, 5);
	api.vsmmu_destroy(vsmmu);
}

static void destroy_of_nothing(void)
{
	api.vsmmu_destroy(NULL);
}

static void create_many(void)
{
	const vsmmu_config config = { .size = sizeof(config), .tlb_entries = 64 };
	vsmmu_t *devices[16];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 16; i++)
			EQUAL(api.vsmmu_create(&config, &guest_ops, NULL, &devices[i], NULL, 0), 0);
		for (int i = 0; i < 16; i++)
			api.vsmmu_destroy(devices[i]);
	}
}

static void reset_is_the_state_of_create(void)
{
	static struct guest guest;
	uint8_t fresh[4096], after[4096];
	int64_t size;

	if (!guest_open(&guest, NULL))
		return;
	size = api.vsmmu_save(guest.vsmmu, fresh, sizeof(fresh));
	guest_start(&guest);
	set_bypass(&guest, 1);
	EQUAL(translate(&guest, 1, DATA, 0).kind, VSMMU_RESULT_OK);
	EQUAL(translate(&guest, 2, DATA, 0).kind, VSMMU_RESULT_ABORT);
	EQUAL(api.vsmmu_reset(guest.vsmmu), 0);
	EQUAL(api.vsmmu_save(guest.vsmmu, after, sizeof(after)), size);
	CHECK(memcmp(fresh, after, (size_t)size) == 0);
	/* RAM and streams are the host's and stay. */
	EQUAL(api.vsmmu_ram_add(guest.vsmmu, RAM, 4096, guest.ram), -EEXIST);
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 1), -EEXIST);
	store64(&guest, COMMANDS - 8, 0);
	guest_start(&guest);
	/* What is cached is gone: the STE that the guest changed behind our back counts. */
	store64(&guest, STREAM_TABLE + 64, 0);
	EQUAL(translate(&guest, 1, DATA, 0).event, C_BAD_STE);
	guest_close(&guest);
}

static void reset_aborts_if_asked(void)
{
	static struct guest guest;
	const vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_RESET_ABORTS };

	if (!guest_open(&guest, &config))
		return;
	EQUAL(read_register(&guest, GBPA) >> 20 & 1, 1);
	EQUAL(translate(&guest, 0, DATA, 0).kind, VSMMU_RESULT_ABORT);
	write_register(&guest, GBPA, 0x80001000);
	EQUAL(translate(&guest, 0, DATA, 0).kind, VSMMU_RESULT_OK);
	EQUAL(api.vsmmu_reset(guest.vsmmu), 0);
	EQUAL(translate(&guest, 0, DATA, 0).kind, VSMMU_RESULT_ABORT);
	guest_close(&guest);
}

static void messages_are_cut(void)
{
	static struct guest guest;
	char whole[256] = "x", part[8];
	int32_t length;

	if (!guest_open(&guest, NULL))
		return;
	EQUAL(api.vsmmu_error_message(guest.vsmmu, whole, sizeof(whole)), 0);
	EQUAL(whole[0], 0);
	EQUAL(api.vsmmu_stream_remove(guest.vsmmu, 99), -ENOENT);
	length = api.vsmmu_error_message(guest.vsmmu, whole, sizeof(whole));
	EQUAL(length, strlen(whole));
	CHECK(length > 8);
	memset(part, 'x', sizeof(part));
	EQUAL(api.vsmmu_error_message(guest.vsmmu, part, 5), length);
	EQUAL(strlen(part), 4);
	EQUAL(memcmp(part, whole, 4), 0);
	EQUAL(part[5], 'x');
	EQUAL(api.vsmmu_error_message(guest.vsmmu, part, 0), length);
	EQUAL(part[0], whole[0]);
	/* A call that succeeds leaves the last refusal readable. */
	EQUAL(api.vsmmu_stream_add(guest.vsmmu, 99), 0);
	EQUAL(api.vsmmu_error_message(guest.vsmmu, part, sizeof(part)), length);
	guest_close(&guest);
}

static void create_message_is_cut(void)
{
	const vsmmu_config config = { .size = sizeof(config), .profile = 9 };
	vsmmu_t *vsmmu = NULL;
	char message[8];

	memset(message, 'x', sizeof(message));
	EQUAL(api.vsmmu_create(&config, &guest_ops, NULL, &vsmmu, message, 4), -EINVAL);
	EQUAL(message[3], 0);
	EQUAL(message[4], 'x');
}

void create_section(void)
{
	RUN(create_defaults);
	RUN(create_profiles);
	RUN(create_features);
	RUN(create_refuses_feature_text);
	RUN(create_refuses_feature_sets);
	RUN(create_explains_feature_sets);
	RUN(create_refuses_newer_features);
	RUN(create_refuses_reserved_fields);
	RUN(create_refuses_configuration);
	RUN(create_takes_extreme_sizes);
	RUN(create_knows_sizes);
	RUN(create_takes_smaller_structs);
	RUN(create_without_callbacks);
	RUN(create_many);
	RUN(create_message_is_cut);
	RUN(destroy_of_nothing);
	RUN(reset_is_the_state_of_create);
	RUN(reset_aborts_if_asked);
	RUN(messages_are_cut);
}
