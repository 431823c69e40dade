/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Repair: cut what a capture file has behind its last whole record, when that is the tail of a
 * write that never ended (a kill, a crash, a full disk). Changes nothing else, ever. Single owner.
 *
 * A torn tail is one of: a header or record that goes on beyond the file's end; zeros up to the
 * end, as file systems leave them, which in pcap read as empty packets of 1970; a last block that
 * ends in such zeros. Damage with more data behind it is none: that is for the user to judge, and
 * refused.
 */
#ifndef CW_CORE_FORMAT_REPAIR_H
#define CW_CORE_FORMAT_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

struct cw_repair {
	const char *format;  /* "pcap", "pcapng" */
	uint64_t packets;    /* in the whole records */
	uint64_t file_bytes; /* before */
	uint64_t kept_bytes; /* the whole records; equal: there is no torn tail */
	char torn[256];      /* what the tail is, "" when there is none */
};

/*
 * Look at the capture file and, without `dry_run`, cut its torn tail; the shorter length is on the
 * disk (fsync) at return. Fills `repair` as far as things got. 0, also where there is nothing to
 * cut. -EBADMSG: no capture file, nothing whole in it, or damage that is no torn tail;
 * -EPROTONOSUPPORT: a format that is not read, or a compressed file; -EBUSY: another program has it
 * open, or it changed meanwhile; -EINVAL: no regular file; -ELOOP: a symbolic link; others are the
 * system's. After an error the file is as it was, unless the text says that only the fsync failed.
 */
int cw_repair_file(const char *path, bool dry_run, struct cw_repair *repair,
		   struct cw_error *error);

#endif
