/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Second pass: one decision diagram a filter. Diagrams are ordered (variables have one order on
 * every path) and reduced (equal nodes are stored once). So a function has one diagram, equal
 * functions have equal numbers, and the next pass can walk N diagrams side by side. See struct
 * cw_diagram_node for a picture.
 *
 * A trap (a load beyond the packet's end, a division by zero) rejects only the filter, at the place
 * where its program traps: the trap is an edge of the variable. A load whose value the program does
 * not need still rejects; cw_diagram_guard adds that.
 *
 * The functions that walk diagrams keep an explicit stack: a pair of nodes stays on the stack until
 * the pairs below it are known.
 */
#include "core/filter/passes/passes.h"

/* Edges of all diagrams together (96 MB), dead ones included; filters beyond get no diagram. */
#define EDGES_MAX(filters) cw_min_u32((4u << 20) + 256 * (filters), 12u << 20)

enum memo_kind { MEMO_AND, MEMO_OR, MEMO_MUST_REJECT };

static const struct cw_diagram_node *node_at(const struct cw_build *build, uint32_t node)
{
	return &build->diagrams.at[node];
}

static bool is_end(uint32_t node)
{
	return node <= CW_DIAGRAM_ACCEPT;
}

/* The place of the node's variable in the order; ends come last. */
static uint32_t rank_of(const struct cw_build *build, uint32_t node)
{
	return is_end(node) ? UINT32_MAX : build->diagrams.rank[node_at(build, node)->var];
}

/* ---- nodes ---- */

static bool is_same_node(const struct cw_build *build, uint32_t node, uint32_t var, uint32_t trap,
			 const struct cw_edge *edges, uint32_t count)
{
	const struct cw_diagram_node *at = node_at(build, node);

	return at->var == var && at->trap == trap && at->edge_count == count &&
	       memcmp(&build->diagrams.edges.at[at->edge_first], edges, count * sizeof(*edges)) ==
		   0;
}

static uint32_t append_node(struct cw_build *build, uint32_t hash,
			    const struct cw_diagram_node *node, const struct cw_edge *edges)
{
	struct cw_diagrams *diagrams = &build->diagrams;

	if (diagrams->count >= diagrams->count_max ||
	    diagrams->edges.count + node->edge_count > diagrams->edge_max) {
		diagrams->is_over = true;
		return CW_DIAGRAM_REJECT;
	}
	if (CW_GROW(diagrams, 1) || CW_GROW(&diagrams->edges, node->edge_count) ||
	    cw_index_add(&diagrams->index, hash, diagrams->count)) {
		cw_build_fail(build, -ENOMEM);
		return CW_DIAGRAM_REJECT;
	}
	memcpy(&diagrams->edges.at[diagrams->edges.count], edges,
	       node->edge_count * sizeof(*edges));
	diagrams->at[diagrams->count] = *node;
	diagrams->at[diagrams->count].edge_first = diagrams->edges.count;
	diagrams->edges.count += node->edge_count;
	return diagrams->count++;
}

/* Reduces the caller's `edges` in place. */
uint32_t cw_diagram_make(struct cw_build *build, uint32_t var, struct cw_edge *edges,
			 uint32_t edge_count, uint32_t trap)
{
	const struct cw_expr *expr = &build->exprs.at[var];
	struct cw_diagram_node node = {.var = var};
	uint32_t hash, cursor, found, i;

	for (i = 0; i < edge_count && edges[i].start <= expr->max; i++)
		if (node.edge_count == 0 || edges[node.edge_count - 1].to != edges[i].to)
			edges[node.edge_count++] = edges[i];
	node.trap = expr->can_trap ? trap : edges[0].to;
	if (node.edge_count == 1 && edges[0].to == node.trap)
		return node.trap;
	hash = cw_hash_u32s((const uint32_t *)edges, 2 * (size_t)node.edge_count,
			    var * 31 + node.trap);
	cursor = hash;
	while ((found = cw_index_next(&build->diagrams.index, hash, &cursor)) != CW_NONE)
		if (is_same_node(build, found, var, node.trap, edges, node.edge_count))
			return found;
	return append_node(build, hash, &node, edges);
}

/* ---- memory of results ---- */

static bool recall(const struct cw_build *build, uint32_t kind, uint32_t a, uint32_t b,
		   uint32_t *result)
{
	uint32_t hash = cw_hash_u32s((uint32_t[]){kind, a, b}, 3, 0);
	uint32_t cursor = hash, found;

	while ((found = cw_index_next(&build->diagrams.memo, hash, &cursor)) != CW_NONE) {
		const struct cw_memo *memo = &build->diagrams.results.at[found];

		if (memo->kind == kind && memo->a == a && memo->b == b) {
			*result = memo->result;
			return true;
		}
	}
	return false;
}

static void remember(struct cw_build *build, uint32_t kind, uint32_t a, uint32_t b, uint32_t result)
{
	uint32_t hash = cw_hash_u32s((uint32_t[]){kind, a, b}, 3, 0);
	struct cw_memos *results = &build->diagrams.results;

	if (CW_GROW(results, 1) || cw_index_add(&build->diagrams.memo, hash, results->count)) {
		cw_build_fail(build, -ENOMEM);
		return;
	}
	results->at[results->count++] = (struct cw_memo){kind, a, b, result};
}

static void push_pair(struct cw_build *build, uint32_t a, uint32_t b)
{
	struct cw_u32s *stack = &build->diagrams.stack;

	if (CW_GROW(stack, 2)) {
		cw_build_fail(build, -ENOMEM);
		return;
	}
	stack->at[stack->count++] = a;
	stack->at[stack->count++] = b;
}

/* ---- and, or ---- */

/* Whether the result needs no walk (fills): an end decides, both are equal, or it is remembered. */
static bool is_known(const struct cw_build *build, uint32_t kind, uint32_t f, uint32_t g,
		     uint32_t *result)
{
	uint32_t neutral = kind == MEMO_AND ? CW_DIAGRAM_ACCEPT : CW_DIAGRAM_REJECT;

	if (f == g || g == neutral)
		*result = f;
	else if (f == neutral)
		*result = g;
	else if (is_end(f) || is_end(g))
		*result = 1 - neutral;
	else
		return recall(build, kind, f < g ? f : g, f < g ? g : f, result);
	return true;
}

/* The edges of a node for variable `var`; a node without that variable has one edge to itself. */
struct side {
	const struct cw_edge *edges;
	uint32_t count;
	uint32_t trap;
	struct cw_edge self;
};

static void init_side(const struct cw_build *build, uint32_t node, uint32_t var, struct side *side)
{
	const struct cw_diagram_node *at = node_at(build, node);

	if (!is_end(node) && at->var == var) {
		side->edges = &build->diagrams.edges.at[at->edge_first];
		side->count = at->edge_count;
		side->trap = at->trap;
		return;
	}
	side->self = (struct cw_edge){0, node};
	side->edges = &side->self;
	side->count = 1;
	side->trap = node;
}

/*
 * One step of the walk over the pair (f, g). True: *result is filled. False: pairs below are not
 * known yet and were pushed.
 */
static bool apply_step(struct cw_build *build, uint32_t kind, uint32_t f, uint32_t g,
		       uint32_t *result)
{
	uint32_t top = rank_of(build, f) <= rank_of(build, g) ? f : g;
	uint32_t var = node_at(build, top)->var;
	uint32_t pushed = build->diagrams.stack.count;
	struct cw_edges *scratch = &build->diagrams.scratch;
	uint32_t i = 0, n = 0, to, trap;
	struct side left, right;

	init_side(build, f, var, &left);
	init_side(build, g, var, &right);
	scratch->count = 0;
	if (CW_GROW(scratch, left.count + right.count)) {
		cw_build_fail(build, -ENOMEM);
		return false;
	}
	while (i < left.count || n < right.count) {
		uint32_t start;

		if (n == right.count ||
		    (i < left.count && left.edges[i].start <= right.edges[n].start))
			start = left.edges[i].start;
		else
			start = right.edges[n].start;
		i += i < left.count && left.edges[i].start == start;
		n += n < right.count && right.edges[n].start == start;
		if (!is_known(build, kind, left.edges[i - 1].to, right.edges[n - 1].to, &to))
			push_pair(build, left.edges[i - 1].to, right.edges[n - 1].to);
		else
			scratch->at[scratch->count++] = (struct cw_edge){start, to};
	}
	if (!is_known(build, kind, left.trap, right.trap, &trap))
		push_pair(build, left.trap, right.trap);
	if (build->diagrams.stack.count != pushed)
		return false;
	*result = cw_diagram_make(build, var, scratch->at, scratch->count, trap);
	return true;
}

static uint32_t apply(struct cw_build *build, uint32_t kind, uint32_t f, uint32_t g)
{
	struct cw_u32s *stack = &build->diagrams.stack;
	uint32_t result = CW_DIAGRAM_REJECT;

	stack->count = 0;
	push_pair(build, f, g);
	while (stack->count && !build->failure && !build->diagrams.is_over) {
		f = stack->at[stack->count - 2];
		g = stack->at[stack->count - 1];
		if (!is_known(build, kind, f, g, &result)) {
			if (!apply_step(build, kind, f, g, &result))
				continue;
			if (build->diagrams.is_over) /* the result is meaningless */
				break;
			remember(build, kind, f < g ? f : g, f < g ? g : f, result);
		}
		stack->count -= 2;
	}
	return stack->count ? CW_DIAGRAM_REJECT : result;
}

uint32_t cw_diagram_or(struct cw_build *build, uint32_t f, uint32_t g)
{
	uint32_t result;

	return is_known(build, MEMO_OR, f, g, &result) ? result : apply(build, MEMO_OR, f, g);
}

static uint32_t diagram_and(struct cw_build *build, uint32_t f, uint32_t g)
{
	uint32_t result;

	return is_known(build, MEMO_AND, f, g, &result) ? result : apply(build, MEMO_AND, f, g);
}

/* ---- traps ---- */

/* Whether every packet on which `var` traps makes `other` trap. Recursion goes no deeper than
 * CW_EXPR_SIZE_MAX. */
static bool is_trap_implied(const struct cw_build *build, uint32_t var, uint32_t other)
{
	const struct cw_expr *from = &build->exprs.at[var];
	const struct cw_expr *to = &build->exprs.at[other];

	if (var == other)
		return true;
	if (to->op == CW_EXPR_ALU &&
	    (is_trap_implied(build, var, to->a) || is_trap_implied(build, var, to->b)))
		return true;
	if (to->op == CW_EXPR_LOAD) {
		if (from->op == CW_EXPR_LOAD && from->a == to->a &&
		    (uint64_t)from->k + from->bytes <= (uint64_t)to->k + to->bytes)
			return true;
		if (to->a != CW_NONE && is_trap_implied(build, var, to->a))
			return true;
	}
	if (from->op != CW_EXPR_ALU || from->k == BPF_DIV || from->k == BPF_MOD)
		return false;
	return (!build->exprs.at[from->a].can_trap || is_trap_implied(build, from->a, other)) &&
	       (!build->exprs.at[from->b].can_trap || is_trap_implied(build, from->b, other));
}

static bool is_reject_known(const struct cw_build *build, uint32_t f, uint32_t var,
			    uint32_t *result)
{
	if (is_end(f)) {
		*result = f == CW_DIAGRAM_REJECT;
		return true;
	}
	if (node_at(build, f)->trap == CW_DIAGRAM_REJECT &&
	    is_trap_implied(build, var, node_at(build, f)->var)) {
		*result = true;
		return true;
	}
	return recall(build, MEMO_MUST_REJECT, f, var, result);
}

/* Whether f rejects every packet on which `var` traps. */
static bool must_reject(struct cw_build *build, uint32_t f, uint32_t var)
{
	struct cw_u32s *stack = &build->diagrams.stack;
	uint32_t result = false, i, known;

	stack->count = 0;
	push_pair(build, f, 0);
	while (stack->count && !build->failure) {
		uint32_t at = stack->at[stack->count - 2];
		uint32_t pushed = stack->count;

		if (!is_reject_known(build, at, var, &result)) {
			const struct cw_diagram_node *node = node_at(build, at);

			result = true;
			for (i = 0; i <= node->edge_count && result; i++) {
				uint32_t to =
				    i < node->edge_count
					? build->diagrams.edges.at[node->edge_first + i].to
					: node->trap;

				if (!is_reject_known(build, to, var, &known))
					push_pair(build, to, 0);
				else
					result = known;
			}
			if (result && stack->count != pushed)
				continue;
			stack->count = pushed;
			remember(build, MEMO_MUST_REJECT, at, var, result);
		}
		stack->count -= 2;
	}
	return result;
}

uint32_t cw_diagram_guard(struct cw_build *build, uint32_t var, uint32_t f)
{
	struct cw_edge present = {0, CW_DIAGRAM_ACCEPT};

	if (!build->exprs.at[var].can_trap || f == CW_DIAGRAM_REJECT || must_reject(build, f, var))
		return f;
	if (build->exprs.at[var].op == CW_EXPR_TRAP)
		return CW_DIAGRAM_REJECT;
	return diagram_and(build, cw_diagram_make(build, var, &present, 1, CW_DIAGRAM_REJECT), f);
}

/* ---- from records to a diagram ---- */

/* As make_interval, for a masked byte that is asked for unmasked. */
static uint32_t make_masked(struct cw_build *build, const struct cw_lift_record *record,
			    uint32_t then, uint32_t otherwise)
{
	uint32_t mask = build->exprs.at[build->exprs.at[record->expr].b].k;
	struct cw_edge edges[UINT8_MAX + 1];
	uint32_t count = 0, last = CW_NONE, value;

	for (value = 0; value <= UINT8_MAX; value++) {
		uint32_t masked = value & mask;
		uint32_t to = masked >= record->low && masked <= record->high ? then : otherwise;

		if (to != last)
			edges[count++] = (struct cw_edge){value, to};
		last = to;
	}
	return cw_diagram_make(build, build->diagrams.asked[record->expr], edges, count,
			       CW_DIAGRAM_REJECT);
}

/* Make the node that goes to `then` for low..high and to `otherwise` for other values. */
static uint32_t make_interval(struct cw_build *build, const struct cw_lift_record *record,
			      uint32_t then, uint32_t otherwise)
{
	struct cw_edge edges[3];
	uint32_t count = 0;

	if (build->diagrams.asked[record->expr] != record->expr)
		return make_masked(build, record, then, otherwise);
	if (record->low > 0)
		edges[count++] = (struct cw_edge){0, otherwise};
	edges[count++] = (struct cw_edge){record->low, then};
	if (record->high < UINT32_MAX)
		edges[count++] = (struct cw_edge){record->high + 1, otherwise};
	return cw_diagram_make(build, record->expr, edges, count, CW_DIAGRAM_REJECT);
}

static uint32_t make_test(struct cw_build *build, const struct cw_lift_record *record,
			  uint32_t then, uint32_t otherwise)
{
	uint32_t rank = build->diagrams.rank[build->diagrams.asked[record->expr]];
	uint32_t yes, no;

	if (rank < rank_of(build, then) && rank < rank_of(build, otherwise))
		return make_interval(build, record, then, otherwise);
	yes = make_interval(build, record, CW_DIAGRAM_ACCEPT, CW_DIAGRAM_REJECT);
	no = make_interval(build, record, CW_DIAGRAM_REJECT, CW_DIAGRAM_ACCEPT);
	yes = diagram_and(build, yes, then);
	no = diagram_and(build, no, otherwise);
	return cw_diagram_or(build, yes, no);
}

static uint32_t end_of(const uint32_t *made, uint32_t next)
{
	if (next == CW_LIFT_REJECT)
		return CW_DIAGRAM_REJECT;
	return next == CW_LIFT_ACCEPT ? CW_DIAGRAM_ACCEPT : made[next];
}

int cw_decide(struct cw_build *build, uint32_t number)
{
	struct cw_build_filter *filter = &build->filters[number];
	struct cw_diagrams *diagrams = &build->diagrams;
	uint32_t *made = malloc(filter->record_count * sizeof(*made));
	uint32_t i, n;

	filter->diagram = CW_DIAGRAM_REJECT;
	if (!made) {
		cw_build_fail(build, -ENOMEM);
		return -ENOMEM;
	}
	diagrams->is_over = false;
	diagrams->count_max = diagrams->count + build->budget.diagram_nodes;
	diagrams->edge_max = cw_min_u32(diagrams->edges.count + build->budget.diagram_edges,
					EDGES_MAX(build->filter_count));
	for (i = 0; i < filter->record_count && !build->failure && !diagrams->is_over; i++) {
		const struct cw_lift_record *record = &build->records.at[filter->record_first + i];
		uint32_t then = end_of(made, record->then);

		made[i] = record->expr == CW_NONE
			      ? then
			      : make_test(build, record, then, end_of(made, record->otherwise));
		for (n = record->check_count; n-- > 0;)
			made[i] = cw_diagram_guard(
			    build, diagrams->asked[build->checks.at[record->check_first + n]],
			    made[i]);
	}
	if (!diagrams->is_over && !build->failure)
		filter->diagram = made[filter->record_count - 1];
	filter->has_records = diagrams->is_over && build->with_records;
	free(made);
	return diagrams->is_over && !build->with_records ? -E2BIG : build->failure;
}
