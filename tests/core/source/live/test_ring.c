/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding of ring blocks, without a kernel: blocks laid out here as TPACKET_V3 describes them. The
 * slow, obvious twin is the frame itself, with its tag in it, before it was taken apart.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "core/packet/linktype.h"
#include "tests/rig/capture.h"

#define SEED UINT64_C(4099)
#define BLOCK_BYTES ((size_t)1 << 17)
#define RECORDS_MAX 600u
#define FRAME_MAX 700u
#define ROUNDS 300

/* A packet as it was on the wire. */
struct wire {
	uint8_t data[FRAME_MAX];
	uint32_t bytes;
	uint64_t ts_ns;
	bool is_tagged;
	bool is_outgoing;
};

static uint64_t random_state = SEED;
static struct cw_ifaces ifaces;
static struct wire wires[RECORDS_MAX];
static uint8_t memory[2][BLOCK_BYTES] __attribute__((aligned(4096)));

static uint32_t below(uint32_t limit)
{
	return (uint32_t)(next_random(&random_state) % limit);
}

static void make_wire(struct wire *wire)
{
	uint32_t i;

	wire->bytes = 18 + below(FRAME_MAX - 18);
	for (i = 0; i < wire->bytes; i++)
		wire->data[i] = (uint8_t)next_random(&random_state);
	wire->ts_ns = next_random(&random_state) % (UINT64_C(4000000000) * CW_NS_PER_S);
	wire->is_tagged = below(3) == 0;
	wire->is_outgoing = below(4) == 0;
}

/* Write the packet as the kernel does: tag taken out, at most `snaplen` bytes kept. */
static uint32_t put_record(uint8_t *at, const struct wire *wire, uint32_t snaplen, bool has_type)
{
	struct tpacket3_hdr *record = (void *)at;
	struct sockaddr_ll *address = (void *)(at + 48);
	uint32_t mac = 86 + 2 * below(8);
	uint32_t untagged = wire->bytes - (wire->is_tagged ? 4 : 0);
	uint32_t head = wire->is_tagged && untagged > 12 ? 12 : untagged;
	uint8_t frame[FRAME_MAX];

	memcpy(frame, wire->data, head);
	memcpy(frame + head, wire->data + wire->bytes - (untagged - head), untagged - head);
	*record = (struct tpacket3_hdr){.tp_sec = (uint32_t)(wire->ts_ns / CW_NS_PER_S),
					.tp_nsec = (uint32_t)(wire->ts_ns % CW_NS_PER_S),
					.tp_snaplen = untagged < snaplen ? untagged : snaplen,
					.tp_len = untagged,
					.tp_status = TP_STATUS_USER,
					.tp_mac = (uint16_t)mac,
					.tp_net = (uint16_t)(mac + 14)};
	*address =
	    (struct sockaddr_ll){.sll_pkttype = wire->is_outgoing ? PACKET_OUTGOING : PACKET_HOST};
	if (wire->is_tagged) {
		record->tp_status |= TP_STATUS_VLAN_VALID;
		record->hv1.tp_vlan_tci = cw_load_be16(wire->data + 14);
		if (has_type) {
			record->tp_status |= TP_STATUS_VLAN_TPID_VALID;
			record->hv1.tp_vlan_tpid = cw_load_be16(wire->data + 12);
		}
	}
	memcpy(at + mac, frame, record->tp_snaplen);
	record->tp_next_offset = (mac + record->tp_snaplen + 7) & ~7u;
	return record->tp_next_offset;
}

/* A block of `count` records; gives a span of the first `kept` of them. */
static void make_block(uint8_t *block, struct cw_span *span, uint32_t count, uint32_t kept,
		       uint32_t snaplen)
{
	uint32_t at = 48, last = 48, end = 48, i;

	for (i = 0; i < count; i++) {
		bool has_type = below(4) > 0;

		make_wire(&wires[i]);
		if (wires[i].is_tagged && !has_type) {
			wires[i].data[12] = 0x81;
			wires[i].data[13] = 0;
		}
		last = at;
		at += put_record(block + at, &wires[i], snaplen, has_type);
		if (i + 1 == kept)
			end = at;
	}
	((struct tpacket3_hdr *)(void *)(block + last))->tp_next_offset = 0;
	*span = (struct cw_span){
	    .data = block + 48,
	    .bytes = end - 48,
	    .record_count = kept,
	    .layout = {.is_ring = 1, .iface_count = 1, .caplen_cut = snaplen, .ifaces = &ifaces}};
}

static void check_packet(const struct cw_packet *packet, const struct wire *wire, uint32_t snaplen)
{
	uint32_t caplen = wire->bytes < snaplen ? wire->bytes : snaplen;

	assert_int_equal(packet->wire_len, wire->bytes);
	assert_int_equal(packet->caplen, caplen);
	assert_memory_equal(packet->data, wire->data, caplen);
	assert_int_equal(packet->ts_ns, wire->ts_ns);
	assert_int_equal(packet->iface, 0);
	assert_int_equal(packet->flags, wire->is_outgoing ? CW_PACKET_OUTGOING : 0);
	assert_int_equal(packet->options_bytes, 0);
}

/* Decode all, in bursts of random size, and compare. */
static void check_span(const struct cw_span *span, uint32_t snaplen)
{
	struct cw_packet packets[64];
	struct cw_cursor cursor = {0};
	size_t count, i, total = 0;

	while ((count = cw_span_decode(span, &cursor, packets, 1 + below(64))) > 0) {
		assert_true(total + count <= span->record_count);
		for (i = 0; i < count; i++)
			check_packet(&packets[i], &wires[total + i], snaplen);
		total += count;
	}
	assert_int_equal(total, span->record_count);
	assert_int_equal(cursor.offset, span->bytes);
}

static void packets_come_out_as_they_were_on_the_wire_as_often_as_asked(void **state)
{
	struct cw_span span;
	int round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		uint32_t count = 1 + below(RECORDS_MAX / 4);
		uint32_t kept = 1 + below(count);
		uint32_t snaplen = below(3) ? CW_CAPLEN_MAX : 12 + below(FRAME_MAX);

		make_block(memory[0], &span, count, kept, snaplen);
		check_span(&span, snaplen);
		check_span(&span, snaplen);
	}
}

static void cut_in_front_of_the_tag_leaves_the_tag_out_and_counts_it(void **state)
{
	struct cw_cursor cursor = {0};
	struct cw_packet packet;
	struct cw_span span;
	uint32_t snaplen;
	int again;

	(void)state;
	for (snaplen = 1; snaplen < 20; snaplen++) {
		do
			make_block(memory[0], &span, 1, 1, snaplen);
		while (!wires[0].is_tagged);
		for (again = 0; again < 2; again++) {
			cursor.offset = 0;
			assert_int_equal(cw_span_decode(&span, &cursor, &packet, 1), 1);
			assert_int_equal(packet.wire_len, wires[0].bytes);
			assert_int_equal(packet.caplen, snaplen);
			assert_memory_equal(packet.data, wires[0].data, snaplen);
		}
	}
}

static void frames_that_are_not_ethernet_get_no_tag(void **state)
{
	struct cw_packet packet;
	struct cw_cursor cursor = {0};
	struct cw_span span;

	(void)state;
	do
		make_block(memory[0], &span, 1, 1, CW_CAPLEN_MAX);
	while (!wires[0].is_tagged);
	span.layout.iface_base = 1;
	assert_int_equal(cw_span_decode(&span, &cursor, &packet, 1), 1);
	assert_int_equal(packet.wire_len, wires[0].bytes - 4);
	assert_memory_equal(packet.data, wires[0].data, 12);
	assert_int_equal(packet.iface, 1);
}

/* Bytes changed at will: nothing outside of the span is read or written, and decoding ends. */
static void damaged_records_stay_within_their_span(void **state)
{
	struct cw_packet packets[16];
	struct cw_span span;
	int round;

	(void)state;
	for (round = 0; round < 20 * ROUNDS; round++) {
		uint8_t *block = malloc(BLOCK_BYTES), *exact;
		struct cw_cursor cursor = {0};
		size_t count, i, hits = 1 + below(8);
		volatile uint64_t sum = 0; /* every byte is looked at */

		assert_non_null(block);
		make_block(block, &span, 8, 8, CW_CAPLEN_MAX);
		exact = aligned_alloc(16, (span.bytes + 15) & ~(size_t)15);
		assert_non_null(exact);
		memcpy(exact, span.data, span.bytes);
		free(block);
		span.data = exact;
		span.bytes -= below(2) ? below((uint32_t)span.bytes) : 0;
		for (i = 0; i < hits && span.bytes; i++) {
			size_t at = below(3) ? below((uint32_t)cw_min_size(span.bytes, 60))
					     : below((uint32_t)span.bytes);

			exact[at] = below(2) ? 0xff : (uint8_t)next_random(&random_state);
		}
		while ((count = cw_span_decode(&span, &cursor, packets, 16)) > 0)
			for (i = 0; i < count; i++) {
				assert_true(packets[i].data >= span.data);
				assert_true(packets[i].data + packets[i].caplen <=
					    span.data + span.bytes);
				sum = sum + hash_bytes(packets[i].data, packets[i].caplen);
			}
		assert_int_equal(cursor.offset, span.bytes);
		free(exact);
	}
}

static int add_ifaces(void **state)
{
	struct cw_iface ethernet = {.linktype = CW_LINKTYPE_ETHERNET, .has_ns = 1};
	struct cw_iface raw = {.linktype = CW_LINKTYPE_RAW, .has_ns = 1};

	(void)state;
	cw_ifaces_init(&ifaces);
	return cw_ifaces_add(&ifaces, &ethernet) != 0 || cw_ifaces_add(&ifaces, &raw) != 1;
}

static int drop_ifaces(void **state)
{
	(void)state;
	cw_ifaces_fini(&ifaces);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(packets_come_out_as_they_were_on_the_wire_as_often_as_asked),
	    cmocka_unit_test(cut_in_front_of_the_tag_leaves_the_tag_out_and_counts_it),
	    cmocka_unit_test(frames_that_are_not_ethernet_get_no_tag),
	    cmocka_unit_test(damaged_records_stay_within_their_span),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, add_ifaces, drop_ifaces);
}
