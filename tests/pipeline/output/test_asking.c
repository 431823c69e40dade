/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that another process opens: who they belong to, which names it takes, what its end does. */
#include <pthread.h>

#include "tests/pipeline/output/asking_rig.h"

#define USER 12345u /* nobody's */

static void a_file_goes_its_whole_way_through_another_process(void **state)
{
	const char *path = in_folder("a.pcap");
	struct cw_outfile *file;
	uint32_t output;
	uint64_t bytes;

	(void)state;
	start(NULL);
	output = add_here(path, true, "a", ".pcap");
	serve();
	file = file_of(output, path, false);
	write_file(file, "hello");
	assert_non_null(strstr(cw_outfile_part_path(file), "/.a.pcap."));
	assert_int_equal(access(cw_outfile_part_path(file), F_OK), 0);
	assert_int_equal(cw_outfile_evict(file), 0);
	assert_int_equal(cw_outfile_open(file, &error), 0);
	assert_int_equal(cw_outfile_free_space(file, &bytes), 0);
	assert_true(bytes > 0);
	publish(file);
	expect_content(path, "hello", geteuid());

	file = file_of(output, in_folder("a.00002.pcap"), true);
	write_file(file, "second");
	publish(file);
	expect_content(in_folder("a.00002.pcap"), "second", geteuid());

	file = file_of(output, in_folder("a.00003.pcap"), true);
	write_file(file, "gone");
	assert_int_equal(cw_outfile_discard(file, false), 0);
	cw_outfile_free(file);
	assert_int_equal(access(in_folder("a.00003.pcap"), F_OK), -1);
}

static void names_of_other_outputs_are_refused(void **state)
{
	static const char *const refused[] = {
	    "b.pcap", "a.pcap.sh", "../a.pcap", "sub/../a.pcap", "a/../b.pcap", "a/..",
	    "a.",     "apcap",     "/a.pcap",   "/etc/a.pcap",   "a/"};
	const char *path = in_folder("a.pcap");
	uint32_t output;

	(void)state;
	start(NULL);
	output = add_here(path, true, "a", ".pcap");
	serve();
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++) {
		const char *name = refused[i][0] == '/' ? refused[i] : in_folder(refused[i]);
		const struct cw_outfile_options options = {
		    .entries = &entries, .output = output, .is_later = true, .standard_output = -1};
		struct cw_outfile *file;

		if (cw_outfile_new(&file, name, &options))
			continue; /* refused at once */
		assert_int_equal(cw_outfile_open(file, &error), -EPERM);
		assert_non_null(strstr(error.text, "not a name of this output"));
		cw_outfile_free(file);
	}
	/* An output that does not exist. */
	{
		struct cw_outfile *file = file_of(output + 1, path, true);

		assert_int_equal(cw_outfile_open(file, &error), -EPERM);
		cw_outfile_free(file);
	}
	assert_int_equal(access(path, F_OK), -1);
}

static void names_lead_into_the_folder_that_was_opened(void **state)
{
	const char *path = in_folder("moved/x.pcap");
	struct cw_outfile *file;
	uint32_t output;

	(void)state;
	assert_int_equal(mkdir(in_folder("moved"), 0700), 0);
	start(NULL);
	output = add_here(path, false, "x", ".pcap");
	serve();
	assert_int_equal(rename(in_folder("moved"), in_folder("away")), 0);
	assert_int_equal(mkdir(in_folder("moved"), 0700), 0);
	file = file_of(output, path, true);
	write_file(file, "follows");
	publish(file);
	expect_content(in_folder("away/x.pcap"), "follows", geteuid());
	assert_int_equal(access(in_folder("moved/x.pcap"), F_OK), -1);
}

static void links_of_folders_do_not_lead_out(void **state)
{
	const char *path = in_folder("d/x.pcap");
	struct cw_outfile *file;
	uint32_t output;

	(void)state;
	assert_int_equal(mkdir(in_folder("d"), 0700), 0);
	assert_int_equal(mkdir(in_folder("elsewhere"), 0700), 0);
	assert_int_equal(symlink("../elsewhere", in_folder("d/today")), 0);
	start(NULL);
	output = add_here(path, false, "", ".pcap");
	serve();
	file = file_of(output, in_folder("d/today/x.pcap"), true);
	assert_int_equal(cw_outfile_open(file, &error), -EXDEV);
	assert_non_null(strstr(error.text, "leads out of the folder"));
	cw_outfile_free(file);
}

static void a_fixed_name_is_written_where_its_link_led_at_the_start(void **state)
{
	const char *path = in_folder("l.pcap");
	struct cw_outfile *file;
	uint32_t output;

	(void)state;
	assert_int_equal(mkdir(in_folder("store"), 0700), 0);
	assert_int_equal(symlink("store/real.pcap", path), 0);
	start(NULL);
	output = add_here(path, true, "l", ".pcap");
	serve();
	file = file_of(output, path, false);
	write_file(file, "linked");
	publish(file);
	expect_content(in_folder("store/real.pcap"), "linked", geteuid());
}

static void a_stream_is_opened_in_place(void **state)
{
	const char *path = in_folder("fifo");
	struct cw_outfile *file;
	uint32_t output;
	char buffer[8] = "";
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	start(NULL);
	output = add_here(path, true, "fifo", "");
	serve();
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	file = file_of(output, path, false);
	write_file(file, "stream");
	assert_false(cw_outfile_is_seekable(file));
	publish(file);
	assert_int_equal(read(reader, buffer, sizeof(buffer)), 6);
	close(reader);
}

/* Files belong to the owner where that user can write, else to root. */
static void files_belong_to_whom_the_folder_lets_write(void **state)
{
	const struct cw_opener_owner owner = {.user = USER, .group = USER};
	const char *theirs = in_folder("theirs/x.pcap"), *roots = in_folder("roots/x.pcap");
	const char *all = in_folder("all/x.pcap");
	uint32_t outputs[3];
	struct cw_outfile *file;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(mkdir(in_folder("theirs"), 0700), 0);
	assert_int_equal(chown(in_folder("theirs"), USER, USER), 0);
	assert_int_equal(mkdir(in_folder("roots"), 0755), 0);
	assert_int_equal(mkdir(in_folder("all"), 0777), 0);
	assert_int_equal(chmod(in_folder("all"), 01777), 0);
	start(&owner);
	outputs[0] = add_here(theirs, false, "x", ".pcap");
	outputs[1] = add_here(roots, false, "x", ".pcap");
	outputs[2] = add_here(all, false, "x", ".pcap");
	serve();
	file = file_of(outputs[1], roots, true);
	write_file(file, "root");
	publish(file);
	file = file_of(outputs[0], theirs, true);
	write_file(file, "user");
	publish(file);
	file = file_of(outputs[2], all, true);
	write_file(file, "all");
	publish(file);
	expect_content(roots, "root", 0);
	expect_content(theirs, "user", USER);
	expect_content(all, "all", USER);
}

static void expect_access(const char *path, mode_t mode, gid_t group)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, mode);
	assert_int_equal(status.st_gid, group);
}

/* Also a group that the owner is not in; a later output has one of the start's. */
static void modes_and_the_group_are_those_of_the_output(void **state)
{
	const struct cw_opener_owner owner = {.user = USER, .group = USER};
	const bool is_root = geteuid() == 0;
	const gid_t group = is_root ? USER + 1 : getegid();
	const char *path = in_folder("given/made/x.pcap");
	struct cw_opener_output output = {
	    .path = path,
	    .fixed_bytes = strlen(path) - strlen("made/x.pcap"),
	    .prefix = "",
	    .suffix = ".pcap",
	    .access = {.file_mode = 0640, .folder_mode = 0750, .group = group, .has_group = true}};
	struct cw_opener_found found;
	struct cw_outfile *file;

	(void)state;
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(mkdir(in_folder("given"), 0700), 0);
	if (is_root)
		assert_int_equal(chown(in_folder("given"), USER, USER), 0);
	start(is_root ? &owner : NULL);
	set_rules();
	assert_int_equal(cw_opener_add(opener, &output, &found, &error), 0);
	serve();
	file = file_of(found.number, path, true);
	write_file(file, "given");
	publish(file);
	expect_access(path, 0640, group);
	expect_access(in_folder("given/made"), 0750, group);

	output.access.file_mode = 0604;
	if (cw_asking_add(asking, &output, &found, &error))
		fail_msg("%s", error.text);
	path = in_folder("given/y.pcap");
	file = file_of(found.number, path, true);
	write_file(file, "later");
	publish(file);
	expect_access(path, 0604, group);

	output.access.group = group + 1;
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EPERM);
	output.access.group = group;
	output.access.file_mode = 04640;
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EINVAL);
}

/* What a process that was taken over would like to write: a user's own settings. */
static void a_later_output_is_not_hidden(void **state)
{
	static const struct {
		const char *name, *prefix;
	} wanted[] = {
	    {".profile", ".profile"}, {".ssh/keys", "keys"}, {"a/.b", "a/.b"}, {"link", "link"}};
	const char *path = in_folder("x.pcap"), *hidden;
	struct cw_opener_output output = {.suffix = ""};
	struct cw_opener_found found;
	struct cw_outfile *file;

	(void)state;
	mkdir(in_folder(".ssh"), 0700);
	assert_int_equal(symlink(".profile", in_folder("link")), 0);
	start(NULL);
	add_here(path, false, ".x", "");
	set_rules();
	serve();
	for (size_t i = 0; i < CW_ARRAY_COUNT(wanted); i++) {
		path = in_folder(wanted[i].name);
		output.path = path;
		output.prefix = wanted[i].prefix;
		output.fixed_bytes = strlen(path) - strlen(wanted[i].prefix);
		output.is_fixed = !strcmp(wanted[i].name, "link");
		assert_int_not_equal(cw_asking_add(asking, &output, &found, &error), 0);
	}
	output.path = in_folder("y");
	output.prefix = "";
	output.is_fixed = false;
	output.fixed_bytes = strlen(output.path) - 1;
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), 0);
	hidden = in_folder(".profile");
	file = file_of(found.number, hidden, true);
	assert_int_equal(cw_outfile_open(file, &error), -EPERM);
	cw_outfile_free(file);
	assert_int_equal(access(hidden, F_OK), -1);
}

static void without_rules_no_output_is_added(void **state)
{
	const char *path = in_folder("x.pcap");
	const struct cw_opener_output output = {
	    .path = path, .fixed_bytes = strlen(path) - 6, .prefix = "x", .suffix = ".pcap"};
	struct cw_opener_found found;

	(void)state;
	start(NULL);
	add_here(path, false, "x", ".pcap");
	serve();
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EPERM);
}

static void a_later_output_must_be_in_a_folder_of_the_start(void **state)
{
	const char *path = in_folder("in/x.pcap");
	const char *below = in_folder("in/below/y.pcap"), *outside = in_folder("out/y.pcap");
	struct cw_opener_output output = {.prefix = "y", .suffix = ".pcap", .sync = true};
	struct cw_opener_found found;
	struct cw_outfile *file;

	(void)state;
	assert_int_equal(mkdir(in_folder("in"), 0700), 0);
	assert_int_equal(mkdir(in_folder("in/below"), 0700), 0);
	assert_int_equal(mkdir(in_folder("out"), 0700), 0);
	start(NULL);
	add_here(path, false, "x", ".pcap");
	set_rules();
	serve();
	output.path = outside;
	output.fixed_bytes = strlen(outside) - strlen("y.pcap");
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EXDEV);
	assert_non_null(strstr(error.text, "--allow-folder"));
	output.path = below;
	output.fixed_bytes = strlen(below) - strlen("y.pcap");
	if (cw_asking_add(asking, &output, &found, &error))
		fail_msg("%s", error.text);
	file = file_of(found.number, below, true);
	write_file(file, "below");
	publish(file);
	expect_content(below, "below", geteuid());
	file = file_of(found.number, in_folder("in/below/y2.pcap"), true);
	write_file(file, "left");
	assert_int_equal(cw_asking_drop(asking, found.number, CW_OPENER_NO_HEIR), 0);
	assert_int_equal(cw_asking_drop(asking, found.number, CW_OPENER_NO_HEIR), -EINVAL);
	assert_int_equal(cw_outfile_publish(file, &error), -EINVAL);
	assert_int_equal(access(cw_outfile_part_path(file), F_OK), 0);
	cw_outfile_free(file);
}

/* ---- threads ---- */

struct writer {
	pthread_t thread;
	uint32_t output;
	unsigned number;
	int result;
};

static void *write_many(void *argument)
{
	struct writer *writer = argument;

	for (unsigned i = 0; i < 50 && writer->result == 0; i++) {
		char name[64], path[512];
		struct cw_error reason = {0};
		struct cw_outfile *file;

		snprintf(name, sizeof(name), "t%u-%u.pcap", writer->number, i);
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		file = file_of(writer->output, path, true);
		writer->result = cw_outfile_open(file, &reason);
		if (writer->result == 0)
			writer->result = cw_outfile_publish(file, &reason);
		if (writer->result == 0)
			writer->result = access(path, F_OK) ? -errno : 0;
		cw_outfile_free(file);
	}
	return NULL;
}

static void more_threads_than_sockets_all_get_their_answers(void **state)
{
	struct writer writers[2 * CW_OPENER_CHANNELS] = {0};
	uint32_t output;

	(void)state;
	start(NULL);
	output = add_here(in_folder("t.pcap"), false, "t", ".pcap");
	serve();
	for (unsigned i = 0; i < CW_ARRAY_COUNT(writers); i++) {
		writers[i].output = output;
		writers[i].number = i;
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]),
				 0);
	}
	for (unsigned i = 0; i < CW_ARRAY_COUNT(writers); i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].result, 0);
	}
}

static void the_end_of_the_other_process_is_an_error_at_once(void **state)
{
	const char *path = in_folder("end.pcap");
	struct cw_outfile *file;
	uint32_t output;
	int status;

	(void)state;
	start(NULL);
	output = add_here(path, true, "end", ".pcap");
	serve();
	file = file_of(output, path, false);
	write_file(file, "kept");
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	child = 0;
	assert_int_equal(cw_outfile_publish(file, &error), -ESRCH);
	assert_non_null(strstr(error.text, "the process that opens files has ended"));
	assert_non_null(strstr(error.text, cw_outfile_part_path(file)));
	assert_int_equal(access(cw_outfile_part_path(file), F_OK), 0);
	cw_outfile_free(file);
	file = file_of(output, in_folder("end.2.pcap"), true);
	assert_int_equal(cw_outfile_open(file, &error), -ESRCH);
	assert_non_null(strstr(error.text, ": the process that opens files has ended"));
	cw_outfile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_file_goes_its_whole_way_through_another_process, stop),
	    cmocka_unit_test_teardown(names_of_other_outputs_are_refused, stop),
	    cmocka_unit_test_teardown(names_lead_into_the_folder_that_was_opened, stop),
	    cmocka_unit_test_teardown(links_of_folders_do_not_lead_out, stop),
	    cmocka_unit_test_teardown(a_fixed_name_is_written_where_its_link_led_at_the_start,
				      stop),
	    cmocka_unit_test_teardown(a_stream_is_opened_in_place, stop),
	    cmocka_unit_test_teardown(files_belong_to_whom_the_folder_lets_write, stop),
	    cmocka_unit_test_teardown(modes_and_the_group_are_those_of_the_output, stop),
	    cmocka_unit_test_teardown(a_later_output_must_be_in_a_folder_of_the_start, stop),
	    cmocka_unit_test_teardown(a_later_output_is_not_hidden, stop),
	    cmocka_unit_test_teardown(without_rules_no_output_is_added, stop),
	    cmocka_unit_test_teardown(more_threads_than_sockets_all_get_their_answers, stop),
	    cmocka_unit_test_teardown(the_end_of_the_other_process_is_an_error_at_once, stop),
	};

	return run_in_folder(tests, CW_ARRAY_COUNT(tests));
}
