/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of the test's own, and another process that opens the files in it. */
#ifndef CW_TESTS_PIPELINE_OUTPUT_ASKING_RIG_H
#define CW_TESTS_PIPELINE_OUTPUT_ASKING_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/output/opener_serve.h"
#include "pipeline/output/asking.h"

static char folder[] = "/tmp/capweir-asking-XXXXXX";
static struct cw_opener *opener;
static struct cw_asking *asking;
static struct cw_entries entries;
static struct cw_error error;
static pid_t child;

static inline const char *in_folder(const char *name)
{
	static char paths[8][512];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void start(const struct cw_opener_owner *owner)
{
	assert_int_equal(cw_opener_new(&opener, owner), 0);
}

static inline uint32_t add_ring(const char *path, bool is_fixed, const char *prefix,
				const char *suffix, const char *ring)
{
	const char *slash = strrchr(path, '/');
	const struct cw_opener_output output = {.path = path,
						.fixed_bytes = (size_t)(slash - path) + 1,
						.prefix = prefix,
						.suffix = suffix,
						.ring = ring,
						.is_fixed = is_fixed,
						.sync = true};
	struct cw_opener_found found;

	if (cw_opener_add(opener, &output, &found, &error))
		fail_msg("%s", error.text);
	return found.number;
}

static inline uint32_t add_here(const char *path, bool is_fixed, const char *prefix,
				const char *suffix)
{
	return add_ring(path, is_fixed, prefix, suffix, "");
}

/* Rules that can be read again: only then outputs are added later. */
static inline void set_rules(void)
{
	const char *path = in_folder("rules.yaml");

	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	if (cw_opener_set_rules(opener, path, &error))
		fail_msg("%s", error.text);
}

/* From now on another process has the table. */
static inline void serve(void)
{
	int here[CW_OPENER_CHANNELS], there[CW_OPENER_CHANNELS];

	cw_opener_close_list(opener);
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		here[i] = pair[0];
		there[i] = pair[1];
	}
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
			close(here[i]);
		_exit(cw_opener_serve(opener, there, CW_OPENER_CHANNELS) != 0);
	}
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
		close(there[i]);
	cw_opener_free(opener);
	opener = NULL;
	assert_int_equal(cw_asking_new(&asking, here, CW_OPENER_CHANNELS), 0);
	entries = cw_asking_entries(asking);
}

static inline int stop(void **state)
{
	int status = 0;

	(void)state;
	cw_asking_free(asking);
	asking = NULL;
	if (child > 0) {
		waitpid(child, &status, 0);
		child = 0;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static inline struct cw_outfile *file_of(uint32_t output, const char *path, bool is_later)
{
	const struct cw_outfile_options options = {.entries = &entries,
						   .output = output,
						   .is_later = is_later,
						   .makes_folders = true,
						   .fixed_bytes = strlen(folder) + 1,
						   .is_removable = true,
						   .sync = true,
						   .standard_output = -1};
	struct cw_outfile *file;

	assert_int_equal(cw_outfile_new(&file, path, &options), 0);
	return file;
}

static inline void write_file(struct cw_outfile *file, const char *text)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
	int failure = 0;

	if (cw_outfile_open(file, &error))
		fail_msg("%s", error.text);
	assert_int_equal(cw_outfile_write(file, &vector, 1, 0, &failure), strlen(text));
}

static inline void publish(struct cw_outfile *file)
{
	if (cw_outfile_publish(file, &error))
		fail_msg("%s", error.text);
	cw_outfile_free(file);
}

static inline void expect_content(const char *path, const char *text, uid_t owner)
{
	char buffer[64] = "";
	struct stat status;
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	assert_int_equal(fread(buffer, 1, sizeof(buffer) - 1, stream), strlen(text));
	assert_int_equal(fstat(fileno(stream), &status), 0);
	fclose(stream);
	assert_string_equal(buffer, text);
	assert_int_equal(status.st_uid, owner);
	assert_int_equal(status.st_mode & 07777, 0600);
}

/* Runs the tests in a folder of their own. Returns the test program's status. */
static inline int run_in_folder(const struct CMUnitTest *tests, size_t count)
{
	char command[128];
	int failures;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return 1;
	failures = _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) ? 1 : failures;
}

#endif
