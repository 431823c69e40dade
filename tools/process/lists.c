/* SPDX-License-Identifier: BSD-3-Clause */
/* The lists of system calls (list.h). Rows that need a process ID are added by confine.c. */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "core/base/base.h"
#include "tools/process/calls.h"
#include "tools/process/list.h"

#define ANY(name)                  \
	{                          \
		.call = SYS_##name \
	}
/* Allowed if an argument is a value; if some of its bits are; if two are. */
#define IF(name, argument, value)                                             \
	{                                                                     \
		SYS_##name, {{argument, CW_LIST_WHOLE, (uint32_t)(value)}}, 0 \
	}
#define IF_BITS(name, argument, mask, value)             \
	{                                                \
		SYS_##name, {{argument, mask, value}}, 0 \
	}
#define IF_BOTH(name, ...)                   \
	{                                    \
		SYS_##name, {__VA_ARGS__}, 0 \
	}
#define NEVER(name)                                  \
	{                                            \
		.call = SYS_##name, .refusal = EPERM \
	}
#define NEVER_IF(name, argument, value)                               \
	{                                                             \
		SYS_##name, {{argument, CW_LIST_WHOLE, value}}, EPERM \
	}
#define LIST(rows, refusal)                         \
	{                                           \
		rows, CW_ARRAY_COUNT(rows), refusal \
	}

/* The type of a socket, without its flags. */
#define TYPE_MASK (CW_LIST_WHOLE & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define INTERFACE_QUERIES 0x8900u /* ioctls with an interface's name: 0x89.. */
#define OPEN_WRITES ((uint32_t)(O_ACCMODE | O_CREAT | O_TRUNC))
#define NEW_SPACES                                                                                \
	((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		    CLONE_NEWPID | CLONE_NEWNET))

/* Memory is writable or executable, never both, and never becomes executable. */
#define WRITE_OR_EXECUTE(name) IF_BITS(name, 2, PROT_WRITE, 0), IF_BITS(name, 2, PROT_EXEC, 0)
#define NEVER_EXECUTE(name) IF_BITS(name, 2, PROT_EXEC, 0)

/* clone3 has its flags in memory, out of the list's sight: without it glibc uses clone. */
#define NO_CLONE3                                     \
	{                                             \
		.call = SYS_clone3, .refusal = ENOSYS \
	}

/* Signals of a file to another process: any signal, also one that ends it. */
#define NO_OWNER                                                                   \
	NEVER_IF(fcntl, 1, F_SETOWN), NEVER_IF(fcntl, 1, F_SETOWN_EX),             \
	    NEVER_IF(fcntl, 1, F_SETSIG), NEVER_IF(ioctl, 1, (uint32_t)FIOSETOWN), \
	    NEVER_IF(ioctl, 1, (uint32_t)SIOCSPGRP)

/* ---- the capture ---- */

static const struct cw_list_row capture[] = {
    /* open files; no call that makes, changes or removes a name */
    ANY(read), ANY(readv), ANY(pread64), ANY(preadv), ANY(preadv2), ANY(write), ANY(writev),
    ANY(pwrite64), ANY(pwritev), ANY(pwritev2), ANY(close), ANY(close_range), ANY(dup), ANY(dup2),
    ANY(dup3), NO_OWNER, ANY(fcntl), ANY(pipe), ANY(pipe2), ANY(lseek), ANY(fstat), ANY(fstatfs),
    ANY(ftruncate), ANY(fallocate), ANY(fadvise64), ANY(fsync), ANY(fdatasync),
    ANY(sync_file_range), ANY(io_uring_enter), /* the rings are made before, restricted to writes */
    /* files in sysfs; what links lead to a descriptor of this process */
    IF_BITS(open, 1, OPEN_WRITES, 0), IF_BITS(openat, 2, OPEN_WRITES, 0), ANY(stat), ANY(lstat),
    ANY(newfstatat), ANY(statx), ANY(statfs), ANY(access), ANY(faccessat), ANY(faccessat2),
    ANY(readlink), ANY(readlinkat), ANY(getdents), ANY(getdents64), ANY(getcwd),
    /* memory; filters become machine code by way of a file in memory */
    ANY(memfd_create), WRITE_OR_EXECUTE(mmap), NEVER_EXECUTE(mprotect), ANY(munmap), ANY(madvise),
    ANY(mremap), ANY(brk), ANY(mbind), ANY(set_mempolicy), ANY(get_mempolicy), ANY(membarrier),
    /* waiting and time */
    ANY(poll), ANY(ppoll), ANY(select), ANY(pselect6), ANY(epoll_create1), ANY(epoll_ctl),
    ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2), ANY(eventfd2), ANY(timerfd_create),
    ANY(timerfd_settime), ANY(timerfd_gettime), ANY(futex), ANY(futex_waitv), ANY(nanosleep),
    ANY(clock_nanosleep), ANY(clock_gettime), ANY(clock_getres), ANY(gettimeofday), ANY(time),
    ANY(restart_syscall),
    /* signals */
    ANY(rt_sigaction), ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(rt_sigpending),
    ANY(rt_sigsuspend), ANY(rt_sigtimedwait), ANY(sigaltstack), ANY(signalfd4),
    /* existing sockets */
    ANY(socketpair), /* local sockets only, for any arguments */
    ANY(bind), ANY(shutdown), ANY(setsockopt), ANY(getsockopt), ANY(getsockname), ANY(getpeername),
    ANY(sendto), ANY(sendmsg), ANY(recvfrom), ANY(recvmsg),
    /* reopening a recreated interface; its counters, events and names */
    IF(socket, 0, AF_PACKET), IF(socket, 0, AF_XDP), IF(socket, 0, AF_UNIX),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_NETLINK}, {2, CW_LIST_WHOLE, NETLINK_ROUTE}),
    IF_BITS(ioctl, 1, CW_LIST_WHOLE & ~0xffu, INTERFACE_QUERIES), IF(ioctl, 1, FIONREAD),
    IF(ioctl, 1, FIONBIO),
    /* terminal queries; not TIOCSTI, which types into the shell of that terminal */
    IF(ioctl, 1, TCGETS), IF(ioctl, 1, TCGETS2), IF(ioctl, 1, TIOCGWINSZ),
    /* AF_XDP: select the queues in its existing map, detach its program */
    IF(bpf, 0, BPF_MAP_LOOKUP_ELEM), IF(bpf, 0, BPF_MAP_UPDATE_ELEM),
    IF(bpf, 0, BPF_MAP_DELETE_ELEM), IF(bpf, 0, BPF_OBJ_GET_INFO_BY_FD),
    IF(bpf, 0, BPF_LINK_UPDATE), IF(bpf, 0, BPF_LINK_DETACH),
    /* threads, not processes */
    IF_BITS(clone, 0, CLONE_THREAD, CLONE_THREAD), NO_CLONE3, IF(prctl, 0, PR_SET_NAME),
    IF(prctl, 0, PR_GET_NAME), IF(prlimit64, 0, 0), /* limits of this process only */
    ANY(set_robust_list), ANY(get_robust_list), ANY(set_tid_address), ANY(rseq), ANY(exit),
    ANY(exit_group), ANY(wait4), ANY(waitid), ANY(sched_yield), ANY(sched_getaffinity),
    ANY(sched_setaffinity), ANY(sched_getparam), ANY(sched_setparam), ANY(sched_getscheduler),
    ANY(sched_setscheduler), ANY(sched_getattr), ANY(sched_get_priority_max),
    ANY(sched_get_priority_min), ANY(getcpu), ANY(getpid), ANY(getppid), ANY(gettid), ANY(getuid),
    ANY(geteuid), ANY(getresuid), ANY(getgid), ANY(getegid), ANY(getresgid), ANY(getgroups),
    ANY(getrusage), ANY(getrlimit), ANY(times), ANY(uname), ANY(sysinfo), ANY(getrandom),
    ANY(capget)};

const struct cw_list cw_list_capture = LIST(capture, EPERM);

static const struct cw_list_row split[] = {
    /* inputs and outputs */
    ANY(open), ANY(openat), ANY(mkdirat), ANY(unlink), ANY(unlinkat), ANY(fchmod), ANY(fchown),
    ANY(umask), ANY(rename), ANY(renameat), ANY(renameat2),
    /* rename without replacing, where renameat2 cannot */
    ANY(link), ANY(linkat)};

const struct cw_list cw_list_split = LIST(split, EPERM);

/* ---- the process that opens files ---- */

static const struct cw_list_row opener[] = {
    /* files; the rights that Landlock does not know are those of their owner, whom it has to be */
    ANY(open), ANY(openat), ANY(openat2), ANY(close), ANY(stat), ANY(lstat), ANY(fstat),
    ANY(newfstatat), ANY(statx), ANY(statfs), ANY(fstatfs), ANY(access), ANY(faccessat),
    ANY(faccessat2), ANY(readlink), ANY(readlinkat), ANY(rename), ANY(renameat), ANY(renameat2),
    ANY(link), ANY(linkat), ANY(unlink), ANY(unlinkat), ANY(rmdir), ANY(mkdir), ANY(mkdirat),
    ANY(fchown), ANY(fchmod), ANY(fsync), ANY(fdatasync), ANY(fcntl), ANY(read), ANY(write),
    ANY(writev), ANY(lseek),
    /* whose rights it acts with */
    ANY(setfsuid), ANY(setfsgid), ANY(setgroups),
    /* requests and answers */
    ANY(poll), ANY(ppoll), ANY(recvmsg), ANY(sendmsg),
    /* memory, time, the process */
    WRITE_OR_EXECUTE(mmap), NEVER_EXECUTE(mprotect), ANY(munmap), ANY(mremap), ANY(madvise),
    ANY(brk), ANY(futex), ANY(clock_gettime), ANY(gettimeofday), ANY(getrandom), ANY(rt_sigaction),
    ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(restart_syscall), ANY(getpid), ANY(gettid),
    ANY(geteuid), ANY(getuid), ANY(exit), ANY(exit_group), IF(tgkill, 2, SIGABRT)};

const struct cw_list cw_list_opener = LIST(opener, EPERM);

/* ---- the process that compiles filters, and its worker ---- */

static const struct cw_list_row compiler[] = {
    /* answers, and the files of services and protocols */
    ANY(read), ANY(readv), ANY(pread64), ANY(write), ANY(writev), ANY(close), ANY(lseek), ANY(stat),
    ANY(fstat), ANY(newfstatat), ANY(statx), ANY(fcntl), ANY(dup2), ANY(dup3),
    IF_BITS(open, 1, OPEN_WRITES, 0), IF_BITS(openat, 2, OPEN_WRITES, 0), ANY(socketpair),
    ANY(sendto), ANY(sendmsg), ANY(recvfrom), ANY(recvmsg), ANY(poll), ANY(ppoll),
    /* memory and time */
    WRITE_OR_EXECUTE(mmap), NEVER_EXECUTE(mprotect), ANY(munmap), ANY(mremap), ANY(madvise),
    ANY(brk), ANY(futex), ANY(clock_gettime), ANY(clock_getres), ANY(time), ANY(gettimeofday),
    ANY(clock_nanosleep), ANY(restart_syscall), ANY(getrandom), ANY(uname),
    /* signals */
    ANY(rt_sigaction), ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(sigaltstack),
    IF(tgkill, 2, SIGABRT),
    /* workers: started, waited for, killed */
    IF_BITS(clone, 0, NEW_SPACES | CLONE_VM, 0), NO_CLONE3, ANY(set_robust_list),
    ANY(set_tid_address), ANY(rseq), ANY(wait4), ANY(waitid), IF(kill, 1, SIGKILL),
    IF(prctl, 0, PR_SET_NAME), IF(prctl, 0, PR_SET_PDEATHSIG), IF(prlimit64, 0, 0), ANY(getrlimit),
    ANY(getpid), ANY(getppid), ANY(gettid), ANY(getuid), ANY(geteuid), ANY(getresuid), ANY(getgid),
    ANY(getegid), ANY(getresgid), ANY(getgroups), ANY(exit), ANY(exit_group)};

const struct cw_list cw_list_compiler = LIST(compiler, EPERM);

static const struct cw_list_row resolver[] = {
    /* name servers, local services, addresses of this machine */
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_INET}, {1, TYPE_MASK, SOCK_DGRAM}),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_INET}, {1, TYPE_MASK, SOCK_STREAM}),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_INET6}, {1, TYPE_MASK, SOCK_DGRAM}),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_INET6}, {1, TYPE_MASK, SOCK_STREAM}),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_UNIX}, {1, TYPE_MASK, SOCK_STREAM}),
    IF_BOTH(socket, {0, CW_LIST_WHOLE, AF_NETLINK}, {2, CW_LIST_WHOLE, NETLINK_ROUTE}),
    ANY(connect), ANY(bind), ANY(getsockname), ANY(getpeername), ANY(getsockopt), ANY(setsockopt),
    ANY(sendmmsg), ANY(recvmmsg), ANY(select), ANY(pselect6), IF(ioctl, 1, FIONREAD),
    /* configuration and modules of the C library */
    ANY(access), ANY(faccessat), ANY(faccessat2), ANY(readlink), ANY(readlinkat), ANY(getdents64),
    ANY(statfs), ANY(fstatfs), ANY(lstat), ANY(sysinfo)};

const struct cw_list cw_list_resolver = LIST(resolver, EPERM);

/* ---- hooks, which are programs of any kind ---- */

static const struct cw_list_row hooks[] = {
    /* other processes */
    NEVER(ptrace), NEVER(process_vm_readv), NEVER(process_vm_writev), NEVER(kcmp),
    /* the kernel */
    NEVER(bpf), NEVER(perf_event_open), NEVER(userfaultfd), NEVER(io_uring_setup),
    NEVER(io_uring_enter), NEVER(io_uring_register), NEVER(init_module), NEVER(finit_module),
    NEVER(delete_module), NEVER(kexec_load), NEVER(kexec_file_load), NEVER(reboot), NEVER(iopl),
    NEVER(ioperm), NEVER(keyctl), NEVER(add_key), NEVER(request_key),
    /* file systems */
    NEVER(mount), NEVER(umount2), NEVER(fsopen), NEVER(fsconfig), NEVER(fsmount), NEVER(fspick),
    NEVER(open_tree), NEVER(move_mount), NEVER(mount_setattr), NEVER(pivot_root), NEVER(chroot),
    NEVER(setns), NEVER(open_by_handle_at), NEVER(swapon), NEVER(swapoff), NEVER(quotactl),
    NEVER(acct),
    /* time; the network below IP */
    NEVER(settimeofday), NEVER(clock_settime), NEVER(adjtimex), NEVER(clock_adjtime),
    NEVER_IF(socket, 0, AF_PACKET)};

const struct cw_list cw_list_hooks = LIST(hooks, 0);
