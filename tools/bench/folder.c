/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/folder.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/options/values.h"

#define OPEN_MAX_WALK 16 /* descriptors for removing a folder */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_folder(const char *folder)
{
	if (nftw(folder, remove_entry, OPEN_MAX_WALK, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		cw_complain("warning: cannot remove %s: %s", folder, strerror(errno));
}

/* Waits for the child. Returns its status, or 130 after a signal. */
static int wait_for(pid_t child, const sigset_t *signals)
{
	bool is_stopped = false;
	int status = 0;

	for (;;) {
		int number = sigwaitinfo(signals, NULL);

		if (number == SIGINT || number == SIGTERM) {
			is_stopped = true;
			kill(child, SIGKILL);
		}
		if (waitpid(child, &status, WNOHANG) == child)
			break;
	}
	if (is_stopped)
		return CW_EXIT_STOPPED;
	if (WIFSIGNALED(status))
		return cw_fail("the measurement died of a signal: %s", strsignal(WTERMSIG(status)));
	return WEXITSTATUS(status);
}

static int run_child(const struct cw_arguments *arguments, const char *folder,
		     int (*run)(const struct cw_arguments *arguments, const char *folder))
{
	sigset_t signals, before;
	pid_t child;
	int result;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	fflush(NULL);
	child = fork();
	if (child < 0) {
		result = cw_fail("cannot start a process: %s", strerror(errno));
	} else if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(run(arguments, folder));
	} else {
		result = wait_for(child, &signals);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

int cw_bench_in_folder(const struct cw_arguments *arguments,
		       int (*run)(const struct cw_arguments *arguments, const char *folder))
{
	const char *base =
	    arguments->output.directory ? arguments->output.directory : getenv("TMPDIR");
	char *folder;
	int result;

	if (!base || !*base)
		base = "/tmp";
	if (asprintf(&folder, "%s/capweir-bench-XXXXXX", base) < 0)
		return cw_complain_no_memory();
	if (!mkdtemp(folder)) {
		cw_complain("cannot create a folder in %s: %s: choose another one with -o", base,
			    strerror(errno));
		free(folder);
		return CW_EXIT_PROBLEM;
	}
	result = run_child(arguments, folder, run);
	remove_folder(folder);
	free(folder);
	return result;
}

int cw_bench_subfolder(const char *folder, const char *name, char *path, size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/%s", folder, name);
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return cw_fail("cannot create %s: %s", path, strerror(errno));
}

int cw_bench_list_parse(struct cw_bench_list *list, const char *option, const char *text,
			uint64_t least, uint64_t most)
{
	struct cw_error error = {0};
	char word[32];

	if (text)
		list->count = 0;
	while (text) {
		const char *comma = strchr(text, ',');
		size_t bytes = comma ? (size_t)(comma - text) : strlen(text);

		if (list->count == CW_BENCH_LIST_MAX)
			return cw_refuse("%s takes at most %u numbers", option, CW_BENCH_LIST_MAX);
		snprintf(word, sizeof(word), "%.*s", (int)(bytes < 31 ? bytes : 31), text);
		if (cw_option_number(option, word, least, most, &list->numbers[list->count++],
				     &error))
			return cw_refuse("%s", error.text);
		text = comma ? comma + 1 : NULL;
	}
	return 0;
}

int cw_bench_filters(const struct cw_arguments *arguments, struct cw_rules *rules,
		     const char ***filters, struct cw_bench_list *counts)
{
	struct cw_error error = {0};
	uint32_t index, count = 0;

	if (cw_rules_load(rules, arguments->rules.file, &error) < 0)
		return cw_refuse("%s", error.text);
	*filters = calloc(rules->count + 1, sizeof(**filters));
	if (!*filters)
		return cw_complain_no_memory();
	for (index = 0; index < rules->count; index++)
		if (rules->rules[index].kind == CW_RULE_FILTER)
			(*filters)[count++] = rules->rules[index].filter;
	*counts = (struct cw_bench_list){.numbers = {count}, .count = 1};
	if (count > 0)
		return 0;
	return cw_refuse("%s: no rule has a filter", arguments->rules.file);
}
