/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "pipeline/run/places.h"
#include "pipeline/run/run.h"
#include "pipeline/state.h"

int cw_place_near(const char *const *devices, uint32_t device_count)
{
	return cw_place_has_memory() ? CW_NODE_NONE
				     : cw_topology_common_node(CW_SYSFS, devices, device_count);
}

void cw_pipeline_tell_refusal(struct cw_pipeline *pipeline, uint32_t kind, const char *what,
			      int result)
{
	if (result < 0 && !(atomic_fetch_or(&pipeline->told_places, kind) & kind))
		cw_pipeline_tell(pipeline, CW_WARNING, "%s: %s", what, strerror(-result));
}

void cw_pipeline_take_place(struct cw_pipeline *pipeline, int32_t cpu, uint32_t realtime)
{
	char text[64];

	if (cpu >= 0) {
		snprintf(text, sizeof(text), "a thread cannot be pinned to core %d", cpu);
		cw_pipeline_tell_refusal(pipeline, CW_TOLD_PIN, text, cw_place_pin((uint16_t)cpu));
	}
	if (realtime)
		cw_pipeline_tell_refusal(pipeline, CW_TOLD_REALTIME,
					 "no real-time priority for capture threads",
					 cw_place_realtime(realtime));
}

bool cw_pipeline_prefer_device(struct cw_pipeline *pipeline, const char *device)
{
	int node = cw_place_near(&device, 1);

	if (node == CW_NODE_NONE)
		return false;
	cw_pipeline_tell_refusal(pipeline, CW_TOLD_MEMORY, CW_NO_MEMORY_NEAR,
				 cw_place_memory(node));
	return true;
}
