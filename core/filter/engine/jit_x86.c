/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64 code of a decision program: does the same as walk.c without reading the steps. Each step
 * is a piece of code; a ref is a jump; a fork calls its kids, the last one by a jump; an event is
 * stored, and the code returns. Hash tables and trees stay tables, whose refs become offsets of
 * code. If the kernel refuses memory for the code (code.h), the walker runs. The code has one
 * indirect entry, its start, and indirect jumps without tracking, so it may run where branches are
 * tracked (Intel CET). jit.h has the registers and the other files.
 */
#include <sys/mman.h>

#include "core/filter/engine/code.h"
#include "core/filter/engine/jit.h"

/* ---- steps ---- */

/* Put an equality test, with the constant in packet byte order to avoid swapping the value. */
static void put_equal(struct cw_jit *jit, const struct cw_step *step, const struct cw_var *var)
{
	uint32_t bytes = cw_jit_size_of(var);

	if (var->kind == CW_VAR_CODE || var->kind == CW_VAR_LEN) {
		cw_jit_put_var(jit, var, step->trap);
		cw_jit_put_compare(jit, step->k);
	} else {
		cw_jit_put_check(jit, var, step->trap);
		cw_jit_put_var_load(jit, var, 0);
		cw_jit_put_mask(jit, cw_jit_swap(var->mask, bytes), bytes);
		cw_jit_put_compare(jit, cw_jit_swap(step->k, bytes));
	}
	cw_jit_put_jump_if(jit, IF_EQUAL, step->then);
}

/* Put the code that guards call: lowers ebx to the least filter found by the events from r12 on. */
static void put_look(struct cw_jit *jit)
{
	uint32_t start = jit->code.count, jump;

	PUT(jit, 0x41, 0x8b, 0x04, 0x24); /* mov eax, [r12] */
	PUT(jit, 0x49, 0x83, 0xc4, 0x04); /* add r12, 4 */
	PUT(jit, 0x0f, 0xba, 0xe0, 30);   /* bt eax, 30: taken back */
	PUT(jit, 0x72, 0);                /* jc 1f */
	jump = jit->code.count;
	PUT(jit, 0x89, 0xc1, 0x81, 0xe1); /* mov ecx, eax; and ecx, mask */
	cw_jit_put_u32(jit, CW_EVENT_MASK);
	PUT(jit, 0x0f, 0xba, 0xe0, 29);   /* bt eax, 29: a leaf */
	PUT(jit, 0x73, 0x06, 0x81, 0xc1); /* jnc over: add ecx, part_count */
	cw_jit_put_u32(jit, jit->decision->part_count);
	PUT(jit, 0x49, 0xba); /* mov r10, bounds */
	cw_jit_put_pointer(jit, jit->decision->bounds);
	PUT(jit, 0x41, 0x8b, 0x04, 0x8a);       /* mov eax, [r10 + rcx * 4] */
	PUT(jit, 0x39, 0xc3, 0x0f, 0x47, 0xd8); /* cmp ebx, eax; cmova ebx, eax */
	if (!jit->failure)
		jit->code.at[jump - 1] = (uint8_t)(jit->code.count - jump);
	PUT(jit, 0x4d, 0x39, 0xcc);                               /* 1: cmp r12, r9 */
	PUT(jit, 0x75, (uint8_t)(start - (jit->code.count + 2))); /* jne start */
	PUT(jit, 0xc3);
}

/* Put code that leaves the fork if a filter not above the guard's is found. */
static void put_guard(struct cw_jit *jit, const struct cw_step *guard)
{
	if (jit->decision->event_bits) {
		uint64_t bits = guard->k < 63 ? (UINT64_C(2) << guard->k) - 1 : UINT64_MAX;

		PUT(jit, 0x49, 0xbb); /* mov r11, bits; test r9, r11 */
		cw_jit_put(jit, &bits, sizeof(bits));
		PUT(jit, 0x4d, 0x85, 0xd9);
		cw_jit_put_jump_if(jit, IF_NOT_EQUAL, CW_REF_EMPTY);
		return;
	}
	PUT(jit, 0x4d, 0x39, 0xcc); /* cmp r12, r9 */
	PUT(jit, 0x74, 0x05, 0xe8); /* je over: call look */
	cw_jit_put_u32(jit, jit->look_offset - (jit->code.count + 4));
	PUT(jit, 0x81, 0xfb); /* cmp ebx, */
	cw_jit_put_u32(jit, guard->k);
	cw_jit_put_jump_if(jit, IF_AT_MOST, CW_REF_EMPTY);
}

/* Put the kids of a fork but the last, whose ref is returned. */
static uint32_t put_fork(struct cw_jit *jit, const struct cw_step *step)
{
	const uint32_t *kids = jit->decision->words + step->k;
	uint32_t kid, i;

	for (i = 0;; i++) {
		kid = cw_fork_kid(jit->decision, kids[i]);
		if (kid != kids[i])
			put_guard(jit, &jit->decision->steps[kids[i]]);
		if (i + 1 == step->n)
			return kid;
		if (kid & CW_REF_EVENT) {
			cw_jit_put_event(jit, kid);
		} else {
			PUT(jit, 0xe8); /* call */
			cw_jit_put_ref(jit, kid);
		}
	}
}

/* Put one step; returns the ref that its code falls through to. */
static uint32_t put_step(struct cw_jit *jit, const struct cw_step *step)
{
	const struct cw_var *var = &jit->decision->vars[step->var];

	switch ((enum cw_step_op)step->op) {
	case CW_STEP_FORK:
		return put_fork(jit, step);
	case CW_STEP_EQUAL:
		put_equal(jit, step, var);
		return step->otherwise;
	case CW_STEP_EXISTS:
		cw_jit_put_var(jit, var, step->trap);
		return step->then;
	case CW_STEP_RANGE:
		cw_jit_put_var(jit, var, step->trap);
		PUT(jit, 0x2d); /* sub eax, k */
		cw_jit_put_u32(jit, step->k);
		cw_jit_put_compare(jit, step->n);
		cw_jit_put_jump_if(jit, IF_BELOW, step->then);
		return step->otherwise;
	case CW_STEP_HASH:
		cw_jit_put_var(jit, var, step->trap);
		cw_jit_put_hash(jit, step);
		return step->otherwise;
	case CW_STEP_TREE:
		cw_jit_put_var(jit, var, step->trap);
		cw_jit_put_tree(jit, step);
		break;
	case CW_STEP_GUARD: /* put_fork handles guards */
		break;
	}
	return CW_REF_EMPTY;
}

/* Put the step, or the run that begins with it, and the new steps that it falls through to. */
static void put_steps(struct cw_jit *jit, uint32_t ref)
{
	while (ref < CW_REF_EMPTY && *cw_jit_offset(jit, ref) == CW_NONE && !jit->failure) {
		bool is_alone = ref & CW_JIT_ALONE;
		struct cw_jit_run run;

		*cw_jit_offset(jit, ref) = jit->code.count;
		ref &= ~CW_JIT_ALONE;
		if (!is_alone && cw_jit_find_run(jit, ref, &run))
			ref = cw_jit_put_run(jit, &run);
		else
			ref = put_step(jit, &jit->decision->steps[ref]);
	}
	if (ref != CW_NONE)
		cw_jit_put_goto(jit, ref);
}

static void put_waiting(struct cw_jit *jit)
{
	while (jit->waiting.count && !jit->failure) {
		uint32_t ref = jit->waiting.at[--jit->waiting.count];

		if (*cw_jit_offset(jit, ref) == CW_NONE)
			put_steps(jit, ref);
	}
}

/* ---- putting it together ---- */

/* The offset of the code that goes to `ref`; an event's code is made on first use. */
static uint32_t offset_of(struct cw_jit *jit, uint32_t ref)
{
	uint32_t cursor = ref * 0x9e3779b1, hash = cursor, found;

	if (ref == CW_REF_EMPTY)
		return jit->return_offset;
	if (ref < CW_REF_EMPTY)
		return *cw_jit_offset(jit, ref) == CW_NONE ? jit->return_offset
							   : *cw_jit_offset(jit, ref);
	while ((found = cw_index_next(&jit->stubs, hash, &cursor)) != CW_NONE)
		if (jit->stub_list.at[found].start == ref)
			return jit->stub_list.at[found].to;
	if (CW_GROW(&jit->stub_list, 1) || cw_index_add(&jit->stubs, hash, jit->stub_list.count)) {
		jit->failure = -ENOMEM;
		return 0;
	}
	found = jit->code.count;
	jit->stub_list.at[jit->stub_list.count++] = (struct cw_edge){ref, found};
	cw_jit_put_goto(jit, ref);
	return found;
}

static void resolve(struct cw_jit *jit)
{
	for (uint32_t i = 0; i < jit->fixups.count && !jit->failure; i++) {
		struct cw_jit_fixup fixup = jit->fixups.at[i];
		uint32_t displacement = offset_of(jit, fixup.ref) - (fixup.at + 4);

		memcpy(jit->code.at + fixup.at, &displacement, 4);
	}
}

static int install(struct cw_jit *jit)
{
	struct cw_decision *decision = jit->decision;
	int result = cw_code_install(jit->code.at, jit->code.count, &decision->jit);

	if (!result)
		decision->jit_bytes = jit->code.count;
	return result;
}

static uint32_t table_ref(struct cw_jit *jit, uint32_t ref)
{
	return ref & CW_REF_EVENT ? cw_jit_event_ref(jit, ref) : offset_of(jit, ref);
}

/* Turn refs in a hash table into offsets, once, though several steps may share the table. */
static void turn_hash(struct cw_jit *jit, const struct cw_step *step)
{
	struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);

	if (jit->turned[step->k / 32] >> step->k % 32 & 1)
		return;
	jit->turned[step->k / 32] |= UINT32_C(1) << step->k % 32;
	for (uint32_t i = 0; i < size; i++) {
		uint32_t row = cw_jit_row_ref(jit, step->k, table[i].to);

		table[i].to = row != CW_NONE ? row : table_ref(jit, table[i].to);
	}
}

/* Turn all refs in tables into offsets of code; from here on the walker cannot run. */
static void turn_tables(struct cw_jit *jit)
{
	struct cw_decision *decision = jit->decision;
	uint32_t i, n;

	for (i = 0; i < decision->step_count; i++)
		if (decision->steps[i].op == CW_STEP_HASH)
			turn_hash(jit, &decision->steps[i]);
	for (i = 0; i < decision->tree_count;) {
		uint32_t *words = decision->trees + i;
		const struct cw_tree *tree = (const struct cw_tree *)words;

		for (n = 0; n <= tree->start_count; n++)
			words[tree->refs + n] = table_ref(jit, words[tree->refs + n]);
		i += (tree->refs + tree->start_count + CW_TREE_FANOUT) & ~(CW_TREE_FANOUT - 1);
	}
}

/* Free what only the walker needs. */
static void drop_steps(struct cw_decision *decision)
{
	CW_FREE_ALL(decision->steps, decision->vars, decision->code);
	decision->steps = NULL;
	decision->vars = NULL;
	decision->code = NULL;
	decision->var_count = decision->code_count = 0;
}

static uint32_t *make_nones(size_t count)
{
	uint32_t *list = malloc((count + 1) * sizeof(*list));

	if (list)
		memset(list, 0xff, (count + 1) * sizeof(*list));
	return list;
}

static int start(struct cw_jit *jit)
{
	size_t step_count = jit->decision->step_count, hash_count = jit->decision->hash_count;

	jit->offsets = make_nones(2 * step_count);
	jit->rows = make_nones(step_count);
	jit->row_models = make_nones(hash_count);
	jit->turned = calloc(hash_count / 32 + 1, sizeof(*jit->turned));
	return jit->offsets && jit->rows && jit->row_models && jit->turned ? 0 : -ENOMEM;
}

static void write_code(struct cw_jit *jit)
{
	static const uint8_t zeros[4 * CW_JIT_ROW_WORDS_MAX];
	bool has_bits = jit->decision->event_bits != NULL;
	bool is_first = jit->decision->bounds != NULL && !has_bits;

	/* The entry at 0: endbr64; mov r8d, edx; mov r9, rcx; call root; mov rax, r9; ret
	 * With bits, xor r9d, r9d. */
	PUT(jit, 0xf3, 0x0f, 0x1e, 0xfa);
	if (is_first) /* push rbx; push r12; mov ebx, CW_NONE; mov r12, rcx */
		PUT(jit, 0x53, 0x41, 0x54, 0xbb, 0xff, 0xff, 0xff, 0xff, 0x49, 0x89, 0xcc);
	PUT(jit, 0x41, 0x89, 0xd0);
	if (has_bits)
		PUT(jit, 0x45, 0x31, 0xc9, 0xe8);
	else
		PUT(jit, 0x49, 0x89, 0xc9, 0xe8);
	cw_jit_put_ref(jit, jit->decision->root);
	PUT(jit, 0x4c, 0x89, 0xc8);
	if (is_first)
		PUT(jit, 0x41, 0x5c, 0x5b); /* pop r12; pop rbx */
	jit->return_offset = jit->code.count;
	PUT(jit, 0xc3);
	jit->no_row = jit->code.count;
	cw_jit_put(jit, zeros, sizeof(zeros));
	jit->look_offset = jit->code.count;
	if (is_first)
		put_look(jit);
	put_waiting(jit);
	if (!jit->failure)
		resolve(jit);
	if (!jit->failure)
		cw_jit_put_rows(jit);
}

int cw_jit_build(struct cw_decision *decision, uint32_t bytes_max)
{
	struct cw_jit jit = {.decision = decision, .bytes_max = bytes_max};

	jit.failure = start(&jit);
	if (!jit.failure)
		write_code(&jit);
	if (!jit.failure)
		jit.failure = install(&jit);
	if (!jit.failure) {
		turn_tables(&jit);
		drop_steps(decision);
	}
	cw_index_fini(&jit.stubs);
	CW_FREE_ALL(jit.stub_list.at, jit.code.at, jit.fixups.at, jit.waiting.at, jit.offsets,
		    jit.rows, jit.row_models, jit.turned);
	return jit.failure;
}

void cw_jit_fini(struct cw_decision *decision)
{
	if (decision->jit)
		munmap(decision->jit, decision->jit_bytes);
	decision->jit = NULL;
	decision->jit_bytes = 0;
}
