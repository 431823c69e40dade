/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends the packets of capture files on an interface, timed by their timestamps or by a rate. One
 * thread reads, waits and sends. Packets that are due are sent together in one system call.
 */
#ifndef CW_TOOLS_DEVICES_REPLAY_H
#define CW_TOOLS_DEVICES_REPLAY_H

#include "core/source/live/transmit.h"
#include "core/source/source.h"
#include "tools/options/options.h"

#define CW_REPLAY_STUCK_MS 5000u /* time limit for an interface that accepts no packet */

struct cw_replay_options {
	const char *const *inputs; /* sent one after the other */
	uint32_t input_count;
	uint64_t loops;    /* passes over all inputs; 0: until stopped */
	double speed;      /* factor on the timestamps' speed; 0: timestamps are ignored */
	uint64_t rate;     /* packets/s; 0: no rate. Without speed and rate: full speed */
	uint32_t linktype; /* assumed for all packets; CW_LINKTYPE_ANY: the files' */
	bool resyncs;      /* skip damage in inputs; false: it ends the replay */
	const char *cure;  /* ends the message of damage that could be skipped; or NULL */
	bool sends_cut;    /* send the captured bytes of truncated packets */
	int signal_fd;     /* readable: stop */
};

struct cw_replay_counts {
	struct cw_source_resynced resynced; /* in all inputs and passes */
	uint64_t read;                      /* packets: sent + cut + ... + unsent */
	uint64_t sent, sent_bytes;
	uint64_t cut;       /* packets truncated in the file */
	uint64_t too_long;  /* packets over the interface's MTU */
	uint64_t link_type; /* packets of another link type than the interface's */
	uint64_t malformed; /* packets that are empty or malformed (CW_PACKET_MALFORMED) */
	uint64_t refused;   /* packets refused by the kernel for another reason */
	uint64_t unsent;    /* packets read and not due before the end */
	int refusal;        /* negative errno of the first refusal */
	uint64_t retries;   /* send attempts without room in the interface */
	uint64_t elapsed_ns;
	uint64_t late_ns_max, late_ns_sum; /* delay of sent packets; 0 at full speed */
	bool was_stopped;
};

/*
 * Sends all packets. Fills `counts`, also on failure. Returns 0, also when stopped; or the negative
 * errno of the input (-EBADMSG: damage; the packets before it were sent) or of the interface.
 */
int cw_replay(struct cw_transmit *transmit, const struct cw_replay_options *options,
	      struct cw_replay_counts *counts, struct cw_error *error);

#endif
