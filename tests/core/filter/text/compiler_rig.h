/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that compiles filters: started, compiled with, watched from outside. */
#ifndef CW_TESTS_CORE_FILTER_TEXT_COMPILER_RIG_H
#define CW_TESTS_CORE_FILTER_TEXT_COMPILER_RIG_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "core/filter/text/compiler.h"
#include "core/packet/linktype.h"
#include "tests/rig/run_tests.h"

#define HEAVY_HOSTS 250u /* 1.4 s of CPU time with libpcap's optimiser, 0.3 s without */
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

static inline struct cw_filter_compiler *start(const struct cw_filter_compiler_options *options)
{
	static const struct cw_filter_compiler_options defaults;
	struct cw_filter_compiler *compiler;
	struct cw_error error = {0};

	if (cw_filter_compiler_start(&compiler, options ? options : &defaults, &error))
		fail_msg("%s", error.text);
	return compiler;
}

/* "host A or host B or ...", to be freed. */
static inline char *or_hosts(uint32_t count)
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

/* The only child of `parent`; 0: there is none. Not from .../children: not every kernel has it. */
static inline pid_t child_of(pid_t parent)
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

static inline int open_process(pid_t pid)
{
	int fd = pidfd_open(pid, 0);

	assert_true(pid > 0);
	assert_true(fd >= 0);
	return fd;
}

/* Wait for its end; closes. */
static inline void assert_ends(int process)
{
	struct pollfd fd = {.fd = process, .events = POLLIN};

	assert_int_equal(poll(&fd, 1, DEATH_MS), 1);
	close(process);
}

static inline void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static inline int compile_with(struct cw_filter_compiler *compiler, const char *expression,
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

static inline void assert_works(struct cw_filter_compiler *compiler, const char *expression)
{
	struct cw_error error = {0};

	if (compile_with(compiler, expression, &error))
		fail_msg("%s", error.text);
}

/* The worker. On a busy machine it may be between two of them until the next expression. */
static inline pid_t worker_of(struct cw_filter_compiler *compiler)
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

#endif
