/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "core/base/noted.h"
#include "core/base/text.h"

static _Thread_local bool has_failed;

void *cw_noted_malloc(size_t bytes)
{
	void *memory = malloc(bytes);

	has_failed |= !memory && bytes;
	return memory;
}

char *cw_noted_utf8(const char *text)
{
	char *copy = cw_noted_malloc(strlen(text) + 1);

	if (!copy)
		return NULL;
	strcpy(copy, text);
	cw_text_make_utf8(copy);
	return copy;
}

bool cw_noted_failure(void)
{
	bool result = has_failed;

	has_failed = false;
	return result;
}
