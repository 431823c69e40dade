/* SPDX-License-Identifier: BSD-3-Clause */
/* Matches packets in memory with capweir's filter set and libpcap's interpreter. */
#include <stdio.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include "bench/stages/stage.h"
#include "bench/micro/subject.h"
#include "core/filter/filter.h"
#include "datasets/traffic.h"

#define SEED 42
#define LINKTYPE_ETHERNET 1u
#define BURST 64u
#define FILTERS_MAX 1000u
#define EXPRESSION_BYTES_MAX CW_STAGE_FILTER_BYTES

struct subject_match {
	uint8_t *bytes; /* bytes of all packets */
	struct cw_packet *packets;
	uint32_t packet_count;
	struct cw_filter_set *set;
	struct bpf_program programs[FILTERS_MAX];
	uint32_t filter_count;
};

/* Fills a filter: the eight of bench/peers/filters8.txt, then hosts with ports. */
static void make_expression(char *expression, uint32_t index)
{
	static const uint16_t ports[] = {443, 80, 53, 22, 8080, 25, 993, 3306, 123, 5432};

	if (index < 8)
		cw_stage_filter(index, expression);
	else
		snprintf(expression, EXPRESSION_BYTES_MAX, "host 198.19.%u.%u and port %u",
			 index % 32, 1 + index * 7 % 100, ports[index % CW_ARRAY_COUNT(ports)]);
}

static int add_filters(struct subject_match *match, uint32_t filter_count, struct cw_error *error)
{
	const struct cw_filter_set_options options = {.filter = {.linktype = LINKTYPE_ETHERNET}};
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CW_CAPLEN_MAX);
	int result = dead ? cw_filter_set_new(&match->set, &options, error) : -1;

	for (uint32_t i = 0; result >= 0 && i < filter_count; i++) {
		char expression[EXPRESSION_BYTES_MAX];

		make_expression(expression, i);
		result = cw_filter_set_add(match->set, i, expression, error);
		if (result >= 0)
			result = pcap_compile(dead, &match->programs[i], expression, 1,
					      PCAP_NETMASK_UNKNOWN);
		if (result >= 0)
			match->filter_count++;
	}
	if (result >= 0)
		result = cw_filter_set_build(match->set, error);
	if (dead)
		pcap_close(dead);
	return result;
}

static int make_packets(struct subject_match *match, const char *profile, uint32_t packet_count,
			struct cw_error *error)
{
	struct cw_traffic *traffic = NULL;
	int result = cw_traffic_open(&traffic, profile, SEED, error);
	size_t used = 0;

	match->bytes = malloc((size_t)packet_count * CW_TRAFFIC_CAPLEN_MAX);
	match->packets = calloc(packet_count, sizeof(*match->packets));
	if (result >= 0 && (!match->bytes || !match->packets))
		result = -1;
	for (; result >= 0 && match->packet_count < packet_count; match->packet_count++) {
		struct cw_packet *packet = &match->packets[match->packet_count];

		cw_traffic_next(traffic, packet);
		memcpy(match->bytes + used, packet->data, packet->caplen);
		packet->data = match->bytes + used;
		used += packet->caplen;
	}
	cw_traffic_close(traffic);
	return result;
}

struct subject_match *subject_match_make(const char *profile, uint32_t packet_count,
					 uint32_t filter_count)
{
	struct subject_match *match = calloc(1, sizeof(*match));
	struct cw_error error = {0};

	if (!match || filter_count > FILTERS_MAX ||
	    make_packets(match, profile, packet_count, &error) < 0 ||
	    add_filters(match, filter_count, &error) < 0) {
		fprintf(stderr, "cannot make the filters: %s\n", error.text);
		subject_match_free(match);
		return NULL;
	}
	return match;
}

void subject_match_free(struct subject_match *match)
{
	if (!match)
		return;
	for (uint32_t i = 0; i < match->filter_count; i++)
		pcap_freecode(&match->programs[i]);
	cw_filter_set_free(match->set);
	free(match->packets);
	free(match->bytes);
	free(match);
}

int64_t subject_match_set(const struct subject_match *match)
{
	static uint32_t ids[BURST * FILTERS_MAX];
	uint32_t ends[BURST];
	int64_t match_count = 0;
	uint32_t done = 0;

	while (done < match->packet_count) {
		size_t count = cw_min_u32(BURST, match->packet_count - done);

		count = cw_filter_set_match_burst(match->set, match->packets + done, count, ids,
						  CW_ARRAY_COUNT(ids), ends);
		if (count == 0)
			return -1;
		match_count += ends[count - 1];
		done += (uint32_t)count;
	}
	return match_count;
}

int64_t subject_match_libpcap(const struct subject_match *match)
{
	int64_t match_count = 0;

	for (uint32_t i = 0; i < match->packet_count; i++) {
		const struct cw_packet *packet = &match->packets[i];

		for (uint32_t k = 0; k < match->filter_count; k++)
			match_count += bpf_filter(match->programs[k].bf_insns, packet->data,
						  packet->wire_len, packet->caplen) != 0;
	}
	return match_count;
}
