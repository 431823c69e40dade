/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of live sources share beside the devices (live_rig.h): a tally of the numbered
 * frames, and the thread of a queue that fills it. Include cmocka.h before.
 */
#ifndef CW_TESTS_RIG_TALLY_H
#define CW_TESTS_RIG_TALLY_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/source/live/live.h"
#include "tests/rig/live_rig.h"

#define PATIENCE_MS 100000 /* only a hang takes that */
#define BURST 64u

/* What became of the numbers sent; shared by the readers of all queues. */
struct tally {
	struct stamp_shape shape;
	uint64_t count;
	_Atomic uint8_t *seen;        /* per number */
	_Atomic uint64_t *flow_last;  /* per flow: number + 1 */
	_Atomic uint32_t *flow_queue; /* per flow: queue + 1 */
	_Atomic uint64_t received, foreign, damaged, duplicate, reordered, strayed;
};

static inline void tally_init(struct tally *tally, struct stamp_shape shape, uint64_t count)
{
	memset(tally, 0, sizeof(*tally));
	tally->shape = shape;
	tally->count = count;
	tally->seen = calloc(count, 1);
	tally->flow_last = calloc(shape.flows, sizeof(*tally->flow_last));
	tally->flow_queue = calloc(shape.flows, sizeof(*tally->flow_queue));
	assert_true(tally->seen && tally->flow_last && tally->flow_queue);
}

static inline void tally_fini(struct tally *tally)
{
	free(tally->seen);
	free(tally->flow_last);
	free(tally->flow_queue);
}

static inline void tally_packet(struct tally *tally, uint32_t queue, const struct cw_packet *packet)
{
	uint64_t number = UINT64_MAX;
	uint32_t flow, before;

	if (!stamp_is_intact(&tally->shape, packet->data, packet->caplen, packet->wire_len,
			     &number)) {
		atomic_fetch_add(number == UINT64_MAX ? &tally->foreign : &tally->damaged, 1);
		return;
	}
	if (number >= tally->count) {
		atomic_fetch_add(&tally->foreign, 1);
		return;
	}
	flow = (uint32_t)(number % tally->shape.flows);
	if (atomic_fetch_add(&tally->seen[number], 1))
		atomic_fetch_add(&tally->duplicate, 1);
	if (atomic_exchange(&tally->flow_last[flow], number + 1) > number)
		atomic_fetch_add(&tally->reordered, 1);
	before = atomic_exchange(&tally->flow_queue[flow], queue + 1);
	if (before && before != queue + 1)
		atomic_fetch_add(&tally->strayed, 1);
}

/* As a worker does: decode in bursts, look at every byte. */
static inline void tally_span(struct tally *tally, uint32_t queue, const struct cw_span *span)
{
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	size_t count, i, total = 0;

	while ((count = cw_span_decode(span, &cursor, packets, BURST)) > 0) {
		for (i = 0; i < count; i++)
			tally_packet(tally, queue, &packets[i]);
		total += count;
	}
	if (total != span->record_count)
		atomic_fetch_add(&tally->damaged, 1);
	atomic_fetch_add(&tally->received, total);
}

static inline uint64_t missing_of(const struct tally *tally)
{
	uint64_t number, missing = 0;

	for (number = 0; number < tally->count; number++)
		missing += !tally->seen[number];
	return missing;
}

/* A queue's thread: capture until woken, stop, drain. */
struct reader {
	pthread_t thread;
	struct cw_live *live;
	struct tally *tally;
	uint32_t queue;
	uint32_t records_max;
	int result;
	struct cw_live_stats stats;
};

static inline void *read_queue(void *argument)
{
	struct reader *reader = argument;
	struct cw_lease lease;
	struct cw_span span;

	for (;;) {
		reader->result = cw_live_next(reader->live, reader->queue, reader->records_max, -1,
					      &span, &lease);
		if (reader->result == 1) {
			tally_span(reader->tally, reader->queue, &span);
			cw_lease_give_back(&lease);
		} else if (reader->result == -EINTR) {
			if (cw_live_stop(reader->live, reader->queue) < 0)
				break;
		} else {
			break;
		}
	}
	cw_live_stats(reader->live, reader->queue, &reader->stats);
	return NULL;
}

static inline void assert_balanced(const struct cw_live_stats *stats)
{
	assert_int_equal(stats->kernel_seen, stats->kernel_dropped + stats->received);
	assert_int_equal(stats->left, 0);
}

/* Count packets, giving their blocks back, until next says something else; fills what. */
static inline uint64_t count_until(struct cw_live *live, uint32_t queue, int timeout_ms, int *what)
{
	struct cw_lease lease;
	struct cw_span span;
	uint64_t count = 0;

	while ((*what = cw_live_next(live, queue, 0, timeout_ms, &span, &lease)) == 1) {
		count += span.record_count;
		cw_lease_give_back(&lease);
	}
	return count;
}

#define PASSED_MAX 64u

/* From the capture thread to one that gives back, in whatever order. */
struct passing {
	struct cw_lease leases[PASSED_MAX];
	struct cw_span spans[PASSED_MAX];
	_Atomic int states[PASSED_MAX]; /* 0 free, 1 full */
	_Atomic bool is_over;
	struct tally *tally;
};

static inline void *give_back_later(void *argument)
{
	struct passing *passing = argument;
	bool is_over, is_idle = false;

	while (!is_idle) {
		uint32_t i;

		is_over = atomic_load(&passing->is_over);
		is_idle = is_over;
		for (i = PASSED_MAX; i-- > 0;) {
			if (!atomic_load(&passing->states[i]))
				continue;
			tally_span(passing->tally, 0, &passing->spans[i]);
			cw_lease_give_back(&passing->leases[i]);
			atomic_store(&passing->states[i], 0);
			is_idle = false;
		}
		rig_sleep_ms(1);
	}
	return NULL;
}

/* Capture on queue 0, each lease given back by another thread, until the sender has ended; close
 * with leases out. */
static inline void pass_on(struct passing *passing, struct cw_live *live, struct tally *tally,
			   const struct rig_sender *sender, struct cw_live_stats *stats)
{
	bool is_stopped = false;
	pthread_t thread;
	uint32_t at = 0;
	int result;

	memset(passing, 0, sizeof(*passing));
	passing->tally = tally;
	assert_int_equal(pthread_create(&thread, NULL, give_back_later, passing), 0);
	for (;;) {
		while (atomic_load(&passing->states[at]))
			at = (at + 1) % PASSED_MAX;
		result = cw_live_next(live, 0, 100, 10, &passing->spans[at], &passing->leases[at]);
		if (result == 1)
			atomic_store(&passing->states[at], 1);
		else if (result == -EAGAIN)
			rig_sleep_ms(1);
		else if (result < 0)
			break;
		if (!is_stopped && !rig_is_sending(sender))
			is_stopped = cw_live_stop(live, 0) == 0;
	}
	assert_int_equal(result, -ENODATA);
	cw_live_stats(live, 0, stats);
	cw_live_close(live);
	atomic_store(&passing->is_over, true);
	pthread_join(thread, NULL);
}

#endif
