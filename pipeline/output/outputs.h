/* SPDX-License-Identifier: BSD-3-Clause */
/* All outputs of a run, and the memory, files and disk paths that they share. */
#ifndef CW_PIPELINE_OUTPUT_OUTPUTS_H
#define CW_PIPELINE_OUTPUT_OUTPUTS_H

#include "core/format/pack.h"
#include "pipeline/output/asking.h"
#include "pipeline/output/draft.h"
#include "pipeline/output/names.h"
#include "pipeline/output/output.h"
#include "pipeline/run/run.h"
#include "pipeline/threads/ready.h"

#define CW_OUTPUTS_RELOAD_MIN 4096u /* room for at least this many, if rules can be reloaded */
#define CW_OUTPUTS_EXPECTED 256u    /* chunks are sized for at least this many, if reloadable */

/* Blocks that must precede a record in its file. */
struct cw_preface {
	bool is_new_file;
	size_t header_bytes;
	size_t iface_bytes;
	size_t blocks_bytes;
	uint64_t left_out_options;        /* of the record's packet */
	const struct cw_section *section; /* of the record */
	uint32_t block_end;               /* blocks of the run that precede the record */
};

/* What the check of an output's target found. */
struct cw_found_target {
	bool is_stream;  /* a FIFO, a device or a descriptor */
	bool is_asked;   /* another process opens its files */
	uint32_t number; /* there */
	uid_t owner;     /* is_asked: user that its files belong to */
	uid_t given_to;  /* is_asked: user that its published files belong to */
};

struct cw_bytes {
	uint8_t *at;
	uint32_t count;
	uint32_t capacity;
};

struct cw_outputs {
	/* constant after start */
	struct cw_run *run;
	const struct cw_inputs *inputs;
	struct cw_output *at;
	uint32_t capacity;
	uint32_t empty_linktype;              /* link type of files without packets */
	struct cw_pack *pack;                 /* NULL: no output is compressed */
	struct cw_direct_share *direct_share; /* NULL: every output is buffered */
	bool has_files;                       /* `files` was initialised */
	struct cw_file_ring *rings;           /* of the outputs; the start, then the reloader */
	struct cw_asking *asking;             /* NULL: this process opens files; owned */
	struct cw_entries entries;            /* with `asking` */
	struct cw_found_target *found; /* by rule, from the check of targets to the set-up; owned */
	bool has_used_stdout; /* an output writes or wrote to it; start-up, then the reloader */

	/* between threads */
	struct cw_ready writable; /* outputs with complete chunks */
	struct cw_chunk_pool pool;
	struct cw_files files;
	/* Shared settings, read once a batch. Sequentially consistent unless an order is given. */
	_Atomic uint32_t count;           /* outputs of `at` ever used; the turn raises it */
	_Atomic uint64_t free_bytes;      /* bytes a disk must have left when a file begins */
	_Atomic uint64_t wanted_bytes;    /* bytes a disk had too little; 0: none */
	_Atomic bool has_time_rotation;   /* batches need their latest timestamp; stays true */
	_Atomic bool has_reported_direct; /* reported that direct writing is refused */
	_Atomic bool has_lost_opener;     /* the process that opens files has ended */

	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) struct cw_names names;
	struct {
		uint32_t used_count;          /* outputs in use */
		uint32_t kept_chunks;         /* chunks open or full that no writer has yet */
		const struct cw_batch *batch; /* the current batch */
		uint32_t *tally_of;           /* per output: its tally in the current batch */
		uint64_t ended_files;         /* number of files; see expire.c */
		uint64_t kept_bytes;          /* bytes of ended files */
		uint64_t kept_bytes_max;      /* 0: no limit */
		uint64_t open_bytes;    /* bytes reserved for files being filled, at their limit */
		struct cw_chunk *giant; /* taken for the current record */
		struct cw_preface preface; /* of the current record */
		struct cw_bytes block;     /* room for a header or an interface block */
	} turn;
};

enum cw_reserve {
	CW_RESERVE_DONE,    /* the whole part has its place */
	CW_RESERVE_SOME,    /* a stretch has: copy it, then reserve again */
	CW_RESERVE_STARVED, /* nothing has: reserve again when a chunk came back */
};

/*
 * The turn: reserves places for the batch's part, from where the last call stopped. Leaves the
 * stretch to copy in the batch.
 */
enum cw_reserve cw_outputs_reserve(struct cw_outputs *outputs, struct cw_batch *batch);

/*
 * The turn: returns whether a quick batch can have its places at once, draft by draft. If so, the
 * chunks for its small drafts are claimed: call cw_outputs_reserve next.
 */
bool cw_outputs_can_adopt(struct cw_outputs *outputs, const struct cw_batch *batch);

/* The turn: gives the draft's chunks their place after the output's last record. The last one
 * stays open for later records. */
void cw_output_adopt_draft(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_draft *draft);

/* The turn: sends the chunks of the fullest outputs to their writers, so that they come back. */
void cw_outputs_flush_fullest(struct cw_outputs *outputs);

/* The turn, live: lets failed outputs try again when due; with `flush`, also sends the chunks that
 * outputs keep to their writers. */
void cw_outputs_tend(struct cw_outputs *outputs, uint64_t now_ns, bool flush);

/* Any thread: reports once that the process that opens files has ended, and stops the run. */
void cw_outputs_lose_opener(struct cw_outputs *outputs);

/* The turn, live: returns whether the output holds so much of the pool that `needed` more chunks
 * would be at the expense of others. */
bool cw_output_is_over_share(struct cw_outputs *outputs, const struct cw_output *output,
			     uint64_t needed);

/* The turn: sends what the outputs of a reserved batch keep to their writers. */
void cw_outputs_flush_batch(struct cw_outputs *outputs, const struct cw_batch *batch);

/* The turn, at the end or while an input is silent: seals everything. */
void cw_outputs_flush_all(struct cw_outputs *outputs);

/* Tells the output's writer that a chunk became complete; any thread. */
void cw_output_kick(struct cw_outputs *outputs, struct cw_output *output);

/* Writes as the one writer of an output taken from the writable ones. */
void cw_output_write(struct cw_outputs *outputs, struct cw_output *output);

/*
 * The turn, or after the workers ended: names the file of a rule that matched nothing. Such a rule
 * gets an empty file if its name does not depend on a packet; NULL: no file to make.
 */
struct cw_file *cw_output_name_empty(struct cw_outputs *outputs, struct cw_output *output);

/* Writes the empty file, unless it is NULL, and publishes the output's last one. No other thread
 * may use the output any more. */
void cw_output_close(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *empty);

/* Closes all outputs, after the workers ended; single-threaded. */
void cw_outputs_finish(struct cw_outputs *outputs);

/*
 * The steps of an abort:
 *   settle   waits a moment for the writers of what was sealed
 *   silence  nothing more is written
 *   judge    in the turn: finds outputs that have every reserved record in their files
 *   abort    truncates and names the unfinished files of the other outputs
 *   publish  publishes the files of the former
 */
void cw_outputs_settle(struct cw_outputs *outputs);
void cw_outputs_silence(struct cw_outputs *outputs);
void cw_outputs_judge(struct cw_outputs *outputs);
void cw_outputs_abort(struct cw_outputs *outputs);
void cw_outputs_publish(struct cw_outputs *outputs);

/*
 * The turn, or after the workers ended: names the output's next file. NULL: that failed, and the
 * output with it. `iface` may be NULL for a file without packets.
 */
struct cw_file *cw_output_new_file(struct cw_outputs *outputs, struct cw_output *output,
				   const struct cw_iface *iface, uint64_t ts_ns);

/*
 * Adds a file that an earlier run published to the output's ring, after those added before, as the
 * oldest of its files. No other thread uses the output yet. 0 or a negative errno, as
 * cw_outfile_adopt.
 */
int cw_output_adopt_file(const struct cw_outputs *outputs, struct cw_output *output,
			 const char *path, const struct stat *status, uint64_t content_bytes);

/* The turn, or the reloader: returns another output in use of the same ring, or NULL. */
struct cw_output *cw_output_heir(struct cw_outputs *outputs, const struct cw_output *output);

/* The turn: moves the files of an output that is closed to another output of the same ring. Returns
 * that output; NULL: there is none. */
struct cw_output *cw_output_hand_over(struct cw_outputs *outputs, struct cw_output *output);

/* Returns the snapshot length for the output's file headers: no record is longer. */
uint32_t cw_output_snaplen_field(const struct cw_outputs *outputs, const struct cw_output *output,
				 uint32_t linktype);

/* Returns the format of the output's next file. `has_fine`: timestamps may be finer than 1 us. */
enum cw_format cw_output_choose_format(const struct cw_outputs *outputs,
				       const struct cw_output *output, bool has_fine);

/* Returns whether a failed output tries again: live, unless it is a pipe or device file. */
bool cw_output_may_retry(const struct cw_outputs *outputs, const struct cw_output *output);

/* The turn: takes the output, whose rule is gone, out of the file rings: its files stay. */
void cw_output_leave_ring(struct cw_outputs *outputs, struct cw_output *output);

/* The turn (or before the output is in use): puts the rule's settings in force. */
void cw_output_adopt(struct cw_outputs *outputs, struct cw_output *output,
		     const struct cw_rule *rule);

/* The turn, or at the start: puts the settings for all rules together in force. */
void cw_outputs_adopt(struct cw_outputs *outputs, const struct cw_rules *rules);

/* The turn: gives all chunks that the output keeps to its writer. */
void cw_output_seal_all(struct cw_outputs *outputs, struct cw_output *output);

#endif
