/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "pipeline/control/control.h"

static const char *const names[] = {
    [CW_CONTROL_STATS] = "stats",   [CW_CONTROL_RULES] = "rules", [CW_CONTROL_RELOAD] = "reload",
    [CW_CONTROL_ROTATE] = "rotate", [CW_CONTROL_FLUSH] = "flush", [CW_CONTROL_STOP] = "stop",
    [CW_CONTROL_LOG] = "log"};
static_assert(CW_ARRAY_COUNT(names) == CW_CONTROL_COMMANDS, "a name each");

static const char *const levels[] = {
    [CW_NOTE] = "note", [CW_WARNING] = "warning", [CW_PROBLEM] = "problem"};

const char *cw_control_command_name(enum cw_control_command command)
{
	return names[command];
}

static int find_command(const char *name, struct cw_control_request *request,
			struct cw_error *error)
{
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(names); index++) {
		if (strcmp(name, names[index]) != 0)
			continue;
		request->command = (enum cw_control_command)index;
		return 0;
	}
	return cw_error_set(error, -EINVAL,
			    "unknown command '%.40s'; there are stats, rules, reload, rotate, "
			    "flush, stop and log",
			    name);
}

static int take_level(const char *text, struct cw_control_request *request, struct cw_error *error)
{
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(levels); index++) {
		if (strcmp(text, levels[index]) != 0)
			continue;
		request->level = (enum cw_severity)index;
		return 0;
	}
	return cw_error_set(error, -EINVAL,
			    "unknown level '%.40s'; there are note, warning and "
			    "problem",
			    text);
}

static int take_rule(const char *text, struct cw_control_request *request, struct cw_error *error)
{
	if (!text[0] || strlen(text) > CW_RULE_NAME_BYTES_MAX)
		return cw_error_set(error, -EINVAL, "there is no rule '%.40s'", text);
	strcpy(request->rule, text);
	return 0;
}

/* Everything but "command" belongs to one command. */
static int take_member(const char *key, const char *text, struct cw_control_request *request,
		       struct cw_error *error)
{
	if (strcmp(key, "command") == 0)
		return 0;
	if (strcmp(key, "rule") == 0 && request->command == CW_CONTROL_ROTATE)
		return take_rule(text, request, error);
	if (strcmp(key, "level") == 0 && request->command == CW_CONTROL_LOG)
		return take_level(text, request, error);
	return cw_error_set(error, -EINVAL, "the command %s has no '%.40s'",
			    names[request->command], key);
}

static int take_members(json_t *object, struct cw_control_request *request, struct cw_error *error)
{
	const char *name = json_string_value(json_object_get(object, "command"));
	const char *key;
	json_t *value;
	int result;

	if (!name)
		return cw_error_set(error, -EINVAL, "there is no \"command\" that is a string");
	result = find_command(name, request, error);
	if (result < 0)
		return result;
	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			return cw_error_set(error, -EINVAL, "'%.40s' must be a string", key);
		result = take_member(key, json_string_value(value), request, error);
		if (result < 0)
			return result;
	}
	if (request->command == CW_CONTROL_LOG && !json_object_get(object, "level"))
		return cw_error_set(error, -EINVAL, "the command log needs a \"level\"");
	return 0;
}

int cw_control_parse(const char *line, size_t bytes, struct cw_control_request *request,
		     struct cw_error *error)
{
	json_error_t fault;
	json_t *object;
	int result;

	*request = (struct cw_control_request){0};
	if (bytes > CW_CONTROL_LINE_BYTES_MAX)
		return cw_error_set(error, -EINVAL, "a line has at most %u bytes",
				    CW_CONTROL_LINE_BYTES_MAX);
	object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &fault);
	if (!object)
		return cw_error_set(error, -EINVAL, "not JSON: %s (column %d)", fault.text,
				    fault.column);
	result = json_is_object(object) ? take_members(object, request, error)
					: cw_error_set(error, -EINVAL,
						       "a request is an object, such as "
						       "{\"command\": \"stats\"}");
	json_decref(object);
	return result;
}
