/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libpcap source against a real kernel, and against packet rings that see the same traffic:
 * numbered frames (live/sender.c) over a pair of virtual devices, on "any" seen twice, each of them
 * as it was sent or counted as dropped. Where such devices cannot be made, each test is skipped and
 * says so.
 */
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/packet/linktype.h"
#include "core/source/live/pcap.h"
#include "tests/rig/tally.h"

#define FLOWS 97u
#define COOKED_BYTES 16u
#define ETHERNET_BYTES 14u

static const char *reason; /* why there are no devices; NULL: there are */
static struct cw_ifaces ifaces;

#define NEED_DEVICES()                                   \
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

static struct cw_live_options options_of(enum cw_live_backend backend, const char *device)
{
	return (struct cw_live_options){.backend = backend,
					.device = device,
					.block_bytes = 1 << 19,
					.block_count = 32,
					.wake_fd = -1};
}

static struct cw_live *open_live(const struct cw_live_options *options)
{
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result = cw_live_open(&live, &ifaces, options, &error);

	if (result)
		print_error("%s\n", error.text);
	assert_int_equal(result, 0);
	return live;
}

static struct cw_live *open_pcap(const char *device)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, device);

	return open_live(&options);
}

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

static void assert_all_there(const struct tally *tally, const struct cw_live_stats *stats)
{
	assert_int_equal(stats->kernel_dropped, 0);
	assert_int_equal(stats->kernel_seen, tally->count);
	assert_int_equal(tally->received, tally->count);
	assert_int_equal(tally->foreign + tally->damaged + tally->duplicate, 0);
	assert_int_equal(tally->reordered, 0);
	assert_int_equal(missing_of(tally), 0);
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
	assert_all_there(&tally, &stats);
	tally_fini(&tally);
	tally_init(&tally, shape, count);
	drain(rings, &tally, &stats);
	assert_all_there(&tally, &stats);
	tally_fini(&tally);
	cw_live_close(live);
	cw_live_close(rings);
}

static void frames_are_those_that_packet_rings_give(void **state)
{
	struct stamp_shape shape = plain_shape(60);

	NEED_DEVICES();
	check_beside_rings(shape, 40000, 0);
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

static void snaplen_cuts_and_the_length_stays(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct rig_sending sending = sending_of(plain_shape(150), 10, 0);
	struct cw_packet packets[BURST];
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	size_t i, count, first = 0;

	NEED_DEVICES();
	options.snaplen = 64;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), 10);
	while (first < 10) {
		struct cw_cursor cursor = {0};

		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
		count = cw_span_decode(&span, &cursor, packets, BURST);
		assert_int_equal(span.bytes, count * (16 + 64));
		for (i = 0; i < count; i++) {
			assert_int_equal(packets[i].caplen, 64);
			assert_int_equal(packets[i].wire_len, 150);
		}
		first += count;
		cw_lease_give_back(&lease);
	}
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
	rig_sleep_ms(20);
	cw_live_stats(live, 0, &stats); /* the kernel's, before the end sets them right */
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
	struct rig_sending sending = sending_of(plain_shape(60), 60000, 60000);
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "any");
	struct rig_sender sender;
	uint64_t received = 0;
	uint32_t rounds = 0;

	NEED_DEVICES();
	options.direction = CW_LIVE_OUT; /* what libpcap sorts out by itself comes as well */
	options.block_bytes = 1 << 16;
	assert_true(rig_start_sender(&sender, &sending));
	while (rig_is_sending(&sender)) {
		struct cw_live_stats before, after;
		struct cw_live *live = open_live(&options);
		uint64_t stopped_ns;
		int what;

		rig_sleep_ms(5);
		cw_live_stats(live, 0, &before);
		assert_int_equal(cw_live_stop(live, 0), 0);
		stopped_ns = cw_now_ns();
		received += count_until(live, 0, -1, &what);
		assert_int_equal(what, -ENODATA);
		/* The counts agreed: it was not given up to wait for that. */
		assert_true(cw_now_ns() - stopped_ns < CW_NS_PER_S);
		cw_live_stats(live, 0, &after);
		assert_balanced(&after);
		assert_true(after.kernel_seen >= before.kernel_seen);
		assert_int_equal(after.kernel_dropped, 0);
		cw_live_close(live);
		rounds++;
	}
	assert_int_equal(rig_end_sender(&sender), sending.count);
	printf("opened %u times, %llu packets\n", rounds, (unsigned long long)received);
	assert_true(rounds >= 2 && received > 0);
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
	assert_true(stats.kernel_dropped > 0 && stats.received > 3000);
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
	assert_all_there(&tally, &stats);
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
		assert_all_there(&tally, &stats);
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
	struct rig_sending sending = sending_of(plain_shape(400), 60000, 60000);
	static struct passing passing;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_pcap("in");
	assert_true(rig_start_sender(&sender, &sending));
	pass_on(&passing, live, &tally, &stats);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

/* ---- waiting ---- */

static void idle_capture_does_not_wake(void **state)
{
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu_ns, start_ns;

	NEED_DEVICES();
	live = open_pcap("any");
	cpu_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start_ns = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 1000, &span, &lease), 0);
	assert_true(cw_now_ns() - start_ns >= CW_NS_PER_S);
	assert_true(cw_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 3);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t one = 1;

	NEED_DEVICES();
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
	assert_true(stats.wakeups < 20); /* the descriptor, readable still, does not make it spin */
	cw_live_close(live);
	close(options.wake_fd);
}

static void stop_drains_what_libpcap_has_and_nothing_later(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_PCAP, "in");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	int what;

	NEED_DEVICES();
	options.retire_ms = 100;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), sending.count); /* nothing of this */
	assert_int_equal(count_until(live, 0, 0, &what), 10);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
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

	NEED_DEVICES();
	live = open_pcap("in");
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

static void *take_device_down_later(void *argument)
{
	rig_sleep_ms(100);
	(void)argument;
	assert_true(rig_run("ip link set in down"));
	return NULL;
}

static void device_down_ends_waiting(void **state)
{
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	pthread_t thread;

	NEED_DEVICES();
	live = open_pcap("in");
	assert_int_equal(pthread_create(&thread, NULL, take_device_down_later, NULL), 0);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -ENETDOWN);
	pthread_join(thread, NULL);
	assert_true(rig_run("ip link set in up"));
	cw_live_close(live);
}

static void removed_device_is_told_and_its_successor_can_be_opened(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	uint64_t start, count;
	int what;

	NEED_DEVICES();
	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	start = cw_now_ns();
	assert_true(rig_run("ip link del in") && rig_make_pair());
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
	if (what == -ENETDOWN) /* libpcap may find it gone at once */
		count += count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODEV);
	assert_true(cw_now_ns() - start < CW_NS_PER_S);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODEV);
	assert_int_equal(cw_live_stop(live, 0), 0);
	count += count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(count, 10);
	cw_live_close(live);

	live = open_pcap("in");
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_until(live, 0, 500, &what), 10);
	cw_live_close(live);
}

/* ---- which source, and what cannot be opened ---- */

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

static enum cw_live_backend backend_of(const char *device)
{
	struct cw_live_options options = options_of(CW_LIVE_AUTO, device);
	struct cw_live *live = open_live(&options);
	struct cw_live_info info;

	cw_live_info(live, &info);
	cw_live_close(live);
	return info.backend;
}

static void rings_are_taken_where_they_have_the_device(void **state)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun8"};
	int fd;

	NEED_DEVICES();
	assert_int_equal(backend_of("in"), CW_LIVE_PACKET);
	assert_int_equal(backend_of("lo"), CW_LIVE_PACKET);
	assert_int_equal(backend_of("any"), CW_LIVE_PCAP);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETLINK, ARPHRD_PPP) < 0) {
		printf("no tun devices here: odd link types are not tried\n");
	} else {
		assert_true(rig_run("ip link set tun8 up"));
		assert_int_equal(backend_of("tun8"), CW_LIVE_PCAP);
	}
	close(fd);
}

/* No network device, and not read through a packet socket. */
static void netfilter_log_can_be_read(void **state)
{
	struct cw_live_options options = options_of(CW_LIVE_AUTO, "nflog:7");
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;

	NEED_DEVICES();
	if (cw_live_open(&live, &ifaces, &options, &error) < 0) {
		printf("skipped: no netfilter log here: %s\n", error.text);
		skip();
	}
	cw_live_info(live, &info);
	assert_int_equal(info.backend, CW_LIVE_PCAP);
	assert_int_equal(info.linktype, 239);
	assert_int_equal(cw_live_next(live, 0, 0, 50, &span, &lease), 0);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_next(live, 0, 0, -1, &span, &lease), -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	cw_live_close(live);
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct cw_live_options options;
	struct cw_error error = {0};
	struct cw_live *live;
	enum cw_live_backend backend;

	NEED_DEVICES();
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	for (backend = CW_LIVE_AUTO; backend <= CW_LIVE_PCAP; backend += CW_LIVE_PCAP) {
		refused(options_of(backend, "nosuch0"), -ENODEV, "nosuch0");
		refused(options_of(backend, ""), -ENODEV, "no such device");
		refused(options_of(backend, "a name that is too long for a device"), -ENODEV, "");
		refused(options_of(backend, "down0"), -ENETDOWN, "ip link set down0 up");
	}
	options = options_of(CW_LIVE_PCAP, "in");
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	options = options_of(CW_LIVE_PCAP, "in");
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's");
	options.backend = (enum cw_live_backend)9;
	refused(options, -EINVAL, "backend");
	live = open_pcap("in");
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, &error), -EOPNOTSUPP);
	cw_live_close(live);
}

static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct cw_live_options options = options_of(CW_LIVE_AUTO, "any");
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *before = open_pcap("in"), *after;
	struct cw_error error = {0};
	int what;

	if (rig_send(&sending) != 10 || syscall(SYS_capset, &head, none) < 0)
		return 1;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_RAW") || !strstr(error.text, "setcap"))
		return 2;
	if (cw_live_stop(before, 0) < 0)
		return 3;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 4;
	cw_live_close(before);
	return 0;
}

static void without_the_capability_what_is_open_goes_on(void **state)
{
	int status;
	pid_t child;

	NEED_DEVICES();
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(lose_capabilities());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int make_rig(void **state)
{
	(void)state;
	cw_ifaces_init(&ifaces);
	stamp_fill();
	reason = rig_make();
	return 0;
}

static int end_rig(void **state)
{
	(void)state;
	cw_ifaces_fini(&ifaces);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_are_those_that_packet_rings_give),
	    cmocka_unit_test(snaplen_cuts_and_the_length_stays),
	    cmocka_unit_test(times_are_of_the_arrival_in_nanoseconds),
	    cmocka_unit_test(any_shows_both_directions_each_packet_once),
	    cmocka_unit_test(books_begin_with_open_under_traffic),
	    cmocka_unit_test(overrun_is_counted_to_the_frame),
	    cmocka_unit_test(held_arenas_stop_it_until_one_comes_back),
	    cmocka_unit_test(spans_have_as_many_records_as_asked_for_and_no_more),
	    cmocka_unit_test(leases_outlive_the_source),
	    cmocka_unit_test(leases_come_back_from_another_thread_in_any_order),
	    cmocka_unit_test(idle_capture_does_not_wake),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(stop_drains_what_libpcap_has_and_nothing_later),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(device_down_ends_waiting),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	    cmocka_unit_test(rings_are_taken_where_they_have_the_device),
	    cmocka_unit_test(netfilter_log_can_be_read),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(without_the_capability_what_is_open_goes_on),
	};

	alarm(240);
	if (argc > 1) /* some: a pattern of their names */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_rig, end_rig);
}
