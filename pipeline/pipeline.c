/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Start and end of a run. Everything that can be wrong with the request is found before the first
 * thread starts and the first file is made; what was built until a failure is taken down again.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/linktype.h"
#include "pipeline/state.h"

/* Inputs are kept open from check to reading up to here; more are opened again when it is time. */
#define INPUTS_OPEN_MAX 16u
#define TELL_BYTES 2048u

void cw_pipeline_options_init(struct cw_pipeline_options *options)
{
	*options = (struct cw_pipeline_options){.linktype = CW_LINKTYPE_ANY, .standard_output = -1};
}

void cw_pipeline_tell(struct cw_pipeline *pipeline, enum cw_severity severity, const char *format,
		      ...)
{
	char text[TELL_BYTES];
	va_list arguments;

	if (severity == CW_PROBLEM)
		atomic_store(&pipeline->has_problem, true);
	if (!pipeline->options.tell)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pipeline->options.tell(pipeline->options.context, severity, text);
}

/* Where a rule stands, for messages: "rules.yaml:7: rule dns" or "rule rule1". */
static void describe_rule(const struct cw_rules *rules, const struct cw_rule *rule, char *text,
			  size_t text_bytes)
{
	if (!rule)
		snprintf(text, text_bytes, "the global filter");
	else if (rules->path)
		snprintf(text, text_bytes, "%s:%u: rule %s", rules->path,
			 rule->filter_line ? rule->filter_line : rule->line, rule->name);
	else
		snprintf(text, text_bytes, "rule %s", rule->name);
}

void cw_pipeline_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			     bool is_warning, const char *text)
{
	struct cw_pipeline *pipeline = context;
	char where[512], name[64];

	describe_rule(pipeline->options.rules, rule, where, sizeof(where));
	if (is_warning)
		cw_pipeline_tell(pipeline, CW_WARNING, "%s: %s", where, text);
	else
		cw_pipeline_tell(pipeline, CW_PROBLEM, "%s: never matches packets of type %s: %s",
				 where, cw_linktype_name(linktype, name, sizeof(name)), text);
}

/* ---- outputs ---- */

static size_t choose_chunk_bytes(size_t pool_bytes, uint32_t output_count)
{
	size_t share = pool_bytes / (4 * (size_t)output_count);
	size_t bytes = CW_CHUNK_BYTES_MIN;

	while (bytes * 2 <= share && bytes < CW_CHUNK_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static bool has_ns_input(const struct cw_pipeline *pipeline)
{
	uint32_t index;

	for (index = 0; index < pipeline->input_count; index++) {
		if (pipeline->inputs[index].info.has_ns)
			return true;
	}
	return false;
}

static enum cw_format choose_format(const struct cw_pipeline *pipeline,
				    const struct cw_template *name)
{
	enum cw_time_precision precision = pipeline->options.time_precision;

	if (cw_template_is_pcapng(name))
		return CW_FORMAT_PCAPNG;
	if (precision == CW_TIME_AUTO)
		precision = has_ns_input(pipeline) ? CW_TIME_NS : CW_TIME_US;
	return precision == CW_TIME_NS ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US;
}

static int init_output(struct cw_pipeline *pipeline, uint32_t index, struct cw_error *error)
{
	const struct cw_rule *rule = &pipeline->options.rules->rules[index];
	struct cw_output *output = &pipeline->outputs[index];
	uint32_t snaplen = rule->snaplen ? rule->snaplen : pipeline->options.snaplen;
	int result = cw_template_parse(&output->name, rule->write, pipeline->options.directory,
				       error);
	char where[512];

	if (result < 0) {
		describe_rule(pipeline->options.rules, rule, where, sizeof(where));
		cw_error_prefix(error, "%s", where);
		return result;
	}
	output->index = index;
	output->rule = rule;
	output->format = choose_format(pipeline, output->name);
	output->snaplen = snaplen ? snaplen : UINT32_MAX;
	output->rotate_bytes = rule->rotate_bytes;
	output->rotate_records = rule->rotate_packets;
	output->linktype = CW_LINKTYPE_ANY;
	return 0;
}

bool cw_pipeline_is_input(const struct cw_pipeline *pipeline, uint64_t device, uint64_t inode)
{
	uint32_t index;

	for (index = 0; index < pipeline->input_count; index++) {
		const struct cw_input *input = &pipeline->inputs[index];

		if (input->has_identity && input->device == device && input->inode == inode)
			return true;
	}
	return false;
}

/* A fixed name must not be an input's, another rule's, nor, with no_clobber, exist. */
static int check_target(struct cw_pipeline *pipeline, const struct cw_output *output,
			struct cw_names *names, struct cw_error *error)
{
	const struct cw_template_values values = {.rule = output->rule->name};
	char path[CW_TEMPLATE_PATH_BYTES];
	char *folder, *slash, *claimed, *whole = NULL;
	struct stat status;
	bool is_taken;

	if (cw_template_has_time(output->name) || cw_template_has_iface(output->name) ||
	    cw_template_is_stdout(output->name))
		return 0;
	if (cw_template_expand(output->name, &values, path) < 0)
		return cw_error_set(error, -EINVAL, "rule %s: the output's name is too long",
				    output->rule->name);
	if (stat(path, &status) == 0) {
		if (!S_ISREG(status.st_mode))
			return 0;
		if (cw_pipeline_is_input(pipeline, (uint64_t)status.st_dev,
					 (uint64_t)status.st_ino))
			return cw_error_set(error, -EINVAL,
					    "rule %s: output %s is one of the inputs",
					    output->rule->name, path);
		if (pipeline->options.no_clobber)
			return cw_error_set(error, -EINVAL,
					    "rule %s: output %s exists and --no-clobber is given",
					    output->rule->name, path);
	}
	/* The same file by another way to its folder. */
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	folder = realpath(slash ? (slash == path ? "/" : path) : ".", NULL);
	if (folder && asprintf(&whole, "%s/%s", folder, slash ? slash + 1 : path) < 0)
		whole = NULL;
	free(folder);
	if (!whole)
		return 0; /* the folder is not there: opening will say so */
	claimed = cw_names_claim(names, whole);
	is_taken = claimed && strcmp(claimed, whole) != 0;
	free(claimed);
	if (is_taken)
		cw_error_set(error, -EINVAL, "rule %s: output %s is written by another rule too",
			     output->rule->name, whole);
	free(whole);
	return is_taken ? -EINVAL : 0;
}

static int init_outputs(struct cw_pipeline *pipeline, struct cw_error *error)
{
	const struct cw_rules *rules = pipeline->options.rules;
	struct cw_names names = {0};
	uint32_t index;
	int result = 0;

	pipeline->outputs = aligned_alloc(CW_CACHE_LINE,
					  rules->count * sizeof(*pipeline->outputs));
	pipeline->turn_tally_of = calloc(rules->count, sizeof(*pipeline->turn_tally_of));
	if (!pipeline->outputs || !pipeline->turn_tally_of)
		return cw_error_set(error, -ENOMEM, "no memory for %u outputs", rules->count);
	memset(pipeline->outputs, 0, rules->count * sizeof(*pipeline->outputs));
	pipeline->output_count = rules->count;
	for (index = 0; index < rules->count && result == 0; index++)
		result = init_output(pipeline, index, error);
	for (index = 0; index < rules->count && result == 0; index++)
		result = check_target(pipeline, &pipeline->outputs[index], &names, error);
	cw_names_fini(&names);
	return result;
}

/* ---- inputs ---- */

int cw_pipeline_open_input(struct cw_pipeline *pipeline, uint32_t index, struct cw_error *error)
{
	const struct cw_source_options options = {.window_bytes = pipeline->options.window_bytes,
						  .wake_fd = pipeline->wake_fd,
						  .input = (uint16_t)index,
						  .linktype = pipeline->options.linktype};

	return cw_source_open(&pipeline->inputs[index].source, pipeline->inputs[index].path,
			      &pipeline->ifaces, &options, error);
}

/* Open every input and check its header; a bad one is told and left out, unless all are. */
static int init_inputs(struct cw_pipeline *pipeline, struct cw_error *error)
{
	uint32_t count = pipeline->options.input_count;
	uint32_t good_count = 0;
	bool has_length = true;
	uint32_t index;

	if (count == 0 || count > UINT16_MAX)
		return cw_error_set(error, -EINVAL, "%u inputs; 1 to %u are possible", count,
				    UINT16_MAX);
	pipeline->inputs = calloc(count, sizeof(*pipeline->inputs));
	if (!pipeline->inputs)
		return cw_error_set(error, -ENOMEM, "no memory for %u inputs", count);
	pipeline->input_count = count;
	for (index = 0; index < count; index++) {
		struct cw_input *input = &pipeline->inputs[index];

		input->path = pipeline->options.inputs[index];
		if (cw_pipeline_open_input(pipeline, index, &input->error) < 0) {
			if (count > 1)
				cw_pipeline_tell(pipeline, CW_PROBLEM, "%s", input->error.text);
			if (!error->code)
				*error = input->error;
			continue;
		}
		good_count++;
		cw_source_info(input->source, &input->info);
		input->has_identity =
			cw_source_identity(input->source, &input->device, &input->inode);
		if (input->info.snaplen > pipeline->snaplen_max &&
		    input->info.snaplen <= INT32_MAX)
			pipeline->snaplen_max = input->info.snaplen;
		has_length = has_length && input->has_identity;
		pipeline->total_bytes += input->info.file_bytes;
		if (input->has_identity && index >= INPUTS_OPEN_MAX) {
			cw_source_close(input->source);
			input->source = NULL;
		}
	}
	if (!pipeline->snaplen_max)
		pipeline->snaplen_max = CW_CAPLEN_MAX;
	if (!has_length)
		pipeline->total_bytes = 0;
	if (good_count == 0)
		return error->code == -EINVAL ? (error->code = -EIO) : error->code;
	*error = (struct cw_error){0};
	return 0;
}

/* ---- rules ---- */

struct compile_check {
	struct cw_pipeline *pipeline;
	struct cw_error first;	  /* the first rule's problem */
	uint32_t *illegal_counts; /* per rule, then of the prefilter: types it is illegal for */
};

static void note_illegal(void *context, const struct cw_rule *rule, uint32_t linktype,
			 bool is_warning, const char *text)
{
	struct compile_check *check = context;
	const struct cw_rules *rules = check->pipeline->options.rules;
	uint32_t index = rule ? (uint32_t)(rule - rules->rules) : rules->count;
	char where[512];

	(void)linktype;
	if (is_warning) {
		cw_pipeline_report_rule(check->pipeline, rule, linktype, true, text);
		return;
	}
	describe_rule(rules, rule, where, sizeof(where));
	check->illegal_counts[index]++;
	if (!check->first.code)
		cw_error_set(&check->first, -EINVAL, "%s: %s", where, text);
}

/* Build the sets of the link types present; a rule that is illegal for all of them is an error. */
static int check_rules(struct cw_pipeline *pipeline, struct cw_error *error)
{
	const struct cw_rules *rules = pipeline->options.rules;
	struct compile_check check = {.pipeline = pipeline};
	uint32_t index;
	int result = 0;

	check.illegal_counts = calloc(rules->count + 1, sizeof(*check.illegal_counts));
	if (!check.illegal_counts)
		return cw_error_set(error, -ENOMEM, "no memory for rules");
	for (index = 0; index < pipeline->ifaces.count && result == 0; index++)
		result = cw_matcher_prepare(&pipeline->matcher,
					    cw_ifaces_at(&pipeline->ifaces, index)->linktype,
					    note_illegal, &check, error);
	if (pipeline->ifaces.count == 0 && result == 0) /* at least the grammar */
		result = cw_matcher_prepare(&pipeline->matcher, CW_LINKTYPE_ETHERNET, note_illegal,
					    &check, error);
	for (index = 0; index <= rules->count && result == 0; index++) {
		if (check.illegal_counts[index] == atomic_load(&pipeline->matcher.set_count))
			result = -EINVAL;
	}
	if (result == -EINVAL)
		*error = check.first;
	else if (result == 0 && check.first.code)
		cw_pipeline_tell(pipeline, CW_PROBLEM,
				 "%s (it never matches packets of that link type)",
				 check.first.text);
	free(check.illegal_counts);
	return result;
}

/* ---- threads ---- */

static uint32_t usable_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores))
		return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	return (uint32_t)CPU_COUNT(&cores);
}

static void choose_sizes(struct cw_pipeline *pipeline)
{
	struct cw_pipeline_options *options = &pipeline->options;

	if (!options->threads)
		options->threads = usable_cores();
	if (options->threads > CW_THREADS_MAX)
		options->threads = CW_THREADS_MAX;
	if (!options->pool_bytes)
		options->pool_bytes = CW_POOL_BYTES_DEFAULT;
	if (!options->chunk_bytes)
		options->chunk_bytes =
			choose_chunk_bytes(options->pool_bytes, options->rules->count);
	if (!options->batch_bytes)
		options->batch_bytes = CW_BATCH_BYTES_DEFAULT;
	if (!options->batch_records)
		options->batch_records = CW_BATCH_RECORDS_DEFAULT;
	if (!options->batch_count)
		options->batch_count = options->threads * 3 + 4;
}

static int init_memory(struct cw_pipeline *pipeline, struct cw_error *error)
{
	const struct cw_pipeline_options *options = &pipeline->options;
	const struct cw_batch_sizes sizes = {
		.records_max = options->batch_records,
		.match_capacity =
			CW_BATCH_MATCHES_MIN + pipeline->output_count + CW_MATCH_BURST,
		.tally_capacity = pipeline->output_count,
		.piece_capacity = pipeline->output_count + CW_BATCH_PIECES_EXTRA,
	};
	uint32_t index;

	pipeline->batches = calloc(options->batch_count, sizeof(*pipeline->batches));
	pipeline->workers = calloc(options->threads, sizeof(*pipeline->workers));
	if (!pipeline->batches || !pipeline->workers ||
	    cw_chunk_pool_init(&pipeline->pool, options->pool_bytes, options->chunk_bytes) < 0 ||
	    cw_sequencer_init(&pipeline->sequencer, options->batch_count) < 0 ||
	    cw_ring_new(&pipeline->free_batches, options->batch_count) < 0 ||
	    cw_ring_new(&pipeline->cut, options->batch_count) < 0 ||
	    cw_ring_new(&pipeline->reserved, options->batch_count) < 0 ||
	    cw_ring_new(&pipeline->writable, pipeline->output_count) < 0)
		goto no_memory;
	pipeline->sequencer.matched_limit = options->packet_limit;
	for (index = 0; index < options->batch_count; index++) {
		if (cw_batch_init(&pipeline->batches[index], &sizes) < 0)
			goto no_memory;
		pipeline->batch_count++;
		cw_ring_push_any(pipeline->free_batches, &pipeline->batches[index]);
	}
	for (index = 0; index < options->threads; index++) {
		if (cw_worker_init(&pipeline->workers[index], pipeline, index) < 0)
			goto no_memory;
		pipeline->worker_count++;
	}
	return 0;
no_memory:
	return cw_error_set(error, -ENOMEM,
			    "no memory for %u threads, %u batches and %zu bytes of chunks",
			    options->threads, options->batch_count, options->pool_bytes);
}

static int start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
	int failure = pthread_create(thread, NULL, run, argument);
	char kept[16];

	if (failure == 0) {
		snprintf(kept, sizeof(kept), "%.15s", name);
		pthread_setname_np(*thread, kept);
	}
	return -failure;
}

/* Signals go to the thread that asked for the run; only faults are this pipeline's threads' own. */
static int start_threads(struct cw_pipeline *pipeline, struct cw_error *error)
{
	sigset_t blocked, before;
	uint32_t index;
	char name[32]; /* the kernel keeps 15 of them */
	int result = 0;

	sigfillset(&blocked);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGILL);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	atomic_store(&pipeline->running_threads, pipeline->worker_count + 1);
	for (index = 0; index < pipeline->worker_count && result == 0; index++) {
		struct cw_worker *worker = &pipeline->workers[index];

		snprintf(name, sizeof(name), "cw-worker-%u", index);
		result = start_thread(&worker->thread, name, cw_worker_main, worker);
		worker->is_started = result == 0;
	}
	if (result == 0) {
		result = start_thread(&pipeline->capture_thread, "cw-capture", cw_capture_main,
				      pipeline);
		pipeline->is_capture_started = result == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result < 0)
		cw_error_set_errno(error, result, "cannot start %u threads",
				   pipeline->worker_count + 1);
	return result;
}

void cw_pipeline_thread_ends(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	/* An eventfd takes a one, unless it is at its limit and so readable already. */
	if (atomic_fetch_sub(&pipeline->running_threads, 1) == 1)
		(void)!write(pipeline->done_fd, &one, sizeof(one));
}

void cw_pipeline_settle(struct cw_pipeline *pipeline)
{
	if (atomic_load(&pipeline->sequencer.is_starved)) /* [STARVE-1] */
		cw_sequencer_run_any(pipeline);
	/* [END-2] Whoever brings the last of the three about sees all of them. */
	if (atomic_load(&pipeline->is_sealed) && atomic_load(&pipeline->live_chunks) == 0 &&
	    atomic_load(&pipeline->live_batches) == 0 &&
	    !atomic_exchange(&pipeline->is_done, true))
		cw_gate_signal_all(&pipeline->worker_gate);
}

void cw_pipeline_finish_batch(struct cw_pipeline *pipeline, struct cw_batch *batch)
{
	cw_lease_give_back(&batch->lease);
	cw_ring_push_any(pipeline->free_batches, batch);
	cw_gate_signal(&pipeline->capture_gate);
	atomic_fetch_sub(&pipeline->live_batches, 1);
	cw_pipeline_settle(pipeline);
}

void cw_pipeline_request_stop(struct cw_pipeline *pipeline)
{
	uint64_t one = 1;

	atomic_store(&pipeline->is_stopping, true);
	(void)!write(pipeline->wake_fd, &one, sizeof(one)); /* as in thread_ends */
	cw_gate_signal_all(&pipeline->capture_gate);
}

/* ---- the whole ---- */

static int open_events(struct cw_pipeline *pipeline, struct cw_error *error)
{
	pipeline->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pipeline->abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pipeline->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pipeline->wake_fd < 0 || pipeline->abort_fd < 0 || pipeline->done_fd < 0)
		return cw_error_set_errno(error, -errno, "cannot make event descriptors");
	if (cw_gate_init(&pipeline->worker_gate) < 0 || cw_gate_init(&pipeline->capture_gate) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for locks");
	pipeline->has_gates = true;
	return 0;
}

static int start(struct cw_pipeline *pipeline, struct cw_error *error)
{
	struct cw_filter_set_options filter_options = {
		.filter = {.unoptimized = pipeline->options.unoptimized,
			   .resolve_names = pipeline->options.resolve_names},
		.engine = pipeline->options.engine,
	};
	int result;

	clock_gettime(CLOCK_MONOTONIC, &pipeline->start_time);
	result = open_events(pipeline, error);
	if (result == 0)
		result = cw_rules_check(pipeline->options.rules, error);
	if (result == 0)
		result = init_inputs(pipeline, error);
	if (result < 0)
		return result;
	choose_sizes(pipeline);
	cw_matcher_init(&pipeline->matcher, pipeline->options.rules, pipeline->options.prefilter,
			&filter_options);
	result = init_outputs(pipeline, error);
	if (result == 0)
		result = check_rules(pipeline, error);
	if (result == 0)
		result = init_memory(pipeline, error);
	if (result < 0)
		return result;
	if (cw_files_init(&pipeline->files, pipeline->options.descriptor_limit) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for locks");
	pipeline->has_files = true;
	pipeline->empty_linktype = pipeline->ifaces.count
					   ? cw_ifaces_at(&pipeline->ifaces, 0)->linktype
					   : CW_LINKTYPE_ETHERNET;
	return start_threads(pipeline, error);
}

int cw_pipeline_start(struct cw_pipeline **result, const struct cw_pipeline_options *options,
		      struct cw_error *error)
{
	struct cw_pipeline *pipeline;
	struct cw_error local = {0};
	int failure;

	pipeline = aligned_alloc(CW_CACHE_LINE, sizeof(*pipeline));
	if (!pipeline)
		return cw_error_set(error, -ENOMEM, "no memory");
	memset(pipeline, 0, sizeof(*pipeline));
	pipeline->options = *options;
	pipeline->wake_fd = pipeline->abort_fd = pipeline->done_fd = -1;
	cw_ifaces_init(&pipeline->ifaces);
	failure = options->rules->count
			  ? start(pipeline, &local)
			  : cw_error_set(&local, -EINVAL, "there is no rule, so no output");
	if (failure < 0) {
		if (error)
			*error = local;
		cw_pipeline_free(pipeline);
		return failure;
	}
	*result = pipeline;
	return 0;
}

int cw_pipeline_done_fd(const struct cw_pipeline *pipeline)
{
	return pipeline->done_fd;
}

void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress)
{
	*progress = (struct cw_progress){.read_bytes = atomic_load(&pipeline->read_bytes),
					 .total_bytes = pipeline->total_bytes,
					 .packets = atomic_load(&pipeline->received)};
}

/* Threads that run although starting the others failed: let them find their end. */
static void join_threads(struct cw_pipeline *pipeline)
{
	uint32_t index;

	if (!pipeline->worker_count || !pipeline->workers[0].is_started)
		return;
	if (pipeline->is_capture_started) {
		pthread_join(pipeline->capture_thread, NULL);
	} else {
		atomic_store(&pipeline->is_done, true);
		cw_gate_signal_all(&pipeline->worker_gate);
	}
	for (index = 0; index < pipeline->worker_count; index++) {
		if (pipeline->workers[index].is_started)
			pthread_join(pipeline->workers[index].thread, NULL);
		pipeline->workers[index].is_started = false;
	}
	pipeline->is_capture_started = false;
}

int cw_pipeline_finish(struct cw_pipeline *pipeline, struct cw_report *report)
{
	join_threads(pipeline);
	cw_outputs_finish(pipeline);
	return cw_pipeline_report(pipeline, report);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cw_pipeline_free(struct cw_pipeline *pipeline)
{
	uint32_t index;

	if (!pipeline)
		return;
	join_threads(pipeline);
	for (index = 0; index < pipeline->worker_count; index++)
		cw_worker_fini(&pipeline->workers[index]);
	for (index = 0; index < pipeline->batch_count; index++)
		cw_batch_fini(&pipeline->batches[index]);
	for (index = 0; index < pipeline->output_count; index++)
		cw_output_fini(&pipeline->outputs[index]);
	for (index = 0; index < pipeline->input_count; index++)
		cw_source_close(pipeline->inputs[index].source);
	cw_matcher_fini(&pipeline->matcher);
	cw_names_fini(&pipeline->names);
	cw_sequencer_fini(&pipeline->sequencer);
	cw_chunk_pool_fini(&pipeline->pool);
	cw_ring_free(pipeline->free_batches);
	cw_ring_free(pipeline->cut);
	cw_ring_free(pipeline->reserved);
	cw_ring_free(pipeline->writable);
	cw_ifaces_fini(&pipeline->ifaces);
	if (pipeline->has_gates) {
		cw_gate_fini(&pipeline->worker_gate);
		cw_gate_fini(&pipeline->capture_gate);
	}
	if (pipeline->has_files)
		cw_files_fini(&pipeline->files);
	free(pipeline->turn_tally_of);
	free(pipeline->workers);
	free(pipeline->batches);
	free(pipeline->outputs);
	free(pipeline->inputs);
	close_if_open(pipeline->wake_fd);
	close_if_open(pipeline->abort_fd);
	close_if_open(pipeline->done_fd);
	free(pipeline);
}
