/* SPDX-License-Identifier: BSD-3-Clause */
/* The mapping `capture:` of a rules file: any keys, each with a value or a list of values. */
#include <stdlib.h>

#include "pipeline/rules/rules_yaml.h"

#define NAME_BYTES_MAX 48u /* of a key; below CW_QUOTE_BYTES */

void cw_settings_fini(struct cw_settings *settings)
{
	while (settings->count) {
		struct cw_setting *setting = &settings->at[--settings->count];

		free(setting->name);
		free(setting->value);
	}
	free(settings->at);
	*settings = (struct cw_settings){0};
}

/* Adds the current scalar as a value of `name`. */
static int add(struct cw_rules_reader *reader, const char *name, bool is_list_item)
{
	struct cw_settings *settings = &reader->rules->settings;
	struct cw_setting *grown, *setting;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return cw_rules_refuse(reader, "capture: %s takes a value or a list of values",
				       name);
	if (cw_rules_is_null(reader))
		return cw_rules_refuse(reader, "capture: %s has no value", name);
	if (strlen(cw_rules_scalar(reader)) > CW_SETTING_BYTES_MAX)
		return cw_rules_refuse(reader, "capture: %s: a value has at most %u bytes", name,
				       CW_SETTING_BYTES_MAX);
	if (settings->count == CW_SETTINGS_MAX)
		return cw_rules_refuse(reader, "capture: there are more than %u values",
				       CW_SETTINGS_MAX);
	grown = realloc(settings->at, (settings->count + 1) * sizeof(*grown));
	if (!grown)
		return cw_rules_out_of_memory(reader);
	settings->at = grown;
	setting = &grown[settings->count];
	*setting = (struct cw_setting){.name = strdup(name),
				       .value = strdup(cw_rules_scalar(reader)),
				       .line = cw_rules_line(reader),
				       .is_list_item = is_list_item};
	settings->count++;
	return setting->name && setting->value ? 0 : cw_rules_out_of_memory(reader);
}

/* Reads the items of a list, whose start is the current event. */
static int read_list(struct cw_rules_reader *reader, const char *name)
{
	unsigned line = cw_rules_line(reader);
	uint32_t count = reader->rules->settings.count;
	int status = cw_rules_advance(reader);

	while (!status && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		status = add(reader, name, true);
		if (!status)
			status = cw_rules_advance(reader);
	}
	if (!status && reader->rules->settings.count == count)
		status = cw_rules_refuse_at(reader, line, "capture: %s has an empty list", name);
	return status;
}

/* Reads the value of the key that the current event is. */
static int read_setting(struct cw_rules_reader *reader)
{
	const struct cw_settings *settings = &reader->rules->settings;
	char buffer[CW_QUOTE_BYTES], name[NAME_BYTES_MAX + 1];
	int status;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return cw_rules_refuse(reader, "a key in capture must be a word");
	if (strlen(cw_rules_scalar(reader)) > NAME_BYTES_MAX)
		return cw_rules_refuse(reader, "unknown key '%s' in capture",
				       cw_rules_quote(cw_rules_scalar(reader), buffer));
	strcpy(name, cw_rules_scalar(reader));
	for (uint32_t index = 0; index < settings->count; index++)
		if (!strcmp(settings->at[index].name, name))
			return cw_rules_refuse(reader, "duplicate key '%s' in capture",
					       cw_rules_quote(name, buffer));
	status = cw_rules_advance(reader);
	if (status)
		return status;
	if (reader->event.type == YAML_SEQUENCE_START_EVENT)
		return read_list(reader, name);
	return add(reader, name, false);
}

int cw_rules_read_settings(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			   void *object)
{
	int status = cw_rules_expect_mapping(reader, key->word, "{interface: eth0}");

	(void)object;
	while (!status) {
		struct cw_rules_place place = cw_rules_here(reader);

		status = cw_rules_advance(reader);
		if (!status && reader->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (!status)
			status = read_setting(reader);
		if (status)
			status = cw_rules_skip(reader, status, place);
	}
	return status;
}
