/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compares filter sets with libpcap's bpf_filter, filter by filter, in one run:
 *
 * 	filter_set_bench [--json] [-O] KIND N [ROUNDS [PCAP]]
 *
 * KIND is one of tests/rig/filter_sets.h, or @FILE of expressions. For a kind with one expression,
 * N is the number of its alternatives (libpcap's optimiser takes half a minute for 1,000; -O skips
 * it). 20,000 packets, generated or the first ones of PCAP, 128 bytes of headers each (2.9 MB: in
 * L3). Engines take turns within each round. Prints medians of ns/packet and of the ratio to
 * libpcap, the time of building a set, its size and its peak memory. Every engine's IDs are
 * compared with libpcap's: exit 1 if they differ. bench/peers/filter_sets.py makes a table of many
 * runs.
 */
#include <malloc.h>

#include "core/base/clock.h"
#include "core/filter/measure.h"
#include "tests/rig/filter_differ.h"

#define PACKETS 20000u
#define PACKET_STRIDE 144u
#define ROUNDS 15u
#define ORACLE_NS 20e6 /* time limit of libpcap in a round, kept by fewer packets */
#define COMPARE_NS 2e9 /* time limit of the comparison, kept by fewer packets */

static const struct {
	const char *name;
	enum cw_filter_engine engine;
} engines[] = {{"libpcap", CW_ENGINE_LIBPCAP},
	       {"interpreter", CW_ENGINE_SEQUENTIAL},
	       {"walker", CW_ENGINE_WALKER},
	       {"jit", CW_ENGINE_JIT},
	       {"auto", CW_ENGINE_AUTO}};
#define ENGINE_COUNT CW_ARRAY_COUNT(engines)

struct bench {
	const char *kind;
	uint32_t size;
	bool is_unoptimized;
	struct differ differ;
	struct cw_packet packets[PACKETS];
	uint8_t *memory;
	double compile_ms;
	double peak_mib[ENGINE_COUNT]; /* peak memory of building, with its result */
	struct cw_filter_run runs[ENGINE_COUNT];
	struct cw_filter_difference differences[ENGINE_COUNT];
	size_t compared; /* packets */
};

static double now_ms(void)
{
	return (double)cw_now_ns() * 1e-6;
}

/* ---- packets ---- */

static void read_packets(struct bench *bench, const char *path)
{
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, message);
	struct pcap_pkthdr header;
	const u_char *data;
	uint32_t i;

	for (i = 0; file && i < PACKETS && (data = pcap_next(file, &header)); i++) {
		uint32_t caplen = cw_min_u32(128, header.caplen);
		uint8_t *copy = bench->memory + (size_t)i * PACKET_STRIDE;

		memcpy(copy, data, caplen);
		bench->packets[i] =
		    (struct cw_packet){.data = copy, .caplen = caplen, .wire_len = header.len};
	}
	if (i < PACKETS) {
		fprintf(stderr, "%s: fewer than %u packets\n", path, PACKETS);
		exit(1);
	}
	pcap_close(file);
}

static void make_packets(struct bench *bench)
{
	struct random random = {88172645463325252u};
	uint32_t i;

	for (i = 0; i < PACKETS; i++) {
		uint8_t *copy = bench->memory + (size_t)i * PACKET_STRIDE;
		uint8_t bytes[RANDOM_PACKET_MAX];
		uint32_t caplen = cw_min_u32(128, sets_packet(&random, bytes));

		memcpy(copy, bytes, caplen);
		bench->packets[i] =
		    (struct cw_packet){.data = copy, .caplen = caplen, .wire_len = caplen};
	}
}

/* ---- filters ---- */

static bool is_used(const struct differ *differ, const char *expression)
{
	uint32_t i;

	for (i = 0; i < differ->count; i++)
		if (strcmp(cw_filter_expression(differ->filters[i]), expression) == 0)
			return true;
	return false;
}

static bool is_single(const char *kind)
{
	uint32_t i;

	for (i = 0; sets_single_kinds[i]; i++)
		if (strcmp(kind, sets_single_kinds[i]) == 0)
			return true;
	return false;
}

static void add_single(struct bench *bench)
{
	struct random random = {12345};
	char *text = malloc((size_t)bench->size * SETS_ALTERNATIVE_BYTES);

	if (!text)
		abort();
	sets_alternatives(&random, bench->kind, bench->size, text);
	differ_add_expression(&bench->differ, text, bench->is_unoptimized);
	free(text);
}

/* Adds `size` different expressions, or all that the kind has. */
static void add_expressions(struct bench *bench)
{
	struct random random = {12345};
	char expression[65536];
	FILE *file = bench->kind[0] == '@' ? fopen(bench->kind + 1, "r") : NULL;
	uint32_t i;

	for (i = 0; bench->differ.count < bench->size && i < 4 * bench->size; i++) {
		if (!file)
			sets_expression(&random, bench->kind, i, expression);
		else if (!fgets(expression, sizeof(expression), file))
			break;
		expression[strcspn(expression, "\n")] = '\0';
		if (file || !is_used(&bench->differ, expression))
			differ_add_expression(&bench->differ, expression, bench->is_unoptimized);
	}
	if (file)
		fclose(file);
}

/* Returns a value of /proc/self/status in MiB; 0 without it. */
static double read_status(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	double kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = atof(line + strlen(name) + 1);
	if (file)
		fclose(file);
	return kib / 1024;
}

/* Builds a set; its peak memory is the growth of peak resident memory. */
static void build(struct bench *bench, uint32_t engine)
{
	FILE *file;
	double before;

	malloc_trim(0);
	before = read_status("VmRSS");
	file = fopen("/proc/self/clear_refs", "w");
	if (file) {
		fputs("5", file); /* resets the peak */
		fclose(file);
	}
	differ_build(&bench->differ, engines[engine].engine, CW_FILTER_ALL, NULL,
		     engines[engine].name);
	bench->peak_mib[engine] = read_status("VmHWM") - before;
}

/* ---- measuring ---- */

static bool measure(struct bench *bench, uint32_t rounds)
{
	const struct cw_filter_set *const *sets =
	    (const struct cw_filter_set *const *)bench->differ.sets;
	size_t slow;
	uint32_t i;

	bench->compared = cw_filter_affordable(sets[0], bench->packets, PACKETS, COMPARE_NS);
	slow = cw_filter_affordable(sets[0], bench->packets, PACKETS, ORACLE_NS);
	for (i = 0; i < ENGINE_COUNT; i++)
		bench->runs[i] = (struct cw_filter_run){
		    .set = sets[i],
		    .packet_count = engines[i].engine >= CW_ENGINE_SEQUENTIAL ? slow : PACKETS};
	return slow && bench->compared &&
	       cw_filter_compare(sets, ENGINE_COUNT, bench->packets, bench->compared,
				 bench->differences) == 0 &&
	       cw_filter_measure(bench->runs, ENGINE_COUNT, bench->packets, rounds) == 0;
}

/* ---- results ---- */

static void print_text(const struct bench *bench)
{
	uint32_t count = bench->differ.count, i;

	printf("%s N=%u: %u filters compiled in %.1f ms; compared on %zu packets\n", bench->kind,
	       bench->size, count, bench->compile_ms, bench->compared);
	for (i = 0; i < ENGINE_COUNT; i++) {
		const struct cw_filter_run *run = &bench->runs[i];
		struct cw_filter_set_stats stats;

		cw_filter_set_stats(run->set, &stats);
		printf("  %-12s %10.2f ns (min %10.2f)  %8.1fx%s", engines[i].name, run->ns,
		       run->ns_min, run->ratio,
		       bench->differences[i].is_different ? "  DIFFERS" : "");
		if (stats.program_count)
			printf("  build %7.2f ms, %.1f MiB, %zu programs, %zu steps, %.0f B a "
			       "filter, %zu apart",
			       (double)stats.build_ns * 1e-6, bench->peak_mib[i],
			       stats.program_count, stats.step_count,
			       (double)stats.joint_bytes / count, stats.apart_count);
		printf("\n");
	}
	printf("  %.3f matches per packet\n", bench->runs[ENGINE_COUNT - 1].matches);
}

static void print_json(const struct bench *bench)
{
	uint32_t i;

	printf("{\"kind\": \"%s\", \"size\": %u, \"filters\": %u, \"compile_ms\": %.3f, "
	       "\"compared\": %zu, \"matches\": %.4f, \"engines\": {",
	       bench->kind, bench->size, bench->differ.count, bench->compile_ms, bench->compared,
	       bench->runs[ENGINE_COUNT - 1].matches);
	for (i = 0; i < ENGINE_COUNT; i++) {
		const struct cw_filter_run *run = &bench->runs[i];
		struct cw_filter_set_stats stats;

		cw_filter_set_stats(run->set, &stats);
		printf("%s\"%s\": {\"ns\": %.3f, \"min\": %.3f, \"max\": %.3f, \"ratio\": %.3f, "
		       "\"build_ms\": %.3f, \"peak_mib\": %.2f, \"joint_bytes\": %zu, \"bytes\": "
		       "%zu, \"nodes\": %zu, "
		       "\"programs\": %zu, \"apart\": %zu, \"agree\": %s}",
		       i ? ", " : "", engines[i].name, run->ns, run->ns_min, run->ns_max,
		       run->ratio, (double)stats.build_ns * 1e-6, bench->peak_mib[i],
		       stats.joint_bytes, stats.bytes, stats.step_count, stats.program_count,
		       stats.apart_count, bench->differences[i].is_different ? "false" : "true");
	}
	printf("}}\n");
}

/* Returns whether all engines agree; reports the differences. */
static bool report_differences(const struct bench *bench)
{
	bool result = true;
	uint32_t i;

	for (i = 1; i < ENGINE_COUNT; i++) {
		const struct cw_filter_difference *at = &bench->differences[i];

		if (!at->is_different)
			continue;
		fprintf(stderr, "%s %s packet %zu for \"%s\"\n", engines[i].name,
			at->is_missing ? "misses" : "wrongly takes", at->packet,
			cw_filter_expression(bench->differ.filters[at->id / DIFFER_ID(1)]));
		result = false;
	}
	return result;
}

/* Removes an option from argv; returns whether it was there. */
static bool take_option(int *argc, char **argv, const char *option)
{
	if (*argc < 2 || strcmp(argv[1], option) != 0)
		return false;
	memmove(argv + 1, argv + 2, (size_t)(*argc - 1) * sizeof(*argv));
	--*argc;
	return true;
}

static bool is_kind(const char *word)
{
	size_t i;

	for (i = 0; sets_kinds[i]; i++) {
		if (strcmp(word, sets_kinds[i]) == 0)
			return true;
	}
	return is_single(word) || word[0] == '@';
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool is_json = take_option(&argc, argv, "--json");
	int rounds, status;
	uint32_t i;

	bench.is_unoptimized = take_option(&argc, argv, "-O");
	bench.kind = argc > 1 ? argv[1] : "host";
	bench.size = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
	rounds = argc > 3 ? atoi(argv[3]) : (int)ROUNDS;
	bench.memory = calloc(PACKETS, PACKET_STRIDE);
	if (!is_kind(bench.kind) || bench.size == 0 || rounds < 1 ||
	    rounds > (int)CW_FILTER_ROUNDS_MAX) {
		fprintf(stderr,
			"usage: filter_set_bench [--json] [-O] [KIND [N [ROUNDS [FILE]]]]\n");
		return 2;
	}
	if (!bench.memory)
		return 1;
	if (argc > 4)
		read_packets(&bench, argv[4]);
	else
		make_packets(&bench);
	bench.compile_ms = -now_ms();
	if (is_single(bench.kind))
		add_single(&bench);
	else
		add_expressions(&bench);
	bench.compile_ms += now_ms();
	for (i = 0; i < ENGINE_COUNT; i++)
		build(&bench, i);
	if (!measure(&bench, (uint32_t)rounds))
		return 1;
	if (is_json)
		print_json(&bench);
	else
		print_text(&bench);
	status = report_differences(&bench) ? 0 : 1;
	differ_fini(&bench.differ);
	free(bench.memory);
	return status;
}
