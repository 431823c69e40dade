/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Repair: truncates a capture file after its last complete record, if the rest is the tail of an
 * unfinished write (a kill, a crash, a full disk). Never changes anything else. Single owner.
 *
 * A torn tail is one of: a header or record that extends beyond the file's end; zeros in place of
 * records up to the end, as file systems leave them; a last block that ends in such zeros. Damage
 * with more data after it is not a torn tail and is refused: the user has to judge it.
 */
#ifndef CW_CORE_FORMAT_REPAIR_H
#define CW_CORE_FORMAT_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

struct cw_repair {
	const char *format;  /* "pcap", "pcapng" */
	uint64_t packets;    /* packets in the complete records */
	uint64_t file_bytes; /* bytes before the repair */
	uint64_t kept_bytes; /* bytes of the complete records; file_bytes: no torn tail */
	char torn[256];      /* description of the torn tail; "": none */
	bool is_cut;         /* the torn tail was removed */
};

/*
 * Checks a capture file and, without `dry_run`, truncates its torn tail; the new length is on the
 * disk (fsync) at return. Fills `repair` as far as it gets. Returns 0, also if there is no torn
 * tail; -EBADMSG: not a capture file, no complete header, or damage that is not a torn tail;
 * -EPROTONOSUPPORT: an unsupported format or a compressed file; -EBUSY: another program has the
 * file open or locked, or the file changed meanwhile; -EINVAL: not a regular file; -ELOOP: a
 * symbolic link; or the system's error. After an error the file is unchanged, unless only fsync
 * failed.
 */
int cw_repair_file(const char *path, bool dry_run, struct cw_repair *repair,
		   struct cw_error *error);

/* Repairs a regular file that is open for reading and writing, and that no other program writes. As
 * cw_repair_file, without the file's name in `error`. */
int cw_repair_fd(int fd, struct cw_repair *repair, struct cw_error *error);

#endif
