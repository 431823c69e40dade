/* SPDX-License-Identifier: BSD-3-Clause */
/* What options' values look like. Each returns 0, or CW_EXIT_USAGE after a complaint. */
#ifndef CW_TOOLS_OPTION_VALUES_H
#define CW_TOOLS_OPTION_VALUES_H

#include "tools/options/options.h"

int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number);
int cw_option_bytes(const char *option, const char *text, uint64_t least, uint64_t most,
		    uint64_t *bytes);

/* A positive number of seconds, with a fraction or without. */
int cw_option_seconds(const char *option, const char *text, uint64_t most_ms, uint64_t *ms);

/* A positive factor, from 0.001 to a million. */
int cw_option_factor(const char *option, const char *text, double *factor);

/* tcpdump's -C: a number of millions of bytes, or with k, m or g of KiB, MiB or GiB. */
int cw_option_file_size(const char *text, uint64_t *bytes);

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
