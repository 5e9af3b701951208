/* SPDX-License-Identifier: MIT */
/* ID registers that the hosts of assigned devices decide, and those that any host can honour. */
#include "hosted.h"

#include <stdio.h>

#define AUTO "SSIDSIZE=auto,OAS=auto,ATS=auto,RIL=auto"
#define IDR3 0x0c

/* An emulated host with one kind of SMMU. */
static vsmmu_emulated_config host_with(vsmmu_emulated_smmu *smmu, const char *features)
{
	*smmu = (vsmmu_emulated_smmu){ .size = sizeof(*smmu), .features = features };
	return (vsmmu_emulated_config){ .size = sizeof(vsmmu_emulated_config), .smmus = smmu,
					.smmu_count = 1 };
}

static vsmmu_config asking(uint32_t profile, const char *features)
{
	return (vsmmu_config){ .size = sizeof(vsmmu_config), .profile = profile,
			       .features = features };
}

/* What the report has of a field: {"register": REGISTER, "field": FIELD, ...}. */
static void report_of(struct guest *guest, const char *field, char *line, size_t size)
{
	static char text[16384];
	char name[64];
	const char *start, *end;
	int64_t length = api.vsmmu_negotiation_report(guest->vsmmu, VSMMU_REPORT_JSON, text,
						      sizeof(text));

	line[0] = 0;
	CHECK(length > 0 && (size_t)length < sizeof(text));
	snprintf(name, sizeof(name), "\"field\": \"%s\"", field);
	start = strstr(text, name);
	end = start ? strchr(start, '}') : NULL;
	if (CHECK(end != NULL))
		snprintf(line, size, "%.*s", (int)(end - start), start);
}

static void tells(struct guest *guest, const char *field, const char *what)
{
	char line[512];

	report_of(guest, field, line, sizeof(line));
	CONTAINS(line, what);
}

/* OAS, SSIDSIZE, RIL and ATS as the report has them: it looks without freezing. */
static void chosen(struct guest *guest, int oas, int ssidsize, int ril)
{
	char want[64];

	snprintf(want, sizeof(want), "\"chosen\": %d", oas);
	tells(guest, "OAS", want);
	snprintf(want, sizeof(want), "\"chosen\": %d", ssidsize);
	tells(guest, "SSIDSIZE", want);
	snprintf(want, sizeof(want), "\"chosen\": %d", ril);
	tells(guest, "RIL", want);
	tells(guest, "ATS", "\"chosen\": 0");
	tells(guest, "OAS", "\"asked\": \"auto\"");
}

/* 44 bits and else nothing, with every profile, without a host too. */
static void auto_without_host(void)
{
	static struct guest guest;

	for (uint32_t profile = 0; profile <= VSMMU_PROFILE_ASSIGN; profile++) {
		const vsmmu_config config = asking(profile, AUTO);

		if (!guest_open(&guest, &config))
			return;
		chosen(&guest, 4, 0, 0);
		tells(&guest, "RIL", "an assigned device's host will decide");
		EQUAL(read_register(&guest, IDR5) & 7, 4);
		EQUAL(read_register(&guest, IDR1) >> 6 & 0x1f, 0);
		EQUAL(read_register(&guest, IDR3) >> 10 & 1, 0);
		EQUAL(read_register(&guest, IDR0) >> 10 & 1, 0);
		chosen(&guest, 4, 0, 0);
		guest_close(&guest);
	}
}

/* The devices' hosts decide, as often as devices come and go, until the guest has looked. */
static void auto_follows_the_host(void)
{
	static struct hosted hosted;
	vsmmu_emulated_smmu smmu;
	vsmmu_emulated_config config = host_with(&smmu, "SSIDSIZE=5,RIL=1,OAS=5");
	struct guest *guest = &hosted.guest;

	if (!hosted_open_with(&hosted, &config, asking(VSMMU_PROFILE_LINUX, AUTO)))
		return;
	chosen(guest, 4, 0, 0);
	EQUAL(hosted_attach(&hosted, 0), 0);
	chosen(guest, 5, 5, 1);
	tells(guest, "SSIDSIZE", "the host has no more");
	tells(guest, "RIL", "no host limits it");
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED), 0);
	chosen(guest, 4, 0, 0);
	EQUAL(hosted_attach(&hosted, 1), 0);
	chosen(guest, 5, 5, 1);
	/* From now on it is as if it had been asked for by number. */
	EQUAL(read_register(guest, IDR5) & 7, 5);
	EQUAL(read_register(guest, IDR1) >> 6 & 0x1f, 5);
	EQUAL(read_register(guest, IDR3) >> 10 & 1, 1);
	EQUAL(api.vsmmu_device_detach(guest->vsmmu, ASSIGNED + 1), 0);
	EQUAL(read_register(guest, IDR1) >> 6 & 0x1f, 5);
	EQUAL(hosted_attach(&hosted, 0), 0);
	chosen(guest, 5, 5, 1);
	hosted_close(&hosted);
}

/* The least of what the hosts have. */
static void auto_takes_what_small_hosts_have(void)
{
	static struct hosted hosted;
	vsmmu_emulated_smmu smmu;
	vsmmu_emulated_config config = host_with(&smmu, "SSIDSIZE=0,RIL=0,OAS=3");
	char text[16384];

	if (!hosted_open_with(&hosted, &config, asking(VSMMU_PROFILE_LINUX, AUTO)))
		return;
	EQUAL(hosted_attach(&hosted, 0), 0);
	chosen(&hosted.guest, 3, 0, 0);
	CHECK(api.vsmmu_negotiation_report(hosted.guest.vsmmu, VSMMU_REPORT_TEXT, text,
					   sizeof(text)) > 0);
	CONTAINS(text, "IDR1.SSIDSIZE                   auto");
	hosted_close(&hosted);
}

static void auto_refusals(void)
{
	static const char *const wrong[][2] = {
		{ "S2P=auto", "not in S2P=auto" }, { "IDR5=auto", "not in IDR5=auto" },
		{ "NONSENSE=auto", "SSIDSIZE, OAS, ATS and RIL" }, { "OAS=Auto", "OAS=Auto" },
		{ "OAS=autox", "OAS=autox" }, { "OAS=aut", "OAS=aut" }, { "=auto", "=auto" },
		{ "auto", "auto" },
	};
	vsmmu_emulated_smmu smmu;
	const vsmmu_emulated_config config = host_with(&smmu, "OAS=auto");
	vsmmu_emulated_t *emulated = NULL;
	char message[256] = "";

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const vsmmu_config config = asking(0, wrong[i][0]);
		vsmmu_t *vsmmu = NULL;

		EQUAL(api.vsmmu_create(&config, &guest_ops, NULL, &vsmmu, message,
				       sizeof(message)), -EINVAL);
		CONTAINS(message, wrong[i][1]);
	}
	EQUAL(api.vsmmu_emulated_create(&config, &emulated, message, sizeof(message)), -EINVAL);
	CONTAINS(message, "auto");
}

/* The last word counts, whether it is of the field or of its register. */
static void auto_is_taken_back(void)
{
	static struct guest guest;
	static const char *const texts[][2] = {
		{ "OAS=auto,OAS=3", "\"asked\": 3" }, { "OAS=auto,IDR5=0x72", "\"asked\": 2" },
		{ "OAS=3,OAS=auto", "\"asked\": \"auto\"" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const vsmmu_config config = asking(0, texts[i][0]);

		if (!guest_open(&guest, &config))
			return;
		tells(&guest, "OAS", texts[i][1]);
		guest_close(&guest);
	}
}

/* What an SMMU may lack that a device can be assigned on. */
static const char *const variants[] = {
	"OAS=4", "RIL=0", "SSIDSIZE=0", "ASID16=0", "CD2L=0", "BBML=0", "GRAN16K=0", "GRAN64K=0",
	"TERM_MODEL=1", "TTENDIAN=0", "ST_LEVEL=0,SIDSIZE=6", "VMID16=0", "SSIDSIZE=4",
	"RIL=0,BBML=0,SSIDSIZE=0,ASID16=0,CD2L=0,GRAN16K=0,GRAN64K=0,TERM_MODEL=1,OAS=4,VMID16=0",
};

/* A guest that has looked before any device was there takes a device of each of them. */
static void assign_profile_takes_late_devices(void)
{
	static struct hosted hosted;
	const size_t count = sizeof(variants) / sizeof(*variants);

	for (size_t i = 0; i < count; i++) {
		vsmmu_emulated_smmu smmu;
		vsmmu_emulated_config config = host_with(&smmu, variants[i]);
		uint64_t value;

		if (!hosted_open_with(&hosted, &config, asking(VSMMU_PROFILE_ASSIGN, NULL)))
			return;
		guest_start(&hosted.guest);
		EQUAL(read_register(&hosted.guest, IDR5) & 0x77, 0x14);
		EQUAL(read_register(&hosted.guest, AIDR), 0);
		/* The stream table of these guests has 4 KiB pages and 8-bit ASIDs at hand. */
		map(&hosted.guest, STAGE1, IOVA, DATA, PAGE1);
		set_stage1(&hosted.guest, ASSIGNED, 5);
		store64(&hosted.guest, DATA, 0x77 + i);
		if (!EQUAL(hosted_attach(&hosted, 0), 0))
			printf("  %s\n", variants[i]);
		EQUAL(device_read(&hosted, 0, IOVA, &value), VSMMU_RESULT_OK);
		EQUAL(value, 0x77 + i);
		hosted_close(&hosted);
	}
}

/* One that cannot be had tells what would have helped. */
static void frozen_refusals_name_the_remedy(void)
{
	static struct hosted hosted;
	static const struct { const char *host, *guest; uint32_t profile; const char *word[2]; } row[] = {
		{ "RIL=0", NULL, VSMMU_PROFILE_LINUX,
		  { "IDR3.RIL = 1, and the SMMU of this device has 0",
		    "; features \"RIL=0\" or VSMMU_PROFILE_ASSIGN would have avoided it" } },
		{ "SSIDSIZE=4,ASID16=0", NULL, VSMMU_PROFILE_LINUX,
		  { "IDR0.ASID16 = 1",
		    "; features \"ASID16=0,SSIDSIZE=4\" or VSMMU_PROFILE_ASSIGN would have avoided it" } },
		{ "RIL=1", NULL, VSMMU_PROFILE_FULL,
		  { "IDR1.SSIDSIZE = 20", "; VSMMU_PROFILE_ASSIGN would have avoided it" } },
		/* Even 44 bits are too many: no profile helps, what was asked for would have. */
		{ "OAS=3", NULL, VSMMU_PROFILE_ASSIGN,
		  { "IDR5.OAS = 4", "; features \"OAS=3\" would have avoided it" } },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		vsmmu_emulated_smmu smmu;
		vsmmu_emulated_config config = host_with(&smmu, row[i].host);
		vsmmu_config asked = asking(row[i].profile, row[i].guest);
		char message[512] = "";

		if (!hosted_open_with(&hosted, &config, asked))
			return;
		EQUAL(api.vsmmu_freeze(hosted.guest.vsmmu), 0);
		EQUAL(hosted_attach(&hosted, 0), -EOPNOTSUPP);
		api.vsmmu_error_message(hosted.guest.vsmmu, message, sizeof(message));
		CONTAINS(message, row[i].word[0]);
		CONTAINS(message, row[i].word[1]);
		hosted_close(&hosted);
		if (strstr(row[i].word[1], "features") == NULL)
			continue;
		/* And so it is. */
		char setting[64];
		const char *start = strchr(row[i].word[1], '"') + 1;

		snprintf(setting, sizeof(setting), "%.*s", (int)(strchr(start, '"') - start), start);
		asked.features = setting;
		if (!hosted_open_with(&hosted, &config, asked))
			return;
		EQUAL(api.vsmmu_freeze(hosted.guest.vsmmu), 0);
		EQUAL(hosted_attach(&hosted, 0), 0);
		hosted_close(&hosted);
	}
}

void negotiation_section(void)
{
	RUN(auto_without_host);
	RUN(auto_refusals);
	RUN(auto_is_taken_back);
	RUN(auto_follows_the_host);
	RUN(auto_takes_what_small_hosts_have);
	RUN(assign_profile_takes_late_devices);
	RUN(frozen_refusals_name_the_remedy);
}
