/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stages/capture.h"
#include "bench/stages/natural.h"
#include "bench/stages/pipeline.h"
#include "bench/stages/sender.h"
#include "core/base/base.h"

#define RING_BYTES \
	(int)(CW_LIVE_BLOCKS * CW_LIVE_BLOCK_BYTES) /* kernel ring of each tool, all queues */
#define QUIET_MS 200                                /* silence that ends a capture */
#define PCAP_TIMEOUT_MS 20

struct run {
	const struct cw_stage_capture_options *options;
	struct cw_capture_result *result;
	struct cw_sender sender;
	struct cw_stage_clock clock;
	char *text;
	int status;
	double end_ns;               /* end of a capture without a sender */
	struct cw_channels channels; /* outputs of the natural program */
};

/* Returns the filters of the frames in one block of memory, or NULL without memory. */
static const char **make_filters(uint32_t count)
{
	const char **filters = calloc(count, sizeof(*filters) + CW_STAGE_FILTER_BYTES);
	char *text = (char *)(filters + count);

	for (uint32_t i = 0; filters && i < count; i++) {
		filters[i] = text + (size_t)i * CW_STAGE_FILTER_BYTES;
		cw_sender_filter(i, count, text + (size_t)i * CW_STAGE_FILTER_BYTES);
	}
	return filters;
}

/* Starts the clock and the sender, once the interface is open. */
static void begin(struct run *run)
{
	cw_stage_start(&run->clock);
	run->end_ns = run->clock.wall_ns + run->options->duration_ms * 1e6;
	cw_sender_go(&run->sender);
}

/* Returns whether sending has ended; waits up to `timeout_ms` for that. */
static bool is_over(struct run *run, int timeout_ms)
{
	if (!run->sender.process) {
		run->result->traffic_ns = cw_stage_now_ns() - run->clock.wall_ns;
		return cw_stage_now_ns() >= run->end_ns;
	}
	run->status = cw_sender_wait(&run->sender, timeout_ms, &run->result->sent,
				     &run->result->traffic_ns, run->text);
	return run->status != 0;
}

/* ---- capweir ---- */

static void feed(void *context, struct cw_pipeline *pipeline)
{
	struct run *run = context;
	struct pollfd done = {.fd = cw_pipeline_done_fd(pipeline), .events = POLLIN};

	begin(run);
	while (!is_over(run, 10)) {
		/* Unexpected end, such as a removed interface. */
		if (poll(&done, 1, run->sender.process ? 0 : 10) > 0)
			break;
	}
	cw_pipeline_request_stop(pipeline);
	poll(&done, 1, -1);
}

static void take_report(struct cw_capture_result *result, const struct cw_report *report)
{
	result->received = report->packets;
	result->bytes = report->bytes;
	result->dropped = report->kernel_dropped;
	result->written = report->books.written;
	result->unwritten = report->books.lost;
	for (uint32_t i = 0; i < report->rule_count; i++)
		result->written_bytes += report->rules[i].bytes;
	for (uint32_t i = 0; i < report->device_count; i++)
		result->lost_before_tap += report->devices[i].lost_before_tap;
}

static int run_pipeline(struct run *run, const char *const *filters)
{
	const struct cw_stage_capture_options *options = run->options;
	struct cw_pipeline_options pipeline;
	struct cw_rules rules = {0};
	struct cw_report report;
	struct cw_error error = {0};
	int status = cw_stage_add_rules(&rules, filters, options->filter_count, &error);

	if (status >= 0) {
		cw_pipeline_options_init(&pipeline);
		pipeline.devices = &options->device;
		pipeline.device_count = 1;
		pipeline.rules = &rules;
		pipeline.output.directory = options->folder;
		pipeline.no_kernel_filter = true;
		pipeline.live.promiscuous = true;
		pipeline.live.queue_count = options->queues;
		pipeline.live.backend = options->is_xdp ? CW_LIVE_XDP : CW_LIVE_AUTO;
		pipeline.live.block_count =
		    CW_LIVE_BLOCKS / (options->queues ? options->queues : 1);
		if (pipeline.live.block_count < CW_LIVE_BLOCKS_MIN)
			pipeline.live.block_count = CW_LIVE_BLOCKS_MIN;
		status = cw_stage_run(&pipeline, feed, run, &report, &error);
	}
	if (status >= 0) {
		cw_stage_stop(&run->clock, &run->result->time);
		take_report(run->result, &report);
		cw_report_fini(&report);
		status = run->status < 0 ? run->status : 0;
	} else {
		snprintf(run->text, CW_STAGE_TEXT_BYTES, "%s", error.text);
	}
	cw_rules_fini(&rules);
	return status;
}

/* ---- libpcap ---- */

static void put(u_char *context, const struct pcap_pkthdr *header, const u_char *data)
{
	struct run *run = (void *)context;

	run->result->received++;
	run->result->bytes += header->caplen;
	cw_channels_put(&run->channels, header, data);
}

/* One thread: reads packets and waits for more; after the sender's end, until silence. */
static int loop(struct run *run, pcap_t *input)
{
	struct pollfd ready = {.fd = pcap_get_selectable_fd(input), .events = POLLIN};
	bool is_ended = false;
	double quiet_ns = 0;
	int count;

	begin(run);
	for (;;) {
		count = pcap_dispatch(input, -1, put, (u_char *)run);
		if (count < 0)
			return cw_natural_fail(run->text, -EIO, pcap_geterr(input));
		if (!is_ended && is_over(run, 0)) {
			is_ended = true;
			quiet_ns = cw_stage_now_ns();
		}
		if (count > 0) {
			quiet_ns = cw_stage_now_ns();
			if (is_ended && !run->sender.process)
				return 0; /* other senders' packets may never end */
			continue;
		}
		if (is_ended && cw_stage_now_ns() - quiet_ns > QUIET_MS * 1e6)
			return run->status < 0 ? run->status : 0;
		poll(&ready, 1, PCAP_TIMEOUT_MS);
	}
}

static pcap_t *open_pcap(const struct cw_stage_capture_options *options, char *text)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *input = pcap_create(options->device, error);

	if (!input) {
		cw_natural_fail(text, -EIO, error);
		return NULL;
	}
	pcap_set_snaplen(input, 262144);
	pcap_set_promisc(input, 1);
	pcap_set_timeout(input, PCAP_TIMEOUT_MS);
	pcap_set_buffer_size(input, RING_BYTES);
	if (pcap_activate(input) < 0 || pcap_setnonblock(input, 1, error) < 0) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "%s: %s", options->device, pcap_geterr(input));
		pcap_close(input);
		return NULL;
	}
	return input;
}

static int run_pcap(struct run *run, const char *const *filters)
{
	const struct cw_stage_capture_options *options = run->options;
	pcap_t *input = open_pcap(options, run->text);
	struct pcap_stat stats = {0};
	int status, closed;

	if (!input)
		return -EIO;
	status = cw_channels_open(&run->channels, input, filters, options->filter_count,
				  options->folder, run->text);
	run->clock.cycles_fd = -1;
	if (status == 0)
		status = loop(run, input);
	if (pcap_stats(input, &stats) == 0)
		run->result->dropped = stats.ps_drop;
	run->result->written = run->channels.written;
	run->result->written_bytes = run->channels.bytes;
	closed = cw_channels_close(&run->channels, run->text);
	cw_stage_stop(&run->clock, &run->result->time);
	pcap_close(input);
	return status ? status : closed;
}

/* ---- both ---- */

static int capture(const struct cw_stage_capture_options *options, struct cw_capture_result *result,
		   char *text, int (*how)(struct run *run, const char *const *filters))
{
	const char **made = options->filters ? NULL : make_filters(options->filter_count);
	struct run run = {.options = options, .result = result, .text = text};
	int status;

	*result = (struct cw_capture_result){0};
	if (!made && !options->filters) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "out of memory");
		return -ENOMEM;
	}
	status = cw_sender_start(&run.sender, options, text);
	if (status == 0)
		status = how(&run, made ? made : options->filters);
	cw_sender_stop(&run.sender);
	free(made);
	return status;
}

int cw_stage_capture(const struct cw_stage_capture_options *options,
		     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES])
{
	return capture(options, result, text, run_pipeline);
}

int cw_stage_capture_natural(const struct cw_stage_capture_options *options,
			     struct cw_capture_result *result, char text[CW_STAGE_TEXT_BYTES])
{
	return capture(options, result, text, run_pcap);
}
