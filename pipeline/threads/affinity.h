/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Placement of threads and memory: a plan of cores, made before the threads start, and the kernel
 * calls that carry it out. Placement affects speed only: a refusal never fails a run.
 */
#ifndef CW_PIPELINE_THREADS_AFFINITY_H
#define CW_PIPELINE_THREADS_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define CW_CPUS_MAX 1024u
#define CW_NODES_MAX 64u
#define CW_NODE_NONE (-1) /* no choice: one node only, or unknown */

struct cw_cpu_list {
	uint32_t count;
	uint16_t at[CW_CPUS_MAX];
};

/* Parses a list as the kernel and taskset write it: "0-3,8". -EINVAL with a message if the text is
 * not a list, names a core twice, or names a core of CW_CPUS_MAX or above. */
int cw_cpu_list_parse(const char *text, struct cw_cpu_list *list, struct cw_error *error);

/* Fills the cores that this process may use. 0 or -errno. */
int cw_cpu_list_allowed(struct cw_cpu_list *list);

/* The machine according to sysfs. `sysfs` is "/sys", or another folder in tests. */
struct cw_topology {
	uint32_t node_count;             /* nodes with cores; 1 if unknown */
	int8_t node_of_cpu[CW_CPUS_MAX]; /* CW_NODE_NONE if unknown */
	/* the first CPU on the same core (hyper-threading); the CPU itself if unknown */
	uint16_t core_of_cpu[CW_CPUS_MAX];
};
void cw_topology_read(const char *sysfs, struct cw_topology *topology);

/* Returns the node that a network interface is attached to, or CW_NODE_NONE. */
int cw_topology_device_node(const char *sysfs, const char *device);

/* Returns the node that all these interfaces are attached to; CW_NODE_NONE if the nodes differ, one
 * is unknown, or the machine has only one. */
int cw_topology_common_node(const char *sysfs, const char *const *devices, uint32_t device_count);

/*
 * Chooses a core for each thread. The `capture_count` capture threads choose first: each wants a
 * separate core on its node of `wanted_nodes`. The workers take the cores that are left, those on
 * the capture threads' nodes first. Among equal cores, one whose sibling (hyper-threading) is idle
 * wins. With more threads than cores, workers share first, capture threads last.
 */
void cw_affinity_plan(const struct cw_topology *topology, const struct cw_cpu_list *cpus,
		      const int *wanted_nodes, uint32_t capture_count, uint32_t worker_count,
		      uint16_t *cpu_of_thread);

/* Change the calling thread. 0 or negative errno. */
int cw_affinity_pin(uint16_t cpu);
int cw_affinity_realtime(uint32_t priority); /* SCHED_FIFO */

/*
 * Prefers this node for pages that this thread, or a thread it starts from now on, is first to
 * touch, and for the pages of a kernel ring it opens. The mapper of a page does not matter.
 * CW_NODE_NONE ends the preference. 0 or negative errno.
 */
int cw_affinity_memory(int node);

/* Prefers the node for the untouched pages of this mapping, whichever thread touches them first.
 * `memory` must start a page. CW_NODE_NONE: does nothing. 0 or negative errno. */
int cw_affinity_mapping(void *memory, size_t bytes, int node);

/* Returns whether this thread already has a memory policy, for example from numactl. */
bool cw_affinity_has_memory(void);

/* Asks for huge pages under `bytes` of memory. 0 or negative errno. */
int cw_affinity_huge(void *memory, size_t bytes);

#endif
