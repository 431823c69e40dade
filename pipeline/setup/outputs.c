/* SPDX-License-Identifier: BSD-3-Clause */
/* The outputs of a request: names each, and compares it with the inputs and the other outputs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/setup/setup.h"

static bool has_ns_input(const struct cw_outputs *outputs)
{
	for (uint32_t index = 0; index < outputs->inputs->count; index++) {
		const struct cw_source_info *info = &outputs->inputs->at[index].info;

		/* A later interface of a pcapng file may be finer than those at its start. */
		if (info->has_ns || (info->format && !strcmp(info->format, "pcapng")))
			return true;
	}
	return false;
}

static enum cw_format choose_format(const struct cw_outputs *outputs,
				    const struct cw_template *name)
{
	enum cw_time_precision precision = outputs->run->options.output.time_precision;

	if (name->is_pcapng)
		return CW_FORMAT_PCAPNG;
	if (precision == CW_TIME_AUTO)
		precision = has_ns_input(outputs) ? CW_TIME_NS : CW_TIME_US;
	return precision == CW_TIME_NS ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US;
}

int cw_setup_output(struct cw_outputs *outputs, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error)
{
	uint32_t snaplen = rule->snaplen ? rule->snaplen : outputs->run->options.output.snaplen;
	int result = cw_template_parse(&output->name, rule->write,
				       outputs->run->options.output.directory, error);
	char where[512];

	if (result < 0) {
		cw_rule_describe(rules, rule, rule->line, where, sizeof(where));
		cw_error_prefix(error, "%s", where);
		return result;
	}
	output->index = index;
	output->rule = rule;
	output->generation = 1; /* the first rules; a reload overwrites it */
	output->format = choose_format(outputs, output->name);
	output->snaplen = snaplen ? snaplen : UINT32_MAX;
	cw_output_adopt(outputs, output, rule);
	output->turn.linktype = CW_LINKTYPE_ANY;
	atomic_init(&output->shared.state, CW_OUTPUT_USED);
	return 0;
}

static int check_stdout(const struct cw_outputs *outputs, const struct cw_output *output,
			struct cw_error *error)
{
	struct stat status;

	if (fstat(outputs->run->options.output.standard_output, &status) == 0 &&
	    S_ISREG(status.st_mode) &&
	    cw_inputs_have(outputs->inputs, (uint64_t)status.st_dev, (uint64_t)status.st_ino))
		return cw_error_set(error, -EINVAL,
				    "rule %s: standard output is redirected to one of the inputs",
				    output->rule->name);
	return 0;
}

/* Claims the name by its folder's real path, so that two paths to one folder collide. */
static int claim_target(const struct cw_output *output, char *path, struct cw_names *names,
			struct cw_error *error)
{
	char *slash = strrchr(path, '/');
	char *folder, *claimed, *whole = NULL;
	bool is_taken;

	if (slash)
		*slash = '\0';
	folder = realpath(slash ? (slash == path ? "/" : path) : ".", NULL);
	if (!folder && errno == ENOENT)
		return cw_error_set(error, -EINVAL,
				    "rule %s: the folder %s does not exist; create it first",
				    output->rule->name, path);
	if (folder && asprintf(&whole, "%s/%s", folder, slash ? slash + 1 : path) < 0)
		whole = NULL;
	free(folder);
	if (!whole)
		return 0; /* opening the file will report the fault */
	claimed = cw_names_claim(names, whole);
	is_taken = claimed && strcmp(claimed, whole) != 0;
	free(claimed);
	if (is_taken)
		cw_error_set(error, -EINVAL,
			     "rule %s: another rule writes %s too; give each rule its own file",
			     output->rule->name, whole);
	free(whole);
	return is_taken ? -EINVAL : 0;
}

int cw_setup_target(struct cw_outputs *outputs, const struct cw_output *output, bool is_new,
		    struct cw_names *names, struct cw_error *error)
{
	const struct cw_template_values values = {.rule = output->rule->name};
	const bool no_clobber = is_new && outputs->run->options.output.no_clobber;
	const bool is_fixed =
	    !output->name->has_kind[CW_PART_TIME] && !output->name->has_kind[CW_PART_IFACE];
	char path[CW_TEMPLATE_PATH_BYTES];
	struct stat status;

	/* Other names are known only while writing, when it is too late to refuse. */
	if (no_clobber && (!is_fixed || output->limits.rotate_bytes ||
			   output->limits.rotate_records || output->limits.rotate_every_ns))
		return cw_error_set(error, -EINVAL,
				    "rule %s: --no-clobber needs a fixed name without rotation",
				    output->rule->name);
	if (output->name->is_stdout)
		return check_stdout(outputs, output, error);
	if (!is_fixed)
		return 0;
	if (cw_template_expand(output->name, &values, path) < 0)
		return cw_error_set(error, -EINVAL, "rule %s: the output name is too long",
				    output->rule->name);
	if (!is_new || stat(path, &status) != 0)
		return claim_target(output, path, names, error);
	if (!S_ISREG(status.st_mode))
		return 0;
	if (cw_inputs_have(outputs->inputs, (uint64_t)status.st_dev, (uint64_t)status.st_ino))
		return cw_error_set(error, -EINVAL, "rule %s: output %s is one of the inputs",
				    output->rule->name, path);
	if (no_clobber)
		return cw_error_set(error, -EINVAL,
				    "rule %s: output %s exists already (--no-clobber)",
				    output->rule->name, path);
	return claim_target(output, path, names, error);
}

/*
 * Sets up direct writing. Auto means buffered offline: the page cache takes writes at the speed of
 * memory, and files read soon after are still cached. Live, the page cache is what makes a capture
 * fall behind.
 */
static int setup_direct(struct cw_outputs *outputs)
{
	enum cw_direct_mode mode = outputs->run->options.output.direct;

	if (mode == CW_DIRECT_OFF || (mode == CW_DIRECT_AUTO && !outputs->run->is_live))
		return 0;
	return cw_direct_share_new(&outputs->direct_share, CW_DIRECT_FILES_MAX,
				   mode == CW_DIRECT_AUTO);
}

static void wake_worker(void *context)
{
	struct cw_run *run = context;

	cw_gate_signal(&run->worker_gate);
}

/* Makes the frames of compressed outputs: one to fill for each, and some being compressed. */
static int setup_pack(struct cw_outputs *outputs)
{
	uint32_t threads = outputs->run->options.threads;
	struct cw_pack_options options = {.extra_count = 2 * threads + 2,
					  .in_flight = threads + 1,
					  .on_submit = wake_worker,
					  .context = outputs->run};

	for (uint32_t index = 0; index < outputs->count; index++)
		options.file_count += outputs->at[index].name->is_zst;
	if (outputs->run->is_reloadable)
		options.file_count = outputs->capacity; /* memory is taken when used */
	return options.file_count ? cw_pack_new(&outputs->pack, &options) : 0;
}

int cw_setup_outputs(struct cw_outputs *outputs, struct cw_error *error)
{
	const struct cw_rules *rules = outputs->run->options.rules;
	struct cw_names names = {0};
	int result = 0;

	outputs->capacity = rules->count;
	if (outputs->run->is_reloadable)
		outputs->capacity = rules->count > CW_OUTPUTS_RELOAD_MIN / 2
					? 2 * rules->count
					: CW_OUTPUTS_RELOAD_MIN;
	/* Unused outputs stay untouched, so they cost no memory. */
	outputs->at = aligned_alloc(CW_CACHE_LINE, outputs->capacity * sizeof(*outputs->at));
	outputs->turn.tally_of = calloc(outputs->capacity, sizeof(*outputs->turn.tally_of));
	if (!outputs->at || !outputs->turn.tally_of || setup_direct(outputs) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for %u outputs", rules->count);
	memset(outputs->at, 0, rules->count * sizeof(*outputs->at));
	outputs->count = rules->count;
	cw_outputs_adopt(outputs, rules);
	outputs->turn.used_count = rules->count;
	for (uint32_t index = 0; index < rules->count && result == 0; index++)
		result = cw_setup_output(outputs, &outputs->at[index], index, rules,
					 &rules->rules[index], error);
	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		result = cw_setup_target(outputs, &outputs->at[index], true, &names, error);
		outputs->has_used_stdout |= outputs->at[index].name->is_stdout;
	}
	cw_names_fini(&names);
	if (result == 0 && setup_pack(outputs) < 0)
		result = cw_error_set(error, -ENOMEM, "no memory for compressed outputs");
	return result;
}
