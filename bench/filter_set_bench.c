/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filter sets against libpcap's bpf_filter in sequence, in one run:
 *
 *	filter_set_bench KIND N [REPETITIONS [PCAP]]
 *
 * KIND is one of tests/filter_sets.h, or @FILE of expressions. 20,000 packets, generated or the
 * first ones of PCAP, 128 bytes of headers each (2.9 MB: in L3). Prints nanoseconds a packet,
 * medians of the repetitions (engines take turns within each) of that and of the ratio to libpcap,
 *how long building took and what it takes up. Every engine's ids are compared with libpcap's on the
 *way.
 */
#include <time.h>

#include "tests/filter_differ.h"

#define PACKETS 20000u
#define PACKET_STRIDE 144u
#define BURST 64u
#define REPETITIONS 15u
#define REPETITIONS_MAX 101u
#define ORACLE_NS 20000000.0 /* libpcap is measured on as many packets as this takes */

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

static void read_packets(struct cw_packet *packets, uint8_t *memory, const char *path)
{
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, message);
	struct pcap_pkthdr header;
	const u_char *data;
	uint32_t i;

	for (i = 0; file && i < PACKETS && (data = pcap_next(file, &header)); i++) {
		uint32_t caplen = cw_min_u32(128, header.caplen);

		memcpy(memory + (size_t)i * PACKET_STRIDE, data, caplen);
		packets[i] = (struct cw_packet){.data = memory + (size_t)i * PACKET_STRIDE,
						.caplen = caplen,
						.wire_len = header.len};
	}
	if (i < PACKETS) {
		fprintf(stderr, "%s: fewer than %u packets\n", path, PACKETS);
		exit(1);
	}
	pcap_close(file);
}

static void make_packets(struct cw_packet *packets, uint8_t *memory)
{
	struct random random = {88172645463325252u};
	uint32_t i;

	for (i = 0; i < PACKETS; i++) {
		uint8_t bytes[RANDOM_PACKET_MAX];
		uint32_t caplen = cw_min_u32(128, sets_packet(&random, bytes));

		memcpy(memory + (size_t)i * PACKET_STRIDE, bytes, caplen);
		packets[i] = (struct cw_packet){.data = memory + (size_t)i * PACKET_STRIDE,
						.caplen = caplen,
						.wire_len = caplen};
	}
}

/* Nanoseconds a packet for the set on the first `count` packets; adds the ids found to *sum. */
static double run(const struct cw_filter_set *set, const struct cw_packet *packets, uint32_t count,
		  uint32_t *ids, size_t ids_capacity, uint64_t *sum)
{
	double start = now_ns();
	uint32_t ends[BURST];
	uint32_t i;

	for (i = 0; i < count;) {
		size_t done = cw_filter_set_match_burst(
		    set, packets + i, cw_min_u32(BURST, count - i), ids, ids_capacity, ends);

		*sum += ends[done - 1];
		i += (uint32_t)done;
	}
	return (now_ns() - start) / count;
}

static bool is_used(const struct differ *differ, const char *expression)
{
	uint32_t i;

	for (i = 0; i < differ->count; i++)
		if (strcmp(cw_filter_expression(differ->filters[i]), expression) == 0)
			return true;
	return false;
}

/* `count` different ones, or as many as the kind has. */
static void add_expressions(struct differ *differ, const char *kind, uint32_t count)
{
	struct random random = {12345};
	char expression[65536];
	FILE *file = kind[0] == '@' ? fopen(kind + 1, "r") : NULL;
	uint32_t i;

	for (i = 0; differ->count < count && i < 4 * count; i++) {
		if (!file)
			sets_expression(&random, kind, i, expression);
		else if (!fgets(expression, sizeof(expression), file))
			break;
		expression[strcspn(expression, "\n")] = '\0';
		if (file || !is_used(differ, expression))
			differ_add_expression(differ, expression, false);
	}
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum cw_filter_engine engine;
	} engines[] = {{"libpcap", CW_ENGINE_LIBPCAP},
		       {"interpreter", CW_ENGINE_SEQUENTIAL},
		       {"walker", CW_ENGINE_WALKER},
		       {"jit", CW_ENGINE_JIT},
		       {"auto", CW_ENGINE_AUTO}};
	const uint32_t engine_count = CW_ARRAY_COUNT(engines);
	static double times[CW_ARRAY_COUNT(engines)][REPETITIONS_MAX];
	static double ratios[CW_ARRAY_COUNT(engines)][REPETITIONS_MAX];
	static struct cw_packet packets[PACKETS];
	const char *kind = argc > 1 ? argv[1] : "host";
	uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
	uint32_t repetitions = argc > 3 ? (uint32_t)atoi(argv[3]) : REPETITIONS;
	uint8_t *memory = calloc(PACKETS, PACKET_STRIDE);
	struct differ differ = {0};
	uint32_t *ids;
	size_t ids_capacity;
	uint64_t matches = 0;
	double base;
	uint32_t i, n, slow;

	repetitions = cw_min_u32(repetitions, REPETITIONS_MAX);
	if (!memory)
		return 1;
	if (argc > 4)
		read_packets(packets, memory, argv[4]);
	else
		make_packets(packets, memory);
	base = now_ns();
	add_expressions(&differ, kind, count);
	printf("%s N=%u: compiled in %.1f ms\n", kind, differ.count, (now_ns() - base) * 1e-6);
	for (i = 0; i < engine_count; i++)
		differ_build(&differ, engines[i].engine, CW_FILTER_ALL, NULL, engines[i].name);
	for (i = 0; i < PACKETS && i < 20000000 / (differ.count * differ.count + 1000) + 500; i++)
		if (!differ_check(&differ, &packets[i]))
			return 1;
	ids_capacity = BURST * (size_t)differ.count;
	ids = calloc(ids_capacity, sizeof(*ids));
	if (!ids)
		return 1;
	slow = PACKETS;
	base = run(differ.sets[0], packets, 50, ids, ids_capacity, &matches);
	if (base * PACKETS > ORACLE_NS)
		slow = (uint32_t)(ORACLE_NS / base) + 50;
	for (n = 0; n < repetitions; n++) {
		for (i = 0; i < engine_count; i++) {
			uint32_t some = i < 2 ? cw_min_u32(slow, PACKETS) : PACKETS;

			matches = 0;
			times[i][n] =
			    run(differ.sets[i], packets, some, ids, ids_capacity, &matches);
			ratios[i][n] = times[0][n] / times[i][n];
		}
	}
	for (i = 0; i < engine_count; i++) {
		double ns = median(times[i], repetitions);
		struct cw_filter_set_stats stats;

		cw_filter_set_stats(differ.sets[i], &stats);
		printf("  %-12s %10.2f ns (min %10.2f)  %8.1fx", engines[i].name, ns, times[i][0],
		       median(ratios[i], repetitions));
		if (stats.program_count)
			printf("  build %7.2f ms, %zu programs, %zu steps, %.0f B a filter, %zu "
			       "apart",
			       (double)stats.build_ns * 1e-6, stats.program_count, stats.step_count,
			       (double)stats.bytes / differ.count, stats.apart_count);
		printf("\n");
	}
	printf("  %.3f matches a packet\n", (double)matches / PACKETS);
	free(ids);
	differ_fini(&differ);
	free(memory);
	return 0;
}
