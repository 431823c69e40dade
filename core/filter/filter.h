/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters and sets of them: capweir/filter.h, and what the rest of capweir asks of them beside.
 */
#ifndef CW_CORE_FILTER_FILTER_H
#define CW_CORE_FILTER_FILTER_H

#include <capweir/filter.h>

#include "core/base/error.h"
#include "core/packet/packet.h"

struct cw_bpf;

/* cw_filter_match by libpcap's own bpf_filter: what it is checked against. But for programs with
 * loops (protochain), which that may never come back from: these are cw_filter_match's. */
uint32_t cw_filter_match_libpcap(const struct cw_filter *filter, const uint8_t *data,
				 uint32_t caplen, uint32_t wire_len);

/* The program that the kernel may run for a filter; as cw_bpf_for_kernel (bpf/bpf.h). */
int cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
			     uint32_t *count);

/* The filter's verified program, in the form that bpf/ and passes/ take. */
const struct cw_bpf *cw_filter_bpf(const struct cw_filter *filter);

/* Memory that a filter holds. */
size_t cw_filter_bytes(const struct cw_filter *filter);

/* As cw_filter_set_add, with a compiled filter (takes it when it succeeds). */
int cw_filter_set_add_filter(struct cw_filter_set *set, uint32_t id, struct cw_filter *filter,
			     struct cw_error *error);

/* As cw_filter_set_match, by libpcap's bpf_filter, one filter after the other, whatever the set's
 * engine: what the engines are checked against. */
size_t cw_filter_set_match_libpcap(const struct cw_filter_set *set, const struct cw_packet *packet,
				   uint32_t *ids);

/* What building made of the set. */
struct cw_filter_set_stats {
	enum cw_filter_engine engine; /* of most filters; never AUTO */
	size_t joint_count;           /* filters in decision programs */
	size_t apart_count;           /* filters run on their own */
	size_t loop_count;            /* of these: with loops (protochain) */
	size_t over_budget_count;     /* of these: too large to be joined */
	size_t program_count;     /* decision programs; more than one where a budget forced it */
	size_t step_count;        /* their nodes */
	size_t bytes;             /* memory that the set holds, all of it */
	size_t joint_bytes;       /* of that: decision programs, with code and ids */
	size_t code_bytes;        /* of that: x86-64 code */
	bool is_code_over_budget; /* some programs are walked as their code is too large */
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
 * core/filter/FILTERS.md explains them; the text forms then tell which engine each filter got and
 * the set's statistics. Returns 0, -ENOMEM, or -EIO when the file is in error.
 */
int cw_filter_set_print(const struct cw_filter_set *set, FILE *file,
			enum cw_filter_set_format format);

#endif
