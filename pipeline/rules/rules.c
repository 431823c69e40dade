/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules: adds, copies and frees them; checks rule names; adds command-line rules; checks file
 * names, templates and limits across rules. rules_file.c reads YAML files.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "core/filter/text/explain.h"
#include "core/output/target.h"
#include "pipeline/rules/rules_parts.h"
#include "pipeline/rules/template.h"

const char *cw_rule_name_fault(const char *name)
{
	size_t bytes = strlen(name);

	if (!bytes)
		return "it is empty";
	if (bytes > CW_RULE_NAME_BYTES_MAX)
		return "it is longer than 128 characters";
	if (strspn(name, ".") == bytes)
		return "it has only dots";
	for (size_t i = 0; i < bytes; i++)
		if (!isascii(name[i]) || (!isalnum(name[i]) && !strchr("_-.+@:", name[i])))
			return "use only letters, digits and _ - . + @ :";
	return NULL;
}

void cw_filter_blank_comments(char *filter)
{
	while ((filter = strchr(filter, '#')) != NULL)
		memset(filter, ' ', strcspn(filter, "\n"));
}

bool cw_rule_is_unmatched(const char *filter)
{
	size_t start = strspn(filter, " \t\r\n");

	return !strncmp(filter + start, "unmatched", 9) &&
	       filter[start + 9 + strspn(filter + start + 9, " \t\r\n")] == 0;
}

/* The room doubles, so that a million rules cost a million copies, not their square. */
struct cw_rule *cw_rules_append(struct cw_rules *rules)
{
	bool is_power_of_2 = !(rules->count & (rules->count - 1));

	if (is_power_of_2) {
		size_t capacity = rules->count ? 2 * (size_t)rules->count : 1;
		struct cw_rule *grown = realloc(rules->rules, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		rules->rules = grown;
	}
	rules->rules[rules->count] = (struct cw_rule){0};
	return &rules->rules[rules->count++];
}

unsigned cw_rule_explain(const struct cw_rule *rule, const char *message, char *explained,
			 size_t room)
{
	const char *text = rule->filter_lines ? rule->filter_lines : rule->filter;
	long place = cw_filter_place(text, message);
	unsigned line = rule->filter_line ? rule->filter_line : rule->line;

	cw_filter_explain(text, message, explained, room);
	for (long at = 0; rule->filter_line && at < place; at++)
		line += text[at] == '\n';
	return line;
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

int cw_rule_set_hook(struct cw_rule *rule, char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	rule->hook = calloc(count + 1, sizeof(*rule->hook));
	for (size_t i = 0; rule->hook && i < count; i++) {
		rule->hook[i] = strdup(words[i]);
		if (rule->hook[i])
			continue;
		free_words(rule->hook);
		rule->hook = NULL;
	}
	return rule->hook ? 0 : -ENOMEM;
}

void cw_rule_fini(struct cw_rule *rule)
{
	free_words(rule->hook);
	free(rule->name);
	free(rule->filter);
	free(rule->filter_lines);
	free(rule->write);
	free(rule->group);
}

struct cw_rule *cw_rule_copy(const struct cw_rule *rule)
{
	struct cw_rule *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *rule;
	copy->name = strdup(rule->name);
	copy->write = strdup(rule->write);
	copy->filter = rule->filter ? strdup(rule->filter) : NULL;
	copy->filter_lines = NULL;
	copy->group = NULL; /* for messages before; access has it */
	copy->hook = NULL;
	if (copy->name && copy->write && (copy->filter || !rule->filter) &&
	    (!rule->hook || cw_rule_set_hook(copy, rule->hook) == 0))
		return copy;
	cw_rule_free(copy);
	return NULL;
}

void cw_rule_free(struct cw_rule *rule)
{
	if (rule)
		cw_rule_fini(rule);
	free(rule);
}

void cw_rules_fini(struct cw_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		cw_rule_fini(&rules->rules[i]);
	free(rules->rules);
	free(rules->path);
	free(rules->restart);
	cw_settings_fini(&rules->settings);
	*rules = (struct cw_rules){0};
}

int cw_rules_add(struct cw_rules *rules, const char *name, const char *filter, const char *write,
		 uint32_t snaplen, struct cw_error *error)
{
	const char *fault = cw_rule_name_fault(name);
	bool is_unmatched = cw_rule_is_unmatched(filter);
	struct cw_rule *rule;

	if (fault)
		return cw_error_set(error, -EINVAL, "rule name '%.40s': %s", name, fault);
	if (rules->count >= CW_RULES_MAX)
		return cw_error_set(error, -E2BIG, "rule %s: there are more than %u rules", name,
				    CW_RULES_MAX);
	for (uint32_t i = 0; i < rules->count; i++) {
		if (!strcmp(rules->rules[i].name, name))
			return cw_error_set(error, -EINVAL, "two rules have the name %s", name);
		if (is_unmatched && rules->rules[i].kind == CW_RULE_UNMATCHED)
			return cw_error_set(
			    error, -EINVAL,
			    "rules %s and %s are both 'unmatched'; only one rule can be",
			    rules->rules[i].name, name);
	}
	rule = cw_rules_append(rules);
	if (!rule)
		return cw_error_set_errno(error, -ENOMEM, "rule %s", name);
	rule->kind = is_unmatched ? CW_RULE_UNMATCHED : CW_RULE_FILTER;
	rule->snaplen = snaplen;
	rule->name = strdup(name);
	rule->write = strdup(write);
	rule->filter = is_unmatched ? NULL : strdup(filter);
	if (!rule->name || !rule->write || (!rule->filter && !is_unmatched)) {
		cw_rule_fini(rule);
		rules->count--;
		return cw_error_set_errno(error, -ENOMEM, "rule %s", name);
	}
	return 0;
}

/* Puts "rule NAME: " before an error, and "FILE:LINE: " if the rule comes from a file. */
static int at_rule(const struct cw_rules *rules, const struct cw_rule *rule, struct cw_error *error)
{
	int status = cw_error_prefix(error, "rule %s", rule->name);

	if (rules->path)
		status = cw_error_prefix(error, "%s:%u", rules->path, rule->line);
	return status;
}

/* Refuses {rule} at a template's end if the rule's name looks like another format's extension. */
static int check_ending(const struct cw_rule *rule, struct cw_error *error)
{
	struct cw_template *name;
	size_t bytes = strlen(rule->write);
	int status;

	if (bytes < 6 || strcmp(rule->write + bytes - 6, "{rule}") != 0)
		return 0;
	if (cw_template_parse(&name, rule->name, NULL, NULL))
		return cw_error_set(error, -EINVAL,
				    "its file would be named '%s', which is not a valid output "
				    "name; add an extension after {rule}",
				    rule->name);
	status = name->is_pcapng
		     ? cw_error_set(error, -EINVAL,
				    "its file would be a pcap named '%s'; add .pcapng after {rule}",
				    rule->name)
		     : 0;
	if (!status && name->is_zst)
		status = cw_error_set(
		    error, -EINVAL,
		    "its file would be uncompressed and named '%s'; add .zst after {rule}",
		    rule->name);
	cw_template_free(name);
	return status;
}

bool cw_rule_is_numbered(const struct cw_rule *rule, const struct cw_template *name)
{
	/* The only file of a run keeps its name. */
	return cw_rule_rotates(rule) && rule->stop_files != 1 && !name->is_stdout &&
	       !name->has_kind[CW_PART_TIME] && !name->has_kind[CW_PART_SEQ];
}

const char *cw_rule_file_setting(const struct cw_rules *rules, const struct cw_rule *rule)
{
	if (rule->rotate_bytes)
		return "rotation by size";
	if (rule->rotate_packets)
		return "rotation by packets";
	if (rule->rotate_every_ns)
		return "rotation by time";
	if (rule->ring_files || rule->ring_bytes)
		return "a file ring";
	if (rule->hook)
		return "a hook";
	return rules->total_bytes ? "a total of all files (keep)" : NULL;
}

static int check_stdout(const struct cw_rules *rules, const struct cw_rule *rule,
			struct cw_error *error)
{
	const char *setting = cw_rule_file_setting(rules, rule);

	if (!setting)
		return 0;
	return cw_error_set(error, -EINVAL, "%s needs a file, and - is standard output: %s",
			    setting, CW_RULE_FILE_CURE);
}

/* Checks the file ring: its files must end, and a limit in bytes needs a file size. */
static int check_ring(const struct cw_rules *rules, const struct cw_rule *rule,
		      struct cw_error *error)
{
	if (rule->ring_files && !cw_rule_rotates(rule))
		return cw_error_set(error, -EINVAL,
				    "it keeps %llu files but its file never ends; add size, "
				    "packets or every to rotate",
				    (unsigned long long)rule->ring_files);
	if ((rule->ring_bytes || rules->total_bytes) && !rule->rotate_bytes)
		return cw_error_set(
		    error, -EINVAL,
		    "a total needs a file size too; add size to rotate, like {size: 1GiB}");
	if (rule->ring_bytes && rule->ring_bytes < rule->rotate_bytes)
		return cw_error_set(
		    error, -EINVAL, "its total of %llu bytes is less than one file of %llu bytes",
		    (unsigned long long)rule->ring_bytes, (unsigned long long)rule->rotate_bytes);
	return 0;
}

/* Checks that the total of all rules holds one file of each rule. */
static int check_total(const struct cw_rules *rules, struct cw_error *error)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; rules->total_bytes && i < rules->count; i++)
		if (__builtin_add_overflow(bytes, rules->rules[i].rotate_bytes, &bytes) ||
		    bytes > rules->total_bytes)
			return cw_error_set(error, -EINVAL,
					    "%s: keep: a total of %llu bytes is less than one file "
					    "of each rule together",
					    rules->path, (unsigned long long)rules->total_bytes);
	return 0;
}

static int report_collision(const struct cw_rules *rules, const uint32_t pair[2],
			    struct cw_error *error)
{
	const struct cw_rule *first = &rules->rules[pair[0]];
	const struct cw_rule *second = &rules->rules[pair[1]];

	if (!rules->path)
		return cw_error_set(error, -EINVAL,
				    "rules %s and %s can write the same file ('%.150s' and "
				    "'%.150s'); give each a separate -w, or use {rule}",
				    first->name, second->name, first->write, second->write);
	return cw_error_set(error, -EINVAL,
			    "%s:%u: rule %s can write the same file as rule %s in line %u "
			    "('%.150s' and '%.150s'); use {rule} in their names",
			    rules->path, second->line, second->name, first->name, first->line,
			    second->write, first->write);
}

/* Returns whether the name leads to /dev/null, which any number of rules may write to. */
static bool is_sink(const struct cw_template_use *use)
{
	const struct cw_template_values values = {.rule = use->rule};
	char path[CW_TEMPLATE_PATH_BYTES];
	struct stat status;

	return !use->name->is_stdout && !use->name->has_kind[CW_PART_TIME] &&
	       !use->name->has_kind[CW_PART_IFACE] &&
	       cw_template_expand(use->name, &values, path) >= 0 && stat(path, &status) == 0 &&
	       cw_target_is_null_device(&status);
}

/* As cw_templates_find_collision, without the sinks. Only a collision makes it ask for them. */
static int find_collision(struct cw_template_use *uses, uint32_t count, uint32_t pair[2])
{
	int status = cw_templates_find_collision(uses, count, pair);
	uint32_t *places;
	uint32_t kept = 0;

	if (status != 1)
		return status;
	places = calloc((size_t)count + 1, sizeof(*places));
	if (!places)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (is_sink(&uses[i]))
			continue;
		places[kept] = i;
		uses[kept++] = uses[i];
	}
	if (kept < count)
		status = cw_templates_find_collision(uses, kept, pair);
	if (status == 1 && kept < count) {
		pair[0] = places[pair[0]];
		pair[1] = places[pair[1]];
	}
	free(places);
	return status;
}

int cw_rules_check(const struct cw_rules *rules, struct cw_error *error)
{
	struct cw_template_use *uses;
	struct cw_template **names;
	struct cw_error dropped;
	uint32_t pair[2] = {0, 0};
	int status = 0;

	if (!error)
		error = &dropped;
	uses = calloc(rules->count + 1u, sizeof(*uses));
	names = calloc(rules->count + 1u, sizeof(struct cw_template *));
	if (!uses || !names) {
		status = cw_error_set_errno(error, -ENOMEM, "cannot check the rules");
		goto out;
	}
	for (uint32_t i = 0; i < rules->count; i++) {
		const struct cw_rule *rule = &rules->rules[i];

		status = cw_template_parse(&names[i], rule->write, NULL, error);
		if (!status)
			status = check_ending(rule, error);
		if (!status)
			status = names[i]->is_stdout ? check_stdout(rules, rule, error)
						     : check_ring(rules, rule, error);
		if (status) {
			at_rule(rules, rule, error);
			goto out;
		}
		uses[i] = (struct cw_template_use){.name = names[i],
						   .rule = rule->name,
						   .is_repeated = cw_rule_rotates(rule) &&
								  !names[i]->has_kind[CW_PART_SEQ]};
	}
	status = check_total(rules, error);
	if (status)
		goto out;
	status = find_collision(uses, rules->count, pair);
	if (status == 1)
		status = report_collision(rules, pair, error);
	else if (status == -E2BIG)
		cw_error_set(error, status,
			     "too many rules to check that their files differ; begin output "
			     "names with {rule}, and give all rules names of one length");
	else if (status)
		cw_error_set_errno(error, status, "cannot check the rules");
out:
	for (uint32_t i = 0; names && i < rules->count; i++)
		cw_template_free(names[i]);
	free(names);
	free(uses);
	return status;
}
