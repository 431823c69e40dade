/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of the reloads so far. */
#ifndef CW_PIPELINE_RELOAD_STATUS_H
#define CW_PIPELINE_RELOAD_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct cw_reload_status {
	uint64_t served;     /* requests up to this number are finished */
	uint64_t accepted;   /* reloads accepted */
	uint64_t refused;    /* reloads refused: they changed nothing */
	uint64_t generation; /* number of the generation in force */
	uint32_t rule_count; /* rules in force */
	bool was_accepted;   /* the last reload */
	char text[1024];     /* message about the last reload */
	char restart[1024];  /* the last reload: names of settings that need a restart */
};

#endif
