/* SPDX-License-Identifier: BSD-3-Clause */
/* The balance sheet as a table, and a message for each loss or failure. */
#include <inttypes.h>
#include <string.h>

#include "core/base/plural.h"
#include "pipeline/pipeline.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

#define FILES_SHOWN 3u

static int name_width(const struct cw_report *report)
{
	int width = 4;

	for (uint32_t index = 0; index < report->rule_count; index++) {
		int length = (int)strlen(report->rules[index].rule->name);

		if (length > width)
			width = length;
	}
	return width < 32 ? width : 32;
}

static void print_files(const struct cw_report_rule *rule)
{
	for (uint32_t index = 0; index < rule->file_count && index < FILES_SHOWN; index++)
		cw_print(stderr, "%s%s", index ? ", " : "", rule->files[index]);
	if (rule->file_count > FILES_SHOWN)
		cw_print(stderr, ", and %u more", rule->file_count - FILES_SHOWN);
	if (rule->expired_files)
		cw_print(stderr, " (%u older ones removed)", rule->expired_files);
	if (rule->file_count == 0 && !rule->expired_files)
		cw_print(stderr, "(no file)");
}

static void print_queues(const struct cw_report *report)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];

	for (uint32_t index = 0; index < report->queue_count; index++) {
		const struct cw_report_queue *queue = &report->queues[index];
		const struct cw_live_stats *stats = &queue->stats;

		cw_print(stderr, "%s queue %u: %s seen by the kernel = %s dropped + %s received",
			 queue->device, queue->queue, cw_format_count(stats->kernel_seen, a),
			 cw_format_count(stats->kernel_dropped, b),
			 cw_format_count(stats->received, c));
		if (stats->left)
			cw_print(stderr, " + %s unread", cw_format_count(stats->left, a));
		if (queue->discarded)
			cw_print(stderr, " (%s of them after the end, discarded)",
				 cw_format_count(queue->discarded, a));
		if (stats->freezes)
			cw_print(stderr, "; kernel ring full %s times",
				 cw_format_count(stats->freezes, a));
		cw_print(stderr, "\n");
	}
	if (report->late)
		cw_print(stderr, "%s late packet%s written out of time order\n",
			 cw_format_count(report->late, a), cw_plural(report->late));
}

static void print_devices(const struct cw_report *report)
{
	char number[CW_NUMBER_BYTES];

	for (uint32_t index = 0; index < report->device_count; index++) {
		const struct cw_report_device *device = &report->devices[index];

		if (device->is_waiting)
			cw_print(stderr, "%s was missing or down for %.1f s, until the end\n",
				 device->device, device->waited_s);
		if (device->gap_count)
			cw_print(stderr, "%s disappeared %u time%s, for %.1f s in total\n",
				 device->device, device->gap_count, cw_plural(device->gap_count),
				 device->gap_s);
		if (device->has_losses && device->rx_dropped)
			cw_print(stderr,
				 "%s: rx_dropped rose by %s: packets without a protocol handler on "
				 "this host, or dropped by the system\n",
				 device->device, cw_format_count(device->rx_dropped, number));
		if (device->has_losses && device->rx_errors)
			cw_print(stderr, "%s: rx_errors rose by %s: damaged frames\n",
				 device->device, cw_format_count(device->rx_errors, number));
	}
}

static void print_rules(const struct cw_report *report)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES];
	int width = name_width(report);

	cw_print(stderr, "%-*s %15s %15s %12s %9s  %s\n", width, "rule", "matched", "written",
		 "lost", "bytes", "files");
	for (uint32_t index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];

		cw_print(stderr, "%-*s %15s %15s ", width, rule->rule->name,
			 cw_format_count(rule->matched, a), cw_format_count(rule->written, b));
		cw_print(stderr, "%12s %9s  ", cw_format_count(rule->lost_total, a),
			 cw_format_bytes(rule->bytes, b));
		print_files(rule);
		cw_print(stderr, "%s\n", rule->is_removed ? " (rule removed)" : "");
	}
}

void cw_report_print_count(const struct cw_report *report)
{
	cw_print(stdout, "%" PRIu64 " packet%s\n", report->books.matched_any,
		 cw_plural(report->books.matched_any));
}

/* Prints what the outputs have, and have not, of pcapng inputs beside packets. */
static void print_blocks(const struct cw_report *report)
{
	uint64_t secrets = 0, dropped = 0, blocks = 0, options = 0;
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES];

	for (uint32_t index = 0; index < report->rule_count; index++) {
		secrets += report->rules[index].blocks[CW_BLOCK_SECRETS];
		dropped += report->rules[index].dropped_secrets;
		blocks += report->rules[index].left_out_blocks;
		options += report->rules[index].left_out_options;
	}
	if (secrets || dropped)
		cw_print(stderr, "decryption secrets: %s block%s written, %s dropped\n",
			 cw_format_count(secrets, a), cw_plural(secrets),
			 cw_format_count(dropped, b));
	if (blocks || options)
		cw_print(stderr,
			 "left out, because outputs cannot hold them: %s block%s, %s option%s\n",
			 cw_format_count(blocks, a), cw_plural(blocks), cw_format_count(options, b),
			 cw_plural(options));
}

int cw_report_print(const struct cw_report *report)
{
	const struct cw_books *books = &report->books;
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];

	print_rules(report);
	cw_print(stderr, "%s packet%s %s (%s) = %s matched by a rule",
		 cw_format_count(books->received, a), cw_plural(books->received),
		 report->queue_count ? "captured" : "read", cw_format_bytes(report->bytes, b),
		 cw_format_count(books->matched_any, c));
	cw_print(stderr, " + %s unmatched", cw_format_count(books->unmatched, a));
	if (books->prefiltered)
		cw_print(stderr, " + %s outside the global filter",
			 cw_format_count(books->prefiltered, a));
	if (books->malformed)
		cw_print(stderr, " + %s malformed", cw_format_count(books->malformed, a));
	if (books->left_out)
		cw_print(stderr,
			 "\n%s record%s matched = %s left out by samples and limits + %s to write",
			 cw_format_count(books->matched, a), cw_plural(books->matched),
			 cw_format_count(books->left_out, b),
			 cw_format_count(books->matched - books->left_out, c));
	cw_print(stderr, "\n%s record%s to write = %s written + %s lost: %s\n",
		 cw_format_count(books->matched - books->left_out, a),
		 cw_plural(books->matched - books->left_out), cw_format_count(books->written, b),
		 cw_format_count(books->lost, c),
		 report->is_balanced ? "balanced" : "NOT BALANCED");
	print_blocks(report);
	print_queues(report);
	print_devices(report);
	if (report->hooks_run)
		cw_print(stderr, "hooks: %s run, %s failed\n",
			 cw_format_count(report->hooks_run, a),
			 report->hooks_failed ? cw_format_count(report->hooks_failed, b) : "none");
	if (report->reloads_accepted || report->reloads_refused)
		cw_print(stderr, "rules generation %s in force; reloads: %s accepted, %s refused\n",
			 cw_format_count(report->generation, a),
			 cw_format_count(report->reloads_accepted, b),
			 cw_format_count(report->reloads_refused, c));
	if (report->verify.every)
		cw_print(stderr, "%s packet%s checked against libpcap, 1 in %s: %s difference%s\n",
			 cw_format_count(report->verify.sampled, a),
			 cw_plural(report->verify.sampled),
			 cw_format_count(report->verify.every, b),
			 report->verify.differences ? cw_format_count(report->verify.differences, c)
						    : "no",
			 cw_plural(report->verify.differences));
	cw_print(stderr, "%.3f s, %s packets/s, %s/s, %u thread%s\n", report->elapsed_s,
		 cw_format_count((uint64_t)((double)report->packets / report->elapsed_s), a),
		 cw_format_bytes((uint64_t)((double)report->bytes / report->elapsed_s), b),
		 report->threads, cw_plural(report->threads));
	return cw_check_messages();
}

/* Reports packets that the interface lost before any kernel ring received them. */
static void complain_before_tap(const struct cw_report_device *device)
{
	char number[CW_NUMBER_BYTES];

	if (device->has_losses && device->lost_before_tap)
		cw_complain("%s: at least %s packet%s lost before capture, by interface counter "
			    "%s. A larger interface queue may help (ethtool -G)",
			    device->device, cw_format_count(device->lost_before_tap, number),
			    cw_plural(device->lost_before_tap), device->lost_counter);
}

void cw_report_complain(const struct cw_report *report)
{
	char number[CW_NUMBER_BYTES];
	uint32_t index, cause;

	if (report->books.malformed)
		cw_complain("cannot filter %s malformed record%s: the input does not describe the "
			    "interface, or the packet is longer than its block",
			    cw_format_count(report->books.malformed, number),
			    cw_plural(report->books.malformed));
	for (index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];

		for (cause = 0; cause < CW_LOSS_COUNT; cause++) {
			if (!rule->lost[cause])
				continue;
			cw_complain("rule %s, output %s: %s packet%s lost: %s%s%s%s",
				    rule->rule->name, rule->rule->write,
				    cw_format_count(rule->lost[cause], number),
				    cw_plural(rule->lost[cause]), cw_loss_name((enum cw_loss)cause),
				    rule->error ? " (" : "", rule->error ? rule->error : "",
				    rule->error ? ")" : "");
		}
	}
	for (index = 0; index < report->queue_count; index++) {
		const struct cw_report_queue *queue = &report->queues[index];

		if (queue->stats.kernel_dropped)
			cw_complain(
			    "%s queue %u: %s packet%s dropped by the kernel: kernel ring full. "
			    "Enlarge it with -B, or add --queues",
			    queue->device, queue->queue,
			    cw_format_count(queue->stats.kernel_dropped, number),
			    cw_plural(queue->stats.kernel_dropped));
		if (queue->stats.left)
			cw_complain("%s queue %u: %s packet%s left unread in the kernel ring",
				    queue->device, queue->queue,
				    cw_format_count(queue->stats.left, number),
				    cw_plural(queue->stats.left));
	}
	for (index = 0; index < report->device_count; index++)
		complain_before_tap(&report->devices[index]);
	if (!report->is_balanced)
		cw_complain(
		    "the report is not balanced: this is a bug in capweir, please report it");
}
