/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many classic BPF programs to one decision program: the interface of the passes.
 */
#ifndef CW_CORE_FILTER_PASSES_BUILD_H
#define CW_CORE_FILTER_PASSES_BUILD_H

#include "core/filter/bpf/bpf.h"
#include "core/filter/engine/decision.h"

/*
 * Budgets. A filter over its budget is not joined with others, but is part of the program as it is,
 * or runs separately (the sequential tier). The budgets of joining and of code belong to the set:
 * one program's share is not available to the next, and filters still over them run separately.
 * Tests use tiny budgets.
 */
struct cw_filter_budget {
	uint32_t states;          /* states of one filter, while lifting */
	uint32_t diagram_nodes;   /* nodes of one filter's diagram */
	uint32_t diagram_edges;   /* edges of one filter's diagram */
	uint32_t joint_per_input; /* entries of the joint graph for each interval of the diagrams */
	uint32_t joint_extra;     /* further entries, for all programs of the set together */
	uint32_t joint_max;       /* most entries of all programs together */
	uint32_t code_bytes;      /* x86-64 code of all programs together */
	uint32_t filters;         /* filters of one program */
};

extern const struct cw_filter_budget cw_filter_budget_default;

/* How a program is built. */
struct cw_build_options {
	enum cw_filter_mode mode;
	/* Filters whose diagram is over the budget are part of the program as they are. That is
	 * faster as code; walked, it is slower than the interpreter. */
	bool with_records;
	struct cw_filter_budget budget;
};

/*
 * Run all passes: one decision program for the `programs` of `count` filters (borrows; verified).
 * Fills unjoined_reasons: 0 for filters that are part of the result, -ELOOP or -E2BIG for others.
 * Returns 0; -E2BIG if the decision program is over a budget (programs of half the filters may
 * fit); -ENOMEM.
 */
int cw_decision_build(struct cw_decision *decision, const struct cw_bpf *programs, uint32_t count,
		      const struct cw_build_options *options, int *unjoined_reasons);

#endif
