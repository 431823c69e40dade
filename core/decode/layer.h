/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet's layers: type, offset, and fields in the machine's byte order. A layer is one cache
 * line; nothing is allocated, and nothing outside the packet's caplen bytes is read. Offsets count
 * from the packet's first byte. decode.h fills layers; dns.h reads the message after a DNS header.
 *
 * A layer exists only if its header was complete and valid, so its fields need no check. If a layer
 * cannot be decoded, the last layer is a CW_LAYER_FAILURE with the intended type and the reason;
 * the layers before it stay.
 *
 * Formats: RFC 791, 792, 826, 768, 1035, 1661, 2516, 2637, 2784, 2890, 3032, 3378, 3828, 4302,
 * 4303, 4443, 8200, 8926, 7348, 9260, 9293, IEEE 802.1Q and 802.2, 3GPP TS 29.281,
 * draft-foschiano-erspan, and the link-layer header types of tcpdump.org.
 */
#ifndef CW_CORE_DECODE_LAYER_H
#define CW_CORE_DECODE_LAYER_H

#include <assert.h>
#include <stdbool.h>

#include "core/base/base.h"

#define CW_LAYERS_MAX 48u /* layers of a packet; the rest is a failure */
#define CW_TUNNELS_MAX 8u /* nested IP, Ethernet or PPP inside IP; the rest is a failure */

enum cw_layer_type {
	CW_LAYER_NONE, /* nothing follows */
	CW_LAYER_ETHERNET,
	CW_LAYER_VLAN,
	CW_LAYER_IPV4,
	CW_LAYER_IPV6,
	CW_LAYER_TCP,
	CW_LAYER_UDP,
	CW_LAYER_PAYLOAD, /* bytes without a decoder */
	CW_LAYER_LLC,
	CW_LAYER_SNAP,
	CW_LAYER_MPLS,
	CW_LAYER_PPPOE,
	CW_LAYER_PPP,
	CW_LAYER_ARP, /* also RARP */
	CW_LAYER_HOP_BY_HOP,
	CW_LAYER_ROUTING,
	CW_LAYER_IPV6_FRAGMENT, /* the extension header */
	CW_LAYER_DESTINATION,
	CW_LAYER_ICMPV4,
	CW_LAYER_ICMPV6,
	CW_LAYER_IGMP,
	CW_LAYER_SCTP,
	CW_LAYER_UDPLITE,
	CW_LAYER_GRE,
	CW_LAYER_ETHERIP,
	CW_LAYER_AH,
	CW_LAYER_ESP,
	CW_LAYER_SLL,
	CW_LAYER_SLL2,
	CW_LAYER_LOOPBACK, /* NULL and LOOP */
	CW_LAYER_DNS,
	CW_LAYER_VXLAN,
	CW_LAYER_GENEVE,
	CW_LAYER_GTPU,
	CW_LAYER_ERSPAN,
	CW_LAYER_FRAGMENT, /* later piece of a datagram, without a transport header */
	CW_LAYER_FAILURE,
	CW_LAYER_COUNT,
};

enum cw_layer_flag {
	CW_LAYER_TRUNCATED = 1 << 0,   /* the layer states more bytes than are present */
	CW_LAYER_BAD_OPTIONS = 1 << 1, /* options contradict their lengths; the rest is valid */
	CW_LAYER_PIECE = 1 << 2,       /* IPv4, IPv6 fragment: the datagram is in several packets */
};

/* Why a layer could not be decoded. */
enum cw_layer_error {
	CW_LAYER_ERROR_NONE,
	CW_LAYER_ERROR_SHORT,    /* the packet or the enclosing layer ends inside the header */
	CW_LAYER_ERROR_VERSION,  /* impossible version number */
	CW_LAYER_ERROR_HEADER,   /* header length below the least */
	CW_LAYER_ERROR_LENGTH,   /* length below the header's */
	CW_LAYER_ERROR_DEPTH,    /* more than CW_TUNNELS_MAX tunnels */
	CW_LAYER_ERROR_COUNT,    /* more than CW_LAYERS_MAX layers */
	CW_LAYER_ERROR_LINKTYPE, /* link type without a decoder */
};

struct cw_ethernet {
	uint8_t destination[6], source[6];
	uint16_t type; /* below 0x600: the length of the next layer */
};

struct cw_vlan {
	uint16_t tpid; /* ethertype of the tag: 0x8100, 0x88a8, 0x9100 */
	uint16_t id;
	uint16_t type; /* type of the next layer, as in struct cw_ethernet */
	uint8_t priority;
	uint8_t is_drop_eligible;
};

struct cw_llc {
	uint8_t dsap, ssap;
	uint16_t control; /* one byte, or two if its low bits are not 11 */
};

struct cw_snap {
	uint32_t oui;
	uint16_t type;
};

struct cw_mpls {
	uint32_t label;
	uint8_t traffic_class, is_bottom, ttl;
};

struct cw_pppoe {
	uint8_t version, type, code;
	uint16_t session, payload_bytes; /* as stated */
};

struct cw_ppp {
	uint16_t protocol;
};

struct cw_arp {
	uint16_t hardware_type, protocol_type, operation;
	uint8_t hardware_bytes, protocol_bytes;
	/* Addresses of Ethernet and IPv4 only (6 and 4 bytes), zeros otherwise. */
	uint8_t sender_hardware[6], sender_protocol[4];
	uint8_t target_hardware[6], target_protocol[4];
};

struct cw_ipv4 {
	uint8_t source[4], destination[4];
	uint16_t total_bytes; /* as stated; 0 (segmentation offload): rest of the packet */
	uint16_t id;
	uint16_t fragment_offset; /* in bytes */
	uint16_t checksum;
	uint8_t traffic_class, ttl, protocol;
	uint8_t is_dont_fragment, is_more_fragments, options_bytes;
};

struct cw_ipv6 {
	uint8_t source[16], destination[16];
	uint32_t flow_label;
	uint16_t payload_bytes; /* as stated; 0 (jumbo, or offload): the rest of the packet */
	uint8_t traffic_class, next_header, hop_limit;
};

/* Hop-by-hop, routing, fragment and destination headers. */
struct cw_ipv6_extension {
	uint32_t id;              /* fragment */
	uint16_t fragment_offset; /* fragment; in bytes */
	uint8_t next_header;
	uint8_t is_more_fragments;           /* fragment */
	uint8_t routing_type, segments_left; /* routing */
};

struct cw_icmp { /* v4 and v6 */
	uint8_t type, code;
	uint16_t checksum;
	uint16_t id, sequence; /* echo and types of the same layout; 0 otherwise */
};

struct cw_igmp {
	uint8_t type, max_response;
	uint16_t checksum;
	uint8_t group[4];
};

struct cw_tcp {
	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgment;
	uint16_t flags; /* twelve bits; the low ones are CW_TCP_* */
	uint16_t window, checksum, urgent;
	/* options; 0 if absent */
	uint32_t ts_value, ts_echo;
	uint16_t mss;
	uint8_t window_shift, sack_block_count;
	uint8_t options_bytes;
	uint8_t options; /* CW_TCP_HAS_* */
};

#define CW_TCP_FIN 0x01u
#define CW_TCP_SYN 0x02u
#define CW_TCP_RST 0x04u
#define CW_TCP_PSH 0x08u
#define CW_TCP_ACK 0x10u
#define CW_TCP_URG 0x20u

#define CW_TCP_HAS_MSS 0x01u
#define CW_TCP_HAS_WINDOW_SHIFT 0x02u
#define CW_TCP_HAS_SACK_PERMITTED 0x04u
#define CW_TCP_HAS_SACK 0x08u
#define CW_TCP_HAS_TS 0x10u

struct cw_udp { /* UDP and UDP-Lite */
	uint16_t source_port, destination_port;
	uint16_t total_bytes; /* as stated; 0: the rest. UDP-Lite: coverage of the checksum */
	uint16_t checksum;
};

struct cw_sctp {
	uint16_t source_port, destination_port;
	uint32_t tag, checksum;
};

struct cw_gre {
	uint16_t flags; /* first two bytes, version in the low three bits */
	uint16_t type;  /* type of the next layer, as in struct cw_ethernet */
	uint32_t key, sequence, acknowledgment; /* 0 if absent */
};

struct cw_security { /* AH and ESP */
	uint32_t spi, sequence;
	uint8_t next_header; /* AH */
};

struct cw_sll { /* both versions */
	uint16_t packet_type, hardware_type, address_bytes;
	uint16_t protocol;
	uint32_t interface; /* version 2 */
	uint8_t address[8];
};

struct cw_loopback {
	uint32_t family;
};

struct cw_dns {
	uint16_t id, flags;
	uint16_t question_count, answer_count, authority_count, additional_count; /* as stated */
};

struct cw_vxlan { /* also Geneve */
	uint32_t vni;
	uint16_t type; /* Geneve: type of the next layer */
	uint8_t flags; /* VXLAN: first byte; Geneve: second byte */
	uint8_t options_bytes;
};

struct cw_gtpu {
	uint32_t tunnel;
	uint16_t payload_bytes; /* as stated; without the first eight bytes */
	uint16_t sequence;
	uint8_t flags, type;
};

struct cw_erspan {
	uint32_t index, timestamp; /* type II: index; type III: timestamp */
	uint16_t vlan, session;
	uint8_t version; /* 0: type I, without a header; 1: II; 2: III */
	uint8_t is_truncated;
};

struct cw_failure {
	uint8_t type;  /* enum cw_layer_type that could not be decoded */
	uint8_t error; /* enum cw_layer_error */
};

struct cw_layer {
	uint8_t type;   /* enum cw_layer_type; selects the valid member below */
	uint8_t flags;  /* CW_LAYER_* */
	uint8_t tunnel; /* number of enclosing tunnels */
	uint8_t reserved;
	uint32_t offset;
	uint32_t header_bytes;  /* 0 for payload, fragments and failures */
	uint32_t payload_bytes; /* bytes present after the header, without padding */
	union {
		struct cw_ethernet ethernet;
		struct cw_vlan vlan;
		struct cw_llc llc;
		struct cw_snap snap;
		struct cw_mpls mpls;
		struct cw_pppoe pppoe;
		struct cw_ppp ppp;
		struct cw_arp arp;
		struct cw_ipv4 ipv4;
		struct cw_ipv6 ipv6;
		struct cw_ipv6_extension extension;
		struct cw_icmp icmp;
		struct cw_igmp igmp;
		struct cw_tcp tcp;
		struct cw_udp udp;
		struct cw_sctp sctp;
		struct cw_gre gre;
		struct cw_security security;
		struct cw_sll sll;
		struct cw_loopback loopback;
		struct cw_dns dns;
		struct cw_vxlan vxlan;
		struct cw_gtpu gtpu;
		struct cw_erspan erspan;
		struct cw_failure failure;
		uint8_t whole_line[48];
	};
};

static_assert(sizeof(struct cw_layer) == CW_CACHE_LINE, "a layer is one cache line");

/* A type's name ("ipv4", "tcp", ...; "?": unknown), and an error in words. */
const char *cw_layer_name(unsigned type);
const char *cw_layer_error_text(unsigned error);

#endif
