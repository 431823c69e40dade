/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the nodes of a decision program ask and where they lead, apart from how they are laid out:
 * the one place that printing has to know the layout from. Not for fast paths.
 */
#ifndef CW_CORE_FILTER_VIEW_H
#define CW_CORE_FILTER_VIEW_H

#include "core/filter/engine/decision.h"

#define CW_VIEW_VAR_BYTES 1024u /* text of a variable; a longer one is cut */

/* Values low .. high lead to the ref `to`. */
struct cw_view_edge {
	uint32_t low, high;
	uint32_t to;
};

/* A node. Zero-initialise; each cw_view_node fills it anew. */
struct cw_view {
	bool is_fork;                /* goes to all of its edges; they have no values */
	enum cw_var_kind value_kind; /* what the values are of, without the _MSH kinds */
	char var[CW_VIEW_VAR_BYTES]; /* what is looked at: "half[12]", "word[26] & 0xffffff00" */
	struct cw_view_edges {
		struct cw_view_edge *at; /* ascending; neighbours of one target are one */
		uint32_t count;
		uint32_t capacity;
	} edges;
	uint32_t otherwise; /* every other value; CW_REF_EMPTY for forks */
	uint32_t trap;      /* the load falls outside of the packet, or a division by zero */
};

/* Fill `view` with node `number` (below step_count). 0 or -ENOMEM. */
int cw_view_node(const struct cw_decision *decision, uint32_t number, struct cw_view *view);
void cw_view_fini(struct cw_view *view);

/* What an event of a ref stands for: `count` parts, the n-th given by cw_view_part. */
struct cw_view_event {
	bool is_exclude;
	uint32_t count;
};

void cw_view_event(const struct cw_decision *decision, uint32_t ref, struct cw_view_event *event);

/* The first part >= `part` of the event; CW_NONE behind the last. */
uint32_t cw_view_part(const struct cw_decision *decision, uint32_t ref, uint32_t part);

/*
 * The nodes that can be reached, the root first, each before those it leads to where it is met
 * first (fills `order`; the caller frees order->at). 0 or -ENOMEM.
 */
int cw_view_order(const struct cw_decision *decision, struct cw_u32s *order);

#endif
