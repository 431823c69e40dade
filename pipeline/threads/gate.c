/* SPDX-License-Identifier: BSD-3-Clause */
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pipeline/threads/gate.h"

uint32_t cw_gate_look(struct cw_gate *gate)
{
	return atomic_load(&gate->value); /* [GATE-1] sequentially consistent */
}

void cw_gate_wait(struct cw_gate *gate, uint32_t seen)
{
	/*
	 * [GATE-1] This add to `parked` and the kernel's comparison of `value` pair with signal's
	 * add to `value` and load of `parked`, all sequentially consistent: either the comparison
	 * fails and this thread does not sleep, or the signaller sees a parked thread and wakes it.
	 */
	atomic_fetch_add(&gate->parked, 1);
	syscall(SYS_futex, &gate->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	atomic_fetch_sub(&gate->parked, 1);
}

static void signal_gate(struct cw_gate *gate, int thread_count)
{
	atomic_fetch_add(&gate->value, 1); /* [GATE-1] */
	if (atomic_load(&gate->parked))
		syscall(SYS_futex, &gate->value, FUTEX_WAKE_PRIVATE, thread_count, NULL, NULL, 0);
}

void cw_gate_signal(struct cw_gate *gate)
{
	signal_gate(gate, 1);
}

void cw_gate_signal_all(struct cw_gate *gate)
{
	signal_gate(gate, INT_MAX);
}
