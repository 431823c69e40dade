/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks: sealed and copied in either order; taken, lent and given back by several threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/output/chunk.h"
#include "tests/rig/scale.h"

/* ThreadSanitizer holds a lock while it exchanges, so a signal handler cannot exchange then. */
#ifdef CW_SANITIZED
#define CAN_INTERFERE false
#else
#define CAN_INTERFERE true
#endif

static void a_chunk_is_complete_once_sealed_and_copied_in_either_order(void **state)
{
	struct cw_chunk_pool pool = {0};
	struct cw_chunk *a, *b;

	(void)state;
	assert_int_equal(cw_chunk_pool_init(&pool, 1024, 512), 0);
	a = cw_chunk_take(&pool);
	b = cw_chunk_take(&pool);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(cw_chunk_take(&pool));
	atomic_fetch_add(&a->pending, 10);
	assert_false(cw_chunk_copied(a, 4));
	assert_false(cw_chunk_copied(a, 6));
	assert_true(cw_chunk_seal(a));
	atomic_fetch_add(&b->pending, 10);
	assert_false(cw_chunk_seal(b));
	assert_true(cw_chunk_copied(b, 10));
	cw_chunk_give_back_any(&pool, a);
	assert_ptr_equal(cw_chunk_take(&pool), a);
	cw_chunk_pool_fini(&pool);
}

static void no_more_chunks_are_lent_than_are_free(void **state)
{
	(void)state;
	for (uint32_t count = 2; count < 12; count++) {
		for (uint32_t taken = 0; taken <= count; taken++) {
			struct cw_chunk_pool pool = {0};
			struct cw_chunk *lent[12];
			uint32_t number = 0;

			assert_int_equal(cw_chunk_pool_init(&pool, count * 512, 512), 0);
			for (uint32_t index = 0; index < taken; index++)
				assert_non_null(cw_chunk_take(&pool));
			while ((lent[number] = cw_chunk_lend_any(&pool)) != NULL)
				number++;
			assert_int_equal(number, (count - taken) / 2);
			assert_int_equal(cw_chunk_lent_count(&pool), number);
			assert_int_equal(cw_chunk_free_count(&pool), count - taken - number);
			for (uint32_t index = 0; index < number; index++)
				cw_chunk_return_any(&pool, lent[index]);
			assert_int_equal(cw_chunk_lent_count(&pool), 0);
			assert_int_equal(cw_chunk_free_count(&pool), count - taken);
			cw_chunk_pool_fini(&pool);
		}
	}
}

static void claimed_chunks_are_not_lent(void **state)
{
	struct cw_chunk_pool pool = {0};
	struct cw_chunk *lent;

	(void)state;
	assert_int_equal(cw_chunk_pool_init(&pool, 8 * 512, 512), 0);
	assert_false(cw_chunk_claim(&pool, 9));
	assert_int_equal(cw_chunk_free_count(&pool), 8);
	assert_true(cw_chunk_claim(&pool, 6));
	lent = cw_chunk_lend_any(&pool);
	assert_non_null(lent);
	assert_null(cw_chunk_lend_any(&pool));
	for (int index = 0; index < 5; index++)
		assert_non_null(cw_chunk_take(&pool));
	assert_true(cw_chunk_claim(&pool, 2)); /* the one left over, and the last one */
	assert_false(cw_chunk_claim(&pool, 3));
	cw_chunk_unclaim(&pool);
	assert_int_equal(cw_chunk_free_count(&pool), 2);
	cw_chunk_adopt(&pool);
	assert_int_equal(cw_chunk_lent_count(&pool), 0);
	cw_chunk_give_back_any(&pool, lent);
	assert_int_equal(cw_chunk_free_count(&pool), 3);
	cw_chunk_pool_fini(&pool);
}

/* ---- a chunk that leaves and comes back while another thread takes it ---- */

static struct cw_chunk_pool *halted_pool; /* its free list begins a page that is not writable */
static struct cw_chunk *halted_lent;      /* lent when the list is about to change */

/* At the first change of the free list: takes two chunks and gives the first one back. */
static void interfere(int number)
{
	struct cw_chunk *first;

	(void)number;
	mprotect(&halted_pool->free_list, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
	first = cw_chunk_lend_any(halted_pool);
	halted_lent = cw_chunk_lend_any(halted_pool);
	cw_chunk_return_any(halted_pool, first);
}

static void a_chunk_that_comes_back_meanwhile_is_not_taken_for_one_that_never_left(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory =
	    mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = {.sa_handler = interfere}, before;
	struct cw_chunk *lent[3];

	(void)state;
	if (!CAN_INTERFERE) {
		print_message("skipped: a sanitizer may hold a lock where the test interferes\n");
		skip();
	}
	assert_true(memory != MAP_FAILED);
	halted_pool = (void *)(memory + page - offsetof(struct cw_chunk_pool, free_list));
	assert_int_equal(cw_chunk_pool_init(halted_pool, (size_t)8 * 512, 512), 0);
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	assert_int_equal(mprotect(memory + page, page, PROT_READ), 0);
	lent[0] = cw_chunk_lend_any(halted_pool);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	assert_non_null(halted_lent);
	for (int index = 1; index < 3; index++)
		lent[index] = cw_chunk_lend_any(halted_pool);
	for (int index = 0; index < 3; index++) {
		assert_non_null(lent[index]);
		assert_ptr_not_equal(lent[index], halted_lent);
	}
	assert_null(cw_chunk_lend_any(halted_pool));
	cw_chunk_pool_fini(halted_pool);
	munmap(memory, 2 * page);
}

/* ---- several threads ---- */

#define CHUNKS 7u
#define BORROWERS 3u
#define STEPS 250000u
#define HELD_MAX 4u

/* What passes adopted chunks from the turn to the writer: full if all slots are. */
struct contest {
	struct cw_chunk_pool pool;
	_Atomic uint32_t holders[CHUNKS];
	struct cw_chunk *_Atomic written[CHUNKS];
	_Atomic(struct cw_chunk *) offered; /* a lent chunk to adopt */
	_Atomic uint32_t running;
	_Atomic uint32_t wrong_count;
};

static void note_held(struct contest *contest, const struct cw_chunk *chunk, uint32_t holder)
{
	uint32_t before = atomic_exchange(&contest->holders[chunk - contest->pool.chunks], holder);

	/* The memory is not atomic: ThreadSanitizer sees two threads that have the same chunk. */
	memset(chunk->memory, (int)holder, 512);
	if (before)
		atomic_fetch_add(&contest->wrong_count, 1);
}

static void note_left(struct contest *contest, const struct cw_chunk *chunk, uint32_t holder)
{
	uint32_t before = atomic_exchange(&contest->holders[chunk - contest->pool.chunks], 0);

	if (before != holder || chunk->memory[0] != holder || chunk->memory[511] != holder)
		atomic_fetch_add(&contest->wrong_count, 1);
}

struct borrower {
	struct contest *contest;
	uint32_t number;
};

/* Borrows, then offers chunks to the turn or returns them. */
static void *borrow(void *argument)
{
	const struct borrower *self = argument;
	struct contest *contest = self->contest;
	struct cw_chunk *held[HELD_MAX];
	uint32_t count = 0, random = self->number;

	for (uint32_t step = scaled(STEPS, 1000); step || count;) {
		struct cw_chunk *chunk, *none = NULL;

		random = random * 1664525 + 1013904223;
		if (step)
			step--;
		if (step && count < HELD_MAX && random >> 31) {
			chunk = cw_chunk_lend_any(&contest->pool);
			if (chunk) {
				note_held(contest, chunk, self->number);
				held[count++] = chunk;
			}
			continue;
		}
		if (!count)
			continue;
		chunk = held[--count];
		note_left(contest, chunk, self->number);
		if (!(random & 1 << 30) ||
		    !atomic_compare_exchange_strong(&contest->offered, &none, chunk))
			cw_chunk_return_any(&contest->pool, chunk);
	}
	atomic_fetch_sub(&contest->running, 1);
	return NULL;
}

/* Gives back what the turn has passed on. */
static void *write_chunks(void *argument)
{
	struct contest *contest = argument;
	bool is_last_round;

	do {
		is_last_round = atomic_load(&contest->running) == 0;
		for (uint32_t index = 0; index < CHUNKS; index++) {
			struct cw_chunk *chunk = atomic_exchange(&contest->written[index], NULL);

			if (!chunk)
				continue;
			note_left(contest, chunk, CHUNKS);
			cw_chunk_give_back_any(&contest->pool, chunk);
		}
		sched_yield();
	} while (!is_last_round);
	return NULL;
}

/* The turn: claims, takes and adopts; passes chunks on to be written. */
static void use_turn(struct contest *contest)
{
	uint32_t random = 99, claimed = 0;

	for (uint32_t step = scaled(STEPS, 1000); step; step--) {
		struct cw_chunk *chunk = NULL;

		random = random * 1664525 + 1013904223;
		if (random >> 31) {
			chunk = atomic_exchange(&contest->offered, NULL);
			if (chunk)
				cw_chunk_adopt(&contest->pool);
		} else if (claimed) {
			chunk = cw_chunk_take(&contest->pool);
			claimed--;
			assert_non_null(chunk);
		} else if (cw_chunk_claim(&contest->pool, 1 + (random >> 20) % 3)) {
			claimed = contest->pool.claimed_count;
		} else {
			sched_yield();
		}
		if (random % 64 == 0) {
			cw_chunk_unclaim(&contest->pool);
			claimed = 0;
		}
		if (!chunk)
			continue;
		note_held(contest, chunk, CHUNKS);
		atomic_store(&contest->written[chunk - contest->pool.chunks], chunk);
	}
	cw_chunk_unclaim(&contest->pool);
}

static void each_chunk_has_one_holder_though_threads_take_and_give_back(void **state)
{
	static struct contest contest;
	struct borrower borrowers[BORROWERS];
	pthread_t threads[BORROWERS + 1];
	struct cw_chunk *chunk;

	(void)state;
	assert_int_equal(cw_chunk_pool_init(&contest.pool, (size_t)CHUNKS * 512, 512), 0);
	atomic_store(&contest.running, BORROWERS + 1);
	for (uint32_t index = 0; index < BORROWERS; index++) {
		borrowers[index] = (struct borrower){&contest, index + 1};
		assert_int_equal(pthread_create(&threads[index], NULL, borrow, &borrowers[index]),
				 0);
	}
	assert_int_equal(pthread_create(&threads[BORROWERS], NULL, write_chunks, &contest), 0);
	use_turn(&contest);
	atomic_fetch_sub(&contest.running, 1);
	for (uint32_t index = 0; index <= BORROWERS; index++)
		pthread_join(threads[index], NULL);
	chunk = atomic_load(&contest.offered);
	if (chunk)
		cw_chunk_return_any(&contest.pool, chunk);
	assert_int_equal(contest.wrong_count, 0);
	assert_int_equal(cw_chunk_lent_count(&contest.pool), 0);
	assert_int_equal(cw_chunk_free_count(&contest.pool), CHUNKS);
	for (uint32_t index = 0; index < CHUNKS; index++) {
		chunk = cw_chunk_take(&contest.pool);
		assert_non_null(chunk);
		note_held(&contest, chunk, CHUNKS);
	}
	assert_null(cw_chunk_take(&contest.pool));
	assert_int_equal(contest.wrong_count, 0); /* each was there once */
	cw_chunk_pool_fini(&contest.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_chunk_is_complete_once_sealed_and_copied_in_either_order),
	    cmocka_unit_test(no_more_chunks_are_lent_than_are_free),
	    cmocka_unit_test(claimed_chunks_are_not_lent),
	    cmocka_unit_test(
		a_chunk_that_comes_back_meanwhile_is_not_taken_for_one_that_never_left),
	    cmocka_unit_test(each_chunk_has_one_holder_though_threads_take_and_give_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
