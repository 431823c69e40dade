/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/signals.h"
#include "core/base/sockets.h"
#include "tools/process/confine.h"
#include "tools/process/landlock.h"
#include "tools/process/opener_process.h"

#define FOLDER_RIGHTS                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
	 LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |    \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | CW_LANDLOCK_TRUNCATE)

/* First message: how its confinement went. */
struct hello {
	int result;
	struct cw_error error;
};

/* Folders and streams of the table, or without memory for them: fewer. */
struct seen {
	struct cw_landlock_rule *rules;
	uint32_t count;
};

static void count(void *context, int fd, enum cw_opener_use use)
{
	struct seen *seen = context;

	(void)fd;
	(void)use;
	seen->count++;
}

static void see(void *context, int fd, enum cw_opener_use use)
{
	static const uint64_t rights[] = {[CW_OPENER_OUTPUTS] = FOLDER_RIGHTS,
					  [CW_OPENER_STREAM] =
					      LANDLOCK_ACCESS_FS_WRITE_FILE | CW_LANDLOCK_IOCTL_DEV,
					  [CW_OPENER_READS] = LANDLOCK_ACCESS_FS_READ_FILE,
					  [CW_OPENER_REMOVES] = LANDLOCK_ACCESS_FS_REMOVE_FILE};
	struct seen *seen = context;

	seen->rules[seen->count++] = (struct cw_landlock_rule){.fd = fd, .access = rights[use]};
}

/* Closes what this process was started with, but standard error, its sockets and its folders.
 * `hooks`: the socket to the process that runs hooks; -1: none. */
static int close_others(const struct seen *seen, const int *sockets, int hooks)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int last = hooks > STDERR_FILENO ? hooks : STDERR_FILENO;

	/* Files opened later must not get the numbers of standard input and output. */
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0)
		return -errno;

	for (uint32_t i = 0; i < seen->count; i++)
		last = seen->rules[i].fd > last ? seen->rules[i].fd : last;
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
		last = sockets[i] > last ? sockets[i] : last;
	for (int fd = 0; fd <= last; fd++) {
		bool is_kept = fd <= STDERR_FILENO || fd == hooks;

		for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
			is_kept |= fd == sockets[i];
		for (uint32_t i = 0; i < seen->count && !is_kept; i++)
			is_kept = fd == seen->rules[i].fd;
		if (!is_kept)
			close(fd);
	}
	return close_range((unsigned)last + 1, ~0u, 0) && errno != ENOSYS ? -errno : 0;
}

static void leave_user(void)
{
	cw_signals_ignore();
	setpgid(0, 0);
	prctl(PR_SET_NAME, "cw-opener");
	umask(0);
}

static int confine(struct cw_opener *opener, const int *sockets, struct cw_error *error)
{
	struct cw_confine_options options = {.role = CW_CONFINE_OPENER};
	struct seen seen = {0};
	int result;

	cw_opener_see(opener, count, &seen);
	seen.rules = calloc(seen.count + 1u, sizeof(*seen.rules));
	if (!seen.rules)
		return cw_error_set(error, -ENOMEM, "no memory for its folders");
	seen.count = 0;
	cw_opener_see(opener, see, &seen);
	options.files = seen.rules;
	options.file_count = seen.count;
	result = close_others(&seen, sockets, cw_opener_hooks_socket(opener));
	if (result == 0)
		result = cw_confine(&options, error);
	else
		cw_error_set_errno(error, result, "cannot close descriptors");
	free(seen.rules);
	return result;
}

static void main_of_child(struct cw_opener *opener, const int *sockets)
{
	struct hello hello = {0};

	leave_user();
	cw_opener_close_list(opener);
	hello.result = confine(opener, sockets, &hello.error);
	if (write(sockets[0], &hello, sizeof(hello)) != sizeof(hello) || hello.result < 0)
		_exit(1);
	_exit(cw_opener_serve(opener, sockets, CW_OPENER_CHANNELS) ? 1 : 0);
}

static void close_all(const int *sockets)
{
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
	}
}

/* Waits for the child's first message. Returns its result. */
static int greet(int socket, struct cw_error *error)
{
	struct hello hello = {0};
	ssize_t bytes;

	do
		bytes = recv(socket, &hello, sizeof(hello), 0);
	while (bytes < 0 && errno == EINTR);
	if (bytes != sizeof(hello))
		return cw_error_set(error, -ESRCH, CW_ENTRY_ENDED);
	if (hello.result && error)
		*error = hello.error;
	if (hello.result < 0)
		cw_error_prefix(error, "cannot start the process that opens files");
	return hello.result;
}

int cw_opener_process_start(struct cw_opener_process *process, struct cw_opener *opener,
			    struct cw_error *error)
{
	int there[CW_OPENER_CHANNELS], pair[2];
	sigset_t all, before;
	int result = 0;

	for (uint32_t i = 0; i < CW_OPENER_CHANNELS; i++)
		process->sockets[i] = there[i] = -1;
	for (uint32_t i = 0; i < CW_OPENER_CHANNELS && result == 0; i++) {
		result = cw_sockets_make(SOCK_SEQPACKET, pair);
		process->sockets[i] = pair[0];
		there[i] = pair[1];
	}
	if (result == 0) {
		/* Signal handlers of this process must not run in the child. */
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, &before);
		process->pid = fork();
		if (process->pid == 0) {
			close_all(process->sockets);
			main_of_child(opener, there);
		}
		result = process->pid < 0 ? -errno : 0;
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	close_all(there);
	if (result)
		cw_error_set_errno(error, result, "cannot start the process that opens files");
	else
		result = greet(process->sockets[0], error);
	if (result < 0)
		close_all(process->sockets);
	return result;
}
