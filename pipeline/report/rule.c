/* SPDX-License-Identifier: BSD-3-Clause */
/* The results of one output: its files, and where each packet that its rule matched went. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/report/past.h"

static uint32_t count_files(const struct cw_output *output)
{
	uint32_t count = 0;

	for (const struct cw_file *file = output->turn.files_first; file; file = file->turn.next)
		count++;
	return count;
}

/* Adds a file that is complete under its name, or a pipe, or was removed again. */
static int report_file(const struct cw_file *file, struct cw_report_rule *report,
		       struct cw_books *books)
{
	uint64_t records = file->writer.anchor.records;

	if (!file->is_adopted) {
		report->written += records;
		report->bytes += file->writer.anchor.bytes;
	}
	if (file->writer.is_expired) {
		books->expired += records;
		report->expired += records;
		report->expired_files++;
		return 0;
	}
	report->file_bytes += cw_outfile_file_bytes(file->outfile);
	if (file->cache.is_regular)
		books->in_files += records;
	else
		books->sent_to_pipe += records;
	report->files[report->file_count] = strdup(file->path);
	if (!report->files[report->file_count])
		return -ENOMEM;
	report->file_count++;
	return 0;
}

/* Fills the records that reached files and pipes, and the list of files. */
static int report_files(const struct cw_output *output, struct cw_report_rule *report,
			struct cw_books *books)
{
	const struct cw_file *file;

	report->files = calloc((size_t)count_files(output) + 1, sizeof(*report->files));
	if (!report->files)
		return -ENOMEM;
	report->written = output->spent.records + output->spent.handed_records;
	report->bytes = output->spent.bytes + output->spent.handed_bytes;
	report->expired = output->spent.records + output->spent.inherited_records;
	report->expired_files = output->spent.files + output->spent.inherited_files;
	books->expired = report->expired;
	for (file = output->turn.files_first; file; file = file->turn.next) {
		bool is_regular = file->cache.is_regular;

		if (file->is_adopted && !file->is_inherited)
			continue;
		if (file->writer.is_unnamed)
			report->lost[file->is_rotation ? CW_LOSS_ROTATE : CW_LOSS_IO_ERROR] +=
			    file->writer.anchor.records;
		if (cw_outfile_was_created(file->outfile) &&
		    (!is_regular || file->writer.is_published) &&
		    report_file(file, report, books) < 0)
			return -ENOMEM;
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

/* Fills the rule's file ring, if it has a list. 0 or -ENOMEM. */
static int report_ring(const struct cw_output *output, struct cw_report_ring *ring)
{
	const struct cw_template_values values = {.rule = output->rule->name};
	char path[CW_TEMPLATE_PATH_BYTES];
	const struct cw_file *file;

	if (!output->ring || cw_template_expand(output->name, &values, path) < 0)
		return 0;
	if (asprintf(&ring->list, "%.*s%s", (int)cw_template_fixed_folder(output->name), path,
		     output->ring->list.name) < 0) {
		ring->list = NULL;
		return -ENOMEM;
	}
	ring->adopted = output->ring->adopted;
	for (file = output->turn.files_first; file; file = file->turn.next) {
		if (!file->writer.is_published || file->writer.is_expired)
			continue;
		ring->files++;
		ring->bytes +=
		    file->turn.is_ended ? file->turn.kept_bytes : cw_outfile_reached(file->outfile);
	}
	return 0;
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
	if ((!report->error && report_flaw(output, report) < 0) ||
	    report_ring(output, &report->ring) < 0)
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
	free(report->ring.list);
	report->ring.list = NULL;
	free(report->illegal_linktypes);
	report->illegal_linktypes = NULL;
	report->files = NULL;
	report->error = NULL;
	report->file_count = 0;
}
