/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals of a process that serves another one. */
#ifndef CW_CORE_BASE_SIGNALS_H
#define CW_CORE_BASE_SIGNALS_H

#include <signal.h>

#include "core/base/base.h"

#define CW_SIGNAL_COUNT 64

/*
 * Ignores every signal but faults, SIGCHLD and those that cannot be ignored, and blocks none. For a
 * new process: a signal to its process group, or to everybody, is for the process that it serves.
 */
static inline void cw_signals_ignore(void)
{
	static const int kept[] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
				   SIGABRT, SIGTRAP, SIGSYS, SIGCHLD};
	sigset_t none;

	for (int number = 1; number <= CW_SIGNAL_COUNT; number++)
		signal(number, SIG_IGN); /* fails for signals that cannot be handled */
	for (size_t index = 0; index < CW_ARRAY_COUNT(kept); index++)
		signal(kept[index], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

#endif
