/* SPDX-License-Identifier: BSD-3-Clause */
/* The self-test finds what is wrong: here capture is made to go wrong, one way at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <net/if.h>
#include <time.h>

#include "core/filter/filter.h"
#include "tests/rig/netns.h"
#include "tools/devices/selftest.h"

static char no_namespace[256];

/* ---- what goes wrong ---- */

static struct {
	bool filter_passes_all, filter_passes_none;
	int64_t clock_s; /* added to the time of day */
	bool damages, stops_time;
	uint32_t loses; /* number of the packet of ours that is not handed out, from 1 */
	uint32_t repeats;
} wrong;

static uint32_t handed_out;

uint32_t __real_cw_filter_match(const struct cw_filter *filter, const uint8_t *data,
				uint32_t caplen, uint32_t wire_len);
uint32_t __wrap_cw_filter_match(const struct cw_filter *filter, const uint8_t *data,
				uint32_t caplen, uint32_t wire_len);
int __real_cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
				    uint32_t *count);
int __wrap_cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
				    uint32_t *count);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
size_t __real_cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
			     struct cw_packet *packets, size_t capacity);
size_t __wrap_cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
			     struct cw_packet *packets, size_t capacity);

uint32_t __wrap_cw_filter_match(const struct cw_filter *filter, const uint8_t *data,
				uint32_t caplen, uint32_t wire_len)
{
	if (wrong.filter_passes_all || wrong.filter_passes_none)
		return wrong.filter_passes_all;
	return __real_cw_filter_match(filter, data, caplen, wire_len);
}

/* The kernel would put right what the filter does wrong. */
int __wrap_cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
				    uint32_t *count)
{
	if (wrong.filter_passes_all)
		return -EOPNOTSUPP;
	return __real_cw_filter_kernel_program(filter, program, count);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = __real_clock_gettime(clock, now);

	if (clock == CLOCK_REALTIME)
		now->tv_sec += wrong.clock_s;
	return result;
}

static void damage(struct cw_packet *packet)
{
	static uint8_t copies[64][256];
	uint8_t *copy = copies[handed_out % 64];

	memcpy(copy, packet->data, packet->caplen);
	copy[packet->caplen - 1] ^= 1;
	packet->data = copy;
}

size_t __wrap_cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
			     struct cw_packet *packets, size_t capacity)
{
	size_t count = __real_cw_span_decode(span, cursor, packets, 1);

	(void)capacity;
	for (size_t i = 0; i < count; i++) {
		handed_out++;
		if (wrong.damages)
			damage(&packets[i]);
		if (wrong.stops_time)
			packets[i].ts_ns -= packets[i].ts_ns % 1000000000;
		if (handed_out == wrong.loses)
			packets[i].caplen = 0; /* somebody else's, then */
	}
	if (count && handed_out == wrong.repeats)
		*cursor = (struct cw_cursor){0}; /* the span once more */
	return count;
}

/* ---- tests ---- */

/* The loopback device as the system tells it. */
static int test_loopback(enum cw_selftest_mode mode, struct cw_selftest_result *result)
{
	struct cw_netdev device = {.name = "lo", .flags = IFF_UP | IFF_LOOPBACK};

	device.ifindex = (int)if_nametoindex("lo");
	handed_out = 0;
	return cw_selftest(&device, &device, mode, result);
}

static void need_namespace(void)
{
	memset(&wrong, 0, sizeof(wrong));
	if (no_namespace[0]) {
		print_message("%s\n", no_namespace);
		skip();
	}
}

static void where_nothing_is_wrong_all_modes_pass(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	for (int mode = CW_SELFTEST_BASIC; mode <= CW_SELFTEST_TIMESTAMP; mode++) {
		assert_int_equal(test_loopback((enum cw_selftest_mode)mode, &result), 0);
		assert_int_equal(result.failure.code, 0);
		assert_int_equal(result.sent, CW_SELFTEST_FRAMES);
		assert_int_equal(result.seen, result.expected);
		assert_int_equal(result.expected, mode == CW_SELFTEST_FILTERED
						      ? CW_SELFTEST_FRAMES / 2
						      : CW_SELFTEST_FRAMES);
		assert_int_equal(result.seen_wrongly, 0);
		assert_string_equal(result.backend, "packet");
	}
	assert_true(result.has_ns);
}

static void filter_that_passes_too_much_is_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.filter_passes_all = true;
	assert_int_equal(test_loopback(CW_SELFTEST_FILTERED, &result), -EBADMSG);
	assert_non_null(strstr(result.failure.text, "should not"));
	assert_int_equal(result.seen, CW_SELFTEST_FRAMES / 2);
	assert_in_range(result.seen_wrongly, CW_SELFTEST_FRAMES / 2 - 1, CW_SELFTEST_FRAMES);
}

static void filter_that_passes_nothing_is_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.filter_passes_none = true;
	assert_int_equal(test_loopback(CW_SELFTEST_FILTERED, &result), -ETIMEDOUT);
	assert_non_null(strstr(result.failure.text, "none of 8 packets sent on lo was captured"));
}

static void clock_of_another_time_is_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.clock_s = 3600;
	assert_int_equal(test_loopback(CW_SELFTEST_TIMESTAMP, &result), -ERANGE);
	assert_in_range(-result.clock_off_ns, 3599000000000, 3601000000000);
	assert_non_null(strstr(result.failure.text, "s before their capture"));
	wrong.clock_s = -3600;
	assert_int_equal(test_loopback(CW_SELFTEST_TIMESTAMP, &result), -ERANGE);
	assert_in_range(result.clock_off_ns, 3599000000000, 3601000000000);
	assert_non_null(strstr(result.failure.text, "s after their capture"));
	assert_int_equal(test_loopback(CW_SELFTEST_BASIC, &result), 0);
}

static void times_that_do_not_rise_are_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.stops_time = true;
	assert_int_equal(test_loopback(CW_SELFTEST_TIMESTAMP, &result), -ERANGE);
	assert_true(result.seen_wrongly >= CW_SELFTEST_FRAMES - 2);
	assert_false(result.has_ns);
}

static void damaged_packets_are_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.damages = true;
	assert_int_equal(test_loopback(CW_SELFTEST_BASIC, &result), -EBADMSG);
	assert_int_equal(result.seen_wrongly, CW_SELFTEST_FRAMES);
	assert_non_null(strstr(result.failure.text, "damaged"));
}

static void repeated_packets_are_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.repeats = 1;
	assert_int_equal(test_loopback(CW_SELFTEST_BASIC, &result), -EBADMSG);
	assert_int_equal(result.seen_wrongly, 1);
	assert_non_null(strstr(result.failure.text, "capweir devices -i lo"));
}

static void lost_packets_are_found(void **state)
{
	struct cw_selftest_result result;

	(void)state;
	need_namespace();
	wrong.loses = 5;
	assert_int_equal(test_loopback(CW_SELFTEST_BASIC, &result), -EIO);
	assert_int_equal(result.seen, CW_SELFTEST_FRAMES - 1);
	assert_non_null(strstr(result.failure.text, "1 of 16 packets"));
}

static int enter(void **state)
{
	(void)state;
	netns_enter(no_namespace, sizeof(no_namespace));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(where_nothing_is_wrong_all_modes_pass),
	    cmocka_unit_test(filter_that_passes_too_much_is_found),
	    cmocka_unit_test(filter_that_passes_nothing_is_found),
	    cmocka_unit_test(clock_of_another_time_is_found),
	    cmocka_unit_test(times_that_do_not_rise_are_found),
	    cmocka_unit_test(damaged_packets_are_found),
	    cmocka_unit_test(repeated_packets_are_found),
	    cmocka_unit_test(lost_packets_are_found),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
