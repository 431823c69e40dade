/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench: measurements, each a sub-command in a file of its own. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/folder.h"

#define FILTER_OPTIONS \
	"read rules linktype no-optimize resolve filter-time filter-memory packets repeat "

/* `options`: those that it takes, by name. */
static const struct bench {
	const char *name;
	int (*run)(const struct cw_arguments *arguments);
	const char *what;
	const char *options;
	uint64_t packets, rounds; /* unless told otherwise */
} benches[] = {
    {"split", cw_bench_split, "the whole pipeline on a file, and what one writes with libpcap",
     "read rules rule-count threads profile packets seed repeat directory json", 1000000, 5},
    {"capture", cw_bench_capture, "live capture on a virtual cable, or on devices",
     "interface rules rule-count queues backend frame-size pps duration repeat directory json", 1,
     3},
    {"ring", cw_bench_ring, "handing packets from one thread to others",
     "threads packets repeat json", 5000000, 5},
    {"write", cw_bench_writing, "writing packets to capture files",
     "threads frame-size packets repeat directory json", 0, 5},
    {"filter", cw_bench_filter, "what a file's packets cost by every filter engine",
     FILTER_OPTIONS "json", 100000, 9},
    {"decode", cw_bench_decode, "what decoding a file's packets costs, by every way",
     "read linktype packets repeat lazy print-errors print-layers gopacket-compat json", 100000, 9},
    {"limits", cw_bench_limits, "what this machine can do at all", "threads directory json", 1, 1},
};

/* ---- the machine ---- */

struct machine {
	char cpu[256];
	char governor[64];
	struct utsname kernel;
	double memory_gib;
	double load;
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

/* How the frequency is chosen; "none" where nothing chooses it, as in virtual machines. */
static void find_governor(char *name, size_t bytes)
{
	FILE *file = fopen("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "r");

	if (!file || !fgets(name, (int)bytes, file))
		snprintf(name, bytes, "none");
	name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void find_machine(struct machine *machine)
{
	*machine = (struct machine){0};
	find_cpu(machine->cpu, sizeof(machine->cpu));
	find_governor(machine->governor, sizeof(machine->governor));
	uname(&machine->kernel);
	machine->memory_gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
			      (double)(UINT64_C(1) << 30);
	if (getloadavg(&machine->load, 1) != 1)
		machine->load = 0;
}

json_t *cw_bench_machine(void)
{
	struct machine machine;

	find_machine(&machine);
	return json_pack("{s:s, s:s, s:i, s:s, s:f, s:f}", "cpu", machine.cpu, "kernel",
			 machine.kernel.release, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN),
			 "governor", machine.governor, "memory_gib", machine.memory_gib, "load",
			 machine.load);
}

void cw_bench_print_machine(void)
{
	struct machine machine;

	find_machine(&machine);
	printf("%s, %d cores, governor %s, Linux %s, %.1f GiB, load %.1f\n", machine.cpu,
	       (int)sysconf(_SC_NPROCESSORS_ONLN), machine.governor, machine.kernel.release,
	       machine.memory_gib, machine.load);
}

uint32_t cw_bench_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		return (uint32_t)CPU_COUNT(&cores);
	return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN); /* more cores than the set has */
}

double cw_bench_limit(struct cw_bench_table *table, enum cw_stage_limit limit, const char *folder,
		      uint32_t threads)
{
	const char *name = cw_stage_limit_name(limit);
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_rate rate;
	json_t *rates, *known;
	size_t index;

	if (!table->limits)
		table->limits = json_object();
	if (!json_object_get(table->limits, name))
		json_object_set_new(table->limits, name, json_array());
	rates = json_object_get(table->limits, name);
	json_array_foreach(
	    rates, index,
	    known) if (json_integer_value(json_object_get(known, "threads")) ==
		       threads) return json_real_value(json_object_get(known, "gb_per_s"));
	if (cw_stage_limit(limit, folder, threads, &rate, text) < 0) {
		cw_complain("%s", text);
		return 0;
	}
	json_array_append_new(rates,
			      json_pack("{s:i, s:f, s:f, s:f}", "threads", (int)threads, "gb_per_s",
					rate.gb_per_s, "min", rate.min, "max", rate.max));
	return rate.gb_per_s;
}

/* ---- the result ---- */

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

/* ---- the command ---- */

/* Whether the word is in the list, whose words are separated by spaces. */
static bool is_listed(const char *list, const char *word)
{
	size_t bytes = strlen(word);

	while (list) {
		if (strncmp(list, word, bytes) == 0 && (list[bytes] == ' ' || !list[bytes]))
			return true;
		list = strchr(list, ' ');
		list = list ? list + 1 : NULL;
	}
	return false;
}

static int run_bench(const struct bench *bench, const struct cw_arguments *arguments)
{
	struct cw_arguments filled = *arguments;
	uint32_t index;

	for (index = 0; index < arguments->given_count; index++) {
		if (is_listed(bench->options, arguments->given[index]))
			continue;
		cw_complain("bench %s does not take --%s", bench->name, arguments->given[index]);
		return CW_EXIT_USAGE;
	}
	if (!filled.has_packets)
		filled.packets = bench->packets;
	if (!filled.repeat)
		filled.repeat = bench->rounds;
	return bench->run(&filled);
}

int cw_command_bench(const struct cw_arguments *arguments)
{
	const char *word = arguments->rest.count ? arguments->rest.words[0] : "";
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(benches); index++) {
		if (strcmp(word, benches[index].name) == 0)
			return run_bench(&benches[index], arguments);
	}
	cw_complain("bench measures one of these, not '%s':", word);
	for (index = 0; index < CW_ARRAY_COUNT(benches); index++)
		fprintf(stderr, "  %-10s %s\n", benches[index].name, benches[index].what);
	return CW_EXIT_USAGE;
}
