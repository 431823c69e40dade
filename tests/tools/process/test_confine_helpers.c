/* SPDX-License-Identifier: BSD-3-Clause */
/* What is left to the helpers of a capture: the process that compiles filters, and hooks. */
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#include "tools/process/list.h"
#include "tests/tools/process/confine_rig.h"

#define LANDLOCK_RESULT (has_landlock ? 0 : CW_CONFINE_NO_LANDLOCK)

static void confine_role(const struct cw_confine_options *options, int result)
{
	struct cw_error error = {0};
	int got;

	status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	EXPECT(status_fd >= 0);
	got = cw_confine(options, &error);
	if (got != result)
		fprintf(stderr, "cw_confine: %s\n", error.text);
	EXPECT(got == result);
}

static bool can_open_for(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool can_read(const char *path)
{
	return can_open_for(path, O_RDONLY);
}

static void expect_child(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void expect_helper(uid_t user, gid_t group)
{
	expect_user(user, group);
	EXPECT(status_number("CapBnd", 16) == 0);
	expect_state(0);
	EXPECT(!can_open(AF_PACKET, SOCK_RAW, 0));
	expect_untraceable();
	expect_child();
}

static void expect_compiler(bool resolves)
{
	char *const nothing[] = {NULL};

	EXPECT(can_read("/etc/passwd")); /* of /etc, and readable for everybody */
	EXPECT(can_open(AF_INET, SOCK_DGRAM, 0) == (resolves || RESULT));
	EXPECT(can_open(AF_INET6, SOCK_STREAM, 0) == (resolves || RESULT));
	if (RESULT)
		return;
	EXPECT(can_read("/proc/version") == (resolves || !has_landlock));
	EXPECT(!can_create(own) && errno == EPERM);
	EXPECT(!can_open_for("/etc/hosts", O_WRONLY) && errno == EPERM);
	EXPECT_REFUSED(execve("/bin/true", nothing, nothing));
	EXPECT_REFUSED(unlink(own));
	EXPECT_REFUSED(rename(own, own));
	EXPECT_REFUSED(chmod(own, 0777));
	EXPECT_REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	EXPECT_REFUSED(kill(getppid(), SIGCONT));
	EXPECT_REFUSED(unshare(CLONE_NEWUSER));
	EXPECT_REFUSED((int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
	EXPECT(!can_open(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) && errno == EPERM);
	EXPECT(uring_errno(1) == EPERM);
	expect_no_code();
}

static void child_compiles(void)
{
	confine_role(
	    &(struct cw_confine_options){
		.role = CW_CONFINE_COMPILER, .keep_raw = true, .keep_nice = true, .accepts = true},
	    RESULT ? RESULT : LANDLOCK_RESULT);
	expect_groups_of(USER, group_id);
	expect_helper(user_id, group_id);
	expect_compiler(false);
}

static void child_resolves(void)
{
	confine_role(&(struct cw_confine_options){.role = CW_CONFINE_COMPILER, .resolves = true},
		     RESULT ? RESULT : LANDLOCK_RESULT);
	expect_helper(user_id, group_id);
	expect_compiler(true);
}

static void child_compiles_as_root(void)
{
	struct cw_error error = {0};

	EXPECT(cw_confine(&(struct cw_confine_options){.role = CW_CONFINE_COMPILER,
						       .user = "no-such-user"},
			  &error) == -EINVAL);
	confine_role(&(struct cw_confine_options){.role = CW_CONFINE_COMPILER, .user = "root"},
		     RESULT ? RESULT : LANDLOCK_RESULT);
	expect_helper(0, 0);
	EXPECT(!can_create(foreign));
	expect_compiler(false);
}

/* A kernel without Landlock, one that has switched it off, a container that refuses it. */
static void compile_without_landlock(int reason)
{
	const struct cw_list_row row = {.call = SYS_landlock_create_ruleset, .refusal = reason};
	const struct cw_list list = {.rows = &row, .count = 1};
	const struct cw_confine_options options = {.role = CW_CONFINE_COMPILER};
	struct cw_error error = {0};

	if (RESULT)
		return;
	EXPECT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT(cw_list_load(&list, NULL, 0) == 0);
	has_landlock = false;
	status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	EXPECT(cw_confine(&options, &error) == CW_CONFINE_NO_LANDLOCK);
	EXPECT(strstr(error.text, "Landlock is not available"));
	expect_helper(user_id, group_id);
	expect_compiler(false);
}

static void child_lacks_landlock(void)
{
	compile_without_landlock(ENOSYS);
}

static void child_lacks_landlock_at_boot(void)
{
	compile_without_landlock(EOPNOTSUPP);
}

static void child_is_refused_landlock(void)
{
	compile_without_landlock(EPERM);
}

/* What its hooks inherit. */
static void child_runs_hooks(void)
{
	char *const words[] = {"true", NULL}, *const nothing[] = {NULL};
	int status = 0;
	pid_t pid;

	confine_role(&(struct cw_confine_options){.role = CW_CONFINE_HOOKS, .keep_raw = true},
		     RESULT);
	expect_groups_of(USER, group_id);
	expect_helper(user_id, group_id);
	expect_folders();
	EXPECT(can_open(AF_INET, SOCK_STREAM, 0));
	if (!RESULT) {
		EXPECT_REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		EXPECT_REFUSED(mount("none", "/mnt", "tmpfs", 0, NULL));
		EXPECT(uring_errno(1) == EPERM);
		EXPECT(bpf_errno(BPF_PROG_LOAD) == EPERM);
	}
	pid = fork();
	if (pid == 0) {
		execve("/bin/true", words, nothing);
		_exit(1);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

CASE(a_compiler_reads_names_and_starts_workers, child_compiles)
CASE(a_compiler_with_host_names_asks_name_servers, child_resolves)
CASE(a_compiler_that_stays_root_keeps_nothing_either, child_compiles_as_root)
CASE(no_landlock_is_said, child_lacks_landlock)
CASE(landlock_that_is_off_is_said, child_lacks_landlock_at_boot)
CASE(landlock_that_is_refused_is_said, child_is_refused_landlock)
CASE(hooks_are_programs_that_change_no_system, child_runs_hooks)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_compiler_reads_names_and_starts_workers),
	    cmocka_unit_test(a_compiler_with_host_names_asks_name_servers),
	    cmocka_unit_test(a_compiler_that_stays_root_keeps_nothing_either),
	    cmocka_unit_test(no_landlock_is_said),
	    cmocka_unit_test(landlock_that_is_off_is_said),
	    cmocka_unit_test(landlock_that_is_refused_is_said),
	    cmocka_unit_test(hooks_are_programs_that_change_no_system),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
