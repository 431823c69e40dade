/* SPDX-License-Identifier: BSD-3-Clause */
/* The command: finds out which one is meant and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands/commands.h"
#include "tools/devices/catalogue.h"

static const struct {
	const char *name;
	enum cw_command command;
	int (*run)(const struct cw_arguments *arguments);
	const char *what;
} commands[] = {
    {"split", CW_SPLIT, cw_command_split, "split capture files by many filters in one pass"},
    {"capture", CW_CAPTURE, cw_command_split, "capture from devices, likewise"},
    {"devices", CW_DEVICES, cw_command_devices, "list what can be captured from"},
    {"replay", CW_REPLAY, cw_command_replay, "send the packets of capture files on a device"},
    {"selftest", CW_SELFTEST, cw_command_selftest, "test that capture works here"},
    {"check", CW_CHECK, cw_command_check, "check a rules file"},
    {"inspect", CW_INSPECT, cw_command_inspect,
     "say what is in capture files, or what becomes of filters"},
    {"repair", CW_REPAIR, cw_command_repair, "cut torn tails of capture files"},
    {"stats", CW_STATUS, cw_command_stats, "how a running capture goes"},
    {"top", CW_STATUS, cw_command_top, "likewise, as bars that move"},
    {"control", CW_STATUS, cw_command_control,
     "have a running capture reload, rotate, flush, stop"},
    {"bench", CW_BENCH, cw_command_bench, "measure this machine on your files and rules"},
    {"generate", CW_GENERATE, cw_command_generate, "generate deterministic traffic"},
};

static void print_help(FILE *file)
{
	fputs("usage: capweir COMMAND [options]      (capweir COMMAND --help tells them)\n"
	      "       capweir -i DEV | -r FILE -w FILE [EXPR] (as tcpdump)\n\n",
	      file);
	for (size_t index = 0; index < CW_ARRAY_COUNT(commands); index++)
		fprintf(file, "  %-10s %s\n", commands[index].name, commands[index].what);
}

static int run(size_t index, enum cw_command command, int argc, char **argv)
{
	struct cw_arguments arguments;
	int result = cw_options_parse(&arguments, command, argc, argv);

	if (result == 0)
		result = cw_arguments_name_devices(&arguments);
	if (result == 0)
		result = commands[index].run(&arguments);
	else if (result < 0)
		result = CW_EXIT_COMPLETE;
	cw_arguments_fini(&arguments);
	return result;
}

/*
 * Where standard input, output or error is closed, something else would get its number, and packets
 * or words meant for it. The placeholder cannot be used in that direction, so they fail.
 */
static void hold_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is this one: those below are open. */
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			exit(CW_EXIT_PROBLEM);
	}
}

static int run_command(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "--help";

	hold_standard_descriptors();
	/* Failed writes come back as errors, to be counted. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (strcmp(word, "--version") == 0) {
		printf("capweir %s\n%s\n", cw_version(), cw_libpcap_version());
		return CW_EXIT_COMPLETE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0) {
		print_help(argc > 1 ? stdout : stderr);
		return argc > 1 ? CW_EXIT_COMPLETE : CW_EXIT_USAGE;
	}
	for (size_t index = 0; index < CW_ARRAY_COUNT(commands); index++) {
		if (strcmp(word, commands[index].name) == 0)
			return run(index, commands[index].command, argc - 1, argv + 1);
	}
	if (word[0] == '-')
		return run(0, CW_SPLIT | CW_CAPTURE, argc, argv); /* tcpdump's line */
	return cw_refuse("unknown command '%s' (capweir --help lists them)", word);
}

int main(int argc, char **argv)
{
	int result = run_command(argc, argv);

	/* Help, findings, versions: what could not be said was not said. */
	if (result == CW_EXIT_COMPLETE)
		result = cw_flush_output();
	return result;
}
