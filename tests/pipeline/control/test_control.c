/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: requests, who may ask, clients that are slow, rude or many. Against a run of
 * a file whose output is a FIFO, so that it lasts until the test lets it end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/control/control.h"
#include "pipeline/control/metrics.h"

#define ROUNDS 50 /* of serving, until an answer must have come */

/* ---- requests ---- */

static int parse(const char *line, struct cw_control_request *request)
{
	struct cw_error error = {0};
	int result = cw_control_parse(line, strlen(line), request, &error);

	assert_true(result == 0 || error.text[0]);
	return result;
}

static void requests_are_understood_or_refused(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "stats",
	    "[]",
	    "null",
	    "{}",
	    "{\"command\": 1}",
	    "{\"command\": \"\"}",
	    "{\"command\": \"dance\"}",
	    "{\"command\": \"stats\", \"command\": \"stop\"}",
	    "{\"command\": \"stats\", \"rule\": \"a\"}",
	    "{\"command\": \"rotate\", \"rule\": \"\"}",
	    "{\"command\": \"rotate\", \"rule\": 7}",
	    "{\"command\": \"log\"}",
	    "{\"command\": \"log\", \"level\": \"loud\"}",
	    "{\"command\": \"stop\"} {}",
	    "{\"command\": \"stop\"",
	    "{\"command\": \"\xff\"}",
	};
	struct cw_control_request request;
	char line[CW_CONTROL_LINE_BYTES_MAX + 2];
	size_t index;

	(void)state;
	for (index = 0; index < CW_CONTROL_COMMANDS; index++) {
		const char *name = cw_control_command_name((enum cw_control_command)index);

		snprintf(line, sizeof(line), "{\"command\": \"%s\"%s}", name,
			 index == CW_CONTROL_LOG ? ", \"level\": \"warning\"" : "");
		assert_int_equal(parse(line, &request), 0);
		assert_int_equal(request.command, index);
	}
	assert_int_equal(parse("{\"rule\": \"dns\", \"command\": \"rotate\"}", &request), 0);
	assert_string_equal(request.rule, "dns");
	assert_int_equal(parse("{\"command\": \"log\", \"level\": \"problem\"}", &request), 0);
	assert_int_equal(request.level, CW_PROBLEM);
	for (index = 0; index < CW_ARRAY_COUNT(wrong); index++)
		assert_true(parse(wrong[index], &request) < 0);
	snprintf(line, sizeof(line), "{\"command\": \"rotate\", \"rule\": \"%0200d\"}", 1);
	assert_true(parse(line, &request) < 0);
	memset(line, ' ', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, "{\"command\": \"stats\"}", 20);
	assert_true(parse(line, &request) < 0);
	line[CW_CONTROL_LINE_BYTES_MAX] = '\0';
	assert_int_equal(parse(line, &request), 0);
}

static void a_misspelt_word_is_answered_with_the_nearest(void **state)
{
	static const struct {
		const char *line, *says;
	} lines[] = {
	    {"{\"command\": \"relod\"}", "unknown command 'relod'; did you mean 'reload'?"},
	    {"{\"command\": \"dance\"}", "unknown command 'dance'; there are stats, rules, reload, "
					 "rotate, flush, stop and log"},
	    {"{\"command\": \"log\", \"level\": \"warn\"}",
	     "unknown level 'warn'; there are note, warning and problem"},
	    {"{\"command\": \"log\", \"level\": \"problme\"}",
	     "unknown level 'problme'; did you mean 'problem'?"},
	};
	struct cw_control_request request;

	(void)state;
	for (size_t index = 0; index < CW_ARRAY_COUNT(lines); index++) {
		struct cw_error error = {0};

		assert_true(cw_control_parse(lines[index].line, strlen(lines[index].line), &request,
					     &error) < 0);
		assert_string_equal(error.text, lines[index].says);
	}
}

/* A name of an interface, which the kernel lets be any bytes, cannot make a scrape invalid. */
static void labels_of_metrics_are_utf8(void **state)
{
	struct cw_snapshot_queue queues[] = {{.device = "e\xff\xe2\x82\"\\\n"}};
	struct cw_snapshot snapshot = {.queues = queues, .queue_count = 1};
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(file);
	assert_int_equal(cw_metrics_print(&snapshot, CW_METRICS_PROMETHEUS, file), 0);
	assert_int_equal(fclose(file), 0);
	assert_non_null(
	    strstr(text, "capweir_queue_batches_out{device=\"e???\\\"\\\\\\n\",queue=\"0\"} 0\n"));
	free(text);
}

/* ---- a run to be asked ---- */

struct rig {
	char folder[32];
	char socket[64], input[64], output[64];
	struct cw_rules rules;
	struct cw_pipeline *pipeline;
	struct cw_control *control;
	uint32_t stop_count;
	enum cw_severity level;
};

static void stop(void *context)
{
	struct rig *rig = context;

	rig->stop_count++;
}

static void set_level(void *context, enum cw_severity level)
{
	struct rig *rig = context;

	rig->level = level;
}

static const struct cw_control_actions *actions_of(struct rig *rig)
{
	static struct cw_control_actions actions = {.stop = stop, .set_level = set_level};

	actions.context = rig;
	return &actions;
}

static void write_capture(const char *path)
{
	static const uint8_t bytes[] = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0,
					0,    0,    0,    1,    0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0,
					0,    0,    4,    0,    0, 0, 4, 0, 0, 0, 1, 2, 3, 4};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
}

static void make_rig(struct rig *rig)
{
	struct cw_pipeline_options options;
	struct cw_error error = {0};
	const char *inputs[1];

	*rig = (struct rig){.folder = "/tmp/capweir-control-XXXXXX"};
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->socket, sizeof(rig->socket), "%s/control", rig->folder);
	snprintf(rig->input, sizeof(rig->input), "%s/in.pcap", rig->folder);
	snprintf(rig->output, sizeof(rig->output), "%s/fifo", rig->folder);
	write_capture(rig->input);
	assert_int_equal(mkfifo(rig->output, 0600), 0);
	assert_int_equal(cw_rules_add(&rig->rules, "all", "", rig->output, 0, &error), 0);
	inputs[0] = rig->input;
	cw_pipeline_options_init(&options);
	options.inputs = inputs;
	options.input_count = 1;
	options.rules = &rig->rules;
	options.threads = 1;
	if (cw_control_open(&rig->control, rig->socket, actions_of(rig), &error) < 0 ||
	    cw_pipeline_start(&rig->pipeline, &options, &error) < 0)
		fail_msg("%s", error.text);
}

static void end_rig(struct rig *rig)
{
	struct cw_report report;
	int fd = open(rig->output, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* so that it can end */
	struct pollfd done = {.fd = cw_pipeline_done_fd(rig->pipeline), .events = POLLIN};

	assert_int_equal(poll(&done, 1, 30000), 1);
	assert_int_equal(cw_pipeline_finish(rig->pipeline, &report), 0);
	cw_report_fini(&report);
	cw_pipeline_free(rig->pipeline);
	cw_control_close(rig->control);
	assert_int_equal(access(rig->socket, F_OK), -1); /* it was removed */
	cw_rules_fini(&rig->rules);
	close(fd);
	unlink(rig->input);
	unlink(rig->output);
	assert_int_equal(rmdir(rig->folder), 0);
}

static void serve(struct rig *rig)
{
	struct pollfd fds[CW_CONTROL_FDS_MAX];
	uint32_t count = cw_control_fds(rig->control, fds);

	poll(fds, count, 20);
	cw_control_serve(rig->control, rig->pipeline, fds, count);
}

static int join(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	serve(rig);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until a line's end, or the end: then it is empty. */
static const char *hear(struct rig *rig, int fd)
{
	static char line[1 << 20];
	size_t used = 0;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		ssize_t got;

		serve(rig);
		while (used < sizeof(line) - 1 && (got = recv(fd, line + used, 1, 0)) == 1) {
			if (line[used++] != '\n')
				continue;
			line[used] = '\0';
			return line;
		}
		if (got == 0)
			break;
	}
	assert_true(round < ROUNDS);
	return "";
}

static void every_command_is_answered(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	make_rig(&rig);
	fd = join(&rig);
	say(fd, "{\"command\": \"stats\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"outputs\":[{\"rule\":\"all\""));
	say(fd, "{\"command\": \"rules\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"generation\":1"));
	say(fd, "{\"command\": \"reload\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "no rules file"));
	say(fd, "{\"command\": \"rotate\", \"rule\": \"none\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"ok\":false"));
	say(fd, "{\"command\": \"rotate\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"outputs\":1"));
	say(fd, "{\"command\": \"flush\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"ok\":true"));
	say(fd, "{\"command\": \"log\", \"level\": \"problem\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"ok\":true"));
	assert_int_equal(rig.level, CW_PROBLEM);
	say(fd, "{\"command\": \"stop\"}\n");
	assert_non_null(strstr(hear(&rig, fd), "\"ok\":true"));
	assert_int_equal(rig.stop_count, 1);
	say(fd, "what?\n");
	assert_non_null(strstr(hear(&rig, fd), "not JSON"));
	close(fd);
	end_rig(&rig);
}

/* A line in pieces, several at once, the last one without its end. */
static void lines_come_as_they_please(void **state)
{
	const char *line = "{\"command\": \"flush\"}\n";
	struct rig rig;
	size_t at;
	int fd;

	(void)state;
	make_rig(&rig);
	fd = join(&rig);
	for (at = 0; line[at]; at++) {
		assert_int_equal(send(fd, line + at, 1, MSG_NOSIGNAL), 1);
		serve(&rig);
	}
	assert_non_null(strstr(hear(&rig, fd), "flush"));
	say(fd, "{\"command\": \"flush\"}\n{\"command\": \"rules\"}\n{\"command\": \"stop\"}");
	assert_non_null(strstr(hear(&rig, fd), "flush"));
	assert_non_null(strstr(hear(&rig, fd), "rules"));
	assert_int_equal(rig.stop_count, 0);
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(hear(&rig, fd), "stop"));
	assert_string_equal(hear(&rig, fd), "");
	close(fd);
	end_rig(&rig);
}

static void rude_clients_harm_nobody(void **state)
{
	static char endless[2 * CW_CONTROL_LINE_BYTES_MAX];
	int fds[CW_CONTROL_CLIENTS_MAX + 1];
	struct rig rig;
	size_t index;
	int fd, slow;

	(void)state;
	make_rig(&rig);
	/* One that does not end its line. */
	fd = join(&rig);
	memset(endless, 'x', sizeof(endless) - 1);
	say(fd, endless);
	for (index = 0; index < 5; index++)
		serve(&rig);
	assert_true(recv(fd, endless, 1, 0) <= 0 && errno != EAGAIN);
	close(fd);
	/* One that asks and asks, and reads nothing: it is not read from either. */
	slow = join(&rig);
	assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
	while (send(slow, "{\"command\": \"stats\"}\n", 21, MSG_NOSIGNAL) == 21)
		serve(&rig);
	assert_int_equal(errno, EAGAIN);
	/* One that goes before its answer. */
	fd = join(&rig);
	say(fd, "{\"command\": \"stats\"}\n");
	close(fd);
	serve(&rig);
	/* More than there is room for. */
	for (index = 0; index < CW_ARRAY_COUNT(fds); index++)
		fds[index] = join(&rig);
	assert_non_null(strstr(hear(&rig, fds[CW_CONTROL_CLIENTS_MAX - 1]), "too many"));
	say(fds[0], "{\"command\": \"flush\"}\n");
	assert_non_null(strstr(hear(&rig, fds[0]), "flush"));
	for (index = 0; index < CW_ARRAY_COUNT(fds); index++)
		close(fds[index]);
	assert_non_null(strstr(hear(&rig, slow), "stats")); /* the slow one is served still */
	close(slow);
	end_rig(&rig);
}

static void paths_that_are_taken_are_refused(void **state)
{
	struct cw_control *second = NULL;
	struct cw_error error = {0};
	struct stat status;
	struct rig rig;
	char path[300];
	int fd;

	(void)state;
	make_rig(&rig);
	assert_int_equal(stat(rig.socket, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(cw_control_open(&second, rig.socket, actions_of(&rig), &error),
			 -EADDRINUSE);
	assert_int_equal(cw_control_open(&second, rig.input, actions_of(&rig), &error), -EEXIST);
	assert_int_equal(access(rig.input, F_OK), 0);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(cw_control_open(&second, path, actions_of(&rig), &error), -ENAMETOOLONG);
	assert_int_equal(cw_control_open(&second, "", actions_of(&rig), &error), -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/none/control", rig.folder);
	assert_int_equal(cw_control_open(&second, path, actions_of(&rig), &error), -ENOENT);
	/* Left from a run that was killed: replaced. */
	snprintf(path, sizeof(path), "%s/stale", rig.folder);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	close(fd);
	assert_int_equal(cw_control_open(&second, path, actions_of(&rig), &error), 0);
	/* What came in its place is not ours to remove. */
	unlink(path);
	write_capture(path);
	cw_control_close(second);
	assert_int_equal(unlink(path), 0);
	cw_control_close(NULL);
	end_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_understood_or_refused),
	    cmocka_unit_test(a_misspelt_word_is_answered_with_the_nearest),
	    cmocka_unit_test(labels_of_metrics_are_utf8),
	    cmocka_unit_test(every_command_is_answered),
	    cmocka_unit_test(lines_come_as_they_please),
	    cmocka_unit_test(rude_clients_harm_nobody),
	    cmocka_unit_test(paths_that_are_taken_are_refused),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
