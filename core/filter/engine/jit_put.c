/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puts bytes of x86-64 code: displacements, events, the values of variables.
 */
#include "core/filter/engine/jit.h"

/* ---- bytes ---- */

void cw_jit_put(struct cw_jit *jit, const void *bytes, uint32_t count)
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

void cw_jit_put_u32(struct cw_jit *jit, uint32_t value)
{
	cw_jit_put(jit, &value, 4);
}

void cw_jit_put_pointer(struct cw_jit *jit, const void *pointer)
{
	uint64_t value = (uint64_t)(uintptr_t)pointer;

	cw_jit_put(jit, &value, 8);
}

void cw_jit_wait_for(struct cw_jit *jit, uint32_t ref)
{
	if (ref >= CW_REF_EMPTY || *cw_jit_offset(jit, ref) != CW_NONE)
		return;
	if (CW_GROW(&jit->waiting, 1))
		jit->failure = -ENOMEM;
	else
		jit->waiting.at[jit->waiting.count++] = ref;
}

void cw_jit_put_ref(struct cw_jit *jit, uint32_t ref)
{
	cw_jit_wait_for(jit, ref);
	if (CW_GROW(&jit->fixups, 1)) {
		jit->failure = -ENOMEM;
		return;
	}
	jit->fixups.at[jit->fixups.count++] = (struct cw_jit_fixup){jit->code.count, ref};
	cw_jit_put_u32(jit, 0);
}

void cw_jit_put_jump_if(struct cw_jit *jit, enum cw_jit_condition condition, uint32_t ref)
{
	PUT(jit, 0x0f, (uint8_t)condition);
	cw_jit_put_ref(jit, ref);
}

void cw_jit_put_goto(struct cw_jit *jit, uint32_t ref)
{
	if (ref & CW_REF_EVENT)
		cw_jit_put_event(jit, ref);
	if (ref >= CW_REF_EMPTY) {
		PUT(jit, 0xc3); /* ret */
		return;
	}
	PUT(jit, 0xe9); /* jmp */
	cw_jit_put_ref(jit, ref);
}

void cw_jit_put_base(struct cw_jit *jit, uint8_t low, uint32_t bias)
{
	PUT(jit, 0x4c, 0x8d, (uint8_t)(low << 3 | 5)); /* lea r10/r11, [rip + ] */
	cw_jit_put_u32(jit, 0u - (jit->code.count + 4) - bias);
	PUT(jit, 0x49, 0x01, (uint8_t)(0xd0 | low)); /* add r10/r11, rdx */
}

/* ---- events ---- */

uint32_t cw_jit_event_ref(const struct cw_jit *jit, uint32_t ref)
{
	const struct cw_decision *decision = jit->decision;

	if (!decision->event_bits)
		return ref;
	if (ref == CW_NONE) /* a free entry of a table; read, but not counted */
		return CW_REF_EVENT;
	return CW_REF_EVENT | (ref & CW_EVENT_LEAF ? decision->part_count + (ref & CW_EVENT_MASK)
						   : ref & CW_EVENT_MASK);
}

static void put_r11(struct cw_jit *jit, uint64_t value)
{
	PUT(jit, 0x49, 0xbb); /* mov r11, value */
	cw_jit_put(jit, &value, 8);
}

/* Put r11 = event_bits, and an index of it from an event's number in eax or edx (`low` 0 or 2). */
static void put_bits_table(struct cw_jit *jit, uint8_t low)
{
	PUT(jit, 0x0f, 0xba, (uint8_t)(0xf0 | low), 31); /* btr eax/edx, 31 */
	put_r11(jit, (uint64_t)(uintptr_t)jit->decision->event_bits);
}

void cw_jit_put_event(struct cw_jit *jit, uint32_t ref)
{
	uint64_t bits;

	if (!jit->decision->event_bits) {
		PUT(jit, 0x41, 0xc7, 0x01); /* mov dword [r9], event */
		cw_jit_put_u32(jit, ref);
		PUT(jit, 0x49, 0x83, 0xc1, 0x04); /* add r9, 4 */
		return;
	}
	bits = cw_event_bits(jit->decision, ref);
	if (bits <= INT32_MAX) {
		PUT(jit, 0x49, 0x81, 0xc9); /* or r9, bits */
		cw_jit_put_u32(jit, (uint32_t)bits);
		return;
	}
	put_r11(jit, bits);
	PUT(jit, 0x4d, 0x09, 0xd9); /* or r9, r11 */
}

/* Put r9 |= the event's bits if edx is 1, and not if it is 0. */
static void put_bits_if(struct cw_jit *jit, uint32_t ref)
{
	uint64_t bits = ref == CW_NONE ? 0 : cw_event_bits(jit->decision, ref);

	if (bits && !(bits & (bits - 1))) {
		PUT(jit, 0x48, 0xc1, 0xe2, (uint8_t)__builtin_ctzll(bits)); /* shl rdx, */
	} else {
		PUT(jit, 0x48, 0xf7, 0xda); /* neg rdx */
		if (ref == CW_NONE) {
			put_bits_table(jit, 0);
			PUT(jit, 0x49, 0x23, 0x14, 0xc3); /* and rdx, [r11 + rax * 8] */
		} else {
			put_r11(jit, bits);
			PUT(jit, 0x4c, 0x21, 0xda); /* and rdx, r11 */
		}
	}
	PUT(jit, 0x49, 0x09, 0xd1); /* or r9, rdx */
}

void cw_jit_put_event_if(struct cw_jit *jit, uint32_t ref)
{
	PUT(jit, 0x0f, 0xb6, 0xd2); /* movzx edx, dl */
	if (jit->decision->event_bits) {
		put_bits_if(jit, ref);
		return;
	}
	if (ref == CW_NONE) {
		PUT(jit, 0x41, 0x89, 0x01); /* mov [r9], eax */
	} else {
		PUT(jit, 0x41, 0xc7, 0x01); /* mov dword [r9], event */
		cw_jit_put_u32(jit, ref);
	}
	PUT(jit, 0x4d, 0x8d, 0x0c, 0x91); /* lea r9, [r9 + rdx * 4] */
}

void cw_jit_put_event_of_edx(struct cw_jit *jit)
{
	if (jit->decision->event_bits) {
		put_bits_table(jit, 2);
		PUT(jit, 0x4d, 0x0b, 0x0c, 0xd3); /* or r9, [r11 + rdx * 8] */
		return;
	}
	PUT(jit, 0x41, 0x89, 0x11);       /* mov [r9], edx */
	PUT(jit, 0x49, 0x83, 0xc1, 0x04); /* add r9, 4 */
}

/* The event is always looked at and only counted if equal, which avoids a branch that goes both
 * ways. */
void cw_jit_put_event_of_edx_if_equal(struct cw_jit *jit)
{
	if (jit->decision->event_bits) {
		PUT(jit, 0x0f, 0x94, 0xc1); /* sete cl */
		PUT(jit, 0x0f, 0xb6, 0xc9); /* movzx ecx, cl */
		PUT(jit, 0x48, 0xf7, 0xd9); /* neg rcx */
		put_bits_table(jit, 2);
		PUT(jit, 0x49, 0x23, 0x0c, 0xd3); /* and rcx, [r11 + rdx * 8] */
		PUT(jit, 0x49, 0x09, 0xc9);       /* or r9, rcx */
		return;
	}
	PUT(jit, 0x4d, 0x8d, 0x59, 0x04); /* lea r11, [r9 + 4] */
	PUT(jit, 0x41, 0x89, 0x11);       /* mov [r9], edx */
	PUT(jit, 0x4d, 0x0f, 0x44, 0xcb); /* cmove r9, r11 */
}

/* ---- variables ---- */

static void put_need(struct cw_jit *jit, uint32_t bytes, uint32_t trap)
{
	if (bytes <= INT8_MAX) {
		PUT(jit, 0x41, 0x83, 0xf8, (uint8_t)bytes); /* cmp r8d, bytes */
	} else {
		PUT(jit, 0x41, 0x81, 0xf8);
		cw_jit_put_u32(jit, bytes);
	}
	cw_jit_put_jump_if(jit, IF_BELOW, trap);
}

uint32_t cw_jit_size_of(const struct cw_var *var)
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

/* Put a load of `bytes`, in packet order, into eax; `mode`: ModRM (and SIB) before an offset. */
static void put_load(struct cw_jit *jit, uint32_t bytes, const uint8_t *mode, uint32_t mode_bytes)
{
	if (bytes == 4)
		PUT(jit, 0x8b); /* mov eax, */
	else if (bytes == 2)
		PUT(jit, 0x0f, 0xb7); /* movzx eax, word */
	else
		PUT(jit, 0x0f, 0xb6); /* movzx eax, byte */
	cw_jit_put(jit, mode, mode_bytes);
}

void cw_jit_put_swap(struct cw_jit *jit, uint32_t bytes)
{
	if (bytes == 4)
		PUT(jit, 0x0f, 0xc8); /* bswap eax */
	else if (bytes == 2)
		PUT(jit, 0x66, 0xc1, 0xc0, 0x08); /* rol ax, 8 */
}

uint32_t cw_jit_swap(uint32_t value, uint32_t bytes)
{
	return bytes == 4   ? __builtin_bswap32(value)
	       : bytes == 2 ? __builtin_bswap16((uint16_t)value)
			    : value;
}

void cw_jit_put_check(struct cw_jit *jit, const struct cw_var *var, uint32_t trap)
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
		cw_jit_put_u32(jit, var->msh);
	}
	PUT(jit, 0x83, 0xe0, 0x0f); /* and eax, 15 */
	PUT(jit, 0x8d, 0x0c, 0x85); /* lea ecx, [rax * 4 + need] */
	cw_jit_put_u32(jit, var->need);
	PUT(jit, 0x44, 0x39, 0xc1); /* cmp ecx, r8d */
	cw_jit_put_jump_if(jit, IF_ABOVE, trap);
}

/* Put a conditional jump to `trap` that first drops `pushed` values from the stack. */
static void put_trap_if(struct cw_jit *jit, enum cw_jit_condition condition, uint32_t pushed,
			uint32_t trap)
{
	if (pushed == 0) {
		cw_jit_put_jump_if(jit, condition, trap);
		return;
	}
	/* The opposite condition jumps over 13 bytes. */
	PUT(jit, (uint8_t)((condition - 0x10) ^ 1), 13);
	PUT(jit, 0x48, 0x8d, 0xa4, 0x24); /* lea rsp, [rsp + 8 * pushed] */
	cw_jit_put_u32(jit, 8 * pushed);
	PUT(jit, 0xe9);
	cw_jit_put_ref(jit, trap);
}

/* Put a load of postfix code at a small constant offset. */
static void put_code_load_at(struct cw_jit *jit, uint32_t bytes, uint32_t k, uint32_t pushed,
			     uint32_t trap)
{
	uint8_t offset = (uint8_t)k;

	PUT(jit, 0x41, 0x81, 0xf8); /* cmp r8d, k + bytes */
	cw_jit_put_u32(jit, k + bytes);
	put_trap_if(jit, IF_BELOW, pushed, trap);
	put_load(jit, bytes, (const uint8_t[]){k <= INT8_MAX ? 0x47 : 0x87}, 1); /* [rdi + k] */
	if (k <= INT8_MAX)
		cw_jit_put(jit, &offset, 1);
	else
		cw_jit_put_u32(jit, k);
	cw_jit_put_swap(jit, bytes);
}

/* Put one load of postfix code; its index, if any, is in eax. */
static void put_code_load(struct cw_jit *jit, uint32_t word, uint32_t k, uint32_t pushed,
			  uint32_t trap)
{
	uint32_t bytes = word >> 9;

	if (word >> 8 & 1) {
		PUT(jit, 0x89, 0xc1); /* mov ecx, eax */
	} else if (k <= CW_VAR_OFFSET_MAX) {
		put_code_load_at(jit, bytes, k, pushed, trap);
		return;
	} else {
		PUT(jit, 0x31, 0xc9); /* xor ecx, ecx */
	}
	PUT(jit, 0xba); /* mov edx, k */
	cw_jit_put_u32(jit, k);
	PUT(jit, 0x48, 0x01, 0xd1);                 /* add rcx, rdx */
	PUT(jit, 0x48, 0x8d, 0x51, (uint8_t)bytes); /* lea rdx, [rcx + bytes] */
	PUT(jit, 0x4c, 0x39, 0xc2);                 /* cmp rdx, r8 */
	put_trap_if(jit, IF_ABOVE, pushed, trap);
	put_load(jit, bytes, (const uint8_t[]){0x04, 0x0f}, 2); /* [rdi + rcx] */
	cw_jit_put_swap(jit, bytes);
}

/* Put eax = a (op) b, a in eax, b in ecx; `pushed` values stay on the stack. */
static void put_code_alu(struct cw_jit *jit, uint32_t op, uint32_t pushed, uint32_t trap)
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

/* Put postfix code; the top of its stack is eax. */
static void put_code(struct cw_jit *jit, const uint32_t *code, uint32_t trap)
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
			cw_jit_put_u32(jit, code[1]);
		}
	}
}

void cw_jit_put_var_load(struct cw_jit *jit, const struct cw_var *var, uint8_t header)
{
	bool is_near = var->offset <= INT8_MAX; /* a displacement of one byte */
	uint8_t mode = is_near ? 0x40 : 0x80;
	uint8_t offset = (uint8_t)var->offset;

	if (var->kind <= CW_VAR_WORD) /* [rdi + offset] */
		put_load(jit, cw_jit_size_of(var), (const uint8_t[]){mode | 0x07}, 1);
	else /* [rdi + header * 4 + offset] */
		put_load(jit, cw_jit_size_of(var),
			 (const uint8_t[]){mode | 0x04, (uint8_t)(0x87 | header << 3)}, 2);
	if (is_near)
		cw_jit_put(jit, &offset, 1);
	else
		cw_jit_put_u32(jit, var->offset);
}

void cw_jit_put_mask(struct cw_jit *jit, uint32_t mask, uint32_t bytes)
{
	uint32_t all = bytes == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;

	if ((mask & all) == all)
		return;
	PUT(jit, 0x25); /* and eax, mask */
	cw_jit_put_u32(jit, mask);
}

void cw_jit_put_var(struct cw_jit *jit, const struct cw_var *var, uint32_t trap)
{
	if (var->kind == CW_VAR_CODE) {
		put_code(jit, jit->decision->code + var->offset, trap);
		return;
	}
	if (var->kind == CW_VAR_LEN) {
		PUT(jit, 0x89, 0xf0);
	} else {
		cw_jit_put_check(jit, var, trap);
		cw_jit_put_var_load(jit, var, 0);
		cw_jit_put_swap(jit, cw_jit_size_of(var));
	}
	cw_jit_put_mask(jit, var->mask, cw_jit_size_of(var));
}

void cw_jit_put_compare(struct cw_jit *jit, uint32_t value)
{
	PUT(jit, 0x3d); /* cmp eax, value */
	cw_jit_put_u32(jit, value);
}

/* ---- tables ---- */

uint32_t cw_jit_hash_used(const struct cw_decision *decision, const struct cw_step *step,
			  uint32_t *same)
{
	const struct cw_edge *table = decision->hashes + step->k;
	uint32_t size = UINT32_C(1) << CW_HASH_BITS(step->n);
	uint32_t used = 0, i;

	*same = CW_NONE;
	for (i = 0; i < size; i++) {
		if (table[i].to == CW_NONE)
			continue;
		*same = used++ == 0 || *same == table[i].to ? table[i].to : CW_NONE;
	}
	return used;
}
