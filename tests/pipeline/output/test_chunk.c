/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks: sealed and copied in either order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipeline/output/chunk.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_chunk_is_complete_once_sealed_and_copied_in_either_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
