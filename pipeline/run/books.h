/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The books: where every packet went. Counters have 64 bits. These identities hold exactly at the
 * end of every run, with or without losses:
 *   received   = shed + malformed + prefiltered + classified
 *   classified = matched_any + unmatched
 *   per rule:    matched = left_out + written + lost (all causes)
 *   written    = in_files + expired + sent_to_pipe        (sums over rules)
 */
#ifndef CW_PIPELINE_RUN_BOOKS_H
#define CW_PIPELINE_RUN_BOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cw_loss {
	CW_LOSS_DISK_FULL,
	CW_LOSS_IO_ERROR,
	CW_LOSS_QUOTA, /* EDQUOT, and EFBIG from a limit on file sizes */
	CW_LOSS_FD_LIMIT,
	CW_LOSS_ROTATE, /* the next file of a rotation could not be opened */
	CW_LOSS_COMPRESS,
	CW_LOSS_LINK_TYPE,       /* a pcap file cannot hold a second link type */
	CW_LOSS_UNREPRESENTABLE, /* the timestamp does not fit the format */
	CW_LOSS_BACKLOG,
	CW_LOSS_SHUTDOWN,
	CW_LOSS_COUNT,
};

/* Returns the cause's name in reports: "disk_full". */
const char *cw_loss_name(enum cw_loss cause);

/* Returns the cause for a negative errno: of a failed system call, -ECANCELED if the run ended
 * first, or CW_PACK_FAILED. `is_rotation`: the call opened a rotation's next file. */
enum cw_loss cw_loss_from_errno(int failure, bool is_rotation);

/* Why a rule left out a packet that it matched. */
enum cw_left_out {
	CW_LEFT_OUT_SAMPLE, /* not in the sample */
	CW_LEFT_OUT_LIMIT,  /* beyond the rule's limits */
	CW_LEFT_OUT_COUNT,
};

/* Returns the reason's name in reports: "sample". */
const char *cw_left_out_name(enum cw_left_out cause);

struct cw_books {
	uint64_t received;
	uint64_t shed;
	uint64_t malformed;
	uint64_t prefiltered; /* rejected by the global filter */
	uint64_t classified;
	uint64_t matched_any;
	uint64_t unmatched;
	/* sums over the rules */
	uint64_t matched;
	uint64_t left_out; /* not written because the rule says so: not a loss */
	uint64_t written;
	uint64_t lost;
	uint64_t in_files;
	uint64_t expired;
	uint64_t sent_to_pipe;
};

/* A line of the books, as reports and metrics show it. */
struct cw_books_line {
	const char *name;   /* key in JSON */
	size_t offset;      /* in struct cw_books */
	bool is_in_stats;   /* also in the answer to the control command "stats" */
	const char *metric; /* NULL: not a metric */
	const char *help;   /* of the metric */
};

/* In the order of struct cw_books; the name NULL ends the table. */
extern const struct cw_books_line cw_books_lines[];

static inline uint64_t cw_books_count(const struct cw_books *books,
				      const struct cw_books_line *line)
{
	return *(const uint64_t *)(const void *)((const char *)books + line->offset);
}

static inline uint64_t *cw_books_counter(struct cw_books *books, const struct cw_books_line *line)
{
	return (uint64_t *)(void *)((char *)books + line->offset);
}

/* Returns whether the identities above hold; the per-rule identity is checked on the sums. */
bool cw_books_balance(const struct cw_books *books);

#endif
