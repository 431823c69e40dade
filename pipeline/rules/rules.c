/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rule sets as such: loading, adding command-line rules, checking names and templates across rules,
 * sizes. What stands in a YAML file is rules_file.c's part.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/rules/rules_parts.h"
#include "pipeline/rules/template.h"

#define READ_BYTES ((size_t)64 << 10)

struct unit {
	const char *suffix;
	uint64_t unit;
};

/* Digits and one of the suffixes. */
static int parse_amount(const char *text, const struct unit *units, size_t unit_count,
			uint64_t *amount)
{
	uint64_t value = 0;
	size_t digits = strspn(text, "0123456789");
	const char *suffix = text + digits;

	if (!digits)
		return -EINVAL;
	for (size_t i = 0; i < unit_count; i++) {
		if (strcmp(suffix, units[i].suffix))
			continue;
		for (size_t j = 0; j < digits; j++)
			if (__builtin_mul_overflow(value, 10, &value) ||
			    __builtin_add_overflow(value, (uint64_t)(text[j] - '0'), &value))
				return -ERANGE;
		return __builtin_mul_overflow(value, units[i].unit, amount) ? -ERANGE : 0;
	}
	return -EINVAL;
}

int cw_parse_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
	    {"", 1},
	    {"B", 1},
	    {"KB", UINT64_C(1000)},
	    {"MB", UINT64_C(1000000)},
	    {"GB", UINT64_C(1000000000)},
	    {"TB", UINT64_C(1000000000000)},
	    {"KiB", UINT64_C(1) << 10},
	    {"MiB", UINT64_C(1) << 20},
	    {"GiB", UINT64_C(1) << 30},
	    {"TiB", UINT64_C(1) << 40},
	};

	return parse_amount(text, units, CW_ARRAY_COUNT(units), bytes);
}

int cw_parse_duration(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {
	    {"", CW_NS_PER_S},       {"ms", CW_NS_PER_S / 1000}, {"s", CW_NS_PER_S},
	    {"m", 60 * CW_NS_PER_S}, {"h", 3600 * CW_NS_PER_S},  {"d", 86400 * CW_NS_PER_S},
	};

	return parse_amount(text, units, CW_ARRAY_COUNT(units), ns);
}

const char *cw_rule_name_fault(const char *name)
{
	size_t bytes = strlen(name);

	if (!bytes)
		return "it is empty";
	if (bytes > CW_RULE_NAME_BYTES_MAX)
		return "it is longer than 128 characters";
	if (strspn(name, ".") == bytes)
		return "it consists of dots";
	for (size_t i = 0; i < bytes; i++)
		if (!isascii(name[i]) || (!isalnum(name[i]) && !strchr("_-.+@:", name[i])))
			return "it may have letters, digits and _ - . + @ : only";
	return NULL;
}

bool cw_rule_is_unmatched(const char *filter)
{
	size_t start = strspn(filter, " \t\r\n");

	return !strncmp(filter + start, "unmatched", 9) &&
	       filter[start + 9 + strspn(filter + start + 9, " \t\r\n")] == 0;
}

/* Room for one more; doubled, so that a million rules cost a million copies, not their square. */
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
	free(rule->write);
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
			    "rules %s and %s are both 'unmatched'; there can be one",
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

/* All of a file or pipe, at most the limit and one byte. Returns bytes, or negative errno. */
static int64_t read_all(int fd, char **result)
{
	size_t capacity = 0;
	size_t used = 0;
	char *text = NULL;

	*result = NULL;
	for (;;) {
		ssize_t done;

		if (used == capacity) {
			char *grown;

			capacity = capacity ? 2 * capacity : READ_BYTES;
			grown = realloc(text, capacity);
			if (!grown) {
				free(text);
				return -ENOMEM;
			}
			text = grown;
		}
		done = read(fd, text + used, capacity - used);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			int failure = -errno;

			free(text);
			return failure;
		}
		used += (size_t)done;
		if (done == 0 || used > CW_RULES_FILE_BYTES_MAX)
			break;
	}
	*result = text;
	return (int64_t)used;
}

int cw_rules_load(struct cw_rules *rules, const char *path, struct cw_error *error)
{
	bool is_stdin = !strcmp(path, "-");
	char *text;
	int64_t bytes;
	int status;
	int fd;

	*rules = (struct cw_rules){0};
	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cw_error_set_errno(error, -errno, "cannot open the rules file %.400s", path);
	bytes = read_all(fd, &text);
	if (!is_stdin)
		close(fd);
	if (bytes < 0)
		return cw_error_set_errno(error, (int)bytes, "cannot read the rules file %.400s",
					  path);
	status =
	    cw_rules_parse(rules, text, (size_t)bytes, is_stdin ? "standard input" : path, error);
	free(text);
	return status;
}

/* Put "FILE:LINE: " in front of an error, where the rule stands in a file. */
static int at_rule(const struct cw_rules *rules, const struct cw_rule *rule, struct cw_error *error)
{
	int status = cw_error_prefix(error, "rule %s", rule->name);

	if (rules->path)
		status = cw_error_prefix(error, "%s:%u", rules->path, rule->line);
	return status;
}

/* A rule's name at its template's end must not look like an extension that says another format. */
static int check_ending(const struct cw_rule *rule, struct cw_error *error)
{
	struct cw_template *name;
	size_t bytes = strlen(rule->write);
	int status;

	if (bytes < 6 || strcmp(rule->write + bytes - 6, "{rule}"))
		return 0;
	if (cw_template_parse(&name, rule->name, NULL, NULL))
		return cw_error_set(
		    error, -EINVAL,
		    "its file would have the name '%s', which is no output's; put an "
		    "extension behind {rule}",
		    rule->name);
	status =
	    cw_template_is_pcapng(name)
		? cw_error_set(error, -EINVAL,
			       "its file would be a pcap named '%s'; put .pcapng behind {rule}",
			       rule->name)
		: 0;
	if (!status && cw_template_is_zst(name))
		status =
		    cw_error_set(error, -EINVAL,
				 "its file would be uncompressed and named '%s'; put .zst behind "
				 "{rule}",
				 rule->name);
	cw_template_free(name);
	return status;
}

/* Rings are of files that end, and where bytes are promised, of known size. */
static int check_ring(const struct cw_rules *rules, const struct cw_rule *rule,
		      struct cw_error *error)
{
	if (rule->ring_files && !rule->rotate_bytes && !rule->rotate_packets &&
	    !rule->rotate_every_ns)
		return cw_error_set(error, -EINVAL,
				    "it keeps %llu files and never begins a new one; give a size, "
				    "packets or every, too",
				    (unsigned long long)rule->ring_files);
	if ((rule->ring_bytes || rules->total_bytes) && !rule->rotate_bytes)
		return cw_error_set(
		    error, -EINVAL,
		    "a total needs the size of the files, too (rotate: {size: ...})");
	if (rule->ring_bytes && rule->ring_bytes < rule->rotate_bytes)
		return cw_error_set(
		    error, -EINVAL, "its total of %llu bytes is less than one file may get (%llu)",
		    (unsigned long long)rule->ring_bytes, (unsigned long long)rule->rotate_bytes);
	return 0;
}

/* What all rules keep together must hold the file that each of them writes. */
static int check_total(const struct cw_rules *rules, struct cw_error *error)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; rules->total_bytes && i < rules->count; i++)
		if (__builtin_add_overflow(bytes, rules->rules[i].rotate_bytes, &bytes) ||
		    bytes > rules->total_bytes)
			return cw_error_set(
			    error, -EINVAL,
			    "%s: keep: a total of %llu bytes is less than one file of "
			    "each rule may get together",
			    rules->path, (unsigned long long)rules->total_bytes);
	return 0;
}

static int report_collision(const struct cw_rules *rules, const uint32_t pair[2],
			    struct cw_error *error)
{
	const struct cw_rule *first = &rules->rules[pair[0]];
	const struct cw_rule *second = &rules->rules[pair[1]];

	if (!rules->path)
		return cw_error_set(
		    error, -EINVAL,
		    "rules %s and %s can write the same file ('%.150s' and '%.150s'); "
		    "give each its own -w, or use {rule}",
		    first->name, second->name, first->write, second->write);
	return cw_error_set(
	    error, -EINVAL,
	    "%s:%u: rule %s can write the same file as rule %s in line %u ('%.150s' "
	    "and '%.150s'); use {rule} in their names",
	    rules->path, second->line, second->name, first->name, first->line, second->write,
	    first->write);
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
	names = calloc(rules->count + 1u, sizeof(*names));
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
			status = check_ring(rules, rule, error);
		if (status) {
			at_rule(rules, rule, error);
			goto out;
		}
		uses[i] = (struct cw_template_use){
		    .name = names[i],
		    .rule = rule->name,
		    .is_repeated =
			(rule->rotate_bytes || rule->rotate_packets || rule->rotate_every_ns) &&
			!cw_template_has_seq(names[i])};
	}
	status = check_total(rules, error);
	if (status)
		goto out;
	status = cw_templates_find_collision(uses, rules->count, pair);
	if (status == 1)
		status = report_collision(rules, pair, error);
	else if (status == -E2BIG)
		cw_error_set(
		    error, status,
		    "too many rules to tell whether their files differ; begin output names "
		    "with {rule}, and give the rules names of one length");
	else if (status)
		cw_error_set_errno(error, status, "cannot check the rules");
out:
	for (uint32_t i = 0; names && i < rules->count; i++)
		cw_template_free(names[i]);
	free(names);
	free(uses);
	return status;
}

void cw_rules_fini(struct cw_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		cw_rule_fini(&rules->rules[i]);
	free(rules->rules);
	free(rules->path);
	*rules = (struct cw_rules){0};
}
