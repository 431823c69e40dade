/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of the live sources share: frames and how they are sent, interfaces, opening that must
 * fail, and books over all queues.
 */
#ifndef CW_TESTS_RIG_LIVE_SOURCE_H
#define CW_TESTS_RIG_LIVE_SOURCE_H

#include <fcntl.h>

#include "tests/rig/live_tests.h"
#include "tests/rig/open_on_one_core.h"
#include "tests/rig/tally.h"

#define QUEUES_MAX 4u
#define FLOWS 97u

static struct cw_ifaces ifaces;

static inline struct stamp_shape plain_shape(uint32_t bytes)
{
	return (struct stamp_shape){
	    .bytes = bytes, .flows = FLOWS, .vlan = STAMP_TAG_NONE, .outer = STAMP_TAG_NONE};
}

static inline struct rig_sending sending_of(struct stamp_shape shape, uint64_t count, uint64_t rate)
{
	return (struct rig_sending){
	    .program = CW_SENDER, .device = "out", .shape = shape, .count = count, .rate = rate};
}

/* A small packet ring on "in". */
static inline struct cw_live_options small_options(void)
{
	return (struct cw_live_options){.backend = CW_LIVE_PACKET,
					.device = "in",
					.block_bytes = 1 << 19,
					.block_count = 16,
					.wake_fd = -1};
}

/* Open without a warning. */
static inline struct cw_live *open_live(const struct cw_live_options *options)
{
	struct cw_error error = {0};
	struct cw_live *live = NULL;
	int result = cw_live_open(&live, &ifaces, options, &error);

	if (result)
		print_error("%s\n", error.text);
	assert_int_equal(result, 0);
	return live;
}

/* Opening fails with this code and says `words`. */
static inline void refused(struct cw_live_options options, int code, const char *words)
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

static inline uint32_t open_descriptors(void)
{
	uint32_t count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

struct books {
	struct cw_live_stats total;
	uint32_t queues_used;
};

static inline void add_stats(struct books *books, const struct cw_live_stats *stats)
{
	assert_balanced(stats);
	books->total.kernel_seen += stats->kernel_seen;
	books->total.kernel_dropped += stats->kernel_dropped;
	books->total.received += stats->received;
	books->total.freezes += stats->freezes;
	books->queues_used += stats->received > 0;
}

/* Read the queues in turn until the kernel has seen so many packets since they were opened, and
 * none of them is left. How many were read. */
static inline uint64_t count_seen(struct cw_live *live, uint32_t queues, uint64_t seen)
{
	uint64_t count = 0, total, left;
	struct cw_live_stats stats;
	uint32_t queue;
	int what;

	do {
		total = left = 0;
		for (queue = 0; queue < queues; queue++) {
			count += count_until(live, queue, 1, &what);
			assert_int_equal(what, 0);
			cw_live_stats(live, queue, &stats);
			total += stats.kernel_seen;
			left += stats.left;
		}
	} while (total < seen || left);
	return count;
}

/* The kernel looks for room without a lock (tpacket_rcv in af_packet.c). Where another processor
 * has just handed the current block over and not yet gone on to the next, it sees none, and drops a
 * lone frame. Kernels before 6.18 may move the ring's timer to another processor. */
#define LONE_DROPS 2u

/* Send a window of frames at once, which the rings hold, each after the last were read. */
static inline void send_in_windows(struct rig_sending sending, uint64_t window,
				   const struct tally *tally)
{
	uint64_t count = sending.count;

	for (; sending.first < count; sending.first += sending.count) {
		sending.count = count - sending.first < window ? count - sending.first : window;
		assert_int_equal(rig_send(&sending), sending.count);
		WAIT_UNTIL(atomic_load(&tally->received) + LONE_DROPS >=
			   sending.first + sending.count);
	}
}

/* Every frame once and intact, in whatever order, but those that the kernel counts as dropped. */
static inline void assert_all_there(const struct tally *tally, const struct cw_live_stats *stats)
{
	assert_in_range(stats->kernel_dropped, 0, LONE_DROPS);
	assert_int_equal(stats->kernel_seen, tally->count);
	assert_int_equal(tally->received, tally->count - stats->kernel_dropped);
	assert_int_equal(tally->foreign, 0);
	assert_int_equal(tally->damaged, 0);
	assert_int_equal(tally->duplicate, 0);
	assert_int_equal(missing_of(tally), stats->kernel_dropped);
}

static inline void assert_all_in_order(const struct tally *tally, const struct cw_live_stats *stats)
{
	assert_all_there(tally, stats);
	assert_int_equal(tally->reordered + tally->strayed, 0);
}

/* What a child makes of it: 0, or the number of its complaint. */
static inline void assert_child_is_content(int (*run)(void))
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static inline int make_rig(void **state)
{
	cw_ifaces_init(&ifaces);
	return make_devices(state);
}

static inline int end_rig(void **state)
{
	(void)state;
	cw_ifaces_fini(&ifaces);
	return 0;
}

#endif
