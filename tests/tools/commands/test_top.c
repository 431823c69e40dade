/* SPDX-License-Identifier: BSD-3-Clause */
/* What capweir top makes of two answers: rates, rows in order, and whose fault it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "tools/commands/top_model.h"
#include "tools/text/complain.h"

/* What tools/commands/ask.c complains by; nothing here does. */
void cw_complain(const char *format, ...)
{
	(void)format;
}

struct state {
	double elapsed_s;
	uint64_t seen, dropped, before, written, lost;
	uint64_t ring_used, batches_out, free, chunks;
	double cpu_s;
	bool has_failed;
};

static json_t *stats_of(const struct state *state)
{
	char text[2000];
	json_t *stats;

	snprintf(text, sizeof(text),
		 "{\"elapsed_s\": %f, \"packets\": %llu, \"bytes\": 0, \"lost_before_tap\": %llu,"
		 "\"interface_rx_dropped\": %llu," /* no loss */
		 "\"pool\": {\"chunks\": 100, \"free\": %llu},"
		 "\"queues\": [{\"device\": \"in\", \"queue\": 0, \"kernel_seen\": %llu,"
		 "\"kernel_dropped\": %llu, \"ring_used\": %llu, \"ring_blocks\": 64,"
		 "\"batches_out\": %llu, \"batches\": 10}], \"workers\": [{\"cpu_s\": %f}],"
		 "\"outputs\": [{\"rule\": \"quick\", \"matched\": 5, \"written\": 5, \"lost\": 0,"
		 "\"chunks\": 1, \"failed\": false}, {\"rule\": \"slow\", \"matched\": %llu,"
		 "\"written\": %llu, \"lost\": %llu, \"chunks\": %llu, \"failed\": %s}]}",
		 state->elapsed_s, (unsigned long long)state->seen,
		 (unsigned long long)state->before, (unsigned long long)state->seen,
		 (unsigned long long)state->free, (unsigned long long)state->seen,
		 (unsigned long long)state->dropped, (unsigned long long)state->ring_used,
		 (unsigned long long)state->batches_out, state->cpu_s,
		 (unsigned long long)state->seen, (unsigned long long)state->written,
		 (unsigned long long)state->lost, (unsigned long long)state->chunks,
		 state->has_failed ? "true" : "false");
	stats = json_loads(text, 0, NULL);
	assert_non_null(stats);
	return stats;
}

static void make(struct cw_top *top, const struct state *before, const struct state *now)
{
	json_t *first = stats_of(before), *second = stats_of(now);

	assert_int_equal(cw_top_make(top, first, second), 0);
	json_decref(first);
	json_decref(second);
}

static const struct state calm = {.elapsed_s = 10, .seen = 1000, .free = 90, .cpu_s = 1};

static void rows_come_in_the_packets_way(void **state)
{
	const struct state later = {.elapsed_s = 12,
				    .seen = 3000,
				    .free = 80,
				    .cpu_s = 2,
				    .written = 500,
				    .ring_used = 16,
				    .batches_out = 5,
				    .chunks = 9};
	struct cw_top top;

	(void)state;
	make(&top, &calm, &later);
	assert_int_equal(top.row_count, 6);
	assert_string_equal(top.rows[0].label, "kernel in:0");
	assert_true(top.rows[0].fill == 0.25 && top.rows[0].rate == 1000);
	assert_string_equal(top.rows[1].label, "queue in:0");
	assert_true(top.rows[1].fill == 0.5 && top.rows[1].rate < 0);
	assert_string_equal(top.rows[2].label, "worker 0");
	assert_true(top.rows[2].fill == 0.5);
	assert_string_equal(top.rows[3].label, "chunks");
	assert_true(top.rows[3].fill == 0.2);
	assert_string_equal(top.rows[4].label, "output slow"); /* it holds more */
	assert_true(top.rows[4].rate == 250);
	assert_string_equal(top.rows[5].label, "output quick");
	assert_false(top.is_losing);
	assert_non_null(strstr(top.bottleneck, "none: nothing is lost"));
	cw_top_fini(&top);
}

static void the_stage_that_holds_the_others_up_is_named(void **state)
{
	static const struct {
		struct state now;
		const char *words;
	} cases[] = {
	    {{.free = 1,
	      .dropped = 50,
	      .chunks = 98,
	      .ring_used = 64,
	      .batches_out = 10,
	      .cpu_s = 1},
	     "output slow: written too slowly; the kernel drops 50/s"},
	    {{.free = 80, .dropped = 50, .ring_used = 64, .batches_out = 10, .cpu_s = 2},
	     "workers: "},
	    {{.free = 80, .dropped = 50, .ring_used = 64, .batches_out = 10, .cpu_s = 1},
	     "workers: all batches of queue in:0 wait"},
	    {{.free = 80, .dropped = 50, .ring_used = 64, .batches_out = 1, .cpu_s = 1},
	     "capture: "},
	    {{.free = 30, .lost = 7, .chunks = 60, .cpu_s = 1},
	     "output slow: is written too slowly and loses 7/s"},
	    {{.free = 80, .has_failed = true, .cpu_s = 1, .seen = 1200},
	     "output slow: fails and loses 200/s"},
	    {{.free = 80, .before = 9, .cpu_s = 1}, "the interface: loses 9/s"},
	};
	struct cw_top top;
	size_t index;

	(void)state;
	for (index = 0; index < CW_ARRAY_COUNT(cases); index++) {
		struct state now = cases[index].now;

		now.elapsed_s = 11;
		now.seen = now.seen ? now.seen : 2000;
		make(&top, &calm, &now);
		if (strncmp(top.bottleneck, cases[index].words, strlen(cases[index].words)) != 0)
			fail_msg("case %zu: %s", index, top.bottleneck);
		assert_true(top.is_losing);
		cw_top_fini(&top);
	}
}

static void answers_that_say_nothing_are_shown_as_that(void **state)
{
	static const char *const texts[] = {
	    "{}", "{\"queues\": 7, \"outputs\": [1, {}], \"workers\": [0]}"};
	size_t index;

	(void)state;
	for (index = 0; index < CW_ARRAY_COUNT(texts); index++) {
		json_t *stats = json_loads(texts[index], 0, NULL);
		struct cw_top top;

		assert_int_equal(cw_top_make(&top, stats, stats), 0);
		assert_false(top.is_losing);
		cw_top_fini(&top);
		json_decref(stats);
	}
}

static void names_cannot_command_the_terminal(void **state)
{
	json_t *stats = json_loads("{\"queues\": [{\"device\": \"a\\u001b[2J\"}],"
				   "\"outputs\": [{\"rule\": \"b\\u009b2J\\nc\"}]}",
				   0, NULL);
	struct cw_top top;

	(void)state;
	assert_int_equal(cw_top_make(&top, stats, stats), 0);
	for (uint32_t index = 0; index < top.row_count; index++)
		for (const char *at = top.rows[index].label; *at; at++)
			assert_in_range((unsigned char)*at, ' ', '~');
	assert_string_equal(top.rows[0].label, "kernel a?[2J:0");
	cw_top_fini(&top);
	json_decref(stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_come_in_the_packets_way),
	    cmocka_unit_test(the_stage_that_holds_the_others_up_is_named),
	    cmocka_unit_test(names_cannot_command_the_terminal),
	    cmocka_unit_test(answers_that_say_nothing_are_shown_as_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
