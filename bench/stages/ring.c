/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ck_pr.h>

#include "bench/stages/ring.h"
#include "core/base/base.h"
#include "pipeline/threads/ring.h"

#define SPINS 1000u /* then the thread yields: there may be fewer cores than threads */

/* The obvious queue, for comparison. */
struct queue {
	pthread_mutex_t mutex;
	void *items[CW_STAGE_RING_CAPACITY];
	uint32_t head, count;
};

struct exchange { // NOLINT(clang-analyzer-optin.performance.Padding): is_over has its own line
	/* constant after start */
	enum cw_stage_ring_way way;
	uint64_t item_count;
	struct cw_ring *ring;
	struct queue *queue;
	/* written by the producer after its last push */
	_Alignas(CW_CACHE_LINE) atomic_bool is_over;
};

/* A consumer and its items; the pointers are numbers from 1. */
struct consumer {
	_Alignas(CW_CACHE_LINE) struct exchange *exchange;
	pthread_t thread;
	uint64_t count, sum;
};

static bool push(struct exchange *exchange, void *item)
{
	struct queue *queue = exchange->queue;
	bool is_pushed;

	if (exchange->way == CW_STAGE_RING)
		return cw_ring_push_spmc(exchange->ring, item);
	pthread_mutex_lock(&queue->mutex);
	is_pushed = queue->count < CW_STAGE_RING_CAPACITY;
	if (is_pushed)
		queue->items[(queue->head + queue->count++) % CW_STAGE_RING_CAPACITY] = item;
	pthread_mutex_unlock(&queue->mutex);
	return is_pushed;
}

static void *pop(struct exchange *exchange)
{
	struct queue *queue = exchange->queue;
	void *item = NULL;

	if (exchange->way == CW_STAGE_RING)
		return cw_ring_pop_spmc(exchange->ring);
	pthread_mutex_lock(&queue->mutex);
	if (queue->count) {
		item = queue->items[queue->head];
		queue->head = (queue->head + 1) % CW_STAGE_RING_CAPACITY;
		queue->count--;
	}
	pthread_mutex_unlock(&queue->mutex);
	return item;
}

static void rest(uint32_t *spins)
{
	if (++*spins < SPINS) {
		ck_pr_stall();
	} else {
		*spins = 0;
		sched_yield();
	}
}

static void *consume(void *context)
{
	struct consumer *consumer = context;
	struct exchange *exchange = consumer->exchange;
	uint64_t count = 0, sum = 0;
	uint32_t spins = 0;

	for (;;) {
		/* Read before the pop, so that every item pushed before the end is popped. */
		bool is_over = atomic_load(&exchange->is_over);
		void *item = pop(exchange);

		if (item) {
			count++;
			sum += (uintptr_t)item;
			spins = 0;
		} else if (is_over) {
			break;
		} else {
			rest(&spins);
		}
	}
	consumer->count = count;
	consumer->sum = sum;
	return NULL;
}

static void produce(struct exchange *exchange)
{
	uint32_t spins = 0;

	for (uint64_t number = 1; number <= exchange->item_count; number++) {
		while (!push(exchange, (void *)(uintptr_t)number))
			rest(&spins);
		spins = 0;
	}
	atomic_store(&exchange->is_over, true);
}

static int run(struct exchange *exchange, struct consumer *consumers, uint32_t count,
	       struct cw_stage_time *time, char *text)
{
	struct cw_stage_clock clock;
	uint64_t items = 0, sum = 0, all = exchange->item_count;
	uint32_t started = 0;
	int result = 0;

	cw_stage_start(&clock);
	for (; started < count && result == 0; started += result == 0) {
		consumers[started].exchange = exchange;
		result =
		    -pthread_create(&consumers[started].thread, NULL, consume, &consumers[started]);
	}
	if (result == 0)
		produce(exchange);
	atomic_store(&exchange->is_over, true);
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(consumers[i].thread, NULL);
		items += consumers[i].count;
		sum += consumers[i].sum;
	}
	cw_stage_stop(&clock, time);
	if (result < 0) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "cannot start a thread: %s", strerror(-result));
		return result;
	}
	if (items != all || sum != all * (all + 1) / 2) {
		snprintf(text, CW_STAGE_TEXT_BYTES,
			 "%llu items were pushed, %llu popped, not the same ones",
			 (unsigned long long)all, (unsigned long long)items);
		return -EIO;
	}
	return 0;
}

int cw_stage_ring(enum cw_stage_ring_way way, uint32_t consumers, uint64_t item_count,
		  struct cw_stage_time *time, char text[CW_STAGE_TEXT_BYTES])
{
	struct exchange exchange = {.way = way, .item_count = item_count};
	struct queue queue = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	struct consumer *each = NULL;
	int result = -ENOMEM;

	*time = (struct cw_stage_time){0};
	exchange.queue = &queue;
	if (consumers <= CW_STAGE_CONSUMERS_MAX)
		each = aligned_alloc(CW_CACHE_LINE, (consumers + 1) * sizeof(*each));
	if (each && cw_ring_new(&exchange.ring, CW_STAGE_RING_CAPACITY) == 0) {
		result = run(&exchange, each, consumers, time, text);
		cw_ring_free(exchange.ring);
	} else {
		snprintf(text, CW_STAGE_TEXT_BYTES, "out of memory");
	}
	free(each);
	return result;
}
