/* SPDX-License-Identifier: BSD-3-Clause */
/* The results of one output: its files, and where each packet that its rule matched went. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/report/past.h"

/* Fills the records that reached files and pipes, and the list of files. */
static int report_files(const struct cw_output *output, struct cw_report_rule *report,
			struct cw_books *books)
{
	const struct cw_file *file;

	report->files = calloc((size_t)output->turn.file_count + 1, sizeof(*report->files));
	if (!report->files)
		return -ENOMEM;
	report->written = report->expired = books->expired = output->spent.records;
	report->bytes = output->spent.bytes;
	report->expired_files = (uint32_t)output->spent.files;
	for (file = output->turn.files_first; file; file = file->turn.next) {
		bool is_regular = file->cache.is_regular;

		if (file->is_adopted)
			continue;
		if (file->writer.is_unnamed)
			report->lost[file->is_rotation ? CW_LOSS_ROTATE : CW_LOSS_IO_ERROR] +=
			    file->writer.anchor.records;
		if (!cw_outfile_was_created(file->outfile) ||
		    (is_regular && !file->writer.is_published))
			continue;
		report->written += file->writer.anchor.records;
		report->bytes += file->writer.anchor.bytes;
		if (file->writer.is_expired) {
			books->expired += file->writer.anchor.records;
			report->expired += file->writer.anchor.records;
			report->expired_files++;
			continue;
		}
		report->file_bytes += cw_outfile_file_bytes(file->outfile);
		if (is_regular)
			books->in_files += file->writer.anchor.records;
		else
			books->sent_to_pipe += file->writer.anchor.records;
		report->files[report->file_count] = strdup(file->path);
		if (!report->files[report->file_count])
			return -ENOMEM;
		report->file_count++;
	}
	return 0;
}

/* Fills the rule's error if a complete file lacks something. 0 or -ENOMEM. */
static int report_flaw(const struct cw_output *output, struct cw_report_rule *report)
{
	const struct cw_file *file = output->turn.files_first;
	int result;

	while (file && !file->writer.is_unnamed && !cw_outfile_flaw(file->outfile))
		file = file->turn.next;
	if (!file)
		return 0;
	if (file->writer.is_unnamed)
		result =
		    asprintf(&report->error, "something is in the way of %s: its packets are in %s",
			     file->path, cw_outfile_part_path(file->outfile));
	else
		result = asprintf(&report->error, "%s is complete, but %s", file->path,
				  cw_outfile_flaw(file->outfile));
	if (result >= 0)
		return 0;
	report->error = NULL;
	return -ENOMEM;
}

int cw_report_output(const struct cw_output *output, struct cw_report_rule *report,
		     struct cw_books *books)
{
	uint64_t explained;

	*books = (struct cw_books){0};
	*report = (struct cw_report_rule){.rule = output->rule, .matched = output->turn.matched};
	if (report_files(output, report, books) < 0)
		goto no_memory;
	report->timestamps_truncated = output->odd.timestamps_truncated;
	report->other_fcs = output->odd.other_fcs;
	report->early = output->odd.early;
	report->truncated = output->odd.truncated;
	explained = report->written;
	for (uint32_t cause = 0; cause < CW_LOSS_COUNT; cause++) {
		report->lost[cause] += output->turn.lost[cause];
		explained += report->lost[cause];
	}
	for (uint32_t cause = 0; cause < CW_LEFT_OUT_COUNT; cause++) {
		report->left_out[cause] = output->turn.left_out[cause];
		explained += output->turn.left_out[cause];
		report->left_out_total += output->turn.left_out[cause];
	}
	report->failures =
	    atomic_load_explicit(&output->shared.failures, memory_order_relaxed); /* a number */
	memcpy(report->blocks, output->blocks.copied, sizeof(report->blocks));
	report->dropped_secrets = output->blocks.dropped;
	report->left_out_blocks = output->blocks.left_out;
	report->left_out_options = output->blocks.left_out_options;
	if (atomic_load(&output->shared.failure)) {
		report->lost[output->writer.failure_cause] += output->turn.matched - explained;
		explained = output->turn.matched;
		report->error = strdup(output->writer.failure_text);
		if (!report->error)
			goto no_memory;
	}
	if (!report->error && report_flaw(output, report) < 0)
		goto no_memory;
	report->lost_total = explained - report->written - report->left_out_total;
	books->matched = output->turn.matched;
	books->written = report->written;
	books->left_out = report->left_out_total;
	books->lost = report->lost_total;
	return 0;
no_memory:
	cw_report_rule_fini(report);
	return -ENOMEM;
}

void cw_report_rule_fini(struct cw_report_rule *report)
{
	for (uint32_t index = 0; index < report->file_count; index++)
		free(report->files[index]);
	free(report->files);
	free(report->error);
	free(report->illegal_linktypes);
	report->illegal_linktypes = NULL;
	report->files = NULL;
	report->error = NULL;
	report->file_count = 0;
}
