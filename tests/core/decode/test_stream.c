/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP streams: rules one by one, random segments against the slow way, hostile flows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/rig/stream_check.h"

/* What was delivered of one flow, as text: bytes, [n] for a gap, ^ for a start, $ for an end. */
static char got[2][4096];
static uint64_t piece_count;

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

static int calls_to_failure; /* 0: none fails */

void *__wrap_calloc(size_t count, size_t bytes)
{
	if (calls_to_failure && --calls_to_failure == 0)
		return NULL;
	return __real_calloc(count, bytes);
}

static void keep(void *context, const struct cw_stream_piece *piece)
{
	char *text = got[piece->direction];
	size_t used = strlen(text);

	(void)context;
	piece_count++;
	if (used + piece->bytes + 32 > sizeof(got[0]))
		return;
	if (piece->is_start)
		text[used++] = '^';
	if (piece->skipped)
		used += (size_t)sprintf(text + used, "[%u]", piece->skipped);
	if (piece->bytes)
		memcpy(text + used, piece->data, piece->bytes);
	used += piece->bytes;
	if (piece->is_end)
		text[used++] = '$';
	text[used] = '\0';
}

static struct cw_streams *open_streams(uint32_t flows_max, size_t buffer_bytes)
{
	const struct cw_streams_options options = {
	    .flows_max = flows_max, .buffer_bytes = buffer_bytes, .deliver = keep};
	struct cw_error error = {0};
	struct cw_streams *streams;

	memset(got, 0, sizeof(got));
	piece_count = 0;
	if (cw_streams_open(&streams, &options, &error) < 0)
		fail_msg("%s", error.text);
	return streams;
}

static void text(struct cw_streams *streams, unsigned side, uint8_t flags, uint32_t sequence,
		 const char *data)
{
	add_segment(streams, (struct segment){1, side, flags, sequence}, data,
		    (uint32_t)strlen(data));
}

static struct cw_streams_stats stats_of(const struct cw_streams *streams)
{
	struct cw_streams_stats stats;

	cw_streams_stats(streams, &stats);
	return stats;
}

static void both_directions_are_delivered_in_order(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, CW_TCP_SYN, 99, "");
	text(streams, 1, CW_TCP_SYN | CW_TCP_ACK, 499, "");
	text(streams, 0, CW_TCP_ACK, 100, "GET ");
	text(streams, 0, CW_TCP_ACK, 104, "/");
	text(streams, 1, CW_TCP_ACK, 500, "200");
	text(streams, 0, CW_TCP_ACK | CW_TCP_FIN, 105, "!");
	assert_string_equal(got[0], "^GET /!$");
	assert_string_equal(got[1], "^200");
	assert_int_equal(stats_of(streams).flow_count, 1);
	text(streams, 1, CW_TCP_ACK | CW_TCP_FIN, 503, "");
	assert_string_equal(got[1], "^200$");
	assert_int_equal(stats_of(streams).flow_count, 0);
	assert_int_equal(stats_of(streams).delivered_bytes, 9);
	cw_streams_close(streams);
}

static void segments_ahead_wait_for_the_gap(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, 0, UINT32_MAX - 1, "ab"); /* numbers wrap */
	text(streams, 0, CW_TCP_FIN, 6, "gh");
	text(streams, 0, 0, 2, "ef");
	assert_string_equal(got[0], "^ab");
	assert_int_equal(stats_of(streams).block_count, 2);
	text(streams, 0, 0, 0, "cd");
	assert_string_equal(got[0], "^abcdef");
	text(streams, 0, 0, 4, "XY");
	assert_string_equal(got[0], "^abcdefXYgh$");
	assert_int_equal(stats_of(streams).block_count, 0);
	cw_streams_close(streams);
}

static void what_comes_first_wins(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, 0, 0, "abc");
	text(streams, 0, 0, 0, "XXXX");   /* one byte is new */
	text(streams, 0, 0, 6, "ghi");    /* waits */
	text(streams, 0, 0, 5, "YYYYYY"); /* fills around what waits */
	text(streams, 0, 0, 2, "ZZZZZZ"); /* in order up to what waits */
	assert_string_equal(got[0], "^abcXZYghiYY");
	assert_int_equal(stats_of(streams).duplicate_bytes, 3 + 3 + 5);
	cw_streams_close(streams);
}

static void gaps_are_given_up_when_too_much_waits(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);
	uint32_t index;

	(void)state;
	text(streams, 0, 0, 0, "a");
	for (index = 0; index < CW_STREAM_BLOCKS_MAX; index++)
		text(streams, 0, 0, 10 + 2 * index, "b");
	assert_string_equal(got[0], "^a");
	text(streams, 0, 0, 10 + 2 * index, "c");
	assert_string_equal(got[0], "^a[9]b");
	assert_int_equal(stats_of(streams).block_count, CW_STREAM_BLOCKS_MAX);
	cw_streams_flush(streams);
	assert_int_equal(strlen(got[0]), strlen("^a[9]b") + 4 * CW_STREAM_BLOCKS_MAX + 1);
	assert_int_equal(stats_of(streams).skipped_bytes, 9 + CW_STREAM_BLOCKS_MAX);
	cw_streams_close(streams);
}

static void without_blocks_gaps_are_given_up_at_once(void **state)
{
	struct cw_streams *streams = open_streams(8, 1);

	(void)state;
	text(streams, 0, 0, 0, "a");
	text(streams, 0, 0, 5, "b");
	text(streams, 0, 0, 1, "zz");
	assert_string_equal(got[0], "^a[4]b");
	cw_streams_close(streams);
}

static void resets_and_new_connections(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, CW_TCP_SYN, 0, "");
	text(streams, 0, 0, 1, "ab");
	text(streams, 0, CW_TCP_SYN, 0, ""); /* again the same: nothing */
	text(streams, 0, 0, 9, "lost");
	text(streams, 1, CW_TCP_RST, 0, "");
	assert_string_equal(got[0], "^ab$");
	assert_string_equal(got[1], "");
	assert_int_equal(stats_of(streams).dropped_bytes, 4);
	assert_int_equal(stats_of(streams).flow_count, 0);
	text(streams, 0, CW_TCP_SYN, 1000, "");
	text(streams, 0, 0, 1001, "cd");
	text(streams, 0, CW_TCP_SYN, 5000, "");
	text(streams, 0, 0, 5001, "ef");
	assert_string_equal(got[0], "^ab$^cd$^ef");
	text(streams, 1, CW_TCP_RST, 0, "");
	text(streams, 1, CW_TCP_RST, 0, ""); /* of no stream */
	assert_int_equal(stats_of(streams).started_flows, stats_of(streams).ended_flows);
	cw_streams_close(streams);
}

static void far_ahead_is_dropped(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, 0, 0, "a");
	text(streams, 0, 0, CW_STREAM_AHEAD_MAX + 2, "b");
	assert_int_equal(stats_of(streams).ahead_segments, 1);
	assert_int_equal(stats_of(streams).block_count, 0);
	text(streams, 0, 0, CW_STREAM_AHEAD_MAX + 1, "b");
	assert_int_equal(stats_of(streams).block_count, 1);
	cw_streams_close(streams);
}

static void what_waits_behind_the_end_is_dropped(void **state)
{
	struct cw_streams *streams = open_streams(8, 1 << 20);

	(void)state;
	text(streams, 0, 0, 0, "ab");
	text(streams, 0, 0, 9, "lost");
	text(streams, 0, CW_TCP_FIN, 2, "c");
	text(streams, 0, 0, 3, "late");
	assert_string_equal(got[0], "^abc$");
	assert_int_equal(stats_of(streams).dropped_bytes, 4);
	cw_streams_flush(streams);
	assert_string_equal(got[0], "^abc$");
	cw_streams_close(streams);
}

static void the_silent_flow_makes_room(void **state)
{
	struct cw_streams *streams = open_streams(2, 1 << 20);

	(void)state;
	add_segment(streams, (struct segment){1, 0, 0, 0}, "a", 1);
	add_segment(streams, (struct segment){1, 0, 0, 5}, "b", 1);
	add_segment(streams, (struct segment){2, 0, 0, 0}, "c", 1);
	add_segment(streams, (struct segment){1, 0, 0, 7}, "d", 1);
	add_segment(streams, (struct segment){3, 0, 0, 0}, "e",
		    1); /* 2 has been silent for longest */
	assert_int_equal(stats_of(streams).evicted_flows, 1);
	assert_string_equal(got[0], "^a^c$^e");
	add_segment(streams, (struct segment){2, 0, 0, 0}, "f", 1); /* now 1 */
	assert_string_equal(got[0], "^a^c$^e[4]b[1]d$^f");
	cw_streams_close(streams);
}

/* Segments of any place and length, whose bytes contradict each other, against the slow way. */
static void random_segments_are_as_by_hand(void **state)
{
	static struct slow_half slow;
	static uint8_t delivered[SLOW_BYTES];
	uint32_t round;

	(void)state;
	srand(11);
	for (round = 0; round < 60; round++) {
		struct cw_streams *streams = open_streams(4, 1 << 20);
		uint32_t first = (uint32_t)rand() * 2, count;
		uint32_t window = 200u + (uint32_t)rand() % 3000;

		memset(&slow, 0, sizeof(slow));
		memset(delivered, 0, sizeof(delivered));
		for (count = 0; count < 200; count++) {
			uint32_t bytes = 60 + (uint32_t)rand() % 400, i;
			uint32_t low = slow.next > 300 ? slow.next - 300 : 0;
			uint32_t sequence = first + low + (uint32_t)rand() % window;
			uint8_t data[512];

			if (count == 0 || rand() % 8 == 0)
				sequence = first + slow.next;
			for (i = 0; i < bytes; i++)
				data[i] = (uint8_t)('a' + rand() % 26);
			if (slow.next + window + 600 > 3900)
				break;
			add_segment(streams, (struct segment){1, 0, 0, sequence}, data, bytes);
			slow_add(&slow, sequence, data, bytes);
			assert_int_equal(strlen(got[0]), slow.next + 1);
			assert_memory_equal(got[0] + 1, slow.at, slow.next);
		}
		assert_int_equal(stats_of(streams).skipped_bytes, 0);
		cw_streams_close(streams);
	}
}

/* Half-open flows, and flows whose every segment is out of order: memory stays, each is ended. */
static void hostile_flows_stay_within_their_memory(void **state)
{
	struct cw_streams *streams = open_streams(1024, 1 << 20);
	size_t bytes = cw_streams_bytes(streams);
	uint32_t index;

	(void)state;
	for (index = 0; index < 1000000; index++)
		add_segment(streams, (struct segment){index, 0, CW_TCP_SYN, index}, NULL, 0);
	assert_int_equal(stats_of(streams).flow_count, 1024);
	assert_int_equal(stats_of(streams).evicted_flows, 1000000 - 1024);
	for (index = 0; index < 1000000; index++) {
		uint32_t turn = index / 500;

		/* The first of a flow; then pairs, the later first, with holes. */
		add_segment(streams,
			    (struct segment){index % 500, 0, CW_TCP_ACK,
					     (1u << 24) + (turn ? 1000 + (turn ^ 1) * 100 : 0)},
			    "0123456789", 10);
	}
	assert_true(stats_of(streams).block_count <= (1 << 20) / CW_STREAM_BLOCK_BYTES);
	assert_true(stats_of(streams).skipped_bytes > 0);
	cw_streams_flush(streams);
	assert_int_equal(stats_of(streams).block_count, 0);
	assert_int_equal(stats_of(streams).flow_count, 0);
	assert_int_equal(stats_of(streams).started_flows, stats_of(streams).ended_flows);
	assert_int_equal(cw_streams_bytes(streams), bytes);
	cw_streams_close(streams);
}

static void opening_says_what_failed(void **state)
{
	struct cw_streams_options options = {.flows_max = CW_STREAM_FLOWS_MAX + 1};
	struct cw_error error = {0};
	struct cw_streams *streams;
	int call;

	(void)state;
	assert_int_equal(cw_streams_open(&streams, &options, &error), -EINVAL);
	assert_non_null(strstr(error.text, "flows_max"));
	options.flows_max = 4;
	for (call = 1; call <= 4; call++) {
		calls_to_failure = call;
		assert_int_equal(cw_streams_open(&streams, &options, &error), -ENOMEM);
	}
	calls_to_failure = 0;
	cw_streams_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_directions_are_delivered_in_order),
	    cmocka_unit_test(segments_ahead_wait_for_the_gap),
	    cmocka_unit_test(what_comes_first_wins),
	    cmocka_unit_test(gaps_are_given_up_when_too_much_waits),
	    cmocka_unit_test(without_blocks_gaps_are_given_up_at_once),
	    cmocka_unit_test(resets_and_new_connections),
	    cmocka_unit_test(far_ahead_is_dropped),
	    cmocka_unit_test(what_waits_behind_the_end_is_dropped),
	    cmocka_unit_test(the_silent_flow_makes_room),
	    cmocka_unit_test(random_segments_are_as_by_hand),
	    cmocka_unit_test(hostile_flows_stay_within_their_memory),
	    cmocka_unit_test(opening_says_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
