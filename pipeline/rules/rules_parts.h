/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of rules.c for the reader of files. Private to the wing. */
#ifndef CW_PIPELINE_RULES_RULES_PARTS_H
#define CW_PIPELINE_RULES_RULES_PARTS_H

#include "pipeline/rules/rules.h"

/* Adds a zeroed rule; NULL: no memory. The only way that rules grow. */
struct cw_rule *cw_rules_append(struct cw_rules *rules);

/* Frees the memory that the rule owns. */
void cw_rule_fini(struct cw_rule *rule);

/* Returns the fault of a rule's name; NULL: none. */
const char *cw_rule_name_fault(const char *name);

/* Returns whether the expression is the word `unmatched`. */
bool cw_rule_is_unmatched(const char *filter);

#endif
