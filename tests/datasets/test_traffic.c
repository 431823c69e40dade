/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the traffic generator: repeatable, sizes of the profile, every kind of packet, correct
 * checksums, skewed flows. tests/datasets/traffic_checksums.sh compares checksums of files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "datasets/traffic.h"
#include "tests/rig/scale.h"

#define PACKETS 200000u
#define SEED 7u

static struct cw_traffic *open_traffic(const char *profile, uint64_t seed)
{
	struct cw_traffic *traffic = NULL;

	assert_int_equal(cw_traffic_open(&traffic, profile, seed, NULL), 0);
	return traffic;
}

static void same_seed_gives_the_same_packets(void **state)
{
	(void)state;
	for (const char *const *profile = cw_traffic_profiles; *profile; profile++) {
		struct cw_traffic *one = open_traffic(*profile, SEED);
		struct cw_traffic *other = open_traffic(*profile, SEED);

		for (uint32_t i = scaled(20000, 4000); i > 0; i--) {
			struct cw_packet a, b;

			cw_traffic_next(one, &a);
			cw_traffic_next(other, &b);
			assert_int_equal(a.ts_ns, b.ts_ns);
			assert_int_equal(a.caplen, b.caplen);
			assert_int_equal(a.wire_len, b.wire_len);
			assert_int_equal(memcmp(a.data, b.data, a.caplen), 0);
		}
		cw_traffic_close(one);
		cw_traffic_close(other);
	}
}

static void another_seed_gives_other_packets(void **state)
{
	struct cw_traffic *one = open_traffic("imix", SEED);
	struct cw_traffic *other = open_traffic("imix", SEED + 1);
	uint32_t same = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct cw_packet a, b;

		cw_traffic_next(one, &a);
		cw_traffic_next(other, &b);
		same += a.caplen == b.caplen && memcmp(a.data, b.data, a.caplen) == 0;
	}
	assert_in_range(same, 0, 10); /* two empty runts are alike */
	cw_traffic_close(one);
	cw_traffic_close(other);
}

static void unknown_profile_is_refused_by_name(void **state)
{
	struct cw_traffic *traffic = NULL;
	struct cw_error error = {0};

	(void)state;
	assert_true(cw_traffic_open(&traffic, "huge", SEED, &error) < 0);
	assert_non_null(strstr(error.text, "'huge'"));
	assert_null(traffic);
	cw_traffic_close(NULL);
}

/* Counts over a profile's first packets. */
struct tally {
	uint64_t bytes;
	uint32_t kinds[CW_TRAFFIC_KIND_COUNT];
	uint32_t ipv6, tagged, tagged_twice, options, jumbo, truncated, malformed;
	uint32_t syn, fin, rst, psh;
};

static size_t network_offset(const struct cw_traffic_note *note)
{
	return 14u + 4u * note->tag_count;
}

static bool has_network(const struct cw_traffic_note *note)
{
	return note->kind != CW_TRAFFIC_ARP && note->kind != CW_TRAFFIC_LINK;
}

static void tally_packet(struct tally *tally, const struct cw_packet *packet,
			 const struct cw_traffic_note *note)
{
	const uint8_t *network = packet->data + network_offset(note);
	const uint8_t *tcp;

	tally->bytes += packet->caplen;
	tally->kinds[note->kind]++;
	tally->ipv6 += note->is_ipv6;
	tally->tagged += note->tag_count > 0;
	tally->tagged_twice += note->tag_count > 1;
	tally->truncated += note->is_truncated;
	tally->malformed += note->is_malformed;
	tally->jumbo += packet->wire_len > 1522;
	if (note->is_malformed || note->is_truncated || !has_network(note))
		return;
	tally->options += !note->is_ipv6 && (network[0] & 15) > 5;
	if (note->kind != CW_TRAFFIC_TCP)
		return;
	tcp = network + (note->is_ipv6 ? 40 : (network[0] & 15) * 4);
	tally->fin += tcp[13] & 1;
	tally->syn += tcp[13] >> 1 & 1;
	tally->rst += tcp[13] >> 2 & 1;
	tally->psh += tcp[13] >> 3 & 1;
}

static void tally_profile(const char *profile, struct tally *tally)
{
	struct cw_traffic *traffic = open_traffic(profile, SEED);

	*tally = (struct tally){0};
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct cw_packet packet;

		cw_traffic_next(traffic, &packet);
		tally_packet(tally, &packet, cw_traffic_note(traffic));
	}
	cw_traffic_close(traffic);
}

static void check_size(const char *profile, uint64_t bytes)
{
	if (strcmp(profile, "small") == 0)
		assert_in_range(bytes / PACKETS, 74, 80);
	else if (strcmp(profile, "imix") == 0)
		assert_in_range(bytes / PACKETS, 310, 350);
	else if (strcmp(profile, "large") == 0)
		assert_in_range(bytes / PACKETS, 1100, 1240);
}

static void every_kind_of_packet_is_present_in_the_size_of_the_profile(void **state)
{
	(void)state;
	for (const char *const *profile = cw_traffic_profiles; *profile; profile++) {
		bool is_mix = strcmp(*profile, "mix") == 0;
		struct tally tally;

		tally_profile(*profile, &tally);
		check_size(*profile, tally.bytes);

		for (size_t kind = 0; kind < CW_TRAFFIC_KIND_COUNT; kind++)
			assert_true(tally.kinds[kind] > PACKETS / 2000);
		assert_in_range(tally.ipv6, PACKETS / 10, PACKETS / 2);
		assert_in_range(tally.tagged, PACKETS / 20, PACKETS / 2);
		assert_true(tally.tagged_twice > PACKETS / 500);
		assert_true(tally.options > PACKETS / 5000);
		assert_true(tally.syn > PACKETS / 300 && tally.fin > PACKETS / 300);
		assert_true(tally.rst > PACKETS / 10000 && tally.psh > PACKETS / 20);
		assert_int_equal(tally.jumbo > 0, is_mix);
		assert_in_range(tally.malformed, PACKETS / 1000, PACKETS / 20);
		assert_in_range(tally.truncated, PACKETS / 1000, PACKETS / 5);
		if (!is_mix)
			assert_in_range(tally.malformed + tally.truncated, 400, 800);
	}
}

/* The internet checksum, byte by byte; a correct header sums to 0xffff. */
static uint32_t add_octets(uint32_t sum, const uint8_t *octets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sum += i % 2 ? octets[i] : (uint32_t)octets[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Returns the offset of the transport header after IPv6's extension headers, and its protocol. */
static size_t skip_extensions(const uint8_t *ip, uint8_t *protocol)
{
	size_t offset = 40;

	*protocol = ip[6];
	while (*protocol == 0 || *protocol == 43 || *protocol == 44 || *protocol == 60) {
		size_t bytes = *protocol == 44 ? 8 : ((size_t)ip[offset + 1] + 1) * 8;

		*protocol = ip[offset];
		offset += bytes;
	}
	return offset;
}

static void check_ip(const uint8_t *ip, size_t bytes_left, const struct cw_traffic_note *note)
{
	uint8_t protocol = ip[9];
	size_t offset = (size_t)(ip[0] & 15) * 4;
	size_t bytes = cw_load_be16(ip + 2);
	uint32_t sum = 0;

	if (note->is_ipv6) {
		assert_int_equal(ip[0] >> 4, 6);
		bytes = 40u + cw_load_be16(ip + 4);
		offset = skip_extensions(ip, &protocol);
	} else {
		assert_int_equal(ip[0] >> 4, 4);
		assert_int_equal(add_octets(0, ip, offset), 0xffff);
	}
	assert_true(bytes <= bytes_left && offset < bytes);
	if (note->kind == CW_TRAFFIC_FRAGMENT || protocol == 47 || protocol == 50)
		return; /* fragments, GRE and ESP have no checksum */
	if (protocol != 1) {
		uint8_t tail[4] = {(uint8_t)((bytes - offset) >> 8), (uint8_t)(bytes - offset), 0,
				   protocol};

		sum = note->is_ipv6 ? add_octets(0, ip + 8, 32) : add_octets(0, ip + 12, 8);
		sum = add_octets(sum, tail, sizeof(tail));
	}
	assert_int_equal(add_octets(sum, ip + offset, bytes - offset), 0xffff);
}

static void intact_packets_have_correct_lengths_and_checksums(void **state)
{
	(void)state;
	for (const char *const *profile = cw_traffic_profiles; *profile; profile++) {
		struct cw_traffic *traffic = open_traffic(*profile, SEED);

		for (uint32_t i = scaled(PACKETS / 4, 10000); i > 0; i--) {
			const struct cw_traffic_note *note = cw_traffic_note(traffic);
			struct cw_packet packet;
			size_t offset;

			cw_traffic_next(traffic, &packet);
			assert_true(packet.caplen <= packet.wire_len);
			assert_true(packet.caplen <= CW_TRAFFIC_CAPLEN_MAX);
			if (note->is_malformed)
				continue;
			assert_true(packet.wire_len >= 60);
			offset = network_offset(note);
			if (!note->is_truncated && has_network(note))
				check_ip(packet.data + offset, packet.caplen - offset, note);
		}
		cw_traffic_close(traffic);
	}
}

/* Checks UDP over the three fragments of every datagram, if all are intact. */
static void datagrams_survive_reassembly(void **state)
{
	struct cw_traffic *traffic = open_traffic("small", SEED);
	static uint8_t datagrams[CW_TRAFFIC_FLOWS][512];
	static uint8_t pieces[CW_TRAFFIC_FLOWS];
	uint32_t whole = 0;

	(void)state;
	for (uint32_t i = 0; i < PACKETS; i++) {
		const struct cw_traffic_note *note = cw_traffic_note(traffic);
		struct cw_packet packet;
		const uint8_t *ip;
		size_t header = 20, bytes, at;
		uint32_t field;

		cw_traffic_next(traffic, &packet);
		if (note->kind != CW_TRAFFIC_FRAGMENT)
			continue;
		ip = packet.data + network_offset(note);
		if (note->is_malformed || note->is_truncated) {
			pieces[note->flow] = 0;
			continue;
		}
		if (note->is_ipv6) {
			header = 48;
			field = cw_load_be16(ip + 42);
			at = field & ~7u;
			bytes = cw_load_be16(ip + 4) - 8u;
			field &= 1;
		} else {
			header = (size_t)(ip[0] & 15) * 4;
			field = cw_load_be16(ip + 6);
			at = (field & 0x1fff) * 8u;
			bytes = cw_load_be16(ip + 2) - header;
			field &= 0x2000;
		}
		assert_true(at + bytes <= sizeof(datagrams[0]));
		memcpy(datagrams[note->flow] + at, ip + header, bytes);
		pieces[note->flow] =
		    (uint8_t)(at == 0 ? 1 : pieces[note->flow] << 1 | (pieces[note->flow] & 1));
		if (field == 0 && pieces[note->flow] == 7) {
			uint32_t length = (uint32_t)(at + bytes);
			uint32_t sum = length + 17;

			sum = note->is_ipv6 ? add_octets(sum, ip + 8, 32)
					    : add_octets(sum, ip + 12, 8);
			assert_int_equal(cw_load_be16(datagrams[note->flow] + 4), length);
			assert_int_equal(add_octets(sum, datagrams[note->flow], length), 0xffff);
			whole++;
		}
	}
	assert_true(whole > 100);
	cw_traffic_close(traffic);
}

static void a_few_of_many_flows_carry_much_of_the_traffic(void **state)
{
	struct cw_traffic *traffic = open_traffic("small", SEED);
	static uint32_t counts[CW_TRAFFIC_FLOWS];
	const uint32_t packet_count = scaled(2000000, 500000);
	uint32_t seen = 0, top100 = 0, in_order = 0;

	(void)state;
	for (uint32_t i = 0; i < packet_count; i++) {
		struct cw_packet packet;

		cw_traffic_next(traffic, &packet);
		counts[cw_traffic_note(traffic)->flow]++;
	}
	for (uint32_t i = 0; i < CW_TRAFFIC_FLOWS; i++) {
		seen += counts[i] > 0;
		top100 += i < 100 ? counts[i] : 0;
	}
	for (uint32_t i = 0; i < 9; i++)
		in_order += counts[i] > counts[i + 10];
	print_message("%u packets of %u flows\n", packet_count, seen);
	assert_true(seen > (packet_count < 2000000 ? 40000 : 45000));
	assert_in_range(top100, packet_count / 4, packet_count / 2);
	assert_in_range(counts[0], packet_count / 100, packet_count / 20);
	assert_int_equal(in_order, 9);
	cw_traffic_close(traffic);
}

static void timestamps_never_go_back_and_are_in_microseconds(void **state)
{
	struct cw_traffic *traffic = open_traffic("imix", SEED);
	uint64_t last_ns = 0, first_ns = 0;

	(void)state;
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct cw_packet packet;

		cw_traffic_next(traffic, &packet);
		if (i == 0)
			first_ns = packet.ts_ns;
		assert_true(packet.ts_ns >= last_ns);
		assert_int_equal(packet.ts_ns % 1000, 0);
		last_ns = packet.ts_ns;
	}
	assert_in_range((last_ns - first_ns) / PACKETS, 900, 1100);
	cw_traffic_close(traffic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_seed_gives_the_same_packets),
	    cmocka_unit_test(another_seed_gives_other_packets),
	    cmocka_unit_test(unknown_profile_is_refused_by_name),
	    cmocka_unit_test(every_kind_of_packet_is_present_in_the_size_of_the_profile),
	    cmocka_unit_test(intact_packets_have_correct_lengths_and_checksums),
	    cmocka_unit_test(datagrams_survive_reassembly),
	    cmocka_unit_test(a_few_of_many_flows_carry_much_of_the_traffic),
	    cmocka_unit_test(timestamps_never_go_back_and_are_in_microseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
