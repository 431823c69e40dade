/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that opens files, by its messages: a served table in a child, and an asking side that
 * sends what it likes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/output/opener_serve.h"
#include "core/output/opener_wire.h"

static char folder[] = "/tmp/capweir-opener-XXXXXX";
static struct cw_opener *opener;
static struct cw_error error;
static int sockets[CW_OPENER_CHANNELS];
static pid_t child;
static struct cw_opener_message message; /* the last request, then its answer */

/* In memory that the child shares. */
static struct {
	unsigned fsyncs;
	bool has_no_openat2;
} * shared;

/* ---- the C library's calls ---- */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

int __wrap_fsync(int fd)
{
	shared->fsyncs++;
	return __real_fsync(fd);
}

long __wrap_syscall(long number, ...)
{
	long words[4]; /* of the calls that the opener makes this way */
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < CW_ARRAY_COUNT(words); i++)
		words[i] = va_arg(list, long);
	va_end(list);
	if (shared->has_no_openat2 && number == SYS_openat2) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(number, words[0], words[1], words[2], words[3]);
}

/* ---- the served process ---- */

static const char *in_folder(const char *name)
{
	static char paths[8][512];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void start(void)
{
	assert_int_equal(cw_opener_new(&opener, NULL), 0);
}

static uint32_t add(const char *name, bool is_fixed, const char *prefix, const char *suffix)
{
	const char *path = in_folder(name);
	const struct cw_opener_output output = {.path = path,
						.fixed_bytes = strlen(folder) + 1,
						.prefix = prefix,
						.suffix = suffix,
						.is_fixed = is_fixed,
						.sync = true};
	struct cw_opener_found found;

	if (cw_opener_add(opener, &output, &found, &error))
		fail_msg("%s", error.text);
	return found.number;
}

static void serve(void)
{
	int there[CW_OPENER_CHANNELS];

	cw_opener_close_list(opener);
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		sockets[i] = pair[0];
		there[i] = pair[1];
	}
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
			close(sockets[i]);
		_exit(cw_opener_serve(opener, there, CW_OPENER_CHANNELS) != 0);
	}
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
		close(there[i]);
	cw_opener_free(opener);
	opener = NULL;
}

/* Closes the asking side: the child ends then, and well. */
static int stop(void **state)
{
	char command[128];
	int status = 0;

	(void)state;
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
	if (child > 0)
		waitpid(child, &status, 0);
	child = 0;
	shared->has_no_openat2 = false;
	cw_opener_free(opener);
	opener = NULL;
	snprintf(command, sizeof(command), "rm -rf %s && mkdir -m 700 %s", folder, folder);
	return system(command) ? 1 : status;
}

/* ---- messages ---- */

static void begin(uint32_t call)
{
	memset(&message, 0, sizeof(message));
	message.request = (struct cw_opener_request){.call = call, .random = "abcdef"};
	message.fd = -1;
}

static void send_by(uint32_t socket)
{
	assert_int_equal(cw_opener_send(sockets[socket], &message, sizeof(message.request)), 0);
}

static int receive_by(uint32_t socket)
{
	assert_int_equal(cw_opener_receive(sockets[socket], &message, sizeof(message.answer), 0),
			 0);
	if (message.fd >= 0)
		close(message.fd);
	return message.answer.result;
}

static int ask(void)
{
	send_by(1);
	return receive_by(1);
}

static int open_file(uint32_t output, const char *path)
{
	begin(CW_OPENER_OPEN);
	message.request.output = output;
	cw_opener_put(&message, path);
	return ask();
}

static uint32_t opened(uint32_t output, const char *name)
{
	if (open_file(output, in_folder(name)))
		fail_msg("%s: %s", name, message.text);
	return message.answer.handle;
}

static int ask_about(uint32_t call, uint32_t handle, const char *text)
{
	begin(call);
	message.request.handle = handle;
	if (text)
		cw_opener_put(&message, text);
	return ask();
}

static bool is_there(const char *name)
{
	return faccessat(AT_FDCWD, in_folder(name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void make_file(const char *name, const char *content)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

static void expect_content(const char *name, const char *content)
{
	char text[64] = "";
	int fd = open(in_folder(name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(content));
	assert_string_equal(text, content);
	close(fd);
}

/* ---- tests ---- */

static void messages_that_make_no_sense_are_refused(void **state)
{
	static const char nul[] = "x\0y.pcap";
	char long_path[PATH_MAX + 1];
	uint32_t output;

	(void)state;
	start();
	output = add("x.pcap", true, "x", ".pcap");
	serve();
	for (uint32_t call = CW_OPENER_CALLS; call < CW_OPENER_CALLS + 3; call++) {
		begin(call);
		assert_int_equal(ask(), -EINVAL);
	}
	begin(UINT32_MAX);
	assert_int_equal(ask(), -EINVAL);
	assert_int_equal(send(sockets[1], "short", 5, MSG_NOSIGNAL), 5);
	assert_int_equal(receive_by(1), -EINVAL);
	/* Texts: none, one without its end, one with a NUL in it, one too many, one that is too
	 * long. */
	begin(CW_OPENER_OPEN);
	message.request.output = output;
	assert_int_equal(ask(), -EINVAL);
	begin(CW_OPENER_OPEN);
	message.text_bytes = 6;
	memcpy(message.text, "x.pcap", 6);
	assert_int_equal(ask(), -EINVAL);
	begin(CW_OPENER_OPEN);
	message.text_bytes = sizeof(nul);
	memcpy(message.text, nul, sizeof(nul));
	assert_int_equal(ask(), -EINVAL);
	memset(long_path, 'x', sizeof(long_path));
	long_path[PATH_MAX] = '\0';
	assert_int_equal(open_file(output, long_path), -EINVAL);
}

static void parts_of_messages_that_make_no_sense_are_refused(void **state)
{
	static const char *const randoms[] = {"abc", "abc/ef", "../abc", "abcdefg"};
	uint32_t output;
	int result;

	(void)state;
	start();
	output = add("x.pcap", true, "x", ".pcap");
	serve();
	/* The random part of a hidden name: of six letters. */
	for (int i = 0; i < 4; i++) {
		begin(CW_OPENER_OPEN);
		message.request.output = output;
		memset(message.request.random, 'z', sizeof(message.request.random));
		memcpy(message.request.random, randoms[i], strlen(randoms[i]) + (i < 3));
		cw_opener_put(&message, in_folder("x.pcap"));
		result = ask();
		assert_true(result == -EINVAL || result == -EPERM);
	}
	/* An output whose folder does not end in "/", or is longer than its path. */
	for (uint32_t bytes = 1; bytes < 3; bytes++) {
		begin(CW_OPENER_ADD);
		message.request.fixed_bytes = bytes == 1 ? 3 : 1000;
		cw_opener_put(&message, in_folder("x.pcap"));
		cw_opener_put(&message, "x");
		cw_opener_put(&message, ".pcap");
		cw_opener_put(&message, "");
		assert_int_equal(ask(), -EINVAL);
	}
	/* A descriptor with a request is closed. */
	begin(CW_OPENER_FREE_SPACE);
	message.request.output = output;
	message.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	send_by(1);
	close(message.fd);
	assert_int_equal(receive_by(1), 0);
	assert_int_equal(opened(output, "x.pcap"), 0);
}

static void numbers_that_nobody_has_are_refused(void **state)
{
	static const uint32_t calls[] = {CW_OPENER_REOPEN, CW_OPENER_DISCARD, CW_OPENER_REMOVE};
	uint32_t output, handle;

	(void)state;
	start();
	output = add("x.pcap", true, "x", ".pcap");
	serve();
	handle = opened(output, "x.pcap");
	for (uint32_t number = 1; number; number *= 3) {
		for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++)
			assert_int_equal(ask_about(calls[i], handle + number, NULL), -EINVAL);
		assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle + number, "x.pcap"), -EINVAL);
		assert_int_equal(open_file(output + number, in_folder("x.pcap")), -EPERM);
		if (number > UINT32_MAX / 3)
			break;
	}
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), -EINVAL); /* not published */
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), -EINVAL);
	assert_int_equal(ask_about(CW_OPENER_REOPEN, handle, NULL), -EINVAL);
	assert_int_equal(ask_about(CW_OPENER_DISCARD, handle, NULL), -EINVAL);
	assert_true(is_there("x.pcap"));
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), 0);
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), -EINVAL);
	assert_false(is_there("x.pcap"));
}

static void a_file_is_published_under_names_of_its_output_only(void **state)
{
	static const char *const refused[] = {"y.pcap",   "x",  "x.pcap/",   "",       "..", ".",
					      "x/y.pcap", "xx", "../x.pcap", "/x.pcap"};
	uint32_t output, handle;

	(void)state;
	start();
	output = add("x.pcap", false, "x", ".pcap");
	serve();
	handle = opened(output, "x.pcap");
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++)
		assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, refused[i]), -EPERM);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.2.pcap"), 0);
	assert_true(is_there("x.2.pcap"));
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), 0);
}

static void folders_of_a_name_are_in_its_folder(void **state)
{
	const char *up = in_folder("day/../x.pcap");
	struct cw_opener_output output = {.path = up,
					  .fixed_bytes = strlen(folder) + 1,
					  .prefix = "",
					  .suffix = ".pcap",
					  .ring = ""};
	struct cw_opener_found found;
	uint32_t number, handle;

	(void)state;
	start();
	assert_int_equal(cw_opener_add(opener, &output, &found, &error), -EINVAL);
	assert_non_null(strstr(error.text, "cannot be left with '..'"));
	number = add("day//./x.pcap", false, "", ".pcap");
	serve();
	handle = opened(number, "day//./x.pcap");
	assert_int_equal(ask_about(CW_OPENER_REOPEN, handle, NULL), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), 0);
	assert_true(is_there("day/x.pcap"));
	assert_int_equal(open_file(number, up), -EPERM);
	assert_int_equal(open_file(number, in_folder("day/.")), -EPERM);
}

static void what_is_in_the_way_stays(void **state)
{
	uint32_t output, handle;

	(void)state;
	start();
	output = add("x.pcap", false, "x", ".pcap");
	serve();
	make_file("victim", "precious");
	/* A link with the file's name is not followed, and not replaced. */
	handle = opened(output, "x1.pcap");
	assert_int_equal(symlink("victim", in_folder("x1.pcap")), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x1.pcap"), -EEXIST);
	assert_int_equal(message.answer.obstacle, S_IFLNK);
	expect_content("victim", "precious");
	/* Another file in the hidden file's place is not renamed, opened or removed. */
	make_file("other", "other"); /* while that exists, so that it has another inode */
	assert_int_equal(rename(in_folder("other"), in_folder(".x1.pcap.abcdef.part")), 0);
	assert_int_equal(unlink(in_folder("x1.pcap")), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x1.pcap"), -ESTALE);
	assert_int_equal(ask_about(CW_OPENER_REOPEN, handle, NULL), -ESTALE);
	assert_int_equal(open_file(output, in_folder("x1.pcap")), CW_ENTRY_TAKEN);
	assert_int_equal(ask_about(CW_OPENER_DISCARD, handle, NULL), 0);
	expect_content(".x1.pcap.abcdef.part", "other");
	/* Nor a file that has the published one's name. */
	handle = opened(output, "x2.pcap");
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x2.pcap"), 0);
	make_file("other", "other");
	assert_int_equal(rename(in_folder("other"), in_folder("x2.pcap")), 0);
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), -ESTALE);
	expect_content("x2.pcap", "other");
	/* With a name that must be new. */
	handle = opened(output, "x2.pcap");
	begin(CW_OPENER_PUBLISH);
	message.request.handle = handle;
	message.request.flags = CW_OPENER_NEW_NAME;
	cw_opener_put(&message, "x2.pcap");
	assert_int_equal(ask(), -EEXIST);
	expect_content("x2.pcap", "other");
	assert_int_equal(ask_about(CW_OPENER_DISCARD, handle, NULL), 0);
}

static void check_links_of_folders(uint32_t output)
{
	uint32_t handle = opened(output, "day/1/x.pcap");

	/* A link in the place of a folder leads nowhere, wherever it is. */
	assert_int_equal(rename(in_folder("day"), in_folder("away")), 0);
	assert_int_equal(mkdir(in_folder("elsewhere"), 0700), 0);
	assert_int_equal(mkdir(in_folder("elsewhere/1"), 0700), 0);
	make_file("elsewhere/1/x.pcap", "precious");
	assert_int_equal(symlink("elsewhere", in_folder("day")), 0);
	assert_true(ask_about(CW_OPENER_REOPEN, handle, NULL) < 0);
	assert_true(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap") < 0);
	assert_int_equal(unlink(in_folder("day")), 0);
	assert_int_equal(mkdir(in_folder("day"), 0700), 0);
	assert_int_equal(symlink("../elsewhere/1", in_folder("day/1")), 0);
	assert_true(ask_about(CW_OPENER_REOPEN, handle, NULL) < 0);
	assert_true(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap") < 0);
	assert_true(ask_about(CW_OPENER_DISCARD, handle, NULL) < 0);
	expect_content("elsewhere/1/x.pcap", "precious");
	/* The folders again: all goes on. */
	assert_int_equal(unlink(in_folder("day/1")), 0);
	assert_int_equal(rmdir(in_folder("day")), 0);
	assert_int_equal(rename(in_folder("away"), in_folder("day")), 0);
	assert_int_equal(ask_about(CW_OPENER_REOPEN, handle, NULL), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), 0);
	/* Removing it empties its folders, and no folder that a link leads to. */
	assert_int_equal(unlink(in_folder("elsewhere/1/x.pcap")), 0);
	assert_int_equal(ask_about(CW_OPENER_REMOVE, handle, NULL), 0);
	assert_false(is_there("day"));
	assert_true(is_there("elsewhere/1"));
}

static void links_of_folders_are_not_followed(void **state)
{
	uint32_t output;

	(void)state;
	start();
	output = add("day/1/x.pcap", false, "day/", ".pcap");
	serve();
	check_links_of_folders(output);
}

static void links_of_folders_are_not_followed_without_openat2(void **state)
{
	uint32_t output;

	(void)state;
	start();
	output = add("day/1/x.pcap", false, "day/", ".pcap");
	shared->has_no_openat2 = true;
	serve();
	check_links_of_folders(output);
}

static void a_fifo_without_reader_does_not_block_the_process(void **state)
{
	uint32_t output;
	int reader;

	(void)state;
	assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
	start();
	output = add("fifo", true, "fifo", "");
	serve();
	assert_int_equal(open_file(output, in_folder("fifo")), CW_ENTRY_NO_READER);
	assert_int_equal(ask_about(CW_OPENER_FREE_SPACE, 0, NULL), 0);
	reader = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(open_file(output, in_folder("fifo")), 0);
	assert_int_equal(message.answer.kind, CW_ENTRY_IN_PLACE);
	close(reader);
}

static void files_published_in_one_round_share_an_fsync(void **state)
{
	uint32_t handles[CW_OPENER_CHANNELS];
	uint32_t output;
	unsigned before;
	int status;

	(void)state;
	start();
	output = add("x.pcap", false, "x", ".pcap");
	serve();
	for (uint32_t i = 1; i < CW_OPENER_CHANNELS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u.pcap", i);
		handles[i] = opened(output, name);
	}
	before = shared->fsyncs;
	kill(child, SIGSTOP);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	for (uint32_t i = 1; i < CW_OPENER_CHANNELS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u.pcap", i);
		begin(CW_OPENER_PUBLISH);
		message.request.handle = handles[i];
		cw_opener_put(&message, name);
		send_by(i);
	}
	kill(child, SIGCONT);
	for (uint32_t i = 1; i < CW_OPENER_CHANNELS; i++) {
		assert_int_equal(receive_by(i), 0);
		assert_int_equal(message.answer.sync_failure, 0);
	}
	assert_int_equal(shared->fsyncs, before + 1);
}

/* Also while a request waits, and while an answer is not read. */
static void the_process_ends_with_the_asking_side(void **state)
{
	uint32_t output;

	start();
	output = add("x.pcap", true, "x", ".pcap");
	serve();
	for (uint32_t i = 1; i < CW_OPENER_CHANNELS; i++) {
		begin(CW_OPENER_FREE_SPACE);
		message.request.output = output;
		send_by(i);
		send_by(i);
	}
	assert_int_equal(stop(state), 0);
}

static void dropped_outputs_take_their_files_along(void **state)
{
	uint32_t outputs[2], handle;

	(void)state;
	start();
	outputs[0] = add("x.pcap", false, "x", ".pcap");
	outputs[1] = add("y.pcap", false, "y", ".pcap");
	serve();
	handle = opened(outputs[0], "x.pcap");
	begin(CW_OPENER_DROP);
	message.request.output = outputs[0];
	assert_int_equal(ask(), 0);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), -EINVAL);
	assert_int_equal(open_file(outputs[0], in_folder("x.pcap")), -EPERM);
	/* Its number may be another file's by now. */
	assert_int_equal(opened(outputs[1], "y.pcap"), handle);
	assert_int_equal(ask_about(CW_OPENER_PUBLISH, handle, "x.pcap"), -EPERM);
	assert_int_equal(ask_about(CW_OPENER_DISCARD, handle, NULL), 0);
	assert_true(is_there(".x.pcap.abcdef.part"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(messages_that_make_no_sense_are_refused, stop),
	    cmocka_unit_test_teardown(parts_of_messages_that_make_no_sense_are_refused, stop),
	    cmocka_unit_test_teardown(numbers_that_nobody_has_are_refused, stop),
	    cmocka_unit_test_teardown(a_file_is_published_under_names_of_its_output_only, stop),
	    cmocka_unit_test_teardown(folders_of_a_name_are_in_its_folder, stop),
	    cmocka_unit_test_teardown(what_is_in_the_way_stays, stop),
	    cmocka_unit_test_teardown(links_of_folders_are_not_followed, stop),
	    cmocka_unit_test_teardown(links_of_folders_are_not_followed_without_openat2, stop),
	    cmocka_unit_test_teardown(a_fifo_without_reader_does_not_block_the_process, stop),
	    cmocka_unit_test_teardown(files_published_in_one_round_share_an_fsync, stop),
	    cmocka_unit_test_teardown(the_process_ends_with_the_asking_side, stop),
	    cmocka_unit_test_teardown(dropped_outputs_take_their_files_along, stop),
	};
	int failures;

	memset(sockets, -1, sizeof(sockets));
	signal(SIGPIPE, SIG_IGN);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !mkdtemp(folder))
		return 1;
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failures;
}
