/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A live run whose workers stand still when told to: the queue whose batch one holds waits, the
 * others go on, and the books balance afterwards. On virtual devices in a network namespace of the
 * test's own; where these cannot be made, each test is skipped and says so.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/pipeline.h"
#include "tests/rig/live_tests.h"
#include "tests/rig/open_on_one_core.h"

#define NO_LANE UINT32_MAX
#define RING_BLOCK_BYTES ((size_t)64 << 10)
#define RING_BLOCKS 256u
#define RING_BLOCKS_FEW 32u
#define RETIRE_MS 100u /* so a ring holds packets of 20 s, however slowly they are sent */
#define SNAPLEN 256u
#define FLOWS 97u

/* ---- a worker that stands still ---- */

/* The first worker that takes a batch of `lane` stays there until it is let go on. */
struct brake {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t lane;
	bool is_caught;
};

static void brake_init(struct brake *brake, uint32_t lane)
{
	pthread_mutex_init(&brake->lock, NULL);
	pthread_cond_init(&brake->changed, NULL);
	brake->lane = lane;
	brake->is_caught = false;
}

static void brake_release(struct brake *brake)
{
	pthread_mutex_lock(&brake->lock);
	brake->lane = NO_LANE;
	pthread_cond_broadcast(&brake->changed);
	pthread_mutex_unlock(&brake->lock);
}

static bool brake_has_caught(struct brake *brake)
{
	bool is_caught;

	pthread_mutex_lock(&brake->lock);
	is_caught = brake->is_caught;
	pthread_mutex_unlock(&brake->lock);
	return is_caught;
}

static void brake_fini(struct brake *brake)
{
	pthread_cond_destroy(&brake->changed);
	pthread_mutex_destroy(&brake->lock);
}

static void on_batch(void *context, uint32_t worker, uint32_t lane)
{
	struct brake *brake = context;

	(void)worker;
	pthread_mutex_lock(&brake->lock);
	if (lane == brake->lane && !brake->is_caught) {
		brake->is_caught = true;
		while (brake->lane != NO_LANE)
			pthread_cond_wait(&brake->changed, &brake->lock);
	}
	pthread_mutex_unlock(&brake->lock);
}

/* ---- cores ---- */

static uint32_t false_cores; /* 0: the truth */

uint32_t __real_cw_usable_cores(void);
uint32_t __wrap_cw_usable_cores(void);
uint32_t __wrap_cw_usable_cores(void)
{
	return false_cores ? false_cores : __real_cw_usable_cores();
}

/* ---- a run ---- */

struct run {
	struct brake brake;
	struct cw_rules rules;
	struct cw_pipeline_options options;
	struct cw_pipeline *pipeline;
	char folder[32];
	char output[64];
};

static const char *const devices[] = {"in"};

/* Frames go to two queues in turn, so that each gets exactly half. */
static void make_run(struct run *run, uint32_t lane)
{
	struct cw_error error = {0};

	*run = (struct run){.folder = "/tmp/capweir-live-XXXXXX"};
	brake_init(&run->brake, lane);
	assert_non_null(mkdtemp(run->folder));
	snprintf(run->output, sizeof(run->output), "%s/all.pcap", run->folder);
	assert_int_equal(cw_rules_add(&run->rules, "all", "udp", run->output, 0, &error), 0);
	cw_pipeline_options_init(&run->options);
	run->options.devices = devices;
	run->options.device_count = 1;
	run->options.rules = &run->rules;
	run->options.threads = 2;
	run->options.live.queue_count = 2;
	run->options.live.fanout = CW_FANOUT_LB;
	run->options.live.block_bytes = RING_BLOCK_BYTES;
	run->options.live.block_count = RING_BLOCKS;
	run->options.live.retire_ms = RETIRE_MS;
	run->options.live.snaplen = SNAPLEN;
	run->options.watch.on_batch = on_batch;
	run->options.context = &run->brake;
}

static void launch(struct run *run)
{
	struct cw_error error = {0};

	if (cw_pipeline_start(&run->pipeline, &run->options, &error) < 0)
		fail_msg("%s", error.text);
}

static void send_frames(uint64_t first, uint64_t count)
{
	const struct rig_sending sending = {
	    .program = CW_SENDER,
	    .device = "out",
	    .shape = {.bytes = 60, .flows = FLOWS, .vlan = STAMP_TAG_NONE, .outer = STAMP_TAG_NONE},
	    .first = first,
	    .count = count,
	};

	assert_int_equal(rig_send(&sending), count);
}

static struct cw_progress progress_of(struct run *run)
{
	struct cw_progress progress;

	cw_pipeline_progress(run->pipeline, &progress);
	return progress;
}

static bool has_thread(const char *name)
{
	return rig_run("grep -qsx %s /proc/%d/task/*/comm", name, (int)getpid());
}

static bool has_ended(const struct run *run)
{
	struct pollfd done = {.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN};

	return poll(&done, 1, 0) == 1;
}

static void finish_lanes(struct run *run, uint32_t lanes, struct cw_report *report)
{
	WAIT_UNTIL(has_ended(run));
	assert_int_equal(cw_pipeline_finish(run->pipeline, report), 0);
	assert_true(report->is_balanced);
	assert_int_equal(report->queue_count, lanes);
	cw_pipeline_free(run->pipeline);
}

static void finish_run(struct run *run, struct cw_report *report)
{
	finish_lanes(run, 2, report);
}

static void end_run(struct run *run, struct cw_report *report)
{
	cw_report_fini(report);
	unlink(run->output);
	rmdir(run->folder);
	cw_rules_fini(&run->rules);
	brake_fini(&run->brake);
}

/* ---- tests ---- */

/* How many of the records are in the books of each queue is in its counts. */
static void the_other_queue_goes_on_while_a_worker_stands_still(void **state)
{
	const uint64_t count = scaled(20000, 4000);

	NEED_DEVICES();
	for (uint32_t lane = 0; lane < 2; lane++) {
		static struct run run;
		struct cw_report report; /* a failed test's threads go on */

		make_run(&run, lane);
		launch(&run);
		send_frames(0, count / 2);
		WAIT_UNTIL(brake_has_caught(&run.brake));
		/* All of the other queue's, and none of this one's, also later. */
		WAIT_UNTIL(progress_of(&run).packets >= count / 4);
		assert_int_equal(progress_of(&run).packets, count / 4);
		send_frames(count / 2, count / 2);
		WAIT_UNTIL(progress_of(&run).packets >= count / 2);
		assert_int_equal(progress_of(&run).packets, count / 2);
		brake_release(&run.brake);
		WAIT_UNTIL(progress_of(&run).packets == count);
		cw_pipeline_request_stop(run.pipeline);
		finish_run(&run, &report);
		assert_true(report.is_complete);
		assert_int_equal(report.kernel_seen, count);
		assert_int_equal(report.kernel_dropped, 0);
		assert_int_equal(report.books.in_files, count);
		assert_int_equal(report.queues[lane].stats.received, count / 2);
		end_run(&run, &report);
	}
}

/* Its ring overflows, which the kernel counts; the other's does not. */
static void a_worker_that_stands_still_for_long_costs_its_queue_only(void **state)
{
	/* A frame takes 128 octets of a ring or more: this is twice what fits. */
	const uint64_t count = 4 * RING_BLOCKS_FEW * RING_BLOCK_BYTES / 128;
	struct cw_report report;
	static struct run run; /* a failed test's threads go on */
	uint64_t sent;

	NEED_DEVICES();
	make_run(&run, 1);
	run.options.live.block_count = RING_BLOCKS_FEW;
	launch(&run);
	/* A quarter of the ring at once, each after the other queue's worker took the last. */
	for (sent = 0; sent < count; sent += count / 16) {
		send_frames(sent, count / 16);
		WAIT_UNTIL(progress_of(&run).packets >= (sent + count / 16) / 2);
	}
	WAIT_UNTIL(progress_of(&run).kernel_dropped > 0);
	brake_release(&run.brake);
	WAIT_UNTIL(progress_of(&run).packets + progress_of(&run).kernel_dropped == count);
	send_frames(count, 1000);
	WAIT_UNTIL(progress_of(&run).kernel_seen == count + 1000);
	cw_pipeline_request_stop(run.pipeline);
	finish_run(&run, &report);
	assert_true(report.is_complete); /* drops by the kernel are not ours */
	assert_int_equal(report.kernel_seen, count + 1000);
	assert_int_equal(report.queues[0].stats.kernel_dropped, 0);
	assert_int_equal(report.queues[0].stats.received, count / 2 + 500);
	assert_true(report.queues[1].stats.kernel_dropped > 0);
	assert_int_equal(report.books.in_files, count + 1000 - report.kernel_dropped);
	end_run(&run, &report);
}

/* Stopped, but the worker does not come back within the drain's time, only later. */
static void drain_is_given_up_and_what_comes_later_is_counted(void **state)
{
	const uint64_t count = scaled(20000, 4000);
	struct cw_report report;
	static struct run run; /* a failed test's threads go on */

	NEED_DEVICES();
	make_run(&run, 0);
	run.options.drain_ms = 200;
	launch(&run);
	send_frames(0, count);
	WAIT_UNTIL(progress_of(&run).packets >= count / 2);
	cw_pipeline_request_stop(run.pipeline);
	WAIT_UNTIL(cw_pipeline_is_stuck(run.pipeline));
	assert_false(has_ended(&run));
	brake_release(&run.brake);
	finish_run(&run, &report);
	assert_false(report.is_complete);
	assert_int_equal(report.kernel_seen, count);
	assert_int_equal(report.kernel_dropped, 0);
	assert_int_equal(report.books.written + report.books.lost, report.books.matched);
	assert_int_equal(report.rules[0].lost[CW_LOSS_SHUTDOWN], report.books.lost);
	end_run(&run, &report);
}

/* A worker that comes back in time costs nothing, and the run is not called stuck. */
static void drain_waits_for_a_worker_that_comes_back(void **state)
{
	const uint64_t count = scaled(20000, 4000);
	struct cw_report report;
	static struct run run; /* a failed test's threads go on */

	NEED_DEVICES();
	make_run(&run, 0);
	run.options.drain_ms = WAIT_MS;
	launch(&run);
	send_frames(0, count);
	WAIT_UNTIL(progress_of(&run).packets >= count / 2);
	cw_pipeline_request_stop(run.pipeline);
	WAIT_UNTIL(!has_thread("cw-capture-1")); /* the other queue is drained */
	assert_false(has_ended(&run));
	brake_release(&run.brake);
	finish_run(&run, &report);
	assert_true(report.is_complete);
	assert_int_equal(report.kernel_seen, count);
	assert_int_equal(report.books.in_files, count);
	end_run(&run, &report);
}

/* What cannot end is broken off: the books can be read, and nothing waits for the worker. */
static void stuck_run_can_be_aborted(void **state)
{
	int status = -1;
	pid_t child;

	NEED_DEVICES();
	child = fork();
	if (child == 0) {
		const uint64_t count = scaled(20000, 4000);
		struct cw_books books;
		static struct run run; /* a failed test's threads go on */

		make_run(&run, 1);
		run.options.drain_ms = 100;
		launch(&run);
		send_frames(0, count);
		WAIT_UNTIL(progress_of(&run).packets >= count / 2);
		cw_pipeline_request_stop(run.pipeline);
		WAIT_UNTIL(cw_pipeline_is_stuck(run.pipeline));
		cw_pipeline_abort(run.pipeline);
		cw_pipeline_peek(run.pipeline, &books);
		rig_run("rm -rf '%s'", run.folder);
		if (books.received == count / 2)
			kill(getpid(), SIGKILL); /* an exit would look for the threads' end */
		_exit(1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static _Atomic uint32_t captured_count; /* times that an interface was captured after a gap */

static void note_captured(void *context, enum cw_severity severity, const char *text)
{
	(void)context;
	(void)severity;
	if (strstr(text, ": captured "))
		atomic_fetch_add(&captured_count, 1);
}

/* A missing interface may come with fewer queues than it has lanes: the others have no packets and
 * delay none. It comes back with as many queues as before. */
static void lanes_beyond_the_queues_of_an_interface_stay_idle(void **state)
{
	const uint64_t count = scaled(20000, 4000);

	NEED_DEVICES();
	for (int is_time_order = 0; is_time_order < 2; is_time_order++) {
		struct cw_report report;
		static struct run run; /* a failed test's threads go on */

		make_run(&run, NO_LANE);
		run.options.live.queue_count = 0;
		run.options.is_time_order = is_time_order;
		run.options.waits_for_devices = true;
		run.options.tell = note_captured;
		atomic_store(&captured_count, 0);
		assert_true(rig_run("ip link del in"));
		false_cores = 8; /* half of them: 4 lanes */
		launch(&run);
		WAIT_UNTIL(has_thread("cw-capture-3"));
		for (uint32_t round = 1; round <= 2; round++) {
			assert_true(rig_run("ip link add out numrxqueues 2 numtxqueues 2 type veth "
					    "peer name in numrxqueues 2 numtxqueues 2 && "
					    "ip link set out arp off up && "
					    "ip link set in arp off up"));
			WAIT_UNTIL(atomic_load(&captured_count) == round);
			send_frames((round - 1) * count, count);
			WAIT_UNTIL(progress_of(&run).packets == round * count);
			if (round == 1)
				assert_true(rig_run("ip link del in"));
		}
		cw_pipeline_request_stop(run.pipeline);
		finish_lanes(&run, 4, &report);
		false_cores = 0;
		assert_int_equal(report.devices[0].queue_count, 2);
		assert_int_equal(report.devices[0].gap_count, 1);
		assert_true(report.devices[0].waited_s > 0);
		for (uint32_t lane = 0; lane < 4; lane++)
			assert_int_equal(report.queues[lane].stats.received, lane < 2 ? count : 0);
		assert_int_equal(report.books.in_files, 2 * count);
		end_run(&run, &report);
	}
	assert_true(rig_run("ip link del in") && rig_make_pair());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_other_queue_goes_on_while_a_worker_stands_still),
	    cmocka_unit_test(a_worker_that_stands_still_for_long_costs_its_queue_only),
	    cmocka_unit_test(drain_is_given_up_and_what_comes_later_is_counted),
	    cmocka_unit_test(drain_waits_for_a_worker_that_comes_back),
	    cmocka_unit_test(stuck_run_can_be_aborted),
	    cmocka_unit_test(lanes_beyond_the_queues_of_an_interface_stay_idle),
	};

	return RUN_TESTS(540, tests, make_devices, NULL, argc, argv);
}
