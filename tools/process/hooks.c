/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capture's side of the hooks: starts the process that runs them (hooks_runner.c), sends it one
 * request per file, and receives the number of failures at the end. A request is one message, so
 * any thread may send.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/process/hooks.h"
#include "tools/process/hooks_parts.h"
#include "tools/text/complain.h"

#define FIRST_FREE_FD 3 /* descriptors 0 to 2 stay unused, even if they are closed */
#define SEND_PATIENCE_MS 1000

struct cw_hooks {
	int fd;
	pid_t pid;
	/* one increment a hook: sequentially consistent order costs nothing */
	_Atomic uint64_t run;    /* hooks requested */
	_Atomic uint64_t unsent; /* hooks whose request could not be sent */
	bool is_ending;          /* the last request was sent */
};

static int make_sockets(int sockets[2])
{
	int made[2];
	int result = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made))
		return -errno;
	sockets[0] = fcntl(made[0], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	sockets[1] = fcntl(made[1], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (sockets[0] < 0 || sockets[1] < 0)
		result = -errno;
	close(made[0]);
	close(made[1]);
	return result;
}

static int start_runner(struct cw_hooks *hooks, const struct cw_hooks_options *options)
{
	sigset_t all, before;
	int sockets[2] = {-1, -1};
	int32_t hello = -EPIPE;
	int result = make_sockets(sockets);

	if (result)
		goto out;
	/* Signal handlers of this process must not run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	hooks->pid = fork();
	if (hooks->pid == 0)
		cw_hooks_main(sockets[1], options);
	result = hooks->pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (result)
		goto out;
	close(sockets[1]);
	sockets[1] = -1;
	while (recv(sockets[0], &hello, sizeof(hello), 0) < 0 && errno == EINTR)
		;
	result = hello;
out:
	if (sockets[1] >= 0)
		close(sockets[1]);
	hooks->fd = sockets[0];
	return result;
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
	made->fd = -1;
	result = start_runner(made, &chosen);
	if (result) {
		cw_hooks_free(made);
		return cw_error_set_errno(error, result,
					  "cannot start the process that runs hooks");
	}
	*hooks = made;
	return 0;
}

/* Appends a word with its NUL; returns false if the message is full. */
static bool put_word(char *message, size_t *used, const char *word)
{
	size_t bytes = strlen(word) + 1;

	if (bytes > CW_HOOK_BYTES_MAX - *used)
		return false;
	memcpy(message + *used, word, bytes);
	*used += bytes;
	return true;
}

static bool send_message(const struct cw_hooks *hooks, const char *message, size_t bytes)
{
	struct pollfd fd = {.fd = hooks->fd, .events = POLLOUT};

	for (;;) {
		if (send(hooks->fd, message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || poll(&fd, 1, SEND_PATIENCE_MS) <= 0)
			return false;
	}
}

void cw_hooks_run_any(struct cw_hooks *hooks, const char *name, char *const *words,
		      const char *path)
{
	char *message = malloc(CW_HOOK_BYTES_MAX);
	size_t used = 0;
	bool has_room = message && put_word(message, &used, name);

	atomic_fetch_add(&hooks->run, 1);
	for (; has_room && *words; words++)
		has_room = put_word(message, &used, *words);
	/* A leading "./" keeps a file name from being read as an option. */
	if (has_room && path[0] == '-') {
		memcpy(message + used, "./", cw_min_size(2, CW_HOOK_BYTES_MAX - used));
		used += 2;
		has_room = used < CW_HOOK_BYTES_MAX;
	}
	has_room = has_room && put_word(message, &used, path);
	if (!has_room || !send_message(hooks, message, used)) {
		atomic_fetch_add(&hooks->unsent, 1);
		cw_complain("rule %s: cannot run its hook for %s: request not accepted", name,
			    path);
	}
	free(message);
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
	/* Not empty: recv() returns 0 for an empty message as for a closed socket. */
	if (!hooks->is_ending && !send_message(hooks, CW_HOOKS_LAST, sizeof(CW_HOOKS_LAST)))
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
	(void)send_message(hooks, CW_HOOKS_KILL, sizeof(CW_HOOKS_KILL));
}

void cw_hooks_free(struct cw_hooks *hooks)
{
	if (!hooks)
		return;
	if (hooks->fd >= 0)
		close(hooks->fd);
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
