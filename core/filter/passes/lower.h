/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lowering: the data shared by lower.c (the graph) and lower_tables.c (variables, tables). Private
 * to them.
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

struct costs { /* parallel to steps */
	struct cost {
		uint32_t events; /* most events of a packet */
		uint32_t forks;  /* most nested forks */
		uint32_t least;  /* lowest filter whose parts are emitted or taken back */
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
	struct cw_u32s leaf_leasts, leaf_bounds; /* parallel to leaves; first match only */
	struct cw_u32s code;
	struct cw_index step_index, leaf_index, table_index;
	struct cw_u32s var_of;                   /* expression -> var, CW_NONE */
	struct cw_u32s ref_of;                   /* joint node -> ref, CW_NONE */
	struct cw_edges edges;                   /* edges of the switch at hand, to refs */
	struct cw_edges keys;                    /* keys of the hash table at hand */
	struct cw_u32s bucket_ends, bucket_keys; /* scratch for the hash table */
	struct cw_u32s refs;                     /* refs of the fork at hand */
	struct cw_u32s gathered;                 /* joint nodes of the fork at hand */
	struct cw_u32s forks, stamps;            /* scratch for gathering: waiting, last seen */
	uint32_t stamp;
	uint32_t bitmap_words;
};

/* Find or make the variable of an expression; returns its number. */
uint32_t cw_lower_var(struct cw_lower *lower, uint32_t expr);

/* Make the hash table of lower->keys (values without their low `shift` bits), the step's k and n.
 * False: no table found, which takes keys chosen for that. */
bool cw_lower_hash(struct cw_lower *lower, uint32_t shift, struct cw_step *step);

/* Make the search tree of lower->edges; returns its offset. */
uint32_t cw_lower_tree(struct cw_lower *lower);

/*
 * Share a new table, the `count` words at `first` of a list: returns its offset, or the offset of
 * an equal older table; then the new table is dropped by setting the list's *end. `kind`:
 * CW_TABLE_*.
 */
uint32_t cw_lower_share(struct cw_lower *lower, uint32_t kind, const uint32_t *all, uint32_t *end,
			uint32_t first, uint32_t count);

#endif
