/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What capweir top shows, from two answers of the control socket: a row with a bar for each stage a
 * packet goes through, and which stage holds the others up. No terminal here.
 */
#ifndef CW_TOOLS_COMMANDS_TOP_MODEL_H
#define CW_TOOLS_COMMANDS_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CW_TOP_LABEL_BYTES 40u
#define CW_TOP_LINE_BYTES 160u

enum cw_top_stage {
	CW_TOP_RING,   /* the kernel's, of a queue: its losses are kernel drops */
	CW_TOP_QUEUE,  /* its batches under way */
	CW_TOP_WORKER, /* processor time */
	CW_TOP_POOL,   /* output chunks in use */
	CW_TOP_OUTPUT, /* chunks that it holds; its losses */
};

struct cw_top_row {
	enum cw_top_stage stage;
	char label[CW_TOP_LABEL_BYTES];
	double fill;      /* 0 to 1; below 0: not known */
	double rate;      /* packets a second; below 0: has none */
	double loss_rate; /* likewise, that are lost there */
	uint64_t lost;    /* of the run */
	bool has_failed;  /* an output, at present */
};

struct cw_top {
	double elapsed_s;
	double packet_rate, byte_rate;
	double before_rate; /* lost before the rings, by the interface */
	uint64_t lost_before;
	uint64_t generation;
	struct cw_top_row *rows; /* in the packets' way; outputs by what they lose, then hold */
	uint32_t row_count;
	bool is_losing;                     /* anything, now */
	char bottleneck[CW_TOP_LINE_BYTES]; /* one line */
};

/* From the "stats" of two answers, the later one second. 0 or -ENOMEM. */
int cw_top_make(struct cw_top *top, const json_t *before, const json_t *now);
void cw_top_fini(struct cw_top *top);

#endif
