/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends the packets of capture files on a device, at the times that the files or a rate give. One
 * thread: reads, waits, sends. Packets whose time has come go together in one system call.
 */
#ifndef CW_TOOLS_DEVICES_REPLAY_H
#define CW_TOOLS_DEVICES_REPLAY_H

#include "core/source/live/transmit.h"
#include "tools/options/options.h"

#define CW_REPLAY_STUCK_MS 5000u /* a device that takes nothing for so long ends it */

struct cw_replay_options {
	const char *const *inputs; /* one after the other */
	uint32_t input_count;
	uint64_t loops;    /* how often; 0: until it is stopped */
	double speed;      /* times as fast as the packets' times say; 0: not by them */
	uint64_t rate;     /* packets a second; 0: not by rate. Neither: as fast as it goes */
	uint32_t linktype; /* takes the packets for it; CW_LINKTYPE_ANY */
	bool sends_cut;    /* what is there of packets of which not all is there */
	int signal_fd;     /* readable: stop */
};

struct cw_replay_counts {
	uint64_t read; /* = sent + all below */
	uint64_t sent, sent_bytes;
	uint64_t cut;       /* bytes are missing */
	uint64_t too_long;  /* for the device's MTU */
	uint64_t link_type; /* other than the device's */
	uint64_t malformed; /* no packet, or an empty one */
	uint64_t refused;   /* by the kernel, for another reason */
	uint64_t unsent;    /* read, and then it was over */
	int refusal;        /* the first of them: negative errno */
	uint64_t retries;   /* times when the device had no room */
	uint64_t elapsed_ns;
	uint64_t late_ns_max, late_ns_sum; /* after their time, of the sent ones; 0 without times */
	bool was_stopped;
};

/*
 * Send it all. `counts` (fills) hold for what was done, also on failure. 0, also when it was
 * stopped; or a negative errno: the input's (-EBADMSG: damage; what was before it was sent), or the
 * device's.
 */
int cw_replay(struct cw_transmit *transmit, const struct cw_replay_options *options,
	      struct cw_replay_counts *counts, struct cw_error *error);

#endif
