/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open capture file, pipe or compressed file as a stream of spans. Spans of mapped files lie in
 * the file's pages, in sliding windows; pipes, .gz and .zst are read into a few buffers. Single
 * owner: one thread calls next. Any thread may give back leases.
 */
#ifndef CW_CORE_SOURCE_SOURCE_H
#define CW_CORE_SOURCE_SOURCE_H

#include "core/format/segment.h"

#define CW_SOURCE_WINDOW_BYTES_MAX ((size_t)256 << 20)
#define CW_SOURCE_BUFFER_BYTES ((size_t)4 << 20)
#define CW_SOURCE_WINDOWS_MAX 4u /* windows leased at once; next() returns -EAGAIN beyond */
#define CW_SOURCE_OVERLAP_BYTES ((size_t)1 << 20) /* after a segment: for its last record */

struct cw_source;

struct cw_source_options {
	size_t window_bytes; /* bytes of a mapped window, rounded up to pages; 0 = 64 MiB */
	size_t buffer_bytes; /* bytes of a stream buffer; 0 = CW_SOURCE_BUFFER_BYTES */
	bool is_unmapped;    /* read regular files into buffers too */
	uint32_t pieces_max; /* leased pieces of a .zst file with a table; 0: it has no pieces */
	int wake_fd;         /* readable when reading must stop (eventfd); -1 = none */
	uint16_t input;      /* number of the input, recorded in its interfaces */
	uint32_t linktype;   /* link type to use (-y); CW_LINKTYPE_ANY = the file's */
	bool resyncs;        /* skip damage in the middle; false: it ends the input */
	const char *cure;    /* ends the message of damage that could be skipped; NULL: nothing */
};

/* Damage that was skipped. */
struct cw_source_resynced {
	uint64_t places; /* where reading continued */
	uint64_t bytes;  /* skipped, of the uncompressed input */
};

struct cw_source_info {
	const char *format;      /* "pcap", "pcapng" */
	const char *compression; /* "none", "gzip", "zstd" */
	const char *byte_order;  /* byte order of the first header: "little", "big" */
	uint16_t version_major, version_minor;
	uint32_t linktype;       /* link type of the first interface; CW_LINKTYPE_ANY: none */
	uint32_t snaplen;        /* snapshot length in the header or the first interface */
	uint32_t limit;          /* most bytes of a packet that a pcap header promises; 0: none */
	bool has_ns;             /* an interface so far has timestamps finer than 1 us */
	uint64_t file_bytes;     /* length at open; 0 for pipes */
	uint64_t consumed_bytes; /* bytes of the file, compressed if it is: parsed, or handed out */
	uint64_t section_count;  /* pcapng sections */
	uint32_t joined_count; /* capture files that follow the first one in the input (cat a b) */
	bool has_grown;        /* a regular file became longer after open */
	struct cw_block_counts blocks; /* pcapng: blocks beside packets */
	struct cw_source_resynced resynced;
};

/* A capture file that follows another one in the same input. */
#define CW_SOURCE_JOINED_MAX 64u /* the first ones are described; all are counted */

struct cw_source_joined {
	uint64_t at;        /* offset of its header in the uncompressed input */
	const char *format; /* "pcap", "pcapng" */
	uint32_t linktype;  /* link type of its first interface; CW_LINKTYPE_ANY: none */
};

/*
 * Opens `path` ("-" = standard input), finds its format by magic and reads up to the first packet,
 * so that the interfaces declared before it are in `ifaces` (keeps; must outlive the source).
 * Errors: -errno from the system; -EBADMSG: not a capture file, or a damaged header;
 * -EPROTONOSUPPORT: a known but unsupported version or format.
 */
int cw_source_open(struct cw_source **source, const char *path, struct cw_ifaces *ifaces,
		   const struct cw_source_options *options, struct cw_error *error);

/* Opens a descriptor (takes, also on failure) at its position, as cw_source_open. `name`: of the
 * descriptor, for errors. */
int cw_source_open_fd(struct cw_source **source, int fd, const char *name, struct cw_ifaces *ifaces,
		      const struct cw_source_options *options, struct cw_error *error);

/*
 * Returns the next span: complete records, at most `bytes_max` bytes and `records_max` records, but
 * at least one record of any size. The lease (fills) belongs to the caller.
 *   1          a span
 *   0          end, at a record boundary
 *   -EAGAIN    every window is leased: try again after a lease was given back
 *   -ETIME     no byte came for the time of cw_source_set_idle: call again
 *   -EINTR     wake_fd became readable, or a signal interrupted the call: call again
 *   -EBADMSG   damage, described in `error`, after all complete records were returned; every later
 *              call returns it again
 *   other      the system's error; every later call returns it again
 */
int cw_source_next(struct cw_source *source, size_t bytes_max, uint32_t records_max,
		   struct cw_span *span, struct cw_lease *lease, struct cw_error *error);

/*
 * Returns the next piece of a mapped file without looking at it, for others to walk: fills the
 * segment's span, edges and flags, and the lease (the caller's). The first piece begins at the
 * parser's position, which is a record boundary. Pieces end at multiples of `bytes`, or where the
 * input ends; of what follows, CW_SOURCE_OVERLAP_BYTES are in the span too, as far as the input has
 * them. The parser stays where it is: cw_source_next may be called again after
 * cw_source_continue only.
 *
 * A .zst file with a table of its frames (frames.h) gives pieces after the first span: they end
 * with a frame, at or after a multiple of `bytes`, and cw_segment_unpack comes before the walk.
 *   1          a segment
 *   0          none: another stream, the input's end, damage, a failure: cw_source_next says which
 *   -EAGAIN    every window is leased: try again after a lease was given back
 *   -EINTR     wake_fd became readable
 */
int cw_source_raw(struct cw_source *source, size_t bytes, struct cw_segment *segment,
		  struct cw_lease *lease, struct cw_error *error);

/* Ends a row of pieces: cw_source_next continues at `position`, a record boundary that was reached
 * by plain records only. `last_s`: seconds of the last of them (pcap); unused if there was none. */
void cw_source_continue(struct cw_source *source, uint64_t position, uint32_t last_s);

/* Fills what is known for the guess in a piece: `last_s` is that of the last record that
 * cw_source_next or cw_source_continue told of. Borrows the source's layout. */
void cw_source_boundary(const struct cw_source *source, struct cw_boundary *boundary);

/* Limits how long next() waits for a pipe or a device file: in milliseconds, -1: no limit. Returns
 * false for regular files, whose reads do not wait. */
bool cw_source_set_idle(struct cw_source *source, int idle_ms);

void cw_source_info(const struct cw_source *source, struct cw_source_info *info);

/* Fills up to `capacity` joined files that were read so far. Returns how many. */
uint32_t cw_source_joined(const struct cw_source *source, uint32_t capacity,
			  struct cw_source_joined *joined);

/* Returns what is wrong at the first place that was skipped; NULL: none was. */
const char *cw_source_damage(const struct cw_source *source);

/* Fills device and inode, to detect that an output is an input. Returns false for pipes. */
bool cw_source_identity(const struct cw_source *source, uint64_t *device, uint64_t *inode);

/* Accepts NULL. Outstanding leases stay valid; giving back the last one frees their memory. */
void cw_source_close(struct cw_source *source);

#endif
