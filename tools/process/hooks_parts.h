/* SPDX-License-Identifier: BSD-3-Clause */
/* Protocol between the capture (hooks.c) and the process that runs hooks (hooks_runner.c). */
#ifndef CW_TOOLS_PROCESS_HOOKS_PARTS_H
#define CW_TOOLS_PROCESS_HOOKS_PARTS_H

#include <stdio.h>
#include <string.h>

#include "core/base/base.h"

struct cw_hooks_options;

/* A request is one message of NUL-terminated words: the rule's name, then the command. A message of
 * one empty word ends the requests; the reply to it is the number of failed hooks. Two empty words,
 * later, kill the hooks. */
#define CW_HOOKS_LAST ""
#define CW_HOOKS_KILL "\0"

/* Main function of the process that runs hooks; `fd` is its end of the socket pair. Its first
 * message is 0, or the negative errno of a failed start. */
_Noreturn void cw_hooks_main(int fd, const struct cw_hooks_options *options);

#endif
