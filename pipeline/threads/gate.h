/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where threads park when they find nothing to do: an event count on a futex. Use:
 *
 *     seen = cw_gate_look(gate);
 *     if (there is work) do it; else cw_gate_wait(gate, seen);
 *
 * A signal between look and wait makes the wait return at once, so none is lost. Signalling costs
 * one atomic add while nobody is parked, and wakes one parked thread otherwise. (Condition
 * variables would do the same, but those of glibc before 2.41 can lose a signal, its bug 25847.)
 */
#ifndef CW_PIPELINE_THREADS_GATE_H
#define CW_PIPELINE_THREADS_GATE_H

#include <stdatomic.h>
#include <stdint.h>

/* All zero is a gate with nobody parked. */
struct cw_gate {
	_Atomic uint32_t value;
	_Atomic uint32_t parked;
};

uint32_t cw_gate_look(struct cw_gate *gate);
void cw_gate_wait(struct cw_gate *gate, uint32_t seen); /* may also return for no reason */
void cw_gate_signal(struct cw_gate *gate);              /* one parked thread */
void cw_gate_signal_all(struct cw_gate *gate);          /* every parked thread */

#endif
