/* SPDX-License-Identifier: MIT */
#include "library.h"

#include <gio/gio.h>
#include <string.h>

static gboolean find(GModule *module, const char *name, void *pointer, GError **error)
{
	gpointer symbol;

	if (!g_module_symbol(module, name, &symbol)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s", g_module_error());
		return FALSE;
	}
	/* POSIX lets an object pointer hold a function; C has no cast for it. */
	memcpy(pointer, &symbol, sizeof symbol);
	return TRUE;
}

static gboolean check_version(const char *path, uint32_t version, GError **error)
{
	const uint32_t needed = VSMMU_API_MINOR;
	uint32_t major = version >> 16;
	uint32_t minor = version & 0xffff;

	if (major == VSMMU_API_MAJOR && minor >= needed)
		return TRUE;
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
		    "%s offers API %u.%u, this program needs %u.%u", path, major, minor,
		    VSMMU_API_MAJOR, needed);
	return FALSE;
}

static GModule *load(const char *path, GError **error)
{
	GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);

	if (module == NULL)
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s", g_module_error());
	return module;
}

gboolean library_open(struct library *library, const char *path, GError **error)
{
	library->emulated = NULL;
	library->module = load(path, error);
	if (library->module == NULL)
		return FALSE;
#define LIBRARY_FIND(name)                                                                         \
	if (!find(library->module, "vsmmu_" #name, &library->name, error))                         \
		goto refused;
	LIBRARY_FUNCTIONS(LIBRARY_FIND)
#undef LIBRARY_FIND
	if (check_version(path, library->api_version(), error))
		return TRUE;
refused:
	library_close(library);
	return FALSE;
}

gboolean library_open_emulated(struct library *library, const char *path, GError **error)
{
	library->emulated = load(path, error);
	if (library->emulated == NULL)
		return FALSE;
#define EMULATED_FIND(name)                                                                        \
	if (!find(library->emulated, "vsmmu_" #name, &library->name, error))                       \
		return FALSE;
	EMULATED_FUNCTIONS(EMULATED_FIND)
#undef EMULATED_FIND
	return check_version(path, library->emulated_api_version(), error);
}

void library_close(struct library *library)
{
	if (library->emulated != NULL)
		g_module_close(library->emulated);
	if (library->module != NULL)
		g_module_close(library->module);
	library->module = library->emulated = NULL;
}
