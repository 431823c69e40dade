/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane: the batches of one capture thread, numbered in the order they were cut. Within a lane
 * packets stay in order. Lanes are independent: a worker that stalls with a batch stalls only that
 * batch's lane. A run that reads files has one lane; a live run has one lane per queue.
 */
#ifndef CW_PIPELINE_RUN_LANE_H
#define CW_PIPELINE_RUN_LANE_H

#include <pthread.h>

#include "core/source/live/tpacket.h"
#include "pipeline/run/batch.h"
#include "pipeline/threads/gate.h"
#include "pipeline/threads/ring.h"

struct cw_capture;

/* Where a run of segments ended. */
struct cw_run_end {
	uint64_t at;     /* end of its last record, bytes into the input */
	uint32_t last_s; /* pcap: seconds of that record */
	bool is_serial;  /* segments do not pay here */
};

/*
 * Sequentially consistent unless an order is given: accessed at most once a batch, so a weaker
 * order saves nothing. cut_count and is_cut publish each other [END-1]; the rest is progress.
 */
struct cw_lane_shared {
	struct cw_gate gate;                   /* the capture thread's */
	struct cw_batch *_Atomic free_batches; /* a stack: all push, the capture thread pops */
	_Atomic bool is_cut;          /* [END-1] the last batch was cut: cut_count is final */
	_Atomic uint64_t cut_count;   /* batches cut */
	struct cw_live *_Atomic live; /* [TAP-1] NULL: interface gone, the keeper may take it */
	_Atomic uint64_t horizon_ns;  /* [TIME-1] all packets up to this time were handed out */
	_Atomic uint64_t finished;    /* progress: batches of cut_count */
	_Atomic uint64_t seen, dropped, frozen;  /* progress: as in stats */
	_Atomic uint32_t ring_blocks, ring_used; /* progress: as in stats */
	/* Batches below this number go the careful way at once. Written by the turn; relaxed. */
	_Atomic uint64_t careful_until;
	_Atomic uint64_t over_run; /* [RUN-1] number of the last run of segments that is over */
	struct cw_run_end over;    /* [RUN-1] its end: not atomic, written before over_run */
};

/* Owner: the capture thread. */
struct cw_lane_capture {
	uint64_t cut_packets;       /* in spans */
	uint64_t run;               /* number of the last run of segments */
	bool is_reader;             /* of the current generation (generation.h) */
	struct cw_live_stats past;  /* of interfaces that are gone */
	struct cw_live *stopped;    /* the interface whose queue was stopped, or NULL */
	struct cw_live_stats stats; /* of all interfaces; complete once the thread ended */
};

/* Segments so far. */
struct cw_segment_counts {
	uint64_t walked;  /* with all their records taken in */
	uint64_t again;   /* of these, walked twice: the guess was wrong or there was none */
	uint64_t dropped; /* after the end of their run */
	uint64_t careful; /* of the walked ones, by the careful way */
	uint64_t serial;  /* times that segments did not pay */
};

/* The chain of a run: its records so far (turn/chain.h). */
struct cw_chain {
	uint64_t run;     /* number of the last run in line */
	uint64_t proven;  /* end of the records taken in, bytes into the input */
	uint32_t last_s;  /* pcap: seconds of the last of them */
	uint32_t input;   /* of the run */
	uint32_t trouble; /* level of a leaky bucket: what wrong guesses and odd places have cost */
	bool is_over;
	struct cw_segment_counts counts;
};

/* Owner: the turn. */
struct cw_lane_turn {
	uint64_t next;      /* sequence number of the batch that reserves next */
	uint64_t counted;   /* packets in the books */
	uint64_t discarded; /* packets after the run's end (-c) */
	bool is_through;    /* every batch was cut and reserved */
	bool has_dead_input;
	uint32_t dead_input;    /* input truncated while read: its other batches are discarded */
	uint32_t careful_count; /* batches that go the careful way after the last refused one */
	struct cw_chain chain;
};

struct cw_lane {
	/* constant after start */
	struct cw_capture *owner;
	uint32_t index;
	uint32_t batch_count;
	struct cw_batch *batches;
	uint32_t mask;
	struct cw_batch *_Atomic *parked; /* by sequence number modulo the table's size */
	struct cw_ring *cut;              /* batches to match */
	pthread_t thread;
	bool is_started;
	int32_t cpu;    /* the core it is pinned to; -1: none */
	uint32_t input; /* live: index of the interface */
	uint32_t queue; /* live: index of the interface's queue */

	_Alignas(CW_CACHE_LINE) struct cw_lane_shared shared;
	_Alignas(CW_CACHE_LINE) struct cw_lane_capture capture;
	_Alignas(CW_CACHE_LINE) struct cw_lane_turn turn;
};
CW_ASSERT_LINE(struct cw_lane, shared);
CW_ASSERT_LINE(struct cw_lane, capture);
CW_ASSERT_LINE(struct cw_lane, turn);
CW_ASSERT_BYTES(struct cw_lane_shared, 120);
CW_ASSERT_BYTES(struct cw_lane_capture, 224);
CW_ASSERT_BYTES(struct cw_lane_turn, 112);
CW_ASSERT_BYTES(struct cw_lane, 10 * CW_CACHE_LINE);

/* Makes a lane with `batch_count` batches. 0 or -ENOMEM; call cw_lane_fini in either case. */
int cw_lane_init(struct cw_lane *lane, struct cw_capture *capture, uint32_t index,
		 uint32_t batch_count, const struct cw_batch_sizes *sizes);
void cw_lane_fini(struct cw_lane *lane); /* accepts a zeroed lane */

/* [FREE-1] acquire. The capture thread: takes a batch to fill; NULL: none is free. */
struct cw_batch *cw_lane_take_batch(struct cw_lane *lane);

/* [FREE-1] release. Gives the batch back; any thread. */
void cw_lane_give_back_any(struct cw_lane *lane, struct cw_batch *batch);

#endif
