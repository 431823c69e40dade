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
#include <linux/seccomp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/process/confine.h"

#if defined(CW_SANITIZED)
#define RESULT CW_CONFINE_NO_LIST
#else
#define RESULT 0
#endif

#define USER "nobody"
#define GROUPS_MAX 64
#define THREADS 4
#define ALLOC_BYTES (UINT64_C(100) << 20)
#define NET_RAW (UINT64_C(1) << CAP_NET_RAW)
#define SYS_NICE (UINT64_C(1) << CAP_SYS_NICE)
#define ROOT_KEEPS (UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_FOWNER)

static bool is_root, has_landlock;
static long landlock_abi;
static char base[] = "/tmp/capweir-confine-XXXXXX";
#define FOLDER_BYTES 80
static char own[FOLDER_BYTES], foreign[FOLDER_BYTES], hidden[FOLDER_BYTES];
static char hidden_inside[FOLDER_BYTES], missing[FOLDER_BYTES], of_group[FOLDER_BYTES];
static char shut[FOLDER_BYTES];
static uid_t user_id;
static gid_t group_id;

/* ---- users ---- */

static const char *own_user; /* whose entry the user "capweir" has; NULL: there is none */

struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name)
{
	if (strcmp(name, "capweir") != 0)
		return __real_getpwnam(name);
	return own_user ? __real_getpwnam(own_user) : NULL;
}

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

static int status_fd = -1; /* a descriptor of /proc/self/status, or -1 */

/* A number of this thread's status in /proc. */
static inline uint64_t status_number(const char *name, int number_base)
{
	int fd = status_fd >= 0 ? status_fd : open("/proc/thread-self/status", O_RDONLY);
	char text[4096], sought[32];
	const char *line;
	ssize_t bytes;

	EXPECT(fd >= 0);
	bytes = pread(fd, text, sizeof(text) - 1, 0);
	EXPECT(bytes > 0);
	text[bytes] = '\0';
	if (fd != status_fd)
		close(fd);
	snprintf(sought, sizeof(sought), "\n%s:", name);
	line = strstr(text, sought);
	EXPECT(line);
	return strtoull(line + strlen(sought), NULL, number_base);
}

static inline void expect_capabilities(uint64_t capabilities)
{
	EXPECT(status_number("CapEff", 16) == capabilities);
	EXPECT(status_number("CapPrm", 16) == capabilities);
	EXPECT(status_number("CapInh", 16) == 0);
	EXPECT(status_number("CapAmb", 16) == 0);
	EXPECT(status_number("NoNewPrivs", 10) == 1);
}

static inline void expect_state(uint64_t capabilities)
{
	expect_capabilities(capabilities);
	EXPECT(status_number("Seccomp", 10) == (RESULT ? 0 : SECCOMP_MODE_FILTER));
}

static inline void expect_user(uid_t user, gid_t group)
{
	uid_t uids[3];
	gid_t gids[3];

	EXPECT(!getresuid(&uids[0], &uids[1], &uids[2]));
	EXPECT(!getresgid(&gids[0], &gids[1], &gids[2]));
	EXPECT(uids[0] == user && uids[1] == user && uids[2] == user);
	EXPECT(gids[0] == group && gids[1] == group && gids[2] == group);
}

static inline int compare_groups(const void *left, const void *right)
{
	gid_t a = *(const gid_t *)left, b = *(const gid_t *)right;

	return (a > b) - (a < b);
}

static inline void expect_groups_of(const char *name, gid_t group)
{
	gid_t wanted[GROUPS_MAX], have[GROUPS_MAX];
	int wanted_count = GROUPS_MAX;
	int have_count = getgroups(GROUPS_MAX, have);

	EXPECT(getgrouplist(name, group, wanted, &wanted_count) > 0);
	EXPECT(have_count == wanted_count);
	qsort(wanted, (size_t)wanted_count, sizeof(gid_t), compare_groups);
	qsort(have, (size_t)have_count, sizeof(gid_t), compare_groups);
	EXPECT(!memcmp(wanted, have, (size_t)have_count * sizeof(gid_t)));
}

/* ---- what it can do ---- */

#define EXPECT_REFUSED(call) expect((call) == -1 && errno == EPERM, #call, __FILE__, __LINE__)

static inline bool can_open(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Memory is writable or executable, and never becomes executable. */
static inline void expect_no_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(page != MAP_FAILED);
	EXPECT_REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	EXPECT_REFUSED(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	munmap(page, 4096);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	EXPECT(page == MAP_FAILED && errno == EPERM);
}

/* Another process of the user may not trace this one: the files of /proc belong to root. */
static inline void expect_untraceable(void)
{
	struct stat facts;

	EXPECT(!stat("/proc/self/comm", &facts));
	EXPECT(RESULT || facts.st_uid == 0);
}

/* What the system says to any process of the user, confined or not. */
static int expected_bpf_errno;

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

static inline void expect_folders(void)
{
	EXPECT(can_create(own));
	EXPECT(can_create(of_group));
	EXPECT(!can_create(foreign) && errno == EACCES);
	EXPECT(!can_create(hidden_inside) && errno == EACCES);
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
	expected_bpf_errno = learn(bpf_errno, BPF_MAP_UPDATE_ELEM);
	landlock_abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1); /* 1: the version */
	has_landlock = landlock_abi > 0;
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
