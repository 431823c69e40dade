/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory whose failures are noted, for a library that reports them in too many places to check. */
#ifndef CW_CORE_BASE_NOTED_H
#define CW_CORE_BASE_NOTED_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc; free() frees it. Any thread. */
void *cw_noted_malloc(size_t bytes);

/* Returns a copy of the text that is valid UTF-8 (text.h), or NULL; free() frees it. Any thread. */
char *cw_noted_utf8(const char *text);

/* Returns whether cw_noted_malloc failed in this thread since the last call. */
bool cw_noted_failure(void);

#endif
