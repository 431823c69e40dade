/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/noted.h"
#include "tools/commands/ask.h"
#include "tools/text/complain.h"

#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define PATIENCE_S 30 /* for all requests but a reload, which may compile for long */

int cw_ask_refuse_no_path(void)
{
	return cw_refuse("which capture? Give --control PATH, the path that the capture was "
			 "started with, or --service NAME");
}

int cw_ask_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		cw_complain("--control: the path is too long: the limit is %zu bytes",
			    sizeof(address.sun_path) - 1);
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		cw_complain("no running capture at %s: start one with capweir capture --control %s",
			    path, path);
	else
		cw_complain("cannot connect to %s: %s%s", path, strerror(errno),
			    errno == EACCES ? ": use the user of the capture, or root" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_all(int fd, const char *text)
{
	size_t bytes = strlen(text);

	while (bytes) {
		ssize_t sent = send(fd, text, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return false;
		if (sent < 0)
			continue;
		text += sent;
		bytes -= (size_t)sent;
	}
	return true;
}

/* Returns one line, which the caller frees, or NULL with errno. */
static char *read_line(int fd)
{
	size_t used = 0, room = 65536;
	char *line = malloc(room);

	while (line) {
		ssize_t got;
		char *grown;

		if (used + 1 == room) {
			room *= 2;
			grown = room > ANSWER_BYTES_MAX ? NULL : realloc(line, room);
			if (!grown)
				break;
			line = grown;
		}
		got = recv(fd, line + used, room - used - 1, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got == 0 ? ECONNRESET : errno;
			break;
		}
		used += (size_t)got;
		line[used] = '\0';
		if (line[used - 1] == '\n')
			return line;
	}
	free(line);
	return NULL;
}

json_t *cw_ask_at(int fd, const char *path, json_t *request, bool is_patient)
{
	const struct timeval patience = {.tv_sec = is_patient ? 0 : PATIENCE_S};
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answer = NULL;
	json_error_t fault;
	char *line = NULL;

	json_decref(request);
	if (cw_noted_failure() || !text) { /* a request may lack its rule */
		free(text);
		cw_complain("out of memory");
		return NULL;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send_all(fd, text) && send_all(fd, "\n"))
		line = read_line(fd);
	if (line)
		answer = json_loads(line, 0, &fault);
	else
		cw_complain("%s: no answer from the capture: %s", path,
			    errno == EAGAIN ? "it has not answered for 30 s" : strerror(errno));
	if (line && !json_is_object(answer)) {
		cw_complain("%s: not the socket of a capweir capture: unknown answer", path);
		json_decref(answer);
		answer = NULL;
	}
	free(line);
	free(text);
	return answer;
}

json_t *cw_ask(const char *path, json_t *request, bool is_patient)
{
	int fd = cw_ask_connect(path);
	json_t *answer;

	if (fd < 0) {
		json_decref(request);
		return NULL;
	}
	answer = cw_ask_at(fd, path, request, is_patient);
	close(fd);
	return answer;
}

bool cw_ask_is_good(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return true;
	if (answer)
		cw_complain("%s", error ? error : "the capture refused the command");
	return false;
}

uint64_t cw_ask_number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}
