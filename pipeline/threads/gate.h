/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gate: idle threads park here. An event count on a futex. Use:
 *
 *     seen = cw_gate_look(gate);
 *     if (there is work) do it; else cw_gate_wait(gate, seen);
 *
 * A signal between look and wait makes the wait return at once, so no signal is lost. Signalling
 * costs one atomic add if nobody is parked, and otherwise wakes one thread. (Condition variables
 * would do the same, but before glibc 2.41 they can lose a signal: glibc bug 25847.)
 */
#ifndef CW_PIPELINE_THREADS_GATE_H
#define CW_PIPELINE_THREADS_GATE_H

#include <stdatomic.h>
#include <stdint.h>

/* All zero: nobody is parked. */
struct cw_gate {
	_Atomic uint32_t value;
	_Atomic uint32_t parked;
};

uint32_t cw_gate_look(struct cw_gate *gate);
void cw_gate_wait(struct cw_gate *gate, uint32_t seen); /* may return spuriously */
void cw_gate_signal(struct cw_gate *gate);              /* wakes one parked thread */
void cw_gate_signal_all(struct cw_gate *gate);          /* wakes every parked thread */

#endif
