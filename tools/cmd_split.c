/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir split: from arguments to rules and options, then a run with progress and signals. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/filter_compiler.h"
#include "core/linktype.h"
#include "tools/commands.h"

#define FILTER_FILE_BYTES_MAX ((size_t)64 << 20)

struct run {
	struct cw_pipeline *pipeline;
	struct timespec start;
	bool has_progress;   /* a line is on the terminal */
	bool wants_progress; /* stderr is one */
	bool is_stopped;     /* by a signal */
};

/* ---- arguments ---- */

int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype)
{
	int64_t value;

	*linktype = CW_LINKTYPE_ANY;
	if (!arguments->linktype)
		return 0;
	value = cw_linktype_from_name(arguments->linktype);
	if (value < 0) {
		cw_complain("-y: unknown link type '%s'", arguments->linktype);
		return CW_EXIT_USAGE;
	}
	*linktype = (uint32_t)value;
	return 0;
}

struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments)
{
	const struct cw_filter_compiler_options options = {
		.time_ms = (uint32_t)arguments->filter_time_ms,
		.memory_bytes = arguments->filter_memory,
	};
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	if (cw_filter_compiler_start(&compiler, &options, &error) == 0)
		return compiler;
	cw_complain("warning: %s; they are compiled without limits of time and memory", error.text);
	return NULL;
}

static int read_filter_file(const char *path, char **expression)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	size_t used = 0, room = 4096;
	char *text = malloc(room);
	int result = CW_EXIT_PROBLEM;

	if (!file || !text) {
		cw_complain("-F %s: %s", path, strerror(errno));
		goto out;
	}
	for (;;) {
		size_t got = fread(text + used, 1, room - used - 1, file);
		char *grown;

		used += got;
		if (got == 0)
			break;
		if (used + 1 < room)
			continue;
		room *= 2;
		grown = room > FILTER_FILE_BYTES_MAX ? NULL : realloc(text, room);
		if (!grown) {
			cw_complain("-F %s: the expression is too long", path);
			goto out;
		}
		text = grown;
	}
	if (ferror(file) || memchr(text, '\0', used)) {
		cw_complain("-F %s: %s", path, ferror(file) ? strerror(errno) : "holds a NUL byte");
		goto out;
	}
	text[used] = '\0';
	*expression = text;
	text = NULL;
	result = 0;
out:
	if (file && file != stdin)
		fclose(file);
	free(text);
	return result;
}

int cw_arguments_expression(const struct cw_arguments *arguments, char **expression)
{
	const struct cw_words *rest = &arguments->rest;
	size_t bytes = 1;
	uint32_t index;

	*expression = NULL;
	if (arguments->filter_file && rest->count) {
		cw_complain("give the expression with -F or on the command line, not both");
		return CW_EXIT_USAGE;
	}
	if (arguments->filter_file)
		return read_filter_file(arguments->filter_file, expression);
	if (!rest->count)
		return 0;
	for (index = 0; index < rest->count; index++)
		bytes += strlen(rest->words[index]) + 1;
	*expression = calloc(bytes, 1);
	if (!*expression) {
		cw_complain("no memory");
		return CW_EXIT_PROBLEM;
	}
	for (index = 0; index < rest->count; index++) {
		if (index)
			strcat(*expression, " ");
		strcat(*expression, rest->words[index]);
	}
	return 0;
}

/* The k-th filter with the k-th output; the expression may be the only output's filter. */
static int add_pairs(const struct cw_arguments *arguments, struct cw_rules *rules,
		     char **expression)
{
	struct cw_error error = {0};
	uint32_t index;

	if (arguments->writes.count == 0) {
		cw_complain("no output: give -w FILE (with -f EXPR before it), or -R RULES");
		return CW_EXIT_USAGE;
	}
	if (arguments->filters.count == 0 && arguments->writes.count == 1) {
		const char *filter = *expression ? *expression : "";

		if (cw_rules_add(rules, "rule1", filter, arguments->writes.words[0], 0, &error) < 0)
			goto bad;
		free(*expression);
		*expression = NULL;
		return 0;
	}
	if (arguments->filters.count != arguments->writes.count) {
		cw_complain("%u filters (-f) and %u outputs (-w): the k-th -f goes with the k-th "
			    "-w, so there must be as many",
			    arguments->filters.count, arguments->writes.count);
		return CW_EXIT_USAGE;
	}
	for (index = 0; index < arguments->writes.count; index++) {
		char name[32];

		snprintf(name, sizeof(name), "rule%u", index + 1);
		if (cw_rules_add(rules, name, arguments->filters.words[index],
				 arguments->writes.words[index], 0, &error) < 0)
			goto bad;
	}
	return 0;
bad:
	cw_complain("%s", error.text);
	return error.code == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

static int make_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
		      char **expression)
{
	struct cw_error error = {0};
	uint32_t index;
	int result;

	if (!arguments->rules) {
		result = add_pairs(arguments, rules, expression);
	} else if (arguments->filters.count || arguments->writes.count) {
		cw_complain("give rules with -R or with -f and -w, not both");
		result = CW_EXIT_USAGE;
	} else {
		result = cw_rules_load(rules, arguments->rules, &error) < 0 ? CW_EXIT_USAGE : 0;
		if (result)
			cw_complain("%s", error.text);
	}
	for (index = 0; result == 0 && index < rules->count; index++) {
		if (!rules->rules[index].rotate_bytes)
			rules->rules[index].rotate_bytes = arguments->rotate_bytes;
		if (!rules->rules[index].rotate_packets)
			rules->rules[index].rotate_packets = arguments->rotate_packets;
	}
	return result;
}

static int choose_engine(const struct cw_arguments *arguments, enum cw_filter_engine *engine)
{
	uint32_t index;

	*engine = CW_ENGINE_AUTO;
	if (!arguments->engine)
		return 0;
	for (index = CW_ENGINE_AUTO; index <= CW_ENGINE_LIBPCAP; index++) {
		*engine = (enum cw_filter_engine)index;
		if (strcmp(arguments->engine, cw_filter_engine_name(*engine)) == 0)
			return 0;
	}
	cw_complain("--filter-engine: unknown engine '%s'", arguments->engine);
	return CW_EXIT_USAGE;
}

/* Standard input can be read once: by one -r, or -R, or -F. */
static int check_stdin(const struct cw_arguments *arguments)
{
	uint32_t count = 0;
	uint32_t index;

	for (index = 0; index < arguments->inputs.count; index++)
		count += strcmp(arguments->inputs.words[index], "-") == 0;
	count += arguments->rules && strcmp(arguments->rules, "-") == 0;
	count += arguments->filter_file && strcmp(arguments->filter_file, "-") == 0;
	if (count < 2)
		return 0;
	cw_complain("standard input (-) can be read once only");
	return CW_EXIT_USAGE;
}

/* Whether an output is standard output, by whatever name. */
static bool writes_to_stdout(const struct cw_rules *rules)
{
	struct stat ours, theirs;
	bool is_known = fstat(STDOUT_FILENO, &ours) == 0 && !S_ISCHR(ours.st_mode);
	uint32_t index;

	for (index = 0; index < rules->count; index++) {
		const char *path = rules->rules[index].write;

		if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0 ||
		    strcmp(path, "/dev/fd/1") == 0 || strcmp(path, "/proc/self/fd/1") == 0)
			return true;
		if (is_known && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		    ours.st_ino == theirs.st_ino)
			return true;
	}
	return false;
}

/* ---- the run ---- */

static void tell(void *context, enum cw_severity severity, const char *text)
{
	struct run *run = context;

	/* One call of stdio: lines of several threads do not mix. */
	fprintf(stderr, "%scapweir: %s%s\n", run->has_progress ? "\r\033[K" : "",
		severity == CW_WARNING ? "warning: " : "", text);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

static void print_progress(struct run *run, bool ends_line)
{
	char packets[CW_NUMBER_BYTES], bytes[CW_NUMBER_BYTES], rate[CW_NUMBER_BYTES];
	double elapsed_s = seconds_since(&run->start);
	struct cw_progress progress;
	char left[64] = "";

	cw_pipeline_progress(run->pipeline, &progress);
	if (progress.total_bytes && progress.read_bytes && elapsed_s > 0)
		snprintf(left, sizeof(left), ", %.0f %%, %.0f s left",
			 100.0 * (double)progress.read_bytes / (double)progress.total_bytes,
			 elapsed_s * (double)(progress.total_bytes - progress.read_bytes) /
				 (double)progress.read_bytes);
	fprintf(stderr, "%s%s packets, %s read, %s/s%s%s", run->has_progress ? "\r\033[K" : "",
		cw_format_count(progress.packets, packets),
		cw_format_bytes(progress.read_bytes, bytes),
		cw_format_bytes((uint64_t)((double)progress.read_bytes / elapsed_s), rate), left,
		ends_line ? "\n" : "");
	fflush(stderr);
	run->has_progress = !ends_line;
}

/* What was done so far, for a run that is broken off. */
static void abort_run(struct run *run)
{
	struct cw_books books;
	char received[CW_NUMBER_BYTES], written[CW_NUMBER_BYTES];

	cw_pipeline_abort(run->pipeline);
	cw_pipeline_peek(run->pipeline, &books);
	cw_complain("aborted: %s packets taken in, %s records written; unfinished files are left "
		    "as hidden .part files",
		    cw_format_count(books.received, received),
		    cw_format_count(books.written, written));
	_exit(CW_EXIT_STOPPED);
}

static void handle_signal(struct run *run, int signal_fd)
{
	struct signalfd_siginfo signal;

	if (read(signal_fd, &signal, sizeof(signal)) != sizeof(signal))
		return;
	switch (signal.ssi_signo) {
	case SIGUSR1:
		print_progress(run, true);
		break;
	case SIGHUP:
		cw_complain("SIGHUP: rules are reloaded during live capture only; split goes on");
		break;
	default:
		if (run->is_stopped)
			abort_run(run);
		run->is_stopped = true;
		cw_complain("stopping: what was read is finished; once more aborts");
		cw_pipeline_request_stop(run->pipeline);
	}
}

static void wait_for_end(struct run *run, int signal_fd)
{
	struct pollfd fds[2] = {{.fd = cw_pipeline_done_fd(run->pipeline), .events = POLLIN},
				{.fd = signal_fd, .events = POLLIN}};

	while (!(fds[0].revents & POLLIN)) {
		int ready = poll(fds, 2, run->wants_progress ? 1000 : -1);

		if (ready == 0)
			print_progress(run, false);
		if (ready > 0 && (fds[1].revents & POLLIN))
			handle_signal(run, signal_fd);
	}
	if (run->has_progress)
		fputs("\r\033[K", stderr);
	run->has_progress = false;
}

static int finish(struct run *run, const struct cw_arguments *arguments)
{
	struct cw_report report;
	int status = CW_EXIT_COMPLETE;

	if (cw_pipeline_finish(run->pipeline, &report) < 0) {
		cw_complain("no memory for the report; the files are complete");
		return CW_EXIT_PROBLEM;
	}
	cw_report_complain(&report);
	if (arguments->json)
		status = cw_report_print_json(&report);
	else if (!arguments->quiet)
		cw_report_print(&report);
	if (!report.is_complete)
		status = CW_EXIT_PROBLEM;
	cw_report_fini(&report);
	return run->is_stopped ? CW_EXIT_STOPPED : status;
}

static void end_early(int number)
{
	(void)number;
	_exit(CW_EXIT_STOPPED);
}

/* From now on INT and TERM are run_pipeline's to read. */
static void take_signals(void *context)
{
	sigset_t signals;

	(void)context;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

/*
 * Until there are threads, start-up waits for the first bytes of pipes and for libpcap, and nothing
 * is written: a signal ends it on the spot. (The compile helper ends when its socket closes.)
 */
static int watch_signals(void)
{
	const struct sigaction early = {.sa_handler = end_early};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGINT, &early, NULL);
	sigaction(SIGTERM, &early, NULL);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int run_pipeline(const struct cw_arguments *arguments,
			struct cw_pipeline_options *options)
{
	struct run run = {.wants_progress = isatty(STDERR_FILENO) && !arguments->quiet};
	struct cw_error error = {0};
	int signal_fd = watch_signals();
	int result;

	if (signal_fd < 0) {
		cw_complain("cannot watch signals: %s", strerror(errno));
		return CW_EXIT_PROBLEM;
	}
	clock_gettime(CLOCK_MONOTONIC, &run.start);
	options->tell = tell;
	options->on_ready = take_signals;
	options->context = &run;
	result = cw_pipeline_start(&run.pipeline, options, &error);
	if (result < 0) {
		cw_complain("%s", error.text);
		close(signal_fd);
		return result == -EINVAL ? CW_EXIT_USAGE : CW_EXIT_PROBLEM;
	}
	wait_for_end(&run, signal_fd);
	result = finish(&run, arguments);
	cw_pipeline_free(run.pipeline);
	close(signal_fd);
	return result;
}

static void fill_options(const struct cw_arguments *arguments, const struct cw_rules *rules,
			 const char *prefilter, struct cw_pipeline_options *options)
{
	options->inputs = arguments->inputs.words;
	options->input_count = arguments->inputs.count;
	options->rules = rules;
	options->prefilter = prefilter;
	options->directory = arguments->directory;
	options->threads = (uint32_t)arguments->threads;
	options->packet_limit = arguments->packet_count;
	options->snaplen = (uint32_t)arguments->snaplen;
	options->time_precision = (enum cw_time_precision)arguments->precision;
	options->direct = (enum cw_direct_mode)arguments->direct;
	options->verify_every = (uint32_t)arguments->verify_every;
	options->unoptimized = arguments->unoptimized;
	options->resolve_names = arguments->resolve;
	options->no_clobber = arguments->no_clobber;
	options->sync = arguments->sync_on_close;
	options->is_utc = arguments->utc;
	options->standard_output = STDOUT_FILENO;
	options->pool_bytes = arguments->buffer_bytes;
	options->chunk_bytes = arguments->chunk_bytes;
	options->gather_bytes = arguments->chunk_bytes; /* chunks of a given size go as they fill */
	options->batch_bytes = arguments->batch_bytes;
	options->batch_records = (uint32_t)arguments->batch_packets;
}

int cw_command_split(const struct cw_arguments *arguments)
{
	struct cw_pipeline_options options;
	struct cw_rules rules = {0};
	char *expression = NULL;
	int result;

	cw_pipeline_options_init(&options);
	if (!arguments->inputs.count) {
		cw_complain("no input: give -r FILE (live capture is not in this version)");
		return CW_EXIT_USAGE;
	}
	result = check_stdin(arguments);
	if (result == 0)
		result = cw_arguments_expression(arguments, &expression);
	if (result == 0)
		result = make_rules(arguments, &rules, &expression);
	if (result == 0)
		result = cw_arguments_linktype(arguments, &options.linktype);
	if (result == 0)
		result = choose_engine(arguments, &options.engine);
	if (result == 0 && arguments->json && writes_to_stdout(&rules)) {
		cw_complain("--json and -w - both want standard output");
		result = CW_EXIT_USAGE;
	}
	if (result == 0) {
		fill_options(arguments, &rules, expression, &options);
		options.compiler = cw_arguments_start_compiler(arguments);
		result = run_pipeline(arguments, &options);
		cw_filter_compiler_free(options.compiler);
	}
	cw_rules_fini(&rules);
	free(expression);
	return result;
}
