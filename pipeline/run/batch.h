/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A batch: a span of records on its way from the capture thread to the outputs, with everything
 * that is found out about it. A fixed number of them circulate:
 *
 * free ─capture cuts─▶ cut ─worker matches─▶ parked ─turn reserves─▶ reserved ─worker copies─▶ free
 *                                              ▲                          │
 *                                              └── rest of the batch ◀────┘ (rare, see below)
 *
 * Whoever holds the pointer owns the batch; it is handed on through rings and the sequencer only.
 *
 * A batch usually goes round once. It goes in parts when its matches outgrow `matches` (then the
 * packets [part.first, part.end) are one part), and a part is reserved piecewise when the chunk
 * pool or `pieces` runs short; the batch keeps its place in the sequence until all of it is
 * reserved.
 */
#ifndef CW_PIPELINE_RUN_BATCH_H
#define CW_PIPELINE_RUN_BATCH_H

#include "core/packet/packet.h"

struct cw_chunk;
struct cw_generation;

#define CW_BATCH_RECORDS_DEFAULT 4096u
#define CW_BATCH_BYTES_DEFAULT ((size_t)512 << 10)
#define CW_BATCH_MATCHES_MIN 32768u
#define CW_BATCH_PIECES_EXTRA 1024u

#define CW_MATCH_SKIP UINT32_MAX                     /* counted as lost: nothing to copy */
#define CW_MATCH_UNREPRESENTABLE (UINT32_C(1) << 31) /* flag: its time does not fit the format */
#define CW_PIECE_NONE UINT32_MAX

enum cw_packet_class {
	CW_CLASS_MATCHED,
	CW_CLASS_UNMATCHED,
	CW_CLASS_MALFORMED,
	CW_CLASS_PREFILTERED,
	CW_CLASS_COUNT,
};

/* What a part holds for one output. */
struct cw_tally {
	uint32_t output;
	uint32_t record_count;
	uint64_t record_bytes; /* as written, headers included */
	uint64_t data_bytes;   /* captured bytes, as cut */
	uint32_t first_piece;
	uint32_t last_piece;
	struct cw_chunk *last_chunk; /* where the last piece ends so far */
	bool ends_in_giant;
};

/* A place reserved in an output for consecutive records of the batch. */
struct cw_piece {
	struct cw_chunk *chunk; /* where it starts; it may go on in chunk->following */
	uint32_t offset;        /* in chunk->memory */
	uint32_t record_count;
	uint32_t iface; /* pcapng: the file's number of the interface all its records have */
	uint32_t next;  /* next piece of the same output in this batch */
};

/* A packet that was checked (match/sample.h). */
struct cw_sample {
	uint32_t packet;          /* its index in the batch */
	uint32_t rule;            /* the first one with two verdicts, or CW_SAMPLE_* */
	bool is_match_by_libpcap; /* and not by us; or the other way round */
};

/* What matching found out about the part that is under way. */
struct cw_batch_part {
	uint32_t first;
	uint32_t end;
	uint32_t class_counts[CW_CLASS_COUNT];
	uint64_t caplen_bytes;
	uint64_t latest_ns; /* where an output rotates by time */
	uint32_t iface;     /* of all packets, if has_one_iface */
	uint32_t linktype;  /* likewise, has_one_linktype */
	bool has_one_iface;
	bool has_one_linktype;
	bool has_unrepresentable;
	bool has_giant;    /* a packet that needs a chunk of its own */
	bool is_cut_short; /* ends before what the tallies counted (-c) */
	bool is_last;
	uint32_t sample_count;     /* packets checked against libpcap, */
	uint32_t difference_count; /* and those of them where it disagrees */
};

/* How far reservation has come, and the stretch now to be copied. */
struct cw_batch_reserved {
	uint32_t end; /* it may go so far now: the part's end, but in time order */
	uint32_t packet;
	uint32_t match;
	uint32_t copy_packet;
	uint32_t copy_match;
	bool is_part_counted;
	bool is_part_done;
	bool is_stretch_open; /* the stretch may grow: it was not handed on */
};

struct cw_batch {
	/* what the capture thread cut */
	uint32_t lane;                    /* constant */
	struct cw_batch *free_next;       /* of the lane's free ones */
	uint64_t sequence;                /* in the lane */
	struct cw_generation *generation; /* that it is matched by; a counted reference */
	uint64_t first_packet; /* how many packets were cut before it, of all the lane's inputs */
	uint32_t input;
	struct cw_span span;
	struct cw_lease lease;

	/* what the worker matched, and the turn reserved */
	uint32_t packet_count;
	struct cw_batch_part part;
	struct cw_batch_reserved reserved;
	bool is_damaged;   /* the input was truncated underneath; the batch ends before that */
	bool is_discarded; /* comes after the run's end: nothing of it counts */

	/* storage, fixed at start */
	uint32_t match_capacity;
	uint32_t piece_capacity;
	uint32_t tally_count;
	uint32_t piece_count;
	struct cw_packet *packets;
	uint32_t *ends;    /* matches of packet i end at ends[i]; counted from the part's start */
	uint8_t *classes;  /* enum cw_packet_class of packet i */
	uint32_t *matches; /* outputs, in packet order */
	struct cw_tally *tallies;
	struct cw_piece *pieces;
	struct cw_sample *samples; /* in packet order */
};
/* One thread at a time has all of a batch, so that its parts need no lines of their own. */
CW_ASSERT_BYTES(struct cw_batch_part, 64);
CW_ASSERT_BYTES(struct cw_batch_reserved, 24);
CW_ASSERT_BYTES(struct cw_batch, 304);

struct cw_batch_sizes {
	uint32_t records_max;
	uint32_t match_capacity;
	uint32_t tally_capacity;
	uint32_t piece_capacity;
	uint32_t sample_capacity;
};

int cw_batch_init(struct cw_batch *batch, const struct cw_batch_sizes *sizes);
void cw_batch_fini(struct cw_batch *batch); /* accepts a zeroed one */

/* Index in matches where packet `index` of the part starts. */
static inline uint32_t cw_batch_match_start(const struct cw_batch *batch, uint32_t index)
{
	return index == batch->part.first ? 0 : batch->ends[index - 1];
}

#endif
