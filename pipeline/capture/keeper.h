/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: the thread of a live run that does what has its time, or comes from outside. It
 * writes out what outputs keep, lets failed outputs try again, follows the devices, and ends a
 * drain that takes too long. It sleeps between.
 */
#ifndef CW_PIPELINE_KEEPER_H
#define CW_PIPELINE_KEEPER_H

void *cw_keeper_main(void *capture);

#endif
