/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made of layers: DNS records, flows, chosen layers; and generated packets by all ways. */
#include "tests/rig/decode_packets.h"

#include "datasets/traffic.h"

#define DNS_HEADER "1234 8180 0001 0002 0000 0000 "

static void dns_records_are_read(void **state)
{
	struct cw_dns_reader reader;
	struct cw_dns_record record;

	(void)state;
	expect(ETH("0800") IP4("0000", "11") "0035 3039 0000 0000 " DNS_HEADER
					     "03777777 026162 00 0001 0001 "
					     "c00c 0005 0001 0000003c 0006 03612e62 c010 "
					     "c024 0001 0001 0000003c 0004 c0a80001",
	       "ethernet ipv4 udp dns");
	assert_int_equal(layer(CW_LAYER_DNS)->dns.id, 0x1234);
	assert_int_equal(layer(CW_LAYER_DNS)->dns.flags, 0x8180);
	cw_dns_begin(&reader, packet, layer(CW_LAYER_DNS));
	assert_int_equal(cw_dns_next(&reader, &record), 1);
	assert_string_equal(record.name, "www.ab");
	assert_int_equal(record.section, CW_DNS_QUESTION);
	assert_int_equal(record.type, 1);
	assert_int_equal(cw_dns_next(&reader, &record), 1);
	assert_string_equal(record.name, "www.ab");
	assert_int_equal(record.type, 5);
	assert_int_equal(record.ttl, 60);
	assert_int_equal(cw_dns_name(&reader, record.data_offset, record.name),
			 record.data_offset + record.data_bytes);
	assert_string_equal(record.name, "a\\.b.ab");
	assert_int_equal(cw_dns_next(&reader, &record), 1);
	assert_string_equal(record.name, "a\\.b.ab");
	assert_int_equal(record.data_bytes, 4);
	assert_int_equal(cw_dns_next(&reader, &record), 0);
}

static void expect_bad_name(const char *text)
{
	char whole[2048] = ETH("0800") IP4("0000", "11") "3039 14e9 0000 0000 "
							 "1234 0000 0001 0000 0000 0000 ";
	struct cw_dns_reader reader;
	struct cw_dns_record record;

	strcat(whole, text);
	expect(whole, "ethernet ipv4 udp dns");
	cw_dns_begin(&reader, packet, layer(CW_LAYER_DNS));
	assert_int_equal(cw_dns_next(&reader, &record), -EBADMSG);
	assert_int_equal(cw_dns_next(&reader, &record), -EBADMSG);
}

static void dns_names_that_cannot_be_end(void **state)
{
	char text[2048] = "";
	int label;

	(void)state;
	expect_bad_name("c00c 0001 0001");      /* points at itself */
	expect_bad_name("0161 c00c 0001 0001"); /* at the name it is in */
	expect_bad_name("c0ff 0001 0001");      /* ahead */
	expect_bad_name("0161 c0");             /* half a pointer */
	expect_bad_name("4061 00 0001 0001");   /* a length that is reserved */
	expect_bad_name("0561 00 0001 0001");   /* a label beyond the end */
	expect_bad_name("0161 00 0001 00");     /* half a class */
	expect_bad_name("0161");                /* no end */
	for (label = 0; label < 128; label++)
		strcat(text, "0161");
	strcat(text, "00 0001 0001");
	expect_bad_name(text); /* 257 bytes */
}

static void longest_dns_name_has_room(void **state)
{
	char text[2048] = ETH("0800") IP4("0000", "11") "3039 0035 0000 0000 "
							"1234 0000 0001 0000 0000 0000 ";
	struct cw_dns_reader reader;
	struct cw_dns_record record;
	int label, byte;

	(void)state;
	for (label = 0; label < 4; label++) {
		strcat(text, label < 3 ? "3f" : "3d");
		for (byte = 0; byte < (label < 3 ? 63 : 61); byte++)
			strcat(text, "ff");
	}
	strcat(text, "00 0001 0001");
	expect(text, "ethernet ipv4 udp dns");
	cw_dns_begin(&reader, packet, layer(CW_LAYER_DNS));
	assert_int_equal(cw_dns_next(&reader, &record), 1);
	assert_int_equal(strlen(record.name), 4 * 250 + 3);
	assert_int_equal(memcmp(record.name, "\\255\\255", 8), 0);
}

static void dns_over_tcp_where_a_segment_is_a_message(void **state)
{
	(void)state;
	expect(ETH("0800") IP4("0000", "06") "0035 3039 00000001 00000002 5018 ffff 1111 0000 "
					     "000c 1234 8180 0000 0000 0000 0000",
	       "ethernet ipv4 tcp dns");
	assert_int_equal(layer(CW_LAYER_DNS)->offset, 56);
	assert_int_equal(layer(CW_LAYER_TCP)->payload_bytes, 14);
	expect(ETH("0800") IP4("0000", "06") "0035 3039 00000001 00000002 5018 ffff 1111 0000 "
					     "000d 1234 8180 0000 0000 0000 0000",
	       "ethernet ipv4 tcp payload");
}

static struct cw_flow flow_of(const char *text)
{
	struct cw_packet one = {.data = packet};
	struct cw_flow flow;

	one.caplen = digits(text, packet);
	cw_decode_flows(&one, 1, CW_LINKTYPE_ETHERNET, 3, &flow);
	return flow;
}

#define BACK4 "45b8 0028 1234 4000 40 06 abcd c0a80002 c0a80001 "
#define BACK6 \
	"60000000 0014 06 3f 20010db8000000000000000000000002 20010db8000000000000000000000001 "
#define BACK_TCP "0050 3039 00000001 00000002 5011 ffff 1111 0000 "

static void flows_of_both_directions_have_one_hash(void **state)
{
	struct cw_flow there, back, other;

	(void)state;
	there = flow_of(ETH("8100") "0123 0800" IP4("0028", "06") TCP);
	back = flow_of(ETH("0800") BACK4 BACK_TCP);
	assert_int_equal(there.hash, back.hash);
	assert_int_equal(there.vlan, 0x123);
	assert_int_equal(back.vlan, CW_FLOW_NO_VLAN);
	assert_int_equal(there.source_port, back.destination_port);
	assert_memory_equal(there.source, back.destination, 16);
	assert_int_equal(there.network_offset, 18);
	assert_int_equal(there.transport_offset, 38);
	assert_int_equal(there.payload_offset, 58);
	assert_int_equal(back.tcp_flags, CW_TCP_FIN | CW_TCP_ACK);
	other = flow_of(ETH("0800") BACK4 "0051 3039 00000001 00000002 5011 ffff 1111 0000 ");
	assert_int_not_equal(other.hash, back.hash);
	there = flow_of(ETH("86dd") IP6("0014", "06") TCP);
	back = flow_of(ETH("86dd") BACK6 BACK_TCP);
	assert_int_equal(there.hash, back.hash);
	assert_int_equal(there.version, 6);
	/* Not symmetric by chance: ports exchanged without the addresses are another flow. */
	other = flow_of(ETH("86dd") BACK6 TCP);
	assert_int_not_equal(other.hash, back.hash);
}

static void flow_hashes_spread(void **state)
{
	uint32_t counts[256] = {0}, worst = 0;
	uint8_t bytes[64];
	struct cw_packet one = {.data = bytes};
	struct cw_flow flow;
	uint32_t index;

	(void)state;
	one.caplen = digits(ETH("0800") IP4("001c", "11") UDP("1000", "0008"), bytes);
	for (index = 0; index < 65536; index++) { /* neighbouring addresses and ports */
		bytes[29] = (uint8_t)(index >> 8);
		bytes[35] = (uint8_t)index;
		cw_decode_flows(&one, 1, CW_LINKTYPE_ETHERNET, 0, &flow);
		counts[flow.hash & 255]++;
	}
	for (index = 0; index < 256; index++)
		worst = counts[index] > worst ? counts[index] : worst;
	assert_in_range(worst, 256, 400);
}

static void flows_that_fail_say_so(void **state)
{
	struct cw_flow flow;

	(void)state;
	flow = flow_of(ETH("0800") IP4("0100", "06") "3039 0050 0000");
	assert_int_equal(flow.flags, CW_FLOW_FAILED | CW_FLOW_TRUNCATED);
	assert_int_equal(flow.version, 4);
	assert_int_equal(flow.source_port, 0);
	flow = flow_of(ETH("0800") IP4_FROM("001e", "2001", "11") UDP("1000", "0100") "6869");
	assert_int_equal(flow.flags, CW_FLOW_PIECE);
	assert_int_equal(flow.protocol, 17);
	assert_int_equal(flow.source_port, 0);
	assert_int_equal(flow.payload_bytes, 10);
	flow = flow_of(ETH("0806") "0001");
	assert_int_equal(flow.flags, CW_FLOW_FAILED | CW_FLOW_TRUNCATED);
	assert_int_equal(flow.version, 0);
}

static void chosen_layers_stop_at_another(void **state)
{
	struct cw_layer ethernet, ipv4, tcp;
	struct cw_chosen chosen = {
	    .at = {
		[CW_LAYER_ETHERNET] = &ethernet, [CW_LAYER_IPV4] = &ipv4, [CW_LAYER_TCP] = &tcp}};

	(void)state;
	packet_bytes = digits(ETH("0800") IP4("002a", "06") TCP "6869", packet);
	assert_int_equal(cw_decode_chosen(packet, packet_bytes, CW_LINKTYPE_ETHERNET, &chosen), 3);
	assert_int_equal(chosen.next, CW_LAYER_PAYLOAD);
	assert_int_equal(chosen.order[2], CW_LAYER_TCP);
	assert_int_equal(tcp.tcp.source_port, 12345);
	packet_bytes = digits(ETH("0800") IP4("0028", "06") TCP "6869", packet);
	assert_int_equal(cw_decode_chosen(packet, packet_bytes, CW_LINKTYPE_ETHERNET, &chosen), 3);
	assert_int_equal(chosen.next, CW_LAYER_NONE);
	packet_bytes = digits(ETH("86dd") IP6("0014", "06") TCP, packet);
	assert_int_equal(cw_decode_chosen(packet, packet_bytes, CW_LINKTYPE_ETHERNET, &chosen), 1);
	assert_int_equal(chosen.next, CW_LAYER_IPV6);
}

/* Every kind of generated packet, and each with a byte of its headers changed. */
static void generated_packets_keep_the_rules(void **state)
{
	const char *const profiles[] = {"imix", "mix"};
	uint64_t random = 1;
	size_t profile;
	uint32_t count;

	(void)state;
	for (profile = 0; profile < CW_ARRAY_COUNT(profiles); profile++) {
		struct cw_traffic *traffic;

		assert_int_equal(cw_traffic_open(&traffic, profiles[profile], 5, NULL), 0);
		for (count = 0; count < 20000; count++) {
			uint8_t bytes[CW_TRAFFIC_CAPLEN_MAX];
			struct cw_packet one;
			const char *wrong;

			cw_traffic_next(traffic, &one);
			wrong = check_packet(one.data, one.caplen, CW_LINKTYPE_ETHERNET,
					     count % CW_LAYER_COUNT);
			memcpy(bytes, one.data, one.caplen);
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			if (one.caplen)
				bytes[(random >> 33) % cw_min_u32(one.caplen, 90)] =
				    (uint8_t)(random >> 56);
			if (!wrong)
				wrong = check_packet(bytes, one.caplen, CW_LINKTYPE_ETHERNET,
						     CW_LAYER_UDP);
			if (wrong)
				fail_msg("%s, packet %u: %s", profiles[profile], count, wrong);
		}
		cw_traffic_close(traffic);
	}
}

static void a_burst_is_its_packets(void **state)
{
	struct cw_packet packets[100];
	struct cw_flow flows[100], one;
	static uint8_t bytes[100][CW_TRAFFIC_CAPLEN_MAX];
	struct cw_traffic *traffic;
	uint32_t index;

	(void)state;
	assert_int_equal(cw_traffic_open(&traffic, "mix", 9, NULL), 0);
	for (index = 0; index < 100; index++) {
		cw_traffic_next(traffic, &packets[index]);
		memcpy(bytes[index], packets[index].data, packets[index].caplen);
		packets[index].data = bytes[index];
	}
	cw_decode_flows(packets, 100, CW_LINKTYPE_ETHERNET, 1, flows);
	for (index = 0; index < 100; index++) {
		cw_decode_flow_slowly(&packets[index], CW_LINKTYPE_ETHERNET, 1, &one);
		assert_memory_equal(&flows[index], &one, sizeof(one));
	}
	cw_traffic_close(traffic);
}

static void packets_without_bytes_need_no_memory(void **state)
{
	static const uint32_t linktypes[] = {0, 1, 9, 51, 101, 113, 228, 229, 276, 999};
	struct cw_packet packets[40] = {{.data = NULL}};
	struct cw_flow flows[40];
	struct cw_chosen chosen = {0};
	size_t index;

	(void)state;
	for (index = 0; index < CW_ARRAY_COUNT(linktypes); index++) {
		cw_decode_layers(NULL, 0, linktypes[index], &layers);
		assert_int_equal(layers.count, 0);
		assert_int_equal(cw_decode_chosen(NULL, 0, linktypes[index], &chosen), 0);
		assert_int_equal(chosen.next, CW_LAYER_NONE);
		cw_decode_flows(packets, 40, linktypes[index], 1, flows);
		assert_int_equal(flows[39].version, 0);
		assert_int_equal(flows[39].flags, 0);
	}
}

static void every_layer_and_error_has_a_name(void **state)
{
	unsigned index;

	(void)state;
	for (index = 0; index < CW_LAYER_COUNT; index++)
		assert_non_null(cw_layer_name(index));
	assert_string_equal(cw_layer_name(CW_LAYER_COUNT), "?");
	for (index = 0; index <= CW_LAYER_ERROR_LINKTYPE; index++)
		assert_string_not_equal(cw_layer_error_text(index), "?");
	assert_string_equal(cw_layer_error_text(99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dns_records_are_read),
	    cmocka_unit_test(dns_names_that_cannot_be_end),
	    cmocka_unit_test(longest_dns_name_has_room),
	    cmocka_unit_test(dns_over_tcp_where_a_segment_is_a_message),
	    cmocka_unit_test(flows_of_both_directions_have_one_hash),
	    cmocka_unit_test(flow_hashes_spread),
	    cmocka_unit_test(flows_that_fail_say_so),
	    cmocka_unit_test(chosen_layers_stop_at_another),
	    cmocka_unit_test(generated_packets_keep_the_rules),
	    cmocka_unit_test(a_burst_is_its_packets),
	    cmocka_unit_test(packets_without_bytes_need_no_memory),
	    cmocka_unit_test(every_layer_and_error_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
