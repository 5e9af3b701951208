/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device's options in the words of the library's. */
#include "qemu/osdep.h"
#include "device.h"

char *vsmmuv3_feature_words(VSMMUv3 *s, Error **errp)
{
	static const uint32_t sizes[] = { 32, 36, 40, 42, 44, 48 };
	g_autoptr(GString) words = g_string_new("");

	if (s->stage && !strcmp(s->stage, "1")) {
		g_string_append(words, "S1P=1 S2P=0 VMW=0 VMID16=0 XNX=0 FWB=0 ");
	} else if (s->stage && !strcmp(s->stage, "2")) {
		g_string_append(words, "S1P=0 S2P=1 HAD=0 SSIDSIZE=0 CD2L=0 ASID16=0 ");
	} else if (s->stage && !strcmp(s->stage, "nested")) {
		g_string_append(words, "S1P=1 S2P=1 ");
	} else if (s->stage) {
		error_setg(errp, "vsmmuv3: stage=%s is none of 1, 2, nested", s->stage);
		return NULL;
	}
	if (s->oas) {
		uint32_t field = 0;

		while (field < ARRAY_SIZE(sizes) && sizes[field] != s->oas) {
			field++;
		}
		if (field == ARRAY_SIZE(sizes)) {
			error_setg(errp, "vsmmuv3: oas=%u is none of 32, 36, 40, 42, 44, 48", s->oas);
			return NULL;
		}
		g_string_append_printf(words, "OAS=%u ", field);
	}
	if (s->granules) {
		g_auto(GStrv) list = g_strsplit(s->granules, "+", 0);

		for (char **word = list; *word; word++) {
			if (strcmp(*word, "4k") && strcmp(*word, "16k") && strcmp(*word, "64k")) {
				error_setg(errp, "vsmmuv3: granules=%s is not of the form 4k+16k+64k",
					   s->granules);
				return NULL;
			}
		}
		g_string_append_printf(words, "GRAN4K=%d GRAN16K=%d GRAN64K=%d ",
				       g_strv_contains((const char *const *)list, "4k"),
				       g_strv_contains((const char *const *)list, "16k"),
				       g_strv_contains((const char *const *)list, "64k"));
	}
	if (s->ril != ON_OFF_AUTO_AUTO) {
		g_string_append_printf(words, "RIL=%d ", s->ril == ON_OFF_AUTO_ON);
	}
	if (s->msi != ON_OFF_AUTO_AUTO) {
		g_string_append_printf(words, "MSI=%d ", s->msi == ON_OFF_AUTO_ON);
	}
	g_string_append(words, s->features ? : "");
	/* A comma ends an option of QEMU's. */
	return g_strdelimit(g_strdup(words->str), "+", ' ');
}
