/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters and sets of filters: capweir/filter.h, and further calls for the rest of capweir.
 */
#ifndef CW_CORE_FILTER_FILTER_H
#define CW_CORE_FILTER_FILTER_H

#include <capweir/filter.h>

#include "core/base/error.h"
#include "core/packet/packet.h"

struct cw_bpf;

/* As cw_filter_match, by libpcap's bpf_filter, for comparison. Programs with loops (protochain) and
 * programs that read unset memory run in cw_filter_match: bpf_filter may never return from the
 * former, and its result for the latter is arbitrary. */
uint32_t cw_filter_match_libpcap(const struct cw_filter *filter, const uint8_t *data,
				 uint32_t caplen, uint32_t wire_len);

/* Make the program that the kernel may run for a filter; as cw_bpf_for_kernel (bpf/bpf.h). */
int cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
			     uint32_t *count);

/* How many bytes of a packet decide the result; UINT32_MAX: all. As cw_bpf_reach (bpf/bpf.h). */
uint32_t cw_filter_reach(const struct cw_filter *filter);
uint32_t cw_filter_set_reach(const struct cw_filter_set *set); /* the largest of its filters */

/* The filter's verified program, in the form for bpf/ and passes/. */
const struct cw_bpf *cw_filter_bpf(const struct cw_filter *filter);

/* Bytes of memory that a filter holds. */
size_t cw_filter_bytes(const struct cw_filter *filter);

/* As cw_filter_set_add, with a compiled filter (takes it on success). */
int cw_filter_set_add_filter(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter,
			     struct cw_error *error);

/* As cw_filter_set_match, by libpcap's bpf_filter, one filter after the other, with any engine of
 * the set: the reference that engines are compared with. */
size_t cw_filter_set_match_libpcap(const struct cw_filter_set *set, const struct cw_packet *packet,
				   uint32_t *ids);

/* Whether the matches of a packet fit a word: a set of at most 64 filters. */
bool cw_filter_set_has_bits(const struct cw_filter_set *set);

/*
 * As cw_filter_set_match_burst, for a set that has bits. Fills a word for each of the `count`
 * packets: bit i is the filter with the i-th smallest id. With CW_FILTER_FIRST, only the lowest bit
 * is set. Cheaper than ids: most sets answer in bits.
 */
void cw_filter_set_match_bits(const struct cw_filter_set *set, const struct cw_packet *packets,
			      size_t count, uint64_t *bits);

/* Result of building a set. */
struct cw_filter_set_stats {
	enum cw_filter_engine engine; /* of most filters; never AUTO */
	size_t joint_count;           /* filters in decision programs */
	size_t apart_count;           /* filters run separately */
	size_t loop_count;            /* separate filters with loops (protochain) */
	size_t over_budget_count;     /* separate filters too large to be joined */
	size_t program_count;         /* decision programs; more than one if a budget forced it */
	size_t step_count;            /* nodes of the decision programs */
	size_t bytes;                 /* all memory of the set */
	size_t joint_bytes;           /* part of bytes: decision programs, with code and ids */
	size_t code_bytes;            /* part of joint_bytes: x86-64 code */
	bool is_code_over_budget;     /* some programs are walked because their code is too large */
	uint64_t build_ns;
};

void cw_filter_set_stats(const struct cw_filter_set *set, struct cw_filter_set_stats *stats);

/* The engine that runs the filter of this id; AUTO for an id that is not in the set. */
enum cw_filter_engine cw_filter_set_engine(const struct cw_filter_set *set, uint32_t id);

enum cw_filter_set_format {
	CW_FILTER_SET_TEXT, /* for people; long tables and lists end with "and N more" */
	CW_FILTER_SET_FULL, /* the same, complete */
	CW_FILTER_SET_DOT,  /* a graph for Graphviz; labels are shortened */
};

/*
 * Print a built set to `file` (borrows): its decision programs, node by node, as
 * core/filter/FILTERS.md explains them; in the text forms then the engine of each filter and the
 * set's statistics. Returns 0, -ENOMEM, or -EIO if the file is in error.
 */
int cw_filter_set_print(const struct cw_filter_set *set, FILE *file,
			enum cw_filter_set_format format);

#endif
