/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joining: the data that join.c (problems), join_expand.c (switches) and join_split.c (splits, if a
 * switch would be too large) share. Private to them; join.c explains the algorithm.
 */
#ifndef CW_CORE_FILTER_PASSES_JOIN_PROBLEM_H
#define CW_CORE_FILTER_PASSES_JOIN_PROBLEM_H

#include "core/filter/passes/passes.h"

/* Limit of a switch's cost. */
#define CW_JOIN_FACTOR 6u /* for each pair */
#define CW_JOIN_EXTRA 16u /* in addition */

enum cw_join_mode {
	CW_JOIN_CHOOSE, /* whatever is best */
	CW_JOIN_EXPAND, /* a switch, whatever it costs */
};

/* A pair is one number, so that sets are sorted, compared and hashed as numbers. */
static inline uint64_t cw_make_pair(uint32_t node, uint32_t part)
{
	return (uint64_t)node << 32 | part;
}

static inline uint32_t cw_pair_node(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

static inline uint32_t cw_pair_part(uint64_t pair)
{
	return (uint32_t)pair;
}

struct cw_pairs {
	uint64_t *at;
	uint32_t count;
	uint32_t capacity;
};

struct problem {
	uint32_t set_first, set_count; /* range in cw_join.sets */
	uint32_t mode;                 /* enum cw_join_mode */
	uint32_t node;                 /* node of the joint graph */
};

/* At `start` the child of pair `index` becomes `to`. */
struct event {
	uint32_t start;
	uint32_t index;
	uint32_t to;
};

struct piece { /* a part made by joining, for (parent, node) */
	uint32_t parent;
	uint32_t node;
};

struct cw_join {
	struct cw_build *build;
	struct cw_pairs sets; /* pairs of all problems */
	struct problems {
		struct problem *at;
		uint32_t count;
		uint32_t capacity;
	} problems;
	struct cw_index problem_index;
	struct cw_index node_index; /* index of leaves and forks */
	struct cw_index piece_index;
	struct pieces {
		struct piece *at;
		uint32_t count;
		uint32_t capacity;
	} pieces;               /* parallel to the parts after the filters */
	uint64_t entries;       /* entries so far */
	uint64_t entries_copy;  /* limit: no more copies of pairs */
	uint64_t entries_alone; /* limit: each pair alone */
	uint64_t entries_max;   /* limit: the build fails */
	uint64_t entries_free;  /* entries that the input allows beside the set's budget */
	uint64_t surveyed;      /* places where children change, in all surveys */
	uint64_t open;          /* last survey's result without pairs that accept */
	/* of the problem at hand */
	struct cw_pairs mine, others; /* pairs that ask for its variable, and the rest */
	struct cw_pairs gathered;     /* set that becomes a problem */
	struct cw_pairs spare;        /* scratch for sorting */
	struct cw_u32s emits;
	struct cw_u32s kids;
	struct cw_u32s active; /* expand: pairs whose child does not reject */
	struct cw_u32s child;  /* expand and survey: current child of each pair */
	struct events {
		struct event *at;
		uint32_t count;
		uint32_t capacity;
	} events;
};

static inline const struct cw_diagram_node *cw_join_node_of(const struct cw_join *join,
							    uint64_t pair)
{
	return &join->build->diagrams.at[cw_pair_node(pair)];
}

static inline const struct cw_edge *cw_join_edges_of(const struct cw_join *join, uint64_t pair)
{
	return &join->build->diagrams.edges.at[cw_join_node_of(join, pair)->edge_first];
}

/* Count entries of the graph or pairs of problems; over the budget the build fails. */
void cw_join_spend(struct cw_join *join, uint64_t entries);

/* Add a pair, unless its node rejects. */
void cw_join_push(struct cw_join *join, struct cw_pairs *pairs, uint32_t node, uint32_t part);
void cw_join_sort(struct cw_join *join, uint64_t *pairs, uint32_t count);

/* Append a node to the joint graph; returns its number. */
uint32_t cw_join_append(struct cw_join *join, const struct cw_joint_node *node);

/* Append words to the joint graph; returns the index of the first. */
uint32_t cw_join_words(struct cw_join *join, const uint32_t *words, uint32_t count);

/* Find or make the leaf (no kids) or fork with these emits (sorted) and kids. */
uint32_t cw_join_fork(struct cw_join *join, const uint32_t *emits, uint32_t emit_count,
		      const uint32_t *kids, uint32_t kid_count);

/*
 * Find or make the node for a set of pairs (sorted here, duplicates removed): accepting pairs are
 * emitted, the rest becomes a problem.
 */
uint32_t cw_join_set(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode);

/*
 * List the places where the children of `set` change. Returns the cost of a switch: living pairs,
 * summed over its intervals, without intervals equal to an earlier one. `others` more pairs live in
 * each interval.
 */
uint64_t cw_join_survey(struct cw_join *join, const struct cw_pairs *set, uint32_t others);

/* Make node `target` a switch on `var` for `set`, which asks for `var`, and `others`, which
 * continue in each interval. Must follow the survey of `set` directly. */
void cw_join_expand(struct cw_join *join, uint32_t target, uint32_t var, const struct cw_pairs *set,
		    const struct cw_pairs *others);

/* Fork the problem at hand, whose node is `target` (join->mine, which asks for `var`, and
 * join->others), into exceptions, negated pairs and defaults. */
void cw_join_split(struct cw_join *join, uint32_t target, uint32_t var);

#endif
