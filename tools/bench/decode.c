/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capweir bench decode: time to decode the packets of a file in memory, one after the other, with
 * each decoder in turns:
 *   eager       all layers of each packet
 *   parser      chosen layers: Ethernet, IPv4, ICMPv4, TCP, UDP, payload
 *   reassembly  parser and reassembly of TCP streams
 *   flow        five-tuples and their hash, in bursts
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/decode/stream.h"
#include "tools/bench/bench.h"
#include "tools/bench/gopacket.h"
#include "tools/bench/packets.h"
#include "tools/commands/commands.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"

#define BURST 256u
#define SEED UINT64_C(0x6361707765697221)
#define FILE_NAME "capweir_benchmark.pcap"
#define FILE_SEED 1

enum phase { EAGER, PARSER, REASSEMBLY, FLOW, PHASE_COUNT };

static const char *const phase_names[PHASE_COUNT] = {"eager", "parser", "reassembly", "flow"};

/* The findings of a phase, equal in every round. */
struct tally {
	uint64_t packets, layers, errors;
	uint64_t stopped; /* parser: packets with a layer outside the chosen ones */
};

struct bench {
	const struct cw_arguments *arguments;
	char *default_path;
	const char *path;
	struct cw_bench_packets packets;
	struct tally tallies[PHASE_COUNT];
	double *times[PHASE_COUNT]; /* ns/packet by round; sorted after the last round */
	struct cw_streams *streams;
	struct cw_streams_stats stats; /* of one round */
	double limit_ns;               /* least possible ns/packet */
	bool is_generated;             /* this run generated the file */
};

/* ---- the phases ---- */

static void run_eager(const struct cw_bench_packets *packets, struct tally *tally)
{
	struct cw_layers layers;

	for (size_t index = 0; index < packets->count; index++) {
		const struct cw_packet *packet = &packets->at[index];

		cw_decode_prefetch(packets->at, index, packets->count);
		cw_decode_layers(packet->data, packet->caplen, packet->iface, &layers);
		tally->layers += layers.count;
		tally->errors += cw_layers_failed(&layers);
	}
	tally->packets = packets->count;
}

/* Storage for the chosen layers; payload counts as a layer. */
struct rooms {
	struct cw_layer ethernet, ipv4, icmpv4, tcp, udp, payload, vlan, ipv6;
	struct cw_chosen chosen;
};

/* Chooses the layers; `is_lazy`: up to the transport layer, but of any packet. */
static void choose(struct rooms *rooms, bool is_lazy)
{
	memset(rooms, 0, sizeof(*rooms));
	rooms->chosen.at[CW_LAYER_ETHERNET] = &rooms->ethernet;
	rooms->chosen.at[CW_LAYER_IPV4] = &rooms->ipv4;
	rooms->chosen.at[CW_LAYER_TCP] = &rooms->tcp;
	rooms->chosen.at[CW_LAYER_UDP] = &rooms->udp;
	if (is_lazy) {
		rooms->chosen.at[CW_LAYER_VLAN] = &rooms->vlan;
		rooms->chosen.at[CW_LAYER_IPV6] = &rooms->ipv6;
	} else {
		rooms->chosen.at[CW_LAYER_ICMPV4] = &rooms->icmpv4;
		rooms->chosen.at[CW_LAYER_PAYLOAD] = &rooms->payload;
	}
}

static inline void count_chosen(const struct cw_chosen *chosen, struct tally *tally)
{
	tally->layers += chosen->count;
	tally->errors += chosen->next == CW_LAYER_FAILURE;
	tally->stopped += chosen->next != CW_LAYER_NONE && chosen->next != CW_LAYER_FAILURE;
}

static void run_parser(const struct cw_bench_packets *packets, bool is_lazy, struct tally *tally)
{
	struct rooms rooms;

	choose(&rooms, is_lazy);
	for (size_t index = 0; index < packets->count; index++) {
		const struct cw_packet *packet = &packets->at[index];

		cw_decode_prefetch(packets->at, index, packets->count);
		cw_decode_chosen(packet->data, packet->caplen, packet->iface, &rooms.chosen);
		count_chosen(&rooms.chosen, tally);
	}
	tally->packets = packets->count;
}

static bool is_tcp_last(const struct cw_chosen *chosen)
{
	uint32_t count = chosen->count;

	if (count && chosen->order[count - 1] == CW_LAYER_PAYLOAD)
		count--;
	return count && chosen->order[count - 1] == CW_LAYER_TCP;
}

/* In bursts, so that the CPU looks up several streams in parallel. */
static void run_reassembly(const struct cw_bench_packets *packets, struct cw_streams *streams,
			   struct tally *tally)
{
	static struct cw_flow flows[BURST];
	struct rooms rooms;
	size_t at, index;

	choose(&rooms, false);
	for (at = 0; at < packets->count; at += BURST) {
		size_t count = cw_min_size(BURST, packets->count - at);

		for (index = 0; index < count; index++) {
			const struct cw_packet *packet = &packets->at[at + index];

			cw_decode_prefetch(packets->at, at + index, packets->count);
			cw_decode_chosen(packet->data, packet->caplen, packet->iface,
					 &rooms.chosen);
			count_chosen(&rooms.chosen, tally);
			if (is_tcp_last(&rooms.chosen))
				cw_flow_from_layers(&rooms.ipv4, &rooms.tcp, SEED, &flows[index]);
			else
				flows[index].protocol = 0; /* not in a stream */
		}
		for (index = 0; index < count; index++)
			cw_streams_add(streams, &packets->at[at + index], &flows[index]);
	}
	cw_streams_flush(streams);
	tally->packets = packets->count;
}

/* Bursts of one link type. Hashes are summed up so that the compiler keeps them. */
static void run_flow(const struct cw_bench_packets *packets, struct tally *tally)
{
	static struct cw_flow flows[BURST];
	size_t at = 0, index;
	uint64_t failed = 0, found = 0;
	uint32_t hashes = 0;

	while (at < packets->count) {
		uint32_t linktype = packets->at[at].iface;
		size_t count = 0;

		while (count < BURST && at + count < packets->count &&
		       packets->at[at + count].iface == linktype)
			count++;
		cw_decode_flows(&packets->at[at], count, linktype, SEED, flows);
		for (index = 0; index < count; index++) {
			hashes ^= flows[index].hash;
			failed += (flows[index].flags & CW_FLOW_FAILED) != 0;
			found += flows[index].version != 0;
		}
		at += count;
	}
	__asm__ volatile("" : : "r"(hashes));
	tally->packets = packets->count;
	tally->errors = failed;
	tally->layers = found;
}

static double run_phase(struct bench *bench, enum phase phase)
{
	struct tally *tally = &bench->tallies[phase];
	struct cw_streams_stats before, *stats = &bench->stats;
	uint64_t start_ns = cw_now_ns();

	*tally = (struct tally){0};
	switch (phase) {
	case EAGER:
		if (bench->arguments->bench.lazy)
			run_parser(&bench->packets, true, tally);
		else
			run_eager(&bench->packets, tally);
		break;
	case PARSER:
		run_parser(&bench->packets, false, tally);
		break;
	case REASSEMBLY:
		cw_streams_stats(bench->streams, &before);
		run_reassembly(&bench->packets, bench->streams, tally);
		cw_streams_stats(bench->streams, stats);
		stats->segments -= before.segments;
		stats->delivered_bytes -= before.delivered_bytes;
		stats->skipped_bytes -= before.skipped_bytes;
		stats->duplicate_bytes -= before.duplicate_bytes;
		stats->started_flows -= before.started_flows;
		break;
	default:
		run_flow(&bench->packets, tally);
	}
	return (double)(cw_now_ns() - start_ns) / (double)bench->packets.count;
}

static void measure(struct bench *bench)
{
	uint64_t round, turn;
	int phase;

	for (phase = 0; phase < PHASE_COUNT; phase++) /* warm-up: untouched memory is slower */
		run_phase(bench, (enum phase)phase);
	for (round = 0; round < bench->arguments->bench.repeat; round++)
		for (turn = 0; turn < PHASE_COUNT; turn++) {
			phase = (int)((turn + round) % PHASE_COUNT);
			run_phase(bench, (enum phase)phase); /* fills the caches */
			bench->times[phase][round] = run_phase(bench, (enum phase)phase);
		}
	for (phase = 0; phase < PHASE_COUNT; phase++)
		cw_stage_sort(bench->times[phase], bench->arguments->bench.repeat);
	bench->limit_ns = cw_bench_touch_ns(bench->packets.at, bench->packets.count);
}

/* ---- counting as the Go package's benchmark ---- */

/* Its second phase omits the layers of packets with an error, and counts one packet more. */
static void recount(struct bench *bench)
{
	struct tally eager = {0}, parser = {0};
	struct cw_layers layers;

	for (size_t index = 0; index < bench->packets.count; index++) {
		const struct cw_packet *packet = &bench->packets.at[index];
		uint32_t count;
		bool is_failed;

		cw_decode_layers(packet->data, packet->caplen, packet->iface, &layers);
		eager.layers += cw_gopacket_count(&layers, packet->data, &is_failed);
		eager.errors += is_failed;
		if (cw_gopacket_parse(&layers, &count))
			parser.layers += count;
	}
	eager.packets = bench->packets.count;
	parser.packets = bench->packets.count + 1;
	bench->tallies[EAGER] = eager;
	bench->tallies[PARSER] = bench->tallies[REASSEMBLY] = parser;
}

/* ---- the result ---- */

static void print_packets(const struct bench *bench)
{
	FILE *file = bench->arguments->json ? stderr : stdout;
	struct cw_layers layers;
	uint32_t n;

	for (size_t index = 0; index < bench->packets.count; index++) {
		const struct cw_packet *packet = &bench->packets.at[index];
		const struct cw_layer *last;

		cw_decode_layers(packet->data, packet->caplen, packet->iface, &layers);
		last = layers.count ? &layers.at[layers.count - 1] : NULL;
		if (bench->arguments->bench.print_layers) {
			cw_print(file, "packet %zu:", index + 1);
			for (n = 0; n < layers.count; n++)
				cw_print(file, " %s%s", cw_layer_name(layers.at[n].type),
					 layers.at[n].flags & CW_LAYER_TRUNCATED ? "(truncated)"
										 : "");
			cw_print(file, "\n");
		}
		if (bench->arguments->bench.print_errors && cw_layers_failed(&layers))
			cw_print(file, "packet %zu: %s at byte %u: %s\n", index + 1,
				 cw_layer_name(last->failure.type), last->offset,
				 cw_layer_error_text(last->failure.error));
	}
}

static json_t *phase_json(const struct bench *bench, int phase)
{
	const struct tally *tally = &bench->tallies[phase];
	const double *times = bench->times[phase];
	uint64_t rounds = bench->arguments->bench.repeat;
	double median = cw_bench_median(times, rounds);

	return json_pack(
	    "{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "phase",
	    phase == EAGER && bench->arguments->bench.lazy ? "lazy" : phase_names[phase], "packets",
	    (json_int_t)tally->packets, "layers", (json_int_t)tally->layers, "errors",
	    (json_int_t)tally->errors, "stopped", (json_int_t)tally->stopped, "ns_per_packet",
	    median, "min", times[0], "max", times[rounds - 1], "spread",
	    cw_bench_spread(times, rounds), "limit_fraction", bench->limit_ns / median);
}

static json_t *bench_json(const struct bench *bench)
{
	json_t *phases = json_array(), *result;

	for (int phase = 0; phase < PHASE_COUNT; phase++)
		json_array_append_new(phases, phase_json(bench, phase));
	result = json_pack(
	    "{s:i, s:s, s:o, s:s, s:I, s:I, s:b, s:I, s:I, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}}",
	    "version", 1, "bench", "decode", "machine", cw_bench_machine(), "file", bench->path,
	    "packets", (json_int_t)bench->packets.count, "packet_bytes",
	    (json_int_t)bench->packets.byte_count, "cut", bench->packets.is_cut, "left_out",
	    (json_int_t)bench->packets.left_out_count, "rounds",
	    (json_int_t)bench->arguments->bench.repeat, "phases", phases, "streams", "segments",
	    (json_int_t)bench->stats.segments, "flows", (json_int_t)bench->stats.started_flows,
	    "delivered_bytes", (json_int_t)bench->stats.delivered_bytes, "skipped_bytes",
	    (json_int_t)bench->stats.skipped_bytes, "duplicate_bytes",
	    (json_int_t)bench->stats.duplicate_bytes, "memory_bytes",
	    (json_int_t)cw_streams_bytes(bench->streams));
	json_object_set_new(result, "limit", json_string(CW_BENCH_TOUCH_TEXT));
	json_object_set_new(result, "limit_ns_per_packet", json_real(bench->limit_ns));
	if (bench->is_generated)
		json_object_set_new(result, "seed", json_integer(FILE_SEED));
	return result;
}

static void print_text(const struct bench *bench)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	uint64_t rounds = bench->arguments->bench.repeat;

	cw_bench_print_machine();
	cw_print(stdout, "%s packets of %s (%s)%s\n", cw_format_count(bench->packets.count, a),
		 bench->path, cw_format_bytes(bench->packets.byte_count, b),
		 bench->packets.is_cut ? ", the first of the file (--packets)" : "");
	if (bench->packets.left_out_count)
		cw_print(stdout, "%s malformed packets are left out\n",
			 cw_format_count(bench->packets.left_out_count, a));
	cw_print(stdout, "%-12s %12s %12s %9s %10s %18s %8s\n", "phase", "packets", "layers",
		 "errors", "ns/packet", "(min-max)", "of limit");
	for (int phase = 0; phase < PHASE_COUNT; phase++) {
		const struct tally *tally = &bench->tallies[phase];
		const double *times = bench->times[phase];
		double median = cw_bench_median(times, rounds);
		char spread[64];

		snprintf(spread, sizeof(spread), "(%.1f-%.1f)", times[0], times[rounds - 1]);
		cw_print(stdout, "%-12s %12s %12s %9s %10.1f %18s %6.0f %%\n",
			 phase == EAGER && bench->arguments->bench.lazy ? "lazy"
									: phase_names[phase],
			 cw_format_count(tally->packets, a), cw_format_count(tally->layers, b),
			 cw_format_count(tally->errors, c), median, spread,
			 100 * bench->limit_ns / median);
	}
	cw_print(stdout, "%s bytes of %s TCP flows delivered in order, %s skipped; ",
		 cw_format_count(bench->stats.delivered_bytes, a),
		 cw_format_count(bench->stats.started_flows, b),
		 cw_format_count(bench->stats.skipped_bytes, c));
	cw_print(stdout, "medians of %" PRIu64 " rounds\n", rounds);
	cw_print(stdout, "limit: " CW_BENCH_TOUCH_TEXT ", %.1f ns\n", bench->limit_ns);
}

/* ---- the file ---- */

static int use_default_file(struct bench *bench)
{
	const char *directory = getenv("TMPDIR");
	struct cw_words words = {0};
	struct cw_arguments generate = {.command = CW_GENERATE,
					.traffic = {.packets = 500000, .seed = FILE_SEED}};
	int result;

	if (!directory || !*directory)
		directory = "/tmp";
	if (asprintf(&bench->default_path, "%s/" FILE_NAME, directory) < 0) {
		bench->default_path = NULL;
		return cw_complain_no_memory();
	}
	bench->path = bench->default_path;
	if (access(bench->path, F_OK) == 0)
		return 0;
	cw_complain("generating %s", bench->path);
	bench->is_generated = true;
	if (cw_words_add(&words, bench->path) < 0)
		return cw_complain_no_memory();
	generate.rules.writes = words;
	result = cw_command_generate(&generate);
	free(words.words);
	return result;
}

static int find_file(struct bench *bench)
{
	const struct cw_arguments *arguments = bench->arguments;
	uint32_t named = arguments->inputs.count + arguments->rest.count - 1;

	if (named > 1)
		return cw_refuse("bench decode takes at most one FILE");
	if (arguments->traffic.packets == 0 || arguments->traffic.packets > CW_BENCH_PACKETS_MAX)
		return cw_refuse("bench decode: --packets takes a whole number from 1 to %u",
				 CW_BENCH_PACKETS_MAX);
	if (named == 0)
		return use_default_file(bench);
	bench->path =
	    arguments->inputs.count ? arguments->inputs.words[0] : arguments->rest.words[1];
	return 0;
}

static int prepare(struct bench *bench)
{
	const struct cw_streams_options options = {.flows_max = 0};
	struct cw_error error = {0};
	int result, phase;

	result = cw_arguments_linktype(bench->arguments, &bench->packets.linktype);
	bench->packets.count_max = bench->arguments->traffic.packets;
	if (result == 0)
		result = find_file(bench);
	if (result == 0)
		result = cw_bench_packets_read(&bench->packets, bench->path);
	if (result)
		return result;
	for (phase = 0; phase < PHASE_COUNT; phase++) {
		bench->times[phase] = calloc(bench->arguments->bench.repeat, sizeof(double));
		if (!bench->times[phase])
			return cw_complain_no_memory();
	}
	if (cw_streams_open(&bench->streams, &options, &error) < 0)
		return cw_fail("%s", error.text);
	return 0;
}

int cw_bench_decode(const struct cw_arguments *arguments)
{
	struct bench bench = {.arguments = arguments};
	int result = prepare(&bench);

	if (result == 0) {
		measure(&bench);
		if (arguments->bench.gopacket_compat)
			recount(&bench);
		if (arguments->bench.print_errors || arguments->bench.print_layers)
			print_packets(&bench);
		if (!arguments->json)
			print_text(&bench);
		else if (cw_bench_write(bench_json(&bench)))
			result = CW_EXIT_PROBLEM;
		if (cw_flush_output())
			result = CW_EXIT_PROBLEM;
	}
	cw_streams_close(bench.streams);
	for (int phase = 0; phase < PHASE_COUNT; phase++)
		free(bench.times[phase]);
	cw_bench_packets_fini(&bench.packets);
	free(bench.default_path);
	return result;
}
