/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pipeline/threads/affinity.h"

#define PATH_BYTES 512u
#define LINE_BYTES 4096u

/* ---- lists ---- */

static int add_cpu(struct cw_cpu_list *list, unsigned long cpu)
{
	if (cpu >= CW_CPUS_MAX)
		return -ERANGE;
	for (uint32_t index = 0; index < list->count; index++) {
		if (list->at[index] == cpu)
			return -EEXIST;
	}
	list->at[list->count++] = (uint16_t)cpu;
	return 0;
}

static bool parse_cpu(const char **text, unsigned long *cpu)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*cpu = strtoul(*text, &end, 10);
	*text = end;
	return true;
}

int cw_cpu_list_parse(const char *text, struct cw_cpu_list *list, struct cw_error *error)
{
	const char *whole = text;
	int result;

	list->count = 0;
	do {
		unsigned long first, last;

		if (!parse_cpu(&text, &first))
			goto bad;
		last = first;
		if (*text == '-') {
			text++;
			if (!parse_cpu(&text, &last) || last < first)
				goto bad;
		}
		for (; first <= last; first++) {
			result = add_cpu(list, first);
			if (result == -EEXIST)
				return cw_error_set(error, -EINVAL, "'%s' names core %lu twice",
						    whole, first);
			if (result)
				return cw_error_set(error, -EINVAL,
						    "'%s': the highest core number is %u", whole,
						    CW_CPUS_MAX - 1);
		}
	} while (*text++ == ',');
	if (text[-1] == '\0')
		return 0;
bad:
	return cw_error_set(error, -EINVAL, "'%s' is not a list of cores, such as 0-3,8", whole);
}

int cw_cpu_list_allowed(struct cw_cpu_list *list)
{
	cpu_set_t allowed;

	list->count = 0;
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -errno;
	for (uint32_t cpu = 0; cpu < CW_CPUS_MAX; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			list->at[list->count++] = (uint16_t)cpu;
	}
	return 0;
}

/* ---- sysfs ---- */

/* Reads the first line of a file, without the newline. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
	FILE *file = fopen(path, "re");
	bool is_read = file && fgets(line, LINE_BYTES, file);

	if (file)
		fclose(file);
	if (is_read)
		line[strcspn(line, "\n")] = '\0';
	return is_read;
}

static void read_nodes(const char *sysfs, struct cw_topology *topology)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	struct cw_cpu_list cpus;
	uint32_t node, index;

	topology->node_count = 0;
	memset(topology->node_of_cpu, CW_NODE_NONE, sizeof(topology->node_of_cpu));
	for (node = 0; node < CW_NODES_MAX; node++) {
		snprintf(path, sizeof(path), "%s/devices/system/node/node%u/cpulist", sysfs, node);
		/* A node may be missing, or have only memory. */
		if (!read_line(path, line) || cw_cpu_list_parse(line, &cpus, NULL) < 0)
			continue;
		topology->node_count++;
		for (index = 0; index < cpus.count; index++)
			topology->node_of_cpu[cpus.at[index]] = (int8_t)node;
	}
	if (!topology->node_count)
		topology->node_count = 1;
}

static void read_cores(const char *sysfs, struct cw_topology *topology)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	struct cw_cpu_list cpus;

	for (uint32_t cpu = 0; cpu < CW_CPUS_MAX; cpu++) {
		snprintf(path, sizeof(path),
			 "%s/devices/system/cpu/cpu%u/topology/thread_siblings_list", sysfs, cpu);
		topology->core_of_cpu[cpu] = (uint16_t)cpu;
		if (read_line(path, line) && cw_cpu_list_parse(line, &cpus, NULL) == 0)
			topology->core_of_cpu[cpu] = cpus.at[0]; /* sysfs lists in rising order */
	}
}

void cw_topology_read(const char *sysfs, struct cw_topology *topology)
{
	read_nodes(sysfs, topology);
	read_cores(sysfs, topology);
}

int cw_topology_device_node(const char *sysfs, const char *device)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	int node;

	if (strchr(device, '/'))
		return CW_NODE_NONE;
	snprintf(path, sizeof(path), "%s/class/net/%s/device/numa_node", sysfs, device);
	if (!read_line(path, line))
		return CW_NODE_NONE;
	node = atoi(line);
	return node >= 0 && node < (int)CW_NODES_MAX ? node : CW_NODE_NONE;
}

int cw_topology_common_node(const char *sysfs, const char *const *devices, uint32_t device_count)
{
	struct cw_topology topology;
	int node = CW_NODE_NONE;

	read_nodes(sysfs, &topology);
	if (topology.node_count < 2)
		return CW_NODE_NONE;
	for (uint32_t index = 0; index < device_count; index++) {
		int its_node = cw_topology_device_node(sysfs, devices[index]);

		if (index > 0 && its_node != node)
			return CW_NODE_NONE;
		node = its_node;
	}
	return node;
}

/* ---- the plan ---- */

struct plan {
	const struct cw_topology *topology;
	const struct cw_cpu_list *cpus;
	uint32_t used[CW_CPUS_MAX];      /* threads on the list's n-th CPU */
	uint32_t core_used[CW_CPUS_MAX]; /* by core_of_cpu: threads on the core's CPUs */
};

/* Returns whether the list's CPU `index` beats `best`: fewer threads, then nearer, then fewer
 * threads on its siblings. */
static bool is_better(const struct plan *plan, uint32_t index, uint32_t best, int node)
{
	const struct cw_topology *topology = plan->topology;
	const uint16_t cpu = plan->cpus->at[index], best_cpu = plan->cpus->at[best];
	const bool is_near = node == CW_NODE_NONE || topology->node_of_cpu[cpu] == node;
	const bool is_best_near = node == CW_NODE_NONE || topology->node_of_cpu[best_cpu] == node;

	if (plan->used[index] != plan->used[best])
		return plan->used[index] < plan->used[best];
	if (is_near != is_best_near)
		return is_near;
	return plan->core_used[topology->core_of_cpu[cpu]] <
	       plan->core_used[topology->core_of_cpu[best_cpu]];
}

/* Takes the best CPU and returns its index in the list; the first of equals. */
static uint32_t choose(struct plan *plan, int node)
{
	uint32_t best = 0, index;

	for (index = 1; index < plan->cpus->count; index++) {
		if (is_better(plan, index, best, node))
			best = index;
	}
	plan->used[best]++;
	plan->core_used[plan->topology->core_of_cpu[plan->cpus->at[best]]]++;
	return best;
}

void cw_affinity_plan(const struct cw_topology *topology, const struct cw_cpu_list *cpus,
		      const int *wanted_nodes, uint32_t capture_count, uint32_t worker_count,
		      uint16_t *cpu_of_thread)
{
	struct plan plan = {.topology = topology, .cpus = cpus};

	for (uint32_t index = 0; index < capture_count; index++)
		cpu_of_thread[index] = cpus->at[choose(&plan, wanted_nodes[index])];
	for (uint32_t index = 0; index < worker_count; index++) {
		int node = capture_count ? wanted_nodes[index % capture_count] : CW_NODE_NONE;

		cpu_of_thread[capture_count + index] = cpus->at[choose(&plan, node)];
	}
}

/* ---- kernel calls ---- */

int cw_affinity_pin(uint16_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

int cw_affinity_realtime(uint32_t priority)
{
	struct sched_param parameter = {.sched_priority = (int)priority};

	return -pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter);
}

int cw_affinity_memory(int node)
{
	unsigned long nodes = node == CW_NODE_NONE ? 0 : 1ul << node;

	if (syscall(SYS_set_mempolicy, node == CW_NODE_NONE ? MPOL_DEFAULT : MPOL_PREFERRED,
		    node == CW_NODE_NONE ? NULL : &nodes, (unsigned long)CW_NODES_MAX + 1))
		return -errno;
	return 0;
}

int cw_affinity_mapping(void *memory, size_t bytes, int node)
{
	unsigned long nodes;

	if (node == CW_NODE_NONE)
		return 0;
	nodes = 1ul << node;
	if (syscall(SYS_mbind, memory, (unsigned long)bytes, MPOL_PREFERRED, &nodes,
		    (unsigned long)CW_NODES_MAX + 1, 0u))
		return -errno;
	return 0;
}

bool cw_affinity_has_memory(void)
{
	int policy = MPOL_DEFAULT;

	return syscall(SYS_get_mempolicy, &policy, NULL, 0ul, NULL, 0ul) == 0 &&
	       policy != MPOL_DEFAULT;
}

int cw_affinity_huge(void *memory, size_t bytes)
{
	return madvise(memory, bytes, MADV_HUGEPAGE) ? -errno : 0;
}
