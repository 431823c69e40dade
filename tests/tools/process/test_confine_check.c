/* SPDX-License-Identifier: BSD-3-Clause */
/* The check, before the start, that a confined process could still write its files. */
#include "tools/process/confine.h"
#include "tests/tools/process/confine_rig.h"

static int check(const char *user, const char *folder, struct cw_error *error)
{
	const struct cw_confine_options options = {.user = user};
	const char *folders[] = {own, of_group, folder};

	*error = (struct cw_error){0};
	return cw_confine_check(&options, folders, folder ? 3 : 2, error);
}

static void the_check_knows_folders(void **state)
{
	struct cw_error error;
	char text[256];

	(void)state;
	skip_unless_root();
	assert_int_equal(check(NULL, NULL, &error), 0);
	assert_string_equal(error.text, "");
	assert_int_equal(check(NULL, foreign, &error), -EACCES);
	snprintf(text, sizeof(text),
		 "cannot write to the folder %s as user nobody: choose another folder, "
		 "or -Z root to stay root",
		 foreign);
	assert_string_equal(error.text, text);
	assert_int_equal(check(NULL, hidden_inside, &error), -EACCES);
	assert_int_equal(check("root", hidden_inside, &error), 0);
	assert_int_equal(check("root", missing, &error), -ENOENT);
	snprintf(text, sizeof(text), "cannot write to the folder %s: No such file or directory",
		 missing);
	assert_string_equal(error.text, text);
	assert_int_equal(check(NULL, "/proc/self/status", &error), -EACCES);
	snprintf(text, sizeof(text),
		 "cannot write to /proc/self/status as user nobody: change its "
		 "permissions, or -Z root to stay root");
	assert_string_equal(error.text, text);
	assert_int_equal(check(NULL, "/dev/null", &error), 0);
	assert_int_equal(check(NULL, shut, &error), -EACCES);
	assert_int_equal(check("daemon", NULL, &error), -EACCES);
	assert_non_null(strstr(error.text, "as user daemon"));
	/* Nothing became of this process. */
	assert_int_equal(geteuid(), 0);
	assert_true(can_create(foreign));
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

static void the_check_knows_users(void **state)
{
	struct cw_error error;

	(void)state;
	assert_int_equal(check("no-such-user", NULL, &error), -EINVAL);
	assert_string_equal(error.text,
			    "user no-such-user does not exist: name an existing user with -Z");
	assert_int_equal(cw_confine(&(struct cw_confine_options){.user = "no-such-user"}, &error),
			 -EINVAL);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

static void the_user_is_capweir_where_it_exists(void **state)
{
	struct cw_error error;
	uid_t user;

	(void)state;
	skip_unless_root();
	assert_int_equal(cw_confine_find_user(&(struct cw_confine_options){0}, &user, &error), 0);
	assert_int_equal(user, user_id);
	own_user = "daemon";
	assert_int_equal(cw_confine_find_user(&(struct cw_confine_options){0}, &user, &error), 0);
	assert_int_equal(user, getpwnam("daemon")->pw_uid);
	assert_int_equal(
	    cw_confine_find_user(&(struct cw_confine_options){.user = USER}, &user, &error), 0);
	assert_int_equal(user, user_id);
	assert_int_equal(check(NULL, foreign, &error), -EACCES);
	assert_non_null(strstr(error.text, "as user capweir"));
	own_user = NULL;
}

static void child_checks_as_user(void)
{
	const struct cw_confine_options options = {0};
	const char *folder = foreign;
	struct cw_error error;

	become_nobody(false);
	EXPECT(check(NULL, NULL, &error) == 0);
	EXPECT(check(USER, NULL, &error) == 0);
	EXPECT(check("daemon", NULL, &error) == -EPERM);
	EXPECT(!strcmp(error.text, "only root can switch to user daemon: omit -Z, or run as "
				   "root"));
	EXPECT(cw_confine_check(&options, &folder, 1, &error) == -EACCES);
	EXPECT(!strstr(error.text, "-Z root"));
	EXPECT(cw_confine_check(&options, &folder, 1, NULL) == -EACCES);
}

/* Root that may not become anybody: as in a container without those capabilities. */
static void child_checks_as_weak_root(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	struct cw_error error;

	EXPECT(!syscall(SYS_capset, &header, data));
	EXPECT(check(NULL, NULL, &error) == -EPERM);
	EXPECT(strstr(error.text, "cannot switch to user nobody (-Z root stays root): "));
	EXPECT(check("root", NULL, &error) == -EACCES); /* not its folders, and no capability */
	EXPECT(!strstr(error.text, "-Z root"));
	/* ThreadSanitizer's own thread has its capabilities still, and glibc ends a process whose
	 * threads may not all do the same. */
	if (status_number("Threads", 10) == 1)
		EXPECT(cw_confine(&(struct cw_confine_options){0}, &error) == -EPERM);
}

CASE(a_user_checks_for_itself, child_checks_as_user)
CASE(a_root_that_may_not_change_is_told, child_checks_as_weak_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_check_knows_folders),
	    cmocka_unit_test(the_check_knows_users),
	    cmocka_unit_test(the_user_is_capweir_where_it_exists),
	    cmocka_unit_test(a_user_checks_for_itself),
	    cmocka_unit_test(a_root_that_may_not_change_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
