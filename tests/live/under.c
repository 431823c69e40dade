/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a program under the restrictions that a systemd unit names, as systemd 252 installs them,
 * without systemd:
 *
 *     under PROGRAM [ARGUMENT]...
 *
 * Descriptor 3 holds the restrictions, a line each: "call NAME" allows a system call (EPERM for
 * the others), "family NUMBER" an address family of sockets (EAFNOSUPPORT for the others), "mdwx"
 * is MemoryDenyWriteExecute=yes, "realtime" RestrictRealtime=yes.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <unistd.h>

#define LIMITS 3 /* descriptor */
#define FAMILIES_MAX 46
#define FAILED 99 /* exit status of this program */

static void check(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "under: %s: %s\n", what, strerror(-result));
	exit(FAILED);
}

static scmp_filter_ctx make(uint32_t otherwise)
{
	scmp_filter_ctx list = seccomp_init(otherwise);

	check(list ? 0 : -ENOMEM, "seccomp_init");
	return list;
}

static void load(scmp_filter_ctx list, const char *what)
{
	check(seccomp_load(list), what);
	seccomp_release(list);
}

/* Calls that this architecture lacks are skipped, as systemd does. */
static void allow(scmp_filter_ctx calls, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);

	if (call >= 0)
		check(seccomp_rule_add(calls, SCMP_ACT_ALLOW, call, 0), name);
}

static void load_families(const bool *is_allowed)
{
	scmp_filter_ctx list = make(SCMP_ACT_ALLOW);

	for (unsigned int family = 0; family < FAMILIES_MAX; family++)
		if (!is_allowed[family])
			check(seccomp_rule_add(list, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket),
					       1, SCMP_A0(SCMP_CMP_EQ, family, 0)),
			      "families");
	load(list, "families");
}

static void load_mdwx(void)
{
	const uint64_t both = PROT_WRITE | PROT_EXEC;
	scmp_filter_ctx list = make(SCMP_ACT_ALLOW);
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);

	check(seccomp_rule_add(list, refuse, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, both, both)),
	      "mmap");
	check(seccomp_rule_add(list, refuse, SCMP_SYS(mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)),
	      "mprotect");
	check(seccomp_rule_add(list, refuse, SCMP_SYS(pkey_mprotect), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)),
	      "pkey_mprotect");
	check(seccomp_rule_add(list, refuse, SCMP_SYS(shmat), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC)),
	      "shmat");
	load(list, "MemoryDenyWriteExecute");
}

static void load_realtime(void)
{
	scmp_filter_ctx list = make(SCMP_ACT_ALLOW);

	for (int policy = SCHED_FIFO; policy <= SCHED_RR; policy++)
		check(seccomp_rule_add(list, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(sched_setscheduler), 1,
				       SCMP_A1(SCMP_CMP_EQ, (uint64_t)policy, 0)),
		      "sched_setscheduler");
	load(list, "RestrictRealtime");
}

int main(int argc, char **argv)
{
	FILE *limits = fdopen(LIMITS, "r");
	scmp_filter_ctx calls = make(SCMP_ACT_ERRNO(EPERM));
	bool is_allowed[FAMILIES_MAX] = {false};
	bool mdwx = false, realtime = false;
	char word[16], name[80];

	check(limits && argc > 1 ? 0 : -EINVAL, "arguments");
	while (fscanf(limits, "%15s", word) == 1) {
		mdwx |= !strcmp(word, "mdwx");
		realtime |= !strcmp(word, "realtime");
		if (!strcmp(word, "call") && fscanf(limits, "%79s", name) == 1)
			allow(calls, name);
		if (!strcmp(word, "family") && fscanf(limits, "%79s", name) == 1)
			is_allowed[strtoul(name, NULL, 10) % FAMILIES_MAX] = true;
	}
	fclose(limits);
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0, "no_new_privs");
	if (mdwx)
		load_mdwx();
	if (realtime)
		load_realtime();
	load_families(is_allowed);
	/* Last: it need not allow this program's own calls. */
	load(calls, "calls");
	execvp(argv[1], argv + 1);
	check(-errno, argv[1]);
	return FAILED;
}
