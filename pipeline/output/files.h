/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a run and their descriptors. There may be more files than descriptors: the file idle
 * for longest is closed, and opened again for its next write. Any thread; one lock, taken once a
 * write. The only disk waits under the lock are an evicted file's sync and last direct block.
 */
#ifndef CW_PIPELINE_OUTPUT_FILES_H
#define CW_PIPELINE_OUTPUT_FILES_H

#include <pthread.h>

#include "core/output/outfile.h"
#include "pipeline/output/chunk.h"
#include "pipeline/threads/gate.h"

/* Owner: the turn. */
struct cw_file_turn {
	/* the file's interface blocks: a small open hash table */
	uint32_t iface_count;
	uint32_t iface_capacity;     /* power of two, or 0 */
	uint32_t iface_first;        /* interface of the run that has number 0 */
	uint32_t *ifaces;            /* pairs: interface of the run + 1, number in the file */
	uint64_t *iface_ends;        /* by number: offset in the file where the block ends */
	struct cw_chunk end_mark;    /* the writer's once it is queued */
	struct cw_chunk expiry_mark; /* the writer's once it is queued */
	bool is_ended;               /* the last record is reserved */
	uint64_t end_number;  /* grows with each file that ended; lower for those of earlier runs */
	uint64_t kept_bytes;  /* the file's size when it ended */
	struct cw_file *next; /* of the same output */
};

/* Owner: the output's writer, then the thread that closes the run. If the output failed: the turn,
 * once no chunk is out ([RETRY-1]). */
struct cw_file_writer {
	uint64_t handed;         /* bytes handed to outfile, which may buffer some */
	uint64_t offset;         /* bytes written: accepted by the kernel */
	struct cw_anchor anchor; /* at or before `offset` */
	/* The first and the last boundary handed and not written yet. Those in between are not
	 * kept: they would only be counted a little sooner. */
	struct cw_anchor ahead[2];
	uint32_t ahead_count;
	bool is_unusable; /* not even the header could be written */
	bool is_torn;     /* may end within a record: could not be truncated after the last one */
	bool is_published;
	bool is_unnamed;  /* complete, but something is in the way of its name: a loss */
	bool is_expired;  /* removed again for its file ring */
	bool is_finished; /* published, discarded or given up: no descriptor any more */
};

/* Owner: the descriptor cache, under its lock. */
struct cw_file_cache {
	bool is_idle;
	bool is_pinned;   /* must stay open */
	bool is_regular;  /* known once the file was opened */
	int late_failure; /* of its close at eviction; reported at the next acquire */
	struct cw_file *idle_next;
	struct cw_file *idle_previous;
};

/* One file of an output. */
struct cw_file {
	struct cw_outfile *outfile;
	char *path;
	uint32_t linktype;     /* pcap: of all its records */
	bool is_rotation;      /* not the output's first file */
	bool is_later;         /* its name was made while running, and was not checked before */
	uint64_t bytes_max;    /* the rule's limit when the file began; 0: no limit */
	uint64_t header_bytes; /* bytes of the file header, once it is reserved */
	bool is_adopted;       /* of an earlier run or output: not in the output's books */
	bool is_inherited;     /* adopted, of an output that a reload closed */
	_Atomic bool is_spent; /* expired, and nobody but the turn uses it any more [SPENT-1] */
	struct cw_file_turn turn;
	struct cw_file_writer writer;
	struct cw_file_cache cache;
};

#define CW_FILE_IFACE_NONE UINT32_MAX

/* The turn: returns the file's number of an interface of the run, or CW_FILE_IFACE_NONE. */
uint32_t cw_file_find_iface(const struct cw_file_turn *file, uint32_t iface);

/* The turn: gives the interface, whose block will end at `end`, the file's next number. 0 or
 * -ENOMEM. */
int cw_file_add_iface(struct cw_file_turn *file, uint32_t iface, uint64_t end);

/* The turn: forgets the interfaces whose blocks end after `offset`, the file's end. 0, or -ENOMEM
 * and nothing changed. */
int cw_file_forget_ifaces(struct cw_file_turn *file, uint64_t offset);

struct cw_files {
	pthread_mutex_t lock;
	struct cw_gate changed; /* a descriptor may have become free */
	uint32_t limit;         /* most descriptors open at once */
	uint32_t open_count;
	uint32_t pinned_count; /* open pipes and device files: they stay open */
	struct cw_file *idle_oldest;
	struct cw_file *idle_newest;
};

/* `limit` 0: the process's descriptor limit (the soft limit is raised to the hard limit) less the
 * open ones. */
int cw_files_init(struct cw_files *files, uint32_t limit);
void cw_files_fini(struct cw_files *files);

/* Opens the file, or finds it open, and keeps it open until released. Errors as cw_outfile_open. */
int cw_files_acquire(struct cw_files *files, struct cw_file *file, struct cw_error *error);
/* As cw_files_acquire, if the file is open; else returns false at once. */
bool cw_files_acquire_open(struct cw_files *files, struct cw_file *file);
void cw_files_release(struct cw_files *files, struct cw_file *file);

/* Notes that an acquired file was closed (published or discarded): its descriptor is free. */
void cw_files_closed(struct cw_files *files, struct cw_file *file);

#endif
