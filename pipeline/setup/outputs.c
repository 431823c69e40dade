/* SPDX-License-Identifier: BSD-3-Clause */
/* The outputs of a request: names each, and sets it up. targets.c checks the names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "pipeline/setup/setup.h"

int cw_setup_output(struct cw_outputs *outputs, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error)
{
	enum cw_time_precision precision = outputs->run->options.output.time_precision;
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
	output->is_numbered = cw_rule_is_numbered(rule, output->name);
	output->first_number = output->is_numbered;
	output->generation = 1; /* the first rules; a reload overwrites it */
	output->format = output->name->is_pcapng   ? CW_FORMAT_PCAPNG
			 : precision == CW_TIME_NS ? CW_FORMAT_PCAP_NS
						   : CW_FORMAT_PCAP_US;
	output->is_precision_given = precision != CW_TIME_AUTO;
	/* A pcap header's promise holds for joined files, too. */
	if (!snaplen && !output->name->is_pcapng && !outputs->run->is_live) {
		snaplen = outputs->inputs->snaplen_max;
		output->is_snaplen_promised = snaplen != 0;
	}
	output->snaplen = snaplen ? snaplen : UINT32_MAX;
	output->discards_secrets =
	    rule->discards_secrets || outputs->run->options.output.discards_secrets;
	cw_output_adopt(outputs, output, rule);
	output->turn.linktype = CW_LINKTYPE_ANY;
	atomic_init(&output->shared.state, CW_OUTPUT_USED);
	return 0;
}

void cw_setup_found(struct cw_output *output, const struct cw_found_target *found)
{
	output->is_stream = found->is_stream;
	output->is_asked = found->is_asked;
	output->asked = found->number;
	output->owner = found->owner;
	output->given_to = found->given_to;
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
	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		cw_setup_found(&outputs->at[index], &outputs->found[index]);
		result = cw_setup_output(outputs, &outputs->at[index], index, rules,
					 &rules->rules[index], error);
	}
	if (result == 0)
		result = cw_setup_numbers(outputs, outputs->at, rules->count, error);
	if (result == 0 && setup_pack(outputs) < 0)
		result = cw_error_set(error, -ENOMEM, "no memory for compressed outputs");
	return result;
}
