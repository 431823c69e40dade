/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error codes and error texts.
 *
 * Functions return 0 or a count on success, and a negative code on failure: a negative errno or a
 * value of enum cw_code. Functions that open or set up something also fill the caller's struct
 * cw_error, which may be NULL; its text names the failed operation, its object, the reason and a
 * remedy. Functions called once a packet return a code only.
 */
#ifndef CW_CAPWEIR_ERROR_H
#define CW_CAPWEIR_ERROR_H

#include <capweir/base.h>

CW_BEGIN_DECLS

/* Size of an error's text in bytes, including its NUL. */
#define CW_ERROR_TEXT_BYTES 1024

/* One error, in words. Filled on failure, and where a function returns a warning. */
struct cw_error {
	int code;                       /* negative code; 0: no error, or a warning */
	char text[CW_ERROR_TEXT_BYTES]; /* NUL-terminated, truncated to fit, no newline at the end
					 */
};

/* Codes that have no errno value. */
enum cw_code {
	CW_WARNED = 1,             /* success with a warning: the error's text says what differs */
	CW_NOT_ACTIVATED = -10001, /* the handle is not activated yet */
	CW_ALREADY_ACTIVATED = -10002,        /* the setting is possible only before activation */
	CW_CANNOT_SET_RFMON = -10003,         /* the interface has no monitor mode */
	CW_NO_SUCH_TIMESTAMP_SOURCE = -10004, /* the interface lacks this timestamp source */
	CW_NOT_LIVE = -10005,                 /* only handles of interfaces support this call */
	CW_IS_DEAD = -10006,                  /* a dead handle has no packets */
	CW_CLOSED = -10007,                   /* the handle was closed: no sending, no filter */
	CW_OTHER_LINKTYPE = -10008, /* a pcap file holds one link type, not this packet's */
};

/* Returns the meaning of a code in words; for a negative errno, the text of strerror. Static, or
 * valid until the calling thread's next call. Any thread. */
CW_API const char *cw_code_text(int code);

CW_END_DECLS

#endif
