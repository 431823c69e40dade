/* SPDX-License-Identifier: BSD-3-Clause */
/* For machines without a code generator: the walker runs. */
#include "core/filter/engine/decision.h"

int cw_jit_build(struct cw_decision *decision, uint32_t bytes_max)
{
	(void)decision;
	(void)bytes_max;
	return -ENOTSUP;
}

void cw_jit_fini(struct cw_decision *decision)
{
	(void)decision;
}
