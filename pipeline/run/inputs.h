/* SPDX-License-Identifier: BSD-3-Clause */
/* The inputs of a run: capture files and pipes, or the devices of a live one. */
#ifndef CW_PIPELINE_INPUTS_H
#define CW_PIPELINE_INPUTS_H

#include "core/source/source.h"

struct cw_run;

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

struct cw_inputs {
	/* constant after start */
	struct cw_input *at;
	uint32_t count;
	uint32_t snaplen_max; /* for file headers */
	uint64_t total_bytes; /* 0: unknown */
	/* shared */
	struct cw_ifaces ifaces; /* appended to by who opens an input */
	/* progress, from the capture thread; its readers are sequentially consistent */
	_Atomic uint64_t read_bytes;
};

/* Whether a regular file with this identity is one of the inputs. */
bool cw_inputs_have(const struct cw_inputs *inputs, uint64_t device, uint64_t inode);

/* Open the input's source; start-up and the capture thread. */
int cw_inputs_open(struct cw_inputs *inputs, uint32_t index, const struct cw_run *run,
		   struct cw_error *error);

#endif
