/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread of a run asks the kernel for: its core, its priority, memory near a device. */
#ifndef CW_PIPELINE_PLACES_H
#define CW_PIPELINE_PLACES_H

#include "pipeline/threads/place.h"

#define CW_SYSFS "/sys"
#define CW_NO_MEMORY_NEAR "no memory near the devices"

struct cw_pipeline;

/* Kinds of places that the kernel can refuse: each is told once. */
#define CW_TOLD_PIN 1u
#define CW_TOLD_REALTIME 2u
#define CW_TOLD_HUGE 4u
#define CW_TOLD_MEMORY 8u

/* Tell a refusal (negative `result`), unless one of the kind was told already. */
void cw_pipeline_tell_refusal(struct cw_pipeline *pipeline, uint32_t kind, const char *what,
			      int result);

/* The node where memory for these devices shall be, or CW_NODE_NONE. Who ran this with numactl has
 * chosen. */
int cw_place_near(const char *const *devices, uint32_t device_count);

/* A thread of the run takes its place; what the kernel refuses is told and does no harm. */
void cw_pipeline_take_place(struct cw_pipeline *pipeline, int32_t cpu, uint32_t realtime);

/* Memory that the calling thread is first to touch from now on shall be near this device. False:
 * there are no nodes to choose from, or somebody chose; else cw_place_memory undoes it. */
bool cw_pipeline_prefer_device(struct cw_pipeline *pipeline, const char *device);

#endif
