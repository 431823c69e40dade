/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs of tests that hold sets against libpcap in bursts (filter_differ.h). */
#ifndef CW_TESTS_RIG_DIFFER_TESTS_H
#define CW_TESTS_RIG_DIFFER_TESTS_H

#include "tests/rig/filter_differ.h"
#include "tests/rig/run_tests.h"

static struct differ_burst burst;

static inline int open_burst(void **state)
{
	(void)state;
	differ_burst_init(&burst);
	return 0;
}

static inline int close_burst(void **state)
{
	(void)state;
	differ_burst_fini(&burst);
	return 0;
}

#endif
