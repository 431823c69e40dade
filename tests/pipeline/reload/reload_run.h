/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A live run whose rules the test writes, and the time for which it holds up its workers. On
 * virtual devices in a network namespace of the test's own; where these cannot be made, each test
 * is skipped and says so.
 */
#ifndef CW_TESTS_PIPELINE_RELOAD_RELOAD_RUN_H
#define CW_TESTS_PIPELINE_RELOAD_RELOAD_RUN_H

#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "pipeline/pipeline.h"
#include "pipeline/threads/gate.h"
#include "tests/rig/live_tests.h"
#include "tests/rig/open_on_one_core.h"

#define FLOWS 8u
#define RULES_MAX 1000u
#define GENERATIONS_MAX 60u /* the report has the boundaries of 64 */
#define FRAME_BYTES 60u
#define PAUSE_NS_GOOD (UINT64_C(10) * 1000000)

static inline uint32_t rate(void)
{
#ifdef CW_SANITIZED
	return 8000;
#else
	return 40000;
#endif
}

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

static inline int load_rules(void *context, struct cw_rules *rules, struct cw_error *error)
{
	const struct run *run = context;

	return cw_rules_parse(rules, run->text, strlen(run->text), "rules.yaml", error);
}

static inline void on_reload(void *context)
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
static inline uint64_t waited_ns(void)
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

static inline void end_batch(void)
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

static inline void on_batch(void *context, uint32_t worker, uint32_t lane)
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

/* ---- the run ---- */

static inline void tell(void *context, enum cw_severity severity, const char *text)
{
	(void)context;
	if (severity == CW_PROBLEM)
		fprintf(stderr, "told: %s\n", text);
}

static inline void make_run(struct run *run, const char *text, uint32_t queues)
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
	run->options.output.directory = run->folder;
	run->options.threads = 2;
	run->options.sizes.batch_records = 256;
	run->options.live.queue_count = queues;
	run->options.live.fanout = CW_FANOUT_LB;
	run->options.live.block_bytes = (size_t)64 << 10;
	run->options.live.block_count = 512; /* for seconds in which nobody reads */
	run->options.live.snaplen = 256;
	run->options.load_rules = load_rules;
	run->options.on_reload = on_reload;
	run->options.watch.on_batch = on_batch;
	run->options.tell = tell;
	run->options.context = run;
	if (cw_pipeline_start(&run->pipeline, &run->options, &error) < 0)
		fail_msg("%s", error.text);
}

/* Ask and wait for the answer. Whether it was accepted. */
static inline bool reload(struct run *run, const char *text, struct cw_reload_status *status)
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

static inline uint64_t packets_of(struct run *run)
{
	struct cw_progress progress;

	cw_pipeline_progress(run->pipeline, &progress);
	return progress.packets;
}

static inline struct rig_sending sending(uint64_t first, uint64_t count)
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

static inline bool has_ended(const struct run *run)
{
	struct pollfd done = {.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN};

	return poll(&done, 1, 0) == 1;
}

static inline void stop_run(struct run *run, struct cw_report *report)
{
	cw_pipeline_request_stop(run->pipeline);
	WAIT_UNTIL(has_ended(run));
	assert_int_equal(cw_pipeline_finish(run->pipeline, report), 0);
	assert_true(report->is_balanced);
	assert_int_equal(report->kernel_dropped, 0);
}

static inline void end_run(struct run *run, struct cw_report *report)
{
	cw_report_fini(report);
	cw_pipeline_free(run->pipeline);
	rig_run("rm -rf '%s'", run->folder);
	cw_rules_fini(&run->rules);
}

static inline const struct cw_report_rule *rule_of(const struct cw_report *report, const char *name)
{
	uint32_t index;

	for (index = 0; index < report->rule_count; index++) {
		if (strcmp(report->rules[index].rule->name, name) == 0)
			return &report->rules[index];
	}
	fail_msg("no rule %s in the report", name);
	return NULL;
}

/* ---- rules ---- */

/* Rules of a generation: `all` stays, others come, go, and change; as many fillers as asked. */
static inline char *make_rules(uint32_t number, uint32_t filler_count)
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

#endif
