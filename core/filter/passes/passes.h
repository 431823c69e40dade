/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data that the passes from many filters to one decision program hand to each other.
 * core/filter/FILTERS.md explains the algorithm with an example. Each pass is a file:
 *
 *   classic BPF --lift--> tests on expressions --decide--> a diagram a filter
 *     --join--> one graph --lower--> a decision program (engine/decision.h)
 *
 * cw_build.failure keeps the first failure; from then on functions return harmless values, and each
 * pass checks the failure at its end.
 */
#ifndef CW_CORE_FILTER_PASSES_PASSES_H
#define CW_CORE_FILTER_PASSES_PASSES_H

#include "core/filter/passes/build.h"

/* ---- expressions: values that a filter can compute from a packet ---- */

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
	uint8_t stack; /* most values held at once while evaluating; 255: or more */
	uint32_t k;
	uint32_t a, b; /* operands: expressions, or CW_NONE */
	uint32_t max;  /* upper bound of the value */
	uint32_t size; /* operations of evaluating; UINT16_MAX: or more */
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

/* Target of a record: the number of another record of the filter, or an end. */
#define CW_LIFT_REJECT (CW_NONE - 1)
#define CW_LIFT_ACCEPT (CW_NONE - 2)

/*
 * A lifted program is a list of records that refer only to earlier records; the last is the entry.
 * A record evaluates its checks in turn (a trap rejects), then tests low <= expr <= high.
 */
struct cw_lift_record {
	uint32_t check_first, check_count; /* range in cw_build.checks */
	uint32_t expr;                     /* CW_NONE: no test, continue with `then` */
	uint32_t low, high;
	uint32_t then, otherwise;
};

/* ---- diagrams ---- */

#define CW_DIAGRAM_REJECT 0u
#define CW_DIAGRAM_ACCEPT 1u

/*
 * A node asks for the value of a variable (an expression) and continues at its interval's target:
 *
 *	src ---+-- 0 .. 0a000000 --> reject	edges: {start, to}, ascending, the first 0
 *	       +-- 0a000001	 --> node 17
 *	       +-- 0a000002 ..	 --> reject
 *	       +-- (trap)	 --> reject
 *
 * Variables have the same order on every path. Equal nodes are stored once, so that equal functions
 * have equal numbers.
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
	struct cw_index memo; /* index of results */
	struct cw_memos results;
	uint32_t count_max; /* nodes allowed with the filter at hand */
	uint32_t edge_max;  /* edges allowed with the filter at hand */
	bool is_over;       /* a limit was exceeded */
	uint32_t *rank;     /* expression -> place in the order of variables */
	uint32_t *asked;    /* expression -> expression asked for instead, see cw_decide_order */
	struct cw_edges scratch;
	struct cw_u32s stack;
};

/* ---- the joint graph ---- */

/*
 * A leaf emits parts of filters: a part is the filter itself (numbers below the filter count) or a
 * piece of it that can be taken back separately (see join.c).
 */
#define CW_PART_EXCLUDE (UINT32_C(1) << 31) /* takes the part back */
#define CW_PART_SHARED (UINT32_C(1) << 30)  /* while joining: other pairs may emit the part too */
#define CW_PART_MASK (CW_PART_SHARED - 1)

enum cw_joint_kind {
	CW_JOINT_PENDING,
	CW_JOINT_LEAF,   /* emits */
	CW_JOINT_FORK,   /* emits, and continues with all of its kids */
	CW_JOINT_SWITCH, /* continues with one edge of var, or the trap */
};

struct cw_joint_node {
	uint32_t kind;
	uint32_t var;
	uint32_t first, count;           /* edges of a switch, kids of a fork */
	uint32_t trap;                   /* target of a switch's trap */
	uint32_t emit_first, emit_count; /* emits of a leaf or fork */
};

struct cw_joint {
	struct cw_joint_node *at; /* 0 is the empty leaf */
	uint32_t count;
	uint32_t capacity;
	struct cw_edges edges;
	struct cw_u32s words;   /* emits and kids */
	struct cw_u32s owners;  /* part -> filter */
	struct cw_u32s parents; /* part -> part whose taking back includes it, or CW_NONE */
	struct cw_u32s taken;   /* part -> 1 if it is taken back somewhere */
	uint32_t root;
	bool has_excludes;
};

/* ---- the state of a build ---- */

struct cw_build_filter {
	const struct cw_bpf *program;
	uint32_t record_first, record_count; /* records; count 0: not lifted */
	uint32_t diagram;
	int unjoined_reason; /* a negative errno; 0: the filter can be part of the program */
	bool has_records;    /* its diagram was too large: its records are joined as they are */
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
	uint64_t entries;      /* entries that joining used */
	uint64_t entries_free; /* entries that its input allows beside the set's budget */
	int failure;           /* 0, -ENOMEM, or -E2BIG: over a budget */
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

/* Make an expression, simplified; equal ones are stored once (expr.c). `bytes`: 1, 2 or 4; base
 * CW_NONE: at k itself; op: BPF_ADD.. or CW_ALU_*. */
uint32_t cw_expr_const(struct cw_build *build, uint32_t value);
uint32_t cw_expr_len(struct cw_build *build);
uint32_t cw_expr_load(struct cw_build *build, uint32_t bytes, uint32_t k, uint32_t base);
uint32_t cw_expr_alu(struct cw_build *build, uint32_t op, uint32_t a, uint32_t b);

/*
 * Lift the program of filters[number]. Returns 0; -E2BIG or -ELOOP: over a budget or with a loop
 * the program stays unlifted (count 0), which is not a failure of the build.
 */
int cw_lift(struct cw_build *build, uint32_t number);

/*
 * Order the variables of all lifted filters; once, after the last cw_lift. If a byte is asked for
 * under many masks, the byte itself is asked for instead: one table answers all.
 */
void cw_decide_order(struct cw_build *build);

/* Make a lifted filter's diagram, filters[number].diagram. Over a budget, sets has_records if the
 * build allows records. Returns 0, or why the filter cannot be part of the program: -E2BIG. */
int cw_decide(struct cw_build *build, uint32_t number);

/* Operations on diagrams for cw_join: f or g; f and "var does not trap"; a node. */
uint32_t cw_diagram_or(struct cw_build *build, uint32_t f, uint32_t g);
uint32_t cw_diagram_guard(struct cw_build *build, uint32_t var, uint32_t f);
uint32_t cw_diagram_make(struct cw_build *build, uint32_t var, struct cw_edge *edges,
			 uint32_t edge_count, uint32_t trap);

/* Join the diagrams, or records, of all filters that have them (part = number). */
void cw_join(struct cw_build *build);

/* The filter that matches for certain if the part is emitted: neither the part nor one of its
 * parents is taken back anywhere. CW_NONE: none. */
uint32_t cw_joint_certain(const struct cw_joint *joint, uint32_t part);

void cw_build_fini(struct cw_build *build);

/* Lower the joint graph (fills `decision`); over a limit build->failure becomes -E2BIG. */
void cw_lower(struct cw_build *build, struct cw_decision *decision);

#endif
