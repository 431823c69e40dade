/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the modes and the group of a rule's files. */
#include <string.h>

#include "pipeline/rules/rules_yaml.h"

int cw_rules_read_mode(struct cw_rules_reader *reader, const struct cw_rules_key *key, void *object)
{
	uint32_t *mode = (uint32_t *)((char *)object + key->offset);
	char buffer[CW_QUOTE_BYTES];
	int status = cw_rules_expect_text(reader, key->word);

	if (status || !cw_mode_parse(&key->amount, cw_rules_scalar(reader), mode))
		return status;
	return cw_rules_refuse(reader, "%s: '%s' is not an octal mode from %04o to %04o", key->word,
			       cw_rules_quote(cw_rules_scalar(reader), buffer),
			       (unsigned)key->amount.least, (unsigned)key->amount.most);
}

int cw_rules_read_group(struct cw_rules_reader *reader, const struct cw_rules_key *key,
			void *object)
{
	struct cw_rule *rule = object;
	int status = cw_rules_expect_text(reader, key->word);

	if (status)
		return status;
	if (!*cw_rules_scalar(reader))
		return cw_rules_refuse(reader, "group: it is empty");
	rule->group = strdup(cw_rules_scalar(reader));
	return rule->group ? 0 : cw_rules_out_of_memory(reader);
}
