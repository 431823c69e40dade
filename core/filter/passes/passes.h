/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The passes that make one decision program out of many filters: what they hand to each other.
 * core/filter/FILTERS.md explains the algorithm with an example. Each pass is a file:
 *
 *   classic BPF --lift--> tests on expressions --decide--> a diagram a filter
 *     --join--> one graph --lower--> a decision program (engine/decision.h)
 *
 * Failures while building are kept in cw_build.failure, the first one only; functions return
 * something harmless from then on, and each pass looks at it where it ends.
 */
#ifndef CW_CORE_FILTER_PASSES_PASSES_H
#define CW_CORE_FILTER_PASSES_PASSES_H

#include "core/filter/passes/build.h"

/* ---- expressions: what a filter can know about a packet ---- */

enum cw_expr_op {
	CW_EXPR_CONST, /* k */
	CW_EXPR_LEN,   /* the wire length */
	CW_EXPR_LOAD,  /* `bytes` at k, or at k + a; traps outside of the packet */
	CW_EXPR_ALU,   /* a (k) b, k a BPF_ADD.. or CW_ALU_*; division by zero traps */
	CW_EXPR_TRAP,  /* a load or division that can never succeed */
};

struct cw_expr {
	uint8_t op;
	uint8_t bytes;
	uint8_t can_trap;
	uint8_t stack; /* values that evaluating it holds at once, at most 255 */
	uint32_t k;
	uint32_t a, b; /* expressions, or CW_NONE */
	uint32_t max;  /* no value is larger */
	uint32_t size; /* operations that evaluating it takes; UINT16_MAX for that many or more */
};

struct cw_exprs {
	struct cw_expr *at;
	uint32_t count;
	uint32_t capacity;
	struct cw_index index;
};

static inline bool cw_expr_is(const struct cw_exprs *exprs, uint32_t expr, enum cw_expr_op op)
{
	return exprs->at[expr].op == op;
}

/* ---- lifted programs ---- */

/* Where a record goes on: another record of the same filter (its number), or an end. */
#define CW_LIFT_REJECT (CW_NONE - 1)
#define CW_LIFT_ACCEPT (CW_NONE - 2)

/*
 * A lifted program is a list of records, each only referring to earlier ones; the last is the
 * entry. A record evaluates its checks in turn (a trap rejects), then tests low <= expr <= high.
 */
struct cw_lift_record {
	uint32_t check_first, check_count; /* in cw_build.checks */
	uint32_t expr;                     /* CW_NONE: no test, go on with `then` */
	uint32_t low, high;
	uint32_t then, otherwise;
};

/* ---- diagrams ---- */

#define CW_DIAGRAM_REJECT 0u
#define CW_DIAGRAM_ACCEPT 1u

/*
 * A node asks for the value of a variable (an expression) and goes on where its interval says:
 *
 *	src ---+-- 0 .. 0a000000 --> reject	edges: {start, to}, ascending, the first 0
 *	       +-- 0a000001	 --> node 17
 *	       +-- 0a000002 ..	 --> reject
 *	       +-- (trap)	 --> reject
 *
 * Variables come in one order on every path. Equal nodes are one node, so that equal functions are
 * equal numbers.
 */
struct cw_diagram_node {
	uint32_t var;
	uint32_t edge_first, edge_count;
	uint32_t trap;
};

/* The result of an operation on two nodes (or a node and a variable). */
struct cw_memo {
	uint32_t kind, a, b, result;
};

struct cw_memos {
	struct cw_memo *at;
	uint32_t count;
	uint32_t capacity;
};

struct cw_diagrams {
	struct cw_diagram_node *at;
	uint32_t count;
	uint32_t capacity;
	struct cw_edges edges;
	struct cw_index index;
	struct cw_index memo; /* of results */
	struct cw_memos results;
	uint32_t count_max; /* the budgets for the filter at hand */
	uint32_t edge_max;
	bool is_over;   /* it was passed */
	uint32_t *rank; /* place of an expression in the order of variables */
	uint32_t
	    *asked; /* the expression that is asked for in place of another, see cw_decide_order */
	struct cw_edges scratch;
	struct cw_u32s stack;
};

/* ---- the joint graph ---- */

/*
 * What is emitted at a leaf: a part of a filter, which is the filter itself (numbers below the
 * filter count) or a piece that can be taken back on its own (see join.c).
 */
#define CW_PART_EXCLUDE (UINT32_C(1) << 31) /* takes the part back */
#define CW_PART_SHARED (UINT32_C(1) << 30)  /* while joining: others may emit the part as well */
#define CW_PART_MASK (CW_PART_SHARED - 1)

enum cw_joint_kind {
	CW_JOINT_PENDING,
	CW_JOINT_LEAF,   /* emits */
	CW_JOINT_FORK,   /* emits, and goes on with all of its kids */
	CW_JOINT_SWITCH, /* goes on with one edge of var, or the trap */
};

struct cw_joint_node {
	uint32_t kind;
	uint32_t var;
	uint32_t first, count;           /* edges of a switch, kids of a fork, emits of a leaf */
	uint32_t trap;                   /* of a switch */
	uint32_t emit_first, emit_count; /* of a fork */
};

struct cw_joint {
	struct cw_joint_node *at; /* 0 is the empty leaf */
	uint32_t count;
	uint32_t capacity;
	struct cw_edges edges;
	struct cw_u32s words;   /* emits and kids */
	struct cw_u32s owners;  /* part -> filter */
	struct cw_u32s parents; /* part -> part that takes it back as well, or CW_NONE */
	struct cw_u32s taken;   /* part -> 1 when somebody takes it back */
	uint32_t root;
	bool has_excludes;
};

/* ---- the state of a build ---- */

struct cw_build_filter {
	const struct cw_bpf *program;
	uint32_t record_first, record_count; /* count 0: not lifted */
	uint32_t diagram;
	int unjoined_reason; /* a negative errno; 0: it can be part of the program */
	bool has_records;    /* its diagram was too large: it is joined as its records are */
};

struct cw_build {
	struct cw_filter_budget budget;
	enum cw_filter_mode mode;
	bool with_records;
	struct cw_build_filter *filters;
	uint32_t filter_count;
	struct cw_exprs exprs;
	struct cw_lift_records {
		struct cw_lift_record *at;
		uint32_t count;
		uint32_t capacity;
	} records;
	struct cw_u32s checks;
	struct cw_diagrams diagrams;
	struct cw_joint joint;
	uint64_t entries, entries_free; /* of joining, and what its input is good for */
	int failure;                    /* 0, -ENOMEM, or -E2BIG: over a budget */
};

/* Keep the first failure. */
static inline void cw_build_fail(struct cw_build *build, int failure)
{
	if (!build->failure)
		build->failure = failure;
}

static inline void cw_build_push(struct cw_build *build, struct cw_u32s *list, uint32_t value)
{
	if (CW_GROW(list, 1))
		cw_build_fail(build, -ENOMEM);
	else
		list->at[list->count++] = value;
}

/* Expressions, simplified; equal ones are one (expr.c). `bytes` 1, 2 or 4; base CW_NONE: at
 * k itself; op a BPF_ADD.. or CW_ALU_*. */
uint32_t cw_expr_const(struct cw_build *build, uint32_t value);
uint32_t cw_expr_len(struct cw_build *build);
uint32_t cw_expr_load(struct cw_build *build, uint32_t bytes, uint32_t k, uint32_t base);
uint32_t cw_expr_alu(struct cw_build *build, uint32_t op, uint32_t a, uint32_t b);

/*
 * Lift the program of filters[number]. Over a budget, or with a loop, it is left unlifted (count 0)
 * and that is no failure. Returns why: 0, -E2BIG or -ELOOP.
 */
int cw_lift(struct cw_build *build, uint32_t number);

/*
 * Order variables by all lifted filters; once, after the last cw_lift. Where a byte is asked for
 * under many masks, the byte itself is asked for in place of all of them: one table tells all.
 */
void cw_decide_order(struct cw_build *build);

/* The diagram of a lifted filter, into filters[number].diagram; has_records is set where that is
 * over a budget. Returns why it cannot be part of the program: 0, or -E2BIG without them. */
int cw_decide(struct cw_build *build, uint32_t number);

/* What cw_join asks of diagrams: f or g; f and "var does not trap"; the node itself. */
uint32_t cw_diagram_or(struct cw_build *build, uint32_t f, uint32_t g);
uint32_t cw_diagram_guard(struct cw_build *build, uint32_t var, uint32_t f);
uint32_t cw_diagram_make(struct cw_build *build, uint32_t var, struct cw_edge *edges,
			 uint32_t edge_count, uint32_t trap);

/* Join the diagrams, or records, of all filters that have them (part = number). */
void cw_join(struct cw_build *build);

/* The filter of a part that, when it is emitted, matches for certain: neither the part nor one that
 * it comes from is taken back anywhere. CW_NONE for others. */
uint32_t cw_joint_certain(const struct cw_joint *joint, uint32_t part);

void cw_build_fini(struct cw_build *build);

/* Lower the joint graph (fills); sets build->failure to -E2BIG where a limit is passed. */
void cw_lower(struct cw_build *build, struct cw_decision *decision);

#endif
