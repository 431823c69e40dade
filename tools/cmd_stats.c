/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir stats and control: the other end of a capture's --control socket. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/json.h"

#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define PATIENCE_S 30 /* for all but a reload, which may compile for long */

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (!path) {
		cw_complain("--control PATH says which capture: the path that it was given");
		return -1;
	}
	if (strlen(path) >= sizeof(address.sun_path)) {
		cw_complain("--control: the path is too long");
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	cw_complain("cannot ask at %s: %s", path,
		    errno == ECONNREFUSED ? "no capture listens there any more" : strerror(errno));
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

/* One line, to be freed; NULL with errno. */
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

/* Ask; takes the request. The answer, or NULL after a complaint. */
static json_t *ask(const struct cw_arguments *arguments, json_t *request, bool is_patient)
{
	const struct timeval patience = {.tv_sec = is_patient ? 0 : PATIENCE_S};
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answer = NULL;
	json_error_t fault;
	char *line = NULL;
	int fd = text ? connect_to(arguments->control) : -1;

	json_decref(request);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (send_all(fd, text) && send_all(fd, "\n"))
			line = read_line(fd);
		if (line)
			answer = json_loads(line, 0, &fault);
		else
			cw_complain("%s: no answer: %s", arguments->control,
				    errno == EAGAIN ? "it takes too long" : strerror(errno));
		if (line && !json_is_object(answer))
			cw_complain("%s: that is no answer of a capture", arguments->control);
		close(fd);
	}
	free(line);
	free(text);
	return answer;
}

/* Whether it is one that says yes; complains. */
static bool is_good(json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return true;
	if (answer)
		cw_complain("%s", error ? error : "the capture says no");
	return false;
}

/* ---- stats ---- */

static uint64_t number_of(json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void print_queues(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES];
	json_t *queue;
	size_t index;

	json_array_foreach(json_object_get(stats, "queues"), index, queue) {
		printf("%s queue %" PRIu64 ": %s seen by the kernel, %s dropped; %" PRIu64 " of %" PRIu64
		       " batches under way\n",
		       json_string_value(json_object_get(queue, "device")), number_of(queue, "queue"),
		       cw_format_count(number_of(queue, "kernel_seen"), a),
		       cw_format_count(number_of(queue, "kernel_dropped"), b),
		       number_of(queue, "batches_out"), number_of(queue, "batches"));
	}
}

static void print_outputs(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	json_t *output;
	size_t index;

	printf("%-24s %15s %15s %12s\n", "rule", "matched", "written", "lost");
	json_array_foreach(json_object_get(stats, "outputs"), index, output) {
		printf("%-24s %15s %15s %12s%s%s\n", json_string_value(json_object_get(output, "rule")),
		       cw_format_count(number_of(output, "matched"), a),
		       cw_format_count(number_of(output, "written"), b),
		       cw_format_count(number_of(output, "lost"), c),
		       json_is_true(json_object_get(output, "failed")) ? "  (fails at present)" : "",
		       json_is_true(json_object_get(output, "leaving")) ? "  (the rule was removed)"
									  : "");
	}
}

static void print_stats(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	json_t *books = json_object_get(stats, "books");
	json_t *reloads = json_object_get(stats, "reloads");
	json_t *pool = json_object_get(stats, "pool");

	printf("%.0f s: %s packets, %s; rules of generation %" PRIu64 ", %" PRIu64 " reloads refused%s\n",
	       json_number_value(json_object_get(stats, "elapsed_s")),
	       cw_format_count(number_of(stats, "packets"), a),
	       cw_format_bytes(number_of(stats, "bytes"), b), number_of(reloads, "generation"),
	       number_of(reloads, "refused"),
	       json_is_true(json_object_get(stats, "stopping")) ? "; it is stopping" : "");
	print_queues(stats);
	printf("%" PRIu64 " of %" PRIu64 " chunks free%s\n", number_of(pool, "free"),
	       number_of(pool, "chunks"),
	       json_is_true(json_object_get(pool, "starved")) ? "; packets wait for them" : "");
	print_outputs(stats);
	printf("%s records to write, %s written, %s lost\n",
	       cw_format_count(number_of(books, "matched"), a),
	       cw_format_count(number_of(books, "written"), b),
	       cw_format_count(number_of(books, "lost"), c));
}

int cw_command_stats(const struct cw_arguments *arguments)
{
	json_t *answer;
	bool is_so;

	if (arguments->rest.count) {
		cw_complain("stats takes no '%s' (capweir control is for orders)",
			    arguments->rest.words[0]);
		return CW_EXIT_USAGE;
	}
	if (!arguments->control) {
		connect_to(NULL);
		return CW_EXIT_USAGE;
	}
	answer = ask(arguments, json_pack("{s:s}", "command", "stats"), false);
	is_so = is_good(answer);
	if (is_so && arguments->json) {
		json_dumpf(json_object_get(answer, "stats"), stdout,
			   JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else if (is_so) {
		print_stats(json_object_get(answer, "stats"));
	}
	json_decref(answer);
	return is_so ? CW_EXIT_COMPLETE : CW_EXIT_PROBLEM;
}

/* ---- control ---- */

int cw_command_control(const struct cw_arguments *arguments)
{
	const struct cw_words *rest = &arguments->rest;
	const char *command = rest->count ? rest->words[0] : "";
	bool is_log = strcmp(command, "log") == 0;
	json_t *request, *answer;
	bool is_so;

	if (rest->count < 1 || rest->count > 2) {
		cw_complain("control takes a command: stats, rules, reload, rotate [RULE], flush, stop "
			    "or log LEVEL");
		return CW_EXIT_USAGE;
	}
	if (!arguments->control) {
		connect_to(NULL);
		return CW_EXIT_USAGE;
	}
	request = json_pack("{s:o}", "command", cw_json_text(command));
	if (request && rest->count == 2)
		json_object_set_new(request, is_log ? "level" : "rule", cw_json_text(rest->words[1]));
	answer = ask(arguments, request, strcmp(command, "reload") == 0);
	is_so = is_good(answer);
	if (is_so) {
		json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		putchar('\n');
	}
	json_decref(answer);
	return is_so ? CW_EXIT_COMPLETE : CW_EXIT_PROBLEM;
}
