/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline/run/inputs.h"
#include "pipeline/state.h"

bool cw_pipeline_is_input(const struct cw_pipeline *pipeline, uint64_t device, uint64_t inode)
{
	uint32_t index;

	for (index = 0; index < pipeline->input_count; index++) {
		const struct cw_input *input = &pipeline->inputs[index];

		if (input->has_identity && input->device == device && input->inode == inode)
			return true;
	}
	return false;
}

int cw_pipeline_open_input(struct cw_pipeline *pipeline, uint32_t index, struct cw_error *error)
{
	const struct cw_source_options options = {.window_bytes = pipeline->options.window_bytes,
						  .wake_fd = pipeline->wake_fd,
						  .input = (uint16_t)index,
						  .linktype = pipeline->options.linktype};

	return cw_source_open(&pipeline->inputs[index].source, pipeline->inputs[index].path,
			      &pipeline->ifaces, &options, error);
}
