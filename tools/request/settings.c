/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of a capture that its rules file gives. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "tools/options/settings.h"
#include "tools/request/request.h"

#define GROUP_OR_OTHERS 022u

/* Returns the user who starts the run: under sudo, the user of sudo. */
static uint32_t find_starter(void)
{
	const char *word = getenv("SUDO_UID");
	size_t digits = word ? strspn(word, "0123456789") : 0;
	unsigned long user;

	if (getuid() != 0 || geteuid() != 0 || getauxval(AT_SECURE) || !digits || word[digits])
		return geteuid();
	errno = 0;
	user = strtoul(word, NULL, 10);
	return errno || user >= UINT32_MAX ? 0 : (uint32_t)user;
}

/* Returns what of the rules only a trusted file can have, with its line; NULL: nothing. */
static const char *find_power(const struct cw_rules *rules, const struct cw_settings *settings,
			      unsigned *line)
{
	static const char *const names[] = {"hook", "relinquish-privileges", "filter-file"};

	for (uint32_t index = 0; index < rules->count; index++) {
		*line = rules->rules[index].line;
		if (rules->rules[index].hook)
			return "hook";
	}
	for (uint32_t index = 0; index < settings->count; index++) {
		*line = settings->at[index].line;
		for (size_t name = 0; name < CW_ARRAY_COUNT(names); name++)
			if (strcmp(settings->at[index].name, names[name]) == 0)
				return names[name];
	}
	return NULL;
}

int cw_rules_check_trust(const struct cw_rules *rules, const struct cw_settings *settings,
			 uint32_t trusted, struct cw_error *error)
{
	const struct cw_rules_facts *facts = &rules->facts;
	bool is_open = facts->mode & GROUP_OR_OTHERS;
	const char *power;
	unsigned line;

	if (!is_open && (facts->owner == 0 || facts->owner == trusted))
		return 0;
	power = find_power(rules, settings, &line);
	if (!power)
		return 0;
	if (is_open)
		return cw_error_set(error, -EINVAL,
				    "%.400s:%u: %s: others than its owner can write the file (mode "
				    "%04o): only a file that root or you alone can write may have "
				    "%s. chmod go-w %.400s",
				    rules->path, line, power, facts->mode, power, rules->path);
	return cw_error_set(error, -EINVAL,
			    "%.400s:%u: %s: the file belongs to user %u: only a file that root or "
			    "you alone can write may have %s. chown root %.400s",
			    rules->path, line, power, facts->owner, power, rules->path);
}

static void print(void *context, const char *text)
{
	(void)context;
	cw_complain("%s", text);
}

/* Whether the run is a capture by a rules file. */
static bool has_settings(const struct cw_arguments *arguments)
{
	const struct cw_rules_arguments *rules = &arguments->rules;
	const struct cw_live_arguments *live = &arguments->live;

	return arguments->command == CW_CAPTURE && rules->file && !rules->filters.count &&
	       !rules->writes.count && !arguments->filter.dumps && !live->lists_devices &&
	       !live->lists_linktypes && !live->lists_clocks;
}

int cw_arguments_take_file(struct cw_arguments *arguments)
{
	struct cw_rules_arguments *asked = &arguments->rules;
	struct cw_error error = {0};
	int result;

	asked->trusted = find_starter();
	if (!has_settings(arguments))
		return 0;
	asked->loaded = calloc(1, sizeof(*asked->loaded));
	if (!asked->loaded)
		return cw_complain_no_memory();
	if (cw_rules_load(asked->loaded, asked->file, &error) < 0 ||
	    cw_rules_check_trust(asked->loaded, &asked->loaded->settings, asked->trusted, &error))
		return cw_refuse("%s", error.text);
	result = cw_settings_apply(arguments, asked->loaded, print, NULL);
	if (result == -ENOMEM)
		return cw_complain_no_memory();
	return result < 0 ? CW_EXIT_USAGE : 0;
}

void cw_arguments_free_file(struct cw_arguments *arguments)
{
	if (arguments->rules.loaded)
		cw_rules_fini(arguments->rules.loaded);
	free(arguments->rules.loaded);
	arguments->rules.loaded = NULL;
}
