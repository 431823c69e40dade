/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Joining: what join.c (problems), join_expand.c (switches) and join_split.c (what is done where a
 * switch would be too large) have in common. Private to them; join.c explains the algorithm.
 */
#ifndef CW_CORE_FILTER_PASSES_JOIN_PROBLEM_H
#define CW_CORE_FILTER_PASSES_JOIN_PROBLEM_H

#include "core/filter/passes/passes.h"

/* A switch may cost so much for each pair, and this on top. */
#define CW_JOIN_FACTOR 6u
#define CW_JOIN_EXTRA 16u

enum cw_join_mode {
	CW_JOIN_CHOOSE, /* whatever is best */
	CW_JOIN_EXPAND, /* a switch, whatever it costs */
};

/* A pair is one number, so that sets are sorted, compared and hashed as such. */
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
	uint32_t set_first, set_count; /* in join.sets */
	uint32_t mode;
	uint32_t node; /* of the joint graph */
};

/* Child `to` of the pair `index` begins at `start`. */
struct event {
	uint32_t start;
	uint32_t index;
	uint32_t to;
};

struct piece { /* a part made here: for (parent, node) */
	uint32_t parent;
	uint32_t node;
};

struct cw_join {
	struct cw_build *build;
	struct cw_pairs sets; /* of all problems */
	struct problems {
		struct problem *at;
		uint32_t count;
		uint32_t capacity;
	} problems;
	struct cw_index problem_index;
	struct cw_index node_index; /* leaves and forks */
	struct cw_index piece_index;
	struct pieces {
		struct piece *at;
		uint32_t count;
		uint32_t capacity;
	} pieces; /* parallel to the parts behind the filters */
	/*
	 * Entries so far, and limits of them: where copying ends, where joining ends, and where the
	 * build fails; and what the input is good for, whatever has been spent on other programs.
	 */
	uint64_t entries, entries_copy, entries_alone, entries_max, entries_free;
	uint64_t surveyed; /* places where children change, in all surveys */
	uint64_t open;     /* of the last survey: as it returns, but without pairs that accept */
	/* of the problem at hand */
	struct cw_pairs mine, others; /* those that ask for its variable, and the rest */
	struct cw_pairs gathered;     /* a set on its way to a problem */
	struct cw_pairs spare;        /* for sorting */
	struct cw_u32s emits;
	struct cw_u32s kids;
	struct cw_u32s active; /* expand: pairs with a child now */
	struct cw_u32s child;
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

/* Entries are added to the graph, or pairs to problems: over the budget, the build fails. */
void cw_join_spend(struct cw_join *join, uint64_t entries);

/* Add a pair, unless its node rejects. */
void cw_join_push(struct cw_join *join, struct cw_pairs *pairs, uint32_t node, uint32_t part);
void cw_join_sort(struct cw_join *join, uint64_t *pairs, uint32_t count);

/* A new node of the joint graph; its number. */
uint32_t cw_join_append(struct cw_join *join, const struct cw_joint_node *node);

/* Words of the joint graph; where they begin. */
uint32_t cw_join_words(struct cw_join *join, const uint32_t *words, uint32_t count);

/* The leaf (no kids) or fork with these emits (sorted) and kids; made when it is new. */
uint32_t cw_join_fork(struct cw_join *join, const uint32_t *emits, uint32_t emit_count,
		      const uint32_t *kids, uint32_t kid_count);

/*
 * The node for a set of pairs (sorted here, doubles removed): what is accepted already is emitted,
 * the rest is a problem.
 */
uint32_t cw_join_set(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode);

/*
 * List where the children of `set` change, and return what a switch would hold: the pairs that are
 * alive, summed over its intervals, but for those that lead to the same as an earlier one.
 * `others` more pairs are alive in each.
 */
uint64_t cw_join_survey(struct cw_join *join, const struct cw_pairs *set, uint32_t others);

/* One switch on `var`, the node `target`, for `set`, which asks for it, and `others`, which go on
 * in each interval. The survey of `set` came right before. */
void cw_join_expand(struct cw_join *join, uint32_t target, uint32_t var, const struct cw_pairs *set,
		    const struct cw_pairs *others);

/* Fork the problem at hand (join->mine, which asks for `var`, and join->others) into exceptions,
 * negated ones and defaults; `target` is its node. */
void cw_join_split(struct cw_join *join, uint32_t target, uint32_t var);

#endif
