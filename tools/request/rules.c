/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of a run, from -f and -w or from -R, with the limits and hook of the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/plural.h"
#include "core/output/target.h"
#include "pipeline/rules/rules.h"
#include "tools/options/settings.h"
#include "tools/process/hooks.h"
#include "tools/request/request.h"

/* Makes the expression the only rule, which counts its packets. */
static int add_count(struct cw_rules *rules, const char *expression)
{
	struct cw_error error = {0};

	if (cw_rules_add(rules, "count", expression ? expression : "", "/dev/null", 0, &error) < 0)
		return cw_complain_no_memory();
	rules->rules[0].is_count = true;
	return 0;
}

/* Pairs the k-th -f with the k-th -w. The expression is the filter of a single -w without -f. */
static int add_pairs(const struct cw_rules_arguments *asked, struct cw_rules *rules,
		     char **expression)
{
	struct cw_error error = {0};

	if (asked->writes.count == 0)
		return cw_refuse(
		    "no output: write to a file (-w dns.pcap port 53), print the packets "
		    "(-w - port 53 | tcpdump -r -), or give rules (-R rules.yaml)");
	if (asked->filters.count == 0 && asked->writes.count == 1) {
		const char *filter = *expression ? *expression : "";

		if (cw_rules_add(rules, "rule1", filter, asked->writes.words[0], 0, &error) < 0)
			goto bad;
		free(*expression);
		*expression = NULL;
		return 0;
	}
	if (asked->filters.count != asked->writes.count)
		return cw_refuse(
		    "%u filter%s (-f) and %u output%s (-w): every -f needs its -w, as in "
		    "-f 'port 53' -w dns.pcap -f tcp -w tcp.pcap",
		    asked->filters.count, cw_plural(asked->filters.count), asked->writes.count,
		    cw_plural(asked->writes.count));
	for (uint32_t index = 0; index < asked->writes.count; index++) {
		char name[32];

		snprintf(name, sizeof(name), "rule%u", index + 1);
		if (cw_rules_add(rules, name, asked->filters.words[index],
				 asked->writes.words[index], 0, &error) < 0)
			goto bad;
	}
	return 0;
bad:
	cw_complain("%s", error.text);
	return error.code == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
}

/* Sets the hook of -z unless the rule has one. Returns 0 or -ENOMEM. */
static int set_hook(struct cw_rule *rule, const char *program)
{
	char *words[] = {(char *)(uintptr_t)program, NULL}; /* copied */

	return !program || rule->hook ? 0 : cw_rule_set_hook(rule, words);
}

/* Returns whether an output is standard output, under any name. */
static bool writes_to_stdout(const struct cw_rules *rules)
{
	const struct cw_target_query query = {.standard_output = STDOUT_FILENO, .owner = geteuid()};
	bool is_found = false;
	struct stat ours;

	if (fstat(STDOUT_FILENO, &ours))
		return false;
	for (uint32_t index = 0; index < rules->count && !is_found; index++) {
		struct cw_target target;

		if (cw_target_find(&target, rules->rules[index].write, &query, NULL) < 0)
			continue; /* the start reports it */
		/* A terminal's device file is not standard output. */
		is_found = target.kind != CW_TARGET_MISSING &&
			   cw_target_is_same(&target.status, &ours) &&
			   (target.kind == CW_TARGET_DESCRIPTOR || !S_ISCHR(ours.st_mode));
		cw_target_fini(&target);
	}
	return is_found;
}

/* Sets the modes and the group of the command line in a rule without them, and finds the group. */
static int set_access(const struct cw_arguments *arguments, struct cw_rule *rule, bool is_start,
		      struct cw_error *error)
{
	const struct cw_rules_arguments *asked = &arguments->rules;

	if (!rule->access.file_mode)
		rule->access.file_mode = asked->file_mode;
	if (!rule->access.folder_mode)
		rule->access.folder_mode = asked->folder_mode;
	if (!rule->group && asked->group) {
		rule->group = strdup(asked->group);
		if (!rule->group)
			return cw_error_set(error, -ENOMEM, "out of memory for the rules");
	}
	if (arguments->command == CW_CHECK)
		return 0; /* which looks for groups itself */
	return cw_rule_find_group(rule, is_start, error);
}

/* Returns whether -W ends the run: beside -G alone, as in tcpdump. */
static bool is_file_limit(const struct cw_arguments *arguments)
{
	const struct cw_rules_arguments *asked = &arguments->rules;

	return cw_arguments_have(arguments, "file-count") &&
	       cw_arguments_have(arguments, "rotate-seconds") && !asked->rotate_bytes &&
	       !asked->rotate_packets && !asked->stop_bytes;
}

static uint64_t stop_files(const struct cw_arguments *arguments)
{
	const struct cw_rules_arguments *asked = &arguments->rules;

	if (asked->stop_bytes)
		return 1;
	return asked->stop_files          ? asked->stop_files
	       : is_file_limit(arguments) ? asked->ring_files
					  : 0;
}

/* Refuses -a with what it excludes or lacks. Returns 0 or CW_EXIT_USAGE. */
static int check_stop(const struct cw_arguments *arguments, const struct cw_rules *rules)
{
	const struct cw_rules_arguments *asked = &arguments->rules;
	bool rotates = false;

	for (uint32_t index = 0; index < rules->count; index++)
		rotates |= cw_rule_rotates(&rules->rules[index]);
	if (asked->stop_bytes && asked->rotate_bytes)
		return cw_refuse("-a filesize: and -C or -b filesize: exclude each other: give one "
				 "of them");
	if (asked->stop_files && !rotates)
		return cw_refuse("-a files: needs files that end: add -C, -G or -b");
	if (cw_arguments_have(arguments, "autostop") && arguments->live.duration_ms &&
	    !arguments->devices.count && arguments->command != CW_CHECK)
		return cw_refuse("-a duration: is for a live capture: capture with -i");
	return 0;
}

/* Sets the file limits, modes and group of the command line in rules without them. */
static int limit_rules(const struct cw_arguments *arguments, struct cw_rules *rules, bool is_start,
		       struct cw_error *error)
{
	const struct cw_rules_arguments *asked = &arguments->rules;
	int result = 0;

	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		struct cw_rule *rule = &rules->rules[index];

		if (!rule->rotate_bytes)
			rule->rotate_bytes =
			    asked->stop_bytes ? asked->stop_bytes : asked->rotate_bytes;
		if (!rule->rotate_packets)
			rule->rotate_packets = asked->rotate_packets;
		if (!rule->ring_files && !is_file_limit(arguments))
			rule->ring_files = asked->ring_files;
		rule->stop_files = stop_files(arguments);
		if (!rule->rotate_every_ns) {
			rule->rotate_every_ns = asked->rotate_every_ns;
			rule->is_rotate_from_first = !asked->is_rotate_aligned;
		}
		result = set_access(arguments, rule, is_start, error);
		if (result == 0 && set_hook(rule, asked->hook) < 0)
			result = cw_error_set(error, -ENOMEM, "out of memory for the rules");
	}
	return result;
}

int cw_arguments_load_rules(const struct cw_arguments *arguments, int fd, struct cw_rules *rules,
			    struct cw_error *error)
{
	const struct cw_rules_arguments *asked = &arguments->rules;
	int result = cw_rules_load_fd(rules, fd, asked->file, error);

	if (result < 0)
		return result;
	result = cw_rules_check_trust(rules, &rules->settings, asked->trusted, error);
	if (result == 0 && asked->loaded)
		result = cw_settings_compare(arguments, &asked->loaded->settings, rules, error);
	if (result == 0)
		result = limit_rules(arguments, rules, false, error);
	if (result == 0 && arguments->json && writes_to_stdout(rules))
		result = cw_error_set(
		    error, -EINVAL,
		    "--json and the output - both use standard output: write to a file");
	if (result < 0)
		cw_rules_fini(rules);
	return result;
}

int cw_arguments_load_hooks(const struct cw_arguments *arguments, int fd, struct cw_rules *rules)
{
	const struct cw_rules_arguments *asked = &arguments->rules;
	struct cw_error error = {0};
	int result = cw_rules_load_fd(rules, fd, asked->file, &error);

	if (result < 0)
		return result;
	result = cw_rules_check_trust(rules, &rules->settings, asked->trusted, &error);
	for (uint32_t index = 0; index < rules->count && result == 0; index++)
		result = set_hook(&rules->rules[index], asked->hook);
	if (result < 0)
		cw_rules_fini(rules);
	return result;
}

int cw_arguments_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
		       char **expression)
{
	const struct cw_rules_arguments *asked = &arguments->rules;
	struct cw_error error = {0};
	int result;

	if (!asked->file && arguments->output.counts && !asked->filters.count &&
	    !asked->writes.count) {
		result = add_count(rules, *expression);
		free(*expression);
		*expression = NULL;
	} else if (!asked->file) {
		result = add_pairs(asked, rules, expression);
	} else if (asked->filters.count || asked->writes.count) {
		result = cw_refuse("two sources of rules, -R and -f/-w: give one of them");
	} else if (asked->loaded) {
		/* The settings stay for reloads. */
		*rules = *asked->loaded;
		*asked->loaded = (struct cw_rules){.settings = rules->settings};
		rules->settings = (struct cw_settings){0};
		result = 0;
	} else {
		result = cw_rules_load(rules, asked->file, &error);
		if (result == 0 && geteuid() == 0)
			result = cw_rules_check_trust(rules, &(struct cw_settings){0},
						      asked->trusted, &error);
		if (result)
			result = cw_refuse("%s", error.text);
	}
	if (result == 0 && limit_rules(arguments, rules, true, &error) < 0)
		result =
		    error.code == -ENOMEM ? cw_complain_no_memory() : cw_refuse("%s", error.text);
	if (result == 0)
		result = check_stop(arguments, rules);
	if (result == 0 && (arguments->json || arguments->output.counts) &&
	    arguments->command != CW_CHECK && writes_to_stdout(rules))
		result = cw_refuse(
		    "%s and -w - both use standard output: write to a file, or omit %s",
		    arguments->json ? "--json" : "--count", arguments->json ? "--json" : "--count");
	return result;
}

int cw_rule_check_hook(const struct cw_rule *rule, struct cw_error *error)
{
	char *const *hook = rule->hook;
	size_t bytes = hook ? cw_hooks_request_bytes(rule->name, hook) : 0;

	if (bytes > CW_HOOK_BYTES_MAX)
		return cw_error_set(error, -E2BIG,
				    "rule %s: hook is too long: its words and the file's name take "
				    "%zu bytes; the limit is %u. Write the arguments into a script",
				    rule->name, bytes, CW_HOOK_BYTES_MAX);
	if (!hook || cw_hooks_has_program(hook[0]))
		return 0;
	return cw_error_set(error, -EINVAL,
			    "rule %s: hook '%s' is not an executable: name a program in "
			    "$PATH or its full path%s",
			    rule->name, hook[0],
			    strchr(hook[0], ' ') ? "; with arguments: hook: "
						   "[PROGRAM, ARGUMENT] in a rule"
						 : "");
}

int cw_rules_check_hooks(const struct cw_rules *rules, bool *has_any, struct cw_error *error)
{
	int result = 0;

	*has_any = false;
	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		*has_any |= rules->rules[index].hook != NULL;
		result = cw_rule_check_hook(&rules->rules[index], error);
	}
	return result;
}
