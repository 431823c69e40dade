/* SPDX-License-Identifier: BSD-3-Clause */
/* The folders where a run creates files, and the pipes and device files that it writes to. */
#ifndef CW_TOOLS_REQUEST_FOLDERS_H
#define CW_TOOLS_REQUEST_FOLDERS_H

#include <stdint.h>

#include "core/base/error.h"

struct cw_pipeline_options;

struct cw_folders {
	char **at;
	uint32_t count;
};

/* Fills the list, each name once. Folders whose names depend on packets are omitted. Returns 0 or
 * -ENOMEM. */
int cw_folders_find(struct cw_folders *folders, const struct cw_pipeline_options *options);
/* Returns 0 if this process can create files in all of them, or a negative errno with `error`. */
int cw_folders_check(const struct cw_folders *folders, struct cw_error *error);
void cw_folders_fini(struct cw_folders *folders);

#endif
