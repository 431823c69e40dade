/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets between a process and one that it starts. */
#ifndef CW_CORE_BASE_SOCKETS_H
#define CW_CORE_BASE_SOCKETS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Makes a pair of local sockets of this type (SOCK_STREAM, SOCK_SEQPACKET), closed by exec, above
 * the numbers of standard streams: these may be closed, and stay free. Returns 0, or a negative
 * errno with both -1.
 */
static inline int cw_sockets_make(int type, int sockets[2])
{
	int made[2];
	int result = 0;

	sockets[0] = sockets[1] = -1;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, made))
		return -errno;
	for (int i = 0; i < 2; i++) {
		sockets[i] = fcntl(made[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (sockets[i] < 0 && result == 0)
			result = -errno;
		close(made[i]);
	}
	for (int i = 0; result && i < 2; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
	return result;
}

#endif
