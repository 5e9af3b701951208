/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifdef LINKED
bool api_load_emulated(const char *name)
{
	(void)name;
#define API_LINK(function) api.function = &function;
	API_EMULATED_FUNCTIONS(API_LINK)
	return true;
}
#else
#define STEM "libvsmmuv3"

/* Beside libvsmmuv3.so.0 is libvsmmuv3-emulated.so.0. */
static void *open_beside(const char *name)
{
	const char *folder = strrchr(name, '/'), *stem = strstr(folder ? folder : name, STEM);
	char path[4096];

	if (!stem) {
		fprintf(stderr, "%s is not called " STEM "...\n", name);
		return NULL;
	}
	stem += strlen(STEM);
	snprintf(path, sizeof(path), "%.*s-emulated%s", (int)(stem - name), name, stem);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

bool api_load_emulated(const char *name)
{
	void *library = open_beside(name), *symbol;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
#define API_FIND(function) \
	symbol = dlsym(library, #function); \
	if (!symbol) { \
		fprintf(stderr, "the emulated host beside %s has no " #function "\n", name); \
		return false; \
	} \
	memcpy(&api.function, &symbol, sizeof(symbol));
	API_EMULATED_FUNCTIONS(API_FIND)
	return true;
}
#endif
