/* SPDX-License-Identifier: BSD-3-Clause */
/* All outputs of a run, and what they share: memory, files, and ways to the disk. */
#ifndef CW_PIPELINE_OUTPUT_OUTPUTS_H
#define CW_PIPELINE_OUTPUT_OUTPUTS_H

#include "core/format/pack.h"
#include "pipeline/output/names.h"
#include "pipeline/output/output.h"
#include "pipeline/run/run.h"
#include "pipeline/threads/ready.h"

#define CW_OUTPUTS_RELOAD_MIN 4096u /* that there is room for where rules can be reloaded */
#define CW_OUTPUTS_EXPECTED 256u    /* chunks are sized for so many at least, likewise */

/* What a record brings along into its file. */
struct cw_preface {
	bool is_new_file;
	size_t header_bytes;
	size_t iface_bytes;
	uint8_t iface_block[CW_FORMAT_IFACE_BYTES_MAX];
};

struct cw_outputs {
	/* constant after start */
	struct cw_run *run;
	const struct cw_inputs *inputs;
	struct cw_output *at;
	uint32_t capacity;
	uint32_t empty_linktype;              /* of files without packets */
	struct cw_pack *pack;                 /* NULL: no output is compressed */
	struct cw_direct_share *direct_share; /* NULL: every output is buffered */
	bool has_files;                       /* `files` was initialised */
	bool has_used_stdout; /* one writes there, or did; start-up, then the reloader */

	/* between threads */
	struct cw_ready writable; /* with complete chunks */
	struct cw_chunk_pool pool;
	struct cw_files files;

	/* Shared: settings, looked at once a batch. Sequentially consistent where no order is
	 * said. */
	_Atomic uint32_t count;           /* used so far, from the first on; the turn adds to it */
	_Atomic uint64_t free_bytes;      /* that a disk shall have left when a file is begun */
	_Atomic uint64_t wanted_bytes;    /* too little free space on a disk */
	_Atomic bool has_time_rotation;   /* batches need their latest time; never false again */
	_Atomic bool has_reported_direct; /* that direct writing is refused */

	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) struct cw_names names;
	struct {
		uint32_t used_count;          /* outputs in use */
		uint32_t kept_chunks;         /* open and full ones that no writer has yet */
		const struct cw_batch *batch; /* the batch at hand */
		uint32_t *tally_of;           /* per output: its tally in the batch at hand */
		uint64_t ended_files;         /* how many; see expire.c */
		uint64_t kept_bytes;          /* of ended files */
		uint64_t kept_bytes_max;      /* 0: no limit */
		uint64_t open_bytes; /* that files being filled may get, where sizes are limited */
		struct cw_chunk *giant;    /* taken for the record at hand */
		struct cw_preface preface; /* of the record at hand */
	} turn;
};

enum cw_reserve {
	CW_RESERVE_DONE,    /* the whole part has its place */
	CW_RESERVE_SOME,    /* as much as was possible; copy that, then come again */
	CW_RESERVE_STARVED, /* nothing: the pool is empty; come again when a chunk comes back */
};

/*
 * The turn: give the part of the batch (from where the last call stopped) its places. The stretch
 * to copy is in the batch afterwards.
 */
enum cw_reserve cw_outputs_reserve(struct cw_outputs *outputs, struct cw_batch *batch);

/* The turn: send what the fullest outputs hold to their writers, so that the chunks come back. */
void cw_outputs_flush_fullest(struct cw_outputs *outputs);

/*
 * The turn, live: let failed outputs try again where it is time, and, with `flush`, send what
 * outputs keep to their writers.
 */
void cw_outputs_tend(struct cw_outputs *outputs, uint64_t now_ns, bool flush);

/* The turn, live: whether the output holds so much of the pool that `needed` more chunks would be
 * at the expense of others. */
bool cw_output_is_over_share(struct cw_outputs *outputs, const struct cw_output *output,
			     uint64_t needed);

/* The turn, at the end: seal everything. */
void cw_outputs_flush_all(struct cw_outputs *outputs);

/* Tell the output's writer that a chunk became complete; any thread. */
void cw_output_kick(struct cw_outputs *outputs, struct cw_output *output);

/* Be the writer of an output that was taken from the writable ones. */
void cw_output_write(struct cw_outputs *outputs, struct cw_output *output);

/*
 * The turn, or after the workers ended: name the file of a rule that matched nothing. It gets one
 * all the same, if its name does not depend on a packet; NULL: there is none to make.
 */
struct cw_file *cw_output_name_empty(struct cw_outputs *outputs, struct cw_output *output);

/* Write the empty file, if it is not NULL, and publish the output's last one. Nobody else is at it
 * any more. */
void cw_output_close(struct cw_outputs *outputs, struct cw_output *output, struct cw_file *empty);

/* After all workers ended, single-threaded: close all. */
void cw_outputs_finish(struct cw_outputs *outputs);

/* As cw_pipeline_abort. */
void cw_outputs_abort(struct cw_outputs *outputs);

/*
 * Name the output's next file (the turn, or after the workers ended); NULL when that fails, and the
 * output then is marked as failed. `iface` may be NULL for a file without packets.
 */
struct cw_file *cw_output_new_file(struct cw_outputs *outputs, struct cw_output *output,
				   const struct cw_iface *iface, uint64_t ts_ns);

/* The snapshot length that the output's file headers state. */
uint32_t cw_output_snaplen_field(const struct cw_outputs *outputs, const struct cw_output *output);

/* Whether a failed output tries again: live, unless it is a pipe or device. */
bool cw_output_may_retry(const struct cw_outputs *outputs, const struct cw_output *output);

/* The turn: the rule is gone, and the ring has no more to do with its files: they stay. */
void cw_output_leave_ring(struct cw_outputs *outputs, struct cw_output *output);

/* The turn (or before the output is in use): what the rule asks is in force from now on. */
void cw_output_adopt(struct cw_outputs *outputs, struct cw_output *output,
		     const struct cw_rule *rule);

/* Likewise what all rules together ask. */
void cw_outputs_adopt(struct cw_outputs *outputs, const struct cw_rules *rules);

/* Give all that the output keeps to its writer. */
void cw_output_seal_all(struct cw_outputs *outputs, struct cw_output *output);

#endif
