/* SPDX-License-Identifier: MIT */
/*
 * Rows of calls with one wrong argument each. Tests/tools/arguments.awk reads them as text, and knows
 * from the headers which there must be: so each argument of a row is one word, `parameter` is that of
 * the declaration, and IT stands at its place.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include "hosted.h"

/* The vSMMU that is asked in the rows that follow, which has a sentence for each refusal; or where that
 * is written. Both NULL: there is none. */
extern vsmmu_t *arguments_of;
extern const char *argument_message;

#define REFUSED_NAMING(name, function, error, ...) \
	do { \
		EQUAL((api.function)(__VA_ARGS__), -(error)); \
		argument_told(name, __FILE__, __LINE__, #function); \
	} while (0)
/* The call is refused with `error`, and the sentence has the parameter's name. */
#define WRONG(function, parameter, error, ...) \
	REFUSED_NAMING(#parameter, function, error, __VA_ARGS__)
/* A handle that is NULL has no sentence. */
#define NOBODY(function, parameter, ...) EQUAL((api.function)(__VA_ARGS__), -EINVAL)
/* What might be taken for wrong, and is not. */
#define RIGHT(function, parameter, ...) CHECK((api.function)(__VA_ARGS__) >= 0)
/* There is no result that could tell. */
#define HARMLESS(function, parameter, ...) ((void)(api.function)(__VA_ARGS__))

/* A struct's size: none, too small for `least` bytes, and larger with something in its tail. */
#define SIZED(function, parameter, variable, least, ...) \
	do { \
		struct { __typeof__(variable) it; uint64_t tail; } longer_ = { .it = variable }; \
		__typeof__(variable) *IT = &longer_.it; \
		IT->size = 0; \
		WRONG(function, parameter, EINVAL, __VA_ARGS__); \
		IT->size = (least) - 1; \
		WRONG(function, parameter, EINVAL, __VA_ARGS__); \
		IT->size = sizeof(variable) + 8; \
		longer_.tail = 1; \
		WRONG(function, parameter, E2BIG, __VA_ARGS__); \
	} while (0)
/* One field of it, which the sentence names. */
#define FIELD(function, parameter, field, value, error, variable, ...) \
	do { \
		__typeof__(variable) it_ = variable, *IT = &it_; \
		IT->field = (value); \
		REFUSED_NAMING(#field, function, error, __VA_ARGS__); \
	} while (0)

/* Of the other headers. */
void arguments_of_a_host(void);
void arguments_of_an_emulated_host(void);

void argument_told(const char *name, const char *file, int line, const char *function);

#endif
