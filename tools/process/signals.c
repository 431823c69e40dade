/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tools/process/signals.h"
#include "tools/text/complain.h"

/* Every signal is watched but these: faults, signals of terminals and children, those that main
 * ignores (a blocked signal is queued even if it is ignored), and two that cannot be. */
static const int unwatched[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP,
				SIGSYS,  SIGPIPE, SIGXFSZ, SIGKILL, SIGSTOP, SIGCONT,
				SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGURG,  SIGWINCH};

static void fill_watched(sigset_t *signals)
{
	sigfillset(signals);
	for (size_t index = 0; index < CW_ARRAY_COUNT(unwatched); index++)
		sigdelset(signals, unwatched[index]);
}

static void end_early(int number)
{
	(void)number;
	_exit(CW_EXIT_STOPPED);
}

/* Returns whether the signal asks to end. */
static bool is_request(const struct cw_signals *signals, int number)
{
	if (number == SIGHUP)
		return !signals->reloads && !signals->was_hup_ignored;
	return number != SIGUSR1 && number != SIGUSR2;
}

int cw_signals_open(struct cw_signals *signals, bool reloads)
{
	const struct sigaction early = {.sa_handler = end_early};
	struct sigaction hangup = {0};
	sigset_t watched, later;

	sigaction(SIGHUP, NULL, &hangup);
	*signals = (struct cw_signals){
	    .fd = -1, .reloads = reloads, .was_hup_ignored = hangup.sa_handler == SIG_IGN};
	fill_watched(&watched);
	sigemptyset(&later);
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (sigismember(&watched, number) != 1)
			continue;
		if (is_request(signals, number))
			sigaction(number, &early, NULL);
		else
			sigaddset(&later, number);
	}
	sigprocmask(SIG_BLOCK, &later, NULL);
	signals->fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd < 0 ? -errno : 0;
}

void cw_signals_ready(void)
{
	sigset_t watched;

	fill_watched(&watched);
	sigprocmask(SIG_BLOCK, &watched, NULL);
}

enum cw_signal cw_signals_judge(struct cw_signals *signals, int number, uint64_t now_ns)
{
	if (number == SIGUSR1)
		return CW_SIGNAL_STATS;
	if (number == SIGUSR2)
		return CW_SIGNAL_FLUSH;
	if (number == SIGHUP && signals->reloads)
		return CW_SIGNAL_RELOAD;
	if (!is_request(signals, number))
		return CW_SIGNAL_NONE;
	if (number == SIGQUIT)
		return CW_SIGNAL_ABORT;
	if (!signals->was_asked) {
		cw_signals_asked(signals, now_ns);
		return CW_SIGNAL_STOP;
	}
	if (now_ns - signals->asked_ns <= CW_SIGNAL_SAME_MS * (CW_NS_PER_S / 1000))
		return CW_SIGNAL_SAME;
	return number == SIGINT ? CW_SIGNAL_ABORT : CW_SIGNAL_PRESS;
}

enum cw_signal cw_signals_next(struct cw_signals *signals)
{
	enum cw_signal what = CW_SIGNAL_NONE;
	struct signalfd_siginfo signal;

	while (what == CW_SIGNAL_NONE) {
		if (read(signals->fd, &signal, sizeof(signal)) == sizeof(signal)) {
			what = cw_signals_judge(signals, (int)signal.ssi_signo, cw_now_ns());
			continue;
		}
		if (errno == EINTR || errno == EAGAIN || signals->was_asked)
			break;
		/* It may be any signal: ending is safer than running on for ever. */
		cw_complain("cannot read a signal: %s", strerror(errno));
		what = cw_signals_judge(signals, SIGTERM, cw_now_ns());
	}
	return what;
}

void cw_signals_asked(struct cw_signals *signals, uint64_t now_ns)
{
	signals->was_asked = true;
	signals->asked_ns = now_ns;
}

/* Called after `deaf_until_ns` was set, in the one thread that does not block signals. */
static uint64_t deaf_until_ns;

static void end_late(int number)
{
	(void)number;
	if (cw_now_ns() >= deaf_until_ns)
		_exit(CW_EXIT_STOPPED);
}

void cw_signals_let_go(struct cw_signals *signals)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT};
	const struct sigaction late = {.sa_handler = end_late, .sa_flags = SA_RESTART};
	struct signalfd_siginfo ignored;
	sigset_t requests;

	while (read(signals->fd, &ignored, sizeof(ignored)) > 0)
		;
	deaf_until_ns = cw_now_ns() + CW_SIGNAL_SAME_MS * (CW_NS_PER_S / 1000);
	sigemptyset(&requests);
	for (size_t index = 0; index < CW_ARRAY_COUNT(numbers); index++) {
		sigaction(numbers[index], &late, NULL);
		sigaddset(&requests, numbers[index]);
	}
	sigprocmask(SIG_UNBLOCK, &requests, NULL);
}

void cw_signals_close(struct cw_signals *signals)
{
	if (signals->fd >= 0)
		close(signals->fd);
	signals->fd = -1;
}
