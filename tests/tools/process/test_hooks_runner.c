/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs hooks: whose commands it runs, for which requests, and as which user. Each
 * hook appends lines to a log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/output/opener_wire.h"
#include "tests/rig/run_tests.h"
#include "tools/process/confine.h"
#include "tools/process/hooks.h"
#include "tools/text/complain.h"

#define OWNER 12345u
#define HOOK_USER 12347u
#define SCRIPT "{ echo \"$0 $CAPWEIR_RULE $1\"; id -u; id -G; grep '^Cap' /proc/self/status; } >>"

static char folder[] = "/tmp/capweir-hooks-XXXXXX";
static char log_path[64], log_text[1 << 16];
static struct cw_hooks *hooks;
static struct cw_hooks_result result;
static struct cw_error error;

void __wrap_cw_complain(const char *format, ...);

void __wrap_cw_complain(const char *format, ...)
{
	(void)format; /* of the other process, too: the counts say the same */
}

/* ---- the other process ---- */

static int add(struct cw_hooks_table *table, const char *name, const char *mark)
{
	char script[256];
	char *words[] = {"/bin/sh", "-c", script, (char *)(uintptr_t)mark, NULL};

	snprintf(script, sizeof(script), SCRIPT "%s", log_path);
	return cw_hooks_table_add(table, name, words);
}

/* At the start "b" and "a" have hooks. A rules file holds the mark of the only hook, that of "a";
 * "!": it cannot be trusted. */
static int load(void *context, int fd, struct cw_hooks_table *table)
{
	char mark[32] = "";
	ssize_t bytes;

	(void)context;
	if (fd < 0)
		return add(table, "b", "first") ? -ENOMEM : add(table, "a", "first");
	bytes = pread(fd, mark, sizeof(mark) - 1, 0);
	close(fd);
	return bytes <= 0 || mark[0] == '!' ? -EINVAL : add(table, "a", mark);
}

/* As in a live capture that root starts. */
static int confine(void *context)
{
	const struct cw_confine_options options = {
	    .role = CW_CONFINE_HOOKS, .user = "nobody", .keep_ids = true};

	(void)context;
	return cw_confine(&options, NULL) < 0 ? -EIO : 0;
}

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	unlink(log_path);
	return rmdir(folder);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	unlink(log_path);
	fd = open(log_path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || fchmod(fd, 0666))
		return -1;
	return close(fd);
}

static void start(const struct cw_hooks_options *options)
{
	struct cw_hooks_options filled = *options;

	filled.load = load;
	if (cw_hooks_start(&hooks, &filled, &error) < 0)
		fail_msg("%s", error.text);
}

/* Waits for all hooks; reads the log. */
static void finish(uint64_t failed)
{
	ssize_t bytes;
	int fd;

	assert_int_equal(cw_hooks_finish(hooks, -1, &result), 0);
	assert_int_equal(result.failed, failed);
	cw_hooks_free(hooks);
	fd = open(log_path, O_RDONLY);
	bytes = read(fd, log_text, sizeof(log_text) - 1);
	assert_true(bytes >= 0);
	log_text[bytes] = '\0';
	close(fd);
}

static void expect_said(const char *text)
{
	if (!strstr(log_text, text))
		fail_msg("no hook said '%s':\n%s", text, log_text);
}

/* A request as the opener sends it. */
static void tell(uint32_t call, uint32_t output, uint32_t flags, const char *text, int fd)
{
	static struct cw_opener_message message;

	message.request =
	    (struct cw_opener_request){.call = call, .output = output, .flags = flags};
	message.text_bytes = 0;
	message.fd = fd;
	if (text)
		cw_opener_put(&message, text);
	assert_int_equal(cw_opener_send(cw_hooks_socket(hooks), &message, sizeof(message.request)),
			 0);
}

static void tell_rules(const char *content)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	fputs(content, file);
	fflush(file);
	tell(CW_HOOK_RULES, 0, 0, NULL, fileno(file));
	fclose(file);
}

/* ---- tests ---- */

static void a_file_gets_the_command_of_its_outputs_rule(void **state)
{
	(void)state;
	start(&(struct cw_hooks_options){0});
	assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
	assert_int_equal(cw_hooks_add(hooks, 7, "b"), 0);
	cw_hooks_run_any(hooks, 0, "a", "/x/1");
	cw_hooks_run_any(hooks, 7, "b", "-2");
	finish(0);
	assert_int_equal(result.run, 2);
	expect_said("first a /x/1\n");
	expect_said("first b ./-2\n");
}

static void outputs_without_a_hook_run_nothing(void **state)
{
	(void)state;
	start(&(struct cw_hooks_options){0});
	assert_int_equal(cw_hooks_add(hooks, 1, "unknown"), 0);
	assert_int_equal(cw_hooks_add(hooks, 2, "a"), 0);
	tell(CW_HOOK_DROP, 2, 0, NULL, -1);
	tell(CW_HOOK_ADD, CW_OPENER_OUTPUTS_MAX, 0, "a", -1);
	for (uint32_t output = 0; output < 4; output++)
		cw_hooks_run_any(hooks, output, "a", "/x");
	cw_hooks_run_any(hooks, CW_OPENER_OUTPUTS_MAX, "a", "/x");
	tell(99, 0, 0, "a", -1);             /* not a request */
	tell(CW_HOOK_RULES, 0, 0, NULL, -1); /* without a file */
	finish(5);
	assert_string_equal(log_text, "");
}

static void the_captures_socket_cannot_ask_for_a_hook(void **state)
{
	struct cw_opener_message message = {
	    .request = {.call = CW_HOOK_RUN, .output = 0}, .text = "/x", .text_bytes = 3, .fd = -1};
	char words[128];
	int socket = -1;
	size_t bytes;

	(void)state;
	start(&(struct cw_hooks_options){0});
	assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
	bytes = (size_t)snprintf(words, sizeof(words), "a%c/bin/sh%c-c%ctouch %s/bad", 0, 0, 0,
				 folder) +
		1;
	for (int fd = 3; fd < 64 && socket < 0; fd++) {
		struct stat status;

		if (fd != cw_hooks_socket(hooks) && fstat(fd, &status) == 0 &&
		    S_ISSOCK(status.st_mode))
			socket = fd;
	}
	assert_true(socket >= 0);
	cw_hooks_leave(hooks);
	assert_int_equal(cw_opener_send(socket, &message, sizeof(message.request)), 0);
	assert_int_equal(send(socket, words, bytes, 0), bytes);
	for (int byte = 3; byte < 256; byte++) {
		char text = (char)byte;

		assert_int_equal(send(socket, &text, 1, 0), 1);
	}
	finish(0);
	assert_string_equal(log_text, "");
	snprintf(words, sizeof(words), "%s/bad", folder);
	assert_int_equal(access(words, F_OK), -1);
}

static void a_reload_changes_the_commands_of_later_outputs(void **state)
{
	(void)state;
	start(&(struct cw_hooks_options){0});
	assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
	assert_int_equal(cw_hooks_add(hooks, 1, "b"), 0);
	tell_rules("second");
	assert_int_equal(cw_hooks_add(hooks, 2, "a"), 0);
	assert_int_equal(cw_hooks_add(hooks, 3, "b"), 0); /* which has none any more */
	tell_rules("!");
	assert_int_equal(cw_hooks_add(hooks, 4, "a"), 0);
	for (uint32_t output = 0; output < 5; output++) {
		char path[8];

		snprintf(path, sizeof(path), "/%u", output);
		cw_hooks_run_any(hooks, output, "a", path);
	}
	finish(1);
	expect_said("first a /0\n");
	expect_said("first b /1\n");
	expect_said("second a /2\n");
	expect_said("second a /4\n");
}

static void requests_of_an_opener_that_has_ended_are_run(void **state)
{
	pid_t opener;

	(void)state;
	start(&(struct cw_hooks_options){0});
	opener = fork();
	if (!opener) {
		tell(CW_HOOK_ADD, 0, 0, "a", -1);
		for (int i = 0; i < 40; i++)
			tell(CW_HOOK_RUN, 0, 0, "/x", -1);
		_exit(0);
	}
	cw_hooks_leave(hooks);
	assert_int_equal(waitpid(opener, NULL, 0), opener);
	for (int i = 0; i < 40; i++)
		cw_hooks_count_any(hooks, "a", "/x", i == 7 ? -ETIMEDOUT : 0);
	finish(1); /* of which the opener said so */
	assert_int_equal(result.run, 40);
	for (const char *at = log_text, *next; (next = strstr(at, "first a /x\n")); at = next + 1)
		result.run--;
	assert_int_equal(result.run, 0);
}

/* Checks the last hook's user, groups and capabilities. */
static void expect_user(uint32_t user, const char *groups)
{
	static const char none[] = "0000000000000000";
	char text[128];
	int count = 0;

	snprintf(text, sizeof(text), "\n%u\n%s\n", user, groups);
	expect_said(text);
	for (const char *at = log_text; (at = strstr(at, none)); at += sizeof(none) - 1)
		count++;
	assert_int_equal(count, 5);
}

static void a_hook_is_the_files_owner_without_capabilities(void **state)
{
	static const gid_t groups[] = {12346, 23456};
	static const struct cw_opener_owner owner = {OWNER, 12346, groups, 2};
	static const struct cw_opener_owner user = {HOOK_USER, 12348, groups + 1, 1};
	const struct cw_hooks_options options = {.on_start = confine, .owner = &owner};
	struct cw_hooks_options with_user = options;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&options);
	assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
	tell(CW_HOOK_RUN, 0, 0, "/x", -1);
	tell(CW_HOOK_RUN, 0, CW_HOOK_ROOTS, "/roots", -1); /* a start that is refused */
	finish(1);
	assert_null(strstr(log_text, "roots"));
	expect_user(OWNER, "12346 23456");

	with_user.user = &user;
	for (uint32_t flags = 0; flags <= CW_HOOK_ROOTS; flags += CW_HOOK_ROOTS) {
		setup(NULL);
		start(&with_user);
		assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
		tell(CW_HOOK_RUN, 0, flags, "/x", -1);
		finish(0);
		expect_user(HOOK_USER, "12348 23456");
	}
}

/* It waits for ever, as the owner; so does its child. */
static int load_waiting(void *context, int fd, struct cw_hooks_table *table)
{
	char script[256];
	char *words[] = {"/bin/sh", "-c", script, NULL};

	(void)context;
	(void)fd;
	snprintf(script, sizeof(script), "echo go >>%s; sleep 1000 & sleep 1000", log_path);
	return cw_hooks_table_add(table, "a", words);
}

static void a_hook_of_another_user_is_killed_too(void **state)
{
	static const struct cw_opener_owner owner = {OWNER, 12346, NULL, 0};
	const struct cw_hooks_options options = {
	    .on_start = confine, .load = load_waiting, .owner = &owner, .time_ms = 50};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(cw_hooks_start(&hooks, &options, &error), 0);
	assert_int_equal(cw_hooks_add(hooks, 0, "a"), 0);
	tell(CW_HOOK_RUN, 0, 0, "/x", -1);
	finish(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_file_gets_the_command_of_its_outputs_rule, setup),
	    cmocka_unit_test_setup(outputs_without_a_hook_run_nothing, setup),
	    cmocka_unit_test_setup(the_captures_socket_cannot_ask_for_a_hook, setup),
	    cmocka_unit_test_setup(a_reload_changes_the_commands_of_later_outputs, setup),
	    cmocka_unit_test_setup(requests_of_an_opener_that_has_ended_are_run, setup),
	    cmocka_unit_test_setup(a_hook_is_the_files_owner_without_capabilities, setup),
	    cmocka_unit_test_setup(a_hook_of_another_user_is_killed_too, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
