/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of expressions for tests and benchmarks, made from a seed: the homogeneous ones that real
 * rule files consist of (hosts, nets, ports), mixtures, and shapes that are hard to join
 * (negations, nested prefixes, ranges that overlap, masks, payload bytes). Addresses and ports are
 * drawn from small pools that sets_packet draws from as well, so that filters match.
 */
#ifndef CW_TESTS_RIG_FILTER_SETS_H
#define CW_TESTS_RIG_FILTER_SETS_H

#include "tests/rig/filter_random.h"

#define SETS_EXPRESSION_BYTES 1024u
#define SETS_HOSTS 6000u

/* Kinds, by name; NULL at the end. */
static const char *const sets_kinds[] = {
    "host",     "net",      "port",   "mixed",    "tuple",  "bytes",   "ip6",   "mask", "mpls",
    "not-host", "not-port", "nested", "or-hosts", "pairs",  "payload", "range", "vlan", "random",
    "len",      "proto",    "bits",   "sums",     "checks", "ranges",  NULL};

/* Kinds of sets that are one expression, of any number of alternatives (sets_alternatives). */
static const char *const sets_single_kinds[] = {"one-or", "one-or-pairs", NULL};
#define SETS_ALTERNATIVE_BYTES 48u /* each takes less */

/* One of SETS_HOSTS addresses, half of them in 10.0.0.0/14. */
static inline uint32_t sets_host(struct random *random)
{
	uint32_t rank = random_below(random, SETS_HOSTS);
	struct random fixed = {rank * UINT64_C(0x51d7348d)};
	uint32_t bits = (uint32_t)random_u64(&fixed);

	/* Some hosts are more popular than others. */
	if (random_is(random, 2)) {
		fixed.state = (rank & 255) * UINT64_C(0x51d7348d);
		bits = (uint32_t)random_u64(&fixed);
		rank &= 255;
	}
	if (rank % 2)
		return 0x0a000000 | (bits & 0x0003ffff) | 1;
	return (20 + bits % 180) << 24 | (bits & 0x000303ff);
}

static inline uint32_t sets_port(struct random *random)
{
	static const uint16_t services[] = {443, 80,  22,   25,   8080, 53,   1194, 3306, 5432,
					    110, 993, 1433, 1521, 1935, 3389, 6379, 9200};

	switch (random_below(random, 3)) {
	case 0:
		return services[random_below(random, CW_ARRAY_COUNT(services))];
	case 1:
		return 1000 + random_below(random, 1200);
	default:
		return 1 + random_below(random, 65535);
	}
}

#define HOST_FORMAT "%u.%u.%u.%u"
#define HOST_ARGUMENTS(host) (host) >> 24, (host) >> 16 & 255, (host) >> 8 & 255, (host)&255

static const char *const sets_simple[] = {"ip",
					  "ip6",
					  "tcp",
					  "udp",
					  "arp",
					  "icmp",
					  "sctp",
					  "ether broadcast",
					  "ip multicast",
					  "vlan",
					  "mpls",
					  "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
					  "tcp[12] >> 4 = 5",
					  "icmp6",
					  "ip6 proto 17",
					  "ip protochain 6",
					  "ip[6:2] & 0x1fff != 0"};

/* A primitive of one of the 16 kinds; kinds differ in what they make of `a` and `b`. */
static inline void sets_primitive(struct random *random, uint32_t kind, uint32_t a, uint32_t b,
				  char *text, size_t room)
{
	static const char *const protocols[] = {"ip", "ip6", "tcp", "udp", "ether", "icmp"};

	switch (kind) {
	case 0:
		snprintf(text, room, "port %u", sets_port(random));
		return;
	case 1:
		snprintf(text, room, "%s port %u", random_is(random, 2) ? "src" : "dst",
			 sets_port(random));
		return;
	case 2:
		snprintf(text, room, "dst portrange %u-%u", 1000 + a, 1000 + a + b * 99);
		return;
	case 3:
		snprintf(text, room, "host " HOST_FORMAT, HOST_ARGUMENTS(sets_host(random)));
		return;
	case 4:
		snprintf(text, room, "net 10.%u.0.0/16", a % 4);
		return;
	case 5:
		snprintf(text, room, "src net 10.%u.%u.0/24", a % 4, b);
		return;
	case 6:
		snprintf(text, room, "%s[%u] = %u", protocols[b % 6], b, a);
		return;
	case 7:
		snprintf(text, room, "ip[%u:2] & 0x%xff != %u", b / 2, b & 7, a);
		return;
	case 8:
		snprintf(text, room, "len > %u", a * 6);
		return;
	case 9:
		snprintf(text, room, "ether[%u:4] > 0x%x", b, (uint32_t)random_u64(random));
		return;
	case 10:
		snprintf(text, room, "(ip[2:2] - ((ip[0]&0xf)<<2)) != %u", a * 5);
		return;
	case 11:
		snprintf(text, room, "ip[%u] * %u + len / %u > %u", b / 2, a % 9, b + 1, a * 9);
		return;
	case 12:
		snprintf(text, room, "vlan %u", b);
		return;
	case 13:
		snprintf(text, room, "ip[%u] %% ip[%u] = %u", b / 2, a % 20, b % 3);
		return;
	default:
		snprintf(text, room, "%s",
			 sets_simple[random_below(random, CW_ARRAY_COUNT(sets_simple))]);
		return;
	}
}

/* Primitives and their combinations, at most `depth` deep. */
static inline void sets_random(struct random *random, uint32_t depth, char *text, size_t room)
{
	static const char *const forms[] = {"(%s and %s)", "(%s and %s)", "(%s and %s)",
					    "(%s or %s)",  "(%s or %s)",  "(%s and not %s)"};
	char left[SETS_EXPRESSION_BYTES / 2], right[SETS_EXPRESSION_BYTES / 2];
	uint32_t a = random_below(random, 256), b = random_below(random, 40);
	uint32_t kind = random_below(random, depth && room >= SETS_EXPRESSION_BYTES / 8 ? 26 : 16);
	size_t half = cw_min_size(room / 2 - 16, sizeof(left));

	if (kind < 16) {
		sets_primitive(random, kind, a, b, text, room);
		return;
	}
	sets_random(random, depth - 1, left, half);
	sets_random(random, depth - 1, right, half);
	if (kind >= 24)
		snprintf(text, room, "not (%.*s)", (int)half, left);
	else
		snprintf(text, room, forms[random_below(random, 6)], left, right);
}

static inline void sets_mixed(struct random *random, char *text, size_t room)
{
	uint32_t host = sets_host(random), other = sets_host(random), port = sets_port(random);
	uint32_t kind = random_below(random, 100);

	if (kind < 35)
		snprintf(text, room, "host " HOST_FORMAT " and port %u", HOST_ARGUMENTS(host),
			 port);
	else if (kind < 50)
		snprintf(text, room, "host " HOST_FORMAT, HOST_ARGUMENTS(host));
	else if (kind < 65)
		snprintf(text, room, "net " HOST_FORMAT "/24", HOST_ARGUMENTS(host & ~255u));
	else if (kind < 80)
		snprintf(text, room, "tcp port %u", port);
	else if (kind < 85)
		snprintf(text, room,
			 "src net " HOST_FORMAT "/16 and dst net " HOST_FORMAT "/24 and udp",
			 HOST_ARGUMENTS(host & ~65535u), HOST_ARGUMENTS(other & ~255u));
	else if (kind < 88)
		snprintf(text, room, "ip6 host 2001:db8::%x", 1 + host % 800);
	else if (kind < 90)
		snprintf(text, room, "vlan %u and host " HOST_FORMAT, 10 + port % 16,
			 HOST_ARGUMENTS(host));
	else if (kind < 92)
		snprintf(text, room, "udp portrange %u-%u", port,
			 cw_min_u32(65535, port + host % 300));
	else if (kind < 94)
		snprintf(text, room, "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and dst port %u",
			 port);
	else if (kind < 96)
		snprintf(text, room, "host " HOST_FORMAT " and host " HOST_FORMAT,
			 HOST_ARGUMENTS(host), HOST_ARGUMENTS(other));
	else if (kind < 97)
		snprintf(text, room, "dst port %u and not src net %u.0.0.0/8", port, host >> 24);
	else if (kind < 98)
		snprintf(text, room, "greater %u and src host " HOST_FORMAT, 64 + port % 1400,
			 HOST_ARGUMENTS(host));
	else if (kind < 99)
		snprintf(text, room, "ether src 02:01:02:%u:04:05 and ip", 10 + port % 80);
	else
		snprintf(text, room,
			 "icmp and icmp[icmptype] == icmp-echo and dst net " HOST_FORMAT "/16",
			 HOST_ARGUMENTS(host & ~65535u));
}

/* Twenty hosts and a port. */
static inline void sets_or_hosts(struct random *random, char *text, size_t room)
{
	size_t used =
	    (size_t)snprintf(text, room, "(host " HOST_FORMAT, HOST_ARGUMENTS(sets_host(random)));
	uint32_t i;

	for (i = 1; i < 20; i++)
		used += (size_t)snprintf(text + used, room - used, " or host " HOST_FORMAT,
					 HOST_ARGUMENTS(sets_host(random)));
	snprintf(text + used, room - used, ") and port 53");
}

/* One expression: `count` hosts, or hosts with ports, or-ed (count * SETS_ALTERNATIVE_BYTES). */
static inline void sets_alternatives(struct random *random, const char *kind, uint32_t count,
				     char *text)
{
	size_t used = 0, room = (size_t)count * SETS_ALTERNATIVE_BYTES;
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint32_t host = sets_host(random), port = sets_port(random);

		used += (size_t)snprintf(text + used, room - used, "%s", i ? " or " : "");
		if (strcmp(kind, "one-or") == 0)
			used += (size_t)snprintf(text + used, room - used, "host " HOST_FORMAT,
						 HOST_ARGUMENTS(host));
		else
			used += (size_t)snprintf(text + used, room - used,
						 "(host " HOST_FORMAT " and port %u)",
						 HOST_ARGUMENTS(host), port);
	}
}

/* Protocols and a few popular things: sets of 8. */
static inline void sets_proto(struct random *random, uint32_t index, char *text, size_t room)
{
	static const char *const protocols[] = {"tcp", "udp", "icmp", "arp", "ip6", "vlan"};

	if (index % 8 == 6)
		snprintf(text, room, "port %u", sets_port(random));
	else if (index % 8 == 7)
		snprintf(text, room, "host " HOST_FORMAT, HOST_ARGUMENTS(sets_host(random)));
	else
		snprintf(text, room, "%s", protocols[index % 8]);
}

static inline bool sets_is_hard(const char *kind)
{
	return strcmp(kind, "bits") == 0 || strcmp(kind, "sums") == 0 ||
	       strcmp(kind, "checks") == 0 || strcmp(kind, "ranges") == 0;
}

/* Of sets that join badly: each filter asks for something that few others do, or all overlap. */
static inline void sets_hard(struct random *random, const char *kind, char *text, size_t room)
{
	uint32_t a = random_below(random, 256), b = random_below(random, 30);
	uint32_t c = random_below(random, 20), low = random_below(random, 30000);

	if (strcmp(kind, "bits") == 0)
		snprintf(text, room, "tcp[13] & %u != 0 or udp[%u] = %u or ip[%u:4] > %u",
			 1 + a % 255, b, random_below(random, 256), c,
			 (uint32_t)random_u64(random));
	else if (strcmp(kind, "sums") == 0)
		snprintf(text, room, "ip[%u] + tcp[%u] = %u or ether[%u] * %u > %u", c, b, 2 * a,
			 random_below(random, 60), 1 + random_below(random, 9), low / 15);
	else if (strcmp(kind, "checks") == 0)
		snprintf(text, room, "ip[%u] & %u != 0 and udp[%u:2] > %u",
			 random_below(random, 60), 1u << a % 8, b, 2 * low);
	else
		snprintf(text, room, "%sportrange %u-%u%s not net 10.%u.0.0/16",
			 random_is(random, 8) ? "not (" : "(", low,
			 low + random_below(random, 30000), random_is(random, 8) ? ") or" : ") and",
			 a % 8);
}

/* Expression `index` of a set of this kind. */
static inline void sets_expression(struct random *random, const char *kind, uint32_t index,
				   char text[SETS_EXPRESSION_BYTES])
{
	uint32_t host = sets_host(random), other = sets_host(random), port = sets_port(random);
	uint32_t bits = (uint32_t)random_u64(random);
	size_t room = SETS_EXPRESSION_BYTES;

	if (strcmp(kind, "host") == 0)
		snprintf(text, room, "host " HOST_FORMAT " and port %u", HOST_ARGUMENTS(host),
			 port);
	else if (strcmp(kind, "net") == 0)
		snprintf(text, room, "net " HOST_FORMAT "/24", HOST_ARGUMENTS(host & ~255u));
	else if (strcmp(kind, "port") == 0)
		snprintf(text, room, "tcp port %u", port);
	else if (strcmp(kind, "mixed") == 0)
		sets_mixed(random, text, room);
	else if (strcmp(kind, "tuple") == 0)
		snprintf(text, room,
			 "src host " HOST_FORMAT " and dst host " HOST_FORMAT
			 " and tcp src port %u and tcp dst port %u",
			 HOST_ARGUMENTS(host), HOST_ARGUMENTS(other), port, sets_port(random));
	else if (strcmp(kind, "bytes") == 0)
		snprintf(text, room, "ether[%u] = %u", 10 + bits % 40, bits >> 24);
	else if (strcmp(kind, "ip6") == 0)
		snprintf(text, room, "ip6 host 2001:db8::%x and port %u", 1 + host % 800, port);
	else if (strcmp(kind, "mask") == 0)
		snprintf(text, room, "ip[%u] & %u = %u", bits % 20, bits >> 8 & 255,
			 bits >> 16 & bits >> 8 & 255);
	else if (strcmp(kind, "mpls") == 0)
		snprintf(text, room, "mpls and host " HOST_FORMAT, HOST_ARGUMENTS(host));
	else if (strcmp(kind, "not-host") == 0)
		snprintf(text, room, "not host " HOST_FORMAT, HOST_ARGUMENTS(host));
	else if (strcmp(kind, "not-port") == 0)
		snprintf(text, room, "tcp and not port %u", port);
	else if (strcmp(kind, "nested") == 0)
		snprintf(text, room, "net " HOST_FORMAT "/%u",
			 HOST_ARGUMENTS(host & (UINT32_MAX << (32 - (8 + index % 25)))),
			 8 + index % 25);
	else if (strcmp(kind, "or-hosts") == 0)
		sets_or_hosts(random, text, room);
	else if (strcmp(kind, "pairs") == 0)
		snprintf(text, room, "host " HOST_FORMAT " and host " HOST_FORMAT,
			 HOST_ARGUMENTS(host), HOST_ARGUMENTS(other));
	else if (strcmp(kind, "payload") == 0)
		snprintf(text, room, "tcp port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x%x",
			 bits & 0x0f0f0f0f);
	else if (strcmp(kind, "range") == 0)
		snprintf(text, room, "tcp portrange %u-%u", cw_min_u32(bits & 65535, bits >> 16),
			 (bits & 65535) > bits >> 16 ? bits & 65535 : bits >> 16);
	else if (strcmp(kind, "vlan") == 0)
		snprintf(text, room, "vlan %u and tcp", index % 4094 + 1);
	else if (strcmp(kind, "proto") == 0)
		sets_proto(random, index, text, room);
	else if (strcmp(kind, "len") == 0)
		snprintf(text, room, "len %s %u", bits & 1 ? ">" : "<=", bits >> 8 & 2047);
	else if (sets_is_hard(kind))
		sets_hard(random, kind, text, room);
	else
		sets_random(random, 3, text, room);
}

static inline void sets_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void sets_put32(uint8_t *at, uint32_t value)
{
	sets_put16(at, value >> 16);
	sets_put16(at + 2, value & 0xffff);
}

/* What follows the ethertype: IPv4 with `protocol`, or IPv6; returns bytes. */
static inline uint32_t sets_network(struct random *random, bool is_ipv6, uint8_t protocol,
				    uint8_t *at)
{
	uint32_t header = is_ipv6 ? 40 : 20;

	if (is_ipv6) {
		at[0] = 0x60;
		at[6] = protocol == 1 ? 58 : protocol;
		memcpy(at + 8, "\x20\x01\x0d\xb8", 4);
		memcpy(at + 24, "\x20\x01\x0d\xb8", 4);
		sets_put16(at + 22, 1 + random_below(random, 800));
		sets_put16(at + 38, 1 + random_below(random, 800));
	} else {
		header += random_is(random, 100) ? 4 * random_below(random, 11) : 0;
		at[0] = (uint8_t)(0x40 | header / 4);
		sets_put16(at + 2, 40 + random_below(random, 1400));
		sets_put16(at + 6, random_is(random, 100) ? 185 : 0x4000);
		at[8] = 64;
		at[9] = protocol;
		sets_put32(at + 12, sets_host(random));
		sets_put32(at + 16, sets_host(random));
	}
	sets_put16(at + header, sets_port(random));
	sets_put16(at + header + 2, sets_port(random));
	at[header + 12] = 0x50;
	at[header + 13] = (uint8_t)(1u << random_below(random, 6));
	return header + 20;
}

/* An Ethernet frame of 60 to 128 bytes that the sets' filters can match; returns its length. */
static inline uint32_t sets_packet(struct random *random, uint8_t data[RANDOM_PACKET_MAX])
{
	static const uint8_t protocols[] = {6, 6, 6, 6, 6, 6,  6,  6,  6, 6,
					    6, 6, 6, 6, 6, 17, 17, 17, 1, 132};
	uint8_t protocol = protocols[random_below(random, CW_ARRAY_COUNT(protocols))];
	bool is_ipv6 = random_is(random, 8);
	uint32_t at = 12, bytes;

	memset(data, 0, RANDOM_PACKET_MAX);
	memcpy(data, "\x02\x01\x02\x00\x04\x05\x02\x01\x02\x00\x04\x05", 12);
	data[9] = (uint8_t)(10 + random_below(random, 80));
	if (random_is(random, 40))
		memset(data, 0xff, 6);
	if (random_is(random, 18)) {
		sets_put16(data + at, 0x8100);
		sets_put16(data + at + 2, random_is(random, 2) ? random_below(random, 40)
							       : random_below(random, 4095));
		at += 4;
	}
	if (random_is(random, 40)) { /* ARP */
		sets_put16(data + at, 0x806);
		sets_put32(data + at + 16, sets_host(random));
		sets_put32(data + at + 26, sets_host(random));
		return 60;
	}
	if (random_is(random, 100)) { /* MPLS */
		sets_put16(data + at, 0x8847);
		sets_put32(data + at + 2, 0x001001ff);
		at += 6;
	} else {
		sets_put16(data + at, is_ipv6 ? 0x86dd : 0x800);
		at += 2;
	}
	at += sets_network(random, is_ipv6, protocol, data + at);
	for (bytes = at; bytes < 128; bytes++)
		data[bytes] = (uint8_t)(random_u64(random) & 15);
	return random_is(random, 3) ? at < 60 ? 60 : at : 128;
}

#endif
