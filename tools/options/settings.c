/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/near.h"
#include "tools/options/settings.h"
#include "tools/options/values.h"

/* Options of the command line alone, and the end of the message. */
static const struct {
	const char *name;
	const char *fault;
} refused[] = {
    {"rules", "is this file: leave it out"},
    {"filter", "is for the command line: write rules:"},
    {"write", "is for the command line: write rules:"},
    {"read", "is not for a capture: write interface:"},
    {"input-list", "is not for a capture: write interface:"},
    {"dump", "is for the command line: capweir inspect filter -d prints programs"},
    {"list-interfaces", "is for the command line: capweir devices lists interfaces"},
    {"list-data-link-types", "is for the command line: capweir capture -L"},
    {"list-time-stamp-types", "is for the command line: capweir capture -J"},
    {"json", "is for the command line: capweir capture --json"},
    {"help", "is for the command line: capweir capture --help"},
};

static const struct cw_option_row *find_row(const char *name)
{
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (strcmp(cw_option_rows[index].name, name) == 0)
			return &cw_option_rows[index];
	return NULL;
}

const char *cw_setting_fault(const char *option)
{
	const struct cw_option_row *row = find_row(option);

	for (size_t index = 0; index < CW_ARRAY_COUNT(refused); index++)
		if (strcmp(refused[index].name, option) == 0)
			return refused[index].fault;
	if (!row)
		return "is unknown";
	return row->commands & CW_CAPTURE ? NULL : "is not an option of capture";
}

/* Refuses the key, with the keys that may be meant. */
static int refuse_key(const char *name, struct cw_error *error)
{
	struct cw_near near = {.word = name, .bytes = strlen(name)};
	const char *fault = cw_setting_fault(name);
	char meant[CW_NEAR_TEXT_BYTES];

	if (find_row(name))
		return cw_error_set(error, -EINVAL, "%s %s", name, fault);
	for (size_t index = 0; index < cw_option_row_count; index++)
		if (!cw_setting_fault(cw_option_rows[index].name))
			cw_near_offer(&near, cw_option_rows[index].name);
	if (cw_near_say(&near, "'", "'", meant, sizeof(meant)))
		return cw_error_set(error, -EINVAL, "unknown key '%s';%s", name, meant);
	return cw_error_set(error, -EINVAL,
			    "unknown key '%s'; the keys are the long names of capture's options "
			    "(capweir capture --help)",
			    name);
}

/* Whether the row takes true and false. Fills *is_true for these words. */
static bool is_switch(const struct cw_option_row *row, const char *text, bool *is_true)
{
	*is_true = strcmp(text, "true") == 0;
	return !row->argument ||
	       (cw_option_is_optional(row) && (*is_true || strcmp(text, "false") == 0));
}

/* Stores one setting. Returns 1, 0 if it is false, or a negative errno with `error`. */
static int take(struct cw_arguments *arguments, const struct cw_option_row *row,
		const struct cw_setting *setting, struct cw_error *error)
{
	struct cw_option_value value = {.is_setting = true};
	bool is_true, repeats = row->kind == CW_OPTION_WORDS || row->take == cw_option_take_ring;
	int status;
	char *copy;

	if (setting->is_list_item && !repeats)
		return cw_error_set(error, -EINVAL, "%s takes one value, not a list", row->name);
	if (is_switch(row, setting->value, &is_true)) {
		if (!is_true && strcmp(setting->value, "false") != 0)
			return cw_error_set(error, -EINVAL, "%s takes true or false, not '%s'",
					    row->name, setting->value);
		status = is_true ? cw_option_take(arguments, row, &value, error) : 0;
		return status ? status : is_true;
	}
	copy = strdup(setting->value);
	if (!copy || cw_words_add(&arguments->owned, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	value.text = copy;
	status = cw_option_take(arguments, row, &value, error);
	return status ? status : 1;
}

/* Whether the command line has the option, or one that sets the same limit of files. */
static bool is_on_line(const struct cw_arguments *arguments, const char *name)
{
	static const char *const limits[] = {"file-size", "rotate-seconds", "file-count"};

	for (size_t index = 0; index < CW_ARRAY_COUNT(limits); index++) {
		if (strcmp(name, limits[index]) == 0 && cw_arguments_have(arguments, "ring-buffer"))
			return true;
		if (strcmp(name, "ring-buffer") == 0 && cw_arguments_have(arguments, limits[index]))
			return true;
	}
	return cw_arguments_have(arguments, name);
}

int cw_settings_apply(struct cw_arguments *arguments, const struct cw_rules *rules,
		      void (*found)(void *context, const char *text), void *context)
{
	const struct cw_settings *settings = &rules->settings;
	struct cw_words taken = {0}; /* names, given only once all are taken: lists add up */
	int result = 0;

	for (uint32_t index = 0; index < settings->count && result != -ENOMEM; index++) {
		const struct cw_setting *setting = &settings->at[index];
		const struct cw_option_row *row = find_row(setting->name);
		struct cw_error error = {0};
		int status;

		if (cw_setting_fault(setting->name))
			status = refuse_key(setting->name, &error);
		else
			status = is_on_line(arguments, row->name)
				     ? 0
				     : take(arguments, row, setting, &error);
		if (status == 1)
			status = cw_words_add(&taken, row->name);
		if (status == -ENOMEM)
			result = -ENOMEM;
		if (status == 0 || status == -ENOMEM)
			continue;
		cw_error_prefix(&error, "%.400s:%u: capture", rules->path, setting->line);
		found(context, error.text);
		result = -EINVAL;
	}
	for (uint32_t index = 0; index < taken.count && result == 0; index++)
		result = cw_words_add(&arguments->given, taken.words[index]);
	free(taken.words);
	return result;
}
