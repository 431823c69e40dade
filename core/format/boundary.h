/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guesses where a record begins in the middle of a capture file. Pure functions over bytes: the
 * result depends on at most CW_BOUNDARY_BYTES from a place on, and on where the input ends.
 *
 * A record begins where a chain begins: a number of plausible records, one after the other; or
 * fewer that lead to the header of another capture file, to the end of the input, or out of the
 * bytes looked at. A guess can be wrong: packets can contain captures.
 *
 * A pcap record is plausible if its fraction is below a second, its capture length is neither above
 * its length nor above the link type's maximum, its length is at most the larger of that maximum
 * and 1 MiB, its time is within a day of the record before it, and within a year of a known record.
 * The first record of a chain is not empty. A pcapng block is plausible if its two lengths are
 * equal and its content fits; the first one is of a known type. A file header is the first link of
 * a chain whose records are read as it says. At the end of the input the last record may be torn;
 * then at least one complete record precedes it, two in a lenient chain.
 */
#ifndef CW_CORE_FORMAT_BOUNDARY_H
#define CW_CORE_FORMAT_BOUNDARY_H

#include "core/format/pcapfile.h"

#define CW_BOUNDARY_BYTES ((size_t)4 << 20)

struct cw_boundary {
	const struct cw_layout *layout; /* of the records; borrows */
	uint32_t records;               /* records that make a chain */
	bool is_lenient;                /* pcap: only capture lengths are looked at */
	bool has_times;                 /* pcap: the two below are known */
	uint32_t first_s, last_s;       /* seconds of known records: one near them is plausible */
};

enum cw_boundary_result {
	CW_BOUNDARY_NONE,
	CW_BOUNDARY_HERE,
	CW_BOUNDARY_MORE, /* more bytes decide */
};

/*
 * Looks for the first place in `shown` where a chain begins. Fills `at`: HERE: the place; MORE: the
 * first place that is not decided, and `needed`, the bytes from there on that decide or bring the
 * decision nearer; NONE: the input ends and has no such place.
 */
enum cw_boundary_result cw_boundary_find(const struct cw_boundary *boundary,
					 const struct cw_pcapfile_shown *shown, size_t *at,
					 size_t *needed);

/* Returns whether a chain begins at the first byte of `shown`; MORE: fills `needed`. */
enum cw_boundary_result cw_boundary_at(const struct cw_boundary *boundary,
				       const struct cw_pcapfile_shown *shown, size_t *needed);

/* Does the same for a chain whose first record is known and has `bytes` bytes. */
enum cw_boundary_result cw_boundary_after(const struct cw_boundary *boundary,
					  const struct cw_pcapfile_shown *shown, size_t bytes,
					  size_t *needed);

#endif
