/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random material for the filter tests: numbers from a seed, valid classic BPF programs, packets
 * that are half sensible, and a page that ends where memory ends, so that a read past a packet
 * stops the test.
 */
#ifndef CW_TESTS_RIG_FILTER_RANDOM_H
#define CW_TESTS_RIG_FILTER_RANDOM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "core/base/base.h"

#define RANDOM_PROGRAM_MAX 64u
#define RANDOM_PACKET_MAX 256u
#define RANDOM_SCRATCH 3u /* words that programs use; all are written first (see below) */

struct random {
	uint64_t state;
};

/* SplitMix64: any seed is a good seed. */
static inline uint64_t random_u64(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	return (uint32_t)((random_u64(random) >> 32) * limit >> 32);
}

static inline bool random_is(struct random *random, uint32_t one_in)
{
	return random_below(random, one_in) == 0;
}

/* The seed of a test: CW_SEED, or fixed; printed, so that a failure can be repeated. */
static inline uint64_t random_seed(const char *test)
{
	const char *text = getenv("CW_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;

	printf("%s: seed %llu (CW_SEED)\n", test, (unsigned long long)seed);
	return seed;
}

/* `bytes` of memory (at most a page) that end at an unreadable page. */
struct guarded {
	uint8_t *page;
	size_t page_bytes;
};

static inline void guarded_init(struct guarded *guarded)
{
	guarded->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	guarded->page = mmap(NULL, 2 * guarded->page_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded->page == MAP_FAILED ||
	    mprotect(guarded->page + guarded->page_bytes, guarded->page_bytes, PROT_NONE))
		abort();
}

static inline uint8_t *guarded_copy(const struct guarded *guarded, const uint8_t *data,
				    uint32_t bytes)
{
	uint8_t *copy = guarded->page + guarded->page_bytes - bytes;

	if (bytes)
		memcpy(copy, data, bytes);
	return copy;
}

static inline void guarded_fini(struct guarded *guarded)
{
	munmap(guarded->page, 2 * guarded->page_bytes);
}

static inline uint32_t random_constant(struct random *random)
{
	static const uint32_t telling[] = {0,          1,      2,     UINT32_MAX, 0x80000000,
					   0x7fffffff, 0x800,  0x806, 0x86dd,     6,
					   17,         0x1fff, 0xff,  0xffff,     UINT32_MAX - 1,
					   0x10000,    53,     80,    0x0a000001, 0x45};

	if (random_is(random, 4))
		return (uint32_t)random_u64(random);
	if (random_is(random, 3))
		return random_below(random, 70);
	return telling[random_below(random, CW_ARRAY_COUNT(telling))];
}

static inline uint32_t random_offset(struct random *random)
{
	if (random_is(random, 30))
		return (uint32_t)random_u64(random);
	if (random_is(random, 20))
		return UINT32_MAX - 3 + random_below(random, 4);
	return random_below(random, 80);
}

static inline struct bpf_insn random_alu(struct random *random)
{
	static const uint16_t operations[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD,
					      BPF_AND, BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH,
					      BPF_NEG, BPF_AND, BPF_AND};
	uint16_t operation = operations[random_below(random, CW_ARRAY_COUNT(operations))];
	uint16_t source = random_is(random, 3) ? BPF_X : BPF_K;
	uint32_t k = random_constant(random);

	if ((operation == BPF_DIV || operation == BPF_MOD) && source == BPF_K && k == 0)
		k = 3;
	if ((operation == BPF_LSH || operation == BPF_RSH) && source == BPF_K)
		k &= 31;
	if (operation == BPF_NEG)
		source = BPF_K;
	return (struct bpf_insn)BPF_STMT((uint16_t)(BPF_ALU | operation | source), k);
}

/* A conditional jump that stays within `room` instructions after it. */
static inline struct bpf_insn random_jump(struct random *random, uint32_t room)
{
	static const uint16_t operations[] = {BPF_JEQ,  BPF_JGT, BPF_JGE,
					      BPF_JSET, BPF_JEQ, BPF_JEQ};
	uint16_t operation = operations[random_below(random, CW_ARRAY_COUNT(operations))];
	uint16_t source = random_is(random, 6) ? BPF_X : BPF_K;
	uint32_t reach = room < 9 ? room : 9;
	struct bpf_insn jump = {.code = (uint16_t)(BPF_JMP | operation | source)};

	jump.jt = (uint8_t)random_below(random, reach);
	jump.jf = (uint8_t)random_below(random, reach);
	jump.k = random_constant(random);
	return jump;
}

/* An instruction other than a jump. */
static inline struct bpf_insn random_step(struct random *random)
{
	static const uint16_t sizes[] = {BPF_W, BPF_H, BPF_B};
	uint16_t size = sizes[random_below(random, 3)];
	uint32_t word = random_below(random, RANDOM_SCRATCH);
	uint16_t class = random_is(random, 2) ? BPF_LD : BPF_LDX;

	switch (random_below(random, 12)) {
	case 0:
	case 1:
	case 2:
		return (struct bpf_insn)BPF_STMT((uint16_t)(BPF_LD | BPF_ABS | size),
						 random_offset(random));
	case 3:
		return (struct bpf_insn)BPF_STMT((uint16_t)(BPF_LD | BPF_IND | size),
						 random_offset(random));
	case 4:
		return (struct bpf_insn)BPF_STMT(BPF_LDX | BPF_MSH | BPF_B, random_offset(random));
	case 5:
		return (struct bpf_insn)BPF_STMT((uint16_t)(class | BPF_W | BPF_LEN), 0);
	case 6:
		return (struct bpf_insn)BPF_STMT((uint16_t)(class | BPF_MEM), word);
	case 7:
		return (struct bpf_insn)BPF_STMT(class == BPF_LD ? BPF_ST : BPF_STX, word);
	case 8:
		return (struct bpf_insn)BPF_STMT((uint16_t)(class | BPF_IMM),
						 random_constant(random));
	case 9:
		return (struct bpf_insn)BPF_STMT(
		    (uint16_t)(BPF_MISC | (class == BPF_LD ? BPF_TXA : BPF_TAX)), 0);
	default:
		return random_alu(random);
	}
}

/*
 * A valid program without loops; returns its length. It begins by writing the scratch words it
 * uses, because libpcap's interpreter does not clear them, and ends in more than one way.
 */
static inline uint32_t random_program(struct random *random,
				      struct bpf_insn program[RANDOM_PROGRAM_MAX])
{
	uint32_t body = 2 + random_below(random, 26);
	uint32_t tail = 10;
	uint32_t count = 0;
	uint32_t i;

	for (i = 0; i < RANDOM_SCRATCH; i++) {
		program[count++] =
		    (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IMM, random_constant(random));
		program[count++] = (struct bpf_insn)BPF_STMT(BPF_ST, i);
	}
	for (i = 0; i < body; i++) {
		uint32_t room = body - 1 - i + tail;
		uint32_t kind = random_below(random, 100);

		if (kind < 33)
			program[count++] = random_jump(random, room);
		else if (kind < 35)
			program[count++] =
			    (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, random_below(random, 5));
		else if (kind < 37)
			program[count++] = (struct bpf_insn)BPF_STMT(
			    (uint16_t)(BPF_RET | (random_is(random, 4) ? BPF_A : BPF_K)),
			    random_below(random, 2) * 65535);
		else
			program[count++] = random_step(random);
	}
	for (i = 0; i < tail; i++)
		program[count++] = (struct bpf_insn)BPF_STMT(
		    (uint16_t)(BPF_RET | (random_is(random, 5) ? BPF_A : BPF_K)),
		    random_below(random, 2) * 65535);
	return count;
}

/* Change a few bytes, and often cut it; returns the bytes that are left. */
static inline uint32_t random_mutate(struct random *random, uint8_t *data, uint32_t bytes)
{
	uint32_t i;

	if (random_is(random, 3))
		for (i = 0; i < 4 && bytes; i++)
			data[random_below(random, bytes)] = (uint8_t)random_u64(random);
	if (random_is(random, 3))
		bytes = random_below(random, bytes + 1);
	return bytes;
}

#endif
