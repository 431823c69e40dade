/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An output: where one rule's packets go, a stream of records cut into files. It has two sides.
 *
 *   The reserving side gives each record its place: file, offset, chunk. Only the holder of the
 *   sequencer's turn works on it, in sequence order, so the places are the same whatever the number
 *   of threads. It makes no system call. (reserve.c)
 *
 *   The writing side takes complete chunks in offset order to the kernel; one writer at a time per
 *   output, whichever worker was told that a chunk is complete. (write.c)
 *
 * Between them lie the chunks: sealed ones are pushed to `inbox`.
 */
#ifndef CW_PIPELINE_OUTPUT_OUTPUT_H
#define CW_PIPELINE_OUTPUT_OUTPUT_H

#include "core/format/encode.h"
#include "pipeline/run/batch.h"
#include "pipeline/run/books.h"
#include "pipeline/output/files.h"
#include "pipeline/rules/rules.h"
#include "pipeline/rules/template.h"

/* A record this large (with its headers) gets a chunk of its own instead of several of the pool's.
 */
#define CW_RECORD_SPLIT_MAX ((size_t)512 << 10)

enum cw_output_state {
	CW_OUTPUT_FREE,
	CW_OUTPUT_USED,
	CW_OUTPUT_LEAVING, /* of a rule that is gone: nothing comes any more */
};

/* What the rule says, as of the generation adopted last. Owner: the turn. (limits.c) */
struct cw_output_limits {
	uint64_t rotate_bytes;
	uint64_t rotate_records;
	uint64_t rotate_every_ns; /* of the packets' time; 0 = not by time */
	bool is_rotate_aligned;   /* at multiples since the epoch; else from the first packet on */
	bool is_thinned;          /* it samples or has limits: packet by packet (limits.c) */
	uint64_t sample_every;
	uint64_t packets;
	uint64_t bytes;
	uint64_t rate;
	uint64_t ring_files;
	uint64_t ring_bytes;
	uint32_t priority;
};

/* Where the next record goes, and what was reserved so far. Owner: the turn. */
struct cw_output_turn {
	bool shall_rotate;           /* the next record begins a new file */
	struct cw_file *file;        /* being filled, NULL before the first record */
	struct cw_chunk *open;       /* NULL: the next record starts a new one */
	struct cw_chunk *held_first; /* full chunks that wait to be worth a write, oldest first, */
	struct cw_chunk *held_last;  /* linked by `queued` */
	uint64_t held_bytes;
	uint64_t offset;          /* in the file, of the next byte */
	uint64_t anchor_offset;   /* the last record boundary reserved; before it, in the file: */
	uint64_t file_records;    /* records */
	uint64_t file_bytes;      /* captured bytes */
	uint64_t period_start_ns; /* time of the file's first packet */
	uint64_t period_end_ns;   /* the first packet of this time or later goes to the next file */
	uint64_t file_count;
	uint64_t matched;
	uint64_t matched_bytes; /* captured bytes, as cut */
	uint64_t left_out[CW_LEFT_OUT_COUNT];
	uint64_t lost[CW_LOSS_COUNT]; /* but for those of a failure that lasts */
	bool is_over_share;           /* reported: it loses records, others need the chunks */
	uint64_t retry_ns; /* CLOCK_MONOTONIC: when a failed output tries again; 0: none */
	const struct cw_batch *last_batch; /* whose record was reserved last */
	struct cw_file *restart; /* a file of which nothing was written: the next one to fill */
	uint32_t linktype;       /* pcap: of the first record; CW_LINKTYPE_ANY before */
	struct cw_file *files_first;
	struct cw_file *files_last;
	struct cw_file *kept_first; /* of those, the first one that has not to go (expire.c) */
	uint64_t kept_count;        /* ended files from there on, and their bytes */
	uint64_t kept_bytes;
	bool has_begun; /* its first file */
};

/* Where the rule samples or has limits. Owner: the turn. (limits.c) */
struct cw_output_thin {
	uint64_t taken; /* matched and to be written, */
	uint64_t taken_bytes;
	uint64_t rate_second; /* and those of them in the latest second of packets' time */
	uint64_t rate_count;
	bool is_at_limit;
};

/*
 * Sequentially consistent where no order is said: at most once a chunk, so that a weaker order
 * saves nothing. is_writing needs it, against is_aborting of the run [ABORT-1].
 */
struct cw_output_shared {
	_Atomic uint32_t state;         /* enum cw_output_state; set by the turn */
	struct cw_chunk *_Atomic inbox; /* sealed chunks, newest first */
	_Atomic uint32_t kicks;         /* reasons to write, since the writer last found none */
	_Atomic int failure;            /* negative errno: nothing more is written to this output */
	_Atomic uint64_t written;       /* records in the kernel's hands */
	_Atomic bool is_writing;        /* the writer is at its file, [ABORT-1] */
	_Atomic uint32_t chunks_out; /* [RETRY-1] from the pool or beside it, and not given back */
	_Atomic bool is_retrying;    /* after a failure, nothing was written yet */
};

/* Owner: the writer (whoever took kicks from 0 to 1). Of a failed output the turn writes cause and
 * text (cw_output_fail), and reads all of it once no chunk is out ([RETRY-1]). */
struct cw_output_writer {
	struct cw_chunk *queue_first;
	struct cw_chunk *queue_last;
	struct cw_file *file;      /* NULL before the first write */
	uint64_t reported_ns;      /* CLOCK_MONOTONIC: of the last failure that was reported */
	bool has_reported_failure; /* and its end not yet */
	bool has_reported_expiry;  /* that a file cannot be removed */
	enum cw_loss failure_cause;
	char failure_text[256];
};

struct cw_output {
	/* constant while it is used */
	uint32_t index;
	const struct cw_rule
	    *rule; /* as it was first; what may change without a new output is in limits */
	struct cw_template *name;
	enum cw_format format;
	uint32_t snaplen;         /* records are cut to it; UINT32_MAX = whole */
	uint64_t generation;      /* of the rules that it began with */
	struct cw_rule *own_rule; /* owned; NULL: the rule is the caller's */

	/* owner: the reloader */
	_Alignas(CW_CACHE_LINE) uint64_t leaves_at; /* the first generation without it; 0: none */
	struct cw_rule *last_rule; /* owned: as it was at the end; NULL: it is in force */

	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) struct cw_output_limits limits;
	struct cw_output_turn turn;
	struct cw_output_thin thin;

	_Alignas(CW_CACHE_LINE) struct cw_output_shared shared;
	_Alignas(CW_CACHE_LINE) struct cw_output_writer writer;
};
CW_ASSERT_LINE(struct cw_output, leaves_at);
CW_ASSERT_LINE(struct cw_output, limits);
CW_ASSERT_LINE(struct cw_output, shared);
CW_ASSERT_LINE(struct cw_output, writer);
CW_ASSERT_BYTES(struct cw_output_limits, 88);
CW_ASSERT_BYTES(struct cw_output_turn, 304);
CW_ASSERT_BYTES(struct cw_output_thin, 40);
CW_ASSERT_BYTES(struct cw_output_shared, 48);
CW_ASSERT_BYTES(struct cw_output_writer, 296);
CW_ASSERT_BYTES(struct cw_output, 15 * CW_CACHE_LINE);

/* Stop the output: `failure` (negative errno) and what to tell; the first call counts. */
bool cw_output_fail(struct cw_output *output, int failure, bool is_rotation, const char *text);

void cw_output_fini(struct cw_output *output);

#endif
