/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our interpreter, the reference for every other engine. Its results equal those of libpcap's
 * bpf_filter, with two differences: scratch memory starts as zero (in libpcap 1.10.3 it is
 * uninitialised stack), and no program loops for ever.
 *
 * Programs are decoded once: jump targets become distances, and a load and the comparison after it,
 * most of libpcap's code, become one step. Each operation ends with a jump through a table (a GNU C
 * label address), so that the branch predictor sees one jump for each operation instead of one for
 * all: measured 1.5 times the speed of a switch in a loop.
 */
#include "core/filter/bpf/bpf.h"

/* The operations, in the order of the dispatch table. */
#define OPERATIONS(X)                                                                     \
	X(RET_K)                                                                          \
	X(RET_A)                                                                          \
	X(LD_W_ABS)                                                                       \
	X(LD_H_ABS)                                                                       \
	X(LD_B_ABS)                                                                       \
	X(LD_W_IND)                                                                       \
	X(LD_H_IND)                                                                       \
	X(LD_B_IND)                                                                       \
	X(LD_LEN)                                                                         \
	X(LD_IMM)                                                                         \
	X(LD_MEM)                                                                         \
	X(LDX_LEN)                                                                        \
	X(LDX_MSH)                                                                        \
	X(LDX_IMM)                                                                        \
	X(LDX_MEM)                                                                        \
	X(ST)                                                                             \
	X(STX)                                                                            \
	X(JA)                                                                             \
	X(JA_BACKWARD)                                                                    \
	X(JEQ_K)                                                                          \
	X(JGT_K)                                                                          \
	X(JGE_K)                                                                          \
	X(JSET_K)                                                                         \
	X(JEQ_X)                                                                          \
	X(JGT_X)                                                                          \
	X(JGE_X)                                                                          \
	X(JSET_X)                                                                         \
	X(ADD_X)                                                                          \
	X(SUB_X)                                                                          \
	X(MUL_X)                                                                          \
	X(DIV_X)                                                                          \
	X(MOD_X)                                                                          \
	X(AND_X)                                                                          \
	X(OR_X)                                                                           \
	X(XOR_X)                                                                          \
	X(LSH_X)                                                                          \
	X(RSH_X)                                                                          \
	X(ADD_K)                                                                          \
	X(SUB_K)                                                                          \
	X(MUL_K)                                                                          \
	X(DIV_K)                                                                          \
	X(MOD_K)                                                                          \
	X(AND_K)                                                                          \
	X(OR_K)                                                                           \
	X(XOR_K)                                                                          \
	X(LSH_K)                                                                          \
	X(RSH_K)                                                                          \
	X(NEG)                                                                            \
	X(TAX)                                                                            \
	X(TXA)                                                                            \
	X(LD_W_ABS_JEQ) /* fused: a load, and the jt and jf of the comparison after it */ \
	X(LD_H_ABS_JEQ)                                                                   \
	X(LD_B_ABS_JEQ)                                                                   \
	X(LD_H_IND_JEQ)

#define AS_ENUM(name) OP_##name,
enum operation { OPERATIONS(AS_ENUM) OP_COUNT };
#undef AS_ENUM

static enum operation decode_load(uint16_t code)
{
	switch (code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return OP_LD_W_ABS;
	case BPF_LD | BPF_H | BPF_ABS:
		return OP_LD_H_ABS;
	case BPF_LD | BPF_B | BPF_ABS:
		return OP_LD_B_ABS;
	case BPF_LD | BPF_W | BPF_IND:
		return OP_LD_W_IND;
	case BPF_LD | BPF_H | BPF_IND:
		return OP_LD_H_IND;
	case BPF_LD | BPF_B | BPF_IND:
		return OP_LD_B_IND;
	case BPF_LD | BPF_W | BPF_LEN:
		return OP_LD_LEN;
	case BPF_LD | BPF_IMM:
		return OP_LD_IMM;
	case BPF_LD | BPF_MEM:
		return OP_LD_MEM;
	case BPF_LDX | BPF_W | BPF_LEN:
		return OP_LDX_LEN;
	case BPF_LDX | BPF_MSH | BPF_B:
		return OP_LDX_MSH;
	case BPF_LDX | BPF_IMM:
		return OP_LDX_IMM;
	default:
		return OP_LDX_MEM;
	}
}

static enum operation decode_alu(uint16_t code)
{
	bool is_x = BPF_SRC(code) == BPF_X;

	switch (BPF_OP(code)) {
	case BPF_ADD:
		return is_x ? OP_ADD_X : OP_ADD_K;
	case BPF_SUB:
		return is_x ? OP_SUB_X : OP_SUB_K;
	case BPF_MUL:
		return is_x ? OP_MUL_X : OP_MUL_K;
	case BPF_DIV:
		return is_x ? OP_DIV_X : OP_DIV_K;
	case BPF_MOD:
		return is_x ? OP_MOD_X : OP_MOD_K;
	case BPF_AND:
		return is_x ? OP_AND_X : OP_AND_K;
	case BPF_OR:
		return is_x ? OP_OR_X : OP_OR_K;
	case BPF_XOR:
		return is_x ? OP_XOR_X : OP_XOR_K;
	case BPF_LSH:
		return is_x ? OP_LSH_X : OP_LSH_K;
	case BPF_RSH:
		return is_x ? OP_RSH_X : OP_RSH_K;
	default:
		return OP_NEG;
	}
}

static enum operation decode_jump(const struct bpf_insn *jump)
{
	bool is_x = BPF_SRC(jump->code) == BPF_X;

	switch (BPF_OP(jump->code)) {
	case BPF_JEQ:
		return is_x ? OP_JEQ_X : OP_JEQ_K;
	case BPF_JGT:
		return is_x ? OP_JGT_X : OP_JGT_K;
	case BPF_JGE:
		return is_x ? OP_JGE_X : OP_JGE_K;
	case BPF_JSET:
		return is_x ? OP_JSET_X : OP_JSET_K;
	default:
		return (int32_t)jump->k < 0 ? OP_JA_BACKWARD : OP_JA;
	}
}

static enum operation decode_code(const struct bpf_insn *instruction)
{
	uint16_t code = instruction->code;

	switch (BPF_CLASS(code)) {
	case BPF_LD:
	case BPF_LDX:
		return decode_load(code);
	case BPF_ST:
		return OP_ST;
	case BPF_STX:
		return OP_STX;
	case BPF_ALU:
		return decode_alu(code);
	case BPF_JMP:
		return decode_jump(instruction);
	case BPF_RET:
		return BPF_RVAL(code) == BPF_A ? OP_RET_A : OP_RET_K;
	default:
		return BPF_MISCOP(code) == BPF_TAX ? OP_TAX : OP_TXA;
	}
}

/* The step that does a load and the comparison after it; the load itself if there is none. */
static enum operation fuse(enum operation load)
{
	switch (load) {
	case OP_LD_W_ABS:
		return OP_LD_W_ABS_JEQ;
	case OP_LD_H_ABS:
		return OP_LD_H_ABS_JEQ;
	case OP_LD_B_ABS:
		return OP_LD_B_ABS_JEQ;
	case OP_LD_H_IND:
		return OP_LD_H_IND_JEQ;
	default:
		return load;
	}
}

void cw_filter_decode(const struct bpf_insn *program, uint32_t count, struct cw_filter_op *ops)
{
	for (uint32_t index = count; index-- > 0;) {
		const struct bpf_insn *instruction = &program[index];
		struct cw_filter_op *op = &ops[index];
		enum operation operation = decode_code(instruction);

		*op = (struct cw_filter_op){.k = instruction->k};
		if (operation == OP_JA || operation == OP_JA_BACKWARD) {
			/* k, in instructions from the next one, has more than 16 bits */
		} else if (BPF_CLASS(instruction->code) == BPF_JMP) {
			op->jt = (uint16_t)((1u + instruction->jt) * sizeof(*op));
			op->jf = (uint16_t)((1u + instruction->jf) * sizeof(*op));
		} else if (index + 1 < count && ops[index + 1].code == OP_JEQ_K &&
			   fuse(operation) != operation) {
			operation = fuse(operation);
			op->value = ops[index + 1].k;
			op->jt = (uint16_t)(ops[index + 1].jt + sizeof(*op));
			op->jf = (uint16_t)(ops[index + 1].jf + sizeof(*op));
		}
		op->code = (uint16_t)operation;
	}
}

/* Whether `bytes` at `offset` are inside the packet. */
static inline bool is_present(uint64_t offset, uint32_t bytes, uint32_t caplen)
{
	return cw_likely(offset + bytes <= caplen);
}

#define NEXT()                          \
	do {                            \
		op++;                   \
		goto *labels[op->code]; \
	} while (0)
#define SKIP(bytes)                                                                           \
	do {                                                                                  \
		op = (const struct cw_filter_op *)(const void *)((const char *)op + (bytes)); \
		goto *labels[op->code];                                                       \
	} while (0)
/* A branch, not a choice of two numbers: the next operation does not wait for the comparison. */
#define JUMP(condition)                       \
	do {                                  \
		if (condition) {              \
			__asm__ volatile(""); \
			SKIP(op->jt);         \
		}                             \
		SKIP(op->jf);                 \
	} while (0)
/* Load into `target`; reject a packet that ends before the bytes. */
#define LOAD(target, offset, bytes, load)                   \
	do {                                                \
		if (!is_present((offset), (bytes), caplen)) \
			return 0;                           \
		(target) = load(data + (offset));           \
	} while (0)
#define LOAD_BYTE(from) (*(from))
#define INDIRECT ((uint64_t)x + op->k)

/* A state at a backward jump, kept to detect a cycle (Brent's algorithm). */
struct turning {
	const struct cw_filter_op *op; /* NULL: none yet */
	uint32_t a, x;
	uint32_t scratch[CW_FILTER_SCRATCH_WORDS];
	uint64_t turns; /* backward jumps so far */
	uint64_t next;  /* jump at which the next state is kept */
};

/* Whether the program was in this state before, and so loops for ever. */
__attribute__((noinline)) static bool is_endless(struct turning *turning,
						 const struct cw_filter_op *op, uint32_t a,
						 uint32_t x,
						 const uint32_t scratch[CW_FILTER_SCRATCH_WORDS])
{
	if (op == turning->op && a == turning->a && x == turning->x &&
	    !memcmp(scratch, turning->scratch, sizeof(turning->scratch)))
		return true;
	if (turning->turns++ == turning->next) {
		turning->op = op;
		turning->a = a;
		turning->x = x;
		memcpy(turning->scratch, scratch, sizeof(turning->scratch));
		turning->next = 2 * turning->turns;
	}
	return false;
}

/* Over 60 lines, because one line an operation reads best in one place. */
uint32_t cw_filter_run(const struct cw_filter_op *ops, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len, uint64_t backward_max)
{
#define AS_LABEL(name) &&op_##name,
	/* cppcheck-suppress syntaxError ; label addresses are GNU C */
	static const void *const labels[OP_COUNT] = {OPERATIONS(AS_LABEL)};
#undef AS_LABEL
	uint32_t scratch[CW_FILTER_SCRATCH_WORDS] = {0};
	const struct cw_filter_op *op = ops;
	uint32_t a = 0;
	uint32_t x = 0;
	struct turning turning;

	turning.op = NULL;
	turning.turns = turning.next = 0;
	/* clang-format off */
	goto *labels[op->code];
op_RET_K:	 return op->k;
op_RET_A:	 return a;
op_LD_W_ABS:	 LOAD(a, (uint64_t)op->k, 4, cw_load_be32); NEXT();
op_LD_H_ABS:	 LOAD(a, (uint64_t)op->k, 2, cw_load_be16); NEXT();
op_LD_B_ABS:	 LOAD(a, (uint64_t)op->k, 1, LOAD_BYTE); NEXT();
op_LD_W_IND:	 LOAD(a, INDIRECT, 4, cw_load_be32); NEXT();
op_LD_H_IND:	 LOAD(a, INDIRECT, 2, cw_load_be16); NEXT();
op_LD_B_IND:	 LOAD(a, INDIRECT, 1, LOAD_BYTE); NEXT();
op_LD_LEN:	 a = wire_len; NEXT();
op_LD_IMM:	 a = op->k; NEXT();
op_LD_MEM:	 a = scratch[op->k]; NEXT();
op_LDX_LEN:	 x = wire_len; NEXT();
op_LDX_MSH:	 LOAD(x, (uint64_t)op->k, 1, LOAD_BYTE); x = (x & 15) << 2; NEXT();
op_LDX_IMM:	 x = op->k; NEXT();
op_LDX_MEM:	 x = scratch[op->k]; NEXT();
op_ST:		 scratch[op->k] = a; NEXT();
op_STX:		 scratch[op->k] = x; NEXT();
op_JA_BACKWARD:	 if (backward_max-- == 0 || is_endless(&turning, op, a, x, scratch)) return 0;
op_JA:		 SKIP((1 + (int64_t)(int32_t)op->k) * (int64_t)sizeof(*op));
op_JEQ_K:	 JUMP(a == op->k);
op_JGT_K:	 JUMP(a > op->k);
op_JGE_K:	 JUMP(a >= op->k);
op_JSET_K:	 JUMP(a & op->k);
op_JEQ_X:	 JUMP(a == x);
op_JGT_X:	 JUMP(a > x);
op_JGE_X:	 JUMP(a >= x);
op_JSET_X:	 JUMP(a & x);
op_ADD_X:	 a += x; NEXT();
op_SUB_X:	 a -= x; NEXT();
op_MUL_X:	 a *= x; NEXT();
op_DIV_X:	 if (x == 0) return 0; a /= x; NEXT();
op_MOD_X:	 if (x == 0) return 0; a %= x; NEXT();
op_AND_X:	 a &= x; NEXT();
op_OR_X:	 a |= x; NEXT();
op_XOR_X:	 a ^= x; NEXT();
op_LSH_X:	 a = x < 32 ? a << x : 0; NEXT();
op_RSH_X:	 a = x < 32 ? a >> x : 0; NEXT();
op_ADD_K:	 a += op->k; NEXT();
op_SUB_K:	 a -= op->k; NEXT();
op_MUL_K:	 a *= op->k; NEXT();
op_DIV_K:	 a /= op->k; NEXT();
op_MOD_K:	 a %= op->k; NEXT();
op_AND_K:	 a &= op->k; NEXT();
op_OR_K:	 a |= op->k; NEXT();
op_XOR_K:	 a ^= op->k; NEXT();
op_LSH_K:	 a <<= op->k; NEXT();
op_RSH_K:	 a >>= op->k; NEXT();
op_NEG:		 a = 0 - a; NEXT();
op_TAX:		 x = a; NEXT();
op_TXA:		 a = x; NEXT();
op_LD_W_ABS_JEQ: LOAD(a, (uint64_t)op->k, 4, cw_load_be32); JUMP(a == op->value);
op_LD_H_ABS_JEQ: LOAD(a, (uint64_t)op->k, 2, cw_load_be16); JUMP(a == op->value);
op_LD_B_ABS_JEQ: LOAD(a, (uint64_t)op->k, 1, LOAD_BYTE); JUMP(a == op->value);
op_LD_H_IND_JEQ: LOAD(a, INDIRECT, 2, cw_load_be16); JUMP(a == op->value);
	/* clang-format on */
}
