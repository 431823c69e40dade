/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters, and sets of filters that are matched together.
 *
 * A struct cw_filter is one expression in libpcap's filter language, compiled for one link type and
 * verified. A struct cw_filter_set holds many filters and matches them in one pass over a packet:
 * 1,000 filters cost about as much as two.
 *
 * Threads: a filter does not change once made, a set not once built. Any number of threads may
 * match with them at the same time.
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

#define CW_FILTER_INSTRUCTIONS_MAX 1000000u /* longest program accepted */
#define CW_FILTER_ID_MAX ((1u << 24) - 1)   /* largest id in a set */
#define CW_NETMASK_NONE UINT32_MAX          /* `ip broadcast` is 255.255.255.255 and 0.0.0.0 only */

/* ---- one filter ---- */

/* How an expression is compiled. */
struct cw_filter_options {
	uint32_t linktype;  /* LINKTYPE_ value */
	uint32_t snaplen;   /* snapshot length in bytes; 0: CW_CAPLEN_MAX */
	uint32_t netmask;   /* for `ip broadcast`, network byte order; 0: unknown, an error there;
			     * CW_NETMASK_NONE: as tcpdump */
	bool is_swapped;    /* the packets come from a file of the other byte order */
	bool unoptimized;   /* as tcpdump -O; matches truncated packets differently */
	bool resolve_names; /* look up host names, which can block */
	/* Separate process that compiles within limits (borrows); NULL: compile in this process. */
	struct cw_filter_compiler *compiler;
};

/* Warning: the expression compiles but can never match ("expression rejects all packets"). */
#define CW_FILTER_NEVER 1

/* Warning: optimising exceeded a limit of the compiler, so the program is not optimised. Truncated
 * packets match as with tcpdump -O. */
#define CW_FILTER_UNOPTIMIZED 2

/* Warning: libpcap's program reads scratch memory that it never set (`geneve and tcp or not
 * geneve`). Matching takes zeros there; with tcpdump the result is arbitrary. */
#define CW_FILTER_UNSET 3

/*
 * Compile an expression (borrows). The empty expression matches every packet. Fills *filter; free
 * it with cw_filter_free.
 *
 * Returns 0, or CW_FILTER_NEVER, CW_FILTER_UNOPTIMIZED or CW_FILTER_UNSET with a warning in the
 * error's text and code 0. Failures: -EINVAL with libpcap's reason, the expression and, if it can
 * be found, the first wrong token and its column; -EACCES for a host name without resolve_names;
 * -E2BIG for a program of more than CW_FILTER_INSTRUCTIONS_MAX; -ENOMEM. With a compiler also
 * -ETIMEDOUT, -E2BIG (memory) and -EFAULT (libpcap crashed) if both attempts fail, and -EIO if the
 * compiler process is gone, whatever the expression.
 *
 * Any thread, with libpcap 1.8 or later. Source: pcap_compile.
 */
CW_API int cw_filter_compile(struct cw_filter **filter, const char *expression,
			     const struct cw_filter_options *options, struct cw_error *error);

/*
 * Make a filter from `count` classic BPF instructions (copies), which are verified first. Fills
 * *filter; free it with cw_filter_free.
 *
 * Returns 0, -EINVAL with the number of the invalid instruction, -E2BIG or -ENOMEM. Any thread.
 */
CW_API int cw_filter_from_program(struct cw_filter **filter, const struct bpf_insn *instructions,
				  uint32_t count, struct cw_error *error);

/*
 * Match one packet: `caplen` bytes at data (borrows; caplen may be 0), `wire_len` on the wire.
 * Returns what bpf_filter returns for the program; 0: no match. Any thread.
 */
CW_API uint32_t cw_filter_match(const struct cw_filter *filter, const uint8_t *data,
				uint32_t caplen, uint32_t wire_len);

/* Returns the filter's instructions and fills their number; they belong to the filter. Any thread.
 */
CW_API const struct bpf_insn *cw_filter_program(const struct cw_filter *filter, uint32_t *count);

/* Returns the filter's expression, "" for a filter made from a program; it belongs to the filter.
 * Any thread. */
CW_API const char *cw_filter_expression(const struct cw_filter *filter);

/* How a filter's program is printed: the formats of tcpdump -d, -dd and -ddd. */
enum cw_filter_program_format {
	CW_FILTER_PROGRAM_TEXT,         /* a line of assembler an instruction */
	CW_FILTER_PROGRAM_INITIALIZERS, /* initialisers of a C array of struct bpf_insn */
	CW_FILTER_PROGRAM_NUMBERS,      /* number of instructions, then four numbers each */
};

/*
 * Print a filter's program to a file (borrows). Returns 0, or -EIO if the file is in error. One
 * thread at a time for the whole process: libpcap formats in static memory.
 */
CW_API int cw_filter_print(const struct cw_filter *filter, FILE *file,
			   enum cw_filter_program_format format);

/* Free a filter (takes; accepts NULL). */
CW_API void cw_filter_free(struct cw_filter *filter);

/* ---- sets of filters ---- */

/* Which matching ids a set returns. */
enum cw_filter_mode {
	CW_FILTER_ALL,   /* every matching id */
	CW_FILTER_FIRST, /* the lowest matching id */
};

/* Engines that match a set. All give the same result. */
enum cw_filter_engine {
	CW_ENGINE_AUTO,       /* the fastest engine available */
	CW_ENGINE_JIT,        /* one decision program for all filters, as machine code */
	CW_ENGINE_WALKER,     /* one decision program for all filters, interpreted */
	CW_ENGINE_SEQUENTIAL, /* capweir's interpreter, one filter after another */
	CW_ENGINE_LIBPCAP,    /* libpcap's bpf_filter, one filter after another */
};

/* Returns the engine's name: "auto", "jit", "walker", "sequential" or "libpcap" (static). Any
 * thread. */
CW_API const char *cw_filter_engine_name(enum cw_filter_engine engine);

/* How a set is made. */
struct cw_filter_set_options {
	struct cw_filter_options filter; /* for all expressions of the set */
	enum cw_filter_mode mode;        /* which matching ids to return */
	enum cw_filter_engine engine;    /* engine to match with */
};

/* Make an empty set (options: borrows). Fills *set; free it with cw_filter_set_free. Returns 0 or
 * -ENOMEM. */
CW_API int cw_filter_set_new(struct cw_filter_set **set,
			     const struct cw_filter_set_options *options, struct cw_error *error);

/*
 * Compile an expression (borrows) and add it under an id, at most CW_FILTER_ID_MAX, before the set
 * is built. Returns as cw_filter_compile, or -EEXIST for an id already in the set.
 */
CW_API int cw_filter_set_add(struct cw_filter_set *set, uint32_t id, const char *expression,
			     struct cw_error *error);

/* Build the set, once, after its last filter: from then on it matches and does not change. No set
 * is too large to build. Returns 0, -EINVAL or -ENOMEM. */
CW_API int cw_filter_set_build(struct cw_filter_set *set, struct cw_error *error);

/*
 * Match one packet (borrows) with a built set. Fills `ids` with the matching ids, ascending. `ids`
 * needs room for every id of the set, or for one with CW_FILTER_FIRST. Returns the number of ids.
 * Any thread.
 */
CW_API size_t cw_filter_set_match(const struct cw_filter_set *set, const struct cw_packet *packet,
				  uint32_t *ids);

/*
 * Match `count` packets (borrows) with a built set. Fills `ids` and `ends`: the ids of packet i,
 * ascending, are ids[ends[i-1]] to ids[ends[i] - 1], with 0 for ends[-1]. Malformed packets match
 * nothing.
 *
 * Stops before a packet whose ids might exceed `ids_capacity`; room for cw_filter_set_size ids is
 * always enough for one packet more. Returns the number of packets matched. Any thread.
 */
CW_API size_t cw_filter_set_match_burst(const struct cw_filter_set *set,
					const struct cw_packet *packets, size_t count,
					uint32_t *ids, size_t ids_capacity, uint32_t *ends);

/* Returns the number of filters in the set. */
CW_API size_t cw_filter_set_size(const struct cw_filter_set *set);

/* Free a set and its filters (takes; accepts NULL). */
CW_API void cw_filter_set_free(struct cw_filter_set *set);

CW_END_DECLS

#endif
