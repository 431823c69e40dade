/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings: the options of a capture that its rules file gives, in the mapping `capture:`. A key is
 * an option's long name. The command line wins. Any thread.
 */
#ifndef CW_TOOLS_OPTIONS_SETTINGS_H
#define CW_TOOLS_OPTIONS_SETTINGS_H

#include "pipeline/rules/rules.h"
#include "tools/options/options.h"

/* Returns why the option cannot be a setting, to follow its name in a message; NULL: it can. */
const char *cw_setting_fault(const char *option);

/*
 * Stores the settings of the rules in the arguments, which copy them, unless the command line has
 * the option. Calls `found` with the text of each fault, "FILE:LINE: capture: ...". Returns 0,
 * -EINVAL after a fault, or -ENOMEM.
 */
int cw_settings_apply(struct cw_arguments *arguments, const struct cw_rules *rules,
		      void (*found)(void *context, const char *text), void *context);

/*
 * For a reload: checks the settings of new rules as cw_settings_apply and lists those that differ
 * from the start's in rules->restart. Changes no arguments. Returns 0, or a negative errno with
 * `error`.
 */
int cw_settings_compare(const struct cw_arguments *arguments, const struct cw_settings *before,
			struct cw_rules *rules, struct cw_error *error);

#endif
