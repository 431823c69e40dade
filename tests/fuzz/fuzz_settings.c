/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a rules file that is checked: the reader that leaves out what is faulty agrees with
 * the one that ends at the first fault, and the mapping `capture:` sets options or has faults.
 */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/rules/rules.h"
#include "tools/options/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct faults {
	uint32_t count;
	char first[sizeof(((struct cw_error *)NULL)->text)];
};

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void note(void *context, const char *text)
{
	struct faults *faults = context;

	require(strncmp(text, "text", strlen("text")) == 0);
	if (!faults->count++)
		snprintf(faults->first, sizeof(faults->first), "%s", text);
}

static void apply(const struct cw_rules *rules)
{
	char program[] = "capture";
	char *words[] = {program, NULL};
	struct faults faults = {0};
	struct cw_arguments arguments;
	int status;

	require(cw_options_parse(&arguments, CW_CAPTURE, 1, words) == 0);
	status = cw_settings_apply(&arguments, rules, note, &faults);
	require(status == (faults.count ? -EINVAL : 0));
	cw_arguments_fini(&arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data;
	struct faults faults = {0};
	struct cw_error error = {0};
	struct cw_rules sound, strict;
	int status = cw_rules_parse_sound(&sound, text, bytes, note, &faults);
	int other = cw_rules_parse(&strict, text, bytes, "text", &error);

	require(!other == !faults.count);
	require(!other || strcmp(error.text, faults.first) == 0);
	if (status < 0) {
		require(!sound.rules && !sound.count && !sound.settings.count);
		return 0;
	}
	require(faults.count == (uint32_t)status && faults.count <= CW_RULES_FAULTS_MAX);
	for (uint32_t i = 0; i < sound.count; i++) {
		require(sound.rules[i].name[0] && sound.rules[i].write);
		require(!sound.rules[i].filter == (sound.rules[i].kind == CW_RULE_UNMATCHED));
	}
	if (!other) {
		require(strict.count == sound.count);
		require(strict.settings.count == sound.settings.count);
		cw_rules_fini(&strict);
	}
	apply(&sound);
	cw_rules_fini(&sound);
	return 0;
}
