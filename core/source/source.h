/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An opened capture file, pipe or compressed file as a stream of spans. Mapped files hand out their
 * own pages in sliding windows; pipes, .gz and .zst are read into a few buffers. Single owner: one
 * thread calls next; leases may be given back by any thread.
 */
#ifndef CW_CORE_SOURCE_SOURCE_H
#define CW_CORE_SOURCE_SOURCE_H

#include "core/base/error.h"
#include "core/packet/packet.h"

#define CW_SOURCE_WINDOW_BYTES_MAX ((size_t)256 << 20)
#define CW_SOURCE_BUFFER_BYTES ((size_t)4 << 20)
#define CW_SOURCE_WINDOWS_MAX 4u /* outstanding at once; next() says -EAGAIN beyond */

struct cw_source;

struct cw_source_options {
	size_t window_bytes; /* mapped windows; 0 = 64 MiB; rounded up to pages */
	size_t buffer_bytes; /* stream buffers; 0 = CW_SOURCE_BUFFER_BYTES */
	bool is_unmapped;    /* regular files too are read into buffers */
	int wake_fd;         /* readable when reading shall stop (eventfd); -1 = none */
	uint16_t input;      /* recorded in the interfaces met */
	uint32_t linktype;   /* overrides the file's (-y); CW_LINKTYPE_ANY = as the file says */
};

struct cw_source_info {
	const char *format;      /* "pcap", "pcapng" */
	const char *compression; /* "none", "gzip", "zstd" */
	const char *byte_order;  /* "little", "big" of the first header */
	uint16_t version_major, version_minor;
	uint32_t linktype;       /* of the first interface, CW_LINKTYPE_ANY when there is none */
	uint32_t snaplen;        /* of the header or the first interface, as recorded */
	bool has_ns;             /* resolves better than 1 us; pcapng always counts as such */
	uint64_t file_bytes;     /* length at open; 0 for pipes */
	uint64_t consumed_bytes; /* of the file (compressed bytes where compressed) */
	uint64_t section_count;  /* pcapng */
	bool has_grown;          /* regular file was longer at its end than at open */
};

/*
 * Open `path` ("-" = standard input), find its format by magic and read up to the first packet, so
 * that the interfaces declared before it are in `ifaces` (keeps; must outlive the source).
 * Errors: -errno from the system; -EBADMSG for a file that is no capture file, or a damaged header;
 * -EPROTONOSUPPORT for a version or magic we know and do not read.
 */
int cw_source_open(struct cw_source **source, const char *path, struct cw_ifaces *ifaces,
		   const struct cw_source_options *options, struct cw_error *error);

/*
 * Cut the next span: whole records, at most `bytes_max` bytes and `records_max` records, but at
 * least one record whatever its size. The lease (fills) belongs to the caller.
 *   1          a span
 *   0          end, at a record boundary
 *   -EAGAIN    every window is leased: try again after a lease came back
 *   -EINTR     wake_fd became readable
 *   -EBADMSG   damage (error says what and where): all whole records before it were handed out;
 *              every later call says the same
 *   other      the system's error, likewise
 */
int cw_source_next(struct cw_source *source, size_t bytes_max, uint32_t records_max,
		   struct cw_span *span, struct cw_lease *lease, struct cw_error *error);

void cw_source_info(const struct cw_source *source, struct cw_source_info *info);

/* Device and inode, for "output equals an input"; false for pipes. */
bool cw_source_identity(const struct cw_source *source, uint64_t *device, uint64_t *inode);

/* Accepts NULL. Leases still out stay valid; the last one to come back frees what it needs. */
void cw_source_close(struct cw_source *source);

#endif
