/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text on terminals, error messages and exit statuses of all commands. Names of files, interfaces
 * and rules come from anywhere: the functions here replace their control characters, and invalid
 * UTF-8, by "?". A newline is printed if the format has it, and before the indented lines of an
 * explained filter. Nothing else prints text that is not constant.
 */
#ifndef CW_TOOLS_TEXT_COMPLAIN_H
#define CW_TOOLS_TEXT_COMPLAIN_H

#include <stdio.h>

#define CW_EXIT_COMPLETE 0
#define CW_EXIT_PROBLEM 1   /* runtime error or loss */
#define CW_EXIT_USAGE 2     /* usage, rules or filter error: nothing was written */
#define CW_EXIT_DROPS 3     /* more kernel drops than --max-drop */
#define CW_EXIT_STOPPED 130 /* ended by a signal */

#define CW_CLEAR_LINE "\r\033[K" /* removes an unfinished progress line */

/* Prints on stdout or stderr. */
void cw_print(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "capweir: ", the text and a newline on stderr. */
void cw_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Gives the texts of cw_complain to `take` instead; NULL: prints them again. For one thread. */
void cw_complain_to(void (*take)(void *context, const char *text), void *context);

/* As cw_complain, in place of an unfinished progress line. */
void cw_complain_over_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print a message as cw_complain does; the value is the exit status. */
#define cw_fail(...) (cw_complain(__VA_ARGS__), CW_EXIT_PROBLEM)
#define cw_refuse(...) (cw_complain(__VA_ARGS__), CW_EXIT_USAGE)

/* Reports that memory ran out; returns CW_EXIT_PROBLEM. */
int cw_complain_no_memory(void);

/* Returns CW_EXIT_PROBLEM if text on stderr could not be written since clearerr(), else
 * CW_EXIT_COMPLETE, also if the user closed stderr (2>&-): main holds its number read-only. */
int cw_check_messages(void);

/* Flushes stdout; returns CW_EXIT_COMPLETE, or CW_EXIT_PROBLEM after a message. */
int cw_flush_output(void);

#endif
