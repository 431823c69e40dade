/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that compiles filters: its start, its descriptors and its privileges. */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/core/filter/text/compiler_rig.h"

/* ---- helpers ---- */

static uint32_t count_descriptors(pid_t pid)
{
	char path[64];
	DIR *directory;
	uint32_t count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2; /* . and .. */
}

/* ---- processes and descriptors ---- */

static void no_process_is_an_error(void **state)
{
	static const struct cw_filter_compiler_options defaults;
	struct cw_filter_compiler *compiler = NULL;
	uint32_t descriptors = count_descriptors(getpid());
	struct cw_error error = {0};
	int process;

	(void)state;
	for (forks_left = 0; forks_left < 2; forks_left++) { /* the helper, then the worker */
		int before = forks_left;

		assert_int_equal(cw_filter_compiler_start(&compiler, &defaults, &error), -EAGAIN);
		assert_null(compiler);
		assert_contains(error.text, "cannot start a process that compiles filters");
		assert_no_children();
		assert_int_equal(count_descriptors(getpid()), descriptors);
		forks_left = before;
	}
	forks_left = 2; /* none after the first worker */
	compiler = start(NULL);
	process = open_process(worker_of(compiler));
	assert_works(compiler, "udp");
	kill(worker_of(compiler), SIGKILL);
	assert_ends(process);
	assert_int_equal(compile_with(compiler, "tcp port 80", &error), -EIO);
	assert_contains(error.text, "restart capweir: Resource temporarily unavailable");
	forks_left = -1;
	cw_filter_compiler_free(compiler);
	assert_no_children();
}

static int give_up_privileges(void *context)
{
	int *result = context;

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : *result;
}

static bool has_new_privileges(pid_t pid)
{
	char path[64], line[256];
	int gave_up = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (gave_up < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "NoNewPrivs: %d", &gave_up);
	fclose(file);
	assert_true(gave_up >= 0);
	return !gave_up;
}

static void helper_gives_up_what_it_is_told_to(void **state)
{
	int result = 0, worker;
	const struct cw_filter_compiler_options options = {.on_start = give_up_privileges,
							   .context = &result};
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	(void)state;
	compiler = start(&options);
	assert_works(compiler, "tcp port 80");
	assert_false(has_new_privileges(cw_filter_compiler_pid(compiler)));
	assert_false(has_new_privileges(worker_of(compiler)));
	worker = open_process(worker_of(compiler));
	kill(worker_of(compiler), SIGKILL); /* the next one has no more than the first */
	assert_ends(worker);
	assert_works(compiler, "tcp port 81");
	assert_false(has_new_privileges(worker_of(compiler)));
	cw_filter_compiler_free(compiler);
	assert_no_children();
	assert_true(has_new_privileges(getpid()));
	/* And is nothing at all where it could not. */
	result = -EACCES;
	assert_int_equal(cw_filter_compiler_start(&compiler, &options, &error), -EACCES);
	assert_contains(error.text,
			"cannot start a process that compiles filters: Permission denied");
	assert_no_children();
}

static void no_descriptor_leaks_either_way(void **state)
{
	uint32_t before = count_descriptors(getpid());
	struct cw_filter_compiler *compiler;
	char *expression = or_hosts(1000);
	int kept[2], i;

	(void)state;
	assert_int_equal(pipe(kept), 0); /* not close-on-exec */
	compiler = start(&(struct cw_filter_compiler_options){.time_ms = 50});
	for (i = 0; i < 3; i++) {
		assert_int_equal(compile_with(compiler, expression, NULL), -ETIMEDOUT);
		assert_works(compiler, "tcp port 80");
	}
	assert_works(compiler, "tcp port 81");
	assert_int_equal(count_descriptors(getpid()), before + 3);
	/* Three standard ones, and the sockets. */
	assert_true(worker_of(compiler) > 0);
	assert_int_equal(count_descriptors(cw_filter_compiler_pid(compiler)), 5);
	assert_int_equal(count_descriptors(worker_of(compiler)), 4);
	cw_filter_compiler_free(compiler);
	close(kept[0]);
	close(kept[1]);
	assert_int_equal(count_descriptors(getpid()), before);
	assert_no_children();
	free(expression);
}

static void closed_standard_streams_are_no_matter(void **state)
{
	int status;
	pid_t user = fork();

	(void)state;
	assert_true(user >= 0);
	if (user == 0) {
		static const struct cw_filter_compiler_options defaults;
		struct cw_filter_compiler *compiler;
		int failures;

		close(0);
		close(1);
		close(2);
		if (cw_filter_compiler_start(&compiler, &defaults, NULL))
			_exit(1);
		failures =
		    fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
		failures += compile_with(compiler, "tcp port http", NULL) != 0;
		cw_filter_compiler_free(compiler);
		_exit(failures);
	}
	assert_int_equal(waitpid(user, &status, 0), user);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_process_is_an_error),
	    cmocka_unit_test(helper_gives_up_what_it_is_told_to),
	    cmocka_unit_test(no_descriptor_leaks_either_way),
	    cmocka_unit_test(closed_standard_streams_are_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
