/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64 code of tables: small tables become comparisons; others stay tables, whose refs become
 * offsets of code.
 */
#include "core/filter/engine/jit.h"

/* Put code that goes to edx, a table's ref: an offset of code or an event. */
static void put_dispatch(struct cw_jit *jit)
{
	PUT(jit, 0x85, 0xd2); /* test edx, edx */
	PUT(jit, 0x78, 0x0e); /* js 1f */
	cw_jit_put_base(jit, 3, 0);
	PUT(jit, 0x3e, 0x41, 0xff, 0xe3); /* notrack jmp r11: a target has no endbr64 */
	cw_jit_put_event_of_edx(jit);     /* 1: */
	PUT(jit, 0xc3);
}

/* The order in which a chain asks: the latest step, which leads to most others, first. */
static uint32_t rank_of(uint32_t ref)
{
	return (ref + 1) ^ CW_REF_EVENT;
}

/* The table's ref of the highest rank below that of `last` (CW_NONE: any); CW_NONE: no more. */
static uint32_t next_ref(const struct cw_edge *table, uint32_t size, uint32_t last)
{
	uint32_t best = CW_NONE, i;

	for (i = 0; i < size; i++) {
		uint32_t ref = table[i].to;

		if (ref != CW_NONE && (last == CW_NONE || rank_of(ref) < rank_of(last)) &&
		    (best == CW_NONE || rank_of(ref) > rank_of(best)))
			best = ref;
	}
	return best;
}

/*
 * Put comparisons with the keys of a small table. Keys with one ref are one question, so that the
 * unpredictable "TCP or UDP" needs no branch that goes both ways.
 */
static void put_chain(struct cw_jit *jit, const struct cw_edge *table, uint32_t size)
{
	uint32_t ref = CW_NONE, i, same;

	while ((ref = next_ref(table, size, ref)) != CW_NONE) {
		same = 0;
		for (i = 0; i < size; i++) {
			if (table[i].to != ref)
				continue;
			if (same == 1)
				PUT(jit, 0x0f, 0x94, 0xc1); /* sete cl */
			cw_jit_put_compare(jit, table[i].start);
			if (same > 0) /* sete dl; or cl, dl: the flags as if compared */
				PUT(jit, 0x0f, 0x94, 0xc2, 0x08, 0xd1);
			same++;
		}
		cw_jit_put_jump_if(jit, same > 1 ? IF_NOT_EQUAL : IF_EQUAL, ref);
	}
}

/* Put the code after a table with rows: that of a row, or a dispatch for other entries. */
static void put_rows_or_dispatch(struct cw_jit *jit, const struct cw_step *step, bool has_others)
{
	bool is_certain = step->otherwise != CW_REF_EMPTY;
	uint32_t at;

	if (is_certain)
		cw_jit_put_jump_if(jit, IF_NOT_EQUAL, step->otherwise);
	else {
		PUT(jit, 0x41, 0x0f, 0x94, 0xc3); /* sete r11b */
		PUT(jit, 0xb9);                   /* mov ecx, the row of zeros */
		cw_jit_put_u32(jit, jit->no_row | CW_JIT_ROW);
		PUT(jit, 0x0f, 0x45, 0xd1); /* cmovne edx, ecx */
	}
	if (has_others) {
		/* Offsets of code are smaller; all events, taken back or not, are negative. */
		PUT(jit, 0x81, 0xfa); /* cmp edx, */
		cw_jit_put_u32(jit, CW_JIT_ROW);
		PUT(jit, 0x7d, 0); /* jge, over the others */
		at = jit->code.count;
		if (!is_certain) {
			PUT(jit, 0x45, 0x84, 0xdb); /* test r11b, r11b */
			cw_jit_put_jump_if(jit, IF_EQUAL, CW_REF_EMPTY);
		}
		put_dispatch(jit);
		if (!jit->failure)
			jit->code.at[at - 1] = (uint8_t)(jit->code.count - at);
	}
	cw_jit_put_row_run(jit, step, is_certain);
}

void cw_jit_put_hash(struct cw_jit *jit, const struct cw_step *step)
{
	const struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	uint32_t same = CW_NONE, used = cw_jit_hash_used(jit->decision, step, &same), rows, i;
	bool has_rows;

	if (CW_HASH_SHIFT(step->n))
		PUT(jit, 0xc1, 0xe8, (uint8_t)CW_HASH_SHIFT(step->n)); /* shr eax, shift */
	if (used <= CW_JIT_CHAIN_MAX) {
		put_chain(jit, table, size);
		return;
	}
	has_rows = cw_jit_row_table(jit, step, &rows);
	for (i = 0; i < size; i++) { /* a free entry's "ref" is an event */
		if (!has_rows || !cw_jit_has_row(jit, step->k, table[i].to))
			cw_jit_wait_for(jit, table[i].to);
	}
	PUT(jit, 0x69, 0xc8); /* imul ecx, eax, multiplier */
	cw_jit_put_u32(jit, CW_HASH_MULTIPLIER);
	PUT(jit, 0xc1, 0xe9, (uint8_t)(32 - CW_HASH_BUCKET_BITS(step->n))); /* shr ecx, */
	PUT(jit, 0x49, 0xba);                                               /* mov r10, table */
	cw_jit_put_pointer(jit, table);
	PUT(jit, 0x41, 0x8b, 0x94, 0x8a); /* mov edx, [r10 + rcx * 4 + multipliers] */
	cw_jit_put_u32(jit, (uint32_t)sizeof(*table) * size);
	PUT(jit, 0x0f, 0xaf, 0xd0);                                  /* imul edx, eax */
	PUT(jit, 0xc1, 0xea, (uint8_t)(32 - CW_HASH_BITS(step->n))); /* shr edx, */
	PUT(jit, 0x41, 0x39, 0x04, 0xd2);                            /* cmp [r10 + rdx * 8], eax */
	PUT(jit, 0x41, 0x8b, 0x54, 0xd2, 0x04); /* mov edx, [r10 + rdx * 8 + 4] */
	if (step->n & CW_HASH_EMITS) {
		cw_jit_put_event_of_edx_if_equal(jit);
		PUT(jit, 0xc3);
		return;
	}
	if (has_rows) {
		put_rows_or_dispatch(jit, step, rows < used);
		return;
	}
	cw_jit_put_jump_if(jit, IF_NOT_EQUAL, step->otherwise);
	put_dispatch(jit);
}

/* Put ecx = how many of the 16 keys at [base + offset] are smaller than the value in all lanes of
 * xmm0. `base` is the low bits of r10 or r11. */
static void put_count_smaller(struct cw_jit *jit, uint8_t base, uint32_t offset)
{
	uint8_t lane;

	for (lane = 0; lane < 4; lane++) {
		uint8_t xmm = (uint8_t)(lane + 1);

		PUT(jit, 0x66, 0x0f, 0x6f, (uint8_t)(0xc0 | xmm << 3)); /* movdqa xmm, xmm0 */
		PUT(jit, 0x66, 0x41, 0x0f, 0x66, (uint8_t)(0x80 | xmm << 3 | base)); /* pcmpgtd */
		cw_jit_put_u32(jit, offset + 16u * lane);
	}
	PUT(jit, 0x66, 0x0f, 0x6b, 0xca); /* packssdw xmm1, xmm2 */
	PUT(jit, 0x66, 0x0f, 0x6b, 0xdc); /* packssdw xmm3, xmm4 */
	PUT(jit, 0x66, 0x0f, 0x63, 0xcb); /* packsswb xmm1, xmm3 */
	PUT(jit, 0x66, 0x0f, 0xd7, 0xc9); /* pmovmskb ecx, xmm1 */
	PUT(jit, 0xf7, 0xd1);             /* not ecx: keys ascend, so the first 0 is the number */
	PUT(jit, 0x0f, 0xbc, 0xc9);       /* bsf ecx, ecx */
}

void cw_jit_put_tree(struct cw_jit *jit, const struct cw_step *step)
{
	const uint32_t *words = jit->decision->trees + step->k;
	const struct cw_tree *tree = (const struct cw_tree *)words;
	const uint32_t *keys = words + tree->levels[tree->level_count - 1];
	uint32_t level, i;

	if (tree->start_count <= CW_JIT_CHAIN_MAX) {
		for (i = tree->start_count; i-- > 0;) {
			cw_jit_put_compare(jit, (keys[i] ^ 0x80000000) + 1);
			cw_jit_put_jump_if(jit, IF_AT_LEAST, words[tree->refs + i + 1]);
		}
		cw_jit_put_goto(jit, words[tree->refs]);
		return;
	}
	for (i = 0; i <= tree->start_count; i++)
		cw_jit_wait_for(jit, words[tree->refs + i]);
	PUT(jit, 0x35); /* xor eax, 80000000 */
	cw_jit_put_u32(jit, 0x80000000);
	PUT(jit, 0x66, 0x0f, 0x6e, 0xc0);       /* movd xmm0, eax */
	PUT(jit, 0x66, 0x0f, 0x70, 0xc0, 0x00); /* pshufd xmm0, xmm0, 0 */
	PUT(jit, 0x49, 0xba);                   /* mov r10, tree */
	cw_jit_put_pointer(jit, words);
	PUT(jit, 0x31, 0xd2); /* xor edx, edx: the node */
	for (level = 0; level < tree->level_count; level++) {
		if (level > 0) {
			PUT(jit, 0x6b, 0xd2, 0x11, 0x01,
			    0xca);                        /* imul edx, edx, 17; add edx, ecx */
			PUT(jit, 0x41, 0x89, 0xd3);       /* mov r11d, edx */
			PUT(jit, 0x41, 0xc1, 0xe3, 0x06); /* shl r11d, 6 */
			PUT(jit, 0x4d, 0x01, 0xd3);       /* add r11, r10 */
		}
		put_count_smaller(jit, level ? 3 : 2, 4 * tree->levels[level]);
	}
	PUT(jit, 0xc1, 0xe2, 0x04, 0x01, 0xca); /* shl edx, 4; add edx, ecx */
	PUT(jit, 0x41, 0x8b, 0x94, 0x92);       /* mov edx, [r10 + rdx * 4 + refs] */
	cw_jit_put_u32(jit, 4 * tree->refs);
	put_dispatch(jit);
}
