/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumpers: capture files to be written. Every failure of a write, flush or close is returned: a
 * full disk, a quota, a closed pipe (for programs that ignore SIGPIPE; it ends others).
 */
#ifndef CW_CAPWEIR_DUMPER_H
#define CW_CAPWEIR_DUMPER_H

#include <capweir/handle.h>

CW_BEGIN_DECLS

struct cw_dumper;

/* What is written. */
enum cw_dumper_format {
	CW_DUMPER_PCAP,    /* with nanoseconds where the handle has them */
	CW_DUMPER_PCAP_US, /* with microseconds */
	CW_DUMPER_PCAP_NS, /* with nanoseconds */
	CW_DUMPER_PCAPNG,  /* one section, nanoseconds, the packets' interfaces, comments and flags
			    */
};

/*
 * Write packets of the handle's link type and snapshot length to a file; "-" is standard output. An
 * existing file is replaced; nothing but the header is in it then. A new one has mode 0600. The
 * handle has to stay until the dumper is closed: a pcapng file gets its interfaces. 0, or *dumper
 * is NULL and a negative code: CW_NOT_ACTIVATED; -EINVAL; the system's.
 */
CW_API int cw_dumper_open(struct cw_dumper **dumper, const struct cw_handle *handle,
			  const char *path, enum cw_dumper_format format, struct cw_error *error);

/* The same without a handle, to a descriptor (takes it when it succeeds), from where that stands;
 * what was there before stays as it was. One that does not block fails where it would. snaplen 0 =
 * CW_CAPLEN_MAX. */
CW_API int cw_dumper_open_fd(struct cw_dumper **dumper, int fd, uint32_t linktype, uint32_t snaplen,
			     enum cw_dumper_format format, struct cw_error *error);

/*
 * Append a packet (borrows): caplen bytes at data, cut to the snapshot length. 0; -ERANGE for a
 * time that the format does not hold; -EINVAL for caplen without data; or why writing failed, now
 * or earlier (then nothing is appended, and a regular file is cut to the last whole record that was
 * written, if the system lets it be).
 */
CW_API int cw_dumper_write(struct cw_dumper *dumper, const struct cw_packet *packet);

/* Hand all to the system. 0, or why not; it stays so. */
CW_API int cw_dumper_flush(struct cw_dumper *dumper);

/* Flush, close and free it (accepts NULL). 0, or the first failure of all. */
CW_API int cw_dumper_close(struct cw_dumper *dumper);

CW_END_DECLS

#endif
