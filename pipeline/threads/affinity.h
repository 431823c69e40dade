/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where threads run and memory lies: a plan of cores, made before the threads start, and what is
 * asked of the kernel for them. All of it helps or does not; nothing fails a run.
 */
#ifndef CW_PIPELINE_THREADS_AFFINITY_H
#define CW_PIPELINE_THREADS_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define CW_CPUS_MAX 1024u
#define CW_NODES_MAX 64u
#define CW_NODE_NONE (-1) /* the machine has one, or does not tell */

struct cw_cpu_list {
	uint32_t count;
	uint16_t at[CW_CPUS_MAX];
};

/* A list as the kernel and taskset write it: "0-3,8". -EINVAL with a message for what is none,
 * names a core twice, or one of CW_CPUS_MAX and above. */
int cw_cpu_list_parse(const char *text, struct cw_cpu_list *list, struct cw_error *error);

/* The cores that this process may use. 0 or -errno. */
int cw_cpu_list_allowed(struct cw_cpu_list *list);

/* What sysfs says of the machine. `sysfs` is "/sys", or another folder for tests. */
struct cw_topology {
	uint32_t node_count;             /* with cores; 1 where nothing is said */
	int8_t node_of_cpu[CW_CPUS_MAX]; /* CW_NODE_NONE where nothing is said */
	/* The first of those that are one core (hyper-threading); itself where nothing is said. */
	uint16_t core_of_cpu[CW_CPUS_MAX];
};
void cw_topology_read(const char *sysfs, struct cw_topology *topology);

/* The node that a network device is attached to, or CW_NODE_NONE. */
int cw_topology_device_node(const char *sysfs, const char *device);

/* The node that all of these devices are attached to; CW_NODE_NONE where they differ, one does not
 * tell, or the machine has but one node. */
int cw_topology_common_node(const char *sysfs, const char *const *devices, uint32_t device_count);

/*
 * A core for each thread. First come `capture_count` capture threads, each of which wants a core of
 * its own on the node `wanted_nodes` gives it; then the workers, which take the cores that are
 * left, those of the capture threads' nodes first. Of equals, one whose sibling (hyper-threading)
 * has nothing to do comes first. With more threads than cores, workers share; capture threads share
 * the least.
 */
void cw_affinity_plan(const struct cw_topology *topology, const struct cw_cpu_list *cpus,
		      const int *wanted_nodes, uint32_t capture_count, uint32_t worker_count,
		      uint16_t *cpu_of_thread);

/* For the calling thread. 0 or negative errno. */
int cw_affinity_pin(uint16_t cpu);
int cw_affinity_realtime(uint32_t priority); /* SCHED_FIFO */

/*
 * Pages that this thread, and threads that it starts from now on, are first to touch come from this
 * node where it has some; CW_NODE_NONE: from anywhere again. So do the kernel's for a ring that it
 * opens. Who mapped a page does not matter. 0 or negative errno.
 */
int cw_affinity_memory(int node);

/* The same for pages of this mapping that no thread touched yet, whichever does: `memory` starts a
 * page. Nothing to do for CW_NODE_NONE. 0 or negative errno. */
int cw_affinity_mapping(void *memory, size_t bytes, int node);

/* Whether somebody chose for this thread already, such as numactl. */
bool cw_affinity_has_memory(void);

/* Ask for huge pages under `bytes` of memory. 0 or negative errno. */
int cw_affinity_huge(void *memory, size_t bytes);

#endif
