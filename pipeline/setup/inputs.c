/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/setup/setup.h"

/* Inputs that stay open between check and reading; further inputs are reopened when read. */
#define INPUTS_OPEN_MAX 16u

int cw_setup_inputs(struct cw_run *run, struct cw_inputs *inputs, struct cw_error *error)
{
	uint32_t count = run->options.input_count;
	uint32_t good_count = 0;
	bool has_length = true;

	if (count == 0 || count > UINT16_MAX)
		return cw_error_set(error, -EINVAL, "cannot read %u inputs: give 1 to %u", count,
				    UINT16_MAX);
	inputs->at = calloc(count, sizeof(*inputs->at));
	if (!inputs->at)
		return cw_error_set(error, -ENOMEM, "no memory for %u inputs", count);
	inputs->count = count;
	for (uint32_t index = 0; index < count; index++) {
		struct cw_input *input = &inputs->at[index];

		input->path = run->options.inputs[index];
		if (cw_inputs_open(inputs, index, run, &input->error) < 0) {
			if (count > 1)
				cw_run_tell(run, CW_PROBLEM, "%s", input->error.text);
			if (!error->code)
				*error = input->error;
			continue;
		}
		good_count++;
		cw_source_info(input->source, &input->info);
		input->has_identity =
		    cw_source_identity(input->source, &input->device, &input->inode);
		if (input->info.snaplen > inputs->snaplen_max && input->info.snaplen <= INT32_MAX)
			inputs->snaplen_max = input->info.snaplen;
		has_length = has_length && input->has_identity;
		inputs->total_bytes += input->info.file_bytes;
		if (input->has_identity && index >= INPUTS_OPEN_MAX) {
			cw_source_close(input->source);
			input->source = NULL;
		}
	}
	if (!inputs->snaplen_max)
		inputs->snaplen_max = CW_CAPLEN_MAX;
	if (!has_length)
		inputs->total_bytes = 0;
	if (good_count == 0)
		return error->code == -EINVAL ? (error->code = -EIO) : error->code;
	*error = (struct cw_error){0};
	return 0;
}
