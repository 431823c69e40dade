/* SPDX-License-Identifier: BSD-3-Clause */
/* From --pin, --realtime and --huge-pages to what the kernel is asked for (place.h). */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/state.h"

#define SYSFS "/sys"

static void plan(struct cw_pipeline *pipeline, const struct cw_cpu_list *cpus, int *wanted,
		 uint16_t *cpu_of_thread)
{
	struct cw_topology topology;
	uint32_t index;

	cw_topology_read(SYSFS, &topology);
	for (index = 0; index < pipeline->lane_count; index++)
		wanted[index] =
			pipeline->port_count
				? cw_topology_device_node(
					  SYSFS,
					  pipeline->ports[pipeline->lanes[index].input].device)
				: CW_NODE_NONE;
	cw_place_plan(&topology, cpus, wanted, pipeline->lane_count, pipeline->worker_count,
		      cpu_of_thread);
	for (index = 0; index < pipeline->lane_count; index++)
		pipeline->lanes[index].cpu = cpu_of_thread[index];
	for (index = 0; index < pipeline->worker_count; index++)
		pipeline->workers[index].cpu = cpu_of_thread[pipeline->lane_count + index];
}

/* Capture threads first, then workers, in the order of the list, from its start again at its end. */
static void deal_out(struct cw_pipeline *pipeline, const struct cw_cpu_list *cpus)
{
	uint32_t index;

	for (index = 0; index < pipeline->lane_count; index++)
		pipeline->lanes[index].cpu = cpus->at[index % cpus->count];
	for (index = 0; index < pipeline->worker_count; index++)
		pipeline->workers[index].cpu =
			cpus->at[(pipeline->lane_count + index) % cpus->count];
}

static int pin(struct cw_pipeline *pipeline, struct cw_error *error)
{
	size_t count = (size_t)pipeline->lane_count + pipeline->worker_count;
	struct cw_cpu_list cpus;
	uint16_t *cpu_of_thread;
	int *wanted;
	int result;

	if (strcmp(pipeline->options.pin, "auto") != 0) {
		result = cw_cpu_list_parse(pipeline->options.pin, &cpus, error);
		if (result < 0)
			return result;
		deal_out(pipeline, &cpus);
		return 0;
	}
	if (cw_cpu_list_allowed(&cpus) < 0 || cpus.count == 0)
		return 0;
	wanted = calloc(pipeline->lane_count, sizeof(*wanted));
	cpu_of_thread = calloc(count, sizeof(*cpu_of_thread));
	if (wanted && cpu_of_thread)
		plan(pipeline, &cpus, wanted, cpu_of_thread);
	result = wanted && cpu_of_thread
			 ? 0
			 : cw_error_set(error, -ENOMEM, "no memory for %zu threads", count);
	free(wanted);
	free(cpu_of_thread);
	return result;
}

int cw_setup_places(struct cw_pipeline *pipeline, struct cw_error *error)
{
	struct cw_chunk_pool *pool = &pipeline->pool;
	uint32_t index;
	int result;

	for (index = 0; index < pipeline->lane_count; index++)
		pipeline->lanes[index].cpu = -1;
	for (index = 0; index < pipeline->worker_count; index++)
		pipeline->workers[index].cpu = -1;
	if (pipeline->options.huge_pages) {
		result = cw_place_huge(pool->memory, pool->chunk_bytes * pool->chunk_count);
		if (result < 0)
			cw_pipeline_tell(pipeline, CW_WARNING, "no huge pages: %s",
					 strerror(-result));
	}
	return pipeline->options.pin ? pin(pipeline, error) : 0;
}

void cw_pipeline_take_place(struct cw_pipeline *pipeline, int32_t cpu, uint32_t realtime)
{
	int result = cpu < 0 ? 0 : cw_place_pin((uint16_t)cpu);

	if (result < 0 && !atomic_exchange(&pipeline->has_told_place, true))
		cw_pipeline_tell(pipeline, CW_WARNING,
				 "a thread cannot be pinned to core %d: %s; it goes where it likes",
				 cpu, strerror(-result));
	result = realtime ? cw_place_realtime(realtime) : 0;
	if (result < 0 && !atomic_exchange(&pipeline->has_told_place, true))
		cw_pipeline_tell(pipeline, CW_WARNING,
				 "no real-time priority for capture threads: %s",
				 strerror(-result));
}

void cw_pipeline_prefer_node(struct cw_pipeline *pipeline, bool is_wanted)
{
	struct cw_topology topology;
	int node = CW_NODE_NONE;
	uint32_t index;

	if (!pipeline->options.device_count)
		return;
	cw_topology_read(SYSFS, &topology);
	if (topology.node_count < 2)
		return;
	for (index = 0; index < pipeline->options.device_count && node == CW_NODE_NONE; index++)
		node = cw_topology_device_node(SYSFS, pipeline->options.devices[index]);
	if (node != CW_NODE_NONE)
		cw_place_memory(is_wanted ? node : CW_NODE_NONE);
}
