/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that compiles filters: what it gives is what compiling here gives, in programs and in
 * words; its limits; and that no death of the three processes leaves another one waiting, or left
 * over. Sees to its own timing by signals and descriptors of processes, not by sleeping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/filter/text/cache.h"
#include "core/filter/text/compiler.h"
#include "core/filter/text/helper.h"
#include "core/packet/linktype.h"
#include "tests/rig/filter_sets.h"

#define HEAVY_HOSTS 600u /* 12 s to optimise, 0.7 s without */
#define DEATH_MS 10000   /* that a process which shall end may take */
#define PER_KIND 25u

/* ---- a call that can be made to fail (linked with --wrap) ---- */

static int forks_left = -1; /* until they fail; -1: none does. The helper has a copy */

pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
	if (forks_left == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (forks_left > 0)
		forks_left--;
	return __real_fork();
}

/* libpcap's, too, is this one. */
static bool resolver_is_silent;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (resolver_is_silent)
		pause();
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, found);
}

/* ---- helpers ---- */

static struct cw_filter_compiler *start(const struct cw_filter_compiler_options *options)
{
	static const struct cw_filter_compiler_options defaults;
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	if (cw_filter_compiler_start(&compiler, options ? options : &defaults, &error))
		fail_msg("%s", error.text);
	return compiler;
}

static double now_s(void)
{
	return (double)cw_now_ns() * 1e-9;
}

/* "host A or host B or ...", to be freed. */
static char *or_hosts(uint32_t count)
{
	size_t room = count * 32 + 1, used = 0;
	char *text = malloc(room);
	uint32_t i;

	assert_non_null(text);
	for (i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, room - used, "%shost %u.%u.%u.%u",
					 i ? " or " : "", 10 + i * 7 % 200, i * 13 % 256, i / 256,
					 i % 256);
	return text;
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* The only child of `parent`; 0: there is none. Not from .../children: not every kernel has it. */
static pid_t child_of(pid_t parent)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	pid_t child = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		int pid = atoi(entry->d_name), its_parent = 0;
		char path[64], line[512] = "";
		FILE *file;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file) && strrchr(line, ')') &&
		    sscanf(strrchr(line, ')') + 1, " %*c %d", &its_parent) == 1 &&
		    its_parent == parent)
			child = pid;
		fclose(file);
	}
	closedir(directory);
	return child;
}

static int open_process(pid_t pid)
{
	int fd = pidfd_open(pid, 0);

	assert_true(pid > 0);
	assert_true(fd >= 0);
	return fd;
}

/* Wait for its end; closes. */
static void assert_ends(int process)
{
	struct pollfd fd = {.fd = process, .events = POLLIN};

	assert_int_equal(poll(&fd, 1, DEATH_MS), 1);
	close(process);
}

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

static void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Compile both ways; all that comes of it is equal. Returns cw_filter_compile's result. */
static int compare(struct cw_filter_compiler *compiler, const char *expression,
		   struct cw_filter_options options)
{
	struct cw_filter *here = NULL, *there = NULL;
	struct cw_error error_here = {0}, error_there = {0};
	uint32_t count_here, count_there;
	int result = cw_filter_compile(&here, expression, &options, &error_here);

	options.compiler = compiler;
	assert_int_equal(cw_filter_compile(&there, expression, &options, &error_there), result);
	assert_string_equal(error_there.text, error_here.text);
	assert_int_equal(error_there.code, error_here.code);
	if (result >= 0) {
		const struct bpf_insn *program_here = cw_filter_program(here, &count_here);
		const struct bpf_insn *program_there = cw_filter_program(there, &count_there);

		assert_int_equal(count_there, count_here);
		assert_memory_equal(program_there, program_here,
				    count_here * sizeof(*program_here));
		assert_string_equal(cw_filter_expression(there), expression);
	} else {
		assert_null(there);
	}
	cw_filter_free(here);
	cw_filter_free(there);
	return result;
}

static int compile_with(struct cw_filter_compiler *compiler, const char *expression,
			struct cw_error *error)
{
	const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET,
						  .compiler = compiler};
	struct cw_filter *filter = NULL;
	int result = cw_filter_compile(&filter, expression, &options, error);

	assert_true((result >= 0) == (filter != NULL));
	cw_filter_free(filter);
	return result;
}

static void assert_works(struct cw_filter_compiler *compiler, const char *expression)
{
	struct cw_error error = {0};

	if (compile_with(compiler, expression, &error))
		fail_msg("%s", error.text);
}

/* The worker. On a busy machine it may be between two of them until the next expression. */
static pid_t worker_of(struct cw_filter_compiler *compiler)
{
	static uint32_t number;
	char expression[32];
	pid_t worker;

	while ((worker = child_of(cw_filter_compiler_pid(compiler))) == 0) {
		snprintf(expression, sizeof(expression), "len > %u", ++number);
		assert_works(compiler, expression);
	}
	return worker;
}

/* Whether the process ignores these signals. */
static bool ignores(pid_t pid, const int *signals, size_t count)
{
	unsigned long long mask = 0;
	char path[64], line[256];
	bool result = true;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "SigIgn: %llx", &mask);
	fclose(file);
	for (size_t i = 0; i < count; i++)
		result = result && mask >> (signals[i] - 1) & 1;
	return result;
}

/* The same again, in program and words, without compiling. */
static void assert_remembers_fallback(struct cw_filter_compiler *compiler, const char *expression,
				      const struct cw_filter *wanted, const struct cw_error *said)
{
	const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET,
						  .compiler = compiler};
	struct cw_filter_compiler_stats before, after;
	struct cw_error error = {0};
	struct cw_filter *filter;
	uint32_t wanted_count, count;

	cw_filter_compiler_stats(compiler, &before);
	assert_int_equal(cw_filter_compile(&filter, expression, &options, &error),
			 CW_FILTER_UNOPTIMIZED);
	cw_filter_compiler_stats(compiler, &after);
	assert_int_equal(after.compiled_count, before.compiled_count);
	assert_int_equal(after.fallback_count, before.fallback_count);
	assert_int_equal(after.cached_count, before.cached_count + 1);
	assert_int_equal(error.code, 0);
	assert_string_equal(error.text, said->text);
	cw_filter_program(wanted, &wanted_count);
	assert_memory_equal(cw_filter_program(filter, &count),
			    cw_filter_program(wanted, &wanted_count), wanted_count * 8);
	assert_int_equal(count, wanted_count);
	cw_filter_free(filter);
}

/* The filter is the one that compiling here without optimising gives; false: that took too long. */
static bool falls_back(struct cw_filter_compiler *compiler, const char *expression,
		       const char *says)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET, .compiler = compiler};
	struct cw_filter *here, *there;
	struct cw_filter_compiler_stats stats;
	struct cw_error error = {0};
	uint32_t count_here, count_there;
	uint64_t fallbacks;
	int result;

	cw_filter_compiler_stats(compiler, &stats);
	fallbacks = stats.fallback_count;
	result = cw_filter_compile(&there, expression, &options, &error);
	if (result == -ETIMEDOUT)
		return false;
	assert_int_equal(result, CW_FILTER_UNOPTIMIZED);
	assert_int_equal(error.code, 0);
	assert_contains(error.text, "filter \"host 10.0.0.0 or");
	assert_contains(error.text, says);
	options.compiler = NULL;
	options.unoptimized = true;
	assert_int_equal(cw_filter_compile(&here, expression, &options, NULL), 0);
	cw_filter_program(here, &count_here);
	assert_memory_equal(cw_filter_program(there, &count_there),
			    cw_filter_program(here, &count_here), count_here * 8);
	assert_int_equal(count_there, count_here);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.fallback_count, fallbacks + 1);
	cw_filter_free(there);
	assert_remembers_fallback(compiler, expression, here, &error);
	cw_filter_free(here);
	return true;
}

/* ---- equal to compiling here ---- */

static const struct cw_filter_options options_of_all_kinds[] = {
    {.linktype = CW_LINKTYPE_ETHERNET},
    {.linktype = CW_LINKTYPE_ETHERNET, .unoptimized = true},
    {.linktype = CW_LINKTYPE_ETHERNET, .snaplen = 96},
    {.linktype = CW_LINKTYPE_RAW},
    {.linktype = 113},                     /* LINUX_SLL */
    {.linktype = 0, .is_swapped = true},   /* NULL */
    {.linktype = 105, .unoptimized = true} /* IEEE802_11 */
};

static void helper_gives_what_compiling_here_gives(void **state)
{
	struct cw_filter_compiler *compiler = start(NULL);
	struct random random = {20261123};
	char expression[SETS_EXPRESSION_BYTES];
	uint32_t good = 0, bad = 0;
	size_t option, kind;

	(void)state;
	print_message("seed %" PRIu64 "\n", random.state);
	for (option = 0; option < CW_ARRAY_COUNT(options_of_all_kinds); option++) {
		for (kind = 0; sets_kinds[kind]; kind++) {
			for (uint32_t i = 0; i < PER_KIND; i++) {
				sets_expression(&random, sets_kinds[kind], i, expression);
				if (compare(compiler, expression, options_of_all_kinds[option]) < 0)
					bad++;
				else
					good++;
			}
		}
	}
	print_message("%u programs and %u errors are equal\n", good, bad);
	assert_true(good > 2000 && bad > 20);
	cw_filter_compiler_free(compiler);
}

static void errors_are_those_of_compiling_here(void **state)
{
	static const char *const wrong[] = {"tcp and",
					    "nonsense",
					    "host 300.1.1.1",
					    "port 99999",
					    "(tcp or udp",
					    "tcp port 80 or udp porrt 53",
					    "ip[99",
					    "wlan type mgt",
					    "ether host 1:2",
					    "tcp and udp and ip6 and arp and",
					    "host nowhere.invalid",
					    "vlan 9999",
					    "len / 0 = 1",
					    "\x01\xff"};
	struct cw_filter_compiler *compiler = start(NULL);
	char *long_one = or_hosts(150);
	size_t i, option;

	(void)state;
	for (option = 0; option < CW_ARRAY_COUNT(options_of_all_kinds); option++)
		for (i = 0; i < CW_ARRAY_COUNT(wrong); i++)
			compare(compiler, wrong[i], options_of_all_kinds[option]);
	assert_int_equal(compare(compiler, "tcp and", options_of_all_kinds[0]), -EINVAL);
	assert_int_equal(compare(compiler, "host nowhere.invalid", options_of_all_kinds[0]),
			 -EACCES);
	assert_int_equal(compare(compiler, "tcp and udp", options_of_all_kinds[0]),
			 CW_FILTER_NEVER);
	assert_int_equal(compare(compiler, "", options_of_all_kinds[0]), 0);
	assert_int_equal(compare(compiler, long_one, options_of_all_kinds[1]), 0);
	free(long_one);
	cw_filter_compiler_free(compiler);
}

static void sets_compile_with_it(void **state)
{
	struct cw_filter_compiler *compiler = start(NULL);
	const struct cw_filter_set_options options = {
	    .filter = {.linktype = CW_LINKTYPE_ETHERNET, .compiler = compiler}};
	struct cw_filter_compiler_stats stats;
	struct cw_filter_set *set;
	uint32_t i;

	(void)state;
	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(cw_filter_set_add(set, i, i ? "udp" : "tcp", NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 2);
	assert_int_equal(stats.cached_count, 1);
	cw_filter_set_free(set);
	cw_filter_compiler_free(compiler);
}

/* ---- limits ---- */

static void too_slow_both_ways_is_an_error_in_time(void **state)
{
	struct cw_filter_compiler *compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 200});
	struct cw_filter_compiler_stats stats;
	struct cw_error error = {0};
	char *expression = or_hosts(1500);
	double start_s = now_s();

	(void)state;
	assert_int_equal(compile_with(compiler, expression, &error), -ETIMEDOUT);
	assert_true(now_s() - start_s < 5); /* 0.4, and a machine that is busy with other work */
	assert_int_equal(error.code, -ETIMEDOUT);
	assert_contains(error.text, "filter \"host 10.0.0.0 or");
	assert_contains(error.text, "link type EN10MB");
	assert_contains(error.text, "even unoptimised, takes longer than 0.2 s (--filter-time");
	assert_works(compiler, "tcp port 80");
	/* It is not remembered: the machine may be less busy next time. */
	assert_int_equal(compile_with(compiler, expression, NULL), -ETIMEDOUT);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.failed_count, 2);
	assert_int_equal(stats.cached_count, 0);
	free(expression);
	cw_filter_compiler_free(compiler);
}

static void a_resolver_that_does_not_answer_is_named(void **state)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET,
					    .resolve_names = true};
	struct cw_error error = {0};
	struct cw_filter *filter;

	(void)state;
	resolver_is_silent = true;
	options.compiler = start(&(struct cw_filter_compiler_options){.time_ms = 200});
	resolver_is_silent = false;
	assert_int_equal(cw_filter_compile(&filter, "host somewhere", &options, &error),
			 -ETIMEDOUT);
	assert_contains(error.text, "0.2 s, looking up names included: does the resolver answer?");
	cw_filter_compiler_free(options.compiler);
}

/* Between the times with and without optimising, whatever they are here and now, lies a power of
 * two times a second: they are a factor of ten apart and more. */
static void too_slow_to_optimise_is_a_warning(void **state)
{
	char *expression = or_hosts(HEAVY_HOSTS);
	uint32_t limit_s = 1;
	char says[64];
	bool is_done = false;

	(void)state;
	for (; !is_done; limit_s *= 2) {
		struct cw_filter_compiler *compiler =
		    start(&(struct cw_filter_compiler_options){.time_ms = limit_s * 1000});

		snprintf(says, sizeof(says), "not optimised, which takes longer than %u s",
			 limit_s);
		is_done = falls_back(compiler, expression, says);
		cw_filter_compiler_free(compiler);
	}
	free(expression);
}

static void memory_is_limited(void **state)
{
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};
	char *expression = or_hosts(400), *longer = or_hosts(2000);

	(void)state;
#if defined(CW_SANITIZED)
	free(expression);
	free(longer);
	print_message("sanitizers reserve terabytes, so memory is not limited with them\n");
	skip();
#endif
	compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 20000, .memory_bytes = 4 << 20});
	assert_true(
	    falls_back(compiler, expression, "takes more than 4 MiB of memory (--filter-memory"));
	assert_works(compiler, "tcp port 80");
	cw_filter_compiler_free(compiler);
	compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 20000, .memory_bytes = 64 << 10});
	assert_int_equal(compile_with(compiler, longer, &error), -E2BIG);
	assert_contains(error.text, "even unoptimised, takes more than 0.0625 MiB");
	cw_filter_compiler_free(compiler);
	free(expression);
	free(longer);
}

/* ---- deaths ---- */

static pid_t victim;

static void kill_victim(int number)
{
	(void)number;
	kill(victim, SIGKILL);
}

/* Kill it in a while, when the compiler is waited for. */
static void kill_later(pid_t pid)
{
	const struct sigaction action = {.sa_handler = kill_victim};
	const struct itimerval soon = {.it_value = {.tv_usec = 300000}};

	victim = pid;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void dead_worker_is_replaced(void **state)
{
	struct cw_filter_compiler *compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 30000});
	pid_t helper = cw_filter_compiler_pid(compiler);
	char *expression = or_hosts(HEAVY_HOSTS);
	pid_t worker = worker_of(compiler);
	int process = open_process(worker);

	(void)state;
	kill(worker, SIGKILL);
	assert_ends(process);
	assert_works(compiler, "tcp port 80"); /* idle: no expression is blamed */
	assert_true(child_of(helper) != worker);
	kill_later(worker_of(compiler));
	assert_true(falls_back(compiler, expression, "ends libpcap with signal 9"));
	assert_works(compiler, "tcp port 81");
	free(expression);
	cw_filter_compiler_free(compiler);
	assert_no_children();
}

static void dead_helper_is_an_error(void **state)
{
	struct cw_filter_compiler *compiler = start(NULL);
	pid_t helper = cw_filter_compiler_pid(compiler);
	int worker_process = open_process(worker_of(compiler));
	struct cw_error error = {0};

	(void)state;
	kill(helper, SIGKILL);
	assert_int_equal(compile_with(compiler, "tcp port 80", &error), -EIO);
	assert_int_equal(error.code, -EIO);
	assert_contains(error.text, "the process that compiles filters is lost");
	assert_int_equal(compile_with(compiler, "tcp port 80", NULL), -EIO);
	assert_int_equal(compile_with(compiler, "", NULL), 0); /* needs no libpcap */
	assert_ends(worker_process);
	cw_filter_compiler_free(compiler);
	assert_no_children();
}

static void helper_that_dies_at_work_is_an_error(void **state)
{
	struct cw_filter_compiler *compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 60000});
	pid_t helper = cw_filter_compiler_pid(compiler);
	int worker_process = open_process(worker_of(compiler));
	char *expression = or_hosts(HEAVY_HOSTS);
	struct cw_error error = {0};
	double start_s = now_s();

	(void)state;
	kill_later(helper);
	assert_int_equal(compile_with(compiler, expression, &error), -EIO);
	assert_true(now_s() - start_s < 5);
	assert_ends(worker_process);
	free(expression);
	cw_filter_compiler_free(compiler);
	assert_no_children();
}

/* The user's process dies without a word while the worker is busy: nobody is left. */
static void all_end_with_their_user(void **state)
{
	int helper_process, worker_process, pipes[2];
	pid_t pids[2], user;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	user = fork();
	assert_true(user >= 0);
	if (user == 0) {
		struct cw_filter_compiler *compiler =
		    start(&(struct cw_filter_compiler_options){.time_ms = 60000});
		pid_t helper = cw_filter_compiler_pid(compiler);
		const pid_t found[2] = {helper, worker_of(compiler)};

		(void)!write(pipes[1], found, sizeof(found));
		compile_with(compiler, or_hosts(HEAVY_HOSTS), NULL);
		_exit(0);
	}
	assert_int_equal(read(pipes[0], pids, sizeof(pids)), sizeof(pids));
	helper_process = open_process(pids[0]);
	worker_process = open_process(pids[1]);
	kill(user, SIGKILL);
	assert_int_equal(waitpid(user, NULL, 0), user);
	assert_ends(helper_process);
	assert_ends(worker_process);
	close(pipes[0]);
	close(pipes[1]);
}

static void signals_for_the_user_do_not_end_it(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct cw_filter_compiler *compiler = start(NULL);
	pid_t helper = cw_filter_compiler_pid(compiler);
	size_t i;

	(void)state;
	for (i = 0; i < CW_ARRAY_COUNT(signals); i++)
		kill(helper, signals[i]);
	assert_works(compiler, "tcp port 80");
	assert_true(ignores(helper, signals, CW_ARRAY_COUNT(signals)));
	assert_true(ignores(worker_of(compiler), signals, CW_ARRAY_COUNT(signals)));
	assert_true(getpgid(helper) != getpgrp());
	kill(helper, SIGSTOP); /* does not keep the user from ending it */
	cw_filter_compiler_free(compiler);
	assert_no_children();
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
		assert_contains(error.text, "no process can be started for filters");
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
	assert_contains(error.text, "lost: Resource temporarily unavailable");
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
	assert_contains(error.text, "no process can be started for filters: Permission denied");
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

/* ---- messages ---- */

static void impossible_messages_are_refused(void **state)
{
	const struct cw_helper_answer_head wrong[] = {
	    {.result = 0, .count = CW_FILTER_INSTRUCTIONS_MAX + 1},
	    {.result = 0, .count = 0},
	    {.result = -EINVAL, .count = 1},
	    {.result = -EINVAL, .text_bytes = CW_ERROR_TEXT_BYTES},
	    {.result = -EINVAL, .stop = CW_STOP_COUNT},
	    {.result = 0, .count = 1, .first_stop = CW_STOP_COUNT},
	    {.result = CW_FILTER_UNOPTIMIZED + 1, .count = 1}};
	const struct cw_helper_answer_head cut = {.result = 0, .count = 2};
	struct cw_helper_answer answer;
	uint64_t soon_ns;
	int sockets[2];
	size_t i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	for (i = 0; i < CW_ARRAY_COUNT(wrong); i++) {
		assert_int_equal(
		    cw_wire_send(sockets[0], &wrong[i], sizeof(wrong[i]), CW_HELPER_FOREVER), 0);
		assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, CW_HELPER_FOREVER),
				 -EPROTO);
	}
	soon_ns = cw_now_ns() + 20000000;
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, soon_ns), -ETIMEDOUT);
	assert_int_equal(cw_wire_send(sockets[0], &cut, sizeof(cut), CW_HELPER_FOREVER), 0);
	close(sockets[0]);
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &answer, CW_HELPER_FOREVER),
			 -EPIPE);
	assert_null(answer.translation.program);
	assert_int_equal(cw_wire_send(sockets[1], &cut, sizeof(cut), CW_HELPER_FOREVER), -EPIPE);
	close(sockets[1]);
}

/* Larger than what sockets hold: it goes over in many pieces, while the other side reads. */
static void long_messages_arrive_whole(void **state)
{
	const uint32_t count = 300000;
	struct cw_helper_answer answer = {.head = {.count = count, .text_bytes = 5}};
	struct bpf_insn *program = calloc(count, sizeof(*program));
	struct cw_helper_answer got;
	int sockets[2], small = 4096, status;
	pid_t sender;
	uint32_t i;

	(void)state;
	assert_non_null(program);
	for (i = 0; i < count; i++)
		program[i].k = i * 2654435761u;
	answer.translation = (struct cw_translation){program, count};
	memcpy(answer.text, "words", 6);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	/* Nobody reads: the deadline ends it. */
	assert_int_equal(cw_wire_send_answer(sockets[0], &answer, cw_now_ns() + 20000000),
			 -ETIMEDOUT);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	sender = fork();
	assert_true(sender >= 0);
	if (sender == 0)
		_exit(cw_wire_send_answer(sockets[0], &answer, CW_HELPER_FOREVER) != 0);
	close(sockets[0]);
	assert_int_equal(cw_wire_receive_answer(sockets[1], -1, &got, CW_HELPER_FOREVER), 0);
	assert_int_equal(got.head.count, count);
	assert_memory_equal(got.translation.program, program, count * sizeof(*program));
	assert_string_equal(got.text, "words");
	assert_int_equal(waitpid(sender, &status, 0), sender);
	assert_int_equal(status, 0);
	close(sockets[1]);
	cw_translation_fini(&got.translation);
	free(program);
}

/* ---- cache ---- */

static void what_was_compiled_is_remembered(void **state)
{
	static const char *const expressions[] = {"tcp port 80", "tcp and udp", "tcp and"};
	struct cw_filter_compiler *compiler = start(NULL);
	const struct cw_filter_options resolving = {.linktype = CW_LINKTYPE_ETHERNET,
						    .resolve_names = true};
	const size_t different = CW_ARRAY_COUNT(options_of_all_kinds);
	struct cw_filter_compiler_stats stats;
	size_t round, option, i;

	(void)state;
	for (round = 0; round < 3; round++)
		for (option = 0; option < different; option++)
			for (i = 0; i < CW_ARRAY_COUNT(expressions); i++)
				compare(compiler, expressions[i], options_of_all_kinds[option]);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 3 * different);
	assert_int_equal(stats.cached_count, 2 * 3 * different);
	compare(compiler, "tcp port 80", resolving);
	compare(compiler, "tcp port 80", resolving);
	cw_filter_compiler_stats(compiler, &stats);
	assert_int_equal(stats.compiled_count, 3 * different + 2);
	cw_filter_compiler_free(compiler);
}

static void cache_is_bounded(void **state)
{
	static const struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET};
	static const size_t generation_bytes[] = {SIZE_MAX / 2, 1000, 1};
	struct bpf_insn program[4] = {{0}};
	const struct cw_translation translation = {program, 4};
	struct cw_filter_cache cache;
	char expression[32];
	uint32_t i;
	size_t k;

	(void)state;
	for (k = 0; k < CW_ARRAY_COUNT(generation_bytes); k++) {
		cw_filter_cache_init(&cache, 20, 2 * generation_bytes[k]);
		for (i = 0; i < 1000; i++) {
			const struct cw_cached *found;

			/* One that is asked for again and again stays. */
			found = cw_filter_cache_find(&cache, "popular", &options);
			assert_true(found || i == 0 || k == 2);
			if (!found)
				cw_filter_cache_add(&cache, "popular", &options, 0, &translation, 0,
						    "");
			snprintf(expression, sizeof(expression), "port %u", i);
			assert_null(cw_filter_cache_find(&cache, expression, &options));
			program[0].k = i;
			cw_filter_cache_add(&cache, expression, &options, 1, &translation, 0,
					    "a text");
			found = cw_filter_cache_find(&cache, expression, &options);
			assert_true((found != NULL) == (k != 2));
			if (found) {
				assert_int_equal(found->translation.program[0].k, i);
				assert_int_equal(found->result, 1);
				assert_string_equal(found->text, "a text");
			}
			assert_true(cache.young.count <= 10 && cache.old.count <= 10);
			assert_true(cache.young.bytes <= generation_bytes[k]);
		}
		cw_filter_cache_fini(&cache);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(helper_gives_what_compiling_here_gives),
	    cmocka_unit_test(errors_are_those_of_compiling_here),
	    cmocka_unit_test(sets_compile_with_it),
	    cmocka_unit_test(too_slow_both_ways_is_an_error_in_time),
	    cmocka_unit_test(a_resolver_that_does_not_answer_is_named),
	    cmocka_unit_test(too_slow_to_optimise_is_a_warning),
	    cmocka_unit_test(memory_is_limited),
	    cmocka_unit_test(dead_worker_is_replaced),
	    cmocka_unit_test(dead_helper_is_an_error),
	    cmocka_unit_test(helper_that_dies_at_work_is_an_error),
	    cmocka_unit_test(all_end_with_their_user),
	    cmocka_unit_test(signals_for_the_user_do_not_end_it),
	    cmocka_unit_test(no_process_is_an_error),
	    cmocka_unit_test(helper_gives_up_what_it_is_told_to),
	    cmocka_unit_test(no_descriptor_leaks_either_way),
	    cmocka_unit_test(closed_standard_streams_are_no_matter),
	    cmocka_unit_test(impossible_messages_are_refused),
	    cmocka_unit_test(long_messages_arrive_whole),
	    cmocka_unit_test(what_was_compiled_is_remembered),
	    cmocka_unit_test(cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
