/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules.c offers the reader of files. Private to the wing. */
#ifndef CW_PIPELINE_RULES_RULES_PARTS_H
#define CW_PIPELINE_RULES_RULES_PARTS_H

#include "pipeline/rules/rules.h"

/* Add a zeroed rule, NULL without memory. Rules grow through this only. */
struct cw_rule *cw_rules_append(struct cw_rules *rules);

/* Free what the rule holds. */
void cw_rule_fini(struct cw_rule *rule);

/* What is wrong with a rule's name, NULL when nothing is. */
const char *cw_rule_name_fault(const char *name);

/* Whether the expression is the word `unmatched`. */
bool cw_rule_is_unmatched(const char *filter);

#endif
