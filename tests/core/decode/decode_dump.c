/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode_dump FILE: what the decoder makes of each packet, a line each: the chain of layers and the
 * fields, under the names that tshark has for them and as it writes them, tab-separated.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/decode/decode.h"
#include "core/decode/dns.h"
#include "core/source/source.h"

#define SPAN_BYTES ((size_t)1 << 20)

static void number(const char *name, uint64_t value)
{
	printf("\t%s=%" PRIu64, name, value);
}

static void ethernet_address(const char *name, const uint8_t *at)
{
	printf("\t%s=%02x:%02x:%02x:%02x:%02x:%02x", name, at[0], at[1], at[2], at[3], at[4],
	       at[5]);
}

static void ip_address(const char *name, int family, const void *at)
{
	char text[INET6_ADDRSTRLEN];

	printf("\t%s=%s", name, inet_ntop(family, at, text, sizeof(text)));
}

static void put_dns(const uint8_t *data, const struct cw_layer *layer)
{
	struct cw_dns_reader reader;
	struct cw_dns_record record;
	int result;

	number("dns.id", layer->dns.id);
	number("dns.flags", layer->dns.flags);
	number("dns.count.queries", layer->dns.question_count);
	number("dns.count.answers", layer->dns.answer_count);
	number("dns.count.auth_rr", layer->dns.authority_count);
	number("dns.count.add_rr", layer->dns.additional_count);
	cw_dns_begin(&reader, data, layer);
	while ((result = cw_dns_next(&reader, &record)) == 1) {
		bool is_question = record.section == CW_DNS_QUESTION;

		printf("\t%s=%s", is_question ? "dns.qry.name" : "dns.resp.name",
		       record.name[0] ? record.name : "<Root>");
		number(is_question ? "dns.qry.type" : "dns.resp.type", record.type);
	}
	if (result < 0)
		printf("\tdns.bad=1");
}

static void put_ipv4(const struct cw_ipv4 *ipv4, const struct cw_layer *layer)
{
	ip_address("ip.src", AF_INET, ipv4->source);
	ip_address("ip.dst", AF_INET, ipv4->destination);
	number("ip.hdr_len", layer->header_bytes);
	number("ip.dsfield", ipv4->traffic_class);
	number("ip.len", ipv4->total_bytes);
	number("ip.id", ipv4->id);
	number("ip.frag_offset", ipv4->fragment_offset / 8u);
	number("ip.flags.mf", ipv4->is_more_fragments);
	number("ip.flags.df", ipv4->is_dont_fragment);
	number("ip.ttl", ipv4->ttl);
	number("ip.proto", ipv4->protocol);
	number("ip.checksum", ipv4->checksum);
}

static void put_ipv6(const struct cw_ipv6 *ipv6)
{
	ip_address("ipv6.src", AF_INET6, ipv6->source);
	ip_address("ipv6.dst", AF_INET6, ipv6->destination);
	number("ipv6.tclass", ipv6->traffic_class);
	number("ipv6.flow", ipv6->flow_label);
	number("ipv6.plen", ipv6->payload_bytes);
	number("ipv6.nxt", ipv6->next_header);
	number("ipv6.hlim", ipv6->hop_limit);
}

static void put_tcp(const struct cw_tcp *tcp, const struct cw_layer *layer)
{
	number("tcp.srcport", tcp->source_port);
	number("tcp.dstport", tcp->destination_port);
	number("tcp.seq_raw", tcp->sequence);
	number("tcp.ack_raw", tcp->acknowledgment);
	number("tcp.flags", tcp->flags);
	number("tcp.hdr_len", 20u + tcp->options_bytes);
	number("tcp.window_size_value", tcp->window);
	number("tcp.checksum", tcp->checksum);
	number("tcp.urgent_pointer", tcp->urgent);
	if (layer->flags & CW_LAYER_BAD_OPTIONS)
		return;
	if (tcp->options & CW_TCP_HAS_MSS)
		number("tcp.options.mss_val", tcp->mss);
	if (tcp->options & CW_TCP_HAS_WINDOW_SHIFT)
		number("tcp.options.wscale.shift", tcp->window_shift);
	if (tcp->options & CW_TCP_HAS_TS) {
		number("tcp.options.timestamp.tsval", tcp->ts_value);
		number("tcp.options.timestamp.tsecr", tcp->ts_echo);
	}
}

/* Layers on IP. */
static void put_upper(const struct cw_layer *layer)
{
	switch (layer->type) {
	case CW_LAYER_TCP:
		put_tcp(&layer->tcp, layer);
		break;
	case CW_LAYER_UDP:
		number("udp.srcport", layer->udp.source_port);
		number("udp.dstport", layer->udp.destination_port);
		number("udp.length", layer->udp.total_bytes);
		number("udp.checksum", layer->udp.checksum);
		break;
	case CW_LAYER_SCTP:
		number("sctp.srcport", layer->sctp.source_port);
		number("sctp.dstport", layer->sctp.destination_port);
		number("sctp.verification_tag", layer->sctp.tag);
		break;
	case CW_LAYER_ICMPV4:
		number("icmp.type", layer->icmp.type);
		number("icmp.code", layer->icmp.code);
		number("icmp.checksum", layer->icmp.checksum);
		break;
	case CW_LAYER_ICMPV6:
		number("icmpv6.type", layer->icmp.type);
		number("icmpv6.code", layer->icmp.code);
		number("icmpv6.checksum", layer->icmp.checksum);
		break;
	case CW_LAYER_IGMP:
		number("igmp.type", layer->igmp.type);
		break;
	case CW_LAYER_AH:
		number("ah.spi", layer->security.spi);
		number("ah.sequence", layer->security.sequence);
		break;
	case CW_LAYER_ESP:
		number("esp.spi", layer->security.spi);
		number("esp.sequence", layer->security.sequence);
		break;
	case CW_LAYER_GRE:
		number("gre.proto", layer->gre.type);
		break;
	case CW_LAYER_VXLAN:
		number("vxlan.vni", layer->vxlan.vni);
		break;
	case CW_LAYER_GENEVE:
		number("geneve.vni", layer->vxlan.vni);
		break;
	case CW_LAYER_GTPU:
		number("gtp.teid", layer->gtpu.tunnel);
		number("gtp.length", layer->gtpu.payload_bytes);
		number("gtp.message", layer->gtpu.type);
		break;
	}
}

static void put_fields(const uint8_t *data, const struct cw_layer *layer)
{
	switch (layer->type) {
	case CW_LAYER_ETHERNET:
		ethernet_address("eth.src", layer->ethernet.source);
		ethernet_address("eth.dst", layer->ethernet.destination);
		break;
	case CW_LAYER_VLAN:
		number(layer->vlan.tpid == 0x88a8 ? "ieee8021ad.id" : "vlan.id", layer->vlan.id);
		break;
	case CW_LAYER_MPLS:
		number("mpls.label", layer->mpls.label);
		break;
	case CW_LAYER_PPPOE:
		number("pppoe.session_id", layer->pppoe.session);
		number("pppoe.payload_length", layer->pppoe.payload_bytes);
		break;
	case CW_LAYER_PPP:
		number("ppp.protocol", layer->ppp.protocol);
		break;
	case CW_LAYER_LLC:
		number("llc.dsap", layer->llc.dsap);
		number("llc.ssap", layer->llc.ssap);
		break;
	case CW_LAYER_ARP:
		number("arp.opcode", layer->arp.operation);
		if (layer->arp.protocol_type == 0x800 && layer->arp.protocol_bytes == 4) {
			ip_address("arp.src.proto_ipv4", AF_INET, layer->arp.sender_protocol);
			ip_address("arp.dst.proto_ipv4", AF_INET, layer->arp.target_protocol);
		}
		break;
	case CW_LAYER_SLL:
	case CW_LAYER_SLL2:
		number("sll.pkttype", layer->sll.packet_type);
		break;
	case CW_LAYER_IPV4:
		put_ipv4(&layer->ipv4, layer);
		break;
	case CW_LAYER_IPV6:
		put_ipv6(&layer->ipv6);
		break;
	case CW_LAYER_DNS:
		put_dns(data, layer);
		break;
	default:
		put_upper(layer);
	}
}

static void put_packet(const struct cw_packet *packet, uint32_t linktype, uint64_t count)
{
	static struct cw_layers layers;
	uint32_t index;

	cw_decode_layers(packet->data, packet->caplen, linktype, &layers);
	printf("%" PRIu64 "\t", count);
	for (index = 0; index < layers.count; index++)
		printf("%s%s%s%s", index ? " " : "", cw_layer_name(layers.at[index].type),
		       layers.at[index].flags & CW_LAYER_TRUNCATED ? "-" : "",
		       layers.at[index].flags & CW_LAYER_BAD_OPTIONS ? "!" : "");
	for (index = 0; index < layers.count; index++)
		put_fields(packet->data, &layers.at[index]);
	printf("\n");
}

int main(int argc, char **argv)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	static struct cw_ifaces ifaces;
	struct cw_error error = {0};
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	uint64_t count = 0;
	int result;

	if (argc != 2) {
		fprintf(stderr, "usage: decode_dump FILE\n");
		return 2;
	}
	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, argv[1], &ifaces, &options, &error);
	while (result >= 0 && (result = cw_source_next(source, SPAN_BYTES, UINT32_MAX, &span,
						       &lease, &error)) == 1) {
		struct cw_cursor cursor = {0};
		struct cw_packet packet;

		while (cw_span_decode(&span, &cursor, &packet, 1) == 1)
			put_packet(&packet,
				   packet.flags & CW_PACKET_MALFORMED
				       ? CW_LINKTYPE_ANY
				       : cw_ifaces_at(&ifaces, packet.iface)->linktype,
				   ++count);
		cw_lease_give_back(&lease);
	}
	if (result < 0)
		fprintf(stderr, "%s\n", error.text);
	else
		cw_source_close(source);
	cw_ifaces_fini(&ifaces);
	return result < 0;
}
