/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of options. The functions print nothing: they return 0; with `error`, -EINVAL for a wrong
 * value, or another negative errno. Any thread.
 */
#ifndef CW_TOOLS_OPTIONS_VALUES_H
#define CW_TOOLS_OPTIONS_VALUES_H

#include "core/base/error.h"
#include "tools/options/table.h"

struct cw_option_value {
	const char *text; /* NULL: the option has no value */
	bool is_setting;  /* from a rules file: messages call the option by its long name */
};

/* A count from `least` to `most`; `option` is its name in messages. */
int cw_option_number(const char *option, const char *text, uint64_t least, uint64_t most,
		     uint64_t *number, struct cw_error *error);

/* Stores the value in the row's field, which may borrow the text. */
int cw_option_take(struct cw_arguments *arguments, const struct cw_option_row *row,
		   const struct cw_option_value *value, struct cw_error *error);

/* The functions that rows name: dumpcap's -b and -a, -G, octal modes, 1/N, a power of two, a list
 * of files, a factor. */
int cw_option_take_ring(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_autostop(struct cw_arguments *arguments, const struct cw_option_row *row,
			    const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_period(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_mode(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_verify(struct cw_arguments *arguments, const struct cw_option_row *row,
			  const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_chunk(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_list(struct cw_arguments *arguments, const struct cw_option_row *row,
			const struct cw_option_value *value, struct cw_error *error);
int cw_option_take_speed(struct cw_arguments *arguments, const struct cw_option_row *row,
			 const struct cw_option_value *value, struct cw_error *error);

#endif
