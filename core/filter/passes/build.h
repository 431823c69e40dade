/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many classic BPF programs to one decision program: what the passes give to the front.
 */
#ifndef CW_CORE_FILTER_PASSES_BUILD_H
#define CW_CORE_FILTER_PASSES_BUILD_H

#include "core/filter/bpf/bpf.h"
#include "core/filter/engine/decision.h"

/*
 * Budgets. A filter over its own is not joined with others, but is part of the program as it is, or
 * run apart (the sequential tier). Those of joining and of code are the set's: what one of its
 * programs takes, the next does not have. What is still over them is run apart. Tests force tiny
 * ones.
 */
struct cw_filter_budget {
	uint32_t states;          /* of one filter, while lifting */
	uint32_t diagram_nodes;   /* of one filter */
	uint32_t diagram_edges;   /* of one filter */
	uint32_t joint_per_input; /* entries of the joint graph for each interval of the diagrams */
	uint32_t joint_extra;     /* and that many on top, of all programs together */
	uint32_t joint_max;       /* but never more, of all together */
	uint32_t code_bytes;      /* of x86-64 code, of all together */
	uint32_t filters;         /* of one program */
};

extern const struct cw_filter_budget cw_filter_budget_default;

/* How a program is built. */
struct cw_build_options {
	enum cw_filter_mode mode;
	/* Filters whose diagram is over the budget are part of the program, each as it is. That is
	 * worth it where the program becomes code; walked, it is slower than the interpreter. */
	bool with_records;
	struct cw_filter_budget budget;
};

/*
 * All passes: one decision program for the `programs` of `count` filters (borrows; verified).
 * unjoined_reasons (fills) tells of each filter why it is not part of the result: 0 it is, -ELOOP,
 * -E2BIG. Returns 0; -E2BIG when the decision program is over a budget, whose halves may not be;
 * -ENOMEM.
 */
int cw_decision_build(struct cw_decision *decision, const struct cw_bpf *programs, uint32_t count,
		      const struct cw_build_options *options, int *unjoined_reasons);

#endif
