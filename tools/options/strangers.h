/* SPDX-License-Identifier: BSD-3-Clause */
/* What to say of options that capweir does not have or that do not fit the command. */
#ifndef CW_TOOLS_OPTIONS_STRANGERS_H
#define CW_TOOLS_OPTIONS_STRANGERS_H

#include "tools/options/table.h"

#define CW_SPELLING_BYTES 40u

/* An option of tcpdump that has another name here. */
struct cw_option_alias {
	char letter;       /* 0: none */
	const char *name;  /* NULL: none */
	const char *of;    /* long name of the row */
	const char *value; /* NULL: the given one, if any; "theirs=ours ...": a translation */
};

extern const struct cw_option_alias cw_option_aliases[];
extern const size_t cw_option_alias_count;
#define CW_OPTION_ALIASES_MAX 32u /* size of tables made from the aliases */

/* Returns the row that the alias stands for. */
const struct cw_option_row *cw_option_of_alias(const struct cw_option_alias *alias);

bool cw_option_alias_has_value(const struct cw_option_alias *alias);

/* Returns the row's value for the given one (NULL: none); may fill `text`. */
const char *cw_option_alias_value(const struct cw_option_alias *alias, const char *given,
				  char text[CW_SPELLING_BYTES]);

/* An option as the user wrote it: "-r" or "--read"; fills `text` and returns it. */
const char *cw_option_spell(const struct cw_option_row *row, bool is_long,
			    char text[CW_SPELLING_BYTES]);

/* Whether the word is the name of a capture file, so neither an expression nor a command. */
bool cw_is_capture_name(const char *word);

/* All complain and return CW_EXIT_USAGE. `page`: of the command, or NULL on tcpdump's line. */
int cw_option_refuse_letter(char letter, const struct cw_command_text *page);
int cw_option_refuse_name(const char *word, unsigned command, const struct cw_command_text *page);
int cw_option_refuse_other(const struct cw_option_row *row, bool is_long,
			   const struct cw_command_text *page);

/* The value is missing, or is `eaten`, an option. */
int cw_option_refuse_value(const struct cw_option_row *row, bool is_long, const char *eaten);

#endif
