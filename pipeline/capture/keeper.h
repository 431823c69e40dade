/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: the thread of a live run that does what has its time, or comes from outside. It
 * writes out what outputs keep, lets failed outputs try again, follows the devices, and ends a
 * drain that takes too long. It sleeps between.
 */
#ifndef CW_PIPELINE_KEEPER_H
#define CW_PIPELINE_KEEPER_H

#include <stdint.h>

struct cw_pipeline;

void *cw_keeper_main(void *pipeline);

/* Something happened that it should look at; any thread. */
void cw_keeper_wake(struct cw_pipeline *pipeline);

/* CLOCK_MONOTONIC. */

#endif
