/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files behind core/filter/filter.h share. Flow of one expression:
 *
 *   filter_names.c    refuses host names that libpcap would ask a resolver for
 *   filter_compile.c  expression -> classic BPF, by libpcap
 *   filter_compiler.c the same in a helper process (filter_helper.h), within limits, with a cache
 *   filter_verify.c   the program is safe to run
 *   filter_exec.c     the program pre-decoded, and the interpreter: the reference of every engine
 *   filter_set.c      many filters together
 */
#ifndef CW_CORE_FILTER_PARTS_H
#define CW_CORE_FILTER_PARTS_H

#include <pcap/pcap.h>

#include "core/filter/filter.h"

#define CW_FILTER_SCRATCH_WORDS BPF_MEMWORDS

/*
 * A pre-decoded instruction. Jump targets are distances; a load that the next instruction compares
 * with a constant does both (`value` is that constant, jt and jf the comparison's targets), while
 * the comparison itself stays in its own place for those who jump to it.
 */
struct cw_filter_op {
	uint16_t code; /* enum in filter_exec.c */
	uint16_t jt;   /* bytes from this operation to the next one: no multiplication */
	uint16_t jf;
	uint16_t reserved;
	uint32_t k;
	uint32_t value;
};

struct cw_filter {
	struct bpf_insn *program; /* as compiled; `count` instructions */
	struct cw_filter_op *ops; /* as many */
	uint32_t count;
	uint32_t backward_count; /* of jumps backwards: protochain */
	char *expression;        /* "" for a filter made from a program */
};

/* Memory that a filter holds. */
size_t cw_filter_bytes(const struct cw_filter *filter);

/* What kind of thing a token of an expression is, as far as telling names apart needs it. */
enum cw_filter_token_kind {
	CW_TOKEN_OTHER,    /* keyword, operator, bracket */
	CW_TOKEN_NUMBER,   /* number or numeric address: never looked up */
	CW_TOKEN_LITERAL,  /* argument of ifname, type, reason, ...: never looked up */
	CW_TOKEN_SERVICE,  /* port or portrange name: /etc/services */
	CW_TOKEN_PROTOCOL, /* proto or protochain name: /etc/protocols */
	CW_TOKEN_HOST,     /* host, network or Ethernet name: a resolver would be asked */
};

struct cw_filter_token {
	const char *text;
	size_t length;
	enum cw_filter_token_kind kind;
};

#define CW_FILTER_NESTING_MAX 64u /* parentheses whose qualifiers the tokenizer remembers */

/* State of a walk over an expression's tokens; start with .next = expression, the rest zero. */
struct cw_filter_tokens {
	const char *next;
	enum cw_filter_token_kind name_kind;  /* what a bare identifier would be now */
	bool is_literal_next;                 /* the next identifier is a keyword's argument */
	uint32_t depth;                       /* open parentheses */
	uint8_t kinds[CW_FILTER_NESTING_MAX]; /* name_kind at each of them */
};

/* The next token (fills); false at the end. */
bool cw_filter_token_next(struct cw_filter_tokens *tokens, struct cw_filter_token *token);

/* The keywords of the language, by number; NULL behind the last. */
const char *cw_filter_keyword(size_t index);

/* -EACCES when the expression names something that only a resolver knows; error names it. */
int cw_filter_names_check(const char *expression, struct cw_error *error);

/* Copy `expression` for an error text: control characters as '?', cut in the middle when long. */
#define CW_FILTER_QUOTE_BYTES 240u
const char *cw_filter_quote(const char *expression, char buffer[CW_FILTER_QUOTE_BYTES]);

/* Check a program; -EINVAL (error names the instruction) or -E2BIG. Counts its jumps backwards. */
int cw_filter_verify(const struct bpf_insn *program, uint32_t count, uint32_t *backward_count,
		     struct cw_error *error);

/* Decode a verified program into `ops` (room for count). */
void cw_filter_decode(const struct bpf_insn *program, uint32_t count, struct cw_filter_op *ops);

/* Run decoded ops; `backward_max` bounds the jumps backwards (0 for programs without). */
uint32_t cw_filter_run(const struct cw_filter_op *ops, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len, uint64_t backward_max);

#endif
