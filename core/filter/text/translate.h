/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an expression to classic BPF: what this wing gives to the front, and what its files share.
 */
#ifndef CW_CORE_FILTER_TRANSLATE_H
#define CW_CORE_FILTER_TRANSLATE_H

#include <pcap/pcap.h>

#include "core/filter/filter_parts.h"

/* What libpcap makes of an expression: a program that nobody has verified yet. */
struct cw_translation {
	struct bpf_insn *program; /* owned */
	uint32_t count;
};

/*
 * The first half of cw_filter_compile: all of it that libpcap does, in this process. Fills
 * `translation` unless the result is negative. Returns as cw_filter_compile.
 */
int cw_filter_translate(const char *expression, const struct cw_filter_options *options,
			struct cw_translation *translation, struct cw_error *error);
void cw_translation_fini(struct cw_translation *translation); /* accepts a zeroed one */

/*
 * The error for an expression that libpcap refused with `message`: libpcap's words, and where they
 * are about if that can be found (compiles parts of the expression with `handle`).
 */
int cw_filter_report_refusal(pcap_t *handle, const char *expression, const char *message,
			     struct cw_error *error);

#endif
