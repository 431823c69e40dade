/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes behind core/filter/text/compiler.h, and what they say to each other:
 *
 *   the user's process       helper                        worker
 *   compiler.c               helper.c                      helper.c
 *
 *   request ───────────────▶ request ────────────────────▶ cw_filter_translate
 *                            waits no longer than
 *                            the limit; kills, starts
 *                            a new one, tries again
 *   verify ◀──────────────── answer ◀───────────────────── answer
 *
 * The helper exists because the user's process cannot fork once it has threads or is confined; it
 * touches no expression itself, so that nothing in one can stop it. One request is under way at a
 * time. Messages are a header and what it says follows, over stream sockets (wire.c), in the
 * machine's own layout: the three are one program.
 */
#ifndef CW_CORE_FILTER_TEXT_HELPER_H
#define CW_CORE_FILTER_TEXT_HELPER_H

#include "core/filter/text/translate.h"

#define CW_HELPER_EXPRESSION_MAX (UINT32_C(256) << 20) /* bytes */
#define CW_HELPER_FOREVER UINT64_MAX                   /* a deadline */

/* Why an attempt came to nothing. */
enum cw_helper_stop {
	CW_STOP_NONE,
	CW_STOP_TIME,
	CW_STOP_MEMORY,
	CW_STOP_DEATH,   /* of the worker; `detail` is the signal or 0 */
	CW_STOP_REFUSED, /* there is no worker; `detail` is a negative errno */
	CW_STOP_COUNT,
};

/* Behind it: the expression, without a NUL. */
struct cw_helper_request {
	uint32_t expression_bytes;
	uint32_t linktype;
	uint32_t snaplen;
	uint32_t netmask;
	uint8_t is_swapped;
	uint8_t unoptimized;
	uint8_t resolve_names;
	uint8_t reserved;
};

/* Behind it: the instructions, then the text without a NUL. */
struct cw_helper_answer_head {
	int32_t result; /* cw_filter_translate's */
	int32_t code;   /* the error's, with its text */
	uint32_t count; /* instructions */
	uint32_t text_bytes;
	uint8_t first_stop; /* why the optimised attempt came to nothing, if there was another */
	uint8_t stop;       /* why the last did */
	uint8_t reserved[2];
	int32_t detail;
};

struct cw_helper_answer {
	struct cw_helper_answer_head head;
	struct cw_bpf translation; /* owned */
	char text[CW_ERROR_TEXT_BYTES];
};

struct cw_helper_limits {
	uint64_t time_ns;
	uint64_t memory_bytes;
	int (*on_start)(void *context); /* as in struct cw_filter_compiler_options */
	void *context;
};

/*
 * Send or receive exactly `bytes`. 0; -ETIMEDOUT at the deadline; -EPIPE when the other side is
 * gone; -ECANCELED when the one at `watched` (a descriptor, or -1) is; or another negative errno.
 */
int cw_wire_send(int fd, const void *data, size_t bytes, uint64_t deadline_ns);
int cw_wire_receive(int fd, int watched, void *data, size_t bytes, uint64_t deadline_ns);

/* Whole messages. Receiving fills what the caller frees; -EPROTO for a header that cannot be. */
int cw_wire_send_request(int fd, const struct cw_helper_request *request, const char *expression,
			 uint64_t deadline_ns);
int cw_wire_receive_request(int fd, struct cw_helper_request *request, char **expression);
int cw_wire_send_answer(int fd, const struct cw_helper_answer *answer, uint64_t deadline_ns);
int cw_wire_receive_answer(int fd, int watched, struct cw_helper_answer *answer,
			   uint64_t deadline_ns);

/*
 * The life of the helper, in the child of a fork: says on `fd` whether it could start a worker (an
 * int32_t, 0 or a negative errno), then answers requests until the other side is gone.
 */
_Noreturn void cw_helper_main(int fd, const struct cw_helper_limits *limits);

#endif
