/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The groups that files are given to. Names are looked up at the start only: a confined capture
 * cannot ask all services that know names.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/rules/rules.h"
#include "tools/request/request.h"

#define NAME_BYTES 64u

/* Written before the first thread. */
static struct {
	char names[CW_GROUPS_MAX][NAME_BYTES];
	gid_t groups[CW_GROUPS_MAX];
	uint32_t count;
} known;

static bool is_member(gid_t group)
{
	gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);

	for (int index = 0; index < count; index++)
		if (groups[index] == group)
			return true;
	return group == getegid();
}

/* Returns the group's index in the list; its length if the group is not in it. */
static uint32_t find(const char *name)
{
	uint32_t index = 0;

	while (index < known.count && strcmp(known.names[index], name) != 0)
		index++;
	return index;
}

/* Fills the number of a group by name or number. False: there is none. */
static bool look_up(const char *name, gid_t *group)
{
	const struct group *entry;
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(name, &end, 10);
	*group = (gid_t)number;
	if (name[strspn(name, "0123456789")] == 0 && !*end)
		return !errno && number < UINT32_MAX;
	/* cppcheck-suppress getgrnamCalled ; called before the first thread */
	entry = getgrnam(name);
	if (entry)
		*group = entry->gr_gid;
	return entry != NULL;
}

static int learn(const struct cw_rule *rule, struct cw_error *error)
{
	gid_t group;

	if (strlen(rule->group) >= NAME_BYTES || !look_up(rule->group, &group))
		return cw_error_set(error, -EINVAL,
				    "rule %s: group '%.60s' does not exist: name an existing group",
				    rule->name, rule->group);
	if (geteuid() != 0 && !is_member(group))
		return cw_error_set(
		    error, -EPERM,
		    "rule %s: files cannot be given to group %s: join the group, or "
		    "run as root",
		    rule->name, rule->group);
	if (known.count == CW_GROUPS_MAX)
		return cw_error_set(error, -E2BIG,
				    "rule %s: the rules name more than %u groups: use fewer",
				    rule->name, CW_GROUPS_MAX);
	strcpy(known.names[known.count], rule->group);
	known.groups[known.count++] = group;
	return 0;
}

int cw_rule_find_group(struct cw_rule *rule, bool is_start, struct cw_error *error)
{
	uint32_t index;
	int result = 0;

	if (!rule->group)
		return 0;
	index = find(rule->group);
	if (index == known.count)
		result = is_start ? learn(rule, error)
				  : cw_error_set(error, -EINVAL,
						 "rule %s: no rule named group %.60s at the start: "
						 "restart capweir to use it",
						 rule->name, rule->group);
	if (result < 0)
		return result;
	rule->access.group = known.groups[index];
	rule->access.has_group = true;
	return 0;
}

const gid_t *cw_known_groups(uint32_t *count)
{
	*count = known.count;
	return known.groups;
}
