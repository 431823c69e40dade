/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts the helper processes of a run: one compiles filters, one runs hooks. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/filter/text/compiler.h"
#include "tools/options/options.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/process/owner.h"
#include "tools/request/request.h"

/* Runs in a helper of a live capture, which receives input derived from strangers' packets. */
static int confine_helper(void *context)
{
	const struct cw_confine_options *options = context;
	struct cw_error error = {0};
	int result = cw_confine(options, &error);

	if (result == CW_CONFINE_NO_LANDLOCK)
		cw_complain("warning: %s", error.text);
	/* An unknown or forbidden user: the check in cw_run reports it and ends the run; as the
	 * capture reports a missing list of system calls. */
	return result > 0 || result == -EINVAL || result == -EPERM ? 0 : result;
}

struct cw_filter_compiler *cw_arguments_start_compiler(const struct cw_arguments *arguments)
{
	struct cw_confine_options confine = {.role = CW_CONFINE_COMPILER,
					     .user = arguments->live.user,
					     .resolves = arguments->filter.resolve};
	const struct cw_filter_compiler_options options = {
	    .time_ms = (uint32_t)arguments->filter.time_ms,
	    .memory_bytes = arguments->filter.memory_bytes,
	    .on_start = arguments->devices.count ? confine_helper : NULL,
	    .context = &confine,
	};
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	if (cw_filter_compiler_start(&compiler, &options, &error) == 0)
		return compiler;
	cw_complain("warning: %s; they are compiled without limits on time and memory", error.text);
	return NULL;
}

/* ---- hooks ---- */

int cw_arguments_find_owner(const struct cw_arguments *arguments, struct cw_opener_owner *owner,
			    struct cw_error *error)
{
	const struct cw_confine_options confine = {.user = arguments->live.user};
	uid_t user;
	int result = cw_owner_find(owner);

	if (result == 0)
		result = cw_confine_find_user(&confine, &user, error);
	else if (result < 0)
		return cw_error_set(error, result, "no memory for the owner of the files");
	else
		return result;
	return result < 0 || geteuid() != 0 ? result : cw_owner_of_user(user, owner);
}

int cw_arguments_find_hook_user(const struct cw_arguments *arguments, struct cw_opener_owner *user,
				struct cw_error *error)
{
	const char *name = arguments->live.hook_user;
	const struct passwd *entry;

	*user = (struct cw_opener_owner){0};
	if (!name)
		return 0;
	errno = 0;
	entry = getpwnam(name);
	if (!entry)
		return cw_error_set(error, -EINVAL,
				    "user %s does not exist: name an existing user with "
				    "--hook-user",
				    name);
	if (geteuid() != 0 && entry->pw_uid != geteuid())
		return cw_error_set(error, -EPERM,
				    "only root can run hooks as user %s: omit --hook-user, or run "
				    "as root",
				    name);
	return geteuid() != 0 ? 0 : cw_owner_of_user(entry->pw_uid, user);
}

/* What the process that runs hooks has of this one. */
struct hooks_start {
	const struct cw_arguments *arguments;
	const struct cw_rules *rules;
	struct cw_confine_options confine;
};

static int confine_hooks(void *context)
{
	struct hooks_start *start = context;

	return confine_helper(&start->confine);
}

static int add_hooks(const struct cw_rules *rules, struct cw_hooks_table *table)
{
	int result = 0;

	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		const struct cw_rule *rule = &rules->rules[index];

		if (rule->hook)
			result = cw_hooks_table_add(table, rule->name, rule->hook);
	}
	return result;
}

static int load_hooks(void *context, int fd, struct cw_hooks_table *table)
{
	const struct hooks_start *start = context;
	struct cw_rules rules;
	int result;

	if (fd < 0)
		return add_hooks(start->rules, table);
	result = cw_arguments_load_hooks(start->arguments, fd, &rules);
	if (result < 0)
		return result;
	result = add_hooks(&rules, table);
	cw_rules_fini(&rules);
	return result;
}

int cw_arguments_start_hooks(const struct cw_arguments *arguments, const struct cw_rules *rules,
			     struct cw_hooks **hooks)
{
	const bool is_live = arguments->devices.count > 0;
	struct hooks_start start = {.arguments = arguments,
				    .rules = rules,
				    .confine = {.role = CW_CONFINE_HOOKS,
						.user = arguments->live.user,
						.keep_ids = is_live && geteuid() == 0}};
	struct cw_hooks_options options = {
	    .time_ms = (uint32_t)arguments->rules.hook_ms,
	    .on_start = is_live || arguments->live.user ? confine_hooks : NULL,
	    .load = load_hooks,
	    .context = &start,
	};
	struct cw_opener_owner owner = {0}, user = {0};
	struct cw_error error = {0};
	int has_owner = is_live ? cw_arguments_find_owner(arguments, &owner, &error) : 0;
	int has_user =
	    has_owner < 0 ? has_owner : cw_arguments_find_hook_user(arguments, &user, &error);
	int result = has_user < 0 ? has_user : 0;

	options.owner = has_owner > 0 ? &owner : NULL;
	options.user = has_user > 0 ? &user : NULL;
	if (result < 0)
		result =
		    result == -ENOMEM ? cw_fail("%s", error.text) : cw_refuse("%s", error.text);
	else if (cw_hooks_start(hooks, &options, &error) < 0)
		result = cw_fail("%s", error.text);
	free((gid_t *)(uintptr_t)owner.groups);
	free((gid_t *)(uintptr_t)user.groups);
	return result;
}
