/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drops privileges: user, capabilities, system calls, in this order. libcap-ng and libseccomp know
 * the kernel's formats; this file decides what is kept.
 *
 * A system call outside the list fails with EPERM. It does not kill the process, which would lose
 * packets that are taken from the kernel and not yet in their files.
 *
 * The list does not cover requests in an io_uring, which are not system calls: only the user and
 * its capabilities limit them.
 */
#include <asm/termbits.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/process/confine.h"

#define DEFAULT_USER "nobody"
#define BINARY_TREE 2 /* value of SCMP_FLTATR_CTL_OPTIMIZE */
#define LOW_WORD UINT64_C(0xffffffff)

/* Sanitizers make further system calls, and inspect the process from another one at its end. */
#if defined(CW_SANITIZED)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* The order of clone's arguments differs on s390. */
#if defined(__s390__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

/* ---- system calls ---- */

/* Allowed with any arguments. Calls that the architecture lacks are skipped. */
static const int calls[] = {
    /* files */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2),
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup),
    SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(fcntl64), SCMP_SYS(pipe),
    SCMP_SYS(pipe2), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(stat), SCMP_SYS(stat64),
    SCMP_SYS(lstat), SCMP_SYS(lstat64), SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(newfstatat),
    SCMP_SYS(fstatat64), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(statfs64), SCMP_SYS(fstatfs),
    SCMP_SYS(fstatfs64), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link),
    SCMP_SYS(mkdirat), SCMP_SYS(linkat), /* rename without replacing, where renameat2 cannot */
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64),
    SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(fadvise64_64), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(fchmod), SCMP_SYS(umask),
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    /* memory; a memory file holds filters compiled to machine code */
    SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(mbind), SCMP_SYS(set_mempolicy),
    SCMP_SYS(get_mempolicy), SCMP_SYS(membarrier), SCMP_SYS(memfd_create),
    /* waiting and time */
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime), SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(futex_waitv),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64), SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
    /* signals */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack), SCMP_SYS(signalfd4),
    /* existing sockets */
    SCMP_SYS(socketpair), /* local sockets only, for any arguments */
    SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(shutdown), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(sendto),
    SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    /* threads and the process */
    SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(rseq),
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_setparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sched_getattr), SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
    SCMP_SYS(getcpu), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getresuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getresgid), SCMP_SYS(getgroups), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
    SCMP_SYS(times), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrandom), SCMP_SYS(capget)};

/* Allowed if one argument, masked, has a given value. */
struct allowed_argument {
	int call;
	unsigned argument;
	uint64_t mask;
	uint64_t value;
};

static const struct allowed_argument arguments[] = {
    /* reopening a recreated interface; its counters, events and names */
    {SCMP_SYS(socket), 0, LOW_WORD, AF_PACKET},
    {SCMP_SYS(socket), 0, LOW_WORD, AF_XDP},
    {SCMP_SYS(socket), 0, LOW_WORD, AF_UNIX},
    /* all interface queries (0x89..) */
    {SCMP_SYS(ioctl), 1, LOW_WORD & ~UINT64_C(0xff), 0x8900},
    {SCMP_SYS(ioctl), 1, LOW_WORD, FIONREAD},
    {SCMP_SYS(ioctl), 1, LOW_WORD, FIONBIO},
    /* terminal queries; not TIOCSTI, which types into the shell of that terminal */
    {SCMP_SYS(ioctl), 1, LOW_WORD, TCGETS},
    {SCMP_SYS(ioctl), 1, LOW_WORD, TCGETS2},
    {SCMP_SYS(ioctl), 1, LOW_WORD, TIOCGWINSZ},
    /* AF_XDP: select the queues in its existing map, detach its program */
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_MAP_LOOKUP_ELEM},
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_MAP_UPDATE_ELEM},
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_MAP_DELETE_ELEM},
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_OBJ_GET_INFO_BY_FD},
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_LINK_UPDATE},
    {SCMP_SYS(bpf), 0, LOW_WORD, BPF_LINK_DETACH},
    /* threads, not processes */
    {SCMP_SYS(clone), CLONE_FLAGS, CLONE_THREAD, CLONE_THREAD},
    {SCMP_SYS(prctl), 0, LOW_WORD, PR_SET_NAME},
    {SCMP_SYS(prctl), 0, LOW_WORD, PR_GET_NAME},
    {SCMP_SYS(prlimit64), 0, LOW_WORD, 0}, /* limits of this process only */
    /* wakes the process that compiles filters, which could not end while stopped */
    {SCMP_SYS(kill), 1, LOW_WORD, SIGCONT},
};

static int allow_argument(scmp_filter_ctx list, const struct allowed_argument *allowed)
{
	return seccomp_rule_add(
	    list, SCMP_ACT_ALLOW, allowed->call, 1,
	    SCMP_CMP(allowed->argument, SCMP_CMP_MASKED_EQ, allowed->mask, allowed->value));
}

/* Rules that need two arguments or the process ID, or refuse with another errno. */
static int add_odd_calls(scmp_filter_ctx list)
{
	const uint64_t type_mask = LOW_WORD & ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
	const uint64_t self = (uint64_t)getpid();
	int result;

	/* A socket for ioctl. It could send datagrams without a privilege; nothing here does. */
	result = seccomp_rule_add(list, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_WORD, AF_INET),
				  SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, SOCK_DGRAM));
	if (result == 0)
		result = seccomp_rule_add(list, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_WORD, AF_NETLINK),
					  SCMP_A2(SCMP_CMP_MASKED_EQ, LOW_WORD, NETLINK_ROUTE));
	if (result == 0)
		result = seccomp_rule_add(list, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_WORD, self));
	if (result == 0)
		result = seccomp_rule_add(list, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_WORD, self));
	/* clone3 has its flags in memory, out of the list's sight: without it glibc uses clone. */
	if (result == 0)
		result = seccomp_rule_add(list, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return result;
}

static int fill_list(scmp_filter_ctx list, bool accepts)
{
	int result = accepts ? seccomp_rule_add(list, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 0) : 0;

	for (size_t index = 0; index < CW_ARRAY_COUNT(calls) && result == 0; index++)
		result = seccomp_rule_add(list, SCMP_ACT_ALLOW, calls[index], 0);
	for (size_t index = 0; index < CW_ARRAY_COUNT(arguments) && result == 0; index++)
		result = allow_argument(list, &arguments[index]);
	return result ? result : add_odd_calls(list);
}

static int install_list(bool accepts, struct cw_error *error)
{
	scmp_filter_ctx list;
	int result;

	if (IS_SANITIZED) {
		cw_error_set(error, 0,
			     "system calls are not confined: this is a build with sanitizers");
		return CW_CONFINE_NO_LIST;
	}
	if (prctl(PR_GET_SECCOMP) < 0) {
		cw_error_set(error, 0, "system calls are not confined: the kernel has no seccomp");
		return CW_CONFINE_NO_LIST;
	}
	list = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!list)
		return cw_error_set(error, -ENOMEM, "out of memory for the list of system calls");
	/* The default kills the process. */
	result = seccomp_attr_set(list, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	/* There should be one thread; this confines any other as well. */
	if (result == 0)
		result = seccomp_attr_set(list, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0)
		result = seccomp_attr_set(list, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
	/* Without this, kernels before 5.16 slow every store of a process with a list; those before
	 * 4.17 do not know the flag. */
	(void)seccomp_attr_set(list, SCMP_FLTATR_CTL_SSB, 1);
	if (result == 0)
		result = fill_list(list, accepts);
	if (result == 0)
		result = seccomp_load(list);
	seccomp_release(list);
	if (result < 0)
		return cw_error_set_errno(error, result, "cannot install the list of system calls");
	return 0;
}

/* ---- user and capabilities ---- */

struct identity {
	const char *name; /* for messages */
	uid_t user;
	gid_t group;
	bool is_new; /* differs from the current user */
};

static int find_user(const struct cw_confine_options *options, struct identity *identity,
		     struct cw_error *error)
{
	const char *name = options->user;
	const struct passwd *entry;

	*identity = (struct identity){.name = name, .user = geteuid(), .group = getegid()};
	if (!name && geteuid() != 0) {
		identity->name = "that runs capweir";
		return 0;
	}
	if (!name)
		name = identity->name = DEFAULT_USER;
	errno = 0;
	entry = getpwnam(name);
	if (!entry && (errno == ENOMEM || errno == EIO || errno == EMFILE || errno == ENFILE))
		return cw_error_set_errno(error, -errno, "cannot look up user %s", name);
	if (!entry)
		return cw_error_set(error, -EINVAL,
				    "user %s does not exist: name an existing user with -Z", name);
	if (entry->pw_uid == identity->user)
		return 0;
	if (identity->user != 0)
		return cw_error_set(error, -EPERM,
				    "only root can switch to user %s: omit -Z, or run as root",
				    name);
	identity->user = entry->pw_uid;
	identity->group = entry->pw_gid;
	identity->is_new = true;
	return 0;
}

static int refuse(const struct identity *identity, struct cw_error *error)
{
	return cw_error_set_errno(error, -errno, "cannot switch to user %s (-Z root stays root)",
				  identity->name);
}

static int change_user(const struct identity *identity, struct cw_error *error)
{
	if (!identity->is_new)
		return 0;
	/* Without KEEPCAPS, leaving root would drop all capabilities, including those to keep. */
	if (prctl(PR_SET_KEEPCAPS, 1) || initgroups(identity->name, identity->group) ||
	    setresgid(identity->group, identity->group, identity->group) ||
	    setresuid(identity->user, identity->user, identity->user) || prctl(PR_SET_KEEPCAPS, 0))
		return refuse(identity, error);
	return 0;
}

static void keep(int capability)
{
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)capability);
}

/* Changes the user and drops capabilities; the list of system calls is not part of this. A writer
 * that stays root keeps the right to write anywhere, which root's own files would give it too. */
static int drop_privileges(const struct cw_confine_options *options,
			   const struct identity *identity, bool is_writer, struct cw_error *error)
{
	bool keeps_raw, keeps_nice, keeps_files, can_bound;
	int result;

	if (capng_get_caps_process())
		return cw_error_set(error, -EIO, "cannot read the capabilities of this process");
	can_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	keeps_raw = options->keep_raw && capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
	keeps_nice = options->keep_nice && capng_have_capability(CAPNG_PERMITTED, CAP_SYS_NICE);
	keeps_files = is_writer && identity->user == 0 &&
		      capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE);

	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set first: clearing it needs a capability that is dropped next. */
	if (can_bound && capng_apply(CAPNG_SELECT_BOUNDS))
		return cw_error_set(error, -EPERM, "cannot clear the capability bounding set");
	result = change_user(identity, error);
	if (result < 0)
		return result;
	if (keeps_raw)
		keep(CAP_NET_RAW);
	if (keeps_nice)
		keep(CAP_SYS_NICE);
	if (keeps_files) {
		keep(CAP_DAC_OVERRIDE);
		keep(CAP_FOWNER);
	}
	/* This clears the ambient set too, a subset of the inheritable and permitted ones. */
	if (capng_apply(CAPNG_SELECT_CAPS))
		return cw_error_set(error, -EPERM, "cannot give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cw_error_set_errno(error, -errno, "cannot set no_new_privs");
	/* Changing the user makes the process undumpable, which stops the leak checker. */
	if (IS_SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

/* ---- the check before ---- */

/* Result of the child, in memory shared with the parent. */
struct trial {
	int result;
	struct cw_error error;
};

static int try_folder(const struct identity *identity, const char *folder, struct cw_error *error)
{
	if (!faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS))
		return 0;
	if (errno != EACCES && errno != EPERM)
		return cw_error_set_errno(error, -errno, "cannot write to the folder %s", folder);
	return cw_error_set(
	    error, -EACCES, "cannot write to the folder %s as user %s: choose another folder%s",
	    folder, identity->name, identity->is_new ? ", or -Z root to stay root" : "");
}

/* Checks a pipe or device file, opened in place. A path that has vanished fails at its opening. */
static int try_target(const struct identity *identity, const char *target, struct cw_error *error)
{
	if (!faccessat(AT_FDCWD, target, W_OK, AT_EACCESS) || errno == ENOENT)
		return 0;
	if (errno != EACCES && errno != EPERM)
		return cw_error_set_errno(error, -errno, "cannot write to %s", target);
	return cw_error_set(error, -EACCES,
			    "cannot write to %s as user %s: change its permissions%s", target,
			    identity->name, identity->is_new ? ", or -Z root to stay root" : "");
}

static bool is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) || S_ISDIR(status.st_mode);
}

static int try_all(const struct cw_confine_options *options, const struct identity *identity,
		   const char *const *folders, uint32_t folder_count, struct cw_error *error)
{
	int result = drop_privileges(options, identity, true, error);

	for (uint32_t index = 0; index < folder_count && result == 0; index++)
		result = is_folder(folders[index]) ? try_folder(identity, folders[index], error)
						   : try_target(identity, folders[index], error);
	return result;
}

/* ---- public ---- */

int cw_confine_find_user(const struct cw_confine_options *options, uid_t *user,
			 struct cw_error *error)
{
	struct identity identity;
	int result = find_user(options, &identity, error);

	*user = identity.user;
	return result;
}

int cw_confine_check(const struct cw_confine_options *options, const char *const *folders,
		     uint32_t folder_count, struct cw_error *error)
{
	struct identity identity;
	struct trial *trial;
	int result = find_user(options, &identity, error);
	int status = 0;
	pid_t pid;

	if (result < 0)
		return result;
	trial =
	    mmap(NULL, sizeof(*trial), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (trial == MAP_FAILED)
		return cw_error_set_errno(error, -errno, "out of memory for a check of user %s",
					  identity.name);
	pid = fork();
	if (pid == 0) {
		trial->result = try_all(options, &identity, folders, folder_count, &trial->error);
		_exit(0);
	}
	result = pid < 0 ? -errno : 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && result == 0)
		result = errno == EINTR ? 0 : -errno;
	if (result == 0 && status)
		result = -EIO;
	if (result < 0) {
		cw_error_set_errno(error, result, "cannot check what user %s can write",
				   identity.name);
	} else {
		result = trial->result;
		if (result < 0 && error)
			*error = trial->error;
	}
	munmap(trial, sizeof(*trial));
	return result;
}

int cw_confine(const struct cw_confine_options *options, struct cw_error *error)
{
	struct identity identity;
	int result = find_user(options, &identity, error);

	if (result == 0)
		result = drop_privileges(options, &identity, true, error);
	return result < 0 ? result : install_list(options->accepts, error);
}

int cw_confine_helper(const struct cw_confine_options *options, struct cw_error *error)
{
	const struct cw_confine_options user_only = {.user = options->user};
	struct identity identity;
	int result = find_user(&user_only, &identity, error);

	return result < 0 ? result : drop_privileges(&user_only, &identity, false, error);
}
