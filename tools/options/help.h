/* SPDX-License-Identifier: BSD-3-Clause */
/* Help on a terminal: of the program, of a command, of a sub-command. */
#ifndef CW_TOOLS_OPTIONS_HELP_H
#define CW_TOOLS_OPTIONS_HELP_H

#include <stdio.h>

#include "tools/options/table.h"

/* The page, or that of the program if `page` is NULL; long: all options, examples, exit codes. */
void cw_help_print(FILE *file, const struct cw_command_text *page, bool is_long);

/* Says that no command has this name and which name may be meant; CW_EXIT_USAGE. */
int cw_help_refuse_command(const char *word);

#endif
