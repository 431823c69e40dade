/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumpers, which write capture files.
 *
 * A dumper gathers records in memory and writes them as the memory fills. Every failure of a write,
 * flush or close is returned: a full disk, a quota, a closed pipe. A closed pipe ends a program
 * that does not ignore SIGPIPE.
 *
 * Threads: one thread at a time uses a dumper.
 */
#ifndef CW_CAPWEIR_DUMPER_H
#define CW_CAPWEIR_DUMPER_H

#include <capweir/handle.h>

CW_BEGIN_DECLS

/* A capture file that is being written. */
struct cw_dumper;

/* File formats. */
enum cw_dumper_format {
	CW_DUMPER_PCAP,    /* pcap; nanoseconds if cw_handle_is_ns when opened, else microseconds */
	CW_DUMPER_PCAP_US, /* pcap, microseconds */
	CW_DUMPER_PCAP_NS, /* pcap, nanoseconds */
	CW_DUMPER_PCAPNG,  /* pcapng: one section, nanoseconds, interfaces, options */
};

/*
 * Open a file for packets of the handle. Packets of an interface and of a dead handle are truncated
 * to the handle's snapshot length; packets of a capture file are written whole.
 *
 * A pcap file holds packets of the handle's link type only. Its header has the snapshot length of a
 * pcap input, else the link type's maximum, because later interfaces can have longer packets.
 * CW_DUMPER_PCAP decides when the dumper is opened: finer timestamps of a file's later interfaces
 * are truncated to microseconds.
 *
 * A pcapng file describes each interface before its first packet, so packets of all link types fit.
 * If the handle reads a pcapng file, the dumper also copies options of the section, the interfaces
 * and the packets, and blocks of the packets' sections: decryption secrets, names, custom blocks
 * marked as to be copied. Blocks after the last packet are written by cw_dumper_close. The file has
 * one section, with the options of the section that the handle reads when the dumper is opened.
 *
 * The path "-" is standard output. An existing file is replaced at once; a new file has mode 0600.
 * The file header is written before the call returns.
 *
 * The dumper keeps the handle, which describes the packets' interfaces: close the dumper first.
 *
 * Returns 0. On failure *dumper is NULL and the result is CW_NOT_ACTIVATED, -EINVAL (unknown
 * format, or a link type above 65535), -ENOMEM, or the negative errno of the system call.
 */
CW_API int cw_dumper_open(struct cw_dumper **dumper, const struct cw_handle *handle,
			  const char *path, enum cw_dumper_format format, struct cw_error *error);

/*
 * Open a dumper on a descriptor, without a handle. Takes the descriptor on success. Writing starts
 * at the descriptor's position and leaves earlier bytes alone; on a non-blocking descriptor, a
 * write that would block fails with -EAGAIN. snaplen 0 means the maximum of the link type.
 * CW_DUMPER_PCAP means nanoseconds here.
 *
 * A descriptor at the end of a capture file (O_APPEND) continues the file: a pcap file of the same
 * link type without a second header, a pcapng file with a further section. The file is read to its
 * end first. CW_DUMPER_PCAP then means the file's resolution, and cw_dumper_write refuses packets
 * longer than the file's snapshot length with -EMSGSIZE.
 *
 * Returns as cw_dumper_open; -EEXIST if a capture file has another format, link type or position;
 * -EBADMSG if it is damaged or ends in a truncated record. Source: pcap_dump_open_append.
 */
CW_API int cw_dumper_open_fd(struct cw_dumper **dumper, int fd, uint32_t linktype, uint32_t snaplen,
			     enum cw_dumper_format format, struct cw_error *error);

/* Leave out decryption secrets of the handle's input from now on. Call this before the first packet
 * to leave out all. */
CW_API void cw_dumper_discard_secrets(struct cw_dumper *dumper);

/*
 * Append one packet (borrows): caplen bytes at data, truncated to the snapshot length. With
 * cw_dumper_open, packet->iface is an interface of the dumper's handle.
 *
 * Returns 0; CW_OTHER_LINKTYPE if the format is pcap and the packet's interface has another link
 * type, or if the packet is malformed (CW_PACKET_MALFORMED); -EMSGSIZE if the packet is longer
 * than the header of the input, a pcap file, says: packets of joined files can be (cat a b), and
 * packets that the caller made longer; -ERANGE if the format cannot hold the timestamp; -EINVAL for
 * a caplen without data; -ENOMEM. These codes concern this packet only.
 *
 * Any other code is the first failed write: nothing is appended from then on, and a regular file is
 * truncated to its last complete record, if the system allows that.
 */
CW_API int cw_dumper_write(struct cw_dumper *dumper, const struct cw_packet *packet);

/* Write all gathered records to the file. Returns 0, or the code of the first failed write. */
CW_API int cw_dumper_flush(struct cw_dumper *dumper);

/* Flush, close and free a dumper (takes; accepts NULL). Returns 0, or the code of the first failed
 * write or of the close: check it, since gathered records may fail here. */
CW_API int cw_dumper_close(struct cw_dumper *dumper);

CW_END_DECLS

#endif
