/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors: functions return 0 or a count, or a negative code: a negative errno, or one of
 * enum cw_code. Set-up functions also fill a caller's struct cw_error (which may be NULL): what was
 * tried, on what, why it failed, what to do. Functions called for each packet return codes only.
 */
#ifndef CW_CAPWEIR_ERROR_H
#define CW_CAPWEIR_ERROR_H

#include <capweir/base.h>

CW_BEGIN_DECLS

/* Room of an error's text, its NUL included. */
#define CW_ERROR_TEXT_BYTES 1024

/* What went wrong, in one sentence. */
struct cw_error {
	int code; /* negative code; 0 when nothing was set, or for a warning */
	char text[CW_ERROR_TEXT_BYTES]; /* NUL-terminated, cut when longer, no newline at its end
					 */
};

/* Codes that no errno stands for. */
enum cw_code {
	CW_WARNED = 1, /* success, otherwise than asked for: the error's text says how */
	CW_NOT_ACTIVATED = -10001,     /* the handle is not activated yet */
	CW_ALREADY_ACTIVATED = -10002, /* a setting that can only be made before activation */
	CW_CANNOT_SET_RFMON = -10003,  /* the device has no monitor mode */
	CW_NO_SUCH_TIMESTAMP_SOURCE = -10004, /* the device does not have this source of times */
	CW_NOT_LIVE = -10005, /* asked of a file or a dead handle what only devices have */
	CW_IS_DEAD = -10006,  /* a dead handle has no packets */
	CW_CLOSED = -10007,   /* the handle was closed */
};

/* What a code means, in words; for negative errnos the system's words. Static or of the thread. */
CW_API const char *cw_code_text(int code);

CW_END_DECLS

#endif
