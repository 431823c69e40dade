/* SPDX-License-Identifier: BSD-3-Clause */
/* What the name of an output stands for, and which links, files and FIFOs of other users count. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/output/target.h"

static char folder[] = "/tmp/capweir-target-XXXXXX";
static struct cw_error error;
static struct cw_target target;

static const char *in_folder(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int find(const char *path)
{
	const struct cw_target_query query = {.standard_output = STDOUT_FILENO, .owner = geteuid()};

	return cw_target_find(&target, path, &query, &error);
}

static int find_and_check(const char *path)
{
	int result = find(path);

	return result ? result : cw_target_check(&target, geteuid(), path, &error);
}

static void expect(const char *path, enum cw_target_kind kind, int verdict)
{
	int result = find_and_check(path);

	if (result != verdict || target.kind != kind)
		fail_msg("%s: kind %d, verdict %d (%s)", path, (int)target.kind, result,
			 error.text);
	cw_target_fini(&target);
}

static void expect_error(const char *path, int code, const char *words)
{
	int result = find(path);

	if (result != code || error.code != code || !strstr(error.text, words))
		fail_msg("%s: %d, %s", path, result, error.text);
}

static void a_name_stands_for_what_is_there(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	strcpy(address.sun_path, in_folder("socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	make_file(in_folder("file"));
	assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
	assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
	expect(in_folder("new"), CW_TARGET_MISSING, 0);
	expect(in_folder("sub/../sub/./new"), CW_TARGET_MISSING, 0);
	expect(in_folder("123"), CW_TARGET_MISSING, 0); /* no descriptor: not on procfs */
	expect(in_folder("file"), CW_TARGET_FILE, 0);
	expect(in_folder("fifo"), CW_TARGET_STREAM, 0);
	expect("/dev/full", CW_TARGET_STREAM, 0);
	expect("/dev/null", CW_TARGET_SINK, 0);
	expect(in_folder("sub"), CW_TARGET_FOLDER, -EISDIR);
	expect(in_folder("sub/"), CW_TARGET_FOLDER, -EISDIR);
	expect(in_folder("sub/.."), CW_TARGET_FOLDER, -EISDIR);
	expect("/", CW_TARGET_FOLDER, -EISDIR);
	expect(in_folder("socket"), CW_TARGET_SOCKET, -ENXIO);
	expect_error(in_folder("none/x"), -ENOENT, "none does not exist; create it first");
	expect_error(in_folder("file/x"), -ENOTDIR, "is not a folder");
	chmod(in_folder("file"), 0400);
	expect(in_folder("file"), CW_TARGET_FILE, -EACCES);
	unlink(in_folder("file"));
}

/* The folder and name after links are those where the file will be. */
static void links_are_followed_to_the_place_that_they_name(void **state)
{
	char chain[16], next[16];

	(void)state;
	assert_int_equal(mkdir(in_folder("big"), 0700), 0);
	assert_int_equal(symlink("big/x.pcap", in_folder("dangling")), 0);
	assert_int_equal(find(in_folder("dangling")), 0);
	assert_int_equal(target.kind, CW_TARGET_MISSING);
	assert_string_equal(target.base, "x.pcap");
	assert_string_equal(target.folder, in_folder("big/"));
	cw_target_fini(&target);
	assert_int_equal(symlink(in_folder("big"), in_folder("absolute")), 0);
	assert_int_equal(find(in_folder("absolute/y.pcap")), 0);
	assert_string_equal(target.folder, in_folder("big/"));
	cw_target_fini(&target);
	assert_int_equal(symlink("/dev/null", in_folder("sink")), 0);
	expect(in_folder("sink"), CW_TARGET_SINK, 0);
	assert_int_equal(symlink("big/", in_folder("slash")), 0);
	expect(in_folder("slash"), CW_TARGET_FOLDER, -EISDIR);
	assert_int_equal(symlink("loop", in_folder("loop")), 0);
	expect_error(in_folder("loop"), -ELOOP, "more than 8 symbolic links");
	for (int i = 1; i <= 9; i++) {
		snprintf(chain, sizeof(chain), "chain%d", i);
		snprintf(next, sizeof(next), "chain%d", i - 1);
		assert_int_equal(symlink(next, in_folder(chain)), 0);
	}
	expect(in_folder("chain8"), CW_TARGET_MISSING, 0);
	expect_error(in_folder("chain9"), -ELOOP, "more than 8 symbolic links");
}

static void a_name_made_while_running_follows_no_link(void **state)
{
	const struct cw_target_query later = {.owner = geteuid(), .is_later = true};

	(void)state;
	assert_int_equal(mkdir(in_folder("real"), 0700), 0);
	assert_int_equal(symlink("real", in_folder("way")), 0);
	assert_int_equal(symlink("real/x", in_folder("last")), 0);
	assert_int_equal(cw_target_find(&target, in_folder("last"), &later, &error), 0);
	assert_int_equal(target.kind, CW_TARGET_LINK);
	assert_int_equal(cw_target_check(&target, geteuid(), "last", &error), -ELOOP);
	assert_string_equal(target.folder, in_folder(""));
	assert_string_equal(target.base, "last");
	cw_target_fini(&target);
	assert_int_equal(cw_target_find(&target, in_folder("way/x"), &later, &error), 0);
	assert_string_equal(target.folder, in_folder("real/"));
	cw_target_fini(&target);
}

static void a_missing_folder_may_be_made_later(void **state)
{
	struct cw_target_query query = {.standard_output = STDOUT_FILENO,
					.owner = geteuid(),
					.folders = CW_TARGET_FOLDERS_MAY_MISS,
					.fixed_bytes = strlen(folder) + 1};

	(void)state;
	assert_int_equal(cw_target_find(&target, in_folder("rule/day/x"), &query, &error), 0);
	assert_int_equal(target.kind, CW_TARGET_MISSING);
	assert_string_equal(target.base, "rule/day/x");
	assert_string_equal(target.folder, in_folder(""));
	cw_target_fini(&target);
	assert_int_not_equal(access(in_folder("rule"), F_OK), 0);
	query.fixed_bytes = strlen(in_folder("rule/"));
	assert_int_equal(cw_target_find(&target, in_folder("rule/day/x"), &query, &error), -ENOENT);
}

static void *find_in_thread(void *path)
{
	return (void *)(intptr_t)(find(path) ? -1 : (int)target.kind);
}

static void descriptors_are_known_by_what_they_are(void **state)
{
	static char path[64];
	const char *const names[] = {"/dev/fd/%d", "/proc/self/fd/%d", "/proc/thread-self/fd/%d",
				     "/proc/%2$d/fd/%1$d", "/dev//fd/./%d"};
	int fd, own, reader;
	pthread_t thread;
	void *kind;

	(void)state;
	make_file(in_folder("redirected"));
	fd = open(in_folder("redirected"), O_WRONLY); /* as if inherited */
	own = open(in_folder("redirected"), O_WRONLY | O_CLOEXEC);
	reader = open(in_folder("redirected"), O_RDONLY);
	for (size_t i = 0; i < CW_ARRAY_COUNT(names); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(path, sizeof(path), names[i], fd, (int)getpid());
#pragma GCC diagnostic pop
		assert_int_equal(find(path), 0);
		assert_int_equal(target.kind, CW_TARGET_DESCRIPTOR);
		assert_int_equal(target.descriptor, fd);
		assert_true(S_ISREG(target.status.st_mode));
		pthread_create(&thread, NULL, find_in_thread, path);
		pthread_join(thread, &kind);
		assert_int_equal((int)(intptr_t)kind, CW_TARGET_DESCRIPTOR);
	}
	assert_int_equal(symlink(path, in_folder("to-descriptor")), 0);
	expect(in_folder("to-descriptor"), CW_TARGET_DESCRIPTOR, 0);
	expect("-", CW_TARGET_DESCRIPTOR, 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", own); /* opened by this program */
	expect_error(path, -EBADF, "is not open");
	snprintf(path, sizeof(path), "/dev/fd/%d", reader);
	expect_error(path, -EBADF, "open for reading only");
	expect_error("/dev/fd/999999", -EBADF, "is not open");
	expect_error("/dev/fd/99999999999999999999", -EBADF, "is not open");
	close(fd);
	close(own);
	close(reader);
}

/* Returns a process that only has the file and the pipe open, until the pipe `end` is closed. */
static pid_t start_holder(int end[2])
{
	pid_t pid;

	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		close(end[1]);
		(void)!read(end[0], &byte, 1);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void descriptors_of_another_process_are_streams_or_refused(void **state)
{
	int end[2], pipes[2], fd;
	char path[64];
	pid_t pid;

	(void)state;
	make_file(in_folder("theirs"));
	fd = open(in_folder("theirs"), O_WRONLY);
	assert_int_equal(pipe(pipes), 0);
	pid = start_holder(end);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, pipes[1]);
	expect(path, CW_TARGET_STREAM, 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	expect(path, CW_TARGET_FILE, -EPERM);
	snprintf(path, sizeof(path), "/proc/%d/cwd/new-%d.pcap", (int)pid, (int)pid);
	expect(path, CW_TARGET_MISSING, 0);
	for (int i = 0; i < 2; i++) {
		close(end[i]);
		close(pipes[i]);
	}
	close(fd);
	waitpid(pid, NULL, 0);
}

static void a_mounted_file_is_refused(void **state)
{
	(void)state;
	make_file(in_folder("source"));
	make_file(in_folder("mounted"));
	if (mount(in_folder("source"), in_folder("mounted"), NULL, MS_BIND, NULL)) {
		print_message("skipped: mounting needs root: %s\n", strerror(errno));
		skip();
	}
	expect(in_folder("mounted"), CW_TARGET_FILE, -EBUSY);
	assert_int_equal(umount(in_folder("mounted")), 0);
	expect(in_folder("mounted"), CW_TARGET_FILE, 0);
}

/* ---- the table: folder mode x folder owner x link owner x target owner x who runs ---- */

enum { ROOT, ME, OTHER, USERS };
static const uid_t ids[USERS] = {0, 1000, 1001};
static const char *const user_names[USERS] = {"root", "me", "other"};

/* root: files of root. sudo: root that makes files of `me`. user: `me`. */
static const struct {
	const char *name;
	int process, owner;
} runs[] = {{"root", ROOT, ROOT}, {"sudo", ROOT, ME}, {"user", ME, ME}};

/* Links of root, me and other, in this order: f is followed, - is refused. */
static const struct {
	unsigned mode;
	int folder;
	const char *links[3]; /* by run */
} link_rows[] = {
    {00755, ROOT, {"fff", "fff", "fff"}},  {00755, ME, {"ff-", "fff", "fff"}},
    {00755, OTHER, {"f-f", "fff", "fff"}}, {00775, ROOT, {"f--", "ff-", "ff-"}},
    {00775, ME, {"ff-", "ff-", "ff-"}},    {00775, OTHER, {"f-f", "fff", "fff"}},
    {00777, ROOT, {"f--", "ff-", "ff-"}},  {00777, ME, {"ff-", "ff-", "ff-"}},
    {00777, OTHER, {"f-f", "fff", "fff"}}, {01775, ROOT, {"f--", "ff-", "ff-"}},
    {01775, ME, {"ff-", "ff-", "ff-"}},    {01775, OTHER, {"f-f", "fff", "fff"}},
    {01777, ROOT, {"f--", "ff-", "ff-"}},  {01777, ME, {"ff-", "-f-", "-f-"}},
    {01777, OTHER, {"f-f", "-ff", "-ff"}},
};

/* Regular files, and files behind such a link, of root, me and other: r is replaced. */
static const char *const file_row[] = {"r--", "-r-", "-r-"};

/* FIFOs of root, me and other: o is opened. */
static const struct {
	unsigned mode;
	int folder;
	const char *fifos[3];
} fifo_rows[] = {
    {00755, ROOT, {"o--", "oo-", "oo-"}},  {00755, OTHER, {"o--", "oo-", "oo-"}},
    {00777, ROOT, {"o--", "oo-", "oo-"}},  {00777, OTHER, {"o--", "oo-", "oo-"}},
    {01755, OTHER, {"o--", "oo-", "oo-"}}, {01775, ROOT, {"o--", "oo-", "oo-"}},
    {01775, ME, {"o--", "oo-", "-o-"}},    {01775, OTHER, {"o--", "oo-", "-o-"}},
    {01777, ROOT, {"o--", "oo-", "oo-"}},  {01777, ME, {"o--", "oo-", "-o-"}},
    {01777, OTHER, {"o--", "oo-", "-o-"}},
};

static int judge(size_t run, const char *path)
{
	const struct cw_target_query query = {.standard_output = STDOUT_FILENO,
					      .owner = ids[runs[run].owner]};
	int result;

	assert_int_equal(seteuid(ids[runs[run].process]), 0);
	result = cw_target_find(&target, path, &query, &error);
	if (!result)
		result = cw_target_check(&target, query.owner, path, &error);
	cw_target_fini(&target);
	assert_int_equal(seteuid(0), 0);
	return result;
}

static void make_owned_folder(unsigned mode, int owner)
{
	assert_int_equal(chown(in_folder("d"), ids[owner], ids[owner]), 0);
	assert_int_equal(chmod(in_folder("d"), mode), 0);
}

static void need_root(void)
{
	if (geteuid() == 0 && !chown(in_folder("d"), 1000, 1000))
		return;
	print_message("skipped: files of several users need root\n");
	skip();
}

static void links_of_each_user_count_as_in_the_table(void **state)
{
	(void)state;
	need_root();
	for (size_t row = 0; row < CW_ARRAY_COUNT(link_rows); row++) {
		make_owned_folder(link_rows[row].mode, link_rows[row].folder);
		for (int link = 0; link < USERS; link++) {
			unlink(in_folder("d/l"));
			assert_int_equal(symlink("../t", in_folder("d/l")), 0);
			assert_int_equal(lchown(in_folder("d/l"), ids[link], ids[link]), 0);
			for (size_t run = 0; run < CW_ARRAY_COUNT(runs); run++) {
				int verdict = link_rows[row].links[run][link] == 'f' ? 0 : -EPERM;

				/* As the last component, and among the folders. */
				assert_int_equal(chown(in_folder("t/x"), ids[runs[run].owner], 0),
						 0);
				if (judge(run, in_folder("d/l/x")) != verdict ||
				    judge(run, in_folder("d/l")) != (verdict ? verdict : -EISDIR))
					fail_msg("mode %o of %s, link of %s, %s: %s",
						 link_rows[row].mode,
						 user_names[link_rows[row].folder],
						 user_names[link], runs[run].name, error.text);
				if (verdict)
					assert_non_null(strstr(error.text, "a symbolic link of "));
			}
		}
	}
}

static void files_of_each_user_count_as_in_the_table(void **state)
{
	(void)state;
	need_root();
	for (size_t row = 0; row < CW_ARRAY_COUNT(link_rows); row++) {
		make_owned_folder(link_rows[row].mode, link_rows[row].folder);
		for (int file = 0; file < USERS; file++) {
			for (size_t run = 0; run < CW_ARRAY_COUNT(runs); run++) {
				int verdict = file_row[run][file] == 'r' ? 0 : -EPERM;

				make_file(in_folder("d/x"));
				assert_int_equal(chown(in_folder("d/x"), ids[file], ids[file]), 0);
				assert_int_equal(chown(in_folder("t/x"), ids[file], ids[file]), 0);
				unlink(in_folder("d/l"));
				assert_int_equal(symlink("../t/x", in_folder("d/l")), 0);
				assert_int_equal(lchown(in_folder("d/l"), ids[runs[run].owner], 0),
						 0);
				if (judge(run, in_folder("d/x")) != verdict ||
				    judge(run, in_folder("d/l")) != verdict)
					fail_msg("mode %o of %s, file of %s, %s: %s",
						 link_rows[row].mode,
						 user_names[link_rows[row].folder],
						 user_names[file], runs[run].name, error.text);
				chmod(in_folder("d/x"), 0466); /* root heeds it too */
				assert_int_equal(judge(run, in_folder("d/x")),
						 verdict ? verdict : -EACCES);
				unlink(in_folder("d/x"));
			}
		}
	}
}

static void fifos_of_each_user_count_as_in_the_table(void **state)
{
	(void)state;
	need_root();
	for (size_t row = 0; row < CW_ARRAY_COUNT(fifo_rows); row++) {
		make_owned_folder(fifo_rows[row].mode, fifo_rows[row].folder);
		for (int fifo = 0; fifo < USERS; fifo++) {
			unlink(in_folder("d/f"));
			assert_int_equal(mkfifo(in_folder("d/f"), 0666), 0);
			assert_int_equal(chown(in_folder("d/f"), ids[fifo], ids[fifo]), 0);
			for (size_t run = 0; run < CW_ARRAY_COUNT(runs); run++) {
				int verdict = fifo_rows[row].fifos[run][fifo] == 'o' ? 0 : -EPERM;

				if (judge(run, in_folder("d/f")) != verdict)
					fail_msg("mode %o of %s, FIFO of %s, %s: %s",
						 fifo_rows[row].mode,
						 user_names[fifo_rows[row].folder],
						 user_names[fifo], runs[run].name, error.text);
			}
		}
	}
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || chmod(folder, 0755) || mkdir(in_folder("d"), 0755) ||
	    mkdir(in_folder("t"), 0755))
		return -1;
	make_file(in_folder("t/x"));
	return 0;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	umount2(in_folder("mounted"), MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_stands_for_what_is_there),
	    cmocka_unit_test(links_are_followed_to_the_place_that_they_name),
	    cmocka_unit_test(a_name_made_while_running_follows_no_link),
	    cmocka_unit_test(a_missing_folder_may_be_made_later),
	    cmocka_unit_test(descriptors_are_known_by_what_they_are),
	    cmocka_unit_test(descriptors_of_another_process_are_streams_or_refused),
	    cmocka_unit_test(a_mounted_file_is_refused),
	    cmocka_unit_test(links_of_each_user_count_as_in_the_table),
	    cmocka_unit_test(files_of_each_user_count_as_in_the_table),
	    cmocka_unit_test(fifos_of_each_user_count_as_in_the_table),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
