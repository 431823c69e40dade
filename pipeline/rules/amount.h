/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers as people write them, in rules files and on the command line: digits and a suffix that
 * depends on the kind. Each option and key has a unit for numbers without a suffix.
 *   whole number  no suffix
 *   count         k, M, G: powers of 1000
 *   size          k, m, g, t (or capital), KiB ... TiB: powers of 1024; kB (or KB) ... TB: powers
 *                 of 1000; B
 *   time          us, ms, s, m, h, d; a decimal fraction may follow the digits
 */
#ifndef CW_PIPELINE_RULES_AMOUNT_H
#define CW_PIPELINE_RULES_AMOUNT_H

#include <stdint.h>

enum cw_amount_kind { CW_WHOLE, CW_COUNT, CW_SIZE, CW_TIME };

/* The numbers that an option or key takes. Sizes are bytes, times nanoseconds. */
struct cw_amount {
	enum cw_amount_kind kind;
	uint64_t bare; /* unit of a number without a suffix */
	uint64_t least;
	uint64_t most;
};

/* Fills `value` and returns 0; -EINVAL: not such a number; -ERANGE: outside the range. */
int cw_amount_parse(const struct cw_amount *amount, const char *text, uint64_t *value);

/* Modes of files and folders that an option or key takes; `least` has the bits that each must have,
 * `most` those that it may have. */
#define CW_FILE_MODES                   \
	{                               \
		CW_WHOLE, 1, 0600, 0666 \
	}
#define CW_FOLDER_MODES                 \
	{                               \
		CW_WHOLE, 1, 0700, 0777 \
	}

/* Fills `mode` with an octal number ("640", "0640", "0o640") and returns 0; -EINVAL: not a mode
 * within these bits. */
int cw_mode_parse(const struct cw_amount *bits, const char *text, uint32_t *mode);

/*
 * "a size from 1KiB to 1TiB (a bare number is in B; suffixes ...)", for errors; an end of the range
 * that is only the type's is left out. Fills `text` and returns it.
 */
#define CW_AMOUNT_BYTES 160
const char *cw_amount_describe(const struct cw_amount *amount, char text[CW_AMOUNT_BYTES]);

#endif
