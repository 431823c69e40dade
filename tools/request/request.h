/* SPDX-License-Identifier: BSD-3-Clause */
/* From arguments to rules, filters and live options. A function that returns an exit status other
 * than 0 has printed its error message. */
#ifndef CW_TOOLS_REQUEST_REQUEST_H
#define CW_TOOLS_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CW_GROUPS_MAX 64u /* groups that the rules of a run name */

#include "pipeline/pipeline.h"
#include "pipeline/rules/rules.h"

struct cw_arguments;
struct cw_filter_compiler;
struct cw_hooks;
struct cw_opener_owner;

/* The rules and options of a run. The options borrow from the arguments and from the request. */
struct cw_request {
	struct cw_rules rules;
	struct cw_pipeline_options options;
	char *expression; /* the global filter; NULL: none */
};

/* Fills the request from the arguments. Returns 0 or an exit status; call fini in both cases. */
int cw_request_make(struct cw_request *request, const struct cw_arguments *arguments);
void cw_request_fini(struct cw_request *request); /* accepts a zeroed object */

/* Reads the rules file of a capture (-R) or a check and takes the options of its mapping
 * `capture:`, which the command line overrides. Sets what --service stands for and neither of them
 * has. Notes who starts the run. Returns 0 or an exit status; a check gets faults of the file as
 * texts. cw_arguments_free_file accepts all arguments. */
int cw_arguments_take_file(struct cw_arguments *arguments);
void cw_arguments_free_file(struct cw_arguments *arguments);

/* Fills the options of live capture. Returns 0 or CW_EXIT_USAGE. */
int cw_arguments_live(const struct cw_arguments *arguments, struct cw_pipeline_options *options);

/* Reads the rules file (-R), which the descriptor leads to (takes it), again for a reload, with the
 * command line's limits. Any thread. Returns 0 or a negative errno with `error`. */
int cw_arguments_load_rules(const struct cw_arguments *arguments, int fd, struct cw_rules *rules,
			    struct cw_error *error);

/* Fills the rules of -R, or of -f and -w. Takes *expression if it is the filter of the only output.
 */
int cw_arguments_rules(const struct cw_arguments *arguments, struct cw_rules *rules,
		       char **expression);

/* Fills the link type of -y, CW_LINKTYPE_ANY without -y. Returns 0 or CW_EXIT_USAGE. */
int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype);

/* Fills the expression: the rest of the command line, joined by spaces, or the file of -F; NULL
 * without either. The caller frees it. Returns 0 or an exit status. */
int cw_arguments_expression(const struct cw_arguments *arguments, char **expression);

/* Starts the process that compiles filters, with the limits of the command line. Call before the
 * first thread. Returns NULL after a warning if it cannot start: filters are then compiled in this
 * process. */
struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments);

/* Finds whom the files of a live capture belong to: the user who called sudo, else the one that
 * captures. Returns 1 if `owner` is filled (free its groups), 0 if it is this process's user
 * without choice, or a negative errno. */
int cw_arguments_find_owner(const struct cw_arguments *arguments, struct cw_opener_owner *owner,
			    struct cw_error *error);

/* Finds the user of --hook-user. Returns as cw_arguments_find_owner. */
int cw_arguments_find_hook_user(const struct cw_arguments *arguments, struct cw_opener_owner *user,
				struct cw_error *error);

/* Starts the process that runs the hooks of these rules. Call before the first thread. Returns 0 or
 * an exit status. */
int cw_arguments_start_hooks(const struct cw_arguments *arguments, const struct cw_rules *rules,
			     struct cw_hooks **hooks);

/* Reads the rules file again for their hooks alone, from the descriptor (takes it). Returns 0, or a
 * negative errno, also if the file cannot be trusted. */
int cw_arguments_load_hooks(const struct cw_arguments *arguments, int fd, struct cw_rules *rules);

/* Checks that a rules file with hooks, a user or another file to read can be written by root or the
 * user `trusted` alone. `settings`: of the same file. Returns 0, or -EINVAL with `error`. */
int cw_rules_check_trust(const struct cw_rules *rules, const struct cw_settings *settings,
			 uint32_t trusted, struct cw_error *error);

/*
 * Fills the number of the group that a rule names, if any. At the start, looks up the name; later,
 * in a reload, only names of the start count. Returns 0; with `error`, -EINVAL: no such group;
 * -EPERM: this process cannot give files to it; -E2BIG: more than CW_GROUPS_MAX groups.
 */
int cw_rule_find_group(struct cw_rule *rule, bool is_start, struct cw_error *error);

/* Returns the groups found so far. */
const gid_t *cw_known_groups(uint32_t *count);

/* Checks the hook of a rule, if any. Returns 0; with `error`, -EINVAL if the program is not an
 * executable, or -E2BIG for more bytes than a request holds. */
int cw_rule_check_hook(const struct cw_rule *rule, struct cw_error *error);

/* Checks the hooks of all rules, before the first file. Fills *has_any: some rule has a hook.
 * Returns as cw_rule_check_hook. */
int cw_rules_check_hooks(const struct cw_rules *rules, bool *has_any, struct cw_error *error);

#endif
