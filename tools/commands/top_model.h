/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contents of capweir top, computed from two answers of the control socket: one row for each
 * stage that a packet passes, and the stage that limits the others. No terminal here.
 */
#ifndef CW_TOOLS_COMMANDS_TOP_MODEL_H
#define CW_TOOLS_COMMANDS_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CW_TOP_LABEL_BYTES 40u
#define CW_TOP_LINE_BYTES 160u

enum cw_top_stage {
	CW_TOP_RING,   /* kernel ring of a queue; losses are kernel drops */
	CW_TOP_QUEUE,  /* batches of a queue in use */
	CW_TOP_WORKER, /* CPU time of a worker */
	CW_TOP_POOL,   /* output chunks in use */
	CW_TOP_OUTPUT, /* chunks held by an output; losses of its rule */
};

struct cw_top_row {
	enum cw_top_stage stage;
	char label[CW_TOP_LABEL_BYTES];
	double fill;      /* 0 to 1; below 0: unknown */
	double rate;      /* packets/s; below 0: the stage has no rate */
	double loss_rate; /* packets/s lost in this stage */
	uint64_t lost;    /* packets lost here since the start */
	bool has_failed;  /* output: writing fails now */
};

struct cw_top {
	double elapsed_s;
	double packet_rate, byte_rate; /* per second */
	double before_rate;      /* packets/s lost by the interface, before the kernel rings */
	uint64_t lost_before;    /* packets lost there since the start */
	uint64_t generation;     /* rules in force */
	struct cw_top_row *rows; /* in order of the stages; outputs by losses, then by fill */
	uint32_t row_count;
	bool is_losing;                     /* some stage loses packets now */
	char bottleneck[CW_TOP_LINE_BYTES]; /* one line of text */
};

/* Fills `top` from the "stats" of an earlier and a later answer. Returns 0 or -ENOMEM. */
int cw_top_make(struct cw_top *top, const json_t *before, const json_t *now);
void cw_top_fini(struct cw_top *top);

#endif
