/* SPDX-License-Identifier: BSD-3-Clause */
/* How reloads went so far. */
#ifndef CW_PIPELINE_RELOAD_STATUS_H
#define CW_PIPELINE_RELOAD_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct cw_reload_status {
	uint64_t served;     /* requests up to this number are done with */
	uint64_t accepted;   /* reloads, */
	uint64_t refused;    /* and those that changed nothing */
	uint64_t generation; /* in force */
	uint32_t rule_count; /* of it */
	bool was_accepted;   /* the last one */
	char text[1024];     /* what was told of it */
};

#endif
