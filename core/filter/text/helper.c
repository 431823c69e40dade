/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper process and its worker. The worker compiles one expression after the other, under a
 * memory limit. The helper enforces the time limit, replaces a worker that died or was killed, and
 * retries an expression unoptimised. Neither returns to the caller of cw_filter_compiler_start, and
 * both leave with _exit, because buffered output belongs to the user's process.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/filter/text/helper.h"
#include "core/base/clock.h"
#include "core/base/signals.h"

/* Sanitizers reserve terabytes of address space, so its limit cannot be used. */
#if defined(CW_SANITIZED)
#define LIMITS_MEMORY false
#else
#define LIMITS_MEMORY true
#endif

/*
 * After this long on one expression a worker may have grown and have less memory left, so the next
 * expression gets a new worker. Simple rules take a tenth of a millisecond.
 */
#define TIRING_NS (CW_NS_PER_S / 20)
#define IDLE_BYTES_GUESS (UINT64_C(64) << 20) /* a worker's address space, without /proc */
#define SCANNER_EXIT 2 /* exit status of libpcap's scanner if memory is short, and only then */
#define COMPUTING_NS (CW_NS_PER_S / 100) /* looks at a worker's clock are this far apart */

struct helper {
	struct cw_helper_limits limits;
	uint64_t idle_bytes; /* address space of a worker before it compiles */
	int user;            /* socket to the user's process */
	int socket;          /* socket to the worker, if there is one */
	pid_t worker_pid;    /* 0: no worker */
};

/* ---- the worker ---- */

/* Bytes of this process's address space. */
static uint64_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (file) {
		if (fscanf(file, "%lu", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : IDLE_BYTES_GUESS;
}

static void limit_memory(uint64_t bytes)
{
	struct rlimit limit;

	if (!LIMITS_MEMORY || getrlimit(RLIMIT_AS, &limit))
		return;
	if (bytes < limit.rlim_max)
		limit = (struct rlimit){bytes, bytes};
	setrlimit(RLIMIT_AS, &limit);
}

/* Compile expressions until the helper is gone. */
static _Noreturn void worker_main(int fd, uint64_t memory_bytes)
{
	struct cw_helper_request request;
	char *expression;

	prctl(PR_SET_NAME, "cw-compiler");
	if (LIMITS_MEMORY) /* libpcap's scanner prints "out of memory", which the error reports */
		dup2(STDIN_FILENO, STDERR_FILENO);
	limit_memory(memory_bytes);
	while (cw_wire_receive_request(fd, &request, &expression) == 0) {
		struct cw_helper_answer answer = {0};
		struct cw_error error = {0};
		struct cw_filter_options options = {.linktype = request.linktype,
						    .snaplen = request.snaplen,
						    .netmask = request.netmask,
						    .is_swapped = request.is_swapped,
						    .unoptimized = request.unoptimized,
						    .resolve_names = request.resolve_names};

		answer.head.result =
		    cw_filter_translate(expression, &options, &answer.translation, &error);
		answer.head.code = error.code;
		answer.head.count = answer.translation.count;
		answer.head.text_bytes = (uint32_t)strlen(error.text);
		memcpy(answer.text, error.text, sizeof(answer.text));
		if (cw_wire_send_answer(fd, &answer, CW_HELPER_FOREVER))
			break;
		cw_bpf_fini(&answer.translation);
		free(expression);
	}
	_exit(0);
}

/* ---- the helper: its worker ---- */

static int start_worker(struct helper *helper)
{
	pid_t helper_pid = getpid();
	int sockets[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	pid = fork();
	if (pid < 0) {
		int result = -errno;

		close(sockets[0]);
		close(sockets[1]);
		return result;
	}
	if (pid == 0) {
		/* The signal follows the parent thread; the helper has only one. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != helper_pid)
			_exit(0);
		close(helper->user);
		close(sockets[0]);
		worker_main(sockets[1], helper->idle_bytes + helper->limits.memory_bytes);
	}
	close(sockets[1]);
	helper->socket = sockets[0];
	helper->worker_pid = pid;
	return 0;
}

/* Kill the worker. Returns its wait status. */
static int end_worker(struct helper *helper)
{
	int status = 0;

	close(helper->socket);
	kill(helper->worker_pid, SIGKILL); /* the id cannot be reused before waitpid */
	while (waitpid(helper->worker_pid, &status, 0) < 0 && errno == EINTR)
		continue;
	helper->worker_pid = 0;
	return status;
}

/* Make sure that a worker runs; one that died between expressions is replaced without blame. */
static int have_worker(struct helper *helper)
{
	siginfo_t info = {0};

	if (helper->worker_pid &&
	    waitid(P_PID, (id_t)helper->worker_pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid)
		end_worker(helper);
	return helper->worker_pid ? 0 : start_worker(helper);
}

/* ---- the helper: requests ---- */

static _Noreturn void leave(struct helper *helper)
{
	if (helper->worker_pid)
		end_worker(helper);
	_exit(0);
}

/*
 * Wait until the worker answers. The limit holds for the time that the worker computes, so that a
 * busy machine compiles the same programs as a quiet one. Looking up names computes nothing: there
 * the limit holds for the time that passes.
 */
static int wait_for_answer(const struct helper *helper, bool resolve_names, uint64_t deadline_ns)
{
	uint64_t limit_ns = helper->limits.time_ns, left_ns = limit_ns;
	uint64_t used_before_ns;
	clockid_t clock;
	int result;

	if (resolve_names || clock_getcpuclockid(helper->worker_pid, &clock))
		return cw_wire_wait(helper->socket, POLLIN, helper->user, cw_now_ns() + limit_ns);
	used_before_ns = cw_clock_ns(clock);
	do {
		uint64_t wait_ns = left_ns < COMPUTING_NS ? COMPUTING_NS : left_ns;
		uint64_t used_ns;

		result = cw_wire_wait(helper->socket, POLLIN, helper->user, cw_now_ns() + wait_ns);
		used_ns = cw_clock_ns(clock) - used_before_ns; /* not reaped yet: its clock runs */
		left_ns = used_ns < limit_ns ? limit_ns - used_ns : 0;
	} while (result == -ETIMEDOUT && left_ns && cw_now_ns() < deadline_ns);
	return result;
}

/* Let the worker compile once. Fills the answer; its `stop` says why the attempt failed. */
static void attempt(struct helper *helper, const struct cw_helper_request *request,
		    const char *expression, struct cw_helper_answer *answer)
{
	int result = have_worker(helper);
	uint64_t start_ns = cw_now_ns();
	uint64_t deadline_ns = start_ns + CW_HELPER_STARVED * helper->limits.time_ns;
	int status;

	*answer = (struct cw_helper_answer){0};
	if (result) {
		answer->head.stop = CW_STOP_REFUSED;
		answer->head.detail = result;
		return;
	}
	result = cw_wire_send_request(helper->socket, request, expression, deadline_ns);
	if (result == 0)
		result = wait_for_answer(helper, request->resolve_names, deadline_ns);
	if (result == 0)
		result = cw_wire_receive_answer(helper->socket, helper->user, answer,
						deadline_ns + CW_NS_PER_S);
	if (result == 0 && answer->head.result != -ENOMEM) {
		if (cw_now_ns() - start_ns > TIRING_NS)
			end_worker(helper);
		return;
	}
	status = end_worker(helper);
	if (result == -ECANCELED)
		leave(helper);
	*answer = (struct cw_helper_answer){0};
	answer->head.stop = CW_STOP_DEATH;
	if (result == -ETIMEDOUT)
		answer->head.stop = CW_STOP_TIME;
	else if (result == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == SCANNER_EXIT))
		answer->head.stop = CW_STOP_MEMORY;
	else if (WIFSIGNALED(status))
		answer->head.detail = WTERMSIG(status);
}

static void answer_request(struct helper *helper, struct cw_helper_request *request,
			   const char *expression)
{
	struct cw_helper_answer answer;

	attempt(helper, request, expression, &answer);
	if (answer.head.stop != CW_STOP_NONE && answer.head.stop != CW_STOP_REFUSED &&
	    !request->unoptimized) {
		const struct cw_helper_answer_head first = answer.head;

		request->unoptimized = true;
		attempt(helper, request, expression, &answer);
		answer.head.first_stop = first.stop;
		if (answer.head.stop == CW_STOP_NONE)
			answer.head.detail = first.detail;
	}
	if (cw_wire_send_answer(helper->user, &answer, CW_HELPER_FOREVER))
		leave(helper);
	cw_bpf_fini(&answer.translation);
}

/* ---- the helper: its surroundings ---- */

/*
 * Keep nothing of the user's process but standard error: no descriptor (an open end of a pipe would
 * keep others waiting), no signal handler, no terminal. A signal to the process group is for the
 * user's process, which asks until it is done; the socket shows when that process ends.
 */
static int leave_user(int user)
{
	const struct rlimit no_core = {0};
	int null_fd, i;

	cw_signals_ignore();
	setpgid(0, 0);
	prctl(PR_SET_NAME, "cw-helper");
	setrlimit(RLIMIT_CORE, &no_core);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
		if (i == STDERR_FILENO && fcntl(i, F_GETFD) >= 0)
			continue;
		if (null_fd >= 0) /* keeps these numbers from files opened later */
			dup2(null_fd, i);
		else
			close(i);
	}
	/* make_sockets put the socket above the standard streams. */
	if ((user > 3 && close_range(3, (unsigned)user - 1, 0)) ||
	    close_range((unsigned)user + 1, ~0u, 0))
		return -errno;
	return 0;
}

_Noreturn void cw_helper_main(int fd, const struct cw_helper_limits *limits)
{
	struct helper helper = {.limits = *limits, .user = fd};
	struct cw_helper_request request;
	char *expression;
	int32_t hello = leave_user(fd);

	helper.idle_bytes = address_space(); /* before the files of /proc may be out of reach */
	/* Workers inherit the reduced privileges. */
	if (hello == 0 && limits->on_start)
		hello = limits->on_start(limits->context);
	if (hello == 0)
		hello = start_worker(&helper);
	if (cw_wire_send(fd, &hello, sizeof(hello), CW_HELPER_FOREVER) || hello)
		leave(&helper);
	while (cw_wire_receive_request(fd, &request, &expression) == 0) {
		answer_request(&helper, &request, expression);
		free(expression);
	}
	leave(&helper);
}
