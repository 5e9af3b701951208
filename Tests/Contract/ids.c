/* SPDX-License-Identifier: MIT */
/* Object ids: one namespace from 1 upward, the least free one first. */
#include "contract.h"

static int64_t named(int64_t id)
{
	if (id >= 0)
		note("id=%u", (unsigned)id);
	return id;
}

void id_rows(void)
{
	struct lab lab = lab_open(OPEN);

	section("id");
	row_with("the first IOAS", named(ioas_alloc(&lab)), 0, "id=1");
	row_with("the second", named(ioas_alloc(&lab)), 0, "id=2");
	row_with("the third", named(ioas_alloc(&lab)), 0, "id=3");
	row("DESTROY the second", destroy(&lab, 2), 0);
	row("DESTROY it again", destroy(&lab, 2), ENOENT);
	row_with("its id is free again", named(ioas_alloc(&lab)), 0, "id=2");
	row("DESTROY an id never given", destroy(&lab, 99), ENOENT);
	row("DESTROY id 2^32-1", destroy(&lab, UINT32_MAX), ENOENT);
	lab_close(&lab);

	lab = lab_open(VDEVICE);
	note("%u %u", lab.id[0], lab.id[1]);
	row_with("two devices", 0, 0, "1 2");
	note("%u %u %u %u", lab.ioas, lab.parent, lab.viommu, lab.vdevice);
	row_with("IOAS, HWPT, vIOMMU, vDEVICE", 0, 0, "3 4 5 6");
	row("a call that fails takes no id", viommu_alloc(&lab, lab.id[0], lab.ioas), ENOENT);
	row_with("the next object", named(ioas_alloc(&lab)), 0, "id=7");
	lab_close(&lab);
}
