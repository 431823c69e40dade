/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every program of live tests begins with: the devices of live_rig.h, or the reason why each
 * test is skipped. The program ends with RUN_TESTS.
 */
#ifndef CW_TESTS_RIG_LIVE_TESTS_H
#define CW_TESTS_RIG_LIVE_TESTS_H

#include "core/base/clock.h"
#include "tests/rig/live_rig.h"
#include "tests/rig/run_tests.h"
#include "tests/rig/scale.h"

#define WAIT_MS 100000u /* only a hang takes that */

static const char *reason; /* why there are no devices; NULL: there are */

#define NEED_DEVICES()                                   \
	do {                                             \
		(void)state;                             \
		if (reason) {                            \
			printf("skipped: %s\n", reason); \
			skip();                          \
		}                                        \
	} while (0)

#define WAIT_UNTIL(condition)                                                      \
	do {                                                                       \
		uint64_t began_ns = cw_now_ns();                                   \
                                                                                   \
		while (!(condition)) {                                             \
			if (cw_now_ns() - began_ns > WAIT_MS * UINT64_C(1000000))  \
				fail_msg("not in %u ms: %s", WAIT_MS, #condition); \
			rig_sleep_ms(1);                                           \
		}                                                                  \
	} while (0)

static inline int make_devices(void **state)
{
	(void)state;
	stamp_fill();
	reason = rig_make();
	return 0;
}

#endif
