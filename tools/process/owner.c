/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "tools/process/owner.h"

#define GROUPS_MAX 65536 /* the kernel's limit */

/* Returns whether the text is a decimal number of a user or group, and nothing more. -1 is none. */
static bool parse_id(const char *text, uint32_t *id)
{
	unsigned long long value;

	if (!text || !*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
		return false;
	value = strtoull(text, NULL, 10);
	*id = (uint32_t)value;
	return value < UINT32_MAX;
}

static int find_groups(const char *name, struct cw_opener_owner *owner)
{
	int count = 32;

	for (;;) {
		gid_t *groups = calloc((size_t)count, sizeof(*groups));
		int wanted = count;

		if (!groups)
			return -ENOMEM;
		if (getgrouplist(name, owner->group, groups, &wanted) >= 0) {
			owner->groups = groups;
			owner->group_count = (size_t)wanted;
			return 1;
		}
		free(groups);
		if (count >= GROUPS_MAX)
			return 0;
		count = wanted > count && wanted < GROUPS_MAX ? wanted : GROUPS_MAX;
	}
}

int cw_owner_of_user(uid_t user, struct cw_opener_owner *owner)
{
	const struct passwd *entry = getpwuid(user);

	*owner = (struct cw_opener_owner){.user = user};
	if (!entry)
		return 0;
	owner->group = entry->pw_gid;
	return find_groups(entry->pw_name, owner);
}

int cw_owner_of(const char *user, const char *group, struct cw_opener_owner *owner)
{
	const struct passwd *entry;

	*owner = (struct cw_opener_owner){0};
	if (!parse_id(user, &owner->user) || !parse_id(group, &owner->group))
		return 0;
	entry = getpwuid(owner->user);
	return entry ? find_groups(entry->pw_name, owner) : 0;
}

int cw_owner_find(struct cw_opener_owner *owner)
{
	*owner = (struct cw_opener_owner){0};
	if (getuid() != 0 || geteuid() != 0 || getauxval(AT_SECURE))
		return 0;
	return cw_owner_of(getenv("SUDO_UID"), getenv("SUDO_GID"), owner);
}
