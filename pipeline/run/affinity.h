/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread of a run asks the kernel for: its core, its priority, memory near a device. */
#ifndef CW_PIPELINE_RUN_AFFINITY_H
#define CW_PIPELINE_RUN_AFFINITY_H

#include "pipeline/threads/affinity.h"

#define CW_SYSFS "/sys"
#define CW_NO_MEMORY_NEAR "no memory near the devices"

struct cw_run;

/* Kinds of refusals by the kernel: each is reported once. */
#define CW_REFUSED_PIN 1u
#define CW_REFUSED_REALTIME 2u
#define CW_REFUSED_HUGE 4u
#define CW_REFUSED_MEMORY 8u

/* Tell a refusal (negative `result`), unless one of the kind was told already. */
void cw_run_report_refusal(struct cw_run *run, uint32_t kind, const char *what, int result);

/* The node where memory for these devices shall be, or CW_NODE_NONE. Who ran this with numactl has
 * chosen. */
int cw_affinity_near(const char *const *devices, uint32_t device_count);

/* A thread of the run takes its core and priority. What the kernel refuses is reported and does no
 * harm. */
void cw_run_pin_thread(struct cw_run *run, int32_t cpu, uint32_t realtime);

/* Memory that the calling thread is first to touch from now on shall be near this device. False:
 * there are no nodes to choose from, or somebody chose; else cw_affinity_memory undoes it. */
bool cw_run_prefer_device(struct cw_run *run, const char *device);

#endif
