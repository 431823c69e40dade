/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters: libpcap expressions compiled on a dead handle of one link type, verified, and run by our
 * own engines. A struct cw_filter is one expression; a struct cw_filter_set is many, evaluated
 * together. Both are immutable once built: any number of threads may match with them.
 */
#ifndef CW_CORE_FILTER_H
#define CW_CORE_FILTER_H

#include <stdio.h>

#include "core/error.h"
#include "core/packet.h"

struct bpf_insn;
struct cw_filter;
struct cw_filter_set;
struct cw_filter_compiler; /* core/filter_compiler.h */

#define CW_FILTER_INSTRUCTIONS_MAX 1000000u /* a longer program is refused */
#define CW_FILTER_ID_MAX ((1u << 24) - 1)

struct cw_filter_options {
	uint32_t linktype;  /* LINKTYPE_ value */
	uint32_t snaplen;   /* 0 = CW_CAPLEN_MAX */
	bool is_swapped;    /* the packets are from a file of the other byte order */
	bool unoptimized;   /* tcpdump -O: do not optimise; matches differently on cut packets */
	bool resolve_names; /* let host names go to the resolver (it can block) */
	/* Compiles in a process of its own, within limits; borrowed. NULL: in this one, without. */
	struct cw_filter_compiler *compiler;
};

/* Compiled, but can never match ("expression rejects all packets"): a warning, not an error. */
#define CW_FILTER_NEVER 1

/* Optimising would have gone over a limit of the compiler, so it was not: a warning likewise. The
 * program matches packets that are cut short as tcpdump -O does. */
#define CW_FILTER_UNOPTIMIZED 2

/*
 * Compile `expression` (borrows; the empty one matches everything).
 * Returns 0; CW_FILTER_NEVER or CW_FILTER_UNOPTIMIZED (error's text holds the warning, code 0);
 * -EINVAL with libpcap's words, the expression and, where it can be found, the first bad token with
 * its column; -EACCES for a host name without resolve_names; -E2BIG; -ENOMEM. With a compiler also
 * -ETIMEDOUT, -E2BIG (memory) and -EFAULT (libpcap crashed) for an expression that neither attempt
 * could compile, and -EIO when the helper process is gone: no fault of the expression.
 */
int cw_filter_compile(struct cw_filter **filter, const char *expression,
		      const struct cw_filter_options *options, struct cw_error *error);

/*
 * For a reader of `message`, what cw_filter_compile said against `expression`: a newline, the
 * expression (cut where it is long), and a caret under the first bad token with what may have been
 * meant. Fills `buffer` (of CW_FILTER_EXPLAIN_BYTES); false, and it is empty: the message does not say
 * where.
 */
#define CW_FILTER_EXPLAIN_BYTES 320u
bool cw_filter_explain(const char *expression, const char *message, char *buffer, size_t room);

/* A filter from a classic BPF program (copies), verified first; -EINVAL names the instruction. */
int cw_filter_from_program(struct cw_filter **filter, const struct bpf_insn *instructions,
			   uint32_t count, struct cw_error *error);

/* What bpf_filter returns for the program: 0 = no match. `caplen` bytes are present. */
uint32_t cw_filter_match(const struct cw_filter *filter, const uint8_t *data, uint32_t caplen,
			 uint32_t wire_len);

/* The same by libpcap's own bpf_filter: what cw_filter_match is checked against. */
uint32_t cw_filter_match_libpcap(const struct cw_filter *filter, const uint8_t *data,
				 uint32_t caplen, uint32_t wire_len);

const struct bpf_insn *cw_filter_program(const struct cw_filter *filter, uint32_t *count);
const char *cw_filter_expression(const struct cw_filter *filter);

/*
 * A program (allocated; the caller frees it) that takes, when a packet socket runs it in the kernel,
 * every packet that the filter takes, VLAN tags or not, cut or not, and as a rule few others.
 * -EOPNOTSUPP where that cannot be promised; -ENOMEM. The kernel may still refuse it.
 */
int cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
			     uint32_t *count);

/* How the classic BPF of a filter is printed: as tcpdump's -d, -dd and -ddd print it. */
enum cw_filter_program_format {
	CW_FILTER_PROGRAM_TEXT,         /* an assembler's line for each instruction */
	CW_FILTER_PROGRAM_INITIALIZERS, /* of a C array of struct bpf_insn */
	CW_FILTER_PROGRAM_NUMBERS,      /* the number of instructions, then four numbers each */
};

/* Print the filter's program to `file` (borrows). 0, or -EIO when the file is in error. Not from
 * several threads at once: libpcap makes the text in memory of its own. */
int cw_filter_print(const struct cw_filter *filter, FILE *file,
		    enum cw_filter_program_format format);

void cw_filter_free(struct cw_filter *filter);

enum cw_filter_mode {
	CW_FILTER_ALL,	 /* every id that matches */
	CW_FILTER_FIRST, /* the lowest id that matches */
};

enum cw_filter_engine {
	CW_ENGINE_AUTO,
	CW_ENGINE_JIT,
	CW_ENGINE_WALKER,
	CW_ENGINE_SEQUENTIAL, /* our interpreter, one program after the other: the reference */
	CW_ENGINE_LIBPCAP,    /* libpcap's bpf_filter, one after the other: the oracle */
};

/* "auto", "jit", "walker", "sequential" or "libpcap". */
const char *cw_filter_engine_name(enum cw_filter_engine engine);

struct cw_filter_set_options {
	struct cw_filter_options filter;
	enum cw_filter_mode mode;
	enum cw_filter_engine engine;
};

/* An empty set. */
int cw_filter_set_new(struct cw_filter_set **set, const struct cw_filter_set_options *options,
		      struct cw_error *error);

/* Compile and add an expression under `id` (<= CW_FILTER_ID_MAX, not used before in this set).
 * Returns as cw_filter_compile; -EEXIST for an id used twice. Not after build. */
int cw_filter_set_add(struct cw_filter_set *set, uint32_t id, const char *expression,
		      struct cw_error *error);

/* As add, with a compiled filter (takes it when it succeeds). */
int cw_filter_set_add_filter(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter,
			     struct cw_error *error);

/* Make it ready to match; once. Never fails for size. */
int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error);

/*
 * The ids that match one packet, ascending, into ids (fills; room for every id of the set, or for
 * one with CW_FILTER_FIRST). Returns their number.
 */
size_t cw_filter_set_match(const struct cw_filter_set *set, const struct cw_packet *packet,
			   uint32_t *ids);

/* The same by libpcap's bpf_filter, one filter after the other, whatever the set's engine: what the
 * engines are checked against. */
size_t cw_filter_set_match_libpcap(const struct cw_filter_set *set, const struct cw_packet *packet,
				   uint32_t *ids);

/*
 * Match `count` packets: the ids of packet i are ids[ends[i-1]] .. ids[ends[i]-1] (ends[-1] = 0),
 * ascending. Stops before a packet whose ids might not fit into `ids_capacity`; room for one
 * packet's ids (cw_filter_set_size) is always enough to make progress. Malformed packets match
 * nothing. Returns the number of packets done.
 */
size_t cw_filter_set_match_burst(const struct cw_filter_set *set, const struct cw_packet *packets,
				 size_t count, uint32_t *ids, size_t ids_capacity, uint32_t *ends);

/* Number of filters in the set. */
size_t cw_filter_set_size(const struct cw_filter_set *set);

/* What building made of the set. */
struct cw_filter_set_stats {
	enum cw_filter_engine engine; /* of most filters; never AUTO */
	size_t joint_count;	      /* filters in decision programs */
	size_t apart_count;	      /* filters run on their own */
	size_t loop_count;	      /* of these: with loops (protochain) */
	size_t over_budget_count;     /* of these: too large to be joined */
	size_t program_count;	      /* decision programs; more than one where a budget forced it */
	size_t step_count;	      /* their nodes */
	size_t bytes;		      /* memory they take, code included */
	size_t code_bytes;	      /* of that: x86-64 code */
	uint64_t build_ns;
};

void cw_filter_set_stats(const struct cw_filter_set *set, struct cw_filter_set_stats *stats);

/* The engine that the filter of this id got; AUTO for an id that is not in the set. */
enum cw_filter_engine cw_filter_set_engine(const struct cw_filter_set *set, uint32_t id);

enum cw_filter_set_format {
	CW_FILTER_SET_TEXT, /* for people; long tables and lists are cut, and say by how much */
	CW_FILTER_SET_FULL, /* the same, nothing cut */
	CW_FILTER_SET_DOT,  /* a graph for Graphviz; labels are cut */
};

/*
 * Print what a built set became to `file` (borrows): its decision programs, node by node, as
 * core/FILTERS.md explains them; the text forms then tell which engine each filter got and the
 * set's statistics. Returns 0, -ENOMEM, or -EIO when the file is in error.
 */
int cw_filter_set_print(const struct cw_filter_set *set, FILE *file,
			enum cw_filter_set_format format);

void cw_filter_set_free(struct cw_filter_set *set);

#endif
