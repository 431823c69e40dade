/* SPDX-License-Identifier: BSD-3-Clause */
/* Transport headers and payloads, independent of the headers before them. */
#include "datasets/octets.h"
#include "datasets/transport.h"

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

#define ESP_TRAILER_BYTES 16u

#define PIECE_BYTES_MIN 24u
#define PIECE_BYTES_MAX 1480u

uint8_t cw_transport_protocol(const struct cw_flow *flow)
{
	switch (flow->kind) {
	case CW_TRAFFIC_TCP:
		return 6;
	case CW_TRAFFIC_ICMP:
		return 1;
	case CW_TRAFFIC_ICMPV6:
		return 58;
	case CW_TRAFFIC_GRE:
		return 47;
	case CW_TRAFFIC_ESP:
		return 50;
	default:
		return 17;
	}
}

/* Returns whether the connection is reset instead of closed. */
static bool ends_in_reset(const struct cw_flow *flow)
{
	return flow->length % 8 == 0;
}

/*
 * Returns the TCP flags of the flow's step: SYN, SYN ACK, ACK, data in both directions, then FIN,
 * FIN, ACK in the last three steps, or one RST. Fills `from`, the sender, if the step decides it.
 */
static uint32_t tcp_flags(const struct cw_flow *flow, enum cw_flow_end *from)
{
	uint32_t left = flow->length - flow->step;

	*from = flow->step == 1 || left == 2 ? CW_FLOW_SERVER : CW_FLOW_CLIENT;
	if (flow->step == 0)
		return TCP_SYN;
	if (flow->step == 1)
		return TCP_SYN | TCP_ACK;
	if (left == 3 && ends_in_reset(flow))
		return TCP_RST | TCP_ACK;
	if (left == 3 || left == 2)
		return TCP_FIN | TCP_ACK;
	if (flow->step == 2 || left == 1)
		return TCP_ACK;
	return TCP_PSH; /* data: the sender and whether to push are drawn */
}

enum cw_flow_end cw_transport_sender(const struct cw_flow *flow, struct cw_random *random)
{
	enum cw_flow_end from;

	switch (flow->kind) {
	case CW_TRAFFIC_TCP:
		if (tcp_flags(flow, &from) != TCP_PSH)
			return from;
		break;
	case CW_TRAFFIC_FRAGMENT:
		return flow->step / CW_PIECES_PER_DATAGRAM % 2;
	case CW_TRAFFIC_DNS:
	case CW_TRAFFIC_ICMP:
	case CW_TRAFFIC_ICMPV6:
	case CW_TRAFFIC_ARP:
		return flow->step % 2;
	default:
		break;
	}
	return cw_random_below(random, 100) < 45 ? CW_FLOW_SERVER : CW_FLOW_CLIENT;
}

static const uint8_t *pool_of(const struct cw_frame *frame, const struct cw_flow *flow)
{
	return flow->is_text ? frame->pool->text : frame->pool->cipher;
}

/* Puts payload up to `trailer_bytes` short of the wanted size; none if the headers reach that. */
static uint8_t *put_payload(struct cw_frame *frame, const struct cw_flow *flow, uint8_t *at,
			    size_t trailer_bytes)
{
	size_t used = (size_t)(at - frame->data) + trailer_bytes;
	uint32_t offset = cw_random_below(frame->random, CW_POOL_BYTES);

	if (frame->want_bytes <= used)
		return at;
	return cw_put_bytes(at, pool_of(frame, flow) + offset, frame->want_bytes - used);
}

static uint8_t *put_tcp_options(struct cw_frame *frame, const struct cw_flow *flow,
				enum cw_flow_end from, uint32_t flags, uint8_t *at)
{
	uint32_t clock_ms = (uint32_t)(frame->ts_ns / 1000000);
	bool is_syn = flags & TCP_SYN;
	bool has_sack = flags == TCP_ACK && cw_random_below(frame->random, 16) == 0;

	if (is_syn) {
		at = cw_put_be32(at, 0x02040000u | (flow->is_ipv6 ? 1440u : 1460u));
		at = cw_put_be32(at, 0x01030307u); /* window scale 7 */
		at = cw_put_be32(at, 0x01010402u); /* selective acknowledgement permitted */
	}
	if (flow->has_timestamps) {
		at = cw_put_be32(at, 0x0101080au);
		at = cw_put_be32(at, clock_ms);
		at = cw_put_be32(at, flags == TCP_SYN ? 0 : clock_ms - 20);
	}
	if (has_sack) {
		uint32_t left_edge = flow->seq[!from] + 1460;

		at = cw_put_be32(at, 0x0101050au);
		at = cw_put_be32(at, left_edge);
		at = cw_put_be32(at, left_edge + 1460);
	}
	return at;
}

static uint8_t *put_tcp(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			uint8_t *at, uint64_t sum)
{
	uint8_t *start = at;
	enum cw_flow_end planned;
	uint32_t flags = tcp_flags(flow, &planned);
	bool has_data = flags == TCP_PSH;
	uint32_t sent;

	if (has_data)
		flags = cw_random_below(frame->random, 3) == 0 ? TCP_PSH | TCP_ACK : TCP_ACK;
	if (flags == TCP_SYN) {
		flow->seq[CW_FLOW_CLIENT] = (uint32_t)cw_random_next(frame->random);
		flow->seq[CW_FLOW_SERVER] = (uint32_t)cw_random_next(frame->random);
	}
	at = cw_put_be16(at, flow->port[from]);
	at = cw_put_be16(at, flow->port[!from]);
	at = cw_put_be32(at, flow->seq[from]);
	at = cw_put_be32(at, flags & TCP_ACK ? flow->seq[!from] : 0);
	at = cw_put_be16(at, flags);
	at = cw_put_be16(at, 65535 - cw_random_below(frame->random, 4000));
	at = cw_put_be32(at, 0);
	at = put_tcp_options(frame, flow, from, flags, at);
	start[12] = (uint8_t)((at - start) / 4 << 4);
	if (has_data) {
		uint8_t *payload = at;

		at = put_payload(frame, flow, at, 0);
		sent = (uint32_t)(at - payload);
	} else {
		sent = (flags & (TCP_SYN | TCP_FIN)) != 0; /* SYN and FIN count as one octet each */
	}
	flow->seq[from] += sent;
	sum += cw_sum_u16((uint32_t)(at - start));
	cw_sum_store(start + 16, cw_sum(sum, start, (size_t)(at - start)));
	if (flags & TCP_RST)
		flow->step = flow->length - 1;
	return at;
}

static uint8_t *put_udp_header(const struct cw_flow *flow, enum cw_flow_end from, uint8_t *at)
{
	at = cw_put_be16(at, flow->port[from]);
	at = cw_put_be16(at, flow->port[!from]);
	return cw_put_be32(at, 0);
}

/* Fills length and checksum of a finished datagram; `sum` is its pseudo header's. */
static void finish_udp(uint8_t *start, const uint8_t *end, uint64_t sum)
{
	size_t bytes = (size_t)(end - start);

	cw_put_be16(start + 4, (uint32_t)bytes);
	cw_sum_store(start + 6, cw_sum(sum, start, bytes));
	if (cw_load_u16(start + 6, 0) == 0)
		cw_store_u16(start + 6, 0xffff); /* 0 would mean no checksum */
}

static uint8_t *put_label(uint8_t *at, const char *label)
{
	size_t bytes = strlen(label);

	return cw_put_bytes(cw_put_u8(at, (uint32_t)bytes), label, bytes);
}

/* Puts a name that is a function of `query`, so that the response repeats the question. */
static uint8_t *put_name(uint8_t *at, uint32_t query)
{
	static const char *const hosts[] = {"www", "mail", "api",   "cdn",
					    "ns1", "img",  "login", "a"};
	static const char *const zones[] = {"com", "net", "org", "test"};
	struct cw_random letters = {.state = query};
	uint32_t bytes = 4 + cw_random_below(&letters, 12);

	at = put_label(at, hosts[query % CW_ARRAY_COUNT(hosts)]);
	at = cw_put_u8(at, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		at = cw_put_u8(at, 'a' + cw_random_below(&letters, 26));
	at = put_label(at, zones[query / 8 % CW_ARRAY_COUNT(zones)]);
	return cw_put_u8(at, 0);
}

static uint8_t *put_dns(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			uint8_t *at, uint64_t sum)
{
	uint8_t *start = at;
	bool is_response = from == CW_FLOW_SERVER;
	bool is_aaaa;

	if (!is_response)
		flow->query = (uint32_t)cw_random_next(frame->random);
	is_aaaa = flow->query >> 31;
	at = put_udp_header(flow, from, at);
	at = cw_put_be16(at, flow->query & 0xffff);
	at = cw_put_be16(at, is_response ? 0x8180 : 0x0100);
	at = cw_put_be16(at, 1);
	at = cw_put_be16(at, is_response);
	at = cw_put_be32(at, 0);
	at = put_name(at, flow->query);
	at = cw_put_be32(at, is_aaaa ? 0x001c0001 : 0x00010001);
	if (is_response) {
		at = cw_put_be16(at, 0xc00c); /* the name at offset 12 */
		at = cw_put_be32(at, is_aaaa ? 0x001c0001 : 0x00010001);
		at = cw_put_be32(at, 300);
		at = cw_put_be16(at, is_aaaa ? 16 : 4);
		if (is_aaaa)
			at = cw_put_bytes(at, "\x20\x01\x0d\xb8\x01\0\0\0\0\0\0\0\0\0", 14);
		else
			at = cw_put_be16(at, 198 << 8 | 19);
		at = cw_put_be16(at, flow->query >> 8 & 0x1f7f);
	}
	finish_udp(start, at, sum + cw_sum_u16((uint32_t)(at - start)));
	return at;
}

/* Puts an echo request or reply; `sum` is 0 for ICMP, which has no pseudo header. */
static uint8_t *put_echo(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			 uint8_t *at, uint64_t sum)
{
	uint8_t *start = at;
	uint32_t request = flow->is_ipv6 ? 128 : 8, reply = flow->is_ipv6 ? 129 : 0;

	at = cw_put_u8(at, from == CW_FLOW_CLIENT ? request : reply);
	at = cw_put_u8(at, 0);
	at = cw_put_be16(at, 0);
	at = cw_put_be16(at, flow->port[CW_FLOW_CLIENT]);
	at = cw_put_be16(at, flow->step / 2);
	at = put_payload(frame, flow, at, 0);
	if (flow->is_ipv6)
		sum += cw_sum_u16((uint32_t)(at - start));
	cw_sum_store(start + 2, cw_sum(sum, start, (size_t)(at - start)));
	return at;
}

/* GRE without options, carrying an IPv4 UDP datagram between two private hosts. */
static uint8_t *put_gre(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			uint8_t *at)
{
	uint8_t *inner, *udp;

	at = cw_put_be32(at, 0x0800);
	inner = at;
	at = cw_put_be32(at, 0x45000000);
	at = cw_put_be32(at, 0x00004000);
	at = cw_put_be32(at, 0x40110000);
	at = cw_put_be32(at, from == CW_FLOW_CLIENT ? 0x0a000001 : 0x0a000002);
	at = cw_put_be32(at, from == CW_FLOW_CLIENT ? 0x0a000002 : 0x0a000001);
	udp = at;
	at = put_udp_header(flow, from, at);
	at = put_payload(frame, flow, at, 0);
	cw_put_be16(inner + 2, (uint32_t)(at - inner));
	cw_sum_store(inner + 10, cw_sum(0, inner, 20));
	finish_udp(udp, at,
		   cw_sum(0, inner + 12, 8) + cw_sum_u16(17) + cw_sum_u16((uint32_t)(at - udp)));
	return at;
}

static uint8_t *put_esp(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			uint8_t *at)
{
	at = cw_put_be32(at, 0x10000u | flow->port[from]);
	at = cw_put_be32(at, ++flow->seq[from]);
	at = put_payload(frame, flow, at, ESP_TRAILER_BYTES);
	/* Never empty: encrypted data has a trailer and an integrity value. */
	return cw_put_bytes(at, frame->pool->cipher, ESP_TRAILER_BYTES);
}

/* Puts an unfragmented UDP datagram. */
static uint8_t *put_udp(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			uint8_t *at, uint64_t sum)
{
	uint8_t *start = at;

	at = put_udp_header(flow, from, at);
	at = put_payload(frame, flow, at, 0);
	finish_udp(start, at, sum + cw_sum_u16((uint32_t)(at - start)));
	return at;
}

/*
 * Puts the next piece of a UDP datagram. The first piece fixes the size and the place of the bytes
 * in the pool, so that the checksum is right over all pieces and the datagram can be reassembled.
 */
static uint8_t *put_piece(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			  uint8_t *at, uint64_t sum)
{
	uint32_t piece = flow->step % CW_PIECES_PER_DATAGRAM;
	const uint8_t *payload;
	uint32_t total, offset, bytes;

	if (piece == 0) {
		size_t used = (size_t)(at - frame->data);
		size_t room = frame->want_bytes > used ? frame->want_bytes - used : 0;

		room = cw_min_size(room, PIECE_BYTES_MAX) & ~(size_t)7;
		flow->piece_bytes = (uint16_t)(room < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : room);
		flow->pool_offset = cw_random_below(frame->random, CW_POOL_BYTES);
	}
	total = CW_PIECES_PER_DATAGRAM * flow->piece_bytes - 3; /* the last: not in 8-byte units */
	payload = pool_of(frame, flow) + flow->pool_offset;
	if (piece == 0) {
		uint8_t *start = at;

		at = put_udp_header(flow, from, at);
		cw_put_be16(start + 4, total);
		sum = cw_sum(sum + cw_sum_u16(total), start, 8);
		cw_sum_store(start + 6, cw_sum(sum, payload, total - 8));
		if (cw_load_u16(start + 6, 0) == 0)
			cw_store_u16(start + 6, 0xffff);
		return cw_put_bytes(at, payload, flow->piece_bytes - 8u);
	}
	offset = piece * flow->piece_bytes;
	bytes = cw_min_u32(flow->piece_bytes, total - offset);
	return cw_put_bytes(at, payload + offset - 8, bytes);
}

uint8_t *cw_transport_put(struct cw_frame *frame, struct cw_flow *flow, enum cw_flow_end from,
			  uint8_t *at, uint64_t address_sum)
{
	uint64_t sum = address_sum + cw_sum_u16(cw_transport_protocol(flow));

	switch (flow->kind) {
	case CW_TRAFFIC_TCP:
		return put_tcp(frame, flow, from, at, sum);
	case CW_TRAFFIC_DNS:
		return put_dns(frame, flow, from, at, sum);
	case CW_TRAFFIC_ICMP:
		return put_echo(frame, flow, from, at, 0);
	case CW_TRAFFIC_ICMPV6:
		return put_echo(frame, flow, from, at, sum);
	case CW_TRAFFIC_GRE:
		return put_gre(frame, flow, from, at);
	case CW_TRAFFIC_ESP:
		return put_esp(frame, flow, from, at);
	case CW_TRAFFIC_FRAGMENT:
		return put_piece(frame, flow, from, at, sum);
	default:
		return put_udp(frame, flow, from, at, sum);
	}
}
