/* SPDX-License-Identifier: BSD-3-Clause */
/* Landlock by its system calls, with the constants of kernels later than the headers. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/process/landlock.h"

#define ABI_TCP 4    /* Linux 6.7 */
#define ABI_SCOPES 6 /* Linux 6.12 */
#define TCP_ALL 3u   /* bind and connect */
#define SCOPE_ALL 3u /* signals and abstract local sockets */

/* struct landlock_ruleset_attr as of Linux 6.12; earlier kernels take its beginning. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scopes;
};

/* Rights to files that a kernel with this ABI knows. */
static uint64_t known_rights(long abi)
{
	static const unsigned counts[] = {0, 13, 14, 15, 15, 16}; /* the last is the latest */
	const long latest = (long)(sizeof(counts) / sizeof(counts[0])) - 1;

	return (UINT64_C(1) << counts[abi < latest ? abi : latest]) - 1;
}

static int add_rule(int ruleset, const struct cw_landlock_rule *rule, uint64_t known)
{
	const int fd = rule->path ? open(rule->path, O_PATH | O_CLOEXEC) : rule->fd;
	const struct landlock_path_beneath_attr attribute = {rule->access & known, fd};
	int result = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attribute, 0))
		result = -errno;
	if (rule->path)
		close(fd);
	return result;
}

/* Returns the bytes of struct ruleset that a kernel with this ABI knows. */
static size_t known_bytes(long abi)
{
	if (abi >= ABI_SCOPES)
		return sizeof(struct ruleset);
	return abi >= ABI_TCP ? offsetof(struct ruleset, scopes) : offsetof(struct ruleset, net);
}

int cw_landlock_restrict(const struct cw_landlock_rule *rules, uint32_t count, unsigned refusals)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset wanted = {0};
	int ruleset, result = 0;

	/* EPERM: a container's list of system calls */
	if (abi < 1 && (abi == 0 || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
		return -ENOTSUP;
	if (abi < 0)
		return -errno;
	wanted.fs = known_rights(abi);
	wanted.net = refusals & CW_LANDLOCK_TCP ? TCP_ALL : 0;
	wanted.scopes = refusals & CW_LANDLOCK_OTHERS ? SCOPE_ALL : 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &wanted, known_bytes(abi), 0);
	if (ruleset < 0)
		return -errno;
	for (uint32_t i = 0; i < count && result == 0; i++)
		result = add_rule(ruleset, &rules[i], wanted.fs);
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0))
		result = -errno;
	close(ruleset);
	return result;
}
