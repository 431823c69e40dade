/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tools/process/notify.h"

#define SIGNS 3u     /* of life, in the time in which the manager expects one */
#define RETRIES 100u /* looks at a run that is not alive, in that time */

static int open_socket(const char *path)
{
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

/* Returns a number in the environment; 0: none. */
static uint64_t read_number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

void cw_notify_open(struct cw_notify *notify)
{
	uint64_t process = read_number("WATCHDOG_PID");
	uint64_t watchdog_us = read_number("WATCHDOG_USEC");

	*notify = (struct cw_notify){.fd = open_socket(getenv("NOTIFY_SOCKET"))};
	if (notify->fd >= 0 && (!process || process == (uint64_t)getpid()) &&
	    watchdog_us < UINT64_MAX / 1000)
		notify->watchdog_ns = watchdog_us * 1000;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

/* Best effort. */
static void CW_PRINTF(2, 3) tell(const struct cw_notify *notify, const char *format, ...)
{
	char text[1280];
	va_list values;
	int bytes;

	if (notify->fd < 0)
		return;
	va_start(values, format);
	bytes = vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	(void)!send(notify->fd, text, cw_min_size((size_t)bytes, sizeof(text) - 1), MSG_NOSIGNAL);
}

void cw_notify_ready(struct cw_notify *notify)
{
	tell(notify, "READY=1");
	notify->due_ns = cw_now_ns();
}

/* Returns the bytes of the first line: others would be read as variables. */
static int first_line(const char *text)
{
	return (int)strcspn(text, "\n");
}

void cw_notify_status(struct cw_notify *notify, const char *text)
{
	if (strncmp(notify->status, text, sizeof(notify->status) - 1) == 0)
		return;
	snprintf(notify->status, sizeof(notify->status), "%s", text);
	tell(notify, "STATUS=%.*s", first_line(notify->status), notify->status);
}

void cw_notify_reloading(const struct cw_notify *notify)
{
	tell(notify, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)cw_now_ns() / 1000);
}

void cw_notify_reloaded(const struct cw_notify *notify, const char *text)
{
	tell(notify, "READY=1\nSTATUS=%.*s", first_line(text), text);
}

void cw_notify_stopping(struct cw_notify *notify, uint64_t extend_ms)
{
	if (notify->is_stopping)
		return;
	notify->is_stopping = true;
	tell(notify, "STOPPING=1\nSTATUS=writing the rest");
	tell(notify, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)extend_ms * 1000);
}

int cw_notify_wait_ms(const struct cw_notify *notify, uint64_t now_ns)
{
	if (!notify->watchdog_ns || notify->is_stopping)
		return -1;
	if (now_ns >= notify->due_ns)
		return 0;
	return (int)((notify->due_ns - now_ns) / (CW_NS_PER_S / 1000)) + 1;
}

void cw_notify_live(struct cw_notify *notify, uint64_t now_ns, bool is_alive)
{
	if (is_alive)
		tell(notify, "WATCHDOG=1");
	notify->due_ns = now_ns + notify->watchdog_ns / (is_alive ? SIGNS : RETRIES);
}

void cw_notify_close(struct cw_notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}
