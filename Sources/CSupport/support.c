// SPDX-License-Identifier: MIT
#include "vsmmu_support.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

void *vsmmu_support_mutex_create(void)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));

	if (mutex && pthread_mutex_init(mutex, NULL) != 0) {
		free(mutex);
		return NULL;
	}
	return mutex;
}

void vsmmu_support_mutex_destroy(void *mutex)
{
	pthread_mutex_destroy(mutex);
	free(mutex);
}

void vsmmu_support_mutex_lock(void *mutex)
{
	pthread_mutex_lock(mutex);
}

void vsmmu_support_mutex_unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

const int32_t vsmmu_support_einval = -EINVAL;
const int32_t vsmmu_support_e2big = -E2BIG;
const int32_t vsmmu_support_enoent = -ENOENT;
const int32_t vsmmu_support_eexist = -EEXIST;
const int32_t vsmmu_support_enomem = -ENOMEM;
const int32_t vsmmu_support_edeadlk = -EDEADLK;
