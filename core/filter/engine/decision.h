/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A decision program: what many filters became (passes/build.c runs the passes that make it), and
 * what runs it. Immutable once built; any number of threads may run it.
 *
 *   packet --walk or jit_x86--> events --collect--> ids
 */
#ifndef CW_CORE_FILTER_ENGINE_DECISION_H
#define CW_CORE_FILTER_ENGINE_DECISION_H

#include <capweir/filter.h>
#include <pcap/pcap.h>

#include "core/base/grow.h"

struct cw_edge {
	uint32_t start;
	uint32_t to;
};

struct cw_edges {
	struct cw_edge *at;
	uint32_t count;
	uint32_t capacity;
};

#define CW_PARTS_MAX 65536u /* of one program: filters and pieces */

/* A filter that asks for larger expressions is run apart. */
#define CW_EXPR_STACK_MAX 12u
#define CW_EXPR_SIZE_MAX 64u

#define CW_ALU_GT 0x1000u /* comparisons of two values that are both unknown: 0 or 1 */
#define CW_ALU_GE 0x1010u

/* a (op) b as classic BPF has it, or one of the two above; the divisor is not 0. */
uint32_t cw_expr_compute(uint32_t op, uint32_t a, uint32_t b);

/* ---- the program that runs ---- */

/*
 * Where to go: a node (its number), nowhere, or an event with bit 31 set, which is added to the
 * events of the packet: a part's number, with CW_EVENT_EXCLUDE if it is taken back, or with
 * CW_EVENT_LEAF the number of a leaf.
 */
#define CW_REF_EVENT (UINT32_C(1) << 31)
#define CW_REF_EMPTY (CW_REF_EVENT - 1)
#define CW_EVENT_EXCLUDE (UINT32_C(1) << 30)
#define CW_EVENT_LEAF (UINT32_C(1) << 29)
#define CW_EVENT_MASK (CW_EVENT_LEAF - 1)
#define CW_EVENT_PLAIN_MAX (CW_REF_EVENT | CW_EVENT_MASK) /* a part that is not taken back */
#define CW_EVENTS_MAX 2048u                /* of one packet; checked while lowering */
#define CW_EVENTS_ROOM (CW_EVENTS_MAX + 1) /* code may write one that does not count */
#define CW_FORK_DEPTH_MAX 128u             /* forks inside forks; checked while lowering */
#define CW_LEAF_LIST_MAX 16u               /* parts; a leaf with more is a bitmap */

enum cw_var_kind {
	CW_VAR_BYTE, /* at a fixed offset */
	CW_VAR_HALF,
	CW_VAR_WORD,
	CW_VAR_BYTE_MSH, /* behind a header whose length is 4 * (low nibble of the byte at `msh`) */
	CW_VAR_HALF_MSH,
	CW_VAR_WORD_MSH,
	CW_VAR_LEN,
	CW_VAR_CODE, /* any other expression: postfix code */
	CW_VAR_KINDS,
};

/* Postfix code: pairs of words, an operation and its k. */
enum cw_code_op {
	CW_CODE_END,
	CW_CODE_CONST,
	CW_CODE_LEN,
	CW_CODE_LOAD, /* bit 8: at k plus the top of the stack; bytes from bit 9 on */
	CW_CODE_ALU,  /* k of the two on top */
};

#define CW_VAR_OFFSET_MAX (UINT16_MAX - 4u) /* loads behind that are postfix code */

struct cw_var {
	uint32_t kind;
	uint32_t offset; /* CODE: of the code */
	uint32_t need;   /* bytes from the packet's (or the header's) start that must be there */
	uint32_t mask;
	uint32_t msh;
};

enum cw_step_op {
	CW_STEP_EQUAL,  /* value == k */
	CW_STEP_RANGE,  /* value - k < n */
	CW_STEP_EXISTS, /* no trap */
	CW_STEP_HASH,   /* value >> shift in the table of 2^bits entries at k */
	CW_STEP_TREE,   /* the last of many starts that is <= value, see struct cw_tree */
	CW_STEP_FORK,   /* all of the n refs at k */
	CW_STEP_GUARD,  /* a kid of a fork: then, unless a filter <= k is found; see below */
};

#define CW_STEP_FORM(op, kind) ((op)*CW_VAR_KINDS + (kind))

/*
 * Where only the first match is wanted, the kids of a fork come in the order of the lowest filter
 * (k) that each can have to do with, and each but the first is a guard: as soon as a filter is
 * found that is not above k, it and the n kids behind it are left out. cw_decision.bounds tells
 * what an event finds for certain.
 */

/* 32 bytes. */
struct cw_step {
	uint8_t op;
	uint8_t form; /* op and the variable's kind in one, for the walker: CW_STEP_FORM */
	uint16_t var;
	uint32_t k;
	uint32_t n;
	uint32_t then;
	uint32_t otherwise;
	uint32_t trap;
	/* The variable's, at hand for the walker. */
	uint32_t mask;
	uint16_t offset;
	uint16_t need;
};

/*
 * A leaf's parts: ascending in a list; or, from 17 on, a bitmap of all parts (cw_decision.words at
 * `first`, `bitmap_words` long).
 */
struct cw_leaf {
	uint32_t first;
	uint32_t count; /* of the list; 0 = bitmap */
};

/*
 * Hash tables: keys value >> shift, each in a place of its own, so that one look tells. Keys are
 * divided into buckets, and each bucket has a multiplier under which its keys fall into free places
 * (found while lowering). n of the step holds the table's and the buckets' number as powers of two,
 * and the shift.
 *
 *	hashes[k] ..	2^bits entries {key, ref}; free ones have the ref CW_NONE and a key that
 *			belongs elsewhere, so that it is never looked for here
 *	behind them	2^bucket_bits multipliers, 32-bit words
 *
 * Measured against probing on (with a bitmap in front that tells most misses): no loop, and no
 * branch until it is known whether the key is there, so that what follows can do without as well.
 */
#define CW_HASH_BITS(n) ((n)&0xff)
#define CW_HASH_SHIFT(n) ((n) >> 8 & 0xff)
#define CW_HASH_BUCKET_BITS(n) ((n) >> 16 & 0xff)
#define CW_HASH_EMITS (UINT32_C(1) << 31) /* in n: all its refs are events, and otherwise none */
#define CW_HASH_N(bits, shift, bucket_bits) ((bits) | (shift) << 8 | (bucket_bits) << 16)
#define CW_HASH_BITS_MAX 28u
#define CW_HASH_MULTIPLIER 0x9e3779b1u /* from key to bucket */

/* The multipliers of a table. */
static inline const uint32_t *cw_hash_multipliers(const struct cw_edge *table, uint32_t n)
{
	return (const uint32_t *)(table + (UINT32_C(1) << CW_HASH_BITS(n)));
}

static inline uint32_t cw_hash_bucket(uint32_t key, uint32_t n)
{
	return key * CW_HASH_MULTIPLIER >> (32 - CW_HASH_BUCKET_BITS(n));
}

static inline uint32_t cw_hash_place(uint32_t key, uint32_t multiplier, uint32_t n)
{
	return key * multiplier >> (32 - CW_HASH_BITS(n));
}

/* Entries that table and multipliers take. */
static inline uint32_t cw_hash_entries(uint32_t n)
{
	return (UINT32_C(1) << CW_HASH_BITS(n)) + (UINT32_C(1) << CW_HASH_BUCKET_BITS(n)) / 2;
}

/*
 * Search trees over sorted starts (without the first, which is 0), at cw_decision.trees + k:
 * a header of 16 words, then levels of nodes of 16 keys each, the last level holding all keys in
 * order, then a ref for each interval. Child c of node j is node 17 j + c of the next level. Keys
 * are (start - 1) with the sign bit turned, so that a signed "key < value" asks "start <= value",
 * and the filling, the largest key, never counts.
 */
#define CW_TREE_FANOUT 16u
#define CW_TREE_LEVELS_MAX 7u

struct cw_tree {
	uint32_t level_count;
	uint32_t levels[CW_TREE_LEVELS_MAX]; /* words from the header's start */
	uint32_t refs;
	uint32_t start_count;
	uint32_t reserved[6];
};

struct cw_decision {
	struct cw_step *steps;
	struct cw_var *vars;
	struct cw_edge *hashes; /* {key, ref}; a free entry's ref is CW_NONE */
	uint32_t *trees;        /* see passes/lower.c */
	uint32_t *words;        /* refs of forks, parts of leaves */
	struct cw_leaf *leaves;
	uint32_t *code;   /* postfix */
	uint32_t *owners; /* part -> filter; NULL where every part is a filter */
	uint32_t *parents;
	/* First match: the lowest filter that matches for certain when an event comes, CW_NONE
	 * where all of its parts can be taken back; by part, then by leaf. NULL where all are
	 * wanted. */
	uint32_t *bounds;
	uint32_t step_count, var_count, hash_count, tree_count, word_count, leaf_count, code_count;
	uint32_t part_count;
	uint32_t filter_count;
	uint32_t bitmap_words;
	uint32_t root;
	void *jit; /* jit_x86.c, or NULL */
	size_t jit_bytes;
	uint64_t joint_entries, joint_free; /* that joining took, and that its input is good for */
	uint32_t record_filters;            /* that are in it question by question */
};

/* The kid of a fork, without its guard. */
static inline uint32_t cw_fork_kid(const struct cw_decision *decision, uint32_t ref)
{
	bool is_guard = ref < CW_REF_EMPTY && decision->steps[ref].op == CW_STEP_GUARD;

	return is_guard ? decision->steps[ref].then : ref;
}

void cw_decision_fini(struct cw_decision *decision);
size_t cw_decision_bytes(const struct cw_decision *decision);

/* The events of one packet, into `events` (room for CW_EVENTS_ROOM); their number. */
uint32_t cw_walk(const struct cw_decision *decision, const uint8_t *data, uint32_t caplen,
		 uint32_t wire_len, uint32_t *events);

/*
 * Machine code for a program, of at most bytes_max bytes: jit_x86.c, or jit_none.c
 * which says -ENOTSUP. Negative errno: the program is as it was, and walks. After success
 * cw_jit_run runs it, and cw_walk does not any more.
 */
int cw_jit_build(struct cw_decision *decision, uint32_t bytes_max);
void cw_jit_fini(struct cw_decision *decision);

static inline uint32_t cw_jit_run(const struct cw_decision *decision, const uint8_t *data,
				  uint32_t caplen, uint32_t wire_len, uint32_t *events)
{
	uint32_t *(*run)(const uint8_t *, uint32_t, uint32_t, uint32_t *);

	/* Through a copy: ISO C has no cast from an object's pointer to a function's. */
	memcpy(&run, &decision->jit, sizeof(run));
	return (uint32_t)(run(data, wire_len, caplen, events) - events);
}

/* Value of postfix code; false when it traps. */
bool cw_walk_code(const uint32_t *code, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
		  uint32_t *value);

/*
 * From events to ids (fills; room for all of the program's filters, or one): ascending, each once.
 * ALL: all of them; FIRST: the lowest only. ids_of are the ids of the filters, ascending.
 */
size_t cw_collect(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
		  enum cw_filter_mode mode, const uint32_t *ids_of, uint32_t *ids);

#endif
