/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First pass: from a classic BPF program to tests on expressions. The program is executed with
 * expressions in place of numbers: "ldh [12]" puts LOAD(2, 12) into A on every path. The results do
 * not depend on registers and scratch words, and equal questions of different filters become the
 * same expression.
 *
 * A state is a program counter with the expressions in A, X and the scratch words; values that are
 * not read later count as 0, so that more states are equal. All jumps go forward: states are made
 * in ascending order of their program counter, and become records in descending order, so that a
 * record comes after its successors. No recursion.
 */
#include "core/filter/passes/passes.h"

#define LIVE_A 1u
#define LIVE_X 2u
#define LIVE_SCRATCH(k) (4u << (k))
#define REGISTERS (2 + CW_FILTER_SCRATCH_WORDS)

struct state {
	uint32_t pc;
	uint32_t values[REGISTERS]; /* A, X, scratch */
	uint32_t next;              /* next state at this pc, or CW_NONE */
	uint32_t record;
	/* filled by running the state to the end of its block */
	uint32_t check_first, check_count;
	uint32_t expr, low, high;
	uint32_t then, otherwise; /* states, or CW_LIFT_* */
};

struct lift {
	struct cw_build *build;
	const struct bpf_insn *program;
	uint32_t count;
	uint32_t *live;  /* LIVE_* read from each instruction on */
	uint32_t *first; /* first state at each pc, or CW_NONE */
	struct states {
		struct state *at;
		uint32_t count;
		uint32_t capacity;
	} states;
	struct cw_index index;
	bool is_over; /* over a budget */
};

/* ---- states ---- */

/* The LIVE_* values read from instruction i on, given those read after it. */
static uint32_t live_before(const struct lift *lift, uint32_t i)
{
	const struct bpf_insn *instruction = &lift->program[i];
	uint16_t code = instruction->code;
	uint32_t k = instruction->k;
	uint32_t after = i + 1 < lift->count ? lift->live[i + 1] : 0;
	uint32_t x = BPF_SRC(code) == BPF_X ? LIVE_X : 0;

	switch (BPF_CLASS(code)) {
	case BPF_RET:
		return BPF_RVAL(code) == BPF_A ? LIVE_A : 0;
	case BPF_JMP:
		if (BPF_OP(code) == BPF_JA)
			return lift->live[i + 1 + k];
		return lift->live[i + 1 + instruction->jt] | lift->live[i + 1 + instruction->jf] |
		       LIVE_A | x;
	case BPF_LD:
		after &= ~LIVE_A;
		if (BPF_MODE(code) == BPF_MEM)
			after |= LIVE_SCRATCH(k);
		return BPF_MODE(code) == BPF_IND ? after | LIVE_X : after;
	case BPF_LDX:
		after &= ~LIVE_X;
		return BPF_MODE(code) == BPF_MEM ? after | LIVE_SCRATCH(k) : after;
	case BPF_ST:
		return (after & ~LIVE_SCRATCH(k)) | LIVE_A;
	case BPF_STX:
		return (after & ~LIVE_SCRATCH(k)) | LIVE_X;
	case BPF_ALU:
		return after | LIVE_A | (BPF_OP(code) == BPF_NEG ? 0 : x);
	default: /* BPF_MISC */
		if (BPF_MISCOP(code) == BPF_TAX)
			return (after & ~LIVE_X) | LIVE_A;
		return (after & ~LIVE_A) | LIVE_X;
	}
}

/* Find or make the state at `pc` with these values. */
static uint32_t make_state(struct lift *lift, uint32_t pc, const uint32_t values[REGISTERS])
{
	struct state state = {.pc = pc};
	uint32_t zero = cw_expr_const(lift->build, 0);
	uint32_t hash, cursor, found, i;

	for (i = 0; i < REGISTERS; i++)
		state.values[i] = lift->live[pc] >> i & 1 ? values[i] : zero;
	hash = cursor = cw_hash_u32s(&state.pc, 1 + REGISTERS, 0);
	while ((found = cw_index_next(&lift->index, hash, &cursor)) != CW_NONE)
		if (memcmp(&lift->states.at[found], &state, (1 + REGISTERS) * sizeof(uint32_t)) ==
		    0)
			return found;
	if (lift->states.count >= lift->build->budget.states) {
		lift->is_over = true;
		return CW_LIFT_REJECT;
	}
	if (CW_GROW(&lift->states, 1) || cw_index_add(&lift->index, hash, lift->states.count)) {
		cw_build_fail(lift->build, -ENOMEM);
		return CW_LIFT_REJECT;
	}
	state.next = lift->first[pc];
	lift->first[pc] = lift->states.count;
	lift->states.at[lift->states.count] = state;
	return lift->states.count++;
}

static bool is_large(const struct cw_expr *expr)
{
	return expr->stack > CW_EXPR_STACK_MAX || expr->size > CW_EXPR_SIZE_MAX;
}

/* Note that `expr` is evaluated here: a trap rejects the packet. */
static void check(struct lift *lift, struct state *state, uint32_t expr)
{
	struct cw_build *build = lift->build;

	if (!build->exprs.at[expr].can_trap)
		return;
	if (is_large(&build->exprs.at[expr]))
		lift->is_over = true;
	if (CW_GROW(&build->checks, 1)) {
		cw_build_fail(build, -ENOMEM);
		return;
	}
	build->checks.at[build->checks.count++] = expr;
	state->check_count++;
}

static void end_block(struct state *state, uint32_t next)
{
	state->expr = CW_NONE;
	state->then = state->otherwise = next;
}

/* Turn a test of an expression's leading bits into a test of the expression itself: all prefix
 * lengths of an address become intervals of one variable. */
static void widen_prefix(const struct cw_build *build, struct state *state)
{
	const struct cw_expr *expr = &build->exprs.at[state->expr];
	uint32_t mask, max, rest;
	uint64_t low, high;

	if (expr->op != CW_EXPR_ALU || expr->k != BPF_AND ||
	    !cw_expr_is(&build->exprs, expr->b, CW_EXPR_CONST))
		return;
	mask = build->exprs.at[expr->b].k;
	max = build->exprs.at[expr->a].max;
	rest = max & ~mask;
	if ((max & (max + 1)) != 0 || (rest & (rest + 1)) != 0 || mask == 0)
		return;
	/* The first value with leading bits >= low, and the end of those with bits <= high. */
	low = ((uint64_t)state->low + rest) & ~(uint64_t)rest;
	high = ((uint64_t)state->high + 1 + rest) & ~(uint64_t)rest;
	if (low > max || high == 0 || low >= high)
		return;
	state->expr = expr->a;
	state->low = (uint32_t)low;
	state->high = (uint32_t)(high - 1 < max ? high - 1 : max);
}

/* End the block with a test of low <= expr <= high; a known answer is taken at once. The caller has
 * filled state->then and ->otherwise. */
static void end_test(struct lift *lift, struct state *state, uint32_t expr, uint32_t low,
		     uint32_t high)
{
	const struct cw_expr *tested = &lift->build->exprs.at[expr];

	if (tested->op == CW_EXPR_TRAP) {
		end_block(state, CW_LIFT_REJECT);
		return;
	}
	if (tested->op == CW_EXPR_CONST) {
		end_block(state,
			  tested->k >= low && tested->k <= high ? state->then : state->otherwise);
		return;
	}
	if (low > tested->max) { /* never true; a trap still rejects */
		check(lift, state, expr);
		end_block(state, state->otherwise);
		return;
	}
	if (is_large(tested))
		lift->is_over = true;
	state->expr = expr;
	state->low = low;
	state->high = high;
	widen_prefix(lift->build, state);
}

/* End the block with a conditional jump, as a test of an expression against an interval. */
static void end_jump(struct lift *lift, struct state *state, const struct bpf_insn *jump,
		     const uint32_t *values, uint32_t pc)
{
	struct cw_build *build = lift->build;
	uint32_t a = values[0], x = values[1];
	uint32_t op = BPF_OP(jump->code);
	uint32_t k = jump->k;
	bool is_known = BPF_SRC(jump->code) == BPF_K || cw_expr_is(&build->exprs, x, CW_EXPR_CONST);

	state->then = make_state(lift, pc + 1 + jump->jt, values);
	state->otherwise = make_state(lift, pc + 1 + jump->jf, values);
	if (BPF_SRC(jump->code) == BPF_X && is_known)
		k = build->exprs.at[x].k;
	if (state->then == state->otherwise) {
		end_block(state, state->then);
	} else if (op == BPF_JSET) {
		a = cw_expr_alu(build, BPF_AND, a, is_known ? cw_expr_const(build, k) : x);
		end_test(lift, state, a, 1, UINT32_MAX);
	} else if (!is_known && op == BPF_JEQ) {
		end_test(lift, state, cw_expr_alu(build, BPF_SUB, a, x), 0, 0);
	} else if (!is_known) {
		a = cw_expr_alu(build, op == BPF_JGT ? CW_ALU_GT : CW_ALU_GE, a, x);
		end_test(lift, state, a, 1, 1);
	} else if (op == BPF_JEQ) {
		end_test(lift, state, a, k, k);
	} else if (op == BPF_JGT && k == UINT32_MAX) {
		end_block(state, state->otherwise);
	} else {
		end_test(lift, state, a, op == BPF_JGT ? k + 1 : k, UINT32_MAX);
	}
}

/* Run a load into A or X; false: it always traps. */
static bool run_load(struct lift *lift, struct state *state, const struct bpf_insn *load,
		     uint32_t *values)
{
	static const uint32_t sizes[] = {[BPF_W >> 3] = 4, [BPF_H >> 3] = 2, [BPF_B >> 3] = 1};
	uint32_t *target = &values[BPF_CLASS(load->code) == BPF_LDX];
	uint32_t bytes = sizes[BPF_SIZE(load->code) >> 3];
	struct cw_build *build = lift->build;

	switch (BPF_MODE(load->code)) {
	case BPF_IMM:
		*target = cw_expr_const(build, load->k);
		return true;
	case BPF_LEN:
		*target = cw_expr_len(build);
		return true;
	case BPF_MEM:
		*target = values[2 + load->k];
		return true;
	case BPF_MSH:
		*target = cw_expr_load(build, 1, load->k, CW_NONE);
		check(lift, state, *target);
		*target = cw_expr_alu(build, BPF_AND, *target, cw_expr_const(build, 15));
		*target = cw_expr_alu(build, BPF_LSH, *target, cw_expr_const(build, 2));
		return true;
	default:
		*target = cw_expr_load(build, bytes, load->k,
				       BPF_MODE(load->code) == BPF_IND ? values[1] : CW_NONE);
		check(lift, state, *target);
		return !cw_expr_is(&build->exprs, *target, CW_EXPR_TRAP);
	}
}

/* Run an arithmetic instruction; false: it always traps. */
static bool run_alu(struct lift *lift, struct state *state, const struct bpf_insn *alu,
		    uint32_t *values)
{
	struct cw_build *build = lift->build;
	uint32_t op = BPF_OP(alu->code);
	uint32_t operand = BPF_SRC(alu->code) == BPF_X ? values[1] : cw_expr_const(build, alu->k);

	if (op == BPF_NEG)
		operand = cw_expr_const(build, 0);
	values[0] = cw_expr_alu(build, op, values[0], operand);
	if (op == BPF_DIV || op == BPF_MOD)
		check(lift, state, values[0]);
	return !cw_expr_is(&build->exprs, values[0], CW_EXPR_TRAP);
}

/* Run a state to the end of its block: its checks, its test, its successors. */
static void run_state(struct lift *lift, uint32_t number)
{
	struct state state = lift->states.at[number]; /* a copy: the array can move */
	uint32_t values[REGISTERS];
	uint32_t pc = state.pc;
	bool is_alive = true;

	memcpy(values, state.values, sizeof(values));
	state.check_first = lift->build->checks.count;
	for (;; pc++) {
		const struct bpf_insn *instruction = &lift->program[pc];
		uint16_t code = instruction->code;

		if (!is_alive) {
			end_block(&state, CW_LIFT_REJECT);
			break;
		}
		if (BPF_CLASS(code) == BPF_RET) {
			state.then = CW_LIFT_ACCEPT;
			state.otherwise = CW_LIFT_REJECT;
			if (BPF_RVAL(code) == BPF_A)
				end_test(lift, &state, values[0], 1, UINT32_MAX);
			else
				end_block(&state, instruction->k ? CW_LIFT_ACCEPT : CW_LIFT_REJECT);
			break;
		}
		if (BPF_CLASS(code) == BPF_JMP) {
			if (BPF_OP(code) == BPF_JA)
				end_block(&state,
					  make_state(lift, pc + 1 + instruction->k, values));
			else
				end_jump(lift, &state, instruction, values, pc);
			break;
		}
		if (BPF_CLASS(code) == BPF_LD || BPF_CLASS(code) == BPF_LDX)
			is_alive = run_load(lift, &state, instruction, values);
		else if (BPF_CLASS(code) == BPF_ALU)
			is_alive = run_alu(lift, &state, instruction, values);
		else if (code == BPF_ST || code == BPF_STX)
			values[2 + instruction->k] = values[code == BPF_STX];
		else if (BPF_MISCOP(code) == BPF_TAX)
			values[1] = values[0];
		else
			values[0] = values[1];
	}
	lift->states.at[number] = state;
}

static uint32_t record_of(const struct lift *lift, uint32_t state)
{
	return state >= CW_LIFT_ACCEPT ? state : lift->states.at[state].record;
}

/* Write the states as records, the largest program counter first. */
static int write_records(struct lift *lift, uint32_t number)
{
	struct cw_build_filter *filter = &lift->build->filters[number];
	struct cw_lift_records *records = &lift->build->records;
	uint32_t pc, at;

	filter->record_first = records->count;
	if (CW_GROW(records, lift->states.count))
		return -ENOMEM;
	for (pc = lift->count; pc-- > 0;) {
		for (at = lift->first[pc]; at != CW_NONE; at = lift->states.at[at].next) {
			struct state *state = &lift->states.at[at];

			state->record = records->count - filter->record_first;
			records->at[records->count++] = (struct cw_lift_record){
			    .check_first = state->check_first,
			    .check_count = state->check_count,
			    .expr = state->expr,
			    .low = state->low,
			    .high = state->high,
			    .then = record_of(lift, state->then),
			    .otherwise = record_of(lift, state->otherwise),
			};
		}
	}
	filter->record_count = records->count - filter->record_first;
	return 0;
}

static int run_program(struct lift *lift)
{
	uint32_t values[REGISTERS];
	uint32_t zero = cw_expr_const(lift->build, 0);
	uint32_t pc, at;

	for (pc = lift->count; pc-- > 0;)
		lift->live[pc] = live_before(lift, pc);
	for (at = 0; at < REGISTERS; at++)
		values[at] = zero;
	make_state(lift, 0, values);
	for (pc = 0; pc < lift->count; pc++) {
		for (at = lift->first[pc]; at != CW_NONE; at = lift->states.at[at].next)
			run_state(lift, at);
		if (lift->is_over)
			return -E2BIG;
	}
	return 0;
}

int cw_lift(struct cw_build *build, uint32_t number)
{
	const struct cw_bpf *program = build->filters[number].program;
	struct lift lift = {.build = build, .program = program->at, .count = program->count};
	uint32_t checks_before = build->checks.count;
	int result;

	build->filters[number].record_count = 0;
	if (program->backward_count)
		return -ELOOP;
	lift.live = malloc(program->count * sizeof(*lift.live));
	lift.first = malloc(program->count * sizeof(*lift.first));
	if (lift.live && lift.first) {
		memset(lift.first, 0xff, program->count * sizeof(*lift.first));
		result = run_program(&lift);
		if (result == 0 && !build->failure)
			result = write_records(&lift, number);
	} else {
		result = -ENOMEM;
	}
	if (result)
		build->checks.count = checks_before;
	if (result == -ENOMEM)
		cw_build_fail(build, result);
	cw_index_fini(&lift.index);
	CW_FREE_ALL(lift.states.at, lift.first, lift.live);
	return result;
}
