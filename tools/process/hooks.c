/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture's side of the hooks: starts the process that runs them (hooks_runner.c), and receives
 * the number of failures at the end. A run without an opener also sends it one request per file; a
 * request is one message, so any thread may send.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/sockets.h"
#include "core/output/opener_wire.h"
#include "tools/process/hooks_parts.h"
#include "tools/text/complain.h"

#define SEND_PATIENCE_MS 1000

struct cw_hooks {
	int fd;
	int requests_fd; /* -1: the opener has it */
	pid_t pid;
	/* one increment a hook: sequentially consistent order costs nothing */
	_Atomic uint64_t run;    /* hooks requested */
	_Atomic uint64_t unsent; /* hooks whose request could not be sent */
	bool is_ending;          /* the last request was sent */
};

static void close_all(int *sockets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
	}
}

/* A sender waits for room so long; whoever sends is the opener, or any thread of this process. */
static int limit_wait(int fd)
{
	const struct timeval wait = {.tv_sec = SEND_PATIENCE_MS / 1000};

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ? -errno : 0;
}

static int start_runner(struct cw_hooks *hooks, const struct cw_hooks_options *options)
{
	sigset_t all, before;
	int sockets[4] = {-1, -1, -1, -1}; /* here, there; requests: here, there */
	int32_t hello = -EPIPE;
	int result = cw_sockets_make(SOCK_SEQPACKET, sockets);

	if (result == 0)
		result = cw_sockets_make(SOCK_SEQPACKET, sockets + 2);
	if (result == 0)
		result = limit_wait(sockets[2]);
	if (result) {
		close_all(sockets, CW_ARRAY_COUNT(sockets));
		return result;
	}
	/* Signal handlers of this process must not run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	hooks->pid = fork();
	if (hooks->pid == 0)
		cw_hooks_main(sockets[1], sockets[3], options);
	result = hooks->pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(sockets[1]);
	close(sockets[3]);
	hooks->fd = sockets[0];
	hooks->requests_fd = sockets[2];
	if (result)
		return result;
	while (recv(hooks->fd, &hello, sizeof(hello), 0) < 0 && errno == EINTR)
		;
	return hello;
}

int cw_hooks_start(struct cw_hooks **hooks, const struct cw_hooks_options *options,
		   struct cw_error *error)
{
	struct cw_hooks *made = calloc(1, sizeof(*made));
	struct cw_hooks_options chosen = *options;
	int result;

	*hooks = NULL;
	if (!made)
		return cw_error_set(error, -ENOMEM, "out of memory for hooks");
	if (!chosen.time_ms)
		chosen.time_ms = CW_HOOK_TIME_MS_DEFAULT;
	made->fd = made->requests_fd = -1;
	result = start_runner(made, &chosen);
	if (result) {
		cw_hooks_free(made);
		return cw_error_set_errno(error, result,
					  "cannot start the process that runs hooks");
	}
	*hooks = made;
	return 0;
}

/* ---- requests ---- */

/* Sends a request with a text. */
static int request(const struct cw_hooks *hooks, enum cw_hook_call call, uint32_t output,
		   const char *text)
{
	struct cw_opener_message *message = malloc(sizeof(*message));
	int result;

	if (!message)
		return -ENOMEM;
	message->request = (struct cw_opener_request){.call = call, .output = output};
	message->text_bytes = 0;
	message->fd = -1;
	cw_opener_put(message, text);
	result = cw_opener_send(hooks->requests_fd, message, sizeof(message->request));
	free(message);
	return result;
}

int cw_hooks_add(struct cw_hooks *hooks, uint32_t output, const char *name)
{
	return request(hooks, CW_HOOK_ADD, output, name);
}

void cw_hooks_count_any(struct cw_hooks *hooks, const char *name, const char *path, int failure)
{
	atomic_fetch_add(&hooks->run, 1);
	if (!failure)
		return;
	atomic_fetch_add(&hooks->unsent, 1);
	cw_complain("rule %s: cannot run its hook for %s: request not accepted", name, path);
}

void cw_hooks_run_any(struct cw_hooks *hooks, uint32_t output, const char *name, const char *path)
{
	cw_hooks_count_any(hooks, name, path, request(hooks, CW_HOOK_RUN, output, path));
}

int cw_hooks_socket(const struct cw_hooks *hooks)
{
	return hooks->requests_fd;
}

void cw_hooks_leave(struct cw_hooks *hooks)
{
	close(hooks->requests_fd);
	hooks->requests_fd = -1;
}

/* ---- the end ---- */

static bool send_byte(const struct cw_hooks *hooks, char byte)
{
	struct pollfd fd = {.fd = hooks->fd, .events = POLLOUT};

	for (;;) {
		if (send(hooks->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || poll(&fd, 1, SEND_PATIENCE_MS) <= 0)
			return false;
	}
}

int cw_hooks_finish(struct cw_hooks *hooks, int wake_fd, struct cw_hooks_result *result)
{
	struct pollfd fds[2] = {{.fd = hooks->fd, .events = POLLIN},
				{.fd = wake_fd, .events = POLLIN}};
	uint64_t failed = 0;
	ssize_t got;
	int ready;

	*result = (struct cw_hooks_result){.run = atomic_load(&hooks->run),
					   .failed = atomic_load(&hooks->unsent)};
	if (!hooks->is_ending && !send_byte(hooks, CW_HOOKS_LAST))
		return -EPIPE;
	hooks->is_ending = true;
	while ((ready = poll(fds, 2, -1)) < 0 && errno == EINTR)
		;
	if (ready > 0 && !(fds[0].revents & (POLLIN | POLLHUP)))
		return -EINTR;
	do /* waits by itself if poll failed */
		got = recv(hooks->fd, &failed, sizeof(failed), 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof(failed))
		return -EPIPE;
	result->failed += failed;
	return 0;
}

void cw_hooks_kill(struct cw_hooks *hooks)
{
	/* If it fails, the process that runs hooks has died, which cw_hooks_finish reports. */
	(void)send_byte(hooks, CW_HOOKS_KILL);
}

void cw_hooks_free(struct cw_hooks *hooks)
{
	if (!hooks)
		return;
	close_all((int[]){hooks->fd, hooks->requests_fd}, 2);
	if (hooks->pid > 0)
		waitpid(hooks->pid, NULL, WNOHANG); /* it may still wait for hooks */
	free(hooks);
}

size_t cw_hooks_request_bytes(const char *name, char *const *words)
{
	size_t bytes = strlen(name) + 1 + CW_HOOK_PATH_BYTES;

	for (; *words; words++)
		bytes += strlen(*words) + 1;
	return bytes;
}

bool cw_hooks_has_program(const char *program)
{
	const char *folders = getenv("PATH");
	char path[4096];

	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	if (!folders)
		folders = "/bin:/usr/bin";
	while (program[0] && *folders) {
		size_t bytes = strcspn(folders, ":");

		snprintf(path, sizeof(path), "%.*s/%s", bytes ? (int)bytes : 1,
			 bytes ? folders : ".", program);
		if (access(path, X_OK) == 0)
			return true;
		folders += bytes + (folders[bytes] == ':');
	}
	return false;
}
