/* SPDX-License-Identifier: BSD-3-Clause */
/* Formats numbers and names for people and for JSON. */
#ifndef CW_TOOLS_TEXT_NUMBERS_H
#define CW_TOOLS_TEXT_NUMBERS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Format 1234567 as "1,234,567", and 1500000 bytes as "1.5 MB"; return `buffer`. */
#define CW_NUMBER_BYTES 32
const char *cw_format_count(uint64_t number, char buffer[CW_NUMBER_BYTES]);
const char *cw_format_bytes(uint64_t bytes, char buffer[CW_NUMBER_BYTES]);

/* Copies an untrusted name for a line on a terminal, as cw_text_clean, newlines too. Returns
 * `clean`. */
const char *cw_format_printable(const char *name, char *clean, size_t bytes);

/* Lets cw_json_print see every failed allocation of jansson. Called once, first. */
void cw_json_begin(void);

/* A JSON string, or null for NULL. Bytes that are not UTF-8 become "?". */
json_t *cw_json_text(const char *value);

/*
 * Prints `whole` (takes; may be NULL) and a newline on standard output, complete or, if memory ran
 * out while this thread made it, not at all. Returns 0, or CW_EXIT_PROBLEM after a message that
 * names `what`: "the report ", or "". `flags`: of json_dumps.
 */
int cw_json_print(json_t *whole, size_t flags, const char *what);

#endif
