/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir check: all that can be checked in a rules file without packets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/plural.h"
#include "core/filter/text/compiler.h"
#include "core/filter/text/explain.h"
#include "core/packet/linktype.h"
#include "core/source/source.h"
#include "pipeline/match/match.h"
#include "tools/commands/commands.h"
#include "tools/options/settings.h"
#include "tools/request/request.h"

struct findings {
	const struct cw_rules *rules;
	uint32_t error_count;
	uint32_t warning_count;
	uint32_t *illegal_counts; /* per rule: link types for which its filter is illegal */
};

static void note_finding(void *context, const struct cw_rule *rule, uint32_t linktype,
			 bool is_warning, const char *text)
{
	struct findings *findings = context;
	char name[64], type[96] = "", place[CW_FILTER_EXPLAIN_BYTES] = "";
	unsigned line = cw_rule_explain(rule, is_warning ? "" : text, place, sizeof(place));

	if (!strstr(text,
		    " for link type ")) /* the compiler's texts name it, the parser's do not */
		snprintf(type, sizeof(type), " (link type %s)",
			 cw_linktype_name(linktype, name, sizeof(name)));
	cw_complain("%s:%u: rule %s: %s%s%s%s", findings->rules->path, line, rule->name,
		    is_warning ? "warning: " : "", text, type, place);
	if (is_warning)
		findings->warning_count++;
	else
		findings->illegal_counts[rule - findings->rules->rules]++;
}

/* Checks the hooks. A missing program is a warning: the file may be checked on another machine. */
static void check_hooks(struct findings *findings)
{
	const struct cw_rules *rules = findings->rules;

	for (uint32_t index = 0; index < rules->count; index++) {
		struct cw_error error = {0};
		int result = cw_rule_check_hook(&rules->rules[index], &error);

		if (result == 0)
			continue;
		cw_complain("%s:%u: %s%s", rules->path, rules->rules[index].line,
			    result == -E2BIG ? "" : "warning: ", error.text);
		if (result == -E2BIG)
			findings->error_count++;
		else
			findings->warning_count++;
	}
}

static void note_setting(void *context, const char *text)
{
	struct findings *findings = context;

	cw_complain("%s", text);
	findings->error_count++;
}

/* Checks the mapping `capture:`. Returns 0 or an exit status. */
static int check_settings(struct findings *findings)
{
	struct cw_arguments scratch = {.command = CW_CAPTURE};
	int result = cw_settings_apply(&scratch, findings->rules, note_setting, findings);

	cw_arguments_fini(&scratch);
	return result == -ENOMEM ? cw_complain_no_memory() : 0;
}

/* Counts as split does: an error if the filter is illegal for all link types, else warnings. */
static void judge(struct findings *findings, uint32_t linktype_count)
{
	for (uint32_t index = 0; index < findings->rules->count; index++) {
		if (findings->illegal_counts[index] == linktype_count)
			findings->error_count++;
		else
			findings->warning_count += findings->illegal_counts[index];
	}
}

/* Checks for the link types of the files given with -r, or for that of -y, or for Ethernet. */
static int check_types(const struct cw_arguments *arguments, struct cw_matcher *matcher,
		       struct findings *findings)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	struct cw_ifaces ifaces;
	struct cw_error error = {0};
	struct cw_iface assumed = {.linktype = CW_LINKTYPE_ETHERNET};
	uint32_t linktype, index;
	int result;

	result = cw_arguments_linktype(arguments, &linktype);
	if (result)
		return result;
	if (linktype != CW_LINKTYPE_ANY)
		assumed.linktype = linktype;
	cw_ifaces_init(&ifaces);
	for (index = 0; index < arguments->inputs.count && result >= 0; index++) {
		struct cw_source *source;

		result = cw_source_open(&source, arguments->inputs.words[index], &ifaces, &options,
					&error);
		if (result >= 0)
			cw_source_close(source);
	}
	for (index = 0; index < ifaces.count && result >= 0; index++)
		result = cw_matcher_prepare(matcher, cw_ifaces_at(&ifaces, index), note_finding,
					    findings, &error);
	if (ifaces.count == 0 && result >= 0)
		result = cw_matcher_prepare(matcher, &assumed, note_finding, findings, &error);
	cw_ifaces_fini(&ifaces);
	if (result >= 0)
		return 0;
	return cw_fail("%s", error.text);
}

int cw_command_check(const struct cw_arguments *arguments)
{
	struct cw_filter_set_options options = {
	    .filter = {.netmask = CW_NETMASK_NONE,
		       .unoptimized = arguments->filter.unoptimized,
		       .resolve_names = arguments->filter.resolve}};
	struct cw_rules rules = {0};
	struct findings findings = {.rules = &rules};
	struct cw_matcher matcher;
	struct cw_error error = {0};
	const char *path = arguments->rest.count ? arguments->rest.words[0] : arguments->rules.file;
	int result = CW_EXIT_USAGE;

	if (arguments->rest.count > 1 || !path)
		return cw_refuse("check takes one rules file: capweir check rules.yaml");
	if (cw_rules_load(&rules, path, &error) < 0 ||
	    cw_rules_check_trust(&rules, &rules.settings, arguments->rules.trusted, &error) < 0 ||
	    cw_rules_check(&rules, &error) < 0) {
		cw_complain("%s", error.text);
		goto out;
	}
	findings.illegal_counts = calloc(rules.count + 1u, sizeof(*findings.illegal_counts));
	if (!findings.illegal_counts) {
		result = cw_complain_no_memory();
		goto out;
	}
	result = check_settings(&findings);
	if (result)
		goto out;
	check_hooks(&findings);
	options.filter.compiler = cw_arguments_start_compiler(arguments);
	cw_matcher_init(&matcher, &rules, NULL, &options);
	result = check_types(arguments, &matcher, &findings);
	judge(&findings, atomic_load(&matcher.set_count));
	cw_matcher_fini(&matcher);
	cw_filter_compiler_free(options.filter.compiler);
	if (result)
		goto out;
	if (findings.error_count)
		result = CW_EXIT_USAGE;
	cw_print(stdout, "%s: %u rule%s, %u error%s, %u warning%s\n", path, rules.count,
		 cw_plural(rules.count), findings.error_count, cw_plural(findings.error_count),
		 findings.warning_count, cw_plural(findings.warning_count));
out:
	free(findings.illegal_counts);
	cw_rules_fini(&rules);
	return result;
}
