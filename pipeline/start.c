/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start of a run: sizes, memory and threads, after setup/ has checked the request. A failure
 * takes down everything built before.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/packet/linktype.h"
#include "pipeline/setup/setup.h"
#include "pipeline/state.h"

#define LIST_DESCRIPTORS 2u /* of a file ring: its list, and the folder or the next list */

void cw_pipeline_options_init(struct cw_pipeline_options *options)
{
	*options = (struct cw_pipeline_options){.linktype = CW_LINKTYPE_ANY,
						.output.standard_output = -1,
						.output.owner = geteuid(),
						.drain_ms = CW_DRAIN_MS_DEFAULT};
}

static size_t choose_chunk_bytes(size_t pool_bytes, uint32_t output_count)
{
	size_t share = pool_bytes / (4 * (size_t)output_count);
	size_t bytes = CW_CHUNK_BYTES_MIN;

	while (bytes * 2 <= share && bytes < CW_CHUNK_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

/* As many segments as batches are in memory at once: together at most an eighth of the pool for
 * each thread. */
static size_t choose_segment_bytes(size_t pool_bytes, uint32_t threads)
{
	size_t bytes = CW_SEGMENT_BYTES_MAX;

	while (bytes > CW_SEGMENT_BYTES_MIN && bytes > pool_bytes / (8 * (size_t)threads))
		bytes /= 2;
	return bytes;
}

static void choose_sizes(struct cw_pipeline *pipeline)
{
	struct cw_pipeline_options *options = &pipeline->run.options;

	if (!options->threads)
		options->threads = cw_usable_cores();
	if (options->threads > CW_THREADS_MAX)
		options->threads = CW_THREADS_MAX;
	if (!options->sizes.pool_bytes)
		options->sizes.pool_bytes = CW_POOL_BYTES_DEFAULT;
	if (!options->sizes.chunk_bytes)
		options->sizes.chunk_bytes = choose_chunk_bytes(
		    options->sizes.pool_bytes,
		    pipeline->run.is_reloadable && options->rules->count < CW_OUTPUTS_EXPECTED
			? CW_OUTPUTS_EXPECTED
			: options->rules->count);
	if (!options->sizes.gather_bytes)
		options->sizes.gather_bytes = CW_GATHER_BYTES_DEFAULT;
	if (!options->sizes.batch_bytes)
		options->sizes.batch_bytes = CW_BATCH_BYTES_DEFAULT;
	if (!options->sizes.batch_records)
		options->sizes.batch_records = CW_BATCH_RECORDS_DEFAULT;
	if (!options->sizes.segment_bytes)
		options->sizes.segment_bytes =
		    choose_segment_bytes(options->sizes.pool_bytes, options->threads);
	if (!options->sizes.batch_count)
		options->sizes.batch_count = options->threads * 3 + 4;
}

/* Returns zeroed memory that starts a cache line. */
static void *new_lines(size_t bytes)
{
	void *lines = aligned_alloc(CW_CACHE_LINE, bytes);

	if (lines)
		memset(lines, 0, bytes);
	return lines;
}

static void chunks_returned(void *context)
{
	cw_turn_resume_any(context);
}

static int init_memory(struct cw_pipeline *pipeline, struct cw_error *error)
{
	const struct cw_pipeline_options *options = &pipeline->run.options;
	const struct cw_batch_sizes sizes = {
	    .records_max = options->sizes.batch_records,
	    .match_capacity = CW_BATCH_MATCHES_MIN + pipeline->outputs.capacity + CW_MATCH_BURST,
	    .tally_capacity = pipeline->outputs.capacity,
	    .piece_capacity = pipeline->outputs.capacity + CW_BATCH_PIECES_EXTRA,
	    .sample_capacity =
		cw_samples_capacity(options->sizes.batch_records, options->match.verify_every),
	};

	pipeline->run.lanes = new_lines(pipeline->run.lane_count * sizeof(*pipeline->run.lanes));
	pipeline->workers = calloc(options->threads, sizeof(*pipeline->workers));
	pipeline->worker_cpus = calloc(options->threads, sizeof(*pipeline->worker_cpus));
	if (!pipeline->run.lanes || !pipeline->workers || !pipeline->worker_cpus ||
	    cw_chunk_pool_init(&pipeline->outputs.pool, options->sizes.pool_bytes,
			       options->sizes.chunk_bytes) < 0 ||
	    cw_sequencer_init(&pipeline->turn.sequencer, pipeline->run.lane_count) < 0 ||
	    cw_ring_new(&pipeline->run.reserved,
			(size_t)pipeline->run.lane_count * options->sizes.batch_count) < 0 ||
	    cw_ready_init(&pipeline->outputs.writable, pipeline->outputs.capacity) < 0)
		goto no_memory;
	pipeline->outputs.pool.on_return = chunks_returned;
	pipeline->outputs.pool.context = &pipeline->turn;
	pipeline->turn.sequencer.matched_limit = options->packet_limit;
	for (uint32_t index = 0; index < pipeline->run.lane_count; index++) {
		if (cw_lane_init(&pipeline->run.lanes[index], &pipeline->capture, index,
				 options->sizes.batch_count, &sizes) < 0)
			goto no_memory;
	}
	for (uint32_t index = 0; index < options->threads; index++) {
		if (cw_worker_init(&pipeline->workers[index], pipeline, index) < 0)
			goto no_memory;
		pipeline->worker_count++;
	}
	return 0;
no_memory:
	return cw_error_set(
	    error, -ENOMEM,
	    "no memory for %u threads, %u batches and %zu bytes of chunks: use fewer threads (-t)",
	    options->threads, options->sizes.batch_count, options->sizes.pool_bytes);
}

/* A thread about to run. */
struct beginning {
	void *(*run)(void *);
	void *argument;
	char name[16]; /* the kernel keeps 15 bytes */
};

/* A thread names itself: for another one that would be writing to a file. */
static void *begin(void *argument)
{
	const struct beginning beginning = *(struct beginning *)argument;

	free(argument);
	prctl(PR_SET_NAME, beginning.name);
	return beginning.run(beginning.argument);
}

static int start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
	struct beginning *beginning = malloc(sizeof(*beginning));
	int failure = ENOMEM;

	if (beginning) {
		*beginning = (struct beginning){.run = run, .argument = argument};
		snprintf(beginning->name, sizeof(beginning->name), "%.15s", name);
		failure = pthread_create(thread, NULL, begin, beginning);
	}
	if (failure)
		free(beginning);
	return -failure;
}

static uint32_t count_threads(const struct cw_pipeline *pipeline)
{
	return pipeline->worker_count + pipeline->run.lane_count + (pipeline->run.is_live ? 1 : 0) +
	       (pipeline->run.is_reloadable ? 1 : 0);
}

/* Blocks signals in the new threads, except faults: the caller's thread handles signals. */
static int start_threads(struct cw_pipeline *pipeline, struct cw_error *error)
{
	sigset_t blocked, before;
	char name[32];
	int result = 0;

	sigfillset(&blocked);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGILL);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	atomic_store(&pipeline->run.running_threads, count_threads(pipeline));
	for (uint32_t index = 0; index < pipeline->worker_count && result == 0; index++) {
		struct cw_worker *worker = &pipeline->workers[index];

		snprintf(name, sizeof(name), "cw-worker-%u", index);
		result = start_thread(&worker->thread, name, cw_worker_main, worker);
		worker->is_started = result == 0;
	}
	for (uint32_t index = 0; index < pipeline->run.lane_count && result == 0; index++) {
		struct cw_lane *lane = &pipeline->run.lanes[index];

		snprintf(name, sizeof(name), "cw-capture-%u", index);
		result = start_thread(
		    &lane->thread, name,
		    pipeline->run.is_live ? cw_capture_live_main : cw_capture_main, lane);
		lane->is_started = result == 0;
	}
	if (result == 0 && pipeline->run.is_live) {
		result = start_thread(&pipeline->capture.keeper_thread, "cw-keeper", cw_keeper_main,
				      &pipeline->capture);
		pipeline->capture.is_keeper_started = result == 0;
	}
	if (result == 0 && pipeline->run.is_reloadable) {
		result = start_thread(&pipeline->reload.thread, "cw-reload", cw_reload_main,
				      &pipeline->reload);
		pipeline->reload.is_started = result == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result < 0)
		cw_error_set_errno(error, result, "cannot start %u threads",
				   count_threads(pipeline));
	return result;
}

static int open_events(struct cw_pipeline *pipeline, struct cw_error *error)
{
	pipeline->run.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pipeline->run.abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pipeline->run.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pipeline->run.keeper_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pipeline->run.keeper_fd < 0 || pipeline->run.wake_fd < 0 ||
	    pipeline->run.abort_fd < 0 || pipeline->run.done_fd < 0)
		return cw_error_set_errno(error, -errno, "cannot create event descriptors");
	return 0;
}

static int open_sources(struct cw_pipeline *pipeline, struct cw_error *error)
{
	if (pipeline->run.is_live)
		return cw_taps_open(&pipeline->capture, error);
	pipeline->run.lane_count = 1;
	return cw_setup_inputs(&pipeline->run, &pipeline->inputs, error);
}

/* Adopts the files of earlier runs. */
static int setup_rings(struct cw_pipeline *pipeline, struct cw_error *error)
{
	struct cw_outputs *outputs = &pipeline->outputs;
	uint32_t list_count = 0;
	int result = cw_setup_rings(outputs, outputs->at, outputs->count, NULL,
				    pipeline->run.options.rules, error);

	for (uint32_t index = 0; index < outputs->count; index++) {
		outputs->turn.kept_bytes += outputs->at[index].turn.kept_bytes;
		list_count += outputs->at[index].ring != NULL;
	}
	if (result < 0 || pipeline->run.options.sizes.descriptor_limit)
		return result;
	if (outputs->files.limit <= LIST_DESCRIPTORS * list_count)
		return cw_error_set(
		    error, -EINVAL,
		    "%u file rings need %u descriptors: raise the limit (ulimit -n)", list_count,
		    LIST_DESCRIPTORS * list_count);
	outputs->files.limit -= LIST_DESCRIPTORS * list_count;
	return 0;
}

/* From here on this process asks another one for its files. */
static int start_opener(struct cw_pipeline *pipeline, struct cw_error *error)
{
	struct cw_outputs *outputs = &pipeline->outputs;
	int result = pipeline->run.options.start_opener(pipeline->run.options.context,
							&outputs->asking, error);

	pipeline->run.options.output.opener = NULL;
	if (result == 0)
		outputs->entries = cw_asking_entries(outputs->asking);
	return result;
}

/* Checks the rules and their targets, then lets another process open the outputs' files. */
static int check_request(struct cw_pipeline *pipeline, struct cw_error *error)
{
	int result = open_events(pipeline, error);

	if (result == 0)
		result = cw_rules_check(pipeline->run.options.rules, error);
	if (result == 0)
		result = cw_setup_targets(&pipeline->outputs, error);
	if (result == 0 && pipeline->run.options.output.opener)
		result = start_opener(pipeline, error);
	return result;
}

static int start(struct cw_pipeline *pipeline, struct cw_error *error)
{
	bool is_live = pipeline->run.options.device_count != 0;
	const struct cw_filter_set_options filter_options = {
	    .filter = {.netmask = CW_NETMASK_NONE,
		       .unoptimized = pipeline->run.options.match.unoptimized,
		       .resolve_names = pipeline->run.options.match.resolve_names,
		       .compiler = pipeline->run.options.match.compiler},
	    .engine = pipeline->run.options.match.engine,
	};
	int result;

	pipeline->run.start_ns = cw_now_ns();
	pipeline->generations.filter_options = filter_options;
	pipeline->run.is_live = is_live;
	pipeline->run.is_reloadable = pipeline->run.is_live && pipeline->run.options.load_rules;
	result = check_request(pipeline, error);
	if (result == 0)
		result = open_sources(pipeline, error);
	if (result < 0)
		return result;
	choose_sizes(pipeline);
	if (cw_reload_init(&pipeline->reload) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for rules");
	result = cw_setup_outputs(&pipeline->outputs, error);
	if (result == 0)
		result = cw_setup_rules(&pipeline->run, &pipeline->inputs,
					pipeline->generations.current, false, error);
	for (uint32_t index = 0; is_live && result == 0 && index < pipeline->outputs.count; index++)
		result = cw_setup_linktypes(&pipeline->generations.current->matcher,
					    pipeline->run.options.rules, index, error);
	if (result == 0) {
		cw_taps_prefilter(&pipeline->capture);
		result = init_memory(pipeline, error);
	}
	if (result == 0)
		result = cw_setup_affinity(&pipeline->run, &pipeline->outputs.pool,
					   pipeline->worker_cpus, error);
	if (result < 0)
		return result;
	if (cw_files_init(&pipeline->outputs.files, pipeline->run.options.sizes.descriptor_limit) <
	    0)
		return cw_error_set(error, -ENOMEM, "no memory for locks");
	pipeline->outputs.has_files = true;
	cw_taps_connect(&pipeline->capture);
	pipeline->outputs.empty_linktype = pipeline->inputs.ifaces.count
					       ? cw_ifaces_at(&pipeline->inputs.ifaces, 0)->linktype
					       : CW_LINKTYPE_ETHERNET;
	if (pipeline->run.options.on_ready)
		pipeline->run.options.on_ready(pipeline->run.options.context);
	result = setup_rings(pipeline, error);
	if (result < 0)
		return result;
	cw_taps_report_start(&pipeline->capture);
	return start_threads(pipeline, error);
}

/* Links the parts, and initialises everything that cw_pipeline_free takes down. */
static void connect(struct cw_pipeline *pipeline)
{
	struct cw_run *run = &pipeline->run;

	run->wake_fd = run->abort_fd = run->keeper_fd = run->reload_fd = run->done_fd = -1;
	cw_ifaces_init(&pipeline->inputs.ifaces);
	pthread_mutex_init(&pipeline->generations.sets_lock, NULL);
	pthread_mutex_init(&pipeline->reload.status_lock, NULL);
	pipeline->outputs.run = pipeline->turn.run = pipeline->capture.run = pipeline->reload.run =
	    run;
	pipeline->outputs.inputs = pipeline->turn.inputs = pipeline->capture.inputs =
	    pipeline->reload.inputs = &pipeline->inputs;
	pipeline->turn.outputs = pipeline->reload.outputs = &pipeline->outputs;
	pipeline->capture.generations = pipeline->reload.generations = &pipeline->generations;
	pipeline->capture.turn = pipeline->reload.turn = &pipeline->turn;
	pipeline->reload.past = &pipeline->past;
}

int cw_pipeline_start(struct cw_pipeline **result, const struct cw_pipeline_options *options,
		      struct cw_error *error)
{
	struct cw_pipeline *pipeline = new_lines(sizeof(*pipeline));
	struct cw_error local = {0};
	int failure;

	if (!pipeline)
		return cw_error_set(error, -ENOMEM, "no memory");
	connect(pipeline);
	pipeline->run.options = *options;
	failure = options->rules->count
		      ? start(pipeline, &local)
		      : cw_error_set(&local, -EINVAL, "no rules, so nothing to write");
	if (failure < 0) {
		if (error)
			*error = local;
		cw_pipeline_free(pipeline);
		return failure;
	}
	*result = pipeline;
	return 0;
}
