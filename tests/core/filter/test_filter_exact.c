/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filter sets against libpcap's bpf_filter where there is much of everything: the packets of every
 * file of the corpus ($CAPWEIR_CORPUS, or ../shared/corpus beside the project) with 500 expressions
 * for their link type, and generated traffic with 1,000 expressions of every kind. What is tried by
 * default is a share; CAPWEIR_TEST_SCALE says how much more or less, SCALE_WHOLE is all of the
 * corpus and 200,000 packets of traffic (the target long-filter-diff).
 */
#include <dirent.h>
#include <stdlib.h>

#include "core/source/source.h"
#include "datasets/traffic.h"
#include "tests/rig/differ_tests.h"
#include "tests/rig/scale.h"

#define SCALE_WHOLE 80.0
#define CORPUS_EXPRESSIONS 500u
#define CORPUS_ATTEMPTS 8000u /* to find so many that are legal */
#define CORPUS_FILE_PACKETS 100.0
#define LINKTYPES_MAX 256u
#define TRAFFIC_FILTERS 1000u
#define TRAFFIC_PACKETS 2500.0

/* The expressions for one link type. */
struct type {
	struct cw_filter_options options;
	struct differ differ;
	uint64_t packets;
};

static struct type types[LINKTYPES_MAX];
static uint32_t type_count;

/* Returns `most`, or a share of them in a smaller run. */
static uint32_t filters_of(uint32_t most)
{
	return cw_min_u32(most, scaled(most, 200));
}

/* All engines and modes; or each engine and mode once. */
static void build_sets(struct differ *differ, bool is_complete)
{
	differ_build(differ, CW_ENGINE_SEQUENTIAL, CW_FILTER_ALL, NULL, "sequential");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_ALL, NULL, "jit");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_FIRST, NULL, "walker");
	if (!is_complete)
		return;
	differ_build(differ, CW_ENGINE_SEQUENTIAL, CW_FILTER_FIRST, NULL, "sequential");
	differ_build(differ, CW_ENGINE_JIT, CW_FILTER_FIRST, NULL, "jit");
	differ_build(differ, CW_ENGINE_WALKER, CW_FILTER_ALL, NULL, "walker");
}

/* ---- the corpus ---- */

/* A smaller run takes every fourth line; other lines for other link types. */
static void add_lines(struct differ *differ, const char *name)
{
	uint32_t step = scale() < 1 ? 4 : 1, at = differ->options->linktype;
	char path[4096], line[SETS_EXPRESSION_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/data/%s", CW_ROOT, name);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '#' && at++ % step == 0)
			differ_add_expression(differ, line, false);
	}
	fclose(file);
}

/* The written ones that are legal, and generated ones of all kinds, optimised or not. */
static void add_expressions(struct differ *differ, bool is_complete)
{
	uint32_t i, count = filters_of(CORPUS_EXPRESSIONS);
	struct random random = {1};
	char expression[SETS_EXPRESSION_BYTES];

	add_lines(differ, "expressions.txt");
	add_lines(differ, "expressions_any.txt");
	for (i = 0; is_complete && i < CORPUS_ATTEMPTS && differ->count < count; i++) {
		sets_expression(&random, sets_kinds[i % (CW_ARRAY_COUNT(sets_kinds) - 1)], i,
				expression);
		differ_add_expression(differ, expression, random_is(&random, 3));
	}
}

static struct type *find_type(uint32_t linktype, bool is_swapped)
{
	/* Building takes long: where all is not wanted, the other types get less. */
	bool is_complete = linktype == CW_LINKTYPE_ETHERNET || scale() >= SCALE_WHOLE;
	struct type *type;
	uint32_t i;

	is_swapped = is_swapped && cw_linktype_has_file_order(linktype);
	for (i = 0; i < type_count; i++)
		if (types[i].options.linktype == linktype &&
		    types[i].options.is_swapped == is_swapped)
			return &types[i];
	assert_true(type_count < LINKTYPES_MAX);
	type = &types[type_count++];
	type->options = (struct cw_filter_options){.linktype = linktype, .is_swapped = is_swapped};
	type->differ.options = &type->options;
	add_expressions(&type->differ, is_complete);
	build_sets(&type->differ, is_complete);
	return type;
}

/* The burst's packets are of this type; but filters for Ethernet cope with any bytes. */
static void check_burst(struct type *type, const char *path)
{
	bool result;

	if (burst.count == 0)
		return;
	type->packets += burst.count;
	result = differ_check_packets(&type->differ, burst.packets, burst.count);
	if (type != &types[0])
		result &= differ_check_packets(&types[0].differ, burst.packets, burst.count);
	burst.count = 0;
	if (!result)
		fail_msg("%s, link type %u", path, type->options.linktype);
}

static uint32_t check_span(const struct cw_span *span, const char *path)
{
	struct cw_cursor cursor = {0};
	struct type *type = NULL;
	struct cw_packet packet;
	uint32_t count = 0;

	while (cw_span_decode(span, &cursor, &packet, 1)) {
		struct type *before = type;

		count++;
		if (!(packet.flags & CW_PACKET_MALFORMED)) {
			const struct cw_iface *iface =
			    cw_ifaces_at(span->layout.ifaces, packet.iface);

			type = find_type(iface->linktype, iface->is_swapped);
		}
		if (before && before != type)
			check_burst(before, path);
		if (type && differ_burst_put(&burst, &packet))
			check_burst(type, path);
	}
	if (type)
		check_burst(type, path);
	return count;
}

/* How many packets there were. */
static uint32_t check_file(const char *path, uint32_t packets_max)
{
	struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	static struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_span span;
	struct cw_lease lease;
	uint32_t count = 0;

	cw_ifaces_init(&ifaces);
	if (cw_source_open(&source, path, &ifaces, &options, NULL) == 0) {
		while (count < packets_max &&
		       cw_source_next(source, 1 << 20, cw_min_u32(4096, packets_max - count), &span,
				      &lease, NULL) == 1) {
			count += check_span(&span, path);
			cw_lease_give_back(&lease);
		}
		cw_source_close(source);
	}
	cw_ifaces_fini(&ifaces);
	return count;
}

/* One line a link type, and the sums. */
static void report_types(void)
{
	uint64_t pairs = 0, checks = 0, matches = 0;
	char name[64];
	uint32_t i;

	for (i = 0; i < type_count; i++) {
		struct type *type = &types[i];

		printf("%s%s: %llu packets, %u expressions\n",
		       cw_linktype_name(type->options.linktype, name, sizeof(name)),
		       type->options.is_swapped ? " (swapped)" : "",
		       (unsigned long long)type->packets, type->differ.count);
		pairs += type->differ.pairs;
		checks += type->differ.checks;
		matches += type->differ.matches;
		assert_true(type->options.linktype != CW_LINKTYPE_ETHERNET ||
			    type->differ.count >= filters_of(CORPUS_EXPRESSIONS));
		differ_fini(&type->differ);
	}
	printf("%llu pairs, %llu checks, %llu matches\n", (unsigned long long)pairs,
	       (unsigned long long)checks, (unsigned long long)matches);
}

static void corpus_matches_as_in_libpcap(void **state)
{
	const char *path =
	    getenv("CAPWEIR_CORPUS") ? getenv("CAPWEIR_CORPUS") : CW_ROOT "/../shared/corpus";
	uint32_t packets_max =
	    scale() < SCALE_WHOLE ? 1 + (uint32_t)(scale() * CORPUS_FILE_PACKETS) : UINT32_MAX;
	uint64_t packets = 0;
	uint32_t files = 0;
	struct dirent *entry;
	DIR *list = opendir(path);

	(void)state;
	if (!list) {
		printf("skipped: no corpus at %s (set CAPWEIR_CORPUS)\n", path);
		skip();
	}
	find_type(CW_LINKTYPE_ETHERNET, false);
	while ((entry = readdir(list))) {
		char file[4096];
		uint32_t count;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		count = check_file(file, packets_max);
		packets += count;
		files += count > 0;
	}
	closedir(list);
	printf("%llu packets of %u files, at most %u of each\n", (unsigned long long)packets, files,
	       packets_max);
	report_types();
}

/* ---- generated traffic ---- */

/* Give an IPv4 packet addresses and ports that the sets' filters look for. */
static void graft(struct random *random, uint8_t *data, uint32_t caplen)
{
	uint32_t at = 12;
	uint32_t header;

	while (at + 4 <= caplen && data[at] == 0x81 && data[at + 1] == 0)
		at += 4;
	if (at + 22 > caplen || data[at] != 8 || data[at + 1] != 0)
		return;
	at += 2;
	header = 4u * (data[at] & 15);
	sets_put32(data + at + 12, sets_host(random));
	if (random_is(random, 2))
		sets_put32(data + at + 16, sets_host(random));
	if (at + header + 4 <= caplen)
		sets_put16(data + at + header + 2 * random_below(random, 2), sets_port(random));
}

static void check_traffic(struct differ *differ, struct random *random, uint32_t count)
{
	uint8_t bytes[CW_TRAFFIC_CAPLEN_MAX];
	struct cw_traffic *traffic;
	struct cw_packet packet;

	assert_int_equal(cw_traffic_open(&traffic, "mix", 1 + random->state % 1000, NULL), 0);
	while (count--) {
		cw_traffic_next(traffic, &packet);
		assert_true(packet.caplen <= sizeof(bytes));
		memcpy(bytes, packet.data, packet.caplen);
		packet.data = bytes;
		if (count % 2)
			graft(random, bytes, packet.caplen);
		assert_true(differ_burst_add(differ, &burst, &packet));
	}
	assert_true(differ_burst_check(differ, &burst));
	cw_traffic_close(traffic);
}

static void traffic_matches_as_in_libpcap(void **state)
{
	struct random random = {random_seed(__func__)};
	uint32_t count = (uint32_t)(scale() * TRAFFIC_PACKETS),
		 filters = filters_of(TRAFFIC_FILTERS);
	struct differ differ = {0};
	uint32_t i, n;

	(void)state;
	for (i = 0; sets_kinds[i]; i++) {
		char expression[SETS_EXPRESSION_BYTES];

		for (n = 0; differ.count < filters; n++) {
			sets_expression(&random, sets_kinds[i], n, expression);
			differ_add_expression(&differ, expression, false);
		}
		build_sets(&differ, scale() >= SCALE_WHOLE);
		check_traffic(&differ, &random, count);
		differ_clear(&differ);
	}
	printf("%u packets x %u sets of %u, %llu pairs, %llu checks, %llu matches\n", count, i,
	       filters, (unsigned long long)differ.pairs, (unsigned long long)differ.checks,
	       (unsigned long long)differ.matches);
	assert_true(count < 100 || differ.matches > count);
	differ_fini(&differ);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(corpus_matches_as_in_libpcap),
	    cmocka_unit_test(traffic_matches_as_in_libpcap),
	};

	return RUN_TESTS(0, tests, open_burst, close_burst, argc, argv);
}
