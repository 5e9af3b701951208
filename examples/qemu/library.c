/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library: loaded, not linked, when the device is made. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/error-report.h"
#include "qemu/log.h"

const char *vsmmuv3_sentence(VSMMUv3 *s, char *text, size_t size)
{
	s->library.error_message(s->vsmmu, text, size);
	return text;
}

static void note(void *opaque, uint32_t blame, const char *message)
{
	if (blame == VSMMU_LOG_HOST) {
		warn_report("vsmmuv3: %s", message);
	} else {
		qemu_log_mask(LOG_GUEST_ERROR, "vsmmuv3: %s\n", message);
	}
}

bool vsmmuv3_load(VSMMUv3 *s, Error **errp)
{
	VSMMUv3Library *l = &s->library;
	uint32_t api;

	if (!s->lib) {
		error_setg(errp, "vsmmuv3: say which library: lib=/path/to/libvsmmuv3.so.0");
		return false;
	}
	l->module = g_module_open(s->lib, G_MODULE_BIND_LOCAL);
	if (!l->module) {
		error_setg(errp, "vsmmuv3: no library: %s", g_module_error());
		return false;
	}
#define SYMBOL(name)                                                                               \
	if (!g_module_symbol(l->module, "vsmmu_" #name, (gpointer *)&l->name)) {                   \
		error_setg(errp, "vsmmuv3: %s is not libvsmmuv3: it has no vsmmu_" #name, s->lib); \
		return false;                                                                      \
	}
	VSMMUV3_LIBRARY(SYMBOL)
#undef SYMBOL
	api = l->api_version();
	if (api >> 16 != VSMMU_API_MAJOR || (api & 0xffff) < VSMMU_API_MINOR) {
		error_setg(errp, "vsmmuv3: %s offers API %u.%u, this QEMU needs %u.%u", s->lib,
			   api >> 16, api & 0xffff, VSMMU_API_MAJOR, VSMMU_API_MINOR);
		return false;
	}
	return true;
}

static bool find_profile(VSMMUv3 *s, uint32_t *profile, Error **errp)
{
	static const char *const names[] = {
		[VSMMU_PROFILE_FULL] = "full",
		[VSMMU_PROFILE_LINUX] = "linux",
		[VSMMU_PROFILE_ASSIGN] = "assign",
	};

	for (*profile = 0; *profile < ARRAY_SIZE(names); ++*profile) {
		if (!strcmp(s->profile ? : "full", names[*profile])) {
			return true;
		}
	}
	error_setg(errp, "vsmmuv3: profile=%s is none of full, linux, assign", s->profile);
	return false;
}

bool vsmmuv3_create(VSMMUv3 *s, Error **errp)
{
	static const vsmmu_ops ops = {
		.size = sizeof(ops),
		.mem_read = vsmmuv3_mem_read,
		.mem_write = vsmmuv3_mem_write,
		.mem_dirty = vsmmuv3_mem_dirty,
		.irq = vsmmuv3_irq,
		.msi = vsmmuv3_msi,
		.invalidate = vsmmuv3_invalidate,
		.work = vsmmuv3_work,
		.log = note,
#ifdef VSMMUV3_ASSIGNS
		.attach = vsmmuv3_attach,
		.detach = vsmmuv3_detach,
#endif
	};
	g_autofree char *words = vsmmuv3_feature_words(s, errp);
	char why[256];
	vsmmu_config config = {
		.size = sizeof(config),
		.command_budget = s->command_budget,
		.tlb_entries = s->tlb_entries,
		.features = words,
		.flags = (s->strict ? VSMMU_STRICT_PAGES | VSMMU_STRICT_COMMANDS : 0)
			 | (s->tlbi_el2 ? VSMMU_QUIRK_TLBI_EL2 : 0)
			 | (s->reset_aborts ? VSMMU_RESET_ABORTS : 0),
	};

	if (!words || !find_profile(s, &config.profile, errp)) {
		return false;
	}
	if (s->library.create(&config, &ops, s, &s->vsmmu, why, sizeof(why)) < 0) {
		error_setg(errp, "vsmmuv3: %s", why);
		return false;
	}
	return true;
}
