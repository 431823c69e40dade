/* SPDX-License-Identifier: BSD-3-Clause */
/* Profiles: sizes and timing of frames, and the damage to a few of them. */
#include <errno.h>
#include <stdlib.h>

#include "datasets/frame.h"
#include "datasets/octets.h"
#include "datasets/traffic.h"

#define EPOCH_NS (UINT64_C(1700000000) * CW_NS_PER_S)
#define TS_STEP_NS 1000u /* files of microsecond resolution lose nothing */
#define FULL_FRAME_BYTES 1514u
#define JUMBO_FRAME_BYTES 9014u
#define ETHERNET_BYTES 14u
#define SIZE_CLASSES_MAX 5

/* `percent` of the frames have bytes_min .. bytes_min + bytes_range - 1 bytes. */
struct size_class {
	uint8_t percent;
	uint16_t bytes_min;
	uint16_t bytes_range;
};

struct profile {
	struct size_class sizes[SIZE_CLASSES_MAX]; /* percents sum to 100 */
	struct cw_flow_mix flows;
	uint16_t truncated; /* per 10,000 packets */
	uint16_t malformed;
};

struct cw_traffic {
	struct cw_random random;
	const struct profile *profile;
	struct cw_flows *flows;
	struct cw_traffic_note note;
	struct cw_frame frame;
	struct cw_pool pool;
};

/* clang-format off */
#define KINDS_USUAL                                                                                \
	{                                                                                          \
		[CW_TRAFFIC_TCP] = 620, [CW_TRAFFIC_UDP] = 210, [CW_TRAFFIC_DNS] = 100,            \
		[CW_TRAFFIC_ICMP] = 25, [CW_TRAFFIC_ARP] = 10, [CW_TRAFFIC_GRE] = 7,               \
		[CW_TRAFFIC_ESP] = 7, [CW_TRAFFIC_IPV6_EXTENSION] = 6,                             \
		[CW_TRAFFIC_FRAGMENT] = 6, [CW_TRAFFIC_ICMPV6] = 5, [CW_TRAFFIC_LINK] = 4,         \
	}
#define KINDS_ODD                                                                                  \
	{                                                                                          \
		[CW_TRAFFIC_TCP] = 300, [CW_TRAFFIC_UDP] = 150, [CW_TRAFFIC_DNS] = 120,            \
		[CW_TRAFFIC_ICMP] = 60, [CW_TRAFFIC_ARP] = 50, [CW_TRAFFIC_GRE] = 50,              \
		[CW_TRAFFIC_ESP] = 40, [CW_TRAFFIC_IPV6_EXTENSION] = 90,                           \
		[CW_TRAFFIC_FRAGMENT] = 80, [CW_TRAFFIC_ICMPV6] = 30, [CW_TRAFFIC_LINK] = 30,      \
	}
#define FLOWS_USUAL \
	{KINDS_USUAL, .ipv6 = 180, .tagged_once = 120, .tagged_twice = 18, .ip_options = 20}
#define FLOWS_ODD \
	{KINDS_ODD, .ipv6 = 350, .tagged_once = 300, .tagged_twice = 150, .ip_options = 200}

const char *const cw_traffic_profiles[] = {"imix", "small", "large", "mix", NULL};

/* In the order of cw_traffic_profiles. */
static const struct profile profiles[] = {
	{{{58, 64, 16}, {33, 537, 40}, {9, FULL_FRAME_BYTES, 1}}, FLOWS_USUAL, 15, 15},
	{{{70, 64, 1}, {30, 64, 65}}, FLOWS_USUAL, 15, 15},
	{{{82, FULL_FRAME_BYTES, 1}, {10, 64, 40}, {8, 600, 900}}, FLOWS_USUAL, 15, 15},
	{{{40, 60, 80}, {40, 100, 1400}, {12, FULL_FRAME_BYTES, 1}, {5, 1515, 85},
	  {3, JUMBO_FRAME_BYTES, 1}}, FLOWS_ODD, 400, 400},
};
/* clang-format on */

int cw_traffic_open(struct cw_traffic **traffic, const char *profile, uint64_t seed,
		    struct cw_error *error)
{
	struct cw_traffic *made;
	size_t index = 0;

	while (cw_traffic_profiles[index] && strcmp(cw_traffic_profiles[index], profile) != 0)
		index++;
	if (!cw_traffic_profiles[index])
		return cw_error_set(error, -EINVAL,
				    "unknown traffic profile '%s': use imix, small, large or mix",
				    profile);
	made = calloc(1, sizeof(*made));
	if (!made)
		return cw_error_set_errno(error, -ENOMEM, "cannot generate traffic");
	made->profile = &profiles[index];
	made->random.state = seed;
	made->frame.random = &made->random;
	made->frame.pool = &made->pool;
	made->frame.ts_ns = EPOCH_NS;
	cw_pool_fill(&made->pool, &made->random);
	if (cw_flows_open(&made->flows, &made->profile->flows, &made->random) < 0) {
		free(made);
		return cw_error_set_errno(error, -ENOMEM, "cannot generate traffic");
	}
	*traffic = made;
	return 0;
}

static size_t draw_size(const struct profile *profile, struct cw_random *random)
{
	const struct size_class *class = profile->sizes;
	uint32_t percent = cw_random_below(random, 100);

	while (percent >= class->percent)
		percent -= class ++->percent;
	return class->bytes_min + cw_random_below(random, class->bytes_range);
}

/*
 * Damages the frame in ways that parsers meet: impossible versions and header lengths, lengths
 * beyond the frame, other protocols' numbers, and runts that end inside the Ethernet header.
 */
static void damage(struct cw_frame *frame, const struct cw_flow *flow)
{
	uint8_t *network = frame->network;
	uint32_t way = cw_random_below(frame->random, 8);

	if (!network || way == 0) {
		frame->bytes = cw_random_below(frame->random, ETHERNET_BYTES);
		return;
	}
	switch (way) {
	case 1:
		network[0] = 0x41; /* IPv4 with a header of four bytes */
		break;
	case 2:
		network[0] = 0xff;
		break;
	case 3:
		cw_put_be16(network + (flow->is_ipv6 ? 4 : 2), 0xffff);
		break;
	case 4:
		network[flow->is_ipv6 ? 6 : 9] ^= 0x5a;
		break;
	case 5:
		memset(frame->transport, 0xff, 8);
		break;
	case 6:
		if (flow->is_ipv6)
			network[0] = 0x50;
		else
			network[10] ^= 0xff; /* the checksum */
		break;
	default:
		if (flow->kind == CW_TRAFFIC_TCP)
			frame->transport[12] = 0x10; /* a header of four bytes */
		else
			frame->bytes = (size_t)(frame->transport - frame->data) + 2;
		break;
	}
}

/* Draws a gap: two in three are 0 or 1 us, the others up to 4 us; bursts, with a mean of 1 us. */
static uint64_t draw_gap_ns(struct cw_random *random)
{
	uint32_t limit = cw_random_below(random, 3) ? 2 : 5;

	return (uint64_t)cw_random_below(random, limit) * TS_STEP_NS;
}

void cw_traffic_next(struct cw_traffic *traffic, struct cw_packet *packet)
{
	const struct profile *profile = traffic->profile;
	struct cw_frame *frame = &traffic->frame;
	struct cw_random *random = &traffic->random;
	struct cw_flow *flow;
	uint32_t fault, caplen;

	frame->ts_ns += draw_gap_ns(random);
	flow = cw_flows_draw(traffic->flows, random, &traffic->note.flow);
	frame->want_bytes = draw_size(profile, random);
	cw_frame_build(frame, flow);

	fault = cw_random_below(random, 10000);
	traffic->note.is_malformed = fault < profile->malformed;
	if (traffic->note.is_malformed)
		damage(frame, flow);
	caplen = cw_min_u32((uint32_t)frame->bytes, CW_TRAFFIC_CAPLEN_MAX);
	if (fault >= profile->malformed && fault < profile->malformed + profile->truncated)
		caplen = ETHERNET_BYTES + cw_random_below(random, caplen - ETHERNET_BYTES);
	traffic->note.kind = flow->kind;
	traffic->note.is_ipv6 = flow->is_ipv6;
	traffic->note.tag_count = flow->tag_count;
	traffic->note.is_truncated = caplen < frame->bytes;

	*packet = (struct cw_packet){
	    .data = frame->data,
	    .ts_ns = frame->ts_ns,
	    .caplen = caplen,
	    .wire_len = (uint32_t)frame->bytes,
	};
}

const struct cw_traffic_note *cw_traffic_note(const struct cw_traffic *traffic)
{
	return &traffic->note;
}

void cw_traffic_close(struct cw_traffic *traffic)
{
	if (!traffic)
		return;
	cw_flows_close(traffic->flows);
	free(traffic);
}
