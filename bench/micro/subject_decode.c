/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decodes the same packets in memory in different ways. The minimal decoder reads the fields of
 * Ethernet, tags, IP and TCP or UDP, with bounds checks and nothing else: the limit for the
 * library.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/subject.h"
#include "core/decode/decode.h"
#include "core/decode/stream.h"
#include "core/packet/linktype.h"
#include "datasets/traffic.h"

#define SEED 42
#define BURST 256u

struct subject_packets {
	struct cw_packet *packets;
	uint8_t *bytes;
	uint32_t count;
	struct cw_streams *streams;
};

struct subject_packets *subject_packets_make(const char *profile, uint32_t packet_count)
{
	const struct cw_streams_options options = {.flows_max = 0};
	struct subject_packets *subject = calloc(1, sizeof(*subject));
	struct cw_traffic *traffic = NULL;
	struct cw_error error = {0};
	size_t used = 0;
	uint32_t index;

	if (!subject)
		return NULL;
	subject->packets = calloc(packet_count, sizeof(*subject->packets));
	subject->bytes = malloc((size_t)packet_count * CW_TRAFFIC_CAPLEN_MAX);
	if (!subject->packets || !subject->bytes ||
	    cw_streams_open(&subject->streams, &options, &error) < 0 ||
	    cw_traffic_open(&traffic, profile, SEED, &error) < 0) {
		fprintf(stderr, "cannot make the data set: %s\n", error.text);
		subject_packets_free(subject);
		return NULL;
	}
	for (index = 0; index < packet_count; index++) {
		cw_traffic_next(traffic, &subject->packets[index]);
		used += 16; /* gap of a record header, as in a file */
		memcpy(subject->bytes + used, subject->packets[index].data,
		       subject->packets[index].caplen);
		subject->packets[index].data = subject->bytes + used;
		used += subject->packets[index].caplen;
	}
	subject->count = packet_count;
	cw_traffic_close(traffic);
	return subject;
}

void subject_packets_free(struct subject_packets *subject)
{
	if (!subject)
		return;
	cw_streams_close(subject->streams);
	free(subject->packets);
	free(subject->bytes);
	free(subject);
}

/* ---- the limit ---- */

struct fields {
	uint8_t source[16], destination[16];
	uint32_t network, transport, payload, payload_bytes;
	uint32_t sequence, acknowledgment;
	uint16_t source_port, destination_port, vlan;
	uint8_t version, protocol, tcp_flags, is_piece;
};

static inline bool minimal_transport(const uint8_t *data, uint32_t at, uint32_t end,
				     struct fields *fields)
{
	fields->transport = at;
	if (fields->protocol == 6) {
		uint32_t header_bytes;

		if (end - at < 20)
			return false;
		header_bytes = 4 * ((uint32_t)data[at + 12] >> 4);
		if (header_bytes < 20 || header_bytes > end - at)
			return false;
		fields->sequence = cw_load_be32(data + at + 4);
		fields->acknowledgment = cw_load_be32(data + at + 8);
		fields->tcp_flags = data[at + 13];
		fields->payload = at + header_bytes;
	} else if (fields->protocol == 17) {
		if (end - at < 8)
			return false;
		fields->payload = at + 8;
	} else {
		fields->payload = at;
		fields->payload_bytes = end - at;
		return true;
	}
	fields->source_port = cw_load_be16(data + at);
	fields->destination_port = cw_load_be16(data + at + 2);
	fields->payload_bytes = end - fields->payload;
	return true;
}

static inline bool minimal_ipv4(const uint8_t *data, uint32_t at, uint32_t end,
				struct fields *fields)
{
	uint32_t header_bytes, total_bytes;
	uint16_t fragment;

	if (end - at < 20)
		return false;
	header_bytes = 4 * (data[at] & 15u);
	total_bytes = cw_load_be16(data + at + 2);
	if (data[at] >> 4 != 4 || header_bytes < 20 || total_bytes < header_bytes)
		return false;
	end = cw_min_u32(end, at + total_bytes);
	if (end - at < header_bytes)
		return false;
	fields->version = 4;
	memcpy(fields->source, data + at + 12, 4);
	memcpy(fields->destination, data + at + 16, 4);
	fields->protocol = data[at + 9];
	fragment = cw_load_be16(data + at + 6);
	fields->is_piece = (fragment & 0x3fff) != 0;
	if (fragment & 0x1fff) {
		fields->payload = at + header_bytes;
		fields->payload_bytes = end - fields->payload;
		return true;
	}
	return minimal_transport(data, at + header_bytes, end, fields);
}

static inline bool minimal_ipv6(const uint8_t *data, uint32_t at, uint32_t end,
				struct fields *fields)
{
	uint8_t next;

	if (end - at < 40 || data[at] >> 4 != 6)
		return false;
	end = cw_min_u32(end, at + 40 + cw_load_be16(data + at + 4));
	fields->version = 6;
	memcpy(fields->source, data + at + 8, 16);
	memcpy(fields->destination, data + at + 24, 16);
	next = data[at + 6];
	at += 40;
	while (next == 0 || next == 43 || next == 60 || next == 44) {
		uint32_t bytes;

		if (end - at < 8)
			return false;
		bytes = next == 44 ? 8 : 8 * (data[at + 1] + 1u);
		if (bytes > end - at)
			return false;
		if (next == 44) {
			fields->is_piece = 1;
			if (cw_load_be16(data + at + 2) & 0xfff8)
				return true;
		}
		next = data[at];
		at += bytes;
	}
	fields->protocol = next;
	return minimal_transport(data, at, end, fields);
}

static inline bool minimal(const uint8_t *data, uint32_t end, struct fields *fields)
{
	uint32_t at = 14;
	uint16_t type;

	fields->source_port = fields->destination_port = 0;
	fields->tcp_flags = fields->is_piece = fields->version = 0;
	fields->vlan = UINT16_MAX;
	if (end < 14)
		return false;
	type = cw_load_be16(data + 12);
	while (type == 0x8100 || type == 0x88a8) {
		if (end - at < 4)
			return false;
		fields->vlan = cw_load_be16(data + at) & 0xfff;
		type = cw_load_be16(data + at + 2);
		at += 4;
	}
	fields->network = at;
	if (type == 0x0800)
		return minimal_ipv4(data, at, end, fields);
	if (type == 0x86dd)
		return minimal_ipv6(data, at, end, fields);
	return true;
}

int64_t subject_packets_minimal(struct subject_packets *subject)
{
	int64_t sum = 0;
	uint32_t index;

	for (index = 0; index < subject->count; index++) {
		struct fields fields;

		cw_decode_prefetch(subject->packets, index, subject->count);
		sum +=
		    minimal(subject->packets[index].data, subject->packets[index].caplen, &fields);
		__asm__ volatile("" : : "r"(&fields) : "memory"); /* keeps all fields */
	}
	return sum;
}

/* A cheap hash that is equal for both directions. */
static inline uint64_t minimal_hash(const struct fields *fields)
{
	uint64_t source = fields->source_port, destination = fields->destination_port, both;

	if (fields->version == 4) {
		source |= (uint64_t)cw_load_u32(fields->source, 0) << 16;
		destination |= (uint64_t)cw_load_u32(fields->destination, 0) << 16;
	} else if (fields->version == 6) {
		source += cw_load_u64(fields->source, 0) ^ cw_load_u64(fields->source + 8, 0);
		destination +=
		    cw_load_u64(fields->destination, 0) ^ cw_load_u64(fields->destination + 8, 0);
	}
	both = (source ^ SEED) * UINT64_C(0x9e3779b97f4a7c15) +
	       (destination ^ SEED) * UINT64_C(0x9e3779b97f4a7c15) + fields->protocol;
	return both ^ both >> 32;
}

/* The work of cw_decode_flows: fields and a hash for each packet of a burst. */
int64_t subject_packets_minimal_flows(struct subject_packets *subject)
{
	static struct fields fields[BURST];
	static uint32_t hashes[BURST];
	int64_t sum = 0;
	uint32_t at, index;

	for (at = 0; at < subject->count; at += BURST) {
		uint32_t count = cw_min_u32(BURST, subject->count - at);

		for (index = 0; index < count; index++) {
			const struct cw_packet *packet = &subject->packets[at + index];

			cw_decode_prefetch(subject->packets, at + index, subject->count);
			minimal(packet->data, packet->caplen, &fields[index]);
			hashes[index] = (uint32_t)minimal_hash(&fields[index]);
		}
		__asm__ volatile("" : : "r"(fields) : "memory");
		for (index = 0; index < count; index++)
			sum += hashes[index];
	}
	return sum;
}

/* ---- the library ---- */

int64_t subject_packets_flows(struct subject_packets *subject)
{
	static struct cw_flow flows[BURST];
	int64_t sum = 0;
	uint32_t at, index;

	for (at = 0; at < subject->count; at += BURST) {
		uint32_t count = cw_min_u32(BURST, subject->count - at);

		cw_decode_flows(subject->packets + at, count, CW_LINKTYPE_ETHERNET, SEED, flows);
		for (index = 0; index < count; index++)
			sum += flows[index].hash;
	}
	return sum;
}

int64_t subject_packets_layers(struct subject_packets *subject)
{
	static struct cw_layers layers;
	int64_t sum = 0;
	uint32_t index;

	for (index = 0; index < subject->count; index++) {
		cw_decode_prefetch(subject->packets, index, subject->count);
		cw_decode_layers(subject->packets[index].data, subject->packets[index].caplen,
				 CW_LINKTYPE_ETHERNET, &layers);
		sum += layers.count;
	}
	return sum;
}

static void choose(struct cw_chosen *chosen)
{
	static struct cw_layer ethernet, ipv4, icmpv4, tcp, udp, payload;

	*chosen = (struct cw_chosen){.at = {[CW_LAYER_ETHERNET] = &ethernet,
					    [CW_LAYER_IPV4] = &ipv4,
					    [CW_LAYER_ICMPV4] = &icmpv4,
					    [CW_LAYER_TCP] = &tcp,
					    [CW_LAYER_UDP] = &udp,
					    [CW_LAYER_PAYLOAD] = &payload}};
}

int64_t subject_packets_chosen(struct subject_packets *subject)
{
	struct cw_chosen chosen;
	int64_t sum = 0;
	uint32_t index;

	choose(&chosen);
	for (index = 0; index < subject->count; index++) {
		cw_decode_prefetch(subject->packets, index, subject->count);
		sum +=
		    cw_decode_chosen(subject->packets[index].data, subject->packets[index].caplen,
				     CW_LINKTYPE_ETHERNET, &chosen);
	}
	return sum;
}

int64_t subject_packets_streams(struct subject_packets *subject)
{
	static struct cw_flow flows[BURST];
	struct cw_streams_stats stats;
	uint32_t at, index;

	for (at = 0; at < subject->count; at += BURST) {
		uint32_t count = cw_min_u32(BURST, subject->count - at);

		cw_decode_flows(subject->packets + at, count, CW_LINKTYPE_ETHERNET, SEED, flows);
		for (index = 0; index < count; index++)
			cw_streams_add(subject->streams, &subject->packets[at + index],
				       &flows[index]);
	}
	cw_streams_flush(subject->streams);
	cw_streams_stats(subject->streams, &stats);
	return (int64_t)stats.delivered_bytes;
}
