/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process that was taken over may not get from the one that opens files. */
#include <sys/prctl.h>

#include "tests/pipeline/output/asking_rig.h"

/* Asks for an output whose name in its folder are the last `base_bytes` of the path. */
static int add_later(const char *path, size_t base_bytes, bool is_fixed, uint32_t *number)
{
	const struct cw_opener_output output = {
	    .path = path,
	    .fixed_bytes = strlen(path) - base_bytes,
	    .prefix = is_fixed ? path + strlen(path) - base_bytes : "",
	    .suffix = "",
	    .is_fixed = is_fixed};
	struct cw_opener_found found = {0};
	int result = cw_asking_add(asking, &output, &found, &error);

	*number = found.number;
	return result;
}

static void make_file(const char *name, const char *text)
{
	int fd = open(in_folder(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_later_output_opens_no_further_device(void **state)
{
	uint32_t number;

	(void)state;
	start(NULL);
	set_rules();
	add_here("/dev/null", true, "null", "");
	serve();
	assert_int_equal(add_later("/dev/null", strlen("null"), true, &number), 0);
	assert_int_equal(add_later("/dev/zero", strlen("zero"), true, &number), -EPERM);
	assert_non_null(strstr(error.text, "/dev/zero is a device file"));
}

static void a_later_output_replaces_captures_only(void **state)
{
	static const char capture[] = "\xd4\xc3\xb2\xa1";
	struct cw_outfile *file;
	uint32_t number;

	(void)state;
	make_file("Makefile", "all:");
	make_file("old.pcap", capture);
	start(NULL);
	set_rules();
	add_here(in_folder("x.pcap"), false, "x", ".pcap");
	serve();
	assert_int_equal(add_later(in_folder("Makefile"), strlen("Makefile"), true, &number),
			 -EEXIST);
	assert_non_null(strstr(error.text, "is not a capture file"));
	assert_int_equal(add_later(in_folder("y"), 1, false, &number), 0);
	file = file_of(number, in_folder("Makefile"), true);
	write_file(file, "taken");
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	cw_outfile_free(file);
	expect_content(in_folder("Makefile"), "all:", geteuid());
	file = file_of(number, in_folder("old.pcap"), true);
	write_file(file, "new");
	publish(file);
	expect_content(in_folder("old.pcap"), "new", geteuid());
}

static void names_that_begin_with_a_field_are_not_hidden(void **state)
{
	struct cw_outfile *file;
	uint32_t number;

	(void)state;
	start(NULL);
	number = add_here(in_folder("x"), false, "", "");
	serve();
	file = file_of(number, in_folder(".profile"), true);
	assert_int_equal(cw_outfile_open(file, &error), -EPERM);
	cw_outfile_free(file);
	file = file_of(number, in_folder("lo"), true);
	write_file(file, "lo");
	publish(file);
}

static void links_of_processes_lead_to_no_hidden_folder(void **state)
{
	char path[64];
	uint32_t number;
	int ready[2];
	char byte;
	pid_t other;

	(void)state;
	assert_int_equal(mkdir(in_folder(".keys"), 0700), 0);
	assert_int_equal(pipe(ready), 0);
	other = fork();
	assert_true(other >= 0);
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not end it */
		if (chdir(in_folder(".keys")) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	start(NULL);
	set_rules();
	add_here(in_folder("x.pcap"), false, "x", ".pcap");
	serve();
	snprintf(path, sizeof(path), "/proc/%d/cwd/y", (int)other);
	assert_int_equal(add_later(path, 1, false, &number), -EXDEV);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_later_output_opens_no_further_device, stop),
	    cmocka_unit_test_teardown(a_later_output_replaces_captures_only, stop),
	    cmocka_unit_test_teardown(names_that_begin_with_a_field_are_not_hidden, stop),
	    cmocka_unit_test_teardown(links_of_processes_lead_to_no_hidden_folder, stop),
	};

	return run_in_folder(tests, CW_ARRAY_COUNT(tests));
}
