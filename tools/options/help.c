/* SPDX-License-Identifier: BSD-3-Clause */
/* What --help prints: the command's text, and its rows of the table. */
#include "tools/options/table.h"

static void print_row(FILE *file, const struct cw_option_row *row)
{
	char left[64];

	if (row->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", row->letter, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", row->name,
			 row->argument && !cw_option_is_optional(row) ? " " : "",
			 row->argument ? row->argument : "");
	fprintf(file, "  %-28s %s\n", left, row->help);
}

void cw_options_help(FILE *file, enum cw_command command)
{
	for (size_t index = 0; index < cw_command_text_count; index++) {
		if (cw_command_texts[index].command & command)
			fprintf(file, "usage: %s\n\n%s\n\n", cw_command_texts[index].usage,
				cw_command_texts[index].what);
	}
	for (size_t index = 0; index < cw_option_row_count; index++) {
		if ((cw_option_rows[index].commands & (unsigned)command) &&
		    cw_option_rows[index].help)
			print_row(file, &cw_option_rows[index]);
	}
}
