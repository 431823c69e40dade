/* SPDX-License-Identifier: BSD-3-Clause */
/* What an opener asks of the process that runs hooks, which here only reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "core/output/opener_wire.h"
#include "tests/rig/run_tests.h"

#define OWNER 12345u
#define HOOK_USER 12347u
#define HOOK_GROUP 12348u

static char folder[] = "/tmp/capweir-opener-hooks-XXXXXX";
static struct cw_opener *opener;
static struct cw_opener_hooks hooks;
static struct cw_error error;
static int there; /* the other end of its socket */

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static int setup(void **state)
{
	const struct timeval wait = {.tv_usec = 1000};
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) ||
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		return -1;
	there = pair[1];
	hooks = (struct cw_opener_hooks){.socket = pair[0], .may_be_root = true};
	return mkdtemp(folder) && chmod(folder, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {"a.1.pcap", "a.2.pcap", "b.pcap", "rules"};

	(void)state;
	cw_opener_free(opener);
	opener = NULL;
	close(hooks.socket);
	close(there);
	for (size_t i = 0; i < CW_ARRAY_COUNT(names); i++)
		unlink(in_folder(names[i]));
	if (rmdir(folder))
		return -1;
	memcpy(strrchr(folder, '-') + 1, "XXXXXX", 6);
	return 0;
}

static void start(const struct cw_opener_owner *owner)
{
	assert_int_equal(cw_opener_new(&opener, owner), 0);
	cw_opener_set_hooks(opener, &hooks);
}

static int add(const char *name, const char *prefix, const char *rule,
	       struct cw_opener_found *found)
{
	const char *path = in_folder(name);
	const struct cw_opener_output output = {.path = path,
						.fixed_bytes = strlen(folder) + 1,
						.prefix = prefix,
						.suffix = ".pcap",
						.ring = "",
						.hook = rule};

	error.code = 0;
	return cw_opener_add(opener, &output, found, &error);
}

/* Publishes a file of the output, and asks for its hook. */
static int publish(uint32_t output, const char *name)
{
	struct cw_entry_outcome outcome;
	uint32_t handle;
	int fd;

	if (cw_opener_open(opener,
			   &(struct cw_opener_wish){
			       .output = output, .path = in_folder(name), .random = "abcdef"},
			   &handle, &fd, &error))
		fail_msg("%s", error.text);
	close(fd);
	assert_int_equal(cw_opener_run_hook(opener, handle), -EINVAL); /* not published yet */
	assert_int_equal(cw_opener_publish(opener, handle, name, 0, &outcome), 0);
	return cw_opener_run_hook(opener, handle);
}

/* Reads the next request; `text` may be NULL. Returns its flags. */
static uint32_t expect(uint32_t call, uint32_t output, const char *text)
{
	static struct cw_opener_message message;
	const char *said = NULL;

	assert_int_equal(cw_opener_receive(there, &message, sizeof(message.request), MSG_DONTWAIT),
			 0);
	if (message.fd >= 0)
		close(message.fd);
	assert_int_equal(message.request.call, call);
	assert_int_equal(message.request.output, output);
	assert_int_equal(cw_opener_texts(&message, &said, text != NULL), 0);
	if (text)
		assert_string_equal(said, text);
	assert_int_equal(message.fd >= 0, call == CW_HOOK_RULES);
	return message.request.flags;
}

static void expect_nothing(void)
{
	char byte;

	assert_int_equal(recv(there, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void each_published_file_is_told(void **state)
{
	struct cw_opener_found found, other;

	(void)state;
	start(NULL);
	assert_int_equal(add("a.1.pcap", "a.", "rule a", &found), 0);
	assert_int_equal(add("b.pcap", "b", "", &other), 0);
	expect(CW_HOOK_ADD, found.number, "rule a");
	assert_int_equal(publish(found.number, "a.1.pcap"), 0);
	expect(CW_HOOK_RUN, found.number, in_folder("a.1.pcap"));
	assert_int_equal(publish(other.number, "b.pcap"), 0);
	expect_nothing();
	assert_int_equal(cw_opener_drop(opener, other.number, other.number), 0);
	expect_nothing();
	assert_int_equal(cw_opener_drop(opener, found.number, found.number), 0);
	expect(CW_HOOK_DROP, found.number, NULL);
	expect_nothing();
}

static void rules_are_passed_on_before_they_are_answered(void **state)
{
	int fd = open(in_folder("rules"), O_WRONLY | O_CREAT, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	start(NULL);
	assert_int_equal(cw_opener_set_rules(opener, in_folder("rules"), &error), 0);
	assert_int_equal(cw_opener_rules(opener, &fd, &error), 0);
	close(fd);
	expect(CW_HOOK_RULES, 0, NULL);
	close(there); /* the process has ended */
	there = -1;
	assert_int_equal(cw_opener_rules(opener, &fd, &error), -EPIPE);
	assert_contains(error.text, "hooks");
}

static void a_full_socket_refuses_the_hook_of_a_published_file(void **state)
{
	struct cw_opener_found found;

	(void)state;
	start(NULL);
	assert_int_equal(add("a.1.pcap", "a.", "a", &found), 0);
	while (send(hooks.socket, "", 1, MSG_DONTWAIT) == 1)
		;
	assert_int_equal(publish(found.number, "a.1.pcap"), -ETIMEDOUT);
	assert_int_equal(access(in_folder("a.1.pcap"), F_OK), 0);
	assert_int_equal(add("b.pcap", "b", "b", &found), -ETIMEDOUT);
}

static void a_hook_as_root_is_refused(void **state)
{
	static const struct cw_opener_owner owner = {.user = OWNER, .group = OWNER};
	struct cw_opener_found found;

	(void)state;
	if (geteuid() != 0)
		skip();
	hooks.may_be_root = false;
	start(&owner);
	assert_int_equal(add("a.1.pcap", "a.", "a", &found), -EPERM);
	assert_contains(error.text, folder);
	assert_contains(error.text, "--hook-user");
	expect_nothing();
	assert_int_equal(add("b.pcap", "b", "", &found), 0); /* without a hook it is root's */
	hooks.may_be_root = true;
	cw_opener_set_hooks(opener, &hooks);
	assert_int_equal(add("a.1.pcap", "a.", "a", &found), 0);
	expect(CW_HOOK_ADD, found.number, "a");
	assert_int_equal(publish(found.number, "a.1.pcap"), 0);
	assert_int_equal(expect(CW_HOOK_RUN, found.number, in_folder("a.1.pcap")) & CW_HOOK_ROOTS,
			 CW_HOOK_ROOTS);
}

static void files_are_given_to_the_user_of_the_hooks(void **state)
{
	static const struct cw_opener_owner owner = {.user = OWNER, .group = OWNER};
	struct cw_opener_found found;
	struct stat status;

	(void)state;
	if (geteuid() != 0)
		skip();
	hooks.has_user = true;
	hooks.user = HOOK_USER;
	hooks.group = HOOK_GROUP;
	for (int is_owners = 0; is_owners < 2; is_owners++) {
		assert_int_equal(chown(folder, is_owners ? OWNER : 0, 0), 0);
		start(&owner);
		assert_int_equal(add("a.1.pcap", "a.", "a", &found), 0);
		assert_int_equal(found.owner, is_owners ? OWNER : 0);
		assert_int_equal(found.given_to, HOOK_USER);
		assert_int_equal(publish(found.number, "a.1.pcap"), 0); /* again: replaced */
		assert_int_equal(stat(in_folder("a.1.pcap"), &status), 0);
		assert_int_equal(status.st_uid, HOOK_USER);
		assert_int_equal(status.st_gid, HOOK_GROUP);
		assert_int_equal(add("b.pcap", "b", "", &found), 0);
		assert_int_equal(found.given_to, found.owner);
		assert_int_equal(publish(found.number, "b.pcap"), 0);
		assert_int_equal(stat(in_folder("b.pcap"), &status), 0);
		assert_int_equal(status.st_uid, is_owners ? OWNER : 0);
		unlink(in_folder("b.pcap"));
		cw_opener_free(opener);
		opener = NULL;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(each_published_file_is_told),
	    TEST(rules_are_passed_on_before_they_are_answered),
	    TEST(a_full_socket_refuses_the_hook_of_a_published_file),
	    TEST(a_hook_as_root_is_refused),
	    TEST(files_are_given_to_the_user_of_the_hooks),
	};

	return RUN_TESTS(0, tests, NULL, NULL, argc, argv);
}
