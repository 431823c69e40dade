/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text of unknown origin (names of files, interfaces and rules, comments) for terminals, JSON and
 * metrics. Both functions work in place: each bad byte becomes "?", so no text grows or shrinks.
 */
#ifndef CW_CORE_BASE_TEXT_H
#define CW_CORE_BASE_TEXT_H

/* Leaves valid UTF-8 without control characters, except newlines: a terminal obeys C0 and C1
 * characters (ESC, U+009B) and DEL. */
void cw_text_clean(char *text);

/* Leaves valid UTF-8. Control characters stay. */
void cw_text_make_utf8(char *text);

#endif
