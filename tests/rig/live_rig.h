/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices for live tests: a network namespace of this process's own with a pair of virtual Ethernet
 * devices, "out" where the sender puts frames and "in" where they arrive; nothing leaves it, and it
 * goes when the process does. Needs ip (iproute2) and the right to make namespaces.
 */
#ifndef CW_TESTS_RIG_LIVE_RIG_H
#define CW_TESTS_RIG_LIVE_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/rig/stamp.h"

#define RIG_ARGUMENTS_MAX 40

/* A shell command. Whether it ended with 0. */
static inline __attribute__((format(printf, 1, 2))) bool rig_run(const char *format, ...)
{
	char command[1024];
	va_list arguments;
	int status;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	fflush(stdout);
	status = system(command);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void rig_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

/* The pair, up, and with nobody talking on it of its own accord. */
static inline bool rig_make_pair(void)
{
	return rig_run("ip link add out numtxqueues 4 numrxqueues 4 type veth "
		       "peer name in numtxqueues 4 numrxqueues 4 && "
		       "ip link set out mtu 9000 arp off up && ip link set in mtu 9000 arp off up");
}

/* NULL, or why there can be no devices here. */
static inline const char *rig_make(void)
{
	char map[64];
	unsigned int user = getuid(), group = getgid();

	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			return "network namespaces are not allowed here";
		rig_write("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", user);
		rig_write("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", group);
		rig_write("/proc/self/gid_map", map);
	}
	rig_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	rig_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	if (!rig_run("command -v ip >/dev/null"))
		return "ip (iproute2) is not installed";
	if (!rig_run("ip link set lo up") || !rig_make_pair())
		return "virtual Ethernet devices cannot be made here";
	return NULL;
}

static inline void rig_sleep_ms(uint32_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* Wait until a device sends: for up to a second after its peer came up the kernel drops all. */
static inline void rig_wait_link(const char *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	while (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP &&
	       !(request.ifr_flags & IFF_RUNNING))
		rig_sleep_ms(1);
	/* The kernel changes the state and then switches the queue on, under one lock. This takes
	 * the lock after that, and changes nothing. */
	(void)ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

struct rig_sender {
	pid_t child;
	FILE *report;
};

struct rig_sending {
	const char *program;
	const char *device;
	struct stamp_shape shape;
	uint64_t first, count, rate; /* rate 0: as fast as it goes */
	uint32_t gso;
};

/* Start the sender; it ends by itself, after all its frames have arrived (sender.c). */
static inline bool rig_start_sender(struct rig_sender *sender, const struct rig_sending *sending)
{
	static const char *const names[] = {"--count", "--first", "--rate",  "--size", "--size-max",
					    "--flows", "--vlan",  "--outer", "--gso"};
	const uint64_t values[] = {
	    sending->count,       sending->first,           sending->rate,
	    sending->shape.bytes, sending->shape.bytes_max, sending->shape.flows,
	    sending->shape.vlan,  sending->shape.outer,     sending->gso};
	char texts[CW_ARRAY_COUNT(names)][24];
	char *arguments[RIG_ARGUMENTS_MAX] = {(char *)(uintptr_t)sending->program,
					      (char *)(uintptr_t)sending->device};
	size_t i, count = 2;
	int ends[2];

	*sender = (struct rig_sender){0};
	rig_wait_link(sending->device);
	for (i = 0; i < CW_ARRAY_COUNT(names); i++) {
		snprintf(texts[i], sizeof(texts[i]), "%llu", (unsigned long long)values[i]);
		arguments[count++] = (char *)(uintptr_t)names[i];
		arguments[count++] = texts[i];
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	sender->child = fork();
	if (sender->child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execv(sending->program, arguments);
		_exit(127);
	}
	close(ends[1]);
	sender->report = fdopen(ends[0], "r");
	return sender->child > 0 && sender->report;
}

static inline bool rig_is_sending(const struct rig_sender *sender)
{
	siginfo_t info = {0};

	waitid(P_PID, (id_t)sender->child, &info, WEXITED | WNOHANG | WNOWAIT);
	return info.si_pid == 0;
}

/* Wait for its end. How many frames it sent; UINT64_MAX when it failed. */
static inline uint64_t rig_end_sender(struct rig_sender *sender)
{
	unsigned long long sent = 0;
	int status = -1;
	int found = fscanf(sender->report, "{\"sent\": %llu", &sent);

	fclose(sender->report);
	waitpid(sender->child, &status, 0);
	return found == 1 && status == 0 ? sent : UINT64_MAX;
}

static inline uint64_t rig_send(const struct rig_sending *sending)
{
	struct rig_sender sender;

	return rig_start_sender(&sender, sending) ? rig_end_sender(&sender) : UINT64_MAX;
}

#endif
