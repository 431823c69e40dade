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
    {"service", "is for the command line: capweir capture --service NAME"},
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

/* ---- reload ---- */

static void keep_first(void *context, const char *text)
{
	struct cw_error *error = context;

	if (!error->text[0])
		cw_error_set(error, -EINVAL, "%s", text);
}

/* Returns the next setting of that name at or after *index, or NULL. */
static const struct cw_setting *next_of(const struct cw_settings *settings, const char *name,
					uint32_t *index)
{
	for (; *index < settings->count; ++*index)
		if (strcmp(settings->at[*index].name, name) == 0)
			return &settings->at[(*index)++];
	return NULL;
}

static bool is_same(const struct cw_settings *a, const struct cw_settings *b, const char *name)
{
	uint32_t a_index = 0, b_index = 0;
	const struct cw_setting *one, *other;

	do {
		one = next_of(a, name, &a_index);
		other = next_of(b, name, &b_index);
		if (!one != !other || (one && strcmp(one->value, other->value) != 0))
			return false;
	} while (one);
	return true;
}

/* Appends the name to the list, if it is a new one and no option of the line. */
static int list_name(const struct cw_arguments *line, const char *name, char **list)
{
	size_t bytes = strlen(name), used = *list ? strlen(*list) : 0;
	char *grown, *at;

	for (at = *list; at && (at = strstr(at, name)) != NULL; at += bytes)
		if ((at == *list || at[-1] == ' ') && (at[bytes] == ' ' || !at[bytes]))
			return 0;
	if (is_on_line(line, name))
		return 0;
	grown = realloc(*list, used + bytes + 2);
	if (!grown)
		return -ENOMEM;
	sprintf(grown + used, "%s%s", used ? " " : "", name);
	*list = grown;
	return 0;
}

int cw_settings_compare(const struct cw_arguments *arguments, const struct cw_settings *before,
			struct cw_rules *rules, struct cw_error *error)
{
	const struct cw_settings *const both[] = {before, &rules->settings};
	struct cw_arguments line = {.command = CW_CAPTURE};
	int result = 0;

	for (uint32_t index = 0; index < arguments->rules.line_given && result == 0; index++)
		result = cw_words_add(&line.given, arguments->given.words[index]);
	for (size_t side = 0; side < CW_ARRAY_COUNT(both); side++)
		for (uint32_t index = 0; index < both[side]->count && result == 0; index++) {
			const char *name = both[side]->at[index].name;

			if (!is_same(before, &rules->settings, name))
				result = list_name(&line, name, &rules->restart);
		}
	if (result == 0)
		result = cw_settings_apply(&line, rules, keep_first, error);
	cw_arguments_fini(&line);
	return result == -ENOMEM ? cw_error_set(error, -ENOMEM, "out of memory") : result;
}
