/* SPDX-License-Identifier: BSD-3-Clause */
/* The check of samples, against a libpcap that lies. */
#include <pcap/pcap.h>

#include "tests/rig/file_run.h"

/* ---- what the linker wraps ---- */

/* A filter set and libpcap never differ, so one of them has to lie: about packets whose length on
 * the wire leaves LIE_REST when divided by this; 0: the truth. */
static _Atomic uint32_t lie_divisor;
#define LIE_REST 3u

static bool is_lied_about(uint32_t wire_len)
{
	uint32_t divisor = atomic_load(&lie_divisor);

	return divisor && wire_len % divisor == LIE_REST;
}

u_int __real_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen);
u_int __wrap_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen);
u_int __wrap_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen)
{
	u_int result = __real_bpf_filter(program, data, wire_len, caplen);

	return is_lied_about(wire_len) ? !result : result;
}

/* ---- samples ---- */

struct told {
	char texts[16][256];
	uint32_t count;
};

static void keep_told(void *context, enum cw_severity severity, const char *text)
{
	struct told *told = context;

	assert_int_equal(severity, CW_PROBLEM);
	assert_true(told->count < 16);
	snprintf(told->texts[told->count++], sizeof(told->texts[0]), "%s", text);
}

/* What a run has to count and tell that read the input over and over, and took so many packets. */
static void check_samples(const struct cw_report *report, const struct told *told, uint64_t every,
			  const char *who)
{
	uint64_t sampled = 0, differences = 0, index;
	struct cw_traffic *traffic;
	struct cw_packet packet;

	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	for (index = 0; index < report->books.received; index++) {
		if (index % input_packets == 0) {
			cw_traffic_close(traffic);
			assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
		}
		cw_traffic_next(traffic, &packet);
		if (index % every)
			continue;
		sampled++;
		if (!is_lied_about(packet.wire_len))
			continue;
		if (differences < 8) {
			char expected[256];

			snprintf(expected, sizeof(expected),
				 "packet %u of %s: %s: ", (unsigned)(index % input_packets) + 1,
				 input_path, who);
			assert_true(differences < told->count);
			assert_memory_equal(told->texts[differences], expected, strlen(expected));
		}
		differences++;
	}
	cw_traffic_close(traffic);
	assert_int_equal(report->verify.every, every);
	assert_int_equal(report->verify.sampled, sampled);
	assert_int_equal(report->verify.differences, differences);
	assert_int_equal(report->is_complete, differences == 0);
	assert_int_equal(told->count, differences > 8 ? 9 : differences ? differences + 1 : 0);
}

/* Two inputs, all sizes; `who` is what every lie concerns first. */
static void run_samples(struct setup *setup, uint32_t every, const char *who)
{
	const char *inputs[2] = {input_path, input_path};
	static const uint32_t threads[] = {1, 2, 4};
	uint32_t index;

	setup->options.inputs = inputs;
	setup->options.input_count = 2;
	setup->options.match.verify_every = every;
	setup->options.tell = keep_told;
	for (index = 0; index < CW_ARRAY_COUNT(threads); index++) {
		struct told told = {.count = 0};
		struct cw_report report;

		setup->options.context = &told;
		setup->options.threads = threads[index];
		setup->options.sizes.batch_records = index == 1 ? 37 : 0;
		assert_int_equal(run(setup, &report), 0);
		check_samples(&report, &told, every, who);
		cw_report_fini(&report);
	}
}

static void samples_agree_with_libpcap(void **state)
{
	static const enum cw_filter_engine engines[] = {CW_ENGINE_AUTO, CW_ENGINE_WALKER,
							CW_ENGINE_SEQUENTIAL};
	struct setup setup;
	uint32_t index;

	(void)state;
	make_setup(&setup, "agree", false, false);
	for (index = 0; index < CW_ARRAY_COUNT(engines); index++) {
		setup.options.match.engine = engines[index];
		setup.rules.mode = index == 1 ? CW_FILTER_FIRST : CW_FILTER_ALL;
		setup.options.match.prefilter = index == 2 ? "udp" : NULL;
		run_samples(&setup, 1 + 2 * index, "nobody");
	}
	end_setup(&setup);
}

static void differences_are_counted_and_told_whatever_the_threads(void **state)
{
	struct setup setup;

	(void)state;
	make_setup(&setup, "differ", false, false);
	atomic_store(&lie_divisor, 7);
	run_samples(&setup, 1, "rule r0");
	run_samples(&setup, 7, "rule r0");
	run_samples(&setup, 100, "rule r0");
	run_samples(&setup, 2 * input_packets - 1, "rule r0"); /* at most two samples */
	setup.options.match.prefilter = "udp";
	run_samples(&setup, 11, "the global filter");
	atomic_store(&lie_divisor, 0);
	end_setup(&setup);
}

/* Packets are matched, and so checked, beyond the end of such a run; they must not count. */
static void differences_beyond_the_last_packet_do_not_count(void **state)
{
	struct setup setup;
	uint32_t limit, factor = scale() < 1 ? 9 : 3;

	(void)state;
	make_setup(&setup, "limit", false, false);
	atomic_store(&lie_divisor, 5);
	for (limit = 1; limit < 2 * input_packets; limit = limit * factor + 1) {
		setup.options.packet_limit = limit;
		run_samples(&setup, 2, "rule r0");
	}
	atomic_store(&lie_divisor, 0);
	end_setup(&setup);
}

static void first_match_differences_name_the_lower_rule(void **state)
{
	struct told told = {.count = 0};
	struct cw_report report;
	struct setup setup;
	uint32_t index;

	(void)state;
	make_setup(&setup, "first", false, false);
	setup.rules.mode = CW_FILTER_FIRST;
	setup.options.match.verify_every = 1;
	setup.options.tell = keep_told;
	setup.options.context = &told;
	atomic_store(&lie_divisor, 7);
	assert_int_equal(run(&setup, &report), 0);
	atomic_store(&lie_divisor, 0);
	assert_int_equal(told.count, 9);
	for (index = 0; index < 8; index++)
		assert_non_null(strstr(told.texts[index], ": rule r0: libpcap "));
	assert_non_null(strstr(told.texts[8], "please report it"));
	assert_false(report.is_complete);
	assert_true(report.is_balanced);
	cw_report_fini(&report);
	end_setup(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(samples_agree_with_libpcap),
	    cmocka_unit_test(differences_are_counted_and_told_whatever_the_threads),
	    cmocka_unit_test(differences_beyond_the_last_packet_do_not_count),
	    cmocka_unit_test(first_match_differences_name_the_lower_rule),
	};

	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
