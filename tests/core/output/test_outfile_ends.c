/* SPDX-License-Identifier: BSD-3-Clause */
/* Output files: evicted and reopened, published, discarded; failures that only a broken disk gives.
 */
#include <limits.h>

#include "tests/core/output/outfile_rig.h"

static void fail_next(const char *call, int code)
{
	fail_call = call;
	fail_errno = code;
	fail_skip = 0;
}

/* ---- Evict, publish, discard ---- */

static void an_evicted_file_is_reopened_and_goes_on(void **state)
{
	struct cw_outfile_options options = plain;

	(void)state;
	for (int sync = 0; sync < 2; sync++) {
		struct cw_outfile *file;

		options.sync = sync;
		file = open_file(in_folder("evicted"), options);
		put_all(file, "one ", 0);
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_false(cw_outfile_is_open(file));
		assert_true(cw_outfile_is_seekable(file));
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_int_equal(cw_outfile_open(file, &error), 0);
		put_all(file, "two", 4);
		assert_int_equal(cw_outfile_evict(file), 0);
		assert_int_equal(cw_outfile_publish(file, &error), 0); /* also while evicted */
		expect_content(in_folder("evicted"), "one two");
		cw_outfile_free(file);
	}
}

static void a_part_file_that_was_replaced_is_stale(void **state)
{
	struct cw_outfile *file = open_file(in_folder("stale"), plain);
	char part[512];

	(void)state;
	strcpy(part, cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_evict(file), 0);
	unlink(part);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	assert_non_null(strstr(error.text, "replaced or removed"));
	make_file(part, "another"); /* may even reuse the inode number: keep the first */
	make_file(in_folder("other"), "not ours");
	assert_int_equal(rename(in_folder("other"), part), 0);
	unlink(part);
	assert_int_equal(symlink("/etc/hostname", part), 0);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	assert_int_equal(cw_outfile_publish(file, &error), -ESTALE);
	cw_outfile_discard(file, false);
	assert_true(exists(part)); /* not ours to remove */
	cw_outfile_free(file);
	assert_false(exists(in_folder("stale")));
}

static void no_clobber_refuses_and_keeps_both(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.no_clobber = true;
	file = open_file(in_folder("fresh"), options);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	expect_content(in_folder("fresh"), "");

	make_file(in_folder("taken"), "theirs");
	file = open_file(in_folder("taken"), options);
	put_all(file, "ours", 0);
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	assert_non_null(strstr(error.text, cw_outfile_part_path(file)));
	expect_content(in_folder("taken"), "theirs");
	expect_content(cw_outfile_part_path(file), "ours");
	unlink(in_folder("taken"));
	assert_int_equal(cw_outfile_publish(file, &error), 0); /* a second try */
	expect_content(in_folder("taken"), "ours");
	cw_outfile_free(file);
}

static void a_published_file_is_removed_and_no_other(void **state)
{
	const char *path = in_folder("ring.pcap");
	struct cw_outfile *file = open_file(path, plain);
	uint64_t free_bytes;

	(void)state;
	put_all(file, "ours", 0);
	assert_int_equal(cw_outfile_free_space(file, &free_bytes), 0);
	assert_true(free_bytes > 0);
	assert_int_equal(cw_outfile_remove(file, &error), -EBADF); /* not complete yet */
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_int_equal(cw_outfile_remove(file, &error), 0);
	assert_false(exists(path));
	assert_int_equal(cw_outfile_remove(file, &error), 0); /* gone is gone */
	make_file(path, "theirs");
	assert_int_equal(cw_outfile_remove(file, &error), -ESTALE);
	assert_non_null(strstr(error.text, "was replaced"));
	expect_content(path, "theirs");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(cw_outfile_remove(file, &error), -ESTALE);
	assert_int_equal(rmdir(path), 0);
	cw_outfile_free(file);
	file = open_file("/dev/null", plain);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_int_equal(cw_outfile_remove(file, &error), -EBADF);
	cw_outfile_free(file);
}

static void folders_are_made_and_removed_once_empty(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *files[2];
	struct stat status;
	char path[2][512];
	mode_t before;

	(void)state;
	options.makes_folders = true;
	options.fixed_bytes = strlen(folder) + 1;
	strcpy(path[0], in_folder("2023/11/a"));
	strcpy(path[1], in_folder("2023/b"));
	files[0] = new_file(path[0], options);
	uint64_t free_bytes = 0;
	assert_int_equal(cw_outfile_free_space(files[0], &free_bytes), 0);
	assert_true(free_bytes > 0);
	before = umask(0);
	for (int i = 0; i < 2; i++) {
		if (i)
			files[i] = new_file(path[i], options);
		assert_int_equal(cw_outfile_open(files[i], &error), 0);
		assert_int_equal(cw_outfile_publish(files[i], &error), 0);
	}
	umask(before);
	assert_int_equal(stat(in_folder("2023"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(cw_outfile_remove(files[0], &error), 0);
	assert_false(exists(in_folder("2023/11")));
	assert_true(exists(path[1]));
	assert_int_equal(cw_outfile_remove(files[1], &error), 0);
	assert_false(exists(in_folder("2023")));
	assert_true(exists(folder)); /* empty perhaps, but not made */
	for (int i = 0; i < 2; i++)
		cw_outfile_free(files[i]);
}

static void folders_behind_links_are_made_and_kept(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.makes_folders = true;
	options.fixed_bytes = strlen(folder) + 1;
	assert_int_equal(mkdir(in_folder("there"), 0700), 0);
	assert_int_equal(symlink("there", in_folder("day")), 0);
	assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
	file = open_file(in_folder("day/x/a"), options);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_true(exists(in_folder("there/x/a")));
	assert_int_equal(cw_outfile_remove(file, &error), 0);
	assert_true(exists(in_folder("there/x")));
	cw_outfile_free(file);
	file = new_file(in_folder("dangling/a"), options); /* the link names no folder to make */
	assert_int_equal(cw_outfile_open(file, &error), -ENOENT);
	cw_outfile_free(file);
	options.fixed_bytes = strlen(in_folder("fixed/"));
	file = new_file(in_folder("fixed/new/a"), options);
	assert_int_equal(cw_outfile_open(file, &error), -ENOENT);
	assert_false(exists(in_folder("fixed")));
	cw_outfile_free(file);
}

static void publishing_into_a_removed_folder_fails(void **state)
{
	struct cw_outfile *file;

	(void)state;
	assert_int_equal(mkdir(in_folder("gone"), 0700), 0);
	file = open_file(in_folder("gone/a.pcap"), plain);
	unlink(cw_outfile_part_path(file));
	assert_int_equal(rmdir(in_folder("gone")), 0);
	assert_int_equal(cw_outfile_publish(file, &error), -ENOENT);
	assert_non_null(strstr(error.text, "cannot open the folder of"));
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void publishing_replaces_regular_files_of_the_same_owner_only(void **state)
{
	const char *path = in_folder("appeared");
	struct cw_outfile *file = open_file(path, plain);

	(void)state;
	put_all(file, "data", 0);
	assert_int_equal(symlink("elsewhere", path), 0); /* since the file was opened */
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	unlink(path);
	make_file(path, "protected");
	chmod(path, 0400);
	assert_int_equal(cw_outfile_publish(file, &error), -EACCES);
	expect_content(path, "protected");
	expect_content(cw_outfile_part_path(file), "data");
	if (geteuid() == 0 && !chown(path, 1000, 1000)) {
		chmod(path, 0600);
		assert_int_equal(cw_outfile_publish(file, &error), -EPERM);
	}
	unlink(path);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(path, "data");
	cw_outfile_free(file);
}

static void publishing_over_a_folder_fails_and_keeps_the_data(void **state)
{
	struct cw_outfile *file = open_file(in_folder("late"), plain);

	(void)state;
	put_all(file, "data", 0);
	assert_int_equal(mkdir(in_folder("late"), 0700), 0);
	assert_int_equal(cw_outfile_publish(file, &error), -EISDIR);
	assert_non_null(strstr(error.text, "; the data is in "));
	expect_content(cw_outfile_part_path(file), "data");
	cw_outfile_free(file);
}

static void discard_removes_or_keeps_the_part(void **state)
{
	char part[512];

	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		struct cw_outfile *file = open_file(in_folder("discarded"), plain);

		strcpy(part, cw_outfile_part_path(file));
		cw_outfile_discard(file, keep);
		assert_false(cw_outfile_is_open(file));
		assert_int_equal(exists(part), keep);
		cw_outfile_free(file);
	}
	assert_false(exists(in_folder("discarded")));
}

static void a_relative_name_lies_in_the_current_folder(void **state)
{
	struct cw_outfile *file;
	char before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	file = open_file("relative.pcap", plain);
	assert_int_equal(cw_outfile_part_path(file)[0], '.');
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	cw_outfile_free(file);
	assert_int_equal(chdir(before), 0);
	assert_true(exists(in_folder("relative.pcap")));
}

/* ---- Failures that only a broken disk gives ---- */

static void memory_that_is_missing_is_an_error(void **state)
{
	static const char *const calls[] = {"calloc", "strdup"};
	static const char *const open_calls[] = {"malloc", "strdup"};
	struct cw_outfile *file;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		fail_next(calls[i], ENOMEM);
		assert_int_equal(cw_outfile_new(&file, "a", &plain), -ENOMEM);
		assert_null(file);
	}
	file = new_file(in_folder("memory"), plain);
	for (size_t i = 0; i < CW_ARRAY_COUNT(open_calls); i++) {
		fail_next(open_calls[i], ENOMEM);
		assert_int_equal(cw_outfile_open(file, &error), -ENOMEM);
		assert_null(cw_outfile_part_path(file));
	}
	assert_int_equal(cw_outfile_open(file, &error), 0);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void a_failure_while_creating_leaves_no_part(void **state)
{
	struct cw_outfile *file = new_file(in_folder("broken"), plain);

	(void)state;
	fail_next("getrandom", EAGAIN);
	assert_int_equal(cw_outfile_open(file, &error), -EIO);
	fail_next("fstat", EIO);
	assert_int_equal(cw_outfile_open(file, &error), -EIO);
	assert_false(cw_outfile_is_open(file));
	assert_null(cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_open(file, &error), 0);
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
	file = new_file("/dev/null", plain);
	fail_next("fstat", EIO);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE);
	cw_outfile_free(file);
}

static void interrupted_calls_go_on_and_others_fail(void **state)
{
	struct cw_outfile *file = open_file(in_folder("eintr"), plain);
	char buffer[8] = "";
	int failure;

	(void)state;
	fail_next("pwritev", EINTR);
	put_all(file, "data", 0);
	fail_next("pwritev", 0);
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EIO); /* no progress */
	fail_next("pwritev", EDQUOT);
	assert_int_equal(put(file, "x", 0, &failure), 0);
	assert_int_equal(failure, -EDQUOT);
	fail_next("pread", EINTR);
	assert_int_equal(cw_outfile_read(file, buffer, 4, 0), 4);
	assert_string_equal(buffer, "data");
	fail_next("pread", EIO);
	assert_int_equal(cw_outfile_read(file, buffer, 4, 0), -EIO);
	fail_next("ftruncate", EINTR);
	assert_int_equal(cw_outfile_cut(file, 2), 0);
	fail_next("ftruncate", EIO);
	assert_int_equal(cw_outfile_cut(file, 1), -EIO);
	fail_next("close", EINTR); /* on Linux it is closed */
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder("eintr"), "da");
	cw_outfile_free(file);
}

static void data_lost_by_sync_or_close_is_never_published(void **state)
{
	static const char *const calls[] = {"fdatasync", "close"};
	struct cw_outfile_options options = plain;

	(void)state;
	options.sync = true;
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		for (int evict = 0; evict < 2; evict++) {
			struct cw_outfile *file = open_file(in_folder("lost"), options);

			fail_next(calls[i], EIO);
			if (evict)
				assert_int_equal(cw_outfile_evict(file), -EIO);
			assert_int_equal(cw_outfile_publish(file, &error), -EIO);
			assert_non_null(strstr(error.text, "cannot finish writing"));
			assert_int_equal(cw_outfile_publish(file, &error), -EIO); /* for ever */
			assert_false(exists(in_folder("lost")));
			assert_true(exists(cw_outfile_part_path(file)));
			cw_outfile_discard(file, false);
			cw_outfile_free(file);
		}
	}
}

static void a_folder_or_device_that_fails_last_is_reported(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.sync = true;
	file = open_file(in_folder("entry"), options);
	fail_next("fsync", EIO);
	assert_int_equal(cw_outfile_publish(file, &error), -EIO);
	assert_non_null(strstr(error.text, "is complete, but its folder was not synced"));
	assert_null(cw_outfile_part_path(file));
	expect_content(in_folder("entry"), "");
	cw_outfile_free(file);
	file = open_file("/dev/null", plain);
	fail_next("close", EIO);
	assert_int_equal(cw_outfile_publish(file, &error), -EIO);
	assert_string_equal(error.text, "cannot close /dev/null: Input/output error");
	cw_outfile_free(file);
}

static void no_clobber_works_without_the_rename_flag(void **state)
{
	struct cw_outfile_options options = plain;
	struct cw_outfile *file;

	(void)state;
	options.no_clobber = true;
	file = open_file(in_folder("linked"), options);
	make_file(in_folder("linked"), "theirs");
	fail_next("renameat2", EINVAL);
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST);
	expect_content(in_folder("linked"), "theirs");
	unlink(in_folder("linked"));
	fail_next("renameat2", EINVAL);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	expect_content(in_folder("linked"), "");
	cw_outfile_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_evicted_file_is_reopened_and_goes_on),
	    cmocka_unit_test(a_part_file_that_was_replaced_is_stale),
	    cmocka_unit_test(no_clobber_refuses_and_keeps_both),
	    cmocka_unit_test(a_published_file_is_removed_and_no_other),
	    cmocka_unit_test(folders_are_made_and_removed_once_empty),
	    cmocka_unit_test(folders_behind_links_are_made_and_kept),
	    cmocka_unit_test(publishing_into_a_removed_folder_fails),
	    cmocka_unit_test(publishing_replaces_regular_files_of_the_same_owner_only),
	    cmocka_unit_test(publishing_over_a_folder_fails_and_keeps_the_data),
	    cmocka_unit_test(discard_removes_or_keeps_the_part),
	    cmocka_unit_test(a_relative_name_lies_in_the_current_folder),
	    cmocka_unit_test(memory_that_is_missing_is_an_error),
	    cmocka_unit_test(a_failure_while_creating_leaves_no_part),
	    cmocka_unit_test(interrupted_calls_go_on_and_others_fail),
	    cmocka_unit_test(data_lost_by_sync_or_close_is_never_published),
	    cmocka_unit_test(a_folder_or_device_that_fails_last_is_reported),
	    cmocka_unit_test(no_clobber_works_without_the_rename_flag),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
