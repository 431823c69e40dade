/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shows a reader the place where a filter is wrong.
 */
#ifndef CW_CORE_FILTER_TEXT_EXPLAIN_H
#define CW_CORE_FILTER_TEXT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Write what follows `message`, cw_filter_compile's error for `expression`: a newline, the
 * expression (shortened if long), and a caret under the first bad token with keywords that may have
 * been meant. Fills `buffer` (of CW_FILTER_EXPLAIN_BYTES). False, with an empty `buffer`: the
 * message names no place.
 */
#define CW_FILTER_EXPLAIN_BYTES 320u
#define CW_EXPLANATION_INDENT "    " /* begins each line of an explanation */
bool cw_filter_explain(const char *expression, const char *message, char *buffer, size_t room);

/* Returns the offset in `expression` of the fault that `message` reports; -1: it names no place. */
long cw_filter_place(const char *expression, const char *message);

#endif
