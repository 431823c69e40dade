/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers and names as people read them, and as JSON holds them. */
#ifndef CW_TOOLS_TEXT_NUMBERS_H
#define CW_TOOLS_TEXT_NUMBERS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* 1234567 as "1,234,567"; 1500000 as "1.5 MB". Into `buffer`, which is returned. */
#define CW_NUMBER_BYTES 32
const char *cw_format_count(uint64_t number, char buffer[CW_NUMBER_BYTES]);
const char *cw_format_bytes(uint64_t bytes, char buffer[CW_NUMBER_BYTES]);

/* A name from outside as it may go to a terminal: control characters become "?". Into `clean`,
 * which is returned. */
const char *cw_format_printable(const char *name, char *clean, size_t bytes);

/* A string for JSON, which must be UTF-8; where `value` is not, its high bytes become "?". NULL:
 * null. */
json_t *cw_json_text(const char *value);

/* Print `whole`, which is taken and may be NULL, on standard output. 0, or CW_EXIT_PROBLEM after a
 * complaint: `what` is "the report " or the like, or "". `flags`: JSON_REAL_PRECISION, or 0. */
int cw_json_print(json_t *whole, size_t flags, const char *what);

#endif
