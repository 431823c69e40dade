/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source: every frame once, byte for byte, whole or in pieces, with the time of its
 * arrival; leases.
 */
#include <net/if.h>
#include <sys/eventfd.h>

#include "core/packet/linktype.h"
#include "core/source/live/xdp.h"
#include "tests/core/source/live/live_xdp.h"

/* How many packets the driver of "in" gave to the program. */
static uint64_t device_count(void)
{
	struct cw_netdev_counters counters = {0};
	struct cw_error error = {0};
	uint64_t count;

	assert_int_equal(cw_netdev_counters_read(probe, "in", &counters, &error), 0);
	count = counters.rx_packets;
	cw_netdev_counters_fini(&counters);
	return count;
}

/* Send and capture with a thread for each queue; fills the tally and the books. */
static void capture(struct cw_live_options options, const struct rig_sending *sending,
		    struct tally *tally, struct books *books)
{
	struct reader readers[QUEUES_MAX] = {0};
	struct cw_live_info info;
	struct cw_live *live;
	uint64_t one = 1, before;
	uint32_t i;

	*books = (struct books){0};
	tally_init(tally, sending->shape, sending->count);
	options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	live = open_xdp(&options);
	cw_live_info(live, &info);
	assert_true(info.queue_count <= QUEUES_MAX);
	before = device_count();
	for (i = 0; i < info.queue_count; i++) {
		readers[i] = (struct reader){.live = live, .tally = tally, .queue = i};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_queue, &readers[i]),
				 0);
	}
	/* A queue has 16,384 pieces of frames. */
	send_in_windows(*sending, 16000 / (1 + sending->shape.bytes_max / 1700), tally);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	for (i = 0; i < info.queue_count; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].result, -ENODATA);
		add_stats(books, &readers[i].stats);
	}
	assert_int_equal(device_count() - before, books->total.kernel_seen);
	cw_live_close(live);
	close(options.wake_fd);
}

/* ---- conservation ---- */

static void every_frame_arrives_once_and_flows_keep_their_order(void **state)
{
	static const uint32_t queue_counts[] = {1, 2, 4};
	struct stamp_shape shape = plain_shape(60);
	struct rig_sending sending;
	size_t i;

	NEED_DEVICES();
	shape.bytes_max = 1514;
	sending = sending_of(shape, scaled(60000, 20000), 0);
	for (i = 0; i < CW_ARRAY_COUNT(queue_counts); i++) {
		struct cw_live_options options = options_of("in");
		struct tally tally;
		struct books books;

		make_pair(queue_counts[i], 1500);
		options.queue_count = i == 1 ? 0 : queue_counts[i]; /* both mean all */
		capture(options, &sending, &tally, &books);
		printf("%u queues: %u used\n", queue_counts[i], books.queues_used);
		assert_all_in_order(&tally, &books.total);
		assert_int_equal(books.queues_used, queue_counts[i]);
		tally_fini(&tally);
	}
}

static void overrun_is_counted_to_the_frame(void **state)
{
	struct cw_live_options options = options_of("in");
	struct rig_sending sending = sending_of(plain_shape(60), 20000, 100000);
	struct reader reader = {0};
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct tally tally;
	uint64_t before;

	NEED_DEVICES();
	make_pair(1, 1500);
	options.block_count = 4;
	tally_init(&tally, sending.shape, sending.count);
	reader.live = open_xdp(&options);
	reader.tally = &tally;
	cw_live_info(reader.live, &info);
	assert_int_equal(info.block_count, 2048);
	before = device_count();
	assert_int_equal(rig_send(&sending), sending.count);
	cw_live_stats(reader.live, 0, &stats); /* nobody has read */
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(stats.left, info.block_count);
	assert_int_equal(stats.kernel_dropped, sending.count - info.block_count);
	assert_true(stats.freezes >= 1);
	/* It goes on where there is room again: the first are there, and more than once around. */
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_stop(reader.live, 0), 0);
	read_queue(&reader);
	assert_int_equal(reader.result, -ENODATA);
	assert_balanced(&reader.stats);
	assert_int_equal(reader.stats.kernel_seen, 2 * sending.count);
	assert_int_equal(reader.stats.kernel_seen, device_count() - before);
	assert_int_equal(tally.received, info.block_count);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate + tally.reordered, 0);
	cw_live_close(reader.live);
	tally_fini(&tally);
}

/* As fast as the sender goes, read by a thread that passes each batch to another one. */
static void books_balance_at_any_rate_with_leases_given_back_elsewhere(void **state)
{
	static const uint32_t block_counts[] = {4, 64};
	size_t i;

	NEED_DEVICES();
	for (i = 0; i < CW_ARRAY_COUNT(block_counts); i++) {
		struct cw_live_options options = options_of("in");
		struct rig_sending sending = sending_of(plain_shape(200), scaled(200000, 40000), 0);
		static struct passing passing;
		struct cw_live_stats stats;
		struct rig_sender sender;
		struct tally tally;
		struct cw_live *live;
		uint64_t before;

		make_pair(1, 1500);
		options.block_count = block_counts[i];
		tally_init(&tally, sending.shape, sending.count);
		live = open_xdp(&options);
		before = device_count();
		assert_true(rig_start_sender(&sender, &sending));
		pass_on(&passing, live, &tally, &sender, &stats);
		assert_int_equal(rig_end_sender(&sender), sending.count);
		assert_balanced(&stats);
		printf("%llu seen, %llu dropped\n", (unsigned long long)stats.kernel_seen,
		       (unsigned long long)stats.kernel_dropped);
		assert_int_equal(stats.kernel_seen, device_count() - before);
		assert_int_equal(tally.received, stats.received);
		assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
		assert_int_equal(missing_of(&tally), sending.count - stats.received);
		tally_fini(&tally);
	}
}

/* ---- contents ---- */

static void check_shape(struct stamp_shape shape, uint32_t count)
{
	struct rig_sending sending = sending_of(shape, count, 0);
	struct tally tally;
	struct books books;

	capture(options_of("in"), &sending, &tally, &books);
	assert_all_in_order(&tally, &books.total);
	tally_fini(&tally);
}

static void vlan_and_qinq_frames_are_as_sent(void **state)
{
	struct stamp_shape shape = plain_shape(90);

	NEED_DEVICES();
	make_pair(1, 1500);
	shape.bytes_max = 600;
	shape.vlan = 0x2064;
	check_shape(shape, 5000);
	shape.outer = 0x1fff;
	check_shape(shape, 5000);
}

static void frames_in_pieces_are_put_together(void **state)
{
	struct stamp_shape shape = plain_shape(60);

	NEED_DEVICES();
	make_pair(1, 9000);
	shape.bytes_max = 9014;
	check_shape(shape, 5000);
	/* Jumbo beyond all devices, but what the kernel makes of merged segments is as long. */
	make_pair(1, 65535);
	shape.bytes_max = 65535;
	check_shape(shape, 1000);
}

static void snaplen_cuts_frames_whole_or_in_pieces(void **state)
{
	static const uint32_t snaplens[] = {1, 64, 5000};
	struct stamp_shape shape = plain_shape(60);
	static uint8_t expected[STAMP_FRAME_MAX];
	size_t i, k;

	NEED_DEVICES();
	make_pair(1, 9000);
	shape.bytes_max = 9014;
	for (i = 0; i < CW_ARRAY_COUNT(snaplens); i++) {
		struct cw_live_options options = options_of("in");
		struct rig_sending sending = sending_of(shape, 100, 0);
		struct cw_packet packets[BURST];
		struct cw_live *live;
		struct cw_lease lease;
		struct cw_span span;
		uint64_t first = 0;

		options.snaplen = snaplens[i];
		live = open_xdp(&options);
		assert_int_equal(rig_send(&sending), 100);
		while (first < 100) {
			struct cw_cursor cursor = {0};
			size_t count;

			assert_int_equal(cw_live_next(live, 0, 10, PATIENCE_MS, &span, &lease), 1);
			count = cw_span_decode(&span, &cursor, packets, BURST);
			assert_int_equal(count, span.record_count);
			assert_in_range(count, 1, 10);
			for (k = 0; k < count; k++) {
				uint32_t bytes = stamp_build(expected, &shape, first + k);

				assert_int_equal(packets[k].wire_len, bytes);
				assert_int_equal(packets[k].caplen, cw_min_u32(bytes, snaplens[i]));
				assert_memory_equal(packets[k].data, expected, packets[k].caplen);
			}
			first += count;
			cw_lease_give_back(&lease);
		}
		cw_live_close(live);
	}
}

static void times_are_of_each_arrival_in_nanoseconds(void **state)
{
	struct cw_live_options options = options_of("in");
	struct rig_sending sending = sending_of(plain_shape(60), 25, 0);
	uint64_t start_ns, middle_ns, end_ns, odd = 0;
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	const struct cw_iface *iface;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	size_t count, i;

	NEED_DEVICES();
	make_pair(1, 1500);
	options.input = 3;
	live = open_xdp(&options);
	cw_live_info(live, &info);
	assert_int_equal(info.backend, CW_LIVE_XDP);
	assert_int_equal(info.queue_count, 1);
	assert_int_equal(info.block_bytes, 2048);
	assert_int_equal(info.block_count, 16384);
	assert_false(info.is_generic || info.is_zero_copy || info.has_prefilter);
	assert_int_equal(info.device_index, if_nametoindex("in"));
	iface = cw_ifaces_at(&ifaces, info.iface);
	assert_string_equal(iface->name, "in");
	assert_int_equal(iface->linktype, CW_LINKTYPE_ETHERNET);
	assert_int_equal(iface->input, 3);
	assert_true(iface->has_ns);
	start_ns = cw_wall_ns();
	assert_int_equal(rig_send(&sending), 25);
	middle_ns = cw_wall_ns();
	assert_int_equal(rig_send(&sending), 25);
	end_ns = cw_wall_ns();
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1); /* one batch */
	count = cw_span_decode(&span, &cursor, packets, BURST);
	assert_int_equal(count, 50);
	for (i = 0; i < count; i++) {
		/* The two clocks are read one after the other. */
		assert_in_range(packets[i].ts_ns, (i < 25 ? start_ns : middle_ns) - 100000,
				(i < 25 ? middle_ns : end_ns) + 100000);
		assert_true(i == 0 || packets[i].ts_ns >= packets[i - 1].ts_ns);
		assert_int_equal(packets[i].iface, info.iface);
		assert_int_equal(packets[i].flags, 0);
		odd += packets[i].ts_ns % 1000 != 0;
	}
	assert_true(odd > 0);
	/* By address each is in front of the span's end, as what checks spans for damage wants it.
	 */
	for (i = 0; i < count; i++)
		assert_true(packets[i].data + packets[i].caplen <= span.data + span.bytes);
	assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

static void decoding_takes_as_many_as_there_is_room_for(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 100, 0);
	struct cw_packet packets[7], all[100];
	struct cw_cursor cursor = {0}, other = {0};
	size_t count, total = 0;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;

	NEED_DEVICES();
	make_pair(1, 1500);
	live = open_in();
	assert_int_equal(rig_send(&sending), 100);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	assert_int_equal(span.record_count, 100);
	assert_int_equal(cw_span_decode(&span, &other, all, 100), 100);
	assert_int_equal(cw_span_decode(&span, &other, all, 100), 0);
	while ((count = cw_span_decode(&span, &cursor, packets, 7)) > 0) {
		assert_memory_equal(packets, &all[total], count * sizeof(packets[0]));
		total += count;
	}
	assert_int_equal(total, 100);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

/* ---- leases ---- */

static void check_held(struct cw_live *live, uint32_t records_max, uint32_t batches)
{
	static struct cw_lease leases[CW_XDP_BATCHES + 1];
	struct rig_sending sending = sending_of(plain_shape(60), 4096, 100000);
	struct cw_live_stats before, stats;
	struct cw_lease lease;
	struct tally tally;
	struct cw_span span;
	uint32_t count = 0;
	int result;

	tally_init(&tally, sending.shape, 2 * sending.count);
	cw_live_stats(live, 0, &before);
	assert_int_equal(rig_send(&sending), sending.count);
	while ((result = cw_live_next(live, 0, records_max, PATIENCE_MS, &span, &leases[count])) ==
	       1) {
		tally_span(&tally, 0, &span);
		assert_true(++count <= CW_XDP_BATCHES);
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(cw_live_next(live, 0, records_max, PATIENCE_MS, &span, &lease), -EAGAIN);
	assert_int_equal(count, batches);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.stalls - before.stalls, 2);
	/* From the middle: there is no order in which they have to come back. */
	cw_lease_give_back(&leases[count / 2]);
	sending.first = sending.count;
	sending.count = 10;
	assert_int_equal(rig_send(&sending), 10); /* dropped where no frame was the kernel's */
	result = cw_live_next(live, 0, records_max, 0, &span, &lease);
	if (records_max) { /* there were frames, but no batch */
		assert_int_equal(result, 1);
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	} else {
		assert_int_equal(result, 0);
		assert_int_equal(rig_send(&sending), 10);
		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	for (uint32_t i = 0; i < count; i++)
		if (leases[i].window)
			cw_lease_give_back(&leases[i]);
	while ((result = cw_live_next(live, 0, 0, 0, &span, &lease)) == 1) {
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, 0);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.left, 0);
	assert_int_equal(stats.received - before.received, tally.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate + tally.reordered, 0);
	tally_fini(&tally);
}

static void held_leases_stop_it_until_one_comes_back(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_live *live;

	NEED_DEVICES();
	make_pair(1, 1500);
	options.block_count = 4; /* 2048 frames */
	live = open_xdp(&options);
	check_held(live, 0, 2);
	check_held(live, 1, CW_XDP_BATCHES);
	check_held(live, 0, 2);
	cw_live_close(live);
}

static void leases_outlive_the_source(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 100, 0);
	struct cw_lease first, rest;
	struct cw_span span, others;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	make_pair(1, 9000);
	sending.shape.bytes_max = 9000;
	tally_init(&tally, sending.shape, sending.count);
	live = open_in();
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &span, &first), 1);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &others, &rest), 1);
	cw_live_close(live);
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&first);
	tally_span(&tally, 0, &others);
	cw_lease_give_back(&rest);
	assert_int_equal(tally.received, 1 + others.record_count);
	assert_true(others.record_count > 20); /* as many as there is room to put together */
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_frame_arrives_once_and_flows_keep_their_order),
	    cmocka_unit_test(overrun_is_counted_to_the_frame),
	    cmocka_unit_test(books_balance_at_any_rate_with_leases_given_back_elsewhere),
	    cmocka_unit_test(vlan_and_qinq_frames_are_as_sent),
	    cmocka_unit_test(frames_in_pieces_are_put_together),
	    cmocka_unit_test(snaplen_cuts_frames_whole_or_in_pieces),
	    cmocka_unit_test(times_are_of_each_arrival_in_nanoseconds),
	    cmocka_unit_test(decoding_takes_as_many_as_there_is_room_for),
	    cmocka_unit_test(held_leases_stop_it_until_one_comes_back),
	    cmocka_unit_test(leases_outlive_the_source),
	};

	return RUN_TESTS(240, tests, make_xdp_rig, end_xdp_rig, argc, argv);
}
