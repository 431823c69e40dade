/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that change under a live run. The same frames with the boundaries that the run reports,
 * rule by rule and frame by frame through libpcap's own interpreter, must give the files that the
 * run gave: the slow, obvious way. And what many reloads cost.
 */
#include <pcap/pcap.h>

#include "tests/pipeline/reload/reload_run.h"

#define PART 500u /* packets of a rule set, more or less */

/* ---- the slow way ---- */

/* What each output must hold, by name: numbers of frames in the order of their queue. */
struct expected {
	char name[32];
	uint64_t *numbers;
	uint64_t count;
};

struct twin {
	struct expected *outputs;
	uint32_t output_count;
	uint64_t frame_count;
};

static struct expected *expected_of(struct twin *twin, const char *name)
{
	uint32_t index;

	for (index = 0; index < twin->output_count; index++) {
		if (strcmp(twin->outputs[index].name, name) == 0)
			return &twin->outputs[index];
	}
	twin->outputs = realloc(twin->outputs, (twin->output_count + 1) * sizeof(*twin->outputs));
	assert_non_null(twin->outputs);
	twin->outputs[twin->output_count] =
	    (struct expected){.numbers = calloc(twin->frame_count + 1, sizeof(uint64_t))};
	assert_non_null(twin->outputs[twin->output_count].numbers);
	snprintf(twin->outputs[twin->output_count].name, sizeof(twin->outputs[0].name), "%s", name);
	return &twin->outputs[twin->output_count++];
}

/* Frames [from, to) of a queue that had frames first, first + step, ..., by these rules. */
static void expect_frames(struct twin *twin, const char *text, uint64_t from, uint64_t to,
			  uint64_t first, uint64_t step)
{
	const struct stamp_shape shape = {
	    .bytes = FRAME_BYTES, .flows = FLOWS, .vlan = STAMP_TAG_NONE, .outer = STAMP_TAG_NONE};
	static uint8_t frame[STAMP_FRAME_MAX];
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	struct cw_rules rules;
	uint32_t index;

	assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "rules.yaml", NULL), 0);
	for (index = 0; index < rules.count; index++) {
		struct bpf_program program;
		uint64_t place;

		assert_int_equal(pcap_compile(pcap, &program, rules.rules[index].filter, 1,
					      PCAP_NETMASK_UNKNOWN),
				 0);
		for (place = from; place < to; place++) {
			uint64_t number = first + place * step;
			uint32_t bytes = stamp_build(frame, &shape, number);
			struct expected *expected;

			if (!bpf_filter(program.bf_insns, frame, bytes, bytes))
				continue;
			expected = expected_of(twin, rules.rules[index].name);
			expected->numbers[expected->count++] = number;
		}
		pcap_freecode(&program);
	}
	cw_rules_fini(&rules);
	pcap_close(pcap);
}

/* The rule's files, one after the other, hold just these frames; of one queue, in this order. */
static void check_rule(const struct cw_report *report, const struct expected *expected)
{
	const struct cw_report_rule *rule = rule_of(report, expected->name);
	char problem[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const uint8_t *data;
	uint64_t at = 0;
	uint32_t file;

	assert_int_equal(rule->matched, expected->count);
	assert_int_equal(rule->written, expected->count);
	for (file = 0; file < rule->file_count; file++) {
		pcap_t *pcap = pcap_open_offline(rule->files[file], problem);

		assert_non_null(pcap);
		while (pcap_next_ex(pcap, &header, &data) == 1) {
			assert_true(header->caplen >= 58 && at < expected->count);
			assert_int_equal(cw_load_be32(data + 50),
					 expected->numbers[at] & 0xffffffff);
			at++;
		}
		pcap_close(pcap);
	}
	assert_int_equal(at, expected->count);
}

static void twin_fini(struct twin *twin)
{
	while (twin->output_count)
		free(twin->outputs[--twin->output_count].numbers);
	free(twin->outputs);
}

/* ---- tests ---- */

/* Reloads while frames come. The texts of all generations, by number; [0] unused. */
static uint32_t reload_under_load(struct run *run, char **texts, uint32_t count, uint64_t *frames)
{
	const struct rig_sending endless = sending(0, UINT64_C(1) << 40);
	struct cw_reload_status status;
	struct rig_sender sender;
	uint32_t generation = 1, index;
	uint64_t packets;

	assert_true(rig_start_sender(&sender, &endless));
	WAIT_UNTIL(packets_of(run) > 0);
	for (index = 1; index < count; index++) {
		static const char *const faulty[] = {
		    "rules:\n  a: {filter: udp, write: a.pcap\n",
		    "rules:\n  a: {filter: 'tcp prot 80', write: a.pcap}\n",
		    "rules: {a: {filter: udp, write: a.pcap}, b: {filter: tcp, write: a.pcap}}\n",
		    "rules:\n  a: {filter: udp, write: nowhere/a.pcap}\n", "rules: {}\n"};

		if (index % 2) {
			assert_false(
			    reload(run, faulty[index / 2 % CW_ARRAY_COUNT(faulty)], &status));
			assert_int_equal(status.generation, generation);
			assert_non_null(strstr(status.text, "generation"));
			continue;
		}
		texts[generation + 1] = make_rules(generation + 1, index * 37 % 300);
		if (!reload(run, texts[generation + 1], &status))
			fail_msg("%s", status.text);
		generation++;
		assert_int_equal(status.generation, generation);
		packets = packets_of(run);
		WAIT_UNTIL(packets_of(run) > packets + PART); /* some of them are its */
	}
	kill(sender.child, SIGTERM);
	*frames = rig_end_sender(&sender);
	WAIT_UNTIL(packets_of(run) == *frames);
	return generation;
}

static void files_are_those_of_the_slow_way(void **state)
{
	static struct run run; /* a failed test's threads go on */
	char *texts[GENERATIONS_MAX + 2] = {0};
	struct twin twin = {0};
	uint64_t frames;
	struct cw_report report;
	uint32_t index, count;

	NEED_DEVICES();
	texts[1] = make_rules(1, 0);
	make_run(&run, texts[1], 1);
	count = reload_under_load(&run, texts, scaled(50, 20), &frames);
	twin.frame_count = frames;
	stop_run(&run, &report);
	assert_true(report.is_complete); /* a refused reload is no problem */
	assert_int_equal(report.generation, count);
	assert_int_equal(report.generation_count, count);
	assert_int_equal(report.reloads_accepted, count - 1);
	assert_true(report.reloads_refused > 0);
	assert_int_equal(report.queues[0].stats.received, frames);
	for (index = 0; index < count; index++) {
		uint64_t from = report.generations[index].firsts[0], to = frames;
		uint32_t later;

		assert_int_equal(report.generations[index].number, index + 1);
		if (from == UINT64_MAX)
			continue;
		for (later = index + 1; later < count && to == frames; later++) {
			if (report.generations[later].firsts[0] != UINT64_MAX)
				to = report.generations[later].firsts[0];
		}
		assert_true(from <= to);
		expect_frames(&twin, texts[index + 1], from, to, 0, 1);
	}
	assert_true(twin.output_count >= 4);
	for (index = 0; index < twin.output_count; index++)
		check_rule(&report, &twin.outputs[index]);
	assert_int_equal(rule_of(&report, "all")->written, frames);
	assert_int_equal(rule_of(&report, "all")->file_count, 1);
	assert_int_equal(rule_of(&report, "turns")->file_count, 1);
	assert_true(rule_of(&report, "odd")->file_count > 1);
	assert_true(rule_of(&report, "moves")->file_count > 1);
	printf("%u generations, longest pause of a worker: %.2f ms (good: below "
	       "%.0f)\n",
	       count, (double)longest_pause_ns * 1e-6, (double)PAUSE_NS_GOOD * 1e-6);
	twin_fini(&twin);
	for (index = 1; index <= count; index++)
		free(texts[index]);
	end_run(&run, &report);
}

/* Two queues: each has its own boundary, and both together lose nothing. */
static void each_queue_has_one_boundary(void **state)
{
	static struct run run;
	char *texts[GENERATIONS_MAX + 2] = {0};
	struct cw_report report;
	uint64_t frames, expected = 0;
	uint32_t index, queue, count;

	NEED_DEVICES();
	texts[1] = make_rules(1, 0);
	make_run(&run, texts[1], 2);
	count = reload_under_load(&run, texts, scaled(30, 10), &frames);
	stop_run(&run, &report);
	for (queue = 0; queue < 2; queue++) {
		uint64_t at = 0;

		for (index = 0; index < count; index++) {
			uint64_t first = report.generations[index].firsts[queue];

			if (first == UINT64_MAX)
				continue;
			assert_true(first >= at); /* boundaries come in order */
			at = first;
		}
		assert_true(at <= report.queues[queue].stats.received);
	}
	/* `odd` takes all of flow 1 in generations 3, 13, ...: it is in force for odd ones only. */
	expected = rule_of(&report, "all")->written;
	assert_int_equal(expected, frames);
	assert_int_equal(report.books.in_files, report.books.matched);
	for (index = 1; index <= count; index++)
		free(texts[index]);
	end_run(&run, &report);
}

static double resident_mb(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long all, resident, shared;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu %llu", &all, &resident, &shared), 3);
	fclose(file);
	return (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE) * 1e-6;
}

static size_t allocated_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* The long one: half of them faulty, 1 to 1,000 rules; memory and pauses are told. */
static void many_reloads_lose_nothing_and_do_not_grow(void **state)
{
	const uint32_t reloads = getenv("CAPWEIR_LIVE_LONG") ? 10000 : scaled(400, 100);
	const uint32_t sizes[] = {0, 10, 100, 3, 996, 30};
	const uint32_t cycle = 2 * CW_ARRAY_COUNT(sizes);
	struct rig_sending endless = sending(0, UINT64_C(1) << 40);
	char *texts[CW_ARRAY_COUNT(sizes)];
	struct cw_reload_status status;
	size_t before = SIZE_MAX, after = SIZE_MAX;
	double resident = 0, undisturbed_ms;
	struct rig_sender sender;
	static struct run run;
	struct cw_report report;
	struct cw_progress progress;
	uint32_t index;

	NEED_DEVICES();
	for (index = 0; index < CW_ARRAY_COUNT(sizes); index++)
		texts[index] =
		    make_rules(2 + 6 * index, sizes[index]); /* none is odd; moves stays */
	make_run(&run, texts[0], 2);
	endless.rate = rate() / 2;
	assert_true(rig_start_sender(&sender, &endless));
	WAIT_UNTIL(packets_of(&run) >= endless.rate / 2);
	undisturbed_ms = (double)atomic_exchange(&longest_pause_ns, 0) * 1e-6;
	for (index = 0; index < reloads; index++) {
		/* The least of several cycles, at their begin: old generations go in time. */
		if (index % cycle == 0 && index >= reloads / 10 && index <= reloads / 5) {
			before = least(before, allocated_bytes());
			resident = resident_mb();
		}
		if (index % cycle == 0 && index >= reloads - reloads / 5)
			after = least(after, allocated_bytes());
		if (index % 2)
			assert_false(reload(
			    &run, "rules:\n  a: {filter: 'tcp prot', write: a.pcap}\n", &status));
		else if (!reload(&run, texts[index / 2 % CW_ARRAY_COUNT(sizes)], &status))
			fail_msg("%s", status.text);
	}
	printf("%u reloads: %.3f to %.3f MB allocated, %.2f to %.2f MB resident; longest pause "
	       "of a worker %.2f ms, %.2f ms before (good: below %.0f)\n",
	       reloads, (double)before * 1e-6, (double)after * 1e-6, resident, resident_mb(),
	       (double)longest_pause_ns * 1e-6, undisturbed_ms, (double)PAUSE_NS_GOOD * 1e-6);
	kill(sender.child, SIGTERM);
	waitpid(sender.child, NULL, 0);
	fclose(sender.report);
	WAIT_UNTIL((cw_pipeline_progress(run.pipeline, &progress),
		    progress.packets + progress.kernel_dropped == progress.kernel_seen));
	stop_run(&run, &report);
	assert_int_equal(report.reloads_accepted, reloads / 2);
	assert_int_equal(report.reloads_refused, reloads - reloads / 2);
	assert_int_equal(rule_of(&report, "all")->written, report.books.received);
	assert_int_equal(report.books.lost, 0);
#ifndef CW_SANITIZED /* they have another allocator */
	assert_true(after <= before + before / 100);
#endif
	end_run(&run, &report);
	for (index = 0; index < CW_ARRAY_COUNT(sizes); index++)
		free(texts[index]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_those_of_the_slow_way),
	    cmocka_unit_test(each_queue_has_one_boundary),
	    cmocka_unit_test(many_reloads_lose_nothing_and_do_not_grow),
	};

	return RUN_TESTS(540, tests, make_devices, NULL, argc, argv);
}
