/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a run and their descriptors: more files than descriptors is fine, the one idle for
 * longest is closed and opened again when it is written to. Any thread; one lock, taken once a
 * write. Of what waits for a disk only eviction is under it: a file's sync, or its last direct
 * block.
 */
#ifndef CW_PIPELINE_OUTPUT_FILES_H
#define CW_PIPELINE_OUTPUT_FILES_H

#include <pthread.h>

#include "core/output/outfile.h"
#include "pipeline/output/chunk.h"
#include "pipeline/threads/gate.h"

/* Owner: the turn. */
struct cw_file_turn {
	/* Interfaces the file has a block for, a small open hash table. */
	uint32_t iface_count;
	uint32_t iface_capacity;  /* power of two, or 0 */
	uint32_t *ifaces;         /* pairs: interface of the run + 1, number in the file */
	uint64_t *iface_ends;     /* by number: where in the file its block ends */
	struct cw_chunk end_mark; /* then the writer's, as the other */
	struct cw_chunk expiry_mark;
	bool is_ended;        /* its last record is reserved */
	uint64_t end_number;  /* how many files of the run ended before */
	uint64_t kept_bytes;  /* then */
	struct cw_file *next; /* of the same output */
};

/* Owner: the output's writer, then the thread that closes the run; of a failed output the turn,
 * once no chunk is out ([RETRY-1]). */
struct cw_file_writer {
	uint64_t handed;         /* bytes handed to outfile, which may keep some for a while */
	uint64_t offset;         /* bytes written: in the kernel's hands */
	struct cw_anchor anchor; /* at or before `offset` */
	/* Boundaries that were handed and not written: the first, which comes true first, and the
	 * last. Those between would only be counted a little sooner. */
	struct cw_anchor ahead[2];
	uint32_t ahead_count;
	bool is_unusable; /* not even its header could be written */
	bool is_published;
	bool is_expired;  /* and removed again, as rings want */
	bool is_finished; /* published, discarded or given up: its descriptor is gone */
};

/* Owner: the descriptor cache, under its lock. */
struct cw_file_cache {
	bool is_idle;
	bool is_pinned;   /* open, and has to stay so */
	bool is_regular;  /* known once it was opened */
	int late_failure; /* of closing it when it was evicted; reported at the next acquire */
	struct cw_file *idle_next;
	struct cw_file *idle_previous;
};

/* One file of an output. */
struct cw_file {
	struct cw_outfile *outfile;
	char *path;
	uint32_t linktype;  /* pcap: of all its records */
	bool is_rotation;   /* not its output's first */
	uint64_t bytes_max; /* that its rule allows when it is begun; 0: no limit */
	struct cw_file_turn turn;
	struct cw_file_writer writer;
	struct cw_file_cache cache;
};

#define CW_FILE_IFACE_NONE UINT32_MAX

/* The file's number of an interface of the run, or CW_FILE_IFACE_NONE. The turn. */
uint32_t cw_file_find_iface(const struct cw_file_turn *file, uint32_t iface);

/* Give the interface, whose block will end at `end`, the file's next number; 0 or -ENOMEM. The
 * turn. */
int cw_file_add_iface(struct cw_file_turn *file, uint32_t iface, uint64_t end);

/* Only what is before `offset` is in the file: forget the interfaces behind. 0 or -ENOMEM, and
 * nothing changed. The turn. */
int cw_file_forget_ifaces(struct cw_file_turn *file, uint64_t offset);

struct cw_files {
	pthread_mutex_t lock;
	struct cw_gate changed; /* a descriptor may have become free */
	uint32_t limit;         /* descriptors it may hold open */
	uint32_t open_count;
	uint32_t pinned_count; /* of those, pipes and devices: they stay open */
	struct cw_file *idle_oldest;
	struct cw_file *idle_newest;
};

/* `limit` 0: what the process's descriptor limit leaves (the soft limit is raised to the hard one),
 * `reserved` for others put aside. */
int cw_files_init(struct cw_files *files, uint32_t limit, uint32_t reserved);
void cw_files_fini(struct cw_files *files);

/* Open (or find open) the file; it stays so until released. Errors as cw_outfile_open. */
int cw_files_acquire(struct cw_files *files, struct cw_file *file, struct cw_error *error);
void cw_files_release(struct cw_files *files, struct cw_file *file);

/* An acquired file was closed (published or discarded): its descriptor is free. */
void cw_files_closed(struct cw_files *files, struct cw_file *file);

#endif
