/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of a decision program as questions and targets, independent of their layout in memory:
 * printing needs no other view of the layout. Not for fast paths.
 */
#ifndef CW_CORE_FILTER_VIEW_H
#define CW_CORE_FILTER_VIEW_H

#include "core/filter/engine/decision.h"

#define CW_VIEW_VAR_BYTES 1024u /* text of a variable; longer ones are shortened */

/* An edge: values low .. high lead to the ref `to`. */
struct cw_view_edge {
	uint32_t low, high;
	uint32_t to;
};

/* A node. Zero-initialise; each cw_view_node fills it anew. */
struct cw_view {
	bool is_fork;                /* all edges are taken; they have no values */
	enum cw_var_kind value_kind; /* kind of the values, never a _MSH kind */
	char var[CW_VIEW_VAR_BYTES]; /* variable: "half[12]", "word[26] & 0xffffff00" */
	struct cw_view_edges {
		struct cw_view_edge *at; /* ascending; neighbours with one target are merged */
		uint32_t count;
		uint32_t capacity;
	} edges;
	uint32_t otherwise; /* target of all other values; CW_REF_EMPTY for forks */
	uint32_t trap;      /* target if the load is outside the packet or a divisor is zero */
};

/* Fill `view` with node `number` (below step_count). 0 or -ENOMEM. */
int cw_view_node(const struct cw_decision *decision, uint32_t number, struct cw_view *view);
void cw_view_fini(struct cw_view *view);

/* An event of a ref: `count` parts, which cw_view_part lists. */
struct cw_view_event {
	bool is_exclude;
	uint32_t count;
};

void cw_view_event(const struct cw_decision *decision, uint32_t ref, struct cw_view_event *event);

/* The first part >= `part` of the event; CW_NONE after the last. */
uint32_t cw_view_part(const struct cw_decision *decision, uint32_t ref, uint32_t part);

/*
 * List the reachable nodes depth first, the root first (fills `order`; the caller frees order->at).
 * 0 or -ENOMEM.
 */
int cw_view_order(const struct cw_decision *decision, struct cw_u32s *order);

#endif
