/* SPDX-License-Identifier: BSD-3-Clause */
/* What the live sources share: how live.c reaches them, and spans of frames that lie scattered. */
#ifndef CW_CORE_SOURCE_LIVE_LIVE_PARTS_H
#define CW_CORE_SOURCE_LIVE_LIVE_PARTS_H

#include "core/source/live/live.h"

/* The functions of live.h for one source; close accepts what open left half done. */
struct cw_live_ops {
	int (*next)(struct cw_live *live, uint32_t queue, uint32_t records_max, int timeout_ms,
		    struct cw_span *span, struct cw_lease *lease);
	int (*stop)(struct cw_live *live, uint32_t queue);
	void (*stats)(struct cw_live *live, uint32_t queue, struct cw_live_stats *stats);
	int (*prefilter)(struct cw_live *live, uint32_t queue, const struct bpf_insn *program,
			 uint32_t instruction_count, struct cw_error *error);
	void (*close)(struct cw_live *live);
};

/* The first member of each source's own. */
struct cw_live {
	const struct cw_live_ops *ops;
	char device[CW_LIVE_DEVICE_BYTES]; /* NUL to its end */
	struct cw_live_info info;
};

/* Of what goes without a call of next: the rest of a wait, whether the device is there. */
#define CW_LIVE_DOWN_LOOK_MS 200  /* how often a device that is or may be down is looked at */
#define CW_LIVE_DRAIN_RETIRES 20u /* and a second: then stop gives up on what never comes */
#define CW_LIVE_DRAIN_MS_MAX(retire_ms) ((uint64_t)(retire_ms)*CW_LIVE_DRAIN_RETIRES + 1000)

#define CW_NS_PER_MS UINT64_C(1000000)

/* The time a call of next has. */
struct cw_patience {
	int timeout_ms; /* -1: for ever */
	uint64_t end_ns;
	bool is_over;
};

/* How long to wait now, in ms; -1: for ever. Takes the time when first asked. */
int cw_patience_left(struct cw_patience *patience);

/* Those options that mean the same everywhere, checked and with defaults put in (fills info). */
int cw_live_info_init(struct cw_live_info *info, const struct cw_live_options *options,
		      struct cw_error *error);

/* -EINVAL, and the range in words. */
int cw_live_refuse(struct cw_error *error, const char *device, const char *what, uint64_t value,
		   uint64_t least, uint64_t most);

/* Of all queues together; at most 2^50. */
uint64_t cw_live_memory_bytes(const struct cw_live_info *info);

/* What they may have: half of the memory, as it is never paged out, less what others have. */
uint64_t cw_live_memory_most(const struct cw_live_options *options, uint64_t ram_bytes);

/* -ENOMEM: the least that there can be is more than `most` bytes. */
int cw_live_refuse_memory(const struct cw_live_info *info, const char *device, uint64_t most,
			  struct cw_error *error);

/* Note the device in the run's interfaces, and its index there in the info. */
int cw_live_add_iface(struct cw_live *live, struct cw_ifaces *ifaces, uint16_t input, bool has_ns,
		      struct cw_error *error);

/*
 * Spans of frames (layout.is_frames): data is an array of these, and they point at the packets.
 * The array lies behind all frames in memory, so that by address too each packet is in front of
 * the span's end: what asks whether it is among the span's intact bytes hears yes.
 */
struct cw_frame {
	const uint8_t *data;
	uint64_t ts_ns;
	uint32_t caplen;
	uint32_t wire_len;
};

/* cw_span_decode for them. */
size_t cw_frames_decode(const struct cw_span *span, struct cw_cursor *cursor,
			struct cw_packet *packets, size_t capacity);

#endif
