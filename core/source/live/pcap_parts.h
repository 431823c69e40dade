/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the libpcap source share. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_PCAP_PARTS_H
#define CW_CORE_SOURCE_LIVE_PCAP_PARTS_H

#include <pcap/pcap.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/pcap.h"
#include "core/packet/window.h"

struct sock_filter;

#define CW_PCAP_RECORD_BYTES 16u /* the header of a record */

struct cw_live_pcap {
	struct cw_live base; /* first: the interface has its address */
	/* fixed after open */
	pcap_t *handle;
	int fd; /* to wait on; -1: there is none */
	int wake_fd;
	bool is_packet_socket;
	uint32_t unit_ns; /* of its times: 1 or 1000 */
	struct cw_layout layout;
	struct cw_window_pool *pool;
	uint8_t *spill; /* room for the one record that the arena had no more room for */
	/* its thread's */
	struct cw_window *arena; /* being filled; we hold a reference */
	size_t room_bytes;       /* of the arena */
	size_t start, end;       /* in the arena: the records not handed out */
	uint32_t record_count;   /* between them */
	uint32_t records_max;
	uint32_t spill_bytes; /* 0: it is empty */
	uint32_t arenas_since_stats;
	int failure;           /* what to say when the records before it are handed out */
	bool was_down;         /* the device may be gone */
	bool is_down_reported; /* libpcap has found it down, and we have said so */
	bool is_removed;
	bool is_stopping;
	bool is_drained;
	uint64_t stopped_ns;    /* CLOCK_MONOTONIC */
	uint64_t offset;        /* bytes handed out */
	struct pcap_stat known; /* what libpcap counted when last asked */
	struct cw_live_stats stats;
};

/* Filters on the packet socket. 0 or -errno. */
int cw_live_pcap_attach(const struct cw_live_pcap *live, struct sock_filter *program, size_t count);
int cw_live_pcap_filter_nothing(const struct cw_live_pcap *live);

/* Read libpcap's counts into ours. */
void cw_live_pcap_read_stats(struct cw_live_pcap *live);

extern const struct cw_live_ops cw_live_pcap_ops;

#endif
