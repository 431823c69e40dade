/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two processes of the hooks share: hooks.c asks, hooks_runner.c runs. */
#ifndef CW_TOOLS_PROCESS_HOOKS_PARTS_H
#define CW_TOOLS_PROCESS_HOOKS_PARTS_H

#include <stdio.h>
#include <string.h>

#include "core/base/base.h"

struct cw_hooks_options;

/* A request is a message of words, each with its NUL: the rule's name, then the command's. This
 * one, of an empty name and no more, is the last. The answer to it is how many failed. */
#define CW_HOOKS_LAST ""

/* Be the process that runs hooks, with its end of the sockets; the first message it sends is 0 or
 * the negative errno for which it cannot. */
_Noreturn void cw_hooks_main(int fd, const struct cw_hooks_options *options);

#endif
