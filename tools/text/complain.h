/* SPDX-License-Identifier: BSD-3-Clause */
/* How a command says that something is wrong: in words, and as its exit status. */
#ifndef CW_TOOLS_TEXT_COMPLAIN_H
#define CW_TOOLS_TEXT_COMPLAIN_H

#define CW_EXIT_COMPLETE 0
#define CW_EXIT_PROBLEM 1 /* runtime error or loss */
#define CW_EXIT_USAGE 2   /* usage, rules or filter error: nothing was written */
#define CW_EXIT_DROPS 3   /* more kernel drops than --max-drop */
#define CW_EXIT_STOPPED 130

/* "capweir: " and the text, on stderr. */
void cw_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Likewise, as what a command ends with: a runtime error, or a request that cannot be met. */
#define cw_fail(...) (cw_complain(__VA_ARGS__), CW_EXIT_PROBLEM)
#define cw_refuse(...) (cw_complain(__VA_ARGS__), CW_EXIT_USAGE)

/* Says "no memory"; CW_EXIT_PROBLEM. */
int cw_complain_no_memory(void);

/* Everything printed is written: CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after a complaint. */
int cw_flush_output(void);

#endif
