/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir split and capture: from arguments to rules and options of a run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/filter/text/compiler.h"
#include "core/packet/linktype.h"
#include "pipeline/pipeline.h"
#include "tools/commands/commands.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/request/request.h"

#define FILTER_FILE_BYTES_MAX ((size_t)64 << 20)

/* ---- arguments ---- */

int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype)
{
	int64_t value;

	*linktype = CW_LINKTYPE_ANY;
	if (!arguments->filter.linktype)
		return 0;
	value = cw_linktype_from_name(arguments->filter.linktype);
	if (value < 0) {
		cw_complain("-y: unknown link type '%s'", arguments->filter.linktype);
		return CW_EXIT_USAGE;
	}
	*linktype = (uint32_t)value;
	return 0;
}

/* In a process that helps: a capture listens to strangers, and this is behind it. */
static int confine_helper(void *context)
{
	const struct cw_confine_options *options = context;
	int result = cw_confine_helper(options, NULL);

	/* Whom this process cannot become: cw_run's check says so, in words, and ends the run. */
	return result == -EINVAL || result == -EPERM ? 0 : result;
}

struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments)
{
	struct cw_confine_options confine = {.user = arguments->live.user};
	const struct cw_filter_compiler_options options = {
	    .time_ms = (uint32_t)arguments->filter.time_ms,
	    .memory_bytes = arguments->filter.memory_bytes,
	    .on_start = arguments->devices.count ? confine_helper : NULL,
	    .context = &confine,
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
	if (arguments->filter.file && rest->count) {
		cw_complain("give the expression with -F or on the command line, not both");
		return CW_EXIT_USAGE;
	}
	if (arguments->filter.file)
		return read_filter_file(arguments->filter.file, expression);
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

	if (arguments->rules.writes.count == 0) {
		cw_complain("no output: give -w FILE (with -f EXPR before it), or -R RULES");
		return CW_EXIT_USAGE;
	}
	if (arguments->rules.filters.count == 0 && arguments->rules.writes.count == 1) {
		const char *filter = *expression ? *expression : "";

		if (cw_rules_add(rules, "rule1", filter, arguments->rules.writes.words[0], 0,
				 &error) < 0)
			goto bad;
		free(*expression);
		*expression = NULL;
		return 0;
	}
	if (arguments->rules.filters.count != arguments->rules.writes.count) {
		cw_complain("%u filters (-f) and %u outputs (-w): the k-th -f goes with the k-th "
			    "-w, so there must be as many",
			    arguments->rules.filters.count, arguments->rules.writes.count);
		return CW_EXIT_USAGE;
	}
	for (index = 0; index < arguments->rules.writes.count; index++) {
		char name[32];

		snprintf(name, sizeof(name), "rule%u", index + 1);
		if (cw_rules_add(rules, name, arguments->rules.filters.words[index],
				 arguments->rules.writes.words[index], 0, &error) < 0)
			goto bad;
	}
	return 0;
bad:
	cw_complain("%s", error.text);
	return error.code == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

/* -z is for rules without a hook of their own. 0 or -ENOMEM. */
static int set_hook(struct cw_rule *rule, const char *program)
{
	char *words[] = {(char *)(uintptr_t)program, NULL}; /* copied */

	return !program || rule->hook ? 0 : cw_rule_set_hook(rule, words);
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

/* What the command line asks of files is for rules that do not say. 0 or -ENOMEM. */
static int limit_rules(const struct cw_arguments *arguments, struct cw_rules *rules)
{
	uint32_t index;
	int result = 0;

	for (index = 0; index < rules->count && result == 0; index++) {
		struct cw_rule *rule = &rules->rules[index];

		if (!rule->rotate_bytes)
			rule->rotate_bytes = arguments->rules.rotate_bytes;
		if (!rule->rotate_packets)
			rule->rotate_packets = arguments->rules.rotate_packets;
		if (!rule->ring_files)
			rule->ring_files = arguments->rules.ring_files;
		if (!rule->rotate_every_ns) {
			rule->rotate_every_ns = arguments->rules.rotate_every_ns;
			rule->is_rotate_from_first = !arguments->rules.is_rotate_aligned;
		}
		result = set_hook(rule, arguments->rules.hook);
	}
	return result;
}

int cw_arguments_load_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
			    struct cw_error *error)
{
	struct stat status;
	int result;

	/* A pipe would be waited for. */
	if (stat(arguments->rules.file, &status))
		return cw_error_set_errno(error, -errno, "cannot find the rules file %.400s",
					  arguments->rules.file);
	if (!S_ISREG(status.st_mode))
		return cw_error_set(error, -EINVAL,
				    "%.400s is no regular file: it could be read once only",
				    arguments->rules.file);
	result = cw_rules_load(rules, arguments->rules.file, error);
	if (result < 0)
		return result;
	if (limit_rules(arguments, rules) < 0)
		result = cw_error_set(error, -ENOMEM, "no memory for the rules");
	else if (arguments->json && writes_to_stdout(rules))
		result = cw_error_set(error, -EINVAL,
				      "--json and an output - both want standard output");
	if (result < 0)
		cw_rules_fini(rules);
	return result;
}

static int make_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
		      char **expression)
{
	struct cw_error error = {0};
	int result;

	if (!arguments->rules.file) {
		result = add_pairs(arguments, rules, expression);
	} else if (arguments->rules.filters.count || arguments->rules.writes.count) {
		cw_complain("give rules with -R or with -f and -w, not both");
		result = CW_EXIT_USAGE;
	} else {
		result =
		    cw_rules_load(rules, arguments->rules.file, &error) < 0 ? CW_EXIT_USAGE : 0;
		if (result)
			cw_complain("%s", error.text);
	}
	if (result == 0 && cw_arguments_have(arguments, "file-count") &&
	    arguments->rules.rotate_every_ns && !arguments->rules.rotate_bytes &&
	    !arguments->rules.rotate_packets) {
		cw_complain(
		    "-W with -G alone, to stop after so many files, is not in this version; "
		    "-b files:%llu keeps the last ones",
		    (unsigned long long)arguments->rules.ring_files);
		result = CW_EXIT_USAGE;
	}
	if (result == 0 && limit_rules(arguments, rules) < 0) {
		cw_complain("no memory");
		result = CW_EXIT_PROBLEM;
	}
	return result;
}

int cw_rules_check_hooks(const struct cw_rules *rules, bool *has_any, struct cw_error *error)
{
	uint32_t index;

	*has_any = false;
	for (index = 0; index < rules->count; index++) {
		char *const *hook = rules->rules[index].hook;

		if (!hook)
			continue;
		*has_any = true;
		if (!cw_hooks_has_program(hook[0]))
			return cw_error_set(error, -EINVAL,
					    "rule %s: its hook '%s' is no program that can be run",
					    rules->rules[index].name, hook[0]);
	}
	return 0;
}

/* The process that runs hooks; before the first thread. */
static int start_hooks(const struct cw_arguments *arguments, struct cw_hooks **hooks)
{
	struct cw_confine_options confine = {.user = arguments->live.user};
	const struct cw_hooks_options options = {
	    .time_ms = (uint32_t)arguments->rules.hook_ms,
	    .on_start = arguments->devices.count ? confine_helper : NULL,
	    .context = &confine,
	};
	struct cw_error error = {0};

	if (cw_hooks_start(hooks, &options, &error) == 0)
		return 0;
	cw_complain("%s", error.text);
	return CW_EXIT_PROBLEM;
}

/* Standard input can be read once: by one -r, or -R, or -F. */
static int check_stdin(const struct cw_arguments *arguments)
{
	uint32_t count = 0;
	uint32_t index;

	for (index = 0; index < arguments->inputs.count; index++)
		count += strcmp(arguments->inputs.words[index], "-") == 0;
	count += arguments->rules.file && strcmp(arguments->rules.file, "-") == 0;
	count += arguments->filter.file && strcmp(arguments->filter.file, "-") == 0;
	if (count < 2)
		return 0;
	cw_complain("standard input (-) can be read once only");
	return CW_EXIT_USAGE;
}

static void fill_options(const struct cw_arguments *arguments, const struct cw_rules *rules,
			 const char *prefilter, struct cw_pipeline_options *options)
{
	options->inputs = arguments->inputs.words;
	options->input_count = arguments->inputs.count;
	options->rules = rules;
	options->prefilter = prefilter;
	options->directory = arguments->output.directory;
	options->threads = (uint32_t)arguments->output.threads;
	options->packet_limit = arguments->output.packet_count;
	options->snaplen = (uint32_t)arguments->output.snaplen;
	options->time_precision = (enum cw_time_precision)arguments->output.precision;
	options->direct = (enum cw_direct_mode)arguments->output.direct;
	options->engine = (enum cw_filter_engine)arguments->filter.engine;
	options->verify_every = (uint32_t)arguments->filter.verify_every;
	options->unoptimized = arguments->filter.unoptimized;
	options->resolve_names = arguments->filter.resolve;
	options->no_clobber = arguments->output.no_clobber;
	options->sync = arguments->devices.count ? arguments->output.sync != CW_SYNC_OFF
						 : arguments->output.sync == CW_SYNC_CLOSE;
	options->is_utc = arguments->output.utc;
	options->standard_output = STDOUT_FILENO;
	options->pool_bytes = arguments->output.buffer_bytes;
	options->chunk_bytes = arguments->output.chunk_bytes;
	options->gather_bytes =
	    arguments->output.chunk_bytes; /* chunks of a given size go as they fill */
	options->batch_bytes = arguments->output.batch_bytes;
	options->batch_records = (uint32_t)arguments->output.batch_packets;
}

int cw_command_split(const struct cw_arguments *arguments)
{
	struct cw_pipeline_options options;
	struct cw_rules rules = {0};
	struct cw_hooks *hooks = NULL;
	char *expression = NULL;
	struct cw_error error = {0};
	bool has_hooks = false;
	int result;

	if (arguments->live.lists_devices || arguments->live.lists_linktypes ||
	    arguments->live.lists_clocks)
		return cw_command_devices(arguments);
	cw_pipeline_options_init(&options);
	if (!arguments->inputs.count && !arguments->devices.count) {
		cw_complain("no input: give -i DEVICE or -r FILE");
		return CW_EXIT_USAGE;
	}
	result = check_stdin(arguments);
	if (result == 0)
		result = cw_arguments_expression(arguments, &expression);
	if (result == 0)
		result = make_rules(arguments, &rules, &expression);
	if (result == 0)
		result = cw_arguments_linktype(arguments, &options.linktype);
	if (result == 0 && arguments->json && writes_to_stdout(&rules)) {
		cw_complain("--json and -w - both want standard output");
		result = CW_EXIT_USAGE;
	}
	if (result == 0) {
		fill_options(arguments, &rules, expression, &options);
		result = cw_arguments_live(arguments, &options);
	}
	if (result == 0 && cw_rules_check_hooks(&rules, &has_hooks, &error) < 0) {
		cw_complain("%s", error.text);
		result = CW_EXIT_USAGE;
	}
	if (result == 0 && has_hooks)
		result = start_hooks(arguments, &hooks);
	if (result == 0) {
		options.compiler = cw_arguments_start_compiler(arguments);
		result = cw_run(arguments, &options, hooks);
		cw_filter_compiler_free(options.compiler);
	}
	cw_hooks_free(hooks);
	cw_rules_fini(&rules);
	free(expression);
	return result;
}
