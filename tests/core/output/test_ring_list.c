/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of a file ring: what is read back after any cut, failing call or second run. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/core/output/outfile_rig.h"

#include "core/output/opener.h"
#include "core/output/ring_list.h"

#define NAME ".x.pcap.ring"

WRAP(ssize_t, pwrite, fail_errno ? -1 : 0, (int fd, const void *from, size_t bytes, off_t at),
     (fd, from, bytes, at))
WRAP(int, fallocate, -1, (int fd, int mode, off_t at, off_t bytes), (fd, mode, at, bytes))
WRAP(int, renameat, -1, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, fstatat, -1, (int fd, const char *name, struct stat *status, int flags),
     (fd, name, status, flags))
WRAP(void *, realloc, NULL, (void *old, size_t bytes), (old, bytes))

static void must(int status)
{
	if (status)
		fail_msg("%s", strerror(-status));
}

/* ---- the folder by way of an opener, as another process has it ---- */

static struct cw_opener *opener; /* NULL: this process opens the list itself */
static uint32_t output;

static int status_by_opener(const struct cw_folder *there, const char *name, struct stat *status)
{
	return cw_opener_status(there->context, there->output, name, status);
}

static int open_by_opener(const struct cw_folder *there, const char *name,
			  enum cw_folder_access access)
{
	return cw_opener_open_name(there->context, there->output, name, access);
}

static int rename_by_opener(const struct cw_folder *there, const char *from, const char *to,
			    bool replaces)
{
	return cw_opener_rename(there->context, there->output, from, to, replaces);
}

static int remove_by_opener(const struct cw_folder *there, const char *name)
{
	return cw_opener_remove_name(there->context, there->output, name);
}

static int sync_by_opener(const struct cw_folder *there)
{
	return cw_opener_sync_folder(there->context, there->output);
}

static int use_opener(void **state)
{
	char path[512];
	const struct cw_opener_output x = {.path = path,
					   .fixed_bytes = strlen(folder) + 1,
					   .prefix = "x",
					   .suffix = ".pcap",
					   .ring = NAME};
	struct cw_opener_found found;

	(void)state;
	snprintf(path, sizeof(path), "%s/x.pcap", folder);
	must(cw_opener_new(&opener, NULL));
	must(cw_opener_add(opener, &x, &found, &error));
	output = found.number;
	return 0;
}

static int end_opener(void **state)
{
	cw_opener_free(opener);
	opener = NULL;
	return remove_folder(state);
}

static struct cw_folder open_folder(void)
{
	static const struct cw_folder_ops ops = {.status = status_by_opener,
						 .open = open_by_opener,
						 .rename = rename_by_opener,
						 .remove = remove_by_opener,
						 .sync = sync_by_opener};
	struct cw_folder result = {
	    .ops = &ops, .owner = geteuid(), .fd = -1, .context = opener, .output = output};

	if (!opener)
		must(cw_folder_open(&result, folder));
	return result;
}

static int open_list(struct cw_ring_list *list, bool sync)
{
	const struct cw_folder in = open_folder();

	return cw_ring_list_open(list, &in, NAME, "x.pcap", sync, &error);
}

static void must_open(struct cw_ring_list *list)
{
	if (open_list(list, true))
		fail_msg("%s", error.text);
}

static struct cw_ring_file file_of(const char *hidden, const char *name, uint64_t bytes)
{
	return (struct cw_ring_file){.name = (char *)(uintptr_t)name,
				     .hidden = (char *)(uintptr_t)hidden,
				     .is_complete = true,
				     .bytes = bytes,
				     .mtime_ns = -5,
				     .content_bytes = 2 * bytes};
}

/* Fills `text` with the files that the list names. */
static void describe(struct cw_ring_list *list, char text[512])
{
	struct cw_ring_files files;

	text[0] = '\0';
	must(cw_ring_list_read(list, &files));
	for (uint32_t i = 0; i < files.count; i++)
		snprintf(text + strlen(text), 512 - strlen(text), "%s %s %llu %lld %llu\n",
			 files.at[i].name, files.at[i].hidden ? files.at[i].hidden : "-",
			 (unsigned long long)files.at[i].bytes, (long long)files.at[i].mtime_ns,
			 (unsigned long long)files.at[i].content_bytes);
	cw_ring_files_fini(&files);
}

/* Adds line number `step` of an example. Returns false after the last. */
static bool add_line(struct cw_ring_list *list, int step, int *status)
{
	struct cw_ring_file file;

	switch (step) {
	case 0:
		*status = cw_ring_list_part(list, ".x.1.aaaaaa.part", "day/x.1");
		return true;
	case 1:
		*status = cw_ring_list_part(list, ".x.2.bbbbbb.part", "x.2");
		return true;
	case 2:
		file = file_of(".x.1.aaaaaa.part", "day/x.1", 100);
		*status = cw_ring_list_file(list, &file);
		return true;
	case 3: /* its name is taken: another one */
		file = file_of(".x.1.aaaaaa.part", "day/x.1.1", 100);
		*status = cw_ring_list_file(list, &file);
		return true;
	case 4: /* adopted: nobody knows its hidden name */
		file = file_of(NULL, "old", 7);
		*status = cw_ring_list_file(list, &file);
		return true;
	case 5:
		*status = cw_ring_list_gone(list, "day/x.1.1", false);
		return true;
	case 6:
		*status = cw_ring_list_part(list, ".x.3.cccccc.part", "x.3");
		return true;
	case 7:
		*status = cw_ring_list_gone(list, ".x.3.cccccc.part", true);
		return true;
	case 8: /* a name that was gone comes again */
		file = file_of(".x.9.dddddd.part", "day/x.1.1", 8);
		*status = cw_ring_list_file(list, &file);
		return true;
	default:
		return false;
	}
}

static void every_prefix_opens_and_loses_at_most_its_last_line(void **state)
{
	char expected[16][512], text[512], *whole;
	struct cw_ring_list list;
	uint64_t ends[16];
	int count = 0, status, fd;

	(void)state;
	must(open_list(&list, false));
	ends[0] = list.bytes;
	describe(&list, expected[0]);
	while (add_line(&list, count, &status)) {
		must(status);
		ends[++count] = list.bytes;
		describe(&list, expected[count]);
	}
	assert_string_equal(expected[count], "x.2 .x.2.bbbbbb.part 0 0 0\n"
					     "old - 7 -5 14\n"
					     "day/x.1.1 .x.9.dddddd.part 8 -5 16\n");
	whole = malloc(list.bytes);
	fd = open(in_folder(NAME), O_RDONLY);
	assert_int_equal(read(fd, whole, list.bytes), list.bytes);
	close(fd);
	for (uint64_t bytes = 0, line = 0; bytes <= ends[count]; bytes++) {
		cw_ring_list_close(&list);
		fd = open(in_folder(NAME), O_WRONLY | O_TRUNC);
		assert_int_equal(write(fd, whole, bytes), bytes);
		close(fd);
		must(open_list(&list, false));
		line += line < (uint64_t)count && bytes >= ends[line + 1];
		describe(&list, text);
		assert_string_equal(text, bytes < ends[0] ? "" : expected[line]);
		assert_int_equal(list.line_count, bytes < ends[0] ? 0 : line);
	}
	must(cw_ring_list_rewrite(&list, 4));
	describe(&list, text);
	assert_string_equal(text, expected[count]);
	cw_ring_list_close(&list);
	must(open_list(&list, false));
	describe(&list, text);
	assert_string_equal(text, expected[count]);
	assert_int_equal(list.next, 4);
	assert_int_equal(list.live_count, 3);
	assert_int_equal(list.part_count, 1);
	cw_ring_list_close(&list);
	free(whole);
	unlink(in_folder(NAME));
}

/* Whatever fails: the list has the line, or is as before. */
static void a_line_that_fails_is_not_there_and_the_next_one_is(void **state)
{
	static const struct {
		const char *call;
		int code;
	} faults[] = {{"pwrite", ENOSPC},   {"pwrite", 0},
		      {"fdatasync", EIO},   {"fallocate", ENOSPC},
		      {"pwrite", EINTR},    {"fdatasync", EINTR},
		      {"fallocate", EINTR}, {"fallocate", EOPNOTSUPP}};
	struct cw_ring_list list;
	char before[512], after[512];
	int status = 0;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(faults); i++) {
		must_open(&list);
		for (int step = 0; step < 9; step++) {
			struct cw_ring_list again;

			describe(&list, before);
			fail_call = faults[i].call;
			fail_errno = faults[i].code;
			fail_skip = 0;
			add_line(&list, step, &status);
			fail_call = "";
			describe(&list, after);
			if (status) {
				assert_string_equal(after, before);
				add_line(&list, step, &status);
				must(status);
				describe(&list, after);
			}
			assert_int_equal(open_list(&again, true), -EBUSY);
			cw_ring_list_close(&list);
			must_open(&list);
			describe(&list, before);
			assert_string_equal(after, before);
		}
		cw_ring_list_close(&list);
		unlink(in_folder(NAME));
	}
}

static void writing_anew_fails_without_a_change(void **state)
{
	static const char *const calls[] = {"pwrite", "fdatasync", "renameat", "realloc", "malloc"};
	struct cw_ring_list list;
	char before[512], after[512];
	int status;

	(void)state;
	must_open(&list);
	for (int step = 0; add_line(&list, step, &status); step++)
		must(status);
	describe(&list, before);
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		fail_call = calls[i];
		fail_errno = EIO;
		fail_skip = 0;
		assert_true(cw_ring_list_rewrite(&list, 3) < 0);
		assert_string_equal(fail_call, "");
		describe(&list, after);
		assert_string_equal(after, before);
		assert_false(exists(in_folder(NAME ".new")));
		must(cw_ring_list_part(&list, ".y.aaaaaa.part", "y"));
		must(cw_ring_list_gone(&list, ".y.aaaaaa.part", true));
	}
	make_file(in_folder(NAME ".new"), "left by a killed run");
	must(cw_ring_list_rewrite(&list, 3));
	describe(&list, after);
	assert_string_equal(after, before);
	cw_ring_list_close(&list);
	unlink(in_folder(NAME));
}

static void a_list_that_cannot_be_opened_is_an_error(void **state)
{
	static const char *const calls[] = {"strdup", "pwrite",    "fdatasync", "fsync",
					    "fstat",  "ftruncate", "malloc",    "fstatat"};
	struct cw_ring_list list;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(calls); i++) {
		fail_call = calls[i];
		fail_errno = EIO;
		fail_skip = 0;
		if (!strcmp(calls[i], "fstatat")) { /* as if another run wrote the list anew */
			must_open(&list);
			cw_ring_list_close(&list);
		} else {
			assert_true(open_list(&list, true) < 0);
			assert_true(error.code < 0);
		}
		assert_string_equal(fail_call, "");
		unlink(in_folder(NAME));
	}
}

static void a_second_run_is_refused_and_told_the_first_one(void **state)
{
	struct cw_ring_list first, second;
	char pid[32];

	(void)state;
	must_open(&first);
	snprintf(pid, sizeof(pid), "PID %ld", (long)getpid());
	assert_int_equal(open_list(&second, true), -EBUSY);
	assert_non_null(strstr(error.text, pid));
	assert_non_null(strstr(error.text, "x.pcap"));
	must(cw_ring_list_rewrite(&first, 1));
	assert_int_equal(open_list(&second, true), -EBUSY);
	assert_non_null(strstr(error.text, pid));
	cw_ring_list_close(&first);
	must_open(&second);
	cw_ring_list_close(&second);
	unlink(in_folder(NAME));
}

static atomic_bool is_over;

static void *try_to_open(void *count)
{
	struct cw_error reason;
	struct cw_ring_list list;

	while (!atomic_load(&is_over)) {
		const struct cw_folder in = open_folder();

		if (cw_ring_list_open(&list, &in, NAME, "x.pcap", false, &reason) == -EBUSY)
			++*(unsigned long *)count;
		else
			return NULL;
	}
	return count;
}

static void a_second_run_is_refused_while_the_list_is_written_anew(void **state)
{
	unsigned long refused_count = 0;
	struct cw_ring_list list;
	pthread_t thread;
	void *count;

	(void)state;
	if (open_list(&list, false))
		fail_msg("%s", error.text);
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&thread, NULL, try_to_open, &refused_count), 0);
	for (int i = 0; i < 300; i++)
		must(cw_ring_list_rewrite(&list, 1));
	atomic_store(&is_over, true);
	pthread_join(thread, &count);
	assert_non_null(count);                                /* each time refused */
	must(cw_ring_list_part(&list, ".y.aaaaaa.part", "y")); /* still the first one's */
	cw_ring_list_close(&list);
	unlink(in_folder(NAME));
	print_message("%lu refusals\n", refused_count);
}

static void a_list_of_100000_files_stays_small(void **state)
{
	struct cw_ring_list list;
	uint64_t bytes_max = 0;
	char hidden[64], name[64];

	(void)state;
	if (open_list(&list, false))
		fail_msg("%s", error.text);
	for (int i = 0; i < 100000; i++) {
		struct cw_ring_file file = file_of(hidden, name, 1000);

		snprintf(name, sizeof(name), "x.%05d.pcap", i);
		snprintf(hidden, sizeof(hidden), ".x.%05d.pcap.abcdef.part", i);
		must(cw_ring_list_part(&list, hidden, name));
		must(cw_ring_list_file(&list, &file));
		if (i >= 10) {
			snprintf(name, sizeof(name), "x.%05d.pcap", i - 10);
			must(cw_ring_list_gone(&list, name, false));
		}
		if (cw_ring_list_is_long(&list))
			must(cw_ring_list_rewrite(&list, (uint64_t)i + 1));
		bytes_max = list.bytes > bytes_max ? list.bytes : bytes_max;
	}
	assert_int_equal(list.live_count, 10);
	assert_in_range(bytes_max, 1024, 80 << 10);
	cw_ring_list_close(&list);
	unlink(in_folder(NAME));
}

static void lines_that_lead_elsewhere_are_skipped(void **state)
{
	static const char *const lines[] = {"file\t../x\t1\t1\t1\t-",
					    "file\t/etc/passwd\t1\t1\t1\t-",
					    "file\ta/../b\t1\t1\t1\t-",
					    "file\t\t1\t1\t1\t-",
					    "file\ta/\t1\t1\t1\t-",
					    "file\ta//b\t1\t1\t1\t-",
					    "file\t./a\t1\t1\t1\t-",
					    "file\ta\t-1\t1\t1\t-",
					    "file\ta\tx\t1\t1\t-",
					    "file\ta\t1\t1\t1\td/h",
					    "file\ta\t1\t1\t1",
					    "file\ta\t1\t1\t1\t-\tmore",
					    "part\t../h\ta",
					    "part\td/h\ta",
					    "part\th\t..",
					    "part\th",
					    "gone\tnobody",
					    "next\t-3",
					    "next\t99999999999999999999",
					    "later\tversions\tline",
					    "",
					    "file\ta\t1\t1\t99999999999999999999\t-"};
	struct cw_ring_list list;
	char text[512];
	FILE *stream;

	(void)state;
	must_open(&list);
	cw_ring_list_close(&list);
	stream = fopen(in_folder(NAME), "a");
	for (size_t i = 0; i < CW_ARRAY_COUNT(lines); i++)
		fprintf(stream, "%s\n", lines[i]);
	fprintf(stream, "file\ta..b/..c\t1\t1\t1\t-\n");
	fclose(stream);
	must_open(&list);
	describe(&list, text);
	assert_string_equal(text, "a..b/..c - 1 1 1\n");
	assert_int_equal(list.next, 0);
	assert_int_equal(cw_ring_list_part(&list, "h", "a\tb"), -EINVAL);
	cw_ring_list_close(&list);
	unlink(in_folder(NAME));
}

static void another_list_or_something_else_is_refused(void **state)
{
	const struct cw_folder in = open_folder();
	struct cw_ring_list list;

	(void)state;
	must_open(&list);
	cw_ring_list_close(&list);
	assert_int_equal(cw_ring_list_open(&list, &in, NAME, "x/pcap", true, &error), -EINVAL);
	assert_non_null(strstr(error.text, "x.pcap, not of x/pcap"));
	assert_int_equal(link(in_folder(NAME), in_folder("second")), 0);
	assert_int_equal(open_list(&list, true), -EINVAL);
	unlink(in_folder("second"));
	must_open(&list);
	cw_ring_list_close(&list);
	make_file(in_folder(NAME), "capweir-ring 2\tof a later version\n");
	assert_int_equal(open_list(&list, true), -EINVAL);
	unlink(in_folder(NAME));
	assert_int_equal(symlink("second", in_folder(NAME)), 0);
	assert_int_equal(open_list(&list, true), -ELOOP);
	assert_false(exists(in_folder("second")));
	unlink(in_folder(NAME));
	assert_int_equal(mkdir(in_folder(NAME), 0700), 0);
	assert_int_equal(open_list(&list, true), -EISDIR);
	rmdir(in_folder(NAME));
	cw_ring_list_close(&(struct cw_ring_list){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_prefix_opens_and_loses_at_most_its_last_line),
	    cmocka_unit_test(a_line_that_fails_is_not_there_and_the_next_one_is),
	    cmocka_unit_test(writing_anew_fails_without_a_change),
	    cmocka_unit_test(a_list_that_cannot_be_opened_is_an_error),
	    cmocka_unit_test(a_second_run_is_refused_and_told_the_first_one),
	    cmocka_unit_test(a_second_run_is_refused_while_the_list_is_written_anew),
	    cmocka_unit_test(a_list_of_100000_files_stays_small),
	    cmocka_unit_test(lines_that_lead_elsewhere_are_skipped),
	    cmocka_unit_test(another_list_or_something_else_is_refused),
	};

	int failures = cmocka_run_group_tests(tests, make_folder, NULL);

	return failures + cmocka_run_group_tests(tests, use_opener, end_opener);
}
