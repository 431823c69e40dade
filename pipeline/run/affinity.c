/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "pipeline/run/affinity.h"
#include "pipeline/run/run.h"

int cw_affinity_near(const char *const *devices, uint32_t device_count)
{
	return cw_affinity_has_memory() ? CW_NODE_NONE
					: cw_topology_common_node(CW_SYSFS, devices, device_count);
}

void cw_run_report_refusal(struct cw_run *run, uint32_t kind, const char *what, int result)
{
	if (result < 0 && !(atomic_fetch_or(&run->reported_refusals, kind) & kind))
		cw_run_tell(run, CW_WARNING, "%s: %s", what, strerror(-result));
}

void cw_run_pin_thread(struct cw_run *run, int32_t cpu, uint32_t realtime)
{
	char text[64];

	if (cpu >= 0) {
		snprintf(text, sizeof(text), "a thread cannot be pinned to core %d", cpu);
		cw_run_report_refusal(run, CW_REFUSED_PIN, text, cw_affinity_pin((uint16_t)cpu));
	}
	if (realtime)
		cw_run_report_refusal(run, CW_REFUSED_REALTIME,
				      "no real-time priority for capture threads",
				      cw_affinity_realtime(realtime));
}

bool cw_run_prefer_device(struct cw_run *run, const char *device)
{
	int node = cw_affinity_near(&device, 1);

	if (node == CW_NODE_NONE)
		return false;
	cw_run_report_refusal(run, CW_REFUSED_MEMORY, CW_NO_MEMORY_NEAR, cw_affinity_memory(node));
	return true;
}
