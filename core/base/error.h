/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The error record that set-up functions fill beside their negative errno: one sentence that says
 * what was tried, on what, why it failed and, where there is something to do about it, what to do.
 * Hot functions return codes only and never format text.
 */
#ifndef CW_CORE_BASE_ERROR_H
#define CW_CORE_BASE_ERROR_H

#include <capweir/error.h>

#include "core/base/base.h"

/*
 * Fill `error` (may be NULL) with `code` (a negative errno) and the formatted text.
 * Returns `code`, so that a function can end with `return cw_error_set(...)`.
 */
int cw_error_set(struct cw_error *error, int code, const char *format, ...) CW_PRINTF(3, 4);

/* As cw_error_set, with ": " and the system's text for `code` after the formatted text. */
int cw_error_set_errno(struct cw_error *error, int code, const char *format, ...) CW_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* which looks into one file at a time: the code comes back */
#define cw_error_set(error, code, ...) ((void)cw_error_set(error, code, __VA_ARGS__), (code))
#define cw_error_set_errno(error, code, ...) \
	((void)cw_error_set_errno(error, code, __VA_ARGS__), (code))
#endif

/* Put "<prefix>: " in front of `error`'s text. Returns error's code; 0 if error is NULL. */
int cw_error_prefix(struct cw_error *error, const char *format, ...) CW_PRINTF(2, 3);

#endif
