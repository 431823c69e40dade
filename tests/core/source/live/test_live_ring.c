/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_PACKET source against a real kernel: numbered frames (live/sender.c) over a pair of
 * virtual devices, every one of which must come out once and as it was sent, or be counted as
 * dropped. Where such devices cannot be made, each test is skipped and says so.
 */
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/filter/filter.h"
#include "core/packet/linktype.h"
#include "core/source/live/tpacket.h"
#include "tests/rig/tally.h"

#define QUEUES_MAX 4u
#define FLOWS 97u

static const char *reason; /* why there are no devices; NULL: there are */
static double scale = 1;
static struct cw_ifaces ifaces;

static uint32_t scaled(uint32_t count)
{
	return (uint32_t)(count * scale) < 1000 ? 1000 : (uint32_t)(count * scale);
}

#define NEED_DEVICES()                                   \
	do {                                             \
		(void)state;                             \
		if (reason) {                            \
			printf("skipped: %s\n", reason); \
			skip();                          \
		}                                        \
	} while (0)

/* ---- system calls that tests let fail ---- */

static int failing_option = -1; /* of SOL_PACKET or SOL_SOCKET */
static int failing_errno;
static int failures_left;
static int ring_requests;
static uint64_t pretended_ram;

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __real_sysinfo(struct sysinfo *info);
int __wrap_sysinfo(struct sysinfo *info);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	if (level == SOL_PACKET && option == PACKET_RX_RING) /* one thread opens */
		ring_requests++;
	if (failures_left && option == failing_option) {
		failures_left--;
		errno = failing_errno;
		return -1;
	}
	return __real_setsockopt(fd, level, option, value, bytes);
}

int __wrap_sysinfo(struct sysinfo *info)
{
	int result = __real_sysinfo(info);

	if (pretended_ram) {
		info->totalram = pretended_ram;
		info->mem_unit = 1;
	}
	return result;
}

/* A device with a clock of its own, or with reasons not to switch it on. */
static bool is_clock_pretended;
static int clock_errno;
static int clock_rx_filter;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct hwtstamp_config *config;

	if (!is_clock_pretended || request != SIOCSHWTSTAMP)
		return __real_ioctl(fd, request, argument);
	config = (void *)((struct ifreq *)argument)->ifr_data;
	assert_int_equal(config->rx_filter, HWTSTAMP_FILTER_ALL);
	config->rx_filter = clock_rx_filter;
	errno = clock_errno;
	return clock_errno ? -1 : 0;
}

static void pretend_clock(int code, int rx_filter)
{
	is_clock_pretended = true;
	clock_errno = code;
	clock_rx_filter = rx_filter;
}

static void let_fail(int option, int code, int times)
{
	failing_option = option;
	failing_errno = code;
	failures_left = times;
}

/* ---- capturing ---- */

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

static struct cw_live_options small_options(void)
{
	return (struct cw_live_options){.backend = CW_LIVE_PACKET,
					.device = "in",
					.block_bytes = 1 << 19,
					.block_count = 16,
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
	books->total.freezes += stats->freezes;
	books->queues_used += stats->received > 0;
}

/* Send and capture with a thread for each queue; fills the tally and the books. */
static void capture(struct cw_live_options options, const struct rig_sending *sending,
		    uint32_t records_max, struct tally *tally, struct books *books)
{
	struct reader readers[QUEUES_MAX] = {0};
	struct rig_sender sender;
	struct cw_live *live;
	uint64_t one = 1, sent;
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
	assert_true(rig_start_sender(&sender, sending));
	sent = rig_end_sender(&sender);
	wait_for_arrival(tally, sent);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	for (i = 0; i < options.queue_count; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].result, -ENODATA);
		add_stats(books, &readers[i].stats);
	}
	cw_live_close(live);
	close(options.wake_fd);
	assert_int_equal(sent, sending->count);
}

static void assert_all_there(const struct tally *tally, const struct books *books)
{
	assert_int_equal(books->total.kernel_dropped, 0);
	assert_int_equal(books->total.kernel_seen, tally->count);
	assert_int_equal(tally->received, tally->count);
	assert_int_equal(tally->foreign, 0);
	assert_int_equal(tally->damaged, 0);
	assert_int_equal(tally->duplicate, 0);
	assert_int_equal(missing_of(tally), 0);
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
	sending = sending_of(shape, scaled(100000), 250000);
	for (i = 0; i < CW_ARRAY_COUNT(queue_counts); i++)
		for (mode = 0; mode < CW_ARRAY_COUNT(fanout_names); mode++) {
			struct cw_live_options options = small_options();
			struct tally tally;
			struct books books;

			options.block_count = 64;
			options.queue_count = queue_counts[i];
			options.fanout = (enum cw_live_fanout)mode;
			capture(options, &sending, 1000, &tally, &books);
			printf("%u queues, %s: %u used\n", queue_counts[i], fanout_names[mode],
			       books.queues_used);
			assert_all_there(&tally, &books);
			if (mode == CW_FANOUT_HASH) {
				assert_int_equal(tally.reordered, 0);
				assert_int_equal(tally.strayed, 0);
			}
			if (mode == CW_FANOUT_HASH || mode == CW_FANOUT_LB)
				assert_int_equal(books.queues_used, queue_counts[i]);
			tally_fini(&tally);
		}
}

static void a_million_frames_arrive_once(void **state)
{
	struct cw_live_options options = {.device = "in", .queue_count = 2};
	struct rig_sending sending = sending_of(plain_shape(60), scaled(1000000), 250000);
	struct tally tally;
	struct books books;

	NEED_DEVICES();
	capture(options, &sending, 0, &tally, &books);
	assert_all_there(&tally, &books);
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
	assert_true(reader.stats.received > 3000);
	assert_true(reader.stats.freezes >= 1 && reader.stats.freezes < 100);
	assert_int_equal(tally.received, reader.stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	cw_live_close(reader.live);
	tally_fini(&tally);
}

static void nothing_is_seen_twice_while_queues_open_under_traffic(void **state)
{
	struct rig_sending sending = sending_of(plain_shape(60), 200000, 150000);
	struct cw_live_options options = small_options();
	struct rig_sender sender;
	uint64_t ended = 0, received = 0;

	NEED_DEVICES();
	options.queue_count = QUEUES_MAX;
	assert_true(rig_start_sender(&sender, &sending));
	while (rig_is_sending(&sender) && ended < 30) {
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
	assert_int_equal(rig_end_sender(&sender), sending.count);
	assert_true(ended >= 2 && received > 0);
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
	options.block_count = 64; /* the reader may be late by 0.2 s with the smallest blocks */
	sending.gso = gso;
	capture(options, &sending, 0, &tally, &books);
	assert_all_there(&tally, &books);
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

static void snaplen_cuts_in_the_kernel_and_behind_the_tag(void **state)
{
	static const uint32_t snaplens[] = {1, 12, 14, 18, 64, 100, 150};
	struct stamp_shape shape = plain_shape(150);
	uint8_t expected[STAMP_FRAME_MAX];
	size_t i;
	int is_tagged;

	NEED_DEVICES();
	for (i = 0; i < CW_ARRAY_COUNT(snaplens); i++)
		for (is_tagged = 0; is_tagged < 2; is_tagged++) {
			struct cw_live_options options = small_options();
			struct rig_sending sending;
			struct cw_packet packets[BURST];
			struct cw_lease lease;
			struct cw_span span;
			struct cw_live *live;
			size_t k, first = 0;

			shape.vlan = is_tagged ? 0x123 : STAMP_TAG_NONE;
			sending = sending_of(shape, 10, 0);
			options.snaplen = snaplens[i];
			live = open_live(&options);
			assert_int_equal(rig_send(&sending), 10);
			while (first < 10) {
				struct cw_cursor cursor = {0};
				size_t count;

				assert_int_equal(
				    cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
				count = cw_span_decode(&span, &cursor, packets, BURST);
				assert_int_equal(count, span.record_count);
				assert_true(span.bytes <= count * (snaplens[i] + 104));
				for (k = 0; k < count; k++) {
					stamp_build(expected, &shape, first + k);
					assert_int_equal(packets[k].wire_len, 150);
					assert_int_equal(packets[k].caplen, snaplens[i]);
					assert_memory_equal(packets[k].data, expected, snaplens[i]);
				}
				first += count;
				cw_lease_give_back(&lease);
			}
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
	rig_sleep_ms(20);
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

/* ---- waiting ---- */

static uint64_t cpu_ns(void)
{
	return cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void idle_capture_does_not_wake(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu, start;

	NEED_DEVICES();
	live = open_live(&options);
	cpu = cpu_ns();
	start = cw_now_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 1000, &span, &lease), 0);
	assert_true(cw_now_ns() - start >= CW_NS_PER_S);
	assert_true(cpu_ns() - cpu < CW_NS_PER_S / 100);
	cw_live_stats(live, 0, &stats);
	assert_true(stats.wakeups <= 3);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0);
	cw_live_close(live);
}

/* poll() would say "readable" all the time. */
static void held_block_does_not_wake(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 1, 0);
	struct cw_live_stats before, after;
	struct cw_lease lease, later;
	struct cw_span span;
	struct cw_live *live;
	uint64_t cpu;

	NEED_DEVICES();
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	cw_live_stats(live, 0, &before);
	cpu = cpu_ns();
	assert_int_equal(cw_live_next(live, 0, 0, 1000, &span, &later), 0);
	cw_live_stats(live, 0, &after);
	printf("%llu wakeups in a second with a block held\n",
	       (unsigned long long)(after.wakeups - before.wakeups));
	assert_true(after.wakeups - before.wakeups <= 4);
	assert_true(cpu_ns() - cpu < CW_NS_PER_S / 100);
	/* and what comes then is found at once, the block still held */
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &later), 1);
	assert_int_equal(span.record_count, sending.count);
	cw_lease_give_back(&later);
	cw_lease_give_back(&lease);
	cw_live_close(live);
}

/* The first block is held, all later ones come back: the ring ends in front of it. */
static void block_held_for_a_round_stops_the_ring_until_it_comes_back(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 20000, 100000);
	struct cw_lease held, lease;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct cw_live *live;
	struct cw_span span;
	struct tally tally;
	int result, round;

	NEED_DEVICES();
	options.block_bytes = 1 << 17;
	options.snaplen = 2000;
	options.block_count = 4;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_true(rig_start_sender(&sender, &sending));
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &held), 1);
	tally_span(&tally, 0, &span);
	while ((result = cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease)) == 1) {
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	for (round = 0; round < 3; round++)
		assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), -EAGAIN);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.stalls, 4);
	assert_int_equal(stats.blocks, 4);
	assert_true(stats.freezes >= 1);
	cw_lease_give_back(&held);
	assert_null(held.window);
	sending.count = 10; /* numbers seen before: the ring goes on */
	assert_int_equal(rig_send(&sending), 10);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&lease);
	assert_int_equal(cw_live_stop(live, 0), 0);
	while ((result = cw_live_next(live, 0, 0, -1, &span, &lease)) == 1) {
		tally_span(&tally, 0, &span);
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -ENODATA);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 20010);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign, 0);
	cw_live_close(live);
	tally_fini(&tally);
}

static void wake_descriptor_ends_waiting_and_stop_ends_its_part(void **state)
{
	struct cw_live_options options = small_options();
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
	cw_live_close(live);
	close(options.wake_fd);
}

/* ---- leases ---- */

static void leases_come_back_from_another_thread_in_any_order(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(200), scaled(100000), 50000);
	static struct passing passing;
	struct cw_live_stats stats;
	struct rig_sender sender;
	struct tally tally;
	struct cw_live *live;

	NEED_DEVICES();
	options.block_count = 8;
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_true(rig_start_sender(&sender, &sending));
	pass_on(&passing, live, &tally, &stats);
	assert_int_equal(rig_end_sender(&sender), sending.count);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, sending.count);
	assert_int_equal(tally.received, stats.received);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

static void leases_outlive_the_source(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 100, 0);
	struct cw_lease first, rest;
	struct cw_span span, others;
	struct cw_live *live;
	struct tally tally;

	NEED_DEVICES();
	tally_init(&tally, sending.shape, sending.count);
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &span, &first), 1);
	assert_int_equal(cw_live_next(live, 0, 1, PATIENCE_MS, &others, &rest), 1);
	cw_live_close(live); /* with records not handed out */
	tally_span(&tally, 0, &span);
	cw_lease_give_back(&first);
	tally_span(&tally, 0, &others);
	cw_lease_give_back(&rest);
	assert_int_equal(tally.received, 2);
	assert_int_equal(tally.damaged + tally.foreign + tally.duplicate, 0);
	tally_fini(&tally);
}

/* ---- stop ---- */

static void stop_drains_the_open_block(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint64_t start;

	NEED_DEVICES();
	options.retire_ms = 1000; /* while the sender runs, no block retires */
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 0); /* open still */
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, 10);
	assert_int_equal(stats.left, 10);
	start = cw_now_ns();
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(rig_send(&sending), sending.count); /* nothing of this */
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), 1);
	assert_int_equal(span.record_count, 10);
	cw_lease_give_back(&lease);
	assert_int_equal(cw_live_next(live, 0, 0, 0, &span, &lease), -ENODATA);
	/* a retire time at least: another CPU may be in the middle of a packet */
	assert_in_range(cw_now_ns() - start, CW_NS_PER_S, 3 * CW_NS_PER_S);
	assert_int_equal(rig_send(&sending), sending.count);
	cw_live_stats(live, 0, &stats);
	assert_balanced(&stats);
	assert_int_equal(stats.kernel_seen, 10);
	cw_live_close(live);
}

/* ---- the device's fate ---- */

static void device_down_is_told_once_and_capture_resumes(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	uint32_t queue, round;
	int what;

	NEED_DEVICES();
	options.queue_count = 2;
	options.fanout = CW_FANOUT_LB;
	live = open_live(&options);
	for (round = 0; round < 2; round++) {
		uint64_t received = 0;

		assert_true(rig_run("ip link set in down"));
		for (queue = 0; queue < 2; queue++) {
			assert_int_equal(cw_live_next(live, queue, 0, 1000, &span, &lease),
					 -ENETDOWN);
			assert_int_equal(cw_live_next(live, queue, 0, 300, &span, &lease), 0);
		}
		assert_true(rig_run("ip link set in up"));
		assert_int_equal(rig_send(&sending), sending.count);
		for (queue = 0; queue < 2; queue++) {
			received += count_until(live, queue, 200, &what);
			assert_int_equal(what, 0);
		}
		assert_int_equal(received, sending.count);
	}
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.downs, 2);
	assert_int_equal(stats.kernel_seen, stats.received);
	cw_live_close(live);
}

static void removed_device_is_told_and_its_successor_can_be_opened(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_stats stats;
	struct cw_live *live;
	uint64_t start, count;
	int what;

	NEED_DEVICES();
	options.retire_ms = 50;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	start = cw_now_ns();
	assert_true(rig_run("ip link del in") && rig_make_pair());
	assert_int_equal(rig_send(&sending), sending.count); /* to the successor: not ours */
	count = count_until(live, 0, -1, &what);
	assert_int_equal(what, -ENETDOWN);
	count += count_until(live, 0, -1, &what);
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

	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_until(live, 0, 500, &what), 10);
	cw_live_close(live);
}

/* ---- prefilter ---- */

static uint64_t counted(struct cw_live *live)
{
	int what;

	return count_until(live, 0, 200, &what);
}

static void prefilter_keeps_the_rest_out_of_the_books(void **state)
{
	const struct cw_filter_options filter_options = {.linktype = CW_LINKTYPE_ETHERNET};
	struct rig_sending sending = sending_of(plain_shape(100), FLOWS * 10, 0);
	struct bpf_insn returns_a[] = {BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_RET | BPF_A, 0)};
	/* counts on A being 0 at the start, whatever is put before it */
	struct bpf_insn starts_at_0[] = {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
					 BPF_STMT(BPF_RET | BPF_K, 1),
					 BPF_STMT(BPF_RET | BPF_K, 0)};
	struct cw_live_options options = small_options();
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_filter *filter;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;

	NEED_DEVICES();
	assert_int_equal(cw_filter_compile(&filter, "udp src port 10003 or udp src port 10005",
					   &filter_options, &error),
			 0);
	options.program = cw_filter_program(filter, &options.instruction_count);
	options.snaplen = 70;
	options.direction = CW_LIVE_IN;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	assert_int_equal(cw_span_decode(&span, &cursor, packets, BURST), span.record_count);
	assert_int_equal(packets[0].caplen, 70);
	assert_int_equal(packets[0].wire_len, 100);
	assert_true(span.bytes <= span.record_count * (70 + 104)); /* nothing more copied */
	cw_lease_give_back(&lease);
	assert_int_equal(span.record_count + counted(live), 20);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, 20);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, &error), 0);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(counted(live), sending.count);
	assert_int_equal(cw_live_prefilter(live, 0, starts_at_0, 3, &error), 0);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(counted(live), sending.count);
	assert_int_equal(cw_live_prefilter(live, 0, returns_a, 2, &error), -EINVAL);
	assert_non_null(strstr(error.text, "returns A"));
	assert_int_equal(cw_live_prefilter(live, 0, starts_at_0, 5000, &error), -E2BIG);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, &error), -EINVAL);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(counted(live), 0);
	cw_live_close(live);
	cw_filter_free(filter);
}

/* ---- other devices, and what cannot be opened ---- */

static void tun_device_is_raw_ip(void **state)
{
	uint8_t packet[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 9, 1, 10, 9, 9, 2};
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun9"};
	struct cw_live_options options = small_options();
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	int fd;

	NEED_DEVICES();
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		printf("skipped: no tun devices here\n");
		skip();
	}
	assert_true(rig_run("ip link set tun9 up"));
	options.device = "tun9";
	live = open_live(&options);
	cw_live_info(live, &info);
	assert_int_equal(info.linktype, CW_LINKTYPE_RAW);
	assert_int_equal(write(fd, packet, sizeof(packet)), sizeof(packet));
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	assert_int_equal(cw_span_decode(&span, &cursor, packets, BURST), 1);
	assert_int_equal(packets[0].caplen, sizeof(packet));
	assert_memory_equal(packets[0].data, packet, sizeof(packet));
	cw_lease_give_back(&lease);
	cw_live_close(live);
	close(fd);
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

/* A tun device can claim to be anything. */
static void refuse_odd_link_type(void)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun8"};
	struct cw_live_options options = small_options();
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETLINK, ARPHRD_PPP) < 0) {
		printf("no tun devices here: the refusal of link types is not tried\n");
	} else {
		assert_true(rig_run("ip link set tun8 up"));
		options.device = "tun8";
		refused(options, -EPROTONOSUPPORT, "libpcap");
	}
	close(fd);
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct bpf_insn broken[] = {BPF_STMT(BPF_LD | BPF_IMM, 1)};
	struct cw_live_options options = small_options();
	uint32_t descriptors = open_descriptors();

	NEED_DEVICES();
	options.device = "nosuch0";
	refused(options, -ENODEV, "nosuch0");
	options.device = "a name that is too long for a device";
	refused(options, -ENODEV, "too long");
	options.device = "";
	refused(options, -ENODEV, "no such device");
	options.device = "any";
	refused(options, -EPROTONOSUPPORT, "libpcap");
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	options.device = "down0";
	refused(options, -ENETDOWN, "ip link set down0 up");
	refuse_odd_link_type();
	options.device = "in";
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	options = small_options();
	options.queue_count = CW_LIVE_QUEUES_MAX + 1;
	refused(options, -EINVAL, "queue count");
	options = small_options();
	options.block_count = CW_LIVE_BLOCKS_MIN - 1;
	refused(options, -EINVAL, "block count");
	options = small_options();
	options.retire_ms = CW_LIVE_RETIRE_MS_MAX + 1;
	refused(options, -EINVAL, "retire time");
	options = small_options();
	options.block_bytes = CW_LIVE_BLOCK_BYTES_MAX + 1;
	refused(options, -EINVAL, "block size");
	options = small_options();
	options.program = broken;
	options.instruction_count = 1;
	refused(options, -EINVAL, "filter");
	assert_int_equal(open_descriptors(), descriptors);
}

static void clock_of_the_adapter_is_asked_for(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *live;
	int what;

	NEED_DEVICES();
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's"); /* the device as it is */
	pretend_clock(EPERM, 0);
	refused(options, -EPERM, "CAP_NET_ADMIN");
	pretend_clock(0, HWTSTAMP_FILTER_NONE);
	refused(options, -EOPNOTSUPP, "host's");
	pretend_clock(0, HWTSTAMP_FILTER_ALL);
	live = open_live(&options); /* packets without its stamp have the host's */
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_until(live, 0, 200, &what), sending.count);
	cw_live_close(live);
	let_fail(PACKET_TIMESTAMP, EINVAL, 1);
	refused(options, -EINVAL, "clock");
	is_clock_pretended = false;
}

static void each_failing_call_is_told_and_undone(void **state)
{
	static const int sets[] = {PACKET_VERSION, PACKET_RESERVE,        PACKET_RX_RING,
				   PACKET_FANOUT,  PACKET_ADD_MEMBERSHIP, SO_ATTACH_FILTER};
	struct cw_live_options options = small_options();
	uint32_t descriptors = open_descriptors();
	size_t i;

	NEED_DEVICES();
	options.queue_count = 2;
	options.promiscuous = true;
	for (i = 0; i < CW_ARRAY_COUNT(sets); i++) {
		let_fail(sets[i], EIO, 1);
		refused(options, -EIO, strerror(EIO));
		assert_int_equal(failures_left, 0);
	}
	assert_int_equal(open_descriptors(), descriptors);
	let_fail(-1, 0, 0);
	cw_live_close(open_live(&options));
	assert_int_equal(open_descriptors(), descriptors);
}

static void ring_is_halved_while_memory_is_short(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_error error = {0};
	struct cw_live_info info;
	struct cw_live *live;

	NEED_DEVICES();
	let_fail(PACKET_RX_RING, ENOMEM, 1);
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_FEWER_BLOCKS);
	assert_int_equal(error.code, 0);
	assert_non_null(strstr(error.text, "16 blocks"));
	cw_live_info(live, &info);
	assert_int_equal(info.block_count, 8);
	cw_live_close(live);
	ring_requests = 0;
	let_fail(PACKET_RX_RING, ENOMEM, 100);
	refused(options, -ENOMEM, "even 4 blocks");
	assert_int_equal(ring_requests, 3);
	let_fail(-1, 0, 0);
	/* More than the machine can have is not asked for: the kernel would end processes. */
	pretended_ram = 8 << 20;
	options.queue_count = 2;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_FEWER_BLOCKS);
	cw_live_info(live, &info);
	assert_int_equal(info.block_count, 4);
	cw_live_close(live);
	pretended_ram = 0;
}

static void rings_beyond_half_of_the_memory_are_refused(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_error error = {0};
	struct cw_live_info info;
	struct cw_live *live;
	uint64_t least;

	NEED_DEVICES();
	options.queue_count = 2;
	options.block_count = CW_LIVE_BLOCKS_MIN;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), 0);
	cw_live_info(live, &info);
	cw_live_close(live);
	least = 2 * CW_LIVE_BLOCKS_MIN * info.block_bytes;
	ring_requests = 0;
	/* By a byte; and what other devices have counts. No memory is asked for. */
	pretended_ram = 2 * least - 2;
	refused(options, -ENOMEM, "half the machine's memory");
	pretended_ram = 2 * least + 2 * 4096;
	options.memory_taken = 4097;
	refused(options, -ENOMEM, "half the machine's memory");
	options.memory_taken = UINT64_MAX;
	refused(options, -ENOMEM, "half the machine's memory");
	assert_int_equal(ring_requests, 0);
	options.memory_taken = 4096;
	cw_live_close(open_live(&options));
	assert_int_equal(ring_requests, 2);
	pretended_ram = 0;
}

/* In a child that gives its rights up. What it ends with: 0, or the step that went wrong. */
static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_options options = small_options();
	struct cw_live *before, *after;
	struct cw_error error = {0};
	int what;

	if (cw_live_open(&before, &ifaces, &options, &error) != 0)
		return 1;
	if (rig_send(&sending) != 10)
		return 2;
	if (syscall(SYS_capset, &head, none) < 0)
		return 3;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_RAW") || !strstr(error.text, "setcap"))
		return 4;
	if (cw_live_prefilter(before, 0, NULL, 0, &error) < 0 || cw_live_stop(before, 0) < 0)
		return 5;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 6;
	cw_live_close(before);
	return 0;
}

static void without_the_capability_what_is_open_goes_on_and_the_rest_says_what_to_do(void **state)
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

static void promiscuous_mode_is_on_while_open(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_live *live;

	NEED_DEVICES();
	options.queue_count = 2;
	options.promiscuous = true;
	live = open_live(&options);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 1'"));
	cw_live_close(live);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 0'"));
}

static int make_rig(void **state)
{
	const char *text = getenv("CAPWEIR_TEST_SCALE");

	(void)state;
	if (text)
		scale = atof(text);
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
	    cmocka_unit_test(every_frame_arrives_once_with_any_queues_and_fanout),
	    cmocka_unit_test(a_million_frames_arrive_once),
	    cmocka_unit_test(overrun_is_counted_to_the_frame),
	    cmocka_unit_test(nothing_is_seen_twice_while_queues_open_under_traffic),
	    cmocka_unit_test(vlan_and_qinq_frames_are_as_sent),
	    cmocka_unit_test(jumbo_and_offloaded_frames_are_whole),
	    cmocka_unit_test(decoding_twice_gives_the_same_and_blocks_can_be_cut),
	    cmocka_unit_test(snaplen_cuts_in_the_kernel_and_behind_the_tag),
	    cmocka_unit_test(times_are_of_the_arrival_in_nanoseconds),
	    cmocka_unit_test(direction_is_what_was_asked_for),
	    cmocka_unit_test(loopback_shows_each_frame_once),
	    cmocka_unit_test(idle_capture_does_not_wake),
	    cmocka_unit_test(held_block_does_not_wake),
	    cmocka_unit_test(block_held_for_a_round_stops_the_ring_until_it_comes_back),
	    cmocka_unit_test(wake_descriptor_ends_waiting_and_stop_ends_its_part),
	    cmocka_unit_test(leases_come_back_from_another_thread_in_any_order),
	    cmocka_unit_test(leases_outlive_the_source),
	    cmocka_unit_test(stop_drains_the_open_block),
	    cmocka_unit_test(device_down_is_told_once_and_capture_resumes),
	    cmocka_unit_test(removed_device_is_told_and_its_successor_can_be_opened),
	    cmocka_unit_test(prefilter_keeps_the_rest_out_of_the_books),
	    cmocka_unit_test(tun_device_is_raw_ip),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(clock_of_the_adapter_is_asked_for),
	    cmocka_unit_test(each_failing_call_is_told_and_undone),
	    cmocka_unit_test(ring_is_halved_while_memory_is_short),
	    cmocka_unit_test(rings_beyond_half_of_the_memory_are_refused),
	    cmocka_unit_test(
		without_the_capability_what_is_open_goes_on_and_the_rest_says_what_to_do),
	    cmocka_unit_test(promiscuous_mode_is_on_while_open),
	};

	alarm(540);
	if (argc > 1) /* some: a pattern of their names */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_rig, end_rig);
}
