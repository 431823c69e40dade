/* SPDX-License-Identifier: BSD-3-Clause */
/* Output files of a file ring: its list has each line before what the line announces; no file is
 * replaced; .part files are locked; files of earlier runs are adopted. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "tests/core/output/outfile_rig.h"

#include "core/format/repair.h"
#include "core/output/entry.h"
#include "core/output/ring_list.h"

/* What the list was told, and what to do then. */
static char told[1024];
static int fail_part, fail_file; /* to return */
static bool takes_hidden;        /* another program makes a file of the hidden name first */

static const char *below(const char *name)
{
	return in_folder(name);
}

static int note_part(void *context, const char *hidden, const char *name)
{
	(void)context;
	assert_false(exists(below(hidden)));
	assert_int_equal(strncmp(hidden, ".", 1), 0);
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "part %s\n", name);
	if (takes_hidden)
		make_file(below(hidden), "theirs");
	takes_hidden = false;
	return fail_part;
}

static int note_file(void *context, const struct cw_ring_file *file)
{
	struct stat status;

	(void)context;
	assert_int_equal(stat(below(file->hidden), &status), 0);
	assert_int_equal(status.st_size, file->bytes);
	assert_int_equal(cw_ring_time_ns(&status.st_mtim), file->mtime_ns);
	assert_true(file->is_complete);
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "file %s %d %d\n", file->name,
		 (int)file->bytes, (int)file->content_bytes);
	return fail_file;
}

static int note_gone(void *context, const char *name, bool is_part)
{
	(void)context;
	assert_true(!is_part || !exists(below(name)));
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "gone %s\n",
		 is_part ? "part" : name);
	return -EIO; /* without consequences */
}

static int number(const char *path, unsigned long long count, char *result)
{
	return snprintf(result, PATH_MAX, "%s.%llu", path, count);
}

static const struct cw_listing listing = {note_part, note_file, note_gone, number, NULL};

static struct cw_outfile_options listed(void)
{
	struct cw_outfile_options options = plain;

	options.is_later = true;
	options.listing = &listing;
	options.fixed_bytes = strlen(folder) + 1;
	told[0] = '\0';
	return options;
}

static void each_line_precedes_what_it_announces(void **state)
{
	struct cw_outfile *file = open_file(in_folder("a.pcap"), listed());

	(void)state;
	assert_string_equal(told, "part a.pcap\n");
	put_all(file, "data", 0);
	assert_int_equal(cw_outfile_evict(file), 0);
	assert_int_equal(cw_outfile_open(file, &error), 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_string_equal(told, "part a.pcap\nfile a.pcap 4 4\n");
	assert_int_equal(cw_outfile_remove(file, &error), 0);
	assert_string_equal(told, "part a.pcap\nfile a.pcap 4 4\ngone a.pcap\n");
	cw_outfile_free(file);
	file = open_file(in_folder("a.pcap"), listed());
	assert_int_equal(cw_outfile_discard(file, false), 0);
	assert_string_equal(told, "part a.pcap\ngone part\n");
	cw_outfile_free(file);
}

static void without_its_line_nothing_is_made_or_renamed(void **state)
{
	struct cw_outfile *file = new_file(in_folder("b.pcap"), listed());

	(void)state;
	fail_part = -ENOSPC;
	assert_int_equal(cw_outfile_open(file, &error), -ENOSPC);
	fail_part = 0;
	assert_null(cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_open(file, &error), 0);
	put_all(file, "data", 0);
	fail_file = -EIO;
	assert_int_equal(cw_outfile_publish(file, &error), -EIO);
	fail_file = 0;
	assert_non_null(strstr(error.text, "; the data is in "));
	assert_false(exists(in_folder("b.pcap")));
	expect_content(cw_outfile_part_path(file), "data");
	assert_int_equal(cw_outfile_publish(file, &error), 0); /* a second try */
	expect_content(in_folder("b.pcap"), "data");
	cw_outfile_remove(file, &error);
	cw_outfile_free(file);
}

static void a_hidden_name_that_is_taken_gives_another_line(void **state)
{
	struct cw_outfile *file;

	(void)state;
	takes_hidden = true;
	file = open_file(in_folder("c.pcap"), listed());
	assert_string_equal(told, "part c.pcap\npart c.pcap\n");
	assert_int_equal(cw_outfile_discard(file, false), 0);
	cw_outfile_free(file);
}

static void a_name_that_is_taken_gets_a_number(void **state)
{
	struct cw_outfile *file;
	char name[64];

	(void)state;
	make_file(in_folder("d"), "theirs");
	assert_int_equal(mkdir(in_folder("d.1"), 0700), 0);
	assert_int_equal(symlink("nowhere", in_folder("d.2")), 0);
	file = open_file(in_folder("d"), listed());
	put_all(file, "ours", 0);
	assert_int_equal(cw_outfile_publish(file, &error), 0);
	assert_string_equal(cw_outfile_path(file), in_folder("d.3"));
	assert_string_equal(told, "part d\nfile d 4 4\nfile d.1 4 4\nfile d.2 4 4\nfile d.3 4 4\n");
	expect_content(in_folder("d"), "theirs");
	expect_content(in_folder("d.3"), "ours");
	assert_int_equal(cw_outfile_remove(file, &error), 0);
	assert_false(exists(in_folder("d.3")));
	expect_content(in_folder("d"), "theirs");
	cw_outfile_free(file);
	for (int i = 3; i < 101; i++) {
		snprintf(name, sizeof(name), "d.%d", i);
		make_file(in_folder(name), "theirs");
	}
	file = open_file(in_folder("d"), listed());
	assert_int_equal(cw_outfile_publish(file, &error), -EEXIST); /* too many */
	assert_true(exists(cw_outfile_part_path(file)));
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static int try_to_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int status = cw_entry_lock(fd);

	close(fd);
	return status;
}

static void a_part_is_locked_while_it_is_open(void **state)
{
	static const char header[24] = {'\xd4', '\xc3', '\xb2', '\xa1', 2, 0, 4, 0};
	struct cw_outfile *file = open_file(in_folder("e"), plain);
	struct iovec vector = {.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(header)};
	struct cw_repair repair;
	char part[512];
	int failure, fd;

	(void)state;
	strcpy(part, cw_outfile_part_path(file));
	assert_int_equal(cw_outfile_write(file, &vector, 1, 0, &failure), sizeof(header));
	put_all(file, "torn", sizeof(header));
	assert_int_equal(try_to_lock(part), -EBUSY);
	assert_int_equal(cw_repair_file(part, false, &repair, &error), -EBUSY);
	assert_int_equal(cw_outfile_evict(file), 0);
	fd = open(part, O_RDWR | O_CLOEXEC);
	assert_int_equal(cw_entry_lock(fd), 0);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE); /* a repair has it */
	close(fd);
	assert_int_equal(cw_outfile_open(file, &error), 0);
	assert_int_equal(try_to_lock(part), -EBUSY);
	assert_int_equal(cw_outfile_evict(file), 0);
	fd = open(part, O_RDWR | O_CLOEXEC);
	assert_int_equal(cw_repair_fd(fd, &repair, &error), 0);
	assert_true(repair.is_cut);
	assert_int_equal(repair.kept_bytes, sizeof(header));
	close(fd);
	assert_int_equal(cw_outfile_open(file, &error), -ESTALE); /* truncated meanwhile */
	cw_outfile_discard(file, false);
	cw_outfile_free(file);
}

static void a_file_of_an_earlier_run_is_adopted(void **state)
{
	struct cw_outfile *file;
	struct stat status;

	(void)state;
	for (int is_changed = 0; is_changed < 2; is_changed++) {
		make_file(in_folder("f"), "earlier");
		assert_int_equal(stat(in_folder("f"), &status), 0);
		const struct cw_outfile_options options = listed();
		assert_int_equal(cw_outfile_adopt(&file, in_folder("f"), &status, &options), 0);
		assert_true(cw_outfile_is_published(file));
		assert_int_equal(cw_outfile_open(file, &error), -EBADF);
		if (is_changed) {
			make_file(in_folder("f2"), "another one");
			rename(in_folder("f2"), in_folder("f"));
		}
		assert_int_equal(cw_outfile_remove(file, &error), is_changed ? -ESTALE : 0);
		assert_string_equal(told, "gone f\n"); /* it is not the ring's any more */
		cw_outfile_free(file);
	}
	expect_content(in_folder("f"), "another one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_line_precedes_what_it_announces),
	    cmocka_unit_test(without_its_line_nothing_is_made_or_renamed),
	    cmocka_unit_test(a_hidden_name_that_is_taken_gives_another_line),
	    cmocka_unit_test(a_name_that_is_taken_gets_a_number),
	    cmocka_unit_test(a_part_is_locked_while_it_is_open),
	    cmocka_unit_test(a_file_of_an_earlier_run_is_adopted),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
