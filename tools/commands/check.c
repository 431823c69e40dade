/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir check: a rules file, and what a run by it needs here, without packets. */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/plural.h"
#include "core/filter/text/compiler.h"
#include "core/filter/text/explain.h"
#include "core/packet/linktype.h"
#include "core/source/live/live.h"
#include "core/source/source.h"
#include "pipeline/control/control.h"
#include "pipeline/match/match.h"
#include "tools/commands/commands.h"
#include "tools/commands/run.h"
#include "tools/devices/catalogue.h"
#include "tools/process/metrics.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"

struct findings {
	const struct cw_rules *rules;
	const char *expression;  /* the global filter; NULL: none */
	struct cw_ifaces ifaces; /* of the inputs, or of the interfaces */
	json_t *list;            /* NULL: findings are printed as text */
	const char *about;       /* the part that the start's messages are about */
	uint32_t error_count;
	uint32_t warning_count;
	uint32_t
	    *illegal_counts; /* link types a filter is illegal for, per rule, then the global */
};

static void take_message(void *context, const char *text);

/* Prints past take_message. */
static void CW_PRINTF(2, 3) say(struct findings *findings, const char *format, ...)
{
	char text[4096];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	cw_complain_to(NULL, NULL);
	cw_complain("%s", text);
	cw_complain_to(take_message, findings);
}

/* Adds a finding about a part of the request; `rule` may be NULL. Does not count it. */
static void add(struct findings *findings, bool is_warning, const char *about,
		const struct cw_rule *rule, const char *text)
{
	if (!findings->list) {
		say(findings, "%s%s", is_warning ? "warning: " : "", text);
		return;
	}
	json_array_append_new(
	    findings->list,
	    json_pack("{s:s, s:s, s:o, s:o, s:o}", "severity", is_warning ? "warning" : "error",
		      "about", about, "rule", cw_json_text(rule ? rule->name : NULL), "line",
		      rule && rule->line ? json_integer((json_int_t)rule->line) : json_null(),
		      "text", cw_json_text(text)));
}

static void add_error(struct findings *findings, const char *about, const struct cw_rule *rule,
		      const char *text)
{
	add(findings, false, about, rule, text);
	findings->error_count++;
}

static void add_warning(struct findings *findings, const char *about, const struct cw_rule *rule,
			const char *text)
{
	add(findings, true, about, rule, text);
	findings->warning_count++;
}

/* Takes what the parts of the start print. */
static void take_message(void *context, const char *text)
{
	static const char warning[] = "warning: ";
	struct findings *findings = context;

	if (strncmp(text, warning, strlen(warning)) == 0)
		add_warning(findings, findings->about, NULL, text + strlen(warning));
	else
		add_error(findings, findings->about, NULL, text);
}

/* ---- filters ---- */

static void note_filter(void *context, const struct cw_rule *rule, uint32_t linktype,
			bool is_warning, const char *text)
{
	struct findings *findings = context;
	char name[64], type[96] = "", place[CW_FILTER_EXPLAIN_BYTES] = "";
	struct cw_rule where = {0};
	struct cw_error whole = {0};

	if (rule) {
		where = *rule;
		where.line = cw_rule_explain(rule, is_warning ? "" : text, place, sizeof(place));
	} else if (!is_warning) {
		cw_filter_explain(findings->expression, text, place, sizeof(place));
	}
	if (!strstr(text,
		    " for link type ")) /* the compiler's texts name it, the parser's do not */
		snprintf(type, sizeof(type), " (link type %s)",
			 cw_linktype_name(linktype, name, sizeof(name)));
	if (findings->list) {
		cw_error_set(&whole, 0, "%s%s%s", rule ? "" : "the global filter: ", text, type);
		add(findings, is_warning, "filter", rule ? &where : NULL, whole.text);
	} else if (rule) {
		say(findings, "%s:%u: rule %s: %s%s%s%s", findings->rules->path, where.line,
		    rule->name, is_warning ? "warning: " : "", text, type, place);
	} else {
		say(findings, "%sthe global filter: %s%s%s", is_warning ? "warning: " : "", text,
		    type, place);
	}
	if (is_warning)
		findings->warning_count++;
	else
		findings->illegal_counts[rule ? rule - findings->rules->rules
					      : findings->rules->count]++;
}

/* Counts as split does: an error if the filter is illegal for all link types, else warnings. */
static void judge(struct findings *findings, uint32_t linktype_count)
{
	json_t *entry;
	size_t at;

	for (uint32_t index = 0; index <= findings->rules->count; index++) {
		const bool is_global = index == findings->rules->count;
		const char *name = is_global ? "" : findings->rules->rules[index].name;

		if (findings->illegal_counts[index] == linktype_count) {
			findings->error_count++;
			continue;
		}
		findings->warning_count += findings->illegal_counts[index];
		json_array_foreach(findings->list, at, entry)
		{
			const char *rule = json_string_value(json_object_get(entry, "rule"));
			const char *about = json_string_value(json_object_get(entry, "about"));

			if (strcmp(rule ? rule : "", name) == 0 && strcmp(about, "filter") == 0)
				json_object_set_new(entry, "severity", json_string("warning"));
		}
	}
}

/* Checks for the link types of the files given with -r or of the interfaces, or for that of -y, or
 * for Ethernet. */
static int check_types(const struct cw_arguments *arguments, struct cw_matcher *matcher,
		       struct findings *findings)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	struct cw_ifaces *ifaces = &findings->ifaces;
	struct cw_error error = {0};
	struct cw_iface assumed = {.linktype = CW_LINKTYPE_ETHERNET};
	uint32_t linktype, index;
	int result;

	result = cw_arguments_linktype(arguments, &linktype);
	if (result)
		return result;
	if (linktype != CW_LINKTYPE_ANY)
		assumed.linktype = linktype;
	for (index = 0; index < arguments->inputs.count && result >= 0; index++) {
		struct cw_source *source;

		result = cw_source_open(&source, arguments->inputs.words[index], ifaces, &options,
					&error);
		if (result >= 0)
			cw_source_close(source);
	}
	for (index = 0; index < ifaces->count && result >= 0; index++)
		result = cw_matcher_prepare(matcher, cw_ifaces_at(ifaces, index), note_filter,
					    findings, &error);
	if (ifaces->count == 0 && result >= 0)
		result = cw_matcher_prepare(matcher, &assumed, note_filter, findings, &error);
	if (result >= 0)
		return 0;
	return cw_fail("%s", error.text);
}

static void note_output(void *context, const struct cw_rule *rule, const char *text)
{
	add_error(context, rule ? "output" : "cores", rule, text);
}

static int check_filters(const struct cw_arguments *arguments, const struct cw_request *request,
			 struct findings *findings)
{
	struct cw_filter_set_options options = {
	    .filter = {.netmask = CW_NETMASK_NONE,
		       .unoptimized = arguments->filter.unoptimized,
		       .resolve_names = arguments->filter.resolve,
		       .compiler = cw_arguments_start_compiler(arguments)}};
	struct cw_matcher matcher;
	int result;

	cw_matcher_init(&matcher, &request->rules, request->expression, &options);
	result = check_types(arguments, &matcher, findings);
	judge(findings, atomic_load(&matcher.set_count));
	if (arguments->devices.count && !arguments->portable && result == 0)
		cw_pipeline_check_linktypes(&request->options, &matcher, note_output, findings);
	cw_matcher_fini(&matcher);
	cw_filter_compiler_free(options.filter.compiler);
	return result;
}

static bool takes_all_of(const struct cw_rule *earlier, const struct cw_rule *later)
{
	if (earlier->kind != CW_RULE_FILTER)
		return false;
	return !earlier->filter[0] ||
	       (later->filter && strcmp(earlier->filter, later->filter) == 0);
}

/* Warns of rules that no packet reaches: with `mode: first` an earlier rule takes all of theirs. */
static void check_reach(struct findings *findings)
{
	const struct cw_rules *rules = findings->rules;
	struct cw_error text;

	if (rules->mode != CW_FILTER_FIRST)
		return;
	for (uint32_t index = 1; index < rules->count; index++) {
		const struct cw_rule *rule = &rules->rules[index], *other = rules->rules;

		while (other < rule && !takes_all_of(other, rule))
			other++;
		if (other == rule)
			continue;
		cw_error_set(&text, 0,
			     "%s:%u: rule %s gets no packets: with 'mode: first', rule %s takes "
			     "them. Move rule %s up, or remove it",
			     rules->path, rule->line, rule->name, other->name, rule->name);
		add_warning(findings, "rules", rule, text.text);
	}
}

/* ---- this machine ---- */

static void check_hooks(const struct cw_arguments *arguments, struct findings *findings)
{
	const struct cw_rules *rules = findings->rules;

	for (uint32_t index = 0; index < rules->count; index++) {
		struct cw_error error = {0};
		int result = cw_rule_check_hook(&rules->rules[index], &error);

		if (result == 0 || (result != -E2BIG && arguments->portable))
			continue;
		cw_error_prefix(&error, "%s:%u", rules->path, rules->rules[index].line);
		add_error(findings, "hook", &rules->rules[index], error.text);
	}
}

/* Opens the interface with the smallest kernel ring, and closes it again. */
static void check_device(const struct cw_arguments *arguments, const char *device,
			 struct findings *findings)
{
	/* AF_XDP would take the packets away from the host: whether it can do so is not checked. */
	const struct cw_live_options options = {
	    .backend = arguments->live.backend == CW_LIVE_XDP
			   ? CW_LIVE_PACKET
			   : (enum cw_live_backend)arguments->live.backend,
	    .device = device,
	    .block_count = CW_LIVE_BLOCKS_MIN,
	    .wake_fd = -1};
	struct cw_live *live = NULL;
	struct cw_error error = {0};
	int result = cw_live_open(&live, &findings->ifaces, &options, &error);

	cw_live_close(live);
	if (result >= 0)
		return;
	if (arguments->live.waits_for_devices && (result == -ENODEV || result == -ENETDOWN))
		add_warning(findings, "interface", NULL, error.text);
	else
		add_error(findings, "interface", NULL, error.text);
}

static bool may_come(const struct cw_arguments *arguments, const char *device)
{
	return arguments->live.waits_for_devices && device[strspn(device, "0123456789")];
}

static void check_devices(const struct cw_arguments *arguments, struct findings *findings)
{
	struct cw_catalogue catalogue = {0};
	struct cw_error error = {0};

	findings->about = "interface";
	for (uint32_t index = 0; index < arguments->devices.count; index++) {
		const char *word = arguments->devices.words[index];
		const struct cw_catalogue_device *device = NULL;
		/* An interface may be named 1. */
		bool is_found = if_nametoindex(word) != 0;

		if (!is_found && !catalogue.count && cw_catalogue_fill(&catalogue, &error) < 0)
			add_warning(findings, "interface", NULL, error.text);
		if (!is_found)
			device = cw_catalogue_find(&catalogue, word);
		if (is_found || device || strchr(word, ':') || may_come(arguments, word))
			check_device(arguments, device ? device->name : word, findings);
		else
			cw_catalogue_complain(&catalogue, word);
	}
	findings->about = "request";
	cw_catalogue_fini(&catalogue);
}

static void check_ports(const struct cw_arguments *arguments, struct findings *findings)
{
	const char *control = arguments->live.control;
	struct cw_metrics *metrics = NULL;
	struct cw_error error = {0};
	int result = 0;

	if (control)
		result = cw_control_check_path(control, &error);
	if (result == -EADDRINUSE) /* perhaps by the capture that runs by this file */
		add_warning(findings, "control", NULL, error.text);
	else if (result < 0 &&
		 !(arguments->service && result == -ENOENT)) /* its manager makes it */
		add_error(findings, "control", NULL, error.text);
	result = 0;
	if (arguments->live.metrics)
		result = cw_metrics_open(&metrics, arguments->live.metrics, &error);
	if (result == -EADDRINUSE)
		add_warning(findings, "metrics", NULL, error.text);
	else if (result < 0)
		add_error(findings, "metrics", NULL, error.text);
	cw_metrics_close(metrics);
}

static void check_groups(struct cw_rules *rules, struct findings *findings)
{
	for (uint32_t index = 0; index < rules->count; index++) {
		struct cw_error error = {0};

		if (cw_rule_find_group(&rules->rules[index], true, &error) == 0)
			continue;
		cw_error_prefix(&error, "%s:%u", rules->path, rules->rules[index].line);
		add_error(findings, "group", &rules->rules[index], error.text);
	}
}

/* Checks the user and the folders and outputs of sound rules. A folder that the service manager
 * makes may be missing. Returns 0 or an exit status. */
static int check_outputs(const struct cw_arguments *arguments, struct cw_request *request,
			 struct findings *findings)
{
	const char *folder = arguments->output.directory;
	struct cw_session run = {.arguments = arguments, .options = &request->options};
	struct cw_error error = {0};
	int result = 0;

	if (arguments->service && access(folder, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (cw_session_prepare_files(&run, &request->options, &error) < 0)
		add_error(findings, "user", NULL, error.text);
	if (cw_pipeline_check(&request->options, note_output, findings) < 0)
		result = cw_complain_no_memory();
	cw_session_end_opener(&run);
	request->options.output.opener = NULL;
	return result;
}

/* ---- the command ---- */

/* Checks everything about rules that could be read. */
static int check_request(const struct cw_arguments *arguments, struct cw_request *request,
			 struct findings *findings)
{
	/* Options that are faulty would make others look faulty. */
	bool is_here = !arguments->portable && !arguments->rules.faults.count;
	bool is_sound;
	struct cw_error error = {0};
	int result = cw_request_make(request, arguments);

	if (result)
		return result == CW_EXIT_USAGE ? 0 : result; /* of options, which hide the rest */
	findings->rules = &request->rules;
	findings->expression = request->expression;
	findings->illegal_counts =
	    calloc(request->rules.count + 1u, sizeof(*findings->illegal_counts));
	if (!findings->illegal_counts)
		return cw_complain_no_memory();
	is_sound = cw_rules_check(&request->rules, &error) == 0;
	if (!is_sound)
		add_error(findings, "rules", NULL, error.text);
	check_reach(findings);
	check_hooks(arguments, findings);
	if (!arguments->portable)
		check_groups(&request->rules, findings);
	if (is_here) {
		check_devices(arguments, findings);
		check_ports(arguments, findings);
	}
	if (is_here && is_sound)
		result = check_outputs(arguments, request, findings);
	if (result || !request->rules.count)
		return result;
	return check_filters(arguments, request, findings);
}

/* Prints the result. Returns 0 or CW_EXIT_PROBLEM. */
static int print_result(const char *path, uint32_t rule_count, struct findings *findings)
{
	json_t *whole;

	if (!findings->list) {
		cw_print(stdout, "%s: %u rule%s, %u error%s, %u warning%s\n", path, rule_count,
			 cw_plural(rule_count), findings->error_count,
			 cw_plural(findings->error_count), findings->warning_count,
			 cw_plural(findings->warning_count));
		return 0;
	}
	whole = json_pack("{s:s, s:i, s:o, s:I, s:I, s:I, s:o}", "type", "check", "version", 1,
			  "file", cw_json_text(path), "rules", (json_int_t)rule_count, "errors",
			  (json_int_t)findings->error_count, "warnings",
			  (json_int_t)findings->warning_count, "findings", findings->list);
	findings->list = NULL;
	return cw_json_print(whole, JSON_INDENT(1), "");
}

int cw_command_check(const struct cw_arguments *arguments)
{
	const char *path = arguments->rules.file;
	struct cw_request request = {.expression = NULL};
	struct findings findings = {.list = arguments->json ? json_array() : NULL,
				    .about = "request"};
	int result = 0, printed;

	if (arguments->rest.count || !path)
		return cw_refuse("check takes one rules file: capweir check rules.yaml");
	cw_ifaces_init(&findings.ifaces);
	cw_complain_to(take_message, &findings);
	for (uint32_t index = 0; index < arguments->rules.faults.count; index++)
		add_error(&findings, "file", NULL, arguments->rules.faults.words[index]);
	if (arguments->rules.loaded)
		result = check_request(arguments, &request, &findings);
	cw_complain_to(NULL, NULL);
	printed = print_result(path, request.rules.count, &findings);
	if (result == 0)
		result = printed ? printed : findings.error_count ? CW_EXIT_USAGE : 0;
	cw_ifaces_fini(&findings.ifaces);
	json_decref(findings.list);
	free(findings.illegal_counts);
	cw_request_fini(&request);
	return result;
}
