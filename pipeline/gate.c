/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>

#include "pipeline/gate.h"

int cw_gate_init(struct cw_gate *gate)
{
	int failure;

	atomic_init(&gate->value, 0);
	atomic_init(&gate->parked, 0);
	failure = pthread_mutex_init(&gate->lock, NULL);
	if (failure)
		return -failure;
	failure = pthread_cond_init(&gate->wake, NULL);
	if (failure) {
		pthread_mutex_destroy(&gate->lock);
		return -failure;
	}
	return 0;
}

void cw_gate_fini(struct cw_gate *gate)
{
	pthread_cond_destroy(&gate->wake);
	pthread_mutex_destroy(&gate->lock);
}

uint32_t cw_gate_look(struct cw_gate *gate)
{
	return atomic_load(&gate->value); /* [GATE-1] sequentially consistent */
}

void cw_gate_wait(struct cw_gate *gate, uint32_t seen)
{
	pthread_mutex_lock(&gate->lock);
	/*
	 * [GATE-1] The add to parked and the load of value pair with signal's add to value and load
	 * of parked, all sequentially consistent: either this thread sees the new value and does
	 * not sleep, or the signaller sees it parked and takes the lock to wake it.
	 */
	atomic_fetch_add(&gate->parked, 1);
	while (atomic_load(&gate->value) == seen)
		pthread_cond_wait(&gate->wake, &gate->lock);
	atomic_fetch_sub(&gate->parked, 1);
	pthread_mutex_unlock(&gate->lock);
}

static void signal_gate(struct cw_gate *gate, bool all)
{
	atomic_fetch_add(&gate->value, 1); /* [GATE-1] */
	if (atomic_load(&gate->parked) == 0)
		return;
	pthread_mutex_lock(&gate->lock);
	if (all)
		pthread_cond_broadcast(&gate->wake);
	else
		pthread_cond_signal(&gate->wake);
	pthread_mutex_unlock(&gate->lock);
}

void cw_gate_signal(struct cw_gate *gate)
{
	signal_gate(gate, false);
}

void cw_gate_signal_all(struct cw_gate *gate)
{
	signal_gate(gate, true);
}
