/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a decision program, portably. From the root, each step looks at one value and leads to the
 * next; a fork leads to several, which wait on a stack; events are collected. The x86-64 code of
 * jit_x86.c does the same. cw_collect then turns the events into ids.
 */
#include "core/filter/engine/decision.h"

/* Refs of a fork that are not visited yet. */
struct waiting {
	const uint32_t *next;
	const uint32_t *end;
};

bool cw_walk_code(const uint32_t *code, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
		  uint32_t *value)
{
	uint32_t stack[CW_EXPR_STACK_MAX];
	uint32_t depth = 0;

	/* NOLINTBEGIN(clang-analyzer-core*): lower_code writes operands before operations */
	for (;; code += 2) {
		uint32_t k = code[1];

		switch ((enum cw_code_op)(code[0] & 0xff)) {
		case CW_CODE_END:
			*value = stack[0];
			return true;
		case CW_CODE_CONST:
			stack[depth++] = k;
			break;
		case CW_CODE_LEN:
			stack[depth++] = wire_len;
			break;
		case CW_CODE_LOAD: {
			uint32_t bytes = code[0] >> 9;
			uint64_t offset = k;

			if (code[0] >> 8 & 1)
				offset += stack[--depth];
			if (offset + bytes > caplen)
				return false;
			stack[depth++] = bytes == 4   ? cw_load_be32(data + offset)
					 : bytes == 2 ? cw_load_be16(data + offset)
						      : data[offset];
			break;
		}
		case CW_CODE_ALU:
			depth--;
			if ((k == BPF_DIV || k == BPF_MOD) && stack[depth] == 0)
				return false;
			stack[depth - 1] = cw_expr_compute(k, stack[depth - 1], stack[depth]);
			break;
		}
	}
	/* NOLINTEND(clang-analyzer-core*) */
}

/* condition ? yes : no; written so that the compiler makes no branch of it. */
static inline uint32_t choose(bool condition, uint32_t yes, uint32_t no)
{
	return no ^ ((yes ^ no) & (0u - (uint32_t)condition));
}

static inline uint32_t find_hash(const struct cw_decision *decision, const struct cw_step *step,
				 uint32_t value)
{
	const struct cw_edge *table = decision->hashes + step->k;
	uint32_t key = value >> CW_HASH_SHIFT(step->n);
	uint32_t multiplier = cw_hash_multipliers(table, step->n)[cw_hash_bucket(key, step->n)];
	const struct cw_edge *entry = &table[cw_hash_place(key, multiplier, step->n)];

	if (step->n & CW_HASH_EMITS)
		return choose(entry->start == key, entry->to, step->otherwise);
	return cw_unlikely(entry->start == key) ? entry->to : step->otherwise;
}

typedef int32_t four_t __attribute__((vector_size(16))); /* GNU C: a vector register */

/* See struct cw_tree. */
static inline uint32_t find_tree(const struct cw_decision *decision, const struct cw_step *step,
				 uint32_t value)
{
	const uint32_t *words = decision->trees + step->k;
	const struct cw_tree *tree = (const struct cw_tree *)words;
	int32_t turned = (int32_t)(value ^ 0x80000000);
	four_t wanted = {turned, turned, turned, turned};
	uint32_t node = 0, smaller = 0, level;

	for (level = 0; level < tree->level_count; level++) {
		const four_t *keys =
		    (const four_t *)(words + tree->levels[level] + node * CW_TREE_FANOUT);
		/* -1 for each smaller key */
		four_t counts = (keys[0] < wanted) + (keys[1] < wanted) + (keys[2] < wanted) +
				(keys[3] < wanted);

		smaller = 0u - (uint32_t)(counts[0] + counts[1] + counts[2] + counts[3]);
		if (level + 1 < tree->level_count)
			node = node * (CW_TREE_FANOUT + 1) + smaller;
	}
	return words[tree->refs + node * CW_TREE_FANOUT + smaller];
}

/*
 * One piece of code for each pair of operation and variable kind, reached by one jump (a GNU C
 * label address): the processor then learns where each kind of step leads. Measured 1.5 times as
 * fast as a switch on the kind and one on the operation.
 */
#define OPERATIONS(X, kind) \
	X(EQUAL, kind) X(RANGE, kind) X(EXISTS, kind) X(HASH, kind) X(TREE, kind)
#define KINDS(X) X(BYTE) X(HALF) X(WORD) X(BYTE_MSH) X(HALF_MSH) X(WORD_MSH) X(LEN) X(CODE)

#define TRAP_IF(condition)            \
	if (cw_unlikely(condition)) { \
		ref = step->trap;     \
		goto next;            \
	}
#define LOAD_FIXED(load)             \
	TRAP_IF(step->need > caplen) \
	value = load(data + step->offset) & step->mask;
#define LOAD_BEHIND(load)                     \
	msh = decision->vars[step->var].msh;  \
	TRAP_IF(msh >= caplen)                \
	header = (data[msh] & 15u) << 2;      \
	TRAP_IF(header + step->need > caplen) \
	value = load(data + header + step->offset) & step->mask;
#define LOAD_BYTE(from) (*(from))
#define VALUE_BYTE LOAD_FIXED(LOAD_BYTE)
#define VALUE_HALF LOAD_FIXED(cw_load_be16)
#define VALUE_WORD LOAD_FIXED(cw_load_be32)
#define VALUE_BYTE_MSH LOAD_BEHIND(LOAD_BYTE)
#define VALUE_HALF_MSH LOAD_BEHIND(cw_load_be16)
#define VALUE_WORD_MSH LOAD_BEHIND(cw_load_be32)
#define VALUE_LEN value = wire_len & step->mask;
#define VALUE_CODE                                                                             \
	TRAP_IF(!cw_walk_code(decision->code + decision->vars[step->var].offset, data, caplen, \
			      wire_len, &value))

#define GO_EQUAL cw_likely(value == step->k) ? step->then : step->otherwise
#define GO_RANGE cw_likely(value - step->k < step->n) ? step->then : step->otherwise
#define GO_EXISTS (void)value, step->then
#define GO_HASH find_hash(decision, step, value)
#define GO_TREE find_tree(decision, step, value)

#define AS_LABEL(operation, kind) \
	[CW_STEP_FORM(CW_STEP_##operation, CW_VAR_##kind)] = &&step_##operation##_##kind,
#define AS_LABELS(kind) OPERATIONS(AS_LABEL, kind)
#define AS_CODE(operation, kind)                                         \
	step_##operation##_##kind : VALUE_##kind ref = (GO_##operation); \
	goto next;
#define AS_CODES(kind) OPERATIONS(AS_CODE, kind)

/* The lowest filter that this event finds for certain. */
static uint32_t bound_of(const struct cw_decision *decision, uint32_t event)
{
	uint32_t place = event & CW_EVENT_MASK;

	if (event & CW_EVENT_EXCLUDE)
		return CW_NONE;
	return decision->bounds[event & CW_EVENT_LEAF ? decision->part_count + place : place];
}

uint32_t cw_walk(const struct cw_decision *decision, const uint8_t *data, uint32_t caplen,
		 uint32_t wire_len, uint32_t *events)
{
	static const void *const labels[(CW_STEP_GUARD + 1) * CW_VAR_KINDS] = {
	    /* cppcheck-suppress internalAstError ; label addresses are GNU C */
	    KINDS(AS_LABELS)[CW_STEP_FORM(CW_STEP_FORK, 0)] = &&step_fork,
	    [CW_STEP_FORM(CW_STEP_GUARD, 0)] = &&step_guard};
	struct waiting stack[CW_FORK_DEPTH_MAX];
	const struct cw_step *const steps = decision->steps;
	const struct cw_step *step;
	uint32_t depth = 0, count = 0, ref = decision->root, value = 0, header, msh;
	uint32_t found = CW_NONE, looked = 0; /* lowest certain filter in `looked` events */

next:
	if (cw_likely(ref < CW_REF_EMPTY)) {
		step = &steps[ref];
		goto *labels[step->form];
	}
	events[count] = ref; /* counts only if it is an event: no unpredictable branch */
	count += ref >> 31;
	if (depth == 0)
		return count;
	ref = *stack[depth - 1].next++;
	if (stack[depth - 1].next == stack[depth - 1].end)
		depth--;
	goto next;

step_fork:
	stack[depth].next = decision->words + step->k;
	stack[depth].end = stack[depth].next + step->n;
	ref = *stack[depth++].next++;
	goto next;

step_guard:
	for (; looked < count; looked++)
		found = cw_min_u32(found, bound_of(decision, events[looked]));
	ref = step->then;
	if (found <= step->k) {
		ref = CW_REF_EMPTY;
		depth -= step->n > 0; /* skips the kids after the guard */
	}
	goto next;

	KINDS(AS_CODES)
}
