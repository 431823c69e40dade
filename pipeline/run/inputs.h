/* SPDX-License-Identifier: BSD-3-Clause */
/* The inputs of a run: capture files and pipes, or the devices of a live one. */
#ifndef CW_PIPELINE_INPUTS_H
#define CW_PIPELINE_INPUTS_H

#include "core/source/source.h"

struct cw_pipeline;

struct cw_input {
	/* constant after start */
	const char *path;
	uint64_t device, inode;
	bool has_identity;
	/* owner: the capture thread */
	struct cw_source *source; /* NULL: closed again after its header was checked */
	struct cw_source_info info;
	struct cw_error error; /* code 0: read to its end */
	/* owner: the turn */
	uint64_t packets;
	uint64_t bytes; /* captured */
	bool was_truncated;
};

/* Whether a regular file with this identity is one of the inputs. */
bool cw_pipeline_is_input(const struct cw_pipeline *pipeline, uint64_t device, uint64_t inode);

/* Open the input's source; start-up and the capture thread. */
int cw_pipeline_open_input(struct cw_pipeline *pipeline, uint32_t index, struct cw_error *error);

#endif
