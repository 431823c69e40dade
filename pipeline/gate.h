/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where threads park when they find nothing to do: an event count. Use:
 *
 *     seen = cw_gate_look(gate);
 *     if (there is work) do it; else cw_gate_wait(gate, seen);
 *
 * A signal between look and wait makes the wait return at once, so none is lost. Signalling costs
 * one atomic add while nobody is parked, and wakes one parked thread otherwise.
 */
#ifndef CW_PIPELINE_GATE_H
#define CW_PIPELINE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct cw_gate {
	_Atomic uint32_t value;
	_Atomic uint32_t parked;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

int cw_gate_init(struct cw_gate *gate);
void cw_gate_fini(struct cw_gate *gate);
uint32_t cw_gate_look(struct cw_gate *gate);
void cw_gate_wait(struct cw_gate *gate, uint32_t seen);
void cw_gate_signal(struct cw_gate *gate);     /* one parked thread */
void cw_gate_signal_all(struct cw_gate *gate); /* every parked thread */

#endif
