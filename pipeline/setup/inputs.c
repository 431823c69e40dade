/* SPDX-License-Identifier: BSD-3-Clause */
/* The inputs of a request: regular files are opened and checked first, streams in their turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/setup/setup.h"

/* Inputs that stay open between check and reading; further inputs are reopened when read. */
#define INPUTS_OPEN_MAX 16u

/* Returns whether opening the input may wait for its sender: a pipe or a device file. */
static bool is_stream(const char *path)
{
	struct stat status;
	int result = strcmp(path, "-") ? stat(path, &status) : fstat(STDIN_FILENO, &status);

	return !result && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

/* Takes what the headers of an opened input say. */
static void take_info(struct cw_inputs *inputs, struct cw_input *input)
{
	cw_source_info(input->source, &input->info);
	input->has_identity = cw_source_identity(input->source, &input->device, &input->inode);
	inputs->has_ns |= input->info.has_ns;
	if (input->info.limit > inputs->snaplen_max)
		inputs->snaplen_max = input->info.limit;
	inputs->total_bytes += input->info.file_bytes;
}

int cw_setup_inputs(struct cw_run *run, struct cw_inputs *inputs, struct cw_error *error)
{
	uint32_t count = run->options.input_count;
	uint32_t good_count = 0;
	bool has_length = true, has_limit = true;
	uint32_t first;

	if (count == 0 || count > UINT16_MAX)
		return cw_error_set(error, -EINVAL, "cannot read %u inputs: give 1 to %u", count,
				    UINT16_MAX);
	inputs->at = calloc(count, sizeof(*inputs->at));
	if (!inputs->at)
		return cw_error_set(error, -ENOMEM, "no memory for %u inputs", count);
	inputs->count = count;
	/* The turn of the first input is now; if it is a stream, the files are checked before. */
	first = is_stream(run->options.inputs[0]) ? 1 : 0;
	for (uint32_t number = first; number < first + count; number++) {
		uint32_t index = number % count;
		struct cw_input *input = &inputs->at[index];

		input->path = run->options.inputs[index];
		if (index && is_stream(input->path)) {
			inputs->stream_last = index;
			has_length = has_limit = false;
			good_count++;
			continue;
		}
		if (cw_inputs_open(inputs, index, run, &input->error) < 0) {
			if (count > 1)
				cw_run_tell(run, CW_PROBLEM, "%s", input->error.text);
			if (!error->code)
				*error = input->error;
			continue;
		}
		good_count++;
		take_info(inputs, input);
		has_limit = has_limit && input->info.limit;
		has_length = has_length && input->has_identity;
		if (input->has_identity && index >= INPUTS_OPEN_MAX) {
			cw_source_close(input->source);
			input->source = NULL;
		}
	}
	if (!has_limit)
		inputs->snaplen_max = 0;
	if (!has_length)
		inputs->total_bytes = 0;
	if (good_count == 0)
		return error->code == -EINVAL ? (error->code = -EIO) : error->code;
	*error = (struct cw_error){0};
	return 0;
}
