/* SPDX-License-Identifier: BSD-3-Clause */
/* What options' values look like. Each returns 0, or CW_EXIT_USAGE after a complaint. */
#ifndef CW_TOOLS_OPTION_VALUES_H
#define CW_TOOLS_OPTION_VALUES_H

#include "pipeline/rules/amount.h"
#include "tools/options/options.h"

int cw_option_amount(const char *option, const char *text, const struct cw_amount *amount,
		     uint64_t *value);
int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number);

/* A size; `bare` bytes is what a bare 1 means. */
int cw_option_bytes(const char *option, const char *text, uint64_t bare, uint64_t least,
		    uint64_t most, uint64_t *bytes);

/* A time of at least a millisecond. */
int cw_option_ms(const char *option, const char *text, uint64_t bare_ns, uint64_t most_ms,
		 uint64_t *ms);

/* A positive factor, from 0.001 to a million. */
int cw_option_factor(const char *option, const char *text, double *factor);

/* -G and its likes: seconds that a file lasts, aligned or from its first packet on. */
int cw_option_period(struct cw_arguments *arguments, const char *option, const char *text,
		     bool is_aligned);

/* dumpcap's -b. */
int cw_option_ring(struct cw_arguments *arguments, const char *text);

/* What --verify-filters may be given: one packet in N. NULL: it was not. */
int cw_option_verify(const char *text, uint64_t *every);

/* auto, on or off, as enum cw_direct_mode. */
int cw_option_direct(const char *text, int *mode);

/* 1 for the first word, 2 for the second. */
int cw_option_choose(const char *option, const char *text, const char *first, const char *second,
		     int *choice);

#endif
