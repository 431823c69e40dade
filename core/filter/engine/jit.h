/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing x86-64 code; private to jit_*.c:
 *
 *	jit_put.c	bytes, displacements, events, the values of variables
 *	jit_run.c	several tests with one answer; pieces of code that entries share
 *	jit_tables.c	hash tables and search trees
 *	jit_x86.c	steps, and the complete program
 *
 *	rdi data   esi wire length   r8 capture length   r9 where the next event goes, or bits
 *	eax value of the variable   ecx, edx, r10, r11, xmm0..4 scratch
 *
 * and, if only the first match is wanted and not as bits,
 *
 *	ebx lowest filter found for certain   r12 first event that no guard has seen
 *
 * Only SSE2 is used, which every x86-64 has. Encodings: Intel SDM volume 2.
 */
#ifndef CW_CORE_FILTER_ENGINE_JIT_H
#define CW_CORE_FILTER_ENGINE_JIT_H

#include "core/filter/engine/decision.h"

#define CW_JIT_CHAIN_MAX 8u /* tables of up to 8 entries are faster as comparisons */
#define CW_JIT_ROW_WORDS_MAX (1 + 2 * CW_JIT_RUN_MAX)
#define CW_JIT_RUN_MAX 6u /* tests of a run */

/* Flag on a step's number: the step alone, even if a run begins with it. */
#define CW_JIT_ALONE (UINT32_C(1) << 30)
/* Flag on an offset in a table: a row of constants, not code. */
#define CW_JIT_ROW (UINT32_C(1) << 30)

enum cw_jit_condition { /* second byte of 0f 8x jcc */
			IF_BELOW = 0x82,
			IF_AT_LEAST = 0x83,
			IF_EQUAL = 0x84,
			IF_NOT_EQUAL = 0x85,
			IF_AT_MOST = 0x86,
			IF_ABOVE = 0x87,
};

struct cw_jit_fixup { /* a 32-bit displacement at `at`, to the code of `ref` */
	uint32_t at;
	uint32_t ref;
};

/*
 * A run: successive tests with only two ends, such as "IPv4, and TCP or UDP, and not a fragment" or
 * "source or destination port". All tests are made, without a branch between them.
 */
struct cw_jit_run {
	struct cw_jit_test {
		uint32_t step;
		bool next_if; /* answer that leads to the next test; of the last test: to yes */
		bool is_or;   /* the other answer leads to yes, not to no */
	} tests[CW_JIT_RUN_MAX];
	uint32_t count;
	uint32_t yes, no;
};

struct cw_jit {
	struct cw_decision *decision;
	struct code {
		uint8_t *at;
		uint32_t count;
		uint32_t capacity;
	} code;
	struct cw_jit_fixups {
		struct cw_jit_fixup *at;
		uint32_t count;
		uint32_t capacity;
	} fixups;
	struct cw_u32s waiting; /* steps to be written */
	uint32_t *offsets;      /* code of each step, then of each step alone; or CW_NONE */
	uint32_t *rows;         /* offset of each step's row of constants, or CW_NONE */
	uint32_t *turned;       /* bitmap of starts of tables that are turned */
	uint32_t *row_models;   /* by start of a hash table: step with the rows' shape; CW_NONE */
	struct cw_index stubs;  /* event -> number in stub_list */
	struct cw_edges stub_list; /* {event, offset} */
	uint32_t return_offset;
	uint32_t look_offset; /* code that guards call */
	uint32_t no_row;      /* offset of a row of zeros */
	uint32_t bytes_max;
	int failure;
};

/* The entry for the start of a step's code. */
static inline uint32_t *cw_jit_offset(const struct cw_jit *jit, uint32_t ref)
{
	uint32_t number = ref & ~CW_JIT_ALONE;

	return &jit->offsets[ref & CW_JIT_ALONE ? jit->decision->step_count + number : number];
}

/* ---- bytes ---- */

void cw_jit_put(struct cw_jit *jit, const void *bytes, uint32_t count);

#define PUT(jit, ...)                                     \
	cw_jit_put((jit), (const uint8_t[]){__VA_ARGS__}, \
		   (uint32_t)sizeof((const uint8_t[]){__VA_ARGS__}))

void cw_jit_put_u32(struct cw_jit *jit, uint32_t value);
void cw_jit_put_pointer(struct cw_jit *jit, const void *pointer);

/* Note that a step is a target, so its code must be written. */
void cw_jit_wait_for(struct cw_jit *jit, uint32_t ref);

/* Put a displacement to the code of `ref`. */
void cw_jit_put_ref(struct cw_jit *jit, uint32_t ref);
void cw_jit_put_jump_if(struct cw_jit *jit, enum cw_jit_condition condition, uint32_t ref);

/* ---- events: stored at r9, or in a program with event_bits added to the bits in r9 ---- */

/* Put code that adds an event. */
void cw_jit_put_event(struct cw_jit *jit, uint32_t ref);

/* Put code that adds the event, from eax (CW_NONE) or the code, if dl is 1. */
void cw_jit_put_event_if(struct cw_jit *jit, uint32_t ref);

/* Put code that adds the event in edx: always, or if the flags say "equal". */
void cw_jit_put_event_of_edx(struct cw_jit *jit);
void cw_jit_put_event_of_edx_if_equal(struct cw_jit *jit);

/* The number that tables and rows hold for an event. */
uint32_t cw_jit_event_ref(const struct cw_jit *jit, uint32_t ref);

/* Put code that goes to `ref` and ends. */
void cw_jit_put_goto(struct cw_jit *jit, uint32_t ref);

/* r10 or r11 (`low` 2 or 3) = the code's start + edx - bias. */
void cw_jit_put_base(struct cw_jit *jit, uint8_t low, uint32_t bias);

/* ---- variables ---- */

uint32_t cw_jit_size_of(const struct cw_var *var);

/* `value`, of `bytes` bytes, in packet order. */
uint32_t cw_jit_swap(uint32_t value, uint32_t bytes);
void cw_jit_put_swap(struct cw_jit *jit, uint32_t bytes);

/* Put a check that the variable's bytes exist; eax = header length / 4 for MSH kinds. */
void cw_jit_put_check(struct cw_jit *jit, const struct cw_var *var, uint32_t trap);

/* Put a load of the variable into eax, in memory order, after put_check; for MSH kinds header
 * length / 4 is in register `header` (0 eax, 1 ecx). */
void cw_jit_put_var_load(struct cw_jit *jit, const struct cw_var *var, uint8_t header);
void cw_jit_put_mask(struct cw_jit *jit, uint32_t mask, uint32_t bytes);

/* Put code for the variable's value in eax. */
void cw_jit_put_var(struct cw_jit *jit, const struct cw_var *var, uint32_t trap);
void cw_jit_put_compare(struct cw_jit *jit, uint32_t value);

/* ---- runs and rows ---- */

/* Find the run that begins with a step (fills `run`); false: none, or one test without an event. */
bool cw_jit_find_run(const struct cw_jit *jit, uint32_t step, struct cw_jit_run *run);

/* Put the code of a run; returns the ref that it falls through to. */
uint32_t cw_jit_put_run(struct cw_jit *jit, const struct cw_jit_run *run);

/*
 * Table entries that are runs of one shape, such as "sport or dport = k: emit e", share one code;
 * k and e are data, a row that the entry leads to. row_table tells whether most entries of a step's
 * table have one shape (then *count is their number). put_row_run writes the code: r10 the row, edx
 * its value in the table, r11b whether there is a row (unless is_certain).
 */
bool cw_jit_row_table(struct cw_jit *jit, const struct cw_step *step, uint32_t *count);
void cw_jit_put_row_run(struct cw_jit *jit, const struct cw_step *step, bool is_certain);

/* Whether the table of rows at `first` holds a row for `ref`. */
bool cw_jit_has_row(const struct cw_jit *jit, uint32_t first, uint32_t ref);

/* Write the rows after the code; then row_ref is the entry for `ref` of a table at `first`, or
 * CW_NONE. */
void cw_jit_put_rows(struct cw_jit *jit);
uint32_t cw_jit_row_ref(const struct cw_jit *jit, uint32_t first, uint32_t ref);

/* ---- tables ---- */

void cw_jit_put_hash(struct cw_jit *jit, const struct cw_step *step);
void cw_jit_put_tree(struct cw_jit *jit, const struct cw_step *step);

/* The number of used entries of the hash table; *same is their common ref, or CW_NONE. */
uint32_t cw_jit_hash_used(const struct cw_decision *decision, const struct cw_step *step,
			  uint32_t *same);

#endif
