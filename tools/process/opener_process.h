/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that opens the files of a live capture (core/output/opener.h). */
#ifndef CW_TOOLS_PROCESS_OPENER_PROCESS_H
#define CW_TOOLS_PROCESS_OPENER_PROCESS_H

#include "core/output/opener_serve.h"

struct cw_opener_process {
	pid_t pid;
	int sockets[CW_OPENER_CHANNELS]; /* to ask on; the caller closes them, and it ends */
};

/*
 * Starts the process, which takes a copy of the table: the caller frees its own. It can open and
 * change nothing but files in the folders of the table. Needs one thread. Returns 0; or
 * CW_CONFINE_NO_LIST or CW_CONFINE_NO_LANDLOCK, if it is confined by its user and capabilities
 * alone in that respect, which `error` says; or a negative errno with `error`.
 */
int cw_opener_process_start(struct cw_opener_process *process, struct cw_opener *opener,
			    struct cw_error *error);

#endif
