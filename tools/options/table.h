/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of options: each stands here once, with its help and the commands that have it.
 * Parsing (options.c), help and the manual are made from it.
 */
#ifndef CW_TOOLS_OPTION_TABLE_H
#define CW_TOOLS_OPTION_TABLE_H

#include "tools/options/options.h"

#define CW_NOT_YET 0u /* an option of the design that this version does not have */
#define CW_LETTERLESS 256

enum cw_option_id {
	OPTION_HELP = CW_LETTERLESS,
	OPTION_JSON,
	OPTION_DRY_RUN,
	OPTION_HOOK_TIME,
	OPTION_NO_CLOBBER,
	OPTION_SYNC,
	OPTION_DIRECT,
	OPTION_UTC,
	OPTION_PRECISION,
	OPTION_RESOLVE,
	OPTION_ENGINE,
	OPTION_FILTER_TIME,
	OPTION_FILTER_MEMORY,
	OPTION_VERIFY,
	OPTION_BUFFER,
	OPTION_CHUNK,
	OPTION_BATCH_BYTES,
	OPTION_BATCH_PACKETS,
	OPTION_PROFILE,
	OPTION_PACKETS,
	OPTION_SEED,
	OPTION_REPEAT,
	OPTION_RULE_COUNT,
	OPTION_FRAME_SIZE,
	OPTION_LAZY,
	OPTION_PRINT_ERRORS,
	OPTION_PRINT_LAYERS,
	OPTION_GOPACKET_COMPAT,
	OPTION_DOT,
	OPTION_FULL,
	OPTION_QUEUES,
	OPTION_FANOUT,
	OPTION_PIN,
	OPTION_REALTIME,
	OPTION_HUGE_PAGES,
	OPTION_BACKEND,
	OPTION_BLOCK,
	OPTION_RETIRE,
	OPTION_ORDER,
	OPTION_KERNEL_FILTER,
	OPTION_MAX_DROP,
	OPTION_STATS,
	OPTION_DURATION,
	OPTION_DRAIN,
	OPTION_PPS,
	OPTION_SPEED,
	OPTION_TOPSPEED,
	OPTION_LOOP,
	OPTION_CUT,
	OPTION_MODE,
	OPTION_OWN_CABLE,
	OPTION_CONTROL,
	OPTION_METRICS,
	OPTION_NOT_YET,
};

struct cw_option_row {
	int id; /* the letter, or CW_LETTERLESS and above */
	const char *name;
	const char *argument; /* NULL: takes none; "[=...": may be left out */
	const char *help;     /* NULL: not shown */
	unsigned commands;
};

struct cw_command_text {
	enum cw_command command;
	const char *usage;
	const char *what;
};

extern const struct cw_option_row cw_option_rows[];
extern const size_t cw_option_row_count;
#define CW_OPTION_ROWS_MAX 128u /* room for tables made of it */

extern const struct cw_command_text cw_command_texts[];
extern const size_t cw_command_text_count;

/* Whether its argument may be left out. */
bool cw_option_is_optional(const struct cw_option_row *row);

#endif
