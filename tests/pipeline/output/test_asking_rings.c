/* SPDX-License-Identifier: BSD-3-Clause */
/* File rings whose files another process opens: their lists, unfinished and adopted files. */
#include "tests/pipeline/output/asking_rig.h"

#include "core/output/ring_list.h"

#define HIDDEN ".x.00001.pcap.abcdef.part"

static uint32_t serve_ring(void)
{
	uint32_t output;

	start(NULL);
	output = add_ring(in_folder("x.pcap"), false, "x", ".pcap", ".x.pcap.ring");
	serve();
	return output;
}

static void make_file(const char *name, const char *text)
{
	FILE *stream = fopen(in_folder(name), "w");

	assert_non_null(stream);
	fputs(text, stream);
	fchmod(fileno(stream), 0600);
	fclose(stream);
}

static void begin_file(uint32_t output)
{
	struct cw_outfile *file = file_of(output, in_folder("x.00009.pcap"), true);

	write_file(file, "now");
	publish(file);
}

static void a_list_is_kept_by_way_of_another_process(void **state)
{
	const uint32_t output = serve_ring();
	const struct cw_folder there = cw_asking_folder(asking, output, geteuid());
	struct cw_ring_list first, second;
	struct cw_ring_files files;

	(void)state;
	if (cw_ring_list_open(&first, &there, ".x.pcap.ring", "x.pcap", true, &error))
		fail_msg("%s", error.text);
	assert_int_equal(cw_ring_list_part(&first, HIDDEN, "x.00001.pcap"), 0);
	assert_int_equal(cw_ring_list_open(&second, &there, ".x.pcap.ring", "x.pcap", true, &error),
			 -EBUSY);
	begin_file(output);
	assert_int_equal(cw_ring_list_rewrite(&first, 2), 0);
	assert_int_equal(cw_ring_list_open(&second, &there, ".x.pcap.ring", "x.pcap", true, &error),
			 -EBUSY);
	cw_ring_list_close(&first);
	if (cw_ring_list_open(&second, &there, ".x.pcap.ring", "x.pcap", true, &error))
		fail_msg("%s", error.text);
	assert_int_equal(cw_ring_list_read(&second, &files), 0);
	assert_int_equal(files.count, 1);
	assert_string_equal(files.at[0].hidden, HIDDEN);
	cw_ring_files_fini(&files);
	cw_ring_list_close(&second);
	unlink(in_folder(".x.pcap.ring"));
	unlink(in_folder("x.00009.pcap"));
}

/* What each name may be used for, as letters: s status, o open, c create, n create new, r remove.
 * Of those before the output's first file only: capitals. */
static const struct {
	const char *name, *good;
} rows[] = {
    {".x.pcap.ring", "soc"},
    {".x.pcap.ring.new", "snr"},
    {HIDDEN, "sOR"},
    {"sub/" HIDDEN, ""},
    {"x/.1.pcap.abcdef.part", "sOR"}, /* "x/1.pcap" is a name of the output */
    {"x.00001.pcap", "s"},
    {"x/1.pcap", "s"},
    {".y.pcap.ring", ""},
    {".y.00001.pcap.abcdef.part", ""},
    {".x.00001.pcapng.abcdef.part", ""},
    {".x.00001.pcap.abcde.part", ""},
    {".x.00001.pcap.abc/ef.part", ""},
    {".x.00001.pcap.abcdef.part.", ""},
    {"x.00001.pcap.abcdef.part", ""},
    {"..abcdef.part", ""},
    {"y.pcap", ""},
    {"../x.pcap", ""},
    {"x/../y.pcap", ""},
    {"x/../" HIDDEN, ""},
    {"/etc/x.pcap", ""},
    {".", ""},
};

static void each_name_is_good_for_its_own_calls(void **state)
{
	const uint32_t output = serve_ring();
	const struct cw_folder there = cw_asking_folder(asking, output, geteuid());
	const struct cw_folder nowhere = cw_asking_folder(asking, output + 1, geteuid());
	struct stat status;

	(void)state;
	for (int has_opened = 0; has_opened < 2; has_opened++) {
		for (size_t i = 0; i < CW_ARRAY_COUNT(rows); i++) {
			const char *name = rows[i].name;
			const int results[] = {
			    there.ops->status(&there, name, &status),
			    there.ops->open(&there, name, CW_FOLDER_EXISTING),
			    there.ops->open(&there, name, CW_FOLDER_CREATE),
			    there.ops->remove(&there, name),
			    there.ops->open(&there, name, CW_FOLDER_NEW),
			};

			for (size_t call = 0; call < CW_ARRAY_COUNT(results); call++) {
				bool is_good = strchr(rows[i].good, "socrn"[call]) ||
					       (!has_opened && strchr(rows[i].good, "SOCRN"[call]));

				if ((results[call] != -EPERM) != is_good)
					fail_msg("%s: call %zu gives %d", name, call,
						 results[call]);
				if (results[call] > 0)
					close(results[call]);
			}
		}
		unlink(in_folder(".x.pcap.ring"));
		unlink(in_folder(".x.pcap.ring.new"));
		begin_file(output);
	}
	assert_int_equal(nowhere.ops->status(&nowhere, "", &status), -EINVAL);
	assert_int_equal(nowhere.ops->sync(&nowhere), -EINVAL);
	assert_int_equal(there.ops->names(&there, ""), -EPERM); /* it has opened a file */
	unlink(in_folder("x.00009.pcap"));
}

static void an_unfinished_file_gets_a_name_of_its_output_only(void **state)
{
	static const char *const refused[] = {"y.pcap", "sub/x.pcap", "../x.pcap", ".x.pcap.ring",
					      HIDDEN};
	const uint32_t output = serve_ring();
	const struct cw_folder there = cw_asking_folder(asking, output, geteuid());

	(void)state;
	make_file(HIDDEN, "left");
	make_file("x.00001.pcap", "theirs");
	make_file(".x.pcap.ring.new", "list");
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++)
		assert_int_equal(there.ops->rename(&there, HIDDEN, refused[i], false), -EPERM);
	assert_int_equal(there.ops->rename(&there, "x.00001.pcap", "x.00002.pcap", false), -EPERM);
	assert_int_equal(there.ops->rename(&there, HIDDEN, "x.00002.pcap", true), -EPERM);
	assert_int_equal(there.ops->rename(&there, HIDDEN, "x/2.pcap", false), -EXDEV);
	assert_int_equal(there.ops->rename(&there, ".x.pcap.ring.new", "x.00002.pcap", true),
			 -EPERM);
	assert_int_equal(there.ops->rename(&there, ".x.pcap.ring.new", ".x.pcap.ring", false),
			 -EPERM);
	assert_int_equal(there.ops->rename(&there, HIDDEN, "x.00001.pcap", false), -EEXIST);
	assert_int_equal(there.ops->rename(&there, HIDDEN, "x.00002.pcap", false), 0);
	expect_content(in_folder("x.00002.pcap"), "left", geteuid());
	expect_content(in_folder("x.00001.pcap"), "theirs", geteuid());
	assert_int_equal(there.ops->rename(&there, ".x.pcap.ring.new", ".x.pcap.ring", true), 0);
	begin_file(output);
	make_file(HIDDEN, "later");
	assert_int_equal(there.ops->rename(&there, HIDDEN, "x.00003.pcap", false), -EPERM);
	unlink(in_folder(HIDDEN));
	unlink(in_folder(".x.pcap.ring"));
	unlink(in_folder("x.00001.pcap"));
	unlink(in_folder("x.00002.pcap"));
	unlink(in_folder("x.00009.pcap"));
}

static int adopt(struct cw_outfile **file, uint32_t output, const char *name,
		 const struct stat *status)
{
	const struct cw_outfile_options options = {.entries = &entries,
						   .output = output,
						   .is_later = true,
						   .makes_folders = true,
						   .fixed_bytes = strlen(folder) + 1,
						   .standard_output = -1};

	return cw_outfile_adopt(file, in_folder(name), status, &options);
}

static void a_file_is_adopted_unchanged_and_before_the_first_one(void **state)
{
	const uint32_t output = serve_ring();
	struct stat status, other;
	struct cw_outfile *file;

	(void)state;
	assert_int_equal(mkdir(in_folder("x"), 0700), 0);
	make_file("x/1.pcap", "adopted");
	make_file("y.pcap", "of another rule");
	assert_int_equal(lstat(in_folder("y.pcap"), &other), 0);
	assert_int_equal(adopt(&file, output, "y.pcap", &other), -EPERM);
	assert_int_equal(adopt(&file, output + 1, "x/1.pcap", &other), -EINVAL);
	assert_int_equal(lstat(in_folder("x/1.pcap"), &status), 0);
	for (int i = 0; i < 5; i++) {
		struct stat wrong = status;

		wrong.st_size += i == 0;
		wrong.st_ino += i == 1;
		wrong.st_dev += i == 2;
		wrong.st_mtim.tv_nsec ^= i == 3;
		if (i == 4)
			assert_int_equal(link(in_folder("x/1.pcap"), in_folder("second")), 0);
		assert_int_equal(adopt(&file, output, "x/1.pcap", &wrong), -ESTALE);
		unlink(in_folder("second"));
	}
	assert_int_equal(symlink("1.pcap", in_folder("x/2.pcap")), 0);
	assert_int_equal(adopt(&file, output, "x/2.pcap", &status), -ESTALE);
	assert_int_equal(unlink(in_folder("x/2.pcap")), 0);
	assert_int_equal(adopt(&file, output, "x/1.pcap", &status), 0);
	if (cw_outfile_remove(file, &error))
		fail_msg("%s", error.text);
	cw_outfile_free(file);
	assert_int_equal(access(in_folder("x"), F_OK), -1); /* empty now */
	make_file("x.00001.pcap", "too late");
	assert_int_equal(lstat(in_folder("x.00001.pcap"), &status), 0);
	begin_file(output);
	assert_int_equal(adopt(&file, output, "x.00001.pcap", &status), -EPERM);
	unlink(in_folder("x.00001.pcap"));
	unlink(in_folder("x.00009.pcap"));
	unlink(in_folder("y.pcap"));
}

static void an_heir_removes_the_files_of_the_output_before(void **state)
{
	struct cw_outfile *files[3];
	uint32_t before, heir, other;

	(void)state;
	start(NULL);
	before = add_ring(in_folder("x.pcap"), false, "x", ".pcap", ".x.pcap.ring");
	heir = add_ring(in_folder("x.pcap"), false, "x", ".pcap", ".x.pcap.ring");
	other = add_ring(in_folder("z.pcap"), false, "z", ".pcap", ".z.pcap.ring");
	serve();
	for (int i = 0; i < 3; i++) {
		char name[] = "x.0.pcap";

		name[2] = (char)('0' + i);
		files[i] =
		    file_of(i < 2 ? before : other, in_folder(i < 2 ? name : "z.pcap"), true);
		write_file(files[i], "kept");
		if (i != 1)
			assert_int_equal(cw_outfile_publish(files[i], &error), 0);
	}
	assert_int_equal(cw_asking_drop(asking, before, heir), 0);
	assert_int_equal(cw_outfile_publish(files[1], &error), -EINVAL); /* was not complete */
	if (cw_outfile_remove(files[0], &error))
		fail_msg("%s", error.text);
	assert_int_equal(access(in_folder("x.0.pcap"), F_OK), -1);
	assert_int_equal(cw_asking_drop(asking, other, heir), 0); /* of another ring */
	assert_int_equal(cw_outfile_remove(files[2], &error), -EINVAL);
	assert_int_equal(access(in_folder("z.pcap"), F_OK), 0);
	for (int i = 0; i < 3; i++)
		cw_outfile_free(files[i]);
}

static void a_later_list_has_a_name_of_lists(void **state)
{
	static const char *const refused[] = {".profile",   "x.ring",   ".ring",
					      "../.x.ring", ".x/.ring", ".x.ring.new"};
	char path[512], name[NAME_MAX + 1];
	struct cw_opener_output output = {
	    .path = path, .fixed_bytes = strlen(folder) + 1, .prefix = "x", .suffix = ".pcap"};
	struct cw_opener_found found;

	(void)state;
	snprintf(path, sizeof(path), "%s/x.pcap", folder);
	start(NULL);
	add_here(path, false, "x", ".pcap");
	set_rules();
	serve();
	for (size_t i = 0; i < CW_ARRAY_COUNT(refused); i++) {
		output.ring = refused[i];
		assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EINVAL);
	}
	memset(name, 'x', CW_OPENER_LIST_BYTES + 1);
	name[0] = '.';
	strcpy(name + CW_OPENER_LIST_BYTES + 1 - strlen(".ring"), ".ring");
	output.ring = name;
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), -EINVAL);
	output.ring = ".x.pcap.ring";
	assert_int_equal(cw_asking_add(asking, &output, &found, &error), 0);
}

static void the_names_in_folders_of_the_output_are_read(void **state)
{
	static const struct {
		const char *below;
		int result; /* 0: a descriptor */
	} folders[] = {
	    {"", 0},
	    {"x/", 0},
	    {"x//", 0},
	    {"x", 0},
	    {"xyz/", -ENOENT},
	    {"xfile/", -ENOTDIR},
	    {"xlink/", -ELOOP},
	    {"y/", -EPERM},
	    {"x/../", -EPERM},
	    {"../", -EPERM},
	    {"/", -EPERM},
	    {"/etc/", -EPERM},
	};
	const uint32_t output = serve_ring();
	const struct cw_folder there = cw_asking_folder(asking, output, geteuid());

	(void)state;
	assert_int_equal(mkdir(in_folder("x"), 0700), 0);
	make_file("xfile", "");
	assert_int_equal(symlink("x", in_folder("xlink")), 0);
	for (size_t i = 0; i < CW_ARRAY_COUNT(folders); i++) {
		int fd = there.ops->names(&there, folders[i].below);

		if (folders[i].result ? fd != folders[i].result : fd < 0)
			fail_msg("'%s' gives %d", folders[i].below, fd);
		if (fd >= 0)
			close(fd);
	}
	rmdir(in_folder("x"));
	unlink(in_folder("xfile"));
	unlink(in_folder("xlink"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_list_is_kept_by_way_of_another_process, stop),
	    cmocka_unit_test_teardown(each_name_is_good_for_its_own_calls, stop),
	    cmocka_unit_test_teardown(an_unfinished_file_gets_a_name_of_its_output_only, stop),
	    cmocka_unit_test_teardown(a_file_is_adopted_unchanged_and_before_the_first_one, stop),
	    cmocka_unit_test_teardown(an_heir_removes_the_files_of_the_output_before, stop),
	    cmocka_unit_test_teardown(a_later_list_has_a_name_of_lists, stop),
	    cmocka_unit_test_teardown(the_names_in_folders_of_the_output_are_read, stop),
	};

	return run_in_folder(tests, CW_ARRAY_COUNT(tests));
}
