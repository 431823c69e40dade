/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the live sources: their operations, waiting, and spans of scattered frames. */
#ifndef CW_CORE_SOURCE_LIVE_LIVE_PARTS_H
#define CW_CORE_SOURCE_LIVE_LIVE_PARTS_H

#include "core/source/live/live.h"

/* The functions of live.h for one source. close accepts a half-opened source. */
struct cw_live_ops {
	int (*next)(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
		    struct cw_span *span, struct cw_lease *lease);
	int (*stop)(struct cw_live *live, uint32_t queue);
	void (*stats)(struct cw_live *live, uint32_t queue, struct cw_live_stats *stats);
	int (*prefilter)(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
			 uint32_t instruction_count, uint32_t reach, struct cw_error *error);
	void (*close)(struct cw_live *live);
};

/* The first member of each source's struct. */
struct cw_live {
	const struct cw_live_ops *ops;
	char device[CW_LIVE_DEVICE_BYTES]; /* interface name, padded with NULs */
	struct cw_live_info info;
};

#define CW_LIVE_DOWN_LOOK_MS 200 /* interval of checks of an interface that may be down */
/* Longest wait for the last packets after stop: this number of retire times, and a second. */
#define CW_LIVE_DRAIN_RETIRES 20u
#define CW_LIVE_DRAIN_MS_MAX(retire_ms) ((uint64_t)(retire_ms)*CW_LIVE_DRAIN_RETIRES + 1000)

#define CW_NS_PER_MS UINT64_C(1000000)

/* Adds what the kernel counted since the last time that its counters could be read. If they cannot
 * be read now, assumes that it saw what was received. */
void cw_live_count(struct cw_live_stats *stats, bool is_read, uint64_t seen, uint64_t dropped);

/* The time limit of a call of next. */
struct cw_patience {
	int timeout_ms;  /* -1: no limit */
	uint64_t end_ns; /* CLOCK_MONOTONIC; 0: not started */
	bool is_over;
};

/* Returns how long to wait now, in ms; -1: no limit. The first call starts the clock. */
int cw_patience_left(struct cw_patience *patience);

/* Checks the options that all sources share, and fills `info` with them and their defaults. */
int cw_live_info_init(struct cw_live_info *info, const struct cw_live_options *options,
		      struct cw_error *error);

/* Returns -EINVAL, and fills `error` with the valid range. */
int cw_live_refuse(struct cw_error *error, const char *device, const char *what, uint64_t value,
		   uint64_t least, uint64_t most);

/* Returns the bytes of all queues together; at most 2^50. */
uint64_t cw_live_memory_bytes(const struct cw_live_info *info);

/* Returns the most bytes for all queues: half the RAM, because kernel rings are never paged out,
 * minus options->memory_taken. */
uint64_t cw_live_memory_most(const struct cw_live_options *options, uint64_t ram_bytes);

/* Returns -ENOMEM: even the minimum is more than `most` bytes. */
int cw_live_refuse_memory(const struct cw_live_info *info, const char *device, uint64_t most,
			  struct cw_error *error);

/* Adds the interface to the run's interfaces, and stores its index there in the info. */
int cw_live_add_iface(struct cw_live *live, struct cw_ifaces *ifaces, uint16_t input, bool has_ns,
		      struct cw_error *error);

/*
 * Spans of frames (layout.is_frames): the data is an array of this struct, which points to the
 * packets. The array lies after all frames in memory, so each packet's address is before the span's
 * end and counts as one of the span's intact bytes.
 */
struct cw_frame {
	const uint8_t *data;
	uint64_t ts_ns;
	uint32_t caplen;
	uint32_t wire_len;
};

/* cw_span_decode for spans of frames. */
size_t cw_frames_decode(const struct cw_span *span, struct cw_cursor *cursor,
			struct cw_packet *packets, size_t capacity);

#endif
