/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Landlock: which files a process may open. Descriptors that are open already are not affected, nor
 * are stat, chmod and chown, which the lists of system calls refuse.
 */
#ifndef CW_TOOLS_PROCESS_LANDLOCK_H
#define CW_TOOLS_PROCESS_LANDLOCK_H

#include <linux/landlock.h>
#include <stdint.h>

/* Rights of later kernels than the headers. */
#define CW_LANDLOCK_TRUNCATE (UINT64_C(1) << 14)  /* Linux 6.2 */
#define CW_LANDLOCK_IOCTL_DEV (UINT64_C(1) << 15) /* Linux 6.10 */

struct cw_landlock_rule {
	const char *path; /* borrowed; missing files and folders are left out. NULL: `fd` */
	uint64_t access;  /* LANDLOCK_ACCESS_FS_..., below a folder; those of later kernels are left
			     out */
	int fd;           /* borrowed; of a file or folder */
};

/* What else is refused, by kernels that can. */
enum cw_landlock_refusal {
	CW_LANDLOCK_TCP = 1,    /* binding to a TCP port and connecting to one (Linux 6.7) */
	CW_LANDLOCK_OTHERS = 2, /* signals and abstract sockets of processes that this one did not
				   start after the call (Linux 6.12) */
};

/*
 * Holds this process, which must have one thread and no_new_privs, to the rules for good: every
 * other way to open or change a file fails with EACCES. `refusals`: of cw_landlock_refusal. Returns
 * 0; -ENOTSUP if the kernel has no Landlock or forbids it; or another negative errno.
 */
int cw_landlock_restrict(const struct cw_landlock_rule *rules, uint32_t count, unsigned refusals);

#endif
