/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lowering, between lower.c (the graph) and lower_tables.c (variables, tables). Private to these.
 */
#ifndef CW_CORE_FILTER_PASSES_LOWER_H
#define CW_CORE_FILTER_PASSES_LOWER_H

#include "core/filter/passes/passes.h"

#define CW_TABLE_HASH 0u
#define CW_TABLE_TREE 1u
#define CW_TABLE_WORDS 2u

struct growing_steps {
	struct cw_step *at;
	uint32_t count;
	uint32_t capacity;
};

struct costs { /* of a step */
	struct cost {
		uint32_t events;
		uint32_t forks;
		uint32_t least; /* the lowest filter whose parts it emits or takes back */
	} * at;
	uint32_t count;
	uint32_t capacity;
};

struct cw_lower {
	struct cw_build *build;
	struct growing_steps steps;
	struct costs costs;
	struct vars {
		struct cw_var *at;
		uint32_t count;
		uint32_t capacity;
	} vars;
	struct cw_edges hashes;
	struct cw_u32s trees;
	struct cw_u32s words;
	struct leaves {
		struct cw_leaf *at;
		uint32_t count;
		uint32_t capacity;
	} leaves;
	struct cw_u32s leaf_leasts, leaf_bounds; /* parallel to them; only for the first match */
	struct cw_u32s code;
	struct cw_index step_index, leaf_index, table_index;
	struct cw_u32s var_of;                   /* expression -> var, CW_NONE */
	struct cw_u32s ref_of;                   /* joint node -> ref, CW_NONE */
	struct cw_edges edges;                   /* of the switch at hand, refs in place of nodes */
	struct cw_edges keys;                    /* of the hash table at hand */
	struct cw_u32s bucket_ends, bucket_keys; /* scratch for it */
	struct cw_u32s refs;                     /* of the fork at hand */
	struct cw_u32s gathered;                 /* joint nodes that it is made of */
	struct cw_u32s forks, stamps;            /* scratch for that: waiting, and seen by which */
	uint32_t stamp;
	uint32_t bitmap_words;
};

/* The variable of an expression; its number. */
uint32_t cw_lower_var(struct cw_lower *lower, uint32_t expr);

/* The hash table of lower->keys (values without their low `shift` bits), into the step's k and n;
 * false when there is none for them, which takes keys chosen for that. */
bool cw_lower_hash(struct cw_lower *lower, uint32_t shift, struct cw_step *step);

/* The search tree of lower->edges. */
uint32_t cw_lower_tree(struct cw_lower *lower);

/*
 * `count` words at `first` of a list are a new table: its offset, or that of an equal older one,
 * the new one being dropped from the list by setting its *end. `kind` is CW_TABLE_*.
 */
uint32_t cw_lower_share(struct cw_lower *lower, uint32_t kind, const uint32_t *all, uint32_t *end,
			uint32_t first, uint32_t count);

#endif
