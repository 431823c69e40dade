/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP source against a real kernel: numbered frames (live/sender.c) over a pair of virtual
 * devices, every one of which must come out once and as it was sent, or be counted as dropped. What
 * the device itself counted is the third book. Where such devices or XDP are not allowed, each test
 * is skipped and says so.
 */
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/packet/linktype.h"
#include "core/net/netdev.h"
#include "core/source/live/xdp.h"
#include "tests/rig/tally.h"

#define QUEUES_MAX 4u
#define FLOWS 97u

static const char *reason; /* why there is no AF_XDP here; NULL: there is */
static char reason_text[CW_ERROR_TEXT_BYTES + 32];
static struct cw_ifaces ifaces;
static struct cw_netdev_probe *probe;

#define NEED_XDP()                                       \
	do {                                             \
		(void)state;                             \
		if (reason) {                            \
			printf("skipped: %s\n", reason); \
			skip();                          \
		}                                        \
	} while (0)

static struct stamp_shape plain_shape(uint32_t bytes)
{
	return (struct stamp_shape){
	    .bytes = bytes, .flows = FLOWS, .vlan = STAMP_TAG_NONE, .outer = STAMP_TAG_NONE};
}

static struct rig_sending sending_of(struct stamp_shape shape, uint64_t count, uint64_t rate)
{
	return (struct rig_sending){
	    .program = CW_SENDER, .device = "out", .shape = shape, .count = count, .rate = rate};
}

static struct cw_live_options options_of(const char *device)
{
	return (struct cw_live_options){.backend = CW_LIVE_XDP,
					.device = device,
					.block_bytes = 1 << 20,
					.block_count = 32,
					.wake_fd = -1};
}

/* A new pair, with so many queues each way. */
static void make_pair(uint32_t queues, uint32_t mtu)
{
	assert_true(rig_run("ip link del in 2>/dev/null; "
			    "ip link add out numtxqueues %u numrxqueues %u type veth "
			    "peer name in numtxqueues %u numrxqueues %u && "
			    "ip link set out mtu %u arp off up && ip link set in mtu %u arp off up",
			    queues, queues, queues, queues, mtu, mtu));
}

/* Neither the driver nor the loopback device can do without a copy: that is told. */
static struct cw_live *open_live(const struct cw_live_options *options)
{
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result = cw_live_open(&live, &ifaces, options, &error);

	if (result != CW_LIVE_WARNED || error.code)
		print_error("%s\n", error.text);
	assert_int_equal(result, CW_LIVE_WARNED);
	assert_int_equal(error.code, 0);
	return live;
}

static struct cw_live *open_in(void)
{
	struct cw_live_options options = options_of("in");

	return open_live(&options);
}

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

struct books {
	struct cw_live_stats total;
	uint32_t queues_used;
};

static void add_stats(struct books *books, const struct cw_live_stats *stats)
{
	assert_balanced(stats);
	books->total.kernel_seen += stats->kernel_seen;
	books->total.kernel_dropped += stats->kernel_dropped;
	books->total.received += stats->received;
	books->queues_used += stats->received > 0;
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
	live = open_live(&options);
	cw_live_info(live, &info);
	assert_true(info.queue_count <= QUEUES_MAX);
	before = device_count();
	for (i = 0; i < info.queue_count; i++) {
		readers[i] = (struct reader){.live = live, .tally = tally, .queue = i};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_queue, &readers[i]),
				 0);
	}
	assert_int_equal(rig_send(sending), sending->count);
	wait_for_arrival(tally, sending->count);
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

static void assert_all_there(const struct tally *tally, const struct books *books)
{
	assert_int_equal(books->total.kernel_dropped, 0);
	assert_int_equal(books->total.kernel_seen, tally->count);
	assert_int_equal(tally->received, tally->count);
	assert_int_equal(tally->foreign + tally->damaged + tally->duplicate, 0);
	assert_int_equal(tally->reordered + tally->strayed, 0);
	assert_int_equal(missing_of(tally), 0);
}

/* ---- conservation ---- */

static void every_frame_arrives_once_and_flows_keep_their_order(void **state)
{
	static const uint32_t queue_counts[] = {1, 2, 4};
	struct stamp_shape shape = plain_shape(60);
	struct rig_sending sending;
	size_t i;

	NEED_XDP();
	shape.bytes_max = 1514;
	sending = sending_of(shape, 60000, 60000);
	for (i = 0; i < CW_ARRAY_COUNT(queue_counts); i++) {
		struct cw_live_options options = options_of("in");
		struct tally tally;
		struct books books;

		make_pair(queue_counts[i], 1500);
		options.queue_count = i == 1 ? 0 : queue_counts[i]; /* both mean all */
		capture(options, &sending, &tally, &books);
		printf("%u queues: %u used\n", queue_counts[i], books.queues_used);
		assert_all_there(&tally, &books);
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

	NEED_XDP();
	make_pair(1, 1500);
	options.block_count = 4;
	tally_init(&tally, sending.shape, sending.count);
	reader.live = open_live(&options);
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

	NEED_XDP();
	for (i = 0; i < CW_ARRAY_COUNT(block_counts); i++) {
		struct cw_live_options options = options_of("in");
		struct rig_sending sending = sending_of(plain_shape(200), 200000, 0);
		static struct passing passing;
		struct cw_live_stats stats;
		struct rig_sender sender;
		struct tally tally;
		struct cw_live *live;
		uint64_t before;

		make_pair(1, 1500);
		options.block_count = block_counts[i];
		tally_init(&tally, sending.shape, sending.count);
		live = open_live(&options);
		before = device_count();
		assert_true(rig_start_sender(&sender, &sending));
		pass_on(&passing, live, &tally, &stats);
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

static void check_shape(struct stamp_shape shape, uint32_t count, uint64_t rate)
{
	struct rig_sending sending = sending_of(shape, count, rate);
	struct tally tally;
	struct books books;

	capture(options_of("in"), &sending, &tally, &books);
	assert_all_there(&tally, &books);
	tally_fini(&tally);
}

static void vlan_and_qinq_frames_are_as_sent(void **state)
{
	struct stamp_shape shape = plain_shape(90);

	NEED_XDP();
	make_pair(1, 1500);
	shape.bytes_max = 600;
	shape.vlan = 0x2064;
	check_shape(shape, 5000, 20000);
	shape.outer = 0x1fff;
	check_shape(shape, 5000, 20000);
}

static void frames_in_pieces_are_put_together(void **state)
{
	struct stamp_shape shape = plain_shape(60);

	NEED_XDP();
	make_pair(1, 9000);
	shape.bytes_max = 9014;
	check_shape(shape, 5000, 5000);
	/* Jumbo beyond all devices, but what the kernel makes of merged segments is as long. */
	make_pair(1, 65535);
	shape.bytes_max = 65535;
	check_shape(shape, 1000, 1000);
}

static void snaplen_cuts_frames_whole_or_in_pieces(void **state)
{
	static const uint32_t snaplens[] = {1, 64, 5000};
	struct stamp_shape shape = plain_shape(60);
	static uint8_t expected[STAMP_FRAME_MAX];
	size_t i, k;

	NEED_XDP();
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
		live = open_live(&options);
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
	struct rig_sending sending = sending_of(plain_shape(60), 50, 1000);
	uint64_t start_ns, end_ns, odd = 0;
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	const struct cw_iface *iface;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	size_t count, i;

	NEED_XDP();
	make_pair(1, 1500);
	options.input = 3;
	live = open_live(&options);
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
	assert_int_equal(rig_send(&sending), 50);
	end_ns = cw_wall_ns();
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1); /* one batch */
	count = cw_span_decode(&span, &cursor, packets, BURST);
	assert_int_equal(count, 50);
	for (i = 0; i < count; i++) {
		/* The two clocks are read one after the other. */
		assert_in_range(packets[i].ts_ns, start_ns - 100000, end_ns + 100000);
		assert_true(i == 0 || packets[i].ts_ns >= packets[i - 1].ts_ns);
		assert_int_equal(packets[i].iface, info.iface);
		assert_int_equal(packets[i].flags, 0);
		odd += packets[i].ts_ns % 1000 != 0;
	}
	assert_true(odd > 0);
	assert_true(packets[49].ts_ns - packets[0].ts_ns > 20 * 1000000);
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

	NEED_XDP();
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
	while ((result = cw_live_next(live, 0, 0, 100, &span, &lease)) == 1) {
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

	NEED_XDP();
	make_pair(1, 1500);
	options.block_count = 4; /* 2048 frames */
	live = open_live(&options);
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

	NEED_XDP();
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

/* ---- waiting and stop ---- */

static void idle_capture_costs_next_to_nothing(void **state)
{
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu_ns, start_ns;

	NEED_XDP();
	make_pair(1, 1500);
	live = open_in();
	cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start_ns = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 1000, &span, &lease), 0);
	assert_true(cw_now_ns() - start_ns >= CW_NS_PER_S);
	assert_true(cw_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 8); /* a look at the device each 0.2 s */
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t one = 1;

	NEED_XDP();
	make_pair(1, 1500);
	options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	live = open_live(&options);
	assert_int_equal(cw_live_next(live, 0, 0, 10, &span, &lease), 0);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -EINTR);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), -EINTR);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups < 20);
	cw_live_close(live);
	close(options.wake_fd);
}

/* Packet rings on the same device are the host here. */
static void host_has_the_packets_again_after_stop(void **state)
{
	struct cw_live_options options = options_of("in");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *live, *host = NULL;
	struct cw_error error = {0};
	struct cw_live_stats stats;
	int what;

	NEED_XDP();
	make_pair(1, 1500);
	live = open_in();
	options.backend = CW_LIVE_PACKET;
	assert_int_equal(cw_live_open(&host, &ifaces, &options, &error), 0);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_until(host, 0, 100, &what), 0);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_until(host, 0, 200, &what), 10);
	assert_int_equal(count_until(live, 0, 0, &what), 10);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(count_until(host, 0, 200, &what), 10);
	cw_live_close(host);
}

/* ---- the device's fate ---- */

static void device_down_is_told_once_and_capture_resumes(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint32_t round;
	int what;

	NEED_XDP();
	make_pair(1, 1500);
	live = open_in();
	for (round = 0; round < 2; round++) {
		assert_true(rig_run("ip link set in down"));
		assert_int_equal(cw_live_next(live, 0, 0, 1000, &span, &lease), -ENETDOWN);
		assert_int_equal(cw_live_next(live, 0, 0, 300, &span, &lease), 0);
		assert_true(rig_run("ip link set in up"));
		assert_int_equal(rig_send(&sending), sending.count);
		assert_int_equal(count_until(live, 0, 300, &what), sending.count);
		assert_int_equal(what, 0);
	}
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.downs, 2);
	assert_int_equal(stats.kernel_seen, stats.received);
	cw_live_close(live);
}

static void removed_device_is_told_and_its_successor_can_be_opened(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	uint64_t start, count;
	int what;

	NEED_XDP();
	make_pair(1, 1500);
	live = open_in();
	assert_int_equal(rig_send(&sending), sending.count);
	start = cw_now_ns();
	make_pair(1, 1500);
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODEV);
	assert_true(cw_now_ns() - start < CW_NS_PER_S);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(count, 10);
	cw_live_close(live);

	live = open_in();
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_until(live, 0, 300, &what), 10);
	cw_live_close(live);
}

/* ---- other modes, and what cannot be opened ---- */

static void loopback_is_captured_in_generic_mode(void **state)
{
	struct cw_live_options options = options_of("lo");
	struct rig_sending sending = sending_of(plain_shape(60), 1000, 20000);
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct cw_live *live;
	struct tally tally;
	struct reader reader = {0};

	NEED_XDP();
	sending.device = "lo";
	sending.shape.bytes_max = 9000;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_WARNED);
	assert_non_null(strstr(error.text, "generic"));
	cw_live_info(live, &info);
	assert_true(info.is_generic && info.is_loopback && !info.is_zero_copy);
	tally_init(&tally, sending.shape, sending.count);
	assert_int_equal(rig_send(&sending), sending.count);
	rig_sleep_ms(20);
	assert_int_equal(cw_live_stop(live, 0), 0);
	reader.live = live;
	reader.tally = &tally;
	read_queue(&reader);
	assert_int_equal(reader.result, -ENODATA);
	assert_balanced(&reader.stats);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, sending.count);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	cw_live_close(live);
	tally_fini(&tally);
}

static void refused(struct cw_live_options options, int code, const char *words)
{
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	uint32_t before = ifaces.count;

	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), code);
	assert_int_equal(error.code, code);
	if (!strstr(error.text, words))
		fail_msg("'%s' does not say '%s'", error.text, words);
	assert_null(live);
	assert_int_equal(ifaces.count, before);
}

static uint32_t open_descriptors(void)
{
	uint32_t count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct cw_live_options options;
	struct cw_error error = {0};
	struct cw_live *live;
	uint32_t descriptors;

	NEED_XDP();
	make_pair(2, 1500);
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	descriptors = open_descriptors();
	refused(options_of("nosuch0"), -ENODEV, "nosuch0");
	refused(options_of("a name that is too long for a device"), -ENODEV, "too long");
	refused(options_of("any"), -ENODEV, "any");
	refused(options_of("down0"), -ENETDOWN, "ip link set down0 up");
	options = options_of("in");
	options.direction = CW_LIVE_OUT;
	refused(options, -EOPNOTSUPP, "comes in");
	options = options_of("in");
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's");
	options = options_of("in");
	options.queue_count = 3;
	refused(options, -EINVAL, "has 2 receive queues");
	options = options_of("in");
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	assert_int_equal(open_descriptors(), descriptors);
	live = open_in();
	refused(options_of("in"), -EBUSY, "another XDP program");
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, &error), -EOPNOTSUPP);
	cw_live_close(live);
	assert_int_equal(open_descriptors(), descriptors);
	assert_true(rig_run("! ip link show in | grep -q xdp"));
}

/* In a child, which has to have its devices made before. What it ends with: the failing step. */
static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_options options = options_of("in");
	struct cw_live *before = open_in(), *after;
	struct cw_error error = {0};
	int what;

	if (rig_send(&sending) != 10 || syscall(SYS_capset, &head, none) < 0)
		return 1;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_ADMIN"))
		return 2;
	if (cw_live_stop(before, 0) < 0)
		return 3;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 4;
	cw_live_close(before);
	return 0;
}

static void without_capabilities_what_is_open_goes_on(void **state)
{
	int status;
	pid_t child;

	NEED_XDP();
	make_pair(1, 1500);
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(lose_capabilities());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void killed_process_leaves_no_program_behind(void **state)
{
	siginfo_t info;
	pid_t child;

	NEED_XDP();
	make_pair(1, 1500);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)open_in();
		raise(SIGSTOP); /* seen by the parent: it is open */
		_exit(1);
	}
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT), 0);
	assert_true(rig_run("ip link show in | grep -q xdp"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(rig_run("! ip link show in | grep -q xdp"));
}

/* The kernel lets go of a queue some time after its socket is closed. */
static void device_can_be_opened_again_at_once(void **state)
{
	uint32_t i;

	NEED_XDP();
	make_pair(2, 1500);
	for (i = 0; i < 20; i++)
		cw_live_close(open_in());
}

static void promiscuous_mode_is_on_while_open(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_live *live;

	NEED_XDP();
	make_pair(1, 1500);
	options.promiscuous = true;
	live = open_live(&options);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 1'"));
	cw_live_close(live);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 0'"));
}

static int make_rig(void **state)
{
	struct cw_live_options options = options_of("in");
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result;

	(void)state;
	cw_ifaces_init(&ifaces);
	stamp_fill();
	reason = rig_make();
	if (reason)
		return 0;
	if (cw_netdev_probe_open(&probe, &error) < 0)
		return -1;
	result = cw_live_open(&live, &ifaces, &options, &error);
	if (result == -EPERM || result == -EOPNOTSUPP || result == -EAFNOSUPPORT) {
		snprintf(reason_text, sizeof(reason_text), "no AF_XDP here: %s", error.text);
		reason = reason_text;
	} else if (result >= 0) {
		cw_live_close(live);
	}
	return 0;
}

static int end_rig(void **state)
{
	(void)state;
	cw_netdev_probe_close(probe);
	cw_ifaces_fini(&ifaces);
	return 0;
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
	    cmocka_unit_test(idle_capture_costs_next_to_nothing),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(host_has_the_packets_again_after_stop),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	    cmocka_unit_test(loopback_is_captured_in_generic_mode),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(without_capabilities_what_is_open_goes_on),
	    cmocka_unit_test(killed_process_leaves_no_program_behind),
	    cmocka_unit_test(device_can_be_opened_again_at_once),
	    cmocka_unit_test(promiscuous_mode_is_on_while_open),
	};

	alarm(240);
	if (argc > 1) /* some: a pattern of their names */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_rig, end_rig);
}
