/* SPDX-License-Identifier: MIT */
/*
 * A call that is made again and again while memory is refused to it: the first allocation, the
 * second, and so on, alone or with all that follow; and all of Swift's, so that the call lives on its
 * reserve. It succeeds, or it is -ENOMEM with a sentence and nothing has changed: then it succeeds
 * when it is made once more. Nothing is left of it in the heap.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "../Conformance/hosted.h"
#include "heap.h"

struct attempt {
	const char *name;
	/* Makes what the call needs, in `scene`. */
	void (*open)(void);
	int64_t (*call)(void);
	void (*close)(void);
	/* It has to do its work in any case. */
	bool never_fails;
	/* It is of several steps in the kernel, and a failure leaves the device without DMA. */
	bool is_the_kernels;
	/* It fails by another number, and that is its work. */
	int64_t expected;
};

/* What calls work on; what is NULL is not there. `message` is for calls that take one. */
struct scene {
	struct hosted hosted;
	int fd;
	char message[256];
	uint8_t state[4096];
	int64_t state_size;
};
extern struct scene scene;

#define GUEST (&scene.hosted.guest)
#define VSMMU (scene.hosted.guest.vsmmu)
#define EMULATED (scene.hosted.emulated)

void attempt(const struct attempt *what);

/* Further fields by name. */
#define ATTEMPT(title, before, doing, after, ...) \
	attempt(&(struct attempt){ .name = (title), .open = (before), .call = (doing), \
				   .close = (after) __VA_OPT__(,) __VA_ARGS__ })

/* One for each file. */
void device_calls(void);
void host_calls(void);
void emulated_calls(void);
void direct_calls(void);
void guest_paths(void);

#endif
