/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns --pin, --realtime and --huge-pages into requests to the kernel (threads/affinity.h). */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/setup/setup.h"

static void plan(struct cw_run *run, const struct cw_cpu_list *cpus, int *wanted,
		 uint16_t *cpu_of_thread, int32_t *worker_cpus)
{
	struct cw_topology topology;

	cw_topology_read(CW_SYSFS, &topology);
	for (uint32_t index = 0; index < run->lane_count; index++)
		wanted[index] = run->is_live
				    ? cw_topology_device_node(
					  CW_SYSFS, run->options.devices[run->lanes[index].input])
				    : CW_NODE_NONE;
	cw_affinity_plan(&topology, cpus, wanted, run->lane_count, run->options.threads,
			 cpu_of_thread);
	for (uint32_t index = 0; index < run->lane_count; index++)
		run->lanes[index].cpu = cpu_of_thread[index];
	for (uint32_t index = 0; index < run->options.threads; index++)
		worker_cpus[index] = cpu_of_thread[run->lane_count + index];
}

/* Gives cores in the list's order to capture threads, then workers; wraps around at its end. */
static void deal_out(struct cw_run *run, const struct cw_cpu_list *cpus, int32_t *worker_cpus)
{
	for (uint32_t index = 0; index < run->lane_count; index++)
		run->lanes[index].cpu = cpus->at[index % cpus->count];
	for (uint32_t index = 0; index < run->options.threads; index++)
		worker_cpus[index] = cpus->at[(run->lane_count + index) % cpus->count];
}

static int pin(struct cw_run *run, int32_t *worker_cpus, struct cw_error *error)
{
	size_t count = (size_t)run->lane_count + run->options.threads;
	struct cw_cpu_list cpus;
	uint16_t *cpu_of_thread;
	int *wanted;
	int result;

	if (strcmp(run->options.pin, "auto") != 0) {
		result = cw_cpu_list_parse(run->options.pin, &cpus, error);
		if (result < 0)
			return result;
		deal_out(run, &cpus, worker_cpus);
		return 0;
	}
	if (cw_cpu_list_allowed(&cpus) < 0 || cpus.count == 0)
		return 0;
	wanted = calloc(run->lane_count, sizeof(*wanted));
	cpu_of_thread = calloc(count, sizeof(*cpu_of_thread));
	if (wanted && cpu_of_thread)
		plan(run, &cpus, wanted, cpu_of_thread, worker_cpus);
	result = wanted && cpu_of_thread
		     ? 0
		     : cw_error_set(error, -ENOMEM, "no memory for %zu threads", count);
	free(wanted);
	free(cpu_of_thread);
	return result;
}

int cw_setup_affinity(struct cw_run *run, const struct cw_chunk_pool *pool, int32_t *worker_cpus,
		      struct cw_error *error)
{
	const struct cw_pipeline_options *options = &run->options;
	const size_t pool_bytes = pool->chunk_bytes * pool->chunk_count;

	for (uint32_t index = 0; index < run->lane_count; index++)
		run->lanes[index].cpu = -1;
	for (uint32_t index = 0; index < run->options.threads; index++)
		worker_cpus[index] = -1;
	/* Without a policy, pages would lie wherever the first worker to touch them runs. */
	cw_run_report_refusal(
	    run, CW_REFUSED_MEMORY, CW_NO_MEMORY_NEAR,
	    cw_affinity_mapping(pool->memory, pool_bytes,
				cw_affinity_near(options->devices, options->device_count)));
	if (options->huge_pages)
		cw_run_report_refusal(run, CW_REFUSED_HUGE, "cannot use huge pages",
				      cw_affinity_huge(pool->memory, pool_bytes));
	return options->pin ? pin(run, worker_cpus, error) : 0;
}
