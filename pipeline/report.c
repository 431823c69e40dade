/* SPDX-License-Identifier: BSD-3-Clause */
/* The report at the end of a run, from the counters that the turn and the writers kept. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/state.h"

static int report_input(const struct cw_input *input, struct cw_report_input *report)
{
	*report = (struct cw_report_input){.file = input->path,
					   .packets = input->packets,
					   .bytes = input->bytes,
					   .file_bytes = input->info.consumed_bytes,
					   .format = input->info.format};
	if (input->error.code)
		report->error = strdup(input->error.text);
	else if (input->was_truncated)
		report->error = strdup("it was truncated while it was read");
	else
		return 0;
	return report->error ? 0 : -ENOMEM;
}

/* What reached files and pipes, and which files there are. */
static int report_files(const struct cw_output *output, struct cw_report_rule *report,
			struct cw_books *books)
{
	const struct cw_file *file;

	report->files = calloc(output->file_count + 1, sizeof(*report->files));
	if (!report->files)
		return -ENOMEM;
	for (file = output->files_first; file; file = file->next) {
		bool is_regular = file->is_regular;

		if (!cw_outfile_was_created(file->outfile) || (is_regular && !file->is_published))
			continue;
		report->written += file->anchor_records;
		report->bytes += file->anchor_bytes;
		if (file->is_expired) {
			books->expired += file->anchor_records;
			report->expired += file->anchor_records;
			report->expired_files++;
			continue;
		}
		report->file_bytes += cw_outfile_file_bytes(file->outfile);
		if (is_regular)
			books->in_files += file->anchor_records;
		else
			books->sent_to_pipe += file->anchor_records;
		report->files[report->file_count] = strdup(file->path);
		if (!report->files[report->file_count])
			return -ENOMEM;
		report->file_count++;
	}
	return 0;
}

static int report_rule(const struct cw_output *output, struct cw_report_rule *report,
		       struct cw_books *books)
{
	uint64_t explained;
	uint32_t cause;

	*report = (struct cw_report_rule){.rule = output->rule, .matched = output->matched};
	if (report_files(output, report, books) < 0)
		return -ENOMEM;
	explained = report->written;
	for (cause = 0; cause < CW_LOSS_COUNT; cause++) {
		report->lost[cause] = output->lost[cause];
		explained += output->lost[cause];
	}
	for (cause = 0; cause < CW_LEFT_OUT_COUNT; cause++) {
		report->left_out[cause] = output->left_out[cause];
		explained += output->left_out[cause];
		books->left_out += output->left_out[cause];
		report->left_out_total += output->left_out[cause];
	}
	if (atomic_load(&output->failure)) {
		report->lost[output->failure_cause] += output->matched - explained;
		explained = output->matched;
		report->error = strdup(output->failure_text);
		if (!report->error)
			return -ENOMEM;
	}
	report->lost_total = explained - report->written - report->left_out_total;
	books->matched += output->matched;
	books->written += report->written;
	books->lost += report->lost_total;
	return 0;
}

/* Rules about which libpcap says something else: the first packets, and how many more there are. */
static void tell_differences(struct cw_pipeline *pipeline)
{
	const struct cw_verification *verification = &pipeline->verification;
	uint32_t index;

	for (index = 0; index < verification->told_count; index++) {
		const struct cw_difference *difference = &verification->told[index];
		bool is_prefilter = difference->rule == CW_SAMPLE_PREFILTER;

		cw_pipeline_tell(pipeline, CW_PROBLEM, "packet %" PRIu64 " of %s: %s%s: %s",
				 difference->packet, pipeline->inputs[difference->input].path,
				 is_prefilter ? "the global filter" : "rule ",
				 is_prefilter ? ""
					      : pipeline->outputs[difference->rule].rule->name,
				 difference->is_match_by_libpcap
					 ? "libpcap matches it, this program does not"
					 : "libpcap does not match it, this program does");
	}
	if (verification->differences)
		cw_pipeline_tell(pipeline, CW_PROBLEM,
				 "%" PRIu64 " of %" PRIu64 " packets checked match otherwise than "
				 "in libpcap: please report this",
				 verification->differences, verification->sampled);
}

/* ---- live ---- */

static int report_device(const struct cw_port *port, struct cw_report_device *report)
{
	const struct cw_netdev_losses *losses = &port->losses;

	*report = (struct cw_report_device){.device = port->device,
					    .linktype = port->info.linktype,
					    .queue_count = port->lane_count,
					    .has_kernel_filter = port->has_prefilter,
					    .event_count = port->event_count,
					    .gap_count = port->gap_count,
					    .gap_s = (double)port->gap_ns * 1e-9,
					    .has_losses = port->now.ts_ns != 0,
					    .is_lower_bound = losses->is_lower_bound,
					    .rx_packets = losses->rx_packets,
					    .rx_errors = losses->rx_errors,
					    .rx_dropped = losses->rx_dropped,
					    .rx_missed = losses->rx_missed,
					    .rx_fifo = losses->rx_fifo,
					    .rx_over = losses->rx_over};
	report->drops = calloc(losses->drops.count + 1, sizeof(*report->drops));
	if (!report->drops)
		return -ENOMEM;
	for (; report->drop_count < losses->drops.count; report->drop_count++)
		report->drops[report->drop_count] = losses->drops.at[report->drop_count];
	if (port->gap_start_ns) /* it is gone still */
		report->gap_s += (double)(cw_pipeline_now_ns() - port->gap_start_ns) * 1e-9;
	return 0;
}

static int report_live(const struct cw_pipeline *pipeline, struct cw_report *report)
{
	uint32_t index;

	if (!pipeline->port_count)
		return 0;
	report->queues = calloc(pipeline->lane_count, sizeof(*report->queues));
	report->late = pipeline->sequencer.late_count;
	report->devices = calloc(pipeline->port_count, sizeof(*report->devices));
	if (!report->queues || !report->devices)
		return -ENOMEM;
	for (index = 0; index < pipeline->lane_count; index++, report->queue_count++) {
		const struct cw_lane *lane = &pipeline->lanes[index];

		report->queues[index] = (struct cw_report_queue){
			.device = pipeline->ports[lane->input].device,
			.queue = lane->queue,
			.stats = lane->stats,
			.discarded = lane->discarded};
		report->kernel_seen += lane->stats.kernel_seen;
		report->kernel_dropped += lane->stats.kernel_dropped;
	}
	for (index = 0; index < pipeline->port_count; index++, report->device_count++) {
		if (report_device(&pipeline->ports[index], &report->devices[index]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Every packet the kernel gave a queue is dropped, left there, or in the books. */
static bool queues_balance(const struct cw_report *report)
{
	uint64_t received = 0, discarded = 0;
	uint32_t index;

	if (!report->queue_count)
		return true;
	for (index = 0; index < report->queue_count; index++) {
		const struct cw_report_queue *queue = &report->queues[index];

		if (queue->stats.kernel_seen !=
		    queue->stats.kernel_dropped + queue->stats.received + queue->stats.left)
			return false;
		received += queue->stats.received;
		discarded += queue->discarded;
	}
	return received == report->books.received + discarded;
}

int cw_pipeline_report(struct cw_pipeline *pipeline, struct cw_report *report)
{
	struct timespec now;
	uint32_t index;

	tell_differences(pipeline);
	*report = (struct cw_report){.threads = pipeline->worker_count,
				     .books = pipeline->books,
				     .verify = {.every = pipeline->options.verify_every,
						.sampled = pipeline->verification.sampled,
						.differences = pipeline->verification.differences},
				     .is_durable = pipeline->options.sync};
	report->inputs = calloc(pipeline->input_count, sizeof(*report->inputs));
	report->rules = calloc(pipeline->output_count, sizeof(*report->rules));
	if (!report->inputs || !report->rules)
		goto no_memory;
	for (index = 0; index < pipeline->input_count; index++, report->input_count++) {
		if (report_input(&pipeline->inputs[index], &report->inputs[index]) < 0)
			goto no_memory;
		report->packets += report->inputs[index].packets;
		report->bytes += report->inputs[index].bytes;
	}
	for (index = 0; index < pipeline->output_count; index++, report->rule_count++) {
		if (report_rule(&pipeline->outputs[index], &report->rules[index],
				&report->books) < 0)
			goto no_memory;
	}
	if (report_live(pipeline, report) < 0)
		goto no_memory;
	report->is_balanced = cw_books_balance(&report->books) && queues_balance(report);
	report->is_complete = report->is_balanced && !atomic_load(&pipeline->has_problem) &&
			      report->books.lost == 0 && report->books.malformed == 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	report->elapsed_s = (double)(now.tv_sec - pipeline->start_time.tv_sec) +
			    (double)(now.tv_nsec - pipeline->start_time.tv_nsec) * 1e-9;
	return 0;
no_memory:
	cw_report_fini(report);
	return -ENOMEM;
}

void cw_report_fini(struct cw_report *report)
{
	uint32_t index, file;

	for (index = 0; report->inputs && index < report->input_count; index++)
		free(report->inputs[index].error);
	for (index = 0; report->rules && index < report->rule_count; index++) {
		for (file = 0; file < report->rules[index].file_count; file++)
			free(report->rules[index].files[file]);
		free(report->rules[index].files);
		free(report->rules[index].error);
	}
	for (index = 0; report->devices && index < report->device_count; index++)
		free(report->devices[index].drops);
	free(report->inputs);
	free(report->rules);
	free(report->queues);
	free(report->devices);
	*report = (struct cw_report){0};
}
