/* SPDX-License-Identifier: BSD-3-Clause */
/* The report at the end of a run, from the counters that the turn and the writers kept. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "pipeline/report/past.h"

static int report_input(struct cw_run *run, const struct cw_input *input,
			struct cw_report_input *report)
{
	char length[64];

	*report = (struct cw_report_input){.file = input->path,
					   .packets = input->packets,
					   .bytes = input->bytes,
					   .file_bytes = input->info.consumed_bytes,
					   .format = input->info.format,
					   .blocks = input->info.blocks,
					   .truncated = input->truncated,
					   .joined = input->joined,
					   .joined_shown = input->joined_shown,
					   .joined_count = input->info.joined_count,
					   .resynced = input->info.resynced};
	if (input->info.joined_count) /* each joined file has its own snapshot length */
		snprintf(length, sizeof(length), "the snapshot lengths in its headers");
	else
		snprintf(length, sizeof(length), "its snapshot length of %u", input->info.snaplen);
	if (input->truncated)
		cw_run_tell(run, CW_WARNING,
			    "%s: the file holds more of %" PRIu64 " packet%s than %s; packets are "
			    "truncated, as tcpdump does",
			    input->path, input->truncated, cw_plural(input->truncated), length);
	if (input->error.code)
		report->error = strdup(input->error.text);
	else if (input->was_truncated)
		report->error = strdup("the file was truncated while it was read");
	else
		return 0;
	return report->error ? 0 : -ENOMEM;
}

/* Reports the first packets on which libpcap's verdict differs, and the number of all. */
static void tell_differences(const struct cw_capture *capture)
{
	const struct cw_verification *verification = &capture->turn->verification;

	for (uint32_t index = 0; index < verification->reported_count; index++) {
		const struct cw_difference *difference = &verification->reported[index];
		bool is_prefilter = difference->rule == CW_SAMPLE_PREFILTER;

		cw_run_tell(capture->run, CW_PROBLEM, "packet %" PRIu64 " of %s: %s%s: %s",
			    difference->packet, capture->inputs->at[difference->input].path,
			    is_prefilter ? "the global filter" : "rule ",
			    is_prefilter ? "" : difference->name,
			    difference->is_match_by_libpcap
				? "libpcap matches it, capweir does not"
				: "libpcap does not match it, capweir does");
	}
	if (verification->differences)
		cw_run_tell(capture->run, CW_PROBLEM,
			    "on %" PRIu64 " of %" PRIu64 " packets checked, capweir and libpcap "
			    "disagree. This is a bug: please report it",
			    verification->differences, verification->sampled);
}

/* ---- live ---- */

static int report_device(const struct cw_tap *tap, struct cw_report_device *report)
{
	const struct cw_netdev_losses *losses = &tap->losses;
	const char *counter = "";
	uint64_t lost = cw_netdev_losses_before_tap(losses, &counter);

	*report = (struct cw_report_device){.device = tap->device,
					    .linktype = tap->info.linktype,
					    .queue_count = tap->queue_count,
					    .has_kernel_filter = tap->has_prefilter,
					    .event_count = tap->event_count,
					    .gap_count = tap->gap_count,
					    .gap_s = (double)tap->gap_ns * 1e-9,
					    .is_waiting = tap->is_waiting,
					    .waited_s = (double)tap->waited_ns * 1e-9,
					    .has_losses = tap->now.ts_ns != 0,
					    .is_lower_bound = losses->is_lower_bound,
					    .lost_before_tap = lost,
					    .rx_packets = losses->rx_packets,
					    .rx_errors = losses->rx_errors,
					    .rx_dropped = losses->rx_dropped,
					    .rx_missed = losses->rx_missed,
					    .rx_fifo = losses->rx_fifo,
					    .rx_over = losses->rx_over};
	snprintf(report->lost_counter, sizeof(report->lost_counter), "%s", counter);
	report->drops = calloc(losses->drops.count + 1, sizeof(*report->drops));
	if (!report->drops)
		return -ENOMEM;
	for (; report->drop_count < losses->drops.count; report->drop_count++)
		report->drops[report->drop_count] = losses->drops.at[report->drop_count];
	if (tap->gap_start_ns) /* still gone */
		*(tap->is_waiting ? &report->waited_s : &report->gap_s) +=
		    (double)(cw_now_ns() - tap->gap_start_ns) * 1e-9;
	return 0;
}

static int report_live(const struct cw_capture *capture, struct cw_report *report)
{
	if (!capture->tap_count)
		return 0;
	report->queues = calloc(capture->run->lane_count, sizeof(*report->queues));
	report->late = capture->turn->sequencer.late_count;
	report->devices = calloc(capture->tap_count, sizeof(*report->devices));
	if (!report->queues || !report->devices)
		return -ENOMEM;
	for (uint32_t index = 0; index < capture->run->lane_count; index++, report->queue_count++) {
		const struct cw_lane *lane = &capture->run->lanes[index];

		report->queues[index] =
		    (struct cw_report_queue){.device = capture->taps[lane->input].device,
					     .queue = lane->queue,
					     .stats = lane->capture.stats,
					     .discarded = lane->turn.discarded};
		report->kernel_seen += lane->capture.stats.kernel_seen;
		report->kernel_dropped += lane->capture.stats.kernel_dropped;
	}
	for (uint32_t index = 0; index < capture->tap_count; index++, report->device_count++) {
		if (report_device(&capture->taps[index], &report->devices[index]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Returns whether each packet of each queue was dropped, left in the kernel, or is in the books. */
static bool queues_balance(const struct cw_report *report)
{
	uint64_t received = 0, discarded = 0;

	if (!report->queue_count)
		return true;
	for (uint32_t index = 0; index < report->queue_count; index++) {
		const struct cw_report_queue *queue = &report->queues[index];

		if (queue->stats.kernel_seen !=
		    queue->stats.kernel_dropped + queue->stats.received + queue->stats.left)
			return false;
		received += queue->stats.received;
		discarded += queue->discarded;
	}
	return received == report->books.received + discarded;
}

int cw_report_fill(struct cw_report *report, const struct cw_capture *capture, struct cw_past *past)
{
	tell_differences(capture);
	*report =
	    (struct cw_report){.threads = capture->run->options.threads,
			       .books = capture->turn->books,
			       .verify = {.every = capture->run->options.match.verify_every,
					  .sampled = capture->turn->verification.sampled,
					  .differences = capture->turn->verification.differences},
			       .is_durable = capture->run->options.output.sync};
	report->inputs = calloc(capture->inputs->count, sizeof(*report->inputs));
	if (!report->inputs)
		goto no_memory;
	for (uint32_t index = 0; index < capture->inputs->count; index++, report->input_count++) {
		if (report_input(capture->run, &capture->inputs->at[index],
				 &report->inputs[index]) < 0)
			goto no_memory;
		report->packets += report->inputs[index].packets;
		report->bytes += report->inputs[index].bytes;
	}
	if (cw_report_rules(report, capture->turn->outputs,
			    atomic_load(&capture->generations->current), past) < 0 ||
	    report_live(capture, report) < 0)
		goto no_memory;
	report->is_balanced = cw_books_balance(&report->books) && queues_balance(report);
	report->has_problem = atomic_load(&capture->run->has_problem);
	report->is_complete = cw_report_judge(report, UINT64_MAX) == CW_VERDICT_COMPLETE;
	report->elapsed_s = (double)(cw_now_ns() - capture->run->start_ns) * 1e-9;
	return 0;
no_memory:
	cw_report_fini(report);
	return -ENOMEM;
}

void cw_report_fini(struct cw_report *report)
{
	for (uint32_t index = 0; report->inputs && index < report->input_count; index++)
		free(report->inputs[index].error);
	for (uint32_t index = 0; report->rules && index < report->rule_count; index++)
		cw_report_rule_fini(&report->rules[index]);
	for (uint32_t index = 0; report->generations && index < report->generation_count; index++)
		free(report->generations[index].firsts);
	for (uint32_t index = 0; report->devices && index < report->device_count; index++)
		free(report->devices[index].drops);
	free(report->inputs);
	free(report->rules);
	free(report->queues);
	free(report->devices);
	free(report->generations);
	*report = (struct cw_report){0};
}
