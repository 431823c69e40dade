/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces of a network namespace of the test's own, and calls of the library that fail when told
 * to. Where no namespace can be made, tests that need it are skipped and say so.
 */
#ifndef CW_TESTS_CORE_NET_NETDEV_RIG_H
#define CW_TESTS_CORE_NET_NETDEV_RIG_H

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/net/netdev.h"
#include "tests/rig/netns.h"

#define EVENT_MS_MAX 60000 /* only a hang takes that */
#define PACKETS 1000

static char no_namespace[256];
static struct cw_error error;
static struct cw_netdev_probe *probe;

/* ---- calls of the library that fail when told to ---- */

static const char *fail_call = "";
static int fail_errno;
static int fail_skip;

static inline bool fails_now(const char *call)
{
	if (strcmp(call, fail_call) || fail_skip-- > 0)
		return false;
	fail_call = "";
	errno = fail_errno;
	return true;
}

static inline void fail_next(const char *call, int code, int skip_count)
{
	fail_call = call;
	fail_errno = code;
	fail_skip = skip_count;
}

#define WRAP(type, call, failed, parameters, arguments)                       \
	type __real_##call parameters;                                        \
	type __wrap_##call parameters;                                        \
	type __wrap_##call parameters                                         \
	{                                                                     \
		return fails_now(#call) ? (failed) : __real_##call arguments; \
	}

WRAP(int, socket, -1, (int family, int type, int protocol), (family, type, protocol))
WRAP(void *, calloc, NULL, (size_t count, size_t bytes), (count, bytes))
WRAP(void *, realloc, NULL, (void *old, size_t bytes), (old, bytes))
WRAP(int, mprotect, -1, (void *at, size_t bytes, int protection), (at, bytes, protection))

/* What recvmsg gives once in place of what is there; NULL: nothing. */
static const void *inject;
static size_t inject_bytes;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (fails_now("recvmsg"))
		return -1;
	if (!inject)
		return __real_recvmsg(fd, message, flags);
	memcpy(message->msg_iov[0].iov_base, inject, inject_bytes);
	memcpy(message->msg_name, &kernel, sizeof(kernel));
	message->msg_flags = 0;
	inject = NULL;
	return (ssize_t)inject_bytes;
}

/* A driver of ours, for as long as `is_on`: `claims` statistics it says, `writes` it has. */
static struct {
	bool is_on;
	uint32_t claims, writes;
	int lies;      /* times that it has another number than it said; -1: ever */
	bool is_loose; /* names fill all their bytes */
	uint64_t base;
} driver;

static inline int driver_call(uint32_t *command)
{
	struct ethtool_gstrings *strings = (void *)command;
	struct ethtool_stats *values = (void *)command;
	uint32_t count = driver.lies ? driver.writes : driver.claims;
	char *names = (char *)strings->data;
	int null = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	switch (*command) {
	case ETHTOOL_GSSET_INFO:
		command[sizeof(struct ethtool_sset_info) / 4] = driver.claims;
		break;
	case ETHTOOL_GSTRINGS: /* the kernel writes, and stops at the fence */
		got = read(null, names, (size_t)count * ETH_GSTRING_LEN);
		driver.lies -= driver.lies > 0;
		if (got < (ssize_t)count * ETH_GSTRING_LEN) {
			close(null);
			errno = EFAULT;
			return -1;
		}
		strings->len = count;
		for (uint32_t i = 0; i < count; i++)
			if (driver.is_loose)
				memset(names + i * ETH_GSTRING_LEN, i ? 'x' : 'd', ETH_GSTRING_LEN);
			else
				snprintf(names + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN,
					 i % 2 ? "rx%u_packets" : "rx%u_drops", i);
		if (driver.is_loose)
			memcpy(names, "rx_drop", 7);
		break;
	case ETHTOOL_GSTATS:
		values->n_stats = count;
		for (uint32_t i = 0; i < count; i++)
			values->data[i] = driver.base + i;
		break;
	default:
		close(null);
		errno = EOPNOTSUPP;
		return -1;
	}
	close(null);
	return 0;
}

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	if (fails_now("ioctl"))
		return -1;
	if (driver.is_on && request == SIOCETHTOOL)
		return driver_call((void *)((struct ifreq *)argument)->ifr_data);
	return __real_ioctl(fd, request, argument);
}

/* ---- helpers ---- */

static inline void need_namespace(void)
{
	if (no_namespace[0]) {
		print_message("%s\n", no_namespace);
		skip();
	}
}

#define RUN(...) assert_int_equal(netns_run(__VA_ARGS__), 0)

static inline void make_pair(const char *name, const char *peer)
{
	need_namespace();
	RUN("ip link add %s numrxqueues 4 numtxqueues 1 type veth peer name %s", name, peer);
	RUN("ip link set %s up && ip link set %s up", name, peer);
}

static inline uint64_t clock_ms(clockid_t clock)
{
	return cw_clock_ns(clock) / 1000000;
}

static inline int index_of(const char *name)
{
	struct cw_netdev_facts facts;

	if (cw_netdev_facts_read(probe, name, &facts, &error))
		fail_msg("%s", error.text);
	return facts.ifindex;
}

/* ---- the list and the facts ---- */

static inline int enter(void **state)
{
	(void)state;
	netns_enter(no_namespace, sizeof(no_namespace));
	return cw_netdev_probe_open(&probe, &error);
}

static inline int leave(void **state)
{
	(void)state;
	cw_netdev_probe_close(probe);
	return 0;
}

#endif
