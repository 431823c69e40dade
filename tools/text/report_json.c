/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as JSON: "bytes" are captured bytes, "file_bytes" the sizes of files. */
#include "core/packet/linktype.h"
#include "pipeline/pipeline.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

static bool has_failed; /* a line of statistics could not be printed */

static json_t *count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

json_t *cw_joined_json(const struct cw_source_joined *joined, uint32_t joined_count)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < joined_count; index++) {
		char type[64];
		const char *name = cw_linktype_name(joined[index].linktype, type, sizeof(type));

		json_array_append_new(
		    list, json_pack("{s:o, s:s, s:o}", "at", count(joined[index].at), "format",
				    joined[index].format, "linktype",
				    joined[index].linktype == CW_LINKTYPE_ANY ? json_null()
									      : json_string(name)));
	}
	return list;
}

json_t *cw_resynced_json(const struct cw_source_resynced *resynced)
{
	return json_pack("{s:o, s:o}", "places", count(resynced->places), "bytes",
			 count(resynced->bytes));
}

static json_t *input_blocks_json(const struct cw_block_counts *blocks)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "secrets",
			 count(blocks->of_kind[CW_BLOCK_SECRETS]), "names",
			 count(blocks->of_kind[CW_BLOCK_NAMES]), "custom",
			 count(blocks->of_kind[CW_BLOCK_CUSTOM]), "statistics",
			 count(blocks->of_kind[CW_BLOCK_STATISTICS]), "other",
			 count(blocks->of_kind[CW_BLOCK_OTHER]), "left_out",
			 count(blocks->left_out), "left_out_options",
			 count(blocks->left_out_options));
}

static json_t *rule_blocks_json(const struct cw_report_rule *rule)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "secrets",
			 count(rule->blocks[CW_BLOCK_SECRETS]), "names",
			 count(rule->blocks[CW_BLOCK_NAMES]), "custom",
			 count(rule->blocks[CW_BLOCK_CUSTOM]), "statistics",
			 count(rule->blocks[CW_BLOCK_STATISTICS]), "secrets_dropped",
			 count(rule->dropped_secrets), "left_out", count(rule->left_out_blocks),
			 "left_out_options", count(rule->left_out_options));
}

static json_t *inputs_json(const struct cw_report *report)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < report->input_count; index++) {
		const struct cw_report_input *input = &report->inputs[index];

		json_array_append_new(
		    list,
		    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
			      cw_json_text(input->file), "packets", count(input->packets), "bytes",
			      count(input->bytes), "file_bytes", count(input->file_bytes), "format",
			      cw_json_text(input->format), "truncated", count(input->truncated),
			      "joined", cw_joined_json(input->joined, input->joined_shown),
			      "joined_count", count(input->joined_count), "resynced",
			      cw_resynced_json(&input->resynced), "error",
			      cw_json_text(input->error), "blocks",
			      input_blocks_json(&input->blocks)));
	}
	return list;
}

static json_t *ring_json(const struct cw_report_ring *ring)
{
	const struct cw_ring_adopted *adopted = &ring->adopted;

	if (!ring->list)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "list",
			 cw_json_text(ring->list), "files", count(ring->files), "bytes",
			 count(ring->bytes), "adopted", count(adopted->files), "adopted_bytes",
			 count(adopted->bytes), "recovered", count(adopted->recovered), "forgotten",
			 count(adopted->missing + (uint64_t)adopted->changed), "unlisted",
			 count(adopted->unlisted));
}

static json_t *rule_json(const struct cw_report_rule *rule)
{
	json_t *lost = json_object();
	json_t *left_out = json_object();
	json_t *files = json_array();
	json_t *illegal = json_array();
	char name[64];

	for (uint32_t index = 0; index < CW_LOSS_COUNT; index++)
		json_object_set_new(lost, cw_loss_name((enum cw_loss)index),
				    count(rule->lost[index]));
	for (uint32_t index = 0; index < CW_LEFT_OUT_COUNT; index++)
		json_object_set_new(left_out, cw_left_out_name((enum cw_left_out)index),
				    count(rule->left_out[index]));
	for (uint32_t index = 0; index < rule->file_count; index++)
		json_array_append_new(files, cw_json_text(rule->files[index]));
	for (uint32_t index = 0; index < rule->illegal_linktype_count; index++)
		json_array_append_new(illegal,
				      json_string(cw_linktype_name(rule->illegal_linktypes[index],
								   name, sizeof(name))));
	return json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
	    "s:o, s:o, s:o, s:o, s:b}",
	    "name", cw_json_text(rule->rule->name), "filter",
	    cw_json_text(rule->rule->filter ? rule->rule->filter : "unmatched"), "matched",
	    count(rule->matched), "written", count(rule->written), "bytes", count(rule->bytes),
	    "file_bytes", count(rule->file_bytes), "lost", lost, "lost_total",
	    count(rule->lost_total), "error", cw_json_text(rule->error), "files", files, "expired",
	    count(rule->expired), "expired_files", count(rule->expired_files), "left_out", left_out,
	    "left_out_total", count(rule->left_out_total), "timestamps_truncated",
	    count(rule->timestamps_truncated), "truncated", count(rule->truncated), "other_fcs",
	    count(rule->other_fcs), "early", count(rule->early), "illegal_linktypes", illegal,
	    "blocks", rule_blocks_json(rule), "ring", ring_json(&rule->ring), "removed",
	    rule->is_removed);
}

static json_t *books_json(const struct cw_report *report)
{
	json_t *json = json_pack("{s:b}", "balanced", report->is_balanced);
	const struct cw_books_line *line;

	for (line = cw_books_lines; line->name; line++)
		json_object_set_new(json, line->name, count(cw_books_count(&report->books, line)));
	return json;
}

static json_t *verify_json(const struct cw_report_verify *verify)
{
	if (!verify->every)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "every", count(verify->every), "sampled",
			 count(verify->sampled), "differences", count(verify->differences));
}

static json_t *queues_json(const struct cw_report *report)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < report->queue_count; index++) {
		const struct cw_report_queue *queue = &report->queues[index];
		const struct cw_live_stats *stats = &queue->stats;

		json_array_append_new(
		    list,
		    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "device",
			      cw_json_text(queue->device), "queue", count(queue->queue),
			      "kernel_seen", count(stats->kernel_seen), "kernel_dropped",
			      count(stats->kernel_dropped), "freezes", count(stats->freezes),
			      "received", count(stats->received), "left", count(stats->left),
			      "discarded", count(queue->discarded), "blocks", count(stats->blocks),
			      "stalls", count(stats->stalls), "downs", count(stats->downs)));
	}
	return list;
}

/* The rules generations, each with its first packet of each queue (null: none). */
static json_t *reloads_json(const struct cw_report *report)
{
	json_t *generations = json_array();
	uint32_t index, queue;

	for (index = 0; index < report->generation_count; index++) {
		const struct cw_report_generation *generation = &report->generations[index];
		json_t *firsts = json_array();

		for (queue = 0; queue < report->queue_count; queue++)
			json_array_append_new(firsts, generation->firsts[queue] == UINT64_MAX
							  ? json_null()
							  : count(generation->firsts[queue]));
		json_array_append_new(generations,
				      json_pack("{s:o, s:o, s:f, s:o}", "generation",
						count(generation->number), "rules",
						count(generation->rule_count), "start_s",
						generation->start_s, "queues_from", firsts));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "generation", count(report->generation),
			 "accepted", count(report->reloads_accepted), "refused",
			 count(report->reloads_refused), "generations", generations);
}

/* Adds a driver's counter; names that are equal as UTF-8 share an entry. */
static void add_drop(json_t *drops, const char *name, uint64_t drop_count)
{
	json_t *key = cw_json_text(name);
	const char *text = json_string_value(key);

	if (text)
		json_object_set_new(
		    drops, text,
		    count(drop_count + (uint64_t)json_integer_value(json_object_get(drops, text))));
	json_decref(key);
}

static json_t *device_json(const struct cw_report_device *device)
{
	json_t *drops = json_object();
	json_t *losses = json_null();
	json_t *type = json_null();
	char linktype[64];

	for (uint32_t index = 0; index < device->drop_count; index++)
		add_drop(drops, device->drops[index].name, device->drops[index].count);
	if (device->has_losses)
		losses = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:O}", "is_lower_bound",
				   device->is_lower_bound, "rx_packets", count(device->rx_packets),
				   "rx_errors", count(device->rx_errors), "rx_dropped",
				   count(device->rx_dropped), "rx_missed", count(device->rx_missed),
				   "rx_fifo", count(device->rx_fifo), "rx_over",
				   count(device->rx_over), "driver", drops);
	json_decref(drops);
	if (!device->is_waiting)
		type = cw_json_text(cw_linktype_name(device->linktype, linktype, sizeof(linktype)));
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:o}", "device",
			 cw_json_text(device->device), "kernel_filter", device->has_kernel_filter,
			 "link_type", type, "queues", count(device->queue_count), "events",
			 count(device->event_count), "gaps", count(device->gap_count), "gap_s",
			 device->gap_s, "waited_s", device->waited_s, "before_tap", losses,
			 "interface_rx_dropped",
			 device->has_losses ? count(device->rx_dropped) : json_null());
}

static json_t *devices_json(const struct cw_report *report)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < report->device_count; index++)
		json_array_append_new(list, device_json(&report->devices[index]));
	return list;
}

void cw_stats_print_json(double elapsed_s, const struct cw_progress *progress,
			 const struct cw_books *books)
{
	json_t *line =
	    json_pack("{s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "elapsed_s", elapsed_s,
		      "kernel_seen", count(progress->kernel_seen), "kernel_dropped",
		      count(progress->kernel_dropped), "freezes", count(progress->freezes),
		      "lost_before_tap", count(progress->lost_before_tap), "interface_rx_dropped",
		      count(progress->interface_rx_dropped), "received", count(books->received),
		      "bytes", count(progress->bytes), "matched", count(books->matched), "written",
		      count(books->written));

	if (cw_json_print(json_pack("{s:o}", "stats", line), JSON_COMPACT | JSON_REAL_PRECISION(9),
			  "statistics "))
		has_failed = true;
}

int cw_report_print_json(const struct cw_report *report)
{
	json_t *rules = json_array();
	json_t *whole;

	for (uint32_t index = 0; index < report->rule_count; index++)
		json_array_append_new(rules, rule_json(&report->rules[index]));
	whole =
	    json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:i, s:f}", "version", 1,
		      "inputs", inputs_json(report), "packets", count(report->packets), "bytes",
		      count(report->bytes), "rules", rules, "books", books_json(report), "verify",
		      verify_json(&report->verify), "complete", report->is_complete, "durable",
		      report->is_durable ? json_boolean(report->is_complete) : json_null(),
		      "threads", (int)report->threads, "elapsed_s", report->elapsed_s);
	if (whole && report->hooks_run)
		json_object_set_new(whole, "hooks",
				    json_pack("{s:o, s:o}", "run", count(report->hooks_run),
					      "failed", count(report->hooks_failed)));
	if (whole && report->queue_count) {
		json_object_set_new(whole, "queues", queues_json(report));
		json_object_set_new(whole, "devices", devices_json(report));
		json_object_set_new(whole, "late", count(report->late));
		json_object_set_new(whole, "reloads", reloads_json(report));
	}
	if (cw_json_print(whole, JSON_INDENT(1) | JSON_REAL_PRECISION(9), "the report "))
		has_failed = true;
	return has_failed ? CW_EXIT_PROBLEM : CW_EXIT_COMPLETE;
}
