/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "core/base/noted.h"

static _Thread_local bool has_failed;

void *cw_noted_malloc(size_t bytes)
{
	void *memory = malloc(bytes);

	has_failed |= !memory && bytes;
	return memory;
}

bool cw_noted_failure(void)
{
	bool result = has_failed;

	has_failed = false;
	return result;
}
