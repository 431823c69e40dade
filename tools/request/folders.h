/* SPDX-License-Identifier: BSD-3-Clause */
/* Which folders a run will make files in, and which pipes and devices it will write to. */
#ifndef CW_TOOLS_REQUEST_FOLDERS_H
#define CW_TOOLS_REQUEST_FOLDERS_H

#include <stdint.h>

#include "core/base/error.h"

struct cw_pipeline_options;

struct cw_folders {
	char **at;
	uint32_t count;
};

/* Each once, as far as names tell; those with packets' times or names in them are left out. 0 or
 * -ENOMEM. */
int cw_folders_find(struct cw_folders *folders, const struct cw_pipeline_options *options);
/* Whether this process can make files in all of them: 0; or a negative errno, and `error` says of
 * which. */
int cw_folders_check(const struct cw_folders *folders, struct cw_error *error);
void cw_folders_fini(struct cw_folders *folders);

#endif
