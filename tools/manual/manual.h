/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table as the manual and the completions read it. */
#ifndef CW_TOOLS_MANUAL_MANUAL_H
#define CW_TOOLS_MANUAL_MANUAL_H

#include <stdio.h>
#include <string.h>

#include "tools/options/table.h"

#define CW_COMMAND_NAME_BYTES 32u

/* The command's name, the second word of its usage; into `name`, which is returned. */
static inline const char *cw_command_name(const struct cw_command_text *text,
					  char name[CW_COMMAND_NAME_BYTES])
{
	sscanf(text->usage, "capweir %31s", name);
	return name;
}

/* Whether the command's help shows the option. */
static inline bool cw_command_has(const struct cw_command_text *text,
				  const struct cw_option_row *row)
{
	return row->help && (row->commands & (unsigned)text->command);
}

#endif
