/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench: measurements, each a sub-command in a file of its own. */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench.h"

static const struct {
	const char *name;
	int (*run)(const struct cw_arguments *arguments);
	const char *what;
} benches[] = {
    {"filter", cw_bench_filter, "what a file's packets cost by every filter engine"},
    {"decode", cw_bench_decode, "what decoding a file's packets costs, by every way"},
};

/* The model as the kernel calls it; "unknown" where it does not say. */
static void find_cpu(char *name, size_t bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(name, bytes, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		snprintf(name, bytes, "%s", colon + 1 + strspn(colon + 1, " \t"));
		name[strcspn(name, "\n")] = '\0';
		break;
	}
	if (file)
		fclose(file);
}

json_t *cw_bench_machine(void)
{
	struct utsname kernel = {0};
	char cpu[256];

	find_cpu(cpu, sizeof(cpu));
	uname(&kernel);
	return json_pack("{s:s, s:s, s:i}", "cpu", cpu, "kernel", kernel.release, "cores",
			 (int)sysconf(_SC_NPROCESSORS_ONLN));
}

int cw_bench_write(json_t *result)
{
	int status = CW_EXIT_COMPLETE;

	if (!result || json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 ||
	    putchar('\n') == EOF || fflush(stdout)) {
		cw_complain("cannot write the result to standard output");
		status = CW_EXIT_PROBLEM;
	}
	json_decref(result);
	return status;
}

int cw_command_bench(const struct cw_arguments *arguments)
{
	const char *word = arguments->rest.count ? arguments->rest.words[0] : "";
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(benches); index++) {
		if (strcmp(word, benches[index].name) == 0)
			return benches[index].run(arguments);
	}
	cw_complain("bench measures one of these, not '%s':", word);
	for (index = 0; index < CW_ARRAY_COUNT(benches); index++)
		fprintf(stderr, "  %-10s %s\n", benches[index].name, benches[index].what);
	return CW_EXIT_USAGE;
}
