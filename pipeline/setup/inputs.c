/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/run/inputs.h"
#include "pipeline/run/run.h"
#include "pipeline/setup/setup.h"
#include "pipeline/state.h"

/* Inputs are kept open from check to reading up to here; more are opened again when it is time. */
#define INPUTS_OPEN_MAX 16u

int cw_setup_inputs(struct cw_pipeline *pipeline, struct cw_error *error)
{
	uint32_t count = pipeline->options.input_count;
	uint32_t good_count = 0;
	bool has_length = true;
	uint32_t index;

	if (count == 0 || count > UINT16_MAX)
		return cw_error_set(error, -EINVAL, "%u inputs; 1 to %u are possible", count,
				    UINT16_MAX);
	pipeline->inputs = calloc(count, sizeof(*pipeline->inputs));
	if (!pipeline->inputs)
		return cw_error_set(error, -ENOMEM, "no memory for %u inputs", count);
	pipeline->input_count = count;
	for (index = 0; index < count; index++) {
		struct cw_input *input = &pipeline->inputs[index];

		input->path = pipeline->options.inputs[index];
		if (cw_pipeline_open_input(pipeline, index, &input->error) < 0) {
			if (count > 1)
				cw_pipeline_tell(pipeline, CW_PROBLEM, "%s", input->error.text);
			if (!error->code)
				*error = input->error;
			continue;
		}
		good_count++;
		cw_source_info(input->source, &input->info);
		input->has_identity =
		    cw_source_identity(input->source, &input->device, &input->inode);
		if (input->info.snaplen > pipeline->snaplen_max && input->info.snaplen <= INT32_MAX)
			pipeline->snaplen_max = input->info.snaplen;
		has_length = has_length && input->has_identity;
		pipeline->total_bytes += input->info.file_bytes;
		if (input->has_identity && index >= INPUTS_OPEN_MAX) {
			cw_source_close(input->source);
			input->source = NULL;
		}
	}
	if (!pipeline->snaplen_max)
		pipeline->snaplen_max = CW_CAPLEN_MAX;
	if (!has_length)
		pipeline->total_bytes = 0;
	if (good_count == 0)
		return error->code == -EINVAL ? (error->code = -EIO) : error->code;
	*error = (struct cw_error){0};
	return 0;
}
