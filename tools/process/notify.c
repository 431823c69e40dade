/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/process/notify.h"

int cw_notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t bytes;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') || !path[1] ||
	    strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract: no NUL at the end */
	else
		bytes++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, bytes) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void cw_notify(int fd, const char *text)
{
	if (fd >= 0)
		(void)!send(fd, text, strlen(text), MSG_NOSIGNAL); /* best effort */
}
