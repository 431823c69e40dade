/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an expression to classic BPF, by libpcap in this process; compiler.h uses another process.
 */
#ifndef CW_CORE_FILTER_TEXT_TRANSLATE_H
#define CW_CORE_FILTER_TEXT_TRANSLATE_H

#include <pcap/pcap.h>

#include "core/filter/bpf/bpf.h"

/*
 * The first half of cw_filter_compile, done by libpcap in this process. Fills `translation`, an
 * unverified program, unless the result is negative. Returns as cw_filter_compile.
 */
int cw_filter_translate(const char *expression, const struct cw_filter_options *options,
			struct cw_bpf *translation, struct cw_error *error);

/*
 * The error for an expression that libpcap refused with `message`: libpcap's words and, if it can
 * be found, the token that they are about (compiles parts of the expression with `handle`).
 */
int cw_filter_report_refusal(pcap_t *handle, const char *expression, const char *message,
			     struct cw_error *error);

/*
 * Replace the error of a refused expression that looks like a Wireshark display filter by one that
 * says so and shows the capture filter. Returns `code`, the refusal's, either way.
 */
int cw_filter_report_display(const char *expression, int code, struct cw_error *error);

#endif
