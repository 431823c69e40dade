/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir inspect filter: each expression as classic BPF, and the decision program of all. */
#include <errno.h>
#include <stdlib.h>

#include "core/filter/text/compiler.h"
#include "core/packet/linktype.h"
#include "pipeline/rules/rules.h"
#include "tools/commands/commands.h"
#include "tools/request/request.h"

#define PROGRAMS_SHOWN 16u /* filters printed before the decision program, without --full */

/* All filters: those of the rules, then those of the command line. */
struct filters {
	struct cw_rules rules;
	struct cw_filter_set_options options;
	struct cw_filter_set *set; /* owns all filters */
	struct shown {
		const struct cw_filter *filter;
		const char *rule; /* name of its rule, or NULL */
	} * shown;
	uint32_t count;
};

/* Compiles and keeps one filter; `rule` is the name of its rule or NULL. */
static int add_filter(struct filters *filters, const char *expression, const char *rule)
{
	struct cw_error error = {0};
	struct cw_filter *filter = NULL;
	int result = cw_filter_compile(&filter, expression, &filters->options.filter, &error);

	if (result > 0)
		cw_complain("warning: %s", error.text);
	if (result >= 0) {
		filters->shown[filters->count] = (struct shown){filter, rule};
		result = cw_filter_set_add_filter(filters->set, filters->count++, filter, &error);
		if (result < 0)
			cw_filter_free(filter);
	}
	if (result >= 0)
		return 0;
	cw_complain("%s%s%s", rule ? rule : "", rule ? ": " : "", error.text);
	return result == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

static int add_filters(struct filters *filters, const struct cw_words *rest)
{
	const struct cw_rules *rules = &filters->rules;
	int result = 0;

	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		if (rules->rules[index].kind == CW_RULE_UNMATCHED)
			continue;
		result = add_filter(filters, rules->rules[index].filter, rules->rules[index].name);
		if (result)
			cw_complain("in %s, line %u", rules->path, rules->rules[index].filter_line);
	}
	for (uint32_t index = 1; index < rest->count && result == 0; index++) {
		result = add_filter(filters, rest->words[index], NULL);
		if (result && rest->count > 2)
			cw_complain("each argument is one expression: quote an expression of "
				    "several words");
	}
	return result;
}

/* Prints classic BPF only, as tcpdump -d does, with an empty line between filters. */
static void print_dumps(const struct filters *filters, uint64_t letters)
{
	for (uint32_t index = 0; index < filters->count; index++) {
		if (index)
			cw_print(stdout, "\n");
		cw_dump_filter(filters->shown[index].filter, letters);
	}
}

static void print_programs(const struct filters *filters, bool is_full)
{
	for (uint32_t index = 0; index < filters->count; index++) {
		const struct shown *shown = &filters->shown[index];

		if (index == PROGRAMS_SHOWN && !is_full) {
			cw_print(stdout, "and %u more filters (--full prints them)\n\n",
				 filters->count - index);
			return;
		}
		cw_print(stdout, "%u: %s%s%s\n", index, shown->rule ? shown->rule : "",
			 shown->rule ? ": " : "", cw_filter_expression(shown->filter));
		cw_filter_print(shown->filter, stdout, CW_FILTER_PROGRAM_TEXT);
		cw_print(stdout, "\n");
	}
}

/* The caller checks standard output for write errors. */
static int print_filters(const struct filters *filters, const struct cw_arguments *arguments)
{
	struct cw_error error = {0};

	if (arguments->filter.dumps) {
		print_dumps(filters, arguments->filter.dumps);
		return 0;
	}
	if (cw_filter_set_build(filters->set, &error) < 0)
		return cw_fail("%s", error.text);
	if (!arguments->filter.dot)
		print_programs(filters, arguments->filter.full);
	if (cw_filter_set_print(filters->set, stdout,
				arguments->filter.dot    ? CW_FILTER_SET_DOT
				: arguments->filter.full ? CW_FILTER_SET_FULL
							 : CW_FILTER_SET_TEXT) == -ENOMEM)
		return cw_complain_no_memory();
	return 0;
}

static int check_arguments(const struct cw_arguments *arguments)
{
	if (arguments->rest.count < 2 && !arguments->rules.file)
		cw_complain("no filter: give expressions, or -R RULES. (For a capture file with "
			    "this name: capweir inspect ./filter)");
	else if (arguments->json)
		cw_complain("inspect filter does not support --json");
	else if (arguments->filter.dumps && arguments->filter.dot)
		cw_complain("-d and --dot exclude each other: give -d or --dot, not both");
	else
		return 0;
	return CW_EXIT_USAGE;
}

/* Checks the arguments, loads the rules and creates an empty set. */
static int prepare(struct filters *filters, const struct cw_arguments *arguments)
{
	struct cw_error error = {0};
	uint32_t linktype;

	if (check_arguments(arguments) || cw_arguments_linktype(arguments, &linktype))
		return CW_EXIT_USAGE;
	if (arguments->rules.file &&
	    cw_rules_load(&filters->rules, arguments->rules.file, &error) < 0)
		return cw_refuse("%s", error.text);
	filters->options.mode = filters->rules.mode;
	filters->options.filter = (struct cw_filter_options){
	    .netmask = CW_NETMASK_NONE,
	    .linktype = linktype == CW_LINKTYPE_ANY ? CW_LINKTYPE_ETHERNET : linktype,
	    .unoptimized = arguments->filter.unoptimized,
	    .resolve_names = arguments->filter.resolve,
	    .compiler = cw_arguments_start_compiler(arguments)};
	filters->shown =
	    calloc(filters->rules.count + (size_t)arguments->rest.count, sizeof(*filters->shown));
	if (filters->shown && cw_filter_set_new(&filters->set, &filters->options, &error) == 0)
		return 0;
	return cw_complain_no_memory();
}

int cw_inspect_filter(const struct cw_arguments *arguments)
{
	struct filters filters = {0};
	int result = prepare(&filters, arguments);

	if (result == 0)
		result = add_filters(&filters, &arguments->rest);
	if (result == 0)
		result = print_filters(&filters, arguments);
	cw_filter_set_free(filters.set);
	cw_filter_compiler_free(filters.options.filter.compiler);
	cw_rules_fini(&filters.rules);
	free(filters.shown);
	return result;
}
