/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the libpcap source. Not for other files. */
#ifndef CW_CORE_SOURCE_LIVE_PCAP_PARTS_H
#define CW_CORE_SOURCE_LIVE_PCAP_PARTS_H

#include <pcap/pcap.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/pcap.h"
#include "core/packet/window.h"

struct sock_filter;

#define CW_PCAP_RECORD_BYTES 16u /* size of a record's header */

struct cw_live_pcap {
	struct cw_live base; /* first: live.h uses its address */
	/* fixed after open */
	pcap_t *handle;
	int fd; /* descriptor to wait on; -1: none */
	int wake_fd;
	bool is_packet_socket;
	enum cw_live_direction direction;
	uint32_t unit_ns; /* unit of libpcap's timestamps: 1 or 1000 ns */
	struct cw_layout layout;
	struct cw_window_pool *pool;
	uint8_t *spill; /* one record that did not fit into the arena */
	/* used by the queue's thread */
	struct cw_window *arena; /* arena being filled; one reference */
	size_t room_bytes;       /* size of the arena */
	size_t start, end;       /* range in the arena of the records not returned yet */
	uint32_t record_count;   /* records in that range */
	uint32_t records_max;
	uint32_t spill_bytes; /* bytes in `spill`; 0: empty */
	uint32_t arenas_since_stats;
	int failure;           /* error to return after the records before it */
	bool was_down;         /* the interface may be gone */
	bool is_down_reported; /* libpcap found the interface down, and next has returned it */
	bool is_removed;
	bool is_stopping;
	bool is_unfiltered; /* stopping, but the kernel passes packets */
	bool is_drained;
	uint64_t stopped_ns;    /* CLOCK_MONOTONIC at stop */
	uint64_t offset;        /* bytes returned in spans */
	struct pcap_stat known; /* libpcap's counts when last read */
	struct cw_live_stats stats;
};

/* Set filters on the packet socket: one that passes nothing; or the direction, and the bytes to
 * truncate packets to. Return 0 or -errno. */
int cw_live_pcap_filter_nothing(const struct cw_live_pcap *live);
int cw_live_pcap_filter_direction(const struct cw_live_pcap *live, uint32_t reach);

/* Adds libpcap's counts to ours. */
void cw_live_pcap_read_stats(struct cw_live_pcap *live);

extern const struct cw_live_ops cw_live_pcap_ops;

#endif
