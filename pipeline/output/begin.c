/* SPDX-License-Identifier: BSD-3-Clause */
/* Where an output's file begins: its name and its record. The turn. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/output/outputs.h"

struct cw_file *cw_output_new_file(struct cw_outputs *outputs, struct cw_output *output,
				   const struct cw_iface *iface, uint64_t ts_ns)
{
	const struct cw_template_values values = {.rule = output->rule->name,
						  .iface = iface ? iface->name : NULL,
						  .seq = output->turn.file_count,
						  .ts_ns = ts_ns,
						  .is_utc = outputs->run->options.output.is_utc};
	const struct cw_outfile_options options = {
	    .no_clobber = outputs->run->options.output.no_clobber,
	    .sync = outputs->run->options.output.sync,
	    .standard_output = outputs->run->options.output.standard_output,
	    .direct = output->name->is_zst ? NULL : outputs->direct_share,
	    .pack = output->name->is_zst ? outputs->pack : NULL,
	    .wake_fd = outputs->run->abort_fd,
	};
	char path[CW_TEMPLATE_PATH_BYTES];
	struct cw_file *file = calloc(1, sizeof(*file));
	int result;

	if (!file)
		goto no_memory;
	if (output->name->is_zst && !outputs->pack) {
		cw_output_fail(output, -EINVAL, false,
			       "the run was not set up for compressed outputs");
		free(file);
		return NULL;
	}
	result = cw_template_expand(output->name, &values, path);
	if (result < 0) {
		cw_output_fail(output, result, output->turn.file_count > 0,
			       "the file's name is too long");
		free(file);
		return NULL;
	}
	file->path = output->name->is_stdout ? strdup(path)
							 : cw_names_claim(&outputs->names, path);
	if (!file->path || cw_outfile_new(&file->outfile, file->path, &options) < 0)
		goto no_memory;
	file->is_rotation = output->turn.file_count > 0;
	if (output->turn.files_last)
		output->turn.files_last->turn.next = file;
	else
		output->turn.files_first = file;
	output->turn.files_last = file;
	if (!output->turn.kept_first)
		output->turn.kept_first = file;
	output->turn.file_count++;
	return file;
no_memory:
	cw_output_fail(output, -ENOMEM, output->turn.file_count > 0,
		       "no memory for the file's name");
	if (file)
		free(file->path);
	free(file);
	return NULL;
}

uint32_t cw_output_snaplen_field(const struct cw_outputs *outputs, const struct cw_output *output)
{
	return output->snaplen != UINT32_MAX ? output->snaplen : outputs->inputs->snaplen_max;
}
