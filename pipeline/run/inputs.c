/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline/run/inputs.h"
#include "pipeline/run/run.h"

bool cw_inputs_have(const struct cw_inputs *inputs, uint64_t device, uint64_t inode)
{
	uint32_t index;

	for (index = 0; index < inputs->count; index++) {
		const struct cw_input *input = &inputs->at[index];

		if (input->has_identity && input->device == device && input->inode == inode)
			return true;
	}
	return false;
}

int cw_inputs_open(struct cw_inputs *inputs, uint32_t index, const struct cw_run *run,
		   struct cw_error *error)
{
	const struct cw_source_options options = {.window_bytes = run->options.sizes.window_bytes,
						  .wake_fd = run->wake_fd,
						  .input = (uint16_t)index,
						  .linktype = run->options.linktype};

	return cw_source_open(&inputs->at[index].source, inputs->at[index].path, &inputs->ifaces,
			      &options, error);
}
