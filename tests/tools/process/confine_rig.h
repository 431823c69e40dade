/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Children that confine themselves and report what went wrong; folders of others, and what this
 * system refuses to everybody.
 */
#ifndef CW_TESTS_TOOLS_PROCESS_CONFINE_RIG_H
#define CW_TESTS_TOOLS_PROCESS_CONFINE_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define USER "nobody"
#define GROUPS_MAX 64
#define THREADS 4
#define ALLOC_BYTES (UINT64_C(100) << 20)
#define NET_RAW (UINT64_C(1) << CAP_NET_RAW)
#define SYS_NICE (UINT64_C(1) << CAP_SYS_NICE)
#define ROOT_KEEPS (UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_FOWNER)

static bool is_root;
static char base[] = "/tmp/capweir-confine-XXXXXX";
#define FOLDER_BYTES 80
static char own[FOLDER_BYTES], foreign[FOLDER_BYTES], hidden[FOLDER_BYTES];
static char hidden_inside[FOLDER_BYTES], missing[FOLDER_BYTES], of_group[FOLDER_BYTES];
static char shut[FOLDER_BYTES];
static uid_t user_id;
static gid_t group_id;

/* ---- children ---- */

#define EXPECT(condition) expect((condition), #condition, __FILE__, __LINE__)

static inline void expect(bool is_so, const char *condition, const char *file, int line)
{
	if (is_so)
		return;
	fprintf(stderr, "%s:%d: not so: %s (%s)\n", file, line, condition, strerror(errno));
	_exit(1);
}

/* Run a case in a child, which ends by exit: with sanitizers leaks are looked for as well. */
static inline void run_child(void (*run)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		run();
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void skip_unless_root(void)
{
	if (is_root)
		return;
	print_message("skipped: only root can become another user\n");
	skip();
}

/* ---- what a process is, by the kernel ---- */

/* A number of this thread's status in /proc. */
static inline uint64_t status_number(const char *name, int number_base)
{
	FILE *file = fopen("/proc/thread-self/status", "r");
	uint64_t number = 0;
	bool is_found = false;
	char line[512];

	EXPECT(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) || line[strlen(name)] != ':')
			continue;
		number = strtoull(line + strlen(name) + 1, NULL, number_base);
		is_found = true;
	}
	fclose(file);
	EXPECT(is_found);
	return number;
}

/* ---- what it can do ---- */

/* What the system says to any process of the user, confined or not. */
static int expected_uring_errno, expected_bpf_errno;

static inline int uring_errno(int entries)
{
	struct io_uring_params parameters = {0};
	int fd = (int)syscall(SYS_io_uring_setup, entries, &parameters);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* With arguments too large for any command, which Linux 5.19 finds before it asks for rights. */
static inline int bpf_errno(int command)
{
	return syscall(SYS_bpf, command, NULL, 1 << 20) < 0 ? errno : 0;
}

static inline bool can_create(const char *folder)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file-%d-%ld", folder, getpid(), syscall(SYS_gettid));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	EXPECT(!unlink(path));
	return true;
}

/* ---- cases ---- */

/* A user with a capability from the program's file, as setcap gives it. */
static inline void become_nobody(bool has_raw)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
	    {.effective = NET_RAW, .permitted = NET_RAW, .inheritable = NET_RAW}};

	EXPECT(!prctl(PR_SET_KEEPCAPS, has_raw));
	EXPECT(!initgroups(USER, group_id));
	EXPECT(!setresgid(group_id, group_id, group_id));
	EXPECT(!setresuid(user_id, user_id, user_id));
	if (has_raw) {
		EXPECT(!syscall(SYS_capset, &header, data));
		EXPECT(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
		EXPECT(status_number("CapAmb", 16) == NET_RAW);
	}
}

#define CASE(name, child)              \
	static void name(void **state) \
	{                              \
		(void)state;           \
		skip_unless_root();    \
		run_child(child);      \
	}

/* ---- set up ---- */

static inline void make_folder(char path[FOLDER_BYTES], const char *parent, const char *name,
			       mode_t mode, uid_t user, gid_t group)
{
	if (snprintf(path, FOLDER_BYTES, "%s/%s", parent, name) >= FOLDER_BYTES ||
	    mkdir(path, 0700) || chown(path, user, group) || chmod(path, mode))
		abort();
}

/* The errno that a user gets who is not confined. */
static inline int learn(int (*call)(int), int argument)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		become_nobody(false);
		_exit(call(argument));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		abort();
	return WEXITSTATUS(status);
}

static inline int do_nothing(int unused)
{
	return unused;
}

static inline int set_up(void **state)
{
	const struct passwd *entry = getpwnam(USER);

	(void)state;
	if (geteuid() != 0 || !entry)
		return 0;
	user_id = entry->pw_uid;
	group_id = entry->pw_gid;
	is_root = learn(do_nothing, 0) == 0; /* it is not where the namespace has no such user */
	if (!is_root || !mkdtemp(base))
		return is_root ? -1 : 0;
	expected_uring_errno = learn(uring_errno, 1);
	expected_bpf_errno = learn(bpf_errno, BPF_MAP_UPDATE_ELEM);
	chmod(base, 0755);
	make_folder(own, base, "own", 0700, user_id, group_id);
	make_folder(of_group, base, "group", 0770, 0, group_id);
	make_folder(foreign, base, "foreign", 0755, 1, 1);
	make_folder(hidden, base, "hidden", 0700, 1, 1);
	make_folder(hidden_inside, hidden, "inside", 0777, 1, 1);
	make_folder(shut, base, "shut", 0600, user_id, group_id);
	snprintf(missing, sizeof(missing), "%s/missing", base);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	if (!is_root)
		return 0;
	rmdir(own);
	rmdir(shut);
	rmdir(of_group);
	rmdir(foreign);
	rmdir(hidden_inside);
	rmdir(hidden);
	return rmdir(base);
}

#endif
