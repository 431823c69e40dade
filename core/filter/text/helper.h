/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes of core/filter/text/compiler.h, and the messages between them:
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
 * The helper exists because the user's process cannot fork once it has threads or is confined. The
 * helper does not parse expressions, so no expression can stop it. One request is under way at a
 * time. A message is a header and the data that it announces, over stream sockets (wire.c), in the
 * machine's layout: all three processes are one program.
 */
#ifndef CW_CORE_FILTER_TEXT_HELPER_H
#define CW_CORE_FILTER_TEXT_HELPER_H

#include "core/filter/text/translate.h"

#define CW_HELPER_EXPRESSION_MAX (UINT32_C(256) << 20) /* bytes */
#define CW_HELPER_FOREVER UINT64_MAX                   /* a deadline */
#define CW_HELPER_STARVED 20u /* a worker gets at least this part of a core, or is given up */

/* Why an attempt failed. */
enum cw_helper_stop {
	CW_STOP_NONE,
	CW_STOP_TIME,
	CW_STOP_MEMORY,
	CW_STOP_DEATH,   /* the worker died; `detail` is the signal or 0 */
	CW_STOP_REFUSED, /* no worker could be started; `detail` is a negative errno */
	CW_STOP_COUNT,
};

/* Header of a request; then comes the expression, without a NUL. */
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

/* Header of an answer; then come the instructions, then the text without a NUL. */
struct cw_helper_answer_head {
	int32_t result;      /* of cw_filter_translate */
	int32_t code;        /* code of the error */
	uint32_t count;      /* instructions */
	uint32_t text_bytes; /* text of the error */
	uint8_t first_stop;  /* why the optimised attempt failed, if there was another */
	uint8_t stop;        /* why the last attempt failed */
	uint8_t reserved[2];
	int32_t detail;
};

struct cw_helper_answer {
	struct cw_helper_answer_head head;
	struct cw_bpf translation; /* owned */
	char text[CW_ERROR_TEXT_BYTES];
};

struct cw_helper_limits {
	uint64_t time_ns; /* of computing, for an attempt */
	uint64_t memory_bytes;
	int (*on_start)(void *context); /* as in struct cw_filter_compiler_options */
	void *context;
};

/* Wait until fd can do what `events` asks for, or has failed; returns as those below. */
int cw_wire_wait(int fd, short events, int watched, uint64_t deadline_ns);

/*
 * Send or receive exactly `bytes`. 0; -ETIMEDOUT at the deadline; -EPIPE if the other side is gone;
 * -ECANCELED if the peer of `watched` (a descriptor, or -1) is gone; or another negative errno.
 */
int cw_wire_send(int fd, const void *data, size_t bytes, uint64_t deadline_ns);
int cw_wire_receive(int fd, int watched, void *data, size_t bytes, uint64_t deadline_ns);

/* Complete messages. Receiving fills memory that the caller frees; -EPROTO: impossible header. */
int cw_wire_send_request(int fd, const struct cw_helper_request *request, const char *expression,
			 uint64_t deadline_ns);
int cw_wire_receive_request(int fd, struct cw_helper_request *request, char **expression);
int cw_wire_send_answer(int fd, const struct cw_helper_answer *answer, uint64_t deadline_ns);
int cw_wire_receive_answer(int fd, int watched, struct cw_helper_answer *answer,
			   uint64_t deadline_ns);

/*
 * Run the helper, in the child of a fork: write to `fd` whether a worker could be started (an
 * int32_t, 0 or a negative errno), then answer requests until the other side is gone.
 */
_Noreturn void cw_helper_main(int fd, const struct cw_helper_limits *limits);

#endif
