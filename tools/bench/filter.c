/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capweir bench filter: runs the filters of a rules file on the packets of a capture file, with
 * each engine and libpcap's interpreter in turns. First it compares every engine's result for every
 * packet with libpcap's. Then it measures all engines on the same packets: a sample, if one engine
 * is too slow for all of them, because other packets would give other ratios.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/filter/measure.h"
#include "core/filter/text/compiler.h"
#include "core/packet/linktype.h"
#include "pipeline/rules/rules.h"
#include "tools/bench/bench.h"
#include "tools/bench/packets.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"

#define SLOW_NS 0.3e9 /* time limit of one engine in a round, kept by fewer packets */

/* libpcap is first, the reference for the others. */
static const enum cw_filter_engine engines[] = {CW_ENGINE_LIBPCAP, CW_ENGINE_JIT, CW_ENGINE_WALKER,
						CW_ENGINE_SEQUENTIAL};
#define ENGINE_COUNT CW_ARRAY_COUNT(engines)

struct bench {
	const struct cw_arguments *arguments;
	struct cw_rules rules;
	struct cw_filter_compiler *compiler; /* NULL: compile in this process */
	uint32_t *rule_of;                   /* index in rules, by filter ID */
	uint32_t filter_count;
	double compile_ms;
	/* packets */
	struct cw_bench_packets packets;
	size_t measured_count; /* packets of the sample, which replaces `packets` */
	/* engines */
	struct cw_filter_set *sets[ENGINE_COUNT];
	struct cw_filter_run runs[ENGINE_COUNT];
	struct cw_filter_difference differences[ENGINE_COUNT];
	double limit_ns; /* least possible ns/packet */
};

/* ---- filters ---- */

static int add_copy(struct cw_filter_set *set, uint32_t id, const struct cw_filter *filter)
{
	struct cw_filter *copy;
	uint32_t count;
	const struct bpf_insn *program = cw_filter_program(filter, &count);
	int result = cw_filter_from_program(&copy, program, count, NULL);

	if (result < 0)
		return result;
	result = cw_filter_set_add_filter(set, id, copy, NULL);
	if (result < 0)
		cw_filter_free(copy);
	return result;
}

/* Compiles a rule's filter once and adds it to every set. */
static int add_rule(struct bench *bench, const struct cw_filter_options *options, uint32_t index)
{
	const struct cw_rule *rule = &bench->rules.rules[index];
	struct cw_filter *filter;
	struct cw_error error = {0};
	uint64_t start_ns = cw_now_ns();
	int result = cw_filter_compile(&filter, rule->filter, options, &error);
	size_t engine;

	bench->compile_ms += (double)(cw_now_ns() - start_ns) * 1e-6;
	if (result > 0)
		cw_complain("warning: rule %s: %s", rule->name, error.text);
	if (result < 0) {
		cw_complain("%s:%u: rule %s: %s", bench->rules.path, rule->filter_line, rule->name,
			    error.text);
		return result == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
	}
	for (engine = 0, result = 0; engine < ENGINE_COUNT && result == 0; engine++)
		result = add_copy(bench->sets[engine], bench->filter_count, filter);
	bench->rule_of[bench->filter_count++] = index;
	cw_filter_free(filter);
	return result < 0 ? cw_complain_no_memory() : 0;
}

static int build_sets(struct bench *bench)
{
	struct cw_filter_set_options options = {
	    .filter = {.linktype = bench->packets.first.linktype,
		       .is_swapped = bench->packets.first.is_swapped,
		       .unoptimized = bench->arguments->filter.unoptimized,
		       .resolve_names = bench->arguments->filter.resolve,
		       .compiler = bench->compiler},
	    .mode = bench->rules.mode};
	int result = 0;

	for (size_t engine = 0; engine < ENGINE_COUNT; engine++) {
		options.engine = engines[engine];
		if (cw_filter_set_new(&bench->sets[engine], &options, NULL) < 0)
			return cw_complain_no_memory();
	}
	for (uint32_t index = 0; index < bench->rules.count && result == 0; index++)
		if (bench->rules.rules[index].kind != CW_RULE_UNMATCHED)
			result = add_rule(bench, &options.filter, index);
	if (result == 0 && bench->filter_count == 0)
		result = cw_refuse("%s: no rule has a filter", bench->rules.path);
	for (size_t engine = 0; engine < ENGINE_COUNT && result == 0; engine++)
		if (cw_filter_set_build(bench->sets[engine], NULL) < 0)
			result = cw_complain_no_memory();
	return result;
}

/* ---- measuring ---- */

/* Reduces the packets to an even sample that the slowest engine can process in time. Returns its
 * size, or 0 without memory. */
static size_t take_sample(struct bench *bench)
{
	size_t count = bench->packets.count;
	size_t engine, index;

	for (engine = 0; engine < ENGINE_COUNT; engine++)
		count =
		    cw_min_size(count, cw_filter_affordable(bench->sets[engine], bench->packets.at,
							    bench->packets.count, SLOW_NS));
	for (index = 0; index < count; index++)
		bench->packets.at[index] = bench->packets.at[index * bench->packets.count / count];
	return count;
}

static int measure(struct bench *bench)
{
	if (cw_filter_compare((const struct cw_filter_set *const *)bench->sets, ENGINE_COUNT,
			      bench->packets.at, bench->packets.count, bench->differences) < 0)
		return cw_complain_no_memory();
	bench->measured_count = take_sample(bench);
	if (bench->measured_count == 0)
		return cw_complain_no_memory();
	for (size_t engine = 0; engine < ENGINE_COUNT; engine++)
		bench->runs[engine] = (struct cw_filter_run){.set = bench->sets[engine],
							     .packet_count = bench->measured_count};
	if (cw_filter_measure(bench->runs, ENGINE_COUNT, bench->packets.at,
			      (uint32_t)bench->arguments->bench.repeat) < 0)
		return cw_complain_no_memory();
	bench->limit_ns = cw_bench_touch_ns(bench->packets.at, bench->measured_count);
	return 0;
}

/* ---- the result ---- */

static const char *rule_name(const struct bench *bench, uint32_t id)
{
	return bench->rules.rules[bench->rule_of[id]].name;
}

/* Reports each engine that differs from libpcap; returns CW_EXIT_PROBLEM if one does. */
static int report_differences(const struct bench *bench)
{
	int status = CW_EXIT_COMPLETE;

	for (size_t engine = 1; engine < ENGINE_COUNT; engine++) {
		const struct cw_filter_difference *at = &bench->differences[engine];

		if (!at->is_different)
			continue;
		status =
		    cw_fail("%s differs from libpcap: packet %" PRIu64 ", rule %s: it %s. This is "
			    "a bug in capweir, please report it",
			    cw_filter_engine_name(engines[engine]),
			    bench->packets.numbers[at->packet], rule_name(bench, at->id),
			    at->is_missing ? "misses the packet" : "wrongly takes the packet");
	}
	return status;
}

static json_t *engine_json(const struct bench *bench, size_t engine)
{
	const struct cw_filter_run *run = &bench->runs[engine];
	const struct cw_filter_difference *difference = &bench->differences[engine];
	struct cw_filter_set_stats stats;
	json_t *first = json_null();

	cw_filter_set_stats(run->set, &stats);
	if (difference->is_different)
		first =
		    json_pack("{s:I, s:s, s:b}", "packet",
			      (json_int_t)bench->packets.numbers[difference->packet], "rule",
			      rule_name(bench, difference->id), "missing", difference->is_missing);
	return json_pack(
	    "{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:b, s:o}", "engine",
	    cw_filter_engine_name(engines[engine]), "ran", cw_filter_engine_name(stats.engine),
	    "packets", (json_int_t)run->packet_count, "ns_per_packet", run->ns, "min", run->ns_min,
	    "max", run->ns_max, "ratio", run->ratio, "limit_fraction", bench->limit_ns / run->ns,
	    "build_ms", (double)stats.build_ns * 1e-6, "bytes", (json_int_t)stats.bytes, "nodes",
	    (json_int_t)stats.step_count, "joined", (json_int_t)stats.joint_count, "apart",
	    (json_int_t)stats.apart_count, "agree", !difference->is_different, "difference", first);
}

static json_t *bench_json(const struct bench *bench)
{
	json_t *list = json_array();
	char name[64];

	for (size_t engine = 1; engine < ENGINE_COUNT; engine++)
		json_array_append_new(list, engine_json(bench, engine));
	return json_pack(
	    "{s:i, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:f, s:f, s:f, s:f, s:s, s:o, "
	    "s:o}",
	    "version", 1, "bench", "filter", "machine", cw_bench_machine(), "linktype",
	    cw_linktype_name(bench->packets.first.linktype, name, sizeof(name)), "rules",
	    (json_int_t)bench->filter_count, "packets", (json_int_t)bench->packets.count,
	    "measured", (json_int_t)bench->measured_count, "packet_bytes",
	    (json_int_t)bench->packets.byte_count, "cut", bench->packets.is_cut, "left_out",
	    (json_int_t)bench->packets.left_out_count, "rounds",
	    (json_int_t)bench->arguments->bench.repeat, "compile_ms", bench->compile_ms,
	    "matches_per_packet", bench->runs[1].matches, "libpcap_ns_per_packet",
	    bench->runs[0].ns, "limit_ns_per_packet", bench->limit_ns, "limit", CW_BENCH_TOUCH_TEXT,
	    "libpcap", engine_json(bench, 0), "engines", list);
}

/* Returns why the JIT engine runs without machine code; "" if it has machine code. */
static const char *why_no_code(const struct cw_filter_set_stats *stats)
{
	if (stats->engine == CW_ENGINE_JIT)
		return "";
	if (stats->is_code_over_budget)
		return " (walker: the code would be too large)";
	if (stats->joint_count)
		return " (walker: no machine code here)";
	if (stats->loop_count)
		return " (interpreter: filters with loops have no machine code)";
	if (stats->over_budget_count)
		return " (interpreter: filters this large have no machine code)";
	return " (no machine code here)";
}

static void print_text(const struct bench *bench)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], name[64];

	cw_bench_print_machine();
	cw_print(stdout, "%u filter%s compiled in %.1f ms; %s packets of %s (%s)",
		 bench->filter_count, cw_plural(bench->filter_count), bench->compile_ms,
		 cw_format_count(bench->packets.count, a),
		 cw_linktype_name(bench->packets.first.linktype, name, sizeof(name)),
		 cw_format_bytes(bench->packets.byte_count, b));
	cw_print(stdout, "%s\n",
		 bench->packets.is_cut ? ", the first of the file (--packets)" : "");
	if (bench->packets.left_out_count)
		cw_print(stdout, "%s packets of other link types or malformed are left out\n",
			 cw_format_count(bench->packets.left_out_count, a));
	cw_print(stdout, "%-12s %12s %25s %9s %10s %10s  %s\n", "engine", "ns/packet", "(min-max)",
		 "ratio", "build ms", "bytes", "agrees");
	for (size_t engine = 0; engine < ENGINE_COUNT; engine++) {
		const struct cw_filter_run *run = &bench->runs[engine];
		struct cw_filter_set_stats stats;
		char spread[64];

		cw_filter_set_stats(run->set, &stats);
		snprintf(spread, sizeof(spread), "(%.1f-%.1f)", run->ns_min, run->ns_max);
		cw_print(stdout, "%-12s %12.1f %25s %8.1fx %10.2f %10zu  %s%s\n",
			 cw_filter_engine_name(engines[engine]), run->ns, spread, run->ratio,
			 (double)stats.build_ns * 1e-6, stats.bytes,
			 bench->differences[engine].is_different ? "NO" : "yes",
			 engines[engine] == CW_ENGINE_JIT ? why_no_code(&stats) : "");
	}
	cw_print(stdout,
		 "%.3f matches per packet; medians of %" PRIu64 " rounds, each engine in turn on ",
		 bench->runs[1].matches, bench->arguments->bench.repeat);
	if (bench->measured_count == bench->packets.count)
		cw_print(stdout, "all packets\n");
	else
		cw_print(stdout, "the same %s packets, evenly spread\n",
			 cw_format_count(bench->measured_count, a));
	cw_print(stdout, "limit: " CW_BENCH_TOUCH_TEXT ", %.1f ns\n", bench->limit_ns);
}

static int check_arguments(const struct cw_arguments *arguments)
{
	if (arguments->inputs.count != 1 || !arguments->rules.file)
		cw_complain("bench filter needs one -r FILE and one -R RULES");
	else if (strcmp(arguments->inputs.words[0], "-") == 0 &&
		 strcmp(arguments->rules.file, "-") == 0)
		cw_complain("standard input (-) can be read once only: use a file for -r or -R");
	else if (arguments->traffic.packets == 0 ||
		 arguments->traffic.packets > CW_BENCH_PACKETS_MAX)
		cw_complain("bench filter: --packets takes a whole number from 1 to %u",
			    CW_BENCH_PACKETS_MAX);
	else
		return 0;
	return CW_EXIT_USAGE;
}

static int prepare(struct bench *bench)
{
	const struct cw_arguments *arguments = bench->arguments;
	struct cw_error error = {0};
	int result = check_arguments(arguments);

	bench->packets.count_max = arguments->traffic.packets;
	bench->packets.is_one_linktype = true;
	if (result == 0)
		result = cw_arguments_linktype(arguments, &bench->packets.linktype);
	if (result)
		return result;
	if (cw_rules_load(&bench->rules, arguments->rules.file, &error) < 0)
		return cw_refuse("%s", error.text);
	bench->rule_of = calloc(bench->rules.count + 1, sizeof(*bench->rule_of));
	if (!bench->rule_of)
		return cw_complain_no_memory();
	bench->compiler = cw_arguments_start_compiler(arguments);
	result = cw_bench_packets_read(&bench->packets, arguments->inputs.words[0]);
	return result ? result : build_sets(bench);
}

int cw_bench_filter(const struct cw_arguments *arguments)
{
	struct bench bench = {.arguments = arguments};
	int result = prepare(&bench);

	if (result == 0)
		result = measure(&bench);
	if (result == 0) {
		result = report_differences(&bench);
		if (!arguments->json)
			print_text(&bench);
		else if (cw_bench_write(bench_json(&bench)))
			result = CW_EXIT_PROBLEM;
		if (cw_flush_output())
			result = CW_EXIT_PROBLEM;
	}
	for (size_t engine = 0; engine < ENGINE_COUNT; engine++)
		cw_filter_set_free(bench.sets[engine]);
	cw_filter_compiler_free(bench.compiler);
	cw_rules_fini(&bench.rules);
	free(bench.rule_of);
	cw_bench_packets_fini(&bench.packets);
	return result;
}
