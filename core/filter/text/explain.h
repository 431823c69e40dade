/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a filter is wrong, for a reader.
 */
#ifndef CW_CORE_FILTER_TEXT_EXPLAIN_H
#define CW_CORE_FILTER_TEXT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * For a reader of `message`, what cw_filter_compile said against `expression`: a newline, the
 * expression (cut where it is long), and a caret under the first bad token with what may have been
 * meant. Fills `buffer` (of CW_FILTER_EXPLAIN_BYTES); false, and it is empty: the message does not
 * say where.
 */
#define CW_FILTER_EXPLAIN_BYTES 320u
bool cw_filter_explain(const char *expression, const char *message, char *buffer, size_t room);

#endif
