/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's server. A client's next request is not read before the answer to the last is
 * sent, so a client costs at most the memory of one line and one answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pipeline/control/control_parts.h"
#include "pipeline/control/snapshot.h"

#define LISTENER 0u /* places among the polled descriptors; clients follow */
#define WAKER 1u
#define FIRST_CLIENT 2u

struct client {
	int fd; /* -1: the place is free */
	char line[CW_CONTROL_LINE_BYTES_MAX + 1];
	size_t line_bytes; /* bytes read, of one or more lines */
	bool has_ended;    /* the client sends no more */
	char *answer;      /* being sent; NULL: none */
	size_t answer_bytes, sent_bytes;
	uint64_t reload; /* number of the reload request that it waits for; 0: none */
};

struct cw_control {
	char *path;
	int listener;
	int wake_fd;
	uid_t maker;
	uint64_t device, inode; /* of the socket in the file system */
	struct cw_control_actions actions;
	struct client clients[CW_CONTROL_CLIENTS_MAX];
};

/* ---- opening ---- */

static int fill_address(struct sockaddr_un *address, const char *path, struct cw_error *error)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!path[0] || strlen(path) >= sizeof(address->sun_path))
		return cw_error_set(error, -ENAMETOOLONG,
				    "cannot use the control socket path %.200s: a path must have 1 "
				    "to %zu bytes",
				    path, sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

static int refuse_foreign(const char *path, struct cw_error *error)
{
	return cw_error_set(error, -EEXIST,
			    "the control socket %s is left over from another user's run: remove it",
			    path);
}

/* Returns 0 if nothing is at the path, 1 if it is a socket of ours that no process listens at: it
 * is left from a killed run. */
static int find_stale(const struct sockaddr_un *address, struct cw_error *error)
{
	const char *path = address->sun_path;
	struct stat status;
	int fd, result;

	if (lstat(path, &status))
		return errno == ENOENT
			   ? 0
			   : cw_error_set_errno(error, -errno, "cannot use the control socket %s",
						path);
	if (!S_ISSOCK(status.st_mode))
		return cw_error_set(
		    error, -EEXIST,
		    "%s exists and is not a socket: choose another path for --control", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cw_error_set_errno(error, -errno, "cannot use the control socket %s", path);
	result = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	if (result != ECONNREFUSED)
		return cw_error_set(error, -EADDRINUSE,
				    "the control socket %s is in use by another run: choose "
				    "another path for --control",
				    path);
	return status.st_uid == geteuid() ? 1 : refuse_foreign(path, error);
}

static int remove_stale(const struct sockaddr_un *address, struct cw_error *error)
{
	int result = find_stale(address, error);

	if (result == 1 && unlink(address->sun_path))
		return refuse_foreign(address->sun_path, error);
	return result < 0 ? result : 0;
}

static int refuse_creation(const char *path, int failure, struct cw_error *error)
{
	return cw_error_set_errno(error, failure, "cannot create the control socket %s", path);
}

static int listen_at(struct cw_control *control, const struct sockaddr_un *address,
		     struct cw_error *error)
{
	const char *path = address->sun_path;
	struct stat status;
	mode_t before;
	int result;

	control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->listener < 0 || control->wake_fd < 0)
		return refuse_creation(path, -errno, error);
	/* With the umask set, no other user can open the socket at any moment. */
	before = umask(0177);
	result = bind(control->listener, (const struct sockaddr *)address, sizeof(*address));
	result = result ? -errno : 0;
	umask(before);
	if (result < 0)
		return refuse_creation(path, result, error);
	if (lstat(path, &status) == 0) {
		control->device = (uint64_t)status.st_dev;
		control->inode = (uint64_t)status.st_ino;
	}
	if (listen(control->listener, CW_CONTROL_CLIENTS_MAX))
		return cw_error_set_errno(error, -errno, "cannot listen on the control socket %s",
					  path);
	return 0;
}

int cw_control_check_path(const char *path, struct cw_error *error)
{
	struct sockaddr_un address;
	char folder[sizeof(address.sun_path) + 1];
	int result = fill_address(&address, path, error);

	if (result == 0)
		result = find_stale(&address, error);
	if (result)
		return result < 0 ? result : 0;
	strcpy(folder, path);
	strcpy(strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder, ".");
	return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS)
		   ? refuse_creation(path, -errno, error)
		   : 0;
}

int cw_control_open(struct cw_control **result, const char *path,
		    const struct cw_control_actions *actions, struct cw_error *error)
{
	struct cw_control *control;
	struct sockaddr_un address;
	int failure = fill_address(&address, path, error);

	if (failure == 0)
		failure = remove_stale(&address, error);
	if (failure < 0)
		return failure;
	control = calloc(1, sizeof(*control));
	if (!control)
		return cw_error_set(error, -ENOMEM, "no memory for a control socket");
	control->listener = control->wake_fd = -1;
	control->actions = *actions;
	control->maker = getuid();
	for (uint32_t index = 0; index < CW_CONTROL_CLIENTS_MAX; index++)
		control->clients[index].fd = -1;
	control->path = strdup(path);
	failure = control->path ? listen_at(control, &address, error)
				: cw_error_set(error, -ENOMEM, "no memory for a control socket");
	if (failure < 0) {
		cw_control_close(control);
		return failure;
	}
	*result = control;
	return 0;
}

/* ---- clients ---- */

static void close_client(struct client *client)
{
	close(client->fd);
	free(client->answer);
	client->fd = -1;
	client->answer = NULL;
	client->line_bytes = 0;
	client->has_ended = false;
	client->reload = 0;
}

/* Sends as much of the answer as the client takes. */
static void send_answer(struct client *client)
{
	while (client->fd >= 0 && client->answer) {
		ssize_t sent =
		    send(client->fd, client->answer + client->sent_bytes,
			 client->answer_bytes - client->sent_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			if (errno != EAGAIN)
				close_client(client);
			return;
		}
		client->sent_bytes += (size_t)sent;
		if (client->sent_bytes < client->answer_bytes)
			continue;
		free(client->answer);
		client->answer = NULL;
	}
}

/* Sends the answer (takes); NULL: there was no memory for it. */
static void answer(struct client *client, char *text)
{
	if (!text) {
		close_client(client);
		return;
	}
	client->answer = text;
	client->answer_bytes = strlen(text);
	client->sent_bytes = 0;
	send_answer(client);
}

static char *rotate(struct cw_pipeline *pipeline, const struct cw_control_request *request)
{
	uint32_t count = cw_pipeline_rotate(pipeline, request->rule[0] ? request->rule : NULL);

	return count || !request->rule[0]
		   ? cw_control_answer_rotate(count)
		   : cw_control_answer_error("there is no rule of that name");
}

static void do_request(struct cw_control *control, struct cw_pipeline *pipeline,
		       struct client *client, const struct cw_control_request *request)
{
	const struct cw_control_actions *actions = &control->actions;

	switch (request->command) {
	case CW_CONTROL_STATS:
		answer(client, cw_control_answer_stats(pipeline));
		return;
	case CW_CONTROL_RULES:
		answer(client, cw_control_answer_rules(pipeline));
		return;
	case CW_CONTROL_ROTATE:
		answer(client, rotate(pipeline, request));
		return;
	case CW_CONTROL_RELOAD:
		if (actions->reloading)
			actions->reloading(actions->context);
		client->reload = cw_pipeline_request_reload(pipeline);
		if (!client->reload)
			answer(client, cw_control_answer_error(
					   "this run has no rules file that could be read again"));
		return;
	case CW_CONTROL_FLUSH:
		cw_pipeline_flush(pipeline);
		break;
	case CW_CONTROL_STOP:
		actions->stop(actions->context);
		break;
	case CW_CONTROL_LOG:
		actions->set_level(actions->context, request->level);
		break;
	case CW_CONTROL_COMMANDS:
		return;
	}
	answer(client, cw_control_answer(request->command));
}

/* Handles the lines read so far, until an answer has to wait. */
static void do_lines(struct cw_control *control, struct cw_pipeline *pipeline,
		     struct client *client)
{
	while (client->fd >= 0 && !client->answer && !client->reload) {
		struct cw_control_request request;
		struct cw_error error = {0};
		const char *end = memchr(client->line, '\n', client->line_bytes);
		size_t bytes = end ? (size_t)(end - client->line) : client->line_bytes;
		int result;

		if (!end && client->line_bytes > CW_CONTROL_LINE_BYTES_MAX) {
			close_client(client); /* the line is too long */
			return;
		}
		if (!end && !(client->has_ended && bytes)) {
			if (client->has_ended)
				close_client(client);
			return;
		}
		result = cw_control_parse(client->line, bytes, &request, &error);
		bytes += end ? 1 : 0;
		client->line_bytes -= bytes;
		memmove(client->line, client->line + bytes, client->line_bytes);
		if (result < 0)
			answer(client, cw_control_answer_error(error.text));
		else
			do_request(control, pipeline, client, &request);
	}
}

static void read_client(struct client *client)
{
	ssize_t got = recv(client->fd, client->line + client->line_bytes,
			   sizeof(client->line) - client->line_bytes, MSG_DONTWAIT);

	if (got > 0)
		client->line_bytes += (size_t)got;
	else if (got == 0)
		client->has_ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		close_client(client);
}

static void serve_client(struct cw_control *control, struct cw_pipeline *pipeline,
			 struct client *client, short events)
{
	if (client->reload) {
		struct cw_reload_status status;

		cw_pipeline_reload_status(pipeline, &status);
		if (status.served >= client->reload) {
			client->reload = 0;
			answer(client, cw_control_answer_reload(&status));
		}
	}
	if (client->fd >= 0 && (events & POLLOUT))
		send_answer(client);
	if (client->fd >= 0 && (events & POLLIN))
		read_client(client);
	if (client->fd >= 0 && (events & (POLLERR | POLLHUP)) && !(events & POLLIN)) {
		close_client(client); /* the client is gone */
		return;
	}
	do_lines(control, pipeline, client);
}

static bool is_allowed(const struct cw_control *control, int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
	       (peer.uid == 0 || peer.uid == control->maker || peer.uid == geteuid());
}

/* Refuses a connection with a reason, which may get lost. */
static void send_away(int fd, const char *why)
{
	char *text = cw_control_answer_error(why);

	if (text)
		(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
	close(fd);
}

static void let_in(struct cw_control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!is_allowed(control, fd)) {
		send_away(fd, "only root and the user that started the run may ask");
		return;
	}
	for (uint32_t index = 0; index < CW_CONTROL_CLIENTS_MAX; index++) {
		if (control->clients[index].fd >= 0)
			continue;
		control->clients[index].fd = fd;
		return;
	}
	send_away(fd, "too many clients");
}

uint32_t cw_control_fds(struct cw_control *control, struct pollfd *fds)
{
	fds[LISTENER] = (struct pollfd){.fd = control->listener, .events = POLLIN};
	fds[WAKER] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	for (uint32_t index = 0; index < CW_CONTROL_CLIENTS_MAX; index++) {
		const struct client *client = &control->clients[index];
		short events = 0;

		if (client->answer)
			events = POLLOUT;
		else if (!client->reload && !client->has_ended)
			events = POLLIN;
		fds[FIRST_CLIENT + index] = (struct pollfd){.fd = client->fd, .events = events};
	}
	return CW_CONTROL_FDS_MAX;
}

void cw_control_serve(struct cw_control *control, struct cw_pipeline *pipeline,
		      const struct pollfd *fds, uint32_t count)
{
	uint64_t ignored;

	if (fds[WAKER].revents & POLLIN)
		(void)!read(control->wake_fd, &ignored, sizeof(ignored));
	for (uint32_t index = FIRST_CLIENT; index < count; index++) {
		struct client *client = &control->clients[index - FIRST_CLIENT];

		if (client->fd >= 0)
			serve_client(control, pipeline, client, fds[index].revents);
	}
	/* Accept last: a new client may take the place of one served above. */
	if (fds[LISTENER].revents & POLLIN)
		let_in(control);
}

void cw_control_wake(struct cw_control *control)
{
	uint64_t one = 1;

	/* A write fails only if the eventfd is full, and a full eventfd is readable already. */
	(void)!write(control->wake_fd, &one, sizeof(one));
}

void cw_control_close(struct cw_control *control)
{
	struct stat status;

	if (!control)
		return;
	for (uint32_t index = 0; index < CW_CONTROL_CLIENTS_MAX; index++) {
		if (control->clients[index].fd >= 0)
			close_client(&control->clients[index]);
	}
	if (control->inode && lstat(control->path, &status) == 0 &&
	    (uint64_t)status.st_dev == control->device && (uint64_t)status.st_ino == control->inode)
		(void)unlink(control->path); /* if this fails, the next run removes it */
	if (control->listener >= 0)
		close(control->listener);
	if (control->wake_fd >= 0)
		close(control->wake_fd);
	free(control->path);
	free(control);
}
