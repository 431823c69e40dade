/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "core/filter/text/explain.h"
#include "core/packet/linktype.h"
#include "pipeline/setup/setup.h"

#define PROBLEMS_REPORTED_MAX 8u

struct compile_check {
	struct cw_run *run;
	const struct cw_rules *rules;
	enum cw_severity severity; /* of a refused rule after the first */
	struct cw_error first;     /* the first rule's problem */
	uint32_t reported_count;
	uint32_t *illegal_counts; /* link types it is illegal for, per rule, then the prefilter */
};

static void note_illegal(void *context, const struct cw_rule *rule, uint32_t linktype,
			 bool is_warning, const char *text)
{
	struct compile_check *check = context;
	const struct cw_rules *rules = check->rules;
	uint32_t index = rule ? (uint32_t)(rule - rules->rules) : rules->count;
	char where[512], explained[CW_FILTER_EXPLAIN_BYTES];
	unsigned line = 0;

	(void)linktype;
	if (is_warning) {
		cw_run_report_rule(check->run, rule, linktype, true, text);
		return;
	}
	if (rule)
		line = cw_rule_explain(rule, text, explained, sizeof(explained));
	else
		cw_filter_explain(check->run->options.match.prefilter, text, explained,
				  sizeof(explained));
	cw_rule_describe(rules, rule, line, where, sizeof(where));
	check->illegal_counts[index]++;
	if (!check->first.code)
		cw_error_set(&check->first, -EINVAL, "%s: %s%s", where, text, explained);
	else if (++check->reported_count <= PROBLEMS_REPORTED_MAX)
		cw_run_tell(check->run, check->severity, "%s: %s%s", where, text, explained);
}

int cw_setup_rules(struct cw_run *run, struct cw_inputs *inputs, struct cw_generation *generation,
		   bool is_reload, struct cw_error *error)
{
	const struct cw_rules *rules = generation->rules;
	struct cw_matcher *matcher = &generation->matcher;
	const struct cw_iface ethernet = {.linktype = CW_LINKTYPE_ETHERNET};
	/* With one link type the run does not start; with several it may. */
	bool is_certain = !is_reload && inputs->ifaces.count <= 1;
	struct compile_check check = {
	    .run = run, .rules = rules, .severity = is_certain ? CW_PROBLEM : CW_WARNING};
	int result = 0;

	check.illegal_counts = calloc(rules->count + 1, sizeof(*check.illegal_counts));
	if (!check.illegal_counts)
		return cw_error_set(error, -ENOMEM, "no memory for rules");
	for (uint32_t index = 0; index < inputs->ifaces.count && result == 0; index++)
		result = cw_matcher_prepare(matcher, cw_ifaces_at(&inputs->ifaces, index),
					    note_illegal, &check, error);
	if (inputs->ifaces.count == 0 && result == 0) /* checks at least the grammar */
		result = cw_matcher_prepare(matcher, &ethernet, note_illegal, &check, error);
	for (uint32_t index = 0; index <= rules->count && result == 0; index++) {
		if (check.illegal_counts[index] == atomic_load(&matcher->set_count))
			result = -EINVAL;
	}
	if (result == -EINVAL)
		*error = check.first;
	else if (result == 0 && check.first.code)
		cw_run_tell(run, CW_WARNING, "%s (it never matches packets of that link type)",
			    check.first.text);
	if (check.reported_count > PROBLEMS_REPORTED_MAX)
		cw_run_tell(run, check.severity, "and %u more such rules",
			    check.reported_count - PROBLEMS_REPORTED_MAX);
	free(check.illegal_counts);
	return result;
}

int cw_setup_linktypes(const struct cw_matcher *matcher, const struct cw_rules *rules,
		       uint32_t index, struct cw_error *error)
{
	const struct cw_rule *rule = &rules->rules[index];
	const struct cw_rule_set *first = NULL;
	char names[2][64], where[512];
	uint32_t count = atomic_load(&matcher->set_count);
	struct cw_template *name;
	bool is_pcap;

	if (rule->is_count || cw_template_parse(&name, rule->write, NULL, NULL) < 0)
		return 0;
	is_pcap = !name->is_pcapng;
	cw_template_free(name);
	for (uint32_t at = 0; is_pcap && at < count; at++) {
		const struct cw_rule_set *set = matcher->sets[at];

		if (set->is_illegal[index] || set->is_prefilter_illegal)
			continue;
		if (!first)
			first = set;
		if (set->linktype == first->linktype)
			continue;
		cw_rule_describe(rules, rule, rule->line, where, sizeof(where));
		return cw_error_set(
		    error, -EINVAL,
		    "%s: the interfaces have link types %s and %s, and a .pcap file holds one: "
		    "write .pcapng",
		    where, cw_linktype_name(first->linktype, names[0], sizeof(names[0])),
		    cw_linktype_name(set->linktype, names[1], sizeof(names[1])));
	}
	return 0;
}
