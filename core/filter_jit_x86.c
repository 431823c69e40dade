/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64 code of a decision program: what filter_walk.c does, without looking anything up about the
 * steps themselves. Each step is a piece of code; going to a ref is a jump; a fork calls its kids,
 * the last one by a jump; an event is stored, and returns. Hash tables and trees stay tables, whose
 * refs become offsets of code. The code is written into private memory, which is made executable
 * and read-only before it is run; where the kernel refuses that, the walker is used.
 *
 *	rdi data   esi wire length   r8 capture length   r9 where the next event goes
 *	eax value of the variable   ecx, edx, r10, r11, xmm0..4 scratch
 *
 * Only SSE2 is used, which every x86-64 has. Encodings: Intel SDM volume 2.
 *
 * A file longer than others: one function for each form of node, and the few instructions they use.
 */
#include <sys/mman.h>

#include "core/filter_decision.h"

#define CHAIN_MAX 6u /* a table of so few entries is faster as comparisons */

enum condition { /* second byte of 0f 8x jcc */
		 IF_BELOW = 0x82,
		 IF_AT_LEAST = 0x83,
		 IF_EQUAL = 0x84,
		 IF_NOT_EQUAL = 0x85,
		 IF_ABOVE = 0x87,
};

struct fixup { /* a 32-bit displacement at `at`, to the code of `ref` */
	uint32_t at;
	uint32_t ref;
};

struct jit {
	struct cw_decision *decision;
	struct code {
		uint8_t *at;
		uint32_t count;
		uint32_t capacity;
	} code;
	struct fixups {
		struct fixup *at;
		uint32_t count;
		uint32_t capacity;
	} fixups;
	struct cw_u32s waiting;    /* steps to be written */
	uint32_t *offsets;         /* of steps, CW_NONE */
	uint32_t *turned;          /* bitmap of where tables begin that are turned */
	struct cw_index stubs;     /* event -> number in stub_list */
	struct cw_edges stub_list; /* {event, offset} */
	uint32_t return_offset;
	uint32_t bytes_max;
	int failure;
};

/* ---- bytes ---- */

static void put(struct jit *jit, const void *bytes, uint32_t count)
{
	if (CW_GROW(&jit->code, count)) {
		jit->failure = -ENOMEM;
		return;
	}
	if (jit->code.count > jit->bytes_max) {
		jit->failure = -E2BIG;
		return;
	}
	memcpy(jit->code.at + jit->code.count, bytes, count);
	jit->code.count += count;
}

#define PUT(jit, ...) \
	put((jit), (const uint8_t[]){__VA_ARGS__}, (uint32_t)sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_u32(struct jit *jit, uint32_t value)
{
	put(jit, &value, 4);
}

static void put_pointer(struct jit *jit, const void *pointer)
{
	uint64_t value = (uint64_t)(uintptr_t)pointer;

	put(jit, &value, 8);
}

/* A step is gone to from somewhere, so it has to be written. */
static void wait_for(struct jit *jit, uint32_t ref)
{
	if (ref >= CW_REF_EMPTY || jit->offsets[ref] != CW_NONE)
		return;
	if (CW_GROW(&jit->waiting, 1))
		jit->failure = -ENOMEM;
	else
		jit->waiting.at[jit->waiting.count++] = ref;
}

/* A displacement to the code of `ref`. */
static void put_ref(struct jit *jit, uint32_t ref)
{
	wait_for(jit, ref);
	if (CW_GROW(&jit->fixups, 1)) {
		jit->failure = -ENOMEM;
		return;
	}
	jit->fixups.at[jit->fixups.count++] = (struct fixup){jit->code.count, ref};
	put_u32(jit, 0);
}

static void put_jump_if(struct jit *jit, enum condition condition, uint32_t ref)
{
	PUT(jit, 0x0f, (uint8_t)condition);
	put_ref(jit, ref);
}

/* Store an event. */
static void put_event(struct jit *jit, uint32_t ref)
{
	PUT(jit, 0x41, 0xc7, 0x01); /* mov dword [r9], event */
	put_u32(jit, ref);
	PUT(jit, 0x49, 0x83, 0xc1, 0x04); /* add r9, 4 */
}

/* Go to `ref` and be done here. */
static void put_goto(struct jit *jit, uint32_t ref)
{
	if (ref & CW_REF_EVENT)
		put_event(jit, ref);
	if (ref >= CW_REF_EMPTY) {
		PUT(jit, 0xc3); /* ret */
		return;
	}
	PUT(jit, 0xe9); /* jmp */
	put_ref(jit, ref);
}

/* Go where edx says, a ref as tables hold it: an offset of code, or an event. */
static void put_dispatch(struct jit *jit)
{
	PUT(jit, 0x85, 0xd2);       /* test edx, edx */
	PUT(jit, 0x78, 0x0d);       /* js 1f */
	PUT(jit, 0x4c, 0x8d, 0x1d); /* lea r11, [start of the code] */
	put_u32(jit, 0u - (jit->code.count + 4));
	PUT(jit, 0x49, 0x01, 0xd3); /* add r11, rdx */
	PUT(jit, 0x41, 0xff, 0xe3); /* jmp r11 */
	PUT(jit, 0x41, 0x89, 0x11); /* 1: mov [r9], edx */
	PUT(jit, 0x49, 0x83, 0xc1, 0x04); /* add r9, 4 */
	PUT(jit, 0xc3);
}

/* Where keys are equal, the event in edx counts; it is written in any case, so that there is no
 * branch that goes both ways. */
static void put_emit_if_equal(struct jit *jit)
{
	PUT(jit, 0x4d, 0x8d, 0x59, 0x04);       /* lea r11, [r9 + 4] */
	PUT(jit, 0x41, 0x89, 0x11);             /* mov [r9], edx */
	PUT(jit, 0x4d, 0x0f, 0x44, 0xcb);       /* cmove r9, r11 */
	PUT(jit, 0xc3);
}

/* ---- variables ---- */

static void put_need(struct jit *jit, uint32_t bytes, uint32_t trap)
{
	if (bytes <= INT8_MAX) {
		PUT(jit, 0x41, 0x83, 0xf8, (uint8_t)bytes); /* cmp r8d, bytes */
	} else {
		PUT(jit, 0x41, 0x81, 0xf8);
		put_u32(jit, bytes);
	}
	put_jump_if(jit, IF_BELOW, trap);
}

static uint32_t size_of(const struct cw_var *var)
{
	switch (var->kind) {
	case CW_VAR_BYTE:
	case CW_VAR_BYTE_MSH:
		return 1;
	case CW_VAR_HALF:
	case CW_VAR_HALF_MSH:
		return 2;
	default:
		return 4;
	}
}

/* Load `bytes` in packet order into eax; `mode` is the ModRM (and SIB) before a 32-bit offset. */
static void put_load(struct jit *jit, uint32_t bytes, const uint8_t *mode, uint32_t mode_bytes)
{
	if (bytes == 4)
		PUT(jit, 0x8b); /* mov eax, */
	else if (bytes == 2)
		PUT(jit, 0x0f, 0xb7); /* movzx eax, word */
	else
		PUT(jit, 0x0f, 0xb6); /* movzx eax, byte */
	put(jit, mode, mode_bytes);
}

static void put_swap(struct jit *jit, uint32_t bytes)
{
	if (bytes == 4)
		PUT(jit, 0x0f, 0xc8); /* bswap eax */
	else if (bytes == 2)
		PUT(jit, 0x66, 0xc1, 0xc0, 0x08); /* rol ax, 8 */
}

static uint32_t swap(uint32_t value, uint32_t bytes)
{
	return bytes == 4   ? __builtin_bswap32(value)
	       : bytes == 2 ? __builtin_bswap16((uint16_t)value)
			    : value;
}

/* Check that the variable's bytes are there; eax = header length / 4 for those behind a header. */
static void put_check(struct jit *jit, const struct cw_var *var, uint32_t trap)
{
	if (var->kind <= CW_VAR_WORD) {
		put_need(jit, var->need, trap);
		return;
	}
	put_need(jit, var->msh + 1, trap);
	if (var->msh <= INT8_MAX) {
		PUT(jit, 0x0f, 0xb6, 0x47, (uint8_t)var->msh); /* movzx eax, byte [rdi + msh] */
	} else {
		PUT(jit, 0x0f, 0xb6, 0x87);
		put_u32(jit, var->msh);
	}
	PUT(jit, 0x83, 0xe0, 0x0f); /* and eax, 15 */
	PUT(jit, 0x8d, 0x0c, 0x85); /* lea ecx, [rax * 4 + need] */
	put_u32(jit, var->need);
	PUT(jit, 0x44, 0x39, 0xc1); /* cmp ecx, r8d */
	put_jump_if(jit, IF_ABOVE, trap);
}

/* Jump to `trap` with `pushed` values on the stack. */
static void put_trap_if(struct jit *jit, enum condition condition, uint32_t pushed, uint32_t trap)
{
	if (pushed == 0) {
		put_jump_if(jit, condition, trap);
		return;
	}
	/* The opposite condition jumps over 13 bytes. */
	PUT(jit, (uint8_t)((condition - 0x10) ^ 1), 13);
	PUT(jit, 0x48, 0x8d, 0xa4, 0x24); /* lea rsp, [rsp + 8 * pushed] */
	put_u32(jit, 8 * pushed);
	PUT(jit, 0xe9);
	put_ref(jit, trap);
}

/* One load of postfix code; its index, if it has one, is in eax. */
static void put_code_load(struct jit *jit, uint32_t word, uint32_t k, uint32_t pushed,
			  uint32_t trap)
{
	uint32_t bytes = word >> 9;

	if (word >> 8 & 1)
		PUT(jit, 0x89, 0xc1); /* mov ecx, eax */
	else
		PUT(jit, 0x31, 0xc9); /* xor ecx, ecx */
	PUT(jit, 0xba);               /* mov edx, k */
	put_u32(jit, k);
	PUT(jit, 0x48, 0x01, 0xd1);                 /* add rcx, rdx */
	PUT(jit, 0x48, 0x8d, 0x51, (uint8_t)bytes); /* lea rdx, [rcx + bytes] */
	PUT(jit, 0x4c, 0x39, 0xc2);                 /* cmp rdx, r8 */
	put_trap_if(jit, IF_ABOVE, pushed, trap);
	put_load(jit, bytes, (const uint8_t[]){0x04, 0x0f}, 2); /* [rdi + rcx] */
	put_swap(jit, bytes);
}

/* eax = a (op) b, a in eax, b in ecx; `pushed` values stay on the stack. */
static void put_code_alu(struct jit *jit, uint32_t op, uint32_t pushed, uint32_t trap)
{
	switch (op) {
	case BPF_ADD:
		PUT(jit, 0x01, 0xc8);
		break;
	case BPF_SUB:
		PUT(jit, 0x29, 0xc8);
		break;
	case BPF_MUL:
		PUT(jit, 0x0f, 0xaf, 0xc1);
		break;
	case BPF_AND:
		PUT(jit, 0x21, 0xc8);
		break;
	case BPF_OR:
		PUT(jit, 0x09, 0xc8);
		break;
	case BPF_XOR:
		PUT(jit, 0x31, 0xc8);
		break;
	case BPF_DIV:
	case BPF_MOD:
		PUT(jit, 0x85, 0xc9); /* test ecx, ecx */
		put_trap_if(jit, IF_EQUAL, pushed, trap);
		PUT(jit, 0x31, 0xd2, 0xf7, 0xf1); /* xor edx, edx; div ecx */
		if (op == BPF_MOD)
			PUT(jit, 0x89, 0xd0); /* mov eax, edx */
		break;
	case BPF_LSH:
	case BPF_RSH:
		PUT(jit, 0x31, 0xd2);                         /* xor edx, edx */
		PUT(jit, 0xd3, op == BPF_LSH ? 0xe0 : 0xe8);  /* shl/shr eax, cl */
		PUT(jit, 0x83, 0xf9, 0x20, 0x0f, 0x43, 0xc2); /* cmp ecx, 32; cmovae eax, edx */
		break;
	case CW_ALU_GT:
	case CW_ALU_GE:
		PUT(jit, 0x39, 0xc8); /* cmp eax, ecx; seta/setae al; movzx eax, al */
		PUT(jit, 0x0f, op == CW_ALU_GT ? 0x97 : 0x93, 0xc0, 0x0f, 0xb6, 0xc0);
		break;
	default: /* BPF_NEG */
		PUT(jit, 0xf7, 0xd8);
		break;
	}
}

/* Postfix code, its top of the stack in eax. */
static void put_code(struct jit *jit, const uint32_t *code, uint32_t trap)
{
	uint32_t depth = 0; /* values held, eax included */

	for (; (code[0] & 0xff) != CW_CODE_END; code += 2) {
		uint32_t op = code[0] & 0xff;
		bool is_indexed = op == CW_CODE_LOAD && (code[0] >> 8 & 1);

		if (op == CW_CODE_ALU) {
			PUT(jit, 0x89, 0xc1, 0x58); /* mov ecx, eax; pop rax */
			depth--;
			put_code_alu(jit, code[1], depth - 1, trap);
			continue;
		}
		if (!is_indexed && depth++ > 0)
			PUT(jit, 0x50); /* push rax */
		if (op == CW_CODE_LOAD) {
			put_code_load(jit, code[0], code[1], depth - 1, trap);
		} else if (op == CW_CODE_LEN) {
			PUT(jit, 0x89, 0xf0); /* mov eax, esi */
		} else {
			PUT(jit, 0xb8); /* mov eax, k */
			put_u32(jit, code[1]);
		}
	}
}

/* The bytes of the variable into eax, as they lie in memory; put_check came before. */
static void put_var_load(struct jit *jit, const struct cw_var *var)
{
	bool is_near = var->offset <= INT8_MAX; /* a displacement of one byte */
	uint8_t mode = is_near ? 0x40 : 0x80;
	uint8_t offset = (uint8_t)var->offset;

	if (var->kind <= CW_VAR_WORD) /* [rdi + offset] */
		put_load(jit, size_of(var), (const uint8_t[]){mode | 0x07}, 1);
	else /* [rdi + rax * 4 + offset] */
		put_load(jit, size_of(var), (const uint8_t[]){mode | 0x04, 0x87}, 2);
	if (is_near)
		put(jit, &offset, 1);
	else
		put_u32(jit, var->offset);
}

static void put_mask(struct jit *jit, uint32_t mask, uint32_t bytes)
{
	uint32_t all = bytes == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;

	if ((mask & all) == all)
		return;
	PUT(jit, 0x25); /* and eax, mask */
	put_u32(jit, mask);
}

/* The value of the variable into eax. */
static void put_var(struct jit *jit, const struct cw_var *var, uint32_t trap)
{
	if (var->kind == CW_VAR_CODE) {
		put_code(jit, jit->decision->code + var->offset, trap);
		return;
	}
	if (var->kind == CW_VAR_LEN) {
		PUT(jit, 0x89, 0xf0);
	} else {
		put_check(jit, var, trap);
		put_var_load(jit, var);
		put_swap(jit, size_of(var));
	}
	put_mask(jit, var->mask, size_of(var));
}

/* ---- steps ---- */

static void put_compare(struct jit *jit, uint32_t value)
{
	PUT(jit, 0x3d); /* cmp eax, value */
	put_u32(jit, value);
}

/* Equality does not need the value in our byte order: the constant is turned instead. */
static void put_equal(struct jit *jit, const struct cw_step *step, const struct cw_var *var)
{
	uint32_t bytes = size_of(var);

	if (var->kind == CW_VAR_CODE || var->kind == CW_VAR_LEN) {
		put_var(jit, var, step->trap);
		put_compare(jit, step->k);
	} else {
		put_check(jit, var, step->trap);
		put_var_load(jit, var);
		put_mask(jit, swap(var->mask, bytes), bytes);
		put_compare(jit, swap(step->k, bytes));
	}
	put_jump_if(jit, IF_EQUAL, step->then);
}

/*
 * Comparisons with the keys of a small table. Those that lead to the same ref are one question: TCP
 * or UDP, which nobody foresees, is then no branch that goes both ways.
 */
static void put_chain(struct jit *jit, const struct cw_edge *table, uint32_t size)
{
	uint32_t i, n, same;

	for (i = 0; i < size; i++) {
		if (table[i].to == CW_NONE)
			continue;
		same = 0;
		for (n = 0; n < i && table[n].to != table[i].to; n++)
			;
		if (n < i)
			continue; /* asked already */
		for (; n < size; n++) {
			if (table[n].to != table[i].to)
				continue;
			if (same == 1)
				PUT(jit, 0x0f, 0x94, 0xc1); /* sete cl */
			put_compare(jit, table[n].start);
			if (same > 0) /* sete dl; or cl, dl: the flags as if compared */
				PUT(jit, 0x0f, 0x94, 0xc2, 0x08, 0xd1);
			same++;
		}
		put_jump_if(jit, same > 1 ? IF_NOT_EQUAL : IF_EQUAL, table[i].to);
	}
}

static void put_hash(struct jit *jit, const struct cw_step *step)
{
	const struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	bool is_emitting = step->otherwise == CW_REF_EMPTY;
	uint32_t used = 0, i;

	if (CW_HASH_SHIFT(step->n))
		PUT(jit, 0xc1, 0xe8, (uint8_t)CW_HASH_SHIFT(step->n)); /* shr eax, shift */
	for (i = 0; i < size; i++)
		used += table[i].to != CW_NONE;
	if (used <= CHAIN_MAX) {
		put_chain(jit, table, size);
		return;
	}
	for (i = 0; i < size; i++) { /* a free entry's "ref" is an event */
		wait_for(jit, table[i].to);
		is_emitting &= table[i].to >> 31;
	}
	PUT(jit, 0x69, 0xc8); /* imul ecx, eax, multiplier */
	put_u32(jit, CW_HASH_MULTIPLIER);
	PUT(jit, 0xc1, 0xe9, (uint8_t)(32 - CW_HASH_BUCKET_BITS(step->n))); /* shr ecx, */
	PUT(jit, 0x49, 0xba);                                               /* mov r10, table */
	put_pointer(jit, table);
	PUT(jit, 0x41, 0x8b, 0x94, 0x8a); /* mov edx, [r10 + rcx * 4 + multipliers] */
	put_u32(jit, (uint32_t)sizeof(*table) * size);
	PUT(jit, 0x0f, 0xaf, 0xd0);                                   /* imul edx, eax */
	PUT(jit, 0xc1, 0xea, (uint8_t)(32 - CW_HASH_BITS(step->n)));  /* shr edx, */
	PUT(jit, 0x41, 0x39, 0x04, 0xd2);                             /* cmp [r10 + rdx * 8], eax */
	PUT(jit, 0x41, 0x8b, 0x54, 0xd2, 0x04); /* mov edx, [r10 + rdx * 8 + 4] */
	if (is_emitting) {
		put_emit_if_equal(jit);
		return;
	}
	put_jump_if(jit, IF_NOT_EQUAL, step->otherwise);
	put_dispatch(jit);
}

/* Compare the value in all lanes of xmm0 with the 16 keys at [base + offset]: how many are smaller,
 * into ecx. `base` is r10 or r11 (its low bits). */
static void put_count_smaller(struct jit *jit, uint8_t base, uint32_t offset)
{
	uint8_t lane;

	for (lane = 0; lane < 4; lane++) {
		uint8_t xmm = (uint8_t)(lane + 1);

		PUT(jit, 0x66, 0x0f, 0x6f, (uint8_t)(0xc0 | xmm << 3)); /* movdqa xmm, xmm0 */
		PUT(jit, 0x66, 0x41, 0x0f, 0x66, (uint8_t)(0x80 | xmm << 3 | base)); /* pcmpgtd */
		put_u32(jit, offset + 16u * lane);
	}
	PUT(jit, 0x66, 0x0f, 0x6b, 0xca); /* packssdw xmm1, xmm2 */
	PUT(jit, 0x66, 0x0f, 0x6b, 0xdc); /* packssdw xmm3, xmm4 */
	PUT(jit, 0x66, 0x0f, 0x63, 0xcb); /* packsswb xmm1, xmm3 */
	PUT(jit, 0x66, 0x0f, 0xd7, 0xc9); /* pmovmskb ecx, xmm1 */
	PUT(jit, 0xf7, 0xd1);             /* not ecx: keys ascend, so the first 0 is the number */
	PUT(jit, 0x0f, 0xbc, 0xc9);       /* bsf ecx, ecx */
}

static void put_tree(struct jit *jit, const struct cw_step *step)
{
	const uint32_t *words = jit->decision->trees + step->k;
	const struct cw_tree *tree = (const struct cw_tree *)words;
	const uint32_t *keys = words + tree->levels[tree->level_count - 1];
	uint32_t level, i;

	if (tree->start_count <= CHAIN_MAX) {
		for (i = tree->start_count; i-- > 0;) {
			put_compare(jit, (keys[i] ^ 0x80000000) + 1);
			put_jump_if(jit, IF_AT_LEAST, words[tree->refs + i + 1]);
		}
		put_goto(jit, words[tree->refs]);
		return;
	}
	for (i = 0; i <= tree->start_count; i++)
		wait_for(jit, words[tree->refs + i]);
	PUT(jit, 0x35); /* xor eax, 80000000 */
	put_u32(jit, 0x80000000);
	PUT(jit, 0x66, 0x0f, 0x6e, 0xc0);       /* movd xmm0, eax */
	PUT(jit, 0x66, 0x0f, 0x70, 0xc0, 0x00); /* pshufd xmm0, xmm0, 0 */
	PUT(jit, 0x49, 0xba);                   /* mov r10, tree */
	put_pointer(jit, words);
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
	put_u32(jit, 4 * tree->refs);
	put_dispatch(jit);
}

/* The kids of a fork but the last, which is returned. */
static uint32_t put_fork(struct jit *jit, const struct cw_step *step)
{
	const uint32_t *kids = jit->decision->words + step->k;
	uint32_t i;

	for (i = 0; i + 1 < step->n; i++) {
		if (kids[i] & CW_REF_EVENT) {
			put_event(jit, kids[i]);
		} else {
			PUT(jit, 0xe8); /* call */
			put_ref(jit, kids[i]);
		}
	}
	return kids[i];
}

/* One step; returns the ref that its code falls through to. */
static uint32_t put_step(struct jit *jit, const struct cw_step *step)
{
	const struct cw_var *var = &jit->decision->vars[step->var];

	switch ((enum cw_step_op)step->op) {
	case CW_STEP_FORK:
		return put_fork(jit, step);
	case CW_STEP_EQUAL:
		put_equal(jit, step, var);
		return step->otherwise;
	case CW_STEP_EXISTS:
		put_var(jit, var, step->trap);
		return step->then;
	case CW_STEP_RANGE:
		put_var(jit, var, step->trap);
		PUT(jit, 0x2d); /* sub eax, k */
		put_u32(jit, step->k);
		put_compare(jit, step->n);
		put_jump_if(jit, IF_BELOW, step->then);
		return step->otherwise;
	case CW_STEP_HASH:
		put_var(jit, var, step->trap);
		put_hash(jit, step);
		return step->otherwise;
	case CW_STEP_TREE:
		put_var(jit, var, step->trap);
		put_tree(jit, step);
		break;
	}
	return CW_REF_EMPTY;
}

/* The step, and those that its code falls through to, as far as they are new. */
static void put_steps(struct jit *jit, uint32_t ref)
{
	while (ref < CW_REF_EMPTY && jit->offsets[ref] == CW_NONE && !jit->failure) {
		jit->offsets[ref] = jit->code.count;
		ref = put_step(jit, &jit->decision->steps[ref]);
	}
	put_goto(jit, ref);
}

static void put_waiting(struct jit *jit)
{
	while (jit->waiting.count && !jit->failure) {
		uint32_t ref = jit->waiting.at[--jit->waiting.count];

		if (jit->offsets[ref] == CW_NONE)
			put_steps(jit, ref);
	}
}

/* ---- putting it together ---- */

/* The offset of the code that goes to `ref`; for events one piece of code each. */
static uint32_t offset_of(struct jit *jit, uint32_t ref)
{
	uint32_t cursor = ref * 0x9e3779b1, hash = cursor, found;

	if (ref == CW_REF_EMPTY)
		return jit->return_offset;
	if (ref < CW_REF_EMPTY)
		return jit->offsets[ref] == CW_NONE ? jit->return_offset : jit->offsets[ref];
	while ((found = cw_index_next(&jit->stubs, hash, &cursor)) != CW_NONE)
		if (jit->stub_list.at[found].start == ref)
			return jit->stub_list.at[found].to;
	if (CW_GROW(&jit->stub_list, 1) || cw_index_add(&jit->stubs, hash, jit->stub_list.count)) {
		jit->failure = -ENOMEM;
		return 0;
	}
	found = jit->code.count;
	jit->stub_list.at[jit->stub_list.count++] = (struct cw_edge){ref, found};
	put_goto(jit, ref);
	return found;
}

static void resolve(struct jit *jit)
{
	uint32_t i;

	for (i = 0; i < jit->fixups.count && !jit->failure; i++) {
		struct fixup fixup = jit->fixups.at[i];
		uint32_t displacement = offset_of(jit, fixup.ref) - (fixup.at + 4);

		memcpy(jit->code.at + fixup.at, &displacement, 4);
	}
}

/* Copy the code to where it can be run. */
static int install(struct jit *jit)
{
	struct cw_decision *decision = jit->decision;
	void *memory =
	    mmap(NULL, jit->code.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	memcpy(memory, jit->code.at, jit->code.count);
	if (mprotect(memory, jit->code.count, PROT_READ | PROT_EXEC)) {
		int failure = -errno;

		munmap(memory, jit->code.count);
		return failure;
	}
	decision->jit = memory;
	decision->jit_bytes = jit->code.count;
	return 0;
}

static uint32_t table_ref(struct jit *jit, uint32_t ref)
{
	return ref & CW_REF_EVENT ? ref : offset_of(jit, ref);
}

/* A table can be several steps'; it is turned once. */
static void turn_hash(struct jit *jit, const struct cw_step *step)
{
	struct cw_edge *table = jit->decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	uint32_t i;

	if (jit->turned[step->k / 32] >> step->k % 32 & 1)
		return;
	jit->turned[step->k / 32] |= UINT32_C(1) << step->k % 32;
	for (i = 0; i < size; i++)
		if (table[i].to != CW_NONE)
			table[i].to = table_ref(jit, table[i].to);
}

/* Refs in tables become offsets of code; from here on the walker cannot run. */
static void turn_tables(struct jit *jit)
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

/* What only the walker needs. */
static void drop_steps(struct cw_decision *decision)
{
	free(decision->steps);
	free(decision->vars);
	free(decision->code);
	decision->steps = NULL;
	decision->vars = NULL;
	decision->code = NULL;
	decision->var_count = decision->code_count = 0;
}

int cw_jit_build(struct cw_decision *decision, uint32_t bytes_max)
{
	struct jit jit = {.decision = decision, .bytes_max = bytes_max};
	size_t bytes = ((size_t)decision->step_count + 1) * sizeof(*jit.offsets);

	jit.offsets = malloc(bytes);
	jit.turned = calloc(decision->hash_count / 32 + 1, sizeof(*jit.turned));
	if (!jit.offsets || !jit.turned) {
		free(jit.offsets);
		free(jit.turned);
		return -ENOMEM;
	}
	memset(jit.offsets, 0xff, bytes);
	/* The entry at 0: mov r8d, edx; mov r9, rcx; call root; mov rax, r9; ret */
	PUT(&jit, 0x41, 0x89, 0xd0, 0x49, 0x89, 0xc9, 0xe8);
	put_ref(&jit, decision->root);
	PUT(&jit, 0x4c, 0x89, 0xc8);
	jit.return_offset = jit.code.count;
	PUT(&jit, 0xc3);
	put_waiting(&jit);
	if (!jit.failure)
		resolve(&jit);
	if (!jit.failure)
		jit.failure = install(&jit);
	if (!jit.failure) {
		turn_tables(&jit);
		drop_steps(decision);
	}
	cw_index_fini(&jit.stubs);
	free(jit.stub_list.at);
	free(jit.code.at);
	free(jit.fixups.at);
	free(jit.waiting.at);
	free(jit.offsets);
	free(jit.turned);
	return jit.failure;
}

void cw_jit_fini(struct cw_decision *decision)
{
	if (decision->jit)
		munmap(decision->jit, decision->jit_bytes);
	decision->jit = NULL;
	decision->jit_bytes = 0;
}
