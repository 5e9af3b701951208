/* SPDX-License-Identifier: MIT */
/* OPTION and VFIO_IOAS. */
#include "contract.h"

enum { RLIMIT_MODE, HUGE_PAGES, NO_SUCH_OPTION };
enum { SET, GET, NO_SUCH_OPERATION };

/* Notes the value that is read. */
static int64_t option(const struct lab *lab, uint32_t option, uint16_t op, uint32_t object,
		      uint64_t value)
{
	struct iommufd_option a = {
		.size = sizeof(a), .option_id = option, .op = op, .object_id = object,
		.value = value,
	};
	int64_t result = call(lab, IOMMUFD_OPTION, &a);

	if (result >= 0 && op == GET)
		note("value=%" PRIu64, a.value);
	return result;
}

static void option_calls(const struct lab *lab)
{
	struct iommufd_option a = {.size = sizeof(a), .option_id = HUGE_PAGES, .reserved = 1};

	row("OPTION reserved", call(lab, IOMMUFD_OPTION, &a), EOPNOTSUPP);
	row("OPTION that there is not", option(lab, NO_SUCH_OPTION, GET, 0, 0), EOPNOTSUPP);
	row_with("OPTION HUGE_PAGES get", option(lab, HUGE_PAGES, GET, lab->ioas, 0), 0, "value=1");
	row("OPTION HUGE_PAGES set 2", option(lab, HUGE_PAGES, SET, lab->ioas, 2), EINVAL);
	row("OPTION HUGE_PAGES set 1", option(lab, HUGE_PAGES, SET, lab->ioas, 1), 0);
	row("OPTION HUGE_PAGES set 0", option(lab, HUGE_PAGES, SET, lab->ioas, 0), 0);
	row_with("OPTION HUGE_PAGES get", option(lab, HUGE_PAGES, GET, lab->ioas, 7), 0, "value=0");
	row("OPTION HUGE_PAGES op 2",
	    option(lab, HUGE_PAGES, NO_SUCH_OPERATION, lab->ioas, 0), EOPNOTSUPP);
	row("OPTION HUGE_PAGES of no object", option(lab, HUGE_PAGES, GET, 99, 0), ENOENT);
	row("OPTION HUGE_PAGES of a device", option(lab, HUGE_PAGES, GET, lab->id[0], 0), ENOENT);
	row("OPTION RLIMIT_MODE of an object", option(lab, RLIMIT_MODE, GET, 1, 0), EOPNOTSUPP);
	row_with("OPTION RLIMIT_MODE get", option(lab, RLIMIT_MODE, GET, 0, 0), 0, "value=0");
	row("OPTION RLIMIT_MODE op 2", option(lab, RLIMIT_MODE, NO_SUCH_OPERATION, 0, 0), EOPNOTSUPP);
	row("OPTION RLIMIT_MODE set, with objects", option(lab, RLIMIT_MODE, SET, 0, 1), EBUSY);
}

static int64_t vfio_ioas(const struct lab *lab, uint16_t op, uint32_t ioas)
{
	struct iommufd_vfio_ioas a = {.size = sizeof(a), .ioas_id = ioas, .op = op};
	int64_t result = call(lab, IOMMUFD_VFIO_IOAS, &a);

	if (result >= 0 && op == 0)
		note("%s", a.ioas_id == lab->ioas ? "same" : "other");
	return result;
}

static void compatibility_rows(const struct lab *lab)
{
	struct iommufd_vfio_ioas a = {.size = sizeof(a), .reserved = 1};

	row("VFIO_IOAS reserved", call(lab, IOMMUFD_VFIO_IOAS, &a), EOPNOTSUPP);
	row("VFIO_IOAS op 3", vfio_ioas(lab, 3, 0), EOPNOTSUPP);
	row("VFIO_IOAS get, none is set", vfio_ioas(lab, 0, 0), ENODEV);
	row("VFIO_IOAS set no object", vfio_ioas(lab, 1, 99), ENOENT);
	row("VFIO_IOAS set", vfio_ioas(lab, 1, lab->ioas), 0);
	row_with("VFIO_IOAS get", vfio_ioas(lab, 0, 0), 0, "same");
	row("VFIO_IOAS clear", vfio_ioas(lab, 2, 0), 0);
	row("VFIO_IOAS get, cleared", vfio_ioas(lab, 0, 0), ENODEV);
}

void option_rows(void)
{
	struct lab lab = lab_open(SPACE), empty = lab_open(OPEN);

	section("option");
	option_calls(&lab);
	row("OPTION RLIMIT_MODE set 2", option(&empty, RLIMIT_MODE, SET, 0, 2), EINVAL);
	row("OPTION RLIMIT_MODE set 1", option(&empty, RLIMIT_MODE, SET, 0, 1), 0);
	row_with("OPTION RLIMIT_MODE get", option(&empty, RLIMIT_MODE, GET, 0, 0), 0, "value=1");
	compatibility_rows(&lab);
	lab_close(&empty);
	lab_close(&lab);
}
