/* SPDX-License-Identifier: BSD-3-Clause */
/* Every layer and every rule of the decoder, on packets built by hand. */
#include "tests/rig/decode_packets.h"

static void tcp_over_ipv4_has_all_fields(void **state)
{
	const struct cw_layer *at;

	(void)state;
	expect(ETH("0800") IP4("002a", "06") TCP "6869", "ethernet ipv4 tcp payload");
	assert_int_equal(layer(CW_LAYER_ETHERNET)->ethernet.destination[5], 1);
	assert_int_equal(layer(CW_LAYER_ETHERNET)->ethernet.source[5], 2);
	assert_int_equal(layer(CW_LAYER_ETHERNET)->ethernet.type, 0x800);
	at = layer(CW_LAYER_IPV4);
	assert_int_equal(at->offset, 14);
	assert_int_equal(at->header_bytes, 20);
	assert_int_equal(at->payload_bytes, 22);
	assert_memory_equal(at->ipv4.source, "\xc0\xa8\x00\x01", 4);
	assert_memory_equal(at->ipv4.destination, "\xc0\xa8\x00\x02", 4);
	assert_int_equal(at->ipv4.total_bytes, 42);
	assert_int_equal(at->ipv4.id, 0x1234);
	assert_int_equal(at->ipv4.is_dont_fragment, 1);
	assert_int_equal(at->ipv4.is_more_fragments, 0);
	assert_int_equal(at->ipv4.fragment_offset, 0);
	assert_int_equal(at->ipv4.traffic_class, 0xb8);
	assert_int_equal(at->ipv4.ttl, 64);
	assert_int_equal(at->ipv4.protocol, 6);
	assert_int_equal(at->ipv4.checksum, 0xabcd);
	at = layer(CW_LAYER_TCP);
	assert_int_equal(at->offset, 34);
	assert_int_equal(at->tcp.source_port, 12345);
	assert_int_equal(at->tcp.destination_port, 80);
	assert_int_equal(at->tcp.sequence, 1);
	assert_int_equal(at->tcp.acknowledgment, 2);
	assert_int_equal(at->tcp.flags, CW_TCP_ACK | CW_TCP_PSH);
	assert_int_equal(at->tcp.window, 65535);
	assert_int_equal(at->tcp.checksum, 0x1111);
	assert_int_equal(layer(CW_LAYER_PAYLOAD)->offset, 54);
	assert_int_equal(layer(CW_LAYER_PAYLOAD)->payload_bytes, 2);
	assert_int_equal(layers.padding_bytes, 0);
}

static void tcp_options_are_read(void **state)
{
	const struct cw_tcp *tcp;

	(void)state;
	expect(ETH("0800") IP4("003c", "06") "3039 0050 00000001 00000000 a002 ffff 1111 0000 "
					     "020405b4 0402 080a 00000007 00000008 01 030307",
	       "ethernet ipv4 tcp");
	tcp = &layer(CW_LAYER_TCP)->tcp;
	assert_int_equal(tcp->options, CW_TCP_HAS_MSS | CW_TCP_HAS_SACK_PERMITTED | CW_TCP_HAS_TS |
					   CW_TCP_HAS_WINDOW_SHIFT);
	assert_int_equal(tcp->mss, 1460);
	assert_int_equal(tcp->ts_value, 7);
	assert_int_equal(tcp->ts_echo, 8);
	assert_int_equal(tcp->window_shift, 7);
	assert_int_equal(tcp->options_bytes, 20);
	/* The short cut for padded timestamps, the same with the padding behind, SACK blocks. */
	expect(ETH("0800") IP4("0034", "06") "3039 0050 00000001 00000000 8010 ffff 1111 0000 "
					     "0101080a 00000007 00000008",
	       "ethernet ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.ts_value, 7);
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.ts_echo, 8);
	expect(ETH("0800") IP4("0034", "06") "3039 0050 00000001 00000000 8010 ffff 1111 0000 "
					     "080a 00000007 00000008 0101",
	       "ethernet ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.ts_echo, 8);
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.options, CW_TCP_HAS_TS);
	expect(ETH("0800") IP4("0034", "06") "3039 0050 00000001 00000000 8010 ffff 1111 0000 "
					     "0101 050a 00000007 00000008",
	       "ethernet ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.sack_block_count, 1);
}

static void bad_options_are_marked_and_the_rest_holds(void **state)
{
	(void)state;
	/* Length 1; beyond the end; a maximum segment size of three bytes. */
	expect(ETH("0800") IP4("002e", "06") "3039 0050 00000001 00000000 6010 ffff 1111 0000 "
					     "08010000 6869",
	       "ethernet ipv4 tcp! payload");
	expect(ETH("0800") IP4("002c", "06") "3039 0050 00000001 00000000 6010 ffff 1111 0000 "
					     "0101080a",
	       "ethernet ipv4 tcp!");
	expect(ETH("0800") IP4("002c", "06") "3039 0050 00000001 00000000 6010 ffff 1111 0000 "
					     "02030000",
	       "ethernet ipv4 tcp!");
	expect(ETH("0800") "4600 0018 0001 0000 40 fd 0000 c0a80001 c0a80002 94090000",
	       "ethernet ipv4!");
	expect(ETH("0800") "4600 0018 0001 0000 40 fd 0000 c0a80001 c0a80002 94040000",
	       "ethernet ipv4");
}

static void ipv4_length_0_means_the_rest(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("0000", "06") TCP "616263", "ethernet ipv4 tcp payload");
	assert_int_equal(layer(CW_LAYER_PAYLOAD)->payload_bytes, 3);
}

static void bytes_behind_the_ip_length_are_padding(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("0028", "06") TCP "000000000000", "ethernet ipv4 tcp");
	assert_int_equal(layers.padding_bytes, 6);
	expect(ETH("86dd") IP6("0000", "3b") "0000", "ethernet ipv6");
	assert_int_equal(layers.padding_bytes, 2);
}

static void lengths_beyond_the_packet_mark_it_truncated(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("0100", "06") TCP "6869", "ethernet ipv4- tcp payload");
	assert_int_equal(layer(CW_LAYER_PAYLOAD)->payload_bytes, 2);
	expect(ETH("0800") IP4("0100", "11") UDP("1000", "00ec") "68",
	       "ethernet ipv4- udp- payload");
	expect(ETH("0800") IP4("0100", "06") "3039 0050 0000",
	       "ethernet ipv4- failure-(tcp: the packet ends inside the header)");
	/* TCP whose options are cut keeps its ports. */
	expect(ETH("0800") IP4("0100", "06") "3039 0050 00000001 00000000 8010 ffff 1111 0000 0101",
	       "ethernet ipv4- tcp-");
	assert_int_equal(layer(CW_LAYER_TCP)->tcp.destination_port, 80);
	expect(ETH("0800") "4600 0100 0001 0000 40 06 0000 c0a80001 c0a80002 01", "ethernet ipv4-");
	expect("0200", "failure-(ethernet: the packet ends inside the header)");
	expect("", "");
}

static void headers_that_cannot_be_are_failures(void **state)
{
	(void)state;
	expect(ETH("0800") "55" IP4("002a", "06") TCP,
	       "ethernet failure(ipv4: impossible version)");
	expect(ETH("0800") "4400 0028 0001 0000 40 06 0000 c0a80001 c0a80002 " TCP,
	       "ethernet failure(ipv4: header length too small)");
	expect(ETH("0800") IP4("0013", "06") TCP,
	       "ethernet failure(ipv4: length smaller than the header)");
	expect(ETH("0800") IP4("0028", "06") "3039 0050 00000001 00000002 4018 ffff 1111 0000 ",
	       "ethernet ipv4 failure(tcp: header length too small)");
	expect(ETH("86dd") "4" IP6("0014", "06") TCP "0",
	       "ethernet failure(ipv6: impossible version)");
	assert_int_equal(layer(CW_LAYER_FAILURE)->offset, 14);
}

static void udp_lengths(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "000a") "6869",
	       "ethernet ipv4 udp payload");
	assert_int_equal(layer(CW_LAYER_UDP)->udp.total_bytes, 10);
	assert_int_equal(layer(CW_LAYER_UDP)->udp.destination_port, 4096);
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "0000") "6869",
	       "ethernet ipv4 udp payload");
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "0008") "6869", "ethernet ipv4 udp");
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "0009") "6869",
	       "ethernet ipv4 udp payload");
	assert_int_equal(layer(CW_LAYER_PAYLOAD)->payload_bytes, 1);
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "0001") "6869",
	       "ethernet ipv4 failure(udp: length smaller than the header)");
	expect(ETH("0800") IP4("001e", "11") UDP("1000", "0007") "6869",
	       "ethernet ipv4 failure(udp: length smaller than the header)");
}

static void ipv6_and_its_extension_headers(void **state)
{
	const struct cw_ipv6 *ipv6;

	(void)state;
	expect(ETH("86dd") IP6("0016", "06") TCP "6869", "ethernet ipv6 tcp payload");
	ipv6 = &layer(CW_LAYER_IPV6)->ipv6;
	assert_int_equal(ipv6->traffic_class, 0xab);
	assert_int_equal(ipv6->flow_label, 0x12345);
	assert_int_equal(ipv6->payload_bytes, 22);
	assert_int_equal(ipv6->next_header, 6);
	assert_int_equal(ipv6->hop_limit, 63);
	assert_int_equal(ipv6->source[15], 1);
	assert_int_equal(ipv6->destination[15], 2);
	expect(ETH("86dd") IP6(
		   "0040", "00") "2b000104000000003c 00 0402 00000000 "
				 "2c00010400000000 11 00 0001 00000009 " UDP(
				     "1000",
				     "0020") "00000000000000000000000000000000 0000000000000000",
	       "ethernet ipv6 ipv6-hop-by-hop ipv6-routing ipv6-destination ipv6-fragment/ udp "
	       "payload");
	assert_int_equal(layer(CW_LAYER_ROUTING)->extension.routing_type, 4);
	assert_int_equal(layer(CW_LAYER_ROUTING)->extension.segments_left, 2);
	assert_int_equal(layer(CW_LAYER_IPV6_FRAGMENT)->extension.id, 9);
	assert_int_equal(layer(CW_LAYER_IPV6_FRAGMENT)->extension.is_more_fragments, 1);
	expect(ETH("86dd") IP6("000a", "2c") "1100 0008 00000009 6869",
	       "ethernet ipv6 ipv6-fragment/ fragment");
	assert_int_equal(layer(CW_LAYER_IPV6_FRAGMENT)->extension.fragment_offset, 8);
	/* Length 0: the rest. An extension that is longer than the packet. */
	expect(ETH("86dd") IP6("0000", "06") TCP "6869", "ethernet ipv6 tcp payload");
	expect(ETH("86dd") IP6("0008", "3c") "06 01 00000000 0000",
	       "ethernet ipv6 failure-(ipv6-destination: the packet ends inside the header)");
	expect(ETH("86dd") IP6("0008", "00") "06 01 00000000 0000",
	       "ethernet ipv6 failure-(ipv6-hop-by-hop: the packet ends inside the header)");
}

static void first_pieces_are_decoded_and_later_ones_not(void **state)
{
	(void)state;
	expect(ETH("0800") IP4_FROM("001e", "2000", "11") UDP("1000", "0100") "6869",
	       "ethernet ipv4/ udp- payload");
	expect(ETH("0800") IP4_FROM("001e", "2001", "11") UDP("1000", "0100") "6869",
	       "ethernet ipv4/ fragment");
	assert_int_equal(layer(CW_LAYER_IPV4)->ipv4.fragment_offset, 8);
	assert_int_equal(layer(CW_LAYER_FRAGMENT)->payload_bytes, 10);
}

static void link_layers(void **state)
{
	(void)state;
	expect(ETH("88a8") "6123 8100 0045 0800 " IP4("0028", "06") TCP,
	       "ethernet vlan vlan ipv4 tcp");
	assert_int_equal(layers.at[1].vlan.tpid, 0x88a8);
	assert_int_equal(layers.at[1].vlan.id, 0x123);
	assert_int_equal(layers.at[1].vlan.priority, 3);
	assert_int_equal(layers.at[1].vlan.is_drop_eligible, 0);
	assert_int_equal(layers.at[2].vlan.tpid, 0x8100);
	assert_int_equal(layers.at[2].vlan.id, 0x45);
	expect(ETH("0007") "424203 00000000 000000", "ethernet llc payload");
	assert_int_equal(layer(CW_LAYER_LLC)->llc.dsap, 0x42);
	assert_int_equal(layers.padding_bytes, 3);
	expect(ETH("0004") "0404 0102", "ethernet llc");
	assert_int_equal(layer(CW_LAYER_LLC)->llc.control, 0x102);
	expect(ETH("0024") "aaaa03 000000 0800 " IP4("001c", "11") UDP("1000", "0008"),
	       "ethernet llc snap ipv4 udp");
	expect(ETH("0024") "aaaa03 00000c 2000 68", "ethernet- llc snap payload");
	assert_int_equal(layer(CW_LAYER_SNAP)->snap.oui, 0xc);
	expect(ETH("0004") "ffff 0000", "ethernet payload");
	expect(ETH("8847") "00064b40 0000 00", "ethernet mpls payload");
	expect(ETH("8847") "00064a40 0006d340 " IP4("0028", "06") TCP,
	       "ethernet mpls mpls ipv4 tcp");
	assert_int_equal(layers.at[1].mpls.label, 0x64);
	assert_int_equal(layers.at[1].mpls.traffic_class, 5);
	assert_int_equal(layers.at[1].mpls.ttl, 64);
	assert_int_equal(layers.at[2].mpls.is_bottom, 1);
	expect(ETH("8864") "1100 0007 001e 0021 " IP4("001c", "11") UDP("1000", "0008") "0000",
	       "ethernet pppoe ppp ipv4 udp");
	assert_int_equal(layer(CW_LAYER_PPPOE)->pppoe.session, 7);
	expect(ETH("8863") "1109 0000 0004 01010000", "ethernet pppoe payload");
	expect(ETH("8864") "2100 0007 001e 0021", "ethernet failure(pppoe: impossible version)");
	expect(ETH("0806") "0001 0800 06 04 0001 020000000002 c0a80001 000000000000 c0a80002 0000",
	       "ethernet arp");
	assert_int_equal(layer(CW_LAYER_ARP)->arp.operation, 1);
	assert_int_equal(layer(CW_LAYER_ARP)->arp.sender_hardware[5], 2);
	assert_memory_equal(layer(CW_LAYER_ARP)->arp.target_protocol, "\xc0\xa8\x00\x02", 4);
	assert_int_equal(layers.padding_bytes, 2);
	expect(ETH("88cc") "0207", "ethernet payload");
}

static void other_link_types(void **state)
{
	static const uint32_t raw[] = {101, 12, 14, 228};
	size_t index;

	(void)state;
	for (index = 0; index < CW_ARRAY_COUNT(raw); index++)
		expect_of(raw[index], IP4("0028", "06") TCP, "ipv4 tcp");
	expect_of(101, IP6("0014", "06") TCP, "ipv6 tcp");
	expect_of(229, IP6("0014", "06") TCP, "ipv6 tcp");
	expect_of(101, "1234", "failure(ipv4: impossible version)");
	expect_of(0, "02000000 " IP4("0028", "06") TCP, "loopback ipv4 tcp");
	expect_of(0, "00000002 " IP4("0028", "06") TCP, "loopback ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_LOOPBACK)->loopback.family, 2);
	expect_of(108, "0000001e " IP6("0014", "06") TCP, "loopback ipv6 tcp");
	expect_of(108, "00000007 1234", "loopback payload");
	expect_of(113, "0004 0001 0006 0200000000020000 0800 " IP4("0028", "06") TCP,
		  "sll ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_SLL)->sll.packet_type, 4);
	assert_int_equal(layer(CW_LAYER_SLL)->sll.address[5], 2);
	expect_of(113, "0004 0001 0006 0200000000020000 0004 424203 00", "sll llc payload");
	expect_of(113, "0004 0338 0000 0000000000000000 0800 45", "sll payload");
	expect_of(276, "0800 0000 00000003 0001 04 06 0200000000020000 " IP4("0028", "06") TCP,
		  "sll2 ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_SLL2)->sll.interface, 3);
	expect_of(276,
		  "8100 0000 00000003 0001 04 06 0200000000020000 0007 86dd" IP6("0014", "06") TCP,
		  "sll2 vlan ipv6 tcp");
	expect_of(9, "ff03 0021 " IP4("0028", "06") TCP, "ppp ipv4 tcp");
	expect_of(50, "ff03 0057 " IP6("0014", "06") TCP, "ppp ipv6 tcp");
	expect_of(9, "21 " IP4("0028", "06") TCP, "ppp ipv4 tcp");
	expect_of(9, "c021 0101", "ppp payload");
	expect_of(51, "1100 0007 0002 c021", "pppoe ppp");
	expect_of(127, "1234", "failure(none: no decoder for this link type)");
}

static void protocols_on_ip(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("001e", "01") "0800 1234 0007 0008 6869",
	       "ethernet ipv4 icmpv4 payload");
	assert_int_equal(layer(CW_LAYER_ICMPV4)->icmp.type, 8);
	assert_int_equal(layer(CW_LAYER_ICMPV4)->icmp.id, 7);
	assert_int_equal(layer(CW_LAYER_ICMPV4)->icmp.sequence, 8);
	expect(ETH("86dd") IP6("000a", "3a") "8000 1234 0007 0008 6869",
	       "ethernet ipv6 icmpv6 payload");
	assert_int_equal(layer(CW_LAYER_ICMPV6)->icmp.sequence, 8);
	expect(ETH("86dd") IP6("0004", "3a") "8700 1234", "ethernet ipv6 icmpv6");
	expect(ETH("0800") IP4("001c", "02") "1600 1234 e0000001", "ethernet ipv4 igmp");
	assert_int_equal(layer(CW_LAYER_IGMP)->igmp.group[0], 0xe0);
	expect(ETH("0800") IP4("0024", "84") "3039 0050 00000009 12345678 00030010",
	       "ethernet ipv4 sctp payload");
	assert_int_equal(layer(CW_LAYER_SCTP)->sctp.tag, 9);
	expect(ETH("0800") IP4("001e", "88") "3039 0050 0008 1234 6869",
	       "ethernet ipv4 udplite payload");
	expect(ETH("0800") IP4("0034", "33") "06 20 0000 00000005 00000006 " TCP,
	       "ethernet ipv4 failure-(ah: the packet ends inside the header)");
	expect(ETH("0800") IP4("0034", "33") "06 01 0000 00000005 00000006 " TCP,
	       "ethernet ipv4 ah tcp");
	assert_int_equal(layer(CW_LAYER_AH)->security.spi, 5);
	expect(ETH("0800") IP4("0020", "33") "06 00 0000 00000005 00000006 ",
	       "ethernet ipv4 failure(ah: header length too small)");
	expect(ETH("0800") IP4("001e", "32") "00000005 00000006 6869", "ethernet ipv4 esp payload");
	assert_int_equal(layer(CW_LAYER_ESP)->security.sequence, 6);
	expect(ETH("0800") IP4("0016", "fd") "6869", "ethernet ipv4 payload");
}

static void tunnels(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("003c", "04") IP4("0028", "06") TCP, "ethernet ipv4 ipv4 tcp");
	assert_int_equal(layers.at[2].tunnel, 1);
	assert_int_equal(layers.at[3].tunnel, 1);
	expect(ETH("0800") IP4("0050", "29") IP6("0014", "06") TCP, "ethernet ipv4 ipv6 tcp");
	expect(ETH("86dd") IP6("0028", "04") IP4("0028", "06") TCP, "ethernet ipv6 ipv4 tcp");
	expect(ETH("0800") IP4("0040", "2f") "0000 0800 " IP4("0028", "06") TCP,
	       "ethernet ipv4 gre ipv4 tcp");
	expect(ETH("0800")
		   IP4("004c", "2f") "b000 0800 12340000 00000007 00000008 " IP4("0028", "06") TCP,
	       "ethernet ipv4 gre ipv4 tcp");
	assert_int_equal(layer(CW_LAYER_GRE)->gre.key, 7);
	assert_int_equal(layer(CW_LAYER_GRE)->gre.sequence, 8);
	expect(ETH("0800")
		   IP4("003a", "2f") "3081 880b 001c0007 00000008 00000009 0021 " IP4("001c", "fd"),
	       "ethernet ipv4 gre ppp ipv4-");
	assert_int_equal(layer(CW_LAYER_GRE)->gre.acknowledgment, 9);
	expect(ETH("0800") IP4("0019", "2f") "0002 0800 00",
	       "ethernet ipv4 failure(gre: impossible version)");
	expect(ETH("0800")
		   IP4("0044", "2f") "4000 0800 00000000 00000000 " IP4("0018", "fd") "6869"
										      "6869",
	       "ethernet ipv4- gre ipv4 payload");
	expect(ETH("0800") IP4("0026", "61") "3000 " ETH("88cc") "6869",
	       "ethernet ipv4 etherip ethernet payload");
	expect(ETH("0800") IP4("0026", "61") "4000 " ETH("88cc") "6869",
	       "ethernet ipv4 failure(etherip: impossible version)");
	expect(ETH("0800") IP4("0034", "11")
		   UDP("12b5", "0020") "08000000 00012300 " ETH("88cc") "6869",
	       "ethernet ipv4 udp vxlan ethernet payload");
	assert_int_equal(layer(CW_LAYER_VXLAN)->vxlan.vni, 0x123);
	expect(ETH("0800") IP4("0038", "11")
		   UDP("17c1", "0024") "0140 6558 00012300 00000000 " ETH("88cc") "6869",
	       "ethernet ipv4 udp geneve ethernet payload");
	assert_int_equal(layer(CW_LAYER_GENEVE)->vxlan.options_bytes, 4);
	expect(ETH("0800") IP4("0024", "11") UDP("17c1", "0010") "4000 6558 00012300",
	       "ethernet ipv4 udp failure(geneve: impossible version)");
	expect(ETH("0800") IP4("003c", "11")
		   UDP("0868", "0028") "30ff 0018 00000009 " IP4("0018", "fd") "68696869",
	       "ethernet ipv4 udp gtpu ipv4 payload");
	assert_int_equal(layer(CW_LAYER_GTPU)->gtpu.tunnel, 9);
	expect(ETH("0800") IP4("0044", "11")
		   UDP("0868", "0030") "34ff 0020 00000009 0000 00 85 "
				       "01 1000 00 " IP4("0018", "fd") "68696869",
	       "ethernet ipv4 udp gtpu ipv4 payload");
	assert_int_equal(layer(CW_LAYER_GTPU)->header_bytes, 16);
	expect(ETH("0800") IP4("002c", "11") UDP("0868", "0018") "34ff 0008 00000009 0000 00 85 "
								 "00 1000 00",
	       "ethernet ipv4 udp failure-(gtpu: the packet ends inside the header)");
	expect(ETH("0800") IP4("0024", "11") UDP("0868", "0010") "3002 0000 00000009",
	       "ethernet ipv4 udp gtpu");
	expect(ETH("0800") IP4("0024", "11") UDP("0868", "0010") "2002 0000 00000009",
	       "ethernet ipv4 udp payload");
}

static void erspan_of_three_types(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("0028", "2f") "0000 88be " ETH("88cc") "6869",
	       "ethernet ipv4 gre erspan ethernet payload");
	expect(ETH("0800")
		   IP4("0034", "2f") "1000 88be 00000001 1065 0407 00000009 " ETH("88cc") "6869",
	       "ethernet ipv4 gre erspan ethernet payload");
	assert_int_equal(layer(CW_LAYER_ERSPAN)->erspan.vlan, 0x65);
	assert_int_equal(layer(CW_LAYER_ERSPAN)->erspan.session, 7);
	assert_int_equal(layer(CW_LAYER_ERSPAN)->erspan.is_truncated, 1);
	assert_int_equal(layer(CW_LAYER_ERSPAN)->erspan.index, 9);
	expect(ETH("0800") IP4("0040", "2f") "1000 22eb 00000001 2065 0007 00000009 0000 0001 "
					     "0000000000000000 " ETH("88cc") "6869",
	       "ethernet ipv4 gre erspan ethernet payload");
	assert_int_equal(layer(CW_LAYER_ERSPAN)->erspan.timestamp, 9);
	expect(ETH("0800")
		   IP4("0034", "2f") "1000 88be 00000001 3065 0407 00000009 " ETH("88cc") "6869",
	       "ethernet ipv4 gre failure(erspan: impossible version)");
}

static void tunnels_end_at_the_limit(void **state)
{
	char text[4096] = ETH("0800");
	int depth;

	(void)state;
	for (depth = 0; depth < 10; depth++)
		strcat(text, IP4("0000", "04"));
	expect(text, "ethernet ipv4 ipv4 ipv4 ipv4 ipv4 ipv4 ipv4 ipv4 ipv4 "
		     "failure(ipv4: too many tunnels)");
}

static void layers_end_at_the_limit(void **state)
{
	char text[4096] = ETH("8100");
	int depth;

	(void)state;
	for (depth = 0; depth < 60; depth++)
		strcat(text, "0001 8100 ");
	packet_bytes = digits(text, packet);
	cw_decode_layers(packet, packet_bytes, CW_LINKTYPE_ETHERNET, &layers);
	assert_int_equal(layers.count, CW_LAYERS_MAX);
	assert_int_equal(layers.at[CW_LAYERS_MAX - 1].type, CW_LAYER_FAILURE);
	assert_int_equal(layers.at[CW_LAYERS_MAX - 1].failure.type, CW_LAYER_VLAN);
	assert_int_equal(layers.at[CW_LAYERS_MAX - 1].failure.error, CW_LAYER_ERROR_COUNT);
	assert_true(cw_layers_failed(&layers));
	assert_null(check_packet(packet, packet_bytes, CW_LINKTYPE_ETHERNET, CW_LAYER_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tcp_over_ipv4_has_all_fields),
	    cmocka_unit_test(tcp_options_are_read),
	    cmocka_unit_test(bad_options_are_marked_and_the_rest_holds),
	    cmocka_unit_test(ipv4_length_0_means_the_rest),
	    cmocka_unit_test(bytes_behind_the_ip_length_are_padding),
	    cmocka_unit_test(lengths_beyond_the_packet_mark_it_truncated),
	    cmocka_unit_test(headers_that_cannot_be_are_failures),
	    cmocka_unit_test(udp_lengths),
	    cmocka_unit_test(ipv6_and_its_extension_headers),
	    cmocka_unit_test(first_pieces_are_decoded_and_later_ones_not),
	    cmocka_unit_test(link_layers),
	    cmocka_unit_test(other_link_types),
	    cmocka_unit_test(protocols_on_ip),
	    cmocka_unit_test(tunnels),
	    cmocka_unit_test(erspan_of_three_types),
	    cmocka_unit_test(tunnels_end_at_the_limit),
	    cmocka_unit_test(layers_end_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
