/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that compiles filters: expressions that take too long or too much memory, and workers
 * and helpers that die at any moment.
 */
#include <signal.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "core/base/clock.h"
#include "core/packet/packet.h"
#include "tests/core/filter/text/compiler_rig.h"

/* ---- helpers ---- */

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

/* The filter is the one that compiling here without optimising gives. Else: 1, there was time to
 * optimise; -1, there was no time to compile. */
static int falls_back(struct cw_filter_compiler *compiler, const char *expression, const char *says)
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
	if (result == 0)
		cw_filter_free(there);
	if (result == 0 || result == -ETIMEDOUT)
		return result == 0 ? 1 : -1;
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
	return 0;
}

/* ---- limits ---- */

static void too_slow_both_ways_is_an_error_in_time(void **state)
{
	struct cw_filter_compiler *compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 200});
	struct cw_filter_compiler_stats stats;
	struct cw_error error = {0};
	char *expression = or_hosts(1500);

	(void)state;
	assert_int_equal(compile_with(compiler, expression, &error), -ETIMEDOUT);
	assert_int_equal(error.code, -ETIMEDOUT);
	assert_contains(error.text, "filter \"host 10.0.0.0 or");
	assert_contains(error.text, "link type EN10MB");
	assert_contains(error.text,
			"even unoptimised, compiling takes longer than 0.2 s; raise --filter-time");
	assert_works(compiler, "tcp port 80");
	/* A failure is not cached. */
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
	assert_contains(
	    error.text,
	    "longer than 0.2 s; check that the resolver answers, or raise --filter-time");
	cw_filter_compiler_free(options.compiler);
}

/* Milliseconds of CPU time that libpcap takes without optimising. */
static uint32_t time_unoptimized(const char *expression)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, CW_CAPLEN_MAX);
	uint64_t before_ns = cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID), after_ns;
	struct bpf_program program;

	assert_int_equal(pcap_compile(handle, &program, expression, 0, PCAP_NETMASK_UNKNOWN), 0);
	after_ns = cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	pcap_freecode(&program);
	pcap_close(handle);
	return (uint32_t)((after_ns - before_ns) / 1000000);
}

/* Optimising takes at least 1.8 times as long as all else: one limit is between the two times. */
static void too_slow_to_optimise_is_a_warning(void **state)
{
	char *expression = or_hosts(HEAVY_HOSTS);
	uint32_t limit_ms = time_unoptimized(expression) * 3 / 4;
	char says[160];
	int result = -1;

	(void)state;
	/* A busy machine may have measured too much. */
	for (; result; limit_ms = result > 0 ? limit_ms * 2 / 3 : limit_ms + limit_ms / 4 + 1) {
		struct cw_filter_compiler *compiler =
		    start(&(struct cw_filter_compiler_options){.time_ms = limit_ms});

		snprintf(says, sizeof(says),
			 "not optimised, so it runs slower and may match other truncated "
			 "packets, as with tcpdump -O: compiling takes longer than %g s",
			 limit_ms / 1000.0);
		result = falls_back(compiler, expression, says);
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
	assert_int_equal(falls_back(compiler, expression,
				    "compiling takes more than 4 MiB; raise --filter-memory"),
			 0);
	assert_works(compiler, "tcp port 80");
	cw_filter_compiler_free(compiler);
	compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 20000, .memory_bytes = 64 << 10});
	assert_int_equal(compile_with(compiler, longer, &error), -E2BIG);
	assert_contains(error.text,
			"even unoptimised, compiling takes more than 0.0625 MiB; raise");
	cw_filter_compiler_free(compiler);
	free(expression);
	free(longer);
}

/* ---- deaths ---- */

/* Kill `victim` when the worker has computed for a while; by a child, which ends
 * then and is returned. */
static pid_t kill_at_work(pid_t victim, pid_t worker)
{
	clockid_t clock;
	pid_t killer;

	assert_int_equal(clock_getcpuclockid(worker, &clock), 0);
	killer = fork();
	assert_true(killer >= 0);
	if (killer == 0) {
		while (cw_clock_ns(clock) < CW_NS_PER_S / 20)
			usleep(1000);
		kill(victim, SIGKILL);
		_exit(0);
	}
	return killer;
}

static void dead_worker_is_replaced(void **state)
{
	struct cw_filter_compiler *compiler =
	    start(&(struct cw_filter_compiler_options){.time_ms = 30000});
	pid_t helper = cw_filter_compiler_pid(compiler);
	char *expression = or_hosts(HEAVY_HOSTS);
	pid_t worker = worker_of(compiler);
	int process = open_process(worker);
	pid_t victim, killer;

	(void)state;
	kill(worker, SIGKILL);
	assert_ends(process);
	assert_works(compiler, "tcp port 80"); /* idle: no expression is blamed */
	assert_true(child_of(helper) != worker);
	victim = worker_of(compiler);
	killer = kill_at_work(victim, victim);
	assert_int_equal(falls_back(compiler, expression, "signal 9 ended libpcap"), 0);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
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
	assert_contains(error.text, "the process that compiles filters has failed");
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
	pid_t killer;

	(void)state;
	killer = kill_at_work(helper, worker_of(compiler));
	assert_int_equal(compile_with(compiler, expression, &error), -EIO);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(too_slow_both_ways_is_an_error_in_time),
	    cmocka_unit_test(a_resolver_that_does_not_answer_is_named),
	    cmocka_unit_test(too_slow_to_optimise_is_a_warning),
	    cmocka_unit_test(memory_is_limited),
	    cmocka_unit_test(dead_worker_is_replaced),
	    cmocka_unit_test(dead_helper_is_an_error),
	    cmocka_unit_test(helper_that_dies_at_work_is_an_error),
	    cmocka_unit_test(all_end_with_their_user),
	    cmocka_unit_test(signals_for_the_user_do_not_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
