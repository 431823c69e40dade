/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A batch: a span of records on its way from the capture thread to the outputs, with the results of
 * matching and reserving. A fixed number of batches circulate:
 *
 * free ─capture cuts─▶ cut ─worker matches─▶ parked ─turn reserves─▶ reserved ─worker copies─▶ free
 *                                              ▲                          │
 *                                              └── rest of the batch ◀────┘ (see below)
 *
 * The holder of the pointer owns the batch; only rings and the sequencer pass it on.
 *
 * A batch whose records are encoded before the turn (is_quick) goes round once, or the turn sends
 * it back to be matched anew, the careful way. There it usually goes round once, too. If its
 * matches outgrow `matches`, it goes round in parts: the packets [part.first, part.end) are one
 * part. If the chunk pool or `pieces` runs short, a part is reserved piecewise. The batch keeps its
 * place in the sequence until all of it is reserved.
 *
 * The batch of a run has a segment instead of a span: bytes that the capture thread cut without
 * looking at them. A worker guesses where its first record begins. The careful way decodes the
 * packets of one part at a time. The turn proves the start (turn/chain.h) before anything of the
 * batch counts.
 */
#ifndef CW_PIPELINE_RUN_BATCH_H
#define CW_PIPELINE_RUN_BATCH_H

#include "core/format/boundary.h"
#include "core/format/segment.h"
#include "core/packet/packet.h"

struct cw_chunk;
struct cw_chunk_pool;
struct cw_generation;

#define CW_BATCH_RECORDS_DEFAULT 4096u
#define CW_BATCH_BYTES_DEFAULT ((size_t)512 << 10)
#define CW_BATCH_MATCHES_MIN 32768u
#define CW_BATCH_PIECES_EXTRA 1024u
#define CW_SEGMENT_BYTES_MAX ((size_t)1 << 20) /* chosen by the pipeline */
#define CW_SEGMENT_BYTES_MIN ((size_t)64 << 10)

#define CW_MATCH_SKIP UINT32_MAX                     /* counted as lost: nothing to copy */
#define CW_MATCH_UNREPRESENTABLE (UINT32_C(1) << 31) /* flag: timestamp does not fit the format */
#define CW_PIECE_NONE UINT32_MAX

enum cw_packet_class {
	CW_CLASS_MATCHED,
	CW_CLASS_UNMATCHED,
	CW_CLASS_MALFORMED,
	CW_CLASS_PREFILTERED,
	CW_CLASS_COUNT,
};

/* What the worker does with a batch that the turn handed on. */
enum cw_step {
	CW_STEP_COPY,    /* copies the reserved stretch; then matches the next part, if any */
	CW_STEP_CAREFUL, /* drops its drafts and matches it anew, the careful way */
	CW_STEP_DISCARD, /* gives the batch back: nothing of it counts */
	CW_STEP_AGAIN,   /* walks the segment again, from segment.start */
};

/* A part's share for one output. */
struct cw_tally {
	uint32_t output;
	uint32_t record_count;
	uint64_t record_bytes;     /* as written, headers included */
	uint64_t data_bytes;       /* captured bytes, after truncation to the snaplen */
	uint64_t left_out_options; /* of pcapng packets, which the records do not keep */
	uint32_t first_piece;
	uint32_t last_piece;
	struct cw_chunk *last_chunk; /* the chunk that the last piece ends in so far */
	bool ends_in_giant;
	uint64_t encoding; /* of a draft: see cw_output_shared */
};

/* A place reserved in an output for consecutive records of the batch. */
struct cw_piece {
	struct cw_chunk *chunk; /* the first chunk; the piece may continue in chunk->following */
	uint32_t offset;        /* bytes into chunk->memory */
	uint32_t record_count;
	uint32_t
	    iface; /* pcapng: the file's number of the interface of all records; pcap: its format */
	uint32_t next; /* index of the output's next piece in this batch */
};

/* Records of one output that a worker encoded before their place is known (output/draft.h). */
struct cw_draft {
	uint8_t *to;            /* place of the next record */
	uint8_t *end;           /* of the room; CW_DRAFT_SLACK bytes follow */
	uint8_t *slot;          /* start of the room: of a slot, or of the memory of `last` */
	struct cw_chunk *first; /* chunks to adopt, linked by `queued`; NULL: none */
	struct cw_chunk *last;
	struct cw_chunk
	    *small; /* finished: the chunk that `slot` lies in, if the draft has it alone */
	uint64_t data_bytes;   /* captured bytes in the room */
	uint32_t record_count; /* records in the room */
	uint32_t slot_used;    /* finished: bytes to copy; 0 if there are chunks to adopt */
};
CW_ASSERT_BYTES(struct cw_draft, 64);

/* What the drafts of one batch share. */
struct cw_drafts {
	struct cw_chunk_pool *pool;
	struct cw_chunk *slots;  /* borrowed for slots, newest first, linked by `queued` */
	uint32_t slot_bytes;     /* of a first slot, with slack */
	uint32_t slot_bytes_max; /* of the largest slot */
};

/* A packet that was checked (match/sample.h). */
struct cw_sample {
	uint32_t packet;          /* index in the batch */
	uint32_t rule;            /* first rule with two verdicts, or CW_SAMPLE_* */
	bool is_match_by_libpcap; /* libpcap matches and we do not; false: the reverse */
};

/* Results of matching the current part. */
struct cw_batch_part {
	uint32_t first;
	uint32_t end;
	uint32_t class_counts[CW_CLASS_COUNT];
	uint64_t caplen_bytes;
	uint64_t earliest_ns; /* earliest and latest timestamp, if an output rotates by time */
	uint64_t latest_ns;
	uint32_t truncated;  /* packets that their own file's snapshot length truncates */
	uint32_t iface;      /* of all packets, if has_one_iface */
	uint32_t link_field; /* link type and FCS length of all packets, if has_one_link_field */
	bool has_one_iface;
	bool has_one_link_field;
	bool has_fine; /* an interface of the packets has timestamps finer than 1 us */
	bool has_unrepresentable;
	bool has_giant;    /* a packet needs a separate chunk */
	bool is_cut_short; /* -c ends the part before the packets that the tallies counted */
	bool is_last;
	uint32_t sample_count;     /* packets checked against libpcap */
	uint32_t difference_count; /* checked packets on which libpcap disagrees */
};

/* Progress of the reservation, and the stretch to copy now. */
struct cw_batch_reserved {
	uint32_t end; /* limit for now: the part's end, or less in time order */
	uint32_t packet;
	uint32_t match;
	uint32_t copy_packet;
	uint32_t copy_match;
	bool is_part_counted;
	bool is_part_done;
	bool is_stretch_open; /* the stretch was not handed on yet and may grow */
};

/* What to decode, and the progress of that. */
struct cw_batch_walk {
	/* set by the capture thread */
	uint64_t run;                /* number of the batch's run in the lane; 0: a span */
	struct cw_boundary boundary; /* of a run: for the guess; its layout is set then */
	bool ends_run;               /* of a run: its last segment */
	/* set by the worker that matches, and by the turn */
	struct cw_segment segment; /* of a run; the capture thread knows a first one's start */
	struct cw_cursor cursor;   /* in the span */
	bool is_over;              /* no packets follow those decoded */
};

struct cw_batch {
	/* set by the capture thread */
	uint32_t lane;                    /* constant */
	struct cw_batch *free_next;       /* link of the lane's free list */
	uint64_t sequence;                /* number in the lane */
	struct cw_generation *generation; /* the rules to match by; a counted reference */
	uint64_t first_packet; /* packets cut before this batch, over all the lane's inputs */
	uint32_t input;
	bool has_fine;       /* a pcap file that begins in the batch has nanoseconds */
	struct cw_span span; /* of a run: all bytes present from the segment's start on */
	struct cw_lease lease;
	struct cw_batch_walk walk;

	/* set by the worker that matches, and by the turn */
	uint32_t packet_count;
	struct cw_batch_part part;
	struct cw_batch_reserved reserved;
	bool is_damaged;   /* the input was truncated while read; the batch ends before that */
	bool is_quick;     /* its records are encoded in drafts; packets and matches are not kept */
	bool is_refused;   /* the quick way was tried in vain, and may be for batches like this */
	enum cw_step step; /* set by the turn when it hands the batch on */

	/* storage, fixed at start */
	uint32_t match_capacity;
	uint32_t piece_capacity;
	uint32_t tally_count;
	uint32_t piece_count;
	struct cw_packet *packets;
	uint32_t *ends;    /* end of packet i's matches in `matches`, from the part's start */
	uint8_t *classes;  /* enum cw_packet_class of packet i */
	uint32_t *matches; /* output indices, in packet order */
	struct cw_tally *tallies;
	struct cw_piece *pieces;
	struct cw_drafts drafts;
	struct cw_draft *draft_of; /* per tally */
	struct cw_sample *samples; /* in packet order */
};
/* One thread at a time has all of a batch, so its parts need no separate cache lines. */
CW_ASSERT_BYTES(struct cw_batch_part, 80);
CW_ASSERT_BYTES(struct cw_batch_reserved, 24);
CW_ASSERT_BYTES(struct cw_batch, 560);

struct cw_batch_sizes {
	uint32_t records_max;
	uint32_t match_capacity;
	uint32_t tally_capacity;
	uint32_t piece_capacity;
	uint32_t sample_capacity;
};

int cw_batch_init(struct cw_batch *batch, const struct cw_batch_sizes *sizes);
void cw_batch_fini(struct cw_batch *batch); /* accepts a zeroed batch */

/* Returns the index in `matches` of the first match of the part's packet `index`. */
static inline uint32_t cw_batch_match_start(const struct cw_batch *batch, uint32_t index)
{
	return index == batch->part.first ? 0 : batch->ends[index - 1];
}

#endif
