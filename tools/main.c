/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands/commands.h"
#include "tools/devices/catalogue.h"
#include "tools/options/help.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"

static const struct {
	const char *name;
	enum cw_command command;
	int (*run)(const struct cw_arguments *arguments);
} commands[] = {
    {"split", CW_SPLIT, cw_command_split},          {"capture", CW_CAPTURE, cw_command_split},
    {"devices", CW_DEVICES, cw_command_devices},    {"replay", CW_REPLAY, cw_command_replay},
    {"selftest", CW_SELFTEST, cw_command_selftest}, {"check", CW_CHECK, cw_command_check},
    {"inspect", CW_INSPECT, cw_command_inspect},    {"repair", CW_REPAIR, cw_command_repair},
    {"stats", CW_STATUS, cw_command_stats},         {"top", CW_STATUS, cw_command_top},
    {"control", CW_STATUS, cw_command_control},     {"bench", CW_BENCH, cw_command_bench},
    {"generate", CW_GENERATE, cw_command_generate},
};

/* help [COMMAND [SUB-COMMAND]]: as COMMAND --help. */
static int run_help(int count, char *const *words)
{
	const struct cw_command_text *page = NULL;

	if (count)
		page = cw_command_page(words[0], count > 1 ? words[1] : NULL);
	if (count && !page)
		return cw_help_refuse_command(words[0]);
	cw_help_print(stdout, page, true);
	return CW_EXIT_COMPLETE;
}

static int run(enum cw_command command, int (*call)(const struct cw_arguments *arguments), int argc,
	       char **argv)
{
	struct cw_arguments arguments;
	int result = cw_options_parse(&arguments, command, argc, argv);

	if (result == 0)
		result = cw_arguments_take_file(&arguments);
	if (result == 0 && command != CW_CHECK)
		result = cw_arguments_name_devices(&arguments);
	if (result == 0)
		result = call(&arguments);
	else if (result < 0)
		result = CW_EXIT_COMPLETE;
	cw_arguments_free_file(&arguments);
	cw_arguments_fini(&arguments);
	return result;
}

/*
 * Opens /dev/null, in the wrong direction, as each of the standard descriptors that is closed.
 * Otherwise another file would get the number, and packets or messages with it; so they fail.
 */
static void hold_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/* fd is the lowest free number: all below are open. */
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			exit(cw_fail("cannot open /dev/null in place of closed descriptor %d: %s",
				     fd, strerror(errno)));
	}
}

static int run_command(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	hold_standard_descriptors();
	/* Makes failed writes return errors, which are counted. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		cw_help_print(stderr, NULL, false);
		return CW_EXIT_USAGE;
	}
	if (strcmp(word, "--version") == 0) {
		cw_print(stdout, "capweir %s\n%s\n", cw_version(), cw_libpcap_version());
		return CW_EXIT_COMPLETE;
	}
	if (strcmp(word, "help") == 0)
		return run_help(argc - 2, argv + 2);
	/* Other commands take words, and a file may be named help. */
	if (strcmp(word, "bench") == 0 && argc > 2 && strcmp(argv[2], "help") == 0)
		return run_help(1, argv + 1);
	for (size_t index = 0; index < CW_ARRAY_COUNT(commands); index++) {
		if (strcmp(word, commands[index].name) == 0)
			return run(commands[index].command, commands[index].run, argc - 1,
				   argv + 1);
	}
	if (word[0] == '-')
		return run(CW_SPLIT | CW_CAPTURE, cw_command_split, argc,
			   argv); /* tcpdump's line */
	return cw_help_refuse_command(word);
}

int main(int argc, char **argv)
{
	int result;

	cw_json_begin();
	result = run_command(argc, argv);

	/* A command is not complete if its output cannot be written. */
	if (result == CW_EXIT_COMPLETE)
		result = cw_flush_output();
	return result;
}
