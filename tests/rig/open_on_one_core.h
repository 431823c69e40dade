/* SPDX-License-Identifier: BSD-3-Clause */
/* For programs that wrap cw_live_open: kernel rings have their timers where senders are, so that a
 * ring with room drops nothing (one_core.h). */
#ifndef CW_TESTS_RIG_OPEN_ON_ONE_CORE_H
#define CW_TESTS_RIG_OPEN_ON_ONE_CORE_H

#include "core/source/live/live.h"
#include "tests/rig/one_core.h"

int __real_cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
			const struct cw_live_options *options, struct cw_error *error);
int __wrap_cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
			const struct cw_live_options *options, struct cw_error *error);

int __wrap_cw_live_open(struct cw_live **live, struct cw_ifaces *ifaces,
			const struct cw_live_options *options, struct cw_error *error)
{
	cpu_set_t before;
	int result;

	one_core_enter(&before, -1);
	result = __real_cw_live_open(live, ifaces, options, error);
	one_core_leave(&before);
	return result;
}

#endif
