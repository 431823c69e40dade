/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of options: each stands here once, with its names, its help, the commands that have
 * it, what its value is and where that goes. Parsing (options.c), help (help.c), the manual and the
 * shells' completions are made from it and from the commands' texts (pages.c).
 */
#ifndef CW_TOOLS_OPTIONS_TABLE_H
#define CW_TOOLS_OPTIONS_TABLE_H

#include "pipeline/rules/amount.h"
#include "tools/options/options.h"

/*
 * Beside CW_BENCH, CW_INSPECT and CW_STATUS in a row's commands: the pages of help that show the
 * option. Parsing does not look at these bits.
 */
#define CW_BENCH_SPLIT (1u << 16)
#define CW_BENCH_CAPTURE (1u << 17)
#define CW_BENCH_RING (1u << 18)
#define CW_BENCH_WRITE (1u << 19)
#define CW_BENCH_FILTER (1u << 20)
#define CW_BENCH_DECODE (1u << 21)
#define CW_BENCH_LIMITS (1u << 22)
#define CW_INSPECT_FILES (1u << 23)
#define CW_INSPECT_FILTER (1u << 24)
#define CW_STATS (1u << 25)
#define CW_TOP (1u << 26)
#define CW_CONTROL (1u << 27)
#define CW_BENCH_SERIAL (1u << 28)

struct cw_error;
struct cw_option_value;

/* Topics, in the order of the help. */
enum cw_option_group {
	CW_GROUP_INPUT,
	CW_GROUP_RULES,
	CW_GROUP_OUTPUT,
	CW_GROUP_ROTATION,
	CW_GROUP_LIVE,
	CW_GROUP_WATCH,
	CW_GROUP_SEND,
	CW_GROUP_TRAFFIC,
	CW_GROUP_BENCH,
	CW_GROUP_PERFORMANCE,
	CW_GROUP_REPORT,
	CW_GROUPS
};

extern const char *const cw_option_group_names[CW_GROUPS];

/* Kind of a value, and the type of its field. */
enum cw_option_kind {
	CW_OPTION_NOTHING, /* accepted, changes nothing */
	CW_OPTION_HELP,
	CW_OPTION_FLAG,   /* bool */
	CW_OPTION_TALLY,  /* uint64_t: number of times */
	CW_OPTION_WORD,   /* const char * */
	CW_OPTION_WORDS,  /* struct cw_words: one for each time */
	CW_OPTION_CHOICE, /* int */
	CW_OPTION_AMOUNT, /* uint64_t */
	CW_OPTION_MS,     /* uint64_t: a time, in milliseconds */
	CW_OPTION_OWN,    /* the row's function reads the text */
};

struct cw_option_row {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: no value; "[=...": optional */
	enum cw_option_group group;
	unsigned commands; /* enum cw_command, and pages of help */
	const char *help;  /* one line, a verb first, without the default; NULL: not shown */
	enum cw_option_kind kind;
	size_t to;           /* offset in struct cw_arguments */
	const char *choices; /* "one|other"; NULL: the argument says them, if any */
	int first;           /* number of the first choice, of CHOICE */
	struct cw_amount amount;
	uint64_t preset;         /* of AMOUNT and MS */
	const char *preset_text; /* the default, for help; NULL: none */
	const char *more;        /* sentences for the long help; NULL: none */
	const char *habit;       /* advice to users of tcpdump's option; NULL: none */
	const char *fades;       /* end of a warning about "--name VALUE"; NULL: none */
	size_t alone;            /* with `fades`: offset of the bool that "--name" alone sets */
	unsigned unlisted;       /* commands that take the option and do not list it */
	bool is_common;          /* part of the short help */
	bool may_be_alone;       /* the letter without a number is tcpdump's, for printing */
	size_t bench_list;       /* 0, or the offset of bench's list, a const char * */
	/* Returns as cw_option_take. */
	int (*take)(struct cw_arguments *arguments, const struct cw_option_row *row,
		    const struct cw_option_value *value, struct cw_error *error);
};

/* Text of an option on one page. */
struct cw_option_text {
	const char *help;
	const char *more;        /* NULL: nothing */
	const char *preset_text; /* NULL: no default */
};

/* A page of help: a command, or a sub-command of one. */
struct cw_command_text {
	const char *name;     /* "split", "bench ring" */
	unsigned command;     /* enum cw_command */
	unsigned page;        /* bits that every row of the page has */
	const char *topic;    /* heading in the list of commands; NULL: a sub-command */
	const char *summary;  /* one line, a verb first */
	const char *usage;    /* lines that begin with "capweir" */
	const char *what;     /* sentences; a line break begins a paragraph */
	const char *words;    /* NULL, or lines "word\tmeaning" that may follow */
	const char *examples; /* lines "capweir ...", "# why" before them */
	const char *exits;    /* lines "number\twhen" */
};

extern const struct cw_option_row cw_option_rows[];
extern const size_t cw_option_row_count;
#define CW_OPTION_ROWS_MAX 128u /* size of tables made from the rows */

extern const struct cw_command_text cw_command_texts[];
extern const size_t cw_command_text_count;

/* Returns the page of a command, or of its sub-command if `sub_word` is one; NULL: none. */
const struct cw_command_text *cw_command_page(const char *word, const char *sub_word);

bool cw_option_belongs(const struct cw_option_row *row, const struct cw_command_text *page);

/* Fills `text` with the option's text on the page. */
void cw_option_text(const struct cw_option_row *row, const struct cw_command_text *page,
		    struct cw_option_text *text);

/* Returns the possible values, "one|other"; NULL: any value. */
const char *cw_option_choices(const struct cw_option_row *row);

/* Whether the option's value is optional. */
static inline bool cw_option_is_optional(const struct cw_option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

#endif
