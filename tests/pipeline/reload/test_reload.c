/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that change under a live run. The same frames with the boundaries that the run reports,
 * rule by rule and frame by frame through libpcap's own interpreter, must give the files that the
 * run gave: the slow, obvious way. On virtual devices in a network namespace of the test's own;
 * where these cannot be made, each test is skipped and says so.
 */
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "core/base/clock.h"
#include "pipeline/threads/gate.h"
#include "pipeline/pipeline.h"
#include "tests/rig/live_rig.h"

#define PATIENCE_MS 30000u
#define FLOWS 8u
#define RULES_MAX 1000u
#define GENERATIONS_MAX 60u /* the report has the boundaries of 64 */
#define FRAME_BYTES 60u
#define PAUSE_NS_GOOD (UINT64_C(10) * 1000000)

static const char *reason; /* why there are no devices; NULL: there are */
static double scale = 1;

#define NEED_DEVICES()                                   \
	do {                                             \
		(void)state;                             \
		if (reason) {                            \
			printf("skipped: %s\n", reason); \
			skip();                          \
		}                                        \
	} while (0)

#define WAIT_UNTIL(condition)                                                          \
	do {                                                                           \
		uint64_t start_ns = cw_now_ns();                                       \
                                                                                       \
		while (!(condition)) {                                                 \
			if (cw_now_ns() - start_ns > PATIENCE_MS * UINT64_C(1000000))  \
				fail_msg("not in %u ms: %s", PATIENCE_MS, #condition); \
			rig_sleep_ms(1);                                               \
		}                                                                      \
	} while (0)

static uint32_t scaled(uint32_t count, uint32_t least)
{
	return (uint32_t)(count * scale) < least ? least : (uint32_t)(count * scale);
}

static uint32_t rate(void)
{
#ifdef CW_SANITIZED
	return 8000;
#else
	return 40000;
#endif
}

/* ---- a run whose rules are written by the test ---- */

struct run {
	struct cw_rules rules; /* the first */
	struct cw_pipeline_options options;
	struct cw_pipeline *pipeline;
	char folder[32];
	/* what the next reload reads; changed only between reloads */
	const char *text;
	_Atomic uint32_t reload_count;
	_Atomic bool shall_stand; /* the next worker that takes a batch stands still with it */
	_Atomic bool stands;
};

static const char *const devices[] = {"in"};

static int load_rules(void *context, struct cw_rules *rules, struct cw_error *error)
{
	const struct run *run = context;

	return cw_rules_parse(rules, run->text, strlen(run->text), "rules.yaml", error);
}

static void on_reload(void *context)
{
	struct run *run = context;

	atomic_fetch_add(&run->reload_count, 1);
}

/* ---- pauses ---- */

/*
 * How long a worker is held up with a batch: from taking it to looking for work again, without what
 * it waited for a core, which on a busy machine is nobody's fault here. Told, not judged.
 */
static _Atomic uint64_t longest_pause_ns;
static _Thread_local uint64_t taken_ns, taken_wait_ns; /* 0: it holds none */

/* What this thread has waited for a core in all. */
static uint64_t waited_ns(void)
{
	static _Thread_local int fd = -1;
	unsigned long long ran, waited = 0;
	char text[128] = {0};

	if (fd < 0) {
		snprintf(text, sizeof(text), "/proc/self/task/%d/schedstat", (int)gettid());
		fd = open(text, O_RDONLY | O_CLOEXEC); /* as long as the test program runs */
	}
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return 0;
	return waited;
}

static void end_batch(void)
{
	uint64_t pause_ns, waited, longest_ns = atomic_load(&longest_pause_ns);

	if (!taken_ns)
		return;
	pause_ns = cw_now_ns() - taken_ns;
	taken_ns = 0;
	if (pause_ns <= longest_ns)
		return;
	waited = waited_ns() - taken_wait_ns;
	pause_ns -= waited < pause_ns ? waited : pause_ns;
	while (pause_ns > longest_ns &&
	       !atomic_compare_exchange_weak(&longest_pause_ns, &longest_ns, pause_ns))
		;
}

void __real_cw_gate_wait(struct cw_gate *gate, uint32_t seen);
void __wrap_cw_gate_wait(struct cw_gate *gate, uint32_t seen);

void __wrap_cw_gate_wait(struct cw_gate *gate, uint32_t seen)
{
	end_batch();
	__real_cw_gate_wait(gate, seen);
}

static void on_batch(void *context, uint32_t worker, uint32_t lane)
{
	struct run *run = context;

	(void)worker;
	(void)lane;
	end_batch();
	if (atomic_exchange(&run->shall_stand, false)) {
		atomic_store(&run->stands, true);
		while (atomic_load(&run->stands))
			rig_sleep_ms(1);
	}
	taken_wait_ns = waited_ns();
	taken_ns = cw_now_ns();
}

static void tell(void *context, enum cw_severity severity, const char *text)
{
	(void)context;
	if (severity == CW_PROBLEM)
		fprintf(stderr, "told: %s\n", text);
}

static void make_run(struct run *run, const char *text, uint32_t queues)
{
	struct cw_error error = {0};

	memset(run, 0, sizeof(*run));
	atomic_store(&longest_pause_ns, 0);
	strcpy(run->folder, "/tmp/capweir-live-XXXXXX");
	assert_non_null(mkdtemp(run->folder));
	if (cw_rules_parse(&run->rules, text, strlen(text), "rules.yaml", &error) < 0)
		fail_msg("%s", error.text);
	cw_pipeline_options_init(&run->options);
	run->options.devices = devices;
	run->options.device_count = 1;
	run->options.rules = &run->rules;
	run->options.directory = run->folder;
	run->options.threads = 2;
	run->options.batch_records = 256;
	run->options.live.queue_count = queues;
	run->options.live.fanout = CW_FANOUT_LB;
	run->options.live.block_bytes = (size_t)64 << 10;
	run->options.live.block_count = 512;
	run->options.live.retire_ms = 2;
	run->options.live.snaplen = 256;
	run->options.load_rules = load_rules;
	run->options.on_reload = on_reload;
	run->options.on_batch = on_batch;
	run->options.tell = tell;
	run->options.context = run;
	if (cw_pipeline_start(&run->pipeline, &run->options, &error) < 0)
		fail_msg("%s", error.text);
}

/* Ask and wait for the answer. Whether it was accepted. */
static bool reload(struct run *run, const char *text, struct cw_reload_status *status)
{
	uint64_t number;

	run->text = text;
	number = cw_pipeline_request_reload(run->pipeline);
	assert_true(number > 0);
	do {
		WAIT_UNTIL(
		    (cw_pipeline_reload_status(run->pipeline, status), status->served >= number));
	} while (status->served < number);
	return status->was_accepted;
}

static uint64_t packets_of(struct run *run)
{
	struct cw_progress progress;

	cw_pipeline_progress(run->pipeline, &progress);
	return progress.packets;
}

static struct rig_sending sending(uint64_t first, uint64_t count)
{
	return (struct rig_sending){.program = CW_SENDER,
				    .device = "out",
				    .shape = {.bytes = FRAME_BYTES,
					      .flows = FLOWS,
					      .vlan = STAMP_TAG_NONE,
					      .outer = STAMP_TAG_NONE},
				    .first = first,
				    .count = count,
				    .rate = rate()};
}

static void send_frames(uint64_t first, uint64_t count)
{
	const struct rig_sending frames = sending(first, count);

	assert_int_equal(rig_send(&frames), count);
}

static bool has_ended(const struct run *run)
{
	struct pollfd done = {.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN};

	return poll(&done, 1, 0) == 1;
}

static void stop_run(struct run *run, struct cw_report *report)
{
	cw_pipeline_request_stop(run->pipeline);
	WAIT_UNTIL(has_ended(run));
	assert_int_equal(cw_pipeline_finish(run->pipeline, report), 0);
	assert_true(report->is_balanced);
	assert_int_equal(report->kernel_dropped, 0);
}

static void end_run(struct run *run, struct cw_report *report)
{
	cw_report_fini(report);
	cw_pipeline_free(run->pipeline);
	rig_run("rm -rf '%s'", run->folder);
	cw_rules_fini(&run->rules);
}

static const struct cw_report_rule *rule_of(const struct cw_report *report, const char *name)
{
	uint32_t index;

	for (index = 0; index < report->rule_count; index++) {
		if (strcmp(report->rules[index].rule->name, name) == 0)
			return &report->rules[index];
	}
	fail_msg("no rule %s in the report", name);
	return NULL;
}

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

/* ---- rules ---- */

/* Rules of a generation: `all` stays, others come, go, and change; as many fillers as asked. */
static char *make_rules(uint32_t number, uint32_t filler_count)
{
	static const char *const filters[] = {"udp", "src host 10.0.0.1", "src port 10002",
					      "src net 10.0.0.4/30", "ip[15] & 1 = 1"};
	size_t room = 4096 + (size_t)filler_count * 96;
	char *text = malloc(room);
	size_t used;
	uint32_t index;

	assert_non_null(text);
	used = (size_t)snprintf(text, room,
				"rules:\n"
				"  all: {filter: udp, write: all.pcap}\n"
				"  turns: {filter: '%s', write: turns.pcap}\n",
				filters[number % CW_ARRAY_COUNT(filters)]);
	if (number % 2)
		used += (size_t)snprintf(text + used, room - used,
					 "  odd: {filter: '%s', write: odd.pcap}\n",
					 filters[number / 2 % CW_ARRAY_COUNT(filters)]);
	used += (size_t)snprintf(text + used, room - used,
				 "  moves: {filter: 'src port 10003', write: moves%u.pcap}\n",
				 number / 3 % 2);
	/* They never match, and their names need a packet's time: no files. */
	for (index = 0; index < filler_count; index++)
		used += (size_t)snprintf(
		    text + used, room - used,
		    "  f%u: {filter: 'dst host 10.9.%u.%u', write: 'f-%%s-{rule}.pcap'}\n", index,
		    index / 250, index % 250);
	return text;
}

/* ---- tests ---- */

/* Reloads while frames come. The texts of all generations, by number; [0] unused. */
static uint32_t reload_under_load(struct run *run, char **texts, uint32_t count, uint64_t frames)
{
	const struct rig_sending all = sending(0, frames);
	struct cw_reload_status status;
	struct rig_sender sender;
	uint32_t generation = 1, index;

	assert_true(rig_start_sender(&sender, &all));
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
	}
	assert_int_equal(rig_end_sender(&sender), frames);
	WAIT_UNTIL(packets_of(run) == frames);
	return generation;
}

static void files_are_those_of_the_slow_way(void **state)
{
	const uint64_t frames = scaled(40000, 8000);
	static struct run run; /* a failed test's threads go on */
	char *texts[GENERATIONS_MAX + 2] = {0};
	struct twin twin = {.frame_count = frames};
	struct cw_report report;
	uint32_t index, count;

	NEED_DEVICES();
	texts[1] = make_rules(1, 0);
	make_run(&run, texts[1], 1);
	count = reload_under_load(&run, texts, scaled(50, 20), frames);
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
	const uint64_t frames = scaled(30000, 8000);
	static struct run run;
	char *texts[GENERATIONS_MAX + 2] = {0};
	struct cw_report report;
	uint64_t expected = 0;
	uint32_t index, queue, count;

	NEED_DEVICES();
	texts[1] = make_rules(1, 0);
	make_run(&run, texts[1], 2);
	count = reload_under_load(&run, texts, scaled(30, 10), frames);
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

/* What was removed, and came back, goes on under its name in the report. */
static void a_rule_that_goes_closes_its_file_and_may_come_back(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *both = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			   "  b: {filter: udp, write: b.pcap}\n";
	const char *one = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	struct cw_books books;
	char path[64];
	int round;

	NEED_DEVICES();
	make_run(&run, both, 1);
	for (round = 0; round < 3; round++) {
		send_frames(2 * (uint64_t)round * count, count);
		WAIT_UNTIL(packets_of(&run) == (2 * (uint64_t)round + 1) * count);
		assert_true(reload(&run, one, &status));
		/* Under its name while the run goes on. */
		if (round)
			snprintf(path, sizeof(path), "%s/b.%d.pcap", run.folder, round);
		else
			snprintf(path, sizeof(path), "%s/b.pcap", run.folder);
		WAIT_UNTIL(access(path, F_OK) == 0);
		send_frames((2 * (uint64_t)round + 1) * count, count);
		WAIT_UNTIL(packets_of(&run) == (2 * (uint64_t)round + 2) * count);
		cw_pipeline_peek(run.pipeline, &books);
		assert_int_equal(books.matched, 3 * count * ((uint64_t)round + 1));
		if (round < 2)
			assert_true(reload(&run, both, &status));
	}
	stop_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(report.rule_count, 2);
	assert_int_equal(rule_of(&report, "a")->written, 6 * count);
	assert_int_equal(rule_of(&report, "a")->file_count, 1);
	assert_false(rule_of(&report, "a")->is_removed);
	assert_int_equal(rule_of(&report, "b")->written, 3 * count);
	assert_int_equal(rule_of(&report, "b")->file_count, 3);
	assert_true(rule_of(&report, "b")->is_removed);
	assert_int_equal(report.books.written, 9 * count);
	assert_int_equal(report.books.in_files, 9 * count);
	end_run(&run, &report);
}

/* Of a rule that took nothing: a fixed name gives an empty file, a removed filler is forgotten. */
static void a_rule_that_took_nothing_leaves_what_a_run_would_leave(void **state)
{
	const char *before = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			     "  none: {filter: 'tcp', write: none.pcap}\n"
			     "  time: {filter: 'tcp', write: 't-%s.pcap'}\n";
	const char *after = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	char path[64];

	NEED_DEVICES();
	make_run(&run, before, 1);
	assert_true(reload(&run, after, &status));
	snprintf(path, sizeof(path), "%s/none.pcap", run.folder);
	WAIT_UNTIL(access(path, F_OK) == 0);
	stop_run(&run, &report);
	assert_int_equal(report.rule_count, 2);
	assert_int_equal(rule_of(&report, "none")->file_count, 1);
	assert_true(rule_of(&report, "none")->is_removed);
	assert_int_equal(rule_of(&report, "none")->matched, 0);
	end_run(&run, &report);
}

/* Of a rule that was removed while its output failed: what was lost stays in the books. */
static void a_failed_output_can_be_removed(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *before = "rules:\n  a: {filter: udp, write: a.pcap}\n"
			     "  bad: {filter: udp, write: /dev/full}\n";
	const char *after = "rules:\n  a: {filter: udp, write: a.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;

	NEED_DEVICES();
	make_run(&run, before, 1);
	send_frames(0, count);
	WAIT_UNTIL(packets_of(&run) == count);
	assert_true(reload(&run, after, &status));
	send_frames(count, count);
	WAIT_UNTIL(packets_of(&run) == 2 * count);
	stop_run(&run, &report);
	assert_false(report.is_complete);
	assert_int_equal(rule_of(&report, "a")->written, 2 * count);
	assert_true(rule_of(&report, "bad")->is_removed);
	assert_int_equal(rule_of(&report, "bad")->matched, count);
	assert_int_equal(rule_of(&report, "bad")->lost_total, count);
	assert_int_equal(rule_of(&report, "bad")->lost[CW_LOSS_DISK_FULL], count);
	assert_int_equal(report.books.lost, count);
	end_run(&run, &report);
}

/* A worker that stands still with a batch of the first generation: reloads go on without it, as
 * many as there may be, and the outputs that its batch needs stay. */
static void a_worker_that_stands_still_delays_no_reload(void **state)
{
	const uint64_t count = scaled(2000, 1000);
	const char *first = "rules:\n  old: {filter: udp, write: old.pcap}\n";
	const char *second = "rules:\n  new: {filter: udp, write: new.pcap}\n";
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;
	uint32_t index;
	char path[64];

	NEED_DEVICES();
	make_run(&run, first, 1);
	atomic_store(&run.shall_stand, true);
	send_frames(0, count);
	WAIT_UNTIL(atomic_load(&run.stands));
	for (index = 2; index <= 64; index++)
		assert_true(reload(&run, second, &status));
	assert_false(reload(&run, second, &status));
	assert_non_null(strstr(status.text, "64 earlier rule sets are still under way"));
	snprintf(path, sizeof(path), "%s/old.pcap", run.folder);
	assert_int_equal(access(path, F_OK), -1);
	send_frames(count, count);
	atomic_store(&run.stands, false);
	WAIT_UNTIL(packets_of(&run) == 2 * count);
	WAIT_UNTIL(access(path, F_OK) == 0);
	assert_true(reload(&run, second, &status));
	stop_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(rule_of(&report, "old")->written + rule_of(&report, "new")->written,
			 2 * count);
	assert_true(rule_of(&report, "old")->written > 0);
	assert_true(rule_of(&report, "new")->written >= count);
	end_run(&run, &report);
}

/* More rules than there is room for change nothing; those that fit do. */
static void too_many_rules_are_refused(void **state)
{
	char *many = make_rules(2, 5000), *fit = make_rules(2, 1000), *first = make_rules(2, 0);
	struct cw_reload_status status;
	static struct run run;
	struct cw_report report;

	NEED_DEVICES();
	make_run(&run, first, 1);
	assert_false(reload(&run, many, &status));
	assert_non_null(strstr(status.text, "room for 4096"));
	if (!reload(&run, fit, &status))
		fail_msg("%s", status.text);
	assert_int_equal(status.rule_count, 1003);
	assert_true(reload(&run, first, &status));
	stop_run(&run, &report);
	end_run(&run, &report);
	free(many);
	free(fit);
	free(first);
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

/* What is allocated, once old generations had time to go. */
static size_t allocated_bytes(void)
{
	struct mallinfo2 info;

	rig_sleep_ms(100);
	info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* The long one: half of them faulty, 1 to 1,000 rules; memory and pauses are told. */
static void many_reloads_lose_nothing_and_do_not_grow(void **state)
{
	const uint32_t reloads = getenv("CAPWEIR_LIVE_LONG") ? 10000 : scaled(1000, 100);
	const uint32_t sizes[] = {0, 10, 100, 3, 996, 30};
	const uint32_t cycle = 2 * CW_ARRAY_COUNT(sizes);
	struct rig_sending endless = sending(0, UINT64_C(1) << 40);
	char *texts[CW_ARRAY_COUNT(sizes)];
	struct cw_reload_status status;
	size_t before = 0, after = 0;
	double resident = 0, undisturbed_ms;
	struct rig_sender sender;
	static struct run run;
	struct cw_report report;
	uint64_t sent;
	uint32_t index;

	NEED_DEVICES();
	for (index = 0; index < CW_ARRAY_COUNT(sizes); index++)
		texts[index] =
		    make_rules(2 + 6 * index, sizes[index]); /* none is odd; moves stays */
	make_run(&run, texts[0], 2);
	endless.rate = rate() / 2;
	assert_true(rig_start_sender(&sender, &endless));
	rig_sleep_ms(500);
	undisturbed_ms = (double)atomic_exchange(&longest_pause_ns, 0) * 1e-6;
	for (index = 0; index < reloads; index++) {
		if (index == reloads / 10 / cycle * cycle) {
			before = allocated_bytes();
			resident = resident_mb();
		}
		if (index == reloads / cycle * cycle - cycle)
			after = allocated_bytes();
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
	WAIT_UNTIL((rig_sleep_ms(50), sent = packets_of(&run), rig_sleep_ms(50),
		    packets_of(&run) == sent));
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

static int make_rig(void **state)
{
	const char *text = getenv("CAPWEIR_TEST_SCALE");

	(void)state;
	if (text)
		scale = atof(text);
	stamp_fill();
	reason = rig_make();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_those_of_the_slow_way),
	    cmocka_unit_test(each_queue_has_one_boundary),
	    cmocka_unit_test(a_rule_that_goes_closes_its_file_and_may_come_back),
	    cmocka_unit_test(a_rule_that_took_nothing_leaves_what_a_run_would_leave),
	    cmocka_unit_test(a_failed_output_can_be_removed),
	    cmocka_unit_test(a_worker_that_stands_still_delays_no_reload),
	    cmocka_unit_test(too_many_rules_are_refused),
	    cmocka_unit_test(many_reloads_lose_nothing_and_do_not_grow),
	};

	alarm(540);
	if (argc > 1) /* some: a pattern of their names */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_rig, NULL);
}
