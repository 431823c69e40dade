/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the nodes of a decision program back: the steps and tables of passes/lower.c and
 * lower_tables.c become lists of intervals again, postfix code an expression.
 */
#include <stdio.h>

#include "core/filter/view.h"

static bool is_node(uint32_t ref)
{
	return ref < CW_REF_EMPTY;
}

/* ---- variables ---- */

static const char *operator_text(uint32_t operation)
{
	switch (operation) {
	case BPF_ADD:
		return "+";
	case BPF_SUB:
		return "-";
	case BPF_MUL:
		return "*";
	case BPF_DIV:
		return "/";
	case BPF_MOD:
		return "%";
	case BPF_AND:
		return "&";
	case BPF_OR:
		return "|";
	case BPF_XOR:
		return "^";
	case BPF_LSH:
		return "<<";
	case BPF_RSH:
		return ">>";
	case CW_ALU_GT:
		return ">";
	case CW_ALU_GE:
		return ">=";
	default: /* BPF_NEG, whose second operand is unused */
		return NULL;
	}
}

static const char *load_text(uint32_t bytes)
{
	return bytes == 1 ? "byte" : bytes == 2 ? "half" : "word";
}

/* Apply one operation of postfix code to the texts of its operands; returns the new depth. */
static uint32_t write_operation(char stack[][CW_VIEW_VAR_BYTES], uint32_t depth,
				const uint32_t *code)
{
	char text[CW_VIEW_VAR_BYTES];
	const char *operator;
	uint32_t k = code[1];

	switch ((enum cw_code_op)(code[0] & 0xff)) {
	case CW_CODE_END:
		return depth;
	case CW_CODE_CONST:
		snprintf(text, sizeof(text), k < 1024 ? "%u" : "0x%x", k);
		break;
	case CW_CODE_LEN:
		snprintf(text, sizeof(text), "len");
		break;
	case CW_CODE_LOAD:
		if (code[0] >> 8 & 1)
			snprintf(text, sizeof(text), k ? "%s[%.980s + %u]" : "%s[%.980s]",
				 load_text(code[0] >> 9), stack[--depth], k);
		else
			snprintf(text, sizeof(text), "%s[%u]", load_text(code[0] >> 9), k);
		break;
	case CW_CODE_ALU:
		depth -= 2;
		operator= operator_text(k);
		if (operator)
			snprintf(text, sizeof(text), "(%.500s %s %.500s)", stack[depth], operator,
				 stack[depth + 1]);
		else
			snprintf(text, sizeof(text), "-%.1000s", stack[depth]);
		break;
	}
	memcpy(stack[depth], text, sizeof(text));
	return depth + 1;
}

static void write_code(const uint32_t *code, char text[CW_VIEW_VAR_BYTES])
{
	char stack[CW_EXPR_STACK_MAX][CW_VIEW_VAR_BYTES];
	uint32_t depth = 0;

	for (; (code[0] & 0xff) != CW_CODE_END; code += 2)
		depth = write_operation(stack, depth, code);
	memcpy(text, stack[0], CW_VIEW_VAR_BYTES);
}

/* Write the variable into `text`; returns its kind, for a _MSH kind the plain one. */
static enum cw_var_kind view_var(const struct cw_decision *decision, const struct cw_var *var,
				 char text[CW_VIEW_VAR_BYTES])
{
	enum cw_var_kind kind = var->kind;
	int used = 0;

	switch (kind) {
	case CW_VAR_BYTE:
	case CW_VAR_HALF:
	case CW_VAR_WORD:
		used = snprintf(text, CW_VIEW_VAR_BYTES, "%s[%u]",
				load_text(1u << (kind - CW_VAR_BYTE)), var->offset);
		break;
	case CW_VAR_BYTE_MSH:
	case CW_VAR_HALF_MSH:
	case CW_VAR_WORD_MSH:
		kind = CW_VAR_BYTE + (kind - CW_VAR_BYTE_MSH);
		used = snprintf(text, CW_VIEW_VAR_BYTES, "%s[4*(byte[%u] & 15) + %u]",
				load_text(1u << (kind - CW_VAR_BYTE)), var->msh, var->offset);
		break;
	case CW_VAR_LEN:
		used = snprintf(text, CW_VIEW_VAR_BYTES, "len");
		break;
	case CW_VAR_CODE:
		write_code(decision->code + var->offset, text);
		return kind;
	case CW_VAR_KINDS:
		break;
	}
	if (var->mask != UINT32_MAX)
		snprintf(text + used, CW_VIEW_VAR_BYTES - (size_t)used, " & 0x%x", var->mask);
	return kind;
}

/* ---- nodes ---- */

static int add_edge(struct cw_view *view, uint32_t low, uint32_t high, uint32_t to)
{
	if (CW_GROW(&view->edges, 1))
		return -ENOMEM;
	view->edges.at[view->edges.count++] = (struct cw_view_edge){low, high, to};
	return 0;
}

static int by_low(const void *a, const void *b)
{
	const struct cw_view_edge *left = a, *right = b;

	return left->low < right->low ? -1 : left->low > right->low;
}

/* Sort the edges; merge touching intervals with the same target. */
static void sort_edges(struct cw_view_edges *edges)
{
	uint32_t kept = 0, i;

	if (edges->count == 0)
		return;
	qsort(edges->at, edges->count, sizeof(*edges->at), by_low);
	for (i = 1; i < edges->count; i++) {
		struct cw_view_edge *last = &edges->at[kept];

		if (edges->at[i].to == last->to && edges->at[i].low == last->high + 1)
			last->high = edges->at[i].high;
		else
			edges->at[++kept] = edges->at[i];
	}
	edges->count = kept + 1;
}

static int view_hash(const struct cw_decision *decision, const struct cw_step *step,
		     struct cw_view *view)
{
	const struct cw_edge *table = decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n), shift = CW_HASH_SHIFT(step->n), i;

	for (i = 0; i < size; i++) {
		uint32_t low = table[i].start << shift;

		if (table[i].to != CW_NONE &&
		    add_edge(view, low, low + ((UINT32_C(1) << shift) - 1), table[i].to))
			return -ENOMEM;
	}
	return 0;
}

/* The largest value of a variable of this kind. */
static uint32_t value_max(enum cw_var_kind kind)
{
	return kind == CW_VAR_BYTE ? UINT8_MAX : kind == CW_VAR_HALF ? UINT16_MAX : UINT32_MAX;
}

/* A tree has no `otherwise`; for readers it becomes the target of the widest interval. */
static int view_tree(const struct cw_decision *decision, const struct cw_step *step,
		     struct cw_view *view)
{
	const uint32_t *words = decision->trees + step->k;
	const struct cw_tree *tree = (const struct cw_tree *)words;
	const uint32_t *keys = words + tree->levels[tree->level_count - 1];
	uint32_t low = 0, widest = 0, i, kept = 0;

	for (i = 0; i <= tree->start_count; i++) {
		/* A key is the next start - 1, its sign bit turned. */
		uint32_t high =
		    i < tree->start_count ? keys[i] ^ 0x80000000 : value_max(view->value_kind);

		if (add_edge(view, low, high, words[tree->refs + i]))
			return -ENOMEM;
		if (high - low >= widest) {
			widest = high - low;
			view->otherwise = words[tree->refs + i];
		}
		low = high + 1;
	}
	for (i = 0; i < view->edges.count; i++)
		if (view->edges.at[i].to != view->otherwise)
			view->edges.at[kept++] = view->edges.at[i];
	view->edges.count = kept;
	return 0;
}

static int view_fork(const struct cw_decision *decision, const struct cw_step *step,
		     struct cw_view *view)
{
	view->is_fork = true;
	view->otherwise = view->trap = CW_REF_EMPTY;
	for (uint32_t i = 0; i < step->n; i++)
		if (add_edge(view, 0, 0, cw_fork_kid(decision, decision->words[step->k + i])))
			return -ENOMEM;
	return 0;
}

int cw_view_node(const struct cw_decision *decision, uint32_t number, struct cw_view *view)
{
	const struct cw_step *step = &decision->steps[number];
	int result = 0;

	view->edges.count = 0;
	view->is_fork = false;
	view->otherwise = step->otherwise;
	view->trap = step->trap;
	if (step->op == CW_STEP_FORK)
		return view_fork(decision, step, view);
	view->value_kind = view_var(decision, &decision->vars[step->var], view->var);
	switch ((enum cw_step_op)step->op) {
	case CW_STEP_EQUAL:
		result = add_edge(view, step->k, step->k, step->then);
		break;
	case CW_STEP_RANGE:
		result = add_edge(view, step->k, step->k + (step->n - 1), step->then);
		break;
	case CW_STEP_EXISTS:
		view->otherwise = step->then;
		break;
	case CW_STEP_HASH:
		result = view_hash(decision, step, view);
		break;
	case CW_STEP_TREE:
		result = view_tree(decision, step, view);
		break;
	case CW_STEP_FORK:
	case CW_STEP_GUARD:
		break;
	}
	sort_edges(&view->edges);
	return result;
}

void cw_view_fini(struct cw_view *view)
{
	free(view->edges.at);
	*view = (struct cw_view){0};
}

/* ---- events ---- */

void cw_view_event(const struct cw_decision *decision, uint32_t ref, struct cw_view_event *event)
{
	const struct cw_leaf *leaf;

	event->is_exclude = ref & CW_EVENT_EXCLUDE;
	event->count = 1;
	if (!(ref & CW_EVENT_LEAF))
		return;
	leaf = &decision->leaves[ref & CW_EVENT_MASK];
	event->count = leaf->count;
	for (uint32_t i = 0; leaf->count == 0 && i < decision->bitmap_words; i++)
		event->count += (uint32_t)__builtin_popcount(decision->words[leaf->first + i]);
}

uint32_t cw_view_part(const struct cw_decision *decision, uint32_t ref, uint32_t part)
{
	const struct cw_leaf *leaf;
	const uint32_t *words;

	if (!(ref & CW_EVENT_LEAF))
		return part <= (ref & CW_EVENT_MASK) ? ref & CW_EVENT_MASK : CW_NONE;
	leaf = &decision->leaves[ref & CW_EVENT_MASK];
	words = decision->words + leaf->first;
	for (uint32_t i = 0; i < leaf->count; i++)
		if (words[i] >= part)
			return words[i];
	for (; leaf->count == 0 && part < decision->part_count; part++)
		if (words[part / 32] >> part % 32 & 1)
			return part;
	return CW_NONE;
}

/* ---- all nodes ---- */

static int push(struct cw_u32s *list, uint32_t ref)
{
	if (CW_GROW(list, 1))
		return -ENOMEM;
	list->at[list->count++] = ref;
	return 0;
}

/* Push a node's targets, the first to be visited last. */
static int push_targets(const struct cw_view *view, struct cw_u32s *stack)
{
	int result = 0;

	if (is_node(view->trap))
		result = push(stack, view->trap);
	if (is_node(view->otherwise) && result == 0)
		result = push(stack, view->otherwise);
	for (uint32_t i = view->edges.count; i-- > 0 && result == 0;)
		if (is_node(view->edges.at[i].to))
			result = push(stack, view->edges.at[i].to);
	return result;
}

int cw_view_order(const struct cw_decision *decision, struct cw_u32s *order)
{
	bool *is_seen = calloc(decision->step_count + 1, sizeof(*is_seen));
	struct cw_u32s stack = {0};
	struct cw_view view = {0};
	int result = is_seen ? 0 : -ENOMEM;

	*order = (struct cw_u32s){0};
	if (is_node(decision->root) && result == 0)
		result = push(&stack, decision->root);
	while (stack.count && result == 0) {
		uint32_t number = stack.at[--stack.count];

		if (is_seen[number])
			continue;
		is_seen[number] = true;
		result = push(order, number);
		if (result == 0)
			result = cw_view_node(decision, number, &view);
		if (result == 0)
			result = push_targets(&view, &stack);
	}
	cw_view_fini(&view);
	free(stack.at);
	free(is_seen);
	return result;
}
