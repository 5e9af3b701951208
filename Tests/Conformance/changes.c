/* SPDX-License-Identifier: MIT */
/* What changes the device as a whole, in the middle of a DMA: it waits, and nothing comes after. */
#include "guest.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST UINT64_C(0x1000)
#define SECOND UINT64_C(0x2000)
#define SLOW (DEVICE + 0x1000)
#define OTHER_PAGE (DATA + 0x2000)

/* A DMA of two pages. The first is a device's, and is held there; the second is RAM. */
struct scene {
	struct guest guest; /* first: it is what callbacks are given */
	bool is_held, may_go, has_changed;
	int32_t (*change)(struct scene *scene);
	uint8_t off[4096];
	int64_t off_size;
	vsmmu_result result;
	/* Whether the second page had been written when the change was over. */
	bool was_written;
};

static struct scene scene;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static int32_t on_write(void *opaque, uint64_t address, const void *data, uint64_t length)
{
	struct scene *s = opaque;

	if (address == SLOW) {
		set(&s->is_held);
		while (!is_set(&s->may_go))
			usleep(200);
	}
	return guest_ops.mem_write(opaque, address, data, length);
}

static bool second_is_written(struct scene *s)
{
	return load64(&s->guest, DATA) != 0 || load64(&s->guest, DATA + 4088) != 0;
}

static int32_t write_second(struct scene *s, vsmmu_result *result)
{
	const vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = SECOND };
	const uint64_t word = 0;

	*result = (vsmmu_result){ .size = sizeof(*result) };
	return api.vsmmu_dma_write(s->guest.vsmmu, &access, &word, 8, result);
}

static void *dma(void *opaque)
{
	static uint8_t data[8192];
	const vsmmu_access access = { .size = sizeof(access), .stream = 1, .address = FIRST };
	struct scene *s = opaque;

	/* What the second page needs is at hand, as near as it can be. */
	for (int i = 0; i < 3; i++) {
		EQUAL(write_second(s, &s->result), 0);
		EQUAL(s->result.kind, VSMMU_RESULT_OK);
	}
	memset(data, 0xa5, sizeof(data));
	s->result = (vsmmu_result){ .size = sizeof(s->result) };
	EQUAL(api.vsmmu_dma_write(s->guest.vsmmu, &access, data, sizeof(data), &s->result), 0);
	return NULL;
}

static void *changer(void *opaque)
{
	struct scene *s = opaque;

	EQUAL(s->change(s), 0);
	s->was_written = second_is_written(s);
	set(&s->has_changed);
	return NULL;
}

static bool open_scene(int32_t (*change)(struct scene *))
{
	const vsmmu_config config = { .size = sizeof(config), .flags = VSMMU_RESET_ABORTS };
	vsmmu_ops ops = guest_ops;

	memset(&scene, 0, sizeof(scene));
	ops.mem_write = on_write;
	if (!guest_open_with(&scene.guest, &config, &ops))
		return false;
	scene.change = change;
	scene.off_size = api.vsmmu_save(scene.guest.vsmmu, scene.off, sizeof(scene.off));
	guest_start(&scene.guest);
	map(&scene.guest, STAGE1, FIRST, SLOW, PAGE1);
	map(&scene.guest, STAGE1, SECOND, DATA, PAGE1);
	set_stage1(&scene.guest, 1, 5);
	return true;
}

/* The change is made while the DMA is held; `look` looks at what is after it. */
static void in_the_middle(int32_t (*change)(struct scene *), void (*look)(struct scene *))
{
	pthread_t threads[2];

	if (!open_scene(change))
		return;
	EQUAL(pthread_create(&threads[0], NULL, dma, &scene), 0);
	while (!is_set(&scene.is_held))
		usleep(200);
	EQUAL(pthread_create(&threads[1], NULL, changer, &scene), 0);
	usleep(20000);
	CHECK(!is_set(&scene.has_changed));
	set(&scene.may_go);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* The second page is of the state before, or of the one after. */
	if (scene.result.kind == VSMMU_RESULT_OK) {
		EQUAL(scene.result.length, 8192);
		CHECK(second_is_written(&scene) || load64(&scene.guest, OTHER_PAGE));
	} else {
		EQUAL(scene.result.kind, VSMMU_RESULT_ABORT);
		EQUAL(scene.result.length, 4096);
	}
	/* Nothing has come after the call. */
	EQUAL(second_is_written(&scene), scene.was_written);
	look(&scene);
	guest_close(&scene.guest);
}

static void check_aborts(struct scene *s)
{
	vsmmu_result result;

	EQUAL(write_second(s, &result), 0);
	EQUAL(result.kind, VSMMU_RESULT_ABORT);
}

static void check_is_gone(struct scene *s)
{
	vsmmu_result result;

	EQUAL(write_second(s, &result), -ENOENT);
	EQUAL(api.vsmmu_stream_remove(s->guest.vsmmu, 1), -ENOENT);
}

static int32_t disable(struct scene *s)
{
	write_register(&s->guest, CR0, 0xc);
	EQUAL(read_register(&s->guest, CR0ACK), 0xc);
	return 0;
}

static int32_t reset(struct scene *s)
{
	return api.vsmmu_reset(s->guest.vsmmu);
}

static int32_t restore(struct scene *s)
{
	return api.vsmmu_restore(s->guest.vsmmu, s->off, (uint64_t)s->off_size);
}

static int32_t remove_stream(struct scene *s)
{
	return api.vsmmu_stream_remove(s->guest.vsmmu, 1);
}

static int32_t remove_ram(struct scene *s)
{
	return api.vsmmu_ram_remove(s->guest.vsmmu, RAM);
}

static int32_t abort_stream(struct scene *s)
{
	store64(&s->guest, STREAM_TABLE + 64, 1);
	command(&s->guest, CFGI_STE | UINT64_C(1) << 32, 1);
	sync_all(&s->guest);
	return 0;
}

static int32_t move_page(struct scene *s)
{
	map(&s->guest, STAGE1, SECOND, OTHER_PAGE, PAGE1);
	command(&s->guest, TLBI_NH_VA | UINT64_C(5) << 48, SECOND | 1);
	sync_all(&s->guest);
	return 0;
}

static void check_is_elsewhere(struct scene *s)
{
	EQUAL(translate(&s->guest, 1, SECOND, 0).address, OTHER_PAGE);
}

/* 6.3.9.6 */
static void change_waits_smmuen(void)
{
	in_the_middle(disable, check_aborts);
}

static void change_waits_reset(void)
{
	in_the_middle(reset, check_aborts);
}

static void change_waits_restore(void)
{
	in_the_middle(restore, check_aborts);
}

static void change_waits_stream_remove(void)
{
	in_the_middle(remove_stream, check_is_gone);
}

static void change_waits_ram_remove(void)
{
	in_the_middle(remove_ram, check_aborts);
}

/* 3.21.1, 4.7.3 */
static void change_waits_cfgi(void)
{
	in_the_middle(abort_stream, check_aborts);
}

static void change_waits_tlbi(void)
{
	in_the_middle(move_page, check_is_elsewhere);
}

void change_section(void)
{
	RUN(change_waits_smmuen);
	RUN(change_waits_reset);
	RUN(change_waits_restore);
	RUN(change_waits_stream_remove);
	RUN(change_waits_ram_remove);
	RUN(change_waits_cfgi);
	RUN(change_waits_tlbi);
}
