/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matching a batch burst by burst against a slow twin that gives libpcap one packet and one filter
 * after the other: interfaces and link types in turns, malformed packets, a global filter that lets
 * through all, some or none, or is illegal for a type, matches that outgrow their room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/packet/linktype.h"
#include "pipeline/output/output.h"
#include "pipeline/match/sample.h"
#include "tests/rig/filter_sets.h"

#define PACKETS 700u
#define RULES_MAX 6u
#define LINKTYPE_RAW 101u
#define TRIES 400u

static const char *const filters[RULES_MAX] = {
    "tcp", "port 80", NULL, "ether[0] & 1 == 0", "len > 60", "ether host 2:0:0:0:0:1"};
static const char *const prefilters[] = {NULL,
					 "",
					 "tcp",
					 "ip[15] & 1 == 0",
					 "ip[40] = 0 or greater 1",
					 "ip6",
					 "less 0",
					 "ether host 2:0:0:0:0:1",
					 "ether[5] & 3 != 0"};

static uint8_t memory[PACKETS][RANDOM_PACKET_MAX];
static struct cw_packet packets[PACKETS];
static struct cw_ifaces ifaces;

static void ignore_report(void *context, const struct cw_rule *rule, uint32_t linktype,
			  bool is_warning, const char *text)
{
	(void)context;
	(void)rule;
	(void)linktype;
	(void)is_warning;
	(void)text;
}

/* Packets in runs of an interface, of one packet to a few hundred. */
static void make_packets(struct random *random)
{
	uint32_t iface = 0, left = 0;

	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t bytes = sets_packet(random, memory[i]);

		if (left-- == 0) {
			iface = random_below(random, 3);
			left = random_below(random, random_is(random, 3) ? 5 : 300);
		}
		packets[i] = (struct cw_packet){
		    .data = memory[i], .caplen = bytes, .wire_len = bytes, .iface = iface};
		if (random_is(random, 20)) {
			packets[i].flags = CW_PACKET_MALFORMED;
			packets[i].iface = CW_IFACE_NONE;
		}
	}
}

/* The twin: what one expression says of one packet; false where it does not compile. */
static bool takes(const char *expression, const struct cw_packet *packet)
{
	static struct {
		const char *expression;
		uint32_t linktype;
		struct cw_filter *filter;
	} known[64];
	const struct cw_filter_options options = {
	    .linktype = cw_ifaces_at(&ifaces, packet->iface)->linktype};
	size_t i;

	for (i = 0; known[i].expression; i++)
		if (known[i].expression == expression && known[i].linktype == options.linktype)
			break;
	assert_true(i < CW_ARRAY_COUNT(known) - 1);
	if (!known[i].expression) {
		known[i].expression = expression;
		known[i].linktype = options.linktype;
		if (cw_filter_compile(&known[i].filter, expression, &options, NULL) < 0)
			known[i].filter = NULL;
	}
	return known[i].filter && cw_filter_match_libpcap(known[i].filter, packet->data,
							  packet->caplen, packet->wire_len);
}

/* The class of a packet and its rules. */
static uint8_t expect(const struct cw_rules *rules, const char *prefilter,
		      const struct cw_packet *packet, uint32_t *ids, uint32_t *count)
{
	*count = 0;
	if (packet->flags & CW_PACKET_MALFORMED)
		return CW_CLASS_MALFORMED;
	if (prefilter && !takes(prefilter, packet))
		return CW_CLASS_PREFILTERED;
	for (uint32_t i = 0; i < rules->count; i++) {
		if (rules->rules[i].kind != CW_RULE_FILTER ||
		    !takes(rules->rules[i].filter, packet))
			continue;
		ids[(*count)++] = i;
		if (rules->mode == CW_FILTER_FIRST)
			break;
	}
	if (*count)
		return CW_CLASS_MATCHED;
	for (uint32_t i = 0; i < rules->count; i++)
		if (rules->rules[i].kind == CW_RULE_UNMATCHED)
			ids[(*count)++] = i;
	return CW_CLASS_UNMATCHED;
}

/* One part of the batch against the twin. */
static void check_part(const struct cw_batch *batch, const struct cw_rules *rules,
		       const char *prefilter)
{
	uint32_t counts[CW_CLASS_COUNT] = {0}, ids[RULES_MAX], count, match = 0, i, n;
	uint32_t records[RULES_MAX] = {0};
	uint64_t bytes = 0;

	for (i = batch->part.first; i < batch->part.end; i++) {
		uint8_t class = expect(rules, prefilter, &batch->packets[i], ids, &count);

		assert_int_equal(batch->classes[i], class);
		counts[class]++;
		bytes += batch->packets[i].caplen;
		assert_int_equal(batch->ends[i], match + count);
		for (n = 0; n < count; n++) {
			assert_int_equal(batch->matches[match++], ids[n]);
			records[ids[n]]++;
		}
	}
	assert_memory_equal(batch->part.class_counts, counts, sizeof(counts));
	assert_int_equal(batch->part.caplen_bytes, bytes);
	for (i = 0; i < batch->tally_count; i++) {
		assert_int_equal(batch->tallies[i].record_count, records[batch->tallies[i].output]);
		records[batch->tallies[i].output] = 0;
	}
	for (i = 0; i < rules->count; i++)
		assert_int_equal(records[i], 0); /* each has a tally */
}

/* Of each packet that is not malformed, where the global filter is legal, one sample; all agree. */
static void check_samples(const struct cw_batch *batch, const char *prefilter)
{
	const struct cw_filter_options raw = {.linktype = LINKTYPE_RAW};
	struct cw_filter *filter = NULL;
	bool is_raw_legal = !prefilter || cw_filter_compile(&filter, prefilter, &raw, NULL) >= 0;
	uint32_t count = 0;

	cw_filter_free(filter);
	for (uint32_t i = batch->part.first; i < batch->part.end; i++) {
		const struct cw_packet *packet = &batch->packets[i];

		if (packet->flags & CW_PACKET_MALFORMED)
			continue;
		if (cw_ifaces_at(&ifaces, packet->iface)->linktype == LINKTYPE_RAW && !is_raw_legal)
			continue;
		assert_true(count < batch->part.sample_count);
		assert_int_equal(batch->samples[count].packet, i);
		assert_int_equal(batch->samples[count++].rule, CW_SAMPLE_AGREES);
	}
	assert_int_equal(batch->part.sample_count, count);
	assert_int_equal(batch->part.difference_count, 0);
}

static void try(struct random *random, uint64_t *class_counts)
{
	const char *prefilter = prefilters[random_below(random, CW_ARRAY_COUNT(prefilters))];
	struct cw_rule list[RULES_MAX] = {0};
	struct cw_output outputs[RULES_MAX] = {0};
	struct cw_rules rules = {.mode = random_is(random, 2) ? CW_FILTER_FIRST : CW_FILTER_ALL,
				 .rules = list,
				 .count = 1 + random_below(random, RULES_MAX)};
	struct cw_filter_set_options options = {.engine = random_is(random, 2) ? CW_ENGINE_AUTO
									       : CW_ENGINE_WALKER};
	struct cw_batch_sizes sizes = {
	    .records_max = PACKETS,
	    .match_capacity = random_is(random, 2) ? 80 + random_below(random, 150) : 10000,
	    .tally_capacity = RULES_MAX,
	    .piece_capacity = 1,
	    .sample_capacity = PACKETS};
	uint32_t rule_outputs[RULES_MAX];
	struct cw_matcher matcher;
	struct cw_match_scratch scratch;
	struct cw_batch batch;

	for (uint32_t i = 0; i < rules.count; i++) {
		list[i] = (struct cw_rule){.filter = (char *)(uintptr_t)filters[i],
					   .kind = filters[i] ? CW_RULE_FILTER : CW_RULE_UNMATCHED};
		outputs[i].snaplen = UINT32_MAX;
	}
	cw_matcher_init(&matcher, &rules, prefilter, &options);
	matcher.verify_every = 1;
	for (uint32_t i = 0; i < rules.count; i++)
		rule_outputs[i] = i;
	matcher.outputs = rule_outputs;
	for (uint32_t i = 0; i < ifaces.count; i++)
		assert_int_equal(cw_matcher_prepare(&matcher, cw_ifaces_at(&ifaces, i),
						    ignore_report, NULL, NULL),
				 0);
	assert_int_equal(cw_match_scratch_init(&scratch, rules.count), 0);
	/* So little room that a burst does not always fit, but the prefilter's ids do. */
	if (random_is(random, 2))
		scratch.ids_capacity = CW_MATCH_BURST + random_below(random, CW_MATCH_BURST);
	assert_int_equal(cw_batch_init(&batch, &sizes), 0);
	make_packets(random);
	memcpy(batch.packets, packets, sizeof(packets));
	batch.packet_count = PACKETS;
	batch.span.layout.ifaces = &ifaces;
	while (batch.part.end < PACKETS) {
		uint32_t before = batch.part.end;

		cw_match_part(&matcher, &scratch, outputs, &batch);
		assert_int_equal(batch.part.first, before);
		assert_true(batch.part.end > before);
		check_part(&batch, &rules, prefilter);
		check_samples(&batch, prefilter);
		for (uint32_t i = 0; i < CW_CLASS_COUNT; i++)
			class_counts[i] += batch.part.class_counts[i];
	}
	batch.span = (struct cw_span){0};
	cw_batch_fini(&batch);
	cw_match_scratch_fini(&scratch);
	cw_matcher_fini(&matcher);
}

static void a_batch_is_matched_as_packet_after_packet(void **state)
{
	struct random random = {random_seed(__func__)};
	uint64_t class_counts[CW_CLASS_COUNT] = {0};

	(void)state;
	cw_ifaces_init(&ifaces);
	for (uint32_t i = 0; i < 3; i++) {
		const struct cw_iface iface = {.linktype =
						   i == 1 ? LINKTYPE_RAW : CW_LINKTYPE_ETHERNET};

		assert_int_equal(cw_ifaces_add(&ifaces, &iface), i);
	}
	for (uint32_t i = 0; i < TRIES; i++)
		try(&random, class_counts);
	for (uint32_t i = 0; i < CW_CLASS_COUNT; i++)
		assert_true(class_counts[i] > TRIES * 10); /* there was something of each */
	cw_ifaces_fini(&ifaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batch_is_matched_as_packet_after_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
