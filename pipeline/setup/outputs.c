/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a request says, looked at before the first thread starts and the first file is made: inputs
 * are opened and their headers read, outputs named and compared with inputs and each other, rules
 * compiled for the link types that are there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/packet/linktype.h"
#include "pipeline/output/output_parts.h"
#include "pipeline/state.h"

/* Inputs are kept open from check to reading up to here; more are opened again when it is time. */
#define INPUTS_OPEN_MAX 16u
#define PROBLEMS_TOLD_MAX 8u

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

int cw_setup_output(struct cw_pipeline *pipeline, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error)
{
	uint32_t snaplen = rule->snaplen ? rule->snaplen : pipeline->options.snaplen;
	int result =
	    cw_template_parse(&output->name, rule->write, pipeline->options.directory, error);
	char where[512];

	if (result < 0) {
		describe_rule(rules, rule, where, sizeof(where));
		cw_error_prefix(error, "%s", where);
		return result;
	}
	output->index = index;
	output->rule = rule;
	output->generation = 1; /* the first ones; a reload says otherwise */
	output->format = choose_format(pipeline, output->name);
	output->snaplen = snaplen ? snaplen : UINT32_MAX;
	cw_output_adopt(pipeline, output, rule);
	output->linktype = CW_LINKTYPE_ANY;
	atomic_init(&output->state, CW_OUTPUT_USED);
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
int cw_setup_target(struct cw_pipeline *pipeline, const struct cw_output *output, bool is_new,
		    struct cw_names *names, struct cw_error *error)
{
	const struct cw_template_values values = {.rule = output->rule->name};
	char path[CW_TEMPLATE_PATH_BYTES];
	char *folder, *slash, *claimed, *whole = NULL;
	struct stat status;
	bool is_taken;

	/* Which files there will be is known only while writing, when it is too late to refuse. */
	if (is_new && pipeline->options.no_clobber &&
	    (cw_template_has_time(output->name) || cw_template_has_iface(output->name) ||
	     output->rotate_bytes || output->rotate_records || output->rotate_every_ns))
		return cw_error_set(error, -EINVAL,
				    "rule %s: --no-clobber is for fixed names without rotation in "
				    "this version",
				    output->rule->name);
	if (cw_template_is_stdout(output->name)) {
		if (fstat(pipeline->options.standard_output, &status) == 0 &&
		    S_ISREG(status.st_mode) &&
		    cw_pipeline_is_input(pipeline, (uint64_t)status.st_dev,
					 (uint64_t)status.st_ino))
			return cw_error_set(error, -EINVAL,
					    "rule %s: standard output goes to one of the inputs",
					    output->rule->name);
		return 0;
	}
	if (cw_template_has_time(output->name) || cw_template_has_iface(output->name))
		return 0;
	if (cw_template_expand(output->name, &values, path) < 0)
		return cw_error_set(error, -EINVAL, "rule %s: the output's name is too long",
				    output->rule->name);
	if (is_new && stat(path, &status) == 0) {
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
	if (!folder && errno == ENOENT)
		return cw_error_set(error, -EINVAL, "rule %s: the folder %s does not exist",
				    output->rule->name, path);
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

/*
 * Offline, the page cache takes what is written at the speed of memory, and what is read again at
 * once is still there: auto means buffered. Live, it is what makes a capture fall behind.
 */
static int setup_direct(struct cw_pipeline *pipeline)
{
	enum cw_direct_mode mode = pipeline->options.direct;

	if (mode == CW_DIRECT_OFF || (mode == CW_DIRECT_AUTO && !pipeline->port_count))
		return 0;
	return cw_direct_share_new(&pipeline->direct_share, CW_DIRECT_FILES_MAX,
				   mode == CW_DIRECT_AUTO);
}

static void wake_worker(void *context)
{
	struct cw_pipeline *pipeline = context;

	cw_gate_signal(&pipeline->worker_gate);
}

/* Compressed outputs: a frame to fill for each, and some that workers compress meanwhile. */
static int setup_pack(struct cw_pipeline *pipeline)
{
	uint32_t threads = pipeline->options.threads;
	struct cw_pack_options options = {.extra_count = 2 * threads + 2,
					  .in_flight = threads + 1,
					  .on_submit = wake_worker,
					  .context = pipeline};
	uint32_t index;

	for (index = 0; index < pipeline->output_count; index++)
		options.file_count += cw_template_is_zst(pipeline->outputs[index].name);
	if (pipeline->reload.is_possible)
		options.file_count = pipeline->output_capacity; /* memory comes with their use */
	return options.file_count ? cw_pack_new(&pipeline->pack, &options) : 0;
}

int cw_setup_outputs(struct cw_pipeline *pipeline, struct cw_error *error)
{
	const struct cw_rules *rules = pipeline->options.rules;
	struct cw_names names = {0};
	uint32_t index;
	int result = 0;

	pipeline->output_capacity = rules->count;
	if (pipeline->reload.is_possible)
		pipeline->output_capacity = rules->count > CW_OUTPUTS_RELOAD_MIN / 2
						? 2 * rules->count
						: CW_OUTPUTS_RELOAD_MIN;
	/* What is not used is not touched. */
	pipeline->outputs =
	    aligned_alloc(CW_CACHE_LINE, pipeline->output_capacity * sizeof(*pipeline->outputs));
	pipeline->turn_tally_of =
	    calloc(pipeline->output_capacity, sizeof(*pipeline->turn_tally_of));
	if (!pipeline->outputs || !pipeline->turn_tally_of || setup_direct(pipeline) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for %u outputs", rules->count);
	memset(pipeline->outputs, 0, rules->count * sizeof(*pipeline->outputs));
	pipeline->output_count = rules->count;
	cw_rules_adopt(pipeline, rules);
	pipeline->turn_output_count = rules->count;
	for (index = 0; index < rules->count && result == 0; index++)
		result = cw_setup_output(pipeline, &pipeline->outputs[index], index, rules,
					 &rules->rules[index], error);
	for (index = 0; index < rules->count && result == 0; index++) {
		result = cw_setup_target(pipeline, &pipeline->outputs[index], true, &names, error);
		pipeline->reload.has_used_stdout |=
		    cw_template_is_stdout(pipeline->outputs[index].name);
	}
	cw_names_fini(&names);
	if (result == 0 && setup_pack(pipeline) < 0)
		result = cw_error_set(error, -ENOMEM, "no memory for compressed outputs");
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
int cw_setup_inputs(struct cw_pipeline *pipeline, struct cw_error *error)
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
		if (input->info.snaplen > pipeline->snaplen_max && input->info.snaplen <= INT32_MAX)
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
	const struct cw_rules *rules;
	enum cw_severity severity; /* of a rule that is refused */
	struct cw_error first;     /* the first rule's problem */
	uint32_t told_count;
	uint32_t *illegal_counts; /* per rule, then of the prefilter: types it is illegal for */
};

static void note_illegal(void *context, const struct cw_rule *rule, uint32_t linktype,
			 bool is_warning, const char *text)
{
	struct compile_check *check = context;
	const struct cw_rules *rules = check->rules;
	uint32_t index = rule ? (uint32_t)(rule - rules->rules) : rules->count;
	char where[512], place[CW_FILTER_EXPLAIN_BYTES];

	(void)linktype;
	if (is_warning) {
		cw_pipeline_report_rule(check->pipeline, rule, linktype, true, text);
		return;
	}
	describe_rule(rules, rule, where, sizeof(where));
	cw_filter_explain(rule ? rule->filter : check->pipeline->options.prefilter, text, place,
			  sizeof(place));
	check->illegal_counts[index]++;
	if (!check->first.code)
		cw_error_set(&check->first, -EINVAL, "%s: %s%s", where, text, place);
	else if (++check->told_count <= PROBLEMS_TOLD_MAX)
		cw_pipeline_tell(check->pipeline, check->severity, "%s: %s%s", where, text, place);
}

/* Build the sets of the link types present; a rule that is illegal for all of them is an error. */
int cw_setup_rules(struct cw_pipeline *pipeline, struct cw_generation *generation, bool is_reload,
		   struct cw_error *error)
{
	const struct cw_rules *rules = generation->rules;
	struct cw_matcher *matcher = &generation->matcher;
	const struct cw_iface ethernet = {.linktype = CW_LINKTYPE_ETHERNET};
	struct compile_check check = {
	    .pipeline = pipeline, .rules = rules, .severity = is_reload ? CW_WARNING : CW_PROBLEM};
	uint32_t index;
	int result = 0;

	check.illegal_counts = calloc(rules->count + 1, sizeof(*check.illegal_counts));
	if (!check.illegal_counts)
		return cw_error_set(error, -ENOMEM, "no memory for rules");
	for (index = 0; index < pipeline->ifaces.count && result == 0; index++)
		result = cw_matcher_prepare(matcher, cw_ifaces_at(&pipeline->ifaces, index),
					    note_illegal, &check, error);
	if (pipeline->ifaces.count == 0 && result == 0) /* at least the grammar */
		result = cw_matcher_prepare(matcher, &ethernet, note_illegal, &check, error);
	for (index = 0; index <= rules->count && result == 0; index++) {
		if (check.illegal_counts[index] == atomic_load(&matcher->set_count))
			result = -EINVAL;
	}
	if (result == -EINVAL)
		*error = check.first;
	else if (result == 0 && check.first.code)
		cw_pipeline_tell(pipeline, CW_PROBLEM,
				 "%s (it never matches packets of that link type)",
				 check.first.text);
	if (check.told_count > PROBLEMS_TOLD_MAX)
		cw_pipeline_tell(pipeline, check.severity, "and %u more such rules",
				 check.told_count - PROBLEMS_TOLD_MAX);
	free(check.illegal_counts);
	return result;
}
