/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs hooks. It accepts requests immediately, so the capture never waits for a
 * hook. Hooks start in order, a few at a time, each in a separate process group: a hook over the
 * time limit is killed with its children, and so are all at the capture's request. Each failure is
 * reported on standard error. If the capture dies, no further hook starts, and this process ends
 * after the last running one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/base/signals.h"
#include "tools/process/hooks.h"
#include "tools/process/hooks_parts.h"
#include "tools/text/complain.h"

#define WORDS_MAX 256u
#define NOT_STARTED 127 /* exit status of a hook that cannot be executed, as in a shell */

struct request {
	struct request *next;
	size_t bytes;
	char words[]; /* the message, NUL-terminated words */
};

enum killed {
	KILLED_NOT,
	KILLED_LATE,      /* at its time limit */
	KILLED_BY_SIGNAL, /* at the capture's request */
};

struct job {
	struct request *request; /* NULL: the slot is free */
	pid_t pid;
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	enum killed killed;
};

struct runner {
	int fd;
	int signal_fd;
	uint32_t time_ms;
	struct request *first, *last; /* queue of waiting requests */
	uint32_t waiting;             /* requests in the queue */
	struct job jobs[CW_HOOKS_AT_ONCE];
	uint32_t running; /* hooks */
	uint64_t failed;  /* hooks */
	bool is_over;     /* no more requests will arrive */
	bool is_lost;     /* the capture has died */
};

/* Splits a request: the rule's name, the command's words, NULL. */
static void split_words(struct request *request, char **words)
{
	size_t at = 0;
	uint32_t count = 0;

	while (at < request->bytes && count < WORDS_MAX) {
		words[count++] = request->words + at;
		at += strlen(request->words + at) + 1;
	}
	words[count] = NULL;
}

/* Counts a hook as failed and reports why. */
static void __attribute__((format(printf, 3, 4)))
tell(struct runner *runner, struct request *request, const char *why, ...)
{
	char *words[WORDS_MAX + 1] = {0};
	char text[128];
	uint32_t last = 0;
	va_list values;

	va_start(values, why);
	vsnprintf(text, sizeof(text), why, values);
	va_end(values);
	runner->failed++;
	split_words(request, words);
	while (words[last + 1])
		last++;
	cw_complain("rule %s: hook %s failed for %s: %s", words[0], words[1], words[last], text);
}

/* ---- requests ---- */

static void drop_waiting(struct runner *runner)
{
	struct request *request;

	if (runner->waiting)
		cw_complain("%u waiting hook%s not run: a signal ended the wait for hooks",
			    runner->waiting, cw_plural(runner->waiting));
	runner->failed += runner->waiting;
	while ((request = runner->first)) {
		runner->first = request->next;
		free(request);
	}
	runner->last = NULL;
	runner->waiting = 0;
}

/* Kills a hook with the processes that it started. */
static void kill_job(struct job *job, enum killed why)
{
	job->killed = why;
	kill(-job->pid, SIGKILL);
}

static void kill_all(struct runner *runner)
{
	drop_waiting(runner);
	for (uint32_t i = 0; i < CW_HOOKS_AT_ONCE; i++)
		if (runner->jobs[i].request && !runner->jobs[i].killed)
			kill_job(&runner->jobs[i], KILLED_BY_SIGNAL);
}

static void take_message(struct runner *runner)
{
	static char message[CW_HOOK_BYTES_MAX];
	struct request *request;
	ssize_t bytes = recv(runner->fd, message, sizeof(message), MSG_DONTWAIT);

	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes == sizeof(CW_HOOKS_KILL)) {
		kill_all(runner);
		return;
	}
	if (bytes <= (ssize_t)sizeof(CW_HOOKS_LAST)) {
		runner->is_over = true;
		runner->is_lost = bytes <= 0;
		return;
	}
	request = runner->waiting < CW_HOOKS_WAITING_MAX
		      ? malloc(sizeof(*request) + (size_t)bytes + 1)
		      : NULL;
	if (!request) {
		runner->failed++;
		cw_complain("rule %s: hook not run: %u are waiting already", message,
			    runner->waiting);
		return;
	}
	*request = (struct request){.bytes = (size_t)bytes};
	memcpy(request->words, message, (size_t)bytes);
	request->words[bytes] = '\0';
	if (runner->last)
		runner->last->next = request;
	else
		runner->first = request;
	runner->last = request;
	runner->waiting++;
}

/* ---- hooks ---- */

static _Noreturn void become_hook(struct request *request)
{
	char *words[WORDS_MAX + 1];
	sigset_t none;

	split_words(request, words);
	setpgid(0, 0);
	for (int i = 1; i <= CW_SIGNAL_COUNT; i++)
		signal(i, SIG_DFL); /* fails for SIGKILL and SIGSTOP */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setenv("CAPWEIR_RULE", words[0], 1);
	execvp(words[1], words + 1);
	cw_complain("cannot run hook %s: %s", words[1], strerror(errno));
	_exit(NOT_STARTED);
}

static void start_next(struct runner *runner, struct job *job)
{
	struct request *request = runner->first;

	runner->first = request->next;
	if (!runner->first)
		runner->last = NULL;
	runner->waiting--;
	*job =
	    (struct job){.request = request,
			 .end_ns = cw_now_ns() + (uint64_t)runner->time_ms * (CW_NS_PER_S / 1000)};
	job->pid = fork();
	if (job->pid == 0)
		become_hook(request);
	if (job->pid < 0) {
		tell(runner, request, "cannot fork: %s", strerror(errno));
		free(request);
		job->request = NULL;
		return;
	}
	setpgid(job->pid, job->pid); /* in parent and child: either may run first */
	runner->running++;
}

static void start_hooks(struct runner *runner)
{
	for (uint32_t i = 0; i < CW_HOOKS_AT_ONCE; i++)
		while (!runner->is_lost && runner->first && !runner->jobs[i].request)
			start_next(runner, &runner->jobs[i]);
}

static void end_job(struct runner *runner, struct job *job, int status)
{
	if (job->killed == KILLED_LATE)
		tell(runner, job->request, "killed: ran longer than %d ms (--hook-timeout)",
		     (int)runner->time_ms);
	else if (job->killed == KILLED_BY_SIGNAL)
		tell(runner, job->request, "killed: a second signal asked capweir to end");
	else if (WIFSIGNALED(status))
		tell(runner, job->request, "killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		tell(runner, job->request, "exit status %d", WEXITSTATUS(status));
	free(job->request);
	job->request = NULL;
	runner->running--;
}

static void reap(struct runner *runner)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint32_t i = 0; i < CW_HOOKS_AT_ONCE; i++)
			if (runner->jobs[i].request && runner->jobs[i].pid == pid)
				end_job(runner, &runner->jobs[i], status);
}

/* Kills hooks over the time limit. Returns the milliseconds until the next limit, -1: none runs. */
static int keep_time(struct runner *runner)
{
	uint64_t now = cw_now_ns();
	int wait_ms = -1;

	for (uint32_t i = 0; i < CW_HOOKS_AT_ONCE; i++) {
		struct job *job = &runner->jobs[i];
		int left_ms;

		if (!job->request || job->killed)
			continue;
		if (now >= job->end_ns) {
			kill_job(job, KILLED_LATE);
			continue;
		}
		left_ms = (int)((job->end_ns - now) / (CW_NS_PER_S / 1000)) + 1;
		if (wait_ms < 0 || left_ms < wait_ms)
			wait_ms = left_ms;
	}
	return wait_ms;
}

/* ---- the process ---- */

/*
 * Detaches from the capture: keeps only its standard error, which is also the hooks' standard
 * output (the capture's standard output may carry packets), and leaves its process group, whose
 * signals are for the capture.
 */
static int leave_user(struct runner *runner)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t signals;

	cw_signals_ignore();
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	setpgid(0, 0);
	prctl(PR_SET_NAME, "cw-hooks");
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(fcntl(STDERR_FILENO, F_GETFD) < 0 ? null_fd : STDERR_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	if ((runner->fd > 3 && close_range(3, (unsigned)runner->fd - 1, 0)) ||
	    close_range((unsigned)runner->fd + 1, ~0u, 0))
		return -errno;
	runner->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return runner->signal_fd < 0 ? -errno : 0;
}

_Noreturn void cw_hooks_main(int fd, const struct cw_hooks_options *options)
{
	struct runner runner = {.fd = fd, .time_ms = options->time_ms};
	struct signalfd_siginfo ignored;
	int32_t hello = leave_user(&runner);

	if (hello == 0 && options->on_start)
		hello = options->on_start(options->context);
	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 || hello)
		_exit(1);
	while (!runner.is_over || runner.running || (runner.first && !runner.is_lost)) {
		struct pollfd fds[2] = {{.fd = runner.signal_fd, .events = POLLIN},
					{.fd = runner.is_lost ? -1 : fd, .events = POLLIN}};
		int wait_ms;

		start_hooks(&runner);
		wait_ms = keep_time(&runner);
		if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
			break;
		while (read(runner.signal_fd, &ignored, sizeof(ignored)) > 0)
			;
		reap(&runner);
		if (fds[1].revents)
			take_message(&runner);
	}
	(void)!send(fd, &runner.failed, sizeof(runner.failed),
		    MSG_NOSIGNAL); /* the capture may have died */
	_exit(0);
}
