/* SPDX-License-Identifier: BSD-3-Clause */
/* Describes the machine of a benchmark and measures its limits. */
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/text/numbers.h"

struct machine {
	char cpu[256];
	char governor[64];
	struct utsname kernel;
	double memory_gib;
	double load;
};

/* Fills the CPU model of /proc/cpuinfo, or "unknown". */
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

/* Fills the frequency governor, or "none", as in virtual machines. */
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
	cw_print(stdout, "%s, %d cores, governor %s, Linux %s, %.1f GiB, load %.1f\n", machine.cpu,
		 (int)sysconf(_SC_NPROCESSORS_ONLN), machine.governor, machine.kernel.release,
		 machine.memory_gib, machine.load);
}

uint32_t cw_bench_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
		return (uint32_t)CPU_COUNT(&cores);
	return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
}

json_t *cw_bench_rate_json(uint32_t threads, const struct cw_stage_rate *rate)
{
	return json_pack("{s:i, s:f, s:f, s:f}", "threads", (int)threads, "gb_per_s",
			 rate->gb_per_s, "min", rate->min, "max", rate->max);
}

double cw_bench_limit(struct cw_bench_table *table, enum cw_stage_limit limit, const char *folder,
		      uint32_t threads)
{
	const char *name = cw_stage_limit_name(limit);
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_rate rate;
	json_t *rates, *known;

	if (!table->limits)
		table->limits = json_object();
	if (!json_object_get(table->limits, name))
		json_object_set_new(table->limits, name, json_array());
	rates = json_object_get(table->limits, name);
	for (size_t index = 0; index < json_array_size(rates); index++) {
		known = json_array_get(rates, index);
		if (json_integer_value(json_object_get(known, "threads")) == threads)
			return json_real_value(json_object_get(known, "gb_per_s"));
	}
	if (cw_stage_limit(limit, folder, threads, &rate, text) < 0) {
		cw_complain("%s", text);
		return 0;
	}
	json_array_append_new(rates, cw_bench_rate_json(threads, &rate));
	return rate.gb_per_s;
}

int cw_bench_write(json_t *result)
{
	return cw_json_print(result, JSON_INDENT(1) | JSON_REAL_PRECISION(6), "the result ");
}
