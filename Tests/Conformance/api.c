/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct api api;

#ifdef LINKED
bool api_load(const char *name)
{
	(void)name;
#define API_LINK(function) api.function = &function;
	API_FUNCTIONS(API_LINK)
	return true;
}
#else
bool api_load(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL), *symbol;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
#define API_FIND(function) \
	symbol = dlsym(library, #function); \
	if (!symbol) { \
		fprintf(stderr, "%s has no " #function "\n", name); \
		return false; \
	} \
	memcpy(&api.function, &symbol, sizeof(symbol));
	API_FUNCTIONS(API_FIND)
	return true;
}
#endif
