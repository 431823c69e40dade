/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole of a running pipeline, for the files of this folder. pipeline.h is for its users. */
#ifndef CW_PIPELINE_STATE_H
#define CW_PIPELINE_STATE_H

#include <pthread.h>
#include <time.h>

#include "core/format/pack.h"
#include "pipeline/threads/gate.h"
#include "pipeline/match/generation.h"
#include "pipeline/capture/keeper.h"
#include "pipeline/run/lane.h"
#include "pipeline/match/match.h"
#include "pipeline/output/names.h"
#include "pipeline/output/output.h"
#include "pipeline/pipeline.h"
#include "pipeline/threads/affinity.h"
#include "pipeline/capture/tap.h"
#include "pipeline/threads/ready.h"
#include "pipeline/reload/reload.h"
#include "pipeline/report/past.h"
#include "pipeline/run/inputs.h"
#include "pipeline/threads/ring.h"
#include "pipeline/match/sample.h"
#include "pipeline/turn/sequencer.h"

struct cw_worker {
	struct cw_pipeline *pipeline;
	uint32_t index;
	pthread_t thread;
	bool is_started;
	int32_t cpu;          /* pinned to it; -1: nowhere */
	uint32_t next_lane;   /* where it looks for a cut batch first */
	uint32_t next_output; /* and for one to write */
	struct cw_match_scratch scratch;
	struct cw_copy *copy; /* worker.c */
};

struct cw_pipeline {
	/* constant after start */
	struct cw_pipeline_options options;
	struct cw_input *inputs;
	uint32_t input_count;
	struct cw_filter_set_options filter_options;
	struct cw_output *outputs;
	uint32_t output_capacity;
	struct cw_worker *workers;
	uint32_t worker_count;
	struct cw_tap *taps; /* live */
	uint32_t tap_count;
	struct cw_lane *lanes;
	uint32_t lane_count;
	uint32_t snaplen_max;    /* of the inputs, for file headers */
	uint32_t empty_linktype; /* of files without packets */
	uint64_t total_bytes;    /* of the inputs; 0 = unknown */
	uint64_t start_ns;
	bool has_files;                 /* were initialised */
	_Atomic uint64_t free_bytes;    /* that a disk shall have left when a file is begun */
	_Atomic bool has_time_rotation; /* batches need their latest time; never false again */
	int wake_fd;                    /* eventfd: readable once reading shall stop */
	int abort_fd;  /* eventfd: readable once waiting for a FIFO's reader shall stop */
	int keeper_fd; /* eventfd: readable when the keeper shall look */
	pthread_t keeper_thread;
	bool is_keeper_started;
	int done_fd; /* eventfd: readable once every thread is done */

	/* between threads */
	struct cw_ring *reserved; /* batches to copy */
	struct cw_ready writable; /* outputs with complete chunks */
	struct cw_gate worker_gate;
	struct cw_sequencer sequencer;
	struct cw_chunk_pool pool;
	struct cw_files files;
	struct cw_pack *pack;                     /* NULL: no output is compressed */
	struct cw_direct_share *direct_share;     /* NULL: every output is buffered */
	struct cw_generation *_Atomic generation; /* [GEN-1] which batches get from now on */
	struct cw_reload reload;
	struct cw_ifaces ifaces;
	/* Outputs that have been used, from the first on; only the turn adds to it. */
	_Atomic uint32_t output_count;

	/* shared */
	_Atomic bool is_stopping;      /* cut no more batches */
	_Atomic bool is_sealed;        /* [END-2] everything reserved and sealed */
	_Atomic uint32_t live_chunks;  /* taken and not given back */
	_Atomic uint32_t live_batches; /* cut and not finished */
	_Atomic bool is_done;
	_Atomic uint32_t running_threads;
	_Atomic bool is_giving_up; /* the drain took too long */
	_Atomic bool is_stuck;     /* and did not end then */
	_Atomic bool is_aborting;  /* write nothing more */
	_Atomic bool has_problem;  /* exit 1 */
	_Atomic uint32_t
	    reported_refusals;            /* CW_REFUSED_: kinds of what was refused and reported */
	_Atomic bool has_reported_direct; /* that direct writing is refused */
	_Atomic uint64_t wanted_bytes;    /* too little free space on a disk */
	_Atomic uint64_t read_bytes;      /* progress, of all inputs */
	_Atomic uint64_t received;        /* progress */
	_Atomic uint64_t received_bytes;

	/* owner: the turn */
	struct cw_books books;
	struct cw_verification verification;
	struct cw_names names;
	struct cw_past past;
	uint64_t turn_generation;          /* whose limits are in force */
	uint32_t turn_output_count;        /* outputs in use */
	struct cw_netdev_probe *probe;     /* start-up, then the keeper; NULL: there is none */
	const struct cw_batch *turn_batch; /* the batch at hand */
	uint32_t *turn_tally_of;           /* per output: its tally in the batch at hand */
	uint32_t turn_kept_chunks;   /* open and full ones that no writer has yet, of all outputs */
	uint64_t turn_ended_files;   /* how many, of all outputs; see output_ring.c */
	uint64_t turn_kept_bytes;    /* of ended files */
	uint64_t turn_total_bytes;   /* that all may keep; 0: as many as there are */
	uint64_t turn_open_bytes;    /* that files being filled may get, where sizes are limited */
	struct cw_chunk *turn_giant; /* taken for the record at hand */
	struct cw_preface turn_preface; /* of the record at hand */
};

void *cw_worker_main(void *worker);
int cw_worker_init(struct cw_worker *worker, struct cw_pipeline *pipeline, uint32_t index);
void cw_worker_fini(struct cw_worker *worker);

#endif
