/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A decision program: many filters in one (built by passes/build.c), and the calls that run it.
 * Immutable once built; any number of threads may run it.
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

#define CW_PARTS_MAX 65536u /* parts (filters and pieces) of one program */

/* A filter with larger expressions runs separately. */
#define CW_EXPR_STACK_MAX 12u
#define CW_EXPR_SIZE_MAX 64u

#define CW_ALU_GT 0x1000u /* comparisons of two unknown values; the result is 0 or 1 */
#define CW_ALU_GE 0x1010u

/* a (op) b as in classic BPF, or one of the two comparisons above; the divisor is not 0. */
uint32_t cw_expr_compute(uint32_t op, uint32_t a, uint32_t b);

/* ---- the program that runs ---- */

/*
 * A ref says where to go: to a node (its number), nowhere, or, with bit 31 set, to an event, which
 * is added to the packet's events. An event is a part's number, with CW_EVENT_EXCLUDE if the part
 * is taken back, or with CW_EVENT_LEAF a leaf's number.
 */
#define CW_REF_EVENT (UINT32_C(1) << 31)
#define CW_REF_EMPTY (CW_REF_EVENT - 1)
#define CW_EVENT_EXCLUDE (UINT32_C(1) << 30)
#define CW_EVENT_LEAF (UINT32_C(1) << 29)
#define CW_EVENT_MASK (CW_EVENT_LEAF - 1)
#define CW_EVENT_PLAIN_MAX (CW_REF_EVENT | CW_EVENT_MASK) /* a part that is not taken back */
#define CW_EVENTS_MAX 2048u                /* events of one packet; checked while lowering */
#define CW_EVENTS_ROOM (CW_EVENTS_MAX + 1) /* code may write one more, which does not count */
#define CW_FORK_DEPTH_MAX 128u             /* nested forks; checked while lowering */
#define CW_LEAF_LIST_MAX 16u               /* parts of a listed leaf; larger ones are bitmaps */
#define CW_BITS_MAX 64u                    /* filters whose matches are bits of one word */

enum cw_var_kind {
	CW_VAR_BYTE, /* at a fixed offset */
	CW_VAR_HALF,
	CW_VAR_WORD,
	CW_VAR_BYTE_MSH, /* after a header whose length is 4 * (low nibble of the byte at `msh`) */
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
	CW_CODE_LOAD, /* bit 8: offset is k plus the top of the stack; bits from 9: bytes */
	CW_CODE_ALU,  /* operation k on the two top values */
};

#define CW_VAR_OFFSET_MAX (UINT16_MAX - 4u) /* loads at larger offsets are postfix code */

struct cw_var {
	uint32_t kind;
	uint32_t offset; /* in the packet; MSH: less header length; CODE: in cw_decision.code */
	uint32_t need;   /* bytes that the packet must have; MSH: less header length */
	uint32_t mask;
	uint32_t msh; /* MSH: offset of the byte with the header's length */
};

enum cw_step_op {
	CW_STEP_EQUAL,  /* value == k */
	CW_STEP_RANGE,  /* value - k < n */
	CW_STEP_EXISTS, /* the load does not trap */
	CW_STEP_HASH,   /* value >> shift in the table of 2^bits entries at k */
	CW_STEP_TREE,   /* the last of many starts that is <= value, see struct cw_tree */
	CW_STEP_FORK,   /* go to all of the n refs at k */
	CW_STEP_GUARD,  /* a kid of a fork: go to `then` unless a filter <= k is found; see below */
};

#define CW_STEP_FORM(op, kind) ((op)*CW_VAR_KINDS + (kind))

/*
 * If only the first match is wanted, the kids of a fork are ordered by the lowest filter (k) that
 * each concerns, and each but the first is a guard: once a filter is found that is not above k, the
 * guard's kid and the n kids after it are skipped. cw_decision.bounds holds the filters that events
 * find for certain.
 */

/* 32 bytes. */
struct cw_step {
	uint8_t op;
	uint8_t form; /* CW_STEP_FORM of op and the variable's kind, for the walker */
	uint16_t var;
	uint32_t k;
	uint32_t n;
	uint32_t then;
	uint32_t otherwise;
	uint32_t trap;
	/* Copies of the variable's fields, for the walker. */
	uint32_t mask;
	uint16_t offset;
	uint16_t need;
};

/*
 * A leaf's parts: an ascending list; for more than 16, a bitmap of all parts (cw_decision.words at
 * `first`, `bitmap_words` long).
 */
struct cw_leaf {
	uint32_t first;
	uint32_t count; /* parts in the list; 0: bitmap */
};

/*
 * Hash tables. Keys are value >> shift; no two share a place, so one look is enough. Keys are
 * divided into buckets, and each bucket has a multiplier, found while lowering, that puts its keys
 * into free places. n of the step holds the numbers of entries and buckets as powers of two, and
 * the shift.
 *
 *	hashes[k] ..	2^bits entries {key, ref}; free ones have the ref CW_NONE and a key that
 *			belongs elsewhere, so that no look-up of that key comes here
 *	after them	2^bucket_bits multipliers, 32-bit words
 *
 * Preferred by measurement to linear probing (after a bitmap that answers most misses): no loop,
 * and no branch before the look-up is decided, so the code after it needs no branch either.
 */
#define CW_HASH_BITS(n) ((n)&0xff)
#define CW_HASH_SHIFT(n) ((n) >> 8 & 0xff)
#define CW_HASH_BUCKET_BITS(n) ((n) >> 16 & 0xff)
#define CW_HASH_EMITS (UINT32_C(1) << 31) /* in n: all refs are events, `otherwise` is nothing */
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

/* Entries of memory for the table and its multipliers. */
static inline uint32_t cw_hash_entries(uint32_t n)
{
	return (UINT32_C(1) << CW_HASH_BITS(n)) + (UINT32_C(1) << CW_HASH_BUCKET_BITS(n)) / 2;
}

/*
 * Search trees over sorted starts (without the first, which is 0), at cw_decision.trees + k: a
 * header of 16 words, then levels of nodes of 16 keys each, the last level with all keys in order,
 * then a ref for each interval. Child c of node j is node 17 j + c of the next level. Keys are
 * (start - 1) with the sign bit inverted: a signed "key < value" means "start <= value", and the
 * padding, the largest key, never counts.
 */
#define CW_TREE_FANOUT 16u
#define CW_TREE_LEVELS_MAX 7u

struct cw_tree {
	uint32_t level_count;
	uint32_t levels[CW_TREE_LEVELS_MAX]; /* offsets of levels from the header, in words */
	uint32_t refs;                       /* offset of the refs, in words */
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
	uint32_t *code;    /* postfix */
	uint32_t *owners;  /* part -> filter; NULL: every part is a filter */
	uint32_t *parents; /* part -> part whose taking back includes it, or CW_NONE */
	/* First match only: the lowest filter that an event finds for certain, by part, then by
	 * leaf; CW_NONE if all parts of the event can be taken back. NULL: all matches wanted. */
	uint32_t *bounds;
	uint64_t
	    *event_bits; /* cw_decision_add_bits: the filters of an event, as bounds; or NULL */
	uint32_t step_count, var_count, hash_count, tree_count, word_count, leaf_count, code_count;
	uint32_t part_count;
	uint32_t filter_count;
	uint32_t bitmap_words;
	uint32_t root;
	void *jit; /* jit_x86.c, or NULL */
	size_t jit_bytes;
	uint64_t joint_entries;  /* entries that joining used */
	uint64_t joint_free;     /* entries that its input allows beside the set's budget */
	uint32_t record_filters; /* filters that are part of it question by question */
};

/* The kid of a fork, without its guard. */
static inline uint32_t cw_fork_kid(const struct cw_decision *decision, uint32_t ref)
{
	bool is_guard = ref < CW_REF_EMPTY && decision->steps[ref].op == CW_STEP_GUARD;

	return is_guard ? decision->steps[ref].then : ref;
}

/* Let the program answer in bits rather than events: bit i is filter i. Before cw_jit_build.
 * Returns 0 or -ENOMEM; does nothing if there are more than CW_BITS_MAX filters, or parts that are
 * taken back. */
int cw_decision_add_bits(struct cw_decision *decision);

/* The filters of an event, if the program has event_bits. */
static inline uint64_t cw_event_bits(const struct cw_decision *decision, uint32_t event)
{
	uint32_t place = event & CW_EVENT_MASK;

	return decision->event_bits[event & CW_EVENT_LEAF ? decision->part_count + place : place];
}

void cw_decision_fini(struct cw_decision *decision);
size_t cw_decision_bytes(const struct cw_decision *decision);

/* Write one packet's events into `events` (room for CW_EVENTS_ROOM); returns their number. */
uint32_t cw_walk(const struct cw_decision *decision, const uint8_t *data, uint32_t caplen,
		 uint32_t wire_len, uint32_t *events);

/*
 * Make machine code, at most bytes_max bytes, of a program: jit_x86.c, or jit_none.c, which returns
 * -ENOTSUP. On a negative errno the program is unchanged and can be walked. After success
 * cw_jit_run runs the program, and cw_walk no longer can.
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

/* The same for a program with event_bits. */
static inline uint64_t cw_jit_run_bits(const struct cw_decision *decision, const uint8_t *data,
				       uint32_t caplen, uint32_t wire_len)
{
	uint64_t (*run)(const uint8_t *, uint32_t, uint32_t);

	memcpy(&run, &decision->jit, sizeof(run));
	return run(data, wire_len, caplen);
}

/* Compute postfix code into *value; false: it traps. */
bool cw_walk_code(const uint32_t *code, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
		  uint32_t *value);

/*
 * Turn events into ids, ascending and each once (fills `ids`; room for all of the program's
 * filters, for FIRST one). ALL: all ids; FIRST: only the lowest. ids_of: the filters' ids,
 * ascending.
 */
size_t cw_collect(const struct cw_decision *decision, const uint32_t *events, uint32_t count,
		  enum cw_filter_mode mode, const uint32_t *ids_of, uint32_t *ids);

#endif
