/* SPDX-License-Identifier: MIT */
/* Section 1 of the header. */
#include "guest.h"

static void version_is_of_this_header(void)
{
	EQUAL(api.vsmmu_api_version() >> 16, VSMMU_API_MAJOR);
	CHECK((api.vsmmu_api_version() & 0xffff) + 1 > VSMMU_API_MINOR);
}

static void version_for_people(void)
{
	const char *version = api.vsmmu_library_version();

	CHECK(version[0] >= '0' && version[0] <= '9');
	CONTAINS(version, ".");
	CHECK(strlen(version) < 32);
	CHECK(api.vsmmu_library_version() == version);
}

void version_section(void)
{
	RUN(version_is_of_this_header);
	RUN(version_for_people);
}
