/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libpcap source: what packet rings give of the same frames, it gives too; the pseudo-device
 * "any"; overruns, held arenas and leases.
 */
#include <linux/if_packet.h>
#include <net/if.h>

#include "core/packet/linktype.h"
#include "core/source/live/pcap.h"
#include "tests/core/source/live/live_pcap.h"

#define COOKED_BYTES 16u
#define ETHERNET_BYTES 14u

/* Stop and read to the end. */
static void drain(struct cw_live *live, struct tally *tally, struct cw_live_stats *stats)
{
	struct reader reader = {.live = live, .tally = tally};

	assert_int_equal(cw_live_stop(live, 0), 0);
	read_queue(&reader);
	assert_int_equal(reader.result, -ENODATA);
	assert_balanced(&reader.stats);
	*stats = reader.stats;
}

/* ---- the same as packet rings ---- */

static void check_beside_rings(struct stamp_shape shape, uint32_t count, uint32_t gso)
{
	struct cw_live_options options = options_of(CW_LIVE_PACKET, "in");
	struct rig_sending sending = sending_of(shape, count, gso ? 2000 : 40000);
	struct cw_live *rings, *live;
	struct cw_live_stats stats;
	struct tally tally;

	/* Both are left unread until all is sent, however long that takes: few blocks end early. */
	options.block_count = 128;
	options.retire_ms = 100;
	rings = open_live(&options);
	options = options_of(CW_LIVE_PCAP, "in");
	options.retire_ms = 100;
	live = open_live(&options);
	sending.gso = gso;
	assert_int_equal(rig_send(&sending), count);
	tally_init(&tally, shape, count);
	drain(live, &tally, &stats);
	assert_all_in_order(&tally, &stats);
	tally_fini(&tally);
	tally_init(&tally, shape, count);
	drain(rings, &tally, &stats);
	assert_all_in_order(&tally, &stats);
	tally_fini(&tally);
	cw_live_close(live);
	cw_live_close(rings);
}

static void frames_are_those_that_packet_rings_give(void **state)
{
	struct stamp_shape shape = plain_shape(60);

	NEED_DEVICES();
	check_beside_rings(shape, scaled(40000, 10000), 0);
	shape.bytes_max = 1514;
	check_beside_rings(shape, 10000, 0);
	shape.bytes = 90;
	shape.vlan = 0x2064;
	check_beside_rings(shape, 5000, 0);
	shape.outer = 0x1fff;
	check_beside_rings(shape, 5000, 0);
	shape = plain_shape(20000);
	shape.bytes_max = 65530;
	shape.is_tcp = true;
	check_beside_rings(shape, 200, 1448);
}

/* Ten packets of 150 bytes come, truncated to `caplen` before they are copied. */
static void expect_truncated(struct cw_live *live, uint32_t caplen)
{
	struct rig_sending sending = sending_of(plain_shape(150), 10, 0);
	struct cw_packet packets[BURST];
	struct cw_lease lease;
	struct cw_span span;
	size_t i, count, first;

	assert_int_equal(rig_send(&sending), 10);
	for (first = 0; first < 10; first += count) {
		struct cw_cursor cursor = {0};

		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
		count = cw_span_decode(&span, &cursor, packets, BURST);
		assert_int_equal(span.bytes, count * (16 + caplen));
		for (i = 0; i < count; i++) {
			assert_int_equal(packets[i].caplen, caplen);
			assert_int_equal(packets[i].wire_len, 150);
		}
		cw_lease_give_back(&lease);
	}
}

static void snaplen_cuts_and_the_length_stays(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct cw_live *live;

	NEED_DEVICES();
	options.snaplen = 64;
	live = open_live(&options);
	expect_truncated(live, 64);
	cw_live_close(live);
}

static void reach_cuts_in_the_kernel(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct cw_live *live;

	NEED_DEVICES();
	live = open_live(&options);
	expect_truncated(live, 150);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, 70, NULL), 0);
	expect_truncated(live, 70);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, 10, NULL), 0);
	expect_truncated(live, CW_LIVE_REACH_MIN);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, UINT32_MAX, NULL), 0);
	expect_truncated(live, 150);
	cw_live_close(live);
}

static void times_are_of_the_arrival_in_nanoseconds(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct rig_sending sending = sending_of(plain_shape(60), 20, 1000);
	uint64_t start_ns, end_ns, odd = 0, known = 0;
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	const struct cw_iface *iface;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	size_t count, i;

	NEED_DEVICES();
	options.retire_ms = 100;
	options.input = 3;
	live = open_live(&options);
	cw_live_info(live, &info);
	assert_int_equal(info.backend, CW_LIVE_PCAP);
	assert_int_equal(info.queue_count, 1);
	assert_int_equal(info.device_index, if_nametoindex("in"));
	iface = cw_ifaces_at(&ifaces, info.iface);
	assert_string_equal(iface->name, "in");
	assert_int_equal(iface->linktype, CW_LINKTYPE_ETHERNET);
	assert_int_equal(iface->snaplen, CW_CAPLEN_MAX);
	assert_int_equal(iface->input, 3);
	assert_true(iface->has_ns);
	start_ns = cw_wall_ns();
	assert_int_equal(rig_send(&sending), 20);
	end_ns = cw_wall_ns();
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	count = cw_span_decode(&span, &cursor, packets, BURST);
	assert_true(count >= 1);
	for (i = 0; i < count; i++) {
		assert_in_range(packets[i].ts_ns, start_ns, end_ns);
		assert_true(packets[i].ts_ns >= known);
		known = packets[i].ts_ns;
		assert_int_equal(packets[i].iface, info.iface);
		odd += packets[i].ts_ns % 1000 != 0;
	}
	assert_true(odd > 0);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

/* ---- any ---- */

/* A cooked packet as the frame that it was; its kind of PACKET_. */
static uint32_t uncook(const struct cw_packet *cooked, uint8_t *frame, struct cw_packet *packet)
{
	static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

	assert_in_range(cooked->caplen, COOKED_BYTES, STAMP_FRAME_MAX);
	*packet = *cooked;
	packet->data = frame;
	packet->caplen -= COOKED_BYTES - ETHERNET_BYTES;
	packet->wire_len -= COOKED_BYTES - ETHERNET_BYTES;
	memcpy(frame, addresses, sizeof(addresses));
	memcpy(frame + sizeof(addresses), cooked->data + COOKED_BYTES - 2, packet->caplen - 12);
	return cw_load_be16(cooked->data);
}

/* What "any" shows of frames sent on a device: numbers seen coming in, and going out. */
static void show_any(enum cw_live_direction direction, const char *sent_on,
		     struct stamp_shape shape, uint64_t incoming, uint64_t outgoing)
{
	struct cw_live_options options = options_of(CW_LIVE_AUTO, "any");
	struct rig_sending sending = sending_of(shape, 1000, 100000);
	static uint8_t frame[STAMP_FRAME_MAX];
	struct cw_packet packets[BURST], packet;
	struct tally in, out;
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	size_t count, i;
	int result;

	options.direction = direction;
	sending.device = sent_on;
	tally_init(&in, shape, sending.count);
	tally_init(&out, shape, sending.count);
	live = open_live(&options);
	cw_live_info(live, &info);
	assert_int_equal(info.backend, CW_LIVE_PCAP);
	assert_int_equal(info.linktype, CW_LINKTYPE_LINUX_SLL);
	assert_int_equal(rig_send(&sending), sending.count);
	/* The kernel's, before the end sets them right. */
	WAIT_UNTIL((cw_live_stats(live, 0, &stats), stats.kernel_seen >= incoming + outgoing));
	assert_int_equal(stats.kernel_seen, incoming + outgoing);
	assert_int_equal(cw_live_stop(live, 0), 0);
	while ((result = cw_live_next(live, 0, 0, -1, &span, &lease)) == 1) {
		struct cw_cursor cursor = {0};

		while ((count = cw_span_decode(&span, &cursor, packets, BURST)) > 0)
			for (i = 0; i < count; i++) {
				struct tally *tally =
				    uncook(&packets[i], frame, &packet) == PACKET_OUTGOING ? &out
											   : &in;

				tally_packet(tally, 0, &packet);
				tally->received++;
			}
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, incoming + outgoing);
	assert_int_equal(stats.kernel_dropped, 0);
	assert_int_equal(in.received, incoming);
	assert_int_equal(out.received, outgoing);
	assert_int_equal(in.duplicate + in.damaged + in.foreign, 0);
	assert_int_equal(out.duplicate + out.damaged + out.foreign, 0);
	cw_live_close(live);
	tally_fini(&in);
	tally_fini(&out);
}

static void any_shows_both_directions_each_packet_once(void **state)
{
	struct stamp_shape shape = plain_shape(100);

	NEED_DEVICES();
	show_any(CW_LIVE_BOTH, "out", shape, 1000, 1000);
	show_any(CW_LIVE_IN, "out", shape, 1000, 0);
	show_any(CW_LIVE_OUT, "out", shape, 0, 1000);
	show_any(CW_LIVE_BOTH, "lo", shape, 1000, 0);
	show_any(CW_LIVE_IN, "lo", shape, 1000, 0);
	show_any(CW_LIVE_OUT, "lo", shape, 0, 0);
	shape.vlan = 0x2064;
	show_any(CW_LIVE_BOTH, "out", shape, 1000, 1000);
}

static void books_begin_with_open_under_traffic(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 600000, 10000);
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "any");
	struct rig_sender sender;
	uint64_t received = 0;
	uint32_t rounds;

	NEED_DEVICES();
	options.direction = CW_LIVE_OUT; /* what libpcap sorts out by itself comes as well */
	assert_true(rig_start_sender(&sender, &sending));
	for (rounds = 0; rounds < 20; rounds++) {
		struct cw_live_stats before, after;
		struct cw_live *live = open_live(&options);
		int what;

		WAIT_UNTIL((cw_live_stats(live, 0, &before), before.kernel_seen >= 10));
		assert_int_equal(cw_live_stop(live, 0), 0);
		received += count_until(live, 0, -1, &what);
		assert_int_equal(what, -ENODATA);
		cw_live_stats(live, 0, &after);
		assert_balanced(&after);
		assert_true(after.kernel_seen >= before.kernel_seen);
		assert_in_range(after.kernel_dropped, 0, LONE_DROPS);
		cw_live_close(live);
	}
	kill(sender.child, SIGTERM);
	assert_true(rig_end_sender(&sender) < sending.count); /* it sent to the end */
	printf("opened %u times, %llu packets\n", rounds, (unsigned long long)received);
	assert_true(received > 0);
}

/* ---- limits ---- */

static void overrun_is_counted_to_the_frame(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct rig_sending sending = sending_of(plain_shape(60), 50000, 0);
	struct cw_live_stats before, stats;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	options.block_bytes = 1 << 17;
	options.block_count = 8;
	options.snaplen = 2000;
	live = open_live(&options);
	tally_init(&tally, sending.shape, sending.count);
	assert_int_equal(rig_send(&sending), sending.count);
	cw_live_stats(live, 0, &before);
	assert_int_equal(before.kernel_seen, sending.count);
	assert_int_equal(before.left, before.kernel_seen - before.kernel_dropped);
	drain(live, &tally, &stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(stats.kernel_dropped, before.kernel_dropped);
	assert_true(stats.kernel_dropped > 0 && stats.received > 0);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	cw_live_close(live);
	tally_fini(&tally);
}

static void held_arenas_stop_it_until_one_comes_back(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(1514), 8000, 50000);
	struct cw_lease leases[256], lease;
	struct cw_live_stats stats;
	struct cw_live *live;
	struct cw_span span;
	struct tally tally;
	uint32_t count = 0, i;
	int result;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	while ((result = cw_live_next(live, 0, 0, PATIENCE_MS, &span, &leases[count])) == 1) {
		tally_span(&tally, 0, &span);
		assert_true(++count < CW_ARRAY_COUNT(leases));
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -EAGAIN);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.stalls, 2);
	assert_int_equal(stats.blocks, CW_PCAP_ARENAS);
	/* Full to within a frame. */
	assert_true(stats.received >= CW_PCAP_ARENAS * (CW_PCAP_ARENA_BYTES / 1530));
	for (i = 0; i < count; i++)
		cw_lease_give_back(&leases[i]);
	drain(live, &tally, &stats);
	assert_all_in_order(&tally, &stats);
	cw_live_close(live);
	tally_fini(&tally);
}

static void spans_have_as_many_records_as_asked_for_and_no_more(void **state)
{
	static const uint32_t maxima[] = {1, 7, 1000};
	struct stamp_shape shape = plain_shape(60);
	struct rig_sending sending;
	size_t i;

	NEED_DEVICES();
	shape.bytes_max = 9000;
	sending = sending_of(shape, 3000, 50000);
	for (i = 0; i < CW_ARRAY_COUNT(maxima); i++) {
		struct cw_live *live = open_pcap("in");
		struct cw_live_stats stats;
		struct cw_lease lease;
		struct cw_span span;
		struct tally tally;
		int result;

		tally_init(&tally, shape, sending.count);
		assert_int_equal(rig_send(&sending), sending.count);
		assert_int_equal(cw_live_stop(live, 0), 0);
		while ((result = cw_live_next(live, 0, maxima[i], -1, &span, &lease)) == 1) {
			assert_in_range(span.record_count, 1, maxima[i]);
			tally_span(&tally, 0, &span);
			assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
			cw_lease_give_back(&lease);
		}
		assert_int_equal(result, -ENODATA);
		cw_live_stats(live, 0, &stats);
		assert_balanced(&stats);
		assert_all_in_order(&tally, &stats);
		cw_live_close(live);
		tally_fini(&tally);
	}
}

static void leases_outlive_the_source(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 100, 0);
	struct cw_lease first, rest;
	struct cw_span span, others;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &span, &first), 1);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &others, &rest), 1);
	cw_live_close(live);
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&first);
	tally_span(&tally, 0, &others);
	cw_lease_give_back(&rest);
	assert_int_equal(tally.received, 2);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

static void leases_come_back_from_another_thread_in_any_order(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(400), scaled(60000, 20000), 60000);
	static struct passing passing;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_pcap("in");
	assert_true(rig_start_sender(&sender, &sending));
	pass_on(&passing, live, &tally, &sender, &stats);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_are_those_that_packet_rings_give),
	    cmocka_unit_test(snaplen_cuts_and_the_length_stays),
	    cmocka_unit_test(reach_cuts_in_the_kernel),
	    cmocka_unit_test(times_are_of_the_arrival_in_nanoseconds),
	    cmocka_unit_test(any_shows_both_directions_each_packet_once),
	    cmocka_unit_test(books_begin_with_open_under_traffic),
	    cmocka_unit_test(overrun_is_counted_to_the_frame),
	    cmocka_unit_test(held_arenas_stop_it_until_one_comes_back),
	    cmocka_unit_test(spans_have_as_many_records_as_asked_for_and_no_more),
	    cmocka_unit_test(leases_outlive_the_source),
	    cmocka_unit_test(leases_come_back_from_another_thread_in_any_order),
	};

	return RUN_TESTS(240, tests, make_rig, end_rig, argc, argv);
}
