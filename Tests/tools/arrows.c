/* SPDX-License-Identifier: MIT */
/*
 * What the files below ROOT define, import and refer to, from the index store that swiftc wrote:
 * arrows STORE ROOT. Lines of tab-separated words:
 *
 *	define  FILE  SYMBOL
 *	import  FILE  MODULE
 *	refer   FILE  SYMBOL  NAME
 */
#include <indexstore/indexstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	indexstore_t store;
	const char *root;
	char file[4096]; /* relative to the root */
};

static char *text(indexstore_string_ref_t string)
{
	static char buffer[4096];

	snprintf(buffer, sizeof buffer, "%.*s", (int)string.length, string.data);
	return buffer;
}

static void word(indexstore_string_ref_t string)
{
	printf("\t%.*s", (int)string.length, string.data);
}

/* Extensions and parameters are no symbols of their own: the first would move what they extend. */
static bool is_owned(indexstore_symbol_kind_t kind)
{
	return kind != INDEXSTORE_SYMBOL_KIND_EXTENSION && kind != INDEXSTORE_SYMBOL_KIND_PARAMETER;
}

static bool occurrence(void *context, indexstore_occurrence_t occurrence)
{
	struct reader *reader = context;
	indexstore_symbol_t symbol = indexstore_occurrence_get_symbol(occurrence);
	indexstore_symbol_kind_t kind = indexstore_symbol_get_kind(symbol);
	uint64_t roles = indexstore_occurrence_get_roles(occurrence);

	if (roles & INDEXSTORE_SYMBOL_ROLE_REFERENCE && kind == INDEXSTORE_SYMBOL_KIND_MODULE) {
		printf("import\t%s", reader->file);
		word(indexstore_symbol_get_name(symbol));
	} else if (roles & INDEXSTORE_SYMBOL_ROLE_REFERENCE) {
		printf("refer\t%s", reader->file);
		word(indexstore_symbol_get_usr(symbol));
		word(indexstore_symbol_get_name(symbol));
	} else if (roles & INDEXSTORE_SYMBOL_ROLE_DEFINITION && is_owned(kind)) {
		printf("define\t%s", reader->file);
		word(indexstore_symbol_get_usr(symbol));
	} else {
		return true;
	}
	putchar('\n');
	return true;
}

static bool dependency(void *context, indexstore_unit_dependency_t dependency)
{
	struct reader *reader = context;
	size_t length = strlen(reader->root);
	indexstore_record_reader_t record;
	char *path;

	if (indexstore_unit_dependency_get_kind(dependency) != INDEXSTORE_UNIT_DEPENDENCY_RECORD)
		return true;
	path = text(indexstore_unit_dependency_get_filepath(dependency));
	if (strncmp(path, reader->root, length) != 0 || path[length] != '/')
		return true;
	snprintf(reader->file, sizeof reader->file, "%s", path + length + 1);
	record = indexstore_record_reader_create(
		reader->store, text(indexstore_unit_dependency_get_name(dependency)), NULL);
	if (!record) {
		fprintf(stderr, "arrows: no record of %s\n", reader->file);
		exit(1);
	}
	indexstore_record_reader_occurrences_apply_f(record, reader, occurrence);
	indexstore_record_reader_dispose(record);
	return true;
}

static bool unit(void *context, indexstore_string_ref_t name)
{
	struct reader *reader = context;
	indexstore_unit_reader_t unit =
		indexstore_unit_reader_create(reader->store, text(name), NULL);

	if (!unit) {
		fprintf(stderr, "arrows: no unit %s\n", text(name));
		exit(1);
	}
	indexstore_unit_reader_dependencies_apply_f(unit, reader, dependency);
	indexstore_unit_reader_dispose(unit);
	return true;
}

int main(int argc, char **argv)
{
	struct reader reader = { .root = argc == 3 ? argv[2] : NULL };

	if (argc != 3)
		return fprintf(stderr, "usage: arrows STORE ROOT\n"), 2;
	reader.store = indexstore_store_create(argv[1], NULL);
	if (!reader.store)
		return fprintf(stderr, "arrows: no index in %s\n", argv[1]), 1;
	indexstore_store_units_apply_f(reader.store, 1, &reader, unit);
	return 0;
}
