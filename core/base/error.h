/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The error record that set-up functions fill in addition to their negative errno. Its text says
 * what failed, on what, why, and what the user can do. Hot functions return codes only and never
 * format text.
 */
#ifndef CW_CORE_BASE_ERROR_H
#define CW_CORE_BASE_ERROR_H

#include <capweir/error.h>

#include "core/base/base.h"

/*
 * Fills `error` (may be NULL) with `code` (a negative errno) and the formatted text.
 * Returns `code`, so that a function can end with `return cw_error_set(...)`.
 */
int cw_error_set(struct cw_error *error, int code, const char *format, ...) CW_PRINTF(3, 4);

/* Does the same as cw_error_set and appends ": " and strerror's text for `code`. */
int cw_error_set_errno(struct cw_error *error, int code, const char *format, ...) CW_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* reads one file at a time: show it that `code` is returned */
#define cw_error_set(error, code, ...) ((void)cw_error_set(error, code, __VA_ARGS__), (code))
#define cw_error_set_errno(error, code, ...) \
	((void)cw_error_set_errno(error, code, __VA_ARGS__), (code))
#endif

/* Puts "<prefix>: " before the text of `error`. Returns error->code; 0 if `error` is NULL. */
int cw_error_prefix(struct cw_error *error, const char *format, ...) CW_PRINTF(2, 3);

#endif
