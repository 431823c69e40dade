/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of system calls, complete on every architecture: a call that an architecture or older
 * kernel headers lack is CW_CALL_NONE. And the architecture, as seccomp names it.
 */
#ifndef CW_TOOLS_PROCESS_CALLS_H
#define CW_TOOLS_PROCESS_CALLS_H

#include <linux/audit.h>
#include <sys/syscall.h>

#define CW_CALL_NONE (-1)

/* 0: the lists do not fit. 32-bit architectures have other calls, s390 other arguments. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define CW_CALL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__ILP32__)
#define CW_CALL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define CW_CALL_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define CW_CALL_ARCH AUDIT_ARCH_PPC64LE
#else
#define CW_CALL_ARCH 0
#endif

/* Architectures since 2012 have only the later form of these. */
#ifndef SYS_open
#define SYS_open CW_CALL_NONE
#endif
#ifndef SYS_stat
#define SYS_stat CW_CALL_NONE
#endif
#ifndef SYS_lstat
#define SYS_lstat CW_CALL_NONE
#endif
#ifndef SYS_access
#define SYS_access CW_CALL_NONE
#endif
#ifndef SYS_readlink
#define SYS_readlink CW_CALL_NONE
#endif
#ifndef SYS_getdents
#define SYS_getdents CW_CALL_NONE
#endif
#ifndef SYS_rename
#define SYS_rename CW_CALL_NONE
#endif
#ifndef SYS_renameat
#define SYS_renameat CW_CALL_NONE
#endif
#ifndef SYS_link
#define SYS_link CW_CALL_NONE
#endif
#ifndef SYS_unlink
#define SYS_unlink CW_CALL_NONE
#endif
#ifndef SYS_dup2
#define SYS_dup2 CW_CALL_NONE
#endif
#ifndef SYS_pipe
#define SYS_pipe CW_CALL_NONE
#endif
#ifndef SYS_poll
#define SYS_poll CW_CALL_NONE
#endif
#ifndef SYS_select
#define SYS_select CW_CALL_NONE
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait CW_CALL_NONE
#endif
#ifndef SYS_time
#define SYS_time CW_CALL_NONE
#endif
#ifndef SYS_getrlimit
#define SYS_getrlimit CW_CALL_NONE
#endif
#ifndef SYS_sync_file_range
#define SYS_sync_file_range CW_CALL_NONE
#endif
#ifndef SYS_newfstatat
#define SYS_newfstatat CW_CALL_NONE
#endif

/* x86 only */
#ifndef SYS_iopl
#define SYS_iopl CW_CALL_NONE
#endif
#ifndef SYS_ioperm
#define SYS_ioperm CW_CALL_NONE
#endif

/* Kernel headers before 5.16 */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 CW_CALL_NONE
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv CW_CALL_NONE
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr CW_CALL_NONE
#endif

#endif
