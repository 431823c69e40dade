/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64 code of several tests with one answer. A branch that goes both ways costs as much as ten
 * tests, so all tests of a run are made, from the last to the first, and combined:
 *
 *	dl  the answer of the run   al, eax  a test   ecx  header length / 4   r11, r10  scratch
 *
 * Packets too short for all tests together go through the steps one by one. Also the code that
 * entries of a table share, see cw_jit_row_table.
 */
#include "core/filter/engine/jit.h"

#define SET_BITS_MAX 5u /* larger tables have more keys than a test of a run */

/* The header of a run's MSH variables: a run can use only one. */
struct header {
	bool is_used;
	uint32_t msh;
};

static bool is_behind_header(const struct cw_var *var)
{
	return var->kind >= CW_VAR_BYTE_MSH && var->kind <= CW_VAR_WORD_MSH;
}

/* ---- finding runs ---- */

/* Whether the step is a test with two ends; fills them. */
static bool is_test(const struct cw_jit *jit, uint32_t number, uint32_t ends[2])
{
	const struct cw_step *step;

	if (number >= CW_REF_EMPTY)
		return false;
	step = &jit->decision->steps[number];
	ends[0] = step->otherwise;
	ends[1] = step->then;
	if (step->op == CW_STEP_HASH)
		return CW_HASH_BITS(step->n) <= SET_BITS_MAX &&
		       jit->decision->vars[step->var].kind <= CW_VAR_WORD_MSH &&
		       CW_HASH_SHIFT(step->n) == 0 &&
		       cw_jit_hash_used(jit->decision, step, &ends[1]) <= CW_JIT_CHAIN_MAX &&
		       ends[1] != CW_NONE;
	return (step->op == CW_STEP_EQUAL || step->op == CW_STEP_RANGE) &&
	       jit->decision->vars[step->var].kind <= CW_VAR_WORD_MSH;
}

/* Whether the step can be in a run that uses this header; notes its header. */
static bool fits_header(const struct cw_jit *jit, uint32_t number, struct header *header)
{
	const struct cw_var *var = &jit->decision->vars[jit->decision->steps[number].var];

	if (!is_behind_header(var))
		return true;
	if (header->is_used && header->msh != var->msh)
		return false;
	header->is_used = true;
	header->msh = var->msh;
	return true;
}

/* The answer with which the run continues after a test whose ends are both new. */
static bool choose_next(const struct cw_jit *jit, const uint32_t ends[2])
{
	uint32_t after[2];

	/* Prefer a test that shares the other end. */
	for (uint32_t answer = 0; answer < 2; answer++)
		if (is_test(jit, ends[answer], after) &&
		    (after[0] == ends[!answer] || after[1] == ends[!answer]))
			return answer;
	return is_test(jit, ends[1], after) || ends[0] == CW_REF_EMPTY;
}

/* The event that `more` emits beside what `less` does; CW_NONE: they differ in something else. */
static uint32_t added_event(const struct cw_jit *jit, uint32_t more, uint32_t less)
{
	const struct cw_step *steps = jit->decision->steps;
	const uint32_t *kids;

	if (more & CW_REF_EVENT)
		return less == CW_REF_EMPTY ? more : CW_NONE;
	if (more == CW_REF_EMPTY || steps[more].op != CW_STEP_FORK || steps[more].n != 2)
		return CW_NONE;
	kids = jit->decision->words + steps[more].k;
	if (kids[0] & CW_REF_EVENT && kids[1] == less)
		return kids[0];
	return kids[1] & CW_REF_EVENT && kids[0] == less ? kids[1] : CW_NONE;
}

/* Name the run's known ends so that `yes` emits an event more, if one does. */
static void name_ends(const struct cw_jit *jit, struct cw_jit_run *run, const uint32_t *others)
{
	struct cw_jit_test *last = &run->tests[run->count - 1];

	if (added_event(jit, run->no, run->yes) != CW_NONE) {
		run->no = run->yes;
		run->yes = others[run->count - 1];
		last->next_if = !last->next_if;
	}
	for (uint32_t i = 0; i + 1 < run->count; i++)
		run->tests[i].is_or = others[i] == run->yes;
	last->is_or = false;
}

bool cw_jit_find_run(const struct cw_jit *jit, uint32_t step, struct cw_jit_run *run)
{
	uint32_t others[CW_JIT_RUN_MAX]; /* targets of the answers that leave the run */
	uint32_t ends[2], known[2], known_count = 0, count = 0;
	struct header header = {.is_used = false};

	run->count = 0;
	while (count < CW_JIT_RUN_MAX && is_test(jit, step, ends) &&
	       fits_header(jit, step, &header)) {
		bool next_if;

		if (ends[0] == ends[1])
			break;
		if (known_count && (ends[0] == known[0] || ends[0] == known[known_count - 1]))
			next_if = true;
		else if (known_count && (ends[1] == known[0] || ends[1] == known[known_count - 1]))
			next_if = false;
		else if (known_count < 2)
			next_if = choose_next(jit, ends);
		else
			break;
		others[count] = ends[!next_if];
		run->tests[count++] = (struct cw_jit_test){.step = step, .next_if = next_if};
		if (known_count == 0 || (known_count == 1 && ends[!next_if] != known[0]))
			known[known_count++] = ends[!next_if];
		step = ends[next_if];
		if (known_count == 1 || step == known[0] || step == known[1]) {
			run->count = count;
			run->yes = step;
			run->no = known_count == 1 || step == known[1] ? known[0] : known[1];
		}
		if (known_count == 2 && run->count == count)
			break;
	}
	if (run->count == 0)
		return false;
	name_ends(jit, run, others);
	return run->count > 1 || added_event(jit, run->yes, run->no) != CW_NONE;
}

/* ---- making the tests ---- */

/* Put al = whether the variable, in eax in memory order, is one of the table's keys. */
static void put_set_test(struct cw_jit *jit, const struct cw_step *step, uint32_t bytes,
			 bool wanted)
{
	const struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t same, used = cw_jit_hash_used(jit->decision, step, &same), done = 0, i;

	for (i = 0; done < used; i++) {
		if (table[i].to == CW_NONE)
			continue;
		cw_jit_put_compare(jit, cw_jit_swap(table[i].start, bytes));
		done++;
		if (done == used)
			PUT(jit, 0x0f, 0x94, 0xc0); /* sete al */
		else if (done == 1)
			PUT(jit, 0x41, 0x0f, 0x94, 0xc3); /* sete r11b */
		else                                      /* sete r10b; or r11b, r10b */
			PUT(jit, 0x41, 0x0f, 0x94, 0xc2, 0x45, 0x08, 0xd3);
	}
	if (used > 1)
		PUT(jit, 0x44, 0x08, 0xd8); /* or al, r11b */
	if (!wanted)
		PUT(jit, 0x34, 0x01); /* xor al, 1 */
}

/* Displacement of the row's next constant. */
static uint8_t next_constant(uint32_t *row)
{
	return (uint8_t)(4 * (*row)++);
}

/* Put a comparison of eax; returns the condition for "yes". The constants are in the code, or at
 * *row of the row at r10; *row advances. */
static enum cw_jit_condition put_test_compare(struct cw_jit *jit, const struct cw_step *step,
					      uint32_t *row)
{
	const struct cw_var *var = &jit->decision->vars[step->var];
	uint32_t bytes = cw_jit_size_of(var);

	if (step->op == CW_STEP_EQUAL) {
		cw_jit_put_mask(jit, cw_jit_swap(var->mask, bytes), bytes);
		if (row)
			PUT(jit, 0x41, 0x3b, 0x42, next_constant(row)); /* cmp eax, [r10 + ] */
		else
			cw_jit_put_compare(jit, cw_jit_swap(step->k, bytes));
		return IF_EQUAL;
	}
	cw_jit_put_swap(jit, bytes);
	cw_jit_put_mask(jit, var->mask, bytes);
	if (row) {
		PUT(jit, 0x41, 0x2b, 0x42, next_constant(row)); /* sub eax, [r10 + ] */
		PUT(jit, 0x41, 0x3b, 0x42, next_constant(row));
	} else {
		PUT(jit, 0x2d); /* sub eax, k */
		cw_jit_put_u32(jit, step->k);
		cw_jit_put_compare(jit, step->n);
	}
	return IF_BELOW;
}

/* Put al = whether the test's answer is `wanted`. */
static void put_test(struct cw_jit *jit, const struct cw_jit_test *test, bool wanted, uint32_t *row)
{
	const struct cw_step *step = &jit->decision->steps[test->step];
	const struct cw_var *var = &jit->decision->vars[step->var];
	uint32_t bytes = cw_jit_size_of(var);
	enum cw_jit_condition condition;

	cw_jit_put_var_load(jit, var, 1);
	if (step->op == CW_STEP_HASH) {
		cw_jit_put_mask(jit, cw_jit_swap(var->mask, bytes), bytes);
		put_set_test(jit, step, bytes, wanted);
		return;
	}
	condition = put_test_compare(jit, step, row);
	PUT(jit, 0x0f, (uint8_t)((condition + 0x10) ^ !wanted), 0xc0); /* setcc al */
}

/* The words of a test's constants in a row. */
static uint32_t row_words(const struct cw_jit *jit, const struct cw_jit_test *test)
{
	return jit->decision->steps[test->step].op == CW_STEP_RANGE ? 2 : 1;
}

/* Put dl = the answer of all tests; the flags tell whether it is 0. */
static void put_tests(struct cw_jit *jit, const struct cw_jit_run *run, bool has_row)
{
	uint32_t row = 1, i;

	for (i = 0; i < run->count; i++)
		row += row_words(jit, &run->tests[i]);
	for (i = run->count; i-- > 0;) {
		const struct cw_jit_test *test = &run->tests[i];
		uint32_t at = row -= row_words(jit, test);

		put_test(jit, test, test->is_or != test->next_if, has_row ? &at : NULL);
		if (i + 1 == run->count)
			PUT(jit, 0x89, 0xc2); /* mov edx, eax */
		else
			PUT(jit, test->is_or ? 0x08 : 0x20, 0xc2); /* or/and dl, al */
	}
}

/* ---- checking that the packet is long enough ---- */

/* Bytes that all tests of a run need: from the start, and after the header (0: none). */
struct need {
	uint32_t bytes;
	uint32_t bytes_behind;
	uint32_t msh;
};

static struct need need_of(const struct cw_jit *jit, const struct cw_jit_run *run)
{
	struct need need = {.bytes = 0};

	for (uint32_t i = 0; i < run->count; i++) {
		const struct cw_step *step = &jit->decision->steps[run->tests[i].step];
		const struct cw_var *var = &jit->decision->vars[step->var];
		uint32_t *most = is_behind_header(var) ? &need.bytes_behind : &need.bytes;

		*most = *most < var->need ? var->need : *most;
		if (is_behind_header(var))
			need.msh = var->msh;
	}
	if (need.bytes_behind && need.bytes < need.msh + 1)
		need.bytes = need.msh + 1;
	return need;
}

/* Put a comparison whose flags say "below" if the packet is too short. */
static void put_need_bytes(struct cw_jit *jit, const struct need *need)
{
	PUT(jit, 0x41, 0x81, 0xf8); /* cmp r8d, need */
	cw_jit_put_u32(jit, need->bytes);
}

/* Put the same for bytes after the header; ecx = header length / 4. */
static void put_need_behind(struct cw_jit *jit, const struct need *need)
{
	PUT(jit, 0x0f, 0xb6, 0x8f); /* movzx ecx, byte [rdi + msh] */
	cw_jit_put_u32(jit, need->msh);
	PUT(jit, 0x83, 0xe1, 0x0f); /* and ecx, 15 */
	PUT(jit, 0x8d, 0x04, 0x8d); /* lea eax, [rcx * 4 + need] */
	cw_jit_put_u32(jit, need->bytes_behind);
	PUT(jit, 0x41, 0x39, 0xc0); /* cmp r8d, eax */
}

uint32_t cw_jit_put_run(struct cw_jit *jit, const struct cw_jit_run *run)
{
	uint32_t event = added_event(jit, run->yes, run->no), first = run->tests[0].step;
	uint32_t too_short =
	    run->count > 1 ? first | CW_JIT_ALONE : jit->decision->steps[first].trap;
	struct need need = need_of(jit, run);

	put_need_bytes(jit, &need);
	cw_jit_put_jump_if(jit, IF_BELOW, too_short);
	if (need.bytes_behind) {
		put_need_behind(jit, &need);
		cw_jit_put_jump_if(jit, IF_BELOW, too_short);
	}
	put_tests(jit, run, false);
	if (event == CW_NONE)
		cw_jit_put_jump_if(jit, IF_NOT_EQUAL, run->yes);
	else
		cw_jit_put_event_if(jit, event);
	return run->no;
}

/* ---- rows ---- */

/* Whether the code of `ref` can be shared: constant comparisons that emit one event or nothing. */
static bool find_shape(const struct cw_jit *jit, uint32_t ref, struct cw_jit_run *run)
{
	if (ref >= CW_REF_EMPTY || !cw_jit_find_run(jit, ref, run) || run->no != CW_REF_EMPTY ||
	    !(run->yes & CW_REF_EVENT))
		return false;
	for (uint32_t i = 0; i < run->count; i++) {
		const struct cw_step *step = &jit->decision->steps[run->tests[i].step];

		if (step->trap != CW_REF_EMPTY || step->op == CW_STEP_HASH)
			return false;
	}
	return true;
}

static bool is_same_shape(const struct cw_jit *jit, const struct cw_jit_run *a,
			  const struct cw_jit_run *b)
{
	for (uint32_t i = 0; i < a->count && a->count == b->count; i++) {
		const struct cw_step *left = &jit->decision->steps[a->tests[i].step];
		const struct cw_step *right = &jit->decision->steps[b->tests[i].step];

		if (left->op != right->op || left->var != right->var ||
		    a->tests[i].next_if != b->tests[i].next_if ||
		    a->tests[i].is_or != b->tests[i].is_or)
			return false;
	}
	return a->count == b->count;
}

bool cw_jit_row_table(struct cw_jit *jit, const struct cw_step *step, uint32_t *count)
{
	const struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	uint32_t model = CW_NONE, balance = 0, used = 0, i;
	struct cw_jit_run shape = {.count = 0}, run;

	/* Majority vote: if more than half have one shape, the remaining model has it. */
	for (i = 0; i < size; i++) {
		used += table[i].to != CW_NONE;
		if (!find_shape(jit, table[i].to, &run))
			continue;
		if (balance == 0) {
			model = table[i].to;
			shape = run;
		}
		balance += balance == 0 || is_same_shape(jit, &shape, &run) ? 1u : UINT32_MAX;
	}
	*count = 0;
	for (i = 0; i < size && model != CW_NONE; i++)
		*count += find_shape(jit, table[i].to, &run) && is_same_shape(jit, &shape, &run);
	if (2 * *count <= used)
		return false;
	jit->row_models[step->k] = model;
	return true;
}

/* Put the tests of a row one by one, for packets that may be too short; run only if r11b is 1. */
static void put_row_alone(struct cw_jit *jit, const struct cw_jit_run *run, bool is_certain)
{
	uint32_t row = 1, i, at;

	if (!is_certain) {
		PUT(jit, 0x45, 0x84, 0xdb); /* test r11b, r11b */
		cw_jit_put_jump_if(jit, IF_EQUAL, CW_REF_EMPTY);
	}
	for (i = 0; i < run->count; i++) {
		const struct cw_jit_test *test = &run->tests[i];
		const struct cw_step *step = &jit->decision->steps[test->step];
		const struct cw_var *var = &jit->decision->vars[step->var];
		bool is_last = i + 1 == run->count;
		enum cw_jit_condition condition;

		cw_jit_put_check(jit, var, CW_REF_EMPTY);
		cw_jit_put_var_load(jit, var, 0);
		condition = put_test_compare(jit, step, &row);
		if (!test->is_or && !is_last) { /* continue, or return */
			cw_jit_put_jump_if(jit, test->next_if ? condition ^ 1 : condition,
					   CW_REF_EMPTY);
			continue;
		}
		/* jcc over the event, which is emitted only for the answer that leads to yes */
		PUT(jit, (uint8_t)((condition - 0x10) ^ (is_last == test->next_if)), 0);
		at = jit->code.count;
		PUT(jit, 0x41, 0x8b, 0x12); /* mov edx, [r10] */
		cw_jit_put_event_of_edx(jit);
		PUT(jit, 0xc3);
		if (!jit->failure)
			jit->code.at[at - 1] = (uint8_t)(jit->code.count - at);
	}
	PUT(jit, 0xc3);
}

/* Put a jump to code that is not yet written; returns the offset where its displacement ends. */
static uint32_t put_jump_ahead(struct cw_jit *jit, enum cw_jit_condition condition)
{
	PUT(jit, 0x0f, (uint8_t)condition, 0, 0, 0, 0);
	return jit->code.count;
}

static void land(struct cw_jit *jit, uint32_t jump)
{
	uint32_t displacement = jit->code.count - jump;

	if (!jit->failure)
		memcpy(jit->code.at + jump - 4, &displacement, 4);
}

void cw_jit_put_row_run(struct cw_jit *jit, const struct cw_step *step, bool is_certain)
{
	uint32_t jump, jump_behind = 0;
	struct cw_jit_run run;
	struct need need;

	if (!find_shape(jit, jit->row_models[step->k], &run))
		return;
	need = need_of(jit, &run);
	cw_jit_put_base(jit, 2, CW_JIT_ROW);
	put_need_bytes(jit, &need);
	jump = put_jump_ahead(jit, IF_BELOW);
	if (need.bytes_behind) {
		put_need_behind(jit, &need);
		jump_behind = put_jump_ahead(jit, IF_BELOW);
	}
	put_tests(jit, &run, true);
	if (!is_certain)
		PUT(jit, 0x44, 0x20, 0xda); /* and dl, r11b */
	PUT(jit, 0x41, 0x8b, 0x02);         /* mov eax, [r10] */
	cw_jit_put_event_if(jit, CW_NONE);
	PUT(jit, 0xc3);
	land(jit, jump);
	if (need.bytes_behind)
		land(jit, jump_behind);
	put_row_alone(jit, &run, is_certain);
}

/* Put a row: the event, then the constants in the order of the tests. */
static void put_row(struct cw_jit *jit, const struct cw_jit_run *run)
{
	cw_jit_put_u32(jit, cw_jit_event_ref(jit, run->yes));
	for (uint32_t i = 0; i < run->count; i++) {
		const struct cw_step *step = &jit->decision->steps[run->tests[i].step];

		if (step->op == CW_STEP_EQUAL) {
			cw_jit_put_u32(
			    jit,
			    cw_jit_swap(step->k, cw_jit_size_of(&jit->decision->vars[step->var])));
			continue;
		}
		cw_jit_put_u32(jit, step->k);
		cw_jit_put_u32(jit, step->n);
	}
}

void cw_jit_put_rows(struct cw_jit *jit)
{
	const struct cw_decision *decision = jit->decision;
	struct cw_jit_run shape, run;
	uint32_t i, n;

	while (jit->code.count % 4 && !jit->failure)
		PUT(jit, 0xcc);
	for (i = 0; i < decision->step_count && !jit->failure; i++) {
		const struct cw_step *step = &decision->steps[i];

		if (step->op != CW_STEP_HASH || !find_shape(jit, jit->row_models[step->k], &shape))
			continue;
		for (n = 0; n < UINT32_C(1) << CW_HASH_BITS(step->n); n++) {
			uint32_t ref = decision->hashes[step->k + n].to;

			if (!find_shape(jit, ref, &run) || jit->rows[ref] != CW_NONE ||
			    !is_same_shape(jit, &shape, &run))
				continue;
			jit->rows[ref] = jit->code.count;
			put_row(jit, &run);
		}
	}
}

bool cw_jit_has_row(const struct cw_jit *jit, uint32_t first, uint32_t ref)
{
	struct cw_jit_run shape, run;

	return find_shape(jit, jit->row_models[first], &shape) && find_shape(jit, ref, &run) &&
	       is_same_shape(jit, &shape, &run);
}

uint32_t cw_jit_row_ref(const struct cw_jit *jit, uint32_t first, uint32_t ref)
{
	uint32_t model = jit->row_models[first];

	if (model != CW_NONE && ref == CW_NONE)
		return jit->no_row | CW_JIT_ROW;
	return cw_jit_has_row(jit, first, ref) ? jit->rows[ref] | CW_JIT_ROW : CW_NONE;
}
