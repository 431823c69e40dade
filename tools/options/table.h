/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of options: each stands here once, with its names, its help, the commands that have
 * it, what its value is and where that goes. Parsing (options.c), help, the manual and the shells'
 * completions are made from it.
 */
#ifndef CW_TOOLS_OPTIONS_TABLE_H
#define CW_TOOLS_OPTIONS_TABLE_H

#include "pipeline/rules/amount.h"
#include "tools/options/options.h"

#define CW_NOT_YET 0u /* an option of the design that this version does not have */

/* What the value is, and the type of the field that it goes to. */
enum cw_option_kind {
	CW_OPTION_NOTHING, /* accepted, changes nothing */
	CW_OPTION_HELP,
	CW_OPTION_FLAG,   /* bool */
	CW_OPTION_TALLY,  /* uint64_t: how often it was given */
	CW_OPTION_WORD,   /* const char * */
	CW_OPTION_WORDS,  /* struct cw_words: each time one more */
	CW_OPTION_CHOICE, /* int */
	CW_OPTION_AMOUNT, /* uint64_t */
	CW_OPTION_MS,     /* uint64_t: a time, in milliseconds */
	CW_OPTION_OWN,    /* the row's function takes it */
};

struct cw_option_row {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: takes none; "[=...": may be left out */
	const char *help;     /* NULL: not shown */
	unsigned commands;
	enum cw_option_kind kind;
	size_t to;           /* offset in struct cw_arguments */
	const char *choices; /* "one|other", of CHOICE; NULL: the argument says them */
	int first;           /* the first one's number */
	struct cw_amount amount;
	uint64_t preset;   /* of AMOUNT and MS where it is not given */
	size_t bench_list; /* 0, or offset of a const char *: bench takes several numbers */
	/* 0, or CW_EXIT_USAGE after a complaint. */
	int (*take)(struct cw_arguments *arguments, const struct cw_option_row *row,
		    const char *text);
};

struct cw_command_text {
	enum cw_command command;
	const char *usage;
	const char *what;
};

extern const struct cw_option_row cw_option_rows[];
extern const size_t cw_option_row_count;
#define CW_OPTION_ROWS_MAX 128u /* room for tables made of it */

extern const struct cw_command_text cw_command_texts[];
extern const size_t cw_command_text_count;

/* Whether its argument may be left out. */
static inline bool cw_option_is_optional(const struct cw_option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

#endif
