/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of options. Each function returns 0, or CW_EXIT_USAGE after a complaint. */
#ifndef CW_TOOLS_OPTIONS_VALUES_H
#define CW_TOOLS_OPTIONS_VALUES_H

#include "tools/options/table.h"

/* A count from `least` to `most`; `option` is its name in complaints. */
int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number);

/* Stores the value in the row's field; `text` is NULL without a value. Also CW_EXIT_PROBLEM. */
int cw_option_take(struct cw_arguments *arguments, const struct cw_option_row *row,
		   const char *text);

/* The functions that rows name: dumpcap's -b, -G, 1/N, a power of two, a list of files,
 * a factor. */
int cw_option_take_ring(struct cw_arguments *arguments, const struct cw_option_row *row,
			const char *text);
int cw_option_take_period(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const char *text);
int cw_option_take_verify(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const char *text);
int cw_option_take_chunk(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const char *text);
int cw_option_take_list(struct cw_arguments *arguments, const struct cw_option_row *row,
			const char *text);
int cw_option_take_speed(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const char *text);

#endif
