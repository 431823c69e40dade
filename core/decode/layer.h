/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet's layers: what each is, where it lies, and its fields in the machine's byte order. A
 * layer is one cache line; nothing is allocated and nothing outside of the packet's caplen bytes is
 * read. Offsets count from the packet's first byte. decode.h fills these; dns.h reads what stands
 * behind a DNS header.
 *
 * A layer is there only when its header was whole and made sense, so its fields can be used
 * unasked. What could not be decoded is a last layer of type CW_LAYER_FAILURE, which says what it
 * was to be and why not; the layers before it stay.
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

#define CW_LAYERS_MAX 48u /* of a packet; the rest of one with more is a failure */
#define CW_TUNNELS_MAX 8u /* IP, Ethernet or PPP inside of IP, so often; likewise */

enum cw_layer_type {
	CW_LAYER_NONE, /* nothing follows */
	CW_LAYER_ETHERNET,
	CW_LAYER_VLAN,
	CW_LAYER_IPV4,
	CW_LAYER_IPV6,
	CW_LAYER_TCP,
	CW_LAYER_UDP,
	CW_LAYER_PAYLOAD, /* bytes that no layer here is for */
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
	CW_LAYER_FRAGMENT, /* a later piece of a datagram, which no transport header begins */
	CW_LAYER_FAILURE,
	CW_LAYER_COUNT,
};

enum cw_layer_flag {
	CW_LAYER_TRUNCATED = 1 << 0,   /* it says that it has more bytes than are present */
	CW_LAYER_BAD_OPTIONS = 1 << 1, /* its options contradict their lengths; the rest holds */
	CW_LAYER_PIECE = 1 << 2,       /* IPv4, IPv6 fragment: the datagram is in several packets */
};

/* Why a layer could not be decoded. */
enum cw_layer_error {
	CW_LAYER_ERROR_NONE,
	CW_LAYER_ERROR_SHORT,    /* the packet, or what it lies in, ends inside the header */
	CW_LAYER_ERROR_VERSION,  /* a version number that it cannot have */
	CW_LAYER_ERROR_HEADER,   /* a header length below the least */
	CW_LAYER_ERROR_LENGTH,   /* a length below its header's */
	CW_LAYER_ERROR_DEPTH,    /* CW_TUNNELS_MAX */
	CW_LAYER_ERROR_COUNT,    /* CW_LAYERS_MAX */
	CW_LAYER_ERROR_LINKTYPE, /* a link type that has no decoder */
};

struct cw_ethernet {
	uint8_t destination[6], source[6];
	uint16_t type; /* below 0x600: the length of what follows */
};

struct cw_vlan {
	uint16_t tpid; /* the type that led here: 0x8100, 0x88a8, 0x9100 */
	uint16_t id;
	uint16_t type; /* of what follows, as in struct cw_ethernet */
	uint8_t priority;
	uint8_t is_drop_eligible;
};

struct cw_llc {
	uint8_t dsap, ssap;
	uint16_t control; /* one byte's or, where its low bits are not 11, two bytes' */
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
	/* Ethernet and IPv4 only (6 and 4 bytes), zeros otherwise. */
	uint8_t sender_hardware[6], sender_protocol[4];
	uint8_t target_hardware[6], target_protocol[4];
};

struct cw_ipv4 {
	uint8_t source[4], destination[4];
	uint16_t total_bytes; /* as stated; 0 (segmentation offload): the rest of the packet */
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
	uint16_t id, sequence; /* echo, and others of its shape; 0 otherwise */
};

struct cw_igmp {
	uint8_t type, max_response;
	uint16_t checksum;
	uint8_t group[4];
};

struct cw_tcp {
	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgment;
	uint16_t flags; /* twelve bits, CW_TCP_* the low ones */
	uint16_t window, checksum, urgent;
	/* options; 0 where there is none */
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
	uint16_t total_bytes; /* as stated; 0: the rest. UDP-Lite: the checksum's coverage */
	uint16_t checksum;
};

struct cw_sctp {
	uint16_t source_port, destination_port;
	uint32_t tag, checksum;
};

struct cw_gre {
	uint16_t flags; /* the first two bytes, version in the low three bits */
	uint16_t type;  /* of what follows, as in struct cw_ethernet */
	uint32_t key, sequence, acknowledgment; /* 0 where absent */
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
	uint16_t type; /* of what follows; Geneve */
	uint8_t flags; /* VXLAN: the first byte; Geneve: the second */
	uint8_t options_bytes;
};

struct cw_gtpu {
	uint32_t tunnel;
	uint16_t payload_bytes; /* as stated; counts from behind the first eight bytes */
	uint16_t sequence;
	uint8_t flags, type;
};

struct cw_erspan {
	uint32_t index, timestamp; /* type II: index; type III: timestamp */
	uint16_t vlan, session;
	uint8_t version; /* 0: type I, which has no header; 1: II; 2: III */
	uint8_t is_truncated;
};

struct cw_failure {
	uint8_t type;  /* enum cw_layer_type: what it was to be */
	uint8_t error; /* enum cw_layer_error */
};

struct cw_layer {
	uint8_t type;   /* enum cw_layer_type; says which of the fields below are set */
	uint8_t flags;  /* CW_LAYER_* */
	uint8_t tunnel; /* how many tunnels it is inside of */
	uint8_t reserved;
	uint32_t offset;
	uint32_t header_bytes;  /* 0 for payload, fragments and failures */
	uint32_t payload_bytes; /* present behind the header, without padding */
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

/* "ipv4", "tcp", ...; "?" for what is no type. And an error in words. */
const char *cw_layer_name(unsigned type);
const char *cw_layer_error_text(unsigned error);

#endif
