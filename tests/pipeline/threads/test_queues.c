/* SPDX-License-Identifier: BSD-3-Clause */
/* What passes work between threads: the ring, the gate and the ready set. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "pipeline/threads/gate.h"
#include "pipeline/threads/ready.h"
#include "pipeline/threads/ring.h"

static void a_ring_is_full_at_its_capacity_and_empty_after(void **state)
{
	int items[100];
	struct cw_ring *ring;
	size_t count = 0, index;

	(void)state;
	assert_int_equal(cw_ring_new(&ring, 5), 0);
	assert_null(cw_ring_pop_spmc(ring));
	while (count < 100 && cw_ring_push_spmc(ring, &items[count]))
		count++;
	assert_true(count >= 5 && count < 100);
	for (index = 0; index < count; index++)
		assert_ptr_equal(cw_ring_pop_spmc(ring), &items[index]);
	assert_null(cw_ring_pop_spmc(ring));
	cw_ring_free(ring);
}

/* The set against an array of flags, with numbers beyond one word and one summary word. */
static void a_ready_set_gives_each_number_once_in_rotation(void **state)
{
	static const uint32_t counts[] = {1, 63, 64, 65, 1000, 5000};
	uint32_t random = 1;
	size_t which;

	(void)state;
	for (which = 0; which < CW_ARRAY_COUNT(counts); which++) {
		uint32_t count = counts[which], from = 0, step;
		bool *is_in = calloc(count, sizeof(*is_in));
		struct cw_ready ready;

		assert_non_null(is_in);
		assert_int_equal(cw_ready_init(&ready, count), 0);
		for (step = 0; step < 20000; step++) {
			uint32_t expected = CW_READY_NONE, taken, index;

			random = random * 1664525 + 1013904223;
			index = (random >> 8) % count;
			if (random >> 31 && !is_in[index]) {
				cw_ready_add(&ready, index);
				is_in[index] = true;
				continue;
			}
			for (index = 0; index < count && expected == CW_READY_NONE; index++)
				if (is_in[(from + index) % count])
					expected = (from + index) % count;
			taken = cw_ready_take(&ready, from);
			assert_int_equal(taken, expected);
			if (taken != CW_READY_NONE) {
				is_in[taken] = false;
				from = (taken + 1) % count;
			}
		}
		cw_ready_fini(&ready);
		free(is_in);
	}
}

struct contest {
	struct cw_ring *ring;
	struct cw_gate gate;
	_Atomic uint64_t sum;
	_Atomic uint32_t taken;
};

#define CONTEST_ITEMS 20000u

static void *contest_consumer(void *argument)
{
	struct contest *contest = argument;

	for (;;) {
		uint32_t seen = cw_gate_look(&contest->gate);
		uint32_t *item = cw_ring_pop_spmc(contest->ring);

		if (item) {
			atomic_fetch_add(&contest->sum, *item);
			if (atomic_fetch_add(&contest->taken, 1) + 1 == CONTEST_ITEMS)
				cw_gate_signal_all(&contest->gate);
		} else if (atomic_load(&contest->taken) >= CONTEST_ITEMS) {
			return NULL;
		} else {
			cw_gate_wait(&contest->gate, seen);
		}
	}
}

static void every_item_reaches_one_of_several_sleepers(void **state)
{
	static uint32_t items[CONTEST_ITEMS];
	struct contest contest = {0};
	pthread_t threads[4];
	uint64_t expected = 0;
	uint32_t index;

	(void)state;
	assert_int_equal(cw_ring_new(&contest.ring, 64), 0);
	for (index = 0; index < 4; index++)
		pthread_create(&threads[index], NULL, contest_consumer, &contest);
	for (index = 0; index < CONTEST_ITEMS; index++) {
		items[index] = index;
		expected += index;
		while (!cw_ring_push_spmc(contest.ring, &items[index]))
			sched_yield();
		cw_gate_signal(&contest.gate);
	}
	for (index = 0; index < 4; index++)
		pthread_join(threads[index], NULL);
	assert_true(atomic_load(&contest.sum) == expected);
	cw_ring_free(contest.ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_ring_is_full_at_its_capacity_and_empty_after),
	    cmocka_unit_test(a_ready_set_gives_each_number_once_in_rotation),
	    cmocka_unit_test(every_item_reaches_one_of_several_sleepers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
