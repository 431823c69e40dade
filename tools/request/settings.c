/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of a capture that its rules file and its service give. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "core/source/live/live.h"
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
	static const char *const names[] = {"hook", "hook-user", "relinquish-privileges",
					    "filter-file"};

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

/* Returns text that the arguments own, or NULL. */
static char *CW_PRINTF(2, 3) own_text(struct cw_arguments *arguments, const char *format, ...)
{
	va_list values;
	char *text;
	int bytes;

	va_start(values, format);
	bytes = vasprintf(&text, format, values);
	va_end(values);
	if (bytes < 0)
		return NULL;
	if (cw_words_add(&arguments->owned, text) == 0)
		return text;
	free(text);
	return NULL;
}

/* Prints a fault of the rules file, or keeps it for a check. */
static void note_fault(void *context, const char *text)
{
	struct cw_arguments *arguments = context;
	const char *copy;

	if (arguments->command != CW_CHECK) {
		cw_complain("%s", text);
		return;
	}
	copy = own_text(arguments, "%s", text);
	if (!copy || cw_words_add(&arguments->rules.faults, copy) < 0)
		cw_complain("%s", text);
}

/* Whether the run is a capture by a rules file, or a check of one. */
static bool has_settings(const struct cw_arguments *arguments)
{
	const struct cw_rules_arguments *rules = &arguments->rules;
	const struct cw_live_arguments *live = &arguments->live;

	if (arguments->command == CW_CHECK)
		return rules->file && !arguments->rest.count;
	return arguments->command == CW_CAPTURE && rules->file && !rules->filters.count &&
	       !rules->writes.count && !arguments->filter.dumps && !live->lists_devices &&
	       !live->lists_linktypes && !live->lists_clocks;
}

/* ---- --service ---- */

/* Returns the folder that the service manager made for the service, else the one it would make. */
static char *find_folder(struct cw_arguments *arguments, const char *variable, const char *parent)
{
	const char *given = getenv(variable);

	if (given && given[0] == '/')
		return own_text(arguments, "%.*s", (int)strcspn(given, ":"), given);
	return own_text(arguments, "%s/capweir/%s", parent, arguments->service);
}

static char *usual_socket(struct cw_arguments *arguments)
{
	char *folder = find_folder(arguments, "RUNTIME_DIRECTORY", "/run");

	return folder ? own_text(arguments, "%s/control", folder) : NULL;
}

/* Checks the name of the service and sets its rules file, if no other rules are given. */
static int name_service(struct cw_arguments *arguments)
{
	struct cw_rules_arguments *asked = &arguments->rules;
	const char *name = arguments->service;

	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return cw_refuse("--service takes the NAME of capweir@NAME, not '%s'", name);
	if (asked->file || asked->filters.count || asked->writes.count)
		return 0;
	asked->file = own_text(arguments, "/etc/capweir/%s.yaml", name);
	return asked->file ? 0 : cw_complain_no_memory();
}

/* Whether the rules file has the key, true or false. */
static bool is_setting(const struct cw_arguments *arguments, const char *name)
{
	const struct cw_rules *loaded = arguments->rules.loaded;

	for (uint32_t index = 0; loaded && index < loaded->settings.count; index++)
		if (strcmp(loaded->settings.at[index].name, name) == 0)
			return true;
	return false;
}

/* Sets the paths and the interface that neither the command line nor the rules file has. */
static int set_defaults(struct cw_arguments *arguments)
{
	struct cw_live_arguments *live = &arguments->live;

	if (live->user && geteuid() != 0)
		return cw_refuse("cannot become the user %s: the service manager chooses the user "
				 "of the service. Write User= with systemctl edit capweir@%s",
				 live->user, arguments->service);
	if (!arguments->output.directory)
		arguments->output.directory = find_folder(arguments, "STATE_DIRECTORY", "/var/lib");
	if (!live->control)
		live->control = usual_socket(arguments);
	if (!is_setting(arguments, "wait-device") && live->backend != CW_LIVE_XDP &&
	    live->clock != CW_LIVE_CLOCK_ADAPTER)
		live->waits_for_devices = true;
	if (!arguments->output.directory || !live->control ||
	    (!arguments->devices.count &&
	     cw_words_add(&arguments->devices, arguments->service) < 0))
		return cw_complain_no_memory();
	return 0;
}

/* Finds the socket of a running service. A file that is missing, unreadable or faulty says
 * nothing: the socket is then the service's usual one. */
static int find_socket(struct cw_arguments *arguments)
{
	struct cw_live_arguments *live = &arguments->live;
	struct cw_rules rules = {0};
	const char *control = NULL;

	if (live->control)
		return 0;
	if (cw_rules_load(&rules, arguments->rules.file, NULL) == 0)
		for (uint32_t index = 0; index < rules.settings.count; index++)
			if (strcmp(rules.settings.at[index].name, "control") == 0)
				control = rules.settings.at[index].value;
	live->control = control ? own_text(arguments, "%s", control) : usual_socket(arguments);
	cw_rules_fini(&rules);
	return live->control ? 0 : cw_complain_no_memory();
}

/* ---- the rules file ---- */

/* Reads the file and takes its settings. Returns 0 or an exit status. */
static int load(struct cw_arguments *arguments)
{
	struct cw_rules_arguments *asked = &arguments->rules;
	struct cw_error error = {0};
	int result;

	asked->loaded = calloc(1, sizeof(*asked->loaded));
	if (!asked->loaded)
		return cw_complain_no_memory();
	if (arguments->command == CW_CHECK) {
		result = cw_rules_load_sound(asked->loaded, asked->file, note_fault, arguments);
	} else {
		result = cw_rules_load(asked->loaded, asked->file, &error);
		if (result < 0)
			note_fault(arguments, error.text);
	}
	if (result < 0) {
		cw_arguments_free_file(arguments);
		return CW_EXIT_USAGE;
	}
	result = arguments->portable ? 0
				     : cw_rules_check_trust(asked->loaded, &asked->loaded->settings,
							    asked->trusted, &error);
	if (result < 0)
		note_fault(arguments, error.text);
	if (result == 0)
		result = cw_settings_apply(arguments, asked->loaded, note_fault, arguments);
	if (result == -ENOMEM)
		return cw_complain_no_memory();
	if (arguments->portable)
		arguments->filter.file = NULL; /* a file of another machine */
	return result < 0 ? CW_EXIT_USAGE : 0;
}

int cw_arguments_take_file(struct cw_arguments *arguments)
{
	int result;

	if (arguments->command == CW_CHECK && arguments->rest.count == 1) {
		arguments->rules.file = arguments->rest.words[0];
		arguments->rest.count = 0;
	}
	result = arguments->service ? name_service(arguments) : 0;
	arguments->rules.trusted = find_starter();
	arguments->rules.line_given = arguments->given.count;
	if (result == 0 && has_settings(arguments))
		result = load(arguments);
	if (result && arguments->rules.faults.count)
		return 0; /* the check reports them */
	if (result || !arguments->service)
		return result;
	return arguments->command == CW_STATUS ? find_socket(arguments) : set_defaults(arguments);
}

void cw_arguments_free_file(struct cw_arguments *arguments)
{
	if (arguments->rules.loaded)
		cw_rules_fini(arguments->rules.loaded);
	free(arguments->rules.loaded);
	arguments->rules.loaded = NULL;
}
