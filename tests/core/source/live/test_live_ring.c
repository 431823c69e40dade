/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_PACKET source: every frame once, byte for byte, with the time of its arrival, through any
 * number of queues and kinds of fanout.
 */
#include <sys/eventfd.h>

#include "core/filter/filter.h"
#include "core/packet/linktype.h"
#include "tests/rig/live_source.h"

/* ---- capturing ---- */

/* Send and capture with a thread for each queue; fills the tally and the books. A ring must hold a
 * window of frames, however late the readers are. */
static void capture(struct cw_live_options options, const struct rig_sending *sending,
		    uint64_t window, uint32_t records_max, struct tally *tally, struct books *books)
{
	struct reader readers[QUEUES_MAX] = {0};
	struct cw_live *live;
	uint64_t one = 1;
	uint32_t i;

	*books = (struct books){0};
	tally_init(tally, sending->shape, sending->count);
	options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	live = open_live(&options);
	for (i = 0; i < options.queue_count; i++) {
		readers[i] = (struct reader){
		    .live = live, .tally = tally, .queue = i, .records_max = records_max};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_queue, &readers[i]),
				 0);
	}
	send_in_windows(*sending, window, tally);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	for (i = 0; i < options.queue_count; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].result, -ENODATA);
		add_stats(books, &readers[i].stats);
	}
	cw_live_close(live);
	close(options.wake_fd);
}

/* ---- conservation ---- */

static const char *const fanout_names[] = {"hash", "cpu", "qm", "lb", "rollover"};

static void every_frame_arrives_once_with_any_queues_and_fanout(void **state)
{
	static const uint32_t queue_counts[] = {1, 2, 4};
	struct stamp_shape shape = plain_shape(60);
	struct rig_sending sending;
	size_t i, mode;

	NEED_DEVICES();
	shape.bytes_max = 300;
	sending = sending_of(shape, scaled(40000, 1000), 0);
	for (i = 0; i < CW_ARRAY_COUNT(queue_counts); i++)
		for (mode = 0; mode < CW_ARRAY_COUNT(fanout_names); mode++) {
			struct cw_live_options options = small_options();
			struct tally tally;
			struct books books;

			options.block_count = 32;
			options.retire_ms = 100;
			options.queue_count = queue_counts[i];
			options.fanout = (enum cw_live_fanout)mode;
			capture(options, &sending, sending.count, 1000, &tally, &books);
			printf("%u queues, %s: %u used\n", queue_counts[i], fanout_names[mode],
			       books.queues_used);
			assert_all_there(&tally, &books.total);
			if (mode == CW_FANOUT_HASH) {
				assert_int_equal(tally.reordered, 0);
				assert_int_equal(tally.strayed, 0);
			}
			if (mode == CW_FANOUT_HASH || mode == CW_FANOUT_LB)
				assert_int_equal(books.queues_used, queue_counts[i]);
			tally_fini(&tally);
		}
}

static void frames_arrive_once_while_blocks_are_used_again(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), scaled(300000, 150000), 0);
	struct tally tally;
	struct books books;

	NEED_DEVICES();
	options.queue_count = 2;
	options.retire_ms = 100;
	/* A window is a third of a queue's ring, and all of them are more than both rings. */
	capture(options, &sending, 15000, 0, &tally, &books);
	assert_all_there(&tally, &books.total);
	assert_int_equal(tally.reordered, 0);
	tally_fini(&tally);
}

/* Nobody reads while more is sent than the ring holds. */
static void overrun_is_counted_to_the_frame(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 50000, 0);
	struct reader reader = {0};
	struct cw_live_stats before;
	struct tally tally;
	int round;

	NEED_DEVICES();
	options.block_bytes = 1 << 17;
	options.block_count = 8;
	options.snaplen = 2000;
	tally_init(&tally, sending.shape, sending.count);
	reader.live = open_live(&options);
	reader.tally = &tally;
	for (round = 0; round < 2; round++) /* and again, counts and all */
		assert_int_equal(rig_send(&sending), sending.count);
	cw_live_stats(reader.live, 0, &before);
	assert_int_equal(before.kernel_seen, 2 * sending.count);
	assert_int_equal(before.left, before.kernel_seen - before.kernel_dropped);
	assert_int_equal(cw_live_stop(reader.live, 0), 0);
	read_queue(&reader);
	assert_int_equal(reader.result, -ENODATA);
	assert_balanced(&reader.stats);
	assert_int_equal(reader.stats.kernel_seen, 2 * sending.count);
	assert_true(reader.stats.kernel_dropped > sending.count);
	assert_true(reader.stats.received > 0);
	assert_true(reader.stats.freezes >= 1 && reader.stats.freezes < 100);
	assert_int_equal(tally.received, reader.stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	cw_live_close(reader.live);
	tally_fini(&tally);
}

static void nothing_is_seen_twice_while_queues_open_under_traffic(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 3000000, 150000);
	struct cw_live_options options = small_options();
	struct rig_sender sender;
	uint64_t ended = 0, received = 0;

	NEED_DEVICES();
	options.queue_count = QUEUES_MAX;
	assert_true(rig_start_sender(&sender, &sending));
	while (ended < 8) {
		struct books books = {0};
		struct tally tally;
		struct cw_live *live = open_live(&options);
		uint32_t i;

		tally_init(&tally, sending.shape, sending.count);
		for (i = 0; i < QUEUES_MAX; i++) {
			struct reader reader = {.live = live, .tally = &tally, .queue = i};

			assert_int_equal(cw_live_stop(live, i), 0);
			read_queue(&reader);
			assert_int_equal(reader.result, -ENODATA);
			add_stats(&books, &reader.stats);
		}
		assert_int_equal(tally.duplicate + tally.damaged + tally.foreign, 0);
		assert_int_equal(tally.received, books.total.received);
		received += tally.received;
		cw_live_close(live);
		tally_fini(&tally);
		ended++;
	}
	kill(sender.child, SIGTERM);
	assert_true(rig_end_sender(&sender) < sending.count); /* it sent to the end */
	assert_true(received > 0);
}

/* ---- contents ---- */

static void check_shape(struct stamp_shape shape, uint32_t gso, uint32_t count, size_t block_bytes)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(shape, count, gso ? 500 : 20000);
	struct tally tally;
	struct books books;

	options.queue_count = 1;
	options.block_bytes = block_bytes;
	options.block_count = 64;
	options.retire_ms = 100;
	sending.gso = gso;
	capture(options, &sending, count, 0, &tally, &books);
	assert_all_there(&tally, &books.total);
	tally_fini(&tally);
}

static void vlan_and_qinq_frames_are_as_sent(void **state)
{
	struct stamp_shape shape = plain_shape(90);

	NEED_DEVICES();
	shape.bytes_max = 600;
	shape.vlan = 0x2064;
	check_shape(shape, 0, 5000, 1 << 19);
	shape.vlan = 0; /* a tag of only zeros is a tag */
	check_shape(shape, 0, 5000, 1 << 19);
	shape.vlan = 0xefff;
	shape.outer = 0x1fff;
	check_shape(shape, 0, 5000, 1 << 19);
	shape.vlan = STAMP_TAG_NONE; /* 802.1ad alone */
	check_shape(shape, 0, 5000, 1 << 19);
}

static void jumbo_and_offloaded_frames_are_whole(void **state)
{
	struct stamp_shape shape = plain_shape(9014);

	NEED_DEVICES();
	check_shape(shape, 0, 2000, 1 << 19);
	shape = plain_shape(20000);
	shape.bytes_max = 65530;
	shape.is_tcp = true;
	check_shape(shape, 1448, 500, 1 << 20);
	check_shape(shape, 1448, 500, 4096); /* blocks are made to hold them */
}

static void decoding_twice_gives_the_same_and_blocks_can_be_cut(void **state)
{
	struct cw_live_options options = small_options();
	struct stamp_shape shape = plain_shape(90);
	struct rig_sending sending = sending_of(shape, 5000, 0);
	uint64_t spans = 0;
	struct tally tally;
	struct cw_live *live;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live_stats stats;
	int result;

	NEED_DEVICES();
	sending.shape.vlan = 7;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_stop(live, 0), 0);
	while ((result = cw_live_next(live, 0, 77, -1, &span, &lease)) == 1) {
		uint64_t before = tally.received;

		assert_in_range(span.record_count, 1, 77);
		tally_span(&tally, 0, &span);
		assert_int_equal(tally.duplicate, 0);
		tally_span(&tally, 0, &span); /* a second time: all known, all intact */
		assert_int_equal(tally.duplicate, span.record_count);
		assert_int_equal(tally.received, before + 2 * span.record_count);
		tally.duplicate = 0;
		spans++;
		assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -ENODATA);
	assert_int_equal(tally.received, 2 * sending.count);
	assert_int_equal(tally.damaged + tally.foreign, 0);
	assert_int_equal(missing_of(&tally), 0);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_true(spans >= 5000 / 77 && stats.blocks < spans);
	cw_live_close(live);
	tally_fini(&tally);
}

/* Ten packets come, truncated to `caplen`, of which the kernel copied `kernel_bytes`. */
static void expect_truncated(struct cw_live *live, const struct stamp_shape *shape, uint32_t caplen,
			     uint32_t kernel_bytes)
{
	struct rig_sending sending = sending_of(*shape, 10, 0);
	uint8_t expected[STAMP_FRAME_MAX];
	struct cw_packet packets[BURST];
	struct cw_lease lease;
	struct cw_span span;
	size_t k, count, first;

	assert_int_equal(rig_send(&sending), 10);
	for (first = 0; first < 10; first += count) {
		struct cw_cursor cursor = {0};

		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
		count = cw_span_decode(&span, &cursor, packets, BURST);
		assert_int_equal(count, span.record_count);
		assert_true(span.bytes <= count * (kernel_bytes + 104));
		for (k = 0; k < count; k++) {
			stamp_build(expected, shape, first + k);
			assert_int_equal(packets[k].wire_len, 150);
			assert_int_equal(packets[k].caplen, caplen);
			assert_memory_equal(packets[k].data, expected, caplen);
		}
		cw_lease_give_back(&lease);
	}
}

static void snaplen_and_reach_cut_in_the_kernel_and_behind_the_tag(void **state)
{
	static const uint32_t lengths[] = {1, 12, 14, 18, 64, 100, 150};
	struct stamp_shape shape = plain_shape(150);

	NEED_DEVICES();
	for (size_t i = 0; i < 2 * CW_ARRAY_COUNT(lengths); i++) {
		uint32_t length = lengths[i / 2], reach = length < 64 ? 64 : length;
		struct cw_live_options options = small_options();
		struct cw_live *live;
		uint32_t tag = i % 2 ? 4 : 0;

		shape.vlan = tag ? 0x123 : STAMP_TAG_NONE;
		options.snaplen = length;
		live = open_live(&options);
		expect_truncated(live, &shape, length, length);
		cw_live_close(live);
		options.snaplen = 0;
		live = open_live(&options);
		assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, length, NULL), 0);
		/* The kernel keeps the outer tag beside the frame. */
		expect_truncated(live, &shape, cw_min_u32(reach + tag, 150), reach);
		cw_live_close(live);
	}
}

static void times_are_of_the_arrival_in_nanoseconds(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 20, 1000);
	uint64_t start_ns, end_ns, odd = 0;
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
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
	assert_string_equal(cw_ifaces_at(&ifaces, info.iface)->name, "in");
	assert_int_equal(cw_ifaces_at(&ifaces, info.iface)->linktype, CW_LINKTYPE_ETHERNET);
	assert_int_equal(cw_ifaces_at(&ifaces, info.iface)->snaplen, CW_CAPLEN_MAX);
	assert_int_equal(cw_ifaces_at(&ifaces, info.iface)->input, 3);
	assert_true(cw_ifaces_at(&ifaces, info.iface)->has_ns);
	start_ns = cw_wall_ns();
	assert_int_equal(rig_send(&sending), 20);
	end_ns = cw_wall_ns();
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	count = cw_span_decode(&span, &cursor, packets, BURST);
	assert_true(count >= 1);
	for (i = 0; i < count; i++) {
		assert_in_range(packets[i].ts_ns, start_ns, end_ns);
		assert_int_equal(packets[i].iface, info.iface);
		assert_int_equal(packets[i].flags, 0);
		odd += packets[i].ts_ns % 1000 != 0;
	}
	assert_true(odd > 0);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

/* ---- direction ---- */

static uint64_t captured_on(const char *device, const char *sent_on,
			    enum cw_live_direction direction, uint32_t expected_flags)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 1000, 0);
	struct cw_packet packets[BURST];
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	struct tally tally;
	size_t count, i;
	int result;

	options.device = device;
	options.direction = direction;
	options.queue_count = 2;
	sending.device = sent_on;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	for (uint32_t queue = 0; queue < 2; queue++) {
		assert_int_equal(cw_live_stop(live, queue), 0);
		while ((result = cw_live_next(live, queue, 0, -1, &span, &lease)) == 1) {
			struct cw_cursor cursor = {0};

			while ((count = cw_span_decode(&span, &cursor, packets, BURST)) > 0)
				for (i = 0; i < count; i++)
					assert_int_equal(packets[i].flags, expected_flags);
			tally_span(&tally, queue, &span);
			cw_lease_give_back(&lease);
		}
		assert_int_equal(result, -ENODATA);
		cw_live_stats(live, queue, &stats);
		assert_balanced(&stats);
	}
	cw_live_close(live);
	assert_int_equal(tally.duplicate + tally.damaged + tally.foreign, 0);
	tally_fini(&tally);
	return tally.received;
}

static void direction_is_what_was_asked_for(void **state)
{
	NEED_DEVICES();
	assert_int_equal(captured_on("in", "out", CW_LIVE_BOTH, 0), 1000);
	assert_int_equal(captured_on("in", "out", CW_LIVE_IN, 0), 1000);
	assert_int_equal(captured_on("in", "out", CW_LIVE_OUT, 0), 0);
	assert_int_equal(captured_on("out", "out", CW_LIVE_BOTH, CW_PACKET_OUTGOING), 1000);
	assert_int_equal(captured_on("out", "out", CW_LIVE_IN, 0), 0);
	assert_int_equal(captured_on("out", "out", CW_LIVE_OUT, CW_PACKET_OUTGOING), 1000);
}

static void loopback_shows_each_frame_once(void **state)
{
	NEED_DEVICES();
	assert_int_equal(captured_on("lo", "lo", CW_LIVE_BOTH, 0), 1000);
	assert_int_equal(captured_on("lo", "lo", CW_LIVE_IN, 0), 1000);
	assert_int_equal(captured_on("lo", "lo", CW_LIVE_OUT, CW_PACKET_OUTGOING), 1000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_frame_arrives_once_with_any_queues_and_fanout),
	    cmocka_unit_test(frames_arrive_once_while_blocks_are_used_again),
	    cmocka_unit_test(overrun_is_counted_to_the_frame),
	    cmocka_unit_test(nothing_is_seen_twice_while_queues_open_under_traffic),
	    cmocka_unit_test(vlan_and_qinq_frames_are_as_sent),
	    cmocka_unit_test(jumbo_and_offloaded_frames_are_whole),
	    cmocka_unit_test(decoding_twice_gives_the_same_and_blocks_can_be_cut),
	    cmocka_unit_test(snaplen_and_reach_cut_in_the_kernel_and_behind_the_tag),
	    cmocka_unit_test(times_are_of_the_arrival_in_nanoseconds),
	    cmocka_unit_test(direction_is_what_was_asked_for),
	    cmocka_unit_test(loopback_shows_each_frame_once),
	};

	return RUN_TESTS(540, tests, make_rig, end_rig, argc, argv);
}
