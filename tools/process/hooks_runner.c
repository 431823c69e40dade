/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs hooks. It accepts requests immediately, so nobody waits for a hook. A
 * request names an output and a file; the command is that of the output's rule. Hooks start in
 * order, a few at a time, each in a separate process group and as the user that its file belongs
 * to: a hook over the time limit is killed with its children, and so are all at the capture's
 * request. Each failure is reported on standard error. If the capture dies, no further hook starts,
 * and this process ends after the last running one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/base/signals.h"
#include "core/output/opener_wire.h"
#include "tools/process/hooks_parts.h"
#include "tools/text/complain.h"

#define WORDS_MAX 256u
#define NOT_STARTED 127 /* exit status of a hook that cannot be executed, as in a shell */

struct request {
	struct request *next;
	const struct cw_opener_owner *user; /* NULL: of this process */
	size_t bytes;
	char words[]; /* NUL-terminated: the rule's name, the command, the file's name */
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
	const struct cw_hooks_options *options;
	int fd;
	int requests_fd; /* -1: closed */
	int signal_fd;
	struct cw_hooks_table table;   /* commands by rule, as last read */
	struct cw_hooks_table outputs; /* by output: of the rules that it was made for */
	struct request *first, *last;  /* queue of waiting requests */
	uint32_t waiting;              /* requests in the queue */
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

/* Becomes the user for good, without any capability: they would outlive the change of user. */
static int become(const struct runner *runner, const struct cw_opener_owner *user)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (user && (setgroups(user->group_count, user->groups) ||
		     setresgid(user->group, user->group, user->group) ||
		     setresuid(user->user, user->user, user->user)))
		return -errno;
	return runner->options->on_start && syscall(SYS_capset, &header, none) ? -errno : 0;
}

/* Kills a hook with the processes that it started. Another user's processes can be killed only as
 * that user. */
static void kill_job(const struct runner *runner, struct job *job, enum killed why)
{
	const struct cw_opener_owner *user = job->request->user;

	job->killed = why;
	kill(-job->pid, SIGKILL);
	if (!user || user->user == geteuid() || fork() != 0)
		return;
	if (become(runner, user) == 0)
		kill(-job->pid, SIGKILL);
	_exit(0);
}

static void kill_all(struct runner *runner)
{
	drop_waiting(runner);
	for (uint32_t i = 0; i < CW_HOOKS_AT_ONCE; i++)
		if (runner->jobs[i].request && !runner->jobs[i].killed)
			kill_job(runner, &runner->jobs[i], KILLED_BY_SIGNAL);
}

static void append(struct runner *runner, struct request *request)
{
	if (runner->last)
		runner->last->next = request;
	else
		runner->first = request;
	runner->last = request;
	runner->waiting++;
}

/* Returns the words and the file's name. A leading "./" keeps that from being read as an option. */
static struct request *new_request(const struct cw_hook_words *words, const char *path,
				   const struct cw_opener_owner *user)
{
	const char *before = path[0] == '-' ? "./" : "";
	size_t bytes = words->bytes + strlen(before) + strlen(path) + 1;
	struct request *request = malloc(sizeof(*request) + bytes);

	if (!request)
		return NULL;
	*request = (struct request){.bytes = bytes, .user = user};
	memcpy(request->words, words->words, words->bytes);
	strcpy(stpcpy(request->words + words->bytes, before), path);
	return request;
}

/* Finds the user that a hook runs as; NULL: that of this process. Returns false for root, which
 * this process is not: the start refuses such hooks. */
static bool find_user(const struct runner *runner, bool is_roots,
		      const struct cw_opener_owner **user)
{
	const struct cw_hooks_options *options = runner->options;

	*user = options->user ? options->user : is_roots ? NULL : options->owner;
	return *user || !is_roots || !options->owner || geteuid() == 0;
}

static void take_file(struct runner *runner, const struct cw_opener_request *asked,
		      const char *path)
{
	const struct cw_hook_words *words = cw_hooks_table_get(&runner->outputs, asked->output);
	const struct cw_opener_owner *user;
	struct request *request = NULL;

	if (!words || !find_user(runner, asked->flags & CW_HOOK_ROOTS, &user)) {
		runner->failed++;
		cw_complain("hook not run for %s: %s", path,
			    words ? "it would run as root" : "its rule has none");
		return;
	}
	if (runner->waiting < CW_HOOKS_WAITING_MAX)
		request = new_request(words, path, user);
	if (request) {
		append(runner, request);
		return;
	}
	runner->failed++;
	cw_complain("rule %s: hook not run: %u are waiting already", words->words, runner->waiting);
}

/* Reads the rules again. If it cannot, the capture says why and keeps the rules in force. */
static void load_again(struct runner *runner, int fd)
{
	struct cw_hooks_table table = {0};

	if (runner->options->load(runner->options->context, fd, &table)) {
		cw_hooks_table_fini(&table);
		return;
	}
	cw_hooks_table_sort(&table);
	cw_hooks_table_fini(&runner->table);
	runner->table = table;
}

static void act_on(struct runner *runner, struct cw_opener_message *message)
{
	const struct cw_opener_request *request = &message->request;
	const char *text;

	if (request->call == CW_HOOK_RULES && message->fd >= 0) {
		load_again(runner, message->fd);
		message->fd = -1;
	} else if (request->call == CW_HOOK_DROP) {
		cw_hooks_table_set(&runner->outputs, request->output, NULL);
	} else if (cw_opener_texts(message, &text, 1)) {
		return;
	} else if (request->call == CW_HOOK_ADD) {
		cw_hooks_table_set(&runner->outputs, request->output,
				   cw_hooks_table_find(&runner->table, text));
	} else if (request->call == CW_HOOK_RUN) {
		take_file(runner, request, text);
	}
}

/* Takes a request that is there. Returns false if there is none. */
static bool take_request(struct runner *runner)
{
	static struct cw_opener_message message; /* too large for the stack of a hook */
	int result;

	if (runner->requests_fd < 0)
		return false;
	result =
	    cw_opener_receive(runner->requests_fd, &message, sizeof(message.request), MSG_DONTWAIT);
	if (result == 0)
		act_on(runner, &message);
	if (message.fd >= 0)
		close(message.fd);
	if (result == 0 || result == -EBADMSG)
		return true;
	if (result != -EAGAIN) { /* nobody asks any more */
		close(runner->requests_fd);
		runner->requests_fd = -1;
	}
	return false;
}

/* The capture can say nothing but this: the commands and files come from elsewhere. */
static void take_message(struct runner *runner)
{
	char byte = 0;
	ssize_t bytes = recv(runner->fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes <= 0) {
		runner->is_over = runner->is_lost = true;
	} else if (byte == CW_HOOKS_KILL) {
		kill_all(runner);
	} else if (byte == CW_HOOKS_LAST) {
		/* Each file was published before the capture ended: its request is there. */
		while (take_request(runner))
			;
		runner->is_over = true;
	}
}

/* ---- hooks ---- */

static _Noreturn void become_hook(const struct runner *runner, struct request *request)
{
	char *words[WORDS_MAX + 1];
	sigset_t none;
	int failure;

	split_words(request, words);
	setpgid(0, 0);
	for (int i = 1; i <= CW_SIGNAL_COUNT; i++)
		signal(i, SIG_DFL); /* fails for SIGKILL and SIGSTOP */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	failure = become(runner, request->user);
	if (failure) {
		cw_complain("cannot run hook %s as user %u: %s", words[1],
			    request->user ? request->user->user : geteuid(), strerror(-failure));
		_exit(NOT_STARTED);
	}
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
	*job = (struct job){.request = request,
			    .end_ns = cw_now_ns() +
				      (uint64_t)runner->options->time_ms * (CW_NS_PER_S / 1000)};
	job->pid = fork();
	if (job->pid == 0)
		become_hook(runner, request);
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
		     (int)runner->options->time_ms);
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
			kill_job(runner, job, KILLED_LATE);
			continue;
		}
		left_ms = (int)((job->end_ns - now) / (CW_NS_PER_S / 1000)) + 1;
		if (wait_ms < 0 || left_ms < wait_ms)
			wait_ms = left_ms;
	}
	return wait_ms;
}

/* ---- the process ---- */

/* Closes the descriptors between two. */
static int close_between(int low, int high)
{
	return high - low > 1 ? close_range((unsigned)low + 1, (unsigned)high - 1, 0) : 0;
}

/*
 * Detaches from the capture: keeps only its standard error, which is also the hooks' standard
 * output (the capture's standard output may carry packets), and leaves its process group, whose
 * signals are for the capture.
 */
static int leave_user(struct runner *runner)
{
	const int low = runner->fd < runner->requests_fd ? runner->fd : runner->requests_fd;
	const int high = runner->fd + runner->requests_fd - low;
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
	if (close_between(2, low) || close_between(low, high) ||
	    close_range((unsigned)high + 1, ~0u, 0))
		return -errno;
	runner->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return runner->signal_fd < 0 ? -errno : 0;
}

static int begin(struct runner *runner)
{
	const struct cw_hooks_options *options = runner->options;
	int result = leave_user(runner);

	if (result == 0)
		result = options->load(options->context, -1, &runner->table);
	cw_hooks_table_sort(&runner->table);
	if (result == 0 && options->on_start)
		result = options->on_start(options->context);
	return result;
}

_Noreturn void cw_hooks_main(int fd, int requests_fd, const struct cw_hooks_options *options)
{
	struct runner runner = {.fd = fd, .requests_fd = requests_fd, .options = options};
	struct signalfd_siginfo ignored;
	int32_t hello = begin(&runner);

	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0 || hello)
		_exit(1);
	while (!runner.is_over || runner.running || (runner.first && !runner.is_lost)) {
		struct pollfd fds[3] = {
		    {.fd = runner.signal_fd, .events = POLLIN},
		    {.fd = runner.is_lost ? -1 : fd, .events = POLLIN},
		    {.fd = runner.is_over ? -1 : runner.requests_fd, .events = POLLIN}};
		int wait_ms;

		start_hooks(&runner);
		wait_ms = keep_time(&runner);
		if (poll(fds, 3, wait_ms) < 0 && errno != EINTR)
			break;
		while (read(runner.signal_fd, &ignored, sizeof(ignored)) > 0)
			;
		reap(&runner);
		if (fds[2].revents)
			take_request(&runner);
		if (fds[1].revents)
			take_message(&runner);
	}
	(void)!send(fd, &runner.failed, sizeof(runner.failed),
		    MSG_NOSIGNAL); /* the capture may have died */
	_exit(0);
}
