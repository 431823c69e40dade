/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters: libpcap expressions compiled for one link type, verified, and run by engines of our own.
 * A struct cw_filter is one expression; a struct cw_filter_set is many, evaluated together: 1,000
 * cost about as much as two. Both are immutable once made: any number of threads may match
 * with them.
 */
#ifndef CW_CAPWEIR_FILTER_H
#define CW_CAPWEIR_FILTER_H

#include <capweir/error.h>
#include <capweir/packet.h>
#include <stdio.h>

struct bpf_insn; /* of pcap/bpf.h */

CW_BEGIN_DECLS

struct cw_filter;
struct cw_filter_set;
struct cw_filter_compiler; /* a process that compiles; not public yet */

#define CW_FILTER_INSTRUCTIONS_MAX 1000000u /* a longer program is refused */
#define CW_FILTER_ID_MAX ((1u << 24) - 1)   /* the largest id in a set */

/* How an expression is compiled. */
struct cw_filter_options {
	uint32_t linktype;  /* LINKTYPE_ value */
	uint32_t snaplen;   /* 0 = CW_CAPLEN_MAX */
	uint32_t netmask;   /* of `ip broadcast`, in network byte order; 0 = not known: an error */
	bool is_swapped;    /* the packets are from a file of the other byte order */
	bool unoptimized;   /* tcpdump -O: do not optimise; matches differently on cut packets */
	bool resolve_names; /* let host names go to the resolver (it can block) */
	/* Borrowed. Compiles in a separate process, within limits; NULL: in this process. */
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
 * Threads: any, with libpcap 1.8 or later. Source: pcap_compile.
 */
CW_API int cw_filter_compile(struct cw_filter **filter, const char *expression,
			     const struct cw_filter_options *options, struct cw_error *error);

/* A filter from a classic BPF program (copies), verified first; -EINVAL names the instruction. */
CW_API int cw_filter_from_program(struct cw_filter **filter, const struct bpf_insn *instructions,
				  uint32_t count, struct cw_error *error);

/* What bpf_filter returns for the program: 0 = no match. `caplen` bytes are present, also none. */
CW_API uint32_t cw_filter_match(const struct cw_filter *filter, const uint8_t *data,
				uint32_t caplen, uint32_t wire_len);

/* Its instructions, *count of them (fills). The filter's. */
CW_API const struct bpf_insn *cw_filter_program(const struct cw_filter *filter, uint32_t *count);
/* Its expression; "" for one made of a program. The filter's. */
CW_API const char *cw_filter_expression(const struct cw_filter *filter);

/* How the classic BPF of a filter is printed: as tcpdump's -d, -dd and -ddd print it. */
enum cw_filter_program_format {
	CW_FILTER_PROGRAM_TEXT,         /* an assembler's line for each instruction */
	CW_FILTER_PROGRAM_INITIALIZERS, /* of a C array of struct bpf_insn */
	CW_FILTER_PROGRAM_NUMBERS,      /* the number of instructions, then four numbers each */
};

/* Print the filter's program to `file` (borrows). 0, or -EIO when the file is in error. Not from
 * several threads at once: libpcap makes the text in memory of its own. */
CW_API int cw_filter_print(const struct cw_filter *filter, FILE *file,
			   enum cw_filter_program_format format);

/* Accepts NULL. */
CW_API void cw_filter_free(struct cw_filter *filter);

/* Which ids matching with a set gives. */
enum cw_filter_mode {
	CW_FILTER_ALL,   /* every id that matches */
	CW_FILTER_FIRST, /* the lowest id that matches */
};

/* What evaluates a set; the result is the same. */
enum cw_filter_engine {
	CW_ENGINE_AUTO,       /* the fastest that can be had */
	CW_ENGINE_JIT,        /* one decision program, as machine code */
	CW_ENGINE_WALKER,     /* one decision program, interpreted */
	CW_ENGINE_SEQUENTIAL, /* our interpreter, one program after the other: the reference */
	CW_ENGINE_LIBPCAP,    /* libpcap's bpf_filter, one after the other: the oracle */
};

/* "auto", "jit", "walker", "sequential" or "libpcap". Static. */
CW_API const char *cw_filter_engine_name(enum cw_filter_engine engine);

/* How a set is made. */
struct cw_filter_set_options {
	struct cw_filter_options filter; /* for all of its expressions */
	enum cw_filter_mode mode;
	enum cw_filter_engine engine;
};

/* An empty set. 0 or -ENOMEM. */
CW_API int cw_filter_set_new(struct cw_filter_set **set,
			     const struct cw_filter_set_options *options, struct cw_error *error);

/*
 * Add an expression (borrows) under an id (at most CW_FILTER_ID_MAX), before the set is built.
 * Returns as cw_filter_compile, or -EEXIST for an id that is used.
 */
CW_API int cw_filter_set_add(struct cw_filter_set *set, uint32_t id, const char *expression,
			     struct cw_error *error);

/* Make it ready to match; once. Never fails for size. 0, -EINVAL or -ENOMEM. */
CW_API int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error);

/*
 * The ids that match one packet, ascending, into ids (fills; room for every id of the set, or for
 * one with CW_FILTER_FIRST). Returns their number.
 */
CW_API size_t cw_filter_set_match(const struct cw_filter_set *set, const struct cw_packet *packet,
				  uint32_t *ids);

/*
 * Match `count` packets: the ids of packet i are ids[ends[i-1]] .. ids[ends[i]-1] (ends[-1] = 0),
 * ascending. Stops before a packet whose ids might not fit into `ids_capacity`; room for one
 * packet's ids (cw_filter_set_size) is always enough to make progress. Malformed packets match
 * nothing. Returns the number of packets done.
 */
CW_API size_t cw_filter_set_match_burst(const struct cw_filter_set *set,
					const struct cw_packet *packets, size_t count,
					uint32_t *ids, size_t ids_capacity, uint32_t *ends);

/* Number of filters in the set. */
CW_API size_t cw_filter_set_size(const struct cw_filter_set *set);

/* Accepts NULL. */
CW_API void cw_filter_set_free(struct cw_filter_set *set);

CW_END_DECLS

#endif
