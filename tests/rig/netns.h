/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network namespace of the test's own: nothing it does to interfaces touches the machine, and
 * nothing needs to be put back.
 */
#ifndef CW_TESTS_RIG_NETNS_H
#define CW_TESTS_RIG_NETNS_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline bool netns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written;

	if (fd < 0)
		return false;
	is_written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return is_written;
}

/* Run a command made as by printf, in the shell; its exit status. */
static inline int __attribute__((format(printf, 1, 2))) netns_run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command);
}

/*
 * Move this process, which must have one thread, into new network and mount namespaces, with a
 * sysfs that shows them; as root of a new user namespace where it is not root. `reason` says why
 * not when the result is false.
 */
static inline bool netns_enter(char *reason, size_t reason_bytes)
{
	char map[64];
	unsigned user = geteuid(), group = getegid();

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0) {
			snprintf(reason, reason_bytes,
				 "skipped: a network namespace is not allowed: %s",
				 strerror(errno));
			return false;
		}
		netns_write("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", user);
		netns_write("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", group);
		netns_write("/proc/self/gid_map", map);
	}
	/* Without the mounts sysfs goes on showing the machine: tests that need it see that. */
	if (!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		mount("capweir", "/sys", "sysfs", 0, NULL);
	netns_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"); /* no chatter */
	if (netns_run("ip link set lo up && ip link add probe0 type veth peer name probe1 && "
		      "ip link del probe0")) {
		snprintf(reason, reason_bytes,
			 "skipped: ip cannot make a veth pair in a network namespace");
		return false;
	}
	return true;
}

#endif
