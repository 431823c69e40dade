/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole of a running pipeline, for the files of this folder. pipeline.h is for its users. */
#ifndef CW_PIPELINE_STATE_H
#define CW_PIPELINE_STATE_H

#include <pthread.h>
#include <time.h>

#include "core/format/pack.h"
#include "core/source/source.h"
#include "pipeline/threads/gate.h"
#include "pipeline/match/generation.h"
#include "pipeline/capture/keeper.h"
#include "pipeline/run/lane.h"
#include "pipeline/match/match.h"
#include "pipeline/output/names.h"
#include "pipeline/output/output.h"
#include "pipeline/pipeline.h"
#include "pipeline/threads/place.h"
#include "pipeline/capture/port.h"
#include "pipeline/threads/ready.h"
#include "pipeline/reload/reload.h"
#include "pipeline/threads/ring.h"
#include "pipeline/match/sample.h"
#include "pipeline/turn/sequencer.h"

struct cw_input {
	/* constant after start */
	const char *path;
	uint64_t device, inode;
	bool has_identity;
	/* owner: the capture thread */
	struct cw_source *source; /* NULL: closed again after its header was checked */
	struct cw_source_info info;
	struct cw_error error; /* code 0: read to its end */
	/* owner: the turn */
	uint64_t packets;
	uint64_t bytes; /* captured */
	bool was_truncated;
};

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
	struct cw_port *ports; /* live */
	uint32_t port_count;
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
	_Atomic bool is_giving_up;     /* the drain took too long */
	_Atomic bool is_stuck;         /* and did not end then */
	_Atomic bool is_aborting;      /* write nothing more */
	_Atomic bool has_problem;      /* exit 1 */
	_Atomic uint32_t told_places;  /* CW_TOLD_: kinds of what was refused and told */
	_Atomic bool has_told_direct;  /* that direct writing is refused */
	_Atomic uint64_t wanted_bytes; /* too little free space on a disk */
	_Atomic uint64_t read_bytes;   /* progress, of all inputs */
	_Atomic uint64_t received;     /* progress */
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

/* Tell the user; any thread. Severity error makes the run end with exit 1. */
void cw_pipeline_tell(struct cw_pipeline *pipeline, enum cw_severity severity, const char *format,
		      ...) CW_PRINTF(3, 4);

/* A chunk came back, or a batch is finished: somebody may be waiting for that, or all be done. */
void cw_pipeline_settle(struct cw_pipeline *pipeline);

/* Whether a regular file with this identity is one of the inputs. */
bool cw_pipeline_is_input(const struct cw_pipeline *pipeline, uint64_t device, uint64_t inode);

/* Cores that this process may run on. */
uint32_t cw_pipeline_usable_cores(void);

/* The three parts of setup.c, in this order. Errors as cw_pipeline_start. With `is_reload` rules
 * that are refused are warnings: the others go on. */
int cw_setup_inputs(struct cw_pipeline *pipeline, struct cw_error *error);
int cw_setup_outputs(struct cw_pipeline *pipeline, struct cw_error *error);
int cw_setup_rules(struct cw_pipeline *pipeline, struct cw_generation *generation, bool is_reload,
		   struct cw_error *error);

/* An output for the rule, of `rules` (for messages); not in use yet. Errors as cw_pipeline_start.
 */
int cw_setup_output(struct cw_pipeline *pipeline, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error);

/* Whether its file may be written; `names` are those of the other outputs that are in force. With
 * `is_new` false only the name is claimed. */
int cw_setup_target(struct cw_pipeline *pipeline, const struct cw_output *output, bool is_new,
		    struct cw_names *names, struct cw_error *error);

/* Fill the report's rules, and the books that outputs keep. 0 or -ENOMEM. (report_rules.c) */
int cw_report_rules(struct cw_pipeline *pipeline, struct cw_report *report);
void cw_report_rule_fini(struct cw_report_rule *report);

int cw_pipeline_report(struct cw_pipeline *pipeline, struct cw_report *report);

/* Open the input's source; start-up and the capture thread. */
int cw_pipeline_open_input(struct cw_pipeline *pipeline, uint32_t index, struct cw_error *error);

/* A batch is done with: its lease goes back, and it to the capture thread. */
void cw_pipeline_finish_batch(struct cw_pipeline *pipeline, struct cw_batch *batch);

/* Cut no more batches; what waits for a FIFO's reader goes on waiting. */
void cw_pipeline_stop_reading(struct cw_pipeline *pipeline);

void *cw_capture_main(void *lane);
void *cw_capture_live_main(void *lane);
void *cw_worker_main(void *worker);
int cw_worker_init(struct cw_worker *worker, struct cw_pipeline *pipeline, uint32_t index);
void cw_worker_fini(struct cw_worker *worker);

/* Every hot thread calls this last. */
void cw_pipeline_thread_ends(struct cw_pipeline *pipeline);

/* Choose cores for lanes and workers, as the options ask. -EINVAL for a list that is none. */
int cw_setup_places(struct cw_pipeline *pipeline, struct cw_error *error);

/* Kinds of places that the kernel can refuse: each is told once. */
#define CW_TOLD_PIN 1u
#define CW_TOLD_REALTIME 2u
#define CW_TOLD_HUGE 4u
#define CW_TOLD_MEMORY 8u

/* A thread of the run takes its place; what the kernel refuses is told and does no harm. */
void cw_pipeline_take_place(struct cw_pipeline *pipeline, int32_t cpu, uint32_t realtime);

/* Memory that the calling thread is first to touch from now on shall be near this device. False:
 * there are no nodes to choose from, or somebody chose; else cw_place_memory undoes it. */
bool cw_pipeline_prefer_device(struct cw_pipeline *pipeline, const char *device);

/* What cw_matcher_prepare reports during a run; context is the pipeline. */
void cw_pipeline_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			     bool is_warning, const char *text);

#endif
