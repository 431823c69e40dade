/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capweir bench capture: live capture with all packets written, by frame size, number of rules and
 * number of queues, in turns with the natural program with libpcap. It runs on a virtual cable in a
 * separate network namespace, where a process on the first core sends, or on the user's interface.
 * "lost" counts packets sent and not received, whatever lost them; drops that the tool reports are
 * counted separately. The limit is CPU time: write() of the same bytes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/stages/capture.h"
#include "core/source/live/live.h"
#include "tools/bench/bench.h"
#include "tools/bench/folder.h"
#include "tools/devices/cable.h"

#define DURATION_MS 2000u
#define DURATION_MS_MAX 3600000u
#define FAST_PPS UINT64_C(700000) /* most frames/s of a socket; sizes the memory to prepare */

struct live {
	const struct cw_arguments *arguments;
	const char *folder;
	const char *device, *sender;
	struct cw_bench_list sizes, rule_counts, queues;
	struct cw_rules rules;
	const char **filters;
	bool is_xdp;
	struct cw_bench_table table;
};

/* ---- what to measure ---- */

/* Switches off IPv6, whose neighbour discovery would send packets on the cable. */
static void silence_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		cw_complain(
		    "warning: cannot switch off IPv6 on the cable: a few extra packets may be "
		    "captured");
	close(fd);
}

static int find_devices(struct live *live)
{
	const struct cw_words *devices = &live->arguments->devices;
	struct cw_error error = {0};

	if (devices->count > 2)
		return cw_refuse("bench capture takes at most two interfaces: the first to capture "
				 "on, the second to send on");
	if (devices->count) {
		live->device = devices->words[0];
		live->sender = devices->count > 1 ? devices->words[1] : NULL;
		return 0;
	}
	if (cw_cable_make(&error) < 0)
		return cw_fail("%s", error.text);
	silence_ipv6();
	live->device = CW_CABLE_FAR;
	live->sender = CW_CABLE_NEAR;
	return 0;
}

static int choose_backend(struct live *live)
{
	int backend = live->arguments->live.backend;

	live->is_xdp = backend == CW_LIVE_XDP;
	if (live->is_xdp || backend == CW_LIVE_PACKET ||
	    !cw_arguments_have(live->arguments, "backend"))
		return 0;
	return cw_refuse("bench capture: --backend takes packet or xdp");
}

static int choose(struct live *live)
{
	const struct cw_arguments *arguments = live->arguments;
	int result = choose_backend(live);

	live->sizes = (struct cw_bench_list){.numbers = {60, 1514}, .count = 2};
	live->rule_counts = (struct cw_bench_list){.numbers = {1, 8}, .count = 2};
	live->queues = (struct cw_bench_list){.numbers = {1}, .count = 1};
	if (arguments->live.duration_ms > DURATION_MS_MAX)
		return cw_refuse("bench capture: --duration is at most %u s",
				 DURATION_MS_MAX / 1000);
	if (arguments->rules.file && arguments->bench.rule_counts)
		return cw_refuse(
		    "-R and --rule-count exclude each other: --rule-count generates rules");
	if (result == 0)
		result =
		    cw_bench_list_parse(&live->sizes, "--frame-size", arguments->bench.frame_sizes,
					CW_STAGE_FRAME_BYTES_MIN, CW_STAGE_FRAME_BYTES_MAX);
	if (result == 0)
		result = cw_bench_list_parse(&live->rule_counts, "--rule-count",
					     arguments->bench.rule_counts, 1, CW_STAGE_FILTERS_MAX);
	if (result == 0)
		result = cw_bench_list_parse(&live->queues, "--queues", arguments->bench.queues, 1,
					     CW_LIVE_QUEUES_MAX);
	if (result == 0 && arguments->rules.file)
		result =
		    cw_bench_filters(arguments, &live->rules, &live->filters, &live->rule_counts);
	return result ? result : find_devices(live);
}

/* ---- measuring ---- */

/* Adds libpcap's row (queues 0), then capweir's rows by number of queues. */
static int add_rows(struct live *live)
{
	uint32_t sizes = live->sender ? live->sizes.count : 1;
	uint32_t size, rules, queues;

	for (size = 0; size < sizes; size++)
		for (rules = 0; rules < live->rule_counts.count; rules++)
			for (queues = 0; queues <= live->queues.count; queues++) {
				struct cw_bench_row *row = cw_bench_table_add(&live->table);

				if (!row)
					return CW_EXIT_PROBLEM;
				row->program = !queues        ? "libpcap"
					       : live->is_xdp ? "capweir-xdp"
							      : "capweir";
				row->traffic = live->sender ? NULL : live->device;
				row->packet_bytes =
				    live->sender ? (uint32_t)live->sizes.numbers[size] : 0;
				row->rule_count = (uint32_t)live->rule_counts.numbers[rules];
				row->threads =
				    queues ? (uint32_t)live->queues.numbers[queues - 1] : 1;
			}
	return 0;
}

static void take_result(struct cw_bench_row *row, const struct cw_capture_result *result,
			bool has_sender)
{
	struct cw_stage_time time = result->time;

	row->packets = result->received;
	row->bytes = result->bytes;
	row->written = result->written;
	row->written_bytes = result->written_bytes;
	row->unwritten += result->unwritten;
	row->told_dropped += result->dropped + result->lost_before_tap;
	if (has_sender) {
		row->offered += result->sent;
		row->dropped +=
		    result->sent > result->received ? result->sent - result->received : 0;
	} else {
		row->dropped += result->dropped + result->lost_before_tap;
	}
	time.wall_ns = result->traffic_ns;
	cw_bench_row_sample(row, &time, result->received);
}

static int measure_row(struct live *live, uint32_t index, uint64_t round)
{
	const struct cw_arguments *arguments = live->arguments;
	struct cw_bench_row *row = &live->table.rows[index];
	bool is_natural = index % (live->queues.count + 1) == 0;
	char folder[4096], text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_capture_options options = {
	    .device = live->device,
	    .sender = live->sender,
	    .folder = folder,
	    .filter_count = row->rule_count,
	    .filters = live->filters,
	    .queues = row->threads,
	    .is_xdp = live->is_xdp,
	    .frame_bytes = row->packet_bytes,
	    .rate = arguments->send.rate,
	    .duration_ms =
		arguments->live.duration_ms ? (uint32_t)arguments->live.duration_ms : DURATION_MS};
	struct cw_capture_result result;
	int status = cw_bench_subfolder(live->folder, "out", folder, sizeof(folder));

	if (status)
		return status;
	cw_stage_touch_memory((options.rate ? options.rate : FAST_PPS) * options.duration_ms /
			      1000 * (row->packet_bytes + 16));
	status = is_natural ? cw_stage_capture_natural(&options, &result, text)
			    : cw_stage_capture(&options, &result, text);
	cw_stage_empty(folder);
	if (status < 0)
		return cw_fail("%s: %s", row->program, text);
	if (round)
		take_result(row, &result, live->sender != NULL);
	return 0;
}

static int find_limits(struct live *live)
{
	for (uint32_t index = 0; index < live->table.row_count; index++) {
		struct cw_bench_row *row = &live->table.rows[index];
		double write = cw_bench_limit(&live->table, CW_STAGE_WRITE, live->folder, 1);

		if (write <= 0)
			return CW_EXIT_PROBLEM;
		if (row->packets)
			row->limit_ns = (double)row->written_bytes / write / (double)row->packets;
	}
	return 0;
}

static int run(const struct cw_arguments *arguments, const char *folder)
{
	struct live live = {
	    .arguments = arguments,
	    .folder = folder,
	    .table = {
		.bench = "capture",
		.unit = "packet",
		.threads = "queues",
		.limit =
		    "CPU time of write() of the same bytes, at the rate above (direct writing may "
		    "exceed it)",
		.is_cpu_limit = true,
		.rounds = (uint32_t)arguments->bench.repeat}};
	uint64_t round;
	int result = choose(&live);

	if (result == 0)
		result = add_rows(&live);
	for (round = 0; round <= arguments->bench.repeat && result == 0; round++)
		for (uint32_t turn = 0; turn < live.table.row_count && result == 0; turn++)
			result = measure_row(&live, cw_bench_table_turn(&live.table, round, turn),
					     round);
	if (result == 0)
		result = find_limits(&live);
	if (result == 0)
		result = cw_bench_table_print(&live.table, arguments->json);
	cw_bench_table_fini(&live.table);
	cw_rules_fini(&live.rules);
	free(live.filters);
	return result;
}

int cw_bench_capture(const struct cw_arguments *arguments)
{
	return cw_bench_in_folder(arguments, run);
}
